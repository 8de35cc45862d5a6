/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules between peers.  FRR has one BGP instance on a node: one local AS, one router id, one
 * session for an address.  Which peers meet on a node depends on their selectors and on the node's
 * labels.  Those that select every node are judged at once, and strictly, for a mistake there is
 * one everywhere.  What selectors bring together is each node's own affair, which has as many of
 * them as go together.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

/* Whether every key but the name says the same; passwords are not printed. */
static bool peer_eq(const struct config_peer *a, const struct config_peer *b)
{
	struct config_peer both[] = { *a, *b };
	cleanup(buf_fini) struct buf first = BUF_INIT, second = BUF_INIT;

	if (!addr_eq(&a->address, &b->address) || !a->password != !b->password ||
	    (a->password && strcmp(a->password, b->password) != 0))
		return false;
	for (size_t i = 0; i < 2; i++) {
		struct out o;
		out_init(&o, OUT_JSON, i == 0 ? &first : &second);
		out_object(&o, NULL);
		both[i].name = NULL;
		schema_print(&o, &peer_table, &both[i]);
		out_close(&o);
		out_fini(&o);
	}
	return !strcmp(buf_str(&first), buf_str(&second));
}

static bool selects_all(const struct config_peer *p)
{
	bool all = p->node_selectors.n == 0;

	for (size_t i = 0; i < p->node_selectors.n && !all; i++)
		all = p->node_selectors.items[i].n == 0;
	return all;
}

bool config_peer_selects(const struct config_peer *p, const struct labels *labels)
{
	return p->node_selectors.n == 0 || label_selectors_match(&p->node_selectors, labels);
}

/* Reports about the peer at @i. */
static size_t enter_peer(struct schema_ctx *x, size_t i, const char *key)
{
	size_t mark = schema_enter_key(x, "peers");

	schema_enter_item(x, i);
	if (key)
		schema_enter_key(x, key);
	return mark;
}

static const char *id_text(const struct addr *id)
{
	return addr_is_none(id) ? "none" : addr_str(id);
}

/* The rules for two peers that meet on a node; @i comes after @first. */
static void check_pair(struct schema_ctx *x, const struct configuration *c, size_t first, size_t i)
{
	const struct config_peer *a = &c->peers[first], *b = &c->peers[i];
	size_t mark;

	if (a->my_asn != b->my_asn && a->my_asn && b->my_asn) {
		mark = enter_peer(x, i, "my-asn");
		schema_error(x, b->asn_line,
		             "peer #%zu has my-asn %u, peer #%zu has %u; on one node all peers "
		             "must have "
		             "the same",
		             i + 1, b->my_asn, first + 1, a->my_asn);
		schema_leave(x, mark);
	}
	if (!addr_eq(&a->router_id, &b->router_id)) {
		mark = enter_peer(x, i, "router-id");
		schema_error(
			x, b->router_id_line,
			"peer #%zu has router-id %s, peer #%zu has %s; on one node all peers must "
			"have the same",
			i + 1, id_text(&b->router_id), first + 1, id_text(&a->router_id));
		schema_leave(x, mark);
	}
}

static void check_address(struct schema_ctx *x, const struct configuration *c, size_t first,
                          size_t i)
{
	size_t mark = enter_peer(x, i, "peer-address");

	schema_error(
		x, c->peers[i].address_line,
		"peer-address %s is also that of peer #%zu; on one node each peer-address may be "
		"given once",
		addr_str(&c->peers[i].address), first + 1);
	schema_leave(x, mark);
}

/* The @n peers at these positions meet on a node. */
static void check_set(struct schema_ctx *x, const struct configuration *c, const size_t *set,
                      size_t n)
{
	for (size_t k = 1; k < n; k++) {
		const struct config_peer *p = &c->peers[set[k]];
		check_pair(x, c, set[0], set[k]);
		for (size_t e = 0; e < k; e++) {
			const struct config_peer *q = &c->peers[set[e]];
			if (addr_is_none(&p->address) || !addr_eq(&p->address, &q->address))
				continue;
			/* A copy of a whole peer was refused with words of its own. */
			if (!peer_eq(p, q))
				check_address(x, c, set[e], set[k]);
			break;
		}
	}
}

/* Of what could not be read of one nothing can be said. */
static bool is_complete(const struct config_peer *p)
{
	return p->my_asn && p->peer_asn && !addr_is_none(&p->address);
}

static void check_copies(struct schema_ctx *x, const struct configuration *c)
{
	for (size_t i = 1; i < c->n_peers; i++)
		for (size_t k = 0; k < i; k++)
			if (is_complete(&c->peers[i]) && peer_eq(&c->peers[k], &c->peers[i])) {
				size_t mark = enter_peer(x, i, NULL);
				schema_error(x, c->peers[i].line,
				             "peer #%zu already exists as peer #%zu; remove one",
				             i + 1, k + 1);
				schema_leave(x, mark);
				break;
			}
}

