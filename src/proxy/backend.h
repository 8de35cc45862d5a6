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
#include "fairlead/packet.h"
#include "fairlead/proxy.h"

struct dump_program;
struct event_base;
struct out;
struct tally;
struct traffic_destination;

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
	/* Only if it differs from what was set last; at first it is all zero. */
	void (*set_node)(void *self, const struct proxy_node *n);

	/*
	 * What this would program for these Services, in any order, as the mode's own programs read
	 * it; the same text for the same input.  @opts are complete.  Pure: nothing was started.
	 */
	void (*render)(const struct proxy_options *opts, const struct proxy_node *node,
	               uint8_t family, const struct proxy_half *const *halves, size_t n,
	               struct buf *ret_text);

	/*
	 * By what it catches the packets that go to this destination of the Service's port, or,
	 * where that is NULL, the guard of an address refuses them: a line each, in the order in
	 * which they meet it, to caught_by, where origin and fate say whose they are and whether
	 * they are forwarded; and scheduler, where one of IPVS picks.  Pure, too.  @s is as spec.h
	 * makes it.
	 */
	void (*caught_by)(const struct proxy_options *opts, const struct proxy_node *node,
	                  const struct proxy_half *s, size_t port,
	                  const struct traffic_destination *d, const struct addr *guarded,
	                  struct packet_answer *answer);

	/* ---- what became of it ---- */
	bool (*is_applied)(const void *self, const char *key, uint8_t family);
	bool (*is_damaged)(const void *self, const char *key, uint8_t family);
	const char *(*refusal)(const void *self, const char *key, uint8_t family);
	bool (*any_substitute)(const void *self);
	const char *(*substitute)(const void *self, const char *key, uint8_t family);
	enum proxy_passage (*passage)(const void *self, uint8_t family, const char **ret_where);
	bool (*any_hindrance)(const void *self);
	bool (*has_family)(const void *self, uint8_t family);
	/* Checks whether everything that was written still stands; called every audit_ms. */
	void (*audit)(void *self);

	/* ---- what it reports about itself ---- */
	/* Adds to the counters; clears in_sync and settled if they do not hold here. */
	void (*add_stats)(const void *self, struct proxy_stats *st);
	/*
	 * Begins to read the counters of Services' traffic, unless that is under way, and does what
	 * takes a moment at once; the rest goes into @t later on.  Only if they were asked for.
	 */
	void (*count)(void *self, struct tally *t);
	bool counts_packets; /* not only connections */
	/* Adds members of its own to the object that is open. */
	void (*status)(const void *self, struct out *o);

	/* The programs that print all rules of the node, and how many they are: see dump.h. */
	size_t (*dump)(const void *self, struct dump_program *ret_programs);

	/*
	 * Starts to compare, as proxy_diff_start() says; @done is called once, unless it is
	 * cancelled before, and takes JSON: {"mode", "families": [{"family", "state", "error",
	 * "settled", "pending", "differences": [{"what", "table", "chain", "rule", "service"}],
	 * "left_out"}]}.
	 */
	void *(*diff)(void *self, struct event_base *base,
	              void (*done)(struct buf *text, void *arg), void *arg);
	void (*diff_cancel)(void *job);

	/* ---- where it writes ---- */
	const struct place *places; /* all of them, in the order in which they are cleaned */
	size_t n_places;
	/* Those that it writes to, by number; NULL: there are no more. */
	const struct place *(*place)(const void *self, size_t i);
};

extern const struct backend iptables_backend;
extern const struct backend nftables_backend;
extern const struct backend ipvs_backend;

const struct backend *backend_of(enum proxy_mode mode);
/* With the defaults of what was not chosen, as backends get them. */
struct proxy_options backend_options(const struct proxy_options *opts);

#endif
