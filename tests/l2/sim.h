/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_L2_SIM_H
#define FAIRLEAD_TESTS_L2_SIM_H

/*
 * Several nodes on a simulated segment, in virtual time: frames are delayed, reordered, lost and
 * blocked as asked for, nodes are killed, stopped, restarted and rebooted, and at each millisecond
 * it is noted which of them answer for what.  Everything follows from the seed.
 *
 * A node is a kernel, which answers for the node's own address, and a speaker.  A speaker that
 * is paused finds afterwards what its socket's buffer has kept.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l2/segment.h"

#ifndef SIM_NODES_MAX /* a test program may have more */
#define SIM_NODES_MAX 6
#define SIM_ADDRESSES_MAX 2048
#endif
/* as sim.socket_frames, unless told */
#define SIM_BUFFER_FRAMES 128
#define SIM_HEARTBEAT_MS 70
#define SIM_MULTIPLIER 5
#define SIM_DEAD_MS (SIM_HEARTBEAT_MS * SIM_MULTIPLIER)
#define SIM_LISTEN_MS SIM_DEAD_MS
/* after that, for others that may be starting */
#define SIM_START_MS 2000
#define SIM_HOLD_MS 5000
#define SIM_PROBE_MS 25

struct sim;

/* The family of all addresses until sim_fini(): 6, or 4 unless told. */
void sim_use_family(uint8_t f);
/* Every other address is of IPv6, until sim_fini(). */
void sim_use_both_families(void);
/* 192.168.1.240 or fd00::f0, and so on. */
const struct addr *sim_address(size_t a);
/* Of the node itself: 192.168.1.11 or fd00::b, and so on. */
struct addr sim_node_address(size_t node);

struct sim_node {
	struct sim *sim;
	size_t index;
	char name[16];
	uint8_t mac[6];
	struct segment *segment; /* NULL: not running */
	struct wire_key *key;
	struct claims_start start; /* of the process */
	bool link_up, host_down;
	/*
	 * Its speaker is one of version 1: what it says is put into that version, and of what is
	 * said to it only that arrives.
	 */
	bool v1;
	bool lingers;     /* it has said that it restarts, and hears neighbours alone */
	bool no_moves;    /* its heartbeats do not tell that it knows WIRE_CLAIM_MOVES */
	bool ignores_arp; /* its kernel does not answer for its own address */
	size_t mtu; /* of its interface: larger datagrams are neither sent nor received; 0: any */
	int64_t paused_until_ms;
	struct l2_options opts;
	struct l2_snapshot view;
	int64_t answered_ms; /* when the API server answered it last */
	int drift_percent;   /* by so much its clock goes faster than time; before it is started */
	struct l2_want *wants;
	uint64_t frames_sent, bytes_sent, probes_sent, gratuitous_sent;
	size_t received; /* frames in this millisecond */
	size_t queued;   /* frames kept while it is paused */
	bool lost;       /* there were more of them than are kept */
	/*
	 * Would it answer, by address?  As of when it was asked last, and whether it was running
	 * and connected then.
	 */
	bool answers[SIM_ADDRESSES_MAX];
	bool stands_in[SIM_ADDRESSES_MAX]; /* in the name of one that restarts */
	bool was_asked, was_there;
};

struct sim_frame {
	int64_t at_ms;
	size_t to, size;
	uint8_t *data;
	bool seen; /* by the kernel; it waits for a speaker that is paused */
};

