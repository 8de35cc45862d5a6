/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/entries.h"
#include "proxy/pace.h"

struct ledger {
	struct entries book;
	bool complete;
	bool adopted;        /* everything was read once */
	char *fresh_refusal; /* of the batch that is settled */
	struct virtuals_stats stats;
};

/* ---- schedulers ---- */

const char *ledger_unknown_scheduler(const struct ledger *l)
{
	return schedulers_unknown(&l->book.schedulers);
}

static void schedule(struct ledger *l, struct entry *e)
{
	if (!server_schedule(&e->s, schedulers_effective(&l->book.schedulers, e->scheduler)))
		return;
	entries_set_changing(&l->book, e, true);
	if (e->place == ENTRY_REST || (e->place == ENTRY_PAUSED && !e->doubt))
		entries_move(&l->book, e, ENTRY_DIRTY);
}

void ledger_know_scheduler(struct ledger *l, const char *name, int error, int64_t now_ms)
{
	uint8_t number = schedulers_know(&l->book.schedulers, name, error, now_ms);
	int64_t due_ms = schedulers_wake(&l->book.schedulers, now_ms);

	if (due_ms < l->book.due_ms)
		l->book.due_ms = due_ms;
	for (struct entry *e = l->book.all; e; e = e->hh.next)
		if (e->s.wanted && e->scheduler == number)
			schedule(l, e);
}

/* ---- its life ---- */

struct ledger *ledger_new(void)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	entries_init(&l->book);
	return l;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	entries_fini(&l->book);
	free(l->fresh_refusal);
	free(l);
}

/* ---- what is wanted ---- */

/* What is known of it has changed, or what is wanted. */
static void touch(struct ledger *l, struct entry *e)
{
	switch (e->place) {
	case ENTRY_REST:
		entries_move(&l->book, e, ENTRY_DIRTY);
		break;
	case ENTRY_PAUSED:
		entries_move(&l->book, e, e->doubt ? ENTRY_UNREAD : ENTRY_DIRTY);
		break;
	case ENTRY_UNREAD:
		/* A change does not wait for all that an audit looks at. */
		entries_hurry(&l->book, e);
		break;
	case ENTRY_DIRTY:
	case ENTRY_SENT: /* it is planned again then in any case */
	case ENTRY_PLACES:
		break;
	}
}

void ledger_want(struct ledger *l, const struct virtual_server *v)
{
	struct entry *e = entries_get(&l->book, v->id);
	uint8_t scheduler = schedulers_hold(&l->book.schedulers, v->scheduler);
	bool same = server_wants(&e->s, v);

	l->stats.servers += !e->s.wanted;
	if (!same)
		server_want(&e->s, v);
	schedulers_drop(&l->book.schedulers, e->scheduler);
	e->scheduler = scheduler;
	if (server_schedule(&e->s, schedulers_effective(&l->book.schedulers, e->scheduler)) ||
	    !same) {
		entries_set_changing(&l->book, e, true);
		touch(l, e);
	}
	l->stats.endpoints -= e->n_wanted;
	e->n_wanted = (uint32_t)server_n_wanted(&e->s);
	l->stats.endpoints += e->n_wanted;
}

void ledger_unwant(struct ledger *l, struct virtual_id id)
{
	struct entry *e = entries_find(&l->book, id);

	if (!e || !e->s.wanted)
		return;
	l->stats.servers--;
	l->stats.endpoints -= e->n_wanted;
	e->n_wanted = 0;
	server_unwant(&e->s);
	schedulers_drop(&l->book.schedulers, e->scheduler);
	e->scheduler = SCHEDULERS_NONE;
	entries_set_changing(&l->book, e, false);
	entries_refuse(&l->book, e, NULL);
	touch(l, e);
}

void ledger_complete(struct ledger *l)
{
	l->complete = true;
}

/* ---- what the kernel has ---- */

void ledger_begin_reading(struct ledger *l)
{
	for (struct entry *e = l->book.all; e; e = e->hh.next)
		e->seen = false;
}

static void count(struct entry *e, const struct virtual_counters *c)
{
	if (!e->counters && !c->connections)
		return;
	if (!e->counters)
		e->counters = xcalloc(1, sizeof(*e->counters));
	*e->counters = *c;
}

