/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An abstract socket is a lock that ends with its process, is the network namespace's own just as
 * the rules are, and tells who holds it.  Who waits stays connected to it: that connection's end is
 * the holder's.  It is never accepted; nothing is said on it.
 */
#include "config.h"

#include "proxy/sole.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"

/* How many may wait; more look again and again. */
#define SOLE_WAITING_MAX 16

struct sole {
	struct event_base *base;
	struct sockaddr_un name;
	socklen_t name_size;
	const struct sole_ops *ops;
	void *arg;
	bool is;
	int fd;           /* what holds the name, or is connected to who does; -1: neither */
	pid_t other;      /* who was told of; 0: nobody */
	struct event *ev; /* the other one's end, or the time to look again */
};

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void look(struct sole *s);

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct sole *s = arg;

	(void)fd;
	(void)what;
	event_free(TAKE(s->ev));
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	look(s);
	if (s->is)
		s->ops->alone(s->arg);
}

/* Holds the name if nobody does. */
static bool take(struct sole *s)
{
	int fd = open_socket();

	if (fd >= 0 && bind(fd, (struct sockaddr *)&s->name, s->name_size) == 0 &&
	    listen(fd, SOLE_WAITING_MAX) == 0) {
		s->fd = fd;
		return true;
	}
	bool taken = fd >= 0 && errno == EADDRINUSE;
	if (!taken)
		log_warn("cannot see whether another service proxy is at work here",
		         KV_S("error", strerror(errno)));
	if (fd >= 0)
		close(fd);
	return !taken;
}

/* Connects to the holder; 0, or a negative errno if that is not possible now. */
static int reach(struct sole *s, struct ucred *ret_who)
{
	socklen_t size = sizeof(*ret_who);
	int fd = open_socket();

	if (fd < 0 || connect(fd, (struct sockaddr *)&s->name, s->name_size) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_who, &size) < 0) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	s->fd = fd;
	return 0;
}

static void wait_for(struct sole *s)
{
	static const struct timeval retry = { SOLE_RETRY_MS / 1000, SOLE_RETRY_MS % 1000 * 1000 };

	s->ev = event_new(s->base, s->fd, s->fd >= 0 ? EV_READ : 0, on_event, s);
	event_add(s->ev, s->fd >= 0 ? NULL : &retry);
}

static void look(struct sole *s)
{
	struct ucred who = { .pid = 0 };

	s->is = take(s);
	if (s->is)
		return;
	bool reached = reach(s, &who) == 0;
	if (reached && who.uid != 0 && who.uid != geteuid()) {
		log_warn("a process without rights has taken the service proxy's name",
		         KV_I("process", who.pid));
		s->is = true;
		return;
	}
	wait_for(s);
	if (reached && who.pid == s->other)
		return;
	s->other = who.pid;
	s->ops->waits(who.pid, s->arg);
}

struct sole *sole_new(struct event_base *base, const char *name, const struct sole_ops *ops,
                      void *arg)
{
	struct sole *s = xcalloc(1, sizeof(*s));
	size_t len = strlen(name);

	s->base = base;
	s->ops = ops;
	s->arg = arg;
	s->fd = -1;
	s->name.sun_family = AF_UNIX;
	len = len < sizeof(s->name.sun_path) ? len : sizeof(s->name.sun_path) - 1;
	memcpy(s->name.sun_path + 1, name, len); /* behind a NUL, which makes it abstract */
	s->name_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	look(s);
	return s;
}

void sole_free(struct sole *s)
{
	if (!s)
		return;
	if (s->ev)
		event_free(s->ev);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

bool sole_is(const struct sole *s)
{
	return s->is;
}

pid_t sole_other(const struct sole *s)
{
	return s->is ? 0 : s->other;
}
