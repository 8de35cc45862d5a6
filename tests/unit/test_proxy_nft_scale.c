/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does not grow with the number of Services, or with the size of one: what waits before a
 * Service is in the kernel, and the work of one turn of the event loop.  Counted in elements, with
 * a kernel that is made up (nft_kernel.h), in virtual time.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "nft_kernel.h"
#include "proxy/nftables/diff.h"
#include "proxy/nftables/elements.h"
#include "proxy/nftables/keeper.h"
#include "proxy/nftables/queue.h"
#include "proxy/nftables/store.h"
#include "virtual_loop.h"

#define SERVICES 3000
#define PORTS 256
#define ENDPOINTS 200
#define KEY_SIZE 16

/* ---- how much is done in one turn ---- */

struct work {
	uint64_t turn;
	size_t n, most, total;
};

/* Elements that Services are made of; those that are looked at in passes over all. */
static struct work work, passes;
static bool in_pass;

static void count_in(struct work *w)
{
	if (w->turn != virtual_loop_turns())
		w->n = 0;
	w->turn = virtual_loop_turns();
	w->total++;
	if (++w->n > w->most)
		w->most = w->n;
}

static void count(void)
{
	count_in(&work);
}

void __real_store_want(struct store *s, enum frame_map map, const void *key, const void *value,
                       struct store_owner *owner);
void __wrap_store_want(struct store *s, enum frame_map map, const void *key, const void *value,
                       struct store_owner *owner);
void __real_store_share(struct store *s, enum frame_map map, const void *key,
                        const struct store_owner *owner);
void __wrap_store_share(struct store *s, enum frame_map map, const void *key,
                        const struct store_owner *owner);
void __real_store_release_old(struct store *s, enum frame_map map, const void *key,
                              const struct store_owner *owner);
void __wrap_store_release_old(struct store *s, enum frame_map map, const void *key,
                              const struct store_owner *owner);
void __real_store_unshare(struct store *s, enum frame_map map, const void *key);
void __wrap_store_unshare(struct store *s, enum frame_map map, const void *key);

void __wrap_store_want(struct store *s, enum frame_map map, const void *key, const void *value,
                       struct store_owner *owner)
{
	count();
	__real_store_want(s, map, key, value, owner);
}

void __wrap_store_share(struct store *s, enum frame_map map, const void *key,
                        const struct store_owner *owner)
{
	count();
	__real_store_share(s, map, key, owner);
}

void __wrap_store_release_old(struct store *s, enum frame_map map, const void *key,
                              const struct store_owner *owner)
{
	count();
	__real_store_release_old(s, map, key, owner);
}

void __wrap_store_unshare(struct store *s, enum frame_map map, const void *key)
{
	count();
	__real_store_unshare(s, map, key);
}

struct element *__real_elements_at(const struct elements *t, uint32_t number);
struct element *__wrap_elements_at(const struct elements *t, uint32_t number);
bool __real_store_forget(struct store *s, size_t max);
bool __wrap_store_forget(struct store *s, size_t max);
bool __real_store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                          size_t *ret_n_damaged);
bool __wrap_store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                          size_t *ret_n_damaged);

struct element *__wrap_elements_at(const struct elements *t, uint32_t number)
{
	if (in_pass)
		count_in(&passes);
	return __real_elements_at(t, number);
}

bool __wrap_store_forget(struct store *s, size_t max)
{
	in_pass = true;
	bool all = __real_store_forget(s, max);
	in_pass = false;
	return all;
}

bool __wrap_store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                          size_t *ret_n_damaged)
{
	in_pass = true;
	bool all = __real_store_compare(s, max, stray, arg, ret_n_damaged);
	in_pass = false;
	return all;
}

bool __real_store_look_begin(struct store *s, size_t max);
bool __wrap_store_look_begin(struct store *s, size_t max);
bool __real_store_look_end(struct store *s, size_t max, store_missing_fn *fn, void *arg);
bool __wrap_store_look_end(struct store *s, size_t max, store_missing_fn *fn, void *arg);

