/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_SESSION_H
#define FAIRLEAD_BGP_SESSION_H

/*
 * What bgpd reports about our sessions: reads the JSON of `show bgp summary` and `show bgp
 * neighbors X`.
 *
 * Tolerant of missing and unknown members; uses only the two cheap shows, as the expensive ones
 * block bgpd.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bgp/model.h"
#include "fairlead/bgp.h"

#define SESSION_JSON_MAX (8u << 20)
#define SESSION_TEXT_MAX 256

struct bgp_session {
	struct addr address;
	enum bgp_session_state state;
	int64_t uptime_ms;      /* of an established one */
	int64_t seen_uptime_ms; /* as the last summary had it */
	int64_t seen_ordinal; /* likewise: how many sessions there have been with this neighbour */
	int64_t sent[BGP_N_AF], received[BGP_N_AF];
	int64_t resets;               /* sessions lost so far */
	char error[SESSION_TEXT_MAX]; /* the last reset, in words; "" */
	char bfd[32];                 /* "Up", "Down", … ; "" */
	/*
	 * An established IPv4 session on whose link this node has no IPv6 address but link-local
	 * ones: bgpd gives IPv6 prefixes the next hop ::ffff:…, which routers refuse or do not
	 * install.
	 */
	bool lacks_next_hop6;
	/*
	 * The hold time that is configured, the one of the session, and what was configured when it
	 * began; 0: not known.
	 */
	int64_t hold_ms, session_hold_ms, began_hold_ms;
};

/*
 * Reads the summary into the sessions of these addresses; one that is missing in it is UNKNOWN.
 * -EINVAL, -EMSGSIZE.
 */
int bgp_session_read_summary(const char *json, size_t size, struct bgp_session *sessions, size_t n);
/*
 * The hold time was changed since the session began, or is shorter than it: it takes effect with
 * the next session.
 */
bool bgp_session_hold_waits(const struct bgp_session *s);
/*
 * For a session that does not come up, or "": the outcome of connecting (@contact), and a further
 * hint (@hint).
 */
int bgp_session_read_neighbor(const char *json, size_t size, const char *contact, const char *hint,
                              struct bgp_session *session);

#endif
