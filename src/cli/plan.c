/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As a new leader does, every Service first adopts what its status says, then all are decided in turn.  An address is free
 * only once the status that held it was written, and whoever waits is asked again then: so the writes of one round are made,
 * and the next round begins, until a round changes nothing.
 *
 * A Service has one row, and one or two parts in it: its load balancer's addresses, and its external IPs.
 */
#include "config.h"

#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "fairlead/mem.h"
#include "fairlead/record.h"
#include "fairlead/turn.h"

/* Services settle in a few rounds; this only keeps a fault from going on for ever. */
#define ROUNDS_MAX 10000

struct side {
	bool of_interest;
	struct addr *before;
	size_t n_before;
	/* How its addresses changed last; a later round may have found that it keeps them.  NULL: they have not. */
	char *message;
	enum reason reason;
	bool renumbered;
};

enum { LOAD_BALANCER, EXTERNAL, SIDES };

struct row {
	struct record *record;
	struct side sides[SIDES];
	bool waits, dirty, unwritten;
	struct record_write write;
};

struct plan {
	struct configuration *config;
	struct ipam *ipam;
	struct row *rows; /* in the order of turns, then in that of printing */
	size_t n;
	const struct config_peer **idle; /* peers that no node has */
	size_t n_idle;
};

static const struct record_part *part_of(const struct row *row, size_t side)
{
	return side == LOAD_BALANCER ? &row->record->lb : row->record->external;
}

/* ---- running ---- */

static void note_change(struct row *row)
{
	for (size_t i = 0; i < SIDES; i++) {
		const struct record_part *p = part_of(row, i);
		struct side *side = &row->sides[i];
		if (!p || (p->action != IPAM_ASSIGN && p->action != IPAM_MOVE &&
		           p->action != IPAM_RELEASE))
			continue;
		free(side->message);
		side->message = xstrdup(p->message);
		side->reason = p->reason;
		side->renumbered = p->renumbers;
	}
}

static void wake_waiting(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->rows[i].dirty |=
			p->rows[i].waits && turn_is_concerned(p->ipam, p->rows[i].record);
	ipam_freed_seen(p->ipam);
}

/* Decides what is to be decided.  True if anything was. */
static bool decide_round(struct plan *p)
{
	static const struct record_server server = { 0 };
	struct record **records = xcalloc(p->n + 1, sizeof(struct record *));
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i].dirty)
			records[n++] = p->rows[i].record;
	turn_adopt_all(p->ipam, records, n);
	for (size_t i = 0; i < p->n; i++) {
		struct row *row = &p->rows[i];
		if (!row->dirty)
			continue;
		row->record->lb.request.renumber = IPAM_RENUMBER_AT_ONCE;
		if (row->record->external)
			row->record->external->request.renumber = IPAM_RENUMBER_AT_ONCE;
		struct turn_outcome t = turn_decide(p->ipam, row->record, &server);
		row->dirty = false;
		row->waits = t.waits;
		row->write = t.write;
		row->unwritten = record_writes(t.write);
		note_change(row);
	}
	if (turn_end(p->ipam, records, n))
		wake_waiting(p);
	free(records);
	return n > 0;
}

static void write_round(struct plan *p)
{
	bool freed = false;

	for (size_t i = 0; i < p->n; i++) {
		struct row *row = &p->rows[i];
		if (!row->unwritten)
			continue;
		row->unwritten = false;
		record_written(row->record, row->write);
		freed |= turn_settle(p->ipam, row->record,
		                     (struct record_write){ .ingress = false });
	}
	if (freed)
		wake_waiting(p);
}

static void run(struct plan *p)
{
	for (size_t i = 0; i < ROUNDS_MAX; i++) {
		if (!decide_round(p))
			return;
		write_round(p);
	}
}

/* ---- which Services, in which order ---- */

/* Handled, or a holder of an address of ours; external IPs written by hand are judged, wherever they are. */
static bool is_of_interest(const struct configuration *c, const struct record_part *p)
{
	const struct ipam_request *q = p ? &p->request : NULL;

	if (!q)
		return false;
	if (q->use == CONFIG_USE_EXTERNAL_IP)
		return q->wish == IPAM_WISH_ADDRESS || q->n_held + q->n_written > 0 ||
		       p->condition.present;
	if (q->wish == IPAM_WISH_ADDRESS || q->wish == IPAM_WISH_DELETING)
		return true;
	for (size_t i = 0; i < q->n_held; i++)
		if (configuration_pool_of(c, &q->held[i]))
			return true;
	return q->wish == IPAM_WISH_NONE && p->condition.present;
}

/* What the object holds, written by us or not.  A new array for free(). */
static struct addr *addrs_of(const struct record_part *p, size_t *ret_n)
{
	const struct ipam_request *q = &p->request;
	struct addr *addrs = xcalloc(q->n_held + q->n_written + 1, sizeof(*addrs));
	size_t n = 0;

