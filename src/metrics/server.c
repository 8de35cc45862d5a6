/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of paths over the connections of clients.c.  Every answer closes its connection: scrapers
 * and probes come seldom, and an idle connection that nobody needs is one that nobody has to bound.
 */
#include "config.h"

#include "fairlead/metrics.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/http_ports.h"
#include "fairlead/limits.h"
#include "fairlead/listen.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "metrics/clients.h"
#include "metrics/guard.h"
#include "metrics/page.h"

/* How often pages that nobody asks for any more are looked for. */
#define EXPIRE_S 1
#define TEXT "text/plain; charset=utf-8"

#define DUMPS_MAX 4

/* A page that takes a while, as far as it is made. */
struct dump {
	struct metrics_server *of;
	const struct metrics_dump *row;
	struct page_cache cache;
	void *job; /* NULL: nobody makes one */
	int64_t started_ms;
};

struct metrics_server {
	struct clients *clients;
	struct metrics_server_ops ops;
	void *arg;
	struct metrics_guard guard;
	struct page_cache metrics, status;
	struct dump dumps[DUMPS_MAX];
	size_t n_dumps;
	struct event *expire;
	uint16_t port;
};

struct route {
	const char *path;
	int methods; /* REQUEST_… bits */
	const char *allow;
	bool is_probe;   /* answered to clients beyond the bounds as well */
	bool is_guarded; /* by guard.h */
	bool is_dump;    /* and from other hosts only for whom may_dump() lets in, or a token */
	void (*serve)(struct metrics_server *s, struct client *c, const struct request *r);
};

static void answer_text(struct client *c, int code, const char *header, const char *text)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "%s\n", text);
	client_answer(c, code, TEXT, header, b.data, b.size);
}

/* ---- pages ---- */

static void render_metrics(struct metrics_server *s, struct buf *out)
{
	const struct clients_stats *st = clients_stats(s->clients);
	struct metrics_writer w = { .out = out };

	if (s->ops.collect)
		s->ops.collect(&w, s->arg);
	metrics_value(&w, METRIC_fairlead_http_clients, (double)st->n);
	metrics_value(&w, METRIC_fairlead_http_requests_total, (double)st->requests);
	metrics_family(&w, METRIC_fairlead_http_refused_total);
	for (int i = 0; i < CLIENTS_N_REFUSALS; i++)
		metrics_sample(&w, (double)st->refused[i], "reason",
		               clients_refusal_name((enum clients_refusal)i), NULL);
}

static void render_status(struct metrics_server *s, struct buf *out)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, out);
	if (s->ops.status) {
		s->ops.status(&o, s->arg);
	} else {
		out_object(&o, NULL);
		out_close(&o);
	}
	buf_putc(out, '\n');
}

static void refuse_page(struct client *c)
{
	client_refused(c, CLIENTS_memory);
	answer_text(c, 503, "Retry-After: 5\r\n",
	            "others are still reading as many of these as there is memory for");
}

static void serve_page(struct metrics_server *s, struct client *c, struct page_cache *cache,
                       const char *type, void (*render)(struct metrics_server *, struct buf *))
{
	int64_t now_ms = clock_ms();

	switch (page_cache_look(cache, now_ms)) {
	case PAGE_RENDER: {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		int64_t before_ns = clock_ns();
		render(s, &b);
		page_cache_put(cache, &b, now_ms, clock_ns() - before_ns);
	} /* fall through */
	case PAGE_CACHED:
		client_answer_page(c, type, cache->page);
		return;
	case PAGE_NO_ROOM:
		refuse_page(c);
		return;
	}
}

static void serve_metrics(struct metrics_server *s, struct client *c, const struct request *r)
{
	(void)r;
	serve_page(s, c, &s->metrics, "text/plain; version=0.0.4; charset=utf-8", render_metrics);
}

static void serve_status(struct metrics_server *s, struct client *c, const struct request *r)
{
	(void)r;
	serve_page(s, c, &s->status, "application/json", render_status);
}

