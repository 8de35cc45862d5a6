/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_CHAIN_H
#define FAIRLEAD_PROXY_IPTABLES_CHAIN_H

/*
 * One chain of ours as text: a name and rules, in the words of iptables-save.
 *
 * The name tells the table, and the first rule's comment describes the whole chain: "HASH/N LABEL",
 * a digest of all rules, their number, and for people the Service.  So a later process can tell
 * from iptables-save alone whether a chain is what it would write itself.  An empty chain needs no
 * comment.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"

#define CHAIN_PREFIX "FL-"
#define CHAIN_NAME_SIZE 29 /* iptables allows 28 characters */
#define CHAIN_ID_SIZE 17   /* 16 characters of base32: 80 bits of SHA-256 */
#define CHAIN_LABEL_SIZE 128

/* The digest of a chain that has no rules, and "not there or not known". */
#define CHAIN_EMPTY 1u
#define CHAIN_UNKNOWN 0u

enum chain_table { CHAIN_FILTER, CHAIN_NAT };

struct chain {
	char name[CHAIN_NAME_SIZE];
	char label[CHAIN_LABEL_SIZE];
	struct buf rules; /* one line a rule, without "-A NAME " */
	size_t n_rules;
};

/*
 * Starts over under a name, and keeps the memory.  @label may be NULL; characters in it that are
 * not plain become '?'.
 */
void chain_begin(struct chain *c, const char *name, const char *label);
void chain_fini(struct chain *c);
/* Adds one rule, given without newline. */
void chain_rule(struct chain *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Adds a line to a bucket; of those that come @after others each one once, as Services that share
 * an address have the same guard.
 */
void chain_bucket_rule(struct chain *c, bool after, const char *rule);
/* A digest of the rules; never CHAIN_UNKNOWN. */
uint64_t chain_hash(const struct chain *c);
/* Appends "-A NAME …" lines, the first one with its comment. */
void chain_write(const struct chain *c, uint64_t hash, struct buf *out);

/* Which table a chain of ours lives in, by its name alone. */
enum chain_table chain_table(const char *name);
const char *chain_table_name(enum chain_table t);
/*
 * Whether the name is one that belongs to one Service (endpoints, sets, …) rather than to the
 * frame.
 */
bool chain_is_of_service(const char *name);
/* Whether it is one of the chains that hold dispatch lines of several Services. */
bool chain_is_bucket(const char *name);
/* Whether it is one of netfilter's own: PREROUTING … */
bool chain_is_builtin(const char *name);
/* The 16 characters that stand for @text in chain names. */
void chain_id(const char *text, char ret_id[static CHAIN_ID_SIZE]);
/* The next argument of a rule, or its end; quoted text is one argument, whatever it contains. */
const char *chain_next_argument(const char *p);
/* Reads what chain_write() put into a comment: 0, or -EINVAL. */
int chain_parse_comment(const char *comment, uint64_t *ret_hash, size_t *ret_n_rules);

#endif
