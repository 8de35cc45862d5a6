/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_CONNTRACK_H
#define FAIRLEAD_PROXY_CONNTRACK_H

/*
 * Old UDP flows. nat looks at the first packet of a flow only, and a UDP flow lasts as long as
 * somebody keeps sending: a client that has one would go on talking to an endpoint that no longer
 * exists.  So after the rules of a UDP port were written or removed, the flows toward it are
 * deleted unless one of its endpoints, or one that is kept, answers them.  TCP needs none of this:
 * its peers notice by themselves.
 *
 * IPVS remembers a flow for itself, and by its addresses alone, so one that is deleted here would
 * go on where nothing leads any more.  With it, such a flow is marked instead, for as long as IPVS
 * may remember it, and the rules refuse what has the mark.
 *
 * A job names the addresses to look at ("fronts") and, per front, the endpoints that may answer.
 * It is plain data; a run applies it to the kernel, a slice in each turn of the event loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/proxy.h"
#include "proxy/fronts.h"

struct event_base;
struct conntrack_job;
struct conntrack_run;

/* About how many flows one turn of the event loop looks at; each stale one is deleted at once. */
#define CONNTRACK_SLICE 1000
/* How long a flow is refused: IPVS forgets one that was silent for 300 s. */
#define CONNTRACK_REFUSED_S 310
/* A run has failed if the kernel does not answer for this long. */
#define CONNTRACK_TIMEOUT_MS 5000

struct conntrack_job *conntrack_job_new(uint8_t family);
void conntrack_job_free(struct conntrack_job *j);
/* Adds the addresses of the Service's UDP ports, with nobody who may answer. */
void conntrack_job_touch(struct conntrack_job *j, const struct proxy_half *s);
/* The same for one of them. */
void conntrack_job_touch_front(struct conntrack_job *j, const struct front_key *k);
/* Adds the fronts of @from, without their endpoints. */
void conntrack_job_touch_all(struct conntrack_job *j, const struct conntrack_job *from);
/*
 * Lets the Service's endpoints answer at those of its addresses that were touched; also while the
 * job runs.
 */
void conntrack_job_allow(struct conntrack_job *j, const struct proxy_half *s);
/* The same for one port at one of its fronts. */
void conntrack_job_allow_port(struct conntrack_job *j, const struct front_key *k,
                              const struct proxy_port *p);
void conntrack_job_each_front(const struct conntrack_job *j,
                              void (*fn)(const struct front_key *k, void *arg), void *arg);
/*
 * Which of the node's addresses have node ports, as far as @n and @localhost (proxy_options) say:
 * at the others nobody may answer.  Without it, all of them have.
 */
void conntrack_job_set_node(struct conntrack_job *j, const struct proxy_node *n, bool localhost);
/* An address of this node: node ports are looked for only there. */
void conntrack_job_add_local(struct conntrack_job *j, const struct addr *a);
/*
 * Flows that pass IPVS on this node are not deleted but get this mark, where nobody may answer;
 * when somebody may again, those that have it are deleted.  0: all are deleted.
 */
void conntrack_job_refuse(struct conntrack_job *j, uint32_t mark);
uint32_t conntrack_job_refusal(const struct conntrack_job *j);
/* Whether a flow between these addresses begins or ends on this node, where IPVS would see it. */
bool conntrack_job_is_here(const struct conntrack_job *j, const struct addr *from,
                           const struct addr *to);
uint8_t conntrack_job_family(const struct conntrack_job *j);
bool conntrack_job_is_empty(const struct conntrack_job *j);

enum conntrack_fate {
	CONNTRACK_OTHER,    /* none of our business */
	CONNTRACK_RIGHT,    /* one that may answer does */
	CONNTRACK_STALE,    /* another one should */
	CONNTRACK_DESERTED, /* an endpoint answers, but nobody may any more */
};

/* Of a UDP flow toward @to, answered by @from. */
enum conntrack_fate conntrack_judge(struct conntrack_job *j, const struct addr *to,
                                    uint16_t to_port, const struct addr *from, uint16_t from_port);
/* Whether it must not go on as it is: one of the latter two. */
bool conntrack_is_stale(struct conntrack_job *j, const struct addr *to, uint16_t to_port,
                        const struct addr *from, uint16_t from_port);

/*
 * The end of a run: 0, or a negative errno and why (-EINTR: some flows may not have been seen).
 * Flows may have been deleted all the same.
 */
typedef void conntrack_done_fn(int r, const struct err *e, size_t n_deleted, void *arg);

/*
 * Starts to read the kernel's table, to delete what is stale.  @j stays with the caller and must
 * outlive the run, which ends with one call of @done, never before this returns, or with
 * conntrack_run_free().
 */
int conntrack_run_start(struct event_base *base, struct conntrack_job *j, conntrack_done_fn *done,
                        void *arg, struct conntrack_run **ret_run, struct err *e);
/*
 * Does the first slice at once, which is all if there are few flows.  Calls @done then, after which
 * the run is gone.
 */
void conntrack_run_step(struct conntrack_run *r);
/* Ends it; only before @done was called. */
void conntrack_run_free(struct conntrack_run *r);

/* ---- with IPVS ---- */

/* "FL", which is no bit of anybody's: the mark of flows that are refused, where @tag is the bit. */
uint32_t conntrack_refusal(uint32_t tag);
/*
 * Forgets all flows, of whatever protocol, that have the bit @tag in their mark, or the mark above,
 * and whose destination connection tracking does not translate (before Linux 5.18: these, too).
 * Blocks for the kernel alone.
 */
int conntrack_forget(uint32_t tag, struct err *e);

#endif
