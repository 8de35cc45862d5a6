/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_GATHER_H
#define FAIRLEAD_CLI_GATHER_H

/*
 * Asking a live cluster: the API server's lists and objects, all at once, and the daemons, all at
 * once.  Each call waits for its answers.  A command opens the cluster once and closes it in the
 * end, so that what it asks shares connections.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/options.h"

struct gather;
struct json_object;
struct kube_remains;
struct kube_request_spec;

/* Nothing is sent yet: an error is one of the kubeconfig's. */
int gather_open(const struct options_kube *kube, struct gather **ret_gather, struct err *e);
/* Accepts NULL. */
void gather_close(struct gather *g);

/*
 * One thing to ask of the API server; a list comes in pages, and is read an object at a time, as
 * the daemons read it.
 */
struct gather_row {
	const char *path;
	bool is_list;
	bool may_be_missing;
	void (*put)(struct json_object *obj, void *arg); /* the object, or each of the list */
	/*
	 * An object of the list that cannot be read, with what its text tells; @r NULL: not even
	 * its name.
	 */
	void (*pass_over)(const struct kube_remains *r, const struct err *why, void *arg);
	/* The right to ask for it is missing, as @why says; NULL: that ends the whole. */
	void (*denied)(const struct err *why, void *arg);
};

int gather_api(struct gather *g, const struct gather_row *rows, size_t n, void *arg, struct err *e);

/* Reports a live object that cannot be read, and counts it. */
void gather_pass_over(const struct err *e, size_t *n_unreadable);

/*
 * One request; *ret_status is the HTTP status, also of a refusal, which is an error nevertheless.
 */
int gather_request(struct gather *g, const struct kube_request_spec *spec, int *ret_status,
                   struct err *e);
/* The same; @put gets the object that was made, changed or deleted. */
int gather_request_object(struct gather *g, const struct kube_request_spec *spec,
                          void (*put)(struct json_object *obj, void *arg), void *arg,
                          int *ret_status, struct err *e);

/*
 * Where the Pods of Fairlead are listed, by the label that the chart gives them; the caller frees
 * it.
 */
char *gather_pods_path(const char *namespace);

/* How the daemons are asked. */
struct gather_port {
	int port;               /* of speakers */
	const char *token_file; /* of a token that they want to see; NULL: none */
};

struct gather_daemon {
	const char *path;           /* NULL: /status */
	int patience_s;             /* how long it may be silent; 0: as for /status */
	const char *name;           /* for @put: a speaker's is that of its node */
	const struct addr *address; /* none: it has no address to be asked at */
	int port;
	/* its Pod, whose proxy subresource to ask; NULL: none is known */
	const char *namespace, *pod;
	/* whose proxy subresource to ask where no Pod is known: a right to far more; NULL: none */
	const char *node;
	/* Becomes true where it answered by way of the API server; NULL: nobody asks. */
	bool *ret_by_proxy;
};

struct buf;
/*
 * "Bearer …" from the first line of the file, for the header Authorization; nothing with NULL.
 * That it cannot be read is told on standard error: a speaker that wants one then refuses.
 */
void gather_read_token(const char *path, struct buf *out);

/*
 * Calls @put once for each, with what it answered, which is JSON, or with NULL and why.  Those that
 * cannot be reached from here are asked by way of the API server, for which one needs the right.
 */
void gather_daemons(struct gather *g, const struct gather_daemon *daemons, size_t n,
                    const char *token_file,
                    void (*put)(const char *name, struct json_object *status, const char *why,
                                void *arg),
                    void *arg);

#endif
