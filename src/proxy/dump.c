/* SPDX-License-Identifier: Apache-2.0 */
/*
 * They run in parallel with the backend's programs, and only read: none of them waits for a lock.
 * One that takes too long is killed; output that does not fit is read and thrown away, since a
 * program whose output nobody reads would hang until its deadline.
 */
#include "config.h"

#include "proxy/dump.h"

#include <string.h>

#include <event2/event.h>

#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "proxy/child.h"

#define DUMP_PROGRAM_MS 8000

_Static_assert(DUMP_PROGRAMS_MAX *DUMP_PROGRAM_MS < LIMIT_HTTP_DUMP_MS,
               "who waits must not give up before");

struct proxy_dump {
	struct event_base *base;
	struct dump_program programs[DUMP_PROGRAMS_MAX];
	size_t n, at; /* whose turn it is */
	struct child *child;
	struct event *next;
	struct buf text;
	bool cut;
	void (*done)(struct buf *text, void *arg);
	void *arg;
};

static const char *program(const struct proxy_dump *d)
{
	return d->programs[d->at].argv[0];
}

static void go_on(struct proxy_dump *d)
{
	static const struct timeval now = { 0, 0 };

	d->at++;
	evtimer_add(d->next, &now);
}

static void on_output(const char *data, size_t size, void *arg)
{
	struct proxy_dump *d = arg;
	size_t room =
		d->text.size < LIMIT_HTTP_DUMP_BYTES ? LIMIT_HTTP_DUMP_BYTES - d->text.size : 0;

	d->cut = d->cut || size > room;
	buf_add(&d->text, data, size < room ? size : room);
}

static void on_done(const struct child_result *r, void *arg)
{
	struct proxy_dump *d = arg;
	const char *errors = r->errors;

	d->child = NULL;
	if (d->cut)
		buf_printf(&d->text, "\n# %s: cut here: a page has at most %d bytes\n", program(d),
		           LIMIT_HTTP_DUMP_BYTES);
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
	if (d->at < d->n) {
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

	*d = (struct proxy_dump){ .base = base, .n = n, .done = done, .arg = arg };
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
	event_free(d->next);
	buf_fini(&d->text);
	free(d);
}
