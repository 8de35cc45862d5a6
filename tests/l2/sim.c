/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "l2/neighbor.h"

#define DELAY_MAX_MS 2
/* in a frame of IPv6 */
#define ETHERNET_SIZE 14
#define PROTOCOL6_AT 20
#define UDP_AT 34

uint64_t sim_random(struct sim *s, uint64_t bound)
{
	uint64_t x = s->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return bound ? (x ^ x >> 31) % bound : 0;
}

/* What the node's own clock shows. */
static int64_t sim_clock(const struct sim_node *n)
{
	return n->sim->now * (100 + n->drift_percent) / 100;
}

/* ---- the wire ---- */

static void put_frame(struct sim_frame **frames, size_t *n, size_t *cap, struct sim_frame f)
{
	ARRAY_RESERVE(*frames, *cap, *n + 1);

	(*frames)[(*n)++] = f;
}

static uint8_t family = 4;
static bool both_families;

void sim_use_family(uint8_t f)
{
	family = f;
}

void sim_use_both_families(void)
{
	both_families = true;
}

/* 192.168.1.0 or fd00::, and then so many. */
static struct addr addr_at(uint8_t f, size_t n)
{
	struct addr a = { .family = f };

	if (f == 4)
		return addr_from_in((struct in_addr){ .s_addr = htonl(0xc0a80100 + (uint32_t)n) });
	a.b[0] = 0xfd;
	a.b[14] = (uint8_t)(n >> 8);
	a.b[15] = (uint8_t)n;
	return a;
}

const struct addr *sim_address(size_t a)
{
	static struct addr all[SIM_ADDRESSES_MAX];

	all[a] = addr_at(both_families && a % 2 ? 6 : family, 0xf0 + a);
	return &all[a];
}

/* Those of many nodes are behind those of many Services. */
struct addr sim_node_address(size_t node)
{
	return addr_at(family, 0x0b + node + (node < 200 ? 0 : SIM_ADDRESSES_MAX));
}

/* The answer to a question for @own; its size, 0 if the frame is none. */
static size_t answer_for(const struct addr *own, const uint8_t *mac, const uint8_t *frame,
                         size_t size, uint8_t answer[static NEIGHBOR_FRAME_MAX])
{
	const struct neighbor_ops *ops;
	struct neighbor_packet p;

	if (neighbor_decode(frame, size, &ops, &p) < 0 || !p.asks || !addr_eq(&p.target, own) ||
	    addr_eq(&p.sender, &p.target))
		return 0;
	return ops->answer(mac, &p, answer);
}

static void stranger_answers(struct sim *s, size_t from, const uint8_t *frame, size_t size)
{
	uint8_t answer[NEIGHBOR_FRAME_MAX];
	size_t n = answer_for(&s->stranger_address, s->stranger_mac, frame, size, answer);

	if (n > 0)
		sim_inject(s, from, answer, n);
}

/* Of neighbour discovery an answer to a probe is not told from an announcement. */
static void count_neighbor(struct sim_node *n, const uint8_t *frame, size_t size)
{
	const struct neighbor_ops *ops;
	struct neighbor_packet p;

	if (neighbor_decode(frame, size, &ops, &p) < 0)
		return;
	n->probes_sent += p.asks && !p.sender.family;
	n->gratuitous_sent += addr_eq(&p.sender, &p.target) || (p.may_answer_probe && p.to_all);
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
	return !memcmp(frame, wire_group_mac, WIRE_MAC_SIZE) ||
	       (!memcmp(frame, wire_group6_mac, WIRE_MAC_SIZE) && frame[PROTOCOL6_AT] == 17);
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
	struct addr own = sim_node_address(n->index);
	uint8_t answer[NEIGHBOR_FRAME_MAX];
	size_t answer_size = n->ignores_arp ? 0 : answer_for(&own, n->mac, frame, size, answer);

	if (answer_size > 0)
		transmit(s, n, answer, answer_size);
}

uint16_t sim_port(const uint8_t *frame)
{
	return is_multicast(frame) ? (uint16_t)(frame[UDP_AT + 2] << 8 | frame[UDP_AT + 3]) : 0;
}

void sim_make_original(uint8_t *frame)
{
	frame[UDP_AT] = WIRE_PORT_V1 >> 8;
	frame[UDP_AT + 1] = WIRE_PORT_V1 & 0xff;
}

/* What a speaker of version 1 would have said instead; its size, 0: nothing. */
static size_t say_in_v1(struct sim_node *from, const void *frame, size_t size,
                        uint8_t out[static WIRE_FRAME_MAX])
{
	struct addr source = sim_node_address(from->index);
	struct wire_msg msg;

	if (sim_port(frame) == WIRE_PORT_V1 || wire_decode(from->key, frame, size, &msg) < 0)
		return 0;
	msg.version = 1;
	msg.digest_v4 = msg.digest;
	msg.n_claims_v4 = msg.n_claims;
	size = wire_encode(from->key, &msg, &source, out);
	sim_make_original(out);
	return size;
}

