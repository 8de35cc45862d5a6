/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.0, so that the answer ends with the connection; one connection at a time to each target.
 */
#include "config.h"

#include "cli/test_probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <json-c/json.h>

#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define ATTEMPT_S 2
#define AGAIN_MS 300
#define LOOK_MS 100
#define TIMES_RUNNING 3
#define ANSWER_MAX_BYTES 65536

struct asking {
	struct event_base *base;
	size_t n_left;
	int64_t until_ms;
	const volatile sig_atomic_t *stop;
};

struct attempt {
	struct asking *all;
	struct test_probe *probe;
	struct bufferevent *bev;
	struct event *again;
	unsigned int running;     /* so many times it was as it should be */
	struct test_probe before; /* as the attempt before left it */
};

/* ---- one answer ---- */

static void set_addr(const struct sockaddr_storage *ss, struct addr *ret_addr)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)ss;

	*ret_addr = ss->ss_family == AF_INET ? addr_from_in(four->sin_addr)
	                                     : addr_from_in6(&six->sin6_addr);
}

static socklen_t sockaddr_of(const struct test_probe *p, struct sockaddr_storage *ss)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (p->addr.family == 4) {
		four->sin_family = AF_INET;
		four->sin_port = htons(p->port);
		memcpy(&four->sin_addr, p->addr.b, sizeof(four->sin_addr));
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(p->port);
	memcpy(&six->sin6_addr, p->addr.b, sizeof(six->sin6_addr));
	return sizeof(*six);
}

/* What our own echo says of itself; another program's page says nothing. */
static void read_echo(const char *body, struct test_probe *p)
{
	struct json_object *said = kube_json_parse(body, strlen(body));
	const char *node = kube_json_str(said, "node", NULL);
	const char *client = kube_json_str(said, "client", NULL);

	if (node)
		snprintf(p->node, sizeof(p->node), "%s", node);
	if (client)
		addr_parse(client, &p->client);
	json_object_put(said);
}

static void read_answer(const char *text, struct test_probe *p)
{
	int status = 0;
	const char *body = strstr(text, "\r\n\r\n");

	if (sscanf(text, "HTTP/1.%*1d %3d ", &status) != 1) {
		snprintf(p->why, sizeof(p->why), "the answer is no HTTP");
		return;
	}
	p->answered = status == 200;
	if (!p->answered)
		snprintf(p->why, sizeof(p->why), "HTTP status %d", status);
	else if (body)
		read_echo(body + 4, p);
}

/* ---- one target, again and again ---- */

static void done(struct attempt *a)
{
	struct test_probe *p = a->probe;

	bufferevent_free(TAKE(a->bev));
	p->good = p->answered != p->silent;
	a->running = p->good ? a->running + 1 : 0;
	if (a->running < TIMES_RUNNING) {
		struct timeval pause = { 0, p->good ? 0 : AGAIN_MS * 1000 };
		p->good = false;
		evtimer_add(a->again, &pause);
	} else {
		a->all->n_left--;
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	if (evbuffer_get_length(bufferevent_get_input(bev)) <= ANSWER_MAX_BYTES)
		return;
	struct attempt *a = arg;
	snprintf(a->probe->why, sizeof(a->probe->why), "the answer is too long");
	done(a);
}

static void on_connected(struct attempt *a)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	cleanup_free char *host = xstrdup(addr_str(&a->probe->addr));

	if (getsockname(bufferevent_getfd(a->bev), (struct sockaddr *)&ss, &size) == 0)
		set_addr(&ss, &a->probe->self);
	evbuffer_add_printf(bufferevent_get_output(a->bev),
	                    a->probe->addr.family == 6 ? "GET / HTTP/1.0\r\nHost: [%s]\r\n\r\n"
	                                               : "GET / HTTP/1.0\r\nHost: %s\r\n\r\n",
	                    host);
}

static const char *words_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return "timed out";
	case 0:
		return "the connection was closed";
	default:
		return strerror(error);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct attempt *a = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	int error = what & BEV_EVENT_ERROR ? EVUTIL_SOCKET_ERROR() : 0;

	if (what & BEV_EVENT_CONNECTED) {
		on_connected(a);
		return;
	}
	if ((what & BEV_EVENT_EOF) && evbuffer_get_length(in)) {
		cleanup_free char *text =
			xstrndup((char *)evbuffer_pullup(in, -1), evbuffer_get_length(in));
		read_answer(text, a->probe);
	} else {
		snprintf(a->probe->why, sizeof(a->probe->why), "%s",
		         what & BEV_EVENT_TIMEOUT ? "timed out" : words_of(error));
	}
	done(a);
}

