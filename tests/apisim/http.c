/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fault.h"
#include "js.h"
#include "openapi.h"
#include "route.h"
#include "table.h"

/*
 * evhttp gives one request of a connection at a time and frees it once it is answered or the
 * connection is gone; only a delayed one outlives its callback, and for that one the close callback
 * is watched.
 */

struct listener {
	char *host; /* as it was given, for the URL */
	struct sockaddr_storage addr;
	socklen_t addr_size;
	struct evhttp_bound_socket *bound; /* NULL while down */
};

struct delayed;

struct http {
	struct server *server;
	struct evhttp *evhttp;
	SSL_CTX *tls;
	struct listener listeners[HTTP_MAX_LISTENERS];
	size_t n_listeners;
	struct event *down, *up, *cutter;
	int64_t down_ms;
	struct delayed *delayed;
	char *cut_resource;
	bool cut_clean;
};

/* A request that a fault holds back. */
struct delayed {
	struct delayed *next, **at;
	struct http *http;
	struct evhttp_request *req; /* NULL once its connection is gone */
	struct event *timer;
	struct fault_action action;
};

struct server *http_server(struct http *h)
{
	return h->server;
}

const char *http_body(struct evhttp_request *req, size_t *ret_size)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);

	*ret_size = evbuffer_get_length(in);
	return *ret_size ? (const char *)evbuffer_pullup(in, -1) : "";
}

static const char *phrase(int code)
{
	switch (code) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 415:
		return "Unsupported Media Type";
	case 422:
		return "Unprocessable Entity";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Status";
	}
}

static void send_json(struct evhttp_request *req, int code, struct evbuffer *body)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
	                  "application/json");
	evhttp_send_reply(req, code, phrase(code), body);
}

void http_reply(struct evhttp_request *req, const struct reply *r)
{
	struct evbuffer *body = evbuffer_new();

	if (r->version) {
		list_add_text(body, r->version, 0);
	} else {
		size_t size;
		const char *text = js_text(r->obj, &size);
		evbuffer_add(body, text, size);
	}
	evbuffer_add(body, "\n", 1);
	if (r->retry_after_s > 0) {
		cleanup_free char *s = xasprintf("%d", r->retry_after_s);
		evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", s);
	}
	send_json(req, r->code, body);
	evbuffer_free(body);
}

static void reply_code_only(struct evhttp_request *req, int code, int retry_after_s)
{
	cleanup(reply_fini) struct reply r = REPLY_INIT;

	reply_code(&r, code, retry_after_s);
	http_reply(req, &r);
}

static const char *header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* The verb that method, path and query make; -1: not allowed here. */
static int verb_of(enum evhttp_cmd_type method, const struct route *route, bool watch)
{
	switch (method) {
	case EVHTTP_REQ_GET:
		return route->name ? VERB_GET : watch ? VERB_WATCH : VERB_LIST;
	case EVHTTP_REQ_POST:
		/* With a name only what makes a subresource, which is looked at later. */
		return (route->name && !route->sub) || (route->kind->namespaced && !route->ns)
		               ? -1
		               : VERB_CREATE;
	case EVHTTP_REQ_PUT:
		return route->name ? VERB_UPDATE : -1;
	case EVHTTP_REQ_PATCH:
		return route->name ? VERB_PATCH : -1;
	case EVHTTP_REQ_DELETE:
		return route->name                             ? VERB_DELETE
		       : route->kind->namespaced && !route->ns ? -1
		                                               : VERB_DELETECOLLECTION;
	case EVHTTP_REQ_HEAD:
	case EVHTTP_REQ_OPTIONS:
	case EVHTTP_REQ_TRACE:
	case EVHTTP_REQ_CONNECT:
		break;
	}
	return -1;
}

static void read_headers(struct evhttp_request *req, struct api_request *rq)
{
	static const struct {
		const char *type;
		enum patch_type patch;
	} types[] = {
		{ "application/merge-patch+json", PATCH_MERGE },
		{ "application/json-patch+json", PATCH_JSON },
		{ "application/strategic-merge-patch+json", PATCH_STRATEGIC },
	};
	const char *content = header(req, "Content-Type"), *accept = header(req, "Accept");

	for (size_t i = 0; content && i < ARRAY_LEN(types); i++) {
		if (!strncmp(content, types[i].type, strlen(types[i].type))) {
			rq->patch = types[i].patch;
			rq->patch_known = true;
		}
	}
	const char *include = request_query(rq, "includeObject");
	rq->table = accept && strstr(accept, "as=Table");
	rq->table_full = include && !strcmp(include, "Object");
	rq->user_agent = header(req, "User-Agent");
	rq->dry_run = request_query(rq, "dryRun") && *request_query(rq, "dryRun");
}

