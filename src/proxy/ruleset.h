/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_RULESET_H
#define FAIRLEAD_PROXY_RULESET_H

/*
 * One rule of nftables as the kernel tells it, as far as it matters for the first packet of a
 * connection that we translate.  Pure; survives any bytes.
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
	bool translated; /* its condition is that the connection is translated */
	enum ruleset_verdict verdict;
	char target[NFT_NAME_MAXLEN]; /* of a jump */
};

struct nlattr;

/* @expressions: NFTA_RULE_EXPRESSIONS, NULL for none. @family: 4 or 6, of the packet. */
struct ruleset_rule ruleset_read(struct nlattr *expressions, uint8_t family);

#endif
