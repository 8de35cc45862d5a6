/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_JOURNAL_H
#define FAIRLEAD_JOURNAL_H

/*
 * Who had which address when: entries as the leader writes them and people read them, a line of
 * JSON each.  Pure.
 *
 * The lines stand in a fixed set of ConfigMaps, fairlead-journal-0 and so on, that are filled one
 * after another: each has a number, and the next one takes the place of the oldest.  Anybody may
 * have written into them; a line that cannot be read is counted, and the others are read all the
 * same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/labels.h"

#define JOURNAL_MAPS 16
#define JOURNAL_MAP_PREFIX "fairlead-journal-"
/* The data of a ConfigMap: the lines, and its number in decimal. */
#define JOURNAL_KEY_ENTRIES "entries"
#define JOURNAL_KEY_NUMBER "number"
/* So many bytes of lines in a ConfigMap; the API server takes 1 MiB. */
#define JOURNAL_MAP_BYTES 262144
/* Of a longer line nothing is read. */
#define JOURNAL_LINE_MAX 8192
#define JOURNAL_ADDRS_MAX 8

enum journal_event {
	JOURNAL_ASSIGNED, /* it got its addresses */
	JOURNAL_MOVED,    /* it has others now */
	JOURNAL_RELEASED, /* it gave them up */
	JOURNAL_DELETED,  /* the Service is gone, and with it its addresses */
	JOURNAL_CHANGED,  /* another program has written them */
	JOURNAL_FOUND,    /* it has them, and the journal did not say so */
	JOURNAL_MISSED,   /* the journal said that it had them, and it has them no more */
	JOURNAL_KEPT,     /* it still has them, and the entry that said so is about to go: @since */
	JOURNAL_LOST,     /* entries were dropped: @count */
};
const char *journal_event_name(enum journal_event e); /* "assigned" … */

struct journal_entry {
	int64_t time_us; /* of the wall clock */
	enum journal_event event;
	/*
	 * "namespace/name", and for external IPs "namespace/name (external IPs)"; NULL: of none;
	 * "namespace/" and an asterisk: what was lost was about that namespace
	 */
	char *service;
	char *uid;
	struct addr addrs[JOURNAL_ADDRS_MAX]; /* all that it has from then on */
	size_t n;
	struct addr before[JOURNAL_ADDRS_MAX]; /* what it had, as far as the writer knows */
	size_t n_before;
	char *pool, *reason; /* NULL: not known */
	char *by;            /* the identity of the leader */
	int64_t since_us;    /* it has had all of @addrs since then; 0: nobody knows */
	uint64_t count;
};
/* What a parser made; entries that are written borrow their texts. */
void journal_entry_fini(struct journal_entry *e);

/* The line, with its end. */
void journal_print(const struct journal_entry *e, struct buf *out);
/* One line; -EINVAL if it is none of ours. */
int journal_parse(const char *line, size_t size, struct journal_entry *ret_entry);
/*
 * Calls @put with each line of the text that can be read, in order; returns how many could not.
 * @put may keep what it takes out of the entry.
 */
size_t journal_read(const char *text, size_t size, void (*put)(struct journal_entry *e, void *arg),
                    void *arg);
/* How many bytes at the beginning of the text are lines that are older; a broken line is. */
size_t journal_older_than(const char *text, size_t size, int64_t time_us);

/* The number of a ConfigMap with this data; 0: it has none, as if it were empty. */
uint64_t journal_number(const struct labels *data);

/* ---- who has what, by the entries so far ---- */

struct journal_holders;
struct journal_holder {
	const char *service, *uid;
	struct addr addrs[JOURNAL_ADDRS_MAX];
	size_t n;
	int64_t since_us[JOURNAL_ADDRS_MAX]; /* of each; 0: it was found, nobody knows since when */
	int64_t told_us;                     /* the time of the last entry about it */
};
struct journal_holders *journal_holders_new(void);
void journal_holders_free(struct journal_holders *h); /* accepts NULL */
/* Entries come in the order of their times. */
void journal_holders_put(struct journal_holders *h, const struct journal_entry *e);
/* NULL: the journal does not know it. */
const struct journal_holder *journal_holder_of(const struct journal_holders *h,
                                               const char *service);
/* Does the journal say that this very Service has these addresses and no others? */
bool journal_says(const struct journal_holders *h, const char *service, const char *uid,
                  const struct addr *addrs, size_t n);
/*
 * Calls @put with each that has an address and was not named by journal_holders_mark(), by name.
 */
void journal_holders_mark(struct journal_holders *h, const char *service);
void journal_holders_rest(struct journal_holders *h,
                          void (*put)(const struct journal_holder *holder, void *arg), void *arg);

#endif
