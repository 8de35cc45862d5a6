/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_VERDICT_H
#define FAIRLEAD_CLI_VERDICT_H

/*
 * What is wrong with a cluster, worst first, and in one word how it is.  Pure: by what the model
 * holds.
 *
 * Down: nothing is assigned, or nothing is announced.  Degraded: something that was asked for is
 * not so, or the next failure would find no reserve.  OK findings are worth knowing and nothing to
 * act on now.
 *
 * What tenants alone do wrong and cannot do to others is none: external IPs that they may not have,
 * Services of other classes.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/reason.h"

struct model;
struct out;

enum verdict_level { VERDICT_OK, VERDICT_DEGRADED, VERDICT_DOWN };

/* What is looked at, as bits. */
enum verdict_part {
	VERDICT_CONTROLLER = 1 << 0, /* the leader, the configuration */
	VERDICT_POOLS = 1 << 1,
	VERDICT_SERVICES = 1 << 2,
	VERDICT_SPEAKERS = 1 << 3, /* whether they answer */
	VERDICT_NODES = 1 << 4,    /* what they say of themselves, but for BGP */
	VERDICT_BGP = 1 << 5,
	VERDICT_VERSIONS = 1 << 6,
};

struct finding {
	enum verdict_level level;
	char *object; /* "node n1" */
	/* the registry's word; a speaker of another version may have one that is not in it */
	char *reason;
	char *message;
};

struct findings {
	struct finding *items;
	size_t n, cap;
};

/*
 * Adds what is wrong with these parts to @ret, worst first, those of one reason together, and sorts
 * the model.
 */
void verdict_find(struct model *m, unsigned int parts, struct findings *ret);
void findings_fini(struct findings *f);
/* As bad, and of the same reason. */
bool finding_is_alike(const struct finding *a, const struct finding *b);
/* The worst of them. */
enum verdict_level verdict_of(const struct findings *f);
/* "OK", "degraded", "down" */
const char *verdict_name(enum verdict_level level);

/* An object; as text the word in a line, and what is wrong with its remedy, a reason once. */
void verdict_print(const struct findings *f, const char *key, struct out *o);

#endif
