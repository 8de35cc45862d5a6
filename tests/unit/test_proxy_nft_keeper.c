/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of one family's table with a kernel that is made up (nft_kernel.h), in virtual time.
 * After every transaction, whatever came before it, all that is in the kernel leads to what is
 * there; and in the end the kernel has what is wanted, and nothing more is written.
 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "nft_kernel.h"
#include "nft_state.h"
#include "nft_wishes.h"
#include "proxy/conntrack.h"
#include "proxy/nftables/keeper_private.h"
#include "proxy/nftables/store.h"
#include "virtual_loop.h"

/* More than all pauses together that follow one failure after another. */
#define LONG_MS 300000

/* ---- flows of UDP, of no interest here ---- */

struct conntrack_run {
	conntrack_done_fn *done;
	void *arg;
};

static struct conntrack_run *run;

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e);
void __wrap_conntrack_run_step(struct conntrack_run *r);
void __wrap_conntrack_run_free(struct conntrack_run *r);

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e)
{
	(void)base, (void)j, (void)e;
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

static bool sizes_vary, all_large;

bool __real_keeper_is_small(const struct keeper_service *s);
bool __wrap_keeper_is_small(const struct keeper_service *s);
bool __real_keeper_plan_some(struct keeper *k, size_t *n);
bool __wrap_keeper_plan_some(struct keeper *k, size_t *n);

bool __wrap_keeper_is_small(const struct keeper_service *s)
{
	return __real_keeper_is_small(s) && !all_large && (!sizes_vary || virtual_random(3) > 0);
}

bool __wrap_keeper_plan_some(struct keeper *k, size_t *n)
{
	bool more = __real_keeper_plan_some(k, n);

	if (more && (all_large || (sizes_vary && virtual_random(2))))
		virtual_loop_spend(KEEPER_SLICE_MS);
	return more;
}

/* ---- one life ---- */

static struct {
	struct event_base *base;
	struct keeper *k;
	uint8_t family;
	bool masquerade_all;
	struct proxy_node node;
	struct spec *wanted[WISHES];
	bool doubt;  /* the keeper has yet to be told */
	bool broken; /* others, or the kernel, saw to it that not all holds */
	bool was_damaged;
	bool meddlers, meddled; /* others may have given a set another number */
	size_t n_failed;
	uint64_t others;
	const char *alone; /* the only Service, of which one element is refused once, alone */
} w;

static void applied(void *arg)
{
	(void)arg;
	w.was_damaged = w.was_damaged || keeper_is_damaged(w.k);
	if (w.alone && keeper_is_applied(w.k, w.alone))
		assert_int_equal(nft_kernel_set("ways")->n, 1);
}

static void failed(const struct err *e, void *arg)
{
	(void)arg;
	assert_true(*e->msg);
	w.n_failed++;
	if (w.alone)
		kernel.poisoned = NULL;
}

static const struct keeper_ops ops = { .applied = applied, .failed = failed };

static void committed(void)
{
	assert_int_equal(nft_kernel_others(), w.others);
	if (!w.broken && nft_kernel_table(FRAME_TABLE))
		nft_state_check();
}

static bool knows_pods(void)
{
	return traffic_knows_pods(PROXY_PODS_BY_SOURCE, &w.node, w.family);
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
static void pass(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
	end_runs();
}

static void begin(bool at_once)
{
	const struct frame frame = { .family = w.family,
		                     .mark = PROXY_MARK_DEFAULT,
		                     .pods_by = PROXY_PODS_BY_SOURCE,
		                     .counts = w.family == 6,
		                     .node = { .n_pod_cidrs = 0 } };
	size_t first = virtual_random(WISHES);

	w.base = event_base_new();
	assert_int_equal(keeper_new(w.base, &frame, w.masquerade_all, NULL, &ops, NULL, &w.k, NULL),
	                 0);
	if (!at_once)
		pass((int64_t)virtual_random(3));
	keeper_set_node(w.k, &w.node);
	for (size_t i = 0; i < WISHES; i++) {
		size_t which = (i + first) % WISHES;
		if (w.wanted[which])
			keeper_set(w.k, &w.wanted[which]->s);
		if (!at_once && virtual_random(4) == 0)
			pass((int64_t)virtual_random(3));
	}
	keeper_complete(w.k);
	w.doubt = false;
}

static void end(void)
{
	keeper_free(TAKE(w.k));
	event_base_free(TAKE(w.base));
}

/* Killed, and started anew. */
static void restart(bool at_once)
{
	end();
	kernel.dead = false;
	kernel.life = 0;
	begin(at_once);
}

static void setup(uint64_t seed, uint8_t family)
{
	virtual_loop_init(seed);
	nft_kernel_init();
	memset(&w, 0, sizeof(w));
	w.family = family;
	w.node = node_of(true);
	w.others = nft_kernel_others();
	kernel.committed = committed;
}

static void teardown(void)
{
	end();
	for (size_t i = 0; i < WISHES; i++)
		spec_unref(w.wanted[i]);
	nft_kernel_fini();
}

static void set(size_t i, const struct wish *wish)
{
	spec_unref(w.wanted[i]);
	w.wanted[i] = spec_new(&wish->s);
	keeper_set(w.k, &wish->s);
}

static void remove_one(size_t i)
{
	char key[WISH_KEY_SIZE];

	spec_unref(TAKE(w.wanted[i]));
	wish_key(i, key);
	keeper_remove(w.k, key);
}

static void set_node(bool with_pods)
{
	w.node = node_of(with_pods);
	keeper_set_node(w.k, &w.node);
}

static void others_changed(void)
{
	w.doubt = w.broken = true;
}

static void tell_doubt(void)
{
	if (w.doubt)
		keeper_doubt(w.k);
	w.doubt = false;
}

static void heal(void)
{
	kernel.n_errors = kernel.n_interrupted = kernel.life = 0;
	kernel.errors_take_effect = false;
	kernel.poisoned = NULL;
	if (kernel.dead)
		restart(false);
	tell_doubt();
}

static char *wanted(void)
{
	const struct traffic_node node = { .knows_pods = knows_pods(),
		                           .masquerade_all = w.masquerade_all };

	return nft_state_wanted(w.family, &node, w.wanted, WISHES);
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

static void check_is_as_wanted(void)
{
	cleanup_free char *want = wanted(), *have = nft_state_of_kernel();
	struct proxy_stats st = { .in_sync = true, .settled = true };
	char key[WISH_KEY_SIZE];

	check_same_lines(have, want);
	nft_state_check();
	keeper_add_stats(w.k, &st);
	assert_true(st.in_sync);
	assert_true(st.settled);
	assert_false(keeper_is_damaged(w.k));
	assert_int_equal(keeper_n_refused(w.k), 0);
	assert_string_equal(keeper_last_error(w.k), "");
	for (size_t i = 0; i < WISHES; i++) {
		wish_key(i, key);
		assert_true(keeper_is_applied(w.k, key));
		assert_null(keeper_refusal(w.k, key));
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

static void settle(void)
{
	heal();
	pass(LONG_MS);
	keeper_audit(w.k);
	pass(LONG_MS);
	check_is_as_wanted();
	check_kinds();
	w.broken = false;
	size_t n = kernel.n_commits;
	keeper_audit(w.k);
	pass(LONG_MS);
	assert_int_equal(kernel.n_commits, n);
}

/*
 * Cluster IPs are nobody else's: where a Service is said to be applied, its own lead to where they
 * should.
 */
static void check_what_is_applied(void)
{
	const struct traffic_node node = { .knows_pods = knows_pods(),
		                           .masquerade_all = w.masquerade_all };
	char key[WISH_KEY_SIZE];

	if (w.broken || !nft_kernel_table(FRAME_TABLE) || kernel.dead)
		return;
	for (size_t i = 0; i < WISHES; i++) {
		wish_key(i, key);
		if (!keeper_is_applied(w.k, key) || keeper_is_damaged(w.k))
			continue;
		const struct spec *s = w.wanted[i];
		cleanup_free char *want = nft_state_wanted(w.family, &node, &w.wanted[i], 1);
		for (size_t p = 0; p < WISH_PORTS; p++) {
			const struct proxy_port *port =
				s && p < s->s.n_ports ? &s->s.ports[p] : NULL;
			const struct addr a = wish_cluster_ip(w.family, i);
			cleanup_free char *line =
				port ? nft_state_of_address(&a, port->proto, port->port)
				     : xstrdup("");
			assert_true(!*line || strstr(want, line));
			assert_true(*line || !port || addr_is_none(&s->s.cluster_ip));
		}
	}
}

/* ---- what is promised ---- */

static void a_restart_writes_nothing(void **state)
{
	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2) {
		setup(family, family);
		begin(true);
		for (size_t i = 0; i < WISHES; i++) {
			struct wish wish;
			wish_random(&wish, i, family);
			set(i, &wish);
		}
		settle();
		size_t n = kernel.n_commits;
		for (int i = 0; i < 10; i++) {
			restart(i % 2 == 0);
			settle();
		}
		assert_int_equal(kernel.n_commits, n);
		teardown();
	}
}

/* Ten endpoints, one of which is replaced: so many elements. */
static void replace_one(bool affinity, size_t n_deleted, size_t n_added)
{
	struct wish wish;

	setup(1, 4);
	begin(true);
	wish_plain(&wish, 0, 4, 10);
	wish.s.traffic.affinity_s = affinity ? 60 : 0;
	set(0, &wish);
	settle();
	kernel.n_added = kernel.n_deleted = 0;
	wish.endpoints[0][3] = wish_endpoint(4, 47);
	set(0, &wish);
	settle();
	assert_int_equal(kernel.n_deleted, n_deleted);
	assert_int_equal(kernel.n_added, n_added);
	teardown();
}

static void one_endpoint_is_a_few_elements(void **state)
{
	(void)state;
	/* The endpoint, and its hairpin. */
	replace_one(false, 2, 2);
	/* Its ticket, and what that leads to, as well. */
	replace_one(true, 3, 3);
}

static void what_others_change_is_mended(void **state)
{
	(void)state;
	struct wish wish;
	setup(2, 4);
	begin(true);
	wish_plain(&wish, 0, 4, 5);
	set(0, &wish);
	settle();
	w.broken = true;
	nft_kernel_delete(nft_kernel_set("endpoints"), 2);
	assert_false(keeper_is_damaged(w.k));
	keeper_doubt(w.k);
	assert_false(w.was_damaged);
	settle();
	assert_true(w.was_damaged);
	teardown();
}

/* While reading again waits, as it was read just now. */
static void a_frame_that_goes_soon_after_a_reading_is_missed_at_once(void **state)
{
	(void)state;
	struct wish wish;
	for (int rules = 0; rules < 2; rules++) {
		setup(2, 4);
		begin(true);
		wish_plain(&wish, 0, 4, 5);
		set(0, &wish);
		settle();
		w.broken = true;
		nft_kernel_delete(nft_kernel_set("endpoints"), 2);
		keeper_doubt(w.k);
		pass(1);
		check_is_as_wanted();
		assert_false(keeper_is_damaged(w.k));
		w.was_damaged = false;
		if (rules)
			nft_kernel_delete_rule(&nft_kernel_table(FRAME_TABLE)->chains[0], 0);
		else
			nft_kernel_delete_table(FRAME_TABLE);
		keeper_doubt(w.k);
		pass(1);
		assert_true(w.was_damaged);
		/* Of a table that is there all has to be read. */
		assert_int_equal(keeper_is_damaged(w.k), rules);
		if (!rules)
			check_is_as_wanted();
		settle();
		assert_false(keeper_is_damaged(w.k));
		teardown();
	}
}

/* What is no damage of others'. */
static void an_interrupted_reading_changes_no_answer(void **state)
{
	(void)state;
	struct wish wish;
	setup(3, 4);
	begin(true);
	wish_plain(&wish, 0, 4, 5);
	set(0, &wish);
	settle();
	kernel.n_interrupted = 8;
	keeper_doubt(w.k);
	for (int i = 0; i < 5000; i++) {
		pass(10);
		assert_true(keeper_is_applied(w.k, wish.s.key));
		assert_false(keeper_is_damaged(w.k));
		if (i % 40 == 20) {
			w.node.n_node_port_cidrs = i % 80 == 20 ? 1 : 2;
			keeper_set_node(w.k, &w.node);
		}
		assert_true(kernel.n_commits < 200);
	}
	settle();
	teardown();
}

/* Its Service is told, the others are served, and nobody is in a hurry. */
static void what_the_kernel_refuses_holds_nobody_up(void **state)
{
	(void)state;
	static const int errors[] = { -ENOMEM, -EEXIST, -EBUSY, -EINVAL };
	static const char *const sets[] = { "endpoints", "ways", "sets", "hairpin" };
	for (size_t i = 0; i < ARRAY_LEN(errors) * ARRAY_LEN(sets); i++) {
		struct wish bad, good;
		setup(i, 4);
		begin(true);
		settle();
		w.broken = true;
		wish_plain(&bad, 1, 4, 3);
		set(1, &bad);
		kernel.poisoned = sets[i % ARRAY_LEN(sets)];
		kernel.poison = errors[i / ARRAY_LEN(sets)];
		pass(5000);
		struct kernel_set *hairpin = nft_kernel_set("hairpin");
		bool shared = !strcmp(kernel.poisoned, "hairpin");
		assert_false(keeper_is_applied(w.k, bad.s.key));
		assert_true(shared || keeper_refusal(w.k, bad.s.key));
		assert_true(hairpin->n == (shared ? 0 : 3));
		/* Only what is refused already goes on being so. */
		const struct kernel_element first = { .ends = false };
		kernel.poison_key = &first;
		size_t n = kernel.n_refused;
		pass(LONG_MS);
		assert_true(kernel.n_refused - n < 60);
		kernel.poison_key = NULL;
		kernel.poisoned = NULL;
		pass(30000);
		assert_true(keeper_is_applied(w.k, bad.s.key));
		wish_plain(&good, 2, 4, 3);
		set(2, &good);
		settle();
		teardown();
	}
}

static void a_refused_element_delays_no_other_service(void **state)
{
	(void)state;
	struct wish bad, good;
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	setup(5, 4);
	begin(true);
	settle();
	w.broken = true;
	wish_plain(&bad, 1, 4, 3);
	memcpy(key, bad.s.cluster_ip.b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	kernel.poisoned = "ways";
	kernel.poison_key = key;
	kernel.poison = -ENOMEM;
	set(1, &bad);
	for (size_t i = 2; i < WISHES; i++) {
		wish_plain(&good, i, 4, 20);
		set(i, &good);
		pass(0);
		assert_true(keeper_is_applied(w.k, good.s.key));
		assert_false(keeper_is_applied(w.k, bad.s.key));
	}
	pass(LONG_MS);
	assert_non_null(keeper_refusal(w.k, bad.s.key));
	assert_false(keeper_is_applied(w.k, bad.s.key));
	wish_plain(&good, 0, 4, 20);
	set(0, &good);
	pass(0);
	assert_true(keeper_is_applied(w.k, good.s.key));
	settle();
	teardown();
}

/* What has a set's endpoints by index. */
static const struct kernel_set *indices(bool affinity)
{
	return nft_kernel_set(affinity ? "tickets" : "endpoints");
}

/* Of the one set that has endpoints; its number is found by them. */
static size_t n_counted(bool affinity)
{
	const struct kernel_set *by_index = indices(affinity);
	const struct kernel_element *e;
	frame_kind kind = 0;

	if (by_index->n > 0 &&
	    (e = nft_kernel_find(nft_kernel_set("sets"), by_index->elements[0].key, false)))
		memcpy(&kind, e->value, sizeof(kind));
	return frame_kind_count(kind);
}

static void refuse(const char *set, const void *key)
{
	kernel.poisoned = set;
	kernel.poison_key = key;
	kernel.poison = -ENOMEM;
}

static void wish_some(struct wish *wish, size_t n, bool affinity)
{
	wish_plain(wish, 0, 4, n);
	wish->s.traffic.affinity_s = affinity ? 60 : 0;
	set(0, wish);
}

/* committed() looks at it after each transaction. */
static void a_set_counts_no_endpoint_that_is_refused(void **state)
{
	(void)state;
	for (int affinity = 0; affinity < 2; affinity++) {
		struct wish wish;
		unsigned char key[FRAME_KEY_MAX] = { 0 };
		setup(19, 4);
		begin(true);
		/* The last one of the first it ever had. */
		wish_some(&wish, 3, affinity);
		settle();
		memcpy(key, indices(affinity)->elements[2].key, sizeof(key));
		remove_one(0);
		settle();
		refuse(affinity ? "tickets" : "endpoints", key);
		wish_some(&wish, 3, affinity);
		pass(LONG_MS);
		assert_non_null(keeper_refusal(w.k, wish.s.key));
		assert_false(keeper_is_applied(w.k, wish.s.key));
		assert_int_equal(indices(affinity)->n, 2);
		assert_int_equal(n_counted(affinity), 0);
		assert_int_equal(nft_kernel_set("ways")->n, 0);
		/* All the rest is written. */
		struct proxy_stats st = { .in_sync = true, .settled = true };
		keeper_add_stats(w.k, &st);
		assert_true(st.settled && !st.in_sync);
		/* What does without it is served, and goes on being so when it comes again. */
		wish_some(&wish, 2, affinity);
		pass(1000);
		assert_true(keeper_is_applied(w.k, wish.s.key));
		wish_some(&wish, 3, affinity);
		pass(LONG_MS);
		assert_int_equal(n_counted(affinity), 2);
		assert_int_equal(nft_kernel_set("ways")->n, 1);
		wish_some(&wish, 4, affinity);
		pass(LONG_MS);
		assert_int_equal(indices(affinity)->n, 3);
		assert_int_equal(n_counted(affinity), 2);
		settle();
		assert_int_equal(n_counted(affinity), 4);
		teardown();
	}
}

/* What was refused is there: the rest is yet to come. */
static void what_waits_for_a_refusal_is_not_applied(void **state)
{
	(void)state;
	struct wish wish;
	setup(23, 4);
	begin(true);
	settle();
	refuse("endpoints", NULL);
	wish_plain(&wish, 0, 4, 1);
	w.alone = wish.s.key;
	set(0, &wish);
	pass(LONG_MS);
	assert_int_equal(w.n_failed, 1);
	assert_true(keeper_is_applied(w.k, w.alone));
	settle();
	teardown();
}

/* The other way round: the set has to count less before they go. */
static void an_endpoint_stays_while_its_set_is_refused(void **state)
{
	(void)state;
	for (int affinity = 0; affinity < 2; affinity++) {
		struct wish wish;
		unsigned char key[FRAME_KEY_MAX];
		setup(20, 4);
		begin(true);
		wish_some(&wish, 5, affinity);
		settle();
		memcpy(key, indices(affinity)->elements[0].key, sizeof(key));
		refuse("sets", key);
		wish_some(&wish, 2, affinity);
		pass(LONG_MS);
		assert_non_null(keeper_refusal(w.k, wish.s.key));
		assert_int_equal(indices(affinity)->n, 5);
		assert_int_equal(n_counted(affinity), 5);
		settle();
		assert_int_equal(indices(affinity)->n, 2);
		teardown();
	}
}

/* Nobody may use an address before it is known who may. */
static void an_address_waits_for_its_restriction(void **state)
{
	(void)state;
	static const char *const sets[] = { "source-ranges", "restricted" };
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct wish wish;
		setup(21, 4);
		begin(true);
		settle();
		refuse(sets[i], NULL);
		wish_plain(&wish, 0, 4, 2);
		wish_add_vip(&wish, 0);
		wish_add_range(&wish, 0);
		set(0, &wish);
		pass(LONG_MS);
		assert_int_equal(nft_kernel_set("restricted")->n, 0);
		/* Of the cluster IP alone. */
		assert_int_equal(nft_kernel_set("ways")->n, 1);
		settle();
		assert_int_equal(nft_kernel_set("ways")->n, 2);
		teardown();
	}
}

/* In the kernel the address still leads to the set that it had before. */
static void what_a_refused_way_leads_to_stays(void **state)
{
	(void)state;
	struct wish old, young;
	setup(22, 4);
	begin(true);
	wish_plain(&old, 0, 4, 2);
	wish_plain(&young, 1, 4, 3);
	wish_add_vip(&old, 0);
	wish_add_vip(&young, 0);
	set(0, &old);
	set(1, &young);
	settle();
	assert_int_equal(nft_kernel_set("endpoints")->n, 5);
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	memcpy(key, old.vips[0].b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	refuse("ways", key);
	remove_one(0);
	pass(LONG_MS);
	assert_int_equal(nft_kernel_set("endpoints")->n, 5);
	/* Its own address is gone, though. */
	assert_int_equal(nft_kernel_set("ways")->n, 2);
	settle();
	assert_int_equal(nft_kernel_set("endpoints")->n, 3);
	teardown();
}

/* Somebody's rules lead to the chains of a kind that nobody uses any more. */
static void a_chain_that_cannot_go_is_left_until_later(void **state)
{
	(void)state;
	struct wish wish;
	setup(6, 4);
	begin(true);
	wish_plain(&wish, 0, 4, 5);
	set(0, &wish);
	settle();
	remove_one(0);
	pass(1000);
	kernel.error = -EBUSY;
	kernel.n_errors = 1000;
	keeper_audit(w.k);
	pass(LONG_MS);
	assert_true(kernel.n_errors > 990);
	struct proxy_stats st = { .in_sync = true, .settled = true };
	keeper_add_stats(w.k, &st);
	assert_true(st.in_sync);
	assert_non_null(nft_kernel_chain("near-5"));
	settle();
	assert_null(nft_kernel_chain("near-5"));
	teardown();
}

/* An address is one Service's with all that belongs to it. */
static void an_address_is_not_shared(void **state)
{
	(void)state;
	struct wish first, second;
	setup(7, 4);
	begin(true);
	wish_plain(&first, 0, 4, 2);
	wish_plain(&second, 1, 4, 3);
	wish_add_vip(&first, 0);
	wish_add_vip(&second, 0);
	/* The second one restricts who may use it, and has a short cut. */
	wish_add_range(&second, 1);
	second.s.traffic.external_local = true;
	second.ports[0].n_local = 1;
	for (int order = 0; order < 2; order++) {
		set(1 - (size_t)order, order ? &first : &second);
		pass(1000);
		set((size_t)order, order ? &second : &first);
		settle();
		remove_one(0);
		settle();
		remove_one(1);
		settle();
	}
	teardown();
}

static uint32_t set_at(const struct wish *wish)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	uint32_t way;

	memcpy(key, wish->vips[0].b, 4);
	key[4] = IPPROTO_TCP;
	key[9] = 80;
	const struct kernel_element *e = nft_kernel_find(nft_kernel_set("ways"), key, false);
	assert_non_null(e);
	memcpy(&way, e->value, sizeof(way));
	return way & FRAME_WAY_SET;
}

static size_t n_endpoints_at(const struct wish *wish)
{
	uint32_t set = set_at(wish);
	frame_kind kind;

	memcpy(&kind, nft_kernel_find(nft_kernel_set("sets"), &set, false)->value, sizeof(kind));
	return frame_kind_count(kind);
}

/* Whatever they are called, and in whatever order they come: who has the address is the older. */
static void an_address_is_the_olders(void **state)
{
	(void)state;
	struct wish old, young;
	setup(16, 4);
	begin(true);
	wish_plain(&young, 0, 4, 2);
	wish_plain(&old, 1, 4, 3);
	wish_add_vip(&young, 0);
	wish_add_vip(&old, 0);
	old.s.created_us = 1000;
	young.s.created_us = 2000;
	for (int order = 0; order < 2; order++) {
		set((size_t)order, order ? &old : &young);
		pass(1000);
		assert_int_equal(n_endpoints_at(&old), order ? 3 : 2);
		set(1 - (size_t)order, order ? &young : &old);
		settle();
		assert_int_equal(n_endpoints_at(&old), 3);
		restart(true);
		settle();
		assert_int_equal(n_endpoints_at(&old), 3);
		remove_one(1);
		settle();
		assert_int_equal(n_endpoints_at(&old), 2);
		remove_one(0);
		settle();
	}
	/* One that was deleted and made again is the younger, also if nobody saw it go. */
	set(0, &young);
	set(1, &old);
	settle();
	old.s.created_us = 3000;
	set(1, &old);
	settle();
	assert_int_equal(n_endpoints_at(&old), 2);
	teardown();
}

/* Where an interval ends is not what the store would delete. */
static void an_interval_of_others_goes(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct wish wish;
		setup(8, 4);
		begin(true);
		wish_plain(&wish, 0, 4, 2);
		wish_add_vip(&wish, 0);
		wish_add_range(&wish, 0);
		set(0, &wish);
		settle();
		w.broken = true;
		struct kernel_set *ranges = nft_kernel_set("source-ranges");
		struct kernel_element ends = ranges->elements[1];
		assert_true(ends.ends);
		nft_kernel_delete(ranges, 1);
		ends.key[7] += 3;
		if (how < 2)
			nft_kernel_add(ranges, &ends);
		if (how % 2 == 0)
			keeper_doubt(w.k);
		else
			restart(true);
		settle();
		teardown();
	}
}

/* Nobody has told of it: the kernel refuses what is there already, or is not. */
static void a_refusal_raises_doubt(void **state)
{
	(void)state;
	for (int there = 0; there < 2; there++) {
		struct kernel_element e = { .key = { 10, 96, 0, 1, IPPROTO_TCP, 0, 0, 0, 0, 80 },
			                    .value = { 7 } };
		struct wish wish;
		setup(11, 4);
		begin(true);
		wish_plain(&wish, 0, 4, 2);
		if (!there)
			set(0, &wish);
		settle();
		w.broken = true;
		struct kernel_set *ways = nft_kernel_set("ways");
		if (there)
			nft_kernel_add(ways, &e);
		else
			nft_kernel_delete(ways, 0);
		if (there)
			set(0, &wish);
		else
			remove_one(0);
		pass(2000);
		check_is_as_wanted();
		settle();
		teardown();
	}
}

/* What was deleted without our knowing, and is wanted again, nobody else took away. */
static void a_lost_answer_is_no_damage(void **state)
{
	(void)state;
	struct wish wish;
	setup(12, 4);
	begin(true);
	wish_plain(&wish, 0, 4, 2);
	set(0, &wish);
	settle();
	w.broken = true;
	kernel.error = -ENOBUFS;
	kernel.n_errors = 1;
	kernel.errors_take_effect = true;
	remove_one(0);
	pass(0);
	assert_int_equal(kernel.n_errors, 0);
	set(0, &wish);
	settle();
	assert_false(w.was_damaged);
	/* Nor are rules that were to change, and are found as they were. */
	kernel.error = -EBUSY;
	kernel.n_errors = 1;
	kernel.errors_take_effect = false;
	set_node(false);
	pass(0);
	assert_int_equal(kernel.n_errors, 0);
	settle();
	assert_false(w.was_damaged);
	teardown();
}

static uint64_t n_readings(void)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };

	keeper_add_stats(w.k, &st);
	return st.resyncs;
}

/* Nobody knows what became of the transaction: it was not refused, and is not tried blindly. */
static void what_became_of_a_lost_answer_is_read(void **state)
{
	(void)state;
	for (int effect = 0; effect < 2; effect++) {
		struct wish wish;
		setup(17, 4);
		begin(true);
		wish_plain(&wish, 0, 4, 2);
		set(0, &wish);
		settle();
		w.broken = true;
		uint64_t n = n_readings();
		kernel.error = -ENOBUFS;
		kernel.n_errors = 1;
		kernel.errors_take_effect = effect;
		kernel.n_refused = 0;
		wish_plain(&wish, 0, 4, 3);
		set(0, &wish);
		pass(60000);
		assert_int_equal(kernel.n_errors, 0);
		assert_int_equal(n_readings(), n + 1);
		assert_true(kernel.n_refused <= 1);
		settle();
		teardown();
	}
}

/* It is replaced at once with all that is in it, unless the kernel does not take all. */
static void a_table_is_replaced_bit_by_bit_at_last(void **state)
{
	(void)state;
	struct kernel_element odd = { .catch_all = true };
	struct wish wishes[2];
	setup(13, 4);
	begin(true);
	for (size_t i = 0; i < 2; i++)
		wish_plain(&wishes[i], i, 4, 2 + i);
	set(0, &wishes[0]);
	settle();
	w.broken = true;
	nft_kernel_add(nft_kernel_set("ways"), &odd);
	kernel.poisoned = "ways";
	kernel.poison = -ENOMEM;
	keeper_doubt(w.k);
	set(1, &wishes[1]);
	pass(LONG_MS);
	assert_int_equal(nft_kernel_set("endpoints")->n, 5);
	assert_int_equal(nft_kernel_set("ways")->n, 0);
	settle();
	teardown();
}

/* Rules that had to be written alone turn out to be there: what waited for them goes on. */
static void nothing_waits_for_rules_that_are_there(void **state)
{
	(void)state;
	struct wish wishes[2];
	setup(14, 4);
	begin(true);
	for (size_t i = 0; i < 2; i++)
		wish_plain(&wishes[i], i, 4, 2 + i);
	set(0, &wishes[0]);
	settle();
	w.broken = true;
	kernel.error = -ENOMEM;
	kernel.n_errors = 8;
	set_node(false);
	set(1, &wishes[1]);
	while (kernel.n_errors > 2)
		pass(1);
	kernel.error = -ENOBUFS;
	kernel.n_errors = 1;
	kernel.errors_take_effect = true;
	while (kernel.n_errors > 0)
		pass(1);
	settle();
	teardown();
}

/* The kernel takes no other verdict for a key that is there. */
static void a_pick_that_leads_elsewhere_goes(void **state)
{
	(void)state;
	for (int side = 0; side < FRAME_SIDES; side++)
		for (size_t i = 0; i < 3; i++) {
			struct wish wish;
			setup(9, 6);
			begin(true);
			wish_plain(&wish, 0, 6, 2);
			set(0, &wish);
			settle();
			w.broken = true;
			struct kernel_set *picks = nft_kernel_set(frame_picks[side]);
			assert_int_equal(picks->n, 3);
			picks->elements[i].code = NF_ACCEPT;
			picks->elements[i].chain[0] = '\0';
			keeper_doubt(w.k);
			settle();
			teardown();
		}
}

/* The number of who had the address before would be another one's after a restart. */
static void a_number_is_nobody_elses(void **state)
{
	(void)state;
	struct wish wishes[2];
	setup(10, 4);
	begin(true);
	for (size_t i = 0; i < 2; i++) {
		wish_plain(&wishes[i], i, 4, 3);
		wish_add_vip(&wishes[i], 0);
		wishes[i].s.cluster_ip = (struct addr){ .family = 0 };
	}
	set(0, &wishes[0]);
	settle();
	remove_one(0);
	set(1, &wishes[1]);
	settle();
	set(0, &wishes[0]);
	settle();
	size_t n = kernel.n_commits;
	restart(true);
	settle();
	assert_int_equal(kernel.n_commits, n);
	teardown();
}

/* One element after the other: committed() looks at each. */
static void what_leads_nowhere_comes_first_of_all(void **state)
{
	(void)state;
	struct wish wish;
	setup(24, 4);
	begin(true);
	w.k->batch = 1;
	wish_plain(&wish, 0, 4, 0);
	set(0, &wish);
	pass(0);
	settle();
	teardown();
}

static void who_is_being_planned_is_so_before_a_reading(void **state)
{
	(void)state;
	struct wish wish;
	setup(25, 4);
	begin(true);
	settle();
	wish_plain(&wish, 0, 4, 2);
	wish_add_vip(&wish, 0);
	wish_add_range(&wish, 0);
	wish.ports[1] = wish.ports[0];
	wish.ports[1].port++;
	wish.s.n_ports = 2;
	all_large = true;
	set(0, &wish);
	kernel.error = -ENOMEM;
	kernel.n_errors = 1;
	while (!w.k->planning.s || w.k->planning.part == 0)
		pass(1);
	keeper_doubt(w.k);
	w.k->batch = 1;
	settle();
	all_large = false;
	teardown();
}

/* Gives a port another number than follows from its name, all over the kernel. */
static void renumber(uint32_t from, uint32_t to)
{
	static const struct {
		const char *set;
		bool in_value;
	} places[] = { { "ways", true }, { "sets", false }, { "endpoints", false } };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct kernel_set *set = nft_kernel_set(places[i].set);
		for (size_t k = 0; k < set->n; k++) {
			struct kernel_element e = set->elements[k];
			unsigned char *at = places[i].in_value ? e.value : e.key;
			uint32_t number;
			memcpy(&number, at, sizeof(number));
			if ((number & FRAME_WAY_SET) != from)
				continue;
			number = (number & ~FRAME_WAY_SET) | to;
			memcpy(at, &number, sizeof(number));
			nft_kernel_delete(set, k);
			nft_kernel_add(set, &e);
		}
	}
}

