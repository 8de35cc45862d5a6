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

/* Similar Services in a row have the same candidates: those are stored once. */
static bool same_candidates(const struct l2_want *a, const struct l2_want *b)
{
	return a->n_candidates == b->n_candidates &&
	       (a->candidates == b->candidates || a->n_candidates == 0 ||
	        !memcmp(a->candidates, b->candidates, a->n_candidates * sizeof(uint16_t)));
}

static size_t names_size(const struct l2_snapshot *s)
{
	size_t size = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		size += strlen(s->nodes[i]) + 1;
	return size;
}

static size_t candidates_size(const struct l2_snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_wants; i++)
		if (i == 0 || !same_candidates(&s->wants[i], &s->wants[i - 1]))
			n += s->wants[i].n_candidates;
	return n * sizeof(uint16_t);
}

static const char **copy_names(struct block *pointers, struct block *bytes,
                               const struct l2_snapshot *s)
{
	const char **names = carve(pointers, s->n_nodes * sizeof(*names));

	for (size_t i = 0; i < s->n_nodes; i++) {
		size_t size = strlen(s->nodes[i]) + 1;
		names[i] = memcpy(carve(bytes, size), s->nodes[i], size);
	}
	return names;
}

static struct l2_want *copy_wants(struct block *structs, struct block *numbers,
                                  const struct l2_snapshot *s)
{
	struct l2_want *wants = carve(structs, s->n_wants * sizeof(*wants));
	const uint16_t *candidates = NULL;

	for (size_t i = 0; i < s->n_wants; i++) {
		const struct l2_want *in = &s->wants[i];
		if (i == 0 || !same_candidates(in, &s->wants[i - 1])) {
			size_t size = in->n_candidates * sizeof(uint16_t);
			uint16_t *copy = carve(numbers, size);
			if (size)
				memcpy(copy, in->candidates, size);
			candidates = copy;
		}
		wants[i] = *in;
		wants[i].candidates = candidates;
	}
	return wants;
}

struct l2_snapshot *snapshot_copy(const struct l2_snapshot *s)
{
	size_t pointers = s->n_nodes * sizeof(char *), wants = s->n_wants * sizeof(*s->wants);
	size_t numbers = candidates_size(s), ranges = s->n_ranges * sizeof(*s->ranges);
	struct block b = { xmalloc(sizeof(*s) + pointers + wants + numbers + ranges +
		                   names_size(s)) };
	struct l2_snapshot *copy = carve(&b, sizeof(*copy));
	struct block structs = { b.p + pointers }, words = { b.p + pointers + wants };
	struct block bytes = { words.p + numbers + ranges };

	*copy = *s;
	copy->nodes = copy_names(&b, &bytes, s);
	copy->wants = copy_wants(&structs, &words, s);
	if (s->n_ranges)
		copy->ranges = memcpy(words.p, s->ranges, ranges);
	return copy;
}
