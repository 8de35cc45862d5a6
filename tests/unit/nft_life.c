/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "nft_life.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "nft_state.h"
#include "proxy/conntrack.h"
#include "proxy/nftables/store.h"
#include "virtual_loop.h"

/* ---- flows of UDP ---- */

struct conntrack_run {
	conntrack_done_fn *done;
	void *arg;
};

struct life life;

static struct conntrack_run *run;

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e);
void __wrap_conntrack_run_step(struct conntrack_run *r);
void __wrap_conntrack_run_free(struct conntrack_run *r);

/* Whoever is wanted may answer, wherever is looked. */
static void check_flows_of(struct conntrack_job *j, const struct proxy_half *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		for (size_t k = 0; k < s->ports[i].n_cluster; k++) {
			const struct proxy_endpoint *e = &s->ports[i].cluster[k];
			if (s->ports[i].proto == IPPROTO_UDP && !addr_is_none(&s->cluster_ip))
				assert_false(conntrack_is_stale(j, &s->cluster_ip, s->ports[i].port,
				                                &e->addr, e->port));
		}
}

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e)
{
	(void)base, (void)e;
	for (size_t i = 0; i < WISHES; i++)
		if (life.wanted[i])
			check_flows_of(j, &life.wanted[i]->s);
	run = xcalloc(1, sizeof(*run));
	*run = (struct conntrack_run){ done, arg };
	*ret_run = run;
	return 0;
}

void __wrap_conntrack_run_step(struct conntrack_run *r)
{
	(void)r;
}

void __wrap_conntrack_run_free(struct conntrack_run *r)
{
	if (r == run)
		run = NULL;
	free(r);
}

static void end_runs(void)
{
	struct err e = ERR_INIT;

	while (run) {
		struct conntrack_run *ended = TAKE(run);
		ended->done(0, &e, 0, ended->arg);
		free(ended);
	}
}

/* ---- passes over all elements, in pieces so small that there are many ---- */

#define PIECE 7

bool __real_store_forget(struct store *s, size_t max);
bool __wrap_store_forget(struct store *s, size_t max);
bool __real_store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                          size_t *ret_n_damaged);
bool __wrap_store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                          size_t *ret_n_damaged);

/* Something may happen between two. */
static bool after_piece(bool all)
{
	if (!all && kernel.slow && virtual_random(20) == 0)
		virtual_loop_spend(1 + (int64_t)virtual_random(8));
	return all;
}

bool __wrap_store_forget(struct store *s, size_t max)
{
	(void)max;
	return after_piece(__real_store_forget(s, PIECE));
}

bool __wrap_store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                          size_t *ret_n_damaged)
{
	(void)max;
	return after_piece(__real_store_compare(s, PIECE, stray, arg, ret_n_damaged));
}

/* ---- some are taken for large ones, which are planned in pieces ---- */

bool life_sizes_vary;
bool life_all_large;

bool __real_keeper_is_small(const struct keeper_service *s);
bool __wrap_keeper_is_small(const struct keeper_service *s);
bool __real_keeper_plan_some(struct keeper *k, size_t *n);
bool __wrap_keeper_plan_some(struct keeper *k, size_t *n);

bool __wrap_keeper_is_small(const struct keeper_service *s)
{
	const struct wish *restless = life.restless;

	return __real_keeper_is_small(s) && !life_all_large &&
	       !(restless && !strcmp(s->key, restless->key)) &&
	       (!life_sizes_vary || virtual_random(3) > 0);
}

bool __wrap_keeper_plan_some(struct keeper *k, size_t *n)
{
	bool more = __real_keeper_plan_some(k, n);

	if (more && (life_all_large || life.restless || (life_sizes_vary && virtual_random(2))))
		virtual_loop_spend(KEEPER_SLICE_MS);
	return more;
}

/* ---- one life ---- */

/* The next endpoint takes the place of the first one. */
static void change(struct wish *restless)
{
	struct proxy_endpoint *first = &restless->endpoints[0][0];

	*first = wish_endpoint(life.family, WISH_ENDPOINTS + restless->s.created_us++ % 7);
	keeper_set(life.k, &restless->s);
}