/* Somebody has changed it. */
static void damage(struct ledger *l, struct entry *e)
{
	if (e->doubt || !e->known || !e->s.wanted)
		return;
	l->stats.repairs += !e->damaged;
	entries_set_damaged(&l->book, e, true);
	entries_set_changing(&l->book, e, true);
}

void ledger_found(struct ledger *l, const struct ipvs_server *f)
{
	if (!f->stamped)
		return;
	struct entry *e = entries_get(&l->book, f->id);
	bool was_there = e->s.there && e->known;
	bool same = e->s.has_flags == f->flags && !strcmp(e->s.has_scheduler, f->scheduler);
	count(e, &f->counters);
	e->missed = e->unstamped = false;
	/* It may be from before that was written; who is in doubt is asked for after that. */
	if ((e->seen && !e->doubt) || e->place == ENTRY_SENT)
		return;
	e->seen = true;
	e->s.there = true;
	e->s.has_flags = f->flags;
	memcpy(e->s.has_scheduler, f->scheduler, sizeof(f->scheduler));
	if (!was_there) {
		if (e->place != ENTRY_UNREAD)
			entries_move(&l->book, e, ENTRY_UNREAD);
	} else if (!same) {
		damage(l, e);
		touch(l, e);
	}
}

static void lost(struct ledger *l, struct entry *e)
{
	damage(l, e);
	server_lost(&e->s);
	e->doubt = e->missed = e->unstamped = false;
	if (e->s.wanted)
		entries_move(&l->book, e, ENTRY_DIRTY);
	else
		entries_drop(&l->book, e);
}

/* While others come and go, the kernel's list may lack some. */
void ledger_end_reading(struct ledger *l)
{
	for (struct entry *e = l->book.all; e; e = e->hh.next)
		if (!e->seen && e->s.there && e->place != ENTRY_SENT) {
			e->missed = true;
			entries_move(&l->book, e, ENTRY_UNREAD);
		}
	l->adopted = true;
	l->stats.readings++;
}

bool ledger_next_unread(struct ledger *l, struct virtual_id *ret_id, bool *ret_itself)
{
	const struct entry *e = l->book.places[ENTRY_UNREAD];

	if (!e)
		return false;
	*ret_id = e->s.id;
	*ret_itself = e->doubt || e->missed;
	return true;
}

void ledger_found_none(struct ledger *l, struct virtual_id id)
{
	struct entry *e = entries_find(&l->book, id);

	if (e)
		lost(l, e);
}

bool ledger_found_unstamped(struct ledger *l, struct virtual_id id)
{
	struct entry *e = entries_find(&l->book, id);

	if (e && e->known) {
		e->unstamped = true;
		return true;
	}
	ledger_found_none(l, id);
	return false;
}

/*
 * Whoever edits a virtual server, as `ipvsadm -E` does, says all of it anew, so that the stamp
 * goes, and leaves its endpoints.  Nobody else has one of this mark with all endpoints of ours, or
 * with any at all where it is not known which these are.
 */
static bool is_still_ours(const struct entry *e, const struct ipvs_endpoint *list, size_t n)
{
	size_t n_ours = server_n_found(&e->s, list, n);

	if (e->doubt)
		return n_ours > 0;
	return n_ours == e->s.n_there && (n_ours > 0 || n == 0);
}

void ledger_found_endpoints(struct ledger *l, struct virtual_id id,
                            const struct ipvs_endpoint *list, size_t n)
{
	struct entry *e = entries_find(&l->book, id);

	if (!e)
		return;
	if (e->unstamped && !is_still_ours(e, list, n)) {
		lost(l, e);
		return;
	}
	if (!server_found(&e->s, list, n) || e->unstamped)
		damage(l, e);
	if (e->unstamped)
		server_unstamped(&e->s);
	e->known = true;
	e->doubt = e->missed = e->unstamped = false;
	entries_move(&l->book, e, ENTRY_DIRTY);
}

/* Not at once, then later and later. */
static void back_off(struct ledger *l, struct entry *e, int64_t now_ms)
{
	int64_t pause = pace_pause_ms(e->failures, LEDGER_PAUSE_MIN_MS, LEDGER_PAUSE_MAX_MS);

	e->failures++;
	entries_pause(&l->book, e, now_ms + pause);
}