	for (size_t i = 0; i < q->n_held; i++)
		addrs[n++] = q->held[i];
	for (size_t i = 0; i < q->n_written; i++)
		addrs[n++] = q->written[i];
	*ret_n = n;
	return addrs;
}

/* False if nothing about it is of interest. */
static bool row_init(struct row *row, const struct configuration *c, struct record *r)
{
	bool any = false;

	*row = (struct row){ .record = r, .dirty = true };
	for (size_t i = 0; i < SIDES; i++) {
		struct side *side = &row->sides[i];
		side->of_interest = is_of_interest(c, part_of(row, i));
		if (side->of_interest)
			side->before = addrs_of(part_of(row, i), &side->n_before);
		any |= side->of_interest;
	}
	return any;
}

static size_t n_before(const struct row *row)
{
	return row->sides[LOAD_BALANCER].n_before + row->sides[EXTERNAL].n_before;
}

static int turn_cmp(const void *a, const void *b)
{
	const struct row *ra = a, *rb = b;
	const struct ipam_turn ta = record_turn(ra->record), tb = record_turn(rb->record);
	return ipam_order_cmp(&ta, &tb);
}

/* Holders by name, then those who wait, by whose turn is earlier. */
static int row_cmp(const void *a, const void *b)
{
	const struct row *ra = a, *rb = b;
	struct ipam_turn ta = record_turn(ra->record), tb = record_turn(rb->record);

	if (!n_before(ra) != !n_before(rb))
		return n_before(ra) ? -1 : 1;
	if (n_before(ra))
		ta.creation_us = tb.creation_us = 0;
	return ipam_order_cmp(&ta, &tb);
}

static void add_row(struct plan *p, struct record *r)
{
	if (row_init(&p->rows[p->n], p->config, r))
		p->n++;
	else
		record_free(r);
}

/* Peers that select none of the nodes. */
static void note_idle_peers(struct plan *p, const struct plan_input *in)
{
	p->idle = xcalloc(p->config->n_peers + 1, sizeof(*p->idle));
	for (size_t i = 0; i < p->config->n_peers && in->n_nodes > 0; i++) {
		size_t k = 0;
		while (k < in->n_nodes &&
		       !config_peer_selects(&p->config->peers[i], &in->nodes[k]->meta.labels))
			k++;
		if (k == in->n_nodes)
			p->idle[p->n_idle++] = &p->config->peers[i];
	}
}

static void add_machines(struct plan *p, const struct kube_node *n)
{
	cleanup_free char *what = xasprintf("Node %s", n->meta.name);

	size_t n_addrs;
	cleanup_free struct addr *addrs = kube_node_addresses(n, &n_addrs);

	for (size_t i = 0; i < n_addrs; i++)
		ipam_add_machine(p->ipam, &addrs[i], REASON_NodeAddress, what);
}

struct plan *plan_new(struct configuration *c, const char *class, const struct plan_input *in)
{
	const struct record_rules rules = { .class = class, .external_ips = true };
	struct plan *p = xcalloc(1, sizeof(*p));

	p->config = configuration_ref(c);
	p->ipam = ipam_new(c);
	ipam_tell_holders(p->ipam, true);
	p->rows = xcalloc(in->n_services + in->n_remains + 1, sizeof(*p->rows));
	for (size_t i = 0; i < in->n_nodes; i++)
		add_machines(p, in->nodes[i]);
	for (size_t i = 0; i < in->n_services; i++) {
		struct record *r = record_new(NULL, &in->services[i]->meta);
		record_read(r, in->services[i], &rules, 0);
		add_row(p, r);
	}
	for (size_t i = 0; i < in->n_remains; i++) {
		struct record *r = record_new(NULL, &in->remains[i]->meta);
		record_salvage(r, in->remains[i]);
		add_row(p, r);
	}
	note_idle_peers(p, in);
	qsort(p->rows, p->n, sizeof(*p->rows), turn_cmp);
	run(p);
	qsort(p->rows, p->n, sizeof(*p->rows), row_cmp);
	return p;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		record_free(p->rows[i].record);
		for (size_t k = 0; k < SIDES; k++) {
			free(p->rows[i].sides[k].before);
			free(p->rows[i].sides[k].message);
		}
	}
	free(p->rows);
	free(p->idle);
	ipam_free(p->ipam);
	configuration_unref(p->config);
	free(p);
}

/* ---- the answer ---- */

static bool contains_all(const struct addr *addrs, size_t n, const struct addr *some, size_t n_some)
{
	size_t i = 0;

	while (i < n_some && addrs_contain(addrs, n, &some[i]))
		i++;
	return i == n_some;
}

/* Of all rounds together.  What is left alone and has an address keeps it. */
static enum ipam_action change_of(const struct row *row, size_t side)
{
	const struct side *s = &row->sides[side];
	const struct record_part *p = part_of(row, side);
	size_t n;
	cleanup_free struct addr *after = addrs_of(p, &n);
	bool gains = contains_all(after, n, s->before, s->n_before);

