/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend of mode iptables: two planes, one a family, in the variant of iptables that the node
 * uses.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "proxy/backend.h"
#include "proxy/dump.h"
#include "proxy/foreign.h"
#include "proxy/iptables/diff.h"
#include "proxy/iptables/hits.h"
#include "proxy/iptables/plane.h"
#include "proxy/iptables/show.h"
#include "proxy/iptables/variant.h"
#include "proxy/liberal.h"
#include "proxy/localnet.h"
#include "proxy/tally.h"

struct iptables;

/* Who reads what a family's rules have counted. */
struct counting {
	struct iptables *of;
	unsigned int i;
	struct hits *hits; /* NULL: nobody wants to know */
};

struct iptables {
	const struct variant *variant;
	struct plane *planes[PROXY_HALVES];
	struct foreign *foreign;
	struct counting counting[PROXY_HALVES];
	struct tally *tally; /* what is read goes there */
	int audit_ms;
	const struct proxy_ops *ops;
	void *arg;
};

/* ---- its life ---- */

static void on_applied(void *arg)
{
	struct iptables *t = arg;

	t->ops->applied(t->arg);
}

static void on_failed(const struct err *e, void *arg)
{
	struct iptables *t = arg;

	t->ops->failed(e, t->arg);
}

static void on_foreign_rules(void *arg)
{
	const struct iptables *t = arg;

	if (t->foreign)
		foreign_hint(t->foreign);
}

/* The first line that is no remark, as iptables-nft makes one where legacy tables exist. */
static char *complaint(const char *said)
{
	while (*said == '#') {
		said += strcspn(said, "\n");
		said += *said == '\n';
	}
	return xstrndup(said, strcspn(said, "\n"));
}

static int start_plane(struct iptables *t, struct event_base *base, const struct render_options *o,
                       struct err *e)
{
	static const struct plane_ops ops = { .applied = on_applied,
		                              .failed = on_failed,
		                              .foreign = on_foreign_rules };
	int i = variant_index(o->family);
	cleanup(buf_fini) struct buf why = BUF_INIT;

	if (variant_has_family(t->variant, o->family, &why)) {
		t->planes[i] = plane_new(base, t->variant, o, t->audit_ms, NULL, &ops, t);
		return 0;
	}
	cleanup_free char *said = complaint(buf_str(&why));
	if (o->family == 4)
		return err_set(e, -ENOTSUP, ERR_SYSTEM, "%s cannot use the kernel's nat table%s%s",
		               t->variant->iptables[i], *said ? ": " : "", said);
	log_warn("no iptables for IPv6 here; Services get IPv4 rules only, and no IPv6 "
	         "address is announced until there is",
	         KV_S("program", t->variant->iptables[i]), KV_S("error", said));
	t->planes[i] = plane_new(base, t->variant, o, t->audit_ms, said, &ops, t);
	return 0;
}

/* All but what the node is asked for. */
static struct render_options render_options_of(const struct proxy_options *opts)
{
	struct render_options o = {
		.mark = opts->mark,
		.pods_by = opts->pods_by,
		.localhost_node_ports = opts->localhost_node_ports,
		.localhost_guard = opts->localhost_node_ports || localnet_is_ours(),
		.masquerade_all = opts->masquerade_all,
		.clamp_mss = opts->clamp_mss,
	};

	memcpy(o.pod_interface, opts->pod_interface, sizeof(o.pod_interface));
	return o;
}

static int start_planes(struct iptables *t, struct event_base *base,
                        const struct proxy_options *opts, struct err *e)
{
	struct render_options o = render_options_of(opts);
	int r = variant_choose(opts->variant ? opts->variant : "auto", &t->variant, e);

	if (r < 0)
		return r;
	o.drop_invalid = !liberal_is_on();
	o.random_fully = variant_random_fully(t->variant);
	for (int i = 0; i < PROXY_HALVES && r == 0; i++) {
		o.family = i == 0 ? 4 : 6;
		o.knows_bpf = variant_knows_match(t->variant, o.family, "bpf");
		r = start_plane(t, base, &o, e);
	}
	return r;
}

/* ---- what was counted ---- */

static void on_counted(const char *chain, const char *service, uint64_t packets, uint64_t bytes,
                       void *arg)
{
	const struct counting *at = arg;

	_Static_assert(CHAIN_NAME_SIZE <= TALLY_ID_MAX, "ids have room");
	tally_count(at->of->tally, at->i, chain, strlen(chain), service, TALLY_CONNECTIONS, packets,
	            bytes);
}

