/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_BGPD_FAKE_H
#define FAIRLEAD_TESTS_BGPD_FAKE_H

/*
 * As much of bgpd's command line as the room bgp speaks, over a state in memory: strict where bgpd
 * is (nodes, objects that must exist), and stricter where it silently does the wrong thing (a
 * network whose route-map is missing).
 */

#include "bgp/diff.h"
#include "bgp/model.h"

struct bgpd_fake {
	struct bgp_state s;
	enum bgp_node node;
	char map[64]; /* the route-map being edited */
	uint32_t seq;
	const char *foreign_bgp; /* lines of others inside the instance, as printed */
	const char *foreign_af4; /* and inside its IPv4 family */
	/* a network without its map, a neighbour active without policy … */
	unsigned int violations;
	unsigned int commands;
	unsigned int removed; /* networks */
	unsigned int forgets; /* networks that it acknowledges and does not keep */
	const char *refuses;  /* what a command begins with that fails; NULL: none does */
};
void bgpd_fake_fini(struct bgpd_fake *f);
/* Executes one command and returns the status byte. */
uint8_t bgpd_fake_say(struct bgpd_fake *f, const char *command);
/* `show running-config`. */
void bgpd_fake_show(const struct bgpd_fake *f, struct buf *out);

#endif
