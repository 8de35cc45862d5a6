/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper in mode ipvs, with a kernel that is made up (nft_kernel.h): what IPVS is told, and that
 * nothing ever leads to a virtual server that is not there.
 */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "nft_kernel.h"
#include "proxy/conntrack.h"
#include "proxy/ipvs/virtual.h"
#include "proxy/nftables/keeper_private.h"
#include "virtual_loop.h"

#define LONG_MS 60000
#define SERVERS_MAX 8

/* ---- IPVS ---- */

static struct {
	uint32_t mark;
	char scheduler[VIRTUAL_SCHEDULER_SIZE];
	size_t n, n_kept;
	bool there;
} servers[SERVERS_MAX];
static size_t n_servers;
static bool holds; /* what is new waits */

static size_t server_at(uint32_t mark)
{
	size_t i = 0;

	while (i < n_servers && servers[i].mark != mark)
		i++;
	return i;
}

static void let_be_there(void)
{
	for (size_t i = 0; i < n_servers; i++)
		servers[i].there = true;
}

void __wrap_virtuals_set(struct virtuals *v, const struct virtual_server *server);
void __wrap_virtuals_remove(struct virtuals *v, struct virtual_id id);
bool __wrap_virtuals_is_settled(const struct virtuals *v);
bool __wrap_virtuals_is_applied(const struct virtuals *v, struct virtual_id id);

void __wrap_virtuals_set(struct virtuals *v, const struct virtual_server *server)
{
	size_t i = server_at(server->id.mark);

	(void)v;
	assert_true(i < SERVERS_MAX);
	assert_true(server->id.mark & PROXY_MARK_DEFAULT);
	n_servers += i == n_servers;
	servers[i].mark = server->id.mark;
	servers[i].n = server->n_endpoints;
	servers[i].n_kept = server->n_kept;
	memcpy(servers[i].scheduler, server->scheduler, sizeof(servers[i].scheduler));
	servers[i].there = servers[i].there || !holds;
}

/* Nothing leads there any more: the set is gone, or has endpoints in the table. */
void __wrap_virtuals_remove(struct virtuals *v, struct virtual_id id)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	const uint32_t set = id.mark & ~PROXY_MARK_DEFAULT;
	frame_kind kind = FRAME_KIND_DROP;
	size_t i = server_at(id.mark);

	(void)v;
	assert_true(i < n_servers);
	memcpy(key, &set, sizeof(set));
	const struct kernel_element *e = nft_kernel_find(nft_kernel_set("sets"), key, false);
	if (e)
		memcpy(&kind, e->value, sizeof(kind));
	assert_int_not_equal(kind, FRAME_KIND_VIRTUAL);
	servers[i] = servers[--n_servers];
}

bool __wrap_virtuals_is_settled(const struct virtuals *v)
{
	bool all = true;

	(void)v;
	for (size_t i = 0; i < n_servers; i++)
		all = all && servers[i].there;
	return all;
}

bool __wrap_virtuals_is_applied(const struct virtuals *v, struct virtual_id id)
{
	size_t i = server_at(id.mark);

	(void)v;
	return i == n_servers || servers[i].there;
}

/* ---- flows of UDP, of no interest here ---- */

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e);

int __wrap_conntrack_run_start(struct event_base *base, struct conntrack_job *j,
                               conntrack_done_fn *done, void *arg, struct conntrack_run **ret_run,
                               struct err *e)
{
	(void)base, (void)j, (void)done, (void)arg, (void)ret_run;
	return err_set(e, -ENOSYS, ERR_SYSTEM, "none");
}

/* ---- a Service ---- */

static struct {
	struct event_base *base;
	struct keeper *k;
	size_t n_planned;
} w;

static struct {
	struct proxy_half s;
	struct proxy_outside outside;
	struct proxy_port port;
	struct proxy_endpoint list[3];
	struct addr vip;
} wish;

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void make_wish(void)
{
	static const char *const endpoints[] = { "10.244.1.7", "10.244.2.7", "10.244.3.7" };

	memset(&wish, 0, sizeof(wish));
	wish.vip = addr("192.0.2.9");
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
		wish.list[i] = (struct proxy_endpoint){ .addr = addr(endpoints[i]), .port = 8080 };
	wish.port = (struct proxy_port){ .name = "",
		                         .proto = IPPROTO_TCP,
		                         .port = 80,
		                         .has_any = true,
		                         .cluster = wish.list,
		                         .n_cluster = ARRAY_LEN(endpoints) };
	wish.outside = (struct proxy_outside){ .vips = &wish.vip, .n_vips = 1 };
	wish.s = (struct proxy_half){ .key = "shop/web",
		                      .family = 4,
		                      .cluster_ip = addr("10.96.0.17"),
		                      .outside = &wish.outside,
		                      .ports = &wish.port,
		                      .n_ports = 1 };
}

static void applied(void *arg)
{
	(void)arg;
}

static void planned(void *arg)
{
	(void)arg;
	w.n_planned++;
}

static void failed(const struct err *e, void *arg)
{
	(void)arg, (void)e;
}

static void pass(void)
{
	virtual_loop_run(virtual_now() + LONG_MS);
}

