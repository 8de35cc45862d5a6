/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has: the frame at once, elements datagram by datagram. */
#include "config.h"

#include "proxy/nftables/keeper_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <utlist.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/wire.h"

static void note_kind(frame_kind kind, bool right, void *arg)
{
	struct keeper_kind *d = keeper_kind_of(arg, kind);

	d->there = right;
	d->wrong = !right;
}

static void forget_kinds(struct keeper *k)
{
	for (struct keeper_kind *d = k->kinds; d; d = d->hh.next) {
		d->stood = d->stood || (d->there && d->sets > 0);
		d->there = d->wrong = false;
	}
}

static void read_failed(struct keeper *k, int r, struct err *e)
{
	k->state = KEEPER_READING;
	/* It changed while it was read: others, or we, were faster. */
	if (r != -EINTR) {
		k->stats.failures++;
		keeper_say_failed(k, e, true);
	}
	keeper_back_off(k);
	keeper_kick(k);
}

static void list_failed(struct keeper *k, int r)
{
	struct err e = ERR_INIT;

	err_set(&e, r, ERR_SYSTEM, "nftables cannot be read: %s", strerror(-r));
	read_failed(k, r, &e);
}

/* ---- numbers that are in use ---- */

static void forget_numbers(struct keeper_numbers *l)
{
	free(l->list);
	*l = (struct keeper_numbers){ .n = 0 };
}

void keeper_forget_numbers(struct keeper *k)
{
	forget_numbers(&k->led_to);
	forget_numbers(&k->found_groups);
}

static void note_number(struct keeper_numbers *l, const void *from, uint32_t mask)
{
	uint32_t number;

	memcpy(&number, from, sizeof(number));
	ARRAY_RESERVE(l->list, l->cap, l->n + 1);
	l->list[l->n++] = number & mask;
}