static void answer(struct server *s, const struct api_request *rq, struct evhttp_request *req)
{
	cleanup(reply_fini) struct reply r = REPLY_INIT;

	if (rq->verb == VERB_WATCH) {
		if (watch_start(s, rq, req, &r))
			http_reply(req, &r);
		return;
	}
	struct evbuffer *body = evbuffer_new();
	if (rq->verb == VERB_LIST) {
		if (list_handle(s, rq, body, &r))
			http_reply(req, &r);
		else
			send_json(req, 200, body);
	} else {
		rest_handle(s, rq, &r);
		if (rq->verb == VERB_GET && rq->table && r.version) {
			table_write_event(rq->kind, r.version, rq->table_full, true, body);
			send_json(req, 200, body);
		} else {
			http_reply(req, &r);
		}
	}
	evbuffer_free(body);
}

/* Protobuf bodies cannot be read here; the client is told so and may go on in JSON. */
static bool body_is_json(struct evhttp_request *req, enum evhttp_cmd_type method)
{
	const char *type = header(req, "Content-Type");

	return method == EVHTTP_REQ_GET || method == EVHTTP_REQ_PATCH || !type ||
	       !strncmp(type, "application/json", 16) || !strncmp(type, "*/*", 3) ||
	       method == EVHTTP_REQ_DELETE;
}

/* @undo: a write changes nothing, and is answered with the object as it is. */
static void handle_api(struct http *h, struct evhttp_request *req, const char *path, bool undo)
{
	struct server *s = h->server;
	struct route route;
	struct evkeyvalq query;
	enum evhttp_cmd_type method = evhttp_request_get_command(req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);

	if (openapi_handle(req, path))
		return;
	if (route_parse(path, &route) < 0) {
		cleanup(reply_fini) struct reply r = REPLY_INIT;
		reply_unknown_path(&r);
		http_reply(req, &r);
		return;
	}
	const char *text = evhttp_uri_get_query(uri);
	if (evhttp_parse_query_str(text ? text : "", &query) < 0) {
		reply_code_only(req, 400, 0);
		return;
	}
	struct api_request rq = { .kind = route.kind,
		                  .ns = route.ns,
		                  .name = route.name,
		                  .sub = route.sub,
		                  .path = path,
		                  .query = &query };
	int verb = verb_of(method, &route, request_flag(&rq, "watch"));
	if (verb < 0) {
		reply_code_only(req, 405, 0);
	} else if (!body_is_json(req, method)) {
		reply_code_only(req, 415, 0);
	} else {
		rq.verb = undo ? VERB_GET : (enum verb)verb;
		rq.body = http_body(req, &rq.body_size);
		read_headers(req, &rq);
		s->counts[rq.verb][rq.kind->store]++;
		answer(s, &rq, req);
	}
	evhttp_clear_headers(&query);
}

static const char *method_verb(struct evhttp_request *req, const char *path)
{
	struct route route;
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(req));
	bool watch = query && (strstr(query, "watch=1") || strstr(query, "watch=true"));

	if (route_parse(path, &route) < 0)
		return "other";
	int verb = verb_of(evhttp_request_get_command(req), &route, watch);
	return verb < 0 ? "other" : verb_names[verb];
}

static const char *path_of(struct evhttp_request *req)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));

	return path && *path ? path : "/";
}

static void perform(struct http *h, struct evhttp_request *req, const struct fault_action *a)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);

	if (!a->drop && a->code)
		reply_code_only(req, a->code, a->retry_after_s);
	else if (!a->drop)
		handle_api(h, req, path_of(req), a->undo);
	/* The answer, if there is one, is still in the connection's buffer. */
	if (a->drop || a->lose)
		evhttp_connection_free(conn);
}

static void delayed_gone(struct evhttp_connection *conn, void *arg)
{
	struct delayed *d = arg;

	(void)conn;
	/* As in watch.c: only what libevent let go of is ours to free. */
	if (!evhttp_request_get_connection(d->req))
		evhttp_request_free(d->req);
	d->req = NULL;
}

static void delayed_free(struct delayed *d)
{
	*d->at = d->next;
	if (d->next)
		d->next->at = d->at;
	event_free(d->timer);
	free(d);
}

static void delayed_due(evutil_socket_t fd, short what, void *arg)
{
	struct delayed *d = arg;

	(void)fd;
	(void)what;
	if (d->req) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(d->req), NULL, NULL);
		perform(d->http, d->req, &d->action);
	}
	delayed_free(d);
}

