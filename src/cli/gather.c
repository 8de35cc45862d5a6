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
#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define API_TIMEOUT_MS 10000
#define API_RETRIES 1

struct fetch {
	struct gather *g;
	const struct gather_row *row;
	struct kube_informer *informer; /* of a list */
	int retries;
};

/* ---- the cluster ---- */

int gather_open(const struct options_kube *kube, struct gather **ret_gather, struct err *e)
{
	struct gather *g = xcalloc(1, sizeof(*g));
	int r = kube_access_load(kube->kubeconfig, kube->context, &g->access, e);

	if (r < 0) {
		free(g);
		return r;
	}
	g->base = event_base_new();
	g->client = kube_client_new(g->base, g->access, "fairlead/" PACKAGE_VERSION);
	*ret_gather = g;
	return 0;
}

void gather_close(struct gather *g)
{
	if (!g)
		return;
	kube_client_free(g->client);
	kube_access_free(g->access);
	event_base_free(g->base);
	free(g);
}

void gather_one_less(struct gather *g)
{
	if (--g->n_pending == 0)
		event_base_loopbreak(g->base);
}

/* The loop would not end by itself: connections that are kept wait in it, too. */
void gather_wait(struct gather *g)
{
	if (g->n_pending)
		event_base_dispatch(g->base);
}

/* A call begins, which waits for so many answers. */
static void begin(struct gather *g, size_t n, void *arg)
{
	g->n_pending = n;
	g->arg = arg;
	g->error = (struct err)ERR_INIT;
}

/* What became of it; the first error goes to @e. */
static int end(struct gather *g, struct err *e)
{
	gather_wait(g);
	if (g->error.blame == ERR_NONE)
		return 0;
	*e = g->error;
	return -EIO;
}

static void fail(struct gather *g, const struct err *e)
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
	gather_one_less(f->g);
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
	gather_one_less(f->g);
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

int gather_api(struct gather *g, const struct gather_row *rows, size_t n, void *arg, struct err *e)
{
	struct fetch *fetches = xcalloc(n + 1, sizeof(*fetches));

	begin(g, n, arg);
	for (size_t i = 0; i < n; i++) {
		fetches[i] = (struct fetch){ .g = g, .row = &rows[i] };
		if (rows[i].is_list)
			ask_list(&fetches[i]);
		else
			ask_object(&fetches[i]);
	}
	int r = end(g, e);
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
	struct gather *g;
	void (*put)(struct json_object *obj, void *arg);
	int status;
};

static void on_answer(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct answer *a = arg;

	a->status = status;
	if (e)
		a->g->error = *e;
	else if (a->put)
		a->put(obj, a->g->arg);
	gather_one_less(a->g);
}

int gather_request(struct gather *g, const struct kube_request_spec *spec, int *ret_status,
                   struct err *e)
{
	return gather_request_object(g, spec, NULL, NULL, ret_status, e);
}

int gather_request_object(struct gather *g, const struct kube_request_spec *spec,
                          void (*put)(struct json_object *obj, void *arg), void *arg,
                          int *ret_status, struct err *e)
{
	struct answer a = { .g = g, .put = put };

	begin(g, 1, arg);
	kube_request_start(g->client, spec, on_answer, &a);
	int r = end(g, e);
	*ret_status = a.status;
	return r;
}

char *gather_pods_path(const char *namespace)
{
	return xasprintf("/api/v1/namespaces/%s/pods"
	                 "?labelSelector=app.kubernetes.io%%2Fname%%3Dfairlead",
	                 namespace);
}
