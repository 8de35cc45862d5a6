/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where our accepting jump belongs among other people's rules, and what other people's chains of
 * nftables make of our packets.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>

#include "fairlead/mem.h"
#include "proxy/passage.h"
#include "proxy/iptables/save.h"

static struct save saved;

static struct path_place place_among(const char *rules)
{
	save_init(&saved);
	cleanup_free char *text = xasprintf("*filter\n:FORWARD ACCEPT [0:0]\n%sCOMMIT\n", rules);
	save_feed(&saved, text, strlen(text));
	save_end(&saved);
	struct path_place at = path_place(&saved.path);
	save_fini(&saved);
	return at;
}

/* Chains one in another, and a chain that is come to again and again. */
static void what_is_beyond_the_bounds_is_told(void **state)
{
	(void)state;
	enum { REACHED = PATH_MAX_DEPTH, WIDE = 300 };
	struct buf deep = BUF_INIT, wide = BUF_INIT;

	for (int i = 0; i <= REACHED; i++) {
		struct path_place at;
		if (i == 0)
			buf_puts(&deep, "-A FORWARD -j C1\n");
		else
			buf_printf(&deep, "-A C%d -j C%d\n", i, i + 1);
		buf_printf(&deep, "-A C%d -s 192.0.2.0/24 -j ACCEPT\n", i + 1);
		cleanup_free char *end = xasprintf("%s-A C%d -j DROP\n", buf_str(&deep), i + 1);
		at = place_among(end);
		if (at.beyond != (i == REACHED) || !at.number != (i == REACHED))
			fail_msg("%d jumps: %d, %zu", i + 1, at.beyond, at.number);
	}
	for (int i = 0; i < WIDE; i++) {
		buf_puts(&wide, "-A FORWARD -j W\n");
		buf_puts(&wide, "-A W -j V\n");
	}
	buf_puts(&wide, "-A V -s 192.0.2.0/24 -j ACCEPT\n");
	assert_true(place_among(buf_str(&wide)).beyond);
	buf_fini(&deep);
	buf_fini(&wide);
}

#define F "-A FORWARD "
#define OURS "-j FL-ACC\n"