static void on_dumped(struct buf *text, void *arg)
{
	struct dump *d = arg;
	int64_t now_ms = clock_ms();

	d->job = NULL;
	page_cache_put(&d->cache, text, now_ms, (now_ms - d->started_ms) * 1000000);
	clients_answer_held(d->of->clients, d, TEXT, d->cache.page);
}

static void serve_dump(struct metrics_server *s, struct client *c, const struct request *r)
{
	struct dump *d = s->dumps;
	int64_t now_ms = clock_ms();

	while (strcmp(d->row->path, r->path) != 0)
		d++;
	switch (d->job ? PAGE_RENDER : page_cache_look(&d->cache, now_ms)) {
	case PAGE_RENDER:
		client_hold(c, d, LIMIT_HTTP_DUMP_MS);
		if (!d->job) {
			d->started_ms = now_ms;
			d->job = d->row->start(s->arg, on_dumped, d);
		}
		return;
	case PAGE_CACHED:
		client_answer_page(c, TEXT, d->cache.page);
		return;
	case PAGE_NO_ROOM:
		refuse_page(c);
		return;
	}
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct metrics_server *s = arg;

	(void)fd;
	(void)what;
	page_cache_expire(&s->metrics, clock_ms());
	page_cache_expire(&s->status, clock_ms());
	for (size_t i = 0; i < s->n_dumps; i++)
		page_cache_expire(&s->dumps[i].cache, clock_ms());
}

/* ---- probes ---- */

static void serve_probe(struct client *c, bool (*ask)(struct buf *why, void *arg), void *arg)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	bool good = !ask || ask(&why, arg);

	if (!why.size)
		buf_puts(&why, good ? "ok" : "not ok");
	answer_text(c, good ? 200 : 503, "", buf_str(&why));
}

static void serve_healthz(struct metrics_server *s, struct client *c, const struct request *r)
{
	(void)r;
	serve_probe(c, s->ops.healthy, s->arg);
}

static void serve_readyz(struct metrics_server *s, struct client *c, const struct request *r)
{
	(void)r;
	serve_probe(c, s->ops.ready, s->arg);
}

/* ---- the log level ---- */

static void serve_loglevel(struct metrics_server *s, struct client *c, const struct request *r)
{
	char word[sizeof(r->body)];
	enum log_level level;

	(void)s;
	if (r->method != REQUEST_PUT) {
		answer_text(c, 200, "", log_level_name(log_get_level()));
		return;
	}
	memcpy(word, r->body, sizeof(word));
	word[strcspn(word, "\r\n")] = '\0';
	if (log_level_parse(word, &level) < 0) {
		answer_text(c, 400, "", "no such level; it is one of error, warn, info, debug");
		return;
	}
	log_set_level(level);
	log_info("log level changed", KV_S("level", log_level_name(level)));
	answer_text(c, 200, "", log_level_name(level));
}

/* ---- the table ---- */

#define READ (REQUEST_GET | REQUEST_HEAD)
static const struct route dump_route = { .methods = READ,
	                                 .allow = "GET, HEAD",
	                                 .is_guarded = true,
	                                 .is_dump = true,
	                                 .serve = serve_dump };

static const struct route routes[] = {
	{ "/metrics", READ, "GET, HEAD", false, false, false, serve_metrics },
	{ "/healthz", READ, "GET, HEAD", true, false, false, serve_healthz },
	{ "/readyz", READ, "GET, HEAD", true, false, false, serve_readyz },
	{ "/status", READ, "GET, HEAD", false, true, false, serve_status },
	{ "/loglevel", READ | REQUEST_PUT, "GET, HEAD, PUT", false, true, false, serve_loglevel },
};

/* Whether a client of another host needs more than to be there. */
static bool is_kept(const struct metrics_server *s, const struct client *c, const struct request *r,
                    const struct route *route)
{
	struct addr from = client_address(c);

	if (!route->is_dump)
		return r->method == REQUEST_PUT;
	return !s->ops.may_dump || !s->ops.may_dump(&from, s->arg);
}

