/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_TURN_H
#define FAIRLEAD_SPEAKER_TURN_H

/*
 * The order of effects, and nothing else.
 *
 *   Up: the data plane, then the announcement.
 *   Down: the announcement, then the data plane.
 *
 * A turn takes the dirty Services out of the view, has them decided anew, and calls the effectors
 * in the one order that keeps this.  It knows neither what the effectors are nor what time it is:
 * each of them does its work at once or later, and says when it is done.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/view.h"
#include "speaker/announce.h"

/* All get the @arg of the turn.  A Service is passed by its key if it may be gone already. */
struct turn_effectors {
	/* Layer 2: what may be owned from now on, if that has changed.  In force at once. */
	void (*publish)(void *arg);

	/*
	 * BGP: what is to be announced, if that has changed.  In force when bgpd has acknowledged
	 * it.
	 */
	void (*update_routes)(void *arg);
	/*
	 * Whether the routes of an earlier run have been dealt with: until then any Service may
	 * have one.
	 */
	bool (*routes_have_begun)(void *arg);
	/*
	 * The Service's rules wait for what update_routes() withdrew last; false: nothing has to
	 * wait.
	 */
	bool (*hold)(const char *key, void *arg);
	bool (*is_held)(const char *key, void *arg);
	/* Calls @go for each Service that waits no longer. */
	void (*release)(void (*go)(const char *key, void *go_arg), void *go_arg, void *arg);
	/* Whether rules of an earlier run may go: what led to them is withdrawn, or cannot be. */
	bool (*may_program)(void *arg);

	/* The data plane, written after the turn.  All NULL where others forward. */
	void (*set_rules)(const struct view_service *s, void *arg);
	void (*remove_rules)(const char *key, void *arg);
	/*
	 * Whether the rules set last for the Service in this family are in the kernel, or it needs
	 * none.
	 */
	bool (*has_rules)(const struct view_service *s, uint8_t family, void *arg);
	/*
	 * Tells the announcements what others have done to rules that are there, and when it is
	 * over.
	 */
	void (*hinder)(void *arg);
	/*
	 * All Services were set once: from now on it is written, and rules of an earlier run go.
	 */
	void (*complete_rules)(void *arg);
};

struct turn {
	struct view *view;
	struct announce *announce;
	const struct turn_effectors *effectors;
	void *arg;
	bool complete; /* everything was known and acted on once */
};

/* Only once everything that decisions depend on is known.  Returns how many Services were dirty. */
size_t turn_run(struct turn *t);

#endif
