/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube_world.h"

#include "unit.h"

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "kube/access.h"

/* Nothing takes so long; a test that hangs fails instead. */
#define PATIENCE_MS 20000

struct kube_access *kube_world_access(const char *text)
{
	struct kube_access *a = xcalloc(1, sizeof(*a));
	const struct kubeconfig_file file = { text, strlen(text), "/nowhere" };
	struct err e = ERR_INIT;

	if (kubeconfig_resolve(&file, 1, NULL, a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

void kube_world_start(struct kube_world *w, SSL_CTX *tls, loopback_handler *handler, void *arg)
{
	*w = (struct kube_world){ .base = event_base_new() };
	w->server = loopback_start(w->base, tls, handler, arg);
}

void kube_world_connect(struct kube_world *w, const char *scheme, const char *cluster_extra,
                        const char *user)
{
	cleanup_free char *text = xasprintf(
		"{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],\n"
		" clusters: [{name: k, cluster: {server: '%s://127.0.0.1:%d/'%s}}],\n"
		" users: [{name: u, user: {%s}}]}",
		scheme, loopback_port(w->server), cluster_extra, user);

	w->access = kube_world_access(text);
	w->client = kube_client_new(w->base, w->access, "test/1");
}

void kube_world_stop(struct kube_world *w)
{
	kube_client_free(w->client);
	kube_access_free(w->access);
	loopback_stop(w->server);
	event_base_free(w->base);
}

static void wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static struct event *new_tick(struct kube_world *w, int ms)
{
	struct event *tick = event_new(w->base, -1, EV_PERSIST, wake, NULL);

	event_add(tick, &(struct timeval){ 0, ms * 1000 });
	return tick;
}

void kube_world_run_until(struct kube_world *w, const int *counter, int want)
{
	int64_t deadline = clock_ms() + PATIENCE_MS;
	struct event *tick = new_tick(w, 100);

	while (*counter < want) {
		event_base_loop(w->base, EVLOOP_ONCE);
		if (clock_ms() > deadline)
			fail_msg("still %d instead of %d", *counter, want);
	}
	event_free(tick);
}

void kube_world_run_for(struct kube_world *w, int ms)
{
	int64_t until = clock_ms() + ms;
	struct event *tick = new_tick(w, 5);

	while (clock_ms() < until)
		event_base_loop(w->base, EVLOOP_ONCE);
	event_free(tick);
}
