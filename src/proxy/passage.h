/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_PASSAGE_H
#define FAIRLEAD_PROXY_PASSAGE_H

/*
 * What becomes of a packet of a connection of ours in one base chain of nftables.
 * Pure: the caller supplies the rules, chain by chain as far as jumps lead, since other people's
 * tables may be huge.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/proxy.h"
#include "proxy/ruleset.h"

/*
 * Chains that are visited, one in another, and rules kept of one chain; what is beyond makes it
 * uncertain.
 */
#define PASSAGE_MAX_VISITS 256
#define PASSAGE_MAX_DEPTH 16
#define PASSAGE_MAX_RULES 4096

/* Those of a chain that may matter, in order. */
struct passage_rules {
	struct ruleset_rule *list;
	size_t n, cap;
	bool beyond; /* there are more */
};

/* Adds the rule, unless it does nothing to the packet. */
void passage_add(struct passage_rules *r, const struct ruleset_rule *rule);

/*
 * Adds the rules of @chain of the table, or with NULL those of all its chains, by passage_add().  A
 * negative errno ends the judging; a chain that is not there has no rules.
 */
typedef int passage_read_fn(const char *chain, struct passage_rules *rules, void *arg);

/* @drops: by its policy. */
int passage_judge(const char *chain, bool drops, passage_read_fn *read, void *arg,
                  enum proxy_passage *ret_passage);

#endif
