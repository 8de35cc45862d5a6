/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/kube_types.h"
#include "fairlead/mem.h"

/* Single requests: kinds of patches, optimistic concurrency, errors, Events. */

#define FINALLY_PUT __attribute__((__cleanup__(put_json)))

static void put_json(struct json_object **obj)
{
	json_object_put(*obj);
}

static void replace(struct json_object **obj, struct json_object *with)
{
	json_object_put(*obj);
	*obj = with;
}

static void errors_carry_the_servers_words(struct suite *s)
{
	FINALLY_PUT struct json_object *answer = NULL;
	int status = suite_call(s, "GET", suite_path(s, "/api/v1", "configmaps", "missing"), NULL,
	                        KUBE_PATCH_NONE, &answer);
	CHECK(s, status == 404, "GET of what is not there: %d", status);
	const char *reason = suite_str(answer, "reason");
	CHECK(s, reason && !strcmp(reason, "NotFound"), "reason %s", reason ? reason : "none");
}

static void patches_merge(struct suite *s)
{
	FINALLY_PUT struct json_object *answer = NULL;
	const char *path = suite_path(s, "/api/v1", "configmaps", "patched");
	suite_put_map(s, "patched", "old");
	int status = suite_call(s, "PATCH", path, "{\"data\":{\"v\":null,\"w\":\"new\"}}",
	                        KUBE_PATCH_MERGE, &answer);
	CHECK(s, status == 200, "merge patch: %d", status);
	const char *w = suite_str(answer, "data.w");
	CHECK(s, w && !strcmp(w, "new") && !suite_get(answer, "data.v"), "merge patch left %s",
	      json_object_to_json_string(suite_get(answer, "data")));

	replace(&answer, NULL);
	status = suite_call(
		s, "PATCH", path,
		"[{\"op\":\"test\",\"path\":\"/data/w\",\"value\":\"new\"},"
		"{\"op\":\"replace\",\"path\":\"/data/w\",\"value\":\"newer\"},"
		"{\"op\":\"add\",\"path\":\"/metadata/labels/slash~1a\",\"value\":\"slash\"}]",
		KUBE_PATCH_JSON, &answer);
	w = suite_str(answer, "data.w");
	const char *slash = suite_str(answer, "metadata.labels.slash/a");
	CHECK(s, status == 200 && w && !strcmp(w, "newer") && slash, "JSON patch: %d", status);
	status = suite_call(s, "PATCH", path,
	                    "[{\"op\":\"test\",\"path\":\"/data/w\",\"value\":\"new\"}]",
	                    KUBE_PATCH_JSON, NULL);
	CHECK(s, status == 422, "JSON patch with a test that does not hold: %d", status);
}

static void writes_conflict(struct suite *s)
{
	FINALLY_PUT struct json_object *answer = NULL;
	cleanup(buf_fini) struct buf stale = BUF_INIT;
	const char *path = suite_path(s, "/api/v1", "configmaps", "contended");
	suite_put_map(s, "contended", "1");
	suite_call(s, "GET", path, NULL, KUBE_PATCH_NONE, &answer);
	const char *version = suite_str(answer, "metadata.resourceVersion");
	CHECK(s, version, "no resourceVersion");
	buf_printf(&stale, "{\"metadata\":{\"resourceVersion\":\"%s\"},\"data\":{\"v\":\"2\"}}",
	           version);
	int first = suite_call(s, "PATCH", path, buf_str(&stale), KUBE_PATCH_MERGE, NULL);
	int second =
		suite_call(s, "PATCH", path, "{\"data\":{\"v\":\"3\"}}", KUBE_PATCH_MERGE, NULL);
	int third = suite_call(s, "PATCH", path, buf_str(&stale), KUBE_PATCH_MERGE, NULL);
	int put = suite_call(s, "PUT", path, json_object_to_json_string(answer), KUBE_PATCH_NONE,
	                     NULL);
	CHECK(s, first == 200 && second == 200 && third == 409 && put == 409,
	      "patch %d, unconditional %d, stale patch %d, stale put %d", first, second, third,
	      put);
}

static struct json_object *new_service(struct suite *s)
{
	struct json_object *answer = NULL;
	cleanup(buf_fini) struct buf body = BUF_INIT;

	buf_printf(
		&body,
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s-web\",\"labels\":"
		"{\"suite\":\"%s\"}},\"spec\":{\"type\":\"LoadBalancer\",\"loadBalancerClass\":"
		"\"fairlead.io/suite\",\"externalTrafficPolicy\":\"Local\",\"ports\":[{\"name\":\"http\","
		"\"port\":80,\"targetPort\":8080},{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}]}}",
		s->run, s->run);
	suite_call(s, "POST", suite_path(s, "/api/v1", "services", ""), buf_str(&body),
	           KUBE_PATCH_NONE, &answer);
	return answer;
}