void check_peers(struct schema_ctx *x, const struct configuration *c)
{
	size_t *everywhere = xcalloc(c->n_peers + 1, sizeof(*everywhere)), n = 0;

	check_copies(x, c);
	for (size_t i = 0; i < c->n_peers; i++)
		if (selects_all(&c->peers[i]))
			everywhere[n++] = i;
	check_set(x, c, everywhere, n);
	free(everywhere);
}

/* ---- beside the pools ---- */

/* The range that may hold @a; they are in the order of their first addresses. */
static const struct draft_range *range_before(const struct draft *d, const struct addr *a)
{
	size_t low = 0, high = d->n_ranges;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr_cmp(&d->ranges[mid].range.first, a) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 ? &d->ranges[low - 1] : NULL;
}

/* What is a router's own is given to nobody, and should not look as if it were. */
void check_peers_apart_from_pools(struct schema_ctx *x, const struct draft *d)
{
	for (size_t i = 0; i < d->config->n_peers; i++) {
		const struct config_peer *p = &d->config->peers[i];
		const struct draft_range *r = range_before(d, &p->address);
		if (addr_is_none(&p->address) || !r || !addr_range_contains(&r->range, &p->address))
			continue;
		const struct config_pool *pool = &d->config->pools[r->pool];
		if (config_pool_excludes(pool, &p->address))
			continue;
		size_t mark = enter_peer(x, i, "peer-address");
		schema_refuse(x, p->address_line,
		              "pool \"%.64s\", on line %u, holds %s, the address of BGP peer %s: "
		              "write exclude: [%s/%u] there, or take it out of addresses",
		              pool->name ? pool->name : "", r->line, addr_str(&p->address), p->name,
		              addr_str(&p->address), addr_bits(&p->address));
		schema_leave(x, mark);
	}
}

/* ---- on one node ---- */

/*
 * What bgpd cannot have twice in one instance.  An AS number other than the instance's it speaks as
 * a local-as, but only to a router that is in neither of the two.
 */
static char *why_refused(const struct config_peer *p, const struct config_node_peer *before,
                         size_t n)
{
	const struct config_peer *first = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct config_peer *q = before[i].peer;
		if (before[i].refused)
			continue;
		if (addr_eq(&p->address, &q->address))
			return xasprintf("peer-address %s is also that of %s",
			                 addr_str(&p->address), q->name);
		if (!addr_is_none(&p->router_id) && !addr_is_none(&q->router_id) &&
		    !addr_eq(&p->router_id, &q->router_id))
			return xasprintf("router-id %s is not the one of %s, and a node has one",
			                 addr_str(&p->router_id), q->name);
		first = first ? first : q;
	}
	if (first && p->my_asn != first->my_asn &&
	    (p->peer_asn == p->my_asn || p->peer_asn == first->my_asn))
		return xasprintf("my-asn %" PRIu32 " is not the one of %s, %" PRIu32
		                 ", and the router is in one of these two",
		                 p->my_asn, first->name, first->my_asn);
	return NULL;
}

size_t config_node_peers(const struct configuration *c, const struct labels *labels,
                         struct config_node_peer **ret_peers)
{
	struct config_node_peer *here = xcalloc(c->n_peers + 1, sizeof(*here));
	size_t n = 0;

	for (size_t i = 0; i < c->n_peers; i++) {
		const struct config_peer *p = &c->peers[i];
		if (!config_peer_selects(p, labels))
			continue;
		here[n] =
			(struct config_node_peer){ .peer = p, .refused = why_refused(p, here, n) };
		n++;
	}
	*ret_peers = here;
	return n;
}

void config_node_peers_free(struct config_node_peer *peers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(peers[i].refused);
	free(peers);
}

static void warn(struct config_problems *warnings, unsigned int line, char *path, char *message)
{
	ARRAY_RESERVE(warnings->items, warnings->cap, warnings->n + 1);
	warnings->items[warnings->n++] =
		(struct config_problem){ .line = line, .path = path, .message = message };
}

void configuration_warn_silent(const struct configuration *c, struct config_problems *warnings)
{
	for (size_t i = 0; i < c->n_pools; i++) {
		const struct config_pool *pool = &c->pools[i];
		if (configuration_effective_protocols(c, pool->protocols))
			continue;
		warn(warnings, pool->line, xasprintf("address-pools[%zu].protocol", i),
		     xasprintf(
			     "pool \"%.64s\" is announced by BGP alone, and there are no peers: "
			     "nobody announces its addresses; add peers, or write protocol: layer2",
			     pool->name));
	}
}

void configuration_warn_no_pools(const struct configuration *c, struct config_problems *warnings)
{
	if (c->n_pools == 0)
		warn(warnings, 0, xstrdup("address-pools"),
		     xstrdup("there are no pools: no Service gets an address by this"));
}
