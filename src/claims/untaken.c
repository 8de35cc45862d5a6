/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offers that the node to which they went did not take: it has no rules for that Service yet, or
 * none of that family, no interface in the subnet, or did not hear of it.  Only that node knows;
 * but all see an offer and no claim that follows.  So for a while all leave out that Service for
 * that node, and for a shorter one that node once it did not take two Services; and find the same
 * next one.  Where somebody missed an offer, two may expect different ones next, and wait for each
 * other in vain until rebalance.c has them wait no longer.
 *
 * Whenever a peer comes or goes all begin anew: who is new knows nothing of what was before.
 */
#include "config.h"

#include "claims/private.h"

#include <string.h>

#include "fairlead/mem.h"

/* For how long a Service does not go there; */
#define UNTAKEN_MS (30 * 60000)
/* and nothing, after the last of two or more. */
#define UNWILLING_MS (5 * 60000)
/* Longer than a message is under way, and so than nodes differ in when that begins and ends. */
#define SETTLE_MS 1000

static bool is_of(const struct claims_untaken *u, const struct identity *identity)
{
	return u->until_ms && identity_eq(&u->what.identity, identity);
}

void untaken_note(struct claims *c, int64_t from_ms, const struct identity *identity,
                  uint64_t name_hash)
{
	struct claims_untaken *u = NULL;

	for (size_t i = 0; i < CLAIMS_UNTAKEN && !u; i++)
		if (is_of(&c->untaken[i], identity) && c->untaken[i].what.name_hash == name_hash)
			u = &c->untaken[i];
	if (!u)
		u = &c->untaken[c->next_untaken++ % CLAIMS_UNTAKEN];
	*u = (struct claims_untaken){ { *identity, name_hash }, from_ms, from_ms + UNTAKEN_MS };
	order_forget(c);
}

void untaken_reset(struct claims *c)
{
	memset(c->untaken, 0, sizeof(c->untaken));
	order_forget(c);
}

void untaken_forget(struct claims *c, const struct identity *identity)
{
	for (size_t i = 0; i < CLAIMS_UNTAKEN; i++)
		if (is_of(&c->untaken[i], identity)) {
			c->untaken[i].until_ms = 0;
			order_forget(c);
		}
}

/* Lowers *@at_ms to @change_ms, if that is still to come. */
static void earlier(int64_t *at_ms, int64_t now, int64_t change_ms)
{
	if (change_ms > now && change_ms < *at_ms)
		*at_ms = change_ms;
}

/* It counts now: the offer is over, and nobody came or went since. */
static bool counts(const struct claims *c, int64_t now, const struct claims_untaken *u)
{
	return u->from_ms <= now && now < u->until_ms && u->from_ms > c->calm_since_ms;
}

static bool is_unwilling(const struct claims *c, int64_t now, uint64_t name_hash,
                         int64_t *change_ms)
{
	int64_t last_ms = 0;
	size_t n = 0;

	for (size_t i = 0; i < CLAIMS_UNTAKEN; i++) {
		const struct claims_untaken *u = &c->untaken[i];
		if (u->what.name_hash != name_hash || !counts(c, now, u))
			continue;
		last_ms = u->from_ms > last_ms ? u->from_ms : last_ms;
		n++;
	}
	if (n < 2 || now >= last_ms + UNWILLING_MS)
		return false;
	earlier(change_ms, now, last_ms + UNWILLING_MS);
	return true;
}

int64_t untaken_settled_ms(const struct claims *c, int64_t now)
{
	int64_t last_ms = -SETTLE_MS;

	for (size_t i = 0; i < CLAIMS_UNTAKEN; i++) {
		const struct claims_untaken *u = &c->untaken[i];
		const int64_t changes_ms[] = { u->from_ms, u->from_ms + UNWILLING_MS, u->until_ms };
		for (size_t k = 0; u->until_ms && k < ARRAY_LEN(changes_ms); k++)
			if (changes_ms[k] <= now && changes_ms[k] > last_ms)
				last_ms = changes_ms[k];
	}
	return last_ms + SETTLE_MS;
}

int64_t untaken_apply(const struct claims *c, int64_t now, struct spread *s)
{
	int64_t change_ms = CLAIMS_NEVER;

	s->n_refusals = 0;
	ARRAY_RESERVE(s->refusals, s->refusals_cap, CLAIMS_UNTAKEN);
	for (size_t i = 0; i < CLAIMS_UNTAKEN; i++) {
		const struct claims_untaken *u = &c->untaken[i];
		earlier(&change_ms, now, u->from_ms);
		earlier(&change_ms, now, u->until_ms);
		if (counts(c, now, u))
			s->refusals[s->n_refusals++] = u->what;
	}
	for (size_t i = 0; s->n_refusals > 1 && i < s->n_places; i++)
		s->places[i].unwilling = is_unwilling(c, now, s->places[i].name_hash, &change_ms);
	return change_ms;
}
