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
#include "proxy/iptables/plane.h"
#include "proxy/iptables/variant.h"

struct iptables {
	const struct variant *variant;
	struct plane *planes[PROXY_HALVES];
	struct foreign *foreign;
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

/*
 * With this sysctl on, the kernel itself lets odd packets of known flows pass translated; dropping
 * them would undo that.
 */
static bool tcp_is_liberal(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == '1';
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

static int start_planes(struct iptables *t, struct event_base *base,
                        const struct proxy_options *opts, struct err *e)
{
	struct render_options o = {
		.mark = opts->mark,
		.cluster_cidrs = opts->cluster_cidrs,
		.n_cluster_cidrs = opts->n_cluster_cidrs,
		.node_port_cidrs = opts->node_port_cidrs,
		.n_node_port_cidrs = opts->n_node_port_cidrs,
		.masquerade_all = opts->masquerade_all,
		.drop_invalid = !tcp_is_liberal(),
		.clamp_mss = opts->clamp_mss,
	};
	int r = variant_choose(opts->variant ? opts->variant : "auto", &t->variant, e);

	if (r < 0)
		return r;
	o.random_fully = variant_random_fully(t->variant);
	for (int i = 0; i < PROXY_HALVES && r == 0; i++) {
		o.family = i == 0 ? 4 : 6;
		r = start_plane(t, base, &o, e);
	}
	return r;
}

static void stop(void *self, bool wait)
{
	struct iptables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (wait)
			plane_end(t->planes[i]);
		else
			plane_free(t->planes[i]);
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
	t->foreign = foreign_new(base, t->variant == &variants[0], t->audit_ms, on_applied, t);
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

static const struct place *place(const void *self)
{
	const struct iptables *t = self;

	return &places[t->variant - variants];
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
		programs[i] = (struct dump_program){ { v->save[variant_index(families[i])], "-c" },
			                             skip };
	}
	return ARRAY_LEN(families);
}

const struct backend iptables_backend = {
	.name = "iptables",
	.start = start,
	.stop = stop,
	.set = set,
	.remove = remove_service,
	.complete = complete,
	.is_applied = is_applied,
	.is_damaged = is_damaged,
	.refusal = refusal,
	.passage = passage,
	.any_hindrance = any_hindrance,
	.has_family = has_family,
	.audit = audit,
	.add_stats = add_stats,
	.status = status,
	.dump = dump,
	.places = places,
	.n_places = VARIANTS,
	.place = place,
};
