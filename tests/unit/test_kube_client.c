/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <event2/event.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "kube/access.h"
#include "kube/backoff.h"
#include "kube/client.h"
#include "kube_world.h"

struct world {
	struct kube_world kube;
	struct loopback_conn *held[128]; /* connections that the handler left without an answer */
	size_t n_held;
	int n_requests; /* that came to the server */
	const char *mode;
	/* What the last callbacks said. */
	int n_done, status, n_failed;
	char error[ERR_MSG_SIZE], json[256], text[256];
};

static void world_start(struct world *w, SSL_CTX *tls, loopback_handler *handler)
{
	*w = (struct world){ .mode = "" };
	kube_world_start(&w->kube, tls, handler, w);
}

static void run_until(struct world *w, const int *counter, int want)
{
	kube_world_run_until(&w->kube, counter, want);
}

static void done(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct world *w = arg;

	w->n_done++;
	w->n_failed += e != NULL;
	w->status = status;
	snprintf(w->error, sizeof(w->error), "%s", e ? e->msg : "");
	snprintf(w->json, sizeof(w->json), "%s", obj ? json_object_to_json_string(obj) : "");
}

static struct kube_request *get(struct world *w, const char *path, int retries)
{
	return kube_request_start(
		w->kube.client,
		&(struct kube_request_spec){
			.method = "GET", .path = path, .timeout_ms = 5000, .max_retries = retries },
		done, w);
}

static struct kube_request *put(struct world *w, const char *path, int timeout_ms, int retries);

/* Answers by what the path says. */
static void by_path(struct loopback_conn *conn, const struct loopback_request *r, void *arg)
{
	struct world *w = arg;
	static const char status[] =
		"{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"no such thing\"}";

	w->n_requests++;
	if (!strcmp(r->path, "/good")) {
		loopback_answer(conn, 200, "", "{\"a\":1}");
	} else if (!strcmp(r->path, "/chunked")) {
		loopback_open(conn, true);
		loopback_chunk(conn, "{\"a\"");
		loopback_chunk(conn, ":1}");
		loopback_send(conn, "0\r\n\r\n");
	} else if (!strcmp(r->path, "/missing")) {
		loopback_answer(conn, 404, "", status);
	} else if (!strcmp(r->path, "/plain")) {
		loopback_answer(conn, 200, "", "line 1\nline 2\n");
	} else if (!strcmp(r->path, "/forbidden")) {
		loopback_answer(conn, 403, "", "not for you\nat all\n");
	} else if (!strcmp(r->path, "/garbage")) {
		loopback_send(conn, "SSH-2.0-nonsense\r\n\r\n");
		loopback_close(conn);
	} else if (!strcmp(r->path, "/cut")) {
		loopback_send(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\"");
		loopback_close(conn);
	} else if (!strcmp(r->path, "/closed")) {
		loopback_close(conn);
	} else if (!strcmp(r->path, "/large")) {
		cleanup_free char *body = xmalloc(KUBE_ANSWER_SIZE_MAX + 2);
		memset(body, ' ', KUBE_ANSWER_SIZE_MAX + 1);
		body[KUBE_ANSWER_SIZE_MAX + 1] = '\0';
		loopback_answer(conn, 200, "", body);
	} else if (!strcmp(r->path, "/busy")) {
		if (w->n_requests < 3)
			loopback_answer(conn, w->n_requests == 1 ? 429 : 503, "Retry-After: 0\r\n",
			                "{}");
		else
			loopback_answer(conn, 200, "", "{\"n\":3}");
	} else if (!strcmp(r->path, "/later")) {
		if (w->n_requests < 2)
			loopback_answer(conn, 429, "Retry-After: 1\r\n", "{}");
		else
			loopback_answer(conn, 200, "", "{}");
	} else if (!strcmp(r->path, "/slow")) {
		w->held[w->n_held++ % ARRAY_LEN(w->held)] = conn;
	} else {
		/* Says what came. */
		bool type = strcasestr(r->head, w->mode) != NULL;
		cleanup_free char *body =
			xasprintf("{\"m\":\"%s\",\"t\":%s,\"b\":%s}", r->method,
		                  type ? "true" : "false", *r->body ? r->body : "null");
		loopback_answer(conn, 200, "", body);
	}
}