bool __wrap_store_look_begin(struct store *s, size_t max)
{
	in_pass = true;
	bool all = __real_store_look_begin(s, max);
	in_pass = false;
	return all;
}

bool __wrap_store_look_end(struct store *s, size_t max, store_missing_fn *fn, void *arg)
{
	in_pass = true;
	bool all = __real_store_look_end(s, max, fn, arg);
	in_pass = false;
	return all;
}

/* ---- a keeper and its Services ---- */

static struct {
	struct event_base *base;
	struct keeper *k;
	void (*written)(void);
	bool may_fail;
	size_t n_steps, largest_step, last; /* of what a test looks at after each transaction */
} w;

static void applied(void *arg)
{
	(void)arg;
}

static void failed(const struct err *e, void *arg)
{
	(void)arg;
	if (!w.may_fail)
		fail_msg("%s", e->msg);
}

static void committed(void)
{
	if (w.written)
		w.written();
}

static void begin(void)
{
	static const struct keeper_ops ops = { .applied = applied, .failed = failed };
	const struct frame frame = { .family = 4,
		                     .mark = PROXY_MARK_DEFAULT,
		                     .pods_by = PROXY_PODS_BY_SOURCE };

	virtual_loop_init(1);
	nft_kernel_init();
	memset(&w, 0, sizeof(w));
	memset(&work, 0, sizeof(work));
	memset(&passes, 0, sizeof(passes));
	kernel.committed = committed;
	w.base = event_base_new();
	assert_int_equal(keeper_new(w.base, &frame, false, NULL, &ops, NULL, &w.k, NULL), 0);
}

static void end(void)
{
	keeper_free(w.k);
	event_base_free(w.base);
	nft_kernel_fini();
}

static void pass(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
}

static struct proxy_endpoint endpoint(size_t i)
{
	return (struct proxy_endpoint){
		.addr = { .family = 4, .b = { 10, 244, (uint8_t)(i >> 8), (uint8_t)i } },
		.port = 8080,
	};
}

static void key_of(size_t i, char ret[static KEY_SIZE])
{
	snprintf(ret, KEY_SIZE, "shop/%zu", i);
}

static void set_ports(size_t i, struct proxy_port *ports, size_t n)
{
	char key[KEY_SIZE];
	const struct proxy_half half = {
		.key = key,
		.family = 4,
		.cluster_ip = { .family = 4, .b = { 10, 96, (uint8_t)(i >> 8), (uint8_t)i } },
		.ports = ports,
		.n_ports = n,
	};

	key_of(i, key);
	keeper_set(w.k, &half);
}

static void set(size_t i, size_t n_endpoints)
{
	struct proxy_endpoint *list = xcalloc(n_endpoints, sizeof(*list));
	struct proxy_port port = { .name = "",
		                   .proto = IPPROTO_TCP,
		                   .port = 80,
		                   .cluster = list,
		                   .n_cluster = n_endpoints,
		                   .has_any = true };

	for (size_t e = 0; e < n_endpoints; e++)
		list[e] = endpoint(i + e);
	set_ports(i, &port, 1);
	free(list);
}

/* Many ports with the same endpoints; the lists may be of their own. */
static void set_list(const struct proxy_endpoint *list, size_t n, bool of_their_own)
{
	struct proxy_port ports[PORTS];

	for (size_t p = 0; p < PORTS; p++) {
		ports[p] = (struct proxy_port){ .name = "",
			                        .proto = IPPROTO_TCP,
			                        .port = (uint16_t)(1000 + p),
			                        .cluster = list,
			                        .n_cluster = n,
			                        .has_any = true };
		if (of_their_own)
			proxy_lists_put(proxy_lists_new(&ports[p], 4), &ports[p]);
	}
	set_ports(0, ports, PORTS);
	for (size_t p = 0; p < PORTS; p++)
		proxy_lists_unref(ports[p].lists);
}

