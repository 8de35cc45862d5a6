/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/gather.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define API_TIMEOUT_MS 10000
#define API_RETRIES 1
#define SPEAKER_TIMEOUT_S 2
#define PROXY_TIMEOUT_MS 3000
/* A speaker's /status is about 300 bytes for each Service. */
#define SPEAKER_BODY_MAX_BYTES (64 << 20)
#define SPEAKER_HEADERS_MAX_BYTES 8192
#define TOKEN_SIZE 512

struct gathering {
	struct event_base *base;
	struct kube_access *access;
	struct kube_client *client; /* NULL: the API server is not asked */
	void (*put)(const char *node, struct json_object *status, const char *why, void *arg);
	void *arg;
	size_t n_pending;
	struct err error; /* the first of the API server's */
};

struct fetch {
	struct gathering *g;
	const struct gather_row *row;
	struct kube_informer *informer; /* of a list */
	int retries;
};

struct speaker_call {
	struct gathering *g;
	const char *node;
	char *pod; /* as gather_speaker has it */
	struct evhttp_connection *connection;
	bool answered;
	const char *why; /* it did not */
	char words[96];  /* what @why may point to */
};

struct calls {
	struct speaker_call *list;
	size_t n;
};

static void one_less(struct gathering *g)
{
	if (--g->n_pending == 0)
		event_base_loopbreak(g->base);
}

/* ---- the API server ---- */

static int client_open(struct gathering *g, const struct options_kube *kube, struct err *e)
{
	int r = kube_access_load(kube->kubeconfig, kube->context, &g->access, e);

	if (r == 0)
		g->client = kube_client_new(g->base, g->access, "fairlead/" PACKAGE_VERSION);
	return r;
}

static void gathering_fini(struct gathering *g)
{
	kube_client_free(g->client);
	kube_access_free(g->access);
	event_base_free(g->base);
}

/* What became of it; the first error goes to @e. */
static int gathering_run(struct gathering *g, struct err *e)
{
	event_base_dispatch(g->base);
	if (g->error.blame == ERR_NONE)
		return 0;
	*e = g->error;
	return -EIO;
}

static void fail(struct gathering *g, const struct err *e)
{
	if (g->error.blame == ERR_NONE)
		g->error = *e;
}

static void refused(struct fetch *f, int status, const struct err *e)
{
	if (status == 403 && f->row->denied)
		f->row->denied(e, f->g->arg);
	else if (status != 404 || !f->row->may_be_missing)
		fail(f->g, e);
}

/*
 * What only looks like an answer, such as a proxy's page for logging in, must not pass for an
 * object.
 */
static void on_fetched(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct fetch *f = arg;
	struct err no_object = ERR_INIT;

	if (!e && kube_json_get(obj, "metadata", json_type_object, NULL)) {
		f->row->put(obj, f->g->arg);
	} else if (!e) {
		err_set(&no_object, -EPROTO, ERR_REMOTE,
		        "GET %s: the answer is no object; does an API server answer there?",
		        f->row->path);
		fail(f->g, &no_object);
	} else {
		refused(f, status, e);
	}
	one_less(f->g);
}

static void ask_object(struct fetch *f)
{
	const struct kube_request_spec spec = { .method = "GET",
		                                .path = f->row->path,
		                                .timeout_ms = API_TIMEOUT_MS,
		                                .max_retries = API_RETRIES };

	kube_request_start(f->g->client, &spec, on_fetched, f);
}

/* ---- lists: an informer as far as its first complete list ---- */

static int list_upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct fetch *f = arg;

	(void)e;
	f->row->put(obj, f->g->arg);
	return 0;
}

static void list_remove(const char *namespace, const char *name, const char *uid, void *arg)
{
	/* Where the list had to be read again, something may have gone in between: it was there. */
	(void)namespace, (void)name, (void)uid, (void)arg;
}