static void serve_route(struct metrics_server *s, struct client *c, const struct request *r,
                        const struct route *route)
{
	if (client_is_extra(c) && !route->is_probe) {
		client_refused(c, CLIENTS_busy);
		answer_text(c, 503, "Retry-After: 5\r\n", "too many clients at a time");
		return;
	}
	switch (route->is_guarded ? guard_ask(&s->guard, client_is_of_this_host(c),
	                                      is_kept(s, c, r, route), r->token)
	                          : GUARD_PASS) {
	case GUARD_PASS:
		route->serve(s, c, r);
		return;
	case GUARD_NEEDS_TOKEN:
		answer_text(c, 401, "WWW-Authenticate: Bearer\r\n",
		            "from another host this needs the token of --http-token-file");
		return;
	case GUARD_NEEDS_HOST:
		answer_text(
			c, 403, "",
			r->method == REQUEST_PUT
				? "the log level can be set from this host only, or with a token"
			: route->is_dump
				? "this is for clients on this host, with a token, and by way of the API server"
				: "this is for clients on this host only");
		return;
	}
}

static const struct route *route_of(const struct metrics_server *s, const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (!strcmp(path, routes[i].path))
			return &routes[i];
	for (size_t i = 0; i < s->n_dumps; i++)
		if (!strcmp(path, s->dumps[i].row->path))
			return &dump_route;
	return NULL;
}

static void serve(struct client *c, const struct request *r, void *arg)
{
	struct metrics_server *s = arg;
	const struct route *route = route_of(s, r->path);
	cleanup(buf_fini) struct buf words = BUF_INIT;

	if (route && r->method & route->methods) {
		serve_route(s, c, r, route);
	} else if (route) {
		buf_printf(&words, "Allow: %s\r\n", route->allow);
		answer_text(c, 405, buf_str(&words), "this path does not take that method");
	} else {
		buf_puts(&words, "no such path; there are /metrics, /healthz, /readyz, /status");
		for (size_t i = 0; i < s->n_dumps; i++)
			buf_printf(&words, ", %s", s->dumps[i].row->path);
		buf_puts(&words, " and /loglevel");
		answer_text(c, 404, "", buf_str(&words));
	}
}

/* ---- its life ---- */

int metrics_server_start(struct event_base *base, const char *address,
                         const struct metrics_server_ops *ops, void *arg,
                         struct metrics_server **ret_server, struct err *e)
{
	static const struct timeval expire = { .tv_sec = EXPIRE_S };
	static const struct clients_bounds bounds = { LIMIT_HTTP_CLIENTS, LIMIT_HTTP_CLIENTS };
	struct addr a;
	uint16_t port = 0;
	int r = http_address_parse(address, &a, &port, e);

	if (r < 0)
		return r;
	int fd = listen_on(&a, port, false);
	if (fd < 0)
		return err_set(e, fd, ERR_SYSTEM, "cannot listen on %s: %s", address,
		               strerror(-fd));
	struct metrics_server *s = xcalloc(1, sizeof(*s));
	*s = (struct metrics_server){ .ops = *ops, .arg = arg, .port = listen_port(fd) };
	for (const struct metrics_dump *d = ops->dumps; d && d->path && s->n_dumps < DUMPS_MAX; d++)
		s->dumps[s->n_dumps++] = (struct dump){ .of = s, .row = d };
	s->clients = clients_new(base, &bounds, serve, s);
	clients_listen(s->clients, fd, NULL);
	s->expire = event_new(base, -1, EV_PERSIST, on_expire, s);
	event_add(s->expire, &expire);
	*ret_server = s;
	return 0;
}

int metrics_server_guard(struct metrics_server *s, const struct metrics_guard *g, struct err *e)
{
	s->guard = *g;
	return guard_check(g, e);
}

uint16_t metrics_server_port(const struct metrics_server *s)
{
	return s->port;
}

void metrics_server_stop(struct metrics_server *s)
{
	if (!s)
		return;
	clients_free(s->clients);
	for (size_t i = 0; i < s->n_dumps; i++) {
		if (s->dumps[i].job)
			s->dumps[i].row->cancel(s->dumps[i].job);
		page_cache_fini(&s->dumps[i].cache);
	}
	page_cache_fini(&s->metrics);
	page_cache_fini(&s->status);
	event_free(s->expire);
	free(s);
}
