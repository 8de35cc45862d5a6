/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_NEWS_H
#define FAIRLEAD_SPEAKER_NEWS_H

/*
 * What of BGP on this node is worth an Event: that something stands in its way, that a session is
 * lost or does not come up, that a neighbour of others is in the way, and that these are over.
 *
 * Told once for each change, however often bgpd is asked or a command is tried again, and only if
 * it lasts: a restart of bgpd in passing is no news.  What has been told is compared with what is,
 * so that what had to wait because too much was told lately is told later if it is still true.
 * Pure: time is an argument.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/bgp.h"
#include "fairlead/reason.h"
#include "speaker/budget.h"

/*
 * Something has to last for so long; a session that was never up, since the speaker knows of its
 * peer, for longer.
 */
#define NEWS_LASTS_MS 3000
#define NEWS_NEVER_UP_MS 30000

struct news;

struct news *news_new(void);
void news_free(struct news *n);

struct news_view {
	enum reason reason; /* of all of BGP, as bgp_reason() says */
	const char *message;
	const struct bgp_peer_status *peers;
	size_t n_peers;
};

/* @note is good for the time of the call. */
typedef void news_tell(enum reason reason, const char *note, void *arg);

/* Looks at what is now; to be called with every change, and every few seconds without any. */
void news_look(struct news *n, const struct news_view *v, struct budget *budget, int64_t now_ms,
               news_tell *tell, void *arg);

#endif
