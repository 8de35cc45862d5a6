/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_PATH_H
#define FAIRLEAD_PROXY_IPTABLES_PATH_H

/*
 * The way of a forwarded packet through other people's chains of the filter table, as far as it
 * matters where our accepting jump stands: before the first rule that refuses whatever comes (the
 * end of a host firewall), and behind every chain of network policies, which may drop what it
 * likes.  Rules that single out some packets by address, port or interface express somebody's wish
 * about these, and are neither.  Pure; memory is bounded.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/iptables/chain.h"
#include "fairlead/hash.h"

#define PATH_MAX_CHAINS 4096
#define PATH_MAX_RULES 65536
#define PATH_MAX_DEPTH 16
#define PATH_MAX_STEPS 65536

enum path_kind {
	PATH_REFUSE, /* whatever comes: DROP, REJECT */
	PATH_ACCEPT, /* whatever comes */
	PATH_RETURN,
	PATH_JUMP, /* whatever comes, into a chain that is known or not */
	PATH_GOTO,
	PATH_POLICY, /* some packets at least, into a chain of network policies */
	PATH_OURS,   /* our accepting jump */
};

struct path_rule {
	enum path_kind kind;
	size_t number; /* in its chain, from 1 */
	bool whole;    /* no match at all: what comes goes this way */
	char target[CHAIN_NAME_SIZE];
};

struct path_chain {
	UT_hash_handle hh;
	char name[CHAIN_NAME_SIZE];
	size_t n_seen; /* all its rules */
	struct path_rule *rules;
	size_t n, cap;
};

struct path {
	struct path_chain *chains;
	size_t n_rules;    /* kept, of all chains */
	size_t n_left_out; /* beyond the bounds */
};

/* Where our jump belongs. */
struct path_place {
	char chain[CHAIN_NAME_SIZE];
	size_t number; /* the rule that it comes before, as they stand; 0: the end of the chain */
	bool in_place; /* it stands where it does its work */
	/* everything is refused before a network policy is asked: no place is right */
	bool refused;
	bool beyond; /* bounds were met: what lies further in was not looked at */
};

void path_fini(struct path *p);
/*
 * Whether network policies, or what administrators put before everything, are in a chain of this
 * name.
 */
bool path_is_policy(const char *chain);
/* The next rule of a chain: what comes after "-A CHAIN ". */
void path_add_rule(struct path *p, const char *chain, const char *spec);
struct path_place path_place(const struct path *p);

#endif
