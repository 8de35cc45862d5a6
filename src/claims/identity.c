/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/identity.h"

#include <string.h>

int identity_order(const struct identity *a, const struct identity *b)
{
	if (a->since_us != b->since_us)
		return a->since_us > b->since_us ? 1 : -1;
	return memcmp(a->id, b->id, sizeof(a->id));
}

bool identity_eq(const struct identity *a, const struct identity *b)
{
	return identity_order(a, b) == 0;
}
