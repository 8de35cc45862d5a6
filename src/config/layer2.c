/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a pool's addresses are announced by layer 2.  An entry is for some Services and some nodes;
 * of those that are for both, each allows its interfaces.  So entries only ever add to each other,
 * as MetalLB's L2Advertisements do: whoever wants less narrows them all.
 */
#include "config.h"

#include <string.h>

#include "fairlead/configuration.h"

static bool selects(const struct label_selectors *s, const struct labels *labels)
{
	return s->n == 0 || label_selectors_match(s, labels);
}

static uint64_t bit(size_t i)
{
	return UINT64_C(1) << i;
}

uint64_t config_pool_layer2_for_service(const struct config_pool *pool,
                                        const struct labels *service)
{
	uint64_t entries = 0;

	if (pool->n_layer2 == 0)
		return CONFIG_LAYER2_ALL;
	for (size_t i = 0; i < pool->n_layer2; i++)
		if (selects(&pool->layer2[i].service_selectors, service))
			entries |= bit(i);
	return entries;
}

uint64_t config_pool_layer2_for_node(const struct config_pool *pool, uint64_t entries,
                                     const struct labels *node)
{
	uint64_t left = 0;

	if (pool->n_layer2 == 0)
		return entries;
	for (size_t i = 0; i < pool->n_layer2; i++)
		if (entries & bit(i) && selects(&pool->layer2[i].node_selectors, node))
			left |= bit(i);
	return left;
}

uint32_t config_pool_preference(const struct config_pool *pool, uint64_t entries,
                                const struct labels *node)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < pool->n_layer2; i++)
		for (size_t k = 0; entries & bit(i) && k < pool->layer2[i].n_preferred_nodes; k++) {
			const struct config_preference *p = &pool->layer2[i].preferred_nodes[k];
			if (label_selector_matches(&p->nodes, node))
				sum += p->weight;
		}
	return sum;
}

void config_pool_put_interfaces(const struct config_pool *pool, uint64_t entries, struct buf *out)
{
	for (size_t i = 0; i < pool->n_layer2; i++)
		if (entries & bit(i) && pool->layer2[i].n_interfaces == 0)
			return;
	for (size_t i = 0, n = 0; i < pool->n_layer2; i++)
		for (size_t k = 0; entries & bit(i) && k < pool->layer2[i].n_interfaces; k++)
			buf_printf(out, "%s(%s)", n++ ? "|" : "", pool->layer2[i].interfaces[k]);
}

void config_pool_put_routed(const struct config_pool *pool, uint64_t entries, struct buf *out)
{
	for (size_t i = 0, n = 0; i < pool->n_layer2; i++)
		for (size_t k = 0;
		     entries & bit(i) && pool->layer2[i].routed && k < pool->layer2[i].n_interfaces;
		     k++)
			buf_printf(out, "%s(%s)", n++ ? "|" : "", pool->layer2[i].interfaces[k]);
}

/* ---- comparing ---- */

static bool preferences_eq(const struct config_layer2 *a, const struct config_layer2 *b)
{
	if (a->n_preferred_nodes != b->n_preferred_nodes)
		return false;
	for (size_t i = 0; i < a->n_preferred_nodes; i++)
		if (a->preferred_nodes[i].weight != b->preferred_nodes[i].weight ||
		    !label_selector_eq(&a->preferred_nodes[i].nodes, &b->preferred_nodes[i].nodes))
			return false;
	return true;
}

static bool entry_eq(const struct config_layer2 *a, const struct config_layer2 *b)
{
	if (a->n_interfaces != b->n_interfaces || a->routed != b->routed)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (strcmp(a->interfaces[i], b->interfaces[i]) != 0)
			return false;
	return label_selectors_eq(&a->node_selectors, &b->node_selectors) &&
	       label_selectors_eq(&a->service_selectors, &b->service_selectors) &&
	       preferences_eq(a, b);
}

bool config_pool_layer2_eq(const struct config_pool *a, const struct config_pool *b)
{
	if (a->n_layer2 != b->n_layer2)
		return false;
	for (size_t i = 0; i < a->n_layer2; i++)
		if (!entry_eq(&a->layer2[i], &b->layer2[i]))
			return false;
	return true;
}

/* By one entry at a time, since which of them count depends on the Service. */
bool config_pool_layer2_tells_apart(const struct config_pool *pool, const struct labels *a,
                                    const struct labels *b)
{
	if (config_pool_layer2_for_node(pool, CONFIG_LAYER2_ALL, a) !=
	    config_pool_layer2_for_node(pool, CONFIG_LAYER2_ALL, b))
		return true;
	for (size_t i = 0; i < pool->n_layer2; i++)
		if (config_pool_preference(pool, bit(i), a) !=
		    config_pool_preference(pool, bit(i), b))
			return true;
	return false;
}

/* ---- in words ---- */

static void open_part(const char *what, size_t start, struct buf *out)
{
	buf_printf(out, "%s%s", out->size > start ? "; " : "", what);
}

static void say_selectors(const char *what, const struct label_selectors *s, size_t start,
                          struct buf *out)
{
	if (s->n == 0)
		return;
	open_part(what, start, out);
	label_selectors_put(s, out);
}

void config_layer2_say(const struct config_layer2 *entry, struct buf *out)
{
	size_t start = out->size;

	if (entry->n_interfaces > 0)
		open_part("interfaces ", start, out);
	for (size_t i = 0; i < entry->n_interfaces; i++)
		buf_printf(out, "%s%s", i ? ", " : "", entry->interfaces[i]);
	if (entry->routed)
		buf_puts(out, " (also outside their subnets)");
	say_selectors("nodes ", &entry->node_selectors, start, out);
	say_selectors("Services ", &entry->service_selectors, start, out);
	for (size_t i = 0; i < entry->n_preferred_nodes; i++) {
		if (i == 0)
			open_part("preferred ", start, out);
		buf_puts(out, i ? ", " : "");
		label_selector_put(&entry->preferred_nodes[i].nodes, out);
		buf_printf(out, " (%u)", entry->preferred_nodes[i].weight);
	}
	if (out->size == start)
		buf_puts(out, "everywhere");
}