/* Many of them, from the @first one on. */
static void set_large(size_t first)
{
	struct proxy_endpoint list[ENDPOINTS];

	for (size_t e = 0; e < ENDPOINTS; e++)
		list[e] = endpoint(first + e);
	set_list(list, ENDPOINTS, false);
}

static void note_step(size_t now)
{
	size_t step = now - w.last;

	w.n_steps += step > 0;
	w.largest_step = step > w.largest_step ? step : w.largest_step;
	w.last = now;
}

/* ---- Services come into the kernel one after another ---- */

static void note_applied(void)
{
	char key[KEY_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < SERVICES; i++) {
		key_of(i, key);
		n += keeper_is_applied(w.k, key);
	}
	note_step(n);
}

static void note_ways(void)
{
	note_step(nft_kernel_table(FRAME_TABLE) ? nft_kernel_set("ways")->n : 0);
}

static void begin_with_services(void)
{
	begin();
	for (size_t i = 0; i < SERVICES; i++)
		set(i, 1);
}

static void each_transaction_brings_services(void **state)
{
	(void)state;
	begin_with_services();
	keeper_complete(w.k);
	w.written = note_applied;
	pass(60000);
	note_applied();
	assert_int_equal(w.last, SERVICES);
	/* Each has an endpoint, its hairpin, a set and a way. */
	assert_true(w.n_steps >= SERVICES * 4 / KEEPER_BATCH);
	assert_true(w.largest_step <= KEEPER_BATCH / 4 + 1);
	end();
}

/* Others have deleted everything. */
static void each_transaction_of_a_repair_brings_services(void **state)
{
	(void)state;
	begin_with_services();
	keeper_complete(w.k);
	pass(60000);
	assert_int_equal(nft_kernel_set("ways")->n, SERVICES);
	nft_kernel_delete_table(FRAME_TABLE);
	w.written = note_ways;
	keeper_doubt(w.k);
	pass(60000);
	assert_int_equal(w.last, SERVICES);
	assert_true(w.n_steps >= SERVICES * 4 / KEEPER_BATCH);
	assert_true(w.largest_step <= KEEPER_BATCH);
	end();
}

/* ---- memory ---- */

/* Without its elements, which are in the kernel that is made up as well. */
static void what_is_set_as_it_is_makes_no_work(void **state)
{
	(void)state;
	begin();
	set(0, 5);
	keeper_complete(w.k);
	pass(1000);
	assert_true(work.total > 5);
	work.total = 0;
	set(0, 5);
	pass(1000);
	assert_int_equal(work.total, 0);
	set(0, 6);
	pass(1000);
	assert_true(work.total > 6);
	end();
}

static void a_service_takes_little_memory(void **state)
{
	(void)state;
	begin();
	size_t bytes = mallinfo2().uordblks;
	for (size_t i = 0; i < SERVICES; i++)
		set(i, 2);
	assert_in_range((mallinfo2().uordblks - bytes) / SERVICES, 0, 376);
	end();
}

/* ---- the work of one turn ---- */

/* One port is the least that is done. */
#define WORK_MAX (KEEPER_SLICE_ELEMENTS + 2 * (ENDPOINTS + 2))

static void a_large_service_is_planned_in_pieces(void **state)
{
	(void)state;
	begin();
	set_large(0);
	keeper_complete(w.k);
	/* Nothing is written before everything is planned. */
	while (work.total < 2 * PORTS * ENDPOINTS)
		pass(1);
	assert_true(work.most <= WORK_MAX);
	end();
}

/* And neither is it in the call that brings it, nor in the one that takes it away. */
static void a_large_service_is_changed_in_pieces(void **state)
{
	(void)state;
	begin();
	keeper_complete(w.k);
	pass(1000);
	for (int round = 0; round < 3; round++) {
		size_t total = work.total;
		if (round < 2)
			set_large((size_t)round);
		else
			keeper_remove(w.k, "shop/0");
		assert_int_equal(work.total, total);
		/* The kernel that is made up would take long for all of it. */
		while (work.total < total + 2 * PORTS * ENDPOINTS)
			pass(1);
		assert_true(work.most <= WORK_MAX);
	}
	end();
}

