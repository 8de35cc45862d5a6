/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Whatever comes as a review: what is answered is JSON, and repeats the UID. */

#include <stdint.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct webhook_subject subject = { "fairlead-system", "fairlead" };
	cleanup(buf_fini) struct buf answer = BUF_INIT;
	enum webhook_verdict verdict = webhook_review((const char *)data, size, &subject, &answer);

	if (verdict == WEBHOOK_UNREADABLE) {
		if (answer.size > 0)
			abort();
		return 0;
	}
	struct json_object *read = kube_json_parse(answer.data, answer.size);
	struct json_object *response = kube_json_get(read, "response", json_type_object, NULL);
	if (!kube_json_str(response, "uid", NULL) ||
	    kube_json_bool(response, "allowed", false, NULL) != (verdict == WEBHOOK_ALLOWED))
		abort();
	json_object_put(read);
	return 0;
}
