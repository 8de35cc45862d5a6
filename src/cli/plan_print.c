/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/plan.h"

#include <string.h>

#include "cli/plan_private.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

const char *plan_change_name(const struct plan_row *row, size_t side)
{
	enum ipam_action change = plan_change(row, side);

	if (change == IPAM_KEEP && plan_part(row, side)->reason == REASON_Retained)
		return "retain";
	if (change == IPAM_MOVE && row->sides[side].renumbered)
		return "renumber";
	return ipam_action_name(change);
}

struct plan_said plan_said_of(const struct plan_row *row, size_t side)
{
	const struct plan_side *s = &row->sides[side];
	const struct record_part *p = plan_part(row, side);
	enum ipam_action change = plan_change(row, side);
	bool stays = p->action == IPAM_KEEP || p->action == IPAM_NONE;

	if (stays && change != IPAM_KEEP && change != IPAM_NONE && s->message)
		return (struct plan_said){ s->reason, s->message };
	return (struct plan_said){ p->reason, p->message };
}

const char *plan_pool_of(const struct plan *p, const struct plan_row *row, size_t side)
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

/* Of two changes the one that matters more to the reader. */
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

#define COLUMNS                                                                            \
	{                                                                                  \
		{ "service", "SERVICE" }, { "before", "BEFORE" }, { "after", "AFTER" },    \
			{ "pool", "POOL" }, { "change", "CHANGE" }, { "by", "ANNOUNCED" }, \
		{                                                                          \
			"why", "REASON"                                                    \
		}                                                                          \
	}
static const struct out_table plan_table = { .columns = COLUMNS };
static const struct out_table part_table = {
	.title = "What would come of it:", .columns = COLUMNS, .if_any = true
};

static void put_addrs(const struct addr *addrs, size_t n, struct out *o)
{
	for (size_t i = 0; i < n; i++)
		out_addr(o, NULL, &addrs[i]);
}

static void put_after(const struct plan_row *row, size_t side, struct out *o)
{
	size_t n;
	cleanup_free struct addr *after = plan_addrs(plan_part(row, side), &n);

	put_addrs(after, n, o);
}

static const enum protocol all_protocols[] = { PROTOCOL_LAYER2, PROTOCOL_BGP };

static void put_air(const struct plan_air *air, struct out *o)
{
	out_object(o, NULL);
	out_addr(o, "address", &air->addr);
	out_list(o, "protocols");
	for (size_t i = 0; i < ARRAY_LEN(all_protocols); i++)
		if (air->protocols & all_protocols[i])
			out_str(o, NULL, protocol_name(all_protocols[i]));
	out_close(o);
	out_str(o, "reason", air->message ? reason_name(air->reason) : NULL);
	out_str(o, "message", air->message);
	out_close(o);
}

static bool silences(const struct plan_row *row, const bool sides[static SIDES])
{
	return (sides[LOAD_BALANCER] && plan_silences(&row->sides[LOAD_BALANCER])) ||
	       (sides[EXTERNAL] && plan_silences(&row->sides[EXTERNAL]));
}

static void put_before_and_after(const struct plan_row *row, const bool sides[static SIDES],
                                 struct out *o)
{
	out_list(o, "before");
	for (size_t i = 0; i < SIDES; i++)
		if (sides[i])
			put_addrs(row->sides[i].before, row->sides[i].n_before, o);
	out_close(o);
	out_list(o, "after");
	for (size_t i = 0; i < SIDES; i++)
		if (sides[i])
			put_after(row, i, o);
	out_close(o);
}

/* The addresses of @sides, and what is said of @told. */
static void put_facts(const struct plan *p, const struct plan_row *row,
                      const bool sides[static SIDES], size_t told, struct out *o)
{
	const struct plan_said said = plan_said_of(row, told);

	put_before_and_after(row, sides, o);
	out_list(o, "announced");
	for (size_t i = 0; i < SIDES; i++)
		for (size_t k = 0; sides[i] && k < row->sides[i].n_air; k++)
			put_air(&row->sides[i].air[k], o);
	out_close(o);
	out_bool(o, "silenced", silences(row, sides));
	out_str(o, "pool", plan_pool_of(p, row, told));
	out_str(o, "change", plan_change_name(row, told));
	out_str(o, "reason", reason_name(said.reason));
	out_str(o, "message", said.message);
}

