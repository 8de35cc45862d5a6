/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a namespace may enter.  A tenant who makes and deletes Services in a loop would else write
 * over what the journal says of all others.  What is beyond is counted, and told at most once in an
 * hour, since it takes room as well.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "controller/scribe_private.h"
#include "fairlead/clock.h"
#include "fairlead/journal.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define TELL_MS 3600000

static struct scribe_share *share_of(const struct scribe *s, const char *service)
{
	struct scribe_share *share;

	HASH_FIND(hh, s->shares, service, strcspn(service, "/"), share);
	return share;
}

static bool has_any(const struct scribe_share *share)
{
	return !share ||
	       share->used_ms - clock_ms() <= (int64_t)(SCRIBE_SHARE_BURST - 1) * SCRIBE_SHARE_MS;
}

bool scribe_has_share(const struct scribe *s, const char *service)
{
	return has_any(share_of(s, service));
}

bool scribe_take_share(struct scribe *s, const char *service)
{
	struct scribe_share *share = share_of(s, service);
	int64_t now = clock_ms();

	if (!has_any(share)) {
		if (share->lost++ == 0)
			log_warn("a namespace has more news than the journal takes; they are "
			         "counted",
			         KV_S("namespace", share->namespace));
		return false;
	}
	if (!share) {
		size_t len = strcspn(service, "/");
		share = xcalloc(1, sizeof(*share));
		share->namespace = xstrndup(service, len);
		HASH_ADD_KEYPTR(hh, s->shares, share->namespace, len, share);
	}
	share->used_ms = (share->used_ms > now ? share->used_ms : now) + SCRIBE_SHARE_MS;
	return true;
}

static bool is_to_tell(const struct scribe_share *share)
{
	return share->lost && (!share->told_ms || clock_ms() - share->told_ms >= TELL_MS);
}

bool scribe_any_lost(const struct scribe *s)
{
	for (const struct scribe_share *share = s->shares; share; share = share->hh.next)
		if (is_to_tell(share))
			return true;
	return false;
}

void scribe_tell_lost(struct controller *ctl)
{
	for (struct scribe_share *share = ctl->scribe->shares; share; share = share->hh.next) {
		if (!is_to_tell(share))
			continue;
		cleanup_free char *services = xasprintf("%s/*", share->namespace);
		const struct journal_entry e = { .event = JOURNAL_LOST,
			                         .time_us = clock_wall_us(),
			                         .service = services,
			                         .by = ctl->identity,
			                         .count = share->lost };
		journal_print(&e, &ctl->scribe->queue);
		share->lost = 0;
		share->told_ms = clock_ms();
	}
}

void scribe_prune_shares(struct scribe *s, bool all)
{
	struct scribe_share *share, *next;

	HASH_ITER(hh, s->shares, share, next) {
		if (!all && (share->lost || share->used_ms > clock_ms()))
			continue;
		HASH_DEL(s->shares, share);
		free(share->namespace);
		free(share);
	}
}
