/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_PLAN_PRIVATE_H
#define FAIRLEAD_CLI_PLAN_PRIVATE_H

/*
 * The tables of a plan, for what runs it (plan.c), what looks at announcements (plan_air.c) and
 * what prints (plan_print.c).
 */

#include "cli/plan.h"
#include "fairlead/ipam.h"
#include "fairlead/record.h"
#include "fairlead/waiting.h"

/* Of one address that the Service has in the end. */
struct plan_air {
	struct addr addr;
	/* by which it would be announced, PROTOCOL_… bits; 0: nobody would */
	unsigned int protocols;
	/* why nobody would; Retained: as before, and how that is, is not known */
	enum reason reason;
	char *message; /* about the reason; NULL: it would be */
	bool silenced; /* the Service had one of that family on the air */
};

struct plan_side {
	bool of_interest;
	struct addr *before;
	size_t n_before;
	/*
	 * How its addresses changed last; a later round may have found that it keeps them.  NULL:
	 * they have not.
	 */
	char *message;
	enum reason reason;
	bool renumbered;
	struct plan_air *air;
	size_t n_air;
};

enum { LOAD_BALANCER, EXTERNAL, SIDES };

struct plan_row {
	struct record *record;
	const struct kube_service *service; /* while the plan is made; NULL: it cannot be read */
	struct plan_side sides[SIDES];
	bool dirty, unwritten; /* it is on the list of these */
	struct record_write write;
};

/* Some of the rows; with room for all, each at most once. */
struct plan_list {
	struct plan_row **rows;
	size_t n;
};

struct plan {
	struct configuration *config;
	struct ipam *ipam;
	struct plan_row *rows; /* in the order of turns, then in that of printing */
	size_t n;
	struct waiting waiting;
	struct plan_list dirty, unwritten;
	const struct config_peer **idle; /* peers that no node has */
	size_t n_idle;
};

const struct record_part *plan_part(const struct plan_row *row, size_t side);
/* What the part holds, written by us or not.  A new array for free(). */
struct addr *plan_addrs(const struct record_part *p, size_t *ret_n);
/* Whether some address of this side is on the air now, and would not be. */
bool plan_silences(const struct plan_side *side);
/* Of all rounds together.  What is left alone and has an address keeps it. */
enum ipam_action plan_change(const struct plan_row *row, size_t side);
/* Of each row, whether its Service fares otherwise than by the other plan: for free(). */
bool *plan_concerned(const struct plan *p, const struct plan *without);
/* ---- in words ---- */

/* In a word: what an edit of the pools does beside what Services ask for has words of its own. */
const char *plan_change_name(const struct plan_row *row, size_t side);
struct plan_said {
	enum reason reason;
	const char *message;
};
struct plan_said plan_said_of(const struct plan_row *row, size_t side);
/* The pool's name, or NULL. */
const char *plan_pool_of(const struct plan *p, const struct plan_row *row, size_t side);
/* By which protocols, of all its addresses together. */
void plan_put_announced(const struct plan_side *side, struct buf *out);
/* Which of them nobody would announce, unless the text already says so. */
void plan_put_silent(const struct plan_side *side, enum reason said, struct buf *out);

/* Fills in, when all rounds are over, who would announce what. */
void plan_look_at_air(struct plan *p, const char *class, const struct plan_input *in);

#endif
