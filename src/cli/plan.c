/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As a new leader does, every Service first adopts what its status says, then all are decided in
 * turn.  An address is free only once the status that held it was written, and waiting Services are
 * decided again then: so the writes of one round are made, and the next round begins, until a round
 * changes nothing.
 *
 * A Service has one row, and one or two parts in it: its load balancer's addresses, and its
 * external IPs.
 */
#include "config.h"

#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#include "cli/plan_private.h"
#include "fairlead/clock.h"
#include "fairlead/edit.h"
#include "fairlead/mem.h"
#include "fairlead/turn.h"

/* Each round settles one Service at least; this only keeps a fault from going on for ever. */
#define ROUNDS_PER_SERVICE 4

const struct record_part *plan_part(const struct plan_row *row, size_t side)
{
	return side == LOAD_BALANCER ? &row->record->lb : row->record->external;
}

/* ---- running ---- */

static void note_change(struct plan_row *row)
{
	for (size_t i = 0; i < SIDES; i++) {
		const struct record_part *p = plan_part(row, i);
		struct plan_side *side = &row->sides[i];
		if (!p || (p->action != IPAM_ASSIGN && p->action != IPAM_MOVE &&
		           p->action != IPAM_RELEASE))
			continue;
		free(side->message);
		side->message = xstrdup(p->message);
		side->reason = p->reason;
		side->renumbered = p->renumbers;
	}
}

static int place_cmp(const void *a, const void *b)
{
	const struct plan_row *ra = *(struct plan_row *const *)a;
	const struct plan_row *rb = *(struct plan_row *const *)b;

	return ra < rb ? -1 : ra > rb;
}

static void list_add(struct plan_list *l, struct plan_row *row, bool *is_on)
{
	if (!*is_on)
		l->rows[l->n++] = row;
	*is_on = true;
}

/* What is on the list, in the order of turns; for free().  Then nothing is. */
static struct plan_list list_take(struct plan_list *l)
{
	struct plan_list taken = { xcalloc(l->n + 1, sizeof(struct plan_row *)), l->n };

	memcpy(taken.rows, l->rows, l->n * sizeof(struct plan_row *));
	qsort(taken.rows, taken.n, sizeof(struct plan_row *), place_cmp);
	l->n = 0;
	return taken;
}

static int turn_cmp(const void *a, const void *b)
{
	const struct plan_row *ra = a, *rb = b;
	const struct seniority ta = record_turn(ra->record), tb = record_turn(rb->record);

	return seniority_cmp(&ta, &tb);
}

static void wake_waiting(struct plan *p)
{
	size_t n;
	cleanup_free struct record **concerned = waiting_concerned(&p->waiting, p->ipam, &n);

	for (size_t i = 0; i < n; i++) {
		const struct plan_row key = { .record = concerned[i] };
		struct plan_row *row = bsearch(&key, p->rows, p->n, sizeof(key), turn_cmp);
		list_add(&p->dirty, row, &row->dirty);
	}
	ipam_freed_seen(p->ipam);
}

static void decide(struct plan *p, struct plan_row *row)
{
	static const struct record_server server = { 0 };

	turn_request_move(row->record, IPAM_RENUMBER_AT_ONCE);
	struct turn_outcome t = turn_decide(p->ipam, row->record, &server);
	if (t.waits)
		waiting_put(&p->waiting, p->ipam, row->record);
	else
		waiting_remove(&p->waiting, row->record);
	row->dirty = false;
	row->write = t.write;
	if (record_writes(t.write))
		list_add(&p->unwritten, row, &row->unwritten);
	note_change(row);
}

/* Decides what is to be decided.  True if anything was. */
static bool decide_round(struct plan *p)
{
	struct plan_list dirty = list_take(&p->dirty);
	cleanup_free struct record **records = xcalloc(dirty.n + 1, sizeof(struct record *));

	for (size_t i = 0; i < dirty.n; i++)
		records[i] = dirty.rows[i]->record;
	turn_adopt_all(p->ipam, records, dirty.n);
	for (size_t i = 0; i < dirty.n; i++)
		decide(p, dirty.rows[i]);
	if (turn_end(p->ipam, records, dirty.n))
		wake_waiting(p);
	free(dirty.rows);
	return dirty.n > 0;
}