static struct {
	struct event *timer;
	size_t from; /* work that was done before */
	bool gone;
} sudden;

/* Once some of it is planned. */
static void on_sudden(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0, 0 };

	(void)fd, (void)what, (void)arg;
	if (work.total == sudden.from) {
		evtimer_add(sudden.timer, &now);
		return;
	}
	assert_true(work.total < sudden.from + PORTS * ENDPOINTS);
	if (sudden.gone)
		keeper_remove(w.k, "shop/0");
	else
		set(0, 2);
}

/* What it is to be from now on is small, but what was wished for so far is still to go. */
static void a_large_service_goes_in_pieces_while_it_is_planned(void **state)
{
	(void)state;
	for (int gone = 0; gone < 2; gone++) {
		begin();
		w.may_fail = true;
		keeper_complete(w.k);
		pass(1000);
		/* Nothing can be written, so that it waits in the store. */
		kernel.error = -ENOMEM;
		kernel.n_errors = UINT32_MAX;
		sudden.from = work.total;
		sudden.gone = gone;
		sudden.timer = evtimer_new(w.base, on_sudden, NULL);
		set_large(0);
		on_sudden(-1, 0, NULL);
		pass(2000);
		assert_true(work.total >= sudden.from + 2 * PORTS * ENDPOINTS);
		assert_true(work.most <= WORK_MAX);
		event_free(sudden.timer);
		end();
	}
}

/*
 * What is forgotten, compared and queued again when the kernel is read.  Nothing is written, as the
 * kernel that is made up would take long for all of it.
 */
static void all_elements_are_compared_in_pieces(void **state)
{
	(void)state;
	begin();
	w.may_fail = true;
	kernel.error = -ENOMEM;
	kernel.n_errors = UINT32_MAX;
	set_large(0);
	keeper_complete(w.k);
	while (!keeper_is_planned(w.k))
		pass(1);
	assert_true(passes.total > PORTS * ENDPOINTS);
	passes.total = 0;
	keeper_doubt(w.k);
	while (passes.total < 3 * PORTS * ENDPOINTS)
		pass(100);
	assert_true(passes.most <= KEEPER_PASS_ELEMENTS);
	end();
}

static void on_compared(struct buf *text, void *arg)
{
	struct buf *to = arg;

	buf_puts(to, buf_str(text));
}

static size_t n_of(const char *text, const char *words)
{
	size_t n = 0;

	for (; (text = strstr(text, words)); text++)
		n++;
	return n;
}

/* Whoever asks what differs: nobody waits for that, and a look before does not hide anything. */
static void a_look_at_all_elements_goes_in_pieces(void **state)
{
	(void)state;
	begin();
	set_large(0);
	keeper_complete(w.k);
	pass(100000);
	for (int look = 0; look < 2; look++) {
		struct keeper *const keepers[] = { w.k, w.k };
		cleanup(buf_fini) struct buf text = BUF_INIT;
		nft_kernel_delete(nft_kernel_set("endpoints"), 7 + (size_t)look);
		memset(&passes, 0, sizeof(passes));
		nft_diff_start(w.base, "nftables", keepers, NULL, on_compared, &text);
		pass(100000);
		assert_true(text.size > 0);
		assert_true(passes.total > 2 * 2 * PORTS * ENDPOINTS);
		assert_true(passes.most <= KEEPER_PASS_ELEMENTS);
		assert_int_equal(n_of(buf_str(&text), "\"missing\""), 2 * (1 + look));
	}
	end();
}

