/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_KIND_H
#define APISIM_KIND_H

/*
 * The table of resources that are served: one row each, and nothing about a resource outside its
 * row that a row could say.  Two rows may share a store (core and events.k8s.io Events are the same
 * objects in two spellings); the second one converts.
 */

#include <json.h>
#include <stdbool.h>
#include <stddef.h>

enum store_id {
	STORE_NAMESPACES, /* first: what is created at start needs them */
	STORE_NODES,
	STORE_SERVICES,
	STORE_CONFIGMAPS,
	STORE_SECRETS,
	STORE_PODS,
	STORE_SERVICEACCOUNTS,
	STORE_EVENTS,
	STORE_ENDPOINTSLICES,
	STORE_LEASES,
	STORE_N,
};

#define KIND_FIELDS_MAX 12

struct kind {
	const char *group; /* "" for core */
	const char *version;
	const char *resource; /* plural */
	const char *kind;
	const char *short_name; /* or NULL */
	enum store_id store;
	bool namespaced;
	bool has_status;
	bool converts;             /* a second spelling of the objects in the store */
	bool create_on_update;     /* PUT of an absent object creates it */
	bool update_needs_version; /* PUT without resourceVersion is refused */
	bool delete_returns_object;
	/* paths for field selectors, besides metadata.name and .namespace */
	const char *fields[KIND_FIELDS_MAX];
};

extern const struct kind kinds[];
extern const size_t n_kinds;

/* NULL if there is none. */
const struct kind *kind_find(const char *group, const char *version, const char *resource);
/* The row that gives the store its name and shape. */
const struct kind *kind_of_store(enum store_id store);
/* By the store's name in files: the plural. */
const struct kind *kind_of_resource(const char *resource);
/* "v1" or "discovery.k8s.io/v1". */
const char *kind_api_version(const struct kind *k);
/* How messages name it: "services" or "leases.coordination.k8s.io". */
const char *kind_qualified(const struct kind *k);

/* Turns an object between a converting row's spelling and the store's, in place. */
void kind_convert_in(const struct kind *k, struct json_object *o);
void kind_convert_out(const struct kind *k, struct json_object *o);

#endif
