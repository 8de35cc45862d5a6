/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The gate that every way to answering for an address passes.
 *
 * A claim tells only those that hear us, and hear us with the same key.  So before this node
 * answers, whether the claim is new, recalled by the peers after a restart, or was kept while this
 * node was silent (its link was down, its process was stopped), it waits for its turn and asks the
 * network by probes; while it asks it does not answer.  Only an address whose holder is known
 * to have let go needs no question.  That excludes what the holder kept through a silence and had
 * not asked for yet, and what somebody asked for or announced since; and if there may be speakers
 * that we do not hear, only a node that was waiting for it at that moment may skip the question.
 *
 * How often it asks.  Where peers are heard without losses one probe is enough: another owner would
 * be a peer, and its claim known.  Where no peer is heard, frames were lost or refused a moment
 * ago, or somebody answered before, the probes are all there is, so there are three of them in
 * little more time.
 *
 * Starts.  For a while after its start (start.c) a speaker claims what nobody has held only once
 * the candidates whose Nodes are Ready are there and have listened to the end, and only if it is
 * the first in the order: what is another's may wait for that one's rules.  When the wait ends, the
 * turns begin.  What a dead or leaving owner held waits for nobody.
 *
 * Stalls.  An owner that does not get to run for longer than a probe waits has not answered one
 * that came meanwhile, and where heartbeats do not tell whoever asked may have the address by now.
 * Stalls that short are frequent on a busy machine, and nearly always nobody asked.  So what counts
 * is not the owner's own gap but what it finds in its buffer: a probe for an address of its own, or
 * an announcement of it, that has waited for half of a probe's time.  It answers such a probe if
 * that may still be in time, so that whoever is still asking gives way, and then asks itself, at
 * once and for this address alone.  While it asks it answers whoever else probes, and nobody else.
 * So a healthy owner does not answer for such an address for the time of a few probes, and loses
 * nothing; who took it meanwhile answers, and keeps it.  A buffer that was full tells nothing of
 * what came after: then the owner asks for all of its addresses, where somebody may be unheard.
 *
 * Probes of others that ask at the same moment are reason to wait (RFC 5227 2.1.1), but a machine
 * that keeps asking, in whatever name, must not keep the address from everybody: patience with them
 * is bounded.
 */
#include "claims/private.h"

#include <string.h>

#include "fairlead/mem.h"

/* The n-th candidate waits n times this long before it claims what nobody holds. */
#define RANK_STEP_MS 150
/*
 * How long the first candidate waits for the claims of a peer that is known to have claims we have
 * not seen.
 */
#define SYNC_PATIENCE_MS 500
#define SYNC_POLL_MS 10
/* A node that finds an address answered for asks again after this time, doubled each time. */
#define BACKOFF_MS 200
#define BACKOFF_STEPS 5
/*
 * Others that ask for an address but do not take it delay its claim for this long, or up to twice
 * that, and for at least so many times what a probe waits: the longest series of probes takes four
 * times that, and a waiting node must not lose patience before it ends.
 */
#define GIVE_WAY_MS 500
#define GIVE_WAY_PROBES 8
/*
 * The longest series of probes takes so many times what a probe waits: a later answer is useless.
 */
#define SERIES_PROBES 4
/*
 * So many probes go out at once, and as many after each pause: the receive buffer of the machine
 * that should answer holds a hundred or so frames, and a lost probe makes a second owner.
 */
#define PROBES_AT_ONCE 32
#define PROBES_PAUSE_MS 2

bool backing_off(const struct claims_entry *e)
{
	return e->state == L2_STILL_ANSWERED || e->state == L2_CONFLICT ||
	       e->state == L2_KERNEL_ANSWERS;
}

void back_off(struct claims *c, int64_t now, struct claims_entry *e, enum l2_ownership state,
              const uint8_t *mac)
{
	if (e->step < BACKOFF_STEPS)
		e->step++;
	memcpy(e->rival_mac, mac, WIRE_MAC_SIZE);
	e->asked_since_ms = 0;
	rebalance_trouble(c, now);
	set_state(c, e, state);
	entry_wake_at(c, e, now + (BACKOFF_MS << (e->step - 1)));
}