/* Whatever is known of Services by then: the kernel's numbers are theirs. */
static void a_restart_keeps_the_kernels_numbers(void **state)
{
	(void)state;
	struct wish wish;
	setup(18, 4);
	begin(true);
	wish_plain(&wish, 0, 4, 1);
	wish_add_vip(&wish, 0);
	set(0, &wish);
	settle();
	uint32_t number = set_at(&wish);
	renumber(number, number ^ 0x40);
	size_t n = kernel.n_commits;
	restart(true);
	settle();
	assert_int_equal(set_at(&wish), number ^ 0x40);
	assert_int_equal(kernel.n_commits, n);
	teardown();
}

/* ---- whatever happens ---- */

static void do_change_element(struct kernel_set *s)
{
	struct kernel_element *e = &s->elements[virtual_random(s->n)];

	kernel.generation++;
	if (s->value_size > 0)
		e->value[virtual_random(s->value_size)] ^= (unsigned char)(1 + virtual_random(255));
	else if (e->code)
		e->code = 0, e->chain[0] = '\0';
}

static void do_add_element(struct kernel_set *s)
{
	struct kernel_element e = { .catch_all = virtual_random(8) == 0 };

	for (size_t i = 0; i < s->key_size && !e.catch_all; i++)
		e.key[i] = (unsigned char)virtual_random(256);
	for (size_t i = 0; i < s->value_size; i++)
		e.value[i] = (unsigned char)virtual_random(256);
	if (nft_kernel_find(s, e.key, false))
		return;
	nft_kernel_add(s, &e);
	if (!(s->flags & NFT_SET_INTERVAL) || virtual_random(4) == 0)
		return;
	e.ends = true;
	e.catch_all = false;
	e.key[s->key_size - 1] |= 1;
	nft_kernel_add(s, &e);
}