/*
 * Also a drop without a delay goes through the loop: a connection cannot be freed in its own
 * callback.
 */
static void hold_back(struct http *h, struct evhttp_request *req, const struct fault_action *a)
{
	struct delayed *d = xcalloc(1, sizeof(*d));

	*d = (struct delayed){
		.next = h->delayed, .at = &h->delayed, .http = h, .req = req, .action = *a
	};
	if (h->delayed)
		h->delayed->at = &d->next;
	h->delayed = d;
	d->timer = evtimer_new(h->server->base, delayed_due, d);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), delayed_gone, d);
	event_add(d->timer, &(struct timeval){ .tv_sec = a->delay_ms / 1000,
	                                       .tv_usec = a->delay_ms % 1000 * 1000 });
}

static bool is_health(const char *path)
{
	return !strncmp(path, "/healthz", 8) || !strncmp(path, "/readyz", 7) ||
	       !strncmp(path, "/livez", 6);
}

static bool authorized(const struct server *s, struct evhttp_request *req)
{
	const char *auth = header(req, "Authorization");

	return !s->token || (auth && !strncmp(auth, "Bearer ", 7) && !strcmp(auth + 7, s->token));
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct http *h = arg;
	const char *path = path_of(req);

	if (!strncmp(path, "/sim/", 5) && sim_handle(h, req, path))
		return;
	struct fault_action a = fault_judge(h->server->faults, method_verb(req, path), path,
	                                    header(req, "User-Agent"));
	if (a.delay_ms || a.drop || a.lose) {
		hold_back(h, req, &a);
	} else if (a.code) {
		perform(h, req, &a);
	} else if (is_health(path)) {
		struct evbuffer *body = evbuffer_new();
		evbuffer_add(body, "ok", 2);
		evhttp_send_reply(req, 200, "OK", body);
		evbuffer_free(body);
	} else if (!authorized(h->server, req)) {
		reply_code_only(req, 401, 0);
	} else {
		handle_api(h, req, path, a.undo);
	}
}

