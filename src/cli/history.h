/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_HISTORY_H
#define FAIRLEAD_CLI_HISTORY_H

/* The journal as the cluster's ConfigMaps have it, read and printed. */

#include <stdint.h>

#include "fairlead/journal.h"

struct out;
struct state;

struct history {
	/* in the order in which they were written, with what follows about before from others */
	struct journal_entry *entries;
	size_t n, cap;
	size_t n_maps;                   /* that there are */
	size_t n_unreadable;             /* lines */
	struct journal_holders *holders; /* after the last entry; NULL: nothing was read */
};

/* Those of that namespace. */
void history_read(struct history *h, const struct state *s, const char *namespace);
void history_fini(struct history *h);

struct history_question {
	struct addr address; /* none: of any */
	const char *service; /* "namespace/name"; NULL: of any */
	int64_t since_us;    /* the beginning of the period; INT64_MIN: all of time */
};
/*
 * The entries of the period.  Before them, if an address or a Service is asked for, stands what was
 * so when it began: of each that held the address then, or of what the Service held, the last entry
 * before; if nobody held it, the last of all.
 */
void history_print(const struct history *h, const struct history_question *q, struct out *o);
/*
 * "namespace/name" of a Service of that name that is in the journal; NULL: there is none, or there
 * are entries of @service, which is asked for.
 */
const char *history_elsewhere(const struct history *h, const char *service);

/* ---- history_pools.c ---- */

struct config_pool;

/*
 * Since when the Service, of that "namespace/name", has had the address, as its load balancer's or
 * as an external IP; 0: the journal does not say.
 */
int64_t history_held_since(const struct history *h, const char *service, const struct addr *a);

/* Of the last 30 days, or as many as the journal goes back without a gap. */
struct history_growth {
	int64_t days;   /* 0: not even one */
	int64_t gained; /* addresses of the pool that are held now, less those held then */
};
void history_growth_of(const struct history *h, const struct config_pool *p, uint8_t family,
                       int64_t now_us, struct history_growth *ret);

#endif
