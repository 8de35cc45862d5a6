/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_STORE_H
#define FAIRLEAD_PROXY_NFTABLES_STORE_H

/*
 * Every element of our maps: what it should be, and whether the kernel has it so.  What differs
 * waits in a queue (queue.h), and whatever is in the kernel leads only to what is there, wherever
 * that is cut into transactions, if what belongs together is wanted between two calls of
 * store_cut().  Pure.
 *
 * An element is owned by one Service (its value is that Service's), or shared by several (it has no
 * value).  Of two Services that want the same key the one that goes first has it; the other is
 * told, and gets it when the first lets go.
 *
 * What is of owners that are large is written after all that is of the others, unless that leads to
 * what the others are to lose: then what is new comes first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/nftables/frame.h"
#include "proxy/nftables/owners.h"

struct store;

struct store_ops {
	/* Whether @a has the key if both want it. */
	bool (*goes_first)(const struct store_owner *a, const struct store_owner *b);
	/* The owner lost a key to another, or could not have it. */
	void (*lost)(struct store_owner *owner);
	/* A key that somebody else wanted is free: owners that lost one may try again. */
	void (*freed)(void *arg);
	/* Something of the owner's waits for what is deferred, and so is deferred itself. */
	void (*held)(struct store_owner *owner);
	/* Sets of this kind are wanted, or not any more. */
	void (*kind_wanted)(frame_kind kind, bool wanted, void *arg);
};

struct store *store_new(uint8_t family, const struct store_ops *ops, void *arg);
void store_free(struct store *s);

/* ---- what is wanted ---- */

/* Nothing is written where the owner has it so already. */
void store_want(struct store *s, enum frame_map map, const void *key, const void *value,
                struct store_owner *owner);
void store_release(struct store *s, enum frame_map map, const void *key,
                   const struct store_owner *owner);
/* Unless it was wanted in this turn of the owner's. */
void store_release_old(struct store *s, enum frame_map map, const void *key,
                       const struct store_owner *owner);
/* Whoever has it lets go, for @by, who has what it goes with. */
void store_evict(struct store *s, enum frame_map map, const void *key,
                 const struct store_owner *by);
/* It owns nothing any more, and may be freed. */
void store_drop_owner(struct store *s, struct store_owner *owner);
/* The same for shared ones, which have no value: each owner once. */
void store_share(struct store *s, enum frame_map map, const void *key,
                 const struct store_owner *owner);
void store_unshare(struct store *s, enum frame_map map, const void *key);
/*
 * The value of an element that is wanted, or that the kernel has while nobody wants it yet; NULL:
 * there is none.
 */
const void *store_value(const struct store *s, enum frame_map map, const void *key);
/* Whether it is wanted, or may be in the kernel still. */
bool store_knows(const struct store *s, enum frame_map map, const void *key);
/* NULL: nobody. */
struct store_owner *store_owner(const struct store *s, enum frame_map map, const void *key);
/* What was wanted so far by those of the owner's size may be written before what comes. */
void store_cut(struct store *s, const struct store_owner *owner);
/* Grows with each of the calls above that changed something. */
uint64_t store_stamp(const struct store *s);

/* Packets are looked up there: nothing in the kernel leads to one of these. */
bool store_is_way(enum frame_map map);

/* ---- what the kernel has ---- */

/*
 * Nothing is known of it any more.  Looks at @max of all elements, at least one, and goes on with
 * the next call; true: that is all.  Nothing may be wanted or released in between.
 */
bool store_forget(struct store *s, size_t max);
/* One element that it has. */
void store_found(struct store *s, enum frame_map map, const void *key, const void *value);
/*
 * All were found: what is lacking or different, and what nobody wants, is queued; as store_forget()
 * by @max of all.  @stray, unless NULL, gets each that was found and that nobody wants.  True: all
 * were compared, and *@ret_n_damaged is how many somebody else has changed: taken away, or put
 * there.
 */
typedef void store_stray_fn(enum frame_map map, const void *key, void *arg);
bool store_compare(struct store *s, size_t max, store_stray_fn *stray, void *arg,
                   size_t *ret_n_damaged);

/*
 * A look at what the kernel has that changes nothing: each element that is found is compared with
 * what was written; @fn gets what was not found.  One look at a time.  Its beginning and its end
 * look at @max of all elements in a call, true: that was all; and what changes in between may come
 * wrongly, so that store_stamp() has to be the same at both ends.
 */
enum store_finding { STORE_SAME, STORE_CHANGED, STORE_UNKNOWN };
/* Before the first call of the next, wherever the last look was given up. */
void store_look_at_nothing(struct store *s);
bool store_look_begin(struct store *s, size_t max);
enum store_finding store_look(struct store *s, enum frame_map map, const void *key,
                              const void *value, const struct store_owner **ret_owner);
typedef void store_missing_fn(enum frame_map map, const void *key, const void *value,
                              const struct store_owner *owner, void *arg);
bool store_look_end(struct store *s, size_t max, store_missing_fn *fn, void *arg);

/* ---- what is to be written ---- */

bool store_is_written(const struct store *s);
size_t store_queued(const struct store *s);
/* Whether any of them was not deferred yet. */
bool store_has_fresh(const struct store *s);
size_t store_size(const struct store *s); /* elements wanted */
/*
 * The first @max of the queue, by map: calls @fn with those to be deleted, then with those to be
 * added.  Kinds of sets that they name are passed to @needs first, which may say that there is no
 * room for one more: then it is the next transaction's, with all after it.  Returns how many, which
 * store_wrote(), store_failed() or store_defer() must follow.  Those that were deferred are not
 * among others, unless it is everything (SIZE_MAX); and what has to wait for one of them, as it
 * would lead to what is not there, is not taken, but deferred as well.
 */
typedef void store_write_fn(enum frame_map map, bool add, const struct frame_element *elements,
                            size_t n, void *arg);
typedef bool store_needs_fn(frame_kind kind, void *arg);
size_t store_take(struct store *s, size_t max, store_needs_fn *needs, store_write_fn *fn,
                  void *arg);
/*
 * Whether those that were deferred are to be tried: of owners that are not large before what is of
 * large ones, the others after everything.
 */
void store_retry(struct store *s, bool now);
void store_wrote(struct store *s);
/* They stay where they were. */
void store_failed(struct store *s);
/* Whether those taken had been deferred. */
bool store_was_deferred(const struct store *s);
/*
 * Those taken go to the end of the queue, after everything else; @fn gets each.  @owner: NULL, it
 * is a shared one, or nobody wants it.
 */
typedef void store_defer_fn(enum frame_map map, const void *key, struct store_owner *owner,
                            void *arg);
void store_defer(struct store *s, store_defer_fn *fn, void *arg);
/*
 * Everything up to this stamp is in the kernel, of owners that are large or that are not, and of
 * those that something is deferred of or not.  What is deferred has the stamp of its last refusal.
 */
uint64_t store_written_stamp(const struct store *s, bool large, bool deferred);
/* The same of all but what is deferred. */
uint64_t store_fresh_stamp(const struct store *s);
/* Whatever is new up to this stamp is in the kernel, of owners that are not large. */
uint64_t store_small_stamp(const struct store *s);

#endif
