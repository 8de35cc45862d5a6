/* SPDX-License-Identifier: Apache-2.0 */
/* Which operations lead one virtual server from what the kernel has to what is wanted. */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/server.h"

#define NOW_S 100
#define GRACE_S 30

/*
 * Endpoints are letters, a below b; one in lower case has weight 1, in upper case weight 0, and is
 * only to be kept.  "-": there is no virtual server, or nobody wants it.
 */
struct step {
	const char *what;
	const char *scheduler;
	uint8_t proto;
	const char *there; /* in the order in which they were added */
	const char *wanted;
	/*
	 * S makes the virtual server, C changes it, R removes it; +a adds, -a removes, ~a gives
	 * weight 1, ~A gives weight 0
	 */
	const char *done;
};

static const struct step steps[] = {
	{ "a new one is made alone at first", "mh", IPPROTO_TCP, "-", "ab", "S" },
	{ "then it is filled and gets its table", "mh", IPPROTO_TCP, "", "ab", "+a+bC" },
	{ "one without a table has it from the beginning", "rr", IPPROTO_TCP, "", "ab", "+a+b" },
	{ "what is right stays", "mh", IPPROTO_TCP, "ab", "ab", "" },
	{ "a highest one is added behind others", "mh", IPPROTO_TCP, "ab", "abc", "+c" },
	{ "those above one in between move", "mh", IPPROTO_TCP, "ac", "abc", "+b-c+c" },
	{ "and all of them", "mh", IPPROTO_TCP, "bcd", "abcd", "+a-b+b-c+c-d+d" },
	{ "what stands wrong is put right", "mh", IPPROTO_TCP, "cab", "abc", "-c+c" },
	{ "any order will do without a table", "rr", IPPROTO_TCP, "ca", "abc", "+b" },
	{ "one that goes is drained", "mh", IPPROTO_TCP, "ab", "a", "~B" },
	{ "new ones come first", "mh", IPPROTO_TCP, "ab", "bc", "+c~A" },
	{ "one that drains stays so", "mh", IPPROTO_TCP, "aB", "a", "" },
	{ "it comes back", "mh", IPPROTO_TCP, "aB", "ab", "~b" },
	{ "it comes back to its place", "mh", IPPROTO_TCP, "bA", "ab", "~a-b+b" },
	{ "UDP goes at once", "mh", IPPROTO_UDP, "ab", "a", "-b" },
	{ "SCTP goes at once", "rr", IPPROTO_SCTP, "abc", "b", "-a-c" },
	{ "one that is kept has no weight", "rr", IPPROTO_UDP, "ab", "aB", "~B" },
	{ "it stays so", "rr", IPPROTO_UDP, "aB", "aB", "" },
	{ "where it is not there it is not made", "rr", IPPROTO_UDP, "a", "aB", "" },
	{ "nor before those that are", "rr", IPPROTO_UDP, "", "Abc", "+b+c" },
	{ "nor in their order", "mh", IPPROTO_UDP, "bd", "AbCde", "+e" },
	{ "it is wanted again", "rr", IPPROTO_UDP, "aB", "ab", "~b" },
	{ "in its place", "mh", IPPROTO_UDP, "bA", "ab", "~a-b+b" },
	{ "others go at once", "mh", IPPROTO_UDP, "abC", "aB", "~B-c" },
	{ "new ones stand behind it", "mh", IPPROTO_TCP, "Abc", "Abcd", "+d" },
	{ "all drain", "mh", IPPROTO_TCP, "ab", "", "~A~B" },
	{ "one that nobody wants waits for its connections", "mh", IPPROTO_TCP, "ab", "-", "" },
	{ "an empty one need not wait", "mh", IPPROTO_TCP, "", "-", "R" },
	{ "nor one of UDP", "rr", IPPROTO_UDP, "ab", "-", "R" },
	{ "nothing comes of nothing", "rr", IPPROTO_UDP, "-", "-", "" },
};

static struct virtual_endpoint endpoint(char c)
{
	return (struct virtual_endpoint){
		.addr = { .family = 4, .b = { 10, 0, 0, (uint8_t)(c | 0x20) } },
		.port = 80,
	};
}

