/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/plan.h"

#include <string.h>

#include "cli/plan_private.h"
#include "cli/table.h"
#include "fairlead/mem.h"

/* In a word: what an edit of the pools does beside what Services ask for has words of its own. */
static const char *change_name(const struct plan_row *row, size_t side)
{
	enum ipam_action change = plan_change(row, side);

	if (change == IPAM_KEEP && plan_part(row, side)->reason == REASON_Retained)
		return "retain";
	if (change == IPAM_MOVE && row->sides[side].renumbered)
		return "renumber";
	return ipam_action_name(change);
}

struct said {
	enum reason reason;
	const char *message;
};

static struct said said_of(const struct plan_row *row, size_t side)
{
	const struct plan_side *s = &row->sides[side];
	const struct record_part *p = plan_part(row, side);
	enum ipam_action change = plan_change(row, side);
	bool stays = p->action == IPAM_KEEP || p->action == IPAM_NONE;

	if (stays && change != IPAM_KEEP && change != IPAM_NONE && s->message)
		return (struct said){ s->reason, s->message };
	return (struct said){ p->reason, p->message };
}

static const char *pool_of(const struct plan *p, const struct plan_row *row, size_t side)
{
	const struct plan_side *s = &row->sides[side];
	const struct config_pool *pool = NULL;
	size_t n;
	cleanup_free struct addr *after = plan_addrs(plan_part(row, side), &n);

	for (size_t i = 0; i < n && !pool; i++)
		pool = configuration_pool_of(p->config, &after[i]);
	for (size_t i = 0; i < s->n_before && !pool; i++)
		pool = configuration_pool_of(p->config, &s->before[i]);
	return pool ? pool->name : NULL;
}

/* Of two changes the one that matters more to whoever reads it. */
static size_t weightier(const struct plan_row *row)
{
	static const int weight[] = {
		[IPAM_NONE] = 0,    [IPAM_KEEP] = 1, [IPAM_ASSIGN] = 2,
		[IPAM_RELEASE] = 3, [IPAM_MOVE] = 4, [IPAM_FAIL] = 5,
	};

	if (!row->sides[EXTERNAL].of_interest)
		return LOAD_BALANCER;
	if (!row->sides[LOAD_BALANCER].of_interest)
		return EXTERNAL;
	return weight[plan_change(row, EXTERNAL)] > weight[plan_change(row, LOAD_BALANCER)]
	               ? EXTERNAL
	               : LOAD_BALANCER;
}

void plan_warnings(const struct plan *p, struct buf *out)
{
	size_t n;
	cleanup_free struct ipam_machine_view *machines = ipam_machines_in_pools(p->ipam, &n);

	for (size_t i = 0; i < n; i++) {
		buf_puts(out, "warning: ");
		ipam_put_machine(&machines[i], out);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < p->n_idle; i++)
		buf_printf(out,
		           "warning: the node-selectors of peer %s (%s) select none of the Nodes: "
		           "nobody has a session with it\n",
		           p->idle[i]->name, addr_str(&p->idle[i]->address));
}

static void put_addrs(const struct addr *addrs, size_t n, const char *quote, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		bool first = out->size == 0 || out->data[out->size - 1] == '[';
		buf_printf(out, "%s%s%s%s", first ? "" : ",", quote, addr_str(&addrs[i]), quote);
	}
}

static void put_before(const struct plan_row *row, size_t side, const char *quote, struct buf *out)
{
	put_addrs(row->sides[side].before, row->sides[side].n_before, quote, out);
}

static void put_after(const struct plan_row *row, size_t side, const char *quote, struct buf *out)
{
	size_t n;
	cleanup_free struct addr *after = plan_addrs(plan_part(row, side), &n);

	put_addrs(after, n, quote, out);
}

static void put_protocols(unsigned int protocols, const char *quote, struct buf *out)
{
	static const enum protocol all[] = { PROTOCOL_LAYER2, PROTOCOL_BGP };
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (protocols & all[i]) {
			buf_printf(out, "%s%s%s%s", comma, quote, protocol_name(all[i]), quote);
			comma = ",";
		}
}

static void put_air(const struct plan_air *air, struct buf *out)
{
	bool first = out->data[out->size - 1] == '[';

	buf_printf(out, "%s{\"address\":\"%s\",\"protocols\":[", first ? "" : ",",
	           addr_str(&air->addr));
	put_protocols(air->protocols, "\"", out);
	buf_puts(out, "],\"reason\":");
	buf_json_str(out, air->message ? reason_name(air->reason) : NULL);
	buf_puts(out, ",\"message\":");
	buf_json_str(out, air->message);
	buf_putc(out, '}');
}

static bool silences(const struct plan_row *row, const bool sides[static SIDES])
{
	return (sides[LOAD_BALANCER] && plan_silences(&row->sides[LOAD_BALANCER])) ||
	       (sides[EXTERNAL] && plan_silences(&row->sides[EXTERNAL]));
}

