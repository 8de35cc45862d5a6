/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books (ipam) say who holds what; a record says what its Service asks for, has and should
 * have.  A turn takes records in order and keeps the two in step, by one rule: an address is let go
 * only when nothing that is written, on its way or decided names it.  So what a decision replaces
 * stays held until the write is answered (turn_settle), and what is let go within a turn is given
 * to nobody before its end (turn_end): the first among those that wait must have the first chance.
 */
#include "config.h"

#include "fairlead/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/tenancy.h"

static int record_cmp(const void *a, const void *b)
{
	const struct seniority ta = record_turn(*(struct record *const *)a);
	const struct seniority tb = record_turn(*(struct record *const *)b);

	return seniority_cmp(&ta, &tb);
}

void turn_sort(struct record **records, size_t n)
{
	if (n > 1)
		qsort(records, n, sizeof(struct record *), record_cmp);
}

bool turn_is_earlier(const struct record *a, const struct record *b)
{
	return record_cmp(&a, &b) < 0;
}

static bool adopt_tenancy(struct ipam *ipam, const struct record *r)
{
	const struct tenancy *external = r->external ? r->external->request.tenancy : NULL;
	bool concerns = ipam_set_tenancy(ipam, r->key, r->lb.request.tenancy);

	return ipam_set_tenancy(ipam, r->external_key, external) || concerns;
}

static void adopt_status(struct ipam *ipam, const struct record *r)
{
	const struct ipam_request *q = &r->lb.request;

	if (q->assigned_by_us)
		ipam_hold_any(ipam, r->key, q->held, q->n_held);
	else
		ipam_hold(ipam, r->key, q->held, q->n_held);
	ipam_hold(ipam, r->key, q->written, q->n_written);
}

/* Did we assign it, though the status may not show it yet? */
static bool is_given(const struct record_part *p, const struct addr *a)
{
	return p->decided && addrs_contain(p->given, p->n_given, a);
}

/*
 * Not looked at yet, and an earlier leader may have put it there just before it ended; or we are
 * about to take it out.
 */
static bool is_passing(const struct record_part *p)
{
	return !p->decided || p->action == IPAM_RELEASE || p->action == IPAM_MOVE;
}

/* Does this external IP in the object belong to the Service?  Otherwise it only names it. */
static bool is_own(const struct ipam *ipam, const char *key, const struct record_part *p,
                   const struct addr *a)
{
	const struct ipam_request *q = &p->request;

	return addrs_contain(q->confirmed, q->n_confirmed, a) || ipam_may_claim(ipam, q, a) ||
	       is_given(p, a) || (is_passing(p) && ipam_may_have_given(ipam, key, q, a));
}

/* A load balancer's addresses do, whoever wrote them. */
static bool is_kept(const struct ipam *ipam, const char *key, const struct record_part *p,
                    const struct addr *a)
{
	return p->request.use != CONFIG_USE_EXTERNAL_IP || is_own(ipam, key, p, a);
}

/*
 * What is confirmed stays reserved even where somebody took it out of the record, until the
 * condition no longer names it.
 */
static void adopt_recorded(struct ipam *ipam, const struct record *r)
{
	const struct ipam_request *q = r->external ? &r->external->request : NULL;

	if (!q)
		return;
	ipam_hold_any(ipam, r->external_key, q->confirmed, q->n_confirmed);
	for (size_t i = 0; i < q->n_held; i++)
		if (is_given(r->external, &q->held[i]))
			ipam_hold(ipam, r->external_key, &q->held[i], 1);
}

/* What the Service may not have goes to @denied. */
static void adopt_list(struct ipam *ipam, const struct record *r, const struct addr *addrs,
                       size_t n, struct addr *denied, size_t *n_denied)
{
	const struct ipam_request *q = &r->external->request;

	for (size_t i = 0; i < n; i++) {
		const struct addr *a = &addrs[i];
		if (addrs_contain(q->confirmed, q->n_confirmed, a))
			continue;
		if (is_own(ipam, r->external_key, r->external, a))
			ipam_claim(ipam, r->external_key, a);
		else if (!q->unserved)
			denied[(*n_denied)++] = *a;
	}
}