void ledger_not_read(struct ledger *l, struct virtual_id id, const char *error, int64_t now_ms)
{
	struct entry *e = entries_find(&l->book, id);

	if (!e)
		return;
	e->doubt = true;
	if (e->s.wanted)
		entries_refuse(&l->book, e, error);
	back_off(l, e, now_ms);
}

bool ledger_any_at_rest(const struct ledger *l, struct virtual_id *ret_id)
{
	const struct entry *e = l->book.audited ? l->book.audited : l->book.all;

	for (size_t i = 0; e && i < LEDGER_LOOKED_AT; i++, e = e->hh.next)
		if (e->s.wanted && e->place == ENTRY_REST) {
			*ret_id = e->s.id;
			return true;
		}
	return false;
}

void ledger_audit(struct ledger *l)
{
	struct entry *e = l->book.audited;
	size_t n_endpoints = 0;

	for (size_t i = 0; i < LEDGER_AUDIT && i < HASH_COUNT(l->book.all); i++) {
		e = e ? e : l->book.all;
		if (e->place == ENTRY_REST) {
			n_endpoints += e->s.n_there;
			entries_move(&l->book, e, ENTRY_UNREAD);
		}
		e = e->hh.next;
		if (n_endpoints >= LEDGER_AUDIT_ENDPOINTS)
			break;
	}
	l->book.audited = e;
}

/* ---- what is to be done ---- */

void ledger_wake(struct ledger *l, int64_t now_ms)
{
	struct entry *e, *next;

	if (now_ms < l->book.due_ms)
		return;
	l->book.due_ms = schedulers_wake(&l->book.schedulers, now_ms);
	DL_FOREACH_SAFE(l->book.places[ENTRY_PAUSED], e, next)
		if (e->due_ms <= now_ms)
			entries_move(&l->book, e, ENTRY_UNREAD);
		else if (e->due_ms < l->book.due_ms)
			l->book.due_ms = e->due_ms;
}

int64_t ledger_due_ms(const struct ledger *l)
{
	return l->book.due_ms;
}

bool ledger_take(struct ledger *l, size_t max, int64_t now_ms, struct server_operations *ops)
{
	size_t n_visited = 0;

	if (!l->complete || !l->adopted || ledger_unknown_scheduler(l))
		return false;
	while (l->book.places[ENTRY_DIRTY] && ops->n < max && n_visited++ < max) {
		struct entry *e = l->book.places[ENTRY_DIRTY];
		size_t n = ops->n;
		server_plan(&e->s, (uint32_t)(now_ms / 1000), ops);
		e->known = e->seen = true;
		e->n_sent = (uint32_t)(ops->n - n);
		e->error = 0;
		if (e->n_sent > 0)
			entries_move(&l->book, e, ENTRY_SENT);
		else
			entries_rest(&l->book, e, now_ms);
	}
	return n_visited > 0;
}

static void note_refusal(struct ledger *l, struct entry *e, const struct ipvs_operation *o)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	/* The first time others, or a lack that is over at once, may be to blame. */
	if (e->failures == 0 || !e->s.wanted)
		return;
	buf_printf(&text, "the kernel refuses ");
	ipvs_describe(o, &text);
	buf_printf(&text, ": %s", strerror(-e->error));
	if (o->verb == IPVS_ADD_SERVER && e->error == -EEXIST)
		buf_puts(&text, " (somebody else's, with the same mark)");
	if (!e->refusal && !l->fresh_refusal)
		l->fresh_refusal = xstrdup(buf_str(&text));
	entries_refuse(&l->book, e, buf_str(&text));
}

static void conclude(struct ledger *l, struct entry *e, int64_t now_ms)
{
	if (e->error == 0) {
		/* There may be more to do, as things are now. */
		entries_move(&l->book, e, ENTRY_DIRTY);
		return;
	}
	e->doubt = true;
	if (e->failures > 0)
		back_off(l, e, now_ms);
	else
		entries_move(&l->book, e, ENTRY_UNREAD);
	e->failures += e->failures == 0;
}