static void answers_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		int status;
		const char *json, *error;
	} cases[] = {
		{ "/good", 200, "{ \"a\": 1 }", "" },
		{ "/chunked", 200, "{ \"a\": 1 }", "" },
		{ "/missing", 404, "NotFound", "GET /missing: 404 NotFound: no such thing" },
		{ "/garbage", 0, "", "GET /garbage: " },
		{ "/cut", 200, "", "GET /cut: " },
		{ "/closed", 0, "", "GET /closed: " },
		{ "/large", 200, "", "larger than" },
	};
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	for (int split = 0; split < 2; split++)
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			if (split && !strcmp(cases[i].path, "/large"))
				continue;
			loopback_split(w.kube.server, split);
			w.n_done = 0;
			get(&w, cases[i].path, 0);
			run_until(&w, &w.n_done, 1);
			if (w.status != cases[i].status || !strstr(w.json, cases[i].json) ||
			    !strstr(w.error, cases[i].error) || !*w.error != !*cases[i].error)
				fail_msg("%s: %d %s %s", cases[i].path, w.status, w.json, w.error);
		}
	kube_world_stop(&w.kube);
}

static void take_text(const char *data, size_t size, void *arg)
{
	struct world *w = arg;

	assert_int_equal(w->n_done, 0);
	assert_int_equal(strlen(data), size);
	snprintf(w->text, sizeof(w->text), "%s", data);
}

/* As it came, and only where it is an answer; a refusal may be JSON or text, too. */
static void texts_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		size_t max_bytes;
		const char *text, *error;
	} cases[] = {
		{ "/good", 0, "{\"a\":1}", "" },
		{ "/good", 7, "{\"a\":1}", "" },
		{ "/good", 6, "", "GET /good: the answer is larger than 6 bytes" },
		{ "/plain", 0, "line 1\nline 2\n", "" },
		{ "/missing", 0, "", "GET /missing: 404 NotFound: no such thing" },
		{ "/forbidden", 0, "", "GET /forbidden: 403: not for you" },
	};
	struct world w;

	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct kube_request_spec spec = { .method = "GET",
			                                .path = cases[i].path,
			                                .timeout_ms = 5000,
			                                .text = take_text,
			                                .max_bytes = cases[i].max_bytes };
		w.n_done = 0;
		*w.text = '\0';
		kube_request_start(w.kube.client, &spec, done, &w);
		run_until(&w, &w.n_done, 1);
		assert_string_equal(w.text, cases[i].text);
		assert_string_equal(w.error, cases[i].error);
	}
	kube_world_stop(&w.kube);
}

static void bodies_and_types_are_sent(void **state)
{
	(void)state;
	static const struct {
		const char *method, *body;
		enum kube_patch_type patch;
		const char *type;
	} cases[] = {
		{ "POST", "{}", KUBE_PATCH_NONE, "content-type: application/json\r\n" },
		{ "PUT", "{}", KUBE_PATCH_NONE, "content-type: application/json\r\n" },
		{ "PATCH", "{}", KUBE_PATCH_MERGE,
		  "content-type: application/merge-patch+json\r\n" },
		{ "PATCH", "{}", KUBE_PATCH_STRATEGIC,
		  "content-type: application/strategic-merge-patch+json\r\n" },
		{ "PATCH", "[]", KUBE_PATCH_JSON, "content-type: application/json-patch+json\r\n" },
		{ "DELETE", NULL, KUBE_PATCH_NONE, "user-agent: test/1\r\n" },
		{ "GET", NULL, KUBE_PATCH_NONE, "authorization: bearer secret\r\n" },
	};
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "token: secret");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		w.n_done = 0;
		w.mode = cases[i].type;
		kube_request_start(w.kube.client,
		                   &(struct kube_request_spec){ .method = cases[i].method,
		                                                .path = "/echo",
		                                                .body = cases[i].body,
		                                                .patch = cases[i].patch },
		                   done, &w);
		run_until(&w, &w.n_done, 1);
		assert_non_null(strstr(w.json, cases[i].method));
		assert_non_null(strstr(w.json, "\"t\": true"));
		if (cases[i].body)
			assert_non_null(strstr(w.json, *cases[i].body == '{' ? "\"b\": { }"
			                                                     : "\"b\": [ ]"));
	}
	/* All writes over one connection, all reads over another. */
	assert_int_equal(loopback_accepted(w.kube.server), 2);
	kube_world_stop(&w.kube);
}