static void applied(void *arg)
{
	(void)arg;
	life.was_damaged = life.was_damaged || keeper_is_damaged(life.k);
	if (life.restless)
		change(life.restless);
	if (life.alone && keeper_is_applied(life.k, life.alone))
		assert_int_equal(nft_kernel_set("ways")->n, 1);
}

static void failed(const struct err *e, void *arg)
{
	(void)arg;
	assert_true(*e->msg);
	life.n_failed++;
	if (life.alone)
		kernel.poisoned = NULL;
}

static const struct keeper_ops ops = { .applied = applied, .failed = failed };

static void committed(void)
{
	assert_int_equal(nft_kernel_others(), life.others);
	if (!life.broken && nft_kernel_table(FRAME_TABLE))
		nft_state_check();
}

static bool knows_pods(void)
{
	return traffic_knows_pods(PROXY_PODS_BY_SOURCE, &life.node, life.family);
}

static struct proxy_node node_of(bool with_pods)
{
	struct proxy_node n = { .n_node_port_cidrs = 2 };

	assert_int_equal(prefix_parse("0.0.0.0/0", false, &n.node_port_cidrs[0]), 0);
	assert_int_equal(prefix_parse("::/0", false, &n.node_port_cidrs[1]), 0);
	if (!with_pods)
		return n;
	n.n_pod_cidrs = 2;
	assert_int_equal(prefix_parse("10.244.0.0/16", false, &n.pod_cidrs[0]), 0);
	assert_int_equal(prefix_parse("fd00:244::/48", false, &n.pod_cidrs[1]), 0);
	return n;
}

/* Things come in whatever order, while the kernel is read or before. */
void life_pass(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
	end_runs();
}

void life_begin(bool at_once)
{
	const struct frame frame = { .family = life.family,
		                     .mark = PROXY_MARK_DEFAULT,
		                     .pods_by = PROXY_PODS_BY_SOURCE,
		                     .counts = life.family == 6,
		                     .node = { .n_pod_cidrs = 0 } };
	size_t first = virtual_random(WISHES);

	life.base = event_base_new();
	assert_int_equal(keeper_new(life.base, &frame, life.masquerade_all, NULL, &ops, NULL,
	                            &life.k, NULL),
	                 0);
	if (!at_once)
		life_pass((int64_t)virtual_random(3));
	keeper_set_node(life.k, &life.node);
	for (size_t i = 0; i < WISHES; i++) {
		size_t which = (i + first) % WISHES;
		if (life.wanted[which])
			keeper_set(life.k, &life.wanted[which]->s);
		if (!at_once && virtual_random(4) == 0)
			life_pass((int64_t)virtual_random(3));
	}
	keeper_complete(life.k);
	life.doubt = false;
}

static void life_end(void)
{
	keeper_free(TAKE(life.k));
	event_base_free(TAKE(life.base));
}

/* Killed, and started anew. */
void life_restart(bool at_once)
{
	life_end();
	kernel.dead = false;
	kernel.life = 0;
	life_begin(at_once);
}

void life_setup(uint64_t seed, uint8_t family)
{
	virtual_loop_init(seed);
	nft_kernel_init();
	memset(&life, 0, sizeof(life));
	life.family = family;
	life.node = node_of(true);
	life.others = nft_kernel_others();
	kernel.committed = committed;
}

void life_teardown(void)
{
	life_end();
	for (size_t i = 0; i < WISHES; i++)
		spec_unref(life.wanted[i]);
	nft_kernel_fini();
}

void life_set(size_t i, const struct wish *wish)
{
	spec_unref(life.wanted[i]);
	life.wanted[i] = spec_new(&wish->s);
	keeper_set(life.k, &wish->s);
}

void life_remove(size_t i)
{
	char key[WISH_KEY_SIZE];

	spec_unref(TAKE(life.wanted[i]));
	wish_key(i, key);
	keeper_remove(life.k, key);
}

void life_set_node(bool with_pods)
{
	life.node = node_of(with_pods);
	keeper_set_node(life.k, &life.node);
}

void life_others_changed(void)
{
	life.doubt = life.broken = true;
}

