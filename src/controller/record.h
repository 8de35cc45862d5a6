/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_RECORD_H
#define FAIRLEAD_CONTROLLER_RECORD_H

/*
 * What the controller remembers of one Service: not the object, but what it asks for, what its status says, and what was
 * decided last.  Pure: reading an object, judging whether its status has to be written, and the patch that does it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/hash.h"
#include "fairlead/ipam.h"

struct controller;
struct kube_request;

/* Our condition as it stands in the status. */
struct record_condition {
	bool present, is_true;
	int reason; /* enum reason; -1: none that we know */
	uint64_t message_hash;
	int64_t transition_us;
};

/* What comes of the last write. */
enum record_flight {
	RECORD_IDLE,
	RECORD_QUEUED,   /* a patch waits for its turn */
	RECORD_PATCHING, /* it is under way */
	RECORD_DOUBT,    /* nobody knows whether it took effect, until the object is seen again */
	RECORD_BACKOFF,  /* it was refused; again later, or when the object changes */
	RECORD_REST,     /* too many writes in a row; again later */
};

struct record_write {
	bool ingress, condition; /* what has to be written; neither: nothing */
};

/* Which list of the controller's it is on; never on two. */
enum record_list { RECORD_NO_LIST, RECORD_ON_DIRTY, RECORD_ON_QUEUE, RECORD_ON_DUE };

struct record {
	struct controller *ctl;
	char *namespace; /* one block with the key behind it */
	const char *key, *name;
	char *uid, *version;
	int64_t creation_us, generation;
	struct ipam_request request;
	struct record_condition condition;
	bool lacks_ip_mode; /* an address without ipMode in the status */

	/* Decided last. */
	bool decided, hands_off;
	enum ipam_action action;
	enum reason reason;
	uint8_t n_want;
	struct addr want[IPAM_STATUS_MAX];
	char *message;

	/* Work. */
	enum record_flight flight;
	bool awaits; /* our last write succeeded and the watch has not shown it yet */
	bool sent;   /* the request under way went out */
	bool moved;  /* the object changed while it was under way: our write, or another's */
	bool dirty, waiting;
	struct record_write under_way; /* what the patch that was sent holds */
	uint8_t n_refused;             /* in a row */
	uint8_t n_rapid;               /* writes in a row that came soon after another */
	int64_t written_ms;            /* the last one was queued */
	int64_t due_ms;                /* DOUBT, BACKOFF */
	int64_t contested_ms;          /* it was last told that others write the status; 0: never */
	struct kube_request *request_under_way;
	enum record_list on;
	struct record *prev, *next;                 /* on that list */
	struct record *waiting_prev, *waiting_next; /* for somebody to free an address */
	UT_hash_handle hh;
};

/* What the API server does with our fields, learned from its answers. */
struct record_server {
	bool drops_ip_mode, drops_conditions;
};

struct record *record_new(struct controller *ctl, const struct kube_meta *meta);
void record_free(struct record *r);
/* Takes over what the object says.  @generation: metadata.generation, 0 if missing. */
void record_read(struct record *r, const struct kube_service *s, const char *class,
                 int64_t generation);
struct ipam_turn record_turn(const struct record *r);
void record_decided(struct record *r, const struct ipam_decision *d);

struct record_write record_needs(const struct record *r, const struct record_server *server);
/* The strategic merge patch on /status that makes it so. */
void record_patch(const struct record *r, struct record_write w, int64_t wall_us, struct buf *out);
/* As if the write had been made, and the server's answer read. */
void record_written(struct record *r, struct record_write w);
/*
 * Going by what the record held before it read the object: were the addresses of the status written by somebody else?  What
 * we want there may be our own write, and a status that nobody ever looked at is no news.
 */
bool record_overwritten(const struct record *r, const struct addr *before, size_t n_before);
/* What the server has dropped of a write, going by the object as it then stood. */
struct record_server record_dropped(const struct kube_service *s, struct record_write w);
/* Does the condition say that the Service has what it asked for? */
bool record_is_assigned(const struct record *r);

#endif
