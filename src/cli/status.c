/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/model.h"
#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/*
 * `fairlead status`: first the API server's lists, all at once, then every speaker, all at once; then one picture.
 */

#define API_TIMEOUT_MS 10000
#define API_RETRIES 1
#define PAGE_LIMIT "500"
#define SPEAKER_TIMEOUT_S 2
/* A speaker's /status is about 300 bytes for each Service. */
#define SPEAKER_BODY_MAX_BYTES (64 << 20)
#define SPEAKER_HEADERS_MAX_BYTES 8192
#define LEASE_NAME "fairlead-controller"

struct gathering {
	struct event_base *base;
	struct kube_client *client;
	struct model *model;
	const char *namespace;
	int speaker_port;
	size_t n_pending;
	struct err error; /* the first of the API server's */
};

/* One thing asked of the API server; a list comes in pages. */
struct fetch {
	struct gathering *g;
	const char *path;
	bool is_list;
	bool may_be_missing;
	void (*put)(struct gathering *g, struct json_object *obj);
};

struct speaker_call {
	struct gathering *g;
	const char *node;
	struct evhttp_connection *connection;
	const char *why;
};

/* ---- the API server ---- */

static void put_config_map(struct gathering *g, struct json_object *obj)
{
	struct kube_config_map *m = NULL;

	if (kube_config_map_parse(obj, &m, NULL) == 0)
		cluster_put_configuration(g->model, m);
	kube_config_map_free(m);
}

static void put_service(struct gathering *g, struct json_object *obj)
{
	struct kube_service *s = NULL;

	if (kube_service_parse(obj, &s, NULL) == 0)
		cluster_put_service(g->model, s);
	kube_service_free(s);
}

static void put_node(struct gathering *g, struct json_object *obj)
{
	struct kube_node *n = NULL;

	if (kube_node_parse(obj, &n, NULL) == 0)
		cluster_put_node(g->model, n);
	kube_node_free(n);
}

static void put_lease(struct gathering *g, struct json_object *obj)
{
	struct json_object *spec = kube_json_get(obj, "spec", json_type_object, NULL);
	const char *holder = spec ? kube_json_str(spec, "holderIdentity", NULL) : NULL;

	cluster_put_leader(g->model, holder ? holder : "");
}

static void one_less(struct gathering *g)
{
	if (--g->n_pending == 0)
		event_base_loopbreak(g->base);
}

static void on_fetched(int status, struct json_object *obj, const struct err *e, void *arg);

static void ask(struct fetch *f, const char *token)
{
	cleanup_free char *path = f->is_list
	                                  ? xasprintf("%s?limit=" PAGE_LIMIT "%s%s", f->path,
	                                              token ? "&continue=" : "", token ? token : "")
	                                  : xstrdup(f->path);
	const struct kube_request_spec spec = { .method = "GET",
		                                .path = path,
		                                .timeout_ms = API_TIMEOUT_MS,
		                                .max_retries = API_RETRIES };

	kube_request_start(f->g->client, &spec, on_fetched, f);
}

static void on_fetched(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct fetch *f = arg;
	struct gathering *g = f->g;

	if (e) {
		if (!(status == 404 && f->may_be_missing) && g->error.blame == ERR_NONE)
			g->error = *e;
		one_less(g);
		return;
	}
	if (!f->is_list) {
		f->put(g, obj);
		one_less(g);
		return;
	}
	struct json_object *items = kube_json_get(obj, "items", json_type_array, NULL);
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	const char *token = meta ? kube_json_str(meta, "continue", NULL) : NULL;
	for (size_t i = 0; items && i < json_object_array_length(items); i++)
		f->put(g, json_object_array_get_idx(items, i));
	if (token && *token) {
		char *escaped = evhttp_encode_uri(token);
		ask(f, escaped);
		free(escaped);
	} else {
		one_less(g);
	}
}

static int ask_api(struct gathering *g, struct err *e)
{
	cleanup_free char *map_path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", g->namespace, CONFIG_MAP_ACTIVE);
	cleanup_free char *lease_path = xasprintf(
		"/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", g->namespace, LEASE_NAME);
	struct fetch fetches[] = {
		{ g, map_path, false, true, put_config_map },
		{ g, lease_path, false, true, put_lease },
		{ g, "/api/v1/services", true, false, put_service },
		{ g, "/api/v1/nodes", true, false, put_node },
	};

	g->n_pending = ARRAY_LEN(fetches);
	for (size_t i = 0; i < ARRAY_LEN(fetches); i++)
		ask(&fetches[i], NULL);
	event_base_dispatch(g->base);
	if (g->error.blame != ERR_NONE) {
		*e = g->error;
		return -EIO;
	}
	return 0;
}

