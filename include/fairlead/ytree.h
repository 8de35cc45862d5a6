/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_YTREE_H
#define FAIRLEAD_YTREE_H

/*
 * A YAML document as a tree of nodes that know their line.
 *
 * It knows YAML (through libyaml's events) and nothing of the schema.  Text comes from outside, so
 * everything is bounded: size, depth, and the number of nodes with every alias counted as often as
 * it is used.  Aliases share the node they name; merge keys ("<<") are resolved, as yaml.v2 does.
 * Scalars stay text: what they mean depends on who asks (YAML 1.1: "yes" is a boolean where one is
 * wanted).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YTREE_SIZE_MAX (1 << 20) /* a ConfigMap holds no more */
#define YTREE_DEPTH_MAX 16
#define YTREE_NODES_MAX 200000
#define YTREE_ANCHORS_MAX 1000
#define YTREE_MERGED_KEYS_MAX 64

enum ynode_kind { YNODE_SCALAR, YNODE_LIST, YNODE_MAP };

struct ynode;

struct ynode_entry {
	const char *key;   /* NULL in a list */
	unsigned int line; /* of the key, or of the item */
	const struct ynode *value;
};

struct ynode {
	enum ynode_kind kind;
	unsigned int line; /* from 1 */
	size_t weight;     /* nodes at and below, aliases counted each time */
	char *text;        /* scalar */
	bool quoted;       /* scalar: in quotes, a block, or tagged !!str: text and nothing else */
	bool literal;      /* scalar: a block written with "|", whose lines are the file's */
	struct ynode_entry *entries; /* list, map: in the order of the file */
	size_t n_entries, cap_entries;
};

struct ytree {
	struct ynode *root; /* NULL: an empty document */
	struct ynode **nodes;
	size_t n_nodes, cap_nodes;
};

struct ytree_error {
	unsigned int line; /* from 1 */
	char message[256];
};

/*
 * 0, or -EINVAL with @ret_error set; @ret_tree is then untouched.  @lines_before: how many lines of
 * the file come before the text; all lines reported are those of the file.
 */
int ytree_parse(const char *yaml, size_t size, unsigned int lines_before, struct ytree *ret_tree,
                struct ytree_error *ret_error);
/*
 * The same for any number of documents: those that are not empty are the items of a list, which is
 * the root.
 */
int ytree_parse_stream(const char *yaml, size_t size, struct ytree *ret_tree,
                       struct ytree_error *ret_error);
void ytree_fini(struct ytree *t);

/*
 * What a scalar means, by the rules of YAML 1.1 as yaml.v2 has them.  Each returns 0 or -EINVAL
 * (-ERANGE).
 */
bool ynode_is_null(const struct ynode *node);
int ynode_bool(const struct ynode *node, bool *ret_value);
int ynode_int(const struct ynode *node, int64_t *ret_value);

/* "1h30m", "90s", "0", "1.5s": Go's time.ParseDuration. */
int duration_parse(const char *s, int64_t *ret_ns);

#endif
