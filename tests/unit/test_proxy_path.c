/* SPDX-License-Identifier: Apache-2.0 */
/* Where our accepting jump belongs among other people's rules. */
#include "config.h"

#include "unit.h"

#include "fairlead/mem.h"
#include "proxy/save.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_place_is_before_what_refuses_everything),
		cmocka_unit_test(rubbish_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
