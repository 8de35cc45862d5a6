/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "client.h"

#include <event2/event.h>

#include "fairlead/mem.h"

/* Beside those of requests: one for each informer, and room for urgent ones. */
#define INFORMERS_MAX 32L
#define URGENT_MAX 4L

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
	c->reading = multi_new(base, access, user_agent, MULTI_HTTP1,
	                       INFORMERS_MAX + KUBE_IN_FLIGHT_MAX + URGENT_MAX);
	c->writing =
		multi_new(base, access, user_agent, MULTI_HTTP2, KUBE_IN_FLIGHT_MAX + URGENT_MAX);
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
	multi_free(c->reading);
	multi_free(c->writing);
	event_free(c->pump);
	free(c);
}

struct kube_client_stats kube_client_stats(const struct kube_client *c)
{
	struct kube_client_stats s = c->stats;
	struct multi_stats reading = multi_stats(c->reading), writing = multi_stats(c->writing);
	s.connects = reading.connects + writing.connects;
	s.bytes_received = reading.bytes_received + writing.bytes_received;
	return s;
}
