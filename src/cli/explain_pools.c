/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pools are for the Service, in the order in which the controller tries them.  That is worth
 * a line only where pools are not all for everybody.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/explain_private.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

static int pool_cmp(const void *a, const void *b)
{
	return config_pool_cmp(*(const struct config_pool *const *)a,
	                       *(const struct config_pool *const *)b);
}

/* In order.  A new array for free(); NULL: all are for everybody. */
static const struct config_pool **sort_pools(const struct configuration *c)
{
	const struct config_pool **pools = xcalloc(c->n_pools + 1, sizeof(*pools));
	bool any = false;

	for (size_t i = 0; i < c->n_pools; i++) {
		pools[i] = &c->pools[i];
		any |= config_pool_is_reserved(pools[i]);
	}
	if (any) {
		qsort(pools, c->n_pools, sizeof(*pools), pool_cmp);
		return pools;
	}
	free(pools);
	return NULL;
}

static void put_reserved(const struct config_pool *pool, const char *key, struct buf *out)
{
	for (size_t i = 0; i < pool->n_reservations; i++)
		if (!strcmp(pool->reservations[i].service, key))
			buf_printf(out, "%s%s", out->size ? ", " : "",
			           addr_str(&pool->reservations[i].address));
}

static void say_reserved(const struct configuration *c, const char *key, struct out *o)
{
	cleanup(buf_fini) struct buf list = BUF_INIT;

	for (size_t i = 0; i < c->n_pools; i++)
		put_reserved(&c->pools[i], key, &list);
	if (list.size > 0)
		out_say(o, "Reserved for it: %s.", buf_str(&list));
}

static void put_pool(const struct config_pool *pool, enum config_match match, const char *namespace,
                     struct buf *out)
{
	buf_printf(out, "%s%s", out->size ? ", " : "", pool->name);
	if (match == CONFIG_MATCHES_PERHAPS)
		buf_printf(out, " (perhaps: the labels of namespace %s are not known)", namespace);
	else if (pool->disabled)
		buf_puts(out, " (disabled)");
	else if (!pool->auto_assign)
		buf_puts(out, " (to those who ask for it)");
}

/* @use: one CONFIG_USE_… bit, which is called @what. */
static void say(const struct explain *x, const struct config_pool *const *pools, size_t n,
                const struct kube_service *service, unsigned int use, const char *what,
                struct out *o)
{
	cleanup(buf_fini) struct buf list = BUF_INIT;
	const char *namespace = service->meta.namespace;

	for (size_t i = 0; i < n; i++) {
		enum config_match match = config_pool_matches(
			pools[i], namespace, x->namespace_labels, &service->meta.labels);
		if (match != CONFIG_MATCHES_NOT && pools[i]->uses & use)
			put_pool(pools[i], match, namespace, &list);
	}
	if (list.size > 0)
		out_say(o, "Pools for its %s, in the order in which they are tried: %s.", what,
		        buf_str(&list));
	else
		out_say(o, "No pool for %s is for this Service.", what);
}

void explain_say_pools(const struct explain *x, const struct kube_service *service, struct out *o)
{
	const struct configuration *c = view_configuration(x->view);
	cleanup_free const struct config_pool **pools = c ? sort_pools(c) : NULL;

	if (c)
		say_reserved(c, kube_key(&service->meta), o);
	if (!pools)
		return;
	if (service->type == KUBE_LOAD_BALANCER)
		say(x, pools, c->n_pools, service, CONFIG_USE_LOAD_BALANCER, "addresses", o);
	if (service->external_pool)
		say(x, pools, c->n_pools, service, CONFIG_USE_EXTERNAL_IP, "external IPs", o);
}
