/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Messages of speakers.  The first byte of the input says what the rest is: 0, a frame as it comes
 * from the wire; otherwise payloads, each after its size in two bytes, which are given to a node as
 * if they had been signed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/cursor.h"
#include "l2/segment.h"

/* In a frame of IPv4 without options. */
#define UDP_AT 34

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int send_nothing(const void *frame, size_t size, void *arg)
{
	(void)frame;
	(void)size;
	(void)arg;
	return 0;
}

static void note_nothing(const struct addr *addr, void *arg)
{
	(void)addr;
	(void)arg;
}

/* A node with one want, that gets what was signed with its own key. */
static void receive_signed(struct wire_key *key, struct cursor c)
{
	static const struct l2_options l2 = { .node = "us",
		                              .timing = { 70, 5, 25 },
		                              .restart_hold_ms = 5000 };
	static const uint16_t candidates[] = { 0 };

	static const char *const nodes[] = { "us" };
	struct l2_want want = { .addr = { .family = 4, .b = { 192, 168, 1, 240 } },
		                .eligible = true,
		                .candidates = candidates,
		                .n_candidates = 1 };
	const struct l2_want *wants[] = { &want };
	struct l2_snapshot view = { .nodes = nodes, .n_nodes = 1 };
	struct segment_options opts = { .l2 = &l2,
		                        .mac = { 2 },
		                        .incarnation = 0x0101010101010101 };
	struct segment_ops ops = { .send = send_nothing, .changed = note_nothing };
	int64_t now = 1000;
	struct segment *s = segment_new(&opts, key, &ops, now);
	segment_link(s, now, true);
	segment_set_wants(s, now, &view, wants, 1);
	const struct addr source = { .family = 4, .b = { 192, 168, 1, 11 } };
	while (c.left > 0) {
		struct wire_msg msg;
		uint8_t frame[WIRE_FRAME_MAX];
		size_t n = cursor_u16(&c);
		n = n < c.left ? n : c.left;
		if (wire_parse(cursor_view(&c, n), n, &msg) == 0) {
			size_t frame_size = wire_encode(key, &msg, &source, frame);
			if (msg.version == 1)
				frame[UDP_AT + 1] = 0; /* not a copy of version 2 */
			segment_receive(s, now, 0, frame, frame_size);
		}
		now += 50;
		segment_tick(s, now);
	}
	segment_farewell(s, now, L2_STOP_YIELD);
	segment_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_key *key;
	struct wire_msg msg;

	if (!key)
		key = wire_key_new((const uint8_t *)"key", 3);
	if (size == 0)
		return 0;
	if (data[0] == 0)
		wire_decode(key, data + 1, size - 1, &msg);
	else
		receive_signed(key, cursor_of(data + 1, size - 1));
	return 0;
}
