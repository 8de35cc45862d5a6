/* SPDX-License-Identifier: Apache-2.0 */
/*
 * They run in parallel with the backend's programs, and only read: none of them waits for a lock.
 * One that takes too long is killed; output that does not fit is read and thrown away, since a
 * program whose output nobody reads would hang until its deadline.  A file is read piece by piece.
 */
#include "config.h"

#include "proxy/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "proxy/child.h"

#define DUMP_PROGRAM_MS 8000
#define DUMP_PIECE_BYTES 32768

_Static_assert(DUMP_PROGRAMS_MAX *DUMP_PROGRAM_MS < LIMIT_HTTP_DUMP_MS,
               "who waits must not give up before");

struct proxy_dump {
	struct event_base *base;
	struct dump_program programs[DUMP_PROGRAMS_MAX];
	size_t n, at; /* whose turn it is */
	struct child *child;
	int fd; /* of the file that is read; -1: none */
	struct event *next;
	struct buf text;
	bool cut;
	void (*done)(struct buf *text, void *arg);
	void *arg;
};

static const char *program(const struct proxy_dump *d)
{
	const struct dump_program *p = &d->programs[d->at];

	return p->file ? p->file : p->argv[0];
}

static void come_again(struct proxy_dump *d)
{
	static const struct timeval now = { 0, 0 };

	evtimer_add(d->next, &now);
}

static void go_on(struct proxy_dump *d)
{
	d->at++;
	come_again(d);
}

static void on_output(const char *data, size_t size, void *arg)
{
	struct proxy_dump *d = arg;
	size_t room =
		d->text.size < LIMIT_HTTP_DUMP_BYTES ? LIMIT_HTTP_DUMP_BYTES - d->text.size : 0;

	d->cut = d->cut || size > room;
	buf_add(&d->text, data, size < room ? size : room);
}

static void say_if_cut(struct proxy_dump *d)
{
	if (d->cut)
		buf_printf(&d->text, "\n# %s: cut here: a page has at most %d bytes\n", program(d),
		           LIMIT_HTTP_DUMP_BYTES);
}

static void on_done(const struct child_result *r, void *arg)
{
	struct proxy_dump *d = arg;
	const char *errors = r->errors;

	d->child = NULL;
	say_if_cut(d);
	if (!r->exited)
		buf_printf(&d->text, "# %s: killed, or it took longer than %d ms\n", program(d),
		           DUMP_PROGRAM_MS);
	else if (r->code != 0)
		buf_printf(&d->text, "# %s: exit status %d\n", program(d), r->code);
	for (size_t len; *errors; errors += len + (errors[len] == '\n')) {
		len = strcspn(errors, "\n");
		buf_printf(&d->text, "# %s: %.*s\n", program(d), (int)len, errors);
	}
	go_on(d);
}

/* ---- files ---- */

static void read_some(struct proxy_dump *d)
{
	char piece[DUMP_PIECE_BYTES];
	ssize_t n = read(d->fd, piece, sizeof(piece));

	if (n < 0 && errno == EINTR) {
		come_again(d);
		return;
	}
	if (n > 0)
		on_output(piece, (size_t)n, d);
	if (n > 0 && !d->cut) {
		come_again(d);
		return;
	}
	say_if_cut(d);
	if (n < 0)
		buf_printf(&d->text, "# %s\n", strerror(errno));
	close(d->fd);
	d->fd = -1;
	go_on(d);
}

static void open_file(struct proxy_dump *d)
{
	const char *path = d->programs[d->at].file;

	d->cut = false;
	buf_printf(&d->text, "# %s\n", path);
	d->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (d->fd >= 0) {
		come_again(d);
		return;
	}
	buf_printf(&d->text, "# %s\n", strerror(errno));
	go_on(d);
}

/* ---- programs ---- */

static void run_program(struct proxy_dump *d)
{
	static const struct child_ops ops = { .output = on_output, .done = on_done };
	const struct dump_program *p = &d->programs[d->at];
	struct err e = ERR_INIT;

	d->cut = false;
	buf_puts(&d->text, "#");
	for (size_t i = 0; p->argv[i]; i++)
		buf_printf(&d->text, " %s", p->argv[i]);
	buf_putc(&d->text, '\n');
	if (p->skip)
		buf_printf(&d->text, "# %s\n", p->skip);
	else if (child_start(d->base, p->argv, NULL, DUMP_PROGRAM_MS, &ops, d, &d->child, &e) < 0)
		buf_printf(&d->text, "# %s\n", e.msg);
	if (!d->child)
		go_on(d);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct proxy_dump *d = arg;

	(void)fd;
	(void)what;
	if (d->fd >= 0) {
		read_some(d);
		return;
	}
	if (d->at < d->n) {
		if (d->programs[d->at].file)
			open_file(d);
		else
			run_program(d);
		return;
	}
	d->done(&d->text, d->arg);
	proxy_dump_cancel(d);
}

struct proxy_dump *dump_start(struct event_base *base, const struct dump_program *programs,
                              size_t n, void (*done)(struct buf *text, void *arg), void *arg)
{
	static const struct timeval now = { 0, 0 };
	struct proxy_dump *d = xcalloc(1, sizeof(*d));

	*d = (struct proxy_dump){ .base = base, .n = n, .fd = -1, .done = done, .arg = arg };
	memcpy(d->programs, programs, n * sizeof(*programs));
	d->next = evtimer_new(base, on_next, d);
	evtimer_add(d->next, &now);
	return d;
}

void proxy_dump_cancel(struct proxy_dump *d)
{
	if (!d)
		return;
	child_abandon(d->child);
	if (d->fd >= 0)
		close(d->fd);
	event_free(d->next);
	buf_fini(&d->text);
	free(d);
}