/* What a speaker that knows no moves would have said; its size. */
static size_t say_without_moves(struct sim_node *from, const void *frame, size_t size,
                                uint8_t out[static WIRE_FRAME_MAX])
{
	struct addr source = sim_node_address(from->index);
	struct wire_msg msg;

	if (wire_decode(from->key, frame, size, &msg) < 0)
		return 0;
	msg.more &= (uint8_t)~WIRE_KNOWS_MOVES;
	return wire_encode(from->key, &msg, &source, out);
}

static int on_send(const void *frame, size_t size, void *arg)
{
	struct sim_node *from = arg;
	struct sim *s = from->sim;

	if (!takes(from, size))
		return -EMSGSIZE;
	uint8_t other[WIRE_FRAME_MAX];
	if ((from->v1 || from->no_moves) && sim_port(frame)) {
		size = from->v1 ? say_in_v1(from, frame, size, other)
		                : say_without_moves(from, frame, size, other);
		frame = other;
	}
	if (size == 0)
		return 0;
	from->frames_sent++;
	from->bytes_sent += size;
	count_neighbor(from, frame, size);
	if (s->record_from == (int)from->index)
		put_frame(&s->recorded, &s->n_recorded, &s->recorded_cap,
		          (struct sim_frame){ .size = size, .data = xmemdup(frame, size) });
	transmit(s, from, frame, size);
	if (s->stranger_address.family && from->link_up)
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
		bool waits = to->segment && !turns(s, to);
		/* What is there stays: a buffer that is full takes nothing more. */
		if (waits && (f.seen || to->queued < s->socket_frames)) {
			to->queued += !f.seen;
			f.seen = true;
			s->frames[kept++] = f;
			continue;
		}
		to->lost |= waits;
		if (to->lingers && sim_port(f.data)) {
			free(f.data);
			continue;
		}
		if (to->v1 && sim_port(f.data) == WIRE_PORT) {
			free(f.data);
			continue;
		}
		if (to->v1 && sim_port(f.data))
			sim_make_original(f.data);
		if (turns(s, to)) {
			if (to->lost)
				segment_lost(to->segment, sim_clock(to), s->now - f.at_ms);
			to->lost = false;
			segment_receive(to->segment, sim_clock(to), s->now - f.at_ms, f.data,
			                f.size);
			to->was_asked = false;
		}
		free(f.data);
	}
	if (n < s->n_frames)
		memmove(s->frames + kept, s->frames + n, (s->n_frames - n) * sizeof(*s->frames));
	s->n_frames -= n - kept;
}

/* ---- the nodes ---- */

static void on_changed(const struct addr *addr, void *arg)
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
	s->awaited[i] = true;
	memcpy(n->mac, (uint8_t[]){ 2, 0, 0, 0, (uint8_t)((i + 1) >> 8), (uint8_t)(i + 1) }, 6);
	n->key = wire_key_new((const uint8_t *)"the key", 7);
	n->link_up = true;
	n->opts = (struct l2_options){ .node = n->name,
		                       .timing = { SIM_HEARTBEAT_MS, SIM_MULTIPLIER, SIM_PROBE_MS },
		                       .restart_hold_ms = SIM_HOLD_MS,
		                       .first_use_probe = true };
	n->wants = xcalloc(s->n_addresses, sizeof(*n->wants));
	for (size_t a = 0; a < s->n_addresses; a++) {
		n->wants[a] = (struct l2_want){ .addr = *sim_address(a),
			                        .identity.since_us = 1000,
			                        .eligible = true,
			                        .candidates = s->candidates,
			                        .n_candidates = s->n_nodes };
		n->wants[a].identity.id[0] = (uint8_t)(a + 1);
		n->wants[a].identity.id[1] = (uint8_t)((a + 1) >> 8);
	}
	n->view = (struct l2_snapshot){
		.nodes = s->names, .n_nodes = s->n_nodes, .awaited = s->awaited, .view_fresh = true
	};
}

void sim_init(struct sim *s, uint64_t seed, size_t n_nodes, size_t n_addresses)
{
	memset(s, 0, sizeof(*s));
	s->random = seed * 0x2545f4914f6cdd1du + 1;
	s->now = 1000;
	s->n_nodes = n_nodes;
	s->n_addresses = n_addresses;
	s->record_from = -1;
	s->socket_frames = SIM_BUFFER_FRAMES;
	for (size_t i = 0; i < n_nodes; i++)
		node_init(s, i);
	sim_observe(s);
}

