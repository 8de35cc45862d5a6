/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "fairlead/addr.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

/*
 * A table of paths over evhttp.  Every answer closes its connection: scrapers and probes come seldom, and an idle
 * connection that nobody needs is one that nobody has to bound.
 */

#define HTTP_TIMEOUT_S 10
#define HTTP_HEADERS_MAX_BYTES 8192
#define HTTP_BODY_MAX_BYTES 64
/* "[ffff:…]:65535" */
#define LISTEN_STR_SIZE (ADDR_STR_SIZE + 9)

struct metrics_server {
	struct evhttp *http;
	struct evhttp_bound_socket *socket;
	struct metrics_server_ops ops;
	void *arg;
};

struct route {
	const char *path;
	int methods; /* EVHTTP_REQ_… bits */
	const char *allow;
	void (*serve)(struct metrics_server *s, struct evhttp_request *req);
};

static void reply(struct evhttp_request *req, int code, const char *content_type,
                  const struct buf *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *out = evbuffer_new();

	evhttp_add_header(headers, "Content-Type", content_type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	evbuffer_add(out, buf_str(body), body->size);
	evhttp_send_reply(req, code, NULL, out);
	evbuffer_free(out);
}

static void reply_text(struct evhttp_request *req, int code, const char *text)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "%s\n", text);
	reply(req, code, "text/plain; charset=utf-8", &b);
}

static void serve_metrics(struct metrics_server *s, struct evhttp_request *req)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	struct metrics_writer w = { .out = &b };

	if (s->ops.collect)
		s->ops.collect(&w, s->arg);
	reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void serve_status(struct metrics_server *s, struct evhttp_request *req)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	if (s->ops.status)
		s->ops.status(&b, s->arg);
	else
		buf_puts(&b, "{}");
	buf_putc(&b, '\n');
	reply(req, 200, "application/json", &b);
}

static void serve_probe(struct evhttp_request *req, bool (*ask)(struct buf *why, void *arg),
                        void *arg)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	bool good = !ask || ask(&why, arg);

	if (!why.size)
		buf_puts(&why, good ? "ok" : "not ok");
	buf_putc(&why, '\n');
	reply(req, good ? 200 : 503, "text/plain; charset=utf-8", &why);
}

static void serve_healthz(struct metrics_server *s, struct evhttp_request *req)
{
	serve_probe(req, s->ops.healthy, s->arg);
}

static void serve_readyz(struct metrics_server *s, struct evhttp_request *req)
{
	serve_probe(req, s->ops.ready, s->arg);
}

