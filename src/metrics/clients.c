/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anybody who reaches the port is a client, and the thread that serves them renews the lease, so
 * nothing here grows with what they do: connections, what is kept of each one's bytes, the kernel's
 * buffers behind it, and the time that it may take.
 *
 * The kubelet's probe must get through in a crowd, and cannot be told from it before its request is
 * read.  So a client beyond the limits is still accepted, into a few extra places where the newest
 * pushes out the oldest: a probe sends its request at once and is answered as soon as that is
 * there.
 *
 * Descriptors may run out for reasons that are not ours.  A few are kept open on /dev/null for that
 * time; each one makes room for a client who, as one of the extra ones, gets a probe's answer.
 * When they are used up as well the listening socket is left alone for a moment: an accept() that
 * fails leaves it readable, and the loop would spin.
 *
 * libevent's evhttp was here before.  It has no bound on connections, and a deadline only on
 * silence.
 */
#include "config.h"

#include "metrics/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/limits.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define ACCEPTS_A_TURN 16
#define EXTRA_READ_MS 2000
#define DRAIN_MS 1000
#define PAUSE_MS 200
#define SEND_BUFFER_BYTES 65536
#define N_SPARES 4
#define HEAD_SIZE 512

enum state { READING, HELD, WRITING, DRAINING };

struct client {
	TAILQ_ENTRY(client) entry;
	struct clients *of;
	struct listener *by;
	int fd;
	struct addr from; /* the address; of IPv6 the /64 */
	bool extra;       /* beyond the bounds */
	enum state state;
	const void *held_for;
	int64_t deadline_ms;
	struct event *io;
	short waits_for; /* EV_READ or EV_WRITE */
	bool head_only, bad;
	size_t n_in;
	char in[REQUEST_SIZE];
	struct buf out; /* the head, and a body that is the client's own */
	struct page *page;
	size_t sent; /* of both */
};

struct listener {
	LIST_ENTRY(listener) entry;
	struct clients *of;
	int fd;
	void *tag;
	struct event *acceptable;
	bool paused;
	size_t n_full; /* of its clients */
};

struct clients {
	struct event_base *base;
	clients_serve_fn *serve;
	void *arg;
	struct clients_bounds bounds;
	int spares[N_SPARES];
	struct event *pause;
	LIST_HEAD(, listener) listeners;
	TAILQ_HEAD(, client) all; /* in the order in which they came */
	size_t n_full, n_extra;
	struct clients_stats stats;
	struct log_rate rate[CLIENTS_N_REFUSALS];
};

/* ---- descriptors kept for hard times ---- */

