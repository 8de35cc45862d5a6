/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_NEWS_H
#define FAIRLEAD_SPEAKER_NEWS_H

/*
 * Which changes of BGP on this node are worth an Event: that something stands in its way, that a
 * session is lost or does not come up, that a neighbour of others is in the way, and that these are
 * over.
 *
 * Reported once for each change, however often bgpd is asked or a command is retried, and only if
 * it lasts: a brief restart of bgpd is no news.  What has been reported is compared with the
 * current state, so that news that had to wait because there was too much lately is reported later
 * if it is still true.  Pure: time is an argument.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/bgp.h"
#include "fairlead/reason.h"
#include "speaker/budget.h"

/*
 * How long something has to last; longer for a session that was never up since the speaker learned
 * of its peer.
 */
#define NEWS_LASTS_MS 3000
#define NEWS_NEVER_UP_MS 30000

struct news;

struct news *news_new(void);
void news_free(struct news *n);

struct news_view {
	enum reason reason; /* for all of BGP, as bgp_reason() says */
	const char *message;
	const struct bgp_peer_status *peers;
	size_t n_peers;
};

/* @note is valid during the call. */
typedef void news_tell(enum reason reason, const char *note, void *arg);

/* Looks at the current state; call it with every change, and every few seconds without any. */
void news_look(struct news *n, const struct news_view *v, struct budget *budget, int64_t now_ms,
               news_tell *tell, void *arg);

#endif
