/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_VIRTUAL_KUBE_H
#define FAIRLEAD_TESTS_VIRTUAL_KUBE_H

/*
 * The client of fairlead/kube.h without a network: its requests go to the embedded API server's
 * store in the same process, in virtual time.  A request takes effect some time after it was sent,
 * within the `timeout=` of its path, or is lost on the way; its answer may be lost as well.
 * Informers see each change later than it happened, each by its own lag.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

struct event_base;
struct json_object;
struct kube_client;
struct kube_event;

/* In thousandths of all requests. */
struct virtual_faults {
	unsigned int lost;       /* never takes effect, no answer */
	unsigned int unanswered; /* takes effect, no answer */
	unsigned int refused;    /* 503, no effect */
	unsigned int late;       /* takes effect late, and is answered late */
	unsigned int queued;     /* waits in the client for up to some seconds before it is sent */
	int lag_ms;              /* the longest that an informer is behind */
	bool drops_conditions;   /* of Services, as old servers do */
};
extern struct virtual_faults virtual_faults;
/* Where the API server is; none: no connection has told yet. */
extern struct addr virtual_server;

struct virtual_ops {
	/*
	 * After each change of an object; @what as in "services", @key as in "default/web", @now
	 * NULL: it is gone.
	 */
	void (*changed)(const char *what, const char *key, struct json_object *now);
	/* A process sends a request that writes. */
	void (*sends)(struct event_base *base, const char *path);
	/* A process records an Event; NULL: nobody cares. */
	void (*records)(const struct kube_event *ev);
};

void virtual_kube_init(const struct virtual_ops *ops);
void virtual_kube_fini(void);
/*
 * A request of somebody else, at once: @method as in HTTP, "PATCH" being a merge patch.  The
 * status.  @body: printf first, then each single quote becomes a double one.
 */
int virtual_kube_do(const char *method, const char *path, const char *body, ...)
	__attribute__((format(printf, 3, 4)));
/* The object at a path, owned by the caller; NULL: there is none. */
struct json_object *virtual_kube_get(const char *path);
/* A write of this process to a path with that part has not taken effect yet, and will. */
bool virtual_kube_is_open(const struct event_base *base, const char *part);
/* Nothing gets through between this process and the API server. */
void virtual_kube_cut(struct event_base *base, bool cut);

/*
 * Lists of @what, as in "namespaces", are refused with this status from now on; -1: their answers
 * do not come in; 0: no longer.
 */
void virtual_kube_fail_lists(const char *what, int status);

#endif