static bool has_service(const char *service, void *arg)
{
	const struct iptables *t = arg;

	return plane_has(t->planes[0], service) || plane_has(t->planes[1], service);
}

static void on_all_counted(void *arg)
{
	const struct counting *at = arg;

	tally_end(at->of->tally, at->i, false, has_service, at->of);
}

static void start_counting(struct iptables *t, struct event_base *base)
{
	static const struct hits_ops ops = { .counted = on_counted, .done = on_all_counted };

	for (int i = 0; i < PROXY_HALVES; i++) {
		struct counting *c = &t->counting[i];
		*c = (struct counting){ .of = t, .i = (unsigned int)i };
		c->hits = hits_new(base, t->variant, i == 0 ? 4 : 6, &ops, c);
	}
}

static void count(void *self, struct tally *tally)
{
	struct iptables *t = self;

	t->tally = tally;
	for (unsigned int i = 0; i < PROXY_HALVES; i++)
		if (t->counting[i].hits && plane_is_there(t->planes[i]) &&
		    hits_read(t->counting[i].hits))
			tally_begin(tally, i);
}

/* ---- its end, and its beginning ---- */

static void stop(void *self, bool wait)
{
	struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (wait)
			plane_end(t->planes[i]);
		else
			plane_free(t->planes[i]);
	for (int i = 0; i < PROXY_HALVES; i++)
		hits_free(t->counting[i].hits);
	foreign_free(t->foreign);
	free(t);
}

static int start(struct event_base *base, const struct proxy_options *opts,
                 const struct proxy_ops *ops, void *arg, void **ret_self, struct err *e)
{
	struct iptables *t = xcalloc(1, sizeof(*t));

	t->ops = ops;
	t->arg = arg;
	t->audit_ms = opts->audit_ms;
	int r = start_planes(t, base, opts, e);
	if (r < 0) {
		stop(t, false);
		return r;
	}
	if (opts->service_metrics)
		start_counting(t, base);
	t->foreign = foreign_new(base, t->variant == &variants[0], 0, t->audit_ms, on_applied, t);
	log_info("service proxy programs iptables", KV_S("variant", t->variant->name));
	*ret_self = t;
	return 0;
}

/* ---- what is wanted ---- */

static void set(void *self, const struct proxy_service *s)
{
	struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (s->halves[i])
			plane_set(t->planes[i], s->halves[i]);
		else
			plane_remove(t->planes[i], s->key);
}

static void remove_service(void *self, const char *key)
{
	set(self, &(struct proxy_service){ .key = key });
}

static void complete(void *self)
{
	struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		plane_complete(t->planes[i]);
}

static void set_node(void *self, const struct proxy_node *n)
{
	struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		plane_set_node(t->planes[i], n);
}

/* As on a node with a usual kernel and an iptables that is not of 2017. */
static void render(const struct proxy_options *opts, const struct proxy_node *node, uint8_t family,
                   const struct proxy_half *const *halves, size_t n, struct buf *ret_text)
{
	struct render_options o = render_options_of(opts);

	o.node = *node;
	o.family = family;
	o.drop_invalid = o.random_fully = true;
	show(&o, halves, n, ret_text);
}

struct caught {
	bool nat_alone;
	struct buf *lines;
};

/* The filter rules do not see what a nat rule has rewritten. */
static void put_line(unsigned int bucket, bool after, const char *rule, void *arg)
{
	const struct caught *c = arg;
	char name[CHAIN_NAME_SIZE];

	(void)after;
	bucket_name(bucket, name);
	if (c->nat_alone && chain_table(name) != CHAIN_NAT)
		return;
	buf_printf(c->lines, "%s %s, %s: %s\n", chain_table_name(chain_table(name)),
	           render_index_name(bucket_kind(bucket)), name, rule);
}

/* Whose packets they are makes no difference: these chains are met from everywhere. */
static void caught_by(const struct proxy_options *opts, const struct proxy_node *node,
                      const struct proxy_half *s, size_t port, const struct traffic_destination *d,
                      const struct addr *guarded, struct packet_answer *answer)
{
	struct render_options o = render_options_of(opts);
	struct caught c = { d && answer->fate == TRAFFIC_FORWARD, &answer->caught_by };

	o.node = *node;
	o.family = s->family;
	if (d)
		render_caught(&o, s, port, d, put_line, &c);
	else
		render_guard(guarded, put_line, &c);
}