static void list_unreadable(const struct kube_remains *r, const struct err *why, void *arg)
{
	struct fetch *f = arg;

	if (f->row->pass_over)
		f->row->pass_over(r, why, f->g->arg);
}

static void list_lost(size_t n, void *arg)
{
	struct err e = ERR_INIT;

	if (n == 0)
		return;
	err_set(&e, -EINVAL, ERR_REMOTE, "an object in the list that cannot be made out");
	list_unreadable(NULL, &e, arg);
}

static void list_end(struct fetch *f)
{
	kube_informer_stop(TAKE(f->informer));
	one_less(f->g);
}

static void list_synced(void *arg)
{
	list_end(arg);
}

static bool list_failed(int status, const struct err *e, void *arg)
{
	struct fetch *f = arg;
	bool may_pass =
		!kube_status_is_final(status) || status == 200 || status == 410 || status == 429;
	struct err no_list = *e;

	if (may_pass && f->retries++ < API_RETRIES)
		return true;
	if (status == 200)
		err_set(&no_list, -EPROTO, ERR_REMOTE, "%s; does an API server answer there?",
		        e->msg);
	refused(f, status, &no_list);
	list_end(f);
	return false;
}

static void ask_list(struct fetch *f)
{
	static const struct kube_informer_ops ops = {
		.upsert = list_upsert,
		.remove = list_remove,
		.synced = list_synced,
		.unreadable = list_unreadable,
		.lost = list_lost,
		.failed = list_failed,
	};
	const char *query = strchr(f->row->path, '?');
	cleanup_free char *path = xstrndup(f->row->path, strcspn(f->row->path, "?"));
	const struct kube_informer_spec spec = { .path = path,
		                                 .query = query ? query + 1 : NULL,
		                                 .what = path,
		                                 .silence_ms = API_TIMEOUT_MS };

	f->informer = kube_informer_start(f->g->client, &spec, &ops, f);
}

int gather_api(const struct options_kube *kube, const struct gather_row *rows, size_t n, void *arg,
               struct err *e)
{
	cleanup(gathering_fini) struct gathering g = { .base = event_base_new(),
		                                       .arg = arg,
		                                       .n_pending = n };
	int r = client_open(&g, kube, e);

	if (r < 0)
		return r;
	struct fetch *fetches = xcalloc(n, sizeof(*fetches));
	for (size_t i = 0; i < n; i++) {
		fetches[i] = (struct fetch){ .g = &g, .row = &rows[i] };
		if (rows[i].is_list)
			ask_list(&fetches[i]);
		else
			ask_object(&fetches[i]);
	}
	r = gathering_run(&g, e);
	free(fetches);
	return r;
}

void gather_pass_over(const struct err *e, size_t *n_unreadable)
{
	struct err plain = *e;

	buf_plain(plain.msg);
	fprintf(stderr, "%s\n", plain.msg);
	(*n_unreadable)++;
}

struct answer {
	struct gathering *g;
	int status;
};

static void on_answer(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct answer *a = arg;

	(void)obj;
	a->status = status;
	if (e)
		a->g->error = *e;
	one_less(a->g);
}

int gather_request(const struct options_kube *kube, const struct kube_request_spec *spec,
                   int *ret_status, struct err *e)
{
	cleanup(gathering_fini) struct gathering g = { .base = event_base_new(), .n_pending = 1 };
	struct answer a = { .g = &g };
	int r = client_open(&g, kube, e);

	if (r < 0)
		return r;
	kube_request_start(g.client, spec, on_answer, &a);
	r = gathering_run(&g, e);
	*ret_status = a.status;
	return r;
}

/* ---- the speakers ---- */

static void answered(struct speaker_call *call, struct json_object *status)
{
	call->answered = true;
	call->g->put(call->node, status, NULL, call->g->arg);
}

static void on_speaker_error(enum evhttp_request_error error, void *arg)
{
	struct speaker_call *call = arg;

	call->why = error == EVREQ_HTTP_TIMEOUT         ? "unreachable: timed out"
	            : error == EVREQ_HTTP_DATA_TOO_LONG ? "its answer is too long"
	                                                : "unreachable: no answer";
}

