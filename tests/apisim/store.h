/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_STORE_H
#define APISIM_STORE_H

/*
 * The objects, their versions, and what happened to them lately.
 *
 * An object is kept as the text that goes over the wire, immutable and counted by reference, so
 * that a list, a paged snapshot and thirty watches share one copy; besides it only what selectors
 * ask for is taken out.  One counter numbers all changes of all kinds.  Each kind has a ring of
 * recent events: a watch may begin at any version that the ring still reaches back to.
 *
 * The store knows nothing of HTTP, defaults or validation.  Whoever listens is told of each change.
 */

#include <json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "kind.h"

struct version {
	unsigned int refs;
	uint64_t rv;
	const struct kind *kind;
	char *key; /* "NAMESPACE/NAME" or "NAME" */
	char *text;
	size_t size;
	size_t rest;  /* where the text goes on behind kind and apiVersion */
	char *labels; /* "KEY\0VALUE\0…\0" */
	char *fields; /* the values of kind->fields, one after the other, each with its NUL */
	struct version *alias; /* the same in a converting kind's spelling, once asked for */
};

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };

struct event {
	enum event_type type;
	uint64_t rv;
	struct version *now;    /* for EVENT_DELETED the last state, with the deletion's version */
	struct version *before; /* NULL for EVENT_ADDED */
};

struct shelf {
	struct version **v; /* sorted by key */
	size_t n, cap;
	struct event *ring;
	size_t first, n_events;
	uint64_t floor; /* every event after this version is still in the ring */
	uint64_t last;  /* version of the last change of this kind */
};

struct journal;

struct store {
	struct shelf shelves[STORE_N];
	uint64_t rv;
	size_t history;
	bool was_reset;
	struct journal *journal; /* or NULL */
	void (*on_event)(void *arg, enum store_id id, const struct event *e);
	void *arg;
};

struct version *version_ref(struct version *v);
void version_unref(struct version *v);
/* Encodes @o (without kind and apiVersion, with its resourceVersion set). */
struct version *version_new(const struct kind *k, uint64_t rv, struct json_object *o);
/* The object without kind and apiVersion, owned by the caller. */
struct json_object *version_parse(const struct version *v);
/* As @k spells it: @v itself or its alias, borrowed from @v. */
struct version *version_as(struct version *v, const struct kind *k);
const char *version_name(const struct version *v);
/* The value of selectable field @i; "" if it is absent. */
const char *version_field(const struct version *v, size_t i);

/* "NAMESPACE/NAME", owned by the caller. */
char *store_key(const char *ns, const char *name);

void store_init(struct store *s, size_t history);
void store_fini(struct store *s);
/* NULL if there is none. */
struct version *store_get(const struct store *s, enum store_id id, const char *key);
/* The objects of one namespace (NULL: all) as an index range. */
void store_range(const struct store *s, enum store_id id, const char *ns, size_t *ret_begin,
                 size_t *ret_end);
/* The first object whose key comes after @key. */
size_t store_after(const struct store *s, enum store_id id, const char *key);
/*
 * Creates or replaces the object that @o's metadata names; numbers it.  Fails only where the
 * journal cannot be written, and has changed nothing then.
 */
int store_put(struct store *s, enum store_id id, struct json_object *o,
              struct version **ret_version, struct err *err);
/* Removes it; @o is the last state, NULL for the stored one. */
int store_delete(struct store *s, enum store_id id, const char *key, struct json_object *o,
                 struct version **ret_last, struct err *err);
/* Whether a watch can start after @rv. */
bool store_reaches(const struct store *s, enum store_id id, uint64_t rv);
/* Events of a kind, oldest first: the first one after @rv is number *@ret_first of n_events. */
size_t store_first_event(const struct store *s, enum store_id id, uint64_t rv);
const struct event *store_event(const struct store *s, enum store_id id, size_t i);
/*
 * Numbers everything anew from 1 in a stable order and forgets all events, as a cluster restored
 * from a backup does.  Old versions are refused from then on.
 */
int store_reset_history(struct store *s, struct err *err);
/* For the journal: puts what it read, without telling anybody. */
void store_load(struct store *s, enum store_id id, uint64_t rv, struct json_object *o);
void store_unload(struct store *s, enum store_id id, uint64_t rv, const char *key);

#endif
