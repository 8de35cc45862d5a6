/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_COMPARE_H
#define FAIRLEAD_PROXY_IPTABLES_COMPARE_H

/*
 * What differs between what the kernel has and what the model wants, rule by rule, for people.
 * Changes nothing in the model, and reads no kernel: it is fed what iptables-save prints.
 *
 * Chains are told by their digests, as in an adoption, so that of chains that are as they should be
 * nothing is kept.  Of the others the rules are compared as sets of words, since iptables-save does
 * not print all of them as they were written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/iptables/model.h"
#include "proxy/report.h"
#include "proxy/iptables/save.h"

/* A rule that is told is cut here. */
#define COMPARE_RULE_SIZE 512
/* The rules of chains that look changed, all together; of what is beyond only the chain is told. */
#define COMPARE_KEPT_BYTES (1u << 20)

/*
 * What is wanted and not there, what is there and not wanted, in a chain of ours or leading to one,
 * and a chain that is not as it was written, by no rule that can be told.
 */
typedef void compare_fn(const struct report_finding *f, void *arg);

struct compare;

/* @m: stays the caller's, and lives until compare_free(); it may change meanwhile. */
struct compare *compare_new(struct model *m);
/* Accepts NULL. */
void compare_free(struct compare *c);
/* A piece of iptables-save's output. */
void compare_feed(struct compare *c, const char *data, size_t size);
/* After the last piece.  What it has read, for native_complete(). */
struct save *compare_end(struct compare *c);
/*
 * Compares the next chains, about @n_chains; false: that was all.  What is wanted is what the model
 * wanted at the first call.
 */
bool compare_step(struct compare *c, size_t n_chains, compare_fn *fn, void *arg);

#endif
