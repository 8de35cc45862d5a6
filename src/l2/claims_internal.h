/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_CLAIMS_INTERNAL_H
#define FAIRLEAD_L2_CLAIMS_INTERNAL_H

/*
 * Between the files of the claims core only: entries.c keeps addresses and timers, tables.c keeps the copies of peers'
 * claims and talks about them, claims.c decides.
 */

#include "l2/claims.h"

/* ---- entries.c ---- */

struct claims_entry *entry_find(const struct claims *c, uint32_t addr);
/* Finds or makes; NULL if there are too many. */
struct claims_entry *entry_get(struct claims *c, uint32_t addr);
/* Frees the entry if nothing is left to remember. */
void entry_prune(struct claims *c, struct claims_entry *e);
/* What a claim adds to the digest of its table. */
uint64_t claim_digest(const struct wire_claim *claim);
/* Sets when to look at the entry again. */
void entry_wake_at(struct claims *c, struct claims_entry *e, int64_t at_ms);
void entry_forget_recalled(struct claims_entry *e);
void entries_free(struct claims *c);

void action_add(struct claims *c, enum claims_action_type type, uint32_t addr);
void set_state(struct claims *c, struct claims_entry *e, enum l2_ownership state);
/* Makes @claim ours, in place of what was there, or gives ours up, and has the peers told. */
void own_set(struct claims *c, struct claims_entry *e, const struct wire_claim *claim);
void own_clear(struct claims *c, struct claims_entry *e);

/* ---- tables.c ---- */

void table_drop(struct claims *c, struct claims_held *h);
/* Makes @claim one of @p's; false if there are too many. */
bool table_put(struct claims *c, struct member_peer *p, const struct wire_claim *claim);
void tables_receive(struct claims *c, int64_t now, struct member_peer *p,
                    const struct wire_msg *msg);
/* @p is a new incarnation: what it claimed before is held for it, or forgotten. */
void table_renew(struct claims *c, int64_t now, struct member_peer *p, bool hold);
/* Forgets everything that @p claimed (or only what its former incarnation did), which became free in the way of @how. */
void table_clear(struct claims *c, int64_t now, struct member_peer *p, bool former_only,
                 enum claims_freed how);
/* Recomputes c->synced. */
void tables_review_synced(struct claims *c);

/* ---- claims.c ---- */

/* Decides about the entry from what is known now; may free it. */
void settle(struct claims *c, int64_t now, struct claims_entry *e);
/* The entry lost a claim of @p's. */
void freed_by(struct claims_entry *e, int64_t now, const struct member_peer *p,
              enum claims_freed how);

#endif