/*
 * What the Service may have belongs to nobody else.  What it is denied takes nothing out of the
 * pools, but nodes without our data plane serve it all the same, so other Services get it last.  A
 * record that nothing confirms may have been written by hand as well.
 */
static void adopt_written(struct ipam *ipam, const struct record *r)
{
	const struct ipam_request *q = r->external ? &r->external->request : NULL;
	size_t n = 0;

	if (!q)
		return;
	cleanup_free struct addr *denied = xcalloc(q->n_held + q->n_written + 1, sizeof(*denied));
	adopt_list(ipam, r, q->held, q->n_held, denied, &n);
	adopt_list(ipam, r, q->written, q->n_written, denied, &n);
	ipam_squat(ipam, r->external_key, denied, n);
}

bool turn_adopt(struct ipam *ipam, const struct record *r)
{
	bool concerns = adopt_tenancy(ipam, r);

	adopt_status(ipam, r);
	adopt_recorded(ipam, r);
	adopt_written(ipam, r);
	return concerns || ipam_may_concern_others(ipam);
}

void turn_adopt_all(struct ipam *ipam, struct record *const *records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		adopt_tenancy(ipam, records[i]);
	for (size_t i = 0; i < n; i++)
		adopt_status(ipam, records[i]);
	for (size_t i = 0; i < n; i++)
		adopt_recorded(ipam, records[i]);
	for (size_t i = 0; i < n; i++)
		adopt_written(ipam, records[i]);
}

static bool names_any(const struct record_part *p)
{
	return p && p->request.n_held + p->request.n_written + p->request.n_confirmed > 0;
}

bool turn_names_any(const struct record *r)
{
	return names_any(&r->lb) || names_any(r->external);
}

/*
 * A refusal puts nothing into the object, nor do we into one that is not ours to touch.  What is
 * already there is held as far as it is the Service's own: others may have what it is denied.
 */
static bool is_to_come(const struct record_part *p)
{
	return p->action != IPAM_FAIL && p->action != IPAM_NONE;
}

static void hold_wanted(struct ipam *ipam, const char *key, const struct record_part *p)
{
	if (is_to_come(p))
		ipam_hold(ipam, key, p->want, p->n_want);
}

static void give_wanted(struct ipam *ipam, const char *key, const struct record_part *p)
{
	if (is_to_come(p))
		ipam_give(ipam, key, p->want, p->n_want);
}

void turn_reserve(struct ipam *ipam, const struct record *r)
{
	hold_wanted(ipam, r->key, &r->lb);
	if (r->external)
		hold_wanted(ipam, r->external_key, r->external);
}

/* What is reserved for another may be shared with that one, once it has it. */
static bool may_change(const struct ipam_decision *d, const struct ipam_request *q)
{
	if (d->reason == REASON_AddressReserved)
		return q->tenancy && q->tenancy->key;
	return d->reason == REASON_PoolExhausted || d->reason == REASON_QuotaReached ||
	       d->reason == REASON_CoolingDown || d->reason == REASON_AddressTaken ||
	       d->reason == REASON_AddressShared || d->reason == REASON_Retained ||
	       d->reason == REASON_NodeAddress || d->reason == REASON_AddressOfApiServer ||
	       d->reason == REASON_AddressNotShared || d->has_company || d->partial;
}

/*
 * Another Service holds an address that stands in this object.  When that one lets go, it belongs
 * to this one, even if we have nothing to decide about it, and must be adopted before a waiting
 * Service is given it.
 */
static bool is_pushed_aside(const struct ipam *ipam, const char *key, const struct record_part *p,
                            const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ipam_holder(ipam, &addrs[i]) && !ipam_holds(ipam, key, &addrs[i]) &&
		    is_kept(ipam, key, p, &addrs[i]))
			return true;
	return false;
}