/* While that is under way, what is small does not wait for it. */
static void a_small_service_overtakes_a_large_one(void **state)
{
	(void)state;
	begin();
	keeper_complete(w.k);
	pass(1000);
	size_t total = work.total;
	set_large(0);
	set(1, 1);
	assert_int_equal(work.total, total + 4);
	end();
}

/* ---- reading again ---- */

static void lose_an_endpoint(void)
{
	nft_kernel_delete(nft_kernel_set("endpoints"), 0);
	keeper_doubt(w.k);
}

/* Only what reading took says how long the next one waits, and it is not for long at that. */
static void reading_again_does_not_wait_for_long(void **state)
{
	(void)state;
	begin();
	/* The API server cannot be reached, say. */
	pass(600000);
	set(1, 2);
	keeper_complete(w.k);
	pass(1);
	lose_an_endpoint();
	pass(KEEPER_READ_GAP_MS);
	assert_int_equal(nft_kernel_set("endpoints")->n, 2);
	kernel.list_ms = KEEPER_READ_GAP_MAX_MS / FRAME_MAPS;
	lose_an_endpoint();
	pass(2 * KEEPER_READ_GAP_MAX_MS);
	assert_int_equal(nft_kernel_set("endpoints")->n, 2);
	lose_an_endpoint();
	pass(2 * KEEPER_READ_GAP_MAX_MS + 10);
	assert_int_equal(nft_kernel_set("endpoints")->n, 2);
	end();
}

/* ---- one that never rests ---- */

/* So few that the kernel that is made up can take them, and the Service is a large one still. */
#define SOME_ENDPOINTS 20

static struct {
	struct event *timer;
	size_t round, rounds; /* how often it has changed, and how often it will */
	void (*then)(void);   /* after each change */
} churn;

/* All its endpoints, each time. */
static void change_all(void)
{
	struct proxy_endpoint list[SOME_ENDPOINTS];

	for (size_t e = 0; e < SOME_ENDPOINTS; e++)
		list[e] = endpoint((churn.round % 100 * SOME_ENDPOINTS) + e);
	set_list(list, SOME_ENDPOINTS, false);
}

static void on_churn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0, 0 };

	(void)fd, (void)what, (void)arg;
	if (churn.round++ >= churn.rounds)
		return;
	change_all();
	if (churn.then)
		churn.then();
	evtimer_add(churn.timer, &now);
}

/* In each turn from now on. */
static void begin_churn(size_t rounds, void (*then)(void))
{
	memset(&churn, 0, sizeof(churn));
	churn.rounds = rounds;
	churn.then = then;
	churn.timer = evtimer_new(w.base, on_churn, NULL);
	on_churn(-1, 0, NULL);
}

static void end_churn(void)
{
	event_free(churn.timer);
	end();
}

static void note_planned(void)
{
	if (keeper_is_planned(w.k))
		churn.rounds = 0;
}

static void whoever_never_rests_does_not_keep_the_keeper_from_beginning(void **state)
{
	(void)state;
	begin();
	begin_churn(100, note_planned);
	keeper_complete(w.k);
	pass(1000);
	assert_true(keeper_is_planned(w.k));
	assert_true(churn.round < 100);
	end_churn();
}

/* A small one that comes, and one that goes. */
static struct {
	bool comes, goes;
	size_t commits; /* when it came, or went */
	size_t came_by, gone_by;
} small;

static void note_small(void)
{
	unsigned char way[FRAME_KEY_MAX] = { 10, 96, 0, 2, IPPROTO_TCP, 0, 0, 0, 0, 80 };

	/* The first turns bring the large one. */
	if (churn.round < 10)
		return;
	if (!small.comes) {
		small.comes = true;
		small.commits = kernel.n_commits;
		set(2, 3);
	} else if (!small.came_by) {
		if (keeper_is_applied(w.k, "shop/2"))
			small.came_by = kernel.n_commits - small.commits;
	} else if (!small.goes) {
		small.goes = true;
		assert_non_null(nft_kernel_find(nft_kernel_set("ways"), way, false));
		small.commits = kernel.n_commits;
		keeper_remove(w.k, "shop/2");
	} else if (!nft_kernel_find(nft_kernel_set("ways"), way, false)) {
		small.gone_by = kernel.n_commits - small.commits;
		churn.rounds = 0;
	}
}

