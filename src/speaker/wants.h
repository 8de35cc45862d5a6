/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_WANTS_H
#define FAIRLEAD_SPEAKER_WANTS_H

/*
 * What bgpd is to have on this node: peers with their passwords, policies, the router id, and the
 * addresses that are to be announced.  What bgpd could not take is left out; if @aloud, the log
 * says so.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/bgp.h"
#include "fairlead/configuration.h"
#include "speaker/announce.h"
#include "speaker/passwords.h"

struct bgp_want;

struct wants {
	const struct configuration *configuration; /* NULL: none is known */
	const char *node;                          /* NULL: bgpd chooses the router id */
	const struct labels *labels;               /* of the node */
	const struct passwords *passwords;
	bool aloud;
	bool only_less; /* what is no longer a candidate is to go, and nothing else changes */
};

/* Adds the node's peers.  Returns how many it has, including refused ones. */
size_t wants_add_peers(const struct wants *x, struct bgp_want *w);
/* Adds what is announced to them; the configuration is known. */
void wants_add_all(const struct wants *x, const struct announce *t, struct bgp_want *w);

#endif
