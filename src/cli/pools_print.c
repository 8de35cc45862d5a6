/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pools as tables: a row a pool and family; and with --addresses a row an address.
 *
 * A pool that is small enough to read is listed address by address.  In a larger one neighbours
 * that stand alike are one row, so that a /64 takes a few lines; those that somebody has are rows
 * of their own in any case.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_pools.h"
#include "cli/model_private.h"
#include "cli/verdict.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* So many namespaces are named beside a pool. */
#define NAMESPACES_SHOWN 3
/* Up to so many of a family in a pool, each address has its row. */
#define LISTED_MAX 1024

static bool is_shown(const struct model *m, const struct config_pool *p)
{
	return !m->only_pool || !strcmp(m->only_pool, p->name);
}

/* ---- pools ---- */

static const struct out_table pools_table = {
	.title = "Pools",
	.columns = { { "name", "NAME" },
	             { "of", "FAMILY", .if_any = true },
	             { "protocols", "PROTOCOLS" },
	             { "use", "USE", .wide = true },
	             { "size", "SIZE", .wide = true },
	             { "total", "TOTAL" },
	             { "used", "USED" },
	             { "free", "FREE" },
	             { "wait", "RESERVED", .if_any = true },
	             { "cool", "COOLING", .if_any = true },
	             { "kept", "RETAINED", .if_any = true },
	             { "out", "EXCLUDED", .if_any = true },
	             { "block", "LARGEST FREE", .wide = true },
	             { "full", "FULL IN", .wide = true, .if_any = true },
	             { "whose", "FOR", .if_any = true },
	             { "top", "NAMESPACES", .wide = true, .if_any = true },
	             { "ranges", "RANGES" } },
};

static void put_words(struct out *o, const char *key, unsigned int bits, const char *const *words)
{
	out_list(o, key);
	for (size_t i = 0; words[i]; i++)
		if (bits & 1u << i)
			out_str(o, NULL, words[i]);
	out_close(o);
}

static bool any_reserved(const struct configuration *c)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (config_pool_is_reserved(&c->pools[i]))
			return true;
	return false;
}

static void put_reservations(const struct config_pool *p, struct out *o)
{
	if (p->n_reservations == 0)
		return;
	out_list(o, "reservations");
	for (size_t i = 0; i < p->n_reservations; i++) {
		out_object(o, NULL);
		out_str(o, "service", p->reservations[i].service);
		out_addr(o, "address", &p->reservations[i].address);
		out_close(o);
	}
	out_close(o);
}

static void put_tenants(const struct model *m, const struct config_pool *p, struct buf *words,
                        struct out *o)
{
	size_t n;
	struct model_tenant *tenants = model_pool_tenants(m, p, &n);

	out_list(o, "namespaces");
	for (size_t i = 0; i < n; i++) {
		out_object(o, NULL);
		out_str(o, "namespace", tenants[i].namespace);
		out_uint(o, "used", tenants[i].used);
		out_close(o);
		if (i < NAMESPACES_SHOWN)
			buf_printf(words, "%s%s %" PRIu64, i ? ", " : "", tenants[i].namespace,
			           tenants[i].used);
	}
	out_close(o);
	if (n > NAMESPACES_SHOWN)
		buf_printf(words, ", +%zu", n - NAMESPACES_SHOWN);
	free(tenants);
}

/* Addresses of the family that an edit took out of a pool of this name. */
static uint64_t count_retained(const struct model *m, const struct config_pool *p, uint8_t family)
{
	const struct config_pool *former;
	const struct addr *a;
	uint64_t n = 0;

	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; (a = model_next_retained(m, s, &i, &former));)
			n += a->family == family && !strcmp(former->name, p->name);
	return n;
}

/* A number in a cell; @key: of its column.  What is 0 leaves columns that may be left out. */
static void put_number(struct out *o, const char *key, uint64_t n)
{
	if (n == UINT64_MAX)
		out_cell(o, key, "≥2^64");
	else
		out_cell(o, key, "%" PRIu64, n);
}

