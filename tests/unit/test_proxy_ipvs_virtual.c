/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual servers with a kernel that is made up (ipvs_kernel.h), in virtual time: whatever fails
 * and whatever others do, in the end the kernel has what is wanted, and nothing more is written;
 * and what others have there is never touched.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/mem.h"
#include "ipvs_kernel.h"
#include "proxy/ipvs/virtual.h"
#include "virtual_loop.h"

#define TAG 0x1000u
/* More than all pauses together that follow one failure after another, and the grace. */
#define LONG_MS 300000
#define GRACE_S 20
#define WISHES 10
/* the mark of somebody else's, which has the tag by chance */
#define ENDPOINTS 6
#define FOREIGN 0x1800u

static struct event_base *base;
static struct virtuals *self;
static size_t n_failed;
static char last_failure[ERR_MSG_SIZE];

static void applied(void *arg)
{
	(void)arg;
}

static void failed(const struct err *e, void *arg)
{
	(void)arg;
	assert_true(*e->msg);
	memcpy(last_failure, e->msg, sizeof(last_failure));
	n_failed++;
}

static const struct virtuals_ops ops = { .applied = applied, .failed = failed };

static void start(void)
{
	assert_int_equal(virtuals_start(base, TAG, &ops, NULL, &self, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	virtual_loop_init(1);
	ipvs_kernel_init();
	base = event_base_new();
	n_failed = 0;
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	virtuals_stop(self);
	event_base_free(base);
	return 0;
}

static void pass(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
}

static struct virtual_endpoint endpoint(uint8_t family, unsigned int i)
{
	struct virtual_endpoint e = { .addr = { .family = family }, .port = 8080 };

	e.addr.b[0] = family == 4 ? 10 : 0xfd;
	e.addr.b[family == 4 ? 3 : 15] = (uint8_t)(i + 1);
	return e;
}

/* @mask: which of the endpoints. */
static void set(uint32_t mark, uint8_t family, uint8_t proto, const char *scheduler,
                unsigned int mask)
{
	struct virtual_endpoint list[ENDPOINTS];
	struct virtual_server v = {
		.id = { mark, family }, .proto = proto, .endpoints = list, .grace_s = GRACE_S
	};

	strcpy(v.scheduler, scheduler);
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		if (mask & 1u << i)
			list[v.n_endpoints++] = endpoint(family, i);
	virtuals_set(self, &v);
}

/* The endpoints that serve, as bits, and that their order is that of mh. */
static unsigned int serving(uint32_t mark, uint8_t family, bool in_order)
{
	const struct kernel_server *s = ipvs_kernel_find((struct virtual_id){ mark, family });
	unsigned int mask = 0, last = UINT32_MAX;

	assert_non_null(s);
	assert_int_equal(s->timeout_s, IPVS_STAMP_S);
	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].weight == 0)
			continue;
		assert_int_equal(s->list[i].weight, 1);
		unsigned int k = s->list[i].at.addr.b[family == 4 ? 3 : 15] - 1u;
		assert_true(!in_order || k < last);
		last = k;
		mask |= 1u << k;
	}
	return mask;
}

static struct kernel_server *server(uint32_t mark)
{
	return ipvs_kernel_find((struct virtual_id){ mark, 4 });
}

static bool is_ready(uint32_t mark)
{
	return virtuals_is_applied(self, (struct virtual_id){ mark, 4 });
}

static const char *refusal(uint32_t mark)
{
	return virtuals_refusal(self, (struct virtual_id){ mark, 4 });
}

static size_t done_since(size_t before)
{
	return kernel.n_operations - before;
}

/* ---- one thing at a time ---- */

static void nothing_is_written_before_all_is_known(void **state)
{
	size_t before = kernel.n_operations;

	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 3);
	pass(LONG_MS);
	assert_int_equal(done_since(before), 0);
	assert_false(is_ready(0x1002));
	virtuals_complete(self);
	pass(100);
	assert_true(is_ready(0x1002));
	assert_int_equal(serving(0x1002, 4, true), 3);
	assert_string_equal(server(0x1002)->scheduler, "mh");
	/* The virtual server, two endpoints, the scheduler. */
	assert_int_equal(done_since(before), 4);
	assert_true(virtuals_is_in_sync(self));
}

