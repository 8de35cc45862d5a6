/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_LASTING_H
#define FAIRLEAD_SPEAKER_LASTING_H

/*
 * States that are each reported once, if they last: since when each is known, whether it was
 * reported, and when it is over.  A state is identified by the bytes of its key.  Pure: time is an
 * argument.
 *
 * Each look passes the current states to lasting_see() and ends with lasting_forget().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "speaker/budget.h"

struct lasting;
struct lasting_state;

struct lasting *lasting_new(void);
void lasting_free(struct lasting *l);

/* The state is there now.  Good until lasting_forget(). */
struct lasting_state *lasting_see(struct lasting *l, const void *key, size_t size, int64_t now_ms);
/*
 * Whether it is to be reported now: it has not been, has lasted for so long, and @budget allows it.
 * If so it counts as reported.
 */
bool lasting_is_due(struct lasting_state *s, int64_t lasts_ms, struct budget *budget,
                    int64_t now_ms);
/*
 * Forgets states that were not seen for so long, depending on whether they were reported; one that
 * was goes to @over (may be NULL).
 */
void lasting_forget(struct lasting *l, int64_t untold_ms, int64_t told_ms, int64_t now_ms,
                    void (*over)(const void *key, void *arg), void *arg);

#endif
