/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/client.h"

#include <event2/event.h>

#include "kube/access.h"
#include "fairlead/mem.h"

/* Beside those of requests: one for each informer, and room for urgent ones. */
#define INFORMERS_MAX 32L
#define URGENT_MAX 4L

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	client_free_lanes(arg);
	request_pump(arg);
}

static struct multi *new_writing_lane(struct kube_client *c)
{
	return multi_new(c->base, c->access, c->user_agent, MULTI_HTTP2,
	                 KUBE_IN_FLIGHT_MAX + KUBE_EVENTS_IN_FLIGHT + URGENT_MAX, c->stall_ms);
}

static void add_stats(struct multi_stats *sum, struct multi_stats s)
{
	sum->connects += s.connects;
	sum->bytes_received += s.bytes_received;
}

static void free_lane(struct kube_client *c, struct multi *lane)
{
	add_stats(&c->past, multi_stats(lane));
	multi_free(lane);
}

void client_leave_lane(struct kube_client *c, const struct multi *lane)
{
	if (lane != c->writing || c->n_left == KUBE_LANES_LEFT_MAX)
		return;
	c->left[c->n_left++] = c->writing;
	c->writing = new_writing_lane(c);
}

void client_free_lanes(struct kube_client *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n_left; i++) {
		if (multi_is_idle(c->left[i]))
			free_lane(c, c->left[i]);
		else
			c->left[kept++] = c->left[i];
	}
	c->n_left = kept;
}

struct kube_client *kube_client_new(struct event_base *base, struct kube_access *access,
                                    const char *user_agent)
{
	struct kube_client *c = xcalloc(1, sizeof(*c));

	c->base = base;
	c->access = access;
	c->reading = multi_new(base, access, user_agent, MULTI_HTTP1,
	                       INFORMERS_MAX + KUBE_IN_FLIGHT_MAX + URGENT_MAX, 0);
	c->user_agent = xstrdup(user_agent);
	c->writing = new_writing_lane(c);
	c->pump = evtimer_new(base, on_pump, c);
	return c;
}

void kube_client_bound_writes(struct kube_client *c, int stall_ms)
{
	c->stall_ms = stall_ms;
	client_leave_lane(c, c->writing);
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
	for (size_t i = 0; i < c->n_left; i++)
		multi_free(c->left[i]);
	free(c->user_agent);
	event_free(c->pump);
	free(c);
}

size_t kube_client_server_addresses(const struct kube_client *c,
                                    struct addr ret_addrs[static KUBE_SERVER_ADDRESSES_MAX])
{
	const struct addr answered = multi_peer(c->reading);
	size_t n = kube_server_host(kube_access_server(c->access), &ret_addrs[0]);

	if (!addr_is_none(&answered) && !addrs_contain(ret_addrs, n, &answered))
		ret_addrs[n++] = answered;
	return n;
}

struct kube_client_stats kube_client_stats(const struct kube_client *c)
{
	struct kube_client_stats s = c->stats;
	struct multi_stats lanes = c->past;

	add_stats(&lanes, multi_stats(c->reading));
	add_stats(&lanes, multi_stats(c->writing));
	for (size_t i = 0; i < c->n_left; i++)
		add_stats(&lanes, multi_stats(c->left[i]));
	s.events_waiting = c->n_events;
	s.connects = lanes.connects;
	s.bytes_received = lanes.bytes_received;
	return s;
}