void plan_put_announced(const struct plan_side *side, struct buf *out)
{
	unsigned int protocols = 0;
	bool as_before = false;

	for (size_t i = 0; i < side->n_air; i++) {
		protocols |= side->air[i].protocols;
		as_before |= side->air[i].reason == REASON_Retained;
	}
	for (size_t i = 0; i < ARRAY_LEN(all_protocols); i++)
		if (protocols & all_protocols[i])
			buf_printf(out, "%s%s", out->size ? "," : "",
			           protocol_name(all_protocols[i]));
	if (as_before)
		buf_puts(out, out->size > 0 ? ",as before" : "as before");
	else if (side->n_air > 0 && !protocols)
		buf_puts(out, "nobody");
}

void plan_put_silent(const struct plan_side *side, enum reason said, struct buf *out)
{
	for (size_t i = 0; i < side->n_air; i++) {
		const struct plan_air *air = &side->air[i];
		if (air->message && air->reason != said)
			buf_printf(out, "; nobody would announce %s%s: %s", addr_str(&air->addr),
			           air->silenced ? " any more" : "", air->message);
	}
}

/* The facts of one side, which people have as a row of its own. */
static void put_side(const struct plan *p, const struct plan_row *row, size_t side, struct out *o)
{
	cleanup(buf_fini) struct buf announced = BUF_INIT, silent = BUF_INIT;
	const struct plan_said said = plan_said_of(row, side);
	bool one[SIDES] = { false };

	one[side] = true;
	plan_put_announced(&row->sides[side], &announced);
	plan_put_silent(&row->sides[side], said.reason, &silent);
	out_row(o);
	out_cell(o, "service", "%s",
	         side == EXTERNAL ? row->record->external_key : row->record->key);
	out_cell(o, "by", "%s", buf_str(&announced));
	out_cell(o, "why", "%s: %s%s", reason_name(said.reason), said.message, buf_str(&silent));
	put_facts(p, row, one, side, o);
}

/* Where external IPs are concerned: each kind of addresses by itself. */
static void put_parts(const struct plan *p, const struct plan_row *row, struct out *o)
{
	static const char *const kinds[SIDES] = { "load-balancer", "external-ip" };

	out_list(o, "parts");
	for (size_t i = 0; i < SIDES; i++) {
		if (!row->sides[i].of_interest)
			continue;
		out_object(o, NULL);
		out_str(o, "kind", kinds[i]);
		put_side(p, row, i, o);
		out_close(o);
	}
	out_close(o);
}

static void put_row(const struct plan *p, const struct plan_row *row, struct out *o)
{
	const bool both[SIDES] = { row->sides[LOAD_BALANCER].of_interest,
		                   row->sides[EXTERNAL].of_interest };

	out_object(o, NULL);
	out_str(o, "namespace", row->record->namespace);
	out_str(o, "name", row->record->name);
	if (both[EXTERNAL]) {
		put_facts(p, row, both, weightier(row), o);
		put_parts(p, row, o);
	} else {
		put_side(p, row, LOAD_BALANCER, o);
	}
	out_close(o);
}

void plan_print(const struct plan *p, struct out *o)
{
	/* So that two plans can be compared line by line. */
	o->lines = true;
	out_table(o, &plan_table);
	out_list(o, NULL);
	for (size_t i = 0; i < p->n; i++)
		put_row(p, &p->rows[i], o);
	out_close(o);
	out_table_end(o);
}

void plan_print_part(const struct plan *p, const struct plan *without, const char *key,
                     const char *name, struct out *o)
{
	cleanup_free bool *concerned = plan_concerned(p, without);

	out_table(o, &part_table);
	out_list(o, name);
	for (size_t i = 0; i < p->n; i++)
		if (concerned[i] || !strcmp(p->rows[i].record->key, key))
			put_row(p, &p->rows[i], o);
	out_close(o);
	out_table_end(o);
}
