/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TURN_H
#define FAIRLEAD_TURN_H

/*
 * One turn's rules, without the controller around them: in which order records are taken, and what
 * a decision does to the books.  Pure.  The controller writes what comes out; `fairlead plan`
 * pretends that it was written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/ipam.h"
#include "fairlead/record.h"

struct turn_outcome {
	struct record_write write; /* what the object lacks */
	bool news, external_news;  /* the answer is another than before */
	bool waits;                /* another Service's leaving may change it */
};

/* By creation, namespace and name. */
void turn_sort(struct record **records, size_t n);
/* The record holds what its object says. */
void turn_adopt(struct ipam *ipam, const struct record *r);
/*
 * The same for many, sorted: of two that hold one address, the earlier has it.  But what stands in
 * a status, which only controllers write, comes before all that stands in a spec or an annotation,
 * which anybody may write.
 */
void turn_adopt_all(struct ipam *ipam, struct record *const *records, size_t n);
/*
 * What was taken out of a list by hand is let go at once, lest its Service be given it for having
 * had it, while another one has it in its list.  True if that freed an address.
 */
bool turn_let_go(struct ipam *ipam, const struct record *r);
/* Does anything stand in the object that an earlier holder could leave to it? */
bool turn_names_any(const struct record *r);
/* What was decided last is on its way to the object, and nobody else's. */
void turn_reserve(struct ipam *ipam, const struct record *r);
/*
 * Decides, and sets aside what the object shall hold.  What it holds still stays held until
 * turn_settle(), what it held before until turn_end(): within a turn nobody is given what another
 * one let go, for it may be somebody's who waits.
 */
struct turn_outcome turn_decide(struct ipam *ipam, struct record *r,
                                const struct record_server *server);
/*
 * Renumbering.  A Service that a pool takes in has an address, and only moves: so whoever has none
 * comes first.  It is decided without the move, and let move (may_move) when nobody who has none is
 * still to be decided; in a turn with others it is the last.
 */
/* Waits to be let move. */
bool turn_awaits_move(const struct record *r);
/* Is to have an address, or external IPs, and has none. */
bool turn_has_none(const struct record *r);
bool turn_is_earlier(const struct record *a, const struct record *b);
/* Of records in order: those that may move behind the others, and else as they were. */
void turn_put_movers_last(struct record **records, size_t n);
/* Before a decision: if it may move, it does so like this.  The decision uses that up. */
void turn_request_move(struct record *r, enum ipam_renumber how);

/* May what became free since ipam_freed_seen() change what was decided of the record? */
bool turn_is_concerned(const struct ipam *ipam, const struct record *r);
/* Lets go of what none of these has or shall have.  True if that freed an address. */
bool turn_end(struct ipam *ipam, struct record *const *records, size_t n);
/*
 * What the object says now is all that the record holds, but for what a write that is @left will
 * put there.  True if that freed an address.
 */
bool turn_settle(struct ipam *ipam, const struct record *r, struct record_write left);

#endif
