/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_URGENT_H
#define FAIRLEAD_L2_URGENT_H

/* Real-time priority for the urgent thread, and its memory locked, as far as this process may. */

#include <pthread.h>
#include <stdbool.h>

/* 0: it has it; else the negative errno by which it was refused. */
struct urgency {
	int priority; /* SCHED_FIFO, of the thread */
	int memory;   /* locked as it is touched, all of the process's */
};

struct urgency urgent_begin(pthread_t thread);

#endif