static void what_changes_is_written_and_nothing_else(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WISHES; i++)
		set(0x1002 + i, 4, IPPROTO_TCP, "rr", 7);
	virtuals_complete(self);
	pass(100);
	size_t before = kernel.n_operations;
	set(0x1002, 4, IPPROTO_TCP, "rr", 7);
	pass(100);
	assert_int_equal(done_since(before), 0);
	set(0x1003, 4, IPPROTO_TCP, "rr", 15);
	pass(100);
	assert_int_equal(done_since(before), 1);
	set(0x1004, 4, IPPROTO_UDP, "rr", 6);
	pass(100);
	assert_int_equal(done_since(before), 2);
	virtuals_remove(self, (struct virtual_id){ 0x1005, 4 });
	pass(LONG_MS);
	assert_int_equal(done_since(before), 3);
	assert_null(server(0x1005));
	virtuals_audit(self);
	pass(LONG_MS);
	assert_int_equal(done_since(before), 3);
}

static void a_new_life_takes_over(void **state)
{
	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1003, 4, IPPROTO_TCP, "", 7);
	set(0x1002, 6, IPPROTO_TCP, "wlc", 3);
	virtuals_complete(self);
	pass(100);
	virtuals_stop(self);
	ipvs_kernel_add((struct virtual_id){ TAG, 4 }, "mh");
	start();
	size_t before = kernel.n_operations;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1002, 6, IPPROTO_TCP, "wlc", 7);
	virtuals_complete(self);
	pass(100);
	assert_int_equal(done_since(before), 1);
	assert_int_equal(serving(0x1002, 6, false), 7);
	assert_int_equal(virtuals_stats(self).repairs, 0);
	/* What nobody wants is left alone while it may have connections. */
	server(0x1003)->list[1].active = 1;
	pass(GRACE_S * 1000 / 2);
	assert_non_null(server(0x1003));
	pass(LONG_MS);
	assert_null(server(0x1003));
}

static void others_servers_are_left_alone(void **state)
{
	const struct virtual_endpoint e = endpoint(4, 0);
	/* Numbers of others may have the tag by chance. */
	struct kernel_server *s = ipvs_kernel_add((struct virtual_id){ 0x1388, 4 }, "rr");

	(void)state;
	ipvs_kernel_add_endpoint(s, &e, 5);
	ipvs_kernel_add((struct virtual_id){ 0x1387, 4 }, "rr");
	set(0x1387, 4, IPPROTO_TCP, "", 3);
	set(0x1388, 4, IPPROTO_TCP, "", 3);
	set(0x1389, 4, IPPROTO_TCP, "", 3);
	virtuals_complete(self);
	pass(LONG_MS);
	virtuals_audit(self);
	pass(LONG_MS);
	s = server(0x1388);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->list[0].weight, 5);
	assert_string_equal(s->scheduler, "rr");
	assert_string_equal(refusal(0x1388), "the kernel refuses the virtual server 0x1388 with "
	                                     "scheduler none: File exists (somebody else's, with "
	                                     "the same mark)");
	assert_false(is_ready(0x1388));
	assert_true(is_ready(0x1389));
	assert_int_equal(virtuals_n_refused(self, 4), 2);
	assert_int_equal(server(0x1387)->n + server(0x1387)->timeout_s, 0);
	assert_true(virtuals_is_settled(self) && !virtuals_is_in_sync(self));
	ipvs_kernel_remove(server(0x1387));
	ipvs_kernel_remove(server(0x1388));
	pass(LONG_MS);
	assert_true(is_ready(0x1388));
	assert_null(refusal(0x1388));
	assert_true(virtuals_is_in_sync(self));
}

static void a_failure_that_is_over_at_once_is_not_told(void **state)
{
	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 3);
	virtuals_complete(self);
	pass(0);
	kernel.error = -ENOMEM;
	kernel.n_errors = 1;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	pass(50);
	assert_true(is_ready(0x1002) && n_failed == 0);
	assert_int_equal(serving(0x1002, 4, true), 7);
}

static void an_endpoint_that_is_refused_harms_no_other(void **state)
{
	const struct virtual_endpoint bad = endpoint(4, 1);

	(void)state;
	kernel.poisoned = &bad;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1003, 4, IPPROTO_TCP, "", 5);
	virtuals_complete(self);
	pass(1000);
	assert_true(is_ready(0x1003));
	assert_false(is_ready(0x1002));
	assert_int_equal(serving(0x1002, 4, true), 5);
	assert_string_equal(refusal(0x1002),
	                    "the kernel refuses the endpoint 10.0.0.2:8080: Invalid argument");
	assert_string_equal(last_failure, refusal(0x1002));
	assert_int_equal(n_failed, 1);
	/* It is tried more and more rarely. */
	size_t before = kernel.n_operations;
	pass(LONG_MS);
	assert_true(done_since(before) > 0 && done_since(before) < 60);
	kernel.poisoned = NULL;
	pass(LONG_MS);
	assert_true(serving(0x1002, 4, true) == 7 && !*virtuals_last_error(self));
}