static struct json_object *parse_status(struct evbuffer *body)
{
	size_t size = evbuffer_get_length(body);
	struct json_tokener *tok = json_tokener_new();
	struct json_object *status =
		json_tokener_parse_ex(tok, (char *)evbuffer_pullup(body, -1), (int)size);

	json_tokener_free(tok);
	if (json_object_is_type(status, json_type_object))
		return status;
	json_object_put(status);
	return NULL;
}

static void on_speaker(struct evhttp_request *req, void *arg)
{
	struct speaker_call *call = arg;
	int code = req ? evhttp_request_get_response_code(req) : 0;

	if (code == 200) {
		struct json_object *status = parse_status(evhttp_request_get_input_buffer(req));
		if (status)
			answered(call, status);
		else
			call->why = "its answer is no JSON";
		json_object_put(status);
	} else if (code == 401 || code == 403) {
		call->why =
			"it refuses: /status is kept to its host, or to a token (--speaker-token-file)";
	} else if (code == 503) {
		call->why = "it has too many clients";
	} else if (code) {
		snprintf(call->words, sizeof(call->words),
		         "HTTP status %d; does another program have its port?", code);
		call->why = call->words;
	} else if (!call->why) {
		call->why = "unreachable: refused";
	}
	one_less(call->g);
}

/* The first line of the file; a speaker that wants one it is not then refuses. */
static void read_token(const char *path, struct buf *out)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	char line[TOKEN_SIZE];

	if (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t\r\n")] = '\0';
		buf_printf(out, "Bearer %s", line);
	}
	if (path && !out->size)
		fprintf(stderr, "fairlead: --speaker-token-file %s: %s\n", path,
		        f ? "there is no token in it" : strerror(errno));
	if (f)
		fclose(f);
}

static void ask_speaker(struct speaker_call *call, const struct addr *address, int port,
                        const char *authorization)
{
	struct gathering *g = call->g;
	char host[ADDR_STR_SIZE];

	call->connection = evhttp_connection_base_new(g->base, NULL, addr_format(address, host),
	                                              (uint16_t)port);
	evhttp_connection_set_timeout(call->connection, SPEAKER_TIMEOUT_S);
	evhttp_connection_set_max_headers_size(call->connection, SPEAKER_HEADERS_MAX_BYTES);
	evhttp_connection_set_max_body_size(call->connection, SPEAKER_BODY_MAX_BYTES);
	struct evhttp_request *req = evhttp_request_new(on_speaker, call);
	evhttp_request_set_error_cb(req, on_speaker_error);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", host);
	if (*authorization)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Authorization",
		                  authorization);
	g->n_pending++;
	if (evhttp_make_request(call->connection, req, EVHTTP_REQ_GET, "/status") < 0) {
		call->why = "unreachable";
		g->n_pending--;
	}
}

static void on_proxied(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct speaker_call *call = arg;

	(void)status;
	/* What was wrong on the direct way says more than why there is no other. */
	if (!e && obj)
		answered(call, obj);
	one_less(call->g);
}

/* The first that has not answered, NULL if all have. */
static const struct speaker_call *unanswered(const struct calls *calls)
{
	for (size_t i = 0; i < calls->n; i++)
		if (!calls->list[i].answered)
			return &calls->list[i];
	return NULL;
}

char *gather_pods_path(const char *namespace)
{
	return xasprintf("/api/v1/namespaces/%s/pods"
	                 "?labelSelector=app.kubernetes.io%%2Fname%%3Dfairlead"
	                 "%%2Capp.kubernetes.io%%2Fcomponent%%3Dspeaker",
	                 namespace);
}

