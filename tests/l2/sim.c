/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "l2/arp.h"

#define DELAY_MAX_MS 2
#define ETHERNET_SIZE 14

uint64_t sim_random(struct sim *s, uint64_t bound)
{
	uint64_t x = s->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return bound ? (x ^ x >> 31) % bound : 0;
}

/* ---- the wire ---- */

static void put_frame(struct sim_frame **frames, size_t *n, size_t *cap, struct sim_frame f)
{
	ARRAY_RESERVE(*frames, *cap, *n + 1);

	(*frames)[(*n)++] = f;
}

static void stranger_answers(struct sim *s, size_t from, const uint8_t *frame, size_t size)
{
	struct arp_packet p;

	if (arp_decode(frame, size, &p) < 0 || p.op != ARP_REQUEST ||
	    p.target != s->stranger_address || p.sender == p.target)
		return;
	struct arp_packet answer = arp_answer(&p, s->stranger_mac);
	uint8_t bytes[ARP_FRAME_SIZE];
	arp_encode(&answer, bytes);
	sim_inject(s, from, bytes, sizeof(bytes));
}

static void count_arp(struct sim_node *n, const uint8_t *frame, size_t size)
{
	struct arp_packet p;

	if (arp_decode(frame, size, &p) < 0)
		return;
	n->probes_sent += p.op == ARP_REQUEST && p.sender == 0;
	n->gratuitous_sent += p.sender == p.target;
}

static bool takes(const struct sim_node *n, size_t size)
{
	return n->mtu == 0 || size <= n->mtu + ETHERNET_SIZE;
}

static bool is_for(const struct sim_node *to, const uint8_t *frame)
{
	return (frame[0] & 1) || !memcmp(frame, to->mac, sizeof(to->mac));
}

static bool is_multicast(const uint8_t *frame)
{
	return !memcmp(frame, wire_group_mac, WIRE_MAC_SIZE);
}

static void transmit(struct sim *s, const struct sim_node *from, const uint8_t *frame, size_t size)
{
	for (size_t to = 0; from->link_up && to < s->n_nodes; to++)
		if (to != from->index && !s->blocked[from->index][to] &&
		    !(is_multicast(frame) && s->filtered[from->index][to]) &&
		    is_for(&s->nodes[to], frame) && takes(&s->nodes[to], size) &&
		    (!s->mtu || size <= s->mtu + ETHERNET_SIZE) &&
		    sim_random(s, 100) >= (uint64_t)s->loss_percent)
			sim_inject(s, to, frame, size);
}

/* As Linux does, for the address of its interface. */
static void kernel_receives(struct sim *s, struct sim_node *n, const uint8_t *frame, size_t size)
{
	struct arp_packet p;

	if (n->ignores_arp || arp_decode(frame, size, &p) < 0 || p.op != ARP_REQUEST ||
	    p.target != SIM_FIRST_NODE + (uint32_t)n->index)
		return;
	struct arp_packet answer = arp_answer(&p, n->mac);
	uint8_t bytes[ARP_FRAME_SIZE];
	arp_encode(&answer, bytes);
	transmit(s, n, bytes, sizeof(bytes));
}

static int on_send(const void *frame, size_t size, void *arg)
{
	struct sim_node *from = arg;
	struct sim *s = from->sim;

	if (!takes(from, size))
		return -EMSGSIZE;
	from->frames_sent++;
	count_arp(from, frame, size);
	if (s->record_from == (int)from->index)
		put_frame(&s->recorded, &s->n_recorded, &s->recorded_cap,
		          (struct sim_frame){ .size = size, .data = xmemdup(frame, size) });
	transmit(s, from, frame, size);
	if (s->stranger_address && from->link_up)
		stranger_answers(s, from->index, frame, size);
	return 0;
}

void sim_inject(struct sim *s, size_t node, const void *frame, size_t size)
{
	int64_t delay = s->reorder ? (int64_t)sim_random(s, DELAY_MAX_MS + 1) : 1;

	put_frame(&s->frames, &s->n_frames, &s->frames_cap,
	          (struct sim_frame){ .at_ms = s->now + delay,
	                              .to = node,
	                              .size = size,
	                              .data = xmemdup(frame, size) });
}

static bool turns(const struct sim *s, const struct sim_node *n)
{
	return n->segment && s->now >= n->paused_until_ms;
}

