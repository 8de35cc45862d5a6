/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Why this node owns an address from now on, and for how long nobody answered for it: told, and
 * never decided by.
 */
#include "claims/private.h"

/* The last owner's last sign, of those that died; 0: none did. */
static int64_t died_ms(const struct claims_entry *e)
{
	int64_t at = 0;

	for (const struct claims_held *h = e->others; h; h = h->next)
		if (!member_holds(h->peer) && h->peer->heard_ms > at)
			at = h->peer->heard_ms;
	return at;
}

/* Its owner let go of it, and this node has been waiting for it, or was told of it, since. */
static bool was_let_go(const struct claims_entry *e)
{
	return (e->freed == CLAIMS_YIELDED || e->freed == CLAIMS_DOUBTED) &&
	       e->free_since_ms - e->freed_ms < CLAIMS_YIELDED_MS;
}

void note_cause(int64_t now, struct claims_entry *e, const struct claims_held *rival)
{
	bool lapsed = e->freed == CLAIMS_LAPSED;

	e->took_ms = -1;
	if (resumes(e, now)) {
		e->cause = REASON_OwnerResumed;
	} else if (rival && is_offered(rival, now) && same_identity(e->want, &rival->claim)) {
		e->cause = rival->moves ? REASON_OwnerRebalanced : REASON_OwnerReleased;
		e->took_ms = 0; /* it answers until it hears of us */
	} else if (rival) {
		e->cause = same_identity(e->want, &rival->claim) ? REASON_OwnerStale
		                                                 : REASON_OwnerOutdated;
	} else if (lapsed || orphaned(e)) {
		e->cause = REASON_OwnerDied;
		e->took_ms = now - (lapsed ? e->freed_ms : died_ms(e));
	} else if (was_let_go(e)) {
		e->cause = REASON_OwnerReleased;
		e->took_ms = now - e->freed_ms;
	} else {
		e->cause = REASON_OwnerFirst;
	}
}