static void put_number_if_any(struct out *o, const char *key, uint64_t n)
{
	if (n)
		put_number(o, key, n);
}

/* What is said of the pool, with those of its ranges that are of the family. */
static void put_pool_cells(const struct model *m, const struct config_pool *p, uint8_t family,
                           bool tell, const char *top, struct out *o)
{
	cleanup(buf_fini) struct buf whose = BUF_INIT, ranges = BUF_INIT, protocols = BUF_INIT,
				     uses = BUF_INIT;
	char text[ADDR_RANGE_STR_SIZE];

	out_cell(o, "name", "%s%s", p->name, p->disabled ? " (disabled)" : "");
	if (tell)
		out_cell(o, "of", "IPv%u", family);
	for (size_t i = 0; i < 2; i++)
		if (p->protocols & 1u << i)
			buf_printf(&protocols, "%s%s", protocols.size ? "," : "",
			           protocol_name((enum protocol)(1u << i)));
	out_cell(o, "protocols", "%s", buf_str(&protocols));
	if (p->uses & CONFIG_USE_LOAD_BALANCER)
		buf_puts(&uses, "load-balancer");
	if (p->uses & CONFIG_USE_EXTERNAL_IP)
		buf_printf(&uses, "%sexternal-ip", uses.size ? "," : "");
	out_cell(o, "use", "%s", buf_str(&uses));
	for (size_t i = 0; i < p->n_ranges; i++)
		if (p->ranges[i].first.family == family)
			buf_printf(&ranges, "%s%s", ranges.size ? "," : "",
			           addr_range_format(&p->ranges[i], text));
	out_cell(o, "ranges", "%s", buf_str(&ranges));
	config_pool_say_audience(p, &whose);
	if (any_reserved(m->config))
		out_cell(o, "whose", "%s", whose.size ? buf_str(&whose) : "all");
	if (*top)
		out_cell(o, "top", "%s", top);
}

#define FULL_DAYS_MAX 3650

/* Whether the family fills; nothing where no journal reaches back a day. */
static void put_trend(const struct model *m, const struct config_pool *p, uint8_t family,
                      uint64_t free, struct out *o)
{
	struct history_growth g;

	history_growth_of(&m->history, p, family, clock_wall_us(), &g);
	if (g.days == 0)
		return;
	double full_days = g.gained > 0 ? (double)free * (double)g.days / (double)g.gained : -1;
	out_object(o, "trend");
	out_int(o, "days", g.days);
	out_int(o, "gained", g.gained);
	if (full_days >= 0 && full_days <= FULL_DAYS_MAX) {
		out_int(o, "full_in_days", (int64_t)full_days);
		out_cell(o, "full", "%.0f days", full_days);
	} else {
		out_str(o, "full_in_days", NULL);
	}
	out_close(o);
}

static void put_family(const struct model *m, const struct config_pool *p, size_t f, bool tell,
                       const char *top, struct out *o)
{
	uint8_t family = f ? 6 : 4;
	uint64_t retained = count_retained(m, p, family);
	char text[ADDR_RANGE_STR_SIZE] = "";
	struct ipam_stock s;

	ipam_stock_of(model_ipam(m), p, f, &s);
	if (s.size == 0)
		return;
	if (s.n_largest)
		addr_range_format(&s.largest, text);
	out_object(o, NULL);
	out_printf(o, "family", "IPv%u", family);
	out_uint(o, "size", s.size);
	out_uint(o, "total", s.total);
	out_uint(o, "used", s.used);
	out_uint(o, "free", s.free);
	out_uint(o, "reserved", s.reserved);
	out_uint(o, "cooling", s.cooling);
	out_uint(o, "retained", retained);
	out_uint(o, "excluded", s.excluded);
	out_uint(o, "machines", s.machines);
	out_object(o, "largest_free");
	out_str(o, "range", s.n_largest ? text : NULL);
	out_uint(o, "addresses", s.n_largest);
	out_close(o);
	out_row(o);
	put_pool_cells(m, p, family, tell, top, o);
	put_number(o, "size", s.size);
	put_number(o, "total", s.total);
	put_number(o, "used", s.used);
	put_number(o, "free", s.free);
	put_number_if_any(o, "wait", s.reserved);
	put_number_if_any(o, "cool", s.cooling);
	put_number_if_any(o, "kept", retained);
	put_number_if_any(o, "out", s.excluded);
	if (s.n_largest)
		out_cell(o, "block", "%s", text);
	put_trend(m, p, family, s.free, o);
	out_close(o);
}

