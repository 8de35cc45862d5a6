/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * In steady state a segment allocates nothing: the urgent thread waits for no lock of the allocator
 * and for no page.  What we allocate is counted, by the linker's --wrap; libcrypto takes two small
 * blocks for each message and gives them back.
 */
#include "unit.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "l2/neighbor.h"
#include "l2/segment.h"

#define NODES 3
#define ADDRESSES 8
#define FRAMES 512

static size_t n_allocated;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	n_allocated++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	n_allocated++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	n_allocated++;
	return __real_realloc(p, size);
}

static struct {
	int64_t now;
	struct segment *segments[NODES];
	struct {
		size_t from, size;
		uint8_t data[WIRE_FRAME_MAX];
	} frames[FRAMES];
	size_t n_frames;
	size_t n_changed, n_sent;
} w;

static int on_send(const void *frame, size_t size, void *arg)
{
	size_t i = w.n_frames++;

	assert_true(i < FRAMES);
	w.n_sent++;
	w.frames[i].from = (size_t)((struct segment **)arg - w.segments);
	w.frames[i].size = size;
	memcpy(w.frames[i].data, frame, size);
	return 0;
}

static void on_changed(const struct addr *addr, void *arg)
{
	(void)addr;
	(void)arg;
	w.n_changed++;
}

/* What was sent arrives everywhere, but for the answers, which are to somebody else. */
static void deliver(void)
{
	for (size_t i = 0; i < w.n_frames; i++)
		for (size_t to = 0; to < NODES; to++)
			if (to != w.frames[i].from)
				segment_receive(w.segments[to], w.now, 0, w.frames[i].data,
				                w.frames[i].size);
	w.n_frames = 0;
}

static void question(const struct addr *target)
{
	static const uint8_t mac[] = { 6, 0, 0, 0, 0, 1 };
	static const uint8_t all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct addr client = *target;
	uint8_t frame[NEIGHBOR_FRAME_MAX];

	client.b[addr_size(client.family) - 1] = 200;
	const struct neighbor_ops *ops = neighbor_of(target->family);
	size_t size = ops->ask(mac, all, &client, target, frame);
	for (size_t to = 0; to < NODES; to++)
		segment_receive(w.segments[to], w.now, 0, frame, size);
}

static void run(int64_t ms, const struct l2_want *wants)
{
	for (int64_t end = w.now + ms; w.now < end; w.now++) {
		deliver();
		for (size_t i = 0; i < NODES; i++)
			if (segment_deadline(w.segments[i]) <= w.now)
				segment_tick(w.segments[i], w.now);
		if (w.now % 10 == 0)
			question(&wants[(size_t)(w.now / 10) % ADDRESSES].addr);
	}
}

static void nothing_is_allocated_at_rest(void **state)
{
	(void)state;
	static const char *const names[] = { "node-a", "node-b", "node-c" };
	static const bool awaited[NODES] = { true, true, true };
	static const uint16_t candidates[] = { 0, 1, 2 };
	struct l2_want wants[ADDRESSES] = { 0 };
	const struct l2_want *list[ADDRESSES];
	struct l2_snapshot view = {
		.nodes = names, .n_nodes = NODES, .awaited = awaited, .view_fresh = true
	};
	struct wire_key *key = wire_key_new((const uint8_t *)"the key", 7);
	struct l2_options opts[NODES];

	for (size_t a = 0; a < ADDRESSES; a++) {
		assert_int_equal(addr_parse(a % 2 ? "fd00::" : "192.0.2.0", &wants[a].addr), 0);
		wants[a].addr.b[addr_size(wants[a].addr.family) - 1] = (uint8_t)(100 + a);
		wants[a].identity.id[0] = (uint8_t)(a + 1);
		wants[a].eligible = true;
		wants[a].candidates = candidates;
		wants[a].n_candidates = NODES;
	}
	for (size_t a = 0; a < ADDRESSES; a++) /* sorted */
		list[a] = &wants[a < ADDRESSES / 2 ? 2 * a : 2 * a - ADDRESSES + 1];
	w.now = 1000;
	for (size_t i = 0; i < NODES; i++) {
		opts[i] = (struct l2_options){ .node = names[i],
			                       .timing = { 70, 5, 25 },
			                       .restart_hold_ms = 5000,
			                       .first_use_probe = true };
		struct segment_options so = { .l2 = &opts[i],
			                      .mac = { 2, 0, 0, 0, 0, (uint8_t)(i + 1) },
			                      .incarnation = 1 + i,
			                      .seed = i };
		assert_int_equal(addr_parse("192.0.2.1", &so.sources.v4), 0);
		so.sources.v4.b[3] = (uint8_t)(i + 1);
		struct segment_ops ops = { on_send, on_changed, &w.segments[i] };
		w.segments[i] = segment_new(&so, key, &ops, w.now);
		segment_link(w.segments[i], w.now, true);
		segment_set_wants(w.segments[i], w.now, &view, list, ADDRESSES);
	}
	run(60000, wants);
	assert_true(n_allocated > 0);
	n_allocated = w.n_changed = w.n_sent = 0;
	run(120000, wants);
	assert_true(w.n_sent > NODES * 120 * 10);
	assert_int_equal(w.n_changed, 0);
	assert_int_equal(n_allocated, 0);
	for (size_t i = 0; i < NODES; i++)
		segment_free(w.segments[i]);
	wire_key_free(key);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_allocated_at_rest),
	};

	return cmocka_run_group_tests_name("steady", tests, NULL, NULL);
}
