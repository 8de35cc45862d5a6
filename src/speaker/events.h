/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_EVENTS_H
#define FAIRLEAD_SPEAKER_EVENTS_H

/* The speaker's Events. */

#include "speaker/state.h"

/* An Event on this node; a news_tell. */
void speaker_tell_of_node(enum reason reason, const char *note, void *arg);
/*
 * Events on the Node about news of BGP, layer-2 problems, and firewalls that refuse to forward.
 */
void speaker_tell(struct speaker *sp);
/*
 * An Event on the Service of an address that cannot be announced for a reason of its own, or is
 * announced again, after @old.
 */
void speaker_tell_of_service(struct speaker *sp, const struct announcement *a, enum reason old);

/* An Event on a Service, @action being what was done. */
void speaker_tell_on_service(const struct speaker *sp, const char *key,
                             const uint8_t uid[static VIEW_UID_SIZE], const char *action,
                             enum reason reason, const char *note);

/* Adds what the effectors know beyond the reason's sentence. */
void speaker_add_detail(const struct speaker *sp, const struct announcement *a, struct buf *out);

#endif
