/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that serves HTTPS by libevent.
 *
 * libevent bounds what a connection may send and how long it may be silent, but not how many there
 * are: of too many the oldest is shut down, so that whoever holds connections open only holds up
 * himself.  A connection is known by its TLS session, which ends with it.
 */
#include "config.h"

#include "fairlead/webhook.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <utlist.h>

#include "fairlead/http_ports.h"
#include "fairlead/limits.h"
#include "fairlead/listen.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/thread.h"
#include "webhook/identity.h"

#define STACK_SIZE (512 * 1024)
#define NICENESS 10

/* What the thread takes over from the main loop. */
struct role {
	SSL_CTX *tls;
	char path[WEBHOOK_PATH_SIZE];
};

struct webhook_connection {
	struct webhook *w;
	struct bufferevent *bev;
	bool is_shut; /* does not count any more */
	struct webhook_connection *prev, *next;
};

struct webhook {
	pthread_t thread;
	int fd, wake_fd;
	uint16_t port;
	struct webhook_subject subject;
	_Atomic(struct role *) pending;
	_Atomic bool stopping;
	_Atomic uint64_t allowed, denied, refused;

	/* The thread's own. */
	struct event_base *base;
	struct evhttp *http;
	struct event *wake;
	struct role *role;                      /* NULL: there is no identity yet */
	struct webhook_connection *connections; /* the oldest first */
	size_t n_connections;
	int ssl_index;
};

/* ---- connections ---- */

static void leave(struct webhook_connection *c)
{
	if (c->is_shut)
		return;
	c->is_shut = true;
	DL_DELETE(c->w->connections, c);
	c->w->n_connections--;
}

static void on_session_end(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
                           void *argp)
{
	struct webhook_connection *c = ptr;

	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (c)
		leave(c);
	free(c);
}

/* libevent sees that it has ended, and frees it. */
static void shut_oldest(struct webhook *w)
{
	struct webhook_connection *c = w->connections;

	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
	leave(c);
}

static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
	struct webhook *w = arg;
	SSL *ssl = SSL_new(w->role->tls);
	struct bufferevent *bev =
		ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
	                                             BEV_OPT_CLOSE_ON_FREE)
		    : NULL;

	if (!bev) {
		SSL_free(ssl);
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	if (w->n_connections >= LIMIT_WEBHOOK_CLIENTS)
		shut_oldest(w);
	struct webhook_connection *c = xcalloc(1, sizeof(*c));
	*c = (struct webhook_connection){ .w = w, .bev = bev };
	DL_APPEND(w->connections, c);
	w->n_connections++;
	SSL_set_ex_data(ssl, w->ssl_index, c);
	return bev;
}

/* ---- requests ---- */

static bool is_for_us(const struct webhook *w, struct evhttp_request *req)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
	size_t size = strlen(w->role->path);

	return path && strlen(path) == size && CRYPTO_memcmp(path, w->role->path, size) == 0;
}

static void reply(struct evhttp_request *req, const struct buf *answer)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, answer->data, answer->size);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
	                  "application/json");
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct webhook *w = arg;
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	cleanup(buf_fini) struct buf answer = BUF_INIT;

	if (!is_for_us(w, req)) {
		w->refused++;
		evhttp_send_error(req, 404, NULL);
		return;
	}
	switch (webhook_review((const char *)evbuffer_pullup(in, -1), evbuffer_get_length(in),
	                       &w->subject, &answer)) {
	case WEBHOOK_ALLOWED:
		w->allowed++;
		break;
	case WEBHOOK_DENIED:
		w->denied++;
		break;
	case WEBHOOK_UNREADABLE:
		w->refused++;
		evhttp_send_error(req, 400, NULL);
		return;
	}
	reply(req, &answer);
}

/* ---- the thread ---- */

static void role_free(struct role *r)
{
	if (!r)
		return;
	SSL_CTX_free(r->tls);
	free(r);
}

/* Nobody is accepted before there is an identity. */
static void take_role(struct webhook *w)
{
	struct role *next = atomic_exchange(&w->pending, NULL);

	if (!next)
		return;
	if (!w->role && evhttp_accept_socket(w->http, w->fd) < 0)
		log_warn("admission webhook cannot accept", KV_I("port", w->port));
	role_free(w->role);
	w->role = next;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct webhook *w = arg;
	eventfd_t count;

	(void)what;
	(void)eventfd_read(fd, &count);
	if (w->stopping)
		event_base_loopbreak(w->base);
	else
		take_role(w);
}

