/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_KEEPER_H
#define FAIRLEAD_PROXY_NFTABLES_KEEPER_H

/*
 * Keeps one family's table in the kernel as it should be: reads it once, takes over what is right,
 * and from then on writes what changes, a transaction at a time.  When somebody else has changed
 * it, it is read again.
 *
 *	READING ──► HELD (until all Services are known) ──► PLANNING ──► COMPARING ──► KEEPING
 *	   ▲                                                                               │
 *	   └────────────────── in doubt: refused, or changed by others ────────────────────┘
 *
 * Each of them takes as many turns of the event loop as it needs.
 *
 * A family that the kernel has no nftables for is ABSENT: what is set waits, and is never applied.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "fairlead/proxy.h"
#include "proxy/nftables/frame.h"

struct event_base;
struct keeper;
struct out;
struct virtuals;

/* Elements of one transaction, which packets and the event loop wait for. */
#define KEEPER_BATCH 2048
/* Kinds of sets with a time of affinity that few have; all wait for the chains of a new one. */
#define KEEPER_ODD_KINDS_MAX 64
/* Of the event loop's time, for what can be done in pieces. */
#define KEEPER_SLICE_MS 5
/* And so many elements in each of them, but for the last port, which is planned as a whole. */
#define KEEPER_SLICE_ELEMENTS 8192
/* So many of them are looked at in one turn, where nothing is done to most: a few milliseconds. */
#define KEEPER_PASS_ELEMENTS 32768
/* Kinds whose chains come new in one transaction: the kernel walks all chains for them. */
#define KEEPER_BATCH_KINDS 64
/* So many elements that are refused one by one, with nothing taken in between, are followed by a
 * pause. */
#define KEEPER_REFUSALS 64
#define KEEPER_BACKOFF_MIN_MS 100
#define KEEPER_BACKOFF_MAX_MS 10000
/* Reading again waits so many times what the last time took, but so long at least, and at most. */
#define KEEPER_READ_GAPS 10
#define KEEPER_READ_GAP_MS 100
#define KEEPER_READ_GAP_MAX_MS 5000
/* One audit in so many, about one an hour, reads everything in any case. */
#define KEEPER_AUDITS_TO_READING 120

struct keeper_ops {
	void (*applied)(void *arg);
	/* With IPVS: all Services are planned, for the first time. */
	void (*planned)(void *arg);
	void (*failed)(const struct err *e, void *arg);
};

/* @frame is copied.  @virtuals: NULL, without IPVS; it lives longer. */
int keeper_new(struct event_base *base, const struct frame *frame, bool masquerade_all,
               struct virtuals *virtuals, const struct keeper_ops *ops, void *arg,
               struct keeper **ret_keeper, struct err *e);
/* Leaves everything in the kernel. */
void keeper_free(struct keeper *k);
/* As nlmsg_pid has it in notifications of our own changes. */
uint32_t keeper_port(const struct keeper *k);

/* What the node is like from now on; as proxy_set_node(). */
void keeper_set_node(struct keeper *k, const struct proxy_node *n);
void keeper_set(struct keeper *k, const struct proxy_half *s);
void keeper_remove(struct keeper *k, const char *key);
void keeper_complete(struct keeper *k);

/* What virtuals tell by `applied`: what waited for them may go on. */
void keeper_go_on(struct keeper *k);
bool keeper_is_planned(const struct keeper *k);

/* Somebody else has changed the table. */
void keeper_doubt(struct keeper *k);
/* Looks after what is not urgent: kinds of sets that nobody uses, a family that was absent. */
void keeper_audit(struct keeper *k);

bool keeper_is_there(const struct keeper *k);
bool keeper_is_applied(const struct keeper *k, const char *key);
bool keeper_is_damaged(const struct keeper *k);
/* NULL: not refused. */
const char *keeper_refusal(const struct keeper *k, const char *key);
size_t keeper_n_refused(const struct keeper *k);
/* As proxy_substitute(). */
const char *keeper_substitute(const struct keeper *k, const char *key);
/* "": none that still matters. */
const char *keeper_last_error(const struct keeper *k);
void keeper_add_stats(const struct keeper *k, struct proxy_stats *st);
/* The Service ("namespace/name") that has a way; NULL: none. */
const char *keeper_service_at(const struct keeper *k, enum frame_map ways, const void *key);
/* All Services were planned once: a way that none has is nobody's. */
bool keeper_knows_ways(const struct keeper *k);
bool keeper_has(const struct keeper *k, const char *key);
/* An object in the open list. */
void keeper_status(const struct keeper *k, struct out *o);

#endif