static void put_sums(const struct model *m, const struct config_pool *p, struct out *o)
{
	struct ipam_stock v4, v6;

	ipam_stock_of(model_ipam(m), p, 0, &v4);
	ipam_stock_of(model_ipam(m), p, 1, &v6);
	out_uint(o, "total", model_pool_total(m, p));
	out_uint(o, "used", v4.used + v6.used);
	put_reservations(p, o);
	out_uint(o, "free", model_pool_free(m, p));
}

/* Has any of them addresses of both families? */
static bool any_has_both(const struct model *m)
{
	for (size_t i = 0; i < m->config->n_pools; i++) {
		const struct config_pool *p = &m->config->pools[i];
		for (size_t k = 1; is_shown(m, p) && k < p->n_ranges; k++)
			if (p->ranges[k].first.family != p->ranges[0].first.family)
				return true;
	}
	return false;
}

static void put_pool(const struct model *m, const struct config_pool *p, struct out *o)
{
	static const char *const protocols[] = { "layer2", "bgp", NULL };
	static const char *const uses[] = { "load-balancer", "external-ip", NULL };
	_Static_assert(PROTOCOL_LAYER2 == 1 && PROTOCOL_BGP == 2, "bits");
	_Static_assert(CONFIG_USE_LOAD_BALANCER == 1 && CONFIG_USE_EXTERNAL_IP == 2, "bits");
	cleanup(buf_fini) struct buf top = BUF_INIT;
	char text[ADDR_RANGE_STR_SIZE];

	out_object(o, NULL);
	out_str(o, "name", p->name);
	put_words(o, "protocols", p->protocols, protocols);
	put_words(o, "use", p->uses, uses);
	out_list(o, "ranges");
	for (size_t i = 0; i < p->n_ranges; i++)
		out_str(o, NULL, addr_range_format(&p->ranges[i], text));
	out_close(o);
	out_bool(o, "auto_assign", p->auto_assign);
	if (p->disabled)
		out_bool(o, "disabled", true);
	config_pool_put_audience(p, "for", o);
	put_sums(m, p, o);
	put_tenants(m, p, &top, o);
	out_list(o, "families");
	for (size_t f = 0; f < 2; f++)
		put_family(m, p, f, any_has_both(m), buf_str(&top), o);
	out_close(o);
	out_close(o);
}

void pools_put(const struct model *m, struct out *o)
{
	if (m->config)
		out_table(o, &pools_table);
	out_list(o, "pools");
	for (size_t i = 0; m->config && i < m->config->n_pools; i++)
		if (is_shown(m, &m->config->pools[i]))
			put_pool(m, &m->config->pools[i], o);
	out_close(o);
	if (m->config)
		out_table_end(o);
}

static const struct out_table retained_table = {
	.title = "Retained: in use, and in no pool any more",
	.if_any = true,
	.columns = { { "address", "ADDRESS" },
	             { "pool", "FORMER POOL" },
	             { "service", "SERVICE" } },
};

void pools_put_retained(const struct model *m, struct out *o)
{
	const struct config_pool *pool;
	const struct addr *a;

	out_table(o, &retained_table);
	out_list(o, "retained");
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; (a = model_next_retained(m, s, &i, &pool));) {
			if (!is_shown(m, pool))
				continue;
			out_object(o, NULL);
			out_row(o);
			out_addr(o, "address", a);
			out_str(o, "pool", pool->name);
			out_str(o, "service", s->key);
			out_close(o);
		}
	out_close(o);
	out_table_end(o);
}

/* ---- addresses ---- */