static int setup(void **state)
{
	static const struct keeper_ops ops = { applied, planned, failed };
	const struct frame frame = { .family = 4, .mark = PROXY_MARK_DEFAULT, .ipvs = true };

	(void)state;
	virtual_loop_init(1);
	nft_kernel_init();
	make_wish();
	n_servers = 0;
	memset(servers, 0, sizeof(servers));
	memset(&w, 0, sizeof(w));
	holds = false;
	w.base = event_base_new();
	/* Whatever it is, only the functions above get it. */
	return keeper_new(w.base, &frame, false, (struct virtuals *)&wish, &ops, NULL, &w.k, NULL);
}

static int teardown(void **state)
{
	(void)state;
	keeper_free(w.k);
	event_base_free(w.base);
	nft_kernel_fini();
	return 0;
}

static size_t n_ways(void)
{
	const struct kernel_set *ways =
		nft_kernel_table(FRAME_TABLE) ? nft_kernel_set("ways") : NULL;

	return ways ? ways->n : 0;
}

/* ---- what is asserted ---- */

static void nothing_leads_to_what_is_not_there(void **state)
{
	(void)state;
	holds = true;
	keeper_set(w.k, &wish.s);
	keeper_complete(w.k);
	pass();
	assert_int_equal(w.n_planned, 1);
	assert_int_equal(n_servers, 1);
	assert_int_equal(servers[0].n, 3);
	assert_int_equal(n_ways(), 0);
	assert_false(keeper_is_applied(w.k, "shop/web"));
	let_be_there();
	keeper_go_on(w.k);
	pass();
	assert_int_equal(n_ways(), 2);
	assert_true(keeper_is_applied(w.k, "shop/web"));
	assert_int_equal(nft_kernel_set("endpoints")->n, 0);
	/* That another kind takes its place is no rounding of times. */
	assert_int_equal(w.k->n_rounded, 0);
}

static void what_goes_is_let_go_of_last(void **state)
{
	(void)state;
	keeper_set(w.k, &wish.s);
	keeper_complete(w.k);
	pass();
	keeper_remove(w.k, "shop/web");
	pass();
	assert_int_equal(n_servers, 0); /* and nothing led there when it went */
	assert_int_equal(n_ways(), 0);
}

static void without_endpoints_it_goes(void **state)
{
	(void)state;
	keeper_set(w.k, &wish.s);
	keeper_complete(w.k);
	pass();
	wish.port.n_cluster = 0;
	wish.port.has_any = false;
	keeper_set(w.k, &wish.s);
	pass();
	assert_int_equal(n_servers, 0);
	assert_int_equal(n_ways(), 2);
}

static void schedulers(void **state)
{
	static const struct {
		const char *asked, *expected;
		bool outside;
	} rows[] = {
		{ NULL, "", true }, /* the default one, which all nodes agree by */
		{ NULL, "rr", false },
		{ "wlc", "wlc", true },
		{ "lc", "lc", false },
	};

	(void)state;
	keeper_complete(w.k);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		wish.outside.n_vips = rows[i].outside;
		wish.s.traffic.scheduler = rows[i].asked;
		keeper_set(w.k, &wish.s);
		pass();
		assert_int_equal(n_servers, 1);
		assert_string_equal(servers[0].scheduler, rows[i].expected);
	}
}

/* Those that serve on, and those that hints leave to others though they are here. */
static void endpoints_that_get_nothing_new_are_kept(void **state)
{
	struct proxy_endpoint local = wish.list[2];

	(void)state;
	local.local = true;
	wish.port.proto = IPPROTO_UDP;
	wish.port.n_cluster = 1;
	wish.port.kept = &wish.list[1];
	wish.port.n_kept = 1;
	wish.port.local = &local;
	wish.port.n_local = 1;
	wish.s.traffic.external_local = true;
	keeper_set(w.k, &wish.s);
	keeper_complete(w.k);
	pass();
	assert_int_equal(n_servers, 2);
	assert_int_equal(servers[0].n, 1);
	assert_int_equal(servers[0].n_kept, 2);
	assert_int_equal(servers[1].n, 1);
	assert_int_equal(servers[1].n_kept, 1);
}

/* IPVS would keep the port that it came for. */
static void affinity_is_the_tables_own(void **state)
{
	(void)state;
	keeper_set(w.k, &wish.s);
	keeper_complete(w.k);
	pass();
	wish.s.traffic.affinity_s = 60;
	keeper_set(w.k, &wish.s);
	pass();
	assert_int_equal(n_servers, 0);
	assert_int_equal(nft_kernel_set("members")->n, 3);
	assert_int_equal(nft_kernel_set("tickets")->n, 3);
	wish.s.traffic.affinity_s = 0;
	keeper_set(w.k, &wish.s);
	pass();
	assert_int_equal(n_servers, 1);
	assert_int_equal(nft_kernel_set("tickets")->n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_leads_to_what_is_not_there, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(what_goes_is_let_go_of_last, setup, teardown),
		cmocka_unit_test_setup_teardown(without_endpoints_it_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(schedulers, setup, teardown),
		cmocka_unit_test_setup_teardown(endpoints_that_get_nothing_new_are_kept, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(affinity_is_the_tables_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
