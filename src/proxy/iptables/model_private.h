/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_MODEL_PRIVATE_H
#define FAIRLEAD_PROXY_IPTABLES_MODEL_PRIVATE_H

/*
 * The inside of the model, shared by its parts: model.c keeps Services, flight.c what became of
 * batches, plan.c makes the text of one, adoption.c takes in what the kernel is found to hold.
 */

#include "fairlead/hash.h"
#include "proxy/fronts.h"
#include "proxy/iptables/model.h"
#include "proxy/spec.h"

/*
 * A Service: what is wanted, what the batch under way brings, what the kernel has.  With want NULL
 * it is going away.
 */
struct service {
	UT_hash_handle hh;
	struct service *prev, *next; /* in the queue, while queued */
	struct spec *want, *flying, *have;
	bool queued, in_batch, pending, refused;
	bool outdated;   /* the node has changed since it was rendered, or is to be */
	bool suspect;    /* it was refused alone, and nothing of it was accepted since */
	bool unverified; /* the adoption under way has not come to it */
	bool stood;      /* it was in the kernel as it should be when that began */
	bool damaged; /* somebody changed its rules in the kernel; until they are written again */
	unsigned int failures;
	int64_t retry_ms; /* if refused */
	char *error;
	char key[];
};

/* A chain that the kernel has, or that the batch under way brings. */
struct record {
	UT_hash_handle hh;
	uint64_t have;    /* digest, CHAIN_UNKNOWN where only a write makes it certain */
	uint64_t printed; /* digest of how the kernel shows it; 0: not seen since it was written */
	uint32_t batch;   /* the last batch that rendered it */
	bool present;     /* in the kernel */
	bool doubtful;    /* somebody else has changed it since it was written */
	bool wanted;
	char name[CHAIN_NAME_SIZE];
};

struct bucket {
	struct service **members; /* who may have lines in it, by key */
	size_t n, cap;
	bool used, next_used; /* has lines: in the kernel, with the batch */
	bool touched;         /* by the batch */
	bool dirty;           /* to be rendered with the next batch, whoever is in it */
};

struct change {
	struct record *record;
	uint64_t hash;
	bool gone;
};

/* A rule in a built-in chain that jumps to ours and should not, or not from there. */
struct stray {
	enum chain_table table;
	char *rule; /* "CHAIN SPEC" */
};

struct model {
	struct render_options o;
	size_t max_batch, limit, max_bytes;
	bool adopted;
	struct service *services;
	struct service *queue;
	struct fronts *fronts; /* of all that is wanted, or in the kernel */
	struct record *records;
	struct bucket *buckets;
	bool any_dirty;
	bool reframe; /* the node has changed since a batch was rendered */
	/* the frame was, by somebody else, so that nothing is forwarded as it should be */
	bool damaged;
	size_t n_damaged, n_refused; /* Services */
	size_t n_damaged_before;     /* the adoption under way */
	bool unproven;               /* adopted, but the buckets were not compared yet */
	bool sweep;                  /* records that nobody wants are to be removed */
	unsigned int sweep_failures; /* in a row */
	int64_t sweep_again_ms;      /* it was refused, and is due then; INT64_MAX: it was not */
	bool moved; /* since adoption, which noted what is wanted: some of it may no longer be */
	bool missing_jumps[RENDER_JUMPS];
	struct path_place accept; /* where the accepting jump belongs, once the strays are gone */
	struct stray *strays;     /* rules to be deleted first */
	size_t n_strays, cap_strays;
	struct service **unverified; /* of the adoption under way; NULL: gone since */
	size_t n_unverified, cap_unverified, next_unverified;
	bool adopting, again;
	uint64_t rendered;
	uint64_t repairs; /* times that somebody else had changed something */

	/* the batch under way */
	bool planned;
	uint32_t batch;
	struct service **flight;
	size_t n_flight, cap_flight;
	struct change *changes;
	size_t n_changes, cap_changes;
	unsigned int *touched;
	size_t n_touched, cap_touched;
	bool has_jumps, has_sweep;
};

struct record *model_record(const struct model *m, const char *name);
struct record *model_record_new(struct model *m, const char *name);
void model_record_drop(struct model *m, struct record *r);
void model_drop_records(struct model *m);
void model_drop_strays(struct model *m);
void model_service_free(struct model *m, struct service *s);
/* Takes @spec; NULL: the kernel has nothing of it. */
void model_set_have(struct model *m, struct service *s, struct spec *spec);
/* Its traffic suffers until it was written again. */
void model_damage(struct model *m, struct service *s);
void model_set_refused(struct model *m, struct service *s, bool refused);
/* All refused Services are due. */
void model_try_refused(struct model *m);
/* Puts the Service into the queue, unless it is there or in the batch. */
void model_enqueue(struct model *m, struct service *s);
/* Makes the Service a member of every bucket in which @spec (may be NULL) has lines. */
void model_join_buckets(struct model *m, struct service *s, const struct spec *spec);
/*
 * After a batch a Service is a member where its @now has lines, and no longer where only @before
 * had.
 */
void model_settle_members(struct model *m, struct service *s, const struct spec *before,
                          const struct spec *now);
/*
 * A jump of the frame in what was read: whether it is as it should be; if not, whether packets miss
 * it, or it is merely in the wrong place; and whether one in a built-in chain is none of the
 * frame's.
 */
bool model_jump_is_right(const struct save *saved, const struct render_jump *want_jump);
bool model_jump_is_missing(const struct save *saved, const struct render_jump *want_jump);
bool model_jump_is_stray(const struct save_jump *j);
/* Leaves only the first @n Services in the batch. */
void model_shorten_flight(struct model *m, size_t n);
bool model_needs_jumps(const struct model *m);
/* The text of the batch whose Services stand in m->flight; returns the number of lines. */
size_t model_render_batch(struct model *m, struct buf *ret_text);

#endif