/* Of what others may do to our table. */
static void meddle(void)
{
	struct kernel_table *t = nft_kernel_table(FRAME_TABLE);

	if (!t || !w.meddlers)
		return;
	w.meddled = true;
	struct kernel_set *s = &t->sets[virtual_random(t->n_sets)];
	struct kernel_chain *c = &t->chains[virtual_random(t->n_chains)];
	others_changed();
	switch (virtual_random(8)) {
	case 0:
		nft_kernel_delete_table(FRAME_TABLE);
		break;
	case 1:
		if (c->n > 0)
			nft_kernel_delete_rule(c, virtual_random(c->n));
		break;
	case 2:
		do_add_element(s);
		break;
	case 3:
		if (s->n > 0)
			do_change_element(s);
		break;
	case 4: {
		char name[FRAME_NAME_SIZE];
		enum frame_side side;
		frame_kind kind;
		memcpy(name, c->name, sizeof(name));
		if (!frame_kind_parse(name, &side, &kind))
			break;
		struct kernel_set *picks = nft_kernel_set(frame_picks[side]);
		for (size_t i = picks->n; i-- > 0;)
			if (!strcmp(picks->elements[i].chain, name))
				nft_kernel_delete(picks, i);
		nft_kernel_delete_chain(name);
		break;
	}
	default:
		if (s->n > 0)
			nft_kernel_delete(s, virtual_random(s->n));
		break;
	}
}

