/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	DOWN ── connect(), "enable" sent ──► ENABLING ── its reply ──► UP
 *	  ▲                                     │                      │
 *	  └──── error, end of file, or no reply within the time ───────┘   then again after a
 *	                                                                   backoff
 *
 * One queue, in the order of the commands: [answered, sent) is in flight, [sent, n) waits.  The
 * window is small because bgpd goes on executing what it has received even after we are gone, so
 * that what is in flight cannot be taken back.
 *
 * The timer has two meanings, the backoff while down and the deadline of the oldest command else.
 * A callback may reset the client from within a reply: `epoch` tells the reader's loop that the
 * connection it was reading no longer exists.
 */
#include "config.h"

#include "bgp/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "bgp/vty.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

/* before other events get their turn */
#define READ_SIZE 65536
#define READS_MAX 64

struct command {
	char *text;
	unsigned int flags;
	uint32_t tag;
};

enum life { LIFE_DOWN, LIFE_ENABLING, LIFE_UP };

struct vty_client {
	struct event_base *base;
	char *path;
	unsigned int timeout_ms, backoff_ms;
	struct vty_client_ops ops;
	void *arg;

	enum life life;
	int fd;
	struct event *ev_read, *ev_write,
		*ev_timer; /* the timer: retry while down, deadline else */
	struct vty_reader reader;
	struct buf out;
	uint64_t n_up;
	unsigned int epoch; /* grows with every connection made or dropped */

	/* [0, sent) was sent and waits for replies from @answered on; [sent, n) waits. */
	struct command *queue;
	size_t n, cap, sent, answered;
};

static void try_connect(struct vty_client *c);

/* ---- queue ---- */

static void queue_clear(struct vty_client *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->queue[i].text);
	c->n = c->sent = c->answered = 0;
}

static void set_timer(struct vty_client *c, unsigned int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	event_add(c->ev_timer, &tv);
}

static void set_deadline(struct vty_client *c)
{
	if (c->sent > c->answered)
		set_timer(c, c->timeout_ms);
	else
		event_del(c->ev_timer);
}

static void flush_out(struct vty_client *c)
{
	while (c->out.size) {
		ssize_t n = send(c->fd, c->out.data, c->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			buf_consume(&c->out, (size_t)n);
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			/* A lost connection shows at the next read; a full one when it drains. */
			event_add(c->ev_write, NULL);
			return;
		}
	}
}

static void pump(struct vty_client *c)
{
	bool idle = c->sent == c->answered;

	while (c->sent < c->n) {
		size_t in_flight = c->sent - c->answered;
		if (in_flight && (c->queue[c->sent - 1].flags & VTY_WAIT))
			break;
		if (in_flight == VTY_WINDOW)
			break;
		vty_frame(c->queue[c->sent++].text, &c->out, NULL);
	}
	flush_out(c);
	if (idle)
		set_deadline(c);
}

int vty_client_send(struct vty_client *c, const char *text, unsigned int flags, uint32_t tag,
                    struct err *e)
{
	int r = vty_check(text, e);

	if (r)
		return r;
	if (c->life == LIFE_DOWN)
		return err_set(e, -ENOTCONN, ERR_SYSTEM, "%s: not connected", c->path);
	if (c->n == VTY_QUEUE_MAX)
		return err_set(e, -ENOBUFS, ERR_LIMIT, "%s: too many commands wait", c->path);
	ARRAY_RESERVE(c->queue, c->cap, c->n + 1);
	c->queue[c->n++] = (struct command){ xstrdup(text), flags, tag };
	/*
	 * What follows may go out in the same write, so sending waits for the event loop's next
	 * turn.
	 */
	event_active(c->ev_write, EV_WRITE, 0);
	return 0;
}

void vty_client_cancel(struct vty_client *c)
{
	while (c->n > c->sent)
		free(c->queue[--c->n].text);
}

/* ---- life ---- */

static void disconnect(struct vty_client *c)
{
	event_del(c->ev_timer);
	event_del(c->ev_write);
	if (c->ev_read)
		event_free(c->ev_read);
	c->ev_read = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->life = LIFE_DOWN;
	c->epoch++;
	vty_reader_fini(&c->reader);
	vty_reader_init(&c->reader);
	buf_clear(&c->out);
	queue_clear(c);
}

void vty_client_reset(struct vty_client *c, const struct err *e)
{
	unsigned int half = c->backoff_ms / 2;

	disconnect(c);
	set_timer(c, half + (unsigned int)clock_random_below(half + 1));
	if (c->backoff_ms < VTY_BACKOFF_MAX_MS)
		c->backoff_ms *= 2;
	c->ops.down(e, c->arg);
}