static void the_place_is_before_what_refuses_everything(void **state)
{
	(void)state;
	static const struct {
		const char *what, *rules, *chain;
		size_t number; /* 0: the end */
		bool in_place, refused;
	} cases[] = {
		{ "nothing", "", "FORWARD", 0, false, false },
		{ "ours at the end", F "-s 192.0.2.0/24 -j DROP\n" F OURS, "FORWARD", 0, true,
		  false },
		{ "REJECT at the end",
		  F "-j FL-FWD\n" F "-s 192.0.2.0/24 -j DROP\n" F
		    "-j REJECT --reject-with icmp-host-prohibited\n" F OURS,
		  "FORWARD", 3, false, false },
		{ "and ours before it", F "-s 192.0.2.0/24 -j DROP\n" F OURS F "-j DROP\n",
		  "FORWARD", 3, true, false },
		{ "twice", F OURS F "-j DROP\n" F OURS, "FORWARD", 2, false, false },
		{ "new connections, with a comment",
		  F
		  "-i lo -j ACCEPT\n" F
		  "-m comment --comment \"all -j ACCEPT\" -m conntrack --ctstate INVALID,NEW -j REJECT\n",
		  "FORWARD", 2, false, false },
		{ "by the older match", F "-p tcp -m state --state NEW -j DROP\n", "FORWARD", 1,
		  false, false },
		{ "not what is singled out",
		  F "-d 192.0.2.0/24 -j REJECT\n" F "-i eth1 -j DROP\n" F
		    "-p tcp -m tcp --dport 25 -j DROP\n" F "-p icmp -j DROP\n" F
		    "-m conntrack --ctstate INVALID -j DROP\n" F "! -p tcp -j DROP\n" F
		    "-m set --match-set bad src -j DROP\n" F OURS,
		  "FORWARD", 0, true, false },
		{ "what accepts all comes first", F "-j ACCEPT\n" F "-j DROP\n", "FORWARD", 0,
		  false, false },
		{ "but not what accepts TCP", F "-p tcp -j ACCEPT\n" F "-j DROP\n", "FORWARD", 2,
		  false, false },
		{ "in a chain of its own",
		  "-A fw -s 192.0.2.0/24 -j DROP\n-A fw -j REJECT\n" F "-j LOG\n" F "-j fw\n", "fw",
		  2, false, false },
		{ "in place there",
		  "-A fw -s 192.0.2.0/24 -j DROP\n-A fw " OURS "-A fw -j REJECT\n" F "-j fw\n",
		  "fw", 3, true, false },
		{ "a chain that returns before",
		  "-A fw -j RETURN\n-A fw -j REJECT\n" F "-g fw\n" F "-j DROP\n", "FORWARD", 0,
		  false, false },
		{ "but not for some packets only",
		  "-A fw -i eth1 -j RETURN\n-A fw -p tcp -j RETURN\n-A fw -j REJECT\n" F "-j fw\n",
		  "fw", 3, false, false },
		{ "it returns to who called it", "-A fw -j RETURN\n" F "-j fw\n" F "-j DROP\n",
		  "FORWARD", 2, false, false },
		{ "RETURN in FORWARD itself", F "-j RETURN\n" F "-j DROP\n", "FORWARD", 0, false,
		  false },
		{ "a chain that some packets see", "-A fw -j REJECT\n" F "-i eth1 -j fw\n",
		  "FORWARD", 0, false, false },
		{ "chains in a circle", "-A a -j b\n-A b -j a\n" F "-j a\n" F "-j DROP\n",
		  "FORWARD", 2, false, false },
		{ "ufw",
		  "-A ufw-before-forward -j ufw-user-forward\n-A ufw-user-forward -s 192.0.2.7/32 -j DROP\n"
		  "-A ufw-reject-forward -j REJECT --reject-with icmp-port-unreachable\n" F
		  "-j ufw-before-forward\n" F "-j ufw-after-forward\n" F "-j ufw-reject-forward\n" F
		  "-j ufw-track-forward\n",
		  "ufw-reject-forward", 1, false, false },
		{ "behind a network policy",
		  "-A cali-FORWARD -j cali-to-wl\n-A cali-to-wl -j DROP\n" F "-j cali-FORWARD\n" F
		  "-j REJECT\n",
		  "FORWARD", 2, false, false },
		{ "ours before a policy", F OURS F "-j KUBE-ROUTER-FORWARD\n" F "-j REJECT\n",
		  "FORWARD", 3, false, false },
		{ "also where the policy is for some packets",
		  F OURS F "-o cni0 -j KUBE-NWPLCY-X\n", "FORWARD", 0, false, false },
		{ "a policy that is never asked", F "-j REJECT\n" F "-j CILIUM_FORWARD\n",
		  "FORWARD", 0, false, true },
		{ "then ours is at the end", F "-j REJECT\n" F "-j CILIUM_FORWARD\n" F OURS,
		  "FORWARD", 0, true, true },
		{ "a policy in a chain that refuses",
		  "-A fw -j REJECT\n-A fw -j WEAVE-NPC\n" F "-j fw\n", "FORWARD", 0, false, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct path_place at = place_among(cases[i].rules);
		if (strcmp(at.chain, cases[i].chain) || at.number != cases[i].number ||
		    at.in_place != cases[i].in_place || at.refused != cases[i].refused)
			fail_msg("%s: %s %zu, %sin place%s", cases[i].what, at.chain, at.number,
			         at.in_place ? "" : "not ", at.refused ? ", refused" : "");
	}
}

static void rubbish_is_survived(void **state)
{
	(void)state;
	place_among(F "-j\n" F "-m\n" F "--ctstate\n" F "-m comment --comment \"\n" F
	              "-j ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ\n" F "\n-A\n");
}

/* ---- chains of nftables ---- */

static enum ruleset_verdict verdict_of(const char *word)
{
	static const char *const words[] = {
		[RULESET_ACCEPT] = "accept", [RULESET_REFUSE] = "drop",   [RULESET_JUMP] = "jump",
		[RULESET_GOTO] = "goto",     [RULESET_RETURN] = "return", [RULESET_ANY] = "map",
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i] && !strcmp(word, words[i]))
			return (enum ruleset_verdict)i;
	return RULESET_NONE;
}

/* "CHAIN WHEN VERDICT [TARGET]; …": WHEN is all, some, none, or dnat for all that is translated. */
static int read_chain(const char *chain, struct passage_rules *rules, void *arg)
{
	cleanup_free char *text = xstrdup(arg);

	for (char *save = NULL, *s = strtok_r(text, ";", &save); s;
	     s = strtok_r(NULL, ";", &save)) {
		char name[16], when[16], verdict[16], target[16] = "";
		assert_true(sscanf(s, " %15s %15s %15s %15s", name, when, verdict, target) >= 3);
		if (chain && strcmp(chain, name) != 0)
			continue;
		if (!strcmp(verdict, "error"))
			return -EIO;
		struct ruleset_rule r = { .verdict = verdict_of(verdict),
			                  .is_for_ours = !strcmp(when, "dnat") };
		r.when = !strcmp(when, "none")   ? RULESET_NEVER
		         : !strcmp(when, "some") ? RULESET_SOMETIMES
		                                 : RULESET_ALWAYS;
		memcpy(r.target, target, sizeof(target));
		passage_add(rules, &r);
	}
	return 0;
}

