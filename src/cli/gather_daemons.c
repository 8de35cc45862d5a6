/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/gather.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>

#include "cli/gather_private.h"
#include "cli/http.h"
#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define DAEMON_TIMEOUT_S 2
/* For all of them together: who sends a byte now and then is never silent for that long. */
#define DAEMONS_TIMEOUT_S 20
#define PROXY_TIMEOUT_MS 3000
/* A daemon's /status is about 300 bytes for each Service. */
#define DAEMON_BODY_MAX_BYTES (64 << 20)
#define TOKEN_SIZE 512

struct daemon_call {
	struct calls *calls;
	const struct gather_daemon *daemon;
	struct http_call *call; /* NULL: it was not asked directly */
	bool under_way, answered;
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

static const char *path_of(const struct gather_daemon *d)
{
	return d->path ? d->path : "/status";
}

static void answered(struct daemon_call *call, struct json_object *status)
{
	call->answered = true;
	call->calls->put(call->daemon->name, status, NULL, call->calls->arg);
}

static struct json_object *parse_status(const struct http_answer *a)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *status = json_tokener_parse_ex(tok, a->data, (int)a->size);

	json_tokener_free(tok);
	if (json_object_is_type(status, json_type_object))
		return status;
	json_object_put(status);
	return NULL;
}

static void on_daemon(const struct http_answer *a, void *arg)
{
	struct daemon_call *call = arg;

	call->under_way = false;
	if (a->code == 200) {
		struct json_object *status = parse_status(a);
		if (status)
			answered(call, status);
		else
			call->why = "its answer is no JSON";
		json_object_put(status);
	} else if (a->code == 401 || a->code == 403) {
		snprintf(call->words, sizeof(call->words),
		         "it refuses: %s is kept to its host, or to a token (--speaker-token-file)",
		         path_of(call->daemon));
		call->why = call->words;
	} else if (a->code == 503) {
		call->why = "it has too many clients";
	} else if (a->code) {
		snprintf(call->words, sizeof(call->words),
		         "HTTP status %d; does another program have its port?", a->code);
		call->why = call->words;
	} else {
		call->why = a->why;
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
	const struct http_question q = { .address = call->daemon->address,
		                         .port = call->daemon->port,
		                         .path = path_of(call->daemon),
		                         .authorization = authorization,
		                         .silence_s = call->daemon->patience_s
		                                              ? call->daemon->patience_s
		                                              : DAEMON_TIMEOUT_S,
		                         .max_bytes = DAEMON_BODY_MAX_BYTES };

	g->n_pending++;
	call->under_way = true;
	call->call = http_get(g->base, &q, on_daemon, call);
}

static void give_up(evutil_socket_t fd, short what, void *arg)
{
	struct calls *calls = arg;

	(void)fd, (void)what;
	for (size_t i = 0; i < calls->n; i++) {
		struct daemon_call *c = &calls->list[i];
		if (!c->under_way)
			continue;
		c->under_way = false;
		http_call_free(TAKE(c->call));
		c->why = "its answer does not end; does another program have its port?";
		gather_one_less(calls->g);
	}
}

static void wait_directly(struct calls *calls)
{
	struct timeval timeout = { DAEMONS_TIMEOUT_S, 0 };
	struct event *end = evtimer_new(calls->g->base, give_up, calls);

	for (size_t i = 0; i < calls->n; i++)
		if (calls->list[i].daemon->patience_s > timeout.tv_sec)
			timeout.tv_sec = calls->list[i].daemon->patience_s;
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
		d->pod ? xasprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s", d->namespace, d->pod,
	                           d->port, path_of(d))
		       : xasprintf("/api/v1/nodes/%s:%d/proxy%s", d->node, d->port, path_of(d));
	const struct kube_request_spec spec = { .method = "GET",
		                                .path = path,
		                                .timeout_ms = d->patience_s ? d->patience_s * 1000
		                                                            : PROXY_TIMEOUT_MS,
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
		http_call_free(c->call);
	}
	free(calls.list);
}
