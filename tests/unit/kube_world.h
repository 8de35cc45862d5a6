/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_KUBE_WORLD_H
#define FAIRLEAD_TESTS_KUBE_WORLD_H

/* A client and a scripted server on one event loop, for the tests of the API client. */

#include "fairlead/kube.h"
#include "loopback.h"

struct kube_world {
	struct event_base *base;
	struct loopback *server;
	struct kube_access *access;
	struct kube_client *client;
};

/* An access from the text of a kubeconfig. */
struct kube_access *kube_world_access(const char *text);
/* The server only. */
void kube_world_start(struct kube_world *w, SSL_CTX *tls, loopback_handler *handler, void *arg);
/* The client; @cluster_extra and @user are YAML for the kubeconfig. */
void kube_world_connect(struct kube_world *w, const char *scheme, const char *cluster_extra,
                        const char *user);
void kube_world_stop(struct kube_world *w);
/* Runs the loop until @counter reaches @want; fails after a long while. */
void kube_world_run_until(struct kube_world *w, const int *counter, int want);
void kube_world_run_for(struct kube_world *w, int ms);

#endif
