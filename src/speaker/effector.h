/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_EFFECTOR_H
#define FAIRLEAD_SPEAKER_EFFECTOR_H

/*
 * What a speaker has an effect by: layer 2, BGP, the rules about aggregates, the data plane.  Each
 * is one row, in a file of its own; whoever asks all of them (a turn, a report, an uninstallation)
 * walks the table.  What comes when within a turn is turn.c's.
 *
 * The order of the table is the order down: what leads packets here comes before what carries them.
 * They start in the other direction.  A member is NULL where there is nothing to do.  An effector
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
	 * What it makes of one that this node is a candidate for, with words; REASON_Candidate,
	 * without, if it does not say.
	 */
	enum reason (*reason_of)(const struct speaker *sp, const struct announcement *a,
	                         struct buf *words);

	/* ---- the data plane of a Service, where it is ours: as in turn.h ---- */
	void (*set)(struct speaker *sp, const struct view_service *s);
	void (*remove)(struct speaker *sp, const char *key);
	bool (*is_settled)(const struct speaker *sp, const struct view_service *s, uint8_t family);
	void (*hinder)(struct speaker *sp);
	void (*complete)(struct speaker *sp);
	/* Adds what it knows of an address beyond the sentence of its reason: ": …", or nothing. */
	void (*add_detail)(const struct speaker *sp, const struct announcement *a, struct buf *out);

	/* ---- what it says of itself ---- */
	/* Each returns false if something is wrong, and then says what. */
	bool (*is_healthy)(const struct speaker *sp, struct buf *why);
	bool (*is_ready)(const struct speaker *sp, struct buf *why);
	/* Its member of /status. */
	void (*status)(const struct speaker *sp, struct out *o);
	void (*metrics)(const struct speaker *sp, struct metrics_writer *w);
	/* Events about the node, after each turn. */
	void (*tell)(struct speaker *sp);

	/* ---- its life ---- */
	int (*start)(struct speaker *sp, struct err *e);
	/* As for a restart: what it did stays.  Also of one that has not started. */
	void (*stop)(struct speaker *sp);
	/*
	 * Being uninstalled, it takes back what leads here, and a moment later all else.  What
	 * fails is tried again.
	 */
	int (*withdraw)(struct speaker *sp, struct err *e);
	int (*uninstall)(struct speaker *sp, struct err *e);
	/* Takes away what an earlier process left, without a speaker that runs. */
	int (*clean_up)(const struct speaker_options *o, struct err *e);
};

extern const struct effector segments_effector, bgp_effector, sinks_effector, health_effector,
	rules_effector;
/* All of them, in their order; the end is NULL. */
extern const struct effector *const speaker_effectors[];

#define EACH_EFFECTOR(e)                                                                          \
	for (const struct effector *const *e##_at = speaker_effectors, *e; (e = *e##_at) != NULL; \
	     e##_at++)

#endif
