/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of the direct ways first, so many at a time as there are sockets for, and then what is
 * missing by way of the API server, whose client has a bound of its own.
 */
#include "config.h"

#include "cli/texts.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "cli/gather.h"
#include "cli/http.h"
#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define DIRECT_AT_A_TIME 256

struct asking {
	struct event_base *base;
	struct kube_client *client;
	struct buf authorization;
	struct text_call *calls;
	size_t n, next, n_pending;
	texts_put *put;
	void *arg;
};

struct text_call {
	const struct text_question *q;
	struct asking *of;
	struct http_call *call;
	bool had;
	char why[ERR_MSG_SIZE];
};

static void one_less(struct asking *a)
{
	if (--a->n_pending == 0)
		event_base_loopbreak(a->base);
}

static void had(struct text_call *c, const char *data, size_t size)
{
	c->had = true;
	c->of->put(c->q, data, size, NULL, c->of->arg);
}

/* ---- directly ---- */

static void ask_more(struct asking *a);

static void on_direct(const struct http_answer *answer, void *arg)
{
	struct text_call *c = arg;

	if (answer->code == 200)
		had(c, answer->data, answer->size);
	else if (answer->code)
		snprintf(c->why, sizeof(c->why), "HTTP status %d: %.*s", answer->code,
		         (int)strcspn(answer->data, "\r\n"), answer->data);
	else
		snprintf(c->why, sizeof(c->why), "%s", answer->why);
	ask_more(c->of);
	one_less(c->of);
}

static void ask_more(struct asking *a)
{
	while (a->next < a->n && a->n_pending < DIRECT_AT_A_TIME) {
		struct text_call *c = &a->calls[a->next++];
		if (!c->q->address || addr_is_none(c->q->address))
			continue;
		const struct http_question q = { .address = c->q->address,
			                         .port = c->q->port,
			                         .path = c->q->path,
			                         .authorization = buf_str(&a->authorization),
			                         .silence_s = c->q->silence_s,
			                         .max_bytes = c->q->max_bytes };
		a->n_pending++;
		c->call = http_get(a->base, &q, on_direct, c);
	}
}

/* ---- by way of the API server ---- */

static void on_text(const char *data, size_t size, void *arg)
{
	had(arg, data, size);
}

static void on_end(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct text_call *c = arg;

	(void)status, (void)obj;
	if (e) {
		cleanup_free char *direct = xstrdup(c->why);
		snprintf(c->why, sizeof(c->why), "%s%s%s", direct, *direct ? "; " : "", e->msg);
	}
	one_less(c->of);
}

static void ask_by_api(struct asking *a, const struct options_kube *kube)
{
	struct kube_access *access;
	struct err e = ERR_INIT;

	if (kube_access_load(kube->kubeconfig, kube->context, &access, &e) < 0)
		return;
	a->client = kube_client_new(a->base, access, "fairlead/" PACKAGE_VERSION);
	for (size_t i = 0; i < a->n; i++) {
		struct text_call *c = &a->calls[i];
		const struct kube_request_spec spec = { .method = "GET",
			                                .path = c->q->api_path,
			                                .timeout_ms = c->q->api_ms,
			                                .text = on_text,
			                                .max_bytes = c->q->max_bytes };
		if (c->had || !c->q->api_path)
			continue;
		a->n_pending++;
		kube_request_start(a->client, &spec, on_end, c);
	}
	if (a->n_pending)
		event_base_dispatch(a->base);
	kube_client_free(a->client);
	kube_access_free(access);
}

void texts_ask(const struct options_kube *kube, const char *token_file,
               const struct text_question *questions, size_t n, texts_put *put, void *arg)
{
	struct asking a = { .base = event_base_new(),
		            .n = n,
		            .calls = xcalloc(n + 1, sizeof(*a.calls)),
		            .put = put,
		            .arg = arg };

	for (size_t i = 0; i < n; i++)
		a.calls[i] = (struct text_call){ .q = &questions[i], .of = &a };
	gather_read_token(token_file, &a.authorization);
	ask_more(&a);
	if (a.n_pending)
		event_base_dispatch(a.base);
	ask_by_api(&a, kube);
	for (size_t i = 0; i < n; i++) {
		struct text_call *c = &a.calls[i];
		if (!c->had)
			put(c->q, NULL, 0, c->why, arg);
		http_call_free(c->call);
	}
	free(a.calls);
	buf_fini(&a.authorization);
	event_base_free(a.base);
}