static void want(struct server *s, const struct step *t, const char *letters)
{
	struct virtual_endpoint list[32], kept[32];
	struct virtual_server v = {
		.id = s->id, .proto = t->proto, .endpoints = list, .kept = kept, .grace_s = GRACE_S
	};

	/* In no order. */
	for (size_t n = strlen(letters); n > 0; n--)
		if (letters[n - 1] >= 'a')
			list[v.n_endpoints++] = endpoint(letters[n - 1]);
		else
			kept[v.n_kept++] = endpoint(letters[n - 1]);
	server_want(s, &v);
	server_schedule(s, t->scheduler);
	assert_true(server_wants(s, &v));
	if (*letters == '-')
		server_unwant(s);
}

static void find(struct server *s, const char *letters)
{
	struct ipvs_endpoint list[32];
	size_t n = strlen(letters);

	for (size_t i = 0; i < n; i++) {
		char c = letters[n - 1 - i];
		list[i] = (struct ipvs_endpoint){
			.endpoint = endpoint(c), .rewrites = true, .weight = c >= 'a', .active = 1
		};
	}
	s->there = true;
	server_found(s, list, n);
}

static void begin(struct server *s, const struct step *t)
{
	*s = (struct server){ .id = { 0x1002, 4 } };
	want(s, t, "");
	if (*t->there != '-')
		find(s, t->there);
	/* What was made without a table, and never was filled, has none yet. */
	bool bound = *t->there || !s->hashes;
	strcpy(s->has_scheduler, bound ? t->scheduler : IPVS_SCHEDULER_NONE);
	s->has_flags = s->flags;
	want(s, t, t->wanted);
}

static const char *text(const struct server_operations *ops)
{
	static char out[256];
	char *p = out;

	for (size_t i = 0; i < ops->n; i++) {
		const struct ipvs_operation *o = &ops->list[i];
		char c = (char)o->endpoint.addr.b[3];
		*p++ = "SCR+~-"[o->verb];
		if (o->verb >= IPVS_ADD_ENDPOINT)
			*p++ = o->verb == IPVS_CHANGE_ENDPOINT && o->weight == 0 ? (char)(c - 0x20)
			                                                         : c;
		/* What moves is added again by what follows. */
		if (o->moves) {
			assert_true(i + 1 < ops->n);
			assert_int_equal(ops->list[i + 1].verb, IPVS_ADD_ENDPOINT);
			assert_int_equal(ops->list[i + 1].endpoint.addr.b[3], c);
		}
	}
	*p = '\0';
	return out;
}

static const char *plan(struct server *s, uint32_t now_s)
{
	struct server_operations ops = { 0 };

	server_plan(s, now_s, &ops);
	const char *out = text(&ops);
	free(ops.list);
	return out;
}

static void steps_lead_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct server s;
		begin(&s, &steps[i]);
		const char *done = plan(&s, NOW_S);
		if (strcmp(done, steps[i].done) != 0)
			fail_msg("%s: %s instead of %s", steps[i].what, done, steps[i].done);
		if (strcmp(done, "S") != 0)
			assert_string_equal(plan(&s, NOW_S), "");
		server_fini(&s);
	}
}

/* ---- draining ---- */

static const struct step drain = { NULL, "mh", IPPROTO_TCP, "ab", "a", NULL };

static void see(struct server *s, char c, uint32_t active, uint32_t idle)
{
	struct ipvs_endpoint list[2] = {
		{ .endpoint = endpoint(c), .rewrites = true, .active = active, .idle = idle },
		{ .endpoint = endpoint('a'), .rewrites = true, .weight = 1 },
	};

	assert_true(server_found(s, list, 2));
}

static void connections_are_waited_for(void **state)
{
	struct server s;

	(void)state;
	begin(&s, &drain);
	assert_false(server_is_draining(&s));
	assert_string_equal(plan(&s, NOW_S), "~B");
	assert_true(server_is_draining(&s));
	assert_int_equal(server_over_s(&s), NOW_S + GRACE_S);
	see(&s, 'b', 1, 0);
	assert_string_equal(plan(&s, NOW_S + 2), "");
	see(&s, 'b', 0, 1);
	assert_string_equal(plan(&s, NOW_S + 4), "");
	see(&s, 'b', 0, 0);
	assert_string_equal(plan(&s, NOW_S + 6), "-b");
	assert_false(server_is_draining(&s));
	server_fini(&s);
}

