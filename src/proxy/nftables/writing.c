/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions.  One that is refused is tried again in halves, so that whatever is refused ends up
 * alone, and goes to the end of the queue; the Services that it belongs to are told.  If the kernel
 * says that something is there that should not be, or the other way round, it is read again first.
 */
#include "config.h"

#include "proxy/nftables/keeper_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/wire.h"
#include "proxy/pace.h"

/* After that, a table is replaced bit by bit. */
#define WHOLE_TRIES 2

bool keeper_needs_frame(const struct keeper *k)
{
	return k->no_table || k->wrong_table || k->wrong_rules;
}

/* Kinds that are wanted, and in the kernel are not right; or that may go. */
static bool kinds_need_work(const struct keeper *k)
{
	for (const struct keeper_kind *d = k->kinds; d; d = d->hh.next)
		if (frame_kind_has_chains(d->kind) &&
		    (d->sets > 0 ? !d->there : k->sweep && (d->there || d->wrong)))
			return true;
	return false;
}

bool keeper_has_work(const struct keeper *k)
{
	return keeper_needs_frame(k) || !store_is_written(k->store) || kinds_need_work(k);
}

static void put_frame(struct keeper *k)
{
	if (k->wrong_table)
		frame_drop_table(&k->frame, k->wire, FRAME_TABLE);
	if (k->no_table || k->wrong_table)
		frame_put_table(&k->frame, k->wire, FRAME_TABLE, false);
	else if (k->wrong_rules)
		frame_put_rules(&k->frame, k->wire);
}

/* False: there is no room for it in this transaction. */
static bool put_kind(struct keeper *k, struct keeper_kind *d)
{
	if (d->there || d->written || !frame_kind_has_chains(d->kind))
		return true;
	if (k->n_kinds_written == KEEPER_BATCH_KINDS && !k->wrong_table)
		return false;
	frame_put_kind(&k->frame, k->wire, FRAME_TABLE, d->kind, d->wrong);
	d->written = true;
	k->n_kinds_written++;
	return true;
}

static bool on_needs(frame_kind kind, void *arg)
{
	return put_kind(arg, keeper_kind_of(arg, kind));
}

static void on_elements(enum frame_map map, bool add, const struct frame_element *elements,
                        size_t n, void *arg)
{
	struct keeper *k = arg;

	frame_put_elements(&k->frame, k->wire, map, add, elements, n);
	k->stats.lines_written += n;
}

/* Those that somebody has changed, and that nothing new leads to. */
static void put_damaged_kinds(struct keeper *k)
{
	for (struct keeper_kind *d = k->kinds; d; d = d->hh.next)
		if (d->sets > 0 && !put_kind(k, d))
			return;
}

/* Only when nothing else is to be written: nothing leads to them then. */
static void drop_unused_kinds(struct keeper *k)
{
	for (struct keeper_kind *d = k->kinds; d; d = d->hh.next)
		if (d->sets == 0 && (d->there || d->wrong) && frame_kind_has_chains(d->kind)) {
			if (d->wrong)
				frame_put_kind(&k->frame, k->wire, FRAME_TABLE, d->kind, true);
			frame_drop_kind(&k->frame, k->wire, d->kind);
			d->written = true;
		}
}

/* What became of the kinds of the transaction. */
static void settle_kinds(struct keeper *k, bool success)
{
	struct keeper_kind *d, *next;

	HASH_ITER(hh, k->kinds, d, next) {
		if (d->written && success) {
			d->there = d->sets > 0;
			d->wrong = false;
		}
		d->written = false;
		if (d->sets == 0 && !d->there && !d->wrong) {
			HASH_DEL(k->kinds, d);
			free(d);
		}
	}
}

static void succeeded(struct keeper *k, size_t n)
{
	k->failures = k->refusals = 0;
	if (n > 0 && store_was_deferred(k->store))
		k->retries = 0;
	k->doubted = false;
	k->stats.batches++;
	k->stats.last_success_ms = clock_ms();
	k->no_table = k->wrong_table = k->wrong_rules = k->due = false;
	k->sweep = k->sweep && n > 0;
	store_wrote(k->store);
	settle_kinds(k, true);
	k->batch = k->batch ? k->batch * 2 : 1;
	if (k->batch > KEEPER_BATCH)
		k->batch = KEEPER_BATCH;
}

static void on_deferred(enum frame_map map, const void *key, struct store_owner *owner, void *arg)
{
	struct keeper *k = arg;

	if (!owner)
		keeper_refuse_sharers(k, map, key, k->last_error);
	else if (owner != &k->owner)
		keeper_refuse(keeper_service_of(owner), k->last_error);
}

