/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trie over the family and the half bytes of the address, without nodes that have one child only.
 * A node branches at one half byte, its level; everything below it agrees in those before.  Nodes
 * count who points to them: one that nobody else does is edited in place, so a map that is not
 * shared is filled without copies.
 */
#include "config.h"

#include "fairlead/want_map.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* The family, and two for each byte; below them are the leaves. */
#define LEVELS 33
#define LEAF LEVELS

struct want_node {
	size_t refs;
	uint8_t level;
	uint16_t has;     /* a bit for each half byte that has a child */
	struct addr addr; /* of a leaf, or of any below */
};

struct branch {
	struct want_node node;
	struct want_node *children[];
};

struct leaf {
	struct want_node node; /* has no children */
	struct l2_want want;
	struct want_arrays *arrays;
};

struct want_arrays *want_arrays_ref(struct want_arrays *arrays)
{
	if (arrays)
		arrays->refs++;
	return arrays;
}

void want_arrays_unref(struct want_arrays *arrays)
{
	if (arrays && --arrays->refs == 0)
		free(arrays);
}

/* ---- nodes ---- */

static unsigned int half_byte(const struct addr *a, unsigned int level)
{
	if (level == 0)
		return a->family & 15;
	uint8_t byte = a->b[(level - 1) / 2];
	return level % 2 ? byte >> 4 : byte & 15;
}

static size_t n_children(const struct want_node *node)
{
	return (size_t)__builtin_popcount(node->has);
}

static bool has_child(const struct want_node *node, unsigned int half)
{
	return node->has >> half & 1;
}

/* Where the child for @half is, or would be. */
static size_t child_at(const struct want_node *node, unsigned int half)
{
	return (size_t)__builtin_popcount(node->has & ((1u << half) - 1));
}

/* Of a branch. */
static struct want_node **children(const struct want_node *node)
{
	return ((struct branch *)node)->children;
}

static const struct leaf *leaf_of(const struct want_node *node)
{
	return (const struct leaf *)node;
}

static struct want_node *node_new(struct want_map *m, size_t size, const struct addr *addr,
                                  uint8_t level)
{
	struct want_node *node = xcalloc(1, size);

	node->refs = 1;
	node->level = level;
	node->addr = *addr;
	m->n_made++;
	m->made_bytes += size;
	return node;
}

static struct want_node *branch_new(struct want_map *m, size_t n, const struct addr *addr,
                                    uint8_t level)
{
	return node_new(m, sizeof(struct branch) + n * sizeof(struct want_node *), addr, level);
}

static struct want_node *leaf_new(struct want_map *m, const struct l2_want *want,
                                  struct want_arrays *arrays)
{
	struct leaf *leaf = (struct leaf *)node_new(m, sizeof(struct leaf), &want->addr, LEAF);

	leaf->want = *want;
	leaf->arrays = want_arrays_ref(arrays);
	return &leaf->node;
}

static void node_unref(struct want_node *node)
{
	if (!node || --node->refs > 0)
		return;
	if (node->level == LEAF)
		want_arrays_unref(((struct leaf *)node)->arrays);
	for (size_t i = 0; i < n_children(node); i++)
		node_unref(children(node)[i]);
	free(node);
}

/* A branch with the children of @node; with room for one more before position @gap, if any. */
static struct want_node *branch_copy(struct want_map *m, const struct want_node *node, size_t gap)
{
	size_t n = n_children(node);
	struct want_node *copy = branch_new(m, n + (gap <= n), &node->addr, node->level);

	copy->has = node->has;
	for (size_t i = 0; i < n; i++) {
		children(copy)[i + (i >= gap)] = children(node)[i];
		children(node)[i]->refs++;
	}
	return copy;
}

static void replace(struct want_node **at, struct want_node *node)
{
	struct want_node *old = *at;

	*at = node;
	node_unref(old);
}

/* The branch at @at, which from now on is this version's alone. */
static struct want_node *own(struct want_map *m, struct want_node **at)
{
	if ((*at)->refs > 1)
		replace(at, branch_copy(m, *at, SIZE_MAX));
	return *at;
}

/* ---- looking ---- */

/* The leaf that agrees with the address as far as branches look at it; the map is not empty. */
static const struct leaf *nearest(const struct want_map *m, const struct addr *addr)
{
	const struct want_node *node = m->root;

	while (node->level != LEAF) {
		unsigned int half = half_byte(addr, node->level);
		node = children(node)[has_child(node, half) ? child_at(node, half) : 0];
	}
	return leaf_of(node);
}

