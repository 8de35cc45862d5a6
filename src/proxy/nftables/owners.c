/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/owners.h"

#include <stdlib.h>

#include "fairlead/mem.h"

void owners_fini(struct owners *o)
{
	free(o->list);
	free(o->free);
	*o = (struct owners){ .n = 0 };
}

uint32_t owners_number(struct owners *o, struct store_owner *owner)
{
	if (owner->number)
		return owner->number;
	if (o->n_free > 0) {
		owner->number = o->free[--o->n_free];
	} else {
		ARRAY_RESERVE(o->list, o->cap, o->n + 2);
		owner->number = (uint32_t)++o->n;
	}
	o->list[owner->number] = owner;
	return owner->number;
}

void owners_drop(struct owners *o, struct store_owner *owner)
{
	if (!owner->number)
		return;
	ARRAY_RESERVE(o->free, o->cap_free, o->n_free + 1);
	o->free[o->n_free++] = owner->number;
	o->list[owner->number] = NULL;
	owner->number = 0;
}

struct store_owner *owners_at(const struct owners *o, uint32_t number)
{
	return number > 0 ? o->list[number] : NULL;
}
