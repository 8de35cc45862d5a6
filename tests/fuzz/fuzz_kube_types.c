/* SPDX-License-Identifier: Apache-2.0 */
/* Every parser of typed objects on one JSON document. */
#include "config.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/kube_types.h"
#include "kube/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A failure says why, in a whole string, and hands nothing over. */
static void check(int ret, const void *object, const struct err *e)
{
	if ((ret < 0) != (object == NULL) || (ret < 0) != (e->blame != ERR_NONE) ||
	    !memchr(e->msg, '\0', sizeof(e->msg)))
		abort();
}

#define TRY(kind, obj)                                             \
	do {                                                       \
		struct kube_##kind *object = NULL;                 \
		struct err e = ERR_INIT;                           \
		int ret = kube_##kind##_parse((obj), &object, &e); \
		check(ret, object, &e);                            \
		if (object)                                        \
			kube_key(&object->meta);                   \
		kube_##kind##_free(object);                        \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *obj = kube_json_parse((const char *)data, size);
	struct err described = ERR_INIT;
	struct kube_remains *remains = kube_remains_of((const char *)data, size);

	TRY(service, obj);
	if (remains)
		kube_key(&remains->meta);
	kube_remains_free(remains);
	TRY(slice, obj);
	TRY(node, obj);
	TRY(pod, obj);
	TRY(config_map, obj);
	TRY(secret, obj);
	TRY(object, obj);
	request_describe("GET", "/path?query", 500, obj, &described);
	json_object_put(obj);
	return 0;
}
