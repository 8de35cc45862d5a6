/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "claims/private.h"

#include <string.h>

#include "fairlead/cursor.h"
#include "fairlead/mem.h"

/* ---- the heap of timers ---- */

#define NOT_IN_HEAP SIZE_MAX

static void heap_place(struct claims *c, struct claims_entry *e, size_t i)
{
	c->heap[i] = e;
	e->heap_index = i;
}

static void heap_up(struct claims *c, size_t i)
{
	struct claims_entry *e = c->heap[i];

	for (; i > 0 && c->heap[(i - 1) / 2]->at_ms > e->at_ms; i = (i - 1) / 2)
		heap_place(c, c->heap[(i - 1) / 2], i);
	heap_place(c, e, i);
}

static void heap_down(struct claims *c, size_t i)
{
	struct claims_entry *e = c->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;
		if (child + 1 < c->n_heap && c->heap[child + 1]->at_ms < c->heap[child]->at_ms)
			child++;
		if (child >= c->n_heap || c->heap[child]->at_ms >= e->at_ms)
			break;
		heap_place(c, c->heap[child], i);
		i = child;
	}
	heap_place(c, e, i);
}

static void heap_remove(struct claims *c, struct claims_entry *e)
{
	size_t i = e->heap_index;

	if (i == NOT_IN_HEAP)
		return;
	struct claims_entry *last = c->heap[--c->n_heap];
	e->heap_index = NOT_IN_HEAP;
	if (last == e)
		return;
	heap_place(c, last, i);
	heap_up(c, i);
	heap_down(c, last->heap_index);
}

void entry_wake_at(struct claims *c, struct claims_entry *e, int64_t at_ms)
{
	if (e->at_ms == at_ms)
		return;
	e->at_ms = at_ms;
	if (at_ms == CLAIMS_NEVER) {
		heap_remove(c, e);
		return;
	}
	if (e->heap_index == NOT_IN_HEAP) {
		ARRAY_RESERVE(c->heap, c->heap_cap, c->n_heap + 1);
		heap_place(c, e, c->n_heap++);
	}
	heap_up(c, e->heap_index);
	heap_down(c, e->heap_index);
}

/* ---- entries ---- */

struct claims_entry *entry_find(const struct claims *c, const struct addr *addr)
{
	struct claims_entry *e;

	HASH_FIND(hh, c->entries, addr, sizeof(*addr), e);
	return e;
}

struct claims_entry *entry_get(struct claims *c, const struct addr *addr)
{
	struct claims_entry *e = entry_find(c, addr);

	if (e)
		return e;
	if (HASH_COUNT(c->entries) >= CLAIMS_ENTRIES_MAX) {
		c->refused++;
		return NULL;
	}
	e = xcalloc(1, sizeof(*e));
	e->addr = *addr;
	e->at_ms = CLAIMS_NEVER;
	e->heap_index = NOT_IN_HEAP;
	e->yielder = e->holder = CLAIMS_NOBODY;
	e->state = L2_IDLE;
	HASH_ADD(hh, c->entries, addr, sizeof(e->addr), e);
	return e;
}

void entry_forget_recalled(struct claims_entry *e)
{
	free(e->recalled);
	e->recalled = NULL;
}

static void entry_free(struct claims *c, struct claims_entry *e)
{
	heap_remove(c, e);
	HASH_DEL(c->entries, e);
	entry_forget_recalled(e);
	free(e);
}

void entry_prune(struct claims *c, struct claims_entry *e)
{
	if (!e->want && !e->others && !e->claimed && !e->recalled)
		entry_free(c, e);
}

void entries_free(struct claims *c)
{
	struct claims_entry *e, *next;

	HASH_ITER(hh, c->entries, e, next)
		entry_free(c, e);
	free(c->heap);
}

/* ---- what changed ---- */

void action_add(struct claims *c, enum claims_action_type type, const struct addr *addr)
{
	ARRAY_RESERVE(c->actions, c->actions_cap, c->n_actions + 1);
	c->actions[c->n_actions++] = (struct claims_action){ .type = type, .addr = *addr };
}

void set_state(struct claims *c, struct claims_entry *e, enum l2_ownership state)
{
	if (e->state == state)
		return;
	e->state = state;
	if (e->want)
		action_add(c, CLAIMS_CHANGED, &e->addr);
}

static void tell(struct claims *c, struct claims_entry *e)
{
	c->version++;
	if (e->telling)
		return;
	e->telling = true;
	ARRAY_RESERVE(c->tell, c->tell_cap, c->n_tell + 1);
	c->tell[c->n_tell++] = e->addr;
}

static void own_remove(struct claims *c, struct claims_entry *e)
{
	if (!e->claimed)
		return;
	c->digest -= claim_digest(&e->own);
	c->n_owned--;
	if (e->addr.family == 4) {
		c->digest_v4 -= claim_digest(&e->own);
		c->n_owned_v4--;
	}
	e->claimed = false;
}

void own_set(struct claims *c, struct claims_entry *e, const struct wire_claim *claim)
{
	own_remove(c, e);
	e->own = *claim;
	e->own.addr = e->addr;
	e->claimed = true;
	if (claim->epoch > e->epoch_floor)
		e->epoch_floor = claim->epoch;
	c->digest += claim_digest(&e->own);
	c->n_owned++;
	if (e->addr.family == 4) {
		c->digest_v4 += claim_digest(&e->own);
		c->n_owned_v4++;
	}
	tell(c, e);
}

void own_clear(struct claims *c, int64_t now, struct claims_entry *e)
{
	e->let_go_until_ms = now + CLAIMS_YIELDED_MS;
	own_remove(c, e);
	e->unproven = e->asks_again = false;
	e->offered_until_ms = 0;
	e->moves = false;
	action_add(c, CLAIMS_GONE, &e->addr);
	tell(c, e);
}

uint64_t claim_digest(const struct wire_claim *claim)
{
	uint8_t bytes[16 + IDENTITY_SIZE + 8 + 4 + 1];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_bytes(&w, claim->addr.b, addr_size(claim->addr.family));
	writer_bytes(&w, claim->identity.id, sizeof(claim->identity.id));
	writer_u64(&w, (uint64_t)claim->identity.since_us);
	writer_u32(&w, claim->epoch);
	writer_u8(&w, claim->flags & WIRE_CLAIM_WEAK);
	return hash64(bytes, w.size, 0);
}
