/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_TROUBLE_NEWS_H
#define FAIRLEAD_SPEAKER_TROUBLE_NEWS_H

/*
 * Which layer-2 problems are worth an Event: each once, by reason and interface, when it has lasted
 * for NEWS_LASTS_MS, and again only if it was gone for a while in between.  Pure: time is an
 * argument.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "speaker/lasting.h"
#include "speaker/news.h"

/* A problem that comes back sooner is the same one. */
#define TROUBLE_FORGET_MS 60000

/*
 * Looks at the current state; @known is for these problems alone.  @budget limits how many are
 * reported at all.
 */
void trouble_news_look(struct lasting *known, const struct l2_trouble *list, size_t n,
                       struct budget *budget, int64_t now_ms, news_tell *tell, void *arg);

#endif
