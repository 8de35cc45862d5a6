/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_LEDGER_H
#define FAIRLEAD_PROXY_IPVS_LEDGER_H

/*
 * The books of all virtual servers: which are to be written, read or looked at next, and when.
 * Pure; its time is clock_ms().
 *
 * Each virtual server stands in one place:
 *
 *	        wanted otherwise                     operations taken
 *	REST ──────────────────────► DIRTY ───────────────────────────► SENT ──┐ all were done
 *	 ▲ ▲                           ▲                                 │     │
 *	 │ └───────────────────────────┼─────────────────────────────────┼─────┘
 *	 │                             │ read                            │ one was refused
 *	 │  time to look at what       │                                 ▼
 *	 └► drains, or an audit ───► UNREAD ◄───────────────────────── PAUSED
 *	                                        the pause is over
 *
 * Operations are taken for done when they are taken.  If the kernel refuses one, the virtual server
 * is read before anything else is written of it, the first time at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "proxy/ipvs/server.h"

#define LEDGER_PAUSE_MIN_MS 100
#define LEDGER_PAUSE_MAX_MS 30000
/* Virtual servers that one audit looks at in full; fewer where these have more endpoints. */
#define LEDGER_AUDIT 500
#define LEDGER_AUDIT_ENDPOINTS 10000
/* So many at most are looked at for one that is at rest. */
#define LEDGER_LOOKED_AT 64
#define LEDGER_NEVER INT64_MAX

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);

/* ---- what is wanted ---- */

void ledger_want(struct ledger *l, const struct virtual_server *v);
void ledger_unwant(struct ledger *l, struct virtual_id id);
/* From now on what nobody wants may go. */
void ledger_complete(struct ledger *l);

/* ---- schedulers ---- */

/* The next one that the kernel has to be asked for; NULL: none. */
const char *ledger_unknown_scheduler(const struct ledger *l);
bool ledger_lacks_schedulers(const struct ledger *l);
/* As schedulers_know(). */
void ledger_know_scheduler(struct ledger *l, const char *name, int error, int64_t now_ms);

/* ---- what the kernel has ---- */

/* All virtual servers: ledger_found() for each, between these. */
void ledger_begin_reading(struct ledger *l);
void ledger_found(struct ledger *l, const struct ipvs_server *s);
void ledger_end_reading(struct ledger *l);
/*
 * One that is to be read; false: none is now.  @ret_itself: whether it is there at all is to be
 * asked, too: ledger_found(), ledger_found_unstamped() or ledger_found_none().  Then its endpoints,
 * in the kernel's order.
 */
bool ledger_next_unread(struct ledger *l, struct virtual_id *ret_id, bool *ret_itself);
void ledger_found_none(struct ledger *l, struct virtual_id id);
/*
 * One of its mark is there, without our stamp.  True: that may be ours all the same, which its
 * endpoints will tell.  False: it is somebody else's, and ours is gone.
 */
bool ledger_found_unstamped(struct ledger *l, struct virtual_id id);
void ledger_found_endpoints(struct ledger *l, struct virtual_id id,
                            const struct ipvs_endpoint *list, size_t n);
/* It could not be read. */
void ledger_not_read(struct ledger *l, struct virtual_id id, const char *error, int64_t now_ms);
/* One that should be there, whichever; false: there is none, or none was found at once. */
bool ledger_any_at_rest(const struct ledger *l, struct virtual_id *ret_id);
/* Some are to be looked at in full. */
void ledger_audit(struct ledger *l);

/* ---- what is to be done ---- */

/* What is due by now gets its turn. */
void ledger_wake(struct ledger *l, int64_t now_ms);
/* When it is to be called again; LEDGER_NEVER. */
int64_t ledger_due_ms(const struct ledger *l);
/*
 * Operations, of whole virtual servers, until there are @max of them, or @max were looked at, into
 * @ops, which is empty.  Each must be told to ledger_did(), in this order; @error: 0 or a negative
 * errno.  False: nothing is to be written now.
 */
bool ledger_take(struct ledger *l, size_t max, int64_t now_ms, struct server_operations *ops);
void ledger_did(struct ledger *l, const struct ipvs_operation *o, int error, int64_t now_ms);
/* After those of one batch: true, if one is refused that was not before; @ret_error says why. */
bool ledger_settle(struct ledger *l, struct err *ret_error);

/* ---- answers, as virtual.h has them ---- */

bool ledger_is_applied(const struct ledger *l, struct virtual_id id);
const char *ledger_refusal(const struct ledger *l, struct virtual_id id);
const char *ledger_substitute(const struct ledger *l, struct virtual_id id);
bool ledger_is_damaged(const struct ledger *l, uint8_t family);
size_t ledger_n_refused(const struct ledger *l, uint8_t family);
/* Nothing is to be written or read, now; nor later. */
bool ledger_is_settled(const struct ledger *l);
bool ledger_is_in_sync(const struct ledger *l);
bool ledger_counters(const struct ledger *l, struct virtual_id id,
                     struct virtual_counters *ret_counters);
struct virtuals_stats ledger_stats(const struct ledger *l);
/* The member of these, without a look at who drains. */
uint64_t ledger_n_repairs(const struct ledger *l);
/* What is known of it; NULL: nothing.  Good until anything else is called. */
const struct server *ledger_server(const struct ledger *l, struct virtual_id id);
/* Nothing is to be written or read of it now. */
bool ledger_is_at_rest(const struct ledger *l, struct virtual_id id);
typedef void ledger_wanted_fn(struct virtual_id id, void *arg);
void ledger_each_wanted(const struct ledger *l, ledger_wanted_fn *fn, void *arg);
typedef void ledger_refused_fn(struct virtual_id id, const char *error, void *arg);
void ledger_each_refused(const struct ledger *l, ledger_refused_fn *fn, void *arg);

#endif
