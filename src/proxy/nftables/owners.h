/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_OWNERS_H
#define FAIRLEAD_PROXY_NFTABLES_OWNERS_H

/* Numbers for owners of elements, which are half as long as pointers.  That of nobody is 0. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of whoever owns elements; all zero at first. */
struct store_owner {
	uint32_t number;
	bool turn;  /* changed by the owner before it wants everything anew */
	bool large; /* all others come before it */
};

struct owners {
	struct store_owner **list; /* by number, the first being 1 */
	size_t n, cap;             /* n: the largest number that was given */
	uint32_t *free;            /* numbers that may be given again */
	size_t n_free, cap_free;
};

void owners_fini(struct owners *o);
/* The owner's own, which it gets if it has none. */
uint32_t owners_number(struct owners *o, struct store_owner *owner);
void owners_drop(struct owners *o, struct store_owner *owner);
/* NULL: nobody. */
struct store_owner *owners_at(const struct owners *o, uint32_t number);

#endif