/* ---- the speakers ---- */

static void on_speaker_error(enum evhttp_request_error error, void *arg)
{
	struct speaker_call *call = arg;

	call->why = error == EVREQ_HTTP_TIMEOUT         ? "unreachable: timed out"
	            : error == EVREQ_HTTP_DATA_TOO_LONG ? "its answer is too long"
	                                                : "unreachable: no answer";
}

static void on_speaker(struct evhttp_request *req, void *arg)
{
	struct speaker_call *call = arg;
	struct gathering *g = call->g;
	struct evbuffer *body = req ? evhttp_request_get_input_buffer(req) : NULL;
	struct json_object *status = NULL;
	const char *why = call->why ? call->why : "unreachable: refused";

	if (req && evhttp_request_get_response_code(req) == 200) {
		size_t size = evbuffer_get_length(body);
		struct json_tokener *tok = json_tokener_new();
		status = json_tokener_parse_ex(tok, (char *)evbuffer_pullup(body, -1), (int)size);
		json_tokener_free(tok);
		if (!json_object_is_type(status, json_type_object)) {
			json_object_put(status);
			status = NULL;
		}
		why = "its answer is no JSON";
	} else if (req && evhttp_request_get_response_code(req)) {
		why = "its answer is an error";
	}
	cluster_put_speaker(g->model, call->node, status, status ? NULL : why);
	json_object_put(status);
	one_less(g);
}

static void ask_speaker(struct speaker_call *call, const struct addr *address)
{
	struct gathering *g = call->g;
	char host[ADDR_STR_SIZE];

	call->connection = evhttp_connection_base_new(g->base, NULL, addr_format(address, host),
	                                              (uint16_t)g->speaker_port);
	evhttp_connection_set_timeout(call->connection, SPEAKER_TIMEOUT_S);
	evhttp_connection_set_max_headers_size(call->connection, SPEAKER_HEADERS_MAX_BYTES);
	evhttp_connection_set_max_body_size(call->connection, SPEAKER_BODY_MAX_BYTES);
	struct evhttp_request *req = evhttp_request_new(on_speaker, call);
	evhttp_request_set_error_cb(req, on_speaker_error);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", host);
	g->n_pending++;
	if (evhttp_make_request(call->connection, req, EVHTTP_REQ_GET, "/status") < 0) {
		cluster_put_speaker(g->model, call->node, NULL, "unreachable");
		g->n_pending--;
	}
}

static void ask_speakers(struct gathering *g)
{
	size_t n = cluster_nodes(g->model);
	struct speaker_call *calls = xcalloc(n + 1, sizeof(*calls));

	for (size_t i = 0; i < n; i++) {
		const struct addr *a = cluster_node_address(g->model, i);
		calls[i] = (struct speaker_call){ .g = g, .node = cluster_node_name(g->model, i) };
		if (addr_is_none(a))
			cluster_put_speaker(g->model, calls[i].node, NULL, "no InternalIP");
		else
			ask_speaker(&calls[i], a);
	}
	if (g->n_pending)
		event_base_dispatch(g->base);
	for (size_t i = 0; i < n; i++)
		if (calls[i].connection)
			evhttp_connection_free(calls[i].connection);
	free(calls);
}

/* ---- the command ---- */

static int gather(struct gathering *g, const struct options_kube *kube, struct err *e)
{
	struct kube_access *access = NULL;
	int r = kube_access_load(kube->kubeconfig, kube->context, &access, e);

	if (r < 0)
		return r;
	g->client = kube_client_new(g->base, access, "fairlead/" PACKAGE_VERSION);
	r = ask_api(g, e);
	if (r == 0)
		ask_speakers(g);
	kube_client_free(g->client);
	kube_access_free(access);
	return r;
}

int command_status(const struct command_options *o, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	struct gathering g = { .namespace = namespace, .speaker_port = o->speaker_port };
	cleanup(buf_fini) struct buf out = BUF_INIT;
	int exit_status = COMMAND_FAILED;

	g.base = event_base_new();
	g.model = cluster_new();
	if (gather(&g, &o->kube, e) == 0) {
		if (o->json)
			cluster_json(g.model, &out);
		else
			cluster_text(g.model, &out);
		fputs(buf_str(&out), stdout);
		exit_status = cluster_is_complete(g.model) ? COMMAND_OK : COMMAND_INCOMPLETE;
	}
	cluster_free(g.model);
	event_base_free(g.base);
	return exit_status;
}
