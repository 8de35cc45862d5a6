/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_FORMER_H
#define FAIRLEAD_SPEAKER_FORMER_H

/*
 * Which node knows the connections of an address: its owner, and once this node owns it, for some
 * time the owner before.  From this follows to whom packets go that this node cannot place.
 *
 * Pure.  While another node owns an address, the way there stands already: so nothing has to be
 * written when this node takes it over, and no packet comes too early.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/l2.h"
#include "fairlead/relay.h"

/*
 * So long after a takeover the owner before gets what it alone knows.  Connections that are older
 * and silent for longer than a few minutes are rare, and a node that is drained is often ended
 * soon.
 */
#define FORMER_GRACE_MS 600000

struct former;

struct former *former_new(void);
/* Accepts NULL. */
void former_free(struct former *f);

/*
 * What an earlier process of this node left in the kernel, as relay_read() gives it: stands for as
 * long as after a takeover.
 */
void former_adopt(struct former *f, int64_t now, const struct relay_way *ways, size_t n);

/* As layer 2 tells them; any order but for the states, which are sorted by address. */
struct former_news {
	const struct l2_state *states;
	size_t n_states;
	const struct l2_peer *peers;
	size_t n_peers;
	const struct l2_segment *segments;
	size_t n_segments;
};
void former_update(struct former *f, int64_t now, const struct former_news *news);

/* For relay_set(); good until the next update. */
const struct relay_way *former_ways(const struct former *f, size_t *ret_n);
const struct relay_node *former_nodes(const struct former *f, size_t *ret_n);

/* An address that this node has taken over, and until when the owner before gets what it knows. */
struct former_address {
	struct addr addr;
	const char *node; /* "" if only its address is known */
	int64_t until_ms;
};
/* Yields them one by one: *@at is 0 at first. */
bool former_next(const struct former *f, size_t *at, struct former_address *ret);

#endif