static void delete_service(struct suite *s)
{
	suite_call(s, "DELETE", suite_path(s, "/api/v1", "services", "web"), NULL, KUBE_PATCH_NONE,
	           NULL);
}

static void services_are_understood(struct suite *s)
{
	FINALLY_PUT struct json_object *answer = new_service(s);
	struct kube_service *svc = NULL;
	struct err e = ERR_INIT;
	int ret = kube_service_parse(answer, &svc, &e);
	delete_service(s);
	CHECK(s, ret == 0, "%s", e.msg);
	bool good = svc->type == KUBE_LOAD_BALANCER && svc->n_cluster_ips >= 1 &&
	            svc->traffic.external_local && !svc->traffic.internal_local &&
	            svc->traffic.health_port && svc->n_ports == 2 && svc->ports[0].node_port &&
	            svc->ports[1].proto == KUBE_UDP && svc->families[0] && *svc->meta.uid &&
	            svc->meta.creation_us && svc->load_balancer_class;
	kube_service_free(svc);
	CHECK(s, good, "not what was made: %s", json_object_to_json_string(answer));
}

static struct json_object *condition(struct json_object *service, const char *type)
{
	struct json_object *list = suite_get(service, "status.conditions");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		const char *t = suite_str(c, "type");
		if (t && !strcmp(t, type))
			return c;
	}
	return NULL;
}

#define CONDITION(type, status)                                                                   \
	"{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"Suite\",\"message\":\"\"," \
	"\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}"

/* One patch carries address and condition, and leaves the conditions of others alone. */
static void statuses_merge_strategically(struct suite *s)
{
	FINALLY_PUT struct json_object *answer = new_service(s);
	cleanup_free char *path =
		xasprintf("%s/status", suite_path(s, "/api/v1", "services", "web"));
	int status =
		suite_call(s, "PATCH", path,
	                   "{\"status\":{\"conditions\":[" CONDITION("other.io/A", "True") "]}}",
	                   KUBE_PATCH_STRATEGIC, NULL);
	replace(&answer, NULL);
	int second = suite_call(
		s, "PATCH", path,
		"{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.7\",\"ipMode\":\"VIP\"}]},"
		"\"conditions\":[" CONDITION("fairlead.io/AddressAssigned", "True") "]}}",
		KUBE_PATCH_STRATEGIC, &answer);
	struct kube_service *svc = NULL;
	struct err e = ERR_INIT;
	int ret = kube_service_parse(answer, &svc, &e);
	bool address = ret == 0 && svc->n_ingress == 1 && svc->ingress[0].ip.b[3] == 7 &&
	               svc->ingress[0].has_ip_mode && !svc->ingress[0].ip_mode_proxy;
	kube_service_free(svc);
	bool both =
		condition(answer, "other.io/A") && condition(answer, "fairlead.io/AddressAssigned");
	replace(&answer, NULL);
	suite_call(s, "PATCH", path, "{\"status\":{\"loadBalancer\":{\"ingress\":null}}}",
	           KUBE_PATCH_STRATEGIC, &answer);
	struct json_object *left = suite_get(answer, "status.loadBalancer.ingress");
	delete_service(s);
	CHECK(s, status == 200 && second == 200, "status patches: %d, %d", status, second);
	CHECK(s, address, "the address did not arrive: %s", e.msg);
	CHECK(s, both, "a condition was lost");
	CHECK(s, !left || json_object_array_length(left) == 0, "the address stayed");
}

static void everything_there_is_understood(struct suite *s)
{
	static const struct {
		const char *path;
		int kind;
	} lists[] = {
		{ "/api/v1/services", 0 },
		{ "/apis/discovery.k8s.io/v1/endpointslices", 1 },
		{ "/api/v1/nodes", 2 },
		{ "/api/v1/namespaces", 3 },
	};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		FINALLY_PUT struct json_object *answer = NULL;
		int status = suite_call(s, "GET", lists[i].path, NULL, KUBE_PATCH_NONE, &answer);
		struct json_object *items = suite_get(answer, "items");
		CHECK(s, status == 200 && items, "GET %s: %d", lists[i].path, status);
		for (size_t j = 0; j < json_object_array_length(items); j++) {
			struct json_object *o = json_object_array_get_idx(items, j);
			struct kube_service *svc = NULL;
			struct kube_slice *slice = NULL;
			struct kube_node *node = NULL;
			struct kube_object *object = NULL;
			struct err e = ERR_INIT;
			int ret = lists[i].kind == 0   ? kube_service_parse(o, &svc, &e)
			          : lists[i].kind == 1 ? kube_slice_parse(o, &slice, &e)
			          : lists[i].kind == 2 ? kube_node_parse(o, &node, &e)
			                               : kube_object_parse(o, &object, &e);
			kube_service_free(svc);
			kube_slice_free(slice);
			kube_node_free(node);
			kube_object_free(object);
			CHECK(s, ret == 0, "%s", e.msg);
		}
	}
}