void ledger_did(struct ledger *l, const struct ipvs_operation *o, int error, int64_t now_ms)
{
	struct entry *e = entries_find(&l->book, o->id);

	l->stats.operations++;
	if (!e || e->n_sent == 0)
		return;
	if (error < 0) {
		l->stats.failures++;
		if (e->error == 0) {
			e->error = error;
			note_refusal(l, e, o);
		}
		/* Or else it is the endpoint that is not there. */
		if (error == -ENOENT && o->verb < IPVS_REMOVE_SERVER)
			schedulers_doubt(&l->book.schedulers, e->scheduler);
	}
	if (--e->n_sent == 0)
		conclude(l, e, now_ms);
}

bool ledger_settle(struct ledger *l, struct err *ret_error)
{
	cleanup_free char *fresh = TAKE(l->fresh_refusal);

	l->stats.batches++;
	if (fresh)
		err_set(ret_error, -EIO, ERR_SYSTEM, "%s", fresh);
	return fresh != NULL;
}

/* ---- answers ---- */

bool ledger_is_applied(const struct ledger *l, struct virtual_id id)
{
	const struct entry *e = entries_find(&l->book, id);

	return !e || !e->s.wanted || (e->s.there && !e->changing && !e->doubt);
}

const char *ledger_refusal(const struct ledger *l, struct virtual_id id)
{
	const struct entry *e = entries_find(&l->book, id);

	return e ? e->refusal : NULL;
}

bool ledger_lacks_schedulers(const struct ledger *l)
{
	return schedulers_lack(&l->book.schedulers);
}

const char *ledger_substitute(const struct ledger *l, struct virtual_id id)
{
	const struct entry *e = entries_find(&l->book, id);

	if (!e || !e->s.wanted || !schedulers_is_substituted(&l->book.schedulers, e->scheduler))
		return NULL;
	return schedulers_effective(&l->book.schedulers, e->scheduler);
}

bool ledger_is_damaged(const struct ledger *l, uint8_t family)
{
	return l->book.n_damaged[family == 6] > 0;
}

size_t ledger_n_refused(const struct ledger *l, uint8_t family)
{
	return l->book.n_refused[family == 6];
}

bool ledger_is_settled(const struct ledger *l)
{
	return l->complete && l->adopted &&
	       l->book.n_changing == l->book.n_refused[0] + l->book.n_refused[1];
}

bool ledger_is_in_sync(const struct ledger *l)
{
	return ledger_is_settled(l) && l->book.n_changing == 0;
}

bool ledger_counters(const struct ledger *l, struct virtual_id id,
                     struct virtual_counters *ret_counters)
{
	const struct entry *e = entries_find(&l->book, id);

	if (!e)
		return false;
	*ret_counters = e->counters ? *e->counters : (struct virtual_counters){ 0 };
	return true;
}

struct virtuals_stats ledger_stats(const struct ledger *l)
{
	struct virtuals_stats st = l->stats;
	const struct entry *e;

	DL_FOREACH(l->book.places[ENTRY_PAUSED], e)
		st.draining += server_n_draining(&e->s);
	st.refused = l->book.n_refused[0] + l->book.n_refused[1];
	return st;
}

uint64_t ledger_n_repairs(const struct ledger *l)
{
	return l->stats.repairs;
}

const struct server *ledger_server(const struct ledger *l, struct virtual_id id)
{
	const struct entry *e = entries_find(&l->book, id);

	return e ? &e->s : NULL;
}

bool ledger_is_at_rest(const struct ledger *l, struct virtual_id id)
{
	const struct entry *e = entries_find(&l->book, id);

	return !e || e->place == ENTRY_REST || e->place == ENTRY_PAUSED;
}

void ledger_each_wanted(const struct ledger *l, ledger_wanted_fn *fn, void *arg)
{
	for (const struct entry *e = l->book.all; e; e = e->hh.next)
		if (e->s.wanted)
			fn(e->s.id, arg);
}

void ledger_each_refused(const struct ledger *l, ledger_refused_fn *fn, void *arg)
{
	for (const struct entry *e = l->book.all; e; e = e->hh.next)
		if (e->refusal)
			fn(e->s.id, e->refusal, arg);
}
