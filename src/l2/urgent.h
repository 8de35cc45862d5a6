/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_URGENT_H
#define FAIRLEAD_L2_URGENT_H

/*
 * Real-time priority for the urgent thread, and its memory locked, as far as this process may.  The
 * thread may lay its priority down for a moment; a second thread, which does nothing else, gives it
 * back in time, also if the first one does not get to run meanwhile.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"

struct urgency {
	/* 0: it has it; else the negative errno by which it was refused. */
	int priority; /* SCHED_FIFO, of the thread */
	int memory;   /* locked as it is touched, all of the process's */

	pthread_t thread, giver;
	int timer_fd; /* expires when the priority is to be given back */
	_Atomic bool has_giver, relaxed, stopping;
};

/*
 * Begins for @thread, which may run already; what is refused is told in *@u, which was filled with
 * zeros.
 */
void urgent_begin(struct urgency *u, pthread_t thread);
/* After the thread has ended, also if nothing has begun. */
void urgent_end(struct urgency *u);

/* ---- for the thread ---- */

/* Ordinary priority until @until_ms (clock_ms()); nothing where it has no other. */
void urgent_relax(struct urgency *u, int64_t until_ms);
/* Processor time that the calling thread has had, in microseconds. */
int64_t urgent_cpu_us(void);

#endif
