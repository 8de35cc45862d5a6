/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TURN_H
#define FAIRLEAD_TURN_H

/*
 * The rules of one turn, without the controller around them: the order in which records are taken,
 * and what a decision does to the books.  Pure.  The controller writes what comes out; `fairlead
 * plan` pretends that it was written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/ipam.h"
#include "fairlead/record.h"

struct turn_outcome {
	struct record_write write; /* what the object lacks */
	bool news, external_news;  /* the answer differs from the one before */
	bool waits;                /* another Service's leaving may change it */
};

/* By creation, namespace and name. */
void turn_sort(struct record **records, size_t n);
/*
 * The record holds what its object says.  True if what the Service says of sharing may concern
 * others that have its address, or want to share it.
 */
bool turn_adopt(struct ipam *ipam, const struct record *r);
/*
 * The same for many, sorted: of two that hold one address, the earlier has it.  But what stands in
 * a status, which only controllers write, comes before all that stands in a spec or an annotation,
 * which anybody may write.
 */
void turn_adopt_all(struct ipam *ipam, struct record *const *records, size_t n);
/*
 * An address that somebody took out of a list by hand is let go at once; otherwise its Service
 * would be given it for having had it, while another one has it in its list.  True if that freed an
 * address.
 */
bool turn_let_go(struct ipam *ipam, const struct record *r);
/* Does the object contain anything that an earlier holder could leave to it? */
bool turn_names_any(const struct record *r);
/* What was decided last is on its way to the object, and belongs to nobody else. */
void turn_reserve(struct ipam *ipam, const struct record *r);
/*
 * Decides, and reserves what the object is to hold.  What it still holds stays held until
 * turn_settle(), what it held before until turn_end(): within a turn nobody is given what another
 * Service let go, for an earlier one may be waiting for it.
 */
struct turn_outcome turn_decide(struct ipam *ipam, struct record *r,
                                const struct record_server *server);
/*
 * Renumbering.  A Service that a pool takes in has an address, and only moves: so Services that
 * have none come first.  It is decided without the move, and may move (may_move) once no Service
 * without an address is still to be decided; in a turn with others it comes last.
 */
/* Waits until it may move. */
bool turn_awaits_move(const struct record *r);
/* Should have an address, or external IPs, and has none. */
bool turn_has_none(const struct record *r);
bool turn_is_earlier(const struct record *a, const struct record *b);
/* Orders records: those that may move go after the others, otherwise as they were. */
void turn_put_movers_last(struct record **records, size_t n);
/* Before a decision: how it moves, if it may.  The decision uses that up. */
void turn_request_move(struct record *r, enum ipam_renumber how);

/* May what became free since ipam_freed_seen() change the decision about the record? */
bool turn_is_concerned(const struct ipam *ipam, const struct record *r);
/*
 * Lets go of what none of these has or is to have.  True if that freed an address, or one was given
 * that others may share.
 */
bool turn_end(struct ipam *ipam, struct record *const *records, size_t n);
/*
 * From now on the record holds only what the object says, and what a write that is @left will put
 * there.  True if that freed an address.
 */
bool turn_settle(struct ipam *ipam, const struct record *r, struct record_write left);

#endif
