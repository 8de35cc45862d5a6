/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_SCRIBE_PRIVATE_H
#define FAIRLEAD_CONTROLLER_SCRIBE_PRIVATE_H

/* The journal's writer for its files: what is entered, what is read, what is written. */

#include "controller/scribe.h"
#include "fairlead/hash.h"
#include "fairlead/journal.h"

#define SCRIBE_SOON_MS 1000 /* after the first entry that waits */
#define SCRIBE_QUEUE_BYTES_MAX 1048576
/* So many differences are entered at a look at all of it, and the others at later ones. */
#define SCRIBE_FOUND_MAX 2000
/* So many entries are repeated before they go: fewer than fill a ConfigMap. */
#define SCRIBE_KEPT_MAX 500
/*
 * A namespace has so many entries at once, a tenth of the journal, and one more each time that this
 * time has passed: so it takes a week to write over what the others have, and one where many
 * Services come at once loses none of them.
 */
#define SCRIBE_SHARE_BURST 2000
#define SCRIBE_SHARE_MS 30000

/* What goes to the file of --journal-copy. */
struct scribe_copy {
	struct buf waiting;
	struct event *soon;
	uint64_t dropped; /* not entered yet */
	int error;        /* of the last write, an errno; 0: it went well */
};

enum scribe_state { SCRIBE_OFF, SCRIBE_READING, SCRIBE_READY };

struct map_seen {
	char *version; /* NULL: it is not there */
	char *text;    /* while all are read, and of the newest */
	uint64_t number;
	bool is_old; /* all of its entries are older than they may be */
};

/* What a namespace has entered. */
struct scribe_share {
	char *namespace;
	int64_t used_ms; /* when all that it has entered is forgotten */
	int64_t told_ms; /* when the journal last said how much was lost; 0: never */
	uint64_t lost;   /* since then */
	UT_hash_handle hh;
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
	struct scribe_share *shares;
	int64_t look_ms;     /* when all is read anew */
	int64_t find_ms;     /* and compared with the statuses */
	bool saves;          /* before that, for entries that are about to go */
	int64_t day_ms;      /* since when looks that go on with the last one are counted */
	unsigned int n_more; /* how many */
	int64_t due_ms;      /* of the timer */
	char *error;         /* of the last request; NULL: it went well */
	struct scribe_copy copy;
};

/* For how long entries are kept, and the time of the oldest; 0 days: there is no journal. */
int scribe_days(const struct controller *ctl);
int64_t scribe_oldest_us(const struct controller *ctl);
/*
 * An entry that becomes too old within this time is about to go; all is looked at twice in it.
 */
int64_t scribe_margin_ms(const struct controller *ctl);

/* ---- scribe_notes.c: the queue ---- */

/* The sooner of two counts. */
void scribe_arm(struct controller *ctl, int64_t ms);
/* Once something waits; and for the next look at all of it. */
void scribe_arm_write(struct controller *ctl);
void scribe_arm_look(struct controller *ctl);
bool scribe_any_old(const struct scribe *s);
void scribe_enter(struct controller *ctl, struct journal_entry *e);
/* The next look is no later than that. */
void scribe_look_within(struct controller *ctl, int64_t ms);
/* Entries are about to go: a look at them alone, since what it enters makes others go. */
void scribe_save_soon(struct controller *ctl);
void scribe_put_pool(const struct controller *ctl, struct journal_entry *e);
/* Those of our pools: others have theirs from other controllers.  Returns how many. */
size_t scribe_ours(const struct controller *ctl, struct addr *to, const struct addr *from,
                   size_t n);
/* What the Service has by this part of its, of our pools. */
size_t scribe_held(const struct record *r, const struct record_part *p, struct addr *to);
struct journal_entry scribe_entry_of(const struct record *r, const char *key,
                                     enum journal_event event, const struct addr *addrs, size_t n);

/* ---- scribe_shares.c: what a namespace may enter ---- */

bool scribe_has_share(const struct scribe *s, const char *service);
/* Uses it; false: there is none, and it counts as lost. */
bool scribe_take_share(struct scribe *s, const char *service);
/* Is there something that the journal is to say about what was lost?  It says so. */
bool scribe_any_lost(const struct scribe *s);
void scribe_tell_lost(struct controller *ctl);
/* Those that say nothing any more; or all of them. */
void scribe_prune_shares(struct scribe *s, bool all);

/* ---- scribe_copy.c ---- */

int scribe_copy_start(struct controller *ctl);
void scribe_copy_fini(struct scribe_copy *c);
/* The entry goes out at the end of this turn, if there is such a file. */
void scribe_copy_enter(struct controller *ctl, const struct journal_entry *e);
/* What waits goes out now, as far as it may. */
void scribe_copy_flush(struct controller *ctl);
/* The member "copy" of the journal's. */
void scribe_copy_put(const struct controller *ctl, struct out *o);

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