/* Whatever is new of the others goes with the next transaction, and what is old after one pass. */
static void whoever_never_rests_holds_nobody_up(void **state)
{
	(void)state;
	begin();
	keeper_complete(w.k);
	pass(1000);
	memset(&small, 0, sizeof(small));
	begin_churn(300, note_small);
	pass(1000);
	assert_int_equal(small.came_by, 1);
	assert_in_range(small.gone_by, 1, 3 * PORTS * SOME_ENDPOINTS / KEEPER_BATCH);
	/* And it is carried itself, as it is in the end. */
	pass(60000);
	assert_true(keeper_is_applied(w.k, "shop/0"));
	assert_int_equal(nft_kernel_set("endpoints")->n, PORTS * SOME_ENDPOINTS);
	end_churn();
}

static void note_chains(void)
{
	if (nft_kernel_table(FRAME_TABLE))
		note_step(nft_kernel_table(FRAME_TABLE)->n_chains);
}

static void a_transaction_has_few_new_kinds(void **state)
{
	(void)state;
	begin();
	keeper_complete(w.k);
	pass(1000);
	note_chains();
	w.largest_step = 0;
	w.written = note_chains;
	for (size_t i = 0; i < 3 * KEEPER_BATCH_KINDS; i++)
		set(i, i + 1);
	pass(60000);
	assert_int_equal(nft_kernel_set("ways")->n, 3 * KEEPER_BATCH_KINDS);
	assert_true(w.largest_step <= 2 * KEEPER_BATCH_KINDS);
	end();
}

/* Each in its own time, or nearly, until there are too many: then times are rounded up. */
static void times_of_affinity_take_few_kinds(void **state)
{
	struct proxy_endpoint one = endpoint(0);
	struct proxy_port port = { .name = "",
		                   .proto = IPPROTO_TCP,
		                   .port = 80,
		                   .cluster = &one,
		                   .n_cluster = 1,
		                   .has_any = true };

	(void)state;
	begin();
	keeper_complete(w.k);
	pass(1000);
	for (size_t i = 0; i < 3 * KEEPER_ODD_KINDS_MAX; i++) {
		char key[KEY_SIZE];
		const struct proxy_half half = {
			.key = key,
			.family = 4,
			.cluster_ip = { .family = 4, .b = { 10, 96, 0, (uint8_t)i } },
			.ports = &port,
			.n_ports = 1,
			.traffic.affinity_s = 61 + (uint32_t)i,
		};
		key_of(i, key);
		keeper_set(w.k, &half);
	}
	pass(60000);
	struct proxy_stats st = { .in_sync = true };
	keeper_add_stats(w.k, &st);
	assert_true(st.in_sync);
	assert_int_equal(nft_kernel_set("ways")->n, 3 * KEEPER_ODD_KINDS_MAX);
	assert_in_range(nft_kernel_set("outside-picks")->n, KEEPER_ODD_KINDS_MAX,
	                KEEPER_ODD_KINDS_MAX + 4);
	end();
}

#define FEW_ENDPOINTS 7

/* Of each port, and that it may reach itself. */
static void one_endpoint_of_many_ports_is_one_element_of_each(void **state)
{
	struct proxy_endpoint list[FEW_ENDPOINTS];

	(void)state;
	for (int own = 0; own < 2; own++) {
		begin();
		keeper_complete(w.k);
		for (size_t e = 0; e < FEW_ENDPOINTS; e++)
			list[e] = endpoint(e);
		set_list(list, FEW_ENDPOINTS, own);
		pass(60000);
		assert_int_equal(nft_kernel_set("endpoints")->n, PORTS * FEW_ENDPOINTS);
		kernel.n_added = kernel.n_deleted = 0;
		list[3] = endpoint(FEW_ENDPOINTS);
		set_list(list, FEW_ENDPOINTS, own);
		pass(60000);
		assert_int_equal(kernel.n_added, PORTS + 1);
		assert_int_equal(kernel.n_deleted, PORTS + 1);
		set_list(list, FEW_ENDPOINTS, own);
		pass(60000);
		assert_int_equal(kernel.n_added, PORTS + 1);
		end();
	}
}

