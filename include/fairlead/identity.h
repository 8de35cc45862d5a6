/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_IDENTITY_H
#define FAIRLEAD_IDENTITY_H

/*
 * Whom an address is for, as the nodes of a segment tell it apart: a Service by its UID and its
 * creation.  Nodes only compare identities, so that what stands behind one is the caller's affair.
 * Of two for one address the younger counts: the address was given to another since.
 */

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_SIZE 16

struct identity {
	uint8_t id[IDENTITY_SIZE];
	int64_t since_us; /* when it began to exist, microseconds since 1970 */
};

bool identity_eq(const struct identity *a, const struct identity *b);
/* > 0 if @a counts rather than @b, 0 if they are the same. */
int identity_order(const struct identity *a, const struct identity *b);

#endif
