/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_REPORT_H
#define FAIRLEAD_PROXY_REPORT_H

/*
 * The answer of proxy_diff_start(), as a backend comes to it: family by family, and of each what is
 * missing, changed and foreign.  backend.h has the members.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/out.h"

/* How long who is writing is waited for, and how often, before it is told as it is. */
#define REPORT_REST_MS 100
#define REPORT_RESTS_MAX 20

enum report_what { REPORT_MISSING, REPORT_CHANGED, REPORT_FOREIGN };
const char *report_what_name(enum report_what what);

struct report {
	struct buf text;
	struct out out;
	size_t n, n_left_out; /* findings of this family; those that had no room */
	void (*done)(struct buf *text, void *arg);
	void *arg;
};

struct report_finding {
	enum report_what what;
	const char *table, *chain;
	const char *rule;    /* NULL: all that is in there */
	const char *service; /* NULL: not of one */
};

void report_init(struct report *r, const char *mode, void (*done)(struct buf *text, void *arg),
                 void *arg);
void report_fini(struct report *r);

/* @error: NULL if there is none. */
void report_family_begin(struct report *r, uint8_t family, const char *state, const char *error,
                         bool settled, size_t n_pending);
/* One beyond LIMIT_PROXY_DIFFERENCES of a family is only counted. */
void report_find(struct report *r, const struct report_finding *f);
void report_family_end(struct report *r);

/* Calls done.  @error: why no family could be looked at; NULL: they were. */
void report_end(struct report *r, const char *error);

#endif
