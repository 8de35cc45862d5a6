/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker leads every call of these functions here (--wrap).  What is pending stands in one list
 * and the first one that is due in a process that runs is taken: there are never more than some
 * hundreds.
 */
#include "config.h"

#include "virtual_loop.h"

#include <event2/event.h>
#include <string.h>
#include <utlist.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define EPOCH_US (INT64_C(1767225600) * 1000000) /* 2026-01-01 */

struct event_base {
	bool paused, over;
	int64_t over_ms, resumed_ms;
};

struct event {
	struct event_base *base;
	event_callback_fn cb;
	void *arg;
	int signal; /* 0: none */
	bool pending;
	int64_t due_ms;
	uint64_t order; /* of two that are due at one time */
	uint64_t lot;
	struct event *prev, *next;
};

static struct event *pending, *signals;
static int64_t now_ms;
static uint64_t n_armed, n_turns, chance;

void virtual_loop_init(uint64_t seed)
{
	pending = signals = NULL;
	now_ms = 1000000;
	n_armed = 0;
	chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

int64_t virtual_now(void)
{
	return now_ms;
}

void virtual_loop_spend(int64_t ms)
{
	now_ms += ms;
}

/* splitmix64 */
static uint64_t next_random(void)
{
	uint64_t z = chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t virtual_random(uint64_t below)
{
	return below ? next_random() % below : 0;
}

static bool runs(const struct event_base *base)
{
	return !base->paused && !base->over;
}

static void disarm(struct event *ev)
{
	if (ev->pending)
		DL_DELETE(pending, ev);
	ev->pending = false;
}

/*
 * By time; but what has piled up in a process that was stopped comes as sockets and timers happen
 * to be looked at.
 */
static bool is_before(const struct event *a, const struct event *b)
{
	bool piled_up = a->base == b->base && a->due_ms < a->base->resumed_ms &&
	                b->due_ms < b->base->resumed_ms;

	if (piled_up)
		return a->lot < b->lot;
	return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order);
}

static struct event *first_due(int64_t until_ms)
{
	struct event *ev, *first = NULL;

	DL_FOREACH(pending, ev)
		if (runs(ev->base) && ev->due_ms <= until_ms && (!first || is_before(ev, first)))
			first = ev;
	return first;
}

void virtual_loop_run(int64_t until_ms)
{
	struct event *ev;

	while ((ev = first_due(until_ms))) {
		if (ev->due_ms > now_ms)
			now_ms = ev->due_ms;
		if (ev->base->over_ms && ev->base->over_ms <= now_ms) {
			ev->base->over = true;
			continue;
		}
		disarm(ev);
		n_turns++;
		ev->cb(-1, EV_TIMEOUT, ev->arg);
	}
	if (until_ms > now_ms)
		now_ms = until_ms;
}

uint64_t virtual_loop_turns(void)
{
	return n_turns;
}

void virtual_loop_pause(struct event_base *base, bool paused)
{
	base->paused = paused;
	if (!paused)
		base->resumed_ms = now_ms;
}

static void arm(struct event *ev, int64_t due_ms)
{
	disarm(ev);
	ev->due_ms = due_ms;
	ev->order = n_armed++;
	ev->lot = next_random();
	ev->pending = true;
	DL_APPEND(pending, ev);
}

void virtual_loop_signal(struct event_base *base, int sig)
{
	struct event *ev;

	DL_FOREACH(signals, ev)
		if (ev->base == base && ev->signal == sig) {
			ev->cb(sig, EV_SIGNAL, ev->arg);
			return;
		}
}

bool virtual_loop_is_over(const struct event_base *base)
{
	return base->over || (base->over_ms && base->over_ms <= now_ms);
}

/* ---- libevent ---- */

struct event_base *__wrap_event_base_new(void);
void __wrap_event_base_free(struct event_base *base);
int __wrap_event_base_loopbreak(struct event_base *base);
int __wrap_event_base_loopexit(struct event_base *base, const struct timeval *tv);
struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
                               event_callback_fn cb, void *arg);
void __wrap_event_free(struct event *ev);
int __wrap_event_add(struct event *ev, const struct timeval *tv);
int __wrap_event_del(struct event *ev);
void __wrap_event_active(struct event *ev, int what, short n);
int __wrap_event_pending(const struct event *ev, short what, struct timeval *tv);
struct event_base *__wrap_event_get_base(const struct event *ev);

struct event_base *__wrap_event_base_new(void)
{
	return xcalloc(1, sizeof(struct event_base));
}

void __wrap_event_base_free(struct event_base *base)
{
	free(base);
}

int __wrap_event_base_loopbreak(struct event_base *base)
{
	base->over = true;
	return 0;
}

int __wrap_event_base_loopexit(struct event_base *base, const struct timeval *tv)
{
	base->over_ms = now_ms + (tv ? tv->tv_sec * 1000 + tv->tv_usec / 1000 : 0);
	return 0;
}

struct event *__wrap_event_new(struct event_base *base, evutil_socket_t fd, short what,
                               event_callback_fn cb, void *arg)
{
	struct event *ev = xcalloc(1, sizeof(*ev));

	*ev = (struct event){ .base = base, .cb = cb, .arg = arg };
	if (what & EV_SIGNAL) {
		ev->signal = (int)fd;
		DL_APPEND(signals, ev);
	}
	return ev;
}

void __wrap_event_free(struct event *ev)
{
	disarm(ev);
	if (ev->signal)
		DL_DELETE(signals, ev);
	free(ev);
}

int __wrap_event_add(struct event *ev, const struct timeval *tv)
{
	if (!ev->signal)
		arm(ev, now_ms + (tv ? tv->tv_sec * 1000 + tv->tv_usec / 1000 : 0));
	return 0;
}

int __wrap_event_del(struct event *ev)
{
	disarm(ev);
	return 0;
}

void __wrap_event_active(struct event *ev, int what, short n)
{
	(void)what, (void)n;
	if (!ev->pending || ev->due_ms > now_ms)
		arm(ev, now_ms);
}

int __wrap_event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)what, (void)tv;
	return ev->pending ? EV_TIMEOUT : 0;
}

struct event_base *__wrap_event_get_base(const struct event *ev)
{
	return ev->base;
}

/* ---- our clock ---- */

int64_t __wrap_clock_ms(void);
int64_t __wrap_clock_wall_us(void);
void __wrap_clock_random(void *out, size_t size);
uint64_t __wrap_clock_random_below(uint64_t bound);

int64_t __wrap_clock_ms(void)
{
	return now_ms;
}

int64_t __wrap_clock_wall_us(void)
{
	return EPOCH_US + now_ms * 1000;
}

void __wrap_clock_random(void *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)out)[i] = (uint8_t)next_random();
}

uint64_t __wrap_clock_random_below(uint64_t bound)
{
	return virtual_random(bound);
}
