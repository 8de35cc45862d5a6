/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "vty_server.h"

#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "bgp/vty.h"
#include "fairlead/mem.h"

#define CONNECTIONS_MAX 8

struct vty_server {
	struct bgpd_fake *fake;
	struct evconnlistener *listener;
	struct bufferevent *connections[CONNECTIONS_MAX];
	char *path;
	bool hung;
	const char *hangs_at; /* NULL: nothing */
	const char *summary;  /* that it shows instead of its own */
	uint8_t summary_status;
	const char *running; /* likewise */
	unsigned int accepted;
};

static void put_summary(const struct bgpd_fake *f, struct buf *out)
{
	buf_puts(out, "{\"ipv4Unicast\":{\"peers\":{");
	for (size_t i = 0; i < f->s.n_peers; i++)
		buf_printf(out, "%s\"%s\":{\"state\":\"Established\",\"pfxSnt\":%zu}", i ? "," : "",
		           addr_str(&f->s.peers[i].address), f->s.n_networks);
	buf_puts(out, "}}}");
}

static uint8_t execute(const struct vty_server *s, const char *command, struct buf *out)
{
	struct bgpd_fake *f = s->fake;

	if (!strcmp(command, "configure terminal"))
		f->node = BGP_AT_CONFIG;
	else if (!strcmp(command, "do show running-config"))
		bgpd_fake_show(f, out);
	else if (!strcmp(command, "show running-config") && s->running)
		buf_puts(out, s->running);
	else if (!strcmp(command, "do show bgp summary json") && s->summary) {
		buf_puts(out, s->summary);
		return s->summary_status;
	} else if (!strcmp(command, "do show bgp summary json"))
		put_summary(f, out);
	else if (strcmp(command, "enable") != 0)
		return bgpd_fake_say(f, command);
	return VTY_SUCCESS;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct vty_server *s = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	while (!s->hung) {
		struct evbuffer_ptr end = evbuffer_search(in, "\0", 1, NULL);
		char command[4096];
		if (end.pos < 0 || (size_t)end.pos >= sizeof(command))
			return;
		evbuffer_copyout(in, command, (size_t)end.pos + 1);
		if (s->hangs_at && !strncmp(command, s->hangs_at, strlen(s->hangs_at))) {
			s->hangs_at = NULL;
			s->hung = true;
			return;
		}
		evbuffer_drain(in, (size_t)end.pos + 1);
		cleanup(buf_fini) struct buf out = BUF_INIT;
		uint8_t status = execute(s, command, &out);
		bufferevent_write(bev, out.data, out.size);
		bufferevent_write(bev, (uint8_t[]){ 0, 0, 0, status }, 4);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct vty_server *s = arg;

	(void)what;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (s->connections[i] == bev)
			s->connections[i] = NULL;
	bufferevent_free(bev);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
                      int sa_size, void *arg)
{
	struct vty_server *s = arg;

	(void)sa;
	(void)sa_size;
	s->accepted++;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (!s->connections[i]) {
			s->connections[i] = bufferevent_socket_new(
				evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
			bufferevent_setcb(s->connections[i], on_read, NULL, on_event, s);
			bufferevent_enable(s->connections[i], EV_READ | EV_WRITE);
			return;
		}
	fail_msg("too many connections");
}

struct vty_server *vty_server_start(struct event_base *base, const char *path,
                                    struct bgpd_fake *fake)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct vty_server *s = xcalloc(1, sizeof(*s));

	assert_true(strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path) + 1);
	unlink(path);
	s->fake = fake;
	s->path = xstrdup(path);
	s->listener = evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 8,
	                                      (struct sockaddr *)&sa, sizeof(sa));
	assert_non_null(s->listener);
	return s;
}

void vty_server_stop(struct vty_server *s)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (s->connections[i])
			bufferevent_free(s->connections[i]);
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s->path);
	free(s);
}

void vty_server_hang(struct vty_server *s, bool hung)
{
	s->hung = hung;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (s->connections[i])
			on_read(s->connections[i], s);
}

void vty_server_hang_at(struct vty_server *s, const char *word)
{
	s->hangs_at = word;
}

bool vty_server_is_hung(const struct vty_server *s)
{
	return s->hung;
}

void vty_server_summary(struct vty_server *s, const char *text, uint8_t status)
{
	s->summary = text;
	s->summary_status = status;
}

void vty_server_running(struct vty_server *s, const char *text)
{
	s->running = text;
}

unsigned int vty_server_accepted(const struct vty_server *s)
{
	return s->accepted;
}

unsigned int vty_server_open(const struct vty_server *s)
{
	unsigned int n = 0;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		n += s->connections[i] != NULL;
	return n;
}
