/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pools' books, kept by the allocator itself, so that what is free here is free for the
 * controller, too; and who has which address.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/model_pools.h"
#include "cli/model_private.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

struct model_books {
	struct ipam *ipam; /* NULL: not made yet */
	struct model_holding *holdings;
};

struct model_books *model_books_new(void)
{
	return xcalloc(1, sizeof(struct model_books));
}

void model_books_reset(struct model_books *b)
{
	struct model_holding *h, *next;

	HASH_ITER(hh, b->holdings, h, next) {
		HASH_DEL(b->holdings, h);
		free(h->services);
		free(h);
	}
	ipam_free(b->ipam);
	*b = (struct model_books){ .ipam = NULL };
}

void model_books_free(struct model_books *b)
{
	if (!b)
		return;
	model_books_reset(b);
	free(b);
}

static void add_holder(struct model_books *b, const struct model_service *s, const struct addr *a)
{
	struct model_holding *h;

	HASH_FIND(hh, b->holdings, a, sizeof(*a), h);
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->addr = *a;
		HASH_ADD(hh, b->holdings, addr, sizeof(h->addr), h);
	}
	ARRAY_RESERVE(h->services, h->cap, h->n + 1);
	h->services[h->n++] = s;
}

/* A hand-written one that is denied is nobody's: the pool gives it, though last. */
static void enter(const struct model *m, struct model_books *b, const struct model_service *s)
{
	struct addr *denied = xcalloc(s->n_addresses + 1, sizeof(*denied));
	size_t n_denied = 0;

	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct view_address *a = &s->addresses[i].address;
		if (decide_kind_of(m->config, a) == DECIDE_EXTERNAL_HANDWRITTEN &&
		    !configuration_external_ip_allowed(m->config, &a->addr, s->namespace)) {
			denied[n_denied++] = a->addr;
			continue;
		}
		add_holder(b, s, &a->addr);
		ipam_hold(b->ipam, s->key, &a->addr, 1);
	}
	ipam_squat(b->ipam, s->key, denied, n_denied);
	free(denied);
}

static const struct model_books *books_of(const struct model *m)
{
	struct model_books *b = m->books;

	if (b->ipam || !m->config)
		return b;
	b->ipam = ipam_new(m->config);
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].n_addrs; k++) {
			cleanup_free char *what = xasprintf("Node %s", m->nodes[i].name);
			ipam_add_machine(b->ipam, &m->nodes[i].addrs[k], REASON_NodeAddress, what);
		}
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		enter(m, b, s);
	ipam_set_time(b->ipam, clock_wall_us() / 1000000);
	if (m->cooling)
		ipam_read_cooling(b->ipam, m->cooling);
	return b;
}

const struct ipam *model_ipam(const struct model *m)
{
	return books_of(m)->ipam;
}

const struct model_holding *model_holders(const struct model *m, const struct addr *a)
{
	struct model_holding *h;

	HASH_FIND(hh, books_of(m)->holdings, a, sizeof(*a), h);
	return h;
}

/* ---- counting ---- */

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t model_pool_total(const struct model *m, const struct config_pool *p)
{
	struct ipam_stock v4, v6;

	ipam_stock_of(model_ipam(m), p, 0, &v4);
	ipam_stock_of(model_ipam(m), p, 1, &v6);
	return plus(v4.total, v6.total);
}

uint64_t model_pool_free(const struct model *m, const struct config_pool *p)
{
	struct ipam_stock v4, v6;

	ipam_stock_of(model_ipam(m), p, 0, &v4);
	ipam_stock_of(model_ipam(m), p, 1, &v6);
	return plus(v4.free, v6.free);
}

/* ---- by namespace ---- */

static int by_count(const void *a, const void *b)
{
	const struct model_tenant *ta = a, *tb = b;

	if (ta->used != tb->used)
		return ta->used < tb->used ? 1 : -1;
	return strcmp(ta->namespace, tb->namespace);
}

/* Has an earlier Service of the same namespace the address, too? */
static bool is_counted(const struct model_holding *h, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(h->services[k]->namespace, h->services[i]->namespace))
			return true;
	return false;
}

struct model_tenant *model_pool_tenants(const struct model *m, const struct config_pool *p,
                                        size_t *ret_n)
{
	struct count {
		struct model_tenant tenant;
		UT_hash_handle hh;
	} *all = NULL, *one, *next;
	struct model_tenant *sorted;
	size_t n = 0;

	for (const struct model_holding *h = books_of(m)->holdings; h; h = h->hh.next) {
		if (configuration_giving_pool_of(m->config, &h->addr) != p)
			continue;
		for (size_t i = 0; i < h->n; i++) {
			const char *namespace = h->services[i]->namespace;
			if (is_counted(h, i))
				continue;
			HASH_FIND_STR(all, namespace, one);
			if (!one) {
				one = xcalloc(1, sizeof(*one));
				one->tenant.namespace = namespace;
				HASH_ADD_KEYPTR(hh, all, namespace, strlen(namespace), one);
			}
			one->tenant.used++;
		}
	}
	sorted = xcalloc(HASH_COUNT(all) + 1, sizeof(*sorted));
	HASH_ITER(hh, all, one, next) {
		sorted[n++] = one->tenant;
		HASH_DEL(all, one);
		free(one);
	}
	qsort(sorted, n, sizeof(*sorted), by_count);
	*ret_n = n;
	return sorted;
}