static void *run(void *arg)
{
	struct webhook *w = arg;

	/* Of this thread alone (setpriority(2), on Linux). */
	setpriority(PRIO_PROCESS, 0, NICENESS);
	event_base_dispatch(w->base);
	return NULL;
}

/* ---- the door ---- */

static int prepare(struct webhook *w, struct err *e)
{
	w->base = event_base_new();
	w->http = w->base ? evhttp_new(w->base) : NULL;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->wake = w->base ? event_new(w->base, w->wake_fd, EV_READ | EV_PERSIST, on_wake, w) : NULL;
	w->ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_session_end);
	if (!w->http || !w->wake || w->wake_fd < 0 || w->ssl_index < 0)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "admission webhook: cannot make its loop");
	event_add(w->wake, NULL);
	evhttp_set_max_headers_size(w->http, LIMIT_HTTP_HEAD_BYTES);
	evhttp_set_max_body_size(w->http, LIMIT_WEBHOOK_BODY_BYTES);
	evhttp_set_timeout(w->http, LIMIT_WEBHOOK_IDLE_MS / 1000);
	evhttp_set_allowed_methods(w->http, EVHTTP_REQ_POST);
	evhttp_set_bevcb(w->http, new_connection, w);
	evhttp_set_gencb(w->http, on_request, w);
	return 0;
}

static void webhook_free(struct webhook *w)
{
	if (w->http)
		evhttp_free(w->http);
	if (w->wake)
		event_free(w->wake);
	if (w->base)
		event_base_free(w->base);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->fd >= 0 && !w->role)
		close(w->fd); /* else it was libevent's */
	role_free(w->role);
	role_free(atomic_exchange(&w->pending, NULL));
	free((char *)w->subject.namespace);
	free((char *)w->subject.config_map);
	free(w);
}

int webhook_start(const char *address, const struct webhook_subject *subject,
                  struct webhook **ret_webhook, struct err *e)
{
	struct addr a;
	uint16_t port;
	int r = http_address_parse(address, &a, &port, e);

	if (r < 0)
		return r;
	struct webhook *w = xcalloc(1, sizeof(*w));
	w->wake_fd = -1;
	w->subject = (struct webhook_subject){ .namespace = xstrdup(subject->namespace),
		                               .config_map = xstrdup(subject->config_map) };
	w->fd = listen_on(&a, port, false);
	if (w->fd < 0)
		r = err_set(e, w->fd, ERR_SYSTEM, "cannot listen on %s: %s", address,
		            strerror(-w->fd));
	else
		r = prepare(w, e);
	if (r == 0) {
		w->port = listen_port(w->fd);
		r = thread_start(&w->thread, STACK_SIZE, run, w);
		if (r < 0)
			err_set(e, r, ERR_SYSTEM, "admission webhook: no thread: %s", strerror(-r));
	}
	if (r < 0)
		webhook_free(w);
	else
		*ret_webhook = w;
	return r;
}

static void wake(struct webhook *w)
{
	(void)eventfd_write(w->wake_fd, 1);
}

static bool use(SSL_CTX *tls, const struct webhook_identity *id)
{
	X509 *x = identity_certificate(id);
	EVP_PKEY *key = identity_key(id);
	bool ok = x && key && SSL_CTX_use_certificate(tls, x) == 1 &&
	          SSL_CTX_use_PrivateKey(tls, key) == 1;

	EVP_PKEY_free(key);
	X509_free(x);
	return ok;
}

int webhook_identify(struct webhook *w, const struct webhook_identity *id, struct err *e)
{
	struct role *r = xcalloc(1, sizeof(*r));

	r->tls = SSL_CTX_new(TLS_server_method());
	if (!r->tls || !use(r->tls, id)) {
		role_free(r);
		return err_set(e, -EINVAL, ERR_CONFIG, "certificate and key cannot be used");
	}
	SSL_CTX_set_min_proto_version(r->tls, TLS1_2_VERSION);
	memcpy(r->path, id->path, sizeof(r->path));
	role_free(atomic_exchange(&w->pending, r));
	wake(w);
	return 0;
}

uint16_t webhook_port(const struct webhook *w)
{
	return w->port;
}

struct webhook_stats webhook_stats(const struct webhook *w)
{
	return (struct webhook_stats){ .allowed = w->allowed,
		                       .denied = w->denied,
		                       .refused = w->refused };
}

void webhook_stop(struct webhook *w)
{
	if (!w)
		return;
	w->stopping = true;
	wake(w);
	pthread_join(w->thread, NULL);
	webhook_free(w);
}
