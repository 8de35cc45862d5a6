/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "rest.h"

#include "fairlead/mem.h"
#include "js.h"

/* POST pods/NAME/binding: a Pod gets its node, once. */

void rest_bind(struct server *s, const struct api_request *rq, struct reply *r)
{
	struct err err = ERR_INIT;
	cleanup(js_put) struct json_object *binding = js_parse(rq->body, rq->body_size, &err);
	struct version *v = rest_find(s, rq, rq->name);
	const char *node = binding ? js_str0(binding, "target.name") : "";

	if (!binding) {
		reply_bad_request(r, "%s", err.msg);
		return;
	}
	if (!*node) {
		reply_internal(r, "target.name: Required value");
		return;
	}
	if (!v) {
		reply_not_found(r, rq->kind, rq->name);
		return;
	}
	cleanup(js_put) struct json_object *pod = version_parse(v);
	if (*js_str0(pod, "spec.nodeName")) {
		reply_conflict(r, rq->kind, rq->name, "pod is already assigned to a node");
		return;
	}
	js_set_str(pod, "spec.nodeName", node);
	if (store_put(&s->store, rq->kind->store, pod, &v, &err) < 0) {
		rest_store_error(r, &err);
		return;
	}
	reply_created(r);
	rest_note_change(s, r);
}