static void fill_spares(struct clients *cs)
{
	for (size_t i = 0; i < N_SPARES; i++)
		if (cs->spares[i] < 0)
			cs->spares[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool spare_one(struct clients *cs)
{
	for (size_t i = 0; i < N_SPARES; i++)
		if (cs->spares[i] >= 0) {
			close(cs->spares[i]);
			cs->spares[i] = -1;
			return true;
		}
	return false;
}

static bool has_all_spares(const struct clients *cs)
{
	for (size_t i = 0; i < N_SPARES; i++)
		if (cs->spares[i] < 0)
			return false;
	return true;
}

/* ---- one client ---- */

static void client_free(struct client *c)
{
	struct clients *cs = c->of;

	TAILQ_REMOVE(&cs->all, c, entry);
	*(c->extra ? &cs->n_extra : &cs->n_full) -= 1;
	c->by->n_full -= !c->extra;
	cs->stats.n--;
	if (c->io)
		event_free(c->io);
	close(c->fd);
	buf_fini(&c->out);
	page_unref(c->page);
	free(c);
	fill_spares(cs);
}

const char *clients_refusal_name(enum clients_refusal why)
{
	static const char *const names[] = {
#define X(name) #name,
		CLIENTS_REFUSALS(X)
#undef X
	};

	return names[why];
}

static void say(struct clients *cs, enum clients_refusal why, const struct addr *from)
{
	unsigned long long left_out;

	cs->stats.refused[why]++;
	if (log_rate_take(&cs->rate[why], clock_ms(), &left_out))
		log_warn("an HTTP client was refused", KV_S("reason", clients_refusal_name(why)),
		         KV_S("client", from ? addr_str(from) : ""), KV_I("clients", cs->stats.n),
		         KV_I("left_out", left_out));
}

void client_refused(struct client *c, enum clients_refusal why)
{
	say(c->of, why, &c->from);
}

bool client_is_extra(const struct client *c)
{
	return c->extra;
}

void *client_tag(const struct client *c)
{
	return c->by->tag;
}

static void on_io(evutil_socket_t fd, short what, void *arg);

/* Waits for @what until the deadline, and for a client who reads nothing less than that. */
static void wait_for(struct client *c, short what)
{
	int64_t ms = c->deadline_ms - clock_ms();

	if (c->state == WRITING && ms > LIMIT_HTTP_STALL_MS)
		ms = LIMIT_HTTP_STALL_MS;
	if (ms < 0)
		ms = 0;
	if (!c->io || c->waits_for != what) {
		if (c->io)
			event_free(c->io);
		c->io = event_new(c->of->base, c->fd, what, on_io, c);
		c->waits_for = what;
	}
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	event_add(c->io, &tv);
}

static ssize_t send_more(struct client *c)
{
	size_t head = c->out.size, body = c->page && !c->head_only ? c->page->size : 0;
	size_t done_head = c->sent < head ? c->sent : head, done_body = c->sent - done_head;
	struct iovec iov[2] = { { c->out.data + done_head, head - done_head },
		                { body ? c->page->data + done_body : NULL, body - done_body } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (c->sent == head + body)
		return 0;
	return sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * What else such a client sends is read: a socket that is closed over unread bytes takes back its
 * answer.
 */
static void drain(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
	c->state = DRAINING;
	c->deadline_ms = clock_ms() + DRAIN_MS;
	wait_for(c, EV_READ);
}

/* May free @c. */
static void write_answer(struct client *c)
{
	ssize_t n = send_more(c);

	if (n > 0) {
		c->sent += (size_t)n;
		wait_for(c, EV_WRITE); /* others are waiting, too: one piece a turn */
	} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		wait_for(c, EV_WRITE);
	} else if (n == 0 && c->bad) {
		drain(c);
	} else {
		client_free(c);
	}
}

static const char *phrase(int code)
{
	static const struct {
		int code;
		const char *phrase;
	} rows[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 431, "Request Header Fields Too Large" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return rows[i].phrase;
	return "";
}

static void begin_answer(struct client *c, int code, const char *type, const char *header,
                         size_t size)
{
	time_t now = (time_t)(clock_wall_us() / 1000000);
	char date[sizeof("Sun, 06 Nov 1994 08:49:37 GMT") + 8];
	struct tm tm;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	buf_printf(&c->out,
	           "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	           "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n",
	           code, phrase(code), date, type, size, header);
	c->state = WRITING;
	c->deadline_ms = clock_ms() + LIMIT_HTTP_WRITE_MS;
}

void client_answer(struct client *c, int code, const char *type, const char *header,
                   const char *body, size_t size)
{
	begin_answer(c, code, type, header, size);
	if (!c->head_only)
		buf_add(&c->out, body, size);
}

void client_answer_page(struct client *c, const char *type, struct page *page)
{
	begin_answer(c, 200, type, "", page->size);
	c->page = page_ref(page);
}

void client_hold(struct client *c, const void *what, int ms)
{
	c->state = HELD;
	c->held_for = what;
	c->deadline_ms = clock_ms() + ms;
}

void clients_answer_held(struct clients *cs, const void *what, const char *type, struct page *page)
{
	struct client *c;

	TAILQ_FOREACH(c, &cs->all, entry)
	if (c->state == HELD && c->held_for == what) {
		client_answer_page(c, type, page);
		wait_for(c, EV_WRITE);
	}
}

static void refuse_malformed(struct client *c, int code)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	c->bad = true;
	client_refused(c, CLIENTS_malformed);
	buf_printf(&text, "%s\n", phrase(code));
	client_answer(c, code, "text/plain; charset=utf-8", "", text.data, text.size);
}

/* May free @c. */
static void read_request(struct client *c)
{
	struct request r;
	ssize_t n = recv(c->fd, c->in + c->n_in, sizeof(c->in) - c->n_in, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		wait_for(c, EV_READ);
		return;
	}
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->n_in += (size_t)n;
	int code = request_parse(c->in, c->n_in, &r);
	if (code == -EAGAIN) {
		wait_for(c, EV_READ);
		return;
	}
	if (code < 0) {
		refuse_malformed(c, -code);
	} else {
		c->of->stats.requests++;
		c->head_only = r.method == REQUEST_HEAD;
		c->of->serve(c, &r, c->of->arg);
	}
	if (c->state == HELD)
		wait_for(c, EV_READ);
	else
		write_answer(c);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	if (what & EV_TIMEOUT) {
		if (c->state != DRAINING)
			client_refused(c, CLIENTS_slow);
		client_free(c);
	} else if (c->state == READING) {
		read_request(c);
	} else if (c->state == WRITING) {
		write_answer(c);
	} else if (recv(fd, c->in, sizeof(c->in), MSG_DONTWAIT) > 0) {
		/* One that is held, too, may send what it likes, or go. */
		wait_for(c, EV_READ);
	} else {
		client_free(c);
	}
}

/* ---- who it is ---- */

static struct addr address_of(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET)
		return addr_from_in(((const struct sockaddr_in *)(const void *)ss)->sin_addr);
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		struct in_addr in;
		memcpy(&in, in6->s6_addr + 12, sizeof(in));
		return addr_from_in(in);
	}
	return addr_from_in6(in6);
}

struct addr client_address(const struct client *c)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);

	if (getpeername(c->fd, (struct sockaddr *)&peer, &size) < 0)
		return (struct addr){ .family = 0 };
	return address_of(&peer);
}

