/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl calls us from within its own calls, and there nothing may be added to or taken from its
 * handle.  So a transfer that starts is only put into the list, and one that is cancelled meanwhile
 * is only marked as dead: it calls nobody back any more, and what still comes for it ends it.
 * sweep() does the rest when libcurl has returned, at the end of run_socket() or by an event of its
 * own.
 *
 * The callback of a transfer that has ended runs after it was freed, on a copy of what it was
 * given, so that it may start the next transfer or cancel others.
 */
#include "config.h"

#include "kube/multi.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "kube/access.h"
#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define CONNECT_TIMEOUT_MS 5000L
/* A peer that neither acknowledges data nor answers probes for this long is gone. */
#define DEAD_PEER_MS 20000
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 3
#define KEEPALIVE_PROBES 3
/* One per transfer and connection; watches stay open for minutes, so it counts for memory. */
#define RECEIVE_BUFFER_BYTES 4096L
/* After this long a CA file is read again for new connections. */
#define CA_CACHE_S 60L

struct multi {
	CURLM *curl;
	struct event_base *base;
	struct event *timer;
	struct event *deferred; /* runs sweep() as soon as libcurl has returned */
	struct kube_access *access;
	enum multi_protocol protocol;
	int stall_ms; /* 0: it matters to nobody */
	char *user_agent;
	struct transfer *transfers;
	bool in_curl; /* one of libcurl's callbacks may be on the stack */
	struct multi_stats stats;
	struct addr peer;
};

struct transfer {
	struct multi *m;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct transfer_spec spec;
	bool added, dead;
	char error[CURL_ERROR_SIZE];
	struct transfer *prev, *next;
};

static void free_transfer(struct transfer *t)
{
	if (t->added)
		curl_multi_remove_handle(t->m->curl, t->easy);
	DL_DELETE(t->m->transfers, t);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->connect_to);
	free(t);
}

static void end_transfer(struct transfer *t, CURLcode code)
{
	struct multi *m = t->m;
	long status = 0, connects = 0;
	curl_off_t retry_after = 0;
	struct err e = ERR_INIT;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
	m->stats.connects += (uint64_t)connects;
	if (code != CURLE_OK)
		err_set(&e, -1, ERR_REMOTE, "%s", *t->error ? t->error : curl_easy_strerror(code));
	struct transfer_spec spec = t->spec;
	bool dead = t->dead;
	free_transfer(t);
	if (!dead)
		spec.on_end((int)status, retry_after > INT32_MAX ? INT32_MAX : (int)retry_after,
		            code == CURLE_OK ? NULL : &e, spec.arg);
}

/* What could not be done while libcurl was on the stack, then what libcurl has finished. */
static void sweep(struct multi *m)
{
	struct transfer *t, *next;

	DL_FOREACH_SAFE(m->transfers, t, next) {
		if (t->dead) {
			free_transfer(t);
		} else if (!t->added) {
			t->added = true;
			curl_multi_add_handle(m->curl, t->easy);
		}
	}
	int left;
	for (CURLMsg *msg; (msg = curl_multi_info_read(m->curl, &left));) {
		char *ended = NULL;
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &ended);
		end_transfer((struct transfer *)ended, msg->data.result);
	}
}

static void run_socket(struct multi *m, curl_socket_t fd, int what)
{
	int running;

	m->in_curl = true;
	curl_multi_socket_action(m->curl, fd, what, &running);
	m->in_curl = false;
	sweep(m);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	run_socket(arg, fd,
	           (what & EV_READ ? CURL_CSELECT_IN : 0) |
	                   (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	run_socket(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_deferred(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sweep(arg);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *userp, void *socketp)
{
	struct multi *m = userp;
	struct event *ev = socketp;

	(void)easy;
	if (ev)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		short events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		               (what & CURL_POLL_OUT ? EV_WRITE : 0);
		ev = event_new(m->base, fd, events, on_socket, m);
		if (ev)
			event_add(ev, NULL);
	}
	curl_multi_assign(m->curl, fd, ev);
	return 0;
}

static int set_timer(CURLM *curl, long timeout_ms, void *userp)
{
	struct multi *m = userp;

	(void)curl;
	if (timeout_ms < 0) {
		evtimer_del(m->timer);
		return 0;
	}
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	evtimer_add(m->timer, &tv);
	return 0;
}

static int set_socket_options(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	const struct multi *m = arg;
	unsigned int dead_ms = m->stall_ms ? (unsigned int)m->stall_ms : DEAD_PEER_MS;
	int probes = KEEPALIVE_PROBES, yes = 1;
	/*
	 * What lies in the socket when it is closed is dropped, and the connection reset: it must
	 * not arrive any more.
	 */
	const struct linger drop = { .l_onoff = 1 };

	(void)purpose;
	/* Each may be missing in an old kernel; the connection works without. */
	if (m->stall_ms)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return CURL_SOCKOPT_OK;
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct multi *multi_new(struct event_base *base, struct kube_access *access, const char *user_agent,
                        enum multi_protocol protocol, long max_connections, int stall_ms)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_curl);
	struct multi *m = xcalloc(1, sizeof(*m));
	m->base = base;
	m->access = access;
	m->protocol = protocol;
	m->stall_ms = stall_ms;
	m->user_agent = xstrdup(user_agent);
	m->timer = evtimer_new(base, on_timer, m);
	m->deferred = evtimer_new(base, on_deferred, m);
	m->curl = curl_multi_init();
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(m->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
	/*
	 * Also the limit for those in use: with fewer than may be in use at a time, nearly each
	 * exchange closes somebody's connection, and opens its own.
	 */
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, max_connections);
	return m;
}

void multi_free(struct multi *m)
{
	if (!m)
		return;
	struct transfer *t, *next;
	DL_FOREACH_SAFE(m->transfers, t, next)
		free_transfer(t);
	curl_multi_cleanup(m->curl);
	event_free(m->timer);
	event_free(m->deferred);
	free(m->user_agent);
	free(m);
}

bool multi_is_idle(const struct multi *m)
{
	return !m->transfers;
}

struct multi_stats multi_stats(const struct multi *m)
{
	return m->stats;
}

struct addr multi_peer(const struct multi *m)
{
	return m->peer;
}

static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	t->m->stats.bytes_received += size * n;
	if (t->dead)
		return CURL_WRITEFUNC_ERROR;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	bool go_on = t->spec.on_data(data, size * n, (int)status, t->spec.arg);
	return go_on && !t->dead ? size * n : CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;
	const char *peer = NULL;
	bool last = size * n <= 2 && (*data == '\r' || *data == '\n');

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (last && curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &peer) == CURLE_OK && peer)
		addr_parse(peer, &t->m->peer);
	if (last && status >= 200 && t->spec.on_open && !t->dead)
		t->spec.on_open((int)status, t->spec.arg);
	return size * n;
}