static const struct out_table addresses_table = {
	.title = "Addresses",
	.columns = { { "range", "ADDRESS" },
	             { "pool", "POOL" },
	             { "state", "STATE" },
	             { "holders", "SERVICE" },
	             { "kind", "KIND", .wide = true, .if_any = true },
	             { "since", "SINCE", .if_any = true },
	             { "note", "NOTE" } },
};

static const char *state_name(enum ipam_standing s)
{
	static const char *const names[] = {
		[IPAM_FREE] = "free",         [IPAM_GIVEN_LAST] = "free",
		[IPAM_HELD] = "used",         [IPAM_RESERVED] = "reserved",
		[IPAM_OF_MACHINE] = "barred", [IPAM_EXCLUDED] = "excluded",
		[IPAM_SPECIAL] = "barred",    [IPAM_BUGGY] = "barred",
		[IPAM_COOLING] = "cooling",
	};

	return names[s];
}

/* Why a holder may be surprised by it, or others are. */
static void put_note_of_held(const struct model *m, const struct config_pool *p,
                             const struct addr *a, struct buf *out)
{
	const char *reserved = ipam_reserved_for(model_ipam(m), a);
	const struct model_holding *h = model_holders(m, a);
	struct ipam_machine_view machine;
	bool is_its = false;

	if (ipam_machine_of(model_ipam(m), a, &machine))
		buf_printf(out, "the address of %s", machine.what);
	if (config_pool_excludes(p, a))
		buf_printf(out, "%sexcluded by now", out->size ? "; " : "");
	for (size_t i = 0; reserved && h && i < h->n; i++)
		is_its |= !strcmp(h->services[i]->key, reserved);
	if (reserved)
		buf_printf(out, "%sreserved for %s", out->size ? "; " : "",
		           is_its ? "it" : reserved);
}

static void put_note_of_cooling(const struct model *m, const struct addr *a, struct buf *out)
{
	char until[CLOCK_RFC3339_SIZE];
	int64_t until_s;
	const char *who = ipam_cools_for(model_ipam(m), a, &until_s);

	if (who)
		buf_printf(out, "until %s; sooner only to %s, which had it",
		           clock_rfc3339(until_s * 1000000, until), who);
}

static void put_note(const struct model *m, const struct config_pool *p, const struct ipam_block *b,
                     struct buf *out)
{
	const struct addr *a = &b->range.first;
	const char *squatter = ipam_squatter(model_ipam(m), a);
	struct ipam_machine_view machine;

	switch (b->standing) {
	case IPAM_HELD:
		put_note_of_held(m, p, a, out);
		return;
	case IPAM_OF_MACHINE:
		if (ipam_machine_of(model_ipam(m), a, &machine))
			buf_printf(out, "the address of %s", machine.what);
		return;
	case IPAM_RESERVED:
		buf_printf(out, "for %s", ipam_reserved_for(model_ipam(m), a));
		return;
	case IPAM_COOLING:
		put_note_of_cooling(m, a, out);
		return;
	case IPAM_EXCLUDED:
		buf_puts(out, "the pool's exclude");
		return;
	case IPAM_SPECIAL:
		buf_puts(out, "never the address of a Service");
		return;
	case IPAM_BUGGY:
		buf_puts(out, "the pool's avoid-buggy-ips");
		return;
	case IPAM_GIVEN_LAST:
		buf_printf(out, "last of all: %s names it", squatter ? squatter : "a Service");
		return;
	case IPAM_FREE:
		if (p->disabled)
			buf_puts(out, "to nobody: the pool is disabled");
		else if (!p->auto_assign)
			buf_puts(out, "to those who ask for it: auto-assign is false");
		return;
	}
}

static const char *kind_of(const struct model *m, const struct model_service *s,
                           const struct addr *a)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (addr_eq(&s->addresses[i].address.addr, a))
			return model_kind_name(m, &s->addresses[i]);
	return "";
}

