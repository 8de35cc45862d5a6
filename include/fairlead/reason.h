/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_REASON_H
#define FAIRLEAD_REASON_H

/*
 * The one registry of reasons: why a Service has an address or not, why a node announces it or not.
 * Names are UpperCamelCase and stable; the same word stands in conditions, Events, metric labels,
 * /status and logs.
 *
 * The table itself is reasons.def, a row a reason.  The columns:
 *
 *   name      the word
 *   holds     what was asked for is so
 *   about what it applies to, enum reason_about
 *   sentence  what it says, without a capital and a full stop; the default message: details go into
 *             a message of their own
 *   remedy    what a person should do, in whole sentences; "": nothing.  `code` stands in
 *             backticks.
 *
 * docs/reasons.md, the man pages and `fairlead explain` print sentence and remedy.
 */

#include <stdbool.h>

enum reason_about {
	/* the Service: the same for each of its addresses, and on every node */
	REASON_ABOUT_SERVICE,
	REASON_ABOUT_ADDRESS, /* one address of it: the same on every node */
	REASON_ABOUT_NODE,    /* the node that says so: others may announce the address */
	REASON_ABOUT_PASSING, /* the way to an answer, which follows in a moment */
	REASON_ABOUT_BGP,     /* all of BGP on the node that says so */
	REASON_ABOUT_PEER,    /* a BGP peer of the node that says so */
	REASON_ABOUT_EVENT,   /* something that has happened; only in Events */
	REASON_ABOUT_CLUSTER, /* Fairlead as a whole, or a pool; only in `fairlead status` */
};

enum reason {
#define REASON(name, holds, about, sentence, remedy) REASON_##name,
#include "fairlead/reasons.def"
	REASON_COUNT
};

const char *reason_name(enum reason r);     /* "NotOwner" */
const char *reason_sentence(enum reason r); /* "another node of the segment owns the address" */
const char *reason_remedy(enum reason r);   /* "" where there is nothing to do */
bool reason_holds(enum reason r);
enum reason_about reason_about(enum reason r);
/* REASON_COUNT if no reason has the name. */
enum reason reason_named(const char *name);

#endif