/*
 * A Service that is woken by what the turn itself has freed is decided again before anything of it
 * is written.
 */
static void write_round(struct plan *p)
{
	struct plan_list unwritten = list_take(&p->unwritten);
	bool freed = false;

	for (size_t i = 0; i < unwritten.n; i++) {
		struct plan_row *row = unwritten.rows[i];
		row->unwritten = false;
		if (row->dirty) {
			list_add(&p->unwritten, row, &row->unwritten);
			continue;
		}
		record_written(row->record, row->write);
		if (waiting_has(row->record))
			waiting_put(&p->waiting, p->ipam, row->record);
		freed |= turn_settle(p->ipam, row->record,
		                     (struct record_write){ .ingress = false });
	}
	free(unwritten.rows);
	if (freed)
		wake_waiting(p);
}

/* Nobody is left who could have what is free and has none.  True if anybody moves now. */
static bool let_move(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct plan_row *row = &p->rows[i];
		if (row->record->may_move || !turn_awaits_move(row->record))
			continue;
		row->record->may_move = true;
		list_add(&p->dirty, row, &row->dirty);
	}
	return p->dirty.n > 0;
}

static void run(struct plan *p)
{
	p->dirty.rows = xcalloc(p->n + 1, sizeof(struct plan_row *));
	p->unwritten.rows = xcalloc(p->n + 1, sizeof(struct plan_row *));
	for (size_t i = 0; i < p->n; i++)
		list_add(&p->dirty, &p->rows[i], &p->rows[i].dirty);
	for (size_t i = 0; i <= p->n * ROUNDS_PER_SERVICE; i++) {
		if (!decide_round(p) && !let_move(p))
			return;
		write_round(p);
	}
}

/* ---- which Services, in which order ---- */

/*
 * Handled, or a holder of an address of ours; external IPs written by hand are judged, wherever
 * they are.
 */
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

struct addr *plan_addrs(const struct record_part *p, size_t *ret_n)
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
static bool row_init(struct plan_row *row, const struct configuration *c, struct record *r,
                     const struct kube_service *s)
{
	bool any = false;

	*row = (struct plan_row){ .record = r, .service = s };
	for (size_t i = 0; i < SIDES; i++) {
		struct plan_side *side = &row->sides[i];
		side->of_interest = is_of_interest(c, plan_part(row, i));
		if (side->of_interest)
			side->before = plan_addrs(plan_part(row, i), &side->n_before);
		any |= side->of_interest;
	}
	return any;
}

static size_t n_before(const struct plan_row *row)
{
	return row->sides[LOAD_BALANCER].n_before + row->sides[EXTERNAL].n_before;
}

/* Holders by name, then those who wait, by whose turn is earlier. */
static int row_cmp(const void *a, const void *b)
{
	const struct plan_row *ra = a, *rb = b;
	struct seniority ta = record_turn(ra->record), tb = record_turn(rb->record);

	if (!n_before(ra) != !n_before(rb))
		return n_before(ra) ? -1 : 1;
	if (n_before(ra))
		ta.creation_us = tb.creation_us = 0;
	return seniority_cmp(&ta, &tb);
}

