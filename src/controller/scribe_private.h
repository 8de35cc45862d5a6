/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_SCRIBE_PRIVATE_H
#define FAIRLEAD_CONTROLLER_SCRIBE_PRIVATE_H

/* The journal's writer for its files: what is entered, what is read, what is written. */

#include "controller/scribe.h"
#include "fairlead/journal.h"

#define SCRIBE_SOON_MS 1000 /* after the first entry that waits */

enum scribe_state { SCRIBE_OFF, SCRIBE_READING, SCRIBE_READY };

struct map_seen {
	char *version; /* NULL: it is not there */
	char *text;    /* while all are read, and of the newest */
	uint64_t number;
	bool is_old; /* all of its entries are older than they may be */
};

struct scribe {
	enum scribe_state state;
	struct kube_request *request;
	bool writes, clears; /* the request does */
	struct event *timer;
	struct map_seen maps[JOURNAL_MAPS];
	size_t at;     /* being read, being written */
	size_t newest; /* if maps[newest].number */
	struct buf queue;
	size_t sending;       /* bytes at the beginning of the queue that are under way */
	struct buf sent_text; /* what the map is to hold then */
	uint64_t sent_number;
	uint64_t dropped; /* not entered yet */
	unsigned int n_failed;
	int64_t written_ms; /* 0: not yet */
	int64_t read_ms;
	int64_t due_ms; /* of the timer */
	char *error;    /* of the last request; NULL: it went well */
};

/* For how long entries are kept, and the time of the oldest; 0 days: there is no journal. */
int scribe_days(const struct controller *ctl);
int64_t scribe_oldest_us(const struct controller *ctl);

/* ---- scribe_notes.c: the queue ---- */

/* The sooner of two counts. */
void scribe_arm(struct controller *ctl, int64_t ms);
/* Once something waits; and for the next look at all of it. */
void scribe_arm_write(struct controller *ctl);
void scribe_arm_look(struct controller *ctl);
bool scribe_any_old(const struct scribe *s);
void scribe_enter(struct controller *ctl, struct journal_entry *e);
void scribe_put_pool(const struct controller *ctl, struct journal_entry *e);
/* Those of our pools: others have theirs from other controllers.  Returns how many. */
size_t scribe_ours(const struct controller *ctl, struct addr *to, const struct addr *from,
                   size_t n);
/* What the Service has by this part of its, of our pools. */
size_t scribe_held(const struct record *r, const struct record_part *p, struct addr *to);
struct journal_entry scribe_entry_of(const struct record *r, const char *key,
                                     enum journal_event event, const struct addr *addrs, size_t n);

/* ---- scribe_read.c ---- */

/* Begins to read what there is; whatever was known is forgotten. */
void scribe_read_all(struct controller *ctl);
void scribe_forget(struct scribe *s);
/* A request has failed, and is tried again later; or none has. */
void scribe_failed(struct controller *ctl, const char *why);
void scribe_succeeded(struct scribe *s);
/* It is time to. */
bool scribe_is_look_due(const struct scribe *s);

#endif
