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
	size_t n = a->n_candidates;

	return n == b->n_candidates && !a->preferences == !b->preferences &&
	       (a->candidates == b->candidates || n == 0 ||
	        !memcmp(a->candidates, b->candidates, n * sizeof(uint16_t))) &&
	       (a->preferences == b->preferences || n == 0 ||
	        !memcmp(a->preferences, b->preferences, n * sizeof(uint32_t)));
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

static size_t candidates_size(const struct l2_snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_wants; i++)
		if (i == 0 || !same_candidates(&s->wants[i], &s->wants[i - 1]))
			n += s->wants[i].n_candidates;
	return n * sizeof(uint16_t);
}

static size_t preferences_size(const struct l2_snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_wants; i++)
		if (s->wants[i].preferences &&
		    (i == 0 || !same_candidates(&s->wants[i], &s->wants[i - 1])))
			n += s->wants[i].n_candidates;
	return n * sizeof(uint32_t);
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

static struct l2_want *copy_wants(struct block *structs, struct block *words, struct block *numbers,
                                  const struct l2_snapshot *s)
{
	struct l2_want *wants = carve(structs, s->n_wants * sizeof(*wants));

	for (size_t i = 0; i < s->n_wants; i++) {
		const struct l2_want *in = &s->wants[i];
		wants[i] = *in;
		if (i > 0 && same_candidates(in, &s->wants[i - 1])) {
			wants[i].candidates = wants[i - 1].candidates;
			wants[i].preferences = wants[i - 1].preferences;
			continue;
		}
		wants[i].candidates =
			copy_part(numbers, in->candidates, in->n_candidates * sizeof(uint16_t));
		if (in->preferences)
			wants[i].preferences = copy_part(words, in->preferences,
			                                 in->n_candidates * sizeof(uint32_t));
	}
	return wants;
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
	size_t wants = s->n_wants * sizeof(*s->wants);
	size_t words = preferences_size(s), numbers = candidates_size(s);
	size_t ranges = s->n_ranges * sizeof(*s->ranges);
	struct block b = { xmalloc(sizeof(*s) + pointers + wants + words + numbers + ranges +
		                   bytes_size(s)) };
	struct l2_snapshot *copy = carve(&b, sizeof(*copy));
	struct block in_structs = { b.p + pointers }, in_words = { in_structs.p + wants };
	struct block in_numbers = { in_words.p + words };
	struct block in_ranges = { in_numbers.p + numbers }, bytes = { in_ranges.p + ranges };

	*copy = *s;
	copy->nodes = copy_names(&b, &bytes, s);
	copy->places = copy_places(&b, &bytes, s);
	copy->wants = copy_wants(&in_structs, &in_words, &in_numbers, s);
	copy->ranges = copy_part(&in_ranges, s->ranges, ranges);
	if (s->awaited) {
		size_t size = s->n_nodes * sizeof(*s->awaited);
		copy->awaited = memcpy(carve(&bytes, size), s->awaited, size);
	}
	return copy;
}