/* @s: NULL: it cannot be read. */
static void add_row(struct plan *p, struct record *r, const struct kube_service *s)
{
	if (row_init(&p->rows[p->n], p->config, r, s))
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

/* What the leader would publish beside the text, it publishes for what is in use now. */
static void retain(struct configuration *c, const struct configuration *in_force,
                   struct record *const *records, size_t n)
{
	struct edit edit = { .now = in_force, .next = c };
	struct config_problems problems = { 0 };
	cleanup(buf_fini) struct buf text = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		edit_retain(&edit, records[i]);
	edit_print_retained(&edit, &text);
	if (text.size > 0)
		configuration_retain(c, buf_str(&text), &problems);
	config_problems_fini(&problems);
	edit_fini(&edit);
}

static void read_services(struct plan *p, const char *class, const struct plan_input *in)
{
	const struct record_rules rules = { .class = class, .external_ips = true };
	size_t n = in->n_services + in->n_remains;
	struct record **records = xcalloc(n + 1, sizeof(struct record *));

	for (size_t i = 0; i < in->n_services; i++) {
		records[i] = record_new(NULL, &in->services[i]->meta);
		record_read(records[i], in->services[i], &rules, 0);
	}
	for (size_t i = in->n_services; i < n; i++) {
		const struct kube_remains *remains = in->remains[i - in->n_services];
		records[i] = record_new(NULL, &remains->meta);
		record_salvage(records[i], remains);
	}
	if (in->in_force)
		retain(p->config, in->in_force, records, n);
	p->rows = xcalloc(n + 1, sizeof(*p->rows));
	for (size_t i = 0; i < n; i++)
		add_row(p, records[i], i < in->n_services ? in->services[i] : NULL);
	free(records);
}

/* Of what nobody has: whoever holds something holds it first. */
static void take_cooling(struct plan *p, const struct plan_input *in)
{
	struct record **records = xcalloc(p->n + 1, sizeof(struct record *));

	if (!in->cooling)
		goto out;
	for (size_t i = 0; i < p->n; i++)
		records[i] = p->rows[i].record;
	turn_adopt_all(p->ipam, records, p->n);
	ipam_read_cooling(p->ipam, in->cooling);
out:
	free(records);
}

struct plan *plan_new(struct configuration *c, const char *class, const struct plan_input *in)
{
	struct plan *p = xcalloc(1, sizeof(*p));

	p->config = configuration_ref(c);
	read_services(p, class, in);
	p->ipam = ipam_new(c);
	ipam_tell_holders(p->ipam, true);
	ipam_set_time(p->ipam, clock_wall_us() / 1000000);
	for (size_t i = 0; i < in->n_nodes; i++)
		add_machines(p, in->nodes[i]);
	for (size_t i = 0; i < in->n_namespaces; i++)
		ipam_set_namespace(p->ipam, in->namespaces[i]->meta.name,
		                   &in->namespaces[i]->meta.labels);
	note_idle_peers(p, in);
	qsort(p->rows, p->n, sizeof(*p->rows), turn_cmp);
	take_cooling(p, in);
	run(p);
	qsort(p->rows, p->n, sizeof(*p->rows), row_cmp);
	plan_look_at_air(p, class, in);
	return p;
}

static void side_fini(struct plan_side *side)
{
	for (size_t i = 0; i < side->n_air; i++)
		free(side->air[i].message);
	free(side->air);
	free(side->before);
	free(side->message);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		waiting_remove(&p->waiting, p->rows[i].record);
		record_free(p->rows[i].record);
		for (size_t k = 0; k < SIDES; k++)
			side_fini(&p->rows[i].sides[k]);
	}
	free(p->dirty.rows);
	free(p->unwritten.rows);
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

enum ipam_action plan_change(const struct plan_row *row, size_t side)
{
	const struct plan_side *s = &row->sides[side];
	const struct record_part *p = plan_part(row, side);
	size_t n;
	cleanup_free struct addr *after = plan_addrs(p, &n);
	bool gains = contains_all(after, n, s->before, s->n_before);

	if (p->action == IPAM_FAIL)
		return IPAM_FAIL;
	if (gains && contains_all(s->before, s->n_before, after, n))
		return n ? IPAM_KEEP : IPAM_NONE;
	if (p->request.wish == IPAM_WISH_NONE)
		return IPAM_RELEASE;
	return gains ? IPAM_ASSIGN : IPAM_MOVE;
}

bool plan_is_bad(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++) {
			if (!p->rows[i].sides[k].of_interest)
				continue;
			enum ipam_action a = plan_change(&p->rows[i], k);
			if ((a == IPAM_MOVE && !p->rows[i].sides[k].renumbered) || a == IPAM_FAIL ||
			    plan_silences(&p->rows[i].sides[k]))
				return true;
		}
	return false;
}
