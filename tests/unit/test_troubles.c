/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What a segment has to complain of, and that it ceases to: on a simulated segment. */
#include "unit.h"

#include <errno.h>

#include "../l2/sim.h"
#include "fairlead/mem.h"
#include "l2/troubles.h"

/* Longer than what was seen counts as lasting. */
#define OVER_MS 40000

static struct sim sim;

static void nothing(void)
{
}

static void small_mtu(void)
{
	sim_mtu(&sim, 0, 68);
}

static void large_mtu(void)
{
	sim_mtu(&sim, 0, 1500);
}

/* The speaker does not know that its interface takes less. */
static void frames_are_not_taken(void)
{
	sim.nodes[0].mtu = 90;
}

static void frames_are_taken(void)
{
	sim.nodes[0].mtu = 0;
}

static void no_room_for_peers(void)
{
	sim_kill(&sim, 0);
	sim.peers_max = 1;
	sim_start(&sim, 0);
}

static void a_peer_goes(void)
{
	sim_kill(&sim, 2);
}

static void a_second_of_its_name(void)
{
	sim_kill(&sim, 2);
	memcpy(sim.nodes[2].name, sim.nodes[0].name, sizeof(sim.nodes[0].name));
	sim_start(&sim, 2);
}

static void each_trouble_is_told_until_it_is_over(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		void (*begins)(void), (*ends)(void);
		enum reason reason;
		const char *words;
	} cases[] = {
		{ "all is well", nothing, nothing, REASON_COUNT, "" },
		{ "an MTU without room", small_mtu, large_mtu, REASON_SendFailed,
		  "the MTU of 68 bytes has no room" },
		{ "frames that are not sent", frames_are_not_taken, frames_are_taken,
		  REASON_SendFailed, "the kernel does not take frames of ours: " },
		{ "too many peers", no_room_for_peers, a_peer_goes, REASON_TooManyPeers,
		  "other speakers are on the segment" },
		{ "two speakers of one name", a_second_of_its_name, a_peer_goes,
		  REASON_DuplicateNodeName,
		  "the speaker at 02:00:00:00:00:03 has this node's name, too" },
	};
	const struct iface iface = { .name = "eth7" };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		sim_init(&sim, i, 3, 4);
		for (size_t n = 0; n < 3; n++)
			sim_start(&sim, n);
		sim_run(&sim, 3000);
		cases[i].begins();
		for (int over = 0; over < 2; over++) {
			struct troubles t = { 0 };
			sim_run(&sim, over ? OVER_MS : 5000);
			troubles_of_segment(&t, sim.nodes[0].segment, sim.now, &iface);
			size_t want = !over && cases[i].reason != REASON_COUNT;
			if (t.n != want)
				fail_msg("%s: %zu troubles%s%s", cases[i].what, t.n,
				         t.n ? ", the first: " : "", t.n ? t.list[0].message : "");
			if (want) {
				assert_int_equal(t.list[0].reason, cases[i].reason);
				assert_string_equal(t.list[0].interface, "eth7");
				if (!strstr(t.list[0].message, cases[i].words))
					fail_msg("%s: %s", cases[i].what, t.list[0].message);
			}
			troubles_fini(&t);
			cases[i].ends();
		}
		sim_fini(&sim);
	}
}

static void groups_that_are_not_joined_are_told(void **state)
{
	(void)state;
	static const struct {
		size_t n;
		int error;
		enum reason reason;
	} cases[] = {
		{ 0, 0, REASON_COUNT },
		{ 0, -ENODEV, REASON_COUNT }, /* earlier */
		{ 3, -ENOMEM, REASON_LimitReached },
		{ 3, -ENOBUFS, REASON_LimitReached },
		{ 3, -EMFILE, REASON_LimitReached },
		{ 3, -ENODEV, REASON_JoinFailed },
		{ 3, -EINVAL, REASON_JoinFailed },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct troubles t = { 0 };
		troubles_of_groups(&t, cases[i].n, cases[i].error);
		assert_int_equal(t.n, cases[i].reason != REASON_COUNT);
		if (t.n) {
			assert_int_equal(t.list[0].reason, cases[i].reason);
			assert_non_null(strstr(t.list[0].message, "3 multicast groups "));
		}
		troubles_fini(&t);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_trouble_is_told_until_it_is_over),
		cmocka_unit_test(groups_that_are_not_joined_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
