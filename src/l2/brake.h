/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_BRAKE_H
#define FAIRLEAD_L2_BRAKE_H

/*
 * How much of a processor questions may have at real-time priority: so much in each window of time.
 * What comes beyond that is worked on like anything ordinary, until the next window begins. Pure:
 * time and the thread's processor time are arguments.
 */

#include <stdbool.h>
#include <stdint.h>

#define BRAKE_WINDOW_MS 10
/* of processor time, in each window: a tenth of one processor */
#define BRAKE_BUDGET_US 1000
/*
 * Where so many windows in a row were used up, it is a flood, and no single piece of work that took
 * long; until so long after the last of them, questions that repeat are put off.
 */
#define BRAKE_PRESSED_WINDOWS 5
#define BRAKE_PRESSED_MS 1000

struct brake {
	int64_t window_ms;   /* when it began */
	int64_t began_us;    /* the thread's processor time at that moment */
	bool used_up;        /* in this window */
	unsigned int in_row; /* windows that were, up to this one */
	int64_t pressed_ms;  /* when enough of them were last; 0: never */
};

/*
 * True if the budget of the window that @now_ms lies in is used up, by @cpu_us of processor time
 * that the thread has had since it began.
 */
bool brake_holds(struct brake *b, int64_t now_ms, int64_t cpu_us);
/* When the window ends in which it holds. */
int64_t brake_until_ms(const struct brake *b);
/* There is a flood, or was one not long ago. */
bool brake_is_pressed(const struct brake *b, int64_t now_ms);

#endif
