/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backends of the modes nftables and ipvs: a table of our own in each family, written by
 * netlink alone; in mode ipvs with virtual servers that it leads to.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <event2/event.h>
#include <linux/netfilter/nf_tables.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "proxy/backend.h"
#include "proxy/dump.h"
#include "proxy/foreign.h"
#include "proxy/ipvs/director.h"
#include "proxy/liberal.h"
#include "proxy/localnet.h"
#include "proxy/nftables/counts.h"
#include "proxy/nftables/diff.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/keeper.h"
#include "proxy/nftables/notices.h"
#include "proxy/nftables/show.h"
#include "proxy/nftables/tables.h"
#include "proxy/tally.h"

/* The first kernel with all that the rules need, and in which it works. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 13

struct nftables;

/* Who reads what a family has counted. */
struct counting {
	struct nftables *of;
	unsigned int i;
	struct counts *counts; /* NULL: nothing is counted */
};

struct nftables {
	const char *mode;
	struct director *director; /* NULL: mode nftables */
	struct keeper *keepers[PROXY_HALVES];
	struct counting counting[PROXY_HALVES];
	struct tally *tally; /* what is read goes there */
	struct notices *notices;
	struct foreign *foreign;
	const struct proxy_ops *ops;
	void *arg;
};

static int index_of(uint8_t family)
{
	return family == 6;
}

static uint8_t family_of(int i)
{
	return i == 0 ? 4 : 6;
}

/* ---- its life ---- */

static void on_applied(void *arg)
{
	struct nftables *t = arg;

	t->ops->applied(t->arg);
}

static void on_failed(const struct err *e, void *arg)
{
	struct nftables *t = arg;

	t->ops->failed(e, t->arg);
}

static void on_changed(uint8_t family, void *arg)
{
	const struct nftables *t = arg;

	keeper_doubt(t->keepers[index_of(family)]);
}

static void on_foreign(void *arg)
{
	const struct nftables *t = arg;

	if (t->foreign)
		foreign_hint(t->foreign);
}

static void on_lost(void *arg)
{
	const struct nftables *t = arg;

	for (int i = 0; i < PROXY_HALVES; i++)
		keeper_doubt(t->keepers[i]);
	on_foreign(arg);
}

/* Of virtual servers: they wait until they are told of all, which keepers do. */
static void on_planned(void *arg)
{
	const struct nftables *t = arg;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (!keeper_is_planned(t->keepers[i]))
			return;
	virtuals_complete(director_virtuals(t->director));
}

static void on_virtuals_applied(void *arg)
{
	const struct nftables *t = arg;

	for (int i = 0; i < PROXY_HALVES; i++)
		keeper_go_on(t->keepers[i]);
	t->ops->applied(t->arg);
}

static int check_kernel(const char *mode, struct err *e)
{
	struct utsname u;
	int major, minor;

	if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return 0; /* then the kernel itself must say what it lacks */
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return 0;
	return err_set(e, -ENOTSUP, ERR_SYSTEM,
	               "mode %s needs Linux %d.%d or later; this is %s: use mode iptables", mode,
	               KERNEL_MAJOR, KERNEL_MINOR, u.release);
}

static void stop(void *self, bool wait)
{
	struct nftables *t = self;

	(void)wait; /* no transaction outlives the call that makes it */
	notices_free(t->notices);
	foreign_free(t->foreign);
	for (int i = 0; i < PROXY_HALVES; i++) {
		counts_free(t->counting[i].counts);
		keeper_free(t->keepers[i]);
	}
	director_stop(t->director);
	free(t);
}

static struct frame frame_of(const struct proxy_options *opts)
{
	struct frame f = {
		.mark = opts->mark,
		.pods_by = opts->pods_by,
		.localhost_node_ports = opts->localhost_node_ports,
		.localhost_guard = opts->localhost_node_ports || localnet_is_ours(),
		.clamp_mss = opts->clamp_mss,
		.counts = opts->service_metrics,
		.ipvs = opts->mode == PROXY_IPVS,
	};

