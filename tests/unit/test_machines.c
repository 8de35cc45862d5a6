/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's list of machines' addresses: what comes into the books and out of them, and
 * which Services that concerns.
 */
#include "config.h"

#include "unit.h"

#include <event2/event.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "controller/books.h"
#include "controller/machines.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "virtual_kube.h"
#include "virtual_loop.h"

static struct controller ctl;

static const char pools[] =
	"address-pools:\n"
	"- {name: lan, protocol: layer2, use: [load-balancer, external-ip], addresses: [10.0.0.0/24]}\n"
	"- {name: api, protocol: layer2, addresses: [10.255.0.0/30]}\n";

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void begin(bool leading)
{
	struct config_problems errors = { 0 };

	virtual_loop_init(1);
	memset(&ctl, 0, sizeof(ctl));
	assert_int_equal(
		configuration_parse(pools, strlen(pools), &ctl.config.in_force, &errors, NULL), 0);
	ctl.ipam = ipam_new(ctl.config.in_force);
	ctl.base = event_base_new();
	ctl.turn = event_new(ctl.base, -1, 0, NULL, NULL);
	ctl.leading = leading;
}

static void end(void)
{
	struct record *r, *next;

	HASH_ITER(hh, ctl.records, r, next) {
		HASH_DEL(ctl.records, r);
		books_set_waiting(r, false);
		record_free(r);
	}
	machines_free(&ctl);
	ipam_free(ctl.ipam);
	configuration_unref(ctl.config.in_force);
	event_free(ctl.turn);
	event_base_free(ctl.base);
}

/* @addresses: of its status, with single quotes. */
static int put_node(const char *name, const char *addresses)
{
	cleanup_free char *text = xasprintf("{'metadata':{'name':'%s','uid':'u'},"
	                                    "'status':{'addresses':%s}}",
	                                    name, addresses);
	struct err e = ERR_INIT;

	for (char *s = text; *s; s++)
		if (*s == '\'')
			*s = '"';
	struct json_object *obj = json_tokener_parse(text);
	assert_non_null(obj);
	int r = machines_ops.upsert(obj, &ctl, &e);
	json_object_put(obj);
	return r;
}

static void remove_node(const char *name)
{
	machines_ops.remove("", name, "u", &ctl);
}

/* NULL: no machine has it. */
static const char *machine_of(const char *text, enum reason *ret_reason)
{
	const struct addr a = addr_of(text);
	struct ipam_machine_view m;

	if (!ipam_machine_of(ctl.ipam, &a, &m))
		return NULL;
	*ret_reason = m.reason;
	return m.what;
}

static void assert_machine(const char *text, enum reason reason, const char *what)
{
	enum reason is;
	const char *found = machine_of(text, &is);

	if (!found)
		fail_msg("no machine has %s", text);
	assert_string_equal(found, what);
	assert_int_equal(is, reason);
}

static void assert_free(const char *text)
{
	enum reason reason;
	const char *found = machine_of(text, &reason);

	if (found)
		fail_msg("%s is that of %s", text, found);
}

#define INTERNAL(ip) "{'type':'InternalIP','address':'" ip "'}"
#define EXTERNAL(ip) "{'type':'ExternalIP','address':'" ip "'}"

static void nodes_come_change_and_go(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(put_node("n1",
	                          "[" INTERNAL("10.0.0.1") "," EXTERNAL("203.0.113.1") "," EXTERNAL(
					  "10.0.0.1") ",{'type':'Hostname','address':'10.0.0.9'}]"),
	                 0);
	assert_machine("10.0.0.1", REASON_NodeAddress, "Node n1");
	assert_machine("203.0.113.1", REASON_NodeAddress, "Node n1");
	assert_free("10.0.0.9");
	assert_int_equal(put_node("n1", "[" INTERNAL("10.0.0.2") "," INTERNAL("203.0.113.1") "]"),
	                 0);
	assert_free("10.0.0.1");
	assert_machine("10.0.0.2", REASON_NodeAddress, "Node n1");
	assert_machine("203.0.113.1", REASON_NodeAddress, "Node n1");
	remove_node("n2");
	assert_machine("10.0.0.2", REASON_NodeAddress, "Node n1");
	remove_node("n1");
	assert_free("10.0.0.2");
	assert_free("203.0.113.1");
	end();
}

/* As while one node takes another's place. */
static void two_nodes_may_have_one_address(void **state)
{
	(void)state;
	begin(false);
	put_node("old", "[" INTERNAL("10.0.0.1") "]");
	put_node("new", "[" INTERNAL("10.0.0.1") "]");
	assert_machine("10.0.0.1", REASON_NodeAddress, "Node old");
	remove_node("old");
	assert_machine("10.0.0.1", REASON_NodeAddress, "Node new");
	put_node("new", "[]");
	assert_free("10.0.0.1");
	end();
}

static void a_node_that_cannot_be_read_keeps_its_addresses(void **state)
{
	(void)state;
	begin(false);
	put_node("n1", "[" INTERNAL("10.0.0.1") "]");
	assert_true(put_node("n1", "'10.0.0.2'") < 0);
	assert_machine("10.0.0.1", REASON_NodeAddress, "Node n1");
	end();
}

