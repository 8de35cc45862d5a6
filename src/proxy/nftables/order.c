/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/order.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define NOBODY SIZE_MAX

static int cmp(const struct proxy_endpoint *a, const struct proxy_endpoint *b)
{
	int r = addr_cmp(&a->addr, &b->addr);

	return r ? r : (int)a->port - (int)b->port;
}

struct ranked {
	const struct proxy_endpoint *e;
	size_t i;
};

static int by_endpoint(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return cmp(x->e, y->e);
}

static struct ranked *rank(const struct proxy_endpoint *list, size_t n)
{
	struct ranked *r = xcalloc(n + 1, sizeof(*r));

	for (size_t i = 0; i < n; i++)
		r[i] = (struct ranked){ &list[i], i };
	qsort(r, n, sizeof(*r), by_endpoint);
	return r;
}

void order_endpoints(const struct proxy_endpoint *have, size_t n_have,
                     const struct proxy_endpoint *want, size_t n_want, size_t *ret)
{
	cleanup_free struct ranked *old = rank(have, n_have), *new = rank(want, n_want);
	cleanup_free size_t *homeless = xcalloc(n_want + 1, sizeof(*homeless));
	size_t n_homeless = 0, k = 0, next = 0;

	for (size_t i = 0; i < n_want; i++)
		ret[i] = NOBODY;
	for (size_t i = 0; i < n_want; i++) {
		while (k < n_have && cmp(old[k].e, new[i].e) < 0)
			k++;
		bool stays = k < n_have && cmp(old[k].e, new[i].e) == 0 && old[k].i < n_want &&
		             ret[old[k].i] == NOBODY;
		if (stays)
			ret[old[k].i] = new[i].i;
		else
			homeless[n_homeless++] = new[i].i;
	}
	for (size_t i = 0; i < n_want; i++)
		if (ret[i] == NOBODY)
			ret[i] = homeless[next++];
}