static void deliver(struct sim *s)
{
	/* What is sent meanwhile is appended, and comes in its own time. */
	size_t n = s->n_frames, kept = 0;

	for (size_t i = 0; i < s->n_nodes; i++) {
		s->nodes[i].received = 0;
		if (turns(s, &s->nodes[i]))
			s->nodes[i].queued = 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct sim_frame f = s->frames[i];
		struct sim_node *to = &s->nodes[f.to];
		if (f.at_ms > s->now) {
			s->frames[kept++] = f;
			continue;
		}
		bool fits = !s->buffer_frames || to->received++ < s->buffer_frames;
		if (!fits || !to->link_up || to->host_down) {
			free(f.data);
			continue;
		}
		if (!f.seen)
			kernel_receives(s, to, f.data, f.size);
		if (to->segment && !turns(s, to) && to->queued < SIM_BUFFER_FRAMES) {
			to->queued += !f.seen;
			f.seen = true;
			s->frames[kept++] = f;
			continue;
		}
		if (turns(s, to)) {
			segment_receive(to->segment, s->now, f.data, f.size);
			to->was_asked = false;
		}
		free(f.data);
	}
	if (n < s->n_frames)
		memmove(s->frames + kept, s->frames + n, (s->n_frames - n) * sizeof(*s->frames));
	s->n_frames -= n - kept;
}

/* ---- the nodes ---- */

static void on_changed(uint32_t addr, void *arg)
{
	(void)addr;
	(void)arg;
}

static void node_init(struct sim *s, size_t i)
{
	struct sim_node *n = &s->nodes[i];

	n->sim = s;
	n->index = i;
	snprintf(n->name, sizeof(n->name), "node-%zu", i);
	s->names[i] = n->name;
	s->candidates[i] = (uint16_t)i;
	memcpy(n->mac, (uint8_t[]){ 2, 0, 0, 0, 0, (uint8_t)(i + 1) }, 6);
	n->key = wire_key_new((const uint8_t *)"the key", 7);
	n->link_up = true;
	n->opts = (struct l2_options){ .node = n->name,
		                       .heartbeat_ms = SIM_HEARTBEAT_MS,
		                       .dead_ms = SIM_DEAD_MS,
		                       .restart_hold_ms = SIM_HOLD_MS,
		                       .probe_ms = SIM_PROBE_MS,
		                       .first_use_probe = true };
	n->wants = xcalloc(s->n_addresses, sizeof(*n->wants));
	for (size_t a = 0; a < s->n_addresses; a++) {
		struct in_addr in = { .s_addr = htonl(SIM_FIRST_ADDRESS + (uint32_t)a) };
		n->wants[a] = (struct l2_want){ .addr = addr_from_in(in),
			                        .created_us = 1000,
			                        .eligible = true,
			                        .candidates = s->candidates,
			                        .n_candidates = s->n_nodes };
		n->wants[a].uid[0] = (uint8_t)(a + 1);
	}
	n->view = (struct l2_snapshot){ .nodes = s->names,
		                        .n_nodes = s->n_nodes,
		                        .wants = n->wants,
		                        .n_wants = s->n_addresses,
		                        .view_fresh = true };
}

void sim_init(struct sim *s, uint64_t seed, size_t n_nodes, size_t n_addresses)
{
	memset(s, 0, sizeof(*s));
	s->random = seed * 0x2545f4914f6cdd1du + 1;
	s->now = 1000;
	s->n_nodes = n_nodes;
	s->n_addresses = n_addresses;
	s->record_from = -1;
	for (size_t i = 0; i < n_nodes; i++)
		node_init(s, i);
	sim_observe(s);
}

void sim_fini(struct sim *s)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		segment_free(s->nodes[i].segment);
		wire_key_free(s->nodes[i].key);
		free(s->nodes[i].wants);
	}
	for (size_t i = 0; i < s->n_frames; i++)
		free(s->frames[i].data);
	for (size_t i = 0; i < s->n_recorded; i++)
		free(s->recorded[i].data);
	free(s->frames);
	free(s->recorded);
}

void sim_key(struct sim *s, size_t node, const char *key)
{
	wire_key_free(s->nodes[node].key);
	s->nodes[node].key = wire_key_new((const uint8_t *)key, strlen(key));
}

void sim_start(struct sim *s, size_t node)
{
	struct sim_node *n = &s->nodes[node];
	struct segment_options opts = { .l2 = &n->opts,
		                        .source = SIM_FIRST_NODE + (uint32_t)node,
		                        .mtu = n->mtu,
		                        .incarnation = 1 + sim_random(s, UINT64_MAX),
		                        .seed = s->random,
		                        .peers_max = s->peers_max };

	memcpy(opts.mac, n->mac, 6);
	struct segment_ops ops = { .send = on_send, .changed = on_changed, .arg = n };
	n->paused_until_ms = 0;
	n->segment = segment_new(&opts, n->key, &ops, s->now);
	segment_link(n->segment, s->now, n->link_up);
	sim_publish(s, node);
}

void sim_kill(struct sim *s, size_t node)
{
	segment_free(s->nodes[node].segment);
	s->nodes[node].segment = NULL;
}

void sim_stop(struct sim *s, size_t node, enum l2_stop how)
{
	segment_farewell(s->nodes[node].segment, s->now, how);
	sim_kill(s, node);
}