static void note_numbers(struct keeper *k, enum frame_map map, const void *key, const void *value)
{
	if (store_is_way(map))
		note_number(&k->led_to, value, FRAME_PORT_MASK);
	else if (map == FRAME_RANGES)
		note_number(&k->found_groups, key, UINT32_MAX);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void sort(const struct keeper_numbers *l)
{
	if (l->n > 0)
		qsort(l->list, l->n, sizeof(uint32_t), by_number);
}

void keeper_sort_numbers(struct keeper *k)
{
	sort(&k->led_to);
	sort(&k->found_groups);
}

static bool has_number(const struct keeper_numbers *l, uint32_t number)
{
	return l->n > 0 && bsearch(&number, l->list, l->n, sizeof(uint32_t), by_number);
}

bool keeper_is_led_to(const struct keeper *k, uint32_t id)
{
	return has_number(&k->led_to, id);
}

bool keeper_has_group(const struct keeper *k, uint32_t number)
{
	return has_number(&k->found_groups, number);
}

/* ---- reading ---- */

/* There is none that is of any use. */
static void give_up_table(struct keeper *k)
{
	k->wrong_table = !k->no_table;
	forget_kinds(k);
	keeper_forget_numbers(k);
}

/* Until the next time, after what has taken so long. */
static int64_t gap_after(int64_t ms)
{
	int64_t gap = KEEPER_READ_GAPS * ms;

	if (gap < KEEPER_READ_GAP_MS)
		return KEEPER_READ_GAP_MS;
	return gap < KEEPER_READ_GAP_MAX_MS ? gap : KEEPER_READ_GAP_MAX_MS;
}

static void hold(struct keeper *k)
{
	int64_t now = clock_ms();

	k->next_read_ms = now + gap_after(now - k->read_ms);
	k->state = KEEPER_HELD;
	keeper_kick(k);
}

/* Nothing is known of the elements any more; false: that goes on in the next turn. */
static bool forget_elements(struct keeper *k)
{
	bool all = store_forget(k->store, KEEPER_PASS_ELEMENTS);

	if (!all)
		keeper_kick(k);
	return all;
}

void keeper_leave(struct keeper *k)
{
	if (forget_elements(k))
		hold(k);
}

static void note_frame(struct keeper *k, enum frame_state state)
{
	k->no_table = state == FRAME_ABSENT;
	k->wrong_table = state == FRAME_FOREIGN;
	k->wrong_rules = state == FRAME_DAMAGED;
}

static enum frame_state known_frame(const struct keeper *k)
{
	if (k->no_table)
		return FRAME_ABSENT;
	if (k->wrong_table)
		return FRAME_FOREIGN;
	return k->wrong_rules ? FRAME_DAMAGED : FRAME_RIGHT;
}

static void ignore_kind(frame_kind kind, bool right, void *arg)
{
	(void)kind, (void)right, (void)arg;
}

static void look_at_frame(struct keeper *k)
{
	int64_t began = clock_ms();
	enum frame_state state;
	int r = frame_look(&k->frame, k->wire, ignore_kind, NULL, &state, NULL);
	int64_t now = clock_ms();

	k->next_look_ms = now + gap_after(now - began);
	if (r < 0 || state >= known_frame(k))
		return;
	note_frame(k, state);
	k->due = false;
	k->damaged = true;
	/* Then there is not much to read. */
	if (k->no_table)
		k->next_read_ms = now;
	k->ops->applied(k->arg);
}

void keeper_wait_to_read(struct keeper *k)
{
	if (clock_ms() >= k->next_look_ms)
		look_at_frame(k);
	k->next_ms = k->next_look_ms < k->next_read_ms ? k->next_look_ms : k->next_read_ms;
}

void keeper_read(struct keeper *k)
{
	enum frame_state state = FRAME_ABSENT;
	struct err e = ERR_INIT;

	if (!forget_elements(k))
		return;
	k->doubt = k->look_again = false;
	k->audits = 0;
	k->read_ms = clock_ms();
	forget_kinds(k);
	keeper_forget_numbers(k);
	int r = frame_look(&k->frame, k->wire, note_kind, k, &state, &e);
	if (r < 0) {
		read_failed(k, r, &e);
		return;
	}
	note_frame(k, state);
	if (k->no_table || k->wrong_table) {
		give_up_table(k);
		hold(k);
		return;
	}
	r = frame_list_begin(&k->frame, k->wire, &k->list);
	if (r < 0) {
		list_failed(k, r);
		return;
	}
	k->state = KEEPER_LISTING;
	keeper_kick(k);
}

static void one_element(enum frame_map map, const void *key, const void *value, void *arg)
{
	struct keeper *k = arg;

	store_found(k->store, map, key, value);
	if (!k->adopted)
		note_numbers(k, map, key, value);
}

void keeper_list(struct keeper *k)
{
	int64_t until = clock_ms() + KEEPER_SLICE_MS;
	int r;

	do
		r = frame_list_step(&k->frame, k->wire, &k->list, one_element, k);
	while (r == 1 && clock_ms() < until);
	if (r < 0) {
		list_failed(k, r);
		return;
	}
	if (r == 1) {
		keeper_kick(k);
		return;
	}
	if (k->list.odd || k->list.in_interval) {
		give_up_table(k);
		k->state = KEEPER_LEAVING;
		keeper_kick(k);
		return;
	}
	hold(k);
}

/* ---- comparing ---- */

static uint16_t port_at(const unsigned char *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* What a former life served by UDP: there may be flows. */
static void touch_stray(enum frame_map map, const void *key, void *arg)
{
	struct keeper *k = arg;
	struct addr a = { .family = k->frame.family };
	size_t size = map == FRAME_WAYS ? addr_size(a.family) : 0;
	const unsigned char *bytes = key;

	if ((map != FRAME_WAYS && map != FRAME_NODE_WAYS) || bytes[size] != IPPROTO_UDP)
		return;
	memcpy(a.b, bytes, size);
	udp_touch(k->udp, size ? &a : NULL, port_at(bytes + size + 4));
}

/*
 * What was queued is queued anew, so those that wait for it go on waiting for all of it.  At the
 * start they were planned after the reading.
 */
static void renew_stamps(struct keeper *k)
{
	struct keeper_service *s;

	for (int i = 0; i < KEEPER_WAITS_N; i++)
		DL_FOREACH2(k->waiting[i], s, next_waiting)
	s->stamp = store_stamp(k->store);
}

static bool find_damage(struct keeper *k)
{
	bool frame = k->no_table || k->wrong_table || k->wrong_rules;
	bool damaged = frame && !k->due;

	k->due = frame;
	for (struct keeper_kind *d = k->kinds; d; d = d->hh.next) {
		damaged = damaged || (d->stood && !d->there);
		d->stood = false;
	}
	return damaged;
}

void keeper_compare(struct keeper *k)
{
	bool first = !k->adopted;
	size_t n_damaged;

	k->state = KEEPER_COMPARING;
	if (!store_compare(k->store, KEEPER_PASS_ELEMENTS, first ? touch_stray : NULL, k,
	                   &n_damaged)) {
		keeper_kick(k);
		return;
	}
	if (k->adopted)
		renew_stamps(k);
	bool damaged = find_damage(k) || n_damaged > 0;
	damaged = damaged && k->adopted && !k->unsure;
	k->unsure = false;
	k->adopted = true;
	keeper_forget_numbers(k);
	k->state = KEEPER_KEEPING;
	k->damage_stamp = store_stamp(k->store);
	if (first && k->virtuals)
		k->ops->planned(k->arg);
	k->stats.resyncs++;
	if (damaged) {
		k->damaged = true;
		k->repairs++;
		log_warn("somebody changed the service proxy's rules; writing them again",
		         KV_S("family", keeper_family(k)));
		k->ops->applied(k->arg);
	}
	keeper_kick(k);
}
