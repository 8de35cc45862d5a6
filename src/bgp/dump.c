/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bgpd reports about itself, for troubleshooting.
 *
 * It is asked over a separate connection, so that neither the engine's commands nor their deadlines
 * wait for the answers.  Only bgpd's own routes are asked for: in an instance with others' peers
 * the whole table may have a million, and bgpd does nothing else while it prints them.  Passwords
 * stand in the running configuration; they are taken out here, before the text goes anywhere.
 */
#include "config.h"

#include <string.h>

#include <event2/event.h>

#include "bgp/client.h"
#include "bgp/vty.h"
#include "fairlead/bgp.h"
#include "fairlead/limits.h"
#include "fairlead/mem.h"

#define DUMP_REPLY_MS 5000
#define DUMP_MS 15000

_Static_assert(DUMP_MS < LIMIT_HTTP_DUMP_MS, "who waits must not give up before");

static const char *const commands[] = {
	"show version",
	"show bgp summary",
	"show bgp ipv4 unicast self-originate",
	"show bgp ipv6 unicast self-originate",
	"show bgp neighbors",
	"show running-config",
};

struct bgp_dump {
	struct vty_client *client;
	struct event *end; /* the deadline; or, when all is there, at once */
	struct buf text;
	bool cut, ended;
	void (*done)(struct buf *text, void *arg);
	void *arg;
};

static void end_soon(struct bgp_dump *d)
{
	static const struct timeval now = { 0, 0 };

	d->ended = true;
	evtimer_add(d->end, &now);
}

static void on_up(void *arg)
{
	struct bgp_dump *d = arg;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (vty_client_send(d->client, commands[i], VTY_WAIT, (uint32_t)i, &e) < 0)
			buf_printf(&d->text, "# %s: %s\n", commands[i], e.msg);
}

/* One line, and whether there was room. */
static bool put_line(struct bgp_dump *d, const char *line, size_t len)
{
	cleanup_free char *copy = xstrndup(line, len);

	if (d->text.size + len >= LIMIT_HTTP_DUMP_BYTES)
		return false;
	vty_redact(copy, &d->text);
	buf_putc(&d->text, '\n');
	return true;
}

static void on_reply(uint32_t tag, uint8_t status, const char *text, size_t size, void *arg)
{
	struct bgp_dump *d = arg;

	(void)size;
	if (d->ended)
		return;
	buf_printf(&d->text, "# %s\n", commands[tag]);
	if (status != VTY_SUCCESS)
		buf_printf(&d->text, "# status: %s\n", vty_status_name(status));
	for (size_t len; !d->cut && *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		d->cut = !put_line(d, text,
		                   text[len] && len && text[len - 1] == '\r' ? len - 1 : len);
	}
	if (d->cut)
		buf_printf(&d->text, "# cut here: a page has at most %d bytes\n",
		           LIMIT_HTTP_DUMP_BYTES);
	if (d->cut || tag == ARRAY_LEN(commands) - 1)
		end_soon(d);
}

static void on_down(const struct err *e, void *arg)
{
	struct bgp_dump *d = arg;

	if (d->ended)
		return;
	buf_printf(&d->text, "# %s\n", e->msg);
	end_soon(d);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct bgp_dump *d = arg;

	(void)fd;
	(void)what;
	if (!d->ended)
		buf_printf(&d->text, "# bgpd took longer than %d ms; the rest is left out\n",
		           DUMP_MS);
	d->done(&d->text, d->arg);
	bgp_dump_cancel(d);
}

struct bgp_dump *bgp_dump_start(struct event_base *base, const char *socket,
                                void (*done)(struct buf *text, void *arg), void *arg)
{
	static const struct vty_client_ops ops = { .up = on_up,
		                                   .reply = on_reply,
		                                   .down = on_down };
	static const struct timeval deadline = { DUMP_MS / 1000, 0 };
	struct bgp_dump *d = xcalloc(1, sizeof(*d));
	struct err e = ERR_INIT;

	*d = (struct bgp_dump){ .done = done, .arg = arg };
	d->end = evtimer_new(base, on_end, d);
	evtimer_add(d->end, &deadline);
	if (vty_client_new(base, socket, DUMP_REPLY_MS, &ops, d, &d->client, &e) < 0)
		on_down(&e, d);
	return d;
}

void bgp_dump_cancel(struct bgp_dump *d)
{
	if (!d)
		return;
	vty_client_free(d->client);
	event_free(d->end);
	buf_fini(&d->text);
	free(d);
}
