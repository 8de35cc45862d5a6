/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_PROBE_H
#define FAIRLEAD_BGP_PROBE_H

/*
 * What becomes of a connection to a router, of which bgpd only says that it tries: refused, no
 * route, no answer.
 *
 * Now and then, while a session is down, a connection like bgpd's own (address, port, hops) is
 * begun and, whatever becomes of it, ended.  It says nothing, and it is unsigned: where the session
 * has a password, that there is no answer means nothing.
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
	struct addr to, from; /* from none: as the kernel chooses */
	uint16_t port;        /* 0: 179 */
	bool one_hop;         /* as bgpd does, the packet goes to the next router and no further */
};

struct probes *probes_new(struct event_base *base);
void probes_free(struct probes *p);
/*
 * Words about the last attempt; "": none yet, or it came through, or no answer where @signed_only.
 * To be asked about once a second as long as the session is down; one that was not asked about for
 * a while begins anew.
 */
const char *probes_ask(struct probes *p, const struct probe_way *way, bool signed_only,
                       int64_t now_ms);

/* The words for the outcome of connect(), as an errno; "": it came through. */
void probe_words(const struct probe_way *way, int error, char out[static PROBE_WORDS_SIZE]);

#endif