/* ---- what became of it ---- */

static const struct plane *plane_of(const struct iptables *t, uint8_t family)
{
	return t->planes[variant_index(family)];
}

static bool is_applied(const void *self, const char *key, uint8_t family)
{
	return plane_is_applied(plane_of(self, family), key);
}

static bool is_damaged(const void *self, const char *key, uint8_t family)
{
	return plane_is_damaged(plane_of(self, family), key);
}

static const char *refusal(const void *self, const char *key, uint8_t family)
{
	return plane_refusal(plane_of(self, family), key);
}

static enum proxy_passage passage(const void *self, uint8_t family, const char **ret_where)
{
	const struct iptables *t = self;

	if (plane_forward_is_refused(plane_of(t, family))) {
		*ret_where = "iptables' chain FORWARD";
		return PROXY_REFUSED;
	}
	const struct foreign_finding *found = foreign_finding(t->foreign, family);
	*ret_where = found->where;
	return found->passage;
}

static bool any_hindrance(const void *self)
{
	const struct iptables *t = self;
	const char *where;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (plane_any_damaged(t->planes[i]) || plane_n_refused(t->planes[i]) > 0 ||
		    passage(t, i == 0 ? 4 : 6, &where) == PROXY_REFUSED)
			return true;
	return false;
}

static bool has_family(const void *self, uint8_t family)
{
	return plane_is_there(plane_of(self, family));
}

static void audit(void *self)
{
	struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		plane_audit(t->planes[i]);
}

/* ---- what it reports about itself ---- */

static void add_stats(const void *self, struct proxy_stats *st)
{
	const struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		plane_add_stats(t->planes[i], st);
}

static void status(const void *self, struct out *o)
{
	const struct iptables *t = self;

	out_str(o, "variant", t->variant->name);
	out_list(o, "families");
	for (int i = 0; i < PROXY_HALVES; i++)
		plane_status(t->planes[i], o);
	out_close(o);
}

/* ---- where it writes ---- */

static bool has_ours(const void *what)
{
	return variant_has_ours(what);
}

static int clean(const void *what, struct err *e)
{
	return variant_clean(what, e);
}

static const struct place places[VARIANTS] = {
	{ "iptables-nft", &variants[0], has_ours, clean },
	{ "iptables-legacy", &variants[1], has_ours, clean },
};

static const struct place *place(const void *self, size_t i)
{
	const struct iptables *t = self;

	return i == 0 ? &places[t->variant - variants] : NULL;
}

static size_t dump(const void *self, struct dump_program *programs)
{
	static const uint8_t families[] = { 4, 6 };
	const struct variant *v = ((const struct iptables *)self)->variant;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const char *skip = !variant_kernel_has(families[i])   ? "the kernel has no IPv6"
		                   : !variant_is_used(v, families[i]) ? "it was never used here"
		                                                      : NULL;
		/* -c: how often each rule was hit, which is often the question. */
		programs[i] = (struct dump_program){
			.argv = { v->save[variant_index(families[i])], "-c" }, .skip = skip
		};
	}
	return ARRAY_LEN(families);
}

static void *start_diff(void *self, struct event_base *base,
                        void (*done)(struct buf *text, void *arg), void *arg)
{
	const struct iptables *t = self;

	return diff_start(base, t->planes, done, arg);
}

static void cancel_diff(void *job)
{
	diff_cancel(job);
}

const struct backend iptables_backend = {
	.name = "iptables",
	.start = start,
	.stop = stop,
	.set = set,
	.remove = remove_service,
	.complete = complete,
	.set_node = set_node,
	.render = render,
	.caught_by = caught_by,
	.is_applied = is_applied,
	.is_damaged = is_damaged,
	.refusal = refusal,
	.passage = passage,
	.any_hindrance = any_hindrance,
	.has_family = has_family,
	.audit = audit,
	.add_stats = add_stats,
	.count = count,
	.status = status,
	.dump = dump,
	.diff = start_diff,
	.diff_cancel = cancel_diff,
	.places = places,
	.n_places = VARIANTS,
	.place = place,
};
