/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_REFRESH_H
#define FAIRLEAD_KUBE_REFRESH_H

/* Those who wait for a list that began after they asked. */

#include <stdint.h>

struct refresh {
	uint32_t list; /* the number of the first one that will do */
	void (*done)(void *arg);
	void *arg;
	struct refresh *next;
};

/* All zero: nobody waits. */
struct refreshes {
	struct refresh *list;
};

void refreshes_fini(struct refreshes *r);
void refreshes_add(struct refreshes *r, uint32_t list, void (*done)(void *arg), void *arg);
/*
 * Those for whom list number @list will do, in the order of asking, each for free(); they wait no
 * longer.
 */
struct refresh *refreshes_take(struct refreshes *r, uint32_t list);

#endif
