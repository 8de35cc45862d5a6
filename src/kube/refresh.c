/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/refresh.h"

#include <stdlib.h>
#include <utlist.h>

#include "fairlead/mem.h"

void refreshes_fini(struct refreshes *r)
{
	struct refresh *one, *next;

	LL_FOREACH_SAFE(r->list, one, next)
		free(one);
	r->list = NULL;
}

void refreshes_add(struct refreshes *r, uint32_t list, void (*done)(void *arg), void *arg)
{
	struct refresh *one = xcalloc(1, sizeof(*one));

	one->list = list;
	one->done = done;
	one->arg = arg;
	LL_APPEND(r->list, one);
}

struct refresh *refreshes_take(struct refreshes *r, uint32_t list)
{
	struct refresh *one, *next, *due = NULL;

	LL_FOREACH_SAFE(r->list, one, next) {
		/* Numbers start anew after the last one. */
		if ((int32_t)(list - one->list) < 0)
			continue;
		LL_DELETE(r->list, one);
		LL_APPEND(due, one);
	}
	return due;
}