static void fail(struct vty_client *c, int error, const char *what)
{
	struct err e;

	if (error == EACCES || error == EPERM)
		err_set(&e, -error, ERR_SYSTEM,
		        "%s: %s: permission denied; the speaker needs the supplementary group "
		        "frrvty",
		        c->path, what);
	else if (error == EAGAIN)
		err_set(&e, -error, ERR_SYSTEM,
		        "%s: %s: too many connections wait already; the daemon hangs", c->path,
		        what);
	else if (error)
		err_set(&e, -error, ERR_SYSTEM, "%s: %s: %s", c->path, what, strerror(error));
	else
		err_set(&e, -EPIPE, ERR_SYSTEM, "%s: %s", c->path, what);
	vty_client_reset(c, &e);
}

static void on_reply(struct vty_client *c, uint8_t status)
{
	struct command *cmd = &c->queue[c->answered++];
	uint32_t tag = cmd->tag;

	if (c->answered == c->n) {
		queue_clear(c);
	} else {
		free(cmd->text);
		cmd->text = NULL;
	}
	set_deadline(c);
	if (c->life == LIFE_ENABLING) {
		if (status != VTY_SUCCESS) {
			fail(c, 0, "enable was refused");
			return;
		}
		c->life = LIFE_UP;
		c->n_up++;
		c->ops.up(c->arg);
		return;
	}
	c->backoff_ms = VTY_BACKOFF_MIN_MS;
	c->ops.reply(tag, status, buf_str(&c->reader.text), c->reader.text.size, c->arg);
}

/* Returns false if the connection is no longer the one that the bytes came from. */
static bool feed(struct vty_client *c, const char *data, size_t size)
{
	unsigned int epoch = c->epoch;
	size_t at = 0;

	while (at < size) {
		size_t used;
		uint8_t status;
		int r = vty_reader_feed(&c->reader, data + at, size - at, &used, &status);
		if (r < 0) {
			fail(c, 0,
			     r == -EMSGSIZE ? "a reply that is too long"
			                    : "what answers does not speak vty");
			return false;
		}
		at += used;
		if (r == 0)
			break;
		if (c->sent == c->answered) {
			fail(c, 0, "a reply to nothing; what answers does not speak vty");
			return false;
		}
		on_reply(c, status);
		if (c->epoch != epoch)
			return false;
	}
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct vty_client *c = arg;
	char data[READ_SIZE];

	(void)what;
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0) {
			if (!feed(c, data, (size_t)n))
				return;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			break;
		} else {
			fail(c, n < 0 ? errno : 0, n < 0 ? "read" : "the daemon closed the socket");
			return;
		}
	}
	pump(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct vty_client *c = arg;

	(void)fd;
	(void)what;
	if (c->life != LIFE_DOWN)
		pump(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct vty_client *c = arg;

	(void)fd;
	(void)what;
	if (c->life == LIFE_DOWN) {
		try_connect(c);
		return;
	}
	cleanup(buf_fini) struct buf text = BUF_INIT;
	buf_printf(&text, "no reply within %u ms to: ", c->timeout_ms);
	vty_redact(c->queue[c->answered].text, &text);
	fail(c, 0, buf_str(&text));
}

static void try_connect(struct vty_client *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, c->path, strlen(c->path) + 1); /* its length was checked */
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		fail(c, errno, "connect");
		return;
	}
	c->epoch++;
	c->life = LIFE_ENABLING;
	c->ev_read = event_new(c->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	event_add(c->ev_read, NULL);
	event_free(c->ev_write);
	c->ev_write = event_new(c->base, c->fd, EV_WRITE, on_writable, c);
	vty_client_send(c, "enable", VTY_WAIT, 0, NULL);
}

int vty_client_new(struct event_base *base, const char *path, unsigned int timeout_ms,
                   const struct vty_client_ops *ops, void *arg, struct vty_client **ret_client,
                   struct err *e)
{
	struct sockaddr_un sa;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG, ERR_CONFIG,
		               "%s: longer than a socket's path may be", path);
	struct vty_client *c = xcalloc(1, sizeof(*c));
	c->base = base;
	c->path = xstrdup(path);
	c->timeout_ms = timeout_ms;
	c->backoff_ms = VTY_BACKOFF_MIN_MS;
	c->ops = *ops;
	c->arg = arg;
	c->fd = -1;
	vty_reader_init(&c->reader);
	c->ev_timer = event_new(base, -1, 0, on_timer, c);
	c->ev_write = event_new(base, -1, 0, on_writable, c);
	set_timer(c, 0);
	*ret_client = c;
	return 0;
}

void vty_client_free(struct vty_client *c)
{
	if (!c)
		return;
	disconnect(c);
	event_free(c->ev_timer);
	event_free(c->ev_write);
	vty_reader_fini(&c->reader);
	buf_fini(&c->out);
	free(c->queue);
	free(c->path);
	free(c);
}

bool vty_client_is_up(const struct vty_client *c)
{
	return c->life == LIFE_UP;
}

uint64_t vty_client_n_up(const struct vty_client *c)
{
	return c->n_up;
}
