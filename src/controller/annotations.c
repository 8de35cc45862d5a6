/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations of ours that nobody heeds: a name that is none, or a value that means nothing.  A
 * Service behaves as if they were not there, so an Event says so.  What asks for addresses is
 * judged with the request, and stands in the condition.
 */
#include "config.h"

#include "controller/annotations.h"

#include <string.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"

#define DOMAIN "fairlead.io/"
#define TERMINATING "fairlead.io/terminating"
#define QUOTED_MAX 60 /* characters of a name or value */

static bool is_ours(const char *key)
{
	static const char *const names[] = { IPAM_ANNOTATION_POOL, IPAM_ANNOTATION_ADDRESSES,
		                             KUBE_ANNOTATION_EXTERNAL_IPS,
		                             KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED, TERMINATING };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(key, names[i]))
			return true;
	return false;
}

bool annotations_ignored(const struct labels *annotations, struct buf *out)
{
	for (size_t i = 0; i < annotations->n; i++) {
		const struct label *kv = &annotations->kvs[i];
		if (strncmp(kv->key, DOMAIN, strlen(DOMAIN)) != 0)
			continue;
		if (!is_ours(kv->key)) {
			buf_printf(out,
			           "the annotation %.*s is not known, and has no effect; see its "
			           "spelling",
			           QUOTED_MAX, kv->key);
			return true;
		}
		if (!strcmp(kv->key, TERMINATING) && strcmp(kv->value, "hold") != 0 &&
		    strcmp(kv->value, "give-way") != 0) {
			buf_printf(out,
			           "the annotation " TERMINATING
			           ": \"%.*s\" has no effect; write hold or give-way",
			           QUOTED_MAX, kv->value);
			return true;
		}
	}
	return false;
}
