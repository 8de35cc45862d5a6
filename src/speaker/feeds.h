/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_FEEDS_H
#define FAIRLEAD_SPEAKER_FEEDS_H

/* Feeds the API server's objects into the view. */

#include "speaker/state.h"

extern const char *const speaker_feed_names[N_FEEDS];
void speaker_feeds_start(struct speaker *sp);
/* When news of everything that decisions depend on last came in. */
int64_t speaker_last_contact_ms(const struct speaker *sp);
/* When anything last came from the API server, by any watch; 0: nothing yet. */
int64_t speaker_last_word_ms(const struct speaker *sp);

#endif