static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
	struct http *h = arg;

	if (!h->tls)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct bufferevent *bev = bufferevent_openssl_socket_new(
		base, -1, SSL_new(h->tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	/* Clients that end without a TLS goodbye are no error. */
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

static int setup_tls(struct http *h, const char *cert, const char *key, struct err *err)
{
	h->tls = SSL_CTX_new(TLS_server_method());
	if (!h->tls || SSL_CTX_use_certificate_chain_file(h->tls, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(h->tls, key, SSL_FILETYPE_PEM) != 1) {
		char why[256];
		ERR_error_string_n(ERR_get_error(), why, sizeof(why));
		return err_set(err, -EINVAL, ERR_CONFIG, "%s, %s: %s", cert, key, why);
	}
	return 0;
}

/* Takes @fd, which listens already. */
static int accept_on(struct http *h, struct listener *l, int fd, struct err *err)
{
	l->bound = evhttp_accept_socket_with_handle(h->evhttp, fd);
	if (l->bound)
		return 0;
	close(fd);
	return err_set(err, -EIO, ERR_SYSTEM, "%s: cannot accept", l->host);
}

static int bind_listener(struct http *h, struct listener *l, struct err *err)
{
	int on = 1;
	int fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_set(err, -errno, ERR_SYSTEM, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Accepted sockets inherit it: an event must not wait for an acknowledgement. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&l->addr, l->addr_size) < 0 || listen(fd, 512) < 0 ||
	    getsockname(fd, (struct sockaddr *)&l->addr, &l->addr_size) < 0) {
		int r = -errno;
		close(fd);
		return err_set(err, r, ERR_SYSTEM, "%s: %s", l->host, strerror(-r));
	}
	return accept_on(h, l, fd, err);
}

int http_listen(struct http *h, const char *address, struct err *err)
{
	const char *colon = strrchr(address, ':');

	if (!colon || h->n_listeners == HTTP_MAX_LISTENERS)
		return err_set(err, -EINVAL, ERR_CONFIG, "--listen %s: ADDRESS:PORT is wanted",
		               address);
	struct listener *l = &h->listeners[h->n_listeners];
	l->host = xstrndup(address, (size_t)(colon - address));
	size_t len = strlen(l->host);
	bool brackets = len > 1 && l->host[0] == '[' && l->host[len - 1] == ']';
	cleanup_free char *host = xstrndup(l->host + brackets, len - 2 * brackets);
	struct addrinfo *ai, hints = { .ai_socktype = SOCK_STREAM,
		                       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	int r = getaddrinfo(host, colon + 1, &hints, &ai);
	if (r) {
		free(TAKE(l->host));
		return err_set(err, -EINVAL, ERR_CONFIG, "--listen %s: %s", address,
		               gai_strerror(r));
	}
	memcpy(&l->addr, ai->ai_addr, ai->ai_addrlen);
	l->addr_size = ai->ai_addrlen;
	freeaddrinfo(ai);
	r = bind_listener(h, l, err);
	if (r < 0)
		free(TAKE(l->host));
	else
		h->n_listeners++;
	return r;
}

char *http_url(const struct http *h, size_t i)
{
	if (i >= h->n_listeners)
		return NULL;
	char port[8];
	const struct listener *l = &h->listeners[i];
	if (getnameinfo((const struct sockaddr *)&l->addr, l->addr_size, NULL, 0, port,
	                sizeof(port), NI_NUMERICSERV))
		return NULL;
	return xasprintf("http%s://%s:%s", h->tls ? "s" : "", l->host, port);
}

static struct timeval ms_timeval(int64_t ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static void new_evhttp(struct http *h)
{
	h->evhttp = evhttp_new(h->server->base);
	evhttp_set_max_body_size(h->evhttp, SERVER_MAX_BODY);
	evhttp_set_max_headers_size(h->evhttp, SERVER_MAX_HEADERS);
	evhttp_set_allowed_methods(h->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
	                                              EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE);
	evhttp_set_bevcb(h->evhttp, new_connection, h);
	evhttp_set_gencb(h->evhttp, on_request, h);
}

static void on_up(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct err err = ERR_INIT;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < h->n_listeners; i++)
		if (!h->listeners[i].bound && bind_listener(h, &h->listeners[i], &err) < 0)
			log_err("not listening again", &err);
}

/*
 * Freeing the evhttp is what ends its listeners and every connection.  Where nobody is to be
 * refused, a copy keeps each listening socket open meanwhile.
 */
static void on_down(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct err err = ERR_INIT;
	int kept[HTTP_MAX_LISTENERS];

	(void)fd;
	(void)what;
	for (size_t i = 0; i < h->n_listeners; i++) {
		struct listener *l = &h->listeners[i];
		kept[i] = l->bound && !h->down_ms ? dup(evhttp_bound_socket_get_fd(l->bound)) : -1;
		l->bound = NULL;
	}
	evhttp_free(h->evhttp);
	new_evhttp(h);
	for (size_t i = 0; i < h->n_listeners; i++)
		if (kept[i] >= 0 && accept_on(h, &h->listeners[i], kept[i], &err) < 0)
			log_err("not listening again", &err);
	struct timeval tv = ms_timeval(h->down_ms);
	if (h->down_ms > 0)
		event_add(h->up, &tv);
}

void http_go_down(struct http *h, int64_t ms)
{
	struct timeval tv = ms_timeval(HTTP_DOWN_DELAY_MS);

	h->down_ms = ms;
	event_add(h->down, &tv);
}

static void on_cut(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;

	(void)fd;
	(void)what;
	watch_cut(h->server, h->cut_resource, h->cut_clean);
}

void http_cut_every(struct http *h, int64_t ms, const char *resource, bool clean)
{
	event_del(h->cutter);
	free(h->cut_resource);
	h->cut_resource = xstrdup_null(resource);
	h->cut_clean = clean;
	struct timeval tv = ms_timeval(ms);
	if (ms > 0)
		event_add(h->cutter, &tv);
}

int http_new(struct server *s, const char *cert, const char *key, struct http **ret_http,
             struct err *err)
{
	struct http *h = xcalloc(1, sizeof(*h));

	h->server = s;
	if (cert) {
		int r = setup_tls(h, cert, key, err);
		if (r < 0) {
			SSL_CTX_free(h->tls);
			free(h);
			return r;
		}
	}
	new_evhttp(h);
	h->down = evtimer_new(s->base, on_down, h);
	h->up = evtimer_new(s->base, on_up, h);
	h->cutter = event_new(s->base, -1, EV_PERSIST, on_cut, h);
	*ret_http = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	watch_cut(h->server, NULL, false);
	evhttp_free(h->evhttp);
	while (h->delayed)
		delayed_free(h->delayed);
	event_free(h->down);
	event_free(h->up);
	event_free(h->cutter);
	for (size_t i = 0; i < h->n_listeners; i++)
		free(h->listeners[i].host);
	free(h->cut_resource);
	SSL_CTX_free(h->tls);
	free(h);
}