static bool may_inherit(const struct ipam *ipam, const struct record *r)
{
	const struct ipam_request *lb = &r->lb.request;
	const struct record_part *e = r->external;

	return is_pushed_aside(ipam, r->key, &r->lb, lb->held, lb->n_held) ||
	       is_pushed_aside(ipam, r->key, &r->lb, lb->written, lb->n_written) ||
	       (e &&
	        (is_pushed_aside(ipam, r->external_key, e, e->request.held, e->request.n_held) ||
	         is_pushed_aside(ipam, r->external_key, e, e->request.written,
	                         e->request.n_written)));
}

/* If anything had to be written, what was refused before would be refused again. */
static void refuse(const struct record *r, struct ipam_decision *d)
{
	const struct ipam_request *q = &r->external->request;

	if (d->action == IPAM_NONE || d->action == IPAM_FAIL ||
	    (d->action == IPAM_KEEP && !r->external->lacks))
		return;
	d->action = IPAM_FAIL;
	d->reason = REASON_ExternalIpsRefused;
	d->n = q->n_held;
	memcpy(d->addrs, q->held, sizeof(d->addrs));
	ipam_open_message(q, d);
	size_t used = strlen(d->message);
	snprintf(d->message + used, sizeof(d->message) - used, "the API server refuses it: %s",
	         r->refusal);
}

/* An address that is new to this Service may belong to another one that we do not know. */
static bool hold_back(const struct record_server *server, const struct ipam_request *q,
                      struct ipam_decision *d)
{
	if (!server->hides || (d->action != IPAM_ASSIGN && d->action != IPAM_MOVE))
		return false;
	d->action = IPAM_FAIL;
	d->reason = REASON_ServicesLost;
	d->n = q->n_held;
	memcpy(d->addrs, q->held, sizeof(d->addrs));
	snprintf(d->message, sizeof(d->message), "%s", reason_sentence(d->reason));
	return true;
}

/*
 * The condition follows the spec in a second write, and must still say how the Service got its
 * addresses.
 */
static void remember(const struct record_part *p, struct ipam_decision *d)
{
	if (d->action != IPAM_KEEP || d->reason != REASON_Kept || !p->decided ||
	    p->reason != REASON_Assigned || d->shares != p->shares ||
	    !addrs_same_set(d->addrs, d->n, p->want, p->n_want))
		return;
	d->reason = p->reason;
	snprintf(d->message, sizeof(d->message), "%s", p->message);
}

/*
 * The condition says that somebody else writes the status, too: not every Service gets an Event
 * that says so.
 */
static void tell_contested(const struct record *r, struct ipam_decision *d)
{
	size_t used = strlen(d->message);

	if (!r->contested_ms || (d->reason != REASON_Assigned && d->reason != REASON_Kept))
		return;
	d->reason = REASON_StatusContested;
	snprintf(d->message + used, sizeof(d->message) - used,
	         "; %.128s writes this status as well", record_contender(r));
}

/*
 * True if the answer differs from the previous one.  A message quotes what users wrote, cut to a
 * length that may end within a character; the API server would repair that, and what it then shows
 * would for ever differ from our message.
 */
static bool take(struct record_part *p, struct ipam_decision *d)
{
	buf_mend(d->message);
	bool news = !p->decided || p->reason != d->reason || strcmp(p->message, d->message) != 0;
	record_decided(p, d);
	return news;
}

/*
 * The part holds what the object says, and what it is to hold if that is still to come.  True if
 * that freed an address.
 */
static bool retain(struct ipam *ipam, const char *key, const struct record_part *p, bool to_come)
{
	if (!p)
		return ipam_release(ipam, key);
	const struct ipam_request *q = &p->request;
	struct addr *keep =
		xcalloc(q->n_held + q->n_confirmed + q->n_written + p->n_want + 1, sizeof(*keep));
	size_t n = 0;

	for (size_t i = 0; i < q->n_held; i++)
		if (is_kept(ipam, key, p, &q->held[i]))
			keep[n++] = q->held[i];
	for (size_t i = 0; i < q->n_confirmed; i++)
		keep[n++] = q->confirmed[i];
	for (size_t i = 0; i < q->n_written; i++)
		if (is_kept(ipam, key, p, &q->written[i]))
			keep[n++] = q->written[i];
	for (size_t i = 0; to_come && is_to_come(p) && i < p->n_want; i++)
		keep[n++] = p->want[i];
	bool freed = ipam_retain(ipam, key, keep, n);
	free(keep);
	return freed;
}