void sim_link(struct sim *s, size_t node, bool up)
{
	s->nodes[node].link_up = up;
	if (s->nodes[node].segment)
		segment_link(s->nodes[node].segment, s->now, up);
}

void sim_mtu(struct sim *s, size_t node, size_t mtu)
{
	s->nodes[node].mtu = mtu;
	if (s->nodes[node].segment)
		segment_set_mtu(s->nodes[node].segment, s->now, mtu);
}

void sim_power(struct sim *s, size_t node, bool on)
{
	s->nodes[node].host_down = !on;
	if (!on && s->nodes[node].segment)
		sim_kill(s, node);
}

void sim_pause(struct sim *s, size_t node, int64_t ms)
{
	s->nodes[node].paused_until_ms = s->now + ms;
}

void sim_publish(struct sim *s, size_t node)
{
	struct sim_node *n = &s->nodes[node];
	const struct l2_want *wants[SIM_ADDRESSES_MAX];

	for (size_t a = 0; a < s->n_addresses; a++)
		wants[a] = &n->wants[a];
	segment_set_wants(n->segment, s->now, &n->view, wants, s->n_addresses);
}

/* ---- time, and what is observed ---- */

bool sim_answers(const struct sim *s, size_t node, size_t address)
{
	const struct sim_node *n = &s->nodes[node];

	return turns(s, n) && n->link_up &&
	       segment_answers(n->segment, s->now, SIM_FIRST_ADDRESS + (uint32_t)address);
}

int sim_owner(const struct sim *s, size_t address)
{
	int owner = -1;

	for (size_t i = 0; i < s->n_nodes; i++)
		if (sim_answers(s, i, address)) {
			if (owner >= 0)
				return -1;
			owner = (int)i;
		}
	return owner;
}

struct l2_state sim_state(const struct sim *s, size_t node, size_t address)
{
	struct l2_state state;

	segment_state(s->nodes[node].segment, SIM_FIRST_ADDRESS + (uint32_t)address, &state);
	return state;
}

struct l2_stats sim_stats(const struct sim *s, size_t node)
{
	struct l2_stats stats = { 0 };

	segment_add_stats(s->nodes[node].segment, &stats);
	return stats;
}

void sim_observe(struct sim *s)
{
	for (size_t a = 0; a < s->n_addresses; a++) {
		s->owner[a] = sim_owner(s, a);
		s->changes[a] = 0;
		s->none_ms[a] = s->several_ms[a] = 0;
	}
	s->worst_none_ms = s->worst_several_ms = 0;
}

/*
 * What every speaker would answer.  Asked each millisecond for each address they would spend most
 * of the time on that; but it is another answer only once they have received or done something, or
 * stop or go on.
 */
static void ask_for_all(struct sim *s, struct sim_node *n)
{
	bool there = turns(s, n) && n->link_up;

	if (n->was_asked && n->was_there == there)
		return;
	n->was_asked = true;
	n->was_there = there;
	for (size_t a = 0; a < s->n_addresses; a++)
		n->answers[a] = sim_answers(s, n->index, a);
}

static void observe(struct sim *s, size_t a)
{
	size_t n = 0, owner = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].answers[a]) {
			owner = i;
			n++;
		}
	s->none_ms[a] = n == 0 ? s->none_ms[a] + 1 : 0;
	s->several_ms[a] = n > 1 ? s->several_ms[a] + 1 : 0;
	if (s->none_ms[a] > s->worst_none_ms)
		s->worst_none_ms = s->none_ms[a];
	if (s->several_ms[a] > s->worst_several_ms)
		s->worst_several_ms = s->several_ms[a];
	if (n == 1 && s->owner[a] != (int)owner) {
		s->changes[a] += s->owner[a] >= 0;
		s->owner[a] = (int)owner;
	}
}

/* The API server answers who has not lost it. */
static void ask_server(const struct sim *s, struct sim_node *n)
{
	if (!s->server_away && n->view.view_fresh)
		n->answered_ms = s->now;
	if (n->segment)
		segment_set_answered(n->segment, n->answered_ms);
}

void sim_run(struct sim *s, int64_t ms)
{
	/* Whatever the test did to them. */
	for (size_t i = 0; i < s->n_nodes; i++)
		s->nodes[i].was_asked = false;
	for (int64_t end = s->now + ms; s->now < end; s->now++) {
		deliver(s);
		for (size_t i = 0; i < s->n_nodes; i++) {
			struct sim_node *n = &s->nodes[i];
			ask_server(s, n);
			/* A bit late, as real ones, so that heartbeats drift. */
			if (turns(s, n) && segment_deadline(n->segment) <= s->now &&
			    sim_random(s, 2)) {
				segment_tick(n->segment, s->now);
				n->was_asked = false;
			}
		}
		for (size_t i = 0; i < s->n_nodes; i++)
			ask_for_all(s, &s->nodes[i]);
		for (size_t a = 0; a < s->n_addresses; a++)
			observe(s, a);
	}
}