/* The addresses of @sides, and what is said of @told. */
static void put_facts(const struct plan *p, const struct plan_row *row,
                      const bool sides[static SIDES], size_t told, struct buf *out)
{
	const struct said said = said_of(row, told);

	buf_puts(out, "\"before\":[");
	for (size_t i = 0; i < SIDES; i++)
		if (sides[i])
			put_before(row, i, "\"", out);
	buf_puts(out, "],\"after\":[");
	for (size_t i = 0; i < SIDES; i++)
		if (sides[i])
			put_after(row, i, "\"", out);
	buf_puts(out, "],\"announced\":[");
	for (size_t i = 0; i < SIDES; i++)
		for (size_t k = 0; sides[i] && k < row->sides[i].n_air; k++)
			put_air(&row->sides[i].air[k], out);
	buf_printf(out, "],\"silenced\":%s,\"pool\":", silences(row, sides) ? "true" : "false");
	buf_json_str(out, pool_of(p, row, told));
	buf_printf(out, ",\"change\":\"%s\",\"reason\":\"%s\",\"message\":", change_name(row, told),
	           reason_name(said.reason));
	buf_json_str(out, said.message);
}

/* Where external IPs are concerned: each kind of addresses by itself. */
static void put_parts(const struct plan *p, const struct plan_row *row, struct buf *out)
{
	static const char *const kinds[SIDES] = { "load-balancer", "external-ip" };
	const char *comma = "";

	buf_puts(out, ",\"parts\":[");
	for (size_t i = 0; i < SIDES; i++) {
		bool one[SIDES] = { false };
		if (!row->sides[i].of_interest)
			continue;
		one[i] = true;
		buf_printf(out, "%s{\"kind\":\"%s\",", comma, kinds[i]);
		put_facts(p, row, one, i, out);
		buf_putc(out, '}');
		comma = ",";
	}
	buf_putc(out, ']');
}

void plan_json(const struct plan *p, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_row *row = &p->rows[i];
		const bool both[SIDES] = { row->sides[LOAD_BALANCER].of_interest,
			                   row->sides[EXTERNAL].of_interest };
		buf_puts(out, i ? ",\n{\"namespace\":" : "{\"namespace\":");
		buf_json_str(out, row->record->namespace);
		buf_puts(out, ",\"name\":");
		buf_json_str(out, row->record->name);
		buf_putc(out, ',');
		put_facts(p, row, both, weightier(row), out);
		if (both[EXTERNAL])
			put_parts(p, row, out);
		buf_putc(out, '}');
	}
	buf_puts(out, "]\n");
}

/* By which protocols, of all its addresses together. */
static void put_announced(const struct plan_side *side, struct buf *out)
{
	unsigned int protocols = 0;
	bool as_before = false;

	for (size_t i = 0; i < side->n_air; i++) {
		protocols |= side->air[i].protocols;
		as_before |= side->air[i].reason == REASON_Retained;
	}
	put_protocols(protocols, "", out);
	if (as_before)
		buf_puts(out, out->size > 0 ? ",as before" : "as before");
	else if (side->n_air > 0 && !protocols)
		buf_puts(out, "nobody");
}

/* Which of them nobody would announce, unless what is said already says it. */
static void put_silent(const struct plan_side *side, enum reason said, struct buf *out)
{
	for (size_t i = 0; i < side->n_air; i++) {
		const struct plan_air *air = &side->air[i];
		if (air->message && air->reason != said)
			buf_printf(out, "; nobody would announce %s%s: %s", addr_str(&air->addr),
			           air->silenced ? " any more" : "", air->message);
	}
}

static void put_row(const struct plan *p, const struct plan_row *row, size_t side, struct table *t)
{
	cleanup(buf_fini) struct buf before = BUF_INIT, after = BUF_INIT;
	cleanup(buf_fini) struct buf announced = BUF_INIT, silent = BUF_INIT;
	const struct said said = said_of(row, side);
	const char *pool = pool_of(p, row, side);

	put_before(row, side, "", &before);
	put_after(row, side, "", &after);
	put_announced(&row->sides[side], &announced);
	put_silent(&row->sides[side], said.reason, &silent);
	table_cell(t, "%s", side == EXTERNAL ? row->record->external_key : row->record->key);
	table_cell(t, "%s", buf_str(&before));
	table_cell(t, "%s", buf_str(&after));
	table_cell(t, "%s", pool ? pool : "");
	table_cell(t, "%s", change_name(row, side));
	table_cell(t, "%s", buf_str(&announced));
	table_cell(t, "%s: %s%s", reason_name(said.reason), said.message, buf_str(&silent));
}

void plan_text(const struct plan *p, struct buf *out)
{
	static const char *const head[] = { "SERVICE", "BEFORE",    "AFTER", "POOL",
		                            "CHANGE",  "ANNOUNCED", "REASON" };
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++)
			if (p->rows[i].sides[k].of_interest)
				put_row(p, &p->rows[i], k, &t);
	table_print(&t, "", out);
}
