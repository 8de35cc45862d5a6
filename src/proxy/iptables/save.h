/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_SAVE_H
#define FAIRLEAD_PROXY_IPTABLES_SAVE_H

/*
 * What iptables-save (or -S) says about us: our chains with the digest each one carries, and the
 * rules of others' chains that jump to ours.  Everything else is counted where its position matters
 * and forgotten, so that memory depends on our rules only.  Input comes in pieces of any size;
 * lines of any length and kind are survived.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/iptables/chain.h"
#include "fairlead/addr.h"
#include "fairlead/hash.h"
#include "proxy/iptables/path.h"

#define SAVE_MAX_LINE 4096 /* longer lines are read up to here */
#define SAVE_MAX_CHAINS 1000000
#define SAVE_MAX_JUMPS 256
#define SAVE_MAX_FRONTS 65536
#define SAVE_TABLE_SIZE 16

struct save_chain {
	UT_hash_handle hh;
	char key[SAVE_TABLE_SIZE + CHAIN_NAME_SIZE]; /* "TABLE NAME" */
	const char *name;                            /* within key */
	size_t table_len;
	uint64_t comment_hash;
	size_t comment_n_rules;
	size_t n_rules;
	/* digest of the rules as they were printed; 0: not known, or there are none */
	uint64_t printed;
};

struct save_jump {
	char table[SAVE_TABLE_SIZE];
	char chain[CHAIN_NAME_SIZE]; /* built-in or another's */
	size_t number;               /* of the rule in its chain, from 1 */
	char *spec;                  /* the rule after "-A CHAIN ", as iptables-save printed it */
	char target[CHAIN_NAME_SIZE];
	bool behind_kube; /* kube-proxy's jump comes before it */
};

/* A UDP port that rules of ours lead to endpoints: what clients may have flows toward. */
struct save_front {
	struct addr addr; /* none: a node port */
	uint16_t port;
};

struct save {
	struct save_chain *chains; /* by key */
	size_t n_chains;
	struct save_jump *jumps;
	size_t n_jumps, cap_jumps;
	struct save_front *fronts;
	size_t n_fronts, cap_fronts;
	struct path path; /* through the filter table */
	/* by enum chain_table: iptables says that it cannot show the table (native.h) */
	bool hidden[2];
	bool native;       /* what is fed now was not printed by iptables */
	size_t n_left_out; /* chains, jumps and fronts beyond the bounds above */
	/* the parser's place */
	char table[SAVE_TABLE_SIZE];
	char chain[CHAIN_NAME_SIZE]; /* whose rules come now */
	bool seen_kube;              /* its jump was among them */
	size_t n_rules;              /* of it so far */
	char line[SAVE_MAX_LINE];
	size_t line_len;
};

void save_init(struct save *s);
void save_fini(struct save *s);
void save_feed(struct save *s, const char *data, size_t size);
/* After the last piece; a line without its end counts. */
void save_end(struct save *s);
/*
 * The digest of a chain as it stands: CHAIN_UNKNOWN where its rules are not what its comment says.
 */
uint64_t save_chain_hash(const struct save_chain *c);
/* Whether it lies in a table where a chain of this name of ours would be. */
bool save_chain_in_place(const struct save_chain *c);

#endif
