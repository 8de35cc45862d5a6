/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: which Services go with one, and what became of them.
 *
 * iptables-restore commits table by table, filter first.  When a batch fails, nat is untouched (it
 * comes last and is atomic), but filter may have been written: those chains become CHAIN_UNKNOWN
 * and their buckets dirty, so that the next batch sets them right.  Jumps from built-in chains
 * cannot be written twice without harm, so they travel in a batch of their own, and when that fails
 * the kernel must be read again.
 */
#include "config.h"

#include "proxy/iptables/model.h"

#include <string.h>

#include <utlist.h>

#include "proxy/iptables/model_private.h"
#include "proxy/pace.h"

static bool may_fly(const struct service *s, int64_t now_ms)
{
	return !s->refused || s->retry_ms <= now_ms;
}

/*
 * Takes Services from the queue; one that was refused before goes alone, be it with another wish.
 */
static void take_flight(struct model *m, int64_t now_ms)
{
	struct service *s, *next;

	m->n_flight = 0;
	DL_FOREACH_SAFE(m->queue, s, next) {
		if (m->n_flight >= m->limit)
			break;
		if (!may_fly(s, now_ms) || (s->suspect && m->n_flight > 0))
			continue;
		DL_DELETE(m->queue, s);
		s->queued = false;
		s->in_batch = true;
		s->flying = spec_ref(s->want);
		s->outdated = false;
		ARRAY_RESERVE(m->flight, m->cap_flight, m->n_flight + 1);
		m->flight[m->n_flight++] = s;
		if (s->suspect)
			break;
	}
}

/*
 * Back into the queue: the others in their old order at its front, but at its end one that was
 * refused: it may come back with new wishes as fast as it is tried.
 */
static void requeue(struct model *m, struct service *s)
{
	model_settle_members(m, s, s->flying, s->have);
	spec_unref(s->flying);
	s->flying = NULL;
	s->in_batch = false;
	s->queued = true;
	if (s->suspect)
		DL_APPEND(m->queue, s);
	else
		DL_PREPEND(m->queue, s);
}

void model_shorten_flight(struct model *m, size_t n)
{
	while (m->n_flight > n)
		requeue(m, m->flight[--m->n_flight]);
}

bool model_plan(struct model *m, int64_t now_ms, struct buf *ret_text, size_t *ret_n_lines)
{
	if (!m->adopted || m->adopting || m->planned)
		return false;
	m->n_flight = 0;
	m->has_jumps = model_needs_jumps(m);
	if (!m->has_jumps)
		take_flight(m, now_ms);
	if (now_ms >= m->sweep_again_ms) {
		m->sweep = true;
		m->sweep_again_ms = INT64_MAX;
	}
	/*
	 * A refused Service may have a form in the kernel that we do not know, and that leads to
	 * what looks unwanted.
	 */
	m->has_sweep = m->sweep && !m->has_jumps && m->n_flight == 0 && !m->queue;
	if (m->n_flight == 0 && !m->has_jumps && !m->has_sweep && !m->any_dirty)
		return false;
	m->planned = true;
	m->reframe = m->reframe && m->has_jumps;
	*ret_n_lines = model_render_batch(m, ret_text);
	return true;
}

static void end_batch(struct model *m)
{
	for (size_t i = 0; i < m->n_touched; i++)
		m->buckets[m->touched[i]].touched = false;
	m->n_touched = m->n_flight = m->n_changes = 0;
	m->planned = m->has_jumps = m->has_sweep = false;
}

void model_try_refused(struct model *m)
{
	for (struct service *s = m->services; s && m->n_refused > 0; s = s->hh.next)
		if (s->refused)
			s->retry_ms = 0;
}

static void commit_service(struct model *m, struct service *s, model_committed_fn *fn, void *arg)
{
	model_settle_members(m, s, s->have, s->flying);
	if (s->have || s->flying)
		fn(s->have ? &s->have->s : NULL, s->flying ? &s->flying->s : NULL, arg);
	model_set_have(m, s, TAKE(s->flying));
	s->in_batch = false;
	m->n_damaged -= s->damaged;
	s->damaged = false;
	s->pending = s->want != s->have || s->outdated;
	if (s->refused)
		model_try_refused(m); /* what was missing is there now, perhaps for all */
	s->suspect = false;
	if (s->pending) {
		model_enqueue(m, s);
	} else {
		model_set_refused(m, s, false);
		s->failures = 0;
		free(TAKE(s->error));
		if (!s->want)
			model_service_free(m, s);
	}
}