const struct l2_want *want_map_find(const struct want_map *m, const struct addr *addr)
{
	const struct leaf *leaf = m->root ? nearest(m, addr) : NULL;

	return leaf && addr_eq(&leaf->node.addr, addr) ? &leaf->want : NULL;
}

/* The first level at which they differ, LEVELS: at none. */
static unsigned int differ_at(const struct addr *a, const struct addr *b)
{
	unsigned int level = 0;

	while (level < LEVELS && half_byte(a, level) == half_byte(b, level))
		level++;
	return level;
}

static void each(const struct want_node *node, void (*fn)(const struct l2_want *want, void *arg),
                 void *arg)
{
	if (node->level == LEAF)
		fn(&leaf_of(node)->want, arg);
	for (size_t i = 0; i < n_children(node); i++)
		each(children(node)[i], fn, arg);
}

void want_map_each(const struct want_map *m, void (*fn)(const struct l2_want *want, void *arg),
                   void *arg)
{
	if (m->root)
		each(m->root, fn, arg);
}

/* ---- editing ---- */

static bool same_arrays(const struct l2_want *a, const struct l2_want *b)
{
	size_t n = a->n_candidates;

	return n == b->n_candidates && !a->preferences == !b->preferences &&
	       (a->candidates == b->candidates || n == 0 ||
	        !memcmp(a->candidates, b->candidates, n * sizeof(*a->candidates))) &&
	       (a->preferences == b->preferences || n == 0 ||
	        !memcmp(a->preferences, b->preferences, n * sizeof(*a->preferences)));
}

static bool is_same(const struct l2_want *a, const struct l2_want *b)
{
	return identity_eq(&a->identity, &b->identity) && a->eligible == b->eligible &&
	       a->preference == b->preference && a->place == b->place && a->added == b->added &&
	       same_arrays(a, b);
}

/* A branch at @level in place of @at, which lies below it, for the leaf as well. */
static void split(struct want_map *m, struct want_node **at, struct want_node *leaf,
                  unsigned int level)
{
	struct want_node *branch = branch_new(m, 2, &leaf->addr, (uint8_t)level);
	unsigned int old = half_byte(&(*at)->addr, level), fresh = half_byte(&leaf->addr, level);

	branch->has = (uint16_t)(1u << old | 1u << fresh);
	children(branch)[old > fresh] = *at;
	children(branch)[fresh > old] = leaf;
	*at = branch;
}

static void add_child(struct want_map *m, struct want_node **at, struct want_node *leaf)
{
	unsigned int half = half_byte(&leaf->addr, (*at)->level);
	size_t gap = child_at(*at, half);
	struct want_node *branch = branch_copy(m, *at, gap);

	children(branch)[gap] = leaf;
	branch->has |= (uint16_t)(1u << half);
	replace(at, branch);
}

/* The place of what is at @level, or the first below it, on the way to the address. */
static struct want_node **descend(struct want_map *m, const struct addr *addr, unsigned int level)
{
	struct want_node **at = &m->root;

	while ((*at)->level < level) {
		struct want_node *branch = own(m, at);
		at = &children(branch)[child_at(branch, half_byte(addr, branch->level))];
	}
	return at;
}

bool want_map_put(struct want_map *m, const struct l2_want *want, struct want_arrays *arrays)
{
	const struct leaf *near = m->root ? nearest(m, &want->addr) : NULL;
	unsigned int level = near ? differ_at(&near->node.addr, &want->addr) : 0;

	if (near && level == LEVELS && is_same(&near->want, want))
		return false;
	struct want_node *leaf = leaf_new(m, want, arrays);
	m->n += level < LEVELS;
	if (!near) {
		m->root = leaf;
		return true;
	}
	struct want_node **at = descend(m, &want->addr, level);
	if (level == LEVELS)
		replace(at, leaf);
	else if ((*at)->level == level)
		add_child(m, at, leaf);
	else
		split(m, at, leaf, level);
	return true;
}