void sim_fini(struct sim *s)
{
	family = 4;
	both_families = false;
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

static struct segment_sources sources_of(size_t node)
{
	struct addr own = sim_node_address(node);

	return own.family == 4 ? (struct segment_sources){ .v4 = own }
	                       : (struct segment_sources){ .v6 = own };
}

void sim_attach(struct sim *s, size_t node)
{
	struct sim_node *n = &s->nodes[node];
	struct segment_options opts = { .l2 = &n->opts,
		                        .sources = sources_of(node),
		                        .mtu = n->mtu,
		                        .incarnation = 1 + sim_random(s, UINT64_MAX),
		                        .seed = s->random,
		                        .peers_max = s->peers_max,
		                        .start = &n->start };

	memcpy(opts.mac, n->mac, 6);
	struct segment_ops ops = { .send = on_send, .changed = on_changed, .arg = n };
	n->paused_until_ms = 0;
	n->segment = segment_new(&opts, n->key, &ops, sim_clock(n));
	segment_link(n->segment, sim_clock(n), n->link_up);
	sim_publish(s, node);
}

void sim_start(struct sim *s, size_t node)
{
	s->nodes[node].start = (struct claims_start){ 0 };
	sim_attach(s, node);
}

void sim_kill(struct sim *s, size_t node)
{
	segment_free(s->nodes[node].segment);
	s->nodes[node].segment = NULL;
	s->nodes[node].lingers = false;
}

void sim_stop(struct sim *s, size_t node, enum l2_stop how)
{
	segment_farewell(s->nodes[node].segment, sim_clock(&s->nodes[node]), how);
	sim_kill(s, node);
}

void sim_linger(struct sim *s, size_t node)
{
	segment_farewell(s->nodes[node].segment, sim_clock(&s->nodes[node]), L2_STOP_RESTARTING);
	s->nodes[node].lingers = true;
}

void sim_link(struct sim *s, size_t node, bool up)
{
	s->nodes[node].link_up = up;
	if (s->nodes[node].segment)
		segment_link(s->nodes[node].segment, sim_clock(&s->nodes[node]), up);
}

void sim_mtu(struct sim *s, size_t node, size_t mtu)
{
	s->nodes[node].mtu = mtu;
	if (s->nodes[node].segment)
		segment_set_mtu(s->nodes[node].segment, sim_clock(&s->nodes[node]), mtu);
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
	segment_set_wants(n->segment, sim_clock(n), &n->view, wants, s->n_addresses);
}

/* ---- time, and what is observed ---- */

bool sim_answers(const struct sim *s, size_t node, size_t address)
{
	const struct sim_node *n = &s->nodes[node];

	return turns(s, n) && n->link_up &&
	       segment_answers(n->segment, sim_clock(n), sim_address(address));
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

size_t sim_owned(const struct sim *s, int node)
{
	for (size_t a = 0; a < s->n_addresses; a++)
		if (sim_owner(s, a) == node)
			return a;
	fprintf(stderr, "node %d owns nothing\n", node);
	abort();
}

uint64_t sim_total_probes(const struct sim *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		n += s->nodes[i].probes_sent;
	return n;
}

struct l2_state sim_state(const struct sim *s, size_t node, size_t address)
{
	struct l2_state state;

	segment_state(s->nodes[node].segment, sim_address(address), &state);
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
		s->none_ms[a] = s->several_ms[a] = s->silent_ms[a] = 0;
	}
	s->worst_none_ms = s->worst_several_ms = s->worst_silent_ms = 0;
}

size_t sim_total_changes(const struct sim *s)
{
	size_t n = 0;

	for (size_t a = 0; a < s->n_addresses; a++)
		n += (size_t)s->changes[a];
	return n;
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
	for (size_t a = 0; a < s->n_addresses; a++) {
		n->answers[a] = sim_answers(s, n->index, a);
		n->stands_in[a] =
			there && segment_stands_in(n->segment, sim_clock(n), sim_address(a));
	}
}

static void observe(struct sim *s, size_t a)
{
	size_t n = 0, owner = 0, others = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		others += s->nodes[i].stands_in[a];
	for (size_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].answers[a]) {
			owner = i;
			n++;
		}
	s->none_ms[a] = n == 0 ? s->none_ms[a] + 1 : 0;
	s->silent_ms[a] = n + others == 0 ? s->silent_ms[a] + 1 : 0;
	s->several_ms[a] = n > 1 ? s->several_ms[a] + 1 : 0;
	if (s->none_ms[a] > s->worst_none_ms)
		s->worst_none_ms = s->none_ms[a];
	if (s->silent_ms[a] > s->worst_silent_ms)
		s->worst_silent_ms = s->silent_ms[a];
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
		n->answered_ms = sim_clock(n);
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
			if (turns(s, n) && !n->lingers &&
			    segment_deadline(n->segment) <= sim_clock(n) && sim_random(s, 2)) {
				segment_tick(n->segment, sim_clock(n));
				n->was_asked = false;
			}
		}
		for (size_t i = 0; i < s->n_nodes; i++)
			ask_for_all(s, &s->nodes[i]);
		for (size_t a = 0; a < s->n_addresses; a++)
			observe(s, a);
	}
}