void gate_close(struct claims_entry *e)
{
	e->free_since_ms = e->asked_since_ms = 0;
	e->kernel_answers = 0;
}

/* A node that has found the address answered for still reports that while it waits. */
static void wait_until(struct claims *c, struct claims_entry *e, int64_t at_ms)
{
	if (!backing_off(e))
		set_state(c, e, L2_WAITING);
	entry_wake_at(c, e, at_ms);
}

/* ---- others that ask ---- */

/*
 * Is another's probe reason to wait?  A speaker that asks claims soon after, or was answered; a
 * machine that keeps asking is some other program, or forges frames in a peer's name.  Speakers
 * that do not know each other lose patience at different times.
 */
static bool is_patient(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	int64_t least = GIVE_WAY_PROBES * (int64_t)c->opts.timing.probe_ms;

	if (least < GIVE_WAY_MS)
		least = GIVE_WAY_MS;
	int64_t patience = least + (int64_t)(score(&e->addr, c->name_hash) % (uint64_t)least);

	if (e->asks_again) /* others are answered, and give way */
		return false;
	return !e->asked_since_ms || now - e->asked_since_ms < patience;
}

/*
 * When somebody else last asked for the address, CLAIMS_NEVER negated if that is not known or no
 * reason to wait.  The address need not be wanted here yet: news of a Service reaches two nodes a
 * moment apart.
 */
static int64_t heard_probe_ms(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	int64_t at = -CLAIMS_NEVER;

	for (size_t i = 0; is_patient(c, now, e) && i < ARRAY_LEN(c->probes_heard); i++)
		if (addr_eq(&c->probes_heard[i].addr, &e->addr) && c->probes_heard[i].at_ms > at)
			at = c->probes_heard[i].at_ms;
	return at;
}

/*
 * Only probes for which we wait use up patience: not those that came while it was not our turn, or
 * while we waited for an owner that answered.  Otherwise nodes that follow the same owner would
 * lose patience with each other before one of them has asked.
 */
static void held_up(struct claims_entry *e, int64_t now)
{
	if (!e->asked_since_ms)
		e->asked_since_ms = now;
}

bool came_late(const struct claims *c, int64_t waited_ms)
{
	return 2 * waited_ms >= c->opts.timing.probe_ms;
}

/* Who says that it has the address asks whether others do: an answer would be a second owner's. */
static bool may_give_way(const struct claims_entry *e, const uint8_t *mac)
{
	return memcmp(mac, e->rival_mac, WIRE_MAC_SIZE) != 0;
}

bool claims_seen_probe(struct claims *c, int64_t now, int64_t waited_ms, const struct addr *addr,
                       const uint8_t *mac)
{
	size_t i = c->next_probe_heard++ % ARRAY_LEN(c->probes_heard);

	c->probes_heard[i].addr = *addr;
	c->probes_heard[i].at_ms = now - waited_ms;
	struct claims_entry *e = entry_find(c, addr);
	if (!e)
		return false;
	if (e->freed == CLAIMS_YIELDED)
		e->freed = CLAIMS_DOUBTED; /* who asks takes it */
	if ((e->state == L2_OWNER || e->asks_again) && came_late(c, waited_ms)) {
		if (e->state == L2_OWNER)
			ask_again(c, now, e);
		return may_give_way(e, mac) &&
		       waited_ms < SERIES_PROBES * (int64_t)c->opts.timing.probe_ms;
	}
	/* In RFC 5227 2.1.1 both give way; here the lower address goes on. */
	if (e->state == L2_PROBING && is_patient(c, now, e) &&
	    memcmp(mac, c->member->opts.mac, WIRE_MAC_SIZE) < 0) {
		held_up(e, now);
		wait_until(c, e, now + RANK_STEP_MS);
	}
	return e->state == L2_OWNER || (e->asks_again && may_give_way(e, mac));
}

/* ---- asking ---- */