char *gather_pod_path(struct json_object *pod, const char **ret_node)
{
	struct json_object *meta = kube_json_get(pod, "metadata", json_type_object, NULL);
	struct json_object *spec = kube_json_get(pod, "spec", json_type_object, NULL);
	const char *namespace = meta ? kube_json_str(meta, "namespace", NULL) : NULL;
	const char *name = meta ? kube_json_str(meta, "name", NULL) : NULL;
	const char *node = spec ? kube_json_str(spec, "nodeName", NULL) : NULL;

	if (!namespace || !name || !node)
		return NULL;
	*ret_node = node;
	return xasprintf("namespaces/%s/pods/%s", namespace, name);
}

static void put_pod(struct json_object *obj, void *arg)
{
	struct calls *calls = arg;
	const char *node;
	cleanup_free char *path = gather_pod_path(obj, &node);

	for (size_t i = 0; path && i < calls->n; i++)
		if (!calls->list[i].pod && !strcmp(calls->list[i].node, node))
			calls->list[i].pod = xstrdup(path);
}

static void no_pods(const struct err *why, void *arg)
{
	(void)why, (void)arg;
}

static void find_pods(const struct options_kube *kube, struct calls *calls)
{
	struct err ignored = ERR_INIT;
	cleanup_free char *namespace = options_namespace(kube);
	cleanup_free char *path = gather_pods_path(namespace);
	const struct gather_row row = {
		.path = path, .is_list = true, .put = put_pod, .denied = no_pods
	};

	gather_api(kube, &row, 1, calls, &ignored);
}

/* Whoever sits elsewhere may reach the API server alone, which reaches its nodes. */
static void ask_by_proxy(const struct options_kube *kube, struct gathering *g, struct calls *calls,
                         int port)
{
	struct err ignored = ERR_INIT;

	if (!unanswered(calls) || client_open(g, kube, &ignored) < 0)
		return;
	if (!unanswered(calls)->pod)
		find_pods(kube, calls);
	for (size_t i = 0; i < calls->n; i++) {
		struct speaker_call *c = &calls->list[i];
		if (c->answered)
			continue;
		cleanup_free char *path =
			c->pod ? xasprintf("/api/v1/%s:%d/proxy/status", c->pod, port)
			       : xasprintf("/api/v1/nodes/%s:%d/proxy/status", c->node, port);
		const struct kube_request_spec spec = { .method = "GET",
			                                .path = path,
			                                .timeout_ms = PROXY_TIMEOUT_MS };
		g->n_pending++;
		kube_request_start(g->client, &spec, on_proxied, c);
	}
	if (g->n_pending)
		event_base_dispatch(g->base);
}

void gather_speakers(const struct options_kube *kube, const struct gather_speaker *speakers,
                     size_t n, const struct gather_port *port,
                     void (*put)(const char *node, struct json_object *status, const char *why,
                                 void *arg),
                     void *arg)
{
	cleanup(gathering_fini) struct gathering g = { .base = event_base_new(),
		                                       .put = put,
		                                       .arg = arg };
	struct calls calls = { xcalloc(n + 1, sizeof(*calls.list)), n };
	cleanup(buf_fini) struct buf authorization = BUF_INIT;

	read_token(port->token_file, &authorization);
	for (size_t i = 0; i < n; i++) {
		struct speaker_call *c = &calls.list[i];
		*c = (struct speaker_call){ .g = &g,
			                    .node = speakers[i].node,
			                    .pod = xstrdup_null(speakers[i].pod) };
		if (addr_is_none(speakers[i].address))
			c->why = "no InternalIP";
		else
			ask_speaker(c, speakers[i].address, port->port, buf_str(&authorization));
	}
	if (g.n_pending)
		event_base_dispatch(g.base);
	if (kube)
		ask_by_proxy(kube, &g, &calls, port->port);
	for (size_t i = 0; i < n; i++) {
		struct speaker_call *c = &calls.list[i];
		if (!c->answered)
			put(c->node, NULL, c->why, arg);
		if (c->connection)
			evhttp_connection_free(c->connection);
		free(c->pod);
	}
	free(calls.list);
}
