/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/snapshot.h"

#include <string.h>

#include "fairlead/mem.h"

/* Hands out parts of one block; the parts that need the strictest alignment come first. */
struct block {
	char *p;
};

static void *carve(struct block *b, size_t size)
{
	void *part = b->p;

	b->p += size;
	return part;
}

/* Of texts and awaited. */
static size_t bytes_size(const struct l2_snapshot *s)
{
	size_t size = 0;

	for (size_t i = 0; i < s->n_places; i++)
		size += strlen(s->places[i].interfaces) + 1 + strlen(s->places[i].routed) + 1;
	for (size_t i = 0; i < s->n_nodes; i++)
		size += strlen(s->nodes[i]) + 1;
	return size + (s->awaited ? s->n_nodes * sizeof(*s->awaited) : 0);
}

static const char *copy_text(struct block *bytes, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(carve(bytes, size), text, size);
}

static const char **copy_names(struct block *pointers, struct block *bytes,
                               const struct l2_snapshot *s)
{
	const char **names = carve(pointers, s->n_nodes * sizeof(*names));

	for (size_t i = 0; i < s->n_nodes; i++) {
		names[i] = copy_text(bytes, s->nodes[i]);
	}
	return names;
}

static const void *copy_part(struct block *b, const void *part, size_t size)
{
	void *copy = carve(b, size);

	return size ? memcpy(copy, part, size) : copy;
}

static const struct l2_place *copy_places(struct block *pointers, struct block *bytes,
                                          const struct l2_snapshot *s)
{
	struct l2_place *places = carve(pointers, s->n_places * sizeof(*places));

	for (size_t i = 0; i < s->n_places; i++) {
		places[i].interfaces = copy_text(bytes, s->places[i].interfaces);
		places[i].routed = copy_text(bytes, s->places[i].routed);
	}
	return places;
}

struct l2_snapshot *snapshot_copy(const struct l2_snapshot *s)
{
	size_t pointers = s->n_nodes * sizeof(char *) + s->n_places * sizeof(*s->places);
	size_t ranges = s->n_ranges * sizeof(*s->ranges);
	struct block b = { xmalloc(sizeof(*s) + pointers + ranges + bytes_size(s)) };
	struct l2_snapshot *copy = carve(&b, sizeof(*copy));
	struct block in_ranges = { b.p + pointers }, bytes = { in_ranges.p + ranges };

	*copy = *s;
	copy->nodes = copy_names(&b, &bytes, s);
	copy->places = copy_places(&b, &bytes, s);
	copy->ranges = copy_part(&in_ranges, s->ranges, ranges);
	if (s->awaited) {
		size_t size = s->n_nodes * sizeof(*s->awaited);
		copy->awaited = memcpy(carve(&bytes, size), s->awaited, size);
	}
	return copy;
}

/* ---- comparing ---- */

static bool same_nodes(const struct l2_snapshot *a, const struct l2_snapshot *b)
{
	if (a->n_nodes != b->n_nodes || !a->awaited != !b->awaited)
		return false;
	for (size_t i = 0; i < a->n_nodes; i++)
		if (strcmp(a->nodes[i], b->nodes[i]) != 0 ||
		    (a->awaited && a->awaited[i] != b->awaited[i]))
			return false;
	return true;
}

static bool same_places(const struct l2_snapshot *a, const struct l2_snapshot *b)
{
	if (a->n_places != b->n_places)
		return false;
	for (size_t i = 0; i < a->n_places; i++)
		if (strcmp(a->places[i].interfaces, b->places[i].interfaces) != 0 ||
		    strcmp(a->places[i].routed, b->places[i].routed) != 0)
			return false;
	return true;
}

static bool same_ranges(const struct l2_snapshot *a, const struct l2_snapshot *b)
{
	if (a->n_ranges != b->n_ranges)
		return false;
	for (size_t i = 0; i < a->n_ranges; i++)
		if (!addr_eq(&a->ranges[i].range.first, &b->ranges[i].range.first) ||
		    !addr_eq(&a->ranges[i].range.last, &b->ranges[i].range.last) ||
		    a->ranges[i].place != b->ranges[i].place)
			return false;
	return true;
}

bool snapshot_eq(const struct l2_snapshot *a, const struct l2_snapshot *b)
{
	return a->view_fresh == b->view_fresh && a->refuses4 == b->refuses4 &&
	       a->refuses6 == b->refuses6 && a->timing.heartbeat_ms == b->timing.heartbeat_ms &&
	       a->timing.multiplier == b->timing.multiplier &&
	       a->timing.probe_ms == b->timing.probe_ms &&
	       a->rebalance.per_minute == b->rebalance.per_minute &&
	       a->rebalance.asked == b->rebalance.asked && same_nodes(a, b) && same_places(a, b) &&
	       same_ranges(a, b);
}