static void let_fail(void)
{
	static const int errors[] = {
		-ENOMEM, -EINTR, -EBUSY, -EEXIST, -ENOENT, -ENOBUFS, -EINVAL
	};

	kernel.error = errors[virtual_random(ARRAY_LEN(errors))];
	kernel.n_errors = 1 + (unsigned int)virtual_random(virtual_random(4) ? 3 : 30);
	kernel.errors_take_effect = kernel.error == -ENOBUFS && virtual_random(2);
}

static void poison(void)
{
	static const char *const sets[] = { "endpoints", "members",       "tickets",
		                            "hairpin",   "source-ranges", "restricted",
		                            "sets",      "short-cuts",    "ways" };

	kernel.poisoned = sets[virtual_random(ARRAY_LEN(sets))];
	kernel.poison = virtual_random(2) ? -EEXIST : -ENOMEM;
}

static void something_happens(void)
{
	size_t i = virtual_random(WISHES);
	struct wish wish;

	switch (virtual_random(24)) {
	case 0:
		meddle();
		break;
	case 1:
		let_fail();
		break;
	case 2:
		kernel.n_interrupted = 1 + (unsigned int)virtual_random(4);
		break;
	case 3:
		kernel.life = 1 + (unsigned int)virtual_random(5);
		break;
	case 4:
		poison();
		break;
	case 5:
		set_node(virtual_random(3) > 0);
		break;
	case 6:
		keeper_doubt(w.k);
		break;
	case 7:
		keeper_audit(w.k);
		break;
	case 8:
		tell_doubt();
		break;
	case 9:
		restart(false);
		break;
	case 10:
	case 11:
	case 12:
	case 13:
		remove_one(i);
		break;
	default:
		wish_random(&wish, i, w.family);
		set(i, &wish);
		break;
	}
}