static void connections_are_not_waited_for_longer(void **state)
{
	struct server s;

	(void)state;
	begin(&s, &drain);
	assert_string_equal(plan(&s, NOW_S), "~B");
	see(&s, 'b', 9, 9);
	assert_string_equal(plan(&s, NOW_S + GRACE_S - 1), "");
	assert_string_equal(plan(&s, NOW_S + GRACE_S), "-b");
	server_fini(&s);
}

static void the_grace_begins_anew_for_one_that_came_back(void **state)
{
	struct server s;

	(void)state;
	begin(&s, &drain);
	assert_string_equal(plan(&s, NOW_S), "~B");
	want(&s, &drain, "ab");
	assert_string_equal(plan(&s, NOW_S + 20), "~b");
	assert_false(server_is_draining(&s));
	want(&s, &drain, "a");
	assert_string_equal(plan(&s, NOW_S + 25), "~B");
	assert_int_equal(server_over_s(&s), NOW_S + 25 + GRACE_S);
	server_fini(&s);
}

/* However long that takes; then the grace begins, or without TCP it goes at once. */
static void one_that_is_kept_is_not_waited_for(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		struct step kept = drain;
		struct server s;
		kept.proto = protos[i];
		begin(&s, &kept);
		want(&s, &kept, "aB");
		assert_string_equal(plan(&s, NOW_S), "~B");
		assert_false(server_is_draining(&s));
		see(&s, 'b', 0, 0);
		assert_string_equal(plan(&s, NOW_S + 100 * GRACE_S), "");
		assert_int_equal(server_n_wanted(&s), 1);
		want(&s, &kept, "a");
		assert_string_equal(plan(&s, NOW_S), protos[i] == IPPROTO_TCP ? "" : "-b");
		assert_int_equal(server_is_draining(&s), protos[i] == IPPROTO_TCP);
		server_fini(&s);
	}
}

/* What was named before anything was read is found, and known as that. */
static void one_that_is_kept_is_taken_over(void **state)
{
	struct step kept = drain;
	struct server s = { .id = { 0x1002, 4 } };

	(void)state;
	kept.proto = IPPROTO_UDP;
	want(&s, &kept, "aB");
	find(&s, "ab");
	strcpy(s.has_scheduler, kept.scheduler);
	s.has_flags = s.flags;
	assert_string_equal(plan(&s, NOW_S), "~B");
	server_lost(&s);
	assert_string_equal(plan(&s, NOW_S), "S");
	assert_string_equal(plan(&s, NOW_S), "+aC");
	want(&s, &kept, "ab");
	assert_string_equal(plan(&s, NOW_S), "+b");
	server_fini(&s);
}

static void a_whole_one_is_waited_for(void **state)
{
	struct step gone = drain;
	struct server s;

	(void)state;
	gone.wanted = "-";
	begin(&s, &gone);
	assert_string_equal(plan(&s, NOW_S), "");
	assert_true(server_is_draining(&s));
	find(&s, "ab");
	assert_string_equal(plan(&s, NOW_S + 1), "");
	want(&s, &drain, "ab");
	assert_string_equal(plan(&s, NOW_S + 2), "");
	assert_false(server_is_draining(&s));
	want(&s, &drain, "-");
	assert_string_equal(plan(&s, NOW_S + 3), "");
	assert_string_equal(plan(&s, NOW_S + 3 + GRACE_S), "R");
	assert_false(s.there);
	server_fini(&s);
}

static void what_others_change_is_seen(void **state)
{
	static const struct {
		const char *found;
		bool same;
	} cases[] = {
		{ "ab", true }, { "ba", false }, { "a", false }, { "aB", false }, { "abc", false }
	};
	struct step full = drain;

	(void)state;
	full.wanted = "ab";
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ipvs_endpoint list[3];
		size_t n = strlen(cases[i].found);
		struct server s;
		begin(&s, &full);
		for (size_t k = 0; k < n; k++) {
			char c = cases[i].found[n - 1 - k];
			list[k] = (struct ipvs_endpoint){ .endpoint = endpoint(c),
				                          .rewrites = true,
				                          .weight = c >= 'a' };
		}
		assert_int_equal(server_found(&s, list, n), cases[i].same);
		assert_int_equal(!*plan(&s, NOW_S), cases[i].same);
		server_fini(&s);
	}
}

