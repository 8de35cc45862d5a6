/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_PLANE_H
#define FAIRLEAD_PROXY_IPTABLES_PLANE_H

/*
 * One family's rules, kept in the kernel: the shell around the model.  It runs iptables-save once,
 * then iptables-restore whenever the model has a batch, and when it is audited looks whether all is
 * still there: by a complete comparison where that is cheap or the tables have changed in size,
 * else at the frame alone.  With the nft variant the kernel tells at once what others change
 * (watch.h), and then everything is compared.
 *
 * A family that iptables cannot be used for is ABSENT: what is set waits, and is never applied.
 *
 *	READING ──► HELD (until all Services are known) ──► ADOPTING (in slices) ──► IDLE ◄──►
 *	WRITING
 *	   ▲                                                                          │  ◄──►
 *	                                                                              AUDITING
 *	   └──────────────────────── in doubt: killed, flushed ───────────────────────┘
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/proxy.h"
#include "proxy/iptables/model.h"
#include "proxy/iptables/variant.h"

/* The pause after a failure for which no Service is to blame, doubling. */
#define PLANE_BACKOFF_MIN_MS 100
#define PLANE_BACKOFF_MAX_MS 10000
/*
 * A comparison caused by somebody's change waits so many times what the last one took, and this
 * long.
 */
#define PLANE_COMPARISON_GAPS 10
#define PLANE_COMPARISON_GAP_MS 500
/* One look in so many, about one an hour, is a complete comparison in any case. */
#define PLANE_AUDITS_TO_COMPARISON 120
#define PLANE_PROGRAM_TIMEOUT_MS 120000

struct event_base;
struct out;
struct plane;

struct plane_ops {
	void (*applied)(void *arg);
	void (*failed)(const struct err *e, void *arg);
	void (*foreign)(
		/* others' tables of nftables have changed; the nft variant alone notices */
		void *arg);
};

/*
 * @absent: why the family cannot be used now, NULL if it can; that is looked at again each
 * @audit_ms.
 */
struct plane *plane_new(struct event_base *base, const struct variant *v,
                        const struct render_options *o, int audit_ms, const char *absent,
                        const struct plane_ops *ops, void *arg);
void plane_free(struct plane *p);
/* The same, once the program under way has ended. */
void plane_end(struct plane *p);
void plane_set(struct plane *p, const struct proxy_half *s);
void plane_remove(struct plane *p, const char *key);
void plane_complete(struct plane *p);
void plane_set_node(struct plane *p, const struct proxy_node *n);
/*
 * Checks whether everything that was written is still there: by a complete comparison, or at the
 * frame alone.
 */
void plane_audit(struct plane *p);
/* As in the model. */
bool plane_is_damaged(const struct plane *p, const char *key);
bool plane_any_damaged(const struct plane *p);
const char *plane_refusal(const struct plane *p, const char *key);
size_t plane_n_refused(const struct plane *p);
bool plane_forward_is_refused(const struct plane *p);
bool plane_is_applied(const struct plane *p, const char *key);
/* Whether the Service is wanted. */
bool plane_has(const struct plane *p, const char *key);
/* Not ABSENT. */
bool plane_is_there(const struct plane *p);
/* Adds to the counters; clears in_sync if it does not hold here. */
void plane_add_stats(const struct plane *p, struct proxy_stats *st);
/* An object in the open list. */
void plane_status(const struct plane *p, struct out *o);

#endif
