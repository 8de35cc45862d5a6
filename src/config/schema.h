/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONFIG_SCHEMA_H
#define FAIRLEAD_CONFIG_SCHEMA_H

/*
 * Reading a tree by a table: each map of the document has a table of its keys, each key a setter.
 *
 * A setter that finds its value wrong reports that and leaves the field alone, and reading goes on: the administrator
 * gets all errors at once.  The context knows where in the document reading stands, so that every report has its
 * path ("address-pools[0].addresses[1]") without the setters' help.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/ytree.h"

#define SCHEMA_STRING_MAX 512
#define SCHEMA_PROBLEMS_MAX 200

struct schema_ctx {
	struct config_problems *errors, *warnings;
	struct buf path;
};

struct schema_key;
typedef void schema_setter(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *target);

struct schema_key {
	const char *name;
	schema_setter *set;
	size_t offset;        /* of the field in the target */
	const char *required; /* what to say where the key is missing; NULL: optional */
	int64_t min, max;     /* integers */
	const char *
		invalid; /* "invalid peer IP": opens the message about a bad value; NULL: the key's name does */
	unsigned char size;  /* of the field: integers */
	const char *renamed; /* what older documents call it, to be pointed out; NULL: nothing */
};

#define SCHEMA_FIELD(type, field) \
	.offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* Reports at the current path. */
void schema_error(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void schema_warning(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Extends the path, and what schema_leave() takes to cut it again. */
size_t schema_enter_key(struct schema_ctx *x, const char *key);
size_t schema_enter_item(struct schema_ctx *x, size_t i);
/* Where the value of that key of the map stands; where the map does, if it has none. */
unsigned int schema_line(const struct ynode *map, const char *key);
void schema_leave(struct schema_ctx *x, size_t mark);

/* Reads a map by its table into @target.  False, and reported, if it is no map; null is an empty one. */
bool schema_map(struct schema_ctx *x, const struct schema_key *keys, size_t n_keys,
                const struct ynode *node, void *target);
/* Calls @item for each item with the path set.  False, and reported, if it is no list; null is an empty one. */
bool schema_list(struct schema_ctx *x, const struct ynode *node, size_t max,
                 void (*item)(struct schema_ctx *x, const struct ynode *node, void *target),
                 void *target);
/* Calls @pair for each key of a map of any keys; a key given twice is reported and skipped. */
bool schema_pairs(struct schema_ctx *x, const struct ynode *node, size_t max,
                  void (*pair)(struct schema_ctx *x, const char *key, unsigned int line,
                               const struct ynode *node, void *target),
                  void *target);
/* The text of a scalar of any type, NULL and reported if there is none or it is not fit to be printed. */
const char *schema_text(struct schema_ctx *x, const struct ynode *node);

/* Setters of the usual fields: char *, bool, any unsigned or signed integer, struct addr. */
schema_setter schema_set_string, schema_set_bool, schema_set_int, schema_set_addr;
/* A char * that a router takes as one word: at most key->max characters of ASCII that can be seen. */
schema_setter schema_set_word;

#endif