static void failures_are_tried_again(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	get(&w, "/busy", 5);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 200);
	assert_int_equal(w.n_requests, 3);
	struct kube_client_stats s = kube_client_stats(w.kube.client);
	assert_int_equal(s.retries, 2);
	assert_int_equal(s.throttled, 1);
	assert_int_equal(s.errors, 0);

	w.n_done = w.n_requests = 0;
	int64_t before = clock_ms();
	get(&w, "/later", 1);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 200);
	/* The backoff alone would be a tenth of that; the loop's clock is a little coarse. */
	assert_true(clock_ms() - before >= 900);

	w.n_done = w.n_requests = 0;
	get(&w, "/busy", 1);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 503);
	assert_int_equal(w.n_requests, 2);
	kube_world_stop(&w.kube);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void flight_is_bounded(void **state)
{
	(void)state;
	struct world w;
	struct kube_request *requests[100];
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		requests[i] = get(&w, "/slow", 0);
	run_until(&w, &w.n_requests, KUBE_IN_FLIGHT_MAX);
	kube_world_run_for(&w.kube, 50);
	assert_int_equal(w.n_requests, KUBE_IN_FLIGHT_MAX);
	/* What is urgent does not wait. */
	kube_request_start(
		w.kube.client,
		&(struct kube_request_spec){ .method = "GET", .path = "/good", .urgent = true },
		done, &w);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 200);
	/* One answered makes room for one. */
	int before = w.n_requests;
	loopback_answer(w.held[0], 200, "", "{}");
	run_until(&w, &w.n_requests, before + 1);
	/* Cancelled, whether sent or waiting, they never call back. */
	for (size_t i = 1; i < ARRAY_LEN(requests); i++)
		kube_request_cancel(requests[i]);
	w.n_done = 0;
	kube_request_start(
		w.kube.client,
		&(struct kube_request_spec){ .method = "GET", .path = "/good", .may_send = never },
		done, &w);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 0);
	assert_non_null(strstr(w.error, "not sent"));
	get(&w, "/good", 0);
	run_until(&w, &w.n_done, 2);
	assert_int_equal(w.status, 200);
	kube_world_stop(&w.kube);
}

struct gate {
	int asked, allowed; /* so often */
};

static bool ask_gate(void *arg)
{
	struct gate *g = arg;

	return ++g->asked <= g->allowed;
}

static void gate_done(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct gate *g = arg;

	(void)status, (void)obj, (void)e;
	g->allowed = -1;
}

/* Whether a write may be sent is asked right before each send, also of a retry. */
static void retries_ask_too(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	for (int allowed = 0; allowed < 4; allowed++) {
		struct gate g = { .allowed = allowed };
		int before = w.n_requests;
		kube_request_start(w.kube.client,
		                   &(struct kube_request_spec){ .method = "PUT",
		                                                .path = "/closed",
		                                                .body = "{}",
		                                                .max_retries = 2,
		                                                .may_send = ask_gate },
		                   gate_done, &g);
		for (int i = 0; i < 1000 && g.allowed >= 0; i++)
			kube_world_run_for(&w.kube, 5);
		assert_int_equal(g.allowed, -1);
		assert_int_equal(g.asked, allowed < 3 ? allowed + 1 : 3);
		assert_int_equal(w.n_requests - before, allowed < 3 ? allowed : 3);
	}
	kube_world_stop(&w.kube);
}

