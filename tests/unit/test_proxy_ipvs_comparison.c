/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between virtual servers as they are wanted and a kernel that is made up. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "ipvs_kernel.h"
#include "proxy/ipvs/comparison.h"
#include "proxy/ipvs/virtual.h"
#include "virtual_loop.h"

#define TAG 0x1000u
#define ENDPOINTS 6
#define STEPS_MAX 1000

static struct event_base *base;
static struct virtuals *self;

static void applied(void *arg)
{
	(void)arg;
}

static void failed(const struct err *e, void *arg)
{
	(void)e;
	(void)arg;
}

static void pass(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
}

static struct virtual_endpoint endpoint(unsigned int i)
{
	return (struct virtual_endpoint){
		.addr = { .family = 4, .b = { 10, 0, 0, (uint8_t)(i + 1) } }, .port = 8080
	};
}

/* @mask: which of the endpoints. */
static void set(uint32_t mark, uint8_t proto, const char *scheduler, unsigned int mask)
{
	struct virtual_endpoint list[ENDPOINTS];
	struct virtual_server v = { .id = { mark, 4 }, .proto = proto, .endpoints = list };

	strcpy(v.scheduler, scheduler);
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		if (mask & 1u << i)
			list[v.n_endpoints++] = endpoint(i);
	virtuals_set(self, &v);
}

static struct kernel_server *server(uint32_t mark)
{
	return ipvs_kernel_find((struct virtual_id){ mark, 4 });
}