static void set_pem(CURL *easy, CURLoption path_option, CURLoption blob_option,
                    struct access_pem *pem)
{
	struct curl_blob blob = { pem->data.data, pem->data.size, CURL_BLOB_NOCOPY };

	if (pem->data.size)
		curl_easy_setopt(easy, blob_option, &blob);
	else if (pem->path)
		curl_easy_setopt(easy, path_option, pem->path);
}

static void set_tls(struct transfer *t, struct kube_access *a)
{
	curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, a->insecure ? 0L : 1L);
	curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, a->insecure ? 0L : 2L);
	curl_easy_setopt(t->easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
	if (a->ca.path || a->ca.data.size) {
		/* Only this CA counts, not those of the system beside it. */
		curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(t->easy, CURLOPT_CAINFO, NULL);
	}
	set_pem(t->easy, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, &a->ca);
	set_pem(t->easy, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, &a->cert);
	set_pem(t->easy, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, &a->key);
}

/*
 * "https://host:port/prefix" with another name for the host where the certificate bears another
 * one.
 */
static void set_url(struct transfer *t, struct kube_access *a)
{
	if (!a->tls_server_name) {
		cleanup_free char *url = xasprintf("%s%s", a->server, t->spec.path);
		curl_easy_setopt(t->easy, CURLOPT_URL, url);
		return;
	}
	const char *scheme_end = strstr(a->server, "://") + 3;
	size_t authority_len = strcspn(scheme_end, "/");
	cleanup_free char *authority = xstrndup(scheme_end, authority_len);
	const char *port = strrchr(authority, ':');
	if (port && strchr(port, ']'))
		port = NULL;
	cleanup_free char *url = xasprintf("%.*s%s%s%s%s", (int)(scheme_end - a->server), a->server,
	                                   a->tls_server_name, port ? port : "",
	                                   scheme_end + authority_len, t->spec.path);
	cleanup_free char *to = xasprintf("::%s%s", authority, port ? "" : ":");
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	t->connect_to = curl_slist_append(NULL, to);
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
}

static void add_header(struct transfer *t, const char *name, const char *value)
{
	cleanup_free char *line = xasprintf("%s: %s", name, value);

	t->headers = curl_slist_append(t->headers, line);
}

static void set_request(struct transfer *t, struct multi *m)
{
	const char *token = kube_access_token(m->access, clock_ms());

	add_header(t, "Accept", "application/json");
	if (token) {
		cleanup_free char *value = xasprintf("Bearer %s", token);
		add_header(t, "Authorization", value);
	}
	if (t->spec.body) {
		add_header(t, "Content-Type", t->spec.content_type);
		/* No round trip for "100 Continue". */
		add_header(t, "Expect", "");
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(t->spec.body));
		curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->spec.body);
	}
	curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, t->spec.method);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, m->user_agent);
}

static void set_connection(struct transfer *t, struct kube_access *a)
{
	/* One connection for all over HTTP/2; without TLS there is none to wait for. */
	bool shared = t->m->protocol == MULTI_HTTP2 && !strncmp(a->server, "https:", 6);

	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* Proxy settings of the environment are for others: the kubeconfig knows better. */
	curl_easy_setopt(t->easy, CURLOPT_PROXY, a->proxy ? a->proxy : "");
	curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(t->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION,
	                 (long)(shared ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, shared ? 1L : 0L);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, t->spec.timeout_ms);
	curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(t->easy, CURLOPT_SOCKOPTFUNCTION, set_socket_options);
	curl_easy_setopt(t->easy, CURLOPT_SOCKOPTDATA, t->m);
	curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
	curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, t->spec.fresh_connection ? 1L : 0L);
}

struct transfer *transfer_start(struct multi *m, const struct transfer_spec *spec)
{
	struct transfer *t = xcalloc(1, sizeof(*t));

	t->m = m;
	t->spec = *spec;
	t->easy = curl_easy_init();
	if (!t->easy)
		abort();
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	set_url(t, m->access);
	set_connection(t, m->access);
	set_tls(t, m->access);
	set_request(t, m);
	DL_APPEND(m->transfers, t);
	struct timeval now = { 0, 0 };
	evtimer_add(m->deferred, &now);
	return t;
}

void transfer_cancel(struct transfer *t)
{
	if (!t)
		return;
	if (!t->m->in_curl) {
		free_transfer(t);
		return;
	}
	struct timeval now = { 0, 0 };
	t->dead = true;
	evtimer_add(t->m->deferred, &now);
}