static void statuses_that_are_final(void **state)
{
	(void)state;
	static const int final[] = { 200, 201, 400, 403, 404, 409, 422, 429, 499 };
	static const int open[] = { 0, 500, 502, 503, 504 };
	for (size_t i = 0; i < ARRAY_LEN(final); i++)
		assert_true(kube_status_is_final(final[i]));
	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		assert_false(kube_status_is_final(open[i]));
}

/* ---- Events ---- */

struct recorder {
	struct world w;
	int n_events, at_once, most;
	struct loopback_conn *slow[64];
	size_t n_slow;
};

/* Events are held for a moment, what else is asked for stays without an answer. */
static void record(struct loopback_conn *conn, const struct loopback_request *r, void *arg)
{
	struct recorder *rec = arg;

	if (!strstr(r->path, "/events")) {
		rec->w.n_requests++;
		return;
	}
	rec->n_events++;
	rec->slow[rec->n_slow++ % ARRAY_LEN(rec->slow)] = conn;
	rec->most = ++rec->at_once > rec->most ? rec->at_once : rec->most;
}

static void answer_events(struct recorder *rec)
{
	while (rec->n_slow > 0) {
		loopback_answer(rec->slow[--rec->n_slow], 201, "", "{}");
		rec->at_once--;
	}
}

static void recorder_start(struct recorder *rec)
{
	*rec = (struct recorder){ .w.mode = "" };
	kube_world_start(&rec->w.kube, NULL, record, rec);
	kube_world_connect(&rec->w.kube, "http", "", "");
}

static void emit(struct recorder *rec, int n)
{
	static const struct kube_event ev = { .kind = "Service",
		                              .api_version = "v1",
		                              .namespace = "n",
		                              .name = "web",
		                              .reason = "R",
		                              .action = "A",
		                              .note = "x" };

	for (int i = 0; i < n; i++)
		kube_event_emit(rec->w.kube.client, "c", "i", &ev);
}

/* Behind all others, but not for ever: then a few at a time. */
static void events_are_not_starved(void **state)
{
	(void)state;
	struct recorder rec;
	recorder_start(&rec);
	struct kube_request *other = put(&rec.w, "/other", 60000, 0);
	emit(&rec, 20);
	kube_world_run_until(&rec.w.kube, &rec.w.n_requests, 1);
	kube_world_run_for(&rec.w.kube, 100);
	assert_int_equal(rec.n_events, 0);
	kube_world_run_until(&rec.w.kube, &rec.n_events, 1);
	while (rec.n_events < 20) {
		kube_world_run_for(&rec.w.kube, 20);
		answer_events(&rec);
	}
	assert_int_equal(rec.most, KUBE_EVENTS_BESIDE_OTHERS);
	/* With nobody else there are more at a time. */
	kube_request_cancel(other);
	emit(&rec, 20);
	kube_world_run_until(&rec.w.kube, &rec.n_events, 20 + KUBE_EVENTS_IN_FLIGHT);
	kube_world_run_for(&rec.w.kube, 20);
	assert_int_equal(rec.most, KUBE_EVENTS_IN_FLIGHT);
	kube_world_stop(&rec.w.kube);
}

/*
 * Without a bound, Events that nobody takes would fill the memory; those that are too many are
 * counted.
 */
