/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-go's algorithm (leaderelection.tryAcquireOrRenew): the holder renews by an optimistic
 * write, everybody else reads and waits until the record has not changed for its duration by their
 * own clock.
 *
 * Stricter in two ways.  The holder's time runs from when it sent its last successful write, and it
 * stops sending once a write could take effect after the lease may have run out.  And a candidate
 * that takes the lease from a holder that did not give it up waits until that holder's writes have
 * taken effect or never will; only then does it lead.  Anybody may delete a Lease or clear its
 * holder, and the leader hears of that with its next renewal only: so power does not come from
 * making a Lease, but from having waited for whoever may have had another.
 *
 * Looking again at the moment when the other's lease runs out, rather than at the next regular try,
 * costs nothing and saves up to a retry period.
 */
#include "config.h"

#include "kube/lease_fsm.h"

#include <stdio.h>
#include <string.h>

/*
 * Added to the moment when another's lease runs out, so that several standbys do not ask at once.
 */
#define EXPIRY_JITTER_MS 100

void lease_fsm_init(struct lease_fsm *f, const char *identity, struct lease_timing timing)
{
	*f = (struct lease_fsm){ .timing = timing };
	snprintf(f->identity, sizeof(f->identity), "%s", identity);
}

static bool is_ours(const struct lease_fsm *f)
{
	return f->seen && !strcmp(f->record.holder, f->identity);
}

static int64_t expiry_ms(const struct lease_fsm *f)
{
	return f->observed_ms + (int64_t)f->record.duration_s * 1000;
}

/* Somebody else's, and by our clock not run out. */
static bool is_taken(const struct lease_fsm *f, int64_t now)
{
	return f->seen && *f->record.holder && !is_ours(f) && now < expiry_ms(f);
}

static int64_t retry_at(const struct lease_fsm *f, int64_t now, uint64_t chance)
{
	int64_t at = now + f->timing.retry_ms +
	             (int64_t)(chance % ((uint64_t)f->timing.retry_ms / 5 + 1));
	int64_t expiry = expiry_ms(f) + (int64_t)(chance % EXPIRY_JITTER_MS);

	return is_taken(f, now) && expiry < at ? expiry : at;
}

/*
 * The record counts as changed if any of its content did; the resourceVersion alone also follows
 * labels.
 */
static bool note_record(struct lease_fsm *f, int64_t now, const struct lease_record *r)
{
	bool holder_changed = !f->seen || strcmp(f->record.holder, r->holder) != 0;

	if (holder_changed || f->record.duration_s != r->duration_s ||
	    f->record.transitions != r->transitions || strcmp(f->record.renewed, r->renewed) != 0)
		f->observed_ms = now;
	f->record = *r;
	f->seen = true;
	return holder_changed;
}

static void raise(int64_t *ms, int64_t to)
{
	if (*ms < to)
		*ms = to;
}

/*
 * How long a leader may go on writing without a renewal: the record may have been edited, so at
 * least as long as we would.
 */
static int64_t longest_ms(const struct lease_fsm *f)
{
	int s = f->seen && f->record.duration_s > f->timing.duration_s ? f->record.duration_s
	                                                               : f->timing.duration_s;

	return (int64_t)s * 1000;
}

/* Before a write that makes us the holder: what has to be waited out. */
static void mind_predecessor(struct lease_fsm *f, int64_t now, bool create)
{
	bool released = !create && !*f->record.holder && f->record.duration_s == LEASE_RELEASED_S;

	if (f->held)
		return;
	raise(&f->lead_from_ms, now);
	if (is_ours(f))
		raise(&f->lead_from_ms,
		      now + f->timing.effect_ms); /* ourselves, before we lost it */
	else if (f->seen && *f->record.holder)
		raise(&f->lead_from_ms, f->observed_ms + longest_ms(f) + f->timing.effect_ms);
	if (create || (!*f->record.holder && !released))
		raise(&f->doubt_until_ms, now + longest_ms(f) + f->timing.effect_ms);
}