/* Of those who have it, who has had it longest. */
static void put_since(const struct model *m, const struct model_holding *h, struct out *o)
{
	char time[CLOCK_RFC3339_SIZE];
	int64_t since_us = INT64_MAX;

	for (size_t i = 0; h && i < h->n; i++) {
		int64_t its_us = history_held_since(&m->history, h->services[i]->key, &h->addr);
		if (its_us && its_us < since_us)
			since_us = its_us;
	}
	out_str(o, "since", since_us < INT64_MAX ? clock_rfc3339(since_us, time) : NULL);
}

static void put_holders(const struct model *m, const struct addr *a, struct out *o)
{
	const struct model_holding *h = model_holders(m, a);
	cleanup(buf_fini) struct buf names = BUF_INIT;

	out_list(o, "services");
	for (size_t i = 0; h && i < h->n; i++) {
		out_str(o, NULL, h->services[i]->key);
		buf_printf(&names, "%s%s", i ? "," : "", h->services[i]->key);
	}
	out_close(o);
	put_since(m, h, o);
	if (!names.size)
		return;
	out_cell(o, "holders", "%s", buf_str(&names));
	out_cell(o, "kind", "%s", kind_of(m, h->services[0], a));
	out_name(o, "%s", addr_str(a));
}

static void put_block(const struct model *m, const struct config_pool *p,
                      const struct ipam_block *b, struct out *o)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;
	char text[ADDR_RANGE_STR_SIZE];

	put_note(m, p, b, &note);
	out_object(o, NULL);
	out_row(o);
	if (addr_eq(&b->range.first, &b->range.last))
		out_addr(o, "range", &b->range.first);
	else
		out_str(o, "range", addr_range_format(&b->range, text));
	out_uint(o, "addresses", addr_range_count(&b->range));
	out_str(o, "pool", p->name);
	out_str(o, "state", state_name(b->standing));
	if (b->standing == IPAM_HELD)
		put_holders(m, &b->range.first, o);
	else
		put_holders(m, &(struct addr){ .family = 0 }, o);
	out_str(o, "note", note.size ? buf_str(&note) : NULL);
	if (!note.size)
		out_cell(o, "note", "-");
	out_close(o);
}

static void put_each(const struct model *m, const struct config_pool *p, const struct ipam_block *b,
                     struct out *o)
{
	struct addr a = b->range.first;

	do
		put_block(m, p, &(struct ipam_block){ .range = { a, a }, .standing = b->standing },
		          o);
	while (!addr_eq(&a, &b->range.last) && addr_next(&a, &a));
}

static void put_addresses_of(const struct model *m, const struct config_pool *p, struct out *o)
{
	size_t n;
	struct ipam_block *blocks = ipam_survey(model_ipam(m), p, &n);
	struct ipam_stock stocks[2];

	for (size_t f = 0; f < 2; f++)
		ipam_stock_of(model_ipam(m), p, f, &stocks[f]);
	for (size_t i = 0; i < n; i++) {
		if (stocks[blocks[i].range.first.family == 6].size <= LISTED_MAX)
			put_each(m, p, &blocks[i], o);
		else
			put_block(m, p, &blocks[i], o);
	}
	free(blocks);
}

static void put_addresses(const struct model *m, struct out *o)
{
	if (m->config)
		out_table(o, &addresses_table);
	out_list(o, "addresses");
	for (size_t i = 0; m->config && i < m->config->n_pools; i++)
		if (is_shown(m, &m->config->pools[i]))
			put_addresses_of(m, &m->config->pools[i], o);
	out_close(o);
	if (m->config)
		out_table_end(o);
}

/* ---- the whole ---- */

void cluster_pools_print(struct model *m, const struct findings *f, struct out *o)
{
	model_sort(m);
	out_object(o, NULL);
	verdict_print(f, "verdict", o);
	for (size_t i = 0; !m->lists_addresses && m->config && i < m->config->n_pools; i++)
		if (is_shown(m, &m->config->pools[i]))
			out_name(o, "%s", m->config->pools[i].name);
	if (!m->config)
		out_say(o, "No configuration was published yet.");
	pools_put(m, o);
	pools_put_retained(m, o);
	if (m->lists_addresses)
		put_addresses(m, o);
	out_close(o);
}