struct sim {
	uint64_t random;
	int64_t now;
	size_t n_nodes, n_addresses;
	struct sim_node nodes[SIM_NODES_MAX];
	const char *names[SIM_NODES_MAX];
	uint16_t candidates[SIM_NODES_MAX];
	bool awaited[SIM_NODES_MAX]; /* all of them; every view's */
	int loss_percent;
	bool reorder;
	/* what a node can receive in a millisecond; the rest is lost.  0: all */
	size_t buffer_frames;
	size_t socket_frames;                        /* kept for a speaker that is paused */
	bool blocked[SIM_NODES_MAX][SIM_NODES_MAX];  /* [from][to] */
	bool filtered[SIM_NODES_MAX][SIM_NODES_MAX]; /* heartbeats only */
	bool server_away; /* the API server answers nobody, whether they have noticed or not */
	size_t mtu;       /* of the wire: larger datagrams vanish; 0: none do */
	size_t peers_max; /* that a speaker has room for which is started from now on; 0: all */
	struct sim_frame *frames;
	size_t n_frames, frames_cap;

	/* What was observed since sim_observe(), by address. */
	int owner[SIM_ADDRESSES_MAX]; /* the last node that answered alone, -1 if none yet */
	int changes[SIM_ADDRESSES_MAX];
	int64_t none_ms[SIM_ADDRESSES_MAX], several_ms[SIM_ADDRESSES_MAX]; /* the present stretch */
	int64_t worst_none_ms, worst_several_ms;
	/* Neither anybody who owns it, nor anybody in the name of one. */
	int64_t silent_ms[SIM_ADDRESSES_MAX], worst_silent_ms;

	/* A stranger that uses an address, 0: none. */
	struct addr stranger_address;
	uint8_t stranger_mac[6];
	/* Frames of node record_from are kept, up to the capacity. */
	int record_from;
	struct sim_frame *recorded;
	size_t n_recorded, recorded_cap;
};

uint64_t sim_random(struct sim *s, uint64_t bound);
void sim_init(struct sim *s, uint64_t seed, size_t n_nodes, size_t n_addresses);
void sim_fini(struct sim *s);
/* Gives the node another heartbeat key before its speaker starts; "": none. */
void sim_key(struct sim *s, size_t node, const char *key);
/* Starts the node's speaker, with the view that node->wants is. */
void sim_start(struct sim *s, size_t node);
/* The same in a process that has been there for long: another interface of it has appeared. */
void sim_attach(struct sim *s, size_t node);
/* Ends it without a word (kill -9), or with a farewell. */
void sim_kill(struct sim *s, size_t node);
void sim_stop(struct sim *s, size_t node, enum l2_stop how);
/* Says that it restarts, and goes on for a moment as l2.c does; then it is to be killed. */
void sim_linger(struct sim *s, size_t node);
void sim_link(struct sim *s, size_t node, bool up);
/* Another MTU of the node's interface, of which its speaker learns. */
void sim_mtu(struct sim *s, size_t node, size_t mtu);
/* The whole machine stops at once, or is there again, with or without a speaker as before. */
void sim_power(struct sim *s, size_t node, bool on);
void sim_pause(struct sim *s, size_t node, int64_t ms);
/* Gives the node its (changed) view anew. */
void sim_publish(struct sim *s, size_t node);
void sim_run(struct sim *s, int64_t ms);
/* Begins observing anew. */
void sim_observe(struct sim *s);
/* How often an owner changed since then, of all addresses. */
size_t sim_total_changes(const struct sim *s);
/* Gives a frame to a node, as if it came from the wire. */
void sim_inject(struct sim *s, size_t node, const void *frame, size_t size);
/* To which port a message goes; 0: the frame is something else. */
uint16_t sim_port(const uint8_t *frame);
/*
 * Makes a message of version 1 what a speaker of that version sends, not a copy of what was said in
 * version 2.
 */
void sim_make_original(uint8_t *frame);

bool sim_answers(const struct sim *s, size_t node, size_t address);
struct l2_state sim_state(const struct sim *s, size_t node, size_t address);
struct l2_stats sim_stats(const struct sim *s, size_t node);
/* The only node that answers, -1 if none or several do. */
int sim_owner(const struct sim *s, size_t address);
/* The first address that @node owns; ends the program if it owns none. */
size_t sim_owned(const struct sim *s, int node);
/* How many probes all nodes have sent. */
uint64_t sim_total_probes(const struct sim *s);

#endif
