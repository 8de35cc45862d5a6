/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations of ours that have no effect: an unknown name, or a value that means nothing.  A
 * Service behaves as if they were not there, so an Event says so.  Those that ask for addresses are
 * judged with the request, and are reported in the condition.
 */
#include "config.h"

#include "controller/annotations.h"

#include <string.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"
#include "fairlead/tenancy.h"

#define DOMAIN "fairlead.io/"
#define TERMINATING "fairlead.io/terminating"
#define QUOTED_MAX 60 /* characters of a name or value */

/* Those that users write come first; what follows is a record of ours. */
static const char *const names[] = { IPAM_ANNOTATION_POOL,
	                             IPAM_ANNOTATION_ADDRESSES,
	                             TENANCY_ANNOTATION,
	                             KUBE_ANNOTATION_EXTERNAL_IPS,
	                             TERMINATING,
	                             KUBE_ANNOTATION_SCHEDULER,
	                             KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED };
#define N_WRITTEN (ARRAY_LEN(names) - 1)

static bool is_ours(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(key, names[i]))
			return true;
	return false;
}

static void put_unknown(const char *key, struct buf *out)
{
	buf_printf(out, "the annotation %.*s is not known, and has no effect; a Service may have ",
	           QUOTED_MAX, key);
	for (size_t i = 0; i < N_WRITTEN; i++)
		buf_printf(out, "%s%s", i == 0 ? "" : i < N_WRITTEN - 1 ? ", " : " and ", names[i]);
}

/* What to write in place of a value that means nothing; NULL: it does. */
static const char *better_value(const struct label *kv)
{
	if (!strcmp(kv->key, TERMINATING) && strcmp(kv->value, "hold") != 0 &&
	    strcmp(kv->value, "give-way") != 0)
		return "hold or give-way";
	if (!strcmp(kv->key, KUBE_ANNOTATION_SCHEDULER) && !kube_is_scheduler(kv->value))
		return "the name of one of IPVS' schedulers, such as mh, rr or wlc";
	return NULL;
}

bool annotations_ignored(const struct labels *annotations, struct buf *out)
{
	for (size_t i = 0; i < annotations->n; i++) {
		const struct label *kv = &annotations->kvs[i];
		if (strncmp(kv->key, DOMAIN, strlen(DOMAIN)) != 0)
			continue;
		if (!is_ours(kv->key)) {
			put_unknown(kv->key, out);
			return true;
		}
		const char *better = better_value(kv);
		if (better) {
			buf_printf(out, "the annotation %s: \"%.*s\" has no effect; write %s",
			           kv->key, QUOTED_MAX, kv->value, better);
			return true;
		}
	}
	return false;
}
