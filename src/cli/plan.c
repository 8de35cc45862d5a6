/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As a new leader does, every Service first adopts what its status says, then all are decided in turn.  An address is free
 * only once the status that held it was written, and whoever waits is asked again then: so the writes of one round are made,
 * and the next round begins, until a round changes nothing.
 */
#include "config.h"

#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "controller/record.h"
#include "controller/turn.h"
#include "fairlead/mem.h"

/* Services settle in a few rounds; this only keeps a fault from going on for ever. */
#define ROUNDS_MAX 10000

struct row {
	struct record *record;
	struct addr before[IPAM_STATUS_MAX];
	size_t n_before;
	bool waits, dirty, unwritten;
	struct record_write write;
};

struct plan {
	struct configuration *config;
	struct ipam *ipam;
	struct row *rows; /* in the order of turns, then in that of printing */
	size_t n;
};

/* ---- running ---- */

static void wake_waiting(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->rows[i].dirty |= p->rows[i].waits;
}

/* Decides what is to be decided.  True if anything was. */
static bool decide_round(struct plan *p)
{
	static const struct record_server server = { 0 };
	bool any = false, freed = false;

	for (size_t i = 0; i < p->n; i++) {
		struct row *row = &p->rows[i];
		if (!row->dirty)
			continue;
		struct turn_outcome t = turn_decide(p->ipam, row->record, &server);
		row->dirty = false;
		row->waits = t.waits;
		row->write = t.write;
		row->unwritten = t.write.ingress || t.write.condition;
		freed |= t.freed;
		any = true;
	}
	if (freed)
		wake_waiting(p);
	return any;
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
		freed |= turn_settle(p->ipam, row->record);
	}
	if (freed)
		wake_waiting(p);
}

static void run(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		turn_adopt(p->ipam, p->rows[i].record);
	for (size_t i = 0; i < ROUNDS_MAX; i++) {
		if (!decide_round(p))
			return;
		write_round(p);
	}
}

/* ---- which Services, in which order ---- */

/* Handled, or a holder of an address of ours. */
static bool is_of_interest(const struct configuration *c, const struct record *r)
{
	if (r->request.wish == IPAM_WISH_ADDRESS || r->request.wish == IPAM_WISH_DELETING)
		return true;
	for (size_t i = 0; i < r->request.n_held; i++)
		if (configuration_pool_of(c, &r->request.held[i]))
			return true;
	return r->request.wish == IPAM_WISH_NONE && r->condition.present;
}

/* Holders by name, then those who wait, by whose turn is earlier. */
static int row_cmp(const void *a, const void *b)
{
	const struct row *ra = a, *rb = b;
	struct ipam_turn ta = record_turn(ra->record), tb = record_turn(rb->record);

	if (!ra->n_before != !rb->n_before)
		return ra->n_before ? -1 : 1;
	if (ra->n_before)
		ta.creation_us = tb.creation_us = 0;
	return ipam_order_cmp(&ta, &tb);
}

struct plan *plan_new(struct configuration *c, const char *class,
                      const struct kube_service *const *services, size_t n)
{
	struct plan *p = xcalloc(1, sizeof(*p));
	struct record **records = xcalloc(n + 1, sizeof(struct record *));
	size_t n_records = 0;

	p->config = configuration_ref(c);
	p->ipam = ipam_new(c);
	for (size_t i = 0; i < n; i++) {
		struct record *r = record_new(NULL, &services[i]->meta);
		record_read(r, services[i], class, 0);
		if (is_of_interest(c, r))
			records[n_records++] = r;
		else
			record_free(r);
	}
	turn_sort(records, n_records);
	p->rows = xcalloc(n_records + 1, sizeof(*p->rows));
	p->n = n_records;
	for (size_t i = 0; i < n_records; i++) {
		struct row *row = &p->rows[i];
		*row = (struct row){ .record = records[i], .dirty = true };
		row->n_before = records[i]->request.n_held;
		memcpy(row->before, records[i]->request.held, sizeof(row->before));
	}
	free(records);
	run(p);
	qsort(p->rows, p->n, sizeof(*p->rows), row_cmp);
	return p;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		record_free(p->rows[i].record);
	free(p->rows);
	ipam_free(p->ipam);
	configuration_unref(p->config);
	free(p);
}

/* ---- the answer ---- */

/* What is left alone and has an address keeps it. */
static const char *change_of(const struct row *row)
{
	enum ipam_action a = row->record->action;

	return ipam_action_name(a == IPAM_NONE && row->n_before ? IPAM_KEEP : a);
}

static const char *pool_of(const struct plan *p, const struct row *row)
{
	const struct ipam_request *after = &row->record->request;
	const struct config_pool *pool = NULL;

	for (size_t i = 0; i < after->n_held && !pool; i++)
		pool = configuration_pool_of(p->config, &after->held[i]);
	for (size_t i = 0; i < row->n_before && !pool; i++)
		pool = configuration_pool_of(p->config, &row->before[i]);
	return pool ? pool->name : NULL;
}

bool plan_is_bad(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		enum ipam_action a = p->rows[i].record->action;
		if (a == IPAM_MOVE || a == IPAM_FAIL)
			return true;
	}
	return false;
}

static void put_addrs(const struct addr *addrs, size_t n, const char *quote, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s%s%s", i ? "," : "", quote, addr_str(&addrs[i]), quote);
}

void plan_json(const struct plan *p, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < p->n; i++) {
		const struct row *row = &p->rows[i];
		const struct record *r = row->record;
		buf_puts(out, i ? ",\n{\"namespace\":" : "{\"namespace\":");
		buf_json_str(out, r->namespace);
		buf_puts(out, ",\"name\":");
		buf_json_str(out, r->name);
		buf_puts(out, ",\"before\":[");
		put_addrs(row->before, row->n_before, "\"", out);
		buf_puts(out, "],\"after\":[");
		put_addrs(r->request.held, r->request.n_held, "\"", out);
		buf_puts(out, "],\"pool\":");
		buf_json_str(out, pool_of(p, row));
		buf_printf(out, ",\"change\":\"%s\",\"reason\":\"%s\",\"message\":", change_of(row),
		           reason_name(r->reason));
		buf_json_str(out, r->message);
		buf_putc(out, '}');
	}
	buf_puts(out, "]\n");
}

void plan_text(const struct plan *p, struct buf *out)
{
	static const char *const head[] = {
		"SERVICE", "BEFORE", "AFTER", "POOL", "CHANGE", "REASON"
	};
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < p->n; i++) {
		const struct row *row = &p->rows[i];
		const struct record *r = row->record;
		cleanup(buf_fini) struct buf before = BUF_INIT, after = BUF_INIT;
		const char *pool = pool_of(p, row);
		put_addrs(row->before, row->n_before, "", &before);
		put_addrs(r->request.held, r->request.n_held, "", &after);
		table_cell(&t, "%s", r->key);
		table_cell(&t, "%s", buf_str(&before));
		table_cell(&t, "%s", buf_str(&after));
		table_cell(&t, "%s", pool ? pool : "");
		table_cell(&t, "%s", change_of(row));
		table_cell(&t, "%s: %s", reason_name(r->reason), r->message);
	}
	table_print(&t, "", out);
}
