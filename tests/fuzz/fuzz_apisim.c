/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../apisim/fault.h"
#include "../apisim/rest.h"
#include "fairlead/mem.h"

/*
 * Two requests to a server of their own: a POST and then a PUT or PATCH to the object that it made.
 * The first two bytes choose the resource and the second request, the bodies are separated by a
 * NUL.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void follow_store(void *arg, enum store_id id, const struct event *e)
{
	struct server *s = arg;

	if (id != STORE_SERVICES)
		return;
	struct version *const sides[] = { e->before, e->type == EVENT_DELETED ? NULL : e->now };
	for (int i = 0; i < 2; i++) {
		struct json_object *o = sides[i] ? version_parse(sides[i]) : NULL;
		if (o)
			alloc_count(&s->alloc, o, i ? +1 : -1);
		json_object_put(o);
	}
}

static void request(struct server *s, struct api_request *rq, const char *body, size_t size)
{
	cleanup(reply_fini) struct reply r = REPLY_INIT;

	rq->body = body;
	rq->body_size = size;
	rest_handle(s, rq, &r);
	if (!r.code || (!r.obj && !r.version))
		__builtin_trap();
	version_unref(r.version ? version_ref(version_as(r.version, rq->kind)) : NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	struct server s = { .faults = NULL };
	struct prefix cidrs[2];
	prefix_parse("10.96.0.0/28", false, &cidrs[0]);
	prefix_parse("fd00::/124", false, &cidrs[1]);
	store_init(&s.store, 4);
	alloc_init(&s.alloc, cidrs, 1 + data[1] % 2);
	s.store.on_event = follow_store;
	s.store.arg = &s;
	if (rest_create_namespaces(&s, NULL) < 0)
		__builtin_trap();
	const struct kind *k = &kinds[data[0] % n_kinds];
	const char *first = (const char *)data + 2, *second = memchr(first, 0, size - 2);
	size_t first_size = second ? (size_t)(second - first) : size - 2;
	struct api_request rq = {
		.verb = VERB_CREATE, .kind = k, .path = "/", .ns = k->namespaced ? "default" : NULL
	};
	request(&s, &rq, first, first_size);
	if (second) {
		unsigned int choice = data[1] / 2;
		rq.verb = choice % 4 == 3 ? VERB_UPDATE : VERB_PATCH;
		rq.patch = (enum patch_type)(choice % 3);
		rq.patch_known = true;
		rq.name = "a";
		rq.sub = choice & 4 ? "status" : NULL;
		request(&s, &rq, second + 1, size - 3 - first_size);
	}
	store_fini(&s.store);
	alloc_fini(&s.alloc);
	return 0;
}