static void events_are_bounded(void **state)
{
	(void)state;
	struct recorder rec;
	recorder_start(&rec);
	emit(&rec, KUBE_EVENTS_QUEUED + 7);
	struct kube_client_stats s = kube_client_stats(rec.w.kube.client);
	assert_int_equal(s.events_lost, 7);
	assert_int_equal(s.events_waiting, KUBE_EVENTS_QUEUED);
	kube_world_run_until(&rec.w.kube, &rec.n_events, KUBE_EVENTS_IN_FLIGHT);
	answer_events(&rec);
	kube_world_run_until(&rec.w.kube, &rec.n_events, 2 * KUBE_EVENTS_IN_FLIGHT);
	emit(&rec, KUBE_EVENTS_IN_FLIGHT + 1);
	s = kube_client_stats(rec.w.kube.client);
	assert_int_equal(s.events_lost, 8);
	kube_world_stop(&rec.w.kube);
}

static void silence_times_out(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	kube_request_start(
		w.kube.client,
		&(struct kube_request_spec){ .method = "GET", .path = "/slow", .timeout_ms = 30 },
		done, &w);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 0);
	assert_non_null(strstr(w.error, "timed out"));
	kube_world_stop(&w.kube);
}

static struct kube_request *put(struct world *w, const char *path, int timeout_ms, int retries)
{
	return kube_request_start(w->kube.client,
	                          &(struct kube_request_spec){ .method = "PUT",
	                                                       .path = path,
	                                                       .body = "{}",
	                                                       .timeout_ms = timeout_ms,
	                                                       .max_retries = retries },
	                          done, w);
}

/*
 * As many as are in flight stay open, so that a run of writes, with Events beside it, does not open
 * a connection for each: what was closed occupies a port for a minute.
 */
static void many_writes_share_their_connections(void **state)
{
	enum { WRITES = 2000, READS = 200 };

	(void)state;
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	for (int i = 0; i < WRITES; i++)
		put(&w, "/good", 5000, 0);
	for (int i = 0; i < READS; i++)
		kube_request_start(w.kube.client,
		                   &(struct kube_request_spec){ .method = "GET", .path = "/good" },
		                   done, &w);
	run_until(&w, &w.n_done, WRITES + READS);
	/* In each lane. */
	assert_in_range(loopback_accepted(w.kube.server), KUBE_IN_FLIGHT_MAX,
	                2 * KUBE_IN_FLIGHT_MAX);
	assert_int_equal(kube_client_stats(w.kube.client).connects,
	                 loopback_accepted(w.kube.server));
	kube_world_stop(&w.kube);
}

/*
 * A lane that gave no answer is left, with others still under way on it; each is freed when they
 * have ended.
 */
static void writes_leave_what_is_silent(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL, by_path);
	kube_world_connect(&w.kube, "http", "", "");
	put(&w, "/good", 5000, 0);
	run_until(&w, &w.n_done, 1);
	for (int i = 0; i < 3; i++) {
		struct kube_request *cancelled = put(&w, "/slow", 5000, 0);
		put(&w, "/slow", 5000, 0);
		put(&w, "/slow", 50, 1);
		run_until(&w, &w.n_done, 2 + 2 * i);
		assert_int_equal(w.status, 0);
		put(&w, "/good", 5000, 0);
		run_until(&w, &w.n_done, 3 + 2 * i);
		assert_int_equal(w.status, 200);
		kube_request_cancel(cancelled);
	}
	struct kube_client_stats s = kube_client_stats(w.kube.client);
	assert_int_equal(s.errors, 3);
	assert_int_equal(s.retries, 3);
	assert_true(s.connects >= 7);
	w.n_failed = 0;
	run_until(&w, &w.n_failed, 3); /* those that were left behind */
	kube_world_stop(&w.kube);
}

/* What a bound token does: the file is replaced, and the old token is refused. */
static void wants_new_token(struct loopback_conn *conn, const struct loopback_request *r, void *arg)
{
	struct world *w = arg;

	w->n_requests++;
	bool good = strcasestr(r->head, "authorization: bearer new\r\n") != NULL;
	loopback_answer(conn, good ? 200 : 401, "", "{}");
}

static void write_file(const char *path, const char *text);

