/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_NFT_KERNEL_H
#define FAIRLEAD_TESTS_NFT_KERNEL_H

/*
 * A made-up kernel's nftables of one family, for programs that are linked with NFT_KERNEL
 * (tests/unit/automake.mk): the linker leads the functions of src/proxy/nftables/wire.h here.
 *
 * It is made of the messages: tables, sets with their elements, chains with their rules.  A
 * transaction takes effect as a whole or not at all, and is refused for what the kernel refuses it
 * for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/nftables/frame_private.h"

struct nlmsghdr;

struct kernel_element {
	unsigned char key[FRAME_KEY_MAX], value[FRAME_VALUE_MAX]; /* zero beyond their sizes */
	char chain[FRAME_NAME_SIZE];                              /* of a verdict */
	int32_t code;
	bool ends, catch_all;
};

struct kernel_set {
	char name[FRAME_NAME_SIZE];
	struct nlmsghdr *made; /* the message that did it */
	uint32_t flags, key_size, value_size;
	struct kernel_element *elements; /* sorted by key; an end before what begins there */
	size_t n, cap;
};

struct kernel_chain {
	char name[FRAME_NAME_SIZE];
	struct nlmsghdr *made;
	struct nlmsghdr **rules;
	size_t n, cap;
};

struct kernel_table {
	char name[FRAME_NAME_SIZE];
	struct nlmsghdr *made;
	struct kernel_set *sets;
	size_t n_sets, cap_sets;
	struct kernel_chain *chains;
	size_t n_chains, cap_chains;
};

struct kernel_tables {
	struct kernel_table *list;
	size_t n, cap;
};

struct nft_kernel {
	struct kernel_tables now;
	uint64_t generation; /* of what others or we changed */
	size_t n_commits;    /* that took effect */
	size_t n_refused;
	size_t n_added, n_deleted; /* elements, by those */

	/* ---- what goes wrong ---- */
	int error; /* of the next so many transactions */
	unsigned int n_errors;
	bool errors_take_effect;
	unsigned int n_interrupted; /* so many lists */
	/* The process is killed after so many transactions: nothing that it does takes effect then.
	 */
	unsigned int life;
	bool dead;
	/* Whatever adds to this set is refused; by key if that is not NULL. */
	const char *poisoned;
	const void *poison_key;
	int poison;
	/* Lists take time now and then. */
	bool slow;
	/* So long it takes until a set's list begins. */
	int64_t list_ms;

	void (*committed)(void); /* after each that took effect */
};

extern struct nft_kernel kernel;

/* With a table of somebody else's in it, which has names like ours. */
void nft_kernel_init(void);
void nft_kernel_fini(void);
/* NULL: not there. */
struct kernel_table *nft_kernel_table(const char *name);
/* Of our table. */
struct kernel_set *nft_kernel_set(const char *name);
struct kernel_chain *nft_kernel_chain(const char *name);
struct kernel_element *nft_kernel_find(const struct kernel_set *s, const void *key, bool ends);
/* Adds one as somebody else does. */
void nft_kernel_add(struct kernel_set *s, const struct kernel_element *e);
void nft_kernel_delete(struct kernel_set *s, size_t i);
void nft_kernel_delete_rule(struct kernel_chain *c, size_t i);
void nft_kernel_delete_chain(const char *name);
void nft_kernel_delete_table(const char *name);
/* Of all that is not ours. */
uint64_t nft_kernel_others(void);

#endif
