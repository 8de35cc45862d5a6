/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A treap in the order of seniority.  Each branch knows what its shares have together, and how much
 * may be taken before it so that one of its shares that has nothing gets in.  These two tell
 * whether anything in the branch is not as it should be, so the first such share is found on one
 * way down.  What comes after it is judged by what was made of it, so each is changed once.
 */
#include "config.h"

#include "view/ration.h"

#include <stdlib.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

struct ration_share {
	struct seniority order;
	uint64_t amount;
	bool has;
	void *owner;
	struct ration_share *left, *right; /* older ones, younger ones */
	uint32_t weight;                   /* not below those of the branches */
	uint64_t sum;                      /* that shares of this branch have */
	uint64_t least; /* of the sum before and the amount of each that has nothing */
};

/* More than any sum, and still to be added to. */
#define NOBODY (UINT64_MAX / 4)

static uint64_t sum_of(const struct ration_share *b)
{
	return b ? b->sum : 0;
}

static uint64_t least_of(const struct ration_share *b)
{
	return b ? b->least : NOBODY;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void refresh(struct ration_share *b)
{
	uint64_t before = sum_of(b->left), after = before + (b->has ? b->amount : 0);

	b->sum = after + sum_of(b->right);
	b->least = lesser(least_of(b->left), b->has ? NOBODY : before + b->amount);
	b->least = lesser(b->least, after + least_of(b->right));
}

/* All of @a are older than all of @b. */
static struct ration_share *join(struct ration_share *a, struct ration_share *b)
{
	if (!a || !b)
		return a ? a : b;
	if (a->weight >= b->weight) {
		a->right = join(a->right, b);
		refresh(a);
		return a;
	}
	b->left = join(a, b->left);
	refresh(b);
	return b;
}

static void split(struct ration_share *b, const struct seniority *at,
                  struct ration_share **ret_older, struct ration_share **ret_younger)
{
	if (!b) {
		*ret_older = *ret_younger = NULL;
		return;
	}
	if (seniority_cmp(&b->order, at) < 0) {
		split(b->right, at, &b->right, ret_younger);
		*ret_older = b;
	} else {
		split(b->left, at, ret_older, &b->left);
		*ret_younger = b;
	}
	refresh(b);
}

static struct ration_share *without(struct ration_share *b, const struct ration_share *share)
{
	if (b == share)
		return join(b->left, b->right);
	if (seniority_cmp(&share->order, &b->order) < 0)
		b->left = without(b->left, share);
	else
		b->right = without(b->right, share);
	refresh(b);
	return b;
}

struct ration_share *ration_ask(struct ration *r, const struct seniority *order, uint64_t amount,
                                void *owner)
{
	struct ration_share *share = xcalloc(1, sizeof(*share)), *older, *younger;

	*share = (struct ration_share){ .order = *order, .amount = amount, .owner = owner };
	share->weight = hash_keyed(&share, sizeof(share));
	refresh(share);
	split(r->root, order, &older, &younger);
	r->root = join(join(older, share), younger);
	return share;
}

void ration_leave(struct ration *r, struct ration_share *share)
{
	if (!share)
		return;
	r->root = without(r->root, share);
	free(share);
}

/* @before: what older ones than those of the branch have. */
static struct ration_share *change_first(const struct ration *r, struct ration_share *b,
                                         uint64_t before)
{
	if (!b || (before + b->sum <= r->bound && before + b->least > r->bound))
		return NULL;
	struct ration_share *found = change_first(r, b->left, before);
	before += sum_of(b->left);
	if (!found && b->has != (before + b->amount <= r->bound)) {
		b->has = !b->has;
		found = b;
	}
	if (!found)
		found = change_first(r, b->right, before + (b->has ? b->amount : 0));
	refresh(b);
	return found;
}

void *ration_settle(struct ration *r)
{
	struct ration_share *changed = change_first(r, r->root, 0);

	return changed ? changed->owner : NULL;
}

bool ration_has(const struct ration_share *share)
{
	return share->has;
}

uint64_t ration_amount(const struct ration_share *share)
{
	return share->amount;
}

const struct seniority *ration_order(const struct ration_share *share)
{
	return &share->order;
}