bool turn_let_go(struct ipam *ipam, const struct record *r)
{
	return retain(ipam, r->external_key, r->external, true);
}

/*
 * A condition is written after the spec, and may have to report a refusal by then: it must still
 * say that the addresses were given, otherwise nothing would ever confirm them.
 */
static void tell_given(struct record_part *p)
{
	struct ipam_request *q = &p->request;

	q->n_given = 0;
	for (size_t i = 0; i < q->n_held && q->n_given < ARRAY_LEN(q->given); i++)
		if (is_given(p, &q->held[i]))
			q->given[q->n_given++] = q->held[i];
}

struct turn_outcome turn_decide(struct ipam *ipam, struct record *r,
                                const struct record_server *server)
{
	struct turn_outcome t = { .news = false };
	struct ipam_decision d;

	turn_adopt(ipam, r);
	ipam_decide(ipam, r->key, &r->lb.request, &d);
	t.waits = hold_back(server, &r->lb.request, &d);
	tell_contested(r, &d);
	t.news = take(&r->lb, &d);
	t.waits |= may_change(&d, &r->lb.request);
	give_wanted(ipam, r->key, &r->lb);
	if (r->external) {
		tell_given(r->external);
		ipam_decide(ipam, r->external_key, &r->external->request, &d);
		if (record_is_refused(r))
			refuse(r, &d);
		t.waits |= hold_back(server, &r->external->request, &d);
		remember(r->external, &d);
		t.external_news = take(r->external, &d);
		t.waits |= may_change(&d, &r->external->request);
		give_wanted(ipam, r->external_key, r->external);
		adopt_written(ipam, r);
	}
	t.waits |= may_inherit(ipam, r);
	r->may_move = false;
	t.write = record_needs(r, server);
	return t;
}

/* ---- renumbering ---- */

static bool awaits_move(const struct record_part *p)
{
	return p && p->decided && p->renumbers && p->action != IPAM_MOVE;
}

bool turn_awaits_move(const struct record *r)
{
	return awaits_move(&r->lb) || awaits_move(r->external);
}

static bool has_none(const struct record_part *p)
{
	return p && p->request.wish == IPAM_WISH_ADDRESS && p->request.n_held == 0;
}

bool turn_has_none(const struct record *r)
{
	return has_none(&r->lb) || has_none(r->external);
}

void turn_put_movers_last(struct record **records, size_t n)
{
	struct record **movers = xcalloc(n + 1, sizeof(*movers));
	size_t n_movers = 0, n_others = 0;

	for (size_t i = 0; i < n; i++)
		if (records[i]->may_move)
			movers[n_movers++] = records[i];
		else
			records[n_others++] = records[i];
	for (size_t i = 0; i < n_movers; i++)
		records[n_others + i] = movers[i];
	free(movers);
}

void turn_request_move(struct record *r, enum ipam_renumber how)
{
	r->lb.request.renumber = r->may_move ? how : IPAM_RENUMBER_LATER;
	if (r->external)
		r->external->request.renumber = r->lb.request.renumber;
}

/* ---- what became free ---- */

bool turn_is_concerned(const struct ipam *ipam, const struct record *r)
{
	return ipam_is_concerned(ipam, r->key, &r->lb.request) ||
	       (r->external && ipam_is_concerned(ipam, r->external_key, &r->external->request));
}

bool turn_end(struct ipam *ipam, struct record *const *records, size_t n)
{
	static const struct record_write both = { .ingress = true, .external_ips = true };
	bool freed = false;

	for (size_t i = 0; i < n; i++)
		freed |= turn_settle(ipam, records[i], both);
	return freed || ipam_may_concern_others(ipam);
}

bool turn_settle(struct ipam *ipam, const struct record *r, struct record_write left)
{
	bool freed = retain(ipam, r->key, &r->lb, left.ingress);

	return retain(ipam, r->external_key, r->external, left.external_ips) || freed;
}
