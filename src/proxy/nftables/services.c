/* SPDX-License-Identifier: Apache-2.0 */
/* Services and what they wait for: to be planned, and to be in the kernel. */
#include "config.h"

#include "proxy/nftables/keeper_private.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/mem.h"

/* ---- what the store asks ---- */

int keeper_precedence(const struct keeper_service *a, const struct keeper_service *b)
{
	const struct proxy_half x = { .key = a->key, .created_us = a->created_us };
	const struct proxy_half y = { .key = b->key, .created_us = b->created_us };

	return traffic_precedence(&x, &y);
}

static bool goes_first(const struct store_owner *a, const struct store_owner *b)
{
	return keeper_precedence(keeper_service_of(a), keeper_service_of(b)) < 0;
}

static struct keeper_trouble *trouble_of(struct keeper_service *s)
{
	if (!s->trouble) {
		s->trouble = xcalloc(1, sizeof(*s->trouble));
		s->trouble->s = s;
	}
	return s->trouble;
}

/* Unless there still is some. */
static void drop_trouble(struct keeper_service *s)
{
	if (s->trouble && !s->trouble->lost && !s->trouble->error)
		free(TAKE(s->trouble));
}

static void lost(struct store_owner *owner)
{
	struct keeper_service *s = keeper_service_of(owner);
	struct keeper_trouble *t = trouble_of(s);

	if (t->lost)
		return;
	t->lost = true;
	DL_APPEND(s->k->losers, t);
}

static void freed(void *arg)
{
	struct keeper *k = arg;

	k->retry_losers = true;
	keeper_kick(k);
}

static void wait_in(struct keeper_service *s, bool is_held);

static void held(struct store_owner *owner)
{
	wait_in(keeper_service_of(owner), true);
}

static void kind_wanted(frame_kind kind, bool wanted, void *arg)
{
	struct keeper_kind *d = keeper_kind_of(arg, kind);

	d->sets += wanted;
	d->sets -= !wanted;
}

const struct store_ops keeper_store_ops = {
	.goes_first = goes_first,
	.lost = lost,
	.freed = freed,
	.held = held,
	.kind_wanted = kind_wanted,
};

/* ---- a Service ---- */

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct keeper_service *s = record;

	*ret_size = strlen(s->key);
	return s->key;
}

const struct table_kind keeper_services_kind = { .link = offsetof(struct keeper_service, link),
	                                         .key = key_of };

void keeper_unlose(struct keeper_service *s)
{
	if (!s->trouble || !s->trouble->lost)
		return;
	s->trouble->lost = false;
	DL_DELETE(s->k->losers, s->trouble);
	drop_trouble(s);
}

static void set_pending(struct keeper_service *s, bool waiting, bool unplanned)
{
	s->k->n_pending += waiting || unplanned;
	s->k->n_pending -= s->waiting || s->unplanned;
	s->waiting = waiting;
	s->unplanned = unplanned;
}

static const struct proxy_half *half_of(const struct spec *spec)
{
	return spec ? &spec->s : NULL;
}

/* Takes @have. */
static void set_have(struct keeper_service *s, struct spec *have)
{
	fronts_swap(s->k->fronts, half_of(s->have), half_of(have));
	spec_unref(s->have);
	s->have = have;
}

void keeper_want(struct keeper_service *s, struct spec *want)
{
	struct keeper *k = s->k;

	k->n_services += want != NULL;
	k->n_services -= s->want != NULL;
	k->n_truncated += want && want->truncated;
	k->n_truncated -= s->want && s->want->truncated;
	if (want) {
		/* Made anew under its name, it comes after others that it came before. */
		k->retry_losers = k->retry_losers ||
		                  (s->planned && k->losers && want->s.created_us > s->created_us);
		s->created_us = want->s.created_us;
	}
	fronts_swap(k->fronts, half_of(s->want), half_of(want));
	spec_unref(s->want);
	s->want = want;
	s->large = !keeper_is_small(s);
}

struct keeper_service *keeper_service_new(struct keeper *k, const char *key)
{
	size_t size = strlen(key) + 1;
	struct keeper_service *s = xcalloc(1, offsetof(struct keeper_service, key) + size);

	s->k = k;
	memcpy(s->key, key, size);
	table_add(&k->services, s);
	return s;
}

void keeper_postpone(struct keeper_service *s)
{
	/* What it is about may be of a part that is done: of an address that is free since. */
	if (s->k->planning.s == s)
		s->k->planning.again = true;
	if (s->unplanned)
		return;
	set_pending(s, s->waiting, true);
	DL_APPEND2(s->k->unplanned, s, prev_unplanned, next_unplanned);
}

static void set_refused(struct keeper_service *s, const char *error)
{
	s->k->n_refused += error != NULL;
	s->k->n_refused -= keeper_error(s) != NULL;
	if (!error && !s->trouble)
		return;
	struct keeper_trouble *t = trouble_of(s);
	free(t->error);
	t->error = xstrdup_null(error);
	drop_trouble(s);
}

static void wait_no_more(struct keeper_service *s)
{
	if (s->waiting)
		DL_DELETE2(s->k->waiting[s->waits], s, prev_waiting, next_waiting);
	set_pending(s, false, s->unplanned);
}