void life_tell_doubt(void)
{
	if (life.doubt)
		keeper_doubt(life.k);
	life.doubt = false;
}

void life_heal(void)
{
	kernel.n_errors = kernel.n_interrupted = kernel.life = 0;
	kernel.errors_take_effect = false;
	kernel.poisoned = NULL;
	if (kernel.dead)
		life_restart(false);
	life_tell_doubt();
}

static char *wanted(void)
{
	const struct traffic_node node = { .knows_pods = knows_pods(),
		                           .masquerade_all = life.masquerade_all };

	return nft_state_wanted(life.family, &node, life.wanted, WISHES);
}

/* The first line in which they differ says it all. */
static void check_same_lines(const char *have, const char *want)
{
	while (*have && *have == *want)
		have++, want++;
	if (!*have && !*want)
		return;
	fail_msg("the kernel has %.*s instead of %.*s", (int)strcspn(have, "\n"), have,
	         (int)strcspn(want, "\n"), want);
}

void life_check_is_as_wanted(void)
{
	cleanup_free char *want = wanted(), *have = nft_state_of_kernel();
	struct proxy_stats st = { .in_sync = true, .settled = true };
	char key[WISH_KEY_SIZE];

	check_same_lines(have, want);
	nft_state_check();
	keeper_add_stats(life.k, &st);
	assert_true(st.in_sync);
	assert_true(st.settled);
	assert_false(keeper_is_damaged(life.k));
	assert_int_equal(keeper_n_refused(life.k), 0);
	assert_string_equal(keeper_last_error(life.k), "");
	for (size_t i = 0; i < WISHES; i++) {
		wish_key(i, key);
		assert_true(keeper_is_applied(life.k, key));
		assert_null(keeper_refusal(life.k, key));
	}
}

/* A kind for each set that there is, and no other. */
static void check_kinds(void)
{
	const struct kernel_set *sets = nft_kernel_set(frame_map_name(FRAME_SETS));
	const struct kernel_table *t = nft_kernel_table(FRAME_TABLE);
	enum frame_side side;
	frame_kind kind, of;

	for (size_t i = 0; i < t->n_chains; i++) {
		bool used = !frame_kind_parse(t->chains[i].name, &side, &kind);
		for (size_t j = 0; j < sets->n && !used; j++) {
			memcpy(&of, sets->elements[j].value, sizeof(of));
			used = of == kind;
		}
		assert_true(used);
	}
}

void life_settle(void)
{
	life_heal();
	life_pass(LIFE_LONG_MS);
	keeper_audit(life.k);
	life_pass(LIFE_LONG_MS);
	life_check_is_as_wanted();
	check_kinds();
	life.broken = false;
	size_t n = kernel.n_commits;
	keeper_audit(life.k);
	life_pass(LIFE_LONG_MS);
	assert_int_equal(kernel.n_commits, n);
}

/*
 * Cluster IPs are nobody else's: where a Service is said to be applied, its own lead to where they
 * should.
 */
void life_check_what_is_applied(void)
{
	const struct traffic_node node = { .knows_pods = knows_pods(),
		                           .masquerade_all = life.masquerade_all };
	char key[WISH_KEY_SIZE];

	if (life.broken || !nft_kernel_table(FRAME_TABLE) || kernel.dead)
		return;
	for (size_t i = 0; i < WISHES; i++) {
		wish_key(i, key);
		if (!keeper_is_applied(life.k, key) || keeper_is_damaged(life.k))
			continue;
		const struct spec *s = life.wanted[i];
		cleanup_free char *want = nft_state_wanted(life.family, &node, &life.wanted[i], 1);
		for (size_t p = 0; p < WISH_PORTS; p++) {
			const struct proxy_port *port =
				s && p < s->s.n_ports ? &s->s.ports[p] : NULL;
			const struct addr a = wish_cluster_ip(life.family, i);
			cleanup_free char *line =
				port ? nft_state_of_address(&a, port->proto, port->port)
				     : xstrdup("");
			assert_true(!*line || strstr(want, line));
			assert_true(*line || !port || addr_is_none(&s->s.cluster_ip));
		}
	}
}