static struct addr address_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return addr_from_in(((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	if (sa->sa_family == AF_INET6)
		return addr_from_in6(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
	return (struct addr){ 0 };
}

/* Over the loopback, or from the very address that was called: where we listen on one address, there is no other way. */
static bool from_this_host(struct evhttp_request *req)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	const struct sockaddr *peer = evhttp_connection_get_addr(conn);
	struct sockaddr_storage called;
	socklen_t size = sizeof(called);
	evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(conn));

	if (!peer || getsockname(fd, (struct sockaddr *)&called, &size) < 0)
		return false;
	struct addr from = address_of(peer), to = address_of((struct sockaddr *)&called);
	if (!from.family)
		return false;
	return addr_eq(&from, &to) ||
	       (from.family == 4 ? from.b[0] == 127
	                         : !memcmp(from.b, &in6addr_loopback, sizeof(in6addr_loopback)));
}

static void serve_loglevel(struct metrics_server *s, struct evhttp_request *req)
{
	char word[HTTP_BODY_MAX_BYTES + 1];
	enum log_level level;

	(void)s;
	if (evhttp_request_get_command(req) != EVHTTP_REQ_PUT) {
		reply_text(req, 200, log_level_name(log_get_level()));
		return;
	}
	if (!from_this_host(req)) {
		reply_text(req, 403, "the log level can be set from this host only");
		return;
	}
	ev_ssize_t n =
		evbuffer_remove(evhttp_request_get_input_buffer(req), word, sizeof(word) - 1);
	word[n < 0 ? 0 : n] = '\0';
	word[strcspn(word, "\r\n")] = '\0';
	if (log_level_parse(word, &level) < 0) {
		reply_text(req, 400, "no such level; it is one of error, warn, info, debug");
		return;
	}
	log_set_level(level);
	log_info("log level changed", KV_S("level", log_level_name(level)));
	reply_text(req, 200, log_level_name(level));
}

static const struct route routes[] = {
	{ "/metrics", EVHTTP_REQ_GET | EVHTTP_REQ_HEAD, "GET, HEAD", serve_metrics },
	{ "/healthz", EVHTTP_REQ_GET | EVHTTP_REQ_HEAD, "GET, HEAD", serve_healthz },
	{ "/readyz", EVHTTP_REQ_GET | EVHTTP_REQ_HEAD, "GET, HEAD", serve_readyz },
	{ "/status", EVHTTP_REQ_GET | EVHTTP_REQ_HEAD, "GET, HEAD", serve_status },
	{ "/loglevel", EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT, "GET, HEAD, PUT",
	  serve_loglevel },
};

static void serve(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;

	for (size_t i = 0; path && i < ARRAY_LEN(routes); i++) {
		if (strcmp(path, routes[i].path))
			continue;
		if (evhttp_request_get_command(req) & routes[i].methods) {
			routes[i].serve(arg, req);
			return;
		}
		evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", routes[i].allow);
		reply_text(req, 405, "this path does not take that method");
		return;
	}
	reply_text(req, 404,
	           "no such path; there are /metrics, /healthz, /readyz, /status and /loglevel");
}

/* "ADDRESS:PORT", an IPv6 address in brackets; also one of IPv4, for whoever puts in an address of either family. */
static int parse_listen(const char *s, struct addr *ret_addr, uint16_t *ret_port, struct err *e)
{
	char host[LISTEN_STR_SIZE];
	const char *colon = strrchr(s, ':');
	unsigned long port = 0;
	char *end = NULL;
	size_t len = colon ? (size_t)(colon - s) : 0;
	bool brackets = len >= 2 && s[0] == '[' && s[len - 1] == ']';

	if (colon && colon[1] >= '0' && colon[1] <= '9')
		port = strtoul(colon + 1, &end, 10);
	if (len && len < sizeof(host) && end && !*end && port <= UINT16_MAX) {
		memcpy(host, s + brackets, len - 2 * brackets);
		host[len - 2 * brackets] = '\0';
		if (addr_parse(host, ret_addr) == 0 && (ret_addr->family == 4 || brackets)) {
			*ret_port = (uint16_t)port;
			return 0;
		}
	}
	return err_set(e, -EINVAL, ERR_CONFIG,
	               "\"%.100s\" is no address to listen on; it is ADDRESS:PORT, as in "
	               "0.0.0.0:7472 or [::]:7472",
	               s);
}

int metrics_server_start(struct event_base *base, const char *address,
                         const struct metrics_server_ops *ops, void *arg,
                         struct metrics_server **ret_server, struct err *e)
{
	struct addr a;
	uint16_t port = 0;
	int r = parse_listen(address, &a, &port, e);

	if (r < 0)
		return r;
	struct metrics_server *s = xcalloc(1, sizeof(*s));
	s->ops = *ops;
	s->arg = arg;
	s->http = evhttp_new(base);
	evhttp_set_timeout(s->http, HTTP_TIMEOUT_S);
	evhttp_set_max_headers_size(s->http, HTTP_HEADERS_MAX_BYTES);
	evhttp_set_max_body_size(s->http, HTTP_BODY_MAX_BYTES);
	/* Every method reaches serve(), so that the answer to a wrong one names the right ones. */
	evhttp_set_allowed_methods(s->http, UINT16_MAX);
	evhttp_set_gencb(s->http, serve, s);
	s->socket = evhttp_bind_socket_with_handle(s->http, addr_str(&a), port);
	if (!s->socket) {
		r = errno ? -errno : -EADDRNOTAVAIL;
		metrics_server_stop(s);
		return err_set(e, r, ERR_SYSTEM, "cannot listen on %s: %s", address, strerror(-r));
	}
	*ret_server = s;
	return 0;
}

uint16_t metrics_server_port(const struct metrics_server *s)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	if (getsockname(evhttp_bound_socket_get_fd(s->socket), (struct sockaddr *)&ss, &size) < 0)
		return 0;
	return ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)(void *)&ss)->sin6_port)
	                                : ntohs(((struct sockaddr_in *)(void *)&ss)->sin_port);
}

void metrics_server_stop(struct metrics_server *s)
{
	if (!s)
		return;
	evhttp_free(s->http);
	free(s);
}