static void wait_in(struct keeper_service *s, bool is_held)
{
	struct keeper *k = s->k;

	wait_no_more(s);
	set_pending(s, true, s->unplanned);
	s->stamp = store_stamp(k->store);
	s->waits = (uint8_t)((s->owner.large ? KEEPER_WAITS_LARGE : KEEPER_WAITS) + is_held);
	DL_APPEND2(k->waiting[s->waits], s, prev_waiting, next_waiting);
}

void keeper_wait(struct keeper_service *s)
{
	wait_in(s, false);
}

bool keeper_any_waiting(const struct keeper *k)
{
	bool any = false;

	for (int i = 0; i < KEEPER_WAITS_N; i++)
		any = any || k->waiting[i];
	return any;
}

/* What is refused may be so for ever, and keeps nobody else from anything. */
bool keeper_any_behind(const struct keeper *k)
{
	const struct keeper_service *s;

	DL_FOREACH2(k->unplanned, s, next_unplanned)
	if (!s->large || !s->have)
		return true;
	DL_FOREACH2(k->waiting[KEEPER_WAITS_LARGE], s, next_waiting)
	if (!s->have)
		return true;
	return k->waiting[KEEPER_WAITS];
}

void keeper_await_unplanned(struct keeper *k)
{
	struct keeper_service *s;

	DL_FOREACH2(k->unplanned, s, next_unplanned)
	{
		k->n_awaited += !s->awaited;
		s->awaited = true;
	}
}

static void await_no_more(struct keeper_service *s)
{
	s->k->n_awaited -= s->awaited;
	s->awaited = false;
}

void keeper_planned(struct keeper_service *s, bool again)
{
	struct keeper *k = s->k;

	/* Whatever it is to be next, what it is now goes with that. */
	s->large = !keeper_is_small(s);
	await_no_more(s);
	if (s->owner.large)
		k->large_stamp = store_stamp(k->store);
	/* It may have changed meanwhile, and is planned once more. */
	if (s->unplanned) {
		DL_DELETE2(k->unplanned, s, prev_unplanned, next_unplanned);
		set_pending(s, s->waiting, false);
		if (again || s->want != keeper_planned_spec(s))
			keeper_postpone(s);
	}
	k->rendered++;
	set_refused(s, NULL);
	keeper_wait(s);
}

/*
 * Before the kernel was read once, nobody knows what numbers it uses; and while it is read again,
 * passes over all elements are under way, which go by pieces.
 */
void keeper_wish(struct keeper_service *s)
{
	if (s->k->state == KEEPER_KEEPING && !s->unplanned && !s->large)
		keeper_plan(s);
	else
		keeper_postpone(s);
	if (s->k->pause_for_refused)
		s->k->next_ms = 0;
	keeper_kick(s->k);
}

void keeper_retry_losers(struct keeper *k)
{
	struct keeper_service **list = NULL;
	size_t n = 0, cap = 0;

	k->retry_losers = false;
	/* They may take keys from each other, and lose them once more. */
	while (k->losers) {
		ARRAY_RESERVE(list, cap, n + 1);
		list[n++] = k->losers->s;
		keeper_unlose(k->losers->s);
	}
	for (size_t i = 0; i < n; i++)
		keeper_wish(list[i]);
	free(list);
}

static void settle(struct keeper_service *s)
{
	struct spec *now = keeper_planned_spec(s);

	wait_no_more(s);
	set_refused(s, NULL);
	keeper_settle_virtuals(s);
	if (s->have || now)
		udp_changed(s->k->udp, half_of(s->have), half_of(now));
	set_have(s, spec_ref(now));
	if (!s->want && !s->unplanned)
		keeper_service_free(s);
}

void keeper_settle(struct keeper *k)
{
	for (int i = 0; i < KEEPER_WAITS_N; i++) {
		bool large = i >= KEEPER_WAITS_LARGE, is_held = i % 2 != KEEPER_WAITS;
		uint64_t written = store_written_stamp(k->store, large, is_held);
		while (k->waiting[i] && k->waiting[i]->stamp <= written)
			settle(k->waiting[i]);
	}
}

void keeper_refuse(struct keeper_service *s, const char *error)
{
	set_refused(s, error);
	wait_in(s, true);
}

void keeper_refuse_sharers(struct keeper *k, enum frame_map map, const void *key, const char *error)
{
	struct keeper_service *s;

	if (!plan_is_shared(map))
		return;
	for (uint32_t at = 0; (s = table_next(&k->services, &at));)
		if (keeper_shares(s, map, key))
			keeper_refuse(s, error);
}

void keeper_service_free(struct keeper_service *s)
{
	struct keeper *k = s->k;

	if (k->planning.s == s)
		keeper_give_up_planning(&k->planning);
	keeper_unlose(s);
	set_refused(s, NULL);
	if (s->unplanned)
		DL_DELETE2(k->unplanned, s, prev_unplanned, next_unplanned);
	wait_no_more(s);
	table_remove(&k->services, s);
	set_pending(s, false, false);
	await_no_more(s);
	k->n_rounded -= s->rounded;
	keeper_want(s, NULL);
	store_drop_owner(k->store, &s->owner);
	keeper_form_free(k, s->planned);
	set_have(s, NULL);
	keeper_virtuals_free(s);
	free(s);
}
