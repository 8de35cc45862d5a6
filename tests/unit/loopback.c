/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loopback.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <utlist.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

struct loopback_conn {
	struct loopback *l;
	struct bufferevent *bev;
	struct evbuffer *pending; /* what goes out byte by byte */
	struct event *step;
	bool closing;
	struct loopback_conn *prev, *next;
};

struct loopback {
	struct event_base *base;
	SSL_CTX *tls;
	struct evconnlistener *listener;
	loopback_handler *handler;
	void *arg;
	bool split;
	size_t accepted;
	struct loopback_conn *conns;
};

static const struct timeval now = { 0, 0 };

static void conn_free(struct loopback_conn *conn)
{
	DL_DELETE(conn->l->conns, conn);
	bufferevent_free(conn->bev);
	evbuffer_free(conn->pending);
	event_free(conn->step);
	free(conn);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct loopback_conn *conn = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);

	if (end.pos < 0)
		return;
	size_t head_size = (size_t)end.pos + 4, body_size = 0;
	cleanup_free char *head = xcalloc(1, head_size + 1);
	evbuffer_copyout(in, head, head_size);
	const char *length = strcasestr(head, "content-length:");
	if (length)
		body_size = strtoul(length + 15, NULL, 10);
	if (evbuffer_get_length(in) < head_size + body_size)
		return;
	cleanup_free char *body = xcalloc(1, body_size + 1);
	evbuffer_drain(in, head_size);
	evbuffer_remove(in, body, body_size);
	char *save, *method = strtok_r(head, " ", &save), *path = strtok_r(NULL, " ", &save);
	const struct loopback_request request = { method, path, save, body };
	conn->l->handler(conn, &request, conn->l->arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_free(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct loopback_conn *conn = arg;

	if (conn->closing && evbuffer_get_length(bufferevent_get_output(bev)) == 0 &&
	    evbuffer_get_length(conn->pending) == 0)
		conn_free(conn);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	struct loopback_conn *conn = arg;

	(void)fd, (void)what;
	evbuffer_remove_buffer(conn->pending, bufferevent_get_output(conn->bev), 1);
	if (evbuffer_get_length(conn->pending) > 0)
		event_add(conn->step, &now);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
                      int addr_size, void *arg)
{
	struct loopback *l = arg;

	(void)listener, (void)addr, (void)addr_size;
	struct loopback_conn *conn = xcalloc(1, sizeof(*conn));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	conn->l = l;
	l->accepted++;
	if (l->tls)
		conn->bev = bufferevent_openssl_socket_new(l->base, fd, SSL_new(l->tls),
		                                           BUFFEREVENT_SSL_ACCEPTING,
		                                           BEV_OPT_CLOSE_ON_FREE);
	else
		conn->bev = bufferevent_socket_new(l->base, fd, BEV_OPT_CLOSE_ON_FREE);
	conn->pending = evbuffer_new();
	conn->step = evtimer_new(l->base, on_step, conn);
	bufferevent_setcb(conn->bev, on_read, on_written, on_event, conn);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
	DL_APPEND(l->conns, conn);
}

struct loopback *loopback_start(struct event_base *base, SSL_CTX *tls, loopback_handler *handler,
                                void *arg)
{
	struct loopback *l = xcalloc(1, sizeof(*l));
	struct sockaddr_in sin = { .sin_family = AF_INET,
		                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	l->base = base;
	l->tls = tls;
	l->handler = handler;
	l->arg = arg;
	l->listener = evconnlistener_new_bind(base, on_accept, l, LEV_OPT_CLOSE_ON_FREE, 128,
	                                      (struct sockaddr *)&sin, sizeof(sin));
	assert(l->listener);
	return l;
}

void loopback_stop(struct loopback *l)
{
	while (l->conns)
		conn_free(l->conns);
	evconnlistener_free(l->listener);
	if (l->tls)
		SSL_CTX_free(l->tls);
	free(l);
}

int loopback_port(const struct loopback *l)
{
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);

	getsockname(evconnlistener_get_fd(l->listener), (struct sockaddr *)&sin, &size);
	return ntohs(sin.sin_port);
}

void loopback_split(struct loopback *l, bool split)
{
	l->split = split;
}

size_t loopback_accepted(const struct loopback *l)
{
	return l->accepted;
}

void loopback_send(struct loopback_conn *conn, const char *text)
{
	if (!conn->l->split) {
		bufferevent_write(conn->bev, text, strlen(text));
		return;
	}
	evbuffer_add(conn->pending, text, strlen(text));
	event_add(conn->step, &now);
}

void loopback_answer(struct loopback_conn *conn, int status, const char *head, const char *body)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(
		&b,
		"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
		status, strlen(body), head, body);
	loopback_send(conn, buf_str(&b));
}

void loopback_open(struct loopback_conn *conn, bool chunked)
{
	loopback_send(conn, chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                            : "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

void loopback_chunk(struct loopback_conn *conn, const char *text)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "%zx\r\n%s\r\n", strlen(text), text);
	loopback_send(conn, buf_str(&b));
}

void loopback_close(struct loopback_conn *conn)
{
	conn->closing = true;
	bufferevent_disable(conn->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0 &&
	    evbuffer_get_length(conn->pending) == 0)
		conn_free(conn);
}

/* ---- certificates ---- */

struct loopback_ca {
	EVP_PKEY *key;
	X509 *cert;
	struct buf pem;
};

static X509 *make_cert(EVP_PKEY *key, const char *common_name, X509 *issuer, EVP_PKEY *issuer_key,
                       const char *alt_name)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509V3_CTX ctx;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	                           (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
	X509V3_set_ctx(&ctx, issuer ? issuer : cert, cert, NULL, NULL, 0);
	X509_EXTENSION *ext =
		alt_name ? X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, alt_name)
			 : X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints,
	                                       "critical,CA:TRUE");
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	X509_sign(cert, issuer_key, EVP_sha256());
	return cert;
}

struct loopback_ca *loopback_ca_new(void)
{
	struct loopback_ca *ca = xcalloc(1, sizeof(*ca));

	ca->key = EVP_EC_gen("P-256");
	ca->cert = make_cert(ca->key, "loopback CA", NULL, ca->key, NULL);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	PEM_write_bio_X509(bio, ca->cert);
	long size = BIO_get_mem_data(bio, &data);
	buf_add(&ca->pem, data, (size_t)size);
	BIO_free(bio);
	return ca;
}

void loopback_ca_free(struct loopback_ca *ca)
{
	EVP_PKEY_free(ca->key);
	X509_free(ca->cert);
	buf_fini(&ca->pem);
	free(ca);
}

const char *loopback_ca_pem(const struct loopback_ca *ca)
{
	return buf_str(&ca->pem);
}

SSL_CTX *loopback_ca_server(struct loopback_ca *ca, const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = make_cert(key, "server", ca->cert, ca->key, name);

	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}
