/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <utlist.h>

#include "fairlead/mem.h"

#define BGP_PORT 179
/* Not asked about for this long: the session was up meanwhile, or is no longer wanted. */
#define PAUSE_MS 5000

struct probe {
	struct probes *all;
	struct probe_way way;
	int64_t first_ms, asked_ms; /* it was asked about */
	int64_t begun_ms;           /* the last attempt; 0: none yet */
	int fd;                     /* -1: no attempt is under way */
	struct event *ev;
	bool unanswered; /* the last one */
	char words[PROBE_WORDS_SIZE];
	struct probe *prev, *next;
};

struct probes {
	struct event_base *base;
	struct probe *list;
};

void probe_words(const struct probe_way *way, int error, char out[static PROBE_WORDS_SIZE])
{
	unsigned int port = way->port ? way->port : BGP_PORT;

	switch (error) {
	case 0:
		out[0] = 0;
		break;
	case ECONNREFUSED:
		snprintf(out, PROBE_WORDS_SIZE, "the router refuses connections to TCP port %u",
		         port);
		break;
	case ETIMEDOUT:
		snprintf(out, PROBE_WORDS_SIZE, "the router does not answer on TCP port %u", port);
		break;
	case ENETUNREACH:
		snprintf(out, PROBE_WORDS_SIZE, "there is no route to the router");
		break;
	case EHOSTUNREACH:
		snprintf(out, PROBE_WORDS_SIZE,
		         "the router is unreachable: nothing answers for its address, or a router "
		         "on the way says so%s",
		         way->one_hop ? "; one that is not on the link needs ebgp-multihop" : "");
		break;
	case EADDRNOTAVAIL:
		snprintf(out, PROBE_WORDS_SIZE, "this node does not have the source address %s",
		         addr_str(&way->from));
		break;
	default:
		snprintf(out, PROBE_WORDS_SIZE, "connecting to TCP port %u of the router fails: %s",
		         port, strerror(error));
	}
}

/* ---- one attempt ---- */

static void end(struct probe *p)
{
	if (p->ev)
		event_free(TAKE(p->ev));
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void conclude(struct probe *p, int error)
{
	end(p);
	p->unanswered = error == ETIMEDOUT;
	probe_words(&p->way, error, p->words);
}

static void on_outcome(evutil_socket_t fd, short what, void *arg)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (what & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	conclude(arg, error);
}

static socklen_t to_sockaddr(const struct addr *a, unsigned int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (a->family == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		memcpy(&in->sin_addr, a->b, sizeof(in->sin_addr));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	memcpy(&in6->sin6_addr, a->b, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

/*
 * A connection that succeeded ends with a reset, not with the regular close of one that was used.
 */
static int prepare(int fd, const struct probe_way *way)
{
	const struct linger reset = { .l_onoff = 1 };
	const int hops = 1;
	struct sockaddr_storage from;
	int r = setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));

	if (r == 0 && way->one_hop && way->to.family == 4)
		r = setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	else if (r == 0 && way->one_hop)
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	if (r == 0 && !addr_is_none(&way->from)) {
		socklen_t n = to_sockaddr(&way->from, 0, &from);
		r = bind(fd, (struct sockaddr *)&from, n);
	}
	return r;
}

static void begin(struct probe *p)
{
	const struct timeval timeout = { PROBE_TIMEOUT_MS / 1000, PROBE_TIMEOUT_MS % 1000 * 1000L };
	struct sockaddr_storage to;
	socklen_t n = to_sockaddr(&p->way.to, p->way.port ? p->way.port : BGP_PORT, &to);

	p->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return;
	int r = prepare(p->fd, &p->way);
	if (r == 0)
		r = connect(p->fd, (struct sockaddr *)&to, n);
	if (r == 0 || errno != EINPROGRESS) {
		conclude(p, r == 0 ? 0 : errno);
		return;
	}
	p->ev = event_new(p->all->base, p->fd, EV_WRITE, on_outcome, p);
	if (!p->ev || event_add(p->ev, &timeout) < 0)
		end(p);
}

/* ---- all of them ---- */

struct probes *probes_new(struct event_base *base)
{
	struct probes *p = xcalloc(1, sizeof(*p));

	p->base = base;
	return p;
}

static void drop(struct probe *p)
{
	DL_DELETE(p->all->list, p);
	end(p);
	free(p);
}

void probes_free(struct probes *p)
{
	if (!p)
		return;
	while (p->list)
		drop(p->list);
	free(p);
}

static bool same_way(const struct probe_way *a, const struct probe_way *b)
{
	return addr_eq(&a->to, &b->to) && addr_eq(&a->from, &b->from) && a->port == b->port &&
	       a->one_hop == b->one_hop;
}

/* The probe for this path, a new one if need be; probes that nobody asks about any more go. */
static struct probe *probe_of(struct probes *all, const struct probe_way *way, int64_t now_ms)
{
	struct probe *p, *next, *found = NULL;

	DL_FOREACH_SAFE(all->list, p, next) {
		if (now_ms - p->asked_ms > PAUSE_MS)
			drop(p);
		else if (same_way(&p->way, way))
			found = p;
	}
	if (found)
		return found;
	p = xcalloc(1, sizeof(*p));
	p->all = all;
	p->way = *way;
	p->first_ms = now_ms;
	p->fd = -1;
	DL_APPEND(all->list, p);
	return p;
}

const char *probes_ask(struct probes *all, const struct probe_way *way, bool signed_only,
                       int64_t now_ms)
{
	struct probe *p = probe_of(all, way, now_ms);

	p->asked_ms = now_ms;
	if (p->fd < 0 && now_ms - p->first_ms >= PROBE_AFTER_MS &&
	    (!p->begun_ms || now_ms - p->begun_ms >= PROBE_EVERY_MS)) {
		p->begun_ms = now_ms;
		begin(p);
	}
	return p->unanswered && signed_only ? "" : p->words;
}
