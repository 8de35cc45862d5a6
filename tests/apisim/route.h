/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_ROUTE_H
#define APISIM_ROUTE_H

/* From a path to the resource that it names; pure. */

#include <stdbool.h>

#include "kind.h"
#include "server.h"

struct route {
	char path[SERVER_MAX_PATH]; /* cut into the segments that the pointers name */
	const struct kind *kind;
	const char *ns, *name, *sub; /* NULL where absent */
};

/* 0, or -ENOENT where nothing of ours is there. */
int route_parse(const char *path, struct route *ret_route);

#endif
