/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "client.h"

#include <event2/event.h>

#include "fairlead/mem.h"

/* One for each informer: watches and lists do not share connections. */
#define WATCHING_CONNECTIONS_MAX 32L

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	request_pump(arg);
}

struct kube_client *kube_client_new(struct event_base *base, struct kube_access *access,
                                    const char *user_agent)
{
	struct kube_client *c = xcalloc(1, sizeof(*c));
	c->base = base;
	c->access = access;
	c->watching = multi_new(base, access, user_agent, WATCHING_CONNECTIONS_MAX);
	/* Room beyond the bound for urgent ones, over HTTP/1.1 where each takes a connection. */
	c->working = multi_new(base, access, user_agent, KUBE_IN_FLIGHT_MAX + 4L);
	c->pump = evtimer_new(base, on_pump, c);
	return c;
}

void kube_client_free(struct kube_client *c)
{
	if (!c)
		return;
	while (c->informers)
		kube_informer_stop(c->informers);
	struct kube_request **lists[] = { &c->urgent, &c->waiting, &c->background, &c->under_way };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		while (*lists[i])
			request_free(*lists[i]);
	multi_free(c->watching);
	multi_free(c->working);
	event_free(c->pump);
	free(c);
}

struct kube_client_stats kube_client_stats(const struct kube_client *c)
{
	struct kube_client_stats s = c->stats;
	struct multi_stats watching = multi_stats(c->watching), working = multi_stats(c->working);
	s.connects = watching.connects + working.connects;
	s.bytes_received = watching.bytes_received + working.bytes_received;
	return s;
}