/* ---- nothing can be written ---- */

/* How many transactions may fail in so many seconds: some dozens before each pause. */
static size_t failures_in(int seconds)
{
	return (size_t)(seconds * 1000 / KEEPER_BACKOFF_MAX_MS + 8) * KEEPER_REFUSALS;
}

static void a_kernel_that_refuses_everything_is_left_in_peace(void **state)
{
	(void)state;
	begin();
	keeper_complete(w.k);
	pass(1000);
	w.may_fail = true;
	kernel.error = -ENOMEM;
	kernel.n_errors = UINT32_MAX;
	for (size_t i = 0; i < SERVICES; i++)
		set(i, 1);
	pass(100000);
	assert_true(kernel.n_refused <= failures_in(100));
	kernel.n_errors = 0;
	pass(60000);
	assert_int_equal(nft_kernel_set("ways")->n, SERVICES);
	end();
}

/* An item that stands, and one that goes from round to round. */
static void rounds_that_are_empty_do_not_pile_up(void **state)
{
	struct queue q;

	(void)state;
	queue_init(&q);
	uint32_t first = queue_put(&q, QUEUE_NEW, QUEUE_SMALL, queue_round(&q, QUEUE_SMALL),
	                           FRAME_ENDPOINTS, 1),
		 last = 0;
	for (int i = 0; i < 1000 * QUEUE_ROUND; i++) {
		uint32_t before = last;
		last = queue_put(&q, QUEUE_NEW, QUEUE_SMALL, queue_round(&q, QUEUE_SMALL),
		                 FRAME_ENDPOINTS, 2);
		if (before)
			queue_take_out(&q, before);
		queue_cut(&q, QUEUE_SMALL);
	}
	assert_true(q.lanes[QUEUE_SMALL].n <= 32);
	assert_int_equal(queue_first(&q), first);
	assert_int_equal(queue_next(&q, first), last);
	assert_int_equal(queue_next(&q, last), 0);
	queue_take_out(&q, first);
	assert_int_equal(queue_first(&q), last);
	queue_take_out(&q, last);
	assert_int_equal(q.n, 0);
	queue_fini(&q);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_transaction_brings_services),
		cmocka_unit_test(each_transaction_of_a_repair_brings_services),
		cmocka_unit_test(what_is_set_as_it_is_makes_no_work),
		cmocka_unit_test(a_service_takes_little_memory),
		cmocka_unit_test(a_large_service_is_planned_in_pieces),
		cmocka_unit_test(a_large_service_is_changed_in_pieces),
		cmocka_unit_test(a_large_service_goes_in_pieces_while_it_is_planned),
		cmocka_unit_test(all_elements_are_compared_in_pieces),
		cmocka_unit_test(a_look_at_all_elements_goes_in_pieces),
		cmocka_unit_test(a_small_service_overtakes_a_large_one),
		cmocka_unit_test(reading_again_does_not_wait_for_long),
		cmocka_unit_test(whoever_never_rests_does_not_keep_the_keeper_from_beginning),
		cmocka_unit_test(whoever_never_rests_holds_nobody_up),
		cmocka_unit_test(a_transaction_has_few_new_kinds),
		cmocka_unit_test(times_of_affinity_take_few_kinds),
		cmocka_unit_test(one_endpoint_of_many_ports_is_one_element_of_each),
		cmocka_unit_test(a_kernel_that_refuses_everything_is_left_in_peace),
		cmocka_unit_test(rounds_that_are_empty_do_not_pile_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
