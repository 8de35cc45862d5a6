/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_SERVER_H
#define FAIRLEAD_PROXY_IPVS_SERVER_H

/*
 * One virtual server: what it should be, what the kernel has, and the operations that lead from one
 * to the other.  Pure.
 *
 * Schedulers that hash the client (mh, sh) fill a table by going through the endpoints in their
 * order, so two nodes pick the same endpoint only if the order is the same.  The kernel puts a new
 * endpoint before all others.  So endpoints are added in ascending order; where one belongs
 * between others, those above it are removed and added again.
 *
 * An endpoint that is only kept has weight 0, so that it gets no new connections, and stays.  One
 * that nobody names any more gets weight 0 as well, and is removed when it has no connections left,
 * or after the grace:
 *
 *	        wanted                 unwanted
 *	ADDED ◄──────── (not there) ◄──────────────────┐ no connections seen, or the time is up
 *	  │                  ▲                         │
 *	  │ unwanted         │ unwanted, not TCP       │
 *	  └──────────────────┴──────► DRAINING ────────┘
 *	              TCP                 │
 *	  ▲                               │ wanted again
 *	  └───────────────────────────────┘
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/ipvs/messages.h"

/* In seconds, so that an endpoint is small. */
#define SERVER_FOREVER UINT32_MAX

struct server_endpoint {
	struct virtual_endpoint at;
	bool wanted : 1;
	bool kept : 1; /* not wanted, but it may go on with what it has */
	bool there : 1;
	bool serves : 1;  /* it is there with weight 1 and our method */
	bool rests : 1;   /* it is there with weight 0 */
	bool idle : 1;    /* when it was last looked at, it had no connections */
	uint32_t until_s; /* it drains until then; 0: it does not */
};

struct server {
	struct virtual_id id;
	bool wanted, drains, there;
	bool hashes; /* its scheduler's table depends on the order of endpoints */
	bool idle;   /* as above, of all endpoints together */
	uint32_t grace_s;
	uint32_t until_s; /* nobody wants it any more, and it goes then; 0: not so */

	uint32_t flags, has_flags;
	/* The one that it shall have, and the one that it has. */
	char scheduler[VIRTUAL_SCHEDULER_SIZE], has_scheduler[VIRTUAL_SCHEDULER_SIZE];

	/*
	 * Those that are there come first, the oldest before others; then those that are only
	 * wanted or kept.
	 */
	struct server_endpoint *list;
	size_t n, cap, n_there;
};

struct server_operations {
	struct ipvs_operation *list;
	size_t n, cap;
};

/* Whether the order of endpoints matters to a scheduler; the flags that it takes. */
bool server_scheduler_hashes(const char *scheduler);
uint32_t server_scheduler_flags(const char *scheduler);

void server_want(struct server *s, const struct virtual_server *v);
/* The one that it gets, which may be another than was wished for.  Whether that is a change. */
bool server_schedule(struct server *s, const char *scheduler);
/* Whether it wants this already, the scheduler apart. */
bool server_wants(const struct server *s, const struct virtual_server *v);
size_t server_n_wanted(const struct server *s);
void server_unwant(struct server *s);
void server_fini(struct server *s);

/* ---- what the kernel has ---- */

/* Nothing. */
void server_lost(struct server *s);
/*
 * Somebody has changed it so that it has to be written again, as it should be; not its endpoints.
 */
void server_unstamped(struct server *s);
/* How many of its endpoints that should be there are among those. */
size_t server_n_found(const struct server *s, const struct ipvs_endpoint *found, size_t n);
/* All its endpoints, the newest first.  Whether that is as it was thought to be. */
bool server_found(struct server *s, const struct ipvs_endpoint *found, size_t n);

/* ---- what is to be done ---- */

/* Appends the operations for @now_s, and takes them for done; there may be more when they are. */
void server_plan(struct server *s, uint32_t now_s, struct server_operations *ops);
/* Whether something drains, so that it is to be looked at from time to time. */
bool server_is_draining(const struct server *s);
/* The next time at which something is over, whatever connections there are; SERVER_FOREVER. */
uint32_t server_over_s(const struct server *s);
size_t server_n_draining(const struct server *s);

#endif