static void endpoints_are_told_apart_by_their_ports_and_wanted_once(void **state)
{
	struct virtual_endpoint list[] = { endpoint('a'), endpoint('a'), endpoint('a') };
	const struct virtual_server v = {
		.id = { 0x1002, 4 }, .proto = IPPROTO_TCP, .endpoints = list, .n_endpoints = 3
	};
	struct server s = { .id = v.id, .there = true };

	(void)state;
	list[1].port++;
	server_schedule(&s, "rr");
	strcpy(s.has_scheduler, "rr");
	server_want(&s, &v);
	assert_int_equal(server_n_wanted(&s), 2);
	assert_true(server_wants(&s, &v));
	assert_string_equal(plan(&s, NOW_S), "+a+a");
	server_fini(&s);
}

/* What others woke meanwhile has connections again, whatever was seen of it before. */
static void the_grace_begins_anew_for_one_that_others_woke(void **state)
{
	struct server s;

	(void)state;
	begin(&s, &drain);
	assert_string_equal(plan(&s, NOW_S), "~B");
	find(&s, "ab");
	assert_string_equal(plan(&s, NOW_S + GRACE_S), "~B");
	see(&s, 'b', 1, 0);
	assert_string_equal(plan(&s, NOW_S + GRACE_S + 1), "");
	server_fini(&s);
}

/* It was idle when it was last looked at; it was wanted then, and may be busy by now. */
static void one_that_was_idle_before_it_drained_is_looked_at(void **state)
{
	struct ipvs_endpoint list[] = {
		{ .endpoint = endpoint('b'), .rewrites = true, .weight = 1 },
		{ .endpoint = endpoint('a'), .rewrites = true, .weight = 1 },
	};
	struct server s;

	(void)state;
	begin(&s, &drain);
	assert_true(server_found(&s, list, 2));
	assert_string_equal(plan(&s, NOW_S), "~B");
	assert_string_equal(plan(&s, NOW_S + 1), "");
	server_fini(&s);
}

static void the_first_that_is_over_is_waited_for(void **state)
{
	struct step three = drain;
	struct server s;

	(void)state;
	three.there = "abc";
	three.wanted = "bc";
	begin(&s, &three);
	assert_string_equal(plan(&s, NOW_S), "~A");
	want(&s, &three, "b");
	assert_string_equal(plan(&s, NOW_S + 5), "~C");
	assert_int_equal(server_over_s(&s), NOW_S + GRACE_S);
	server_fini(&s);
}

static void a_scheduler_changes(void **state)
{
	struct server s;

	(void)state;
	begin(&s, &drain);
	assert_string_equal(plan(&s, NOW_S), "~B");
	assert_true(server_schedule(&s, "rr"));
	assert_false(server_schedule(&s, "rr"));
	assert_string_equal(plan(&s, NOW_S), "C");
	assert_int_equal(s.has_flags, 0);
	server_schedule(&s, "sh");
	assert_string_equal(plan(&s, NOW_S), "C");
	assert_int_equal(s.has_flags, IPVS_FLAG_FALLBACK | IPVS_FLAG_PORT);
	server_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_lead_there),
		cmocka_unit_test(connections_are_waited_for),
		cmocka_unit_test(connections_are_not_waited_for_longer),
		cmocka_unit_test(the_grace_begins_anew_for_one_that_came_back),
		cmocka_unit_test(one_that_is_kept_is_not_waited_for),
		cmocka_unit_test(one_that_is_kept_is_taken_over),
		cmocka_unit_test(a_whole_one_is_waited_for),
		cmocka_unit_test(what_others_change_is_seen),
		cmocka_unit_test(endpoints_are_told_apart_by_their_ports_and_wanted_once),
		cmocka_unit_test(the_grace_begins_anew_for_one_that_others_woke),
		cmocka_unit_test(one_that_was_idle_before_it_drained_is_looked_at),
		cmocka_unit_test(the_first_that_is_over_is_waited_for),
		cmocka_unit_test(a_scheduler_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