static void an_unknown_scheduler_has_a_substitute(void **state)
{
	const struct virtual_id id = { 0x1002, 4 };

	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "sed", 3);
	set(0x1003, 4, IPPROTO_TCP, "wlc", 3);
	virtuals_complete(self);
	pass(1000);
	assert_true(is_ready(0x1002));
	assert_string_equal(server(0x1002)->scheduler, "mh");
	assert_string_equal(virtuals_substitute(self, id), "mh");
	assert_string_equal(server(0x1003)->scheduler, "wlc");
	assert_null(virtuals_substitute(self, (struct virtual_id){ 0x1003, 4 }));
	assert_true(virtuals_lack_schedulers(self));
	/* The module is loaded after all. */
	kernel.schedulers = "mh rr wlc none sed";
	pass(1000000);
	assert_string_equal(server(0x1002)->scheduler, "sed");
	assert_null(virtuals_substitute(self, id));
	assert_false(virtuals_lack_schedulers(self));
}

static void schedulers_are_bounded(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VIRTUAL_SCHEDULERS_MAX + 10; i++) {
		char name[VIRTUAL_SCHEDULER_SIZE];
		snprintf(name, sizeof(name), "made-up-%u", i);
		set(0x1002, 4, IPPROTO_TCP, name, 3);
		set(0x1003 + i % 40, 4, IPPROTO_TCP, name, 3);
	}
	virtuals_complete(self);
	pass(1000);
	assert_true(virtuals_is_in_sync(self));
	assert_string_equal(server(0x1002)->scheduler, "mh");
}

static void what_others_change_is_mended(void **state)
{
	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1003, 4, IPPROTO_TCP, "", 7);
	set(0x1004, 4, IPPROTO_TCP, "", 7);
	virtuals_complete(self);
	pass(100);
	ipvs_kernel_remove(server(0x1002));
	server(0x1003)->list[1].weight = 0;
	strcpy(server(0x1004)->scheduler, "rr");
	kernel.n_interrupted = 1;
	virtuals_audit(self);
	pass(2000);
	assert_int_equal(serving(0x1002, 4, true), 7);
	assert_int_equal(serving(0x1003, 4, true), 7);
	assert_string_equal(server(0x1004)->scheduler, "mh");
	assert_true(virtuals_stats(self).repairs == 3 && n_failed == 0);
}

/* As `ipvsadm -E` does, also with the scheduler that it has. */
static void what_others_edit_is_mended(void **state)
{
	size_t before;

	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1003, 4, IPPROTO_TCP, "wlc", 7);
	set(0x1004, 4, IPPROTO_TCP, "", 7);
	set(0x1005, 4, IPPROTO_TCP, "", 7);
	set(0x1006, 4, IPPROTO_TCP, "", 0);
	virtuals_complete(self);
	pass(100);
	before = kernel.n_operations;
	ipvs_kernel_edit(server(0x1002), "rr");
	ipvs_kernel_edit(server(0x1003), "wlc");
	ipvs_kernel_edit(server(0x1004), "none");
	ipvs_kernel_edit(server(0x1006), "rr");
	virtuals_audit(self);
	pass(2000);
	assert_int_equal(serving(0x1002, 4, true), 7);
	assert_int_equal(serving(0x1003, 4, false), 7);
	assert_int_equal(serving(0x1004, 4, true), 7);
	assert_string_equal(server(0x1002)->scheduler, "mh");
	assert_int_equal(server(0x1002)->flags, server(0x1005)->flags);
	assert_string_equal(server(0x1004)->scheduler, "mh");
	assert_int_equal(serving(0x1006, 4, true), 0);
	assert_string_equal(server(0x1006)->scheduler, "mh");
	assert_int_equal(done_since(before), 4);
	assert_int_equal(virtuals_stats(self).repairs, 4);
	assert_true(virtuals_is_in_sync(self) && n_failed == 0);
}