#define STEPS 120
#define STEPS_TO_SETTLE 24

static void live(uint64_t seed)
{
	setup(seed, seed % 2 ? 4 : 6);
	w.masquerade_all = virtual_random(4) == 0;
	w.meddlers = virtual_random(2);
	sizes_vary = virtual_random(2);
	kernel.slow = virtual_random(2);
	begin(false);
	for (int i = 0; i < STEPS; i++) {
		something_happens();
		if (virtual_random(3) > 0)
			pass(virtual_random(4) ? (int64_t)virtual_random(8)
			                       : (int64_t)virtual_random(20000));
		check_what_is_applied();
		if (kernel.dead && virtual_random(2))
			restart(false);
		if (virtual_random(STEPS_TO_SETTLE) == 0)
			settle();
	}
	settle();
	/*
	 * What is dropped from outside tells no number: the first restart may choose another one.
	 */
	restart(true);
	settle();
	restart(true);
	size_t n = kernel.n_commits;
	settle();
	assert_true(w.meddled || kernel.n_commits == n);
	sizes_vary = false;
	teardown();
}

static void whatever_happens_the_kernel_has_what_is_wanted(void **state)
{
	(void)state;
	const char *env = getenv("FAIRLEAD_SEEDS"), *one = getenv("FAIRLEAD_SEED");
	/* One takes as long as a handful of the other simulations. */
	uint64_t n = env ? strtoull(env, NULL, 10) / 4 + 1 : 30;

	if (one) {
		live(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= n; seed++) {
		if (getenv("FAIRLEAD_TRACE"))
			print_message("seed %llu\n", (unsigned long long)seed);
		live(seed);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_writes_nothing),
		cmocka_unit_test(one_endpoint_is_a_few_elements),
		cmocka_unit_test(what_others_change_is_mended),
		cmocka_unit_test(a_frame_that_goes_soon_after_a_reading_is_missed_at_once),
		cmocka_unit_test(an_interrupted_reading_changes_no_answer),
		cmocka_unit_test(what_the_kernel_refuses_holds_nobody_up),
		cmocka_unit_test(a_refused_element_delays_no_other_service),
		cmocka_unit_test(a_set_counts_no_endpoint_that_is_refused),
		cmocka_unit_test(what_waits_for_a_refusal_is_not_applied),
		cmocka_unit_test(an_endpoint_stays_while_its_set_is_refused),
		cmocka_unit_test(an_address_waits_for_its_restriction),
		cmocka_unit_test(what_a_refused_way_leads_to_stays),
		cmocka_unit_test(a_chain_that_cannot_go_is_left_until_later),
		cmocka_unit_test(an_address_is_not_shared),
		cmocka_unit_test(an_address_is_the_olders),
		cmocka_unit_test(an_interval_of_others_goes),
		cmocka_unit_test(a_refusal_raises_doubt),
		cmocka_unit_test(a_table_is_replaced_bit_by_bit_at_last),
		cmocka_unit_test(a_lost_answer_is_no_damage),
		cmocka_unit_test(what_became_of_a_lost_answer_is_read),
		cmocka_unit_test(nothing_waits_for_rules_that_are_there),
		cmocka_unit_test(a_pick_that_leads_elsewhere_goes),
		cmocka_unit_test(a_number_is_nobody_elses),
		cmocka_unit_test(a_restart_keeps_the_kernels_numbers),
		cmocka_unit_test(what_leads_nowhere_comes_first_of_all),
		cmocka_unit_test(who_is_being_planned_is_so_before_a_reading),
		cmocka_unit_test(whatever_happens_the_kernel_has_what_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
