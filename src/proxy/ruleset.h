/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_RULESET_H
#define FAIRLEAD_PROXY_RULESET_H

/*
 * One rule of nftables as the kernel tells it, as far as it matters for a packet of a connection of
 * ours.  Pure; survives any bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netfilter/nf_tables.h>

enum ruleset_when { RULESET_NEVER, RULESET_SOMETIMES, RULESET_ALWAYS };

enum ruleset_verdict {
	RULESET_NONE, /* the next rule is asked */
	RULESET_ACCEPT,
	RULESET_REFUSE,
	RULESET_JUMP,
	RULESET_GOTO,
	RULESET_RETURN,
	RULESET_ANY, /* a map's, another program's */
};

struct ruleset_rule {
	enum ruleset_when when;
	bool is_for_ours; /* its condition is what tells our connections: translated, or the mark */
	enum ruleset_verdict verdict;
	char target[NFT_NAME_MAXLEN]; /* of a jump */
};

/* The packet that meets it. */
struct ruleset_packet {
	uint8_t family;  /* 4 or 6 */
	bool answers;    /* its connection is established; false: it opens it */
	bool translated; /* the connection has another destination, as conntrack has it */
	uint32_t mark;   /* bits of the connection's mark; 0: not known */
};

struct nlattr;

/* @expressions: NFTA_RULE_EXPRESSIONS, NULL for none. */
struct ruleset_rule ruleset_read(struct nlattr *expressions, const struct ruleset_packet *packet);

#endif
