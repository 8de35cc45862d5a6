/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_VIRTUAL_LOOP_H
#define FAIRLEAD_TESTS_VIRTUAL_LOOP_H

/*
 * libevent's timers and our clock in virtual time, for programs that are linked with VIRTUAL_LOOP
 * (tests/unit/automake.mk).
 *
 * An event_base stands for one process.  It may stop (SIGSTOP) and go on, and whatever came due
 * meanwhile then happens in any order.  Only timers, events that are made active, and signals; no
 * files.
 */

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* Time starts anew, and chance with @seed.  Every base of before is gone. */
void virtual_loop_init(uint64_t seed);
int64_t virtual_now(void);
/* What runs now takes so long. */
void virtual_loop_spend(int64_t ms);
/* Uniform in [0, below). */
uint64_t virtual_random(uint64_t below);
/* Runs everything that comes due until @until_ms. */
void virtual_loop_run(int64_t until_ms);
/* How often anything was run. */
uint64_t virtual_loop_turns(void);
void virtual_loop_pause(struct event_base *base, bool paused);
/* As if a signal came. */
void virtual_loop_signal(struct event_base *base, int sig);
/* Its loop has ended, by event_base_loopbreak() or event_base_loopexit(). */
bool virtual_loop_is_over(const struct event_base *base);

#endif
