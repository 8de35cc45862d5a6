/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_PROXY_H
#define FAIRLEAD_KUBE_PROXY_H

/*
 * kube-proxy's own configuration (KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1) into
 * values of the chart by which the speaker does the same in its place.
 *
 * The document comes as a file of its own, or in a ConfigMap under the key config.conf, as kubeadm
 * keeps it; a kubeconfig beside it says where the API server is.  Where kube-proxy runs by flags,
 * they come as such, or in the manifest of the DaemonSet or Pod that runs it.  Whatever is set and
 * not carried over is told with its line and why.  Pure.  Same text, same answer.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"

/* As many CIDRs as the speaker takes in one option. */
#define KUBE_PROXY_CIDRS_MAX 8

struct kube_proxy {
	/* By line, each list. */
	struct config_problems errors;
	struct config_problems lost;    /* what is not the same afterwards */
	struct config_problems remarks; /* what needs no equivalent */
	struct buf values;              /* YAML; empty if there are errors */
	struct buf flags;               /* the speaker's options that these values make */
};

/* Whether the text is for kube_proxy_read(), rather than other objects of a cluster. */
bool kube_proxy_is(const char *text, size_t size);
/* *@ret is zeroed by the caller, and the caller's for kube_proxy_fini().  -EINVAL: errors. */
int kube_proxy_read(const char *text, size_t size, struct kube_proxy *ret);
/*
 * The same of kube-proxy's command line, words with spaces between them; as lines, problems have
 * the numbers of these words, from 1.  In front of a flag's name there may be dashes or none.
 */
int kube_proxy_read_args(const char *args, struct kube_proxy *ret);
void kube_proxy_fini(struct kube_proxy *p);

#endif