static void ask(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval patience = { ATTEMPT_S, 0 };
	struct attempt *a = arg;
	struct test_probe *p = a->probe;
	struct sockaddr_storage ss;
	socklen_t size = sockaddr_of(p, &ss);

	(void)fd, (void)what;
	a->before = *p;
	p->answered = false;
	p->why[0] = p->node[0] = '\0';
	p->client = p->self = (struct addr){ 0 };
	a->bev = bufferevent_socket_new(a->all->base, -1,
	                                BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	bufferevent_setcb(a->bev, on_read, NULL, on_event, a);
	bufferevent_set_timeouts(a->bev, &patience, &patience);
	bufferevent_enable(a->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(a->bev, (struct sockaddr *)&ss, (int)size) < 0) {
		snprintf(p->why, sizeof(p->why), "%s", words_of(errno));
		done(a);
	}
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	struct asking *all = arg;

	(void)fd, (void)what;
	if (!all->n_left || clock_ms() >= all->until_ms || (all->stop && *all->stop))
		event_base_loopbreak(all->base);
}

static void start(struct asking *all, struct attempt *a, struct test_probe *p)
{
	*a = (struct attempt){ .all = all, .probe = p };
	p->good = false;
	a->again = evtimer_new(all->base, ask, a);
	event_active(a->again, EV_TIMEOUT, 0);
}

/*
 * One that time ran out on in the middle has shown nothing new: what was wrong in the attempt
 * before is wrong still.
 */
static void finish(struct attempt *a)
{
	struct test_probe *p = a->probe;

	if (a->bev) {
		bufferevent_free(a->bev);
		if (*a->before.why || (a->before.answered && p->silent))
			*p = a->before;
		else
			snprintf(p->why, sizeof(p->why), "timed out");
	}
	event_free(a->again);
}

void test_probe_all(struct test_probe *probes, size_t n, int timeout_s,
                    const volatile sig_atomic_t *stop)
{
	const struct timeval every = { 0, LOOK_MS * 1000 };
	struct asking all = { .base = event_base_new(),
		              .n_left = n,
		              .until_ms = clock_ms() + timeout_s * INT64_C(1000),
		              .stop = stop };
	struct attempt *attempts = xcalloc(n + 1, sizeof(*attempts));
	struct event *looks = event_new(all.base, -1, EV_PERSIST, look, &all);

	event_add(looks, &every);
	for (size_t i = 0; i < n; i++)
		start(&all, &attempts[i], &probes[i]);
	if (n)
		event_base_dispatch(all.base);
	for (size_t i = 0; i < n; i++)
		finish(&attempts[i]);
	event_free(looks);
	event_base_free(all.base);
	free(attempts);
}

/* ---- words, and JSON ---- */

char *test_probe_word(const struct test_probe *p)
{
	return xasprintf(p->addr.family == 6 ? "%c%s=[%s]:%u" : "%c%s=%s:%u", p->silent ? '-' : '+',
	                 p->name, addr_str(&p->addr), p->port);
}

static int parse_address(const char *text, struct test_probe *p)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[';
	char *end = NULL;

	if (!colon || colon == text || (bracketed && colon[-1] != ']'))
		return -EINVAL;
	cleanup_free char *host =
		xstrndup(text + bracketed, (size_t)(colon - text) - 2 * (size_t)bracketed);
	long port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end || port < 1 || port > UINT16_MAX)
		return -EINVAL;
	p->port = (uint16_t)port;
	return addr_parse(host, &p->addr);
}

int test_probe_parse(const char *word, struct test_probe *ret_probe, struct err *e)
{
	struct test_probe p = { .silent = *word == '-' };
	const char *equals = strchr(word, '=');
	size_t len = equals && equals > word ? (size_t)(equals - word) - 1 : 0;

	if ((*word != '+' && *word != '-') || len == 0 || len >= sizeof(p.name) ||
	    parse_address(equals + 1, &p) < 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "%.100s: not of the form +NAME=ADDRESS:PORT or -NAME=ADDRESS:PORT",
		               word);
	memcpy(p.name, word + 1, len);
	*ret_probe = p;
	return 0;
}

/* Short: a Pod can leave 4096 bytes behind. */
void test_probe_put(const struct test_probe *probes, size_t n, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++) {
		const struct test_probe *p = &probes[i];
		buf_printf(out, "%s{\"good\":%s,\"answered\":%s", i ? "," : "",
		           p->good ? "true" : "false", p->answered ? "true" : "false");
		if (*p->why) {
			buf_puts(out, ",\"why\":");
			buf_json_str(out, p->why);
		}
		if (!addr_is_none(&p->client))
			buf_printf(out, ",\"client\":\"%s\"", addr_str(&p->client));
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void read_one(struct json_object *said, struct test_probe *p)
{
	const char *why = kube_json_str(said, "why", NULL);
	const char *client = kube_json_str(said, "client", NULL);

	p->good = kube_json_bool(said, "good", false, NULL);
	p->answered = kube_json_bool(said, "answered", false, NULL);
	snprintf(p->why, sizeof(p->why), "%s", why ? why : "");
	if (client)
		addr_parse(client, &p->client);
}

int test_probe_read(const char *text, struct test_probe *probes, size_t n)
{
	struct json_object *all = kube_json_parse(text, strlen(text));
	int r = json_object_is_type(all, json_type_array) && json_object_array_length(all) == n
	                ? 0
	                : -EPROTO;

	for (size_t i = 0; r == 0 && i < n; i++)
		read_one(json_object_array_get_idx(all, i), &probes[i]);
	json_object_put(all);
	return r;
}
