/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_ANNOUNCE_H
#define FAIRLEAD_SPEAKER_ANNOUNCE_H

/*
 * What this node could announce, address by address and protocol by protocol: the decision, whether
 * the data plane is ready for it, and what the urgent thread or bgpd made of it.  From this come
 * what layer 2 is to serve (served.h), the routes for BGP and the final reasons.
 *
 * Pure bookkeeping: the caller brings in the inputs of decisions and the states, and takes out
 * snapshots.
 *
 * Order of effects.  Up: an address becomes eligible only once its Service's rules are in the
 * kernel.  Once eligible it stays so while later rules of the same Service are under way.  Down:
 * the snapshot without it is published before the rules change; keeping that order is up to the
 * caller.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/decide.h"
#include "fairlead/l2.h"
#include "fairlead/reason.h"
#include "fairlead/view.h"
#include "speaker/announcement.h"

struct announce;
struct served;

/* @changed is called when the reason or the owner of an address has changed. */
typedef void announce_changed_cb(const struct announcement *a, enum reason old_reason,
                                 const char *old_owner, void *arg);

struct announce *announce_new(announce_changed_cb *changed, void *arg);
void announce_free(struct announce *t);

/*
 * Decides anew for every address of @s; forgets those that it no longer has.  True if a route is to
 * be withdrawn, which comes before any change of the rules behind it.
 */
bool announce_update(struct announce *t, const struct view *v, const struct view_service *s);
/* Candidates whose Service is @applied in the address's family become eligible. */
void announce_settle(struct announce *t,
                     bool (*applied)(const char *key, uint8_t family, void *arg), void *arg);
/*
 * Sets what hinders the data plane of each address, REASON_Candidate if nothing does: with a
 * hindrance an address is not eligible, even if it was before.  Linear in the addresses.
 */
void announce_hinder(struct announce *t,
                     enum reason (*hindrance)(const struct announcement *a, void *arg), void *arg);
/* Takes in what the urgent thread reported. */
void announce_states(struct announce *t, const struct l2_state *states, size_t n);

/* What layer 2 is to serve; lives as long as the table. */
struct served *announce_served(const struct announce *t);

/* Grows with every change of what is to be announced by BGP. */
uint64_t announce_routes_revision(const struct announce *t);
/*
 * Grows with every address that becomes a candidate by BGP, or stops being one, whether eligible or
 * not.
 */
uint64_t announce_candidates_revision(const struct announce *t);
/* How many candidates wait for the data plane. */
size_t announce_n_pending(const struct announce *t);
/*
 * A number that grows whenever an address of the Service becomes a candidate: it waits for what the
 * data plane is given from then on.
 */
uint64_t announce_waits_since(const struct announce *t, const char *key);
/* Takes in what @reason_of says about each address that is eligible by BGP. */
void announce_routes(struct announce *t, enum reason (*reason_of)(const struct addr *a, void *arg),
                     void *arg);

/* Whether the address is announced by this node, or by another one of its segment. */
bool announce_is_announced(const struct announcement *a);
/* The same for an address of the Service, by any protocol. */
bool announce_has(const struct announce *t, const char *key, const struct addr *addr);
/* The announcements of a Service by its key, NULL if none. */
const struct announcement *announce_of(const struct announce *t, const char *key);
/* How many addresses no node at all may announce. */
size_t announce_n_nowhere(const struct announce *t);
/* How many announcements have each reason. */
void announce_count(const struct announce *t, size_t counts[static REASON_COUNT]);
/* Calls @fn for each announcement. */
void announce_each(const struct announce *t, void (*fn)(const struct announcement *a, void *arg),
                   void *arg);

#endif