	if (p->action == IPAM_FAIL)
		return IPAM_FAIL;
	if (gains && contains_all(s->before, s->n_before, after, n))
		return n ? IPAM_KEEP : IPAM_NONE;
	if (p->request.wish == IPAM_WISH_NONE)
		return IPAM_RELEASE;
	return gains ? IPAM_ASSIGN : IPAM_MOVE;
}

/* In a word: what an edit of the pools does beside what Services ask for has words of its own. */
static const char *change_name(const struct row *row, size_t side)
{
	enum ipam_action change = change_of(row, side);

	if (change == IPAM_KEEP && part_of(row, side)->reason == REASON_Retained)
		return "retain";
	if (change == IPAM_MOVE && row->sides[side].renumbered)
		return "renumber";
	return ipam_action_name(change);
}

struct said {
	enum reason reason;
	const char *message;
};

static struct said said_of(const struct row *row, size_t side)
{
	const struct side *s = &row->sides[side];
	const struct record_part *p = part_of(row, side);
	enum ipam_action change = change_of(row, side);
	bool stays = p->action == IPAM_KEEP || p->action == IPAM_NONE;

	if (stays && change != IPAM_KEEP && change != IPAM_NONE && s->message)
		return (struct said){ s->reason, s->message };
	return (struct said){ p->reason, p->message };
}

static const char *pool_of(const struct plan *p, const struct row *row, size_t side)
{
	const struct side *s = &row->sides[side];
	const struct config_pool *pool = NULL;
	size_t n;
	cleanup_free struct addr *after = addrs_of(part_of(row, side), &n);

	for (size_t i = 0; i < n && !pool; i++)
		pool = configuration_pool_of(p->config, &after[i]);
	for (size_t i = 0; i < s->n_before && !pool; i++)
		pool = configuration_pool_of(p->config, &s->before[i]);
	return pool ? pool->name : NULL;
}

bool plan_is_bad(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++) {
			if (!p->rows[i].sides[k].of_interest)
				continue;
			enum ipam_action a = change_of(&p->rows[i], k);
			if ((a == IPAM_MOVE && !p->rows[i].sides[k].renumbered) || a == IPAM_FAIL)
				return true;
		}
	return false;
}

/* Of two changes the one that matters more to whoever reads it. */
static size_t weightier(const struct row *row)
{
	static const int weight[] = {
		[IPAM_NONE] = 0,    [IPAM_KEEP] = 1, [IPAM_ASSIGN] = 2,
		[IPAM_RELEASE] = 3, [IPAM_MOVE] = 4, [IPAM_FAIL] = 5,
	};

	if (!row->sides[EXTERNAL].of_interest)
		return LOAD_BALANCER;
	if (!row->sides[LOAD_BALANCER].of_interest)
		return EXTERNAL;
	return weight[change_of(row, EXTERNAL)] > weight[change_of(row, LOAD_BALANCER)]
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

static void put_before(const struct row *row, size_t side, const char *quote, struct buf *out)
{
	put_addrs(row->sides[side].before, row->sides[side].n_before, quote, out);
}

static void put_after(const struct row *row, size_t side, const char *quote, struct buf *out)
{
	size_t n;
	cleanup_free struct addr *after = addrs_of(part_of(row, side), &n);

	put_addrs(after, n, quote, out);
}

/* The addresses of @sides, and what is said of @told. */
static void put_facts(const struct plan *p, const struct row *row, const bool sides[static SIDES],
                      size_t told, struct buf *out)
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
	buf_puts(out, "],\"pool\":");
	buf_json_str(out, pool_of(p, row, told));
	buf_printf(out, ",\"change\":\"%s\",\"reason\":\"%s\",\"message\":", change_name(row, told),
	           reason_name(said.reason));
	buf_json_str(out, said.message);
}

/* Where external IPs are concerned: each kind of addresses by itself. */
static void put_parts(const struct plan *p, const struct row *row, struct buf *out)
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
		const struct row *row = &p->rows[i];
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

static void put_row(const struct plan *p, const struct row *row, size_t side, struct table *t)
{
	cleanup(buf_fini) struct buf before = BUF_INIT, after = BUF_INIT;
	const struct said said = said_of(row, side);
	const char *pool = pool_of(p, row, side);

	put_before(row, side, "", &before);
	put_after(row, side, "", &after);
	table_cell(t, "%s", side == EXTERNAL ? row->record->external_key : row->record->key);
	table_cell(t, "%s", buf_str(&before));
	table_cell(t, "%s", buf_str(&after));
	table_cell(t, "%s", pool ? pool : "");
	table_cell(t, "%s", change_name(row, side));
	table_cell(t, "%s: %s", reason_name(said.reason), said.message);
}

void plan_text(const struct plan *p, struct buf *out)
{
	static const char *const head[] = {
		"SERVICE", "BEFORE", "AFTER", "POOL", "CHANGE", "REASON"
	};
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++)
			if (p->rows[i].sides[k].of_interest)
				put_row(p, &p->rows[i], k, &t);
	table_print(&t, "", out);
}
