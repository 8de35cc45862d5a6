/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_PODS_H
#define FAIRLEAD_CLI_PODS_H

/*
 * The Pods that Fairlead's daemons run in, by the labels that the chart gives them: where a daemon
 * is asked, and why it cannot be.  Daemons that run by hand have none.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/gather.h"
#include "fairlead/buf.h"
#include "fairlead/kube_types.h"
#include "fairlead/reason.h"

struct json_object;

enum pods_kind { PODS_CONTROLLER, PODS_SPEAKER };

struct pods {
	struct kube_pod **items;
	size_t n, cap;
	bool known; /* they were listed: what is not here is not there */
};

void pods_fini(struct pods *p);
/* Other components' Pods are passed over. */
int pods_put(struct pods *p, struct json_object *obj, struct err *e);

bool pod_is(const struct kube_pod *pod, enum pods_kind kind);
size_t pods_count(const struct pods *p, enum pods_kind kind);
/* The speaker's on this node: one that runs before others.  NULL: there is none. */
const struct kube_pod *pods_speaker_of(const struct pods *p, const char *node);

/* Whether its daemon runs, as far as the kubelet tells. */
bool pod_runs(const struct kube_pod *pod);
/*
 * Why it does not: "Pod fairlead-speaker-x7k2p: CrashLoopBackOff: back-off 5m0s …"; the caller
 * frees it.
 */
char *pod_trouble(const struct kube_pod *pod);

/*
 * Why the speaker of that node did not answer, as far as the Pods tell; @error: what asking it met.
 */
enum reason pods_silence(const struct pods *p, const char *node, const char *error,
                         struct buf *why);

/*
 * How the speaker of that node is asked, which need not run in a Pod; @address is the node's.  It
 * all lasts as long as the Pods and the arguments.
 */
struct gather_daemon pods_ask_speaker(const struct pods *p, const char *node,
                                      const struct addr *address, int port);
/* The same of the daemon in this Pod. */
struct gather_daemon pods_ask(const struct kube_pod *pod, int port);

#endif
