/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_RECORD_H
#define FAIRLEAD_RECORD_H

/*
 * What the controller remembers of one Service: not the object, but what it asks for, what the
 * object says, and what was decided last.  Pure: reading an object, judging whether it has to be
 * written, and the patch that does it.
 *
 * It has two parts, which are decided separately: the load balancer's addresses, in the status, and
 * the external IPs, in the spec.  Few Services use external IPs, so that part comes and goes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/hash.h"
#include "fairlead/ipam.h"
#include "fairlead/seniority.h"

struct controller;
struct kube_request;

/* What the controller's flags say about Services. */
struct record_rules {
	const char *class; /* the load balancer class that we handle; NULL: Services without one */
	bool external_ips; /* a Service's spec may be written */
};

/* Our condition as it stands in the status. */
struct record_condition {
	bool present, is_true;
	enum reason reason; /* REASON_COUNT: none that we know */
	uint64_t message_hash;
	int64_t transition_us;
};

/* What comes of the last write. */
enum record_flight {
	RECORD_IDLE,
	RECORD_QUEUED,   /* a patch waits for its turn */
	RECORD_PATCHING, /* it is under way */
	RECORD_DOUBT,    /* until the object is seen again it may or may not have taken effect */
	RECORD_BACKOFF,  /* it was refused; again later, or when the object changes */
	RECORD_REST,     /* too many writes in a row; again later */
};

/*
 * What has to be written; nothing if all are false.  External IPs are in the spec, all else in the
 * status.
 */
struct record_write {
	bool ingress, condition;
	bool external_ips, external_condition;
};

/* Which list of the controller's it is on; never on two. */
enum record_list { RECORD_NO_LIST, RECORD_ON_DIRTY, RECORD_ON_QUEUE, RECORD_ON_DUE };

struct record_part {
	struct ipam_request request;
	struct record_condition condition;
	/* an address without ipMode in the status; one of the record that is not in the spec */
	bool lacks;

	/* Decided last. */
	bool decided, hands_off;
	bool shares;    /* the status is to list ports */
	bool renumbers; /* a pool takes the Service in, now or when it may move */
	enum ipam_action action;
	enum reason reason;
	uint8_t n_want;
	struct addr *want;
	char *message;
	char *holder; /* as in the decision, for the log; NULL: none */
	/*
	 * The decision gave what was asked for then, possibly from another pool than the request
	 * names by now.
	 */
	bool honours;
	char *honoured_pool;
	/*
	 * What the last completed decision wanted: where the object has that, it is not a list that
	 * somebody wrote.
	 */
	uint8_t n_given;
	struct addr *given;
};

struct record {
	struct controller *ctl;
	char *namespace; /* one block with the names behind it */
	const char *name;
	const char *key, *external_key; /* by which the allocator knows the parts */
	char *uid, *version;
	int64_t creation_us, generation;
	struct record_part lb;
	struct record_part *external; /* NULL: nothing to do with external IPs */
	/*
	 * The API server refused our external IPs, for this reason, while the object was like this.
	 */
	char *refusal;
	uint64_t likeness, refused_likeness;
	char *failure; /* what is known of the last write whose outcome was open */

	/* Work. */
	enum record_flight flight;
	bool awaits; /* our last write succeeded and the watch has not shown it yet */
	bool moved;  /* the object changed while it was under way: our write, or another's */
	bool dirty;
	bool may_move; /* its turn has come to move into a pool that takes it in (renumber) */
	struct record_write under_way; /* what the patch that was sent holds */
	uint8_t n_sent;                /* how often the request under way went out */
	uint8_t n_refused;             /* in a row */
	uint8_t n_in_vain;             /* writes in a row of which a look found nothing */
	uint8_t n_rapid;               /* writes in a row that came soon after another */
	int64_t written_ms;            /* the last one was queued */
	int64_t due_ms;                /* DOUBT, BACKOFF */
	int64_t behind_ms;             /* since when it has let an earlier one go first; 0: never */
	int64_t handover_ms;           /* renumbered: when the old address goes; 0: it is not */
	uint64_t ignored;     /* hash of the annotations found to have no effect; 0: none */
	int64_t contested_ms; /* somebody else last wrote the status; 0: not lately */
	char *contested_by;   /* NULL: nobody knows who */
	struct kube_request *request_under_way;
	enum record_list on;
	struct record *prev, *next; /* on that list */
	struct waiter *waiter;      /* waiting.h; NULL: it does not wait */
	UT_hash_handle hh;
};

/* What the API server does with our fields and objects, learned from its answers. */
struct record_server {
	bool drops_ip_mode, drops_conditions;
	bool hides; /* there may be Services that we do not know */
};

struct record *record_new(struct controller *ctl, const struct kube_meta *meta);
void record_free(struct record *r);
/* Takes over what the object says.  @generation: metadata.generation, 0 if missing. */
void record_read(struct record *r, const struct kube_service *s, const struct record_rules *rules,
                 int64_t generation);
/*
 * Takes over what is left of an object that cannot be read: the Service holds the addresses found
 * there, and those that a write may still give it, and asks for nothing.
 */
void record_salvage(struct record *r, const struct kube_remains *s);
struct seniority record_turn(const struct record *r);
void record_decided(struct record_part *p, const struct ipam_decision *d);
/*
 * The API server refused the external IPs: until the object changes, there is no point in trying
 * again.
 */
void record_refuse(struct record *r, const char *why);
void record_forget_refusal(struct record *r);
bool record_is_refused(const struct record *r);

struct record_write record_needs(const struct record *r, const struct record_server *server);
bool record_writes(struct record_write w);
/*
 * As much of it as one request can write: first the load balancer's part, which must not wait for
 * anything; the external IPs' condition once they are there.
 */
struct record_write record_next(struct record_write needs);
/* What both have in common. */
struct record_write record_both(struct record_write a, struct record_write b);
/*
 * The strategic merge patch that makes it so: on the object for external IPs, else on its /status.
 */
void record_patch(const struct record *r, struct record_write w, int64_t wall_us, struct buf *out);
/* As if the write had been made, and the server's answer read. */
void record_written(struct record *r, struct record_write w);
/* What the status shows, before it is read again. */
struct record_shown {
	struct addr held[IPAM_STATUS_MAX];
	size_t n_held;
	bool says_it; /* the condition is the one that was decided */
};
struct record_shown record_shown(const struct record *r);
/*
 * Which part of the status somebody else has written since, as the beginning of a sentence; NULL if
 * none.  What we want there may be our own write, and a status that was never looked at is no news.
 */
const char *record_overwritten(const struct record *r, const struct record_shown *before);
/* What the server has dropped of a write, judging by the object as it was afterwards. */
struct record_server record_dropped(const struct kube_service *s, struct record_write w);
/* Who else writes the status. */
const char *record_contender(const struct record *r);
/* Has the Service what it asked for? */
bool record_is_assigned(const struct record_part *p);
/* Its entries list ports: not once the Service no longer says with whom it shares. */
bool record_shares(const struct record_part *p);

#endif