bool client_is_of_this_host(const struct client *c)
{
	struct sockaddr_storage peer, called;
	socklen_t peer_size = sizeof(peer), called_size = sizeof(called);

	if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_size) < 0 ||
	    getsockname(c->fd, (struct sockaddr *)&called, &called_size) < 0)
		return false;
	struct addr from = address_of(&peer), to = address_of(&called);
	return addr_eq(&from, &to) ||
	       (from.family == 4 ? from.b[0] == 127
	                         : !memcmp(from.b, &in6addr_loopback, sizeof(in6addr_loopback)));
}

/* ---- accepting ---- */

static bool is_within_bounds(const struct listener *l, const struct addr *from)
{
	const struct clients *cs = l->of;
	const struct client *c;
	size_t n = 0;

	TAILQ_FOREACH(c, &cs->all, entry)
	n += !c->extra && addr_eq(&c->from, from);
	return cs->n_full < cs->bounds.all && l->n_full < cs->bounds.per_listener &&
	       n < LIMIT_HTTP_CLIENTS_PER_ADDRESS && has_all_spares(cs);
}

/* The oldest of those beyond the bounds; false: there is none. */
static bool evict(struct clients *cs)
{
	struct client *c;

	TAILQ_FOREACH(c, &cs->all, entry)
	if (c->extra)
		break;
	if (!c)
		return false;
	client_refused(c, CLIENTS_evicted);
	client_free(c);
	return true;
}

static void welcome(struct listener *l, int fd, const struct sockaddr_storage *peer)
{
	struct clients *cs = l->of;
	const int bytes = SEND_BUFFER_BYTES, ms = LIMIT_HTTP_STALL_MS;
	struct addr from = address_of(peer);

	if (from.family == 6)
		memset(from.b + 8, 0, 8);
	bool extra = !is_within_bounds(l, &from);
	if (extra && cs->n_extra == LIMIT_HTTP_PROBES)
		evict(cs);
	/*
	 * What a client does not fetch stays in the kernel, after we closed it as well: little, and
	 * not for long.
	 */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	struct client *c = xcalloc(1, sizeof(*c));
	*c = (struct client){ .of = cs, .by = l, .fd = fd, .from = from, .extra = extra };
	c->deadline_ms = clock_ms() + (extra ? EXTRA_READ_MS : LIMIT_HTTP_READ_MS);
	TAILQ_INSERT_TAIL(&cs->all, c, entry);
	*(extra ? &cs->n_extra : &cs->n_full) += 1;
	l->n_full += !extra;
	cs->stats.n++;
	wait_for(c, EV_READ);
}

/* The listening socket stays readable, and would be tried again at once. */
static void pause_accepting(struct listener *l)
{
	static const struct timeval tv = { .tv_usec = PAUSE_MS * 1000 };

	say(l->of, CLIENTS_descriptors, NULL);
	event_del(l->acceptable);
	l->paused = true;
	event_add(l->of->pause, &tv);
}

static void on_paused(evutil_socket_t fd, short what, void *arg)
{
	struct clients *cs = arg;
	struct listener *l;

	(void)fd;
	(void)what;
	fill_spares(cs);
	LIST_FOREACH(l, &cs->listeners, entry)
	if (l->paused) {
		l->paused = false;
		event_add(l->acceptable, NULL);
	}
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);
		int got =
			accept4(fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (got >= 0) {
			welcome(l, got, &peer);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if ((errno != EMFILE && errno != ENFILE) || !(spare_one(l->of) || evict(l->of))) {
			pause_accepting(l);
			return;
		}
	}
}

/* A quarter of the descriptors at most: the others are for the API server, sockets and programs. */
static size_t most_clients(size_t n)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur / 4 < n)
		return (size_t)(r.rlim_cur / 4);
	return n;
}

struct clients *clients_new(struct event_base *base, const struct clients_bounds *bounds,
                            clients_serve_fn *serve, void *arg)
{
	struct clients *cs = xcalloc(1, sizeof(*cs));

	*cs = (struct clients){ .base = base, .serve = serve, .arg = arg, .bounds = *bounds };
	TAILQ_INIT(&cs->all);
	LIST_INIT(&cs->listeners);
	cs->bounds.all = most_clients(bounds->all);
	for (size_t i = 0; i < N_SPARES; i++)
		cs->spares[i] = -1;
	fill_spares(cs);
	cs->pause = evtimer_new(base, on_paused, cs);
	return cs;
}

struct listener *clients_listen(struct clients *cs, int fd, void *tag)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	*l = (struct listener){ .of = cs, .fd = fd, .tag = tag };
	l->acceptable = event_new(cs->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
	event_add(l->acceptable, NULL);
	LIST_INSERT_HEAD(&cs->listeners, l, entry);
	return l;
}

void listener_close(struct listener *l)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&l->of->all); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->by == l)
			client_free(c);
	}
	LIST_REMOVE(l, entry);
	event_free(l->acceptable);
	close(l->fd);
	free(l);
}

void clients_free(struct clients *cs)
{
	struct listener *l;

	if (!cs)
		return;
	while ((l = LIST_FIRST(&cs->listeners)))
		listener_close(l);
	event_free(cs->pause);
	while (spare_one(cs))
		;
	free(cs);
}

const struct clients_stats *clients_stats(const struct clients *cs)
{
	return &cs->stats;
}