/* Each time the token that was used is refused, and the file holds another one by then. */
static void wants_ever_newer(struct loopback_conn *conn, const struct loopback_request *r,
                             void *arg)
{
	struct world *w = arg;
	cleanup_free char *next = xasprintf("token-%d", ++w->n_requests);

	(void)r;
	write_file(w->mode, next);
	loopback_answer(conn, 401, "", "{}");
}

static void a_401_is_not_asked_for_ever(void **state)
{
	(void)state;
	char path[] = "/tmp/fairlead-token-XXXXXX";
	close(mkstemp(path));
	write_file(path, "token-0");
	cleanup_free char *user = xasprintf("tokenFile: %s", path);
	struct world w;
	world_start(&w, NULL, wants_ever_newer);
	w.mode = path;
	kube_world_connect(&w.kube, "http", "", user);
	get(&w, "/", 3);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 401);
	assert_int_equal(w.n_requests, 2);
	unlink(path);
	kube_world_stop(&w.kube);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void tokens_rotate(void **state)
{
	(void)state;
	char path[] = "/tmp/fairlead-token-XXXXXX";
	close(mkstemp(path));
	write_file(path, "old\n");
	cleanup_free char *user = xasprintf("tokenFile: %s", path);
	struct world w;
	world_start(&w, NULL, wants_new_token);
	kube_world_connect(&w.kube, "http", "", user);
	assert_string_equal(kube_access_token(w.kube.access, clock_ms()), "old");
	/* Same inode, same time stamp: only the 401 tells. */
	struct timespec times[2] = { w.kube.access->token_mtime, w.kube.access->token_mtime };
	write_file(path, "new\n");
	utimensat(AT_FDCWD, path, times, 0);
	get(&w, "/", 0);
	run_until(&w, &w.n_done, 1);
	assert_int_equal(w.status, 200);
	assert_int_equal(w.n_requests, 2);

	/* A 401 with the token that the file holds is final. */
	write_file(path, "wrong");
	get(&w, "/", 0);
	run_until(&w, &w.n_done, 2);
	assert_int_equal(w.status, 401);
	assert_int_equal(w.n_requests, 3);

	/* Replaced by rename, as kubelet does; and what is no token does not take its place. */
	cleanup_free char *other = xasprintf("%s.new", path);
	write_file(other, "new");
	rename(other, path);
	assert_string_equal(kube_access_token(w.kube.access, clock_ms()), "new");
	write_file(path, "two words");
	assert_string_equal(kube_access_token(w.kube.access, clock_ms()), "new");
	write_file(path, "");
	assert_string_equal(kube_access_token(w.kube.access, clock_ms()), "new");
	unlink(path);
	assert_string_equal(kube_access_token(w.kube.access, clock_ms()), "new");
	kube_world_stop(&w.kube);
}

static char *base64(const char *pem)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t size = strlen(pem);

	for (size_t i = 0; i < size; i += 3) {
		uint32_t bits = 0;
		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < size ? (unsigned char)pem[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			buf_putc(&b, i + j > size ? '=' : alphabet[bits >> (18 - 6 * j) & 63]);
	}
	return buf_take(&b);
}

