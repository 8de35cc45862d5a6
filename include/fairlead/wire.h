/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_WIRE_H
#define FAIRLEAD_WIRE_H

/*
 * What speakers say to each other on a segment, as bytes.
 *
 * Every message is one Ethernet frame with a UDP datagram to a link-local multicast group, hop
 * limit 255 (a router would have lowered it): by IPv4 where the sender's interface has an address
 * of it, else by IPv6.  Claims of both families go in either.  The payload, big-endian:
 *
 *	magic 4  version 1  type 1  flags 1  name length 1  name  MAC 6
 *	incarnation 8  sequence 4  claims digest 8  number of claims 4
 *	body by type:
 *	  heartbeat  interval in ms 2  multiplier 1  number 2  echoes (incarnation 8  sequence 4
 *	             proven 1)  more flags 1  the sender's IPv6 address, :: for none 16
 *	  request    number 2  targets (incarnation 8)
 *	  snapshot   first address 16  last address 16  number 2  claims
 *	  recall     target's incarnation 8  number 2  claims
 *	  delta      number 2  claims
 *	  a claim    address 16  identity 16  since when it exists 8  epoch 4  flags 1
 *	HMAC-SHA-256 over all of the payload before it 32
 *
 * An IPv4 address is an IPv4-mapped one (RFC 4291 2.5.5.2).  What stands behind the last element is
 * ignored, so that a later speaker may say more.
 *
 * Version 1 is the same with IPv4 addresses of 4 bytes, and no others, without more flags, interval
 * and multiplier, which are always those of WIRE_V1_…, and to another port.  Its digest and number
 * are those of the claims for IPv4 addresses.  A speaker that may have peers of version 1 says
 * everything twice, under one sequence number: to them as much as version 1 can tell, from a source
 * port by which those who understand version 2 know that they need not listen.
 *
 * The upper half of the flags says how large a datagram the sender's interface takes, in steps of
 * WIRE_MTU_STEP below WIRE_DATAGRAM_MAX, so that nobody sends it anything that its link would drop.
 *
 * A node's incarnation is drawn at random for each start and segment, so what was said on one
 * segment is worth nothing on another; what makes a message fresh is judged in member.h.  Nothing
 * here keeps state except the key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/identity.h"

#define WIRE_PORT 7474
#define WIRE_PORT_V1 7473
#define WIRE_GROUP_TEXT "224.0.0.173"
#define WIRE_GROUP6_TEXT "ff02::1"
#define WIRE_MAC_SIZE 6
/* with the NUL */
#define WIRE_NAME_SIZE 64
/* with the IP header; and with the Ethernet header, too */
#define WIRE_DATAGRAM_MAX 1400
#define WIRE_FRAME_MAX 1414
#define WIRE_MTU_STEP 80
#define WIRE_ECHO_MAX 64
/* What a message of version 1 may have; one of version 2 has room for WIRE_CLAIM_FIT at most. */
#define WIRE_CLAIM_MAX 36
#define WIRE_CLAIM_FIT 27
#define WIRE_TARGET_MAX 64
/* How often a speaker of version 1 says something, and how long it waits for others. */
#define WIRE_V1_HEARTBEAT_MS 100
#define WIRE_V1_DEAD_MS 350

extern const uint8_t wire_group_mac[WIRE_MAC_SIZE], wire_group6_mac[WIRE_MAC_SIZE];
/* The lowest and the highest address that can be claimed. */
extern const struct addr wire_first, wire_last;

enum wire_type {
	WIRE_HEARTBEAT = 1, /* with echoes */
	WIRE_DELTA,         /* claims that changed */
	WIRE_REQUEST,       /* asks the targets for their snapshots */
	WIRE_SNAPSHOT,      /* all claims of the sender for addresses in [first, last] */
	WIRE_RECALL,        /* to one target: what its former incarnation claimed */
};

#define WIRE_RESTARTING 0x01 /* the sender goes away and comes back: hold its claims */
#define WIRE_LEAVING 0x02    /* the sender goes away for good: it claims nothing */
#define WIRE_FRESH 0x04      /* the sender's view of the cluster is fresh */
#define WIRE_LISTENING 0x08  /* the sender does not answer for anything yet */
#define WIRE_FLAGS 0x0f

