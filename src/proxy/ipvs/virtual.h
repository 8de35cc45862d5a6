/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_VIRTUAL_H
#define FAIRLEAD_PROXY_IPVS_VIRTUAL_H

/*
 * Virtual servers of the kernel's IPVS: one for each set of endpoints and family, which a packet is
 * led to by its mark.  IPVS only picks the endpoint of a connection and rewrites the destination;
 * who is meant, refused or masqueraded is decided before, by whoever sets the mark.
 *
 * As with a keeper of nftables: what is there is read once, what is right is taken over, and from
 * then on the difference is written, many messages at a time.  IPVS has no transactions, so what
 * the kernel refuses concerns one virtual server, which is read and written again after a while.
 * IPVS tells nobody what others change; audits find it, and a look each second that all is gone.
 *
 * What others have there is never touched: ours are those with the tag in their mark and a stamp in
 * a field that is of no use otherwise.  Who edits one of ours drops that; it counts as ours if it
 * still has the endpoints that it had.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "proxy/ipvs/virtual_types.h"

struct event_base;
struct ledger;
struct out;
struct virtuals;

/* Called from the event loop, never from within one of the functions below. */
struct virtuals_ops {
	/* The answers to the questions below may have changed. */
	void (*applied)(void *arg);
	void (*failed)(const struct err *e, void *arg);
};

/*
 * Asks the kernel for IPVS, which may load its module, and begins to read what is there.
 * -ENOTSUP: there is none, or it lacks what is needed; @e says what.  @tag: one bit, which marks of
 * ours have.
 */
int virtuals_start(struct event_base *base, uint32_t tag, const struct virtuals_ops *ops, void *arg,
                   struct virtuals **ret_self, struct err *e);
/* Leaves everything in the kernel.  NULL: nothing to do. */
void virtuals_stop(struct virtuals *v);
/* Whether the kernel has IPVS for IPv6, too. */
bool virtuals_has_family(const struct virtuals *v, uint8_t family);

/* ---- what is wanted ---- */

/* Copied.  What is as it was costs nothing. */
void virtuals_set(struct virtuals *v, const struct virtual_server *server);
/*
 * What it has is drained like an endpoint that goes, and then it goes itself.  The mark may be
 * used again meanwhile: then what drains, drains beside the new endpoints.
 */
void virtuals_remove(struct virtuals *v, struct virtual_id id);
/* All were set that are known: nothing was written before, and what nobody wants may go. */
void virtuals_complete(struct virtuals *v);
/* Looks whether everything still stands: all virtual servers, and some of them in full. */
void virtuals_audit(struct virtuals *v);

/* ---- what became of it ---- */

/*
 * Whether the kernel has it as it was set last, but for what is drained.  True of one that nobody
 * wants.
 */
bool virtuals_is_applied(const struct virtuals *v, struct virtual_id id);
/* Why the kernel refuses it, in one line; NULL: it does not.  It is tried again. */
const char *virtuals_refusal(const struct virtuals *v, struct virtual_id id);
/*
 * The scheduler that it has in place of the one that was set, which the kernel does not have; NULL:
 * it has that one.
 */
const char *virtuals_substitute(const struct virtuals *v, struct virtual_id id);
/* Whether any may have one in place of another; costs little. */
bool virtuals_lack_schedulers(const struct virtuals *v);
/* Whether others changed what is ours, and it is not mended yet. */
bool virtuals_is_damaged(const struct virtuals *v, uint8_t family);
size_t virtuals_n_refused(const struct virtuals *v, uint8_t family);
/* Everything that is wanted is written; what drains or is refused does not count. */
bool virtuals_is_settled(const struct virtuals *v);
bool virtuals_is_in_sync(const struct virtuals *v);
/* As of the last audit; false: not known. */
bool virtuals_counters(const struct virtuals *v, struct virtual_id id,
                       struct virtual_counters *ret_counters);
struct virtuals_stats virtuals_stats(const struct virtuals *v);
/* "": none that still matters. */
const char *virtuals_last_error(const struct virtuals *v);
/* For comparison.h. */
const struct ledger *virtuals_ledger(const struct virtuals *v);
/* Members of the object that is open. */
void virtuals_status(const struct virtuals *v, struct out *o);

/* ---- without one that runs ---- */

/* Whether the kernel has virtual servers of ours, of whatever run and tag.  Blocks. */
bool virtuals_any(void);
/* Removes them at once, all of them.  Blocks. */
int virtuals_clean(struct err *e);

#endif
