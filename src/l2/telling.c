/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/telling.h"

#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

static void state_of(const struct attach *on, const struct l2_want *w, struct l2_state *ret_state)
{
	const struct iface *iface = attach_iface_for(on, w);
	const struct attached *at = attach_of(on, iface);

	if (!at) {
		iface = ifaces_find(&on->ifaces, NULL, &w->addr);
		bool narrowed = (w->place && iface) || places_routed(on->places, w->place);
		*ret_state = (struct l2_state){ .addr = w->addr,
			                        .ownership = narrowed ? L2_NOT_SELECTED
			                                              : L2_NO_INTERFACE,
			                        .cause = REASON_COUNT,
			                        .took_ms = -1 };
		if (narrowed && iface)
			memcpy(ret_state->interface, iface->name, sizeof(ret_state->interface));
		return;
	}
	segment_state(at->segment, &w->addr, ret_state);
	memcpy(ret_state->interface, iface->name, sizeof(ret_state->interface));
	if (ret_state->ownership != L2_OWNER &&
	    ifaces_kernel_answers(&on->ifaces, iface, &w->addr)) {
		ret_state->ownership = L2_KERNEL_ANSWERS;
		ret_state->peer_kernel = false;
	}
}

/* Where states are published to, and from where. */
struct telling {
	struct board *board;
	const struct attach *on;
};

static void tell_state(const struct l2_want *w, void *arg)
{
	const struct telling *t = arg;
	struct l2_state state;

	state_of(t->on, w, &state);
	board_put_state(t->board, &state);
}

/* All states anew.  The board's lock is held, here and below. */
static void replace_states(struct board *b, const struct attach *on)
{
	board_drop_states(b);
	if (on->wants)
		want_map_each(on->wants, tell_state, &(struct telling){ b, on });
}

/* What has changed since. */
static void update_states(struct board *b, const struct attach *on)
{
	for (size_t i = 0; i < b->n_changes; i++) {
		const struct l2_want *w =
			on->wants ? want_map_find(on->wants, &b->changes[i]) : NULL;
		if (w)
			tell_state(w, &(struct telling){ b, on });
		else
			board_drop_state(b, &b->changes[i]);
	}
}

/* Of what makes others look at the peers anew: who holds, and where they are. */
static uint64_t digest_peer(uint64_t digest, const struct l2_peer *p)
{
	bool holds = p->alive || p->restarting;

	digest = hash_fnv(digest, p->node, sizeof(p->node));
	digest = hash_fnv(digest, p->interface, sizeof(p->interface));
	digest = hash_fnv(digest, p->mac, sizeof(p->mac));
	digest = hash_fnv(digest, p->own4.b, sizeof(p->own4.b));
	digest = hash_fnv(digest, p->own6.b, sizeof(p->own6.b));
	return hash_fnv(digest, &holds, sizeof(holds));
}

/* True if other nodes are there than before, or the same ones have other addresses. */
static bool replace_peers(struct board *b, const struct attach *on)
{
	size_t n = 0, max = 0;
	uint64_t digest = HASH_FNV_BEGIN;

	for (size_t i = 0; i < on->n; i++)
		max += segment_n_slots(on->list[i]->segment);
	ARRAY_RESERVE(b->peers, b->peers_cap, max);
	b->stats = (struct l2_stats){ 0 };
	for (size_t i = 0; i < on->n; i++) {
		const struct attached *at = on->list[i];
		segment_add_stats(at->segment, &b->stats);
		for (size_t slot = 0; slot < segment_n_slots(at->segment); slot++)
			if (segment_peer(at->segment, slot, &b->peers[n])) {
				memcpy(b->peers[n].interface, at->iface.name,
				       sizeof(b->peers[n].interface));
				digest = digest_peer(digest, &b->peers[n++]);
			}
	}
	b->n_peers = n;
	bool changed = digest != b->peers_digest;
	b->peers_digest = digest;
	return changed;
}

static void replace_segments(struct board *b, const struct attach *on)
{
	ARRAY_RESERVE(b->segments, b->segments_cap, on->n);
	for (size_t i = 0; i < on->n; i++) {
		struct l2_segment *s = &b->segments[i];
		segment_tell(on->list[i]->segment, s);
		s->index = (unsigned int)on->list[i]->iface.index;
		memcpy(s->interface, on->list[i]->iface.name, sizeof(s->interface));
	}
	b->n_segments = on->n;
}

static void replace_troubles(struct board *b, const struct troubles *found)
{
	b->troubles.n = 0;
	ARRAY_RESERVE(b->troubles.list, b->troubles.cap, found->n);
	for (size_t i = 0; i < found->n; i++)
		b->troubles.list[b->troubles.n++] = found->list[i];
}

bool telling_write(struct board *b, const struct attach *on, const struct troubles *found)
{
	if (b->republish)
		replace_states(b, on);
	else
		update_states(b, on);
	bool peers = replace_peers(b, on);
	replace_segments(b, on);
	replace_troubles(b, found);
	board_say(b);
	return peers;
}
