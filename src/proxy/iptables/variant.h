/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_VARIANT_H
#define FAIRLEAD_PROXY_IPTABLES_VARIANT_H

/*
 * The two iptables: nft and legacy, whose rules live side by side in the kernel and do not see each
 * other.  A node should use one; this chooses which, before anything is written.  All functions
 * here block: for some milliseconds, or for as long as somebody holds iptables' lock, within a
 * bound.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/iptables/chain.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"

struct variant {
	const char *name;
	const char *iptables[2], *restore[2], *save[2]; /* IPv4, IPv6 */
	/*
	 * Comparing everything may take such a share (one in …) of the time: more where the kernel
	 * tells nothing.
	 */
	unsigned int comparison_share;
	/*
	 * Services a batch, and bytes of its text: what is cheapest differs between the two.  With
	 * nft a batch costs more than twice as much where it is twice as large; with legacy each
	 * costs as much as the whole table.
	 */
	size_t max_batch, max_bytes;
};

/* The programs' own exit code for "locked, or the kernel had no resources". */
#define EXIT_RESOURCE_PROBLEM 4

/*
 * A lock that somebody holds says nothing about what is there, so we wait for it: so many times as
 * long as -w says.
 */
#define VARIANT_LOCK_TRIES 6

#define VARIANTS 2
extern const struct variant variants[VARIANTS];

/* 0 for IPv4, 1 for IPv6: the index of the programs above. */
int variant_index(uint8_t family);
/*
 * "nft" or "legacy" for what the user says, "auto" for what the node shows: where our own chains
 * are, else where the kubelet's hint chain is, else its canary, else the one with more rules, else
 * nft.
 */
int variant_choose(const char *wish, const struct variant **ret_variant, struct err *e);
/*
 * Whether this family can be used with it: programs and kernel.  Creates the nat table if the
 * kernel has none yet.  @why: what iptables said if it cannot; may stay empty.
 */
bool variant_has_family(const struct variant *v, uint8_t family, struct buf *why);
/*
 * The same as a program to run, which succeeds if so; and whether the kernel has the family at all.
 */
struct variant_question {
	const char *argv[8];
};
struct variant_question variant_question(const struct variant *v, uint8_t family);
bool variant_kernel_has(uint8_t family);
/* Whether the programs of this family are there. */
bool variant_is_installed(const struct variant *v, uint8_t family);
/* Whether there may be rules: iptables-legacy must not be asked where it was never used. */
bool variant_is_used(const struct variant *v, uint8_t family);
/* Whether our chains are there, in any family and either table. */
bool variant_has_ours(const struct variant *v);
/* Removes every chain and rule of ours in it, of both families, and nothing else. */
int variant_clean(const struct variant *v, struct err *e);
/* Whether MASQUERADE knows --random-fully: since 1.6.2. */
bool variant_random_fully(const struct variant *v);
/* Whether rules of this family may use the match: the program has it, and so has the kernel. */
bool variant_knows_match(const struct variant *v, uint8_t family, const char *match);

#endif
