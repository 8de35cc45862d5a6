/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_CONVERT_PRIVATE_H
#define FAIRLEAD_CLI_CONVERT_PRIVATE_H

/*
 * A conversion's state, for what collects and judges (convert.c), what reads fields
 * (convert_reader.c) by the tables of their kinds (convert_fields.c), and what tells the pools of
 * an advertisement (convert_select.c).
 */

#include <json-c/json.h>

#include "cli/convert.h"
#include "fairlead/buf.h"
#include "fairlead/hash.h"
#include "fairlead/kube_types.h"

/* The order in which they are read: objects that others refer to come first. */
enum convert_kind {
	CONVERT_COMMUNITY,
	CONVERT_BFD_PROFILE,
	CONVERT_PEER,
	CONVERT_LEGACY_POOL,
	CONVERT_POOL,
	CONVERT_L2_ADVERTISEMENT,
	CONVERT_BGP_ADVERTISEMENT,
	CONVERT_KINDS
};

struct convert_object {
	char *key;   /* "BGPPeer/metallb-system/tor-a" */
	char *label; /* "BGPPeer/tor-a" */
	enum convert_kind kind;
	struct kube_object *object;
	struct json_object *json;
	UT_hash_handle hh;
};

/* What advertisements of one kind make of a pool: maps, each with the label of whose it is. */
struct convert_list {
	bool any; /* some advertisement selects the pool */
	struct json_object *maps;
	const char **labels;
	size_t cap_labels;
};

/* A pool in the making. */
struct convert_pool {
	const struct convert_object *from;
	struct json_object *map;
	struct convert_list layer2, bgp;
};

/* Which object a place of the configuration came from. */
struct convert_origin {
	char *path; /* "peers[0]" */
	const char *label;
};

struct conversion {
	struct convert_object *objects;
	const struct convert_object *current; /* whose notes are made; NULL: nobody's */
	struct convert_pool *pools;
	size_t n_pools, cap_pools;
	struct json_object *peers, *bfd_profiles; /* lists of maps */
	struct json_object *communities;          /* a map */
	struct convert_origin *origins;
	size_t n_origins, cap_origins;
	struct conversion_note *notes;
	size_t n_notes, cap_notes;
	struct buf text;
};

/* Notes what the current object loses. */
void convert_note(struct conversion *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Says that this place of the configuration, and all below it, came from the object of that label.
 */
void convert_origin(struct conversion *c, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A map being read. */
struct convert_reader {
	struct conversion *c;
	const char *at;           /* where it is in the object, "nodeSelectors[0]."; "": the spec */
	struct json_object *from; /* MetalLB's */
	struct json_object *to;   /* ours */
	bool left_out;            /* it cannot be what it is for without a field of the table */
};

struct convert_field {
	const char *name; /* MetalLB's */
	void (*read)(struct convert_reader *r, const struct convert_field *f,
	             struct json_object *value);
	const char *key;  /* ours */
	const char *omit; /* as JSON: a default, which needs no writing */
	const char *lost; /* without read: what is lost where it is set, and what to do */
	bool needed;      /* lost: and so is all of it */
};

/* Reads the fields that the table has, and notes those that it has not. */
void convert_read_fields(struct convert_reader *r, const struct convert_field *fields, size_t n);
/*
 * For tables: a value that goes over as it is, a label selector whose fields become those of the
 * map itself, and a list of label selectors.
 */
void convert_read_value(struct convert_reader *r, const struct convert_field *f,
                        struct json_object *value);
void convert_read_selector(struct convert_reader *r, const struct convert_field *f,
                           struct json_object *value);
void convert_read_selectors(struct convert_reader *r, const struct convert_field *f,
                            struct json_object *value);
/* As a Go program leaves out, or writes, what is not set. */
bool convert_is_unset(struct json_object *value);

/* Reads an object into the configuration, by the table of its kind. */
void convert_read(struct conversion *c, const struct convert_object *object);

/* The pools that the advertisement @spec selects: calls @fn for each. */
void convert_select(struct conversion *c, struct json_object *spec,
                    void (*fn)(struct convert_pool *pool, void *arg), void *arg);

#endif