/*
 * The kernel has not what we think it has.  If it says so again after a reading, something else is
 * wrong.
 */
static bool is_doubt(const struct keeper *k, int r)
{
	if (r == -ENOBUFS)
		return true;
	if (r != -ENOENT && r != -EEXIST && r != -EBUSY && r != -ENOTEMPTY)
		return false;
	return keeper_needs_frame(k) || (!k->doubted && !store_was_deferred(k->store));
}

/*
 * Those taken wait until everything else is written, or what is not large and a pause has passed; a
 * pause is for them alone, unless the kernel seems to refuse whatever comes.
 */
static void defer(struct keeper *k)
{
	k->retries += store_was_deferred(k->store);
	k->retry_ms = clock_ms() +
	              pace_pause_ms(k->retries, KEEPER_BACKOFF_MIN_MS, KEEPER_BACKOFF_MAX_MS);
	store_defer(k->store, on_deferred, k);
	k->refusals++;
	if (!store_has_fresh(k->store))
		k->pause_for_refused = true;
	else if (k->refusals % KEEPER_REFUSALS > 0)
		k->next_ms = clock_ms();
}

/* The old table goes when the new one is there with all that is in it, if the kernel takes that. */
static bool is_whole(const struct keeper *k)
{
	return k->wrong_table && k->failures < WHOLE_TRIES;
}

/* Without a table even one element may be too much: then it is made without any. */
static void halve(struct keeper *k, size_t n)
{
	k->batch = n > 1 ? n / 2 : !keeper_needs_frame(k);
	k->next_ms = n > 1 && !k->doubt ? clock_ms() : k->next_ms;
}

static void failed(struct keeper *k, int r, size_t n, const struct err *e)
{
	bool alone = n == 1 && !keeper_needs_frame(k), doubt = is_doubt(k, r), whole = is_whole(k);

	k->stats.failures++;
	k->doubt = k->doubt || doubt;
	k->doubted = k->doubted || doubt;
	k->unsure = k->unsure || r == -ENOBUFS;
	keeper_say_failed(k, e, alone || keeper_needs_frame(k));
	settle_kinds(k, false);
	keeper_back_off(k);
	if (n > 0 && !whole)
		halve(k, n);
	if (alone && !k->doubt)
		defer(k);
	else
		store_failed(k->store);
	k->sweep = k->sweep && n > 0;
	if (k->n_refused > 0)
		k->ops->applied(k->arg);
}

/* Only what was refused is left to be written, if anything. */
static void wait_for_refused(struct keeper *k)
{
	if (store_is_written(k->store))
		return;
	k->pause_for_refused = true;
	k->next_ms = k->retry_ms;
}

/* One transaction. */
static void write_once(struct keeper *k)
{
	struct err e = ERR_INIT;
	size_t max = is_whole(k) ? SIZE_MAX : k->batch;
	int64_t begun_ns = clock_ns();

	/* None is for a frame that is made alone. */
	if (k->batch == 0 && !keeper_needs_frame(k))
		max = k->batch = 1;
	k->pause_for_refused = false;
	wire_begin(k->wire);
	size_t empty = wire_size(k->wire);
	k->n_kinds_written = 0;
	put_frame(k);
	store_retry(k->store, clock_ms() >= k->retry_ms);
	size_t n = store_take(k->store, max, on_needs, on_elements, k);
	put_damaged_kinds(k);
	if (n == 0 && k->sweep && store_is_written(k->store) && !keeper_needs_frame(k))
		drop_unused_kinds(k);
	if (wire_size(k->wire) == empty) {
		k->sweep = false;
		wait_for_refused(k);
		return;
	}
	int r = wire_commit(k->wire, &e);
	histogram_observe(&k->stats.batch_seconds, (double)(clock_ns() - begun_ns) / 1e9);
	if (r < 0)
		failed(k, r, n, &e);
	else
		succeeded(k, n);
}

void keeper_write(struct keeper *k)
{
	if (keeper_waits_for_virtuals(k))
		return;
	write_once(k);
	k->small_stamp = store_small_stamp(k->store);
	keeper_settle(k);
	k->damaged = k->damaged && (keeper_needs_frame(k) || kinds_need_work(k) ||
	                            store_fresh_stamp(k->store) < k->damage_stamp);
	if (k->n_refused == 0 && !k->doubt && !keeper_has_work(k))
		k->last_error[0] = '\0';
	if (!keeper_needs_frame(k))
		udp_set_node(k->udp, &k->frame.node, k->frame.localhost_node_ports);
	udp_run(k->udp);
	if (keeper_has_work(k) || k->doubt || k->unplanned)
		keeper_kick(k);
	k->ops->applied(k->arg);
}
