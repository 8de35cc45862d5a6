/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_PROBE_H
#define FAIRLEAD_BGP_PROBE_H

/*
 * What becomes of a connection to a router, as bgpd only says that it is trying: refused, no route,
 * no answer.
 *
 * Now and then, while a session is down, a connection like bgpd's own (address, port, hops) is
 * opened and closed again, whatever its outcome.  It sends nothing, and it is unsigned: if the
 * session has a password, a missing answer means nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

/* A session that comes up does so within this time. */
#define PROBE_AFTER_MS 3000
/* the kernel gives up ARP after three seconds */
#define PROBE_EVERY_MS 10000
#define PROBE_TIMEOUT_MS 5000
#define PROBE_WORDS_SIZE 192

struct event_base;
struct probes;

struct probe_way {
	struct addr to, from; /* none: the kernel chooses */
	uint16_t port;        /* 0: 179 */
	bool one_hop;         /* as with bgpd, the packet goes to the next router and no further */
};

struct probes *probes_new(struct event_base *base);
void probes_free(struct probes *p);
/*
 * Words about the last attempt; "": none yet, or it succeeded, or there was no answer and
 * @signed_only.  Call it about once a second while the session is down; a probe that was not asked
 * about for a while starts over.
 */
const char *probes_ask(struct probes *p, const struct probe_way *way, bool signed_only,
                       int64_t now_ms);

/* The words for the outcome of connect(), as an errno; "": it succeeded. */
void probe_words(const struct probe_way *way, int error, char out[static PROBE_WORDS_SIZE]);

#endif