static void what_others_edit_and_fill_is_mended(void **state)
{
	const struct virtual_endpoint other = endpoint(4, 5);

	(void)state;
	set(0x1002, 4, IPPROTO_UDP, "", 7);
	virtuals_complete(self);
	pass(100);
	ipvs_kernel_edit(server(0x1002), "rr");
	ipvs_kernel_add_endpoint(server(0x1002), &other, 3);
	server(0x1002)->list[2].weight = 0;
	virtuals_audit(self);
	pass(2000);
	assert_int_equal(serving(0x1002, 4, true), 7);
	assert_null(ipvs_kernel_endpoint(server(0x1002), &other));
	assert_int_equal(virtuals_stats(self).repairs, 1);
}

static void what_others_edit_while_it_drains_goes(void **state)
{
	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	virtuals_complete(self);
	pass(100);
	server(0x1002)->list[0].active = 1;
	virtuals_remove(self, (struct virtual_id){ 0x1002, 4 });
	pass(5000);
	ipvs_kernel_edit(server(0x1002), "rr");
	virtuals_audit(self);
	pass(5000);
	assert_non_null(server(0x1002));
	pass(GRACE_S * 1000);
	assert_null(server(0x1002));
	assert_int_equal(virtuals_stats(self).repairs, 0);
}

/*
 * Who deletes ours and makes one of his own with that mark, has it; also with an endpoint of ours.
 */
static void what_others_put_in_its_place_stays_theirs(void **state)
{
	const struct virtual_endpoint mine = endpoint(4, 0), other = endpoint(4, 5);

	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1003, 4, IPPROTO_TCP, "", 7);
	set(0x1004, 4, IPPROTO_TCP, "", 0);
	virtuals_complete(self);
	pass(100);
	for (uint32_t mark = 0x1002; mark <= 0x1004; mark++) {
		ipvs_kernel_remove(server(mark));
		struct kernel_server *s = ipvs_kernel_add((struct virtual_id){ mark, 4 }, "rr");
		ipvs_kernel_add_endpoint(s, &other, 3);
	}
	ipvs_kernel_add_endpoint(server(0x1003), &mine, 3);
	const struct kernel_server first = *server(0x1002), second = *server(0x1003),
				   third = *server(0x1004);
	virtuals_audit(self);
	pass(LONG_MS);
	set(0x1002, 4, IPPROTO_TCP, "", 3);
	pass(LONG_MS);
	assert_memory_equal(server(0x1002), &first, sizeof(first));
	assert_memory_equal(server(0x1003), &second, sizeof(second));
	assert_memory_equal(server(0x1004), &third, sizeof(third));
	assert_non_null(strstr(refusal(0x1002), "somebody else's, with the same mark"));
	assert_non_null(refusal(0x1003));
	assert_false(is_ready(0x1002) || is_ready(0x1003));
}

/* As `ipvsadm -C` does; no audit is waited for. */
static void what_is_emptied_is_filled_at_once(void **state)
{
	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	set(0x1003, 4, IPPROTO_UDP, "rr", 3);
	virtuals_complete(self);
	pass(100);
	kernel.n = 0;
	pass(3000);
	assert_int_equal(serving(0x1002, 4, true), 7);
	assert_int_equal(serving(0x1003, 4, false), 3);
	assert_int_equal(virtuals_stats(self).repairs, 2);
	assert_true(virtuals_is_in_sync(self));
}

static void a_list_that_lacks_some_harms_nobody(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WISHES; i++)
		set(0x1002 + i, 4, IPPROTO_TCP, "", 7);
	virtuals_complete(self);
	pass(100);
	size_t before = kernel.n_operations;
	kernel.n_gaps = 3;
	kernel.n_interrupted = 1;
	for (int i = 0; i < 4; i++) {
		virtuals_audit(self);
		pass(5000);
	}
	assert_int_equal(done_since(before), 0);
	assert_int_equal(virtuals_stats(self).repairs, 0);
}

static void counters_are_those_of_the_last_audit(void **state)
{
	struct virtual_counters c;

	(void)state;
	set(0x1002, 4, IPPROTO_TCP, "", 7);
	virtuals_complete(self);
	pass(100);
	assert_true(virtuals_counters(self, (struct virtual_id){ 0x1002, 4 }, &c));
	assert_int_equal(c.connections, 0);
	virtuals_audit(self);
	pass(100);
	assert_true(virtuals_counters(self, (struct virtual_id){ 0x1002, 4 }, &c));
	assert_int_equal(c.connections, 0x1002);
	assert_int_equal(c.out_bytes, 7);
	assert_false(virtuals_counters(self, (struct virtual_id){ 0x1002, 6 }, &c));
}

