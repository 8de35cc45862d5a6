/* SPDX-License-Identifier: Apache-2.0 */
/* What a segment tells of itself: its health, its counters, its peers. */
#include "config.h"

#include <string.h>

#include "l2/segment_private.h"

void segment_health(struct segment *s, int64_t now, struct segment_health *ret_health)
{
	if (s->claims.refused != s->claims_refused) {
		s->claims_refused = s->claims.refused;
		s->claims_refused_ms = now;
	}
	*ret_health = (struct segment_health){
		.mtu = s->mtu,
		.mtu_min = wire_mtu_min(strlen(s->member.opts.node)),
		.send_error = s->send_error,
		.send_error_ms = s->send_error_ms,
		.peers_refused_ms = s->member.refused_ms,
		.claims_refused_ms = s->claims_refused_ms,
		.namesake_ms = s->namesake.told_ms,
	};
	memcpy(ret_health->namesake_mac, s->namesake.mac, sizeof(s->namesake.mac));
}

bool segment_take_namesake(struct segment *s, uint8_t ret_mac[static WIRE_MAC_SIZE])
{
	if (!s->has_namesake)
		return false;
	s->has_namesake = false;
	memcpy(ret_mac, s->namesake_mac, sizeof(s->namesake_mac));
	return true;
}

void segment_add_stats(const struct segment *s, struct l2_stats *stats)
{
#define L2_STAT(member, from, name, help) stats->member += s->from;
#include "fairlead/metrics.def"
}

void segment_tell(const struct segment *s, struct l2_segment *ret_segment)
{
	*ret_segment =
		(struct l2_segment){ .own4 = s->sources.v4,
		                     .own6 = s->sources.v6,
		                     .mtu = (unsigned int)s->mtu,
		                     .up = s->up,
		                     .ready = s->up && s->claims.ready,
		                     .n_owned = s->claims.n_owned,
		                     .dead_after_ms = member_own_dead_ms(&s->member),
		                     .n_stale_neighbours =
		                             stragglers_lately(&s->stragglers, s->last_turn_ms) };
	memcpy(ret_segment->mac, s->member.opts.mac, sizeof(ret_segment->mac));
}

size_t segment_n_slots(const struct segment *s)
{
	return s->member.n_slots;
}

bool segment_peer(const struct segment *s, size_t slot, struct l2_peer *ret_peer)
{
	const struct member_peer *p = s->member.peers[slot];
	static const struct claims_table unknown;
	const struct claims_table *t =
		slot < s->claims.n_tables ? &s->claims.tables[slot] : &unknown;

	if (!p)
		return false;
	*ret_peer = (struct l2_peer){ .own6 = t->address6,
		                      .alive = p->state == MEMBER_ALIVE,
		                      .restarting = p->state == MEMBER_RESTARTING,
		                      .view_fresh = p->flags & WIRE_FRESH,
		                      .refuses4 = t->refuses & WIRE_REFUSES_4,
		                      .refuses6 = t->refuses & WIRE_REFUSES_6,
		                      .last_heard_ms = p->heard_directly_ms,
		                      .lost_lately = member_lost_lately(p),
		                      .n_lost = p->n_lost };
	if (t->address.family == 4)
		ret_peer->own4 = t->address;
	memcpy(ret_peer->mac, p->mac, sizeof(ret_peer->mac));
	memcpy(ret_peer->node, p->name, sizeof(ret_peer->node));
	return true;
}
