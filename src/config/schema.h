/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONFIG_SCHEMA_H
#define FAIRLEAD_CONFIG_SCHEMA_H

/*
 * The keys of the configuration's maps: each map has a table with one row a key, and by the row the
 * key is read, printed, given back and documented.  man/fairlead.yaml.5 is printed from the rows
 * (make tables), and so is the schema that editors read (fairlead config schema).
 *
 * Where a value that is read is wrong, that is reported and the field left alone, and reading goes
 * on: the administrator gets all errors at once.  The context knows where in the document reading
 * stands, so that every report has its path ("address-pools[0].addresses[1]") without the types'
 * help.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/out.h"
#include "fairlead/ytree.h"

#define SCHEMA_STRING_MAX 512
#define SCHEMA_PROBLEMS_MAX 200

struct schema_ctx {
	struct config_problems *errors, *warnings;
	/* the leader has published it: what it may not say any more stays in force */
	bool accepted;
	struct buf path;
};

struct schema_key;
struct schema_table;

/* What a value is to a reader of YAML: as editors are told. */
enum schema_value {
	SCHEMA_VALUE_NONE,
	SCHEMA_TEXT,     /* any scalar: a name may be of digits alone */
	SCHEMA_NOTATION, /* text that is no number: an address, "namespace/name" */
	SCHEMA_NUMBER,
	SCHEMA_BOOL,
	SCHEMA_MAP,
};

/* What a key's value may be.  Each function gets the key's field, at its offset. */
struct schema_type {
	const char *form;                /* in the documentation: "number" */
	enum schema_value value;         /* each item's, in a list */
	const char *const *words;        /* the only texts, NULL ends them; NULL: any */
	const struct schema_table *keys; /* of a map; NULL: any keys, with texts */
	bool is_list;
	bool or_one, or_bool; /* in place of the list: one item, or true or false */
	/* a key without a value is read, too; else it is as if it were not there */
	bool reads_null;
	bool null_is_empty; /* and then it is as good as an empty map */
	void (*read)(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
	             void *field);
	/*
	 * The member of the key's name, with the default where nothing was given; none where the
	 * key would not be written.
	 */
	void (*print)(struct out *o, const struct schema_key *key, const void *field);
	void (*fini)(void *field); /* NULL: it holds no memory */
};

struct schema_key {
	const char *name;
	const struct schema_type *type;
	size_t offset;        /* of the field in the target */
	unsigned char size;   /* of the field: integers */
	const char *required; /* what to say where the key is missing; NULL: optional */
	int64_t min, max;     /* integers */
	const char *unit;     /* "days, such as 90": of an integer; NULL: none to be mistaken */
	int64_t by_default;   /* integers and booleans */
	/* "invalid peer IP": opens the message about a bad value; NULL: the key's name does */
	const char *invalid;
	const char *renamed; /* what older documents call it, to be pointed out; NULL: nothing */
	/* For the documentation. */
	const char *form;      /* NULL: the type's */
	const char *otherwise; /* the default, where by_default does not say it; NULL: none */
	const char *doc;       /* in whole sentences; `code` stands in backticks */
};

/* The keys of one map. */
struct schema_table {
	const char *name; /* in the documentation */
	const struct schema_key *keys;
	size_t n_keys;
};
#define SCHEMA_TABLE(name, keys)            \
	{                                   \
		name, keys, ARRAY_LEN(keys) \
	}

#define SCHEMA_FIELD(type, field) \
	.offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* Reports at the current path. */
void schema_error(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void schema_warning(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * An error by a rule that came after the first version: in what was accepted once, before that, it
 * is a warning, for nobody may lose a configuration that works to an upgrade.
 */
void schema_refuse(struct schema_ctx *x, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Warns of a value that its list has twice. */
void schema_repeated(struct schema_ctx *x, const struct ynode *node, const char *value);

/* Extends the path, and what schema_leave() takes to cut it again. */
size_t schema_enter_key(struct schema_ctx *x, const char *key);
size_t schema_enter_item(struct schema_ctx *x, size_t i);
/* Where the value of that key of the map stands; where the map does, if it has none. */
unsigned int schema_line(const struct ynode *map, const char *key);
void schema_leave(struct schema_ctx *x, size_t mark);

/* Every key's default into @target, whose other bytes are zero. */
void schema_defaults(const struct schema_table *t, void *target);
/*
 * Reads a map by its table into @target, which has the defaults.  False, and reported, if it is no
 * map; null is an empty one.
 */
bool schema_read(struct schema_ctx *x, const struct schema_table *t, const struct ynode *node,
                 void *target);
/* The members of an object that is open. */
void schema_print(struct out *o, const struct schema_table *t, const void *target);
void schema_fini(const struct schema_table *t, void *target);
/*
 * Calls @item for each item with the path set.  False, and reported, if it is no list; null is an
 * empty one.
 */
bool schema_list(struct schema_ctx *x, const struct ynode *node, size_t max,
                 void (*item)(struct schema_ctx *x, const struct ynode *node, void *target),
                 void *target);
/* Calls @pair for each key of a map of any keys; a key given twice is reported and skipped. */
bool schema_pairs(struct schema_ctx *x, const struct ynode *node, size_t max,
                  void (*pair)(struct schema_ctx *x, const char *key, unsigned int line,
                               const struct ynode *node, void *target),
                  void *target);
/*
 * The text of a scalar of any type, NULL and reported if there is none or it is not fit to be
 * printed.
 */
const char *schema_text(struct schema_ctx *x, const struct ynode *node);

/* "a list": what the node is instead of what it should be. */
const char *schema_kind(const struct ynode *node);

/* ---- types ---- */

/*
 * char *; any integer; an integer that is 0 where the key is not given, and the default another
 * program's; bool; struct addr.
 */
extern const struct schema_type schema_string, schema_int, schema_others_int, schema_bool,
	schema_addr;
/*
 * A char * that a router takes as one word: at most key->max characters of ASCII that can be seen.
 */
extern const struct schema_type schema_word;

/* Their parts, for types that are like them. */
void schema_read_string(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field);
void schema_read_word(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field);
void schema_read_int(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                     void *field);
void schema_read_bool(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field);
void schema_read_addr(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field);
void schema_print_string(struct out *o, const struct schema_key *key, const void *field);
void schema_print_addr(struct out *o, const struct schema_key *key, const void *field);
void schema_free_string(void *field);

/* Lists of the key's name. */
void schema_print_strings(struct out *o, const char *key, char *const *values, size_t n);
void schema_print_ranges(struct out *o, const char *key, const struct addr_range *ranges, size_t n);
/* Of the key's words those whose bits are set, from the lowest. */
void schema_print_bits(struct out *o, const struct schema_key *key, unsigned int bits);

/* The position of @s among @words, which NULL ends; -1: it is none of them. */
int schema_word_index(const char *const *words, const char *s);

#endif