	memcpy(f.pod_interface, opts->pod_interface, sizeof(f.pod_interface));
	return f;
}

static int start_keepers(struct nftables *t, struct event_base *base,
                         const struct proxy_options *opts, struct err *e)
{
	static const struct keeper_ops ops = { .applied = on_applied,
		                               .planned = on_planned,
		                               .failed = on_failed };
	struct frame f = frame_of(opts);
	int r = 0;

	f.drop_invalid = !liberal_is_on();
	for (int i = 0; i < PROXY_HALVES && r == 0; i++) {
		f.family = family_of(i);
		r = keeper_new(base, &f, opts->masquerade_all, director_virtuals(t->director), &ops,
		               t, &t->keepers[i], e);
	}
	if (r == 0 && !keeper_is_there(t->keepers[0]))
		r = err_set(e, -ENOTSUP, ERR_SYSTEM, "the kernel's nftables cannot be used: %s",
		            keeper_last_error(t->keepers[0]));
	if (r == 0 && !keeper_is_there(t->keepers[1]))
		log_warn("no nftables for IPv6 here; Services get IPv4 rules only, and no IPv6 "
		         "address is announced until there is",
		         KV_S("error", keeper_last_error(t->keepers[1])));
	return r;
}

static int start_director(struct nftables *t, struct event_base *base,
                          const struct proxy_options *opts, struct err *e)
{
	static const struct virtuals_ops ops = { .applied = on_virtuals_applied,
		                                 .failed = on_failed };

	if (opts->mode != PROXY_IPVS)
		return 0;
	return director_start(base, opts->mark, &ops, t, &t->director, e);
}

/* ---- what was counted ---- */

static void on_counted(const struct frame_counted *c, void *arg)
{
	const struct counting *at = arg;
	const struct keeper *k = at->of->keepers[at->i];
	const char *service = keeper_service_at(k, c->map, c->key);
	enum tally_what what = frame_count_has_direction(c->count)
	                               ? (c->is_answer ? TALLY_FROM : TALLY_TO)
	                               : TALLY_CONNECTIONS;
	unsigned char id[1 + FRAME_KEY_MAX] = { (unsigned char)c->count };

	_Static_assert(sizeof(id) <= TALLY_ID_MAX, "ids have room");
	memcpy(id + 1, c->id, c->id_size);
	if (service || keeper_knows_ways(k))
		tally_count(at->of->tally, at->i, id, sizeof(id), service, what, c->packets,
		            c->bytes);
}

static bool has_service(const char *service, void *arg)
{
	const struct nftables *t = arg;

	return keeper_has(t->keepers[0], service) || keeper_has(t->keepers[1], service);
}

static void on_all_counted(bool whole, bool full, void *arg)
{
	const struct counting *at = arg;

	if (whole)
		tally_end(at->of->tally, at->i, full, has_service, at->of);
}

static int start_counting(struct nftables *t, struct event_base *base, struct err *e)
{
	static const struct counts_ops ops = { .counted = on_counted, .done = on_all_counted };
	int r = 0;

	for (int i = 0; i < PROXY_HALVES && r == 0; i++) {
		t->counting[i] = (struct counting){ .of = t, .i = (unsigned int)i };
		r = counts_new(base, family_of(i), &ops, &t->counting[i], &t->counting[i].counts,
		               e);
	}
	return r;
}

static void count(void *self, struct tally *tally)
{
	struct nftables *t = self;

	t->tally = tally;
	for (unsigned int i = 0; i < PROXY_HALVES; i++) {
		struct counts *c = t->counting[i].counts;
		if (!c || !counts_may_read(c) || !keeper_is_there(t->keepers[i]))
			continue;
		tally_begin(tally, i);
		counts_read(c);
	}
}

