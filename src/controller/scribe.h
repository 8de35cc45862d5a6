/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_SCRIBE_H
#define FAIRLEAD_CONTROLLER_SCRIBE_H

/*
 * Writes the journal (fairlead/journal.h): who got which address when.  It goes behind everything
 * else, and nothing waits for it.
 */

#include "controller/state.h"

struct out;

int scribe_start(struct controller *ctl);
void scribe_free(struct controller *ctl);
/* Each turn: begins when this one leads and the configuration wants a journal, or ends. */
void scribe_turn(struct controller *ctl);
/* It leads no longer. */
void scribe_stop(struct controller *ctl);
/* What waits goes out now, as far as it may. */
void scribe_flush(struct controller *ctl);
/* A write is under way. */
bool scribe_is_busy(const struct controller *ctl);

/* The object says what was decided about this part; @key: its own. */
void scribe_note_written(struct record *r, const struct record_part *p, const char *key);
/* The status held this, and somebody else wrote what it holds now. */
void scribe_note_changed(struct record *r, const struct addr *before, size_t n_before);
/* The Service is gone, with what it still held. */
void scribe_note_gone(struct record *r);

/* The member "journal" of /status. */
void scribe_put(const struct controller *ctl, struct out *o);

#endif