static void chains_of_others_are_judged(void **state)
{
	(void)state;
	/* With the policy accept, and with drop. */
	static const struct {
		const char *rules;
		enum proxy_passage accepting, dropping;
	} cases[] = {
		{ "", PROXY_PASSES, PROXY_REFUSED },
		{ "f all accept", PROXY_PASSES, PROXY_PASSES },
		{ "f all drop", PROXY_REFUSED, PROXY_REFUSED },
		{ "f none accept; f some drop; f all drop", PROXY_REFUSED, PROXY_REFUSED },
		{ "f some accept", PROXY_PASSES, PROXY_UNCERTAIN },
		{ "f some accept; f all drop", PROXY_UNCERTAIN, PROXY_UNCERTAIN },
		{ "f some drop; f all accept; f all drop", PROXY_PASSES, PROXY_PASSES },
		{ "f all map", PROXY_PASSES, PROXY_UNCERTAIN },
		{ "f all map; f all drop; m dnat accept", PROXY_PASSES, PROXY_PASSES },
		{ "f all map; f all drop; m all accept", PROXY_UNCERTAIN, PROXY_UNCERTAIN },
		{ "f all jump a; a dnat accept; f all drop", PROXY_PASSES, PROXY_PASSES },
		/*
		 * A chain that returns: back to where it was called from, out of a base chain to
		 * the policy.
		 */
		{ "f all return; f all drop", PROXY_PASSES, PROXY_REFUSED },
		{ "f some return; f all drop", PROXY_UNCERTAIN, PROXY_REFUSED },
		{ "f some return; f all accept", PROXY_PASSES, PROXY_PASSES },
		{ "f all jump a; a all return; a all drop", PROXY_PASSES, PROXY_REFUSED },
		{ "f all jump a; f all accept; a all return; a all drop", PROXY_PASSES,
		  PROXY_PASSES },
		{ "f all jump a; f all drop; a all return; a all accept", PROXY_REFUSED,
		  PROXY_REFUSED },
		{ "f all jump a; f all accept; a some return; a all drop", PROXY_UNCERTAIN,
		  PROXY_UNCERTAIN },
		{ "f all jump a; f all drop; a some return; a all accept", PROXY_PASSES,
		  PROXY_PASSES },
		{ "f all goto a; f all accept; a all return; a all accept", PROXY_PASSES,
		  PROXY_REFUSED },
		{ "f all jump a; f all drop; a all goto b; a all accept; b some drop",
		  PROXY_REFUSED, PROXY_REFUSED },
		/* Jumps. */
		{ "f all jump a; a all drop; f all accept", PROXY_REFUSED, PROXY_REFUSED },
		{ "f some jump a; a all drop; f all accept", PROXY_PASSES, PROXY_PASSES },
		{ "f some jump a; a all accept; f all drop", PROXY_UNCERTAIN, PROXY_UNCERTAIN },
		{ "f some jump a; f all drop", PROXY_REFUSED, PROXY_REFUSED },
		{ "f some goto a; f all drop", PROXY_UNCERTAIN, PROXY_UNCERTAIN },
		{ "f all jump nowhere; f all drop", PROXY_REFUSED, PROXY_REFUSED },
		{ "f all jump a; a all jump f", PROXY_PASSES, PROXY_UNCERTAIN },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
		enum proxy_passage want = i % 2 ? cases[i / 2].dropping : cases[i / 2].accepting;
		enum proxy_passage got = PROXY_PASSES;
		cleanup_free char *rules = xstrdup(cases[i / 2].rules);
		assert_int_equal(passage_judge("f", i % 2, read_chain, rules, &got), 0);
		if (got != want)
			fail_msg("%s, policy %s: %d, not %d", rules, i % 2 ? "drop" : "accept",
			         (int)got, (int)want);
	}
}

static void chains_that_cannot_be_read_are_not_judged(void **state)
{
	(void)state;
	static const char *const rules[] = { "f all error", "f all jump a; a all error",
		                             "f all map; m all error" };
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		enum proxy_passage got = PROXY_REFUSED;
		cleanup_free char *text = xstrdup(rules[i]);
		assert_int_equal(passage_judge("f", true, read_chain, text, &got), -EIO);
		assert_int_equal(got, PROXY_REFUSED);
	}
}

/* A rule that is beyond the bounds may be one that accepts. */
static int read_many(const char *chain, struct passage_rules *rules, void *arg)
{
	const struct ruleset_rule r = { .when = RULESET_SOMETIMES, .verdict = RULESET_RETURN };

	(void)chain;
	for (size_t i = 0; i < *(size_t *)arg; i++)
		passage_add(rules, &r);
	return 0;
}

static void chains_beyond_the_bounds_are_uncertain(void **state)
{
	(void)state;
	for (size_t n = PASSAGE_MAX_RULES; n <= PASSAGE_MAX_RULES + 1; n++) {
		enum proxy_passage got = PROXY_PASSES;
		assert_int_equal(passage_judge("f", true, read_many, &n, &got), 0);
		assert_int_equal(got, n > PASSAGE_MAX_RULES ? PROXY_UNCERTAIN : PROXY_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_beyond_the_bounds_is_told),
		cmocka_unit_test(the_place_is_before_what_refuses_everything),
		cmocka_unit_test(rubbish_is_survived),
		cmocka_unit_test(chains_of_others_are_judged),
		cmocka_unit_test(chains_that_cannot_be_read_are_not_judged),
		cmocka_unit_test(chains_beyond_the_bounds_are_uncertain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