static int start(struct event_base *base, const struct proxy_options *opts,
                 const struct proxy_ops *ops, void *arg, void **ret_self, struct err *e)
{
	static const struct notices_ops notices_ops = { .changed = on_changed,
		                                        .foreign = on_foreign,
		                                        .lost = on_lost };
	struct nftables *t = xcalloc(1, sizeof(*t));
	uint32_t ports[NOTICES_OWN];

	t->ops = ops;
	t->arg = arg;
	t->mode = backend_of(opts->mode)->name;
	int r = check_kernel(t->mode, e);
	if (r == 0)
		r = start_director(t, base, opts, e);
	if (r == 0)
		r = start_keepers(t, base, opts, e);
	if (r == 0 && opts->service_metrics)
		r = start_counting(t, base, e);
	if (r < 0) {
		stop(t, false);
		return r;
	}
	for (int i = 0; i < NOTICES_OWN; i++)
		ports[i] = keeper_port(t->keepers[i]);
	t->notices = notices_new(base, ports, &notices_ops, t);
	t->foreign = foreign_new(base, false, t->director ? opts->mark : 0, opts->audit_ms,
	                         on_applied, t);
	log_info(t->director ? "service proxy programs nftables and IPVS"
	                     : "service proxy programs nftables",
	         KV_S("table", FRAME_TABLE));
	*ret_self = t;
	return 0;
}

/* ---- what is wanted ---- */

static void set(void *self, const struct proxy_service *s)
{
	struct nftables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (s->halves[i])
			keeper_set(t->keepers[i], s->halves[i]);
		else
			keeper_remove(t->keepers[i], s->key);
}

static void remove_service(void *self, const char *key)
{
	set(self, &(struct proxy_service){ .key = key });
}

static void complete(void *self)
{
	struct nftables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		keeper_complete(t->keepers[i]);
}

static void set_node(void *self, const struct proxy_node *n)
{
	struct nftables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		keeper_set_node(t->keepers[i], n);
}

/* ---- what it would be ---- */

static void render(const struct proxy_options *opts, const struct proxy_node *node, uint8_t family,
                   const struct proxy_half *const *halves, size_t n, struct buf *ret_text)
{
	struct frame f = frame_of(opts);

	f.family = family;
	f.node = *node;
	show_elements(&f, opts->masquerade_all, halves, n, ret_text);
}

/* The same elements forward a packet and refuse it. */
static void caught_by(const struct proxy_options *opts, const struct proxy_node *node,
                      const struct proxy_half *s, size_t port, const struct traffic_destination *d,
                      const struct addr *guarded, struct packet_answer *answer)
{
	struct frame f = frame_of(opts);

	(void)port;
	f.family = s->family;
	f.node = *node;
	if (d)
		show_caught(&f, opts->masquerade_all, s, d, answer);
	else
		show_guarded(&f, guarded, &answer->caught_by);
}

/* ---- what became of it ---- */

static const struct keeper *keeper_of(const void *self, uint8_t family)
{
	const struct nftables *t = self;

	return t->keepers[index_of(family)];
}

static bool is_applied(const void *self, const char *key, uint8_t family)
{
	return keeper_is_applied(keeper_of(self, family), key);
}

static bool is_damaged(const void *self, const char *key, uint8_t family)
{
	const struct nftables *t = self;

	(void)key;
	return keeper_is_damaged(keeper_of(t, family)) ||
	       (t->director && director_is_damaged(t->director, family));
}

static const char *refusal(const void *self, const char *key, uint8_t family)
{
	return keeper_refusal(keeper_of(self, family), key);
}

static bool any_substitute(const void *self)
{
	const struct nftables *t = self;

	return t->director && virtuals_lack_schedulers(director_virtuals(t->director));
}

static const char *substitute(const void *self, const char *key, uint8_t family)
{
	return keeper_substitute(keeper_of(self, family), key);
}

static enum proxy_passage passage(const void *self, uint8_t family, const char **ret_where)
{
	const struct nftables *t = self;
	const struct foreign_finding *found = foreign_finding(t->foreign, family);

	*ret_where = found->where;
	return found->passage;
}

