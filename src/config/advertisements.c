/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whom a pool's bgp-advertisements are.  Each narrows itself, by the labels of Services and of
 * nodes and by the names of peers; what is announced is the sum of those that apply.
 */
#include "config.h"

#include <string.h>

#include "config/parse.h"

_Static_assert(CONFIG_ADVERTISEMENTS_MAX <= 64, "a bit each");

static uint64_t bit(size_t i)
{
	return UINT64_C(1) << i;
}

static bool selects(const struct label_selectors *s, const struct labels *labels)
{
	return s->n == 0 || label_selectors_match(s, labels);
}

uint64_t config_pool_advertisements_for_service(const struct config_pool *pool,
                                                const struct labels *service)
{
	uint64_t set = pool->n_advertisements == 0;

	for (size_t i = 0; i < pool->n_advertisements; i++)
		if (selects(&pool->advertisements[i].service_selectors, service))
			set |= bit(i);
	return set;
}

bool config_advertisement_reaches(const struct config_advertisement *adv, const char *peer)
{
	bool reaches = adv->n_peers == 0;

	for (size_t i = 0; i < adv->n_peers && !reaches; i++)
		reaches = !strcmp(adv->peers[i], peer);
	return reaches;
}

static bool reaches_a_peer_of(const struct configuration *c, const struct config_advertisement *adv,
                              const struct labels *node)
{
	bool reaches = adv->n_peers == 0;

	for (size_t i = 0; i < c->n_peers && !reaches; i++)
		reaches = config_advertisement_reaches(adv, c->peers[i].name) &&
		          config_peer_selects(&c->peers[i], node);
	return reaches;
}

uint64_t config_pool_advertisements_for_node(const struct configuration *c,
                                             const struct config_pool *pool,
                                             uint64_t advertisements, const struct labels *node)
{
	for (size_t i = 0; i < pool->n_advertisements; i++) {
		const struct config_advertisement *adv = &pool->advertisements[i];
		if (advertisements & bit(i) &&
		    !(selects(&adv->node_selectors, node) && reaches_a_peer_of(c, adv, node)))
			advertisements &= ~bit(i);
	}
	return advertisements;
}

/* ---- comparing ---- */

bool config_advertisements_are_for_the_same(const struct config_advertisement *a,
                                            const struct config_advertisement *b)
{
	if (a->n_peers != b->n_peers)
		return false;
	for (size_t i = 0; i < a->n_peers; i++) /* none twice */
		if (!config_advertisement_reaches(b, a->peers[i]))
			return false;
	return label_selectors_eq(&a->node_selectors, &b->node_selectors) &&
	       label_selectors_eq(&a->service_selectors, &b->service_selectors);
}

bool config_pools_advertise_alike(const struct config_pool *a, const struct config_pool *b)
{
	bool alike = a->n_advertisements == b->n_advertisements;

	for (size_t i = 0; alike && i < a->n_advertisements; i++)
		alike = a->advertisements[i].n_peers == 0 &&
		        config_advertisements_are_for_the_same(&a->advertisements[i],
		                                               &b->advertisements[i]);
	return alike;
}

static bool tell_apart(const struct configuration *c, const struct config_pool *pools, size_t n,
                       const struct labels *a, const struct labels *b)
{
	for (size_t i = 0; i < n; i++)
		if (config_pool_layer2_tells_apart(&pools[i], a, b) ||
		    config_pool_advertisements_for_node(c, &pools[i], UINT64_MAX, a) !=
		            config_pool_advertisements_for_node(c, &pools[i], UINT64_MAX, b))
			return true;
	return false;
}

bool configuration_tells_nodes_apart(const struct configuration *c, const struct labels *a,
                                     const struct labels *b)
{
	return tell_apart(c, c->pools, c->n_pools, a, b) ||
	       tell_apart(c, c->retained, c->n_retained, a, b);
}

/* ---- in words ---- */

static void say_selectors(const char *what, const struct label_selectors *s, struct buf *out)
{
	if (s->n == 0)
		return;
	buf_puts(out, what);
	label_selectors_put(s, out);
}

void config_advertisement_say(const struct config_advertisement *adv, struct buf *out)
{
	buf_puts(out, adv->n_peers ? "to " : "to all peers");
	for (size_t i = 0; i < adv->n_peers; i++)
		buf_printf(out, "%s%s", i ? ", " : "", adv->peers[i]);
	say_selectors("; from nodes ", &adv->node_selectors, out);
	say_selectors("; for Services ", &adv->service_selectors, out);
}

static bool is_general(const struct config_advertisement *adv)
{
	return adv->n_peers == 0 && adv->node_selectors.n == 0 && adv->service_selectors.n == 0;
}

void config_pool_say_advertisements(const struct config_pool *pool, uint64_t set, struct buf *out)
{
	size_t n = pool ? pool->n_advertisements : 0, said = 0;
	bool all_general = true;

	for (size_t i = 0; i < n; i++)
		all_general &= is_general(&pool->advertisements[i]);
	for (size_t i = 0; !all_general && i < n; i++) {
		if (!(set & bit(i)))
			continue;
		buf_printf(out, "%s bgp-advertisements[%zu] (", said++ ? "," : "; by", i);
		config_advertisement_say(&pool->advertisements[i], out);
		buf_putc(out, ')');
	}
}
