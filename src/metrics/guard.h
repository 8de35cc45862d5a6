/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_METRICS_GUARD_H
#define FAIRLEAD_METRICS_GUARD_H

/*
 * Decides which clients may read /status, which names other people's Services, and which may change
 * the log level.
 */

#include <stdbool.h>

#include "fairlead/err.h"
#include "fairlead/metrics.h"

enum guard_answer { GUARD_PASS, GUARD_NEEDS_TOKEN, GUARD_NEEDS_HOST };

/*
 * A client of this host passes.  Others need the token, where there is one; without one they may
 * read, unless host_only, and never change anything.  The file is read anew each time, since
 * Kubernetes replaces a mounted Secret's; one that cannot be read lets nobody pass.
 */
enum guard_answer guard_ask(const struct metrics_guard *g, bool from_this_host, bool writes,
                            const char *token);
/* Whether the token can be read. */
int guard_check(const struct metrics_guard *g, struct err *e);

#endif