void model_commit(struct model *m, model_committed_fn *fn, void *arg)
{
	for (size_t i = 0; i < m->n_changes; i++) {
		struct change *c = &m->changes[i];
		c->record->have = c->hash;
		c->record->printed = 0;
		c->record->doubtful = false;
		c->record->present = true;
		if (c->gone)
			model_record_drop(m, c->record);
	}
	for (size_t i = 0; i < m->n_touched; i++) {
		struct bucket *b = &m->buckets[m->touched[i]];
		b->used = b->next_used;
		b->dirty = false;
	}
	if (m->has_jumps) {
		memset(m->missing_jumps, 0, sizeof(m->missing_jumps));
		model_drop_strays(m);
	} else {
		m->any_dirty = m->reframe;
		m->unproven = false;
	}
	if (m->has_sweep) {
		m->sweep = m->reframe;
		m->sweep_failures = 0;
		m->sweep_again_ms = INT64_MAX;
	}
	for (size_t i = 0; i < m->n_flight; i++)
		commit_service(m, m->flight[i], fn, arg);
	m->damaged = m->damaged && (m->any_dirty || model_needs_jumps(m));
	m->limit = m->limit * 2 < m->max_batch ? m->limit * 2 : m->max_batch;
	end_batch(m);
}

/* How long what was refused waits, after so many failures before. */
static int64_t retry_pause(unsigned int failures)
{
	return pace_pause_ms(failures, MODEL_RETRY_MIN_MS, MODEL_RETRY_MAX_MS);
}

static void refuse(struct model *m, struct service *s, const char *error, int64_t now_ms)
{
	model_set_refused(m, s, true);
	s->retry_ms = now_ms + retry_pause(s->failures++);
	free(s->error);
	s->error = xstrdup(error);
}

bool model_abort(struct model *m, enum model_outcome why, const char *error, int64_t now_ms)
{
	bool lost = why == MODEL_KILLED || why == MODEL_BROKEN, doubt = m->has_jumps || lost;
	bool blames = why == MODEL_REFUSED || why == MODEL_KILLED;

	m->moved = true;
	for (size_t i = 0; i < m->n_changes; i++) {
		struct record *r = m->changes[i].record;
		if (chain_table(r->name) == CHAIN_FILTER || lost) {
			r->have = CHAIN_UNKNOWN;
			r->present = true;
		} else if (!r->present) {
			model_record_drop(m, r);
		}
	}
	for (size_t i = 0; i < m->n_touched; i++) {
		struct bucket *b = &m->buckets[m->touched[i]];
		b->next_used = b->used;
		b->dirty = true;
	}
	m->any_dirty = m->any_dirty || m->n_touched > 0;
	if (blames && m->n_flight > 1)
		m->limit = m->n_flight / 2;
	/* A rule of others may hold on to a chain of ours: nothing that others wait for. */
	if (why == MODEL_REFUSED && m->has_sweep) {
		m->sweep = false;
		m->sweep_again_ms = now_ms + retry_pause(m->sweep_failures++);
	}
	if (blames && m->n_flight == 1) {
		m->flight[0]->suspect = true;
		if (m->flight[0]->want == m->flight[0]->flying)
			refuse(m, m->flight[0], error, now_ms);
	}
	for (size_t i = m->n_flight; i-- > 0;)
		requeue(m, m->flight[i]);
	end_batch(m);
	return doubt;
}

bool model_has_more(const struct model *m)
{
	return m->has_jumps || (m->queue && !m->queue->refused) ||
	       (m->sweep && !m->has_sweep && !m->queue);
}

bool model_needs_frame(const struct model *m)
{
	return !m->adopted || model_needs_jumps(m);
}

size_t model_batch_services(const struct model *m)
{
	return m->n_flight;
}

int64_t model_next_retry(const struct model *m)
{
	int64_t at = m->sweep_again_ms;
	const struct service *s;

	DL_FOREACH(m->queue, s)
		if (s->refused && s->retry_ms < at)
			at = s->retry_ms;
	return at;
}