static bool may_lead(const struct lease_fsm *f, int64_t now, bool at_stake)
{
	return now >= f->lead_from_ms && (now >= f->doubt_until_ms || !at_stake);
}

static enum lease_request choose_request(struct lease_fsm *f, int64_t now,
                                         const struct lease_observation *o)
{
	switch (o->seen) {
	case LEASE_READ:
		if (is_taken(f, now)) {
			f->next_try_ms = retry_at(f, now, o->chance);
			return LEASE_NOTHING;
		}
		return LEASE_UPDATE;
	case LEASE_MISSING:
		return LEASE_CREATE;
	case LEASE_CONFLICT:
		/* Look at once who wrote it; but not for ever where every write is refused. */
		if (f->conflicts == 1)
			return LEASE_GET;
		f->next_try_ms = retry_at(f, now, o->chance);
		return LEASE_NOTHING;
	case LEASE_WRITTEN:
		f->next_try_ms = now + f->timing.retry_ms;
		return LEASE_NOTHING;
	case LEASE_FAILED:
		f->next_try_ms = retry_at(f, now, o->chance);
		return LEASE_NOTHING;
	case LEASE_TICK:
		if (now < f->next_try_ms)
			return LEASE_NOTHING;
		return f->held && !f->conflicts ? LEASE_UPDATE : LEASE_GET;
	}
	return LEASE_NOTHING;
}

static void take_in(struct lease_fsm *f, int64_t now, const struct lease_observation *o,
                    struct lease_action *a)
{
	if (o->seen != LEASE_TICK)
		f->busy = false;
	if (o->seen == LEASE_READ || o->seen == LEASE_WRITTEN)
		a->observed = note_record(f, now, o->record);
	if (o->seen == LEASE_CONFLICT)
		f->conflicts++;
	else if (o->seen == LEASE_WRITTEN)
		f->conflicts = 0;
	if (o->seen == LEASE_WRITTEN && is_ours(f)) {
		f->held = true;
		f->renewed_ms = f->sent_ms;
	}
	/* Somebody else's, or not renewed in time, be it because we slept. */
	if (f->held && (!is_ours(f) || now >= f->renewed_ms + f->timing.renew_ms)) {
		f->held = false;
		a->stopped = f->leading;
		f->leading = false;
	}
	if (f->held && !f->leading && may_lead(f, now, o->at_stake))
		f->leading = a->started = true;
}

static int64_t next_tick(const struct lease_fsm *f, int64_t now)
{
	int64_t at = f->busy ? INT64_MAX : f->next_try_ms;

	if (f->held && f->renewed_ms + f->timing.renew_ms < at)
		at = f->renewed_ms + f->timing.renew_ms;
	if (f->held && !f->leading && now < f->lead_from_ms && f->lead_from_ms < at)
		at = f->lead_from_ms;
	if (f->held && !f->leading && now < f->doubt_until_ms && f->doubt_until_ms < at)
		at = f->doubt_until_ms;
	return at;
}

struct lease_action lease_step(struct lease_fsm *f, int64_t now, const struct lease_observation *o)
{
	struct lease_action a = { .request = LEASE_NOTHING };

	take_in(f, now, o, &a);
	if (!f->busy)
		a.request = choose_request(f, now, o);
	if (a.request == LEASE_UPDATE || a.request == LEASE_CREATE) {
		mind_predecessor(f, now, a.request == LEASE_CREATE);
		a.acquire = !is_ours(f) || a.request == LEASE_CREATE;
		a.transitions = f->record.transitions;
		if (a.request == LEASE_UPDATE && a.acquire)
			a.transitions++;
	}
	if (a.request != LEASE_NOTHING) {
		f->busy = true;
		f->sent_ms = now;
	}
	a.again_ms = next_tick(f, now);
	return a;
}

bool lease_fsm_may_write(const struct lease_fsm *f, int64_t now)
{
	return f->leading && now < f->renewed_ms + f->timing.renew_ms &&
	       now + f->timing.effect_ms < f->renewed_ms + (int64_t)f->timing.duration_s * 1000;
}