/* More flags of a heartbeat. */
#define WIRE_SETTLED 0x01   /* the sender does not wait any more for others that may be starting */
#define WIRE_REFUSES_4 0x02 /* its node would not carry traffic for IPv4 addresses, */
#define WIRE_REFUSES_6 0x04 /* for IPv6 ones */
#define WIRE_REFUSES (WIRE_REFUSES_4 | WIRE_REFUSES_6)
#define WIRE_KNOWS_MOVES 0x08 /* the sender leaves to others what moves to them */

/* "Of that incarnation I last heard that sequence number." */
struct wire_echo {
	uint64_t incarnation;
	uint32_t seq;
	bool proven; /* the sender knows that it is not a replay */
};

/* Made while most of the known nodes were not heard, or kept through a silence of ours. */
#define WIRE_CLAIM_WEAK 0x01
/* Its owner answers for it only until another node claims it.  Not in the digest. */
#define WIRE_CLAIM_OFFERED 0x02
/* Offered, to that node alone to which it goes so that all have their share.  Not in the digest. */
#define WIRE_CLAIM_MOVES 0x04
/* In a delta: given up; if weak, too, because another answers for it. */
#define WIRE_CLAIM_GONE 0x80
#define WIRE_CLAIM_FLAGS 0x87
/* Those that version 1 has. */
#define WIRE_V1_CLAIM_FLAGS 0x81

struct wire_claim {
	struct addr addr;
	struct identity identity;
	uint32_t epoch;
	uint8_t flags;
};

struct wire_msg {
	uint8_t version; /* 1, else 2 */
	enum wire_type type;
	uint8_t flags;
	char name[WIRE_NAME_SIZE];
	uint8_t mac[WIRE_MAC_SIZE];
	uint64_t incarnation;
	uint32_t seq;
	uint64_t digest;   /* of the sender's claims, after this message */
	uint32_t n_claims; /* how many they are */
	/* The same of IPv4 addresses alone; known of a decoded message in version 1 only. */
	uint64_t digest_v4;
	uint32_t n_claims_v4;
	uint16_t mtu; /* the sender's, in steps of WIRE_MTU_STEP; 0: it takes any message */
	/* of the IP header, which is not signed; wire_decode() alone knows it */
	struct addr source;
	/*
	 * WIRE_HEARTBEAT: how often the sender says something, and after how many intervals without
	 * anything it is dead; 0: not told (version 1).
	 */
	uint16_t heartbeat_ms;
	uint8_t multiplier;
	uint8_t more; /* WIRE_HEARTBEAT: more flags */
	/* WIRE_HEARTBEAT: what the sender's node has on the segment; none: not told, or nothing */
	struct addr source6;

	size_t n; /* elements in use of the array that the type has */
	union {
		struct wire_echo echoes[WIRE_ECHO_MAX];
		uint64_t targets[WIRE_TARGET_MAX];
		struct {
			struct addr first, last; /* WIRE_SNAPSHOT */
			uint64_t target;         /* WIRE_RECALL */
			struct wire_claim claims[WIRE_CLAIM_MAX];
		};
	};
};

/* A key ready for use; an empty one neither signs nor accepts anything. */
struct wire_key;
struct wire_key *wire_key_new(const uint8_t *key, size_t size);
void wire_key_free(struct wire_key *k);
bool wire_key_empty(const struct wire_key *k);

/*
 * How many elements of that type fit into a datagram of @mtu bytes, from a node whose name has
 * @name_len characters.
 */
size_t wire_room(enum wire_type type, size_t name_len, size_t mtu);
/* The smallest MTU with which a node of that name can say everything. */
size_t wire_mtu_min(size_t name_len);

/*
 * Writes the frame, from @source and m->mac; its size, 0 with an empty key.  In version 1, which
 * needs an IPv4 source, claims of other families are left out.
 */
size_t wire_encode(struct wire_key *k, const struct wire_msg *m, const struct addr *source,
                   uint8_t frame[static WIRE_FRAME_MAX]);
/*
 * Reads a frame.  -ENOMSG: not one of ours (another protocol, port or group), or one in version 1
 * that was said in version 2, too; -EBADMSG: damaged, routed, or not signed with this key; -EPROTO:
 * signed, but not understood.
 */
int wire_decode(struct wire_key *k, const void *frame, size_t size, struct wire_msg *ret_msg);
/* The part of wire_decode() behind the signature: reads a payload without its HMAC. */
int wire_parse(const void *payload, size_t size, struct wire_msg *ret_msg);

#endif