static bool any_hindrance(const void *self)
{
	const struct nftables *t = self;
	const char *where;

	for (int i = 0; i < PROXY_HALVES; i++)
		if (is_damaged(t, NULL, family_of(i)) || keeper_n_refused(t->keepers[i]) > 0 ||
		    (t->director &&
		     virtuals_n_refused(director_virtuals(t->director), family_of(i)) > 0) ||
		    passage(t, family_of(i), &where) == PROXY_REFUSED)
			return true;
	return false;
}

static bool has_family(const void *self, uint8_t family)
{
	const struct nftables *t = self;

	return keeper_is_there(keeper_of(t, family)) &&
	       (!t->director || virtuals_has_family(director_virtuals(t->director), family));
}

static void audit(void *self)
{
	struct nftables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++) {
		if (!t->notices)
			keeper_doubt(t->keepers[i]);
		keeper_audit(t->keepers[i]);
	}
	if (t->director)
		director_audit(t->director);
}

/* ---- what it reports about itself ---- */

static void add_stats(const void *self, struct proxy_stats *st)
{
	const struct nftables *t = self;

	for (int i = 0; i < PROXY_HALVES; i++)
		keeper_add_stats(t->keepers[i], st);
	if (t->director)
		director_add_stats(t->director, st);
}

static void status(const void *self, struct out *o)
{
	const struct nftables *t = self;

	out_list(o, "families");
	for (int i = 0; i < PROXY_HALVES; i++)
		keeper_status(t->keepers[i], o);
	out_close(o);
	if (!t->director)
		return;
	out_object(o, "ipvs");
	virtuals_status(director_virtuals(t->director), o);
	out_close(o);
}

static size_t dump(const void *self, struct dump_program *programs)
{
	const struct nftables *t = self;

	programs[0] = (struct dump_program){ .argv = { "nft", "list", "ruleset" } };
	/* Of this network namespace, whoever made them. */
	programs[1] = (struct dump_program){ .file = "/proc/net/ip_vs" };
	return t->director ? 2 : 1;
}

static void *start_diff(void *self, struct event_base *base,
                        void (*done)(struct buf *text, void *arg), void *arg)
{
	struct nftables *t = self;

	return nft_diff_start(base, t->mode, t->keepers, t->director, done, arg);
}

static void cancel_diff(void *job)
{
	nft_diff_cancel(job);
}

/* ---- where it writes ---- */

static const struct place tables[] = { { "nftables", NULL, tables_has_ours, tables_clean } };
static const struct place director[] = { { "ipvs", NULL, director_has_ours, director_clean } };

static const struct place *place(const void *self, size_t i)
{
	const struct nftables *t = self;

	if (i == 0)
		return tables;
	return i == 1 && t->director ? director : NULL;
}

/* clang-format off */
#define OF_TABLES                             \
	.start = start,                       \
	.stop = stop,                         \
	.set = set,                           \
	.remove = remove_service,             \
	.complete = complete,                 \
	.set_node = set_node,                 \
	.render = render,                     \
	.caught_by = caught_by,               \
	.is_applied = is_applied,             \
	.is_damaged = is_damaged,             \
	.refusal = refusal,                   \
	.any_substitute = any_substitute,     \
	.substitute = substitute,             \
	.passage = passage,                   \
	.any_hindrance = any_hindrance,       \
	.has_family = has_family,             \
	.audit = audit,                       \
	.add_stats = add_stats,               \
	.count = count,                       \
	.counts_packets = true,               \
	.status = status,                     \
	.dump = dump,                         \
	.diff = start_diff,                   \
	.diff_cancel = cancel_diff,           \
	.place = place
/* clang-format on */

const struct backend nftables_backend = {
	.name = "nftables",
	OF_TABLES,
	.places = tables,
	.n_places = ARRAY_LEN(tables),
};

const struct backend ipvs_backend = {
	.name = "ipvs",
	OF_TABLES,
	.places = director,
	.n_places = ARRAY_LEN(director),
};
