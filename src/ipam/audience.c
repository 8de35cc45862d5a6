/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of Namespaces, and so for whom the pools are. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "ipam/ipam.h"

static struct ipam_namespace *find(const struct ipam *ipam, const char *name)
{
	struct ipam_namespace *n;

	HASH_FIND_STR(ipam->namespaces, name, n);
	return n;
}

static void forget(struct ipam *ipam, struct ipam_namespace *n)
{
	HASH_DEL(ipam->namespaces, n);
	labels_fini(&n->labels);
	free(n->name);
	free(n);
}

void ipam_set_namespace(struct ipam *ipam, const char *name, const struct labels *labels)
{
	struct ipam_namespace *n = find(ipam, name);

	if (n)
		forget(ipam, n);
	if (!labels)
		return;
	n = xcalloc(1, sizeof(*n));
	n->name = xstrdup(name);
	n->labels = labels_copy(labels);
	HASH_ADD_KEYPTR(hh, ipam->namespaces, n->name, strlen(n->name), n);
}

enum config_match ipam_match(const struct ipam *ipam, const struct ipam_pool *pool,
                             const char *namespace, const struct labels *labels)
{
	const struct ipam_namespace *n;

	if (!config_pool_is_reserved(pool->conf))
		return CONFIG_MATCHES;
	n = find(ipam, namespace);
	return config_pool_matches(pool->conf, namespace, n ? &n->labels : NULL, labels);
}

void ipam_free_namespaces(struct ipam *ipam)
{
	struct ipam_namespace *n, *next;

	HASH_ITER(hh, ipam->namespaces, n, next)
		forget(ipam, n);
}
