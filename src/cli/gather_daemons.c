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

#include "cli/gather_private.h"
#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define DAEMON_TIMEOUT_S 2
/* For all of them together: who sends a byte now and then is never silent for that long. */
#define DAEMONS_TIMEOUT_S 20
#define PROXY_TIMEOUT_MS 3000
/* A daemon's /status is about 300 bytes for each Service. */
#define DAEMON_BODY_MAX_BYTES (64 << 20)
#define DAEMON_HEADERS_MAX_BYTES 8192
#define TOKEN_SIZE 512

struct daemon_call {
	struct calls *calls;
	const struct gather_daemon *daemon;
	struct evhttp_connection *connection;
	struct evhttp_request *request; /* NULL: none is under way */
	bool answered;
	const char *why; /* it did not */
	char words[96];  /* what @why may point to */
};

struct calls {
	struct gather *g;
	struct daemon_call *list;
	size_t n;
	void (*put)(const char *name, struct json_object *status, const char *why, void *arg);
	void *arg;
};

static void answered(struct daemon_call *call, struct json_object *status)
{
	call->answered = true;
	call->calls->put(call->daemon->name, status, NULL, call->calls->arg);
}

static void on_daemon_error(enum evhttp_request_error error, void *arg)
{
	struct daemon_call *call = arg;

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

static void on_daemon(struct evhttp_request *req, void *arg)
{
	struct daemon_call *call = arg;
	int code = req ? evhttp_request_get_response_code(req) : 0;

	call->request = NULL;
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
	gather_one_less(call->calls->g);
}

void gather_read_token(const char *path, struct buf *out)
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

static void ask_directly(struct daemon_call *call, const char *authorization)
{
	struct gather *g = call->calls->g;
	char host[ADDR_STR_SIZE];

	addr_format(call->daemon->address, host);
	call->connection =
		evhttp_connection_base_new(g->base, NULL, host, (uint16_t)call->daemon->port);
	evhttp_connection_set_timeout(call->connection, DAEMON_TIMEOUT_S);
	evhttp_connection_set_max_headers_size(call->connection, DAEMON_HEADERS_MAX_BYTES);
	evhttp_connection_set_max_body_size(call->connection, DAEMON_BODY_MAX_BYTES);
	struct evhttp_request *req = evhttp_request_new(on_daemon, call);
	evhttp_request_set_error_cb(req, on_daemon_error);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", host);
	if (*authorization)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Authorization",
		                  authorization);
	g->n_pending++;
	call->request = req;
	if (evhttp_make_request(call->connection, req, EVHTTP_REQ_GET, "/status") < 0) {
		call->request = NULL;
		call->why = "unreachable";
		g->n_pending--;
	}
}

static void give_up(evutil_socket_t fd, short what, void *arg)
{
	struct calls *calls = arg;

	(void)fd, (void)what;
	for (size_t i = 0; i < calls->n; i++) {
		struct daemon_call *c = &calls->list[i];
		if (!c->request)
			continue;
		evhttp_cancel_request(TAKE(c->request));
		c->why = "its answer does not end; does another program have its port?";
		gather_one_less(calls->g);
	}
}

static void wait_directly(struct calls *calls)
{
	const struct timeval timeout = { DAEMONS_TIMEOUT_S, 0 };
	struct event *end = evtimer_new(calls->g->base, give_up, calls);

	evtimer_add(end, &timeout);
	gather_wait(calls->g);
	event_free(end);
}

static void on_proxied(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct daemon_call *call = arg;

	/* What was wrong on the direct way, if there is one, says more. */
	if (!e && obj) {
		if (call->daemon->ret_by_proxy)
			*call->daemon->ret_by_proxy = true;
		answered(call, obj);
	} else if (addr_is_none(call->daemon->address)) {
		snprintf(call->words, sizeof(call->words),
		         "HTTP status %d by way of the API server", status);
		call->why = call->words;
	}
	gather_one_less(call->calls->g);
}

/* From elsewhere one may reach only the API server, which reaches its Pods and nodes. */
static void ask_by_proxy(struct daemon_call *call)
{
	const struct gather_daemon *d = call->daemon;
	cleanup_free char *path =
		d->pod ? xasprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy/status", d->namespace,
	                           d->pod, d->port)
		       : xasprintf("/api/v1/nodes/%s:%d/proxy/status", d->node, d->port);
	const struct kube_request_spec spec = { .method = "GET",
		                                .path = path,
		                                .timeout_ms = PROXY_TIMEOUT_MS,
		                                .max_bytes = DAEMON_BODY_MAX_BYTES };

	call->calls->g->n_pending++;
	kube_request_start(call->calls->g->client, &spec, on_proxied, call);
}

void gather_daemons(struct gather *g, const struct gather_daemon *daemons, size_t n,
                    const char *token_file,
                    void (*put)(const char *name, struct json_object *status, const char *why,
                                void *arg),
                    void *arg)
{
	struct calls calls = {
		.g = g, .list = xcalloc(n + 1, sizeof(*calls.list)), .n = n, .put = put, .arg = arg
	};
	cleanup(buf_fini) struct buf authorization = BUF_INIT;

	gather_read_token(token_file, &authorization);
	for (size_t i = 0; i < n; i++) {
		struct daemon_call *c = &calls.list[i];
		*c = (struct daemon_call){ .calls = &calls, .daemon = &daemons[i] };
		if (addr_is_none(daemons[i].address))
			c->why = "it has no address";
		else
			ask_directly(c, buf_str(&authorization));
	}
	wait_directly(&calls);
	for (size_t i = 0; i < n; i++)
		if (!calls.list[i].answered && (daemons[i].pod || daemons[i].node))
			ask_by_proxy(&calls.list[i]);
	gather_wait(g);
	for (size_t i = 0; i < n; i++) {
		struct daemon_call *c = &calls.list[i];
		if (!c->answered)
			put(c->daemon->name, NULL, c->why, arg);
		if (c->connection)
			evhttp_connection_free(c->connection);
	}
	free(calls.list);
}
