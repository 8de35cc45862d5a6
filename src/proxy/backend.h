/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_BACKEND_H
#define FAIRLEAD_PROXY_BACKEND_H

/*
 * What programs the kernel: one row a mode, with a file or a folder of its own; proxy.c has the
 * table and is all that the rest of the speaker knows. traffic.h decides what happens to a
 * Service's traffic, for all of them.
 *
 * A member is NULL if there is nothing to do or to report, and so are all but the name if others
 * carry the traffic.  Unless noted otherwise, a function is like its namesake in fairlead/proxy.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "fairlead/proxy.h"

struct dump_program;
struct event_base;
struct out;

/* A place in the kernel where rules of ours may be, of this process or of an earlier one. */
struct place {
	const char *name; /* for people: "iptables-legacy" */
	const void *what; /* the functions' argument; lives for ever */
	/* A quick check; changes nothing. */
	bool (*has_ours)(const void *what);
	/*
	 * Removes everything of ours there, and nothing else.  Blocks; may be called in a thread.
	 */
	int (*clean)(const void *what, struct err *e);
};

struct backend {
	const char *name; /* as --proxy-mode has it */

	/* ---- its life ---- */
	/* @ops has all functions, and none is called before this has returned. */
	int (*start)(struct event_base *base, const struct proxy_options *opts,
	             const struct proxy_ops *ops, void *arg, void **ret_self, struct err *e);
	/* Leaves every rule in place.  @wait: when it returns, nothing writes any more. */
	void (*stop)(void *self, bool wait);

	/* ---- what is wanted ---- */
	void (*set)(void *self, const struct proxy_service *s);
	void (*remove)(void *self, const char *key);
	void (*complete)(void *self);

	/* ---- what became of it ---- */
	bool (*is_applied)(const void *self, const char *key, uint8_t family);
	bool (*is_damaged)(const void *self, const char *key, uint8_t family);
	const char *(*refusal)(const void *self, const char *key, uint8_t family);
	enum proxy_passage (*passage)(const void *self, uint8_t family, const char **ret_where);
	bool (*any_hindrance)(const void *self);
	bool (*has_family)(const void *self, uint8_t family);
	/* Checks whether everything that was written still stands; called every audit_ms. */
	void (*audit)(void *self);

	/* ---- what it reports about itself ---- */
	/* Adds to the counters; clears in_sync and settled if they do not hold here. */
	void (*add_stats)(const void *self, struct proxy_stats *st);
	/* Adds members of its own to the object that is open. */
	void (*status)(const void *self, struct out *o);

	/* The programs that print all rules of the node, and how many they are: see dump.h. */
	size_t (*dump)(const void *self, struct dump_program *ret_programs);

	/* ---- where it writes ---- */
	const struct place *places; /* all of them, in the order in which they are cleaned */
	size_t n_places;
	const struct place *(*place)(const void *self);
};

extern const struct backend iptables_backend;

#endif
