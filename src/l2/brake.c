/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The urgent thread comes before everything ordinary, and what it works on is for anybody on the
 * segment to choose: a flood of questions about addresses of the pools passes the kernel's filter.
 * Processor time is what such a flood costs others, so that is what is counted, whatever it goes
 * into; the clock that tells it is read once for a few dozen frames.
 *
 * The window is short in comparison with what peers wait for a heartbeat, and the budget is some
 * hundred answers: more than arises in any window from clients, even where many lose an owner.
 */
#include "config.h"

#include "l2/brake.h"

/* Windows are in a row also where the thread, being ordinary now, had to wait in between. */
#define IN_ROW_MS 100

bool brake_holds(struct brake *b, int64_t now_ms, int64_t cpu_us)
{
	if (now_ms >= brake_until_ms(b)) {
		if (!b->used_up || now_ms >= brake_until_ms(b) + IN_ROW_MS)
			b->in_row = 0;
		b->used_up = false;
		b->window_ms = now_ms;
		b->began_us = cpu_us;
	}
	if (cpu_us - b->began_us < BRAKE_BUDGET_US)
		return false;
	b->in_row += !b->used_up;
	b->used_up = true;
	if (b->in_row >= BRAKE_PRESSED_WINDOWS)
		b->pressed_ms = now_ms;
	return true;
}

int64_t brake_until_ms(const struct brake *b)
{
	return b->window_ms + BRAKE_WINDOW_MS;
}

bool brake_is_pressed(const struct brake *b, int64_t now_ms)
{
	return b->pressed_ms && now_ms - b->pressed_ms < BRAKE_PRESSED_MS;
}
