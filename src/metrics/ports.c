/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of one crowd (clients.c).  No client is refused for coming beyond the bounds: an answer
 * costs less than to say so.
 */
#include "config.h"

#include "fairlead/http_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include "fairlead/limits.h"
#include "fairlead/listen.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "metrics/clients.h"

struct http_port {
	LIST_ENTRY(http_port) entry;
	struct http_ports *of;
	struct listener *listener;
	http_port_serve_fn *serve;
	void *arg;
};

struct http_ports {
	struct clients *clients;
	LIST_HEAD(, http_port) all;
	size_t n;
};

static void serve(struct client *c, const struct request *r, void *arg)
{
	const struct http_port *p = client_tag(c);
	struct http_answer a = { .code = 404, .header = BUF_INIT, .body = BUF_INIT };

	(void)arg;
	p->serve(r->path, &a, p->arg);
	client_answer(c, a.code, a.type, buf_str(&a.header), buf_str(&a.body), a.body.size);
	buf_fini(&a.header);
	buf_fini(&a.body);
}

struct http_ports *http_ports_new(struct event_base *base)
{
	static const struct clients_bounds bounds = { LIMIT_HEALTH_CLIENTS,
		                                      LIMIT_HEALTH_CLIENTS_PER_PORT };
	struct http_ports *ps = xcalloc(1, sizeof(*ps));

	LIST_INIT(&ps->all);
	ps->clients = clients_new(base, &bounds, serve, ps);
	return ps;
}

void http_ports_free(struct http_ports *ps)
{
	struct http_port *p;

	if (!ps)
		return;
	while ((p = LIST_FIRST(&ps->all)))
		http_port_close(p);
	clients_free(ps->clients);
	free(ps);
}

/* Half of the descriptors at most. */
static size_t most_ports(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur / 2 < LIMIT_HEALTH_PORTS)
		return (size_t)(r.rlim_cur / 2);
	return LIMIT_HEALTH_PORTS;
}

static int open_port(struct http_ports *ps, const struct addr *a, uint16_t port, bool apart,
                     http_port_serve_fn *serve_fn, void *arg, struct http_port **ret_port)
{
	if (ps->n >= most_ports())
		return -ENFILE;
	int fd = a ? listen_on(a, port, apart) : listen_on_all(port);
	if (fd < 0)
		return fd;
	struct http_port *p = xcalloc(1, sizeof(*p));
	*p = (struct http_port){ .of = ps, .serve = serve_fn, .arg = arg };
	p->listener = clients_listen(ps->clients, fd, p);
	LIST_INSERT_HEAD(&ps->all, p, entry);
	ps->n++;
	*ret_port = p;
	return 0;
}

int http_port_open(struct http_ports *ps, const struct addr *a, uint16_t port,
                   http_port_serve_fn *serve_fn, void *arg, struct http_port **ret_port)
{
	return open_port(ps, a, port, false, serve_fn, arg, ret_port);
}

int http_port_open_apart(struct http_ports *ps, const struct addr *a, uint16_t port,
                         http_port_serve_fn *serve_fn, void *arg, struct http_port **ret_port)
{
	return open_port(ps, a, port, true, serve_fn, arg, ret_port);
}

void http_port_close(struct http_port *p)
{
	if (!p)
		return;
	p->of->n--;
	LIST_REMOVE(p, entry);
	listener_close(p->listener);
	free(p);
}

void http_ports_metrics(const struct http_ports *ps, struct metrics_writer *w)
{
	const struct clients_stats *st = clients_stats(ps->clients);

	metrics_family(w, METRIC_fairlead_health_refused_total);
	for (int i = 0; i < CLIENTS_N_REFUSALS; i++)
		metrics_sample(w, (double)st->refused[i], "reason",
		               clients_refusal_name((enum clients_refusal)i), NULL);
}
