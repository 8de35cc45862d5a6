/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_EFFECTOR_H
#define FAIRLEAD_SPEAKER_EFFECTOR_H

/*
 * The means by which a speaker takes effect: layer 2, BGP, the rules about aggregates, the data
 * plane.  Each is one row, in a file of its own; a turn, a report or an uninstallation walks the
 * table to reach all of them. turn.c decides on the order within a turn.
 *
 * The order of the table is the order down: what leads packets here comes before what carries them.
 * They start in the opposite order.  A member is NULL where there is nothing to do.  An effector
 * that is not in use, or not yet, answers all the same.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "speaker/announce.h"

struct buf;
struct metrics_writer;
struct out;
struct speaker;
struct speaker_options;

struct effector {
	const char *what; /* in a message: "bgpd" */

	/* ---- the announcements of one protocol ---- */
	enum protocol protocol;
	/*
	 * What has become of an announcement that this node is a candidate for, with words;
	 * REASON_Candidate, without words, if it cannot say.
	 */
	enum reason (*reason_of)(const struct speaker *sp, const struct announcement *a,
	                         struct buf *words);

	/* Before each turn; @changed: sp->facts did. */
	void (*follow_node)(struct speaker *sp, bool changed);

	/* ---- the data plane of a Service, where it is ours: as in turn.h ---- */
	void (*set)(struct speaker *sp, const struct view_service *s);
	void (*remove)(struct speaker *sp, const char *key);
	bool (*is_settled)(const struct speaker *sp, const struct view_service *s, uint8_t family);
	void (*hinder)(struct speaker *sp);
	void (*complete)(struct speaker *sp);
	/* After each turn: with what the turn interrupted. */
	void (*go_on)(struct speaker *sp);
	/*
	 * Adds what it knows about an address beyond the sentence of its reason: ": …", or nothing.
	 */
	void (*add_detail)(const struct speaker *sp, const struct announcement *a, struct buf *out);

	/* ---- what it reports about itself ---- */
	/* Each returns false if something is wrong, and says what. */
	bool (*is_healthy)(const struct speaker *sp, struct buf *why);
	bool (*is_ready)(const struct speaker *sp, struct buf *why);
	/* Its member of /status. */
	void (*status)(const struct speaker *sp, struct out *o);
	void (*metrics)(const struct speaker *sp, struct metrics_writer *w);
	/* Events about the node, after each turn. */
	void (*tell)(struct speaker *sp);

	/* ---- its life ---- */
	int (*start)(struct speaker *sp, struct err *e);
	/* As for a restart: its effects stay.  May be called if it has not started. */
	void (*stop)(struct speaker *sp);
	/*
	 * When uninstalled, it takes back what leads packets here, and a moment later everything
	 * else.  Failures are retried.
	 */
	int (*withdraw)(struct speaker *sp, struct err *e);
	int (*uninstall)(struct speaker *sp, struct err *e);
	/* Removes what an earlier process left, without a running speaker. */
	int (*clean_up)(const struct speaker_options *o, struct err *e);
};

extern const struct effector segments_effector, bgp_effector, sinks_effector, health_effector,
	relaying_effector, rules_effector;
/* All of them, in order, ended by NULL. */
extern const struct effector *const speaker_effectors[];

#define EACH_EFFECTOR(e)                                                                          \
	for (const struct effector *const *e##_at = speaker_effectors, *e; (e = *e##_at) != NULL; \
	     e##_at++)

#endif
