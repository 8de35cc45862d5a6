/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_LEASE_FSM_H
#define FAIRLEAD_KUBE_LEASE_FSM_H

/*
 * The decisions of a leader election, without a clock, a server or a callback: what was seen goes
 * in with the time, what is to be done comes out.  Times are CLOCK_BOOTTIME in ms; the record's own
 * times are never compared with it.
 *
 * We *hold* the lease from our first successful write of it until somebody else does or we could
 * not renew it for renew_ms.  We *lead* while we hold it and what a former leader may have sent can
 * no longer take effect.  A Lease that we find missing, or without a holder, says nothing of a
 * former leader, unless that one released it: duration 1, no holder.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/lease.h"

#define LEASE_TEXT_MAX 253
/*
 * leaseDurationSeconds of a Lease that its holder has released, as client-go writes it; nobody
 * empties one by hand like this.
 */
#define LEASE_RELEASED_S 1

/* What matters in a Lease's spec. */
struct lease_record {
	char holder[LEASE_TEXT_MAX + 1]; /* "" if nobody */
	int duration_s;
	int64_t transitions;
	char renewed[64];                 /* renewTime as written: only whether it changed counts */
	char version[LEASE_TEXT_MAX + 1]; /* resourceVersion */
};

enum lease_seen {
	LEASE_TICK,     /* time went by */
	LEASE_READ,     /* this record is there */
	LEASE_MISSING,  /* no Lease is there */
	LEASE_WRITTEN,  /* our write went through: this record is there */
	LEASE_CONFLICT, /* our write was refused: another one came before it */
	LEASE_FAILED,   /* no answer, or one that says nothing about the Lease */
};

struct lease_observation {
	enum lease_seen seen;
	const struct lease_record *record; /* READ, WRITTEN */
	uint64_t chance;                   /* a random number, for jitter */
	/* A leader that we do not know of could do harm by its last writes. */
	bool at_stake;
};

enum lease_request { LEASE_NOTHING, LEASE_GET, LEASE_CREATE, LEASE_UPDATE };

struct lease_action {
	enum lease_request request; /* to send now; its outcome is the next observation but ticks */
	bool acquire;               /* UPDATE: a new holder; else acquireTime is kept */
	int64_t transitions;        /* to write */
	int64_t again_ms;           /* tick then at the latest */
	bool started, stopped, observed;
};

struct lease_fsm {
	char identity[LEASE_TEXT_MAX + 1];
	struct lease_timing timing;
	struct lease_record record; /* as last seen */
	bool seen;                  /* one was */
	int64_t observed_ms;        /* when it last changed */
	bool busy;                  /* a request is under way */
	unsigned int conflicts; /* writes refused since the last good one: look before the next */
	bool held, leading;
	int64_t sent_ms;      /* the request under way */
	int64_t renewed_ms;   /* when the last successful write was sent */
	int64_t lead_from_ms; /* not before: a former leader's writes may still take effect */
	/* the same of one of whom the Lease did not tell, if anything is at stake */
	int64_t doubt_until_ms;
	int64_t next_try_ms;
};

void lease_fsm_init(struct lease_fsm *f, const char *identity, struct lease_timing timing);
struct lease_action lease_step(struct lease_fsm *f, int64_t now,
                               const struct lease_observation *observation);
/* Leading, and a write sent @now takes effect before the lease can run out. */
bool lease_fsm_may_write(const struct lease_fsm *f, int64_t now);

#endif
