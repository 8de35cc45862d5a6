/* SPDX-License-Identifier: Apache-2.0 */
/* Which advertisements of the address's pool apply on a node, and what to say of them. */
#include "config.h"

#include "decide/private.h"

static uint64_t of_node(const struct decision *d, uint64_t set, const struct view_node *n)
{
	return d->pool && n ? config_pool_advertisements_for_node(view_configuration(d->view),
	                                                          d->pool, set, &n->labels)
	                    : set;
}

uint64_t decide_advertisements(const struct decision *d, const char *node)
{
	return of_node(d, d->advertisements, view_node_named(d->view, node));
}

void decide_say_unadvertised(const struct decision *d, struct buf *out)
{
	buf_printf(out, ": pool %s has", d->pool->name);
	for (size_t i = 0; i < d->pool->n_advertisements; i++) {
		buf_printf(out, "%s bgp-advertisements[%zu] (", i ? "," : "", i);
		config_advertisement_say(&d->pool->advertisements[i], out);
		buf_putc(out, ')');
	}
}
