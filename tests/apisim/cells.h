/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_CELLS_H
#define APISIM_CELLS_H

/* The columns of each kind's Table, and how a cell is made from an object; pure. */

#include <json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "kind.h"

struct column {
	const char *name;
	int priority;   /* 1: only with -o wide */
	bool is_number; /* the text is a JSON number */
	void (*print)(struct buf *b, struct json_object *o, int64_t now_us);
};

struct columns {
	const struct column *v;
	size_t n;
};

const struct columns *columns_of(enum store_id store);
/* "5d3h", as kubectl shows an age. */
void print_duration(struct buf *b, int64_t seconds);

#endif