static int set_up(void **state)
{
	static const struct virtuals_ops ops = { .applied = applied, .failed = failed };

	(void)state;
	virtual_loop_init(1);
	ipvs_kernel_init();
	base = event_base_new();
	assert_int_equal(virtuals_start(base, TAG, &ops, NULL, &self, NULL), 0);
	set(0x1002, IPPROTO_TCP, "", 7);
	set(0x1004, IPPROTO_TCP, "rr", 7);
	set(0x1006, IPPROTO_UDP, "rr", 3);
	virtuals_complete(self);
	pass(100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	virtuals_stop(self);
	event_base_free(base);
	return 0;
}

static void put(enum report_what what, struct virtual_id id, const char *words, void *arg)
{
	assert_int_equal(id.family, 4);
	buf_printf(arg, "%s 0x%x: %s\n", report_what_name(what), id.mark, words ? words : "all");
}

/* What is found, a line each. */
static char *differences(bool patient)
{
	struct buf text = BUF_INIT;
	struct comparison *c;
	size_t n_steps = 0;
	int r;

	assert_int_equal(comparison_new(self, 4, put, &text, &c, NULL), 0);
	while ((r = comparison_step(c, patient)) == 1)
		assert_true(n_steps++ < STEPS_MAX);
	comparison_free(c);
	if (r < 0)
		buf_printf(&text, "error %d\n", r);
	char *found = xstrdup(buf_str(&text));
	buf_fini(&text);
	return found;
}

static void check(const char *wanted)
{
	size_t before = kernel.n_operations;
	cleanup_free char *found = differences(true);

	assert_string_equal(found, wanted);
	assert_int_equal(kernel.n_operations, before);
}

static void what_is_as_it_should_be_is_no_difference(void **state)
{
	(void)state;
	check("");
	/* What others have there is theirs. */
	ipvs_kernel_add((struct virtual_id){ 0x1388, 4 }, "rr");
	ipvs_kernel_add((struct virtual_id){ 7, 4 }, "rr");
	check("");
	/* Those of the other family are compared by themselves. */
	const struct virtual_server six = { .id = { 0x1008, 6 }, .scheduler = "rr" };
	virtuals_set(self, &six);
	pass(100);
	assert_non_null(ipvs_kernel_find(six.id));
	check("");
}

static void what_differs_of_a_virtual_server_is_told(void **state)
{
	(void)state;
	strcpy(server(0x1002)->scheduler, "rr");
	server(0x1004)->flags = 0x10;
	ipvs_kernel_remove(server(0x1006));
	ipvs_kernel_add((struct virtual_id){ 0x2008, 4 }, "rr")->timeout_s = IPVS_STAMP_S;
	check("changed 0x1002: scheduler rr instead of mh\n"
	      "changed 0x1004: flags 0x10 instead of 0x0\n"
	      "missing 0x1006: all\n"
	      "foreign 0x2008: all\n");
	/* That of somebody else has its place. */
	ipvs_kernel_add((struct virtual_id){ 0x1006, 4 }, "rr");
	cleanup_free char *found = differences(true);
	assert_non_null(strstr(found, "missing 0x1006: all\n"));
}

static void what_differs_of_endpoints_is_told(void **state)
{
	const struct virtual_endpoint first = endpoint(0), second = endpoint(1),
				      other = endpoint(5);
	struct kernel_server *s = server(0x1004);

	(void)state;
	ipvs_kernel_endpoint(s, &first)->weight = 0;
	ipvs_kernel_remove_endpoint(s, (size_t)(ipvs_kernel_endpoint(s, &second) - s->list));
	ipvs_kernel_add_endpoint(s, &other, 1);
	check("changed 0x1004: 10.0.0.1:8080 has weight 0 instead of 1\n"
	      "missing 0x1004: 10.0.0.2:8080\n"
	      "foreign 0x1004: 10.0.0.6:8080\n");
	ipvs_kernel_endpoint(server(0x1006), &first)->tunnels = true;
	cleanup_free char *found = differences(true);
	assert_non_null(
		strstr(found, "changed 0x1006: 10.0.0.1:8080 is not reached by masquerading\n"));
}

static void the_order_matters_to_schedulers_that_hash(void **state)
{
	static const uint32_t marks[] = { 0x1002, 0x1004 };
	const struct virtual_endpoint first = endpoint(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		struct kernel_server *s = server(marks[i]);
		ipvs_kernel_remove_endpoint(s, (size_t)(ipvs_kernel_endpoint(s, &first) - s->list));
		ipvs_kernel_add_endpoint(s, &first, 1);
	}
	check("changed 0x1002: the order of endpoints, by which all nodes pick the same one\n");
	/* One that should not be there is no matter of order. */
	const struct virtual_endpoint low = { .addr = { .family = 4, .b = { 9 } }, .port = 80 };
	ipvs_kernel_remove(server(0x1002));
	virtuals_audit(self);
	pass(1000);
	ipvs_kernel_add_endpoint(server(0x1002), &low, 1);
	check("foreign 0x1002: 9.0.0.0:80\n");
}

static void what_drains_is_no_difference(void **state)
{
	const struct virtual_endpoint last = endpoint(2);

	(void)state;
	set(0x1004, IPPROTO_TCP, "rr", 3);
	virtuals_remove(self, (struct virtual_id){ 0x1002, 4 });
	pass(10);
	struct kernel_endpoint *e = ipvs_kernel_endpoint(server(0x1004), &last);
	assert_true(e && e->weight == 0 && server(0x1002));
	check("");
	/* It would get new connections. */
	e->weight = 1;
	check("changed 0x1004: 10.0.0.3:8080 has weight 1 instead of 0, as it goes\n");
}

/* It stays where it stands, though those that are wanted are put behind it. */
static void what_drains_is_no_matter_of_order(void **state)
{
	const struct virtual_endpoint last = endpoint(2);

	(void)state;
	set(0x1008, IPPROTO_TCP, "", 6);
	pass(10);
	set(0x1008, IPPROTO_TCP, "", 3);
	pass(10);
	const struct kernel_server *s = server(0x1008);
	assert_int_equal(s->n, 3);
	assert_memory_equal(&s->list[2].at, &last, sizeof(last));
	check("");
}

static void one_that_is_written_is_waited_for(void **state)
{
	(void)state;
	set(0x1004, IPPROTO_TCP, "rr", 15);
	cleanup_free char *waits = differences(true);
	cleanup_free char *told = differences(false);
	assert_non_null(strstr(waits, "error"));
	assert_string_equal(told, "missing 0x1004: 10.0.0.4:8080\n");
	pass(100);
	check("");
}

static void one_that_is_refused_is_missing(void **state)
{
	(void)state;
	ipvs_kernel_add((struct virtual_id){ 0x1008, 4 }, "rr");
	set(0x1008, IPPROTO_TCP, "rr", 1);
	pass(1000);
	check("missing 0x1008: all\n");
}

static void a_list_that_breaks_off_is_told(void **state)
{
	(void)state;
	kernel.n_interrupted = 1;
	cleanup_free char *found = differences(true);
	assert_non_null(strstr(found, "error"));
	check("");
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(what_is_as_it_should_be_is_no_difference),
		ALONE(what_differs_of_a_virtual_server_is_told),
		ALONE(what_differs_of_endpoints_is_told),
		ALONE(the_order_matters_to_schedulers_that_hash),
		ALONE(what_drains_is_no_difference),
		ALONE(what_drains_is_no_matter_of_order),
		ALONE(one_that_is_written_is_waited_for),
		ALONE(one_that_is_refused_is_missing),
		ALONE(a_list_that_breaks_off_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