/* With another configuration, or before the first one, when there are none. */
static void new_books_know_all_machines(void **state)
{
	(void)state;
	begin(false);
	struct ipam *books = TAKE(ctl.ipam);
	put_node("n1", "[" INTERNAL("10.0.0.1") "]");
	put_node("n2", "[" INTERNAL("10.0.0.2") "," EXTERNAL("10.0.0.3") "]");
	machines_see_api_server(&ctl);
	remove_node("n1");
	ctl.ipam = books;
	machines_fill(&ctl);
	assert_free("10.0.0.1");
	assert_machine("10.0.0.2", REASON_NodeAddress, "Node n2");
	assert_machine("10.0.0.3", REASON_NodeAddress, "Node n2");
	assert_machine("10.255.0.1", REASON_AddressOfApiServer, "the API server");
	end();
}

/* It may be another one the next time; between two connections it is still where it was. */
static void the_api_server_is_the_one_that_we_talk_to(void **state)
{
	const struct addr first = virtual_server;

	(void)state;
	begin(false);
	virtual_server = (struct addr){ 0 };
	machines_see_api_server(&ctl);
	assert_free("10.255.0.1");
	virtual_server = first;
	machines_see_api_server(&ctl);
	machines_see_api_server(&ctl);
	assert_machine("10.255.0.1", REASON_AddressOfApiServer, "the API server");
	virtual_server = (struct addr){ 0 };
	machines_see_api_server(&ctl);
	assert_machine("10.255.0.1", REASON_AddressOfApiServer, "the API server");
	virtual_server = addr_of("10.255.0.2");
	machines_see_api_server(&ctl);
	assert_machine("10.255.0.2", REASON_AddressOfApiServer, "the API server");
	assert_free("10.255.0.1");
	virtual_server = first;
	end();
}

/* ---- whom it concerns ---- */

static struct record *add_record(const char *name)
{
	const struct kube_meta meta = { .namespace = (char *)(uintptr_t) "shop",
		                        .name = (char *)(uintptr_t)name,
		                        .uid = (char *)(uintptr_t) "u" };
	struct record *r = record_new(&ctl, &meta);

	HASH_ADD_KEYPTR(hh, ctl.records, r->key, strlen(r->key), r);
	return r;
}

static void holders_and_those_who_wait_are_decided_again(void **state)
{
	static const struct {
		bool leading;
		const char *ip;
		bool lb, external, waiting;
	} rows[] = {
		{ true, "10.0.0.1", true, false, true },
		{ true, "10.0.0.2", false, true, true },
		{ true, "10.0.0.3", false, false, true },
		{ true, "192.0.2.1", false, false, false },
		{ false, "10.0.0.1", false, false, false },
	};
	const struct addr lb_has = addr_of("10.0.0.1"), external_has = addr_of("10.0.0.2");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin(rows[i].leading);
		struct record *lb = add_record("lb"), *external = add_record("external");
		struct record *waiting = add_record("waiting"), *other = add_record("other");
		ipam_hold(ctl.ipam, lb->key, &lb_has, 1);
		ipam_hold(ctl.ipam, external->external_key, &external_has, 1);
		books_set_waiting(waiting, true);
		cleanup_free char *addresses =
			xasprintf("[{'type':'InternalIP','address':'%s'}]", rows[i].ip);
		/* When it comes, and when it goes. */
		for (int k = 0; k < 2; k++) {
			lb->dirty = external->dirty = waiting->dirty = other->dirty = false;
			if (k == 0)
				put_node("n1", addresses);
			else
				remove_node("n1");
			if (lb->dirty != rows[i].lb || external->dirty != rows[i].external ||
			    waiting->dirty != rows[i].waiting || other->dirty)
				fail_msg("row %zu, %s: %d %d %d %d", i, k ? "gone" : "there",
				         lb->dirty, external->dirty, waiting->dirty, other->dirty);
		}
		end();
	}
}

/* What the Event about a configuration says of them. */
static void a_few_are_told(void **state)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;

	(void)state;
	begin(false);
	put_node("n0", "[" INTERNAL("192.0.2.1") "]");
	machines_tell(&ctl, &note);
	assert_string_equal(buf_str(&note), "");
	put_node("n3", "[" INTERNAL("10.0.0.3") "," EXTERNAL("10.0.0.4") "]");
	put_node("n1", "[" INTERNAL("10.0.0.1") "]");
	put_node("n2", "[" INTERNAL("10.0.0.2") "," INTERNAL("10.0.0.5") "]");
	machines_tell(&ctl, &note);
	assert_string_equal(
		buf_str(&note),
		"; pool lan holds 10.0.0.1, the address of Node n1: it is assigned to nobody"
		"; pool lan holds 10.0.0.2, the address of Node n2: it is assigned to nobody"
		"; pool lan holds 10.0.0.3, the address of Node n3: it is assigned to nobody"
		"; and 2 more addresses of machines");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_come_change_and_go),
		cmocka_unit_test(two_nodes_may_have_one_address),
		cmocka_unit_test(a_node_that_cannot_be_read_keeps_its_addresses),
		cmocka_unit_test(new_books_know_all_machines),
		cmocka_unit_test(the_api_server_is_the_one_that_we_talk_to),
		cmocka_unit_test(holders_and_those_who_wait_are_decided_again),
		cmocka_unit_test(a_few_are_told),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("machines", tests, NULL, NULL);
}