static void everything_of_ours_is_cleaned_up(void **state)
{
	(void)state;
	ipvs_kernel_add((struct virtual_id){ 5000, 4 }, "rr");
	assert_false(virtuals_any());
	for (uint32_t i = 0; i < WISHES * 3; i++)
		set(0x1002 + i, i % 2 ? 4 : 6, IPPROTO_TCP, "", 7);
	virtuals_complete(self);
	pass(1000);
	assert_true(virtuals_any());
	assert_int_equal(virtuals_clean(NULL), 0);
	assert_false(virtuals_any());
	assert_int_equal(kernel.n, 1);
}

/* ---- everything at once ---- */

struct wish {
	bool wanted;
	uint8_t family, proto;
	unsigned int mask;
	char scheduler[VIRTUAL_SCHEDULER_SIZE];
};

static struct wish wishes[WISHES];

static void wish(unsigned int i)
{
	static const char *const schedulers[] = { "", "mh", "rr", "wlc", "nonsense" };
	struct wish *w = &wishes[i];

	w->family = i % 3 ? 4 : 6;
	w->proto = i % 4 == 1 ? IPPROTO_UDP : IPPROTO_TCP;
	w->wanted = virtual_random(5) > 0;
	if (!w->wanted) {
		virtuals_remove(self, (struct virtual_id){ 0x1002 + i, w->family });
		return;
	}
	w->mask = (unsigned int)virtual_random(1u << ENDPOINTS);
	if (virtual_random(4) == 0)
		strcpy(w->scheduler, schedulers[virtual_random(ARRAY_LEN(schedulers))]);
	set(0x1002 + i, w->family, w->proto, w->scheduler, w->mask);
}

static void meddle(void)
{
	if (kernel.n == 0)
		return;
	struct kernel_server *s = &kernel.servers[virtual_random(kernel.n)];
	const struct virtual_endpoint e =
		endpoint(s->id.family, (unsigned int)virtual_random(ENDPOINTS));

	if (s->timeout_s != IPVS_STAMP_S)
		return;
	switch (virtual_random(6)) {
	case 0:
		ipvs_kernel_remove(s);
		break;
	case 1:
		if (!ipvs_kernel_endpoint(s, &e))
			ipvs_kernel_add_endpoint(s, &e, (uint32_t)virtual_random(3));
		break;
	case 2:
		if (s->n > 0)
			ipvs_kernel_remove_endpoint(s, virtual_random(s->n));
		break;
	case 3:
		if (s->n > 0)
			s->list[0].weight = (uint32_t)virtual_random(3);
		break;
	case 4:
		if (s->n > 0)
			ipvs_kernel_edit(s, virtual_random(2) ? "rr" : s->scheduler);
		break;
	default:
		for (size_t i = 0; i < s->n; i++)
			s->list[i].active = (uint32_t)virtual_random(2);
	}
}

static void spoil(void)
{
	static const int errors[] = { -ENOMEM, -EBUSY, -EPERM, -EEXIST, -ENOENT, -ESRCH };

	switch (virtual_random(4)) {
	case 0:
		kernel.error = errors[virtual_random(ARRAY_LEN(errors))];
		kernel.n_errors = (unsigned int)virtual_random(6);
		break;
	case 1:
		kernel.n_lost = (unsigned int)virtual_random(3);
		break;
	case 2:
		kernel.n_interrupted = (unsigned int)virtual_random(4);
		break;
	default:
		kernel.n_gaps = (unsigned int)virtual_random(3);
	}
}

/*
 * What is edited while something else goes wrong may count as somebody else's; so it does in a new
 * life.
 */
static void stamp_all(void)
{
	for (size_t i = 0; i < kernel.n; i++)
		if (kernel.servers[i].id.mark != FOREIGN)
			kernel.servers[i].timeout_s = IPVS_STAMP_S;
}

static void begin_anew(void)
{
	virtuals_stop(self);
	stamp_all();
	kernel.n_errors = kernel.n_lost = 0;
	start();
	for (unsigned int i = 0; i < WISHES; i++)
		if (wishes[i].wanted)
			set(0x1002 + i, wishes[i].family, wishes[i].proto, wishes[i].scheduler,
			    wishes[i].mask);
	if (virtual_random(2))
		pass((int64_t)virtual_random(100));
	virtuals_complete(self);
}