/* Nobody known held it, so that nobody misses it. */
static bool is_new(const struct claims *c, int64_t now, const struct claims_entry *e)
{
	const struct claims_held *rival = best_rival(c, e);

	return e->freed == CLAIMS_UNKNOWN && !orphaned(e) && !(rival && is_offered(rival, now));
}

/* Among the candidates. */
static int64_t turn_by_rank(struct claims *c, int64_t now, const struct claims_entry *e)
{
	int64_t before = (int64_t)rank(c, now, e), turn = e->free_since_ms;
	bool fresh = is_new(c, now, e);

	if (fresh && !c->settled && (before > 0 || order_awaits(c, now, e)))
		turn = c->start->until_ms;
	else if (fresh && turn < c->settled_ms)
		turn = c->settled_ms;
	return turn + before * RANK_STEP_MS;
}

/* When this node may ask for what nobody holds, or claim it. */
static int64_t turn_of(struct claims *c, int64_t now, struct claims_entry *e)
{
	int64_t turn = e->free_since_ms;
	int64_t give_way_until = heard_probe_ms(c, now, e) + RANK_STEP_MS;

	if (!backing_off(e) && !e->claimed && !resumes(e, now))
		turn = turn_by_rank(c, now, e);
	if (now >= turn && now < give_way_until)
		held_up(e, now);
	return turn > give_way_until ? turn : give_way_until;
}

int64_t probe_turn(struct claims *c, int64_t now)
{
	if (now - c->probed.at_ms >= PROBES_PAUSE_MS) {
		c->probed.at_ms = now;
		c->probed.n = 0;
	}
	if (c->probed.n < PROBES_AT_ONCE) {
		c->probed.n++;
		return now;
	}
	if (c->held_back.at_ms <= now) {
		c->held_back.at_ms = c->probed.at_ms + PROBES_PAUSE_MS;
		c->held_back.n = 0;
	} else if (c->held_back.n == PROBES_AT_ONCE) {
		c->held_back.at_ms += PROBES_PAUSE_MS;
		c->held_back.n = 0;
	}
	c->held_back.n++;
	return c->held_back.at_ms;
}

/*
 * The first question, or one more; several in a row come a little closer together, and the last
 * waits its full time.
 */
static void ask(struct claims *c, int64_t now, struct claims_entry *e)
{
	int64_t turn = probe_turn(c, now);

	if (turn > now && e->state == L2_PROBING) {
		entry_wake_at(c, e, turn);
		return;
	}
	if (turn > now) {
		wait_until(c, e, turn);
		return;
	}
	if (e->state != L2_PROBING)
		e->asks = asks_needed(c, now, e);
	if (e->state != L2_PROBING && !backing_off(e))
		e->step = 0;
	set_state(c, e, L2_PROBING);
	action_add(c, CLAIMS_PROBE, &e->addr);
	e->asks--;
	entry_wake_at(c, e,
	              now + (e->asks ? c->opts.timing.probe_ms * 3 / 5 : c->opts.timing.probe_ms));
}

void ask_again(struct claims *c, int64_t now, struct claims_entry *e)
{
	doubt(c, now);
	e->unproven = e->asks_again = true;
	memset(e->rival_mac, 0, WIRE_MAC_SIZE);
	ask(c, now, e);
}

bool gate_passes(struct claims *c, int64_t now, struct claims_entry *e, bool overrule)
{
	if (!c->ready) {
		gate_close(e);
		set_state(c, e, L2_WAITING);
		entry_wake_at(c, e, CLAIMS_NEVER);
		return false;
	}
	if (backing_off(e) && now < e->at_ms)
		return false;
	if (e->state == L2_PROBING) {
		if (now >= e->at_ms && e->asks)
			ask(c, now, e);
		return now >= e->at_ms;
	}
	if (!e->free_since_ms)
		e->free_since_ms = now;
	int64_t turn = turn_of(c, now, e);
	if (now < turn) {
		wait_until(c, e, turn);
	} else if (!c->synced && now < turn + SYNC_PATIENCE_MS) {
		wait_until(c, e, now + SYNC_POLL_MS);
	} else if (!overrule && must_ask(c, now, e)) {
		ask(c, now, e);
	} else {
		return true;
	}
	return false;
}
