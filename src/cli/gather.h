/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_GATHER_H
#define FAIRLEAD_CLI_GATHER_H

/*
 * Asking a live cluster: the API server's lists and objects, all at once, and the nodes' speakers,
 * all at once.  Each call waits for its answers.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/options.h"

struct json_object;
struct kube_remains;

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
	 * One of the list that nobody can read, with what its text tells; @r NULL: not even its
	 * name.
	 */
	void (*pass_over)(const struct kube_remains *r, const struct err *why, void *arg);
	/* The right to ask for it is missing, as @why says; NULL: that ends the whole. */
	void (*denied)(const struct err *why, void *arg);
};

int gather_api(const struct options_kube *kube, const struct gather_row *rows, size_t n, void *arg,
               struct err *e);

/* Tells of a live object that cannot be read, and counts it. */
void gather_pass_over(const struct err *e, size_t *n_unreadable);

/*
 * One request; *ret_status is the HTTP status, also of a refusal, which is an error nevertheless.
 */
struct kube_request_spec;
int gather_request(const struct options_kube *kube, const struct kube_request_spec *spec,
                   int *ret_status, struct err *e);

/*
 * Where the Pods of speakers are listed, by the labels that the chart gives them; the caller frees
 * it.
 */
char *gather_pods_path(const char *namespace);
/*
 * "namespaces/NAMESPACE/pods/POD", for gather_speaker, and the node that it runs on, which is the
 * object's; NULL if it is on none yet.  The caller frees it.
 */
char *gather_pod_path(struct json_object *pod, const char **ret_node);

/* Where the speakers are asked. */
struct gather_port {
	int port;
	const char *token_file; /* of a token that they want to see; NULL: none */
};

struct gather_speaker {
	const char *node;
	const struct addr *address; /* none: it has no address to be asked at */
	/* "namespaces/NAMESPACE/pods/POD", whose proxy subresource to ask; NULL: the node's */
	const char *pod;
};

/*
 * Calls @put once for each, with what it answered to /status, or with NULL and why.  With @kube (or
 * NULL) those that cannot be reached from here are asked by way of the API server, for which one
 * needs the right: by the proxy subresource of their Pods, as far as these are given or can be
 * listed, else of their nodes, which is a right to far more.
 */
void gather_speakers(const struct options_kube *kube, const struct gather_speaker *speakers,
                     size_t n, const struct gather_port *port,
                     void (*put)(const char *node, struct json_object *status, const char *why,
                                 void *arg),
                     void *arg);

#endif