static void something_happens(void)
{
	switch (virtual_random(12)) {
	case 0:
		meddle();
		break;
	case 1:
		spoil();
		break;
	case 2:
		virtuals_audit(self);
		break;
	case 3:
		if (virtual_random(4) == 0)
			begin_anew();
		break;
	default:
		wish((unsigned int)virtual_random(WISHES));
	}
	if (virtual_random(2))
		pass((int64_t)virtual_random(virtual_random(4) ? 10 : 5000));
}

static void check_end(const struct kernel_server *foreign)
{
	size_t n = 1;

	for (unsigned int i = 0; i < WISHES; i++) {
		const struct wish *w = &wishes[i];
		const struct virtual_id id = { 0x1002 + i, w->family };
		const struct kernel_server *s = ipvs_kernel_find(id);
		assert_int_equal(s != NULL, w->wanted);
		if (!s)
			continue;
		n++;
		bool own = !strcmp(w->scheduler, "rr") || !strcmp(w->scheduler, "wlc");
		assert_string_equal(s->scheduler, own ? w->scheduler : "mh");
		assert_int_equal(serving(id.mark, id.family, !own), w->mask);
		assert_int_equal(s->n, (size_t)__builtin_popcount(w->mask));
		assert_true(virtuals_is_applied(self, id));
		assert_null(virtuals_refusal(self, id));
	}
	assert_int_equal(kernel.n, n);
	const struct kernel_server *s = ipvs_kernel_find(foreign->id);
	assert_non_null(s);
	assert_memory_equal(s, foreign, sizeof(*s));
	assert_true(virtuals_is_in_sync(self) && virtuals_is_settled(self));
	struct virtuals_stats st = virtuals_stats(self);
	assert_int_equal(st.servers, n - 1);
	assert_int_equal(st.draining + st.refused, 0);
}

static void one_life(uint64_t seed)
{
	const struct virtual_endpoint e = endpoint(4, 3);

	virtual_loop_init(seed);
	ipvs_kernel_init();
	memset(wishes, 0, sizeof(wishes));
	base = event_base_new();
	struct kernel_server *s = ipvs_kernel_add((struct virtual_id){ FOREIGN, 4 }, "wlc");
	ipvs_kernel_add_endpoint(s, &e, 2);
	const struct kernel_server foreign = *s;
	start();
	for (int i = 0; i < 5; i++)
		something_happens();
	virtuals_complete(self);
	for (int i = 0; i < 150; i++)
		something_happens();
	kernel.n_errors = kernel.n_lost = kernel.n_interrupted = kernel.n_gaps = 0;
	pass(LONG_MS);
	stamp_all();
	virtuals_audit(self);
	pass(LONG_MS);
	check_end(&foreign);
	size_t before = kernel.n_operations;
	virtuals_audit(self);
	pass(LONG_MS);
	assert_int_equal(kernel.n_operations, before);
	virtuals_stop(self);
	event_base_free(base);
}

static void it_ends_well(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++)
		one_life(seed);
}

/* As one that was built or started without it: IPv4 is carried all the same. */
static void a_kernel_may_lack_ipv6(void **state)
{
	(void)state;
	for (int lacks = 0; lacks < 2; lacks++) {
		virtuals_stop(self);
		ipvs_kernel_init();
		kernel.lacks_v6 = lacks;
		start();
		assert_true(virtuals_has_family(self, 4));
		assert_int_equal(virtuals_has_family(self, 6), !lacks);
		virtuals_complete(self);
		set(TAG + 1, 4, IPPROTO_TCP, "", 3);
		pass(1000);
		assert_int_equal(serving(TAG + 1, 4, true), 3);
	}
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(nothing_is_written_before_all_is_known),
		ALONE(what_changes_is_written_and_nothing_else),
		ALONE(a_new_life_takes_over),
		ALONE(others_servers_are_left_alone),
		ALONE(a_failure_that_is_over_at_once_is_not_told),
		ALONE(an_endpoint_that_is_refused_harms_no_other),
		ALONE(an_unknown_scheduler_has_a_substitute),
		ALONE(schedulers_are_bounded),
		ALONE(what_others_change_is_mended),
		ALONE(what_others_edit_is_mended),
		ALONE(what_others_edit_and_fill_is_mended),
		ALONE(what_others_edit_while_it_drains_goes),
		ALONE(what_others_put_in_its_place_stays_theirs),
		ALONE(what_is_emptied_is_filled_at_once),
		ALONE(a_list_that_lacks_some_harms_nobody),
		ALONE(counters_are_those_of_the_last_audit),
		ALONE(a_kernel_may_lack_ipv6),
		ALONE(everything_of_ours_is_cleaned_up),
		cmocka_unit_test(it_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