static void certificates_are_verified(void **state)
{
	(void)state;
	struct loopback_ca *ca = loopback_ca_new(), *other = loopback_ca_new();
	cleanup_free char *ca_data = base64(loopback_ca_pem(ca));
	cleanup_free char *other_data = base64(loopback_ca_pem(other));
	char ca_file[] = "/tmp/fairlead-ca-XXXXXX";
	close(mkstemp(ca_file));
	write_file(ca_file, loopback_ca_pem(ca));
	const struct {
		const char *cert_name, *cluster, *value, *more;
		int status;
	} cases[] = {
		{ "IP:127.0.0.1", "certificate-authority-data", ca_data, "", 200 },
		{ "IP:127.0.0.1", "certificate-authority", ca_file, "", 200 },
		{ "IP:127.0.0.1", "certificate-authority-data", other_data, "", 0 },
		{ "IP:127.0.0.1", "unused", "", "", 0 },
		{ "IP:127.0.0.2", "certificate-authority-data", ca_data, "", 0 },
		{ "DNS:api.test", "certificate-authority-data", ca_data, "", 0 },
		{ "DNS:api.test", "certificate-authority-data", ca_data,
		  ", tls-server-name: api.test", 200 },
		{ "DNS:api.test", "certificate-authority-data", ca_data,
		  ", tls-server-name: other.test", 0 },
		{ "DNS:api.test", "insecure-skip-tls-verify", "true", "", 200 },
		{ "DNS:api.test", "insecure-skip-tls-verify", "false", "", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		cleanup_free char *extra =
			xasprintf(", %s: '%s'%s", cases[i].cluster, cases[i].value, cases[i].more);
		world_start(&w, loopback_ca_server(ca, cases[i].cert_name), by_path);
		kube_world_connect(&w.kube, "https", extra, "");
		get(&w, "/good", 0);
		run_until(&w, &w.n_done, 1);
		if (w.status != cases[i].status)
			fail_msg("case %zu: %d %s", i, w.status, w.error);
		kube_world_stop(&w.kube);
	}
	unlink(ca_file);
	loopback_ca_free(ca);
	loopback_ca_free(other);
}

/* Nobody resolves the server's name but the proxy. */
static void by_proxy(struct loopback_conn *conn, const struct loopback_request *r, void *arg)
{
	struct world *w = arg;
	bool good = !strcmp(r->path, "http://api.invalid:6443/good");

	w->n_requests++;
	loopback_answer(conn, good ? 200 : 500, "", "{}");
}

static void a_proxy_is_gone_through(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL, by_proxy);
	cleanup_free char *text = xasprintf(
		"{current-context: c, contexts: [{name: c, context: {cluster: k}}],\n"
		" clusters: [{name: k, cluster: {server: 'http://api.invalid:6443', proxy-url: 'http://127.0.0.1:%d'}}]}",
		loopback_port(w.kube.server));
	w.kube.access = kube_world_access(text);
	w.kube.client = kube_client_new(w.kube.base, w.kube.access, "test/1");
	setenv("no_proxy", "*", 1);
	get(&w, "/good", 0);
	run_until(&w, &w.n_done, 1);
	unsetenv("no_proxy");
	assert_int_equal(w.status, 200);
	assert_int_equal(w.n_requests, 1);
	kube_world_stop(&w.kube);
}

static void backoff_doubles(void **state)
{
	(void)state;
	struct backoff b = { .first_ms = 800, .last_ms = BACKOFF_LAST_MS };
	static const int want[] = { 800, 1600, 3200, 6400, 10000, 10000 };
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(backoff_next_ms(&b, 0), want[i]);
	backoff_reset(&b);
	assert_int_equal(backoff_next_ms(&b, 400), 400);
	for (uint64_t chance = 0; chance < 1000; chance++) {
		int ms = backoff_jitter_ms(50, chance * 7919);
		assert_true(ms >= 25 && ms <= 50);
	}
	assert_int_equal(backoff_jitter_ms(0, 12345), 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(texts_are_read),
		cmocka_unit_test(bodies_and_types_are_sent),
		cmocka_unit_test(failures_are_tried_again),
		cmocka_unit_test(flight_is_bounded),
		cmocka_unit_test(retries_ask_too),
		cmocka_unit_test(statuses_that_are_final),
		cmocka_unit_test(events_are_not_starved),
		cmocka_unit_test(events_are_bounded),
		cmocka_unit_test(a_401_is_not_asked_for_ever),
		cmocka_unit_test(silence_times_out),
		cmocka_unit_test(many_writes_share_their_connections),
		cmocka_unit_test(writes_leave_what_is_silent),
		cmocka_unit_test(tokens_rotate),
		cmocka_unit_test(certificates_are_verified),
		cmocka_unit_test(a_proxy_is_gone_through),
		cmocka_unit_test(backoff_doubles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