/* Takes the child out of the branch, which goes where one is left. */
static void drop_child(struct want_map *m, struct want_node **at, unsigned int half)
{
	struct want_node *branch = own(m, at);
	size_t gone = child_at(branch, half), n = n_children(branch);

	node_unref(children(branch)[gone]);
	memmove(&children(branch)[gone], &children(branch)[gone + 1],
	        (n - gone - 1) * sizeof(struct want_node *));
	branch->has &= (uint16_t) ~(1u << half);
	if (n > 2)
		return;
	children(branch)[0]->refs++;
	replace(at, children(branch)[0]);
}

bool want_map_remove(struct want_map *m, const struct addr *addr)
{
	struct want_node **at = &m->root, **parent = NULL;

	if (!want_map_find(m, addr))
		return false;
	while ((*at)->level != LEAF) {
		struct want_node *branch = own(m, at);
		parent = at;
		at = &children(branch)[child_at(branch, half_byte(addr, branch->level))];
	}
	m->n--;
	if (parent)
		drop_child(m, parent, half_byte(addr, (*parent)->level));
	else
		replace(at, NULL);
	return true;
}

struct want_map want_map_share(const struct want_map *m)
{
	if (m->root)
		m->root->refs++;
	return (struct want_map){ .root = m->root, .n = m->n };
}

void want_map_fini(struct want_map *m)
{
	node_unref(m->root);
	*m = (struct want_map){ 0 };
}

/* ---- differences ---- */

struct diff {
	want_map_diff_fn *fn;
	void *arg;
	size_t n; /* nodes looked at */
};

/* Everything in it is in one of the two only. */
static void diff_one(struct diff *d, const struct want_node *node, bool is_new)
{
	d->n++;
	if (node->level == LEAF) {
		const struct l2_want *want = &leaf_of(node)->want;
		d->fn(is_new ? NULL : want, is_new ? want : NULL, d->arg);
	}
	for (size_t i = 0; i < n_children(node); i++)
		diff_one(d, children(node)[i], is_new);
}

static void diff_both(struct diff *d, const struct want_node *a, const struct want_node *b);

/* Children of two branches of one level, which agree above it. */
static void diff_children(struct diff *d, const struct want_node *a, const struct want_node *b)
{
	for (unsigned int half = 0; half < 16; half++) {
		bool in_a = has_child(a, half), in_b = has_child(b, half);
		if (in_a && in_b)
			diff_both(d, children(a)[child_at(a, half)],
			          children(b)[child_at(b, half)]);
		else if (in_a)
			diff_one(d, children(a)[child_at(a, half)], false);
		else if (in_b)
			diff_one(d, children(b)[child_at(b, half)], true);
	}
}

/* The lower one lies where the branch @high has, or would have, a child. */
static void diff_below(struct diff *d, const struct want_node *high, const struct want_node *low,
                       bool low_is_new)
{
	unsigned int half = half_byte(&low->addr, high->level);

	for (unsigned int h = 0; h < 16; h++) {
		const struct want_node *child =
			has_child(high, h) ? children(high)[child_at(high, h)] : NULL;
		if (h == half && child)
			diff_both(d, low_is_new ? child : low, low_is_new ? low : child);
		else if (h == half)
			diff_one(d, low, low_is_new);
		else if (child)
			diff_one(d, child, !low_is_new);
	}
}

static void diff_both(struct diff *d, const struct want_node *a, const struct want_node *b)
{
	if (a == b)
		return;
	d->n++;
	unsigned int level = differ_at(&a->addr, &b->addr);
	unsigned int highest = a->level < b->level ? a->level : b->level;
	if (level < highest) { /* they lie beside each other */
		bool a_first = half_byte(&a->addr, level) < half_byte(&b->addr, level);
		diff_one(d, a_first ? a : b, !a_first);
		diff_one(d, a_first ? b : a, a_first);
	} else if (a->level == LEAF && b->level == LEAF) {
		d->fn(&leaf_of(a)->want, &leaf_of(b)->want, d->arg);
	} else if (a->level == b->level) {
		diff_children(d, a, b);
	} else if (a->level < b->level) {
		diff_below(d, a, b, true);
	} else {
		diff_below(d, b, a, false);
	}
}

size_t want_map_diff(const struct want_map *before, const struct want_map *after,
                     want_map_diff_fn *fn, void *arg)
{
	struct diff d = { .fn = fn, .arg = arg };

	if (before->root && after->root)
		diff_both(&d, before->root, after->root);
	else if (before->root)
		diff_one(&d, before->root, false);
	else if (after->root)
		diff_one(&d, after->root, true);
	return d.n;
}
