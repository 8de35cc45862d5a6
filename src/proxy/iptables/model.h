/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_MODEL_H
#define FAIRLEAD_PROXY_IPTABLES_MODEL_H

/*
 * What the kernel's tables of one family should hold and do hold, and the difference as text for
 * iptables-restore.  No process is started here and no clock is read.
 *
 *	model_set, model_remove         what is wanted, at any time
 *	model_adopt                     what is there, read once at the start and after every doubt
 *	model_plan → restore → model_commit or model_abort      one batch at a time
 *
 * A batch is a number of Services, all their chains and the buckets that they touch.  Of every
 * chain the model keeps the digest of what it last wrote, so only chains that differ become text.
 * A Service that iptables refuses is found by halving and then waits alone; meanwhile buckets carry
 * its last good lines.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/proxy.h"
#include "proxy/iptables/render.h"
#include "proxy/iptables/save.h"

/* A refused Service is tried again after 1 s, doubling up to this. */
#define MODEL_RETRY_MIN_MS 1000
#define MODEL_RETRY_MAX_MS (5 * 60 * 1000)
/* A slice of an adoption ends when so many chains were compared: some ten milliseconds. */
#define MODEL_ADOPT_CHAINS 2000

struct model;

enum model_outcome {
	MODEL_REFUSED, /* something in the batch is wrong */
	MODEL_BUSY,    /* nothing is wrong with it, and nothing was written; try again */
	MODEL_KILLED,  /* it took too long, and it is not known what was written */
	MODEL_BROKEN,  /* the same, but the program fails with any input: no Service is to blame */
};

struct model_stats {
	size_t n_services, n_pending, n_refused;
	uint64_t rendered; /* Services rendered, ever */
	size_t n_truncated;
	uint64_t repairs; /* how often others had changed what we wrote */
};

/*
 * Called for every Service that a batch has changed: what the kernel had of it, and what it has
 * now; NULL if nothing.  Both live until it returns.
 */
typedef void model_committed_fn(const struct proxy_half *before, const struct proxy_half *now,
                                void *arg);

/* A batch has so many Services at most, and ends early when its text has @max_bytes. */
struct model *model_new(const struct render_options *o, size_t max_batch, size_t max_bytes);
void model_free(struct model *m);
/* Whether this changed anything. */
bool model_set(struct model *m, const struct proxy_half *s);
bool model_remove(struct model *m, const char *key);
/* What the node is like from now on; everything is to be rendered again. */
void model_set_node(struct model *m, const struct proxy_node *n);
/* Whether the newest wish is in the kernel; of an unknown Service, whether it is gone. */
bool model_is_applied(const struct model *m, const char *key);
/*
 * Whether somebody else has changed rules that the Service's traffic needs and they are not written
 * again yet: its newest wish may be in the kernel or not, its traffic suffers.
 */
bool model_is_damaged(const struct model *m, const char *key);
/* Whether that is so for any Service. */
bool model_any_damaged(const struct model *m);
/* Whether the Service is wanted. */
bool model_has(const struct model *m, const char *key);
/*
 * Why the kernel's programs refuse the Service's newest wish, in one line; NULL if they do not.  It
 * is tried again from time to time, and refused until a try succeeds or another wish comes.
 */
const char *model_refusal(const struct model *m, const char *key);
size_t model_n_refused(const struct model *m);
/*
 * Whether something of others refuses all forwarding before a network policy is asked, so that
 * nothing may accept it.
 */
bool model_forward_is_refused(const struct model *m);
/* Whether there is nothing left to write or to retry. */
bool model_in_sync(const struct model *m);
/* The same, except for refused Services. */
bool model_is_settled(const struct model *m);
struct model_stats model_stats(const struct model *m);
/*
 * Whether parts of what is wanted of the Service are left out, as they are beyond the bounds
 * (spec.h).
 */
bool model_is_truncated(const struct model *m, const char *key);
/* Each state of each Service that is wanted or in the kernel: one that is changing comes twice. */
void model_each_state(const struct model *m, void (*fn)(const struct proxy_half *s, void *arg),
                      void *arg);
/* The fronts of all these. */
const struct fronts *model_fronts(const struct model *m);
/* Each refused Service with the error. */
void model_each_refused(const struct model *m,
                        void (*fn)(const char *key, const char *error, void *arg), void *arg);

/* Somebody else has changed this chain: it is to be written again, whatever it looks like. */
void model_doubt(struct model *m, const char *chain);
/*
 * Whether the kernel has what was last written, all of it and nothing else of ours.  Changes
 * nothing that is to be written.
 */
bool model_matches(struct model *m, const struct save *saved);
/*
 * Takes the kernel's word for what is there; whatever matches what is wanted needs no write.
 * @saved is read at the beginning; then each Service is compared, a slice of @n_chains or so a
 * call, until model_adopt_more() says that all are.  Until then nothing is planned and nothing
 * counts as applied.
 */
void model_adopt_begin(struct model *m, const struct save *saved);
bool model_adopt_more(struct model *m, size_t n_chains);
/* Both in one go. */
void model_adopt(struct model *m, const struct save *saved);
/* Whether the frame in @audit (the built-in chains and FL-SVC) is as it should be. */
bool model_audit(const struct model *m, const struct save *audit);

/*
 * The next batch: appends its text, false if there is nothing to do now.  An empty text needs no
 * restore, but a commit.
 */
bool model_plan(struct model *m, int64_t now_ms, struct buf *ret_text, size_t *ret_n_lines);
void model_commit(struct model *m, model_committed_fn *fn, void *arg);
/* Returns true if what the kernel holds is in doubt now, so that only model_adopt() helps. */
bool model_abort(struct model *m, enum model_outcome why, const char *error, int64_t now_ms);
/* Whether there was more to do than the batch under way could take. */
bool model_has_more(const struct model *m);
/* Whether the frame is yet to be written. */
bool model_needs_frame(const struct model *m);
/* How many Services the batch under way has. */
size_t model_batch_services(const struct model *m);
/*
 * When the next refused Service is due, or the removal of what nobody wants; INT64_MAX: nothing is.
 */
int64_t model_next_retry(const struct model *m);

#endif
