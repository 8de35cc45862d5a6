/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_HITS_H
#define FAIRLEAD_PROXY_IPTABLES_HITS_H

/*
 * How many connections each set of endpoints got, by the counters that the kernel keeps of rules:
 * nat looks at a connection's first packet only.  One family; iptables-save is run for it, so
 * seldom that it does not matter.
 */

#include <stddef.h>
#include <stdint.h>

#include "proxy/iptables/chain.h"
#include "proxy/iptables/save.h"
#include "proxy/iptables/variant.h"

struct event_base;
struct hits;

/* A reading waits TALLY_GAPS times what the last one took, and this long. */
#define HITS_GAP_MS 10000

struct hits_ops {
	/* @chain: the set's; @service: "namespace/name". */
	void (*counted)(const char *chain, const char *service, uint64_t packets, uint64_t bytes,
	                void *arg);
	void (*done)(void *arg); /* all were read */
};

struct hits *hits_new(struct event_base *base, const struct variant *v, uint8_t family,
                      const struct hits_ops *ops, void *arg);
void hits_free(struct hits *h);
/* Begins a reading, if it is time for one; false if it is not. */
bool hits_read(struct hits *h);

/* What iptables-save -c prints, in pieces of any size.  Pure. */
struct hits_text {
	const struct hits_ops *ops;
	void *arg;
	char line[SAVE_MAX_LINE];
	size_t len;
	char chain[CHAIN_NAME_SIZE]; /* the set whose rules come now; "": none */
	char service[CHAIN_LABEL_SIZE];
	uint64_t packets, bytes; /* of it so far */
};
void hits_text_feed(struct hits_text *t, const char *data, size_t size);
/* After the last piece. */
void hits_text_end(struct hits_text *t);

#endif