static void events_arrive(struct suite *s)
{
	uint64_t lost = kube_client_stats(s->client).events_lost;
	cleanup_free char *name = xasprintf("%s-patched", s->run);
	const struct kube_event ev = { .kind = "ConfigMap",
		                       .api_version = "v1",
		                       .namespace = s->namespace,
		                       .name = name,
		                       .warning = true,
		                       .reason = "Suite",
		                       .action = "Test",
		                       .note = "It \"works\"." };
	cleanup_free char *path =
		xasprintf("/apis/events.k8s.io/v1/namespaces/%s/events", s->namespace);

	for (int i = 0; i < 3; i++)
		kube_event_emit(s->client, "fairlead.io/suite", s->run, &ev);
	int n = 0;
	for (int tries = 0; tries < 50 && n < 3; tries++) {
		FINALLY_PUT struct json_object *answer = NULL;
		suite_run_for(s, 100);
		suite_call(s, "GET", path, NULL, KUBE_PATCH_NONE, &answer);
		struct json_object *items = suite_get(answer, "items");
		n = 0;
		for (size_t i = 0; items && i < json_object_array_length(items); i++) {
			struct json_object *o = json_object_array_get_idx(items, i);
			const char *about = suite_str(o, "regarding.name"),
				   *note = suite_str(o, "note");
			n += about && note && !strcmp(about, name) && !strcmp(note, ev.note);
		}
	}
	CHECK(s, n == 3, "%d of 3 arrived", n);
	CHECK(s, kube_client_stats(s->client).events_lost == lost, "counted as lost");
}

/* One of several exchanges at a time. */
struct exchange {
	char name[16];
	char expected[64]; /* the answer's metadata.name */
	int *done, *wrong;
};

static void on_exchange(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct exchange *x = arg;
	const char *name = suite_str(obj, "metadata.name");

	(void)e;
	++*x->done;
	*x->wrong += status != 200 || !name || strcmp(name, x->expected) != 0;
}

static void exchange(struct suite *s, struct exchange *x, const char *method)
{
	bool patch = !strcmp(method, "PATCH");
	const struct kube_request_spec spec = { .method = method,
		                                .path = suite_path(s, "/api/v1", "configmaps",
		                                                   x->name),
		                                .body = patch ? "{\"data\":{\"w\":\"1\"}}" : NULL,
		                                .patch = patch ? KUBE_PATCH_MERGE : KUBE_PATCH_NONE,
		                                .timeout_ms = 10000 };

	kube_request_start(s->client, &spec, on_exchange, x);
}

/* Reads and writes side by side, also on a connection that has just become idle. */
static void answers_belong_to_their_questions(struct suite *s)
{
	enum { OBJECTS = 6, ROUNDS = 100 };
	struct exchange x[OBJECTS];
	int done = 0, wrong = 0, want = 0;

	for (int i = 0; i < OBJECTS; i++) {
		x[i] = (struct exchange){ .done = &done, .wrong = &wrong };
		snprintf(x[i].name, sizeof(x[i].name), "mine-%d", i);
		snprintf(x[i].expected, sizeof(x[i].expected), "%s-%s", s->run, x[i].name);
		suite_put_map(s, x[i].name, "1");
	}
	for (int round = 0; round < ROUNDS; round++) {
		exchange(s, &x[round % OBJECTS], "GET");
		want++;
		suite_wait_for_ends(s, &done, want);
		for (int i = 0; i < OBJECTS; i++, want++)
			exchange(s, &x[i], (i + round) % 3 ? "PATCH" : "GET");
		suite_wait_for_ends(s, &done, want);
		CHECK(s, wrong == 0, "round %d: %d answers to other questions", round, wrong);
	}
	for (int i = 0; i < OBJECTS; i++)
		suite_delete_map(s, x[i].name);
}

const struct suite_case suite_object_cases[] = {
	{ "errors carry the server's words", errors_carry_the_servers_words, false },
	{ "merge and JSON patches", patches_merge, false },
	{ "stale writes conflict", writes_conflict, false },
	{ "a Service as it was made", services_are_understood, false },
	{ "a status by strategic merge", statuses_merge_strategically, false },
	{ "everything there is understood", everything_there_is_understood, false },
	{ "Events arrive", events_arrive, false },
	{ "answers belong to their questions", answers_belong_to_their_questions, false },
	{ NULL, NULL, false },
};
