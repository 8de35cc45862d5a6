/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_ENTRIES_H
#define FAIRLEAD_PROXY_IPVS_ENTRIES_H

/*
 * The inside of a ledger: its virtual servers, each in the one place where it stands (ledger.h has
 * the places and what leads from one to another), and how many are changing, damaged or refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/hash.h"
#include "proxy/ipvs/schedulers.h"
#include "proxy/ipvs/server.h"

enum entry_place { ENTRY_REST, ENTRY_DIRTY, ENTRY_SENT, ENTRY_UNREAD, ENTRY_PAUSED, ENTRY_PLACES };

struct entry {
	uint64_t key;
	UT_hash_handle hh;
	struct server s;
	struct entry *prev, *next; /* in the list of its place, but for ENTRY_REST */
	enum entry_place place;
	/* the one that is wished for; SCHEDULERS_NONE: there was no room for it */
	uint8_t scheduler;
	bool changing;  /* what is wanted of it is not written yet */
	bool damaged;   /* others have changed it, which is not mended yet */
	bool doubt;     /* what the kernel has of it is not known */
	bool missed;    /* a list of all lacked it, so it is asked for */
	bool unstamped; /* one of its mark has no stamp; its endpoints will tell whose it is */
	bool known;     /* its endpoints are */
	bool seen;      /* by the reading that goes on */
	int error;      /* of the operations that were sent, the first one */
	uint32_t n_sent, n_wanted;
	unsigned int failures;
	int64_t due_ms; /* in ENTRY_PAUSED */
	char *refusal;
	struct virtual_counters *counters; /* NULL: none but 0 */
};

/* How often what drains is looked at. */
#define ENTRIES_LOOK_MS 2000
#define ENTRIES_NEVER INT64_MAX

struct entries {
	struct entry *all;
	struct entry *places[ENTRY_PLACES];
	struct schedulers schedulers;
	struct entry *audited; /* the next one of an audit */
	int64_t due_ms;        /* when one of those that are paused is due; ENTRIES_NEVER */
	size_t n_changing, n_damaged[2], n_refused[2];
};

void entries_init(struct entries *b);
void entries_fini(struct entries *b);
/* NULL: there is none. */
struct entry *entries_find(const struct entries *b, struct virtual_id id);
/* Makes it where there is none. */
struct entry *entries_get(struct entries *b, struct virtual_id id);
void entries_drop(struct entries *b, struct entry *e);

void entries_move(struct entries *b, struct entry *e, enum entry_place place);
/* Its turn is next in its place, which is not ENTRY_REST. */
void entries_hurry(struct entries *b, struct entry *e);
void entries_pause(struct entries *b, struct entry *e, int64_t due_ms);
/* Nothing is to be done for it now; one that nobody wants, and that is not there, is dropped. */
void entries_rest(struct entries *b, struct entry *e, int64_t now_ms);

void entries_set_changing(struct entries *b, struct entry *e, bool changing);
void entries_set_damaged(struct entries *b, struct entry *e, bool damaged);
/* The kernel refuses it; @error NULL: it does not. */
void entries_refuse(struct entries *b, struct entry *e, const char *error);

#endif
