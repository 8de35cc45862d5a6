/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health-check node ports: a load balancer in front of the nodes asks each of them whether it has
 * endpoints of a Service with policy Local (spec.healthCheckNodePort), and on /healthz whether it
 * may send there anything at all.  Who carries the traffic answers: in proxy mode none that is
 * kube-proxy or its like, and nothing is served here.
 *
 * Ports are opened after the turn that wants them, when those that it does not want any more are
 * closed: one may have gone over to another Service.  A port that cannot be had is tried again; the
 * Event waits that long, since whoever is just being replaced may take a moment to end.
 *
 * Beyond what kube-proxy says, a node that is drained or at its end is unhealthy on all of them,
 * and so is one on which others keep a Service's rules from their work.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/decide.h"
#include "fairlead/forward.h"
#include "fairlead/hash.h"
#include "fairlead/http_ports.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/health.h"

#define RETRY_S 2
#define RETRY_MS (RETRY_S * 1000)

enum asked { ASKED_SERVICE, ASKED_PROXY, N_ASKED };

struct service_port {
	UT_hash_handle hh;
	struct health_ports *of;
	char *key;
	uint8_t uid[VIEW_UID_SIZE];
	uint8_t family; /* the first one of the Service's */
	uint16_t port;
	size_t known, wanted; /* as health_told() has them */
	struct listener {
		struct addr addr; /* none: all addresses */
		struct http_port *port;
	} open[LIMIT_HEALTH_ADDRESSES];
	size_t n_open;
	/* While it cannot be opened, or not at all addresses. */
	int error; /* negative errno; 0: it was not tried, or is open */
	int64_t failing_since_ms, retry_ms;
	bool told;
};

struct health_ports {
	struct speaker *sp;
	struct http_ports *http;
	struct service_port *services;
	struct event *open;
	struct addr addrs[LIMIT_HEALTH_ADDRESSES]; /* to listen on; one that is none: on all */
	size_t n_addrs, n_left_out;
	int64_t looked_ms; /* for them; 0: not yet */
	int64_t started_ms;
	struct health_sync sync;
	bool ending;                  /* uninstalled */
	uint64_t answers[N_ASKED][2]; /* 200, 503 */
};

/* ---- what is said ---- */

/* The rules as they were set last.  What ails the other family is of no concern. */
static bool is_in_force(const struct health_ports *h, const struct service_port *p)
{
	return proxy_is_applied(h->sp->proxy, p->key, p->family);
}

/* Whether others keep the Service's rules from their work, or they cannot be written. */
static bool is_hindered(const struct health_ports *h, const struct service_port *p)
{
	const struct proxy *proxy = h->sp->proxy;

	return proxy_forward_is_refused(proxy, p->family) ||
	       proxy_refusal(proxy, p->key, p->family) ||
	       proxy_is_damaged(proxy, p->key, p->family);
}

/* Before everything was programmed once it counts as healthy: who starts is not restarted. */
static bool is_in_sync(struct health_ports *h)
{
	const struct proxy_stats st = proxy_stats(h->sp->proxy);

	return health_sync_look(&h->sync, st.settled || !h->sp->complete, st.last_success_ms,
	                        clock_ms());
}

static bool takes_traffic(const struct health_ports *h)
{
	const struct view_node *n = view_node_named(h->sp->view, view_self(h->sp->view));

	return !h->ending && (!n || decide_node_ends(h->sp->view, n) == REASON_Candidate);
}

static void count(struct health_ports *h, enum asked what, const struct http_answer *a)
{
	if (a->code == 200 || a->code == 503)
		h->answers[what][a->code == 503]++;
}

static void serve_service(const char *path, struct http_answer *ret, void *arg)
{
	const struct service_port *p = arg;
	struct health_ports *h = p->of;
	const char *name = strchr(p->key, '/');
	cleanup_free char *namespace = xstrndup(p->key, (size_t)(name - p->key));
	const struct health_service a = {
		.namespace = namespace,
		.name = name + 1,
		.local_endpoints = health_told(p->known, p->wanted, is_in_force(h, p)),
		.healthy = is_in_sync(h) && takes_traffic(h) && !is_hindered(h, p),
	};

	(void)path;
	health_answer_service(&a, ret);
	count(h, ASKED_SERVICE, ret);
}

static bool is_eligible(const struct health_ports *h)
{
	const struct view_node *n = view_node_named(h->sp->view, view_self(h->sp->view));

	return h->sp->complete && n && !n->leaving && takes_traffic(h);
}

static void serve_proxy(const char *path, struct http_answer *ret, void *arg)
{
	struct health_ports *h = arg;
	int64_t now_ms = clock_ms(), now_us = clock_wall_us();
	int64_t updated_ms = proxy_stats(h->sp->proxy).last_success_ms;

	if (updated_ms < h->started_ms)
		updated_ms = h->started_ms;
	const struct health_proxy a = {
		.now_us = now_us,
		.updated_us = now_us - (now_ms - updated_ms) * 1000,
		.healthy = is_in_sync(h),
		.eligible = is_eligible(h),
		.v4 = proxy_has_family(h->sp->proxy, 4),
		.v6 = proxy_has_family(h->sp->proxy, 6),
	};
	health_answer_proxy(path, &a, ret);
	count(h, ASKED_PROXY, ret);
}

/* ---- the ports ---- */

static void try_again_in(struct health_ports *h, int seconds)
{
	const struct timeval tv = { .tv_sec = seconds };

	event_add(h->open, &tv);
}

static bool is_open(const struct service_port *p)
{
	return p->n_open > 0 && p->n_open == p->of->n_addrs;
}

static bool listens_on(const struct service_port *p, const struct addr *a)
{
	for (size_t i = 0; i < p->n_open; i++)
		if (addr_eq(&p->open[i].addr, a))
			return true;
	return false;
}

static int listen_at(struct service_port *p, const struct addr *a)
{
	struct listener *l = &p->open[p->n_open];
	struct http_ports *http = p->of->http;
	int r = addr_is_none(a)
	                ? http_port_open(http, NULL, p->port, serve_service, p, &l->port)
	                : http_port_open_apart(http, a, p->port, serve_service, p, &l->port);

	if (r < 0)
		return r;
	l->addr = *a;
	p->n_open++;
	return 0;
}

static void open_port(struct service_port *p, int64_t now_ms)
{
	const struct health_ports *h = p->of;
	int r = h->n_addrs ? 0 : -EADDRNOTAVAIL;

	for (size_t i = 0; i < h->n_addrs; i++) {
		int one = listens_on(p, &h->addrs[i]) ? 0 : listen_at(p, &h->addrs[i]);
		r = r ? r : one;
	}
	p->retry_ms = now_ms + RETRY_MS;
	if (!p->failing_since_ms)
		p->failing_since_ms = now_ms;
	p->error = r;
	if (r == 0)
		log_debug("health-check node port", KV_S("service", p->key), KV_I("port", p->port));
}

static void on_open(evutil_socket_t fd, short what, void *arg)
{
	struct health_ports *h = arg;
	int64_t now_ms = clock_ms();
	bool failing = false;

	(void)fd;
	(void)what;
	for (struct service_port *p = h->services; p; p = p->hh.next) {
		if (!is_open(p) && p->retry_ms <= now_ms)
			open_port(p, now_ms);
		failing |= !is_open(p);
	}
	if (failing)
		try_again_in(h, RETRY_S);
}

static void close_port(struct service_port *p)
{
	while (p->n_open > 0)
		http_port_close(p->open[--p->n_open].port);
	p->error = 0;
	p->failing_since_ms = p->retry_ms = 0;
	p->told = false;
}

static void service_port_free(struct service_port *p)
{
	HASH_DEL(p->of->services, p);
	close_port(p);
	free(p->key);
	free(p);
}

static struct service_port *find(const struct health_ports *h, const char *key)
{
	struct service_port *p;

	HASH_FIND(hh, h->services, key, strlen(key), p);
	return p;
}

static struct service_port *get(struct health_ports *h, const char *key)
{
	struct service_port *p = find(h, key);

	if (p)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->of = h;
	p->key = xstrdup(key);
	HASH_ADD_KEYPTR(hh, h->services, p->key, strlen(p->key), p);
	return p;
}

static void remove_service(struct speaker *sp, const char *key)
{
	struct service_port *p = sp->health ? find(sp->health, key) : NULL;

	if (p)
		service_port_free(p);
}

/* Gives up the listeners at addresses that are no longer chosen; the others go on. */
static void close_unwanted(struct service_port *p)
{
	const struct health_ports *h = p->of;

	for (size_t i = p->n_open; i-- > 0;)
		if (!addrs_contain(h->addrs, h->n_addrs, &p->open[i].addr)) {
			http_port_close(p->open[i].port);
			p->open[i] = p->open[--p->n_open];
		}
	p->retry_ms = 0;
}

static void set_addresses(struct health_ports *h, const struct addr *addrs, size_t n)
{
	if (h->looked_ms && addrs_same_set(h->addrs, h->n_addrs, addrs, n))
		return;
	memcpy(h->addrs, addrs, n * sizeof(*addrs));
	h->n_addrs = n;
	for (struct service_port *p = h->services; p; p = p->hh.next)
		close_unwanted(p);
	if (h->services)
		try_again_in(h, 0);
}

static void leave_out(struct health_ports *h, size_t n)
{
	if (n > 0 && !h->n_left_out)
		log_warn("the node has more addresses with node ports than health-check node ports "
		         "listen on; --nodeport-addresses may choose fewer",
		         KV_I("limit", LIMIT_HEALTH_ADDRESSES), KV_I("left_out", n));
	h->n_left_out = n;
}

/*
 * The kernel's addresses come and go without a word to us, and are asked for only where some are
 * chosen.
 */
static void follow_node(struct speaker *sp, bool changed)
{
	struct health_ports *h = sp->health;
	cleanup_free struct addr *local = NULL;
	struct addr addrs[LIMIT_HEALTH_ADDRESSES] = { { 0 } };
	size_t n_local = 0;
	bool all;

	if (!h || (!changed && h->looked_ms && clock_ms() < h->looked_ms + RETRY_MS))
		return;
	size_t n = health_addresses(&sp->facts, NULL, 0, addrs, &all);
	/* What cannot be read stays as it was. */
	if (!all && addrs_of_machine(&local, &n_local) < 0)
		return;
	if (all)
		n = 1;
	else
		n = health_addresses(&sp->facts, local, n_local, addrs, &all);
	size_t listened = n < LIMIT_HEALTH_ADDRESSES ? n : LIMIT_HEALTH_ADDRESSES;
	leave_out(h, n - listened);
	set_addresses(h, addrs, listened);
	h->looked_ms = clock_ms();
}

/* Comes before the rules are set: what is in force is as it was last told here. */
static void set(struct speaker *sp, const struct view_service *s)
{
	if (!sp->health)
		return;
	if (!s->traffic.health_port || !s->n_cluster_ips ||
	    !forward_wanted(sp->view, s, s->cluster_ips[0].family)) {
		remove_service(sp, s->key);
		return;
	}
	struct service_port *p = get(sp->health, s->key);
	if (p->family)
		p->known = health_told(p->known, p->wanted, is_in_force(sp->health, p));
	p->family = s->cluster_ips[0].family;
	p->wanted = health_local_endpoints(s, view_self(sp->view));
	memcpy(p->uid, s->uid, sizeof(p->uid));
	if (p->port != s->traffic.health_port)
		close_port(p);
	p->port = s->traffic.health_port;
	if (!is_open(p) && !p->failing_since_ms)
		try_again_in(sp->health, 0);
}

/* ---- what it says of itself ---- */

static const char *why(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "the port is in use";
	case -EADDRNOTAVAIL:
		return "the node has none of the addresses of --nodeport-addresses";
	case -ENFILE:
		return "the node listens on as many ports as it may";
	default:
		return strerror(-error);
	}
}

/* One that is open at the second try was never told of, and needs no word. */
static void tell_of(struct service_port *p, int64_t now_ms)
{
	struct speaker *sp = p->of->sp;
	cleanup(buf_fini) struct buf note = BUF_INIT;
	bool failing = p->error && now_ms - p->failing_since_ms >= RETRY_MS;

	if (failing == p->told || (is_open(p) && !p->told) ||
	    !budget_take(&sp->tenant_events, now_ms))
		return;
	p->told = failing;
	enum reason reason = failing ? REASON_HealthPortFailed : REASON_HealthPortOpen;
	buf_printf(&note, "node %s: health-check node port %d: %s", sp->opts.node, p->port,
	           failing ? why(p->error) : "served again");
	if (failing)
		log_warn("cannot listen on a health-check node port", KV_S("service", p->key),
		         KV_I("port", p->port), KV_S("error", why(p->error)));
	else
		log_info("listening on the health-check node port", KV_S("service", p->key),
		         KV_I("port", p->port));
	speaker_tell_on_service(sp, p->key, p->uid, "Listen", reason, buf_str(&note));
}

static void tell(struct speaker *sp)
{
	if (!sp->health)
		return;
	is_in_sync(sp->health);
	for (struct service_port *p = sp->health->services; p; p = p->hh.next)
		tell_of(p, clock_ms());
}

static size_t count_open(const struct health_ports *h)
{
	size_t n = 0;

	for (const struct service_port *p = h->services; p; p = p->hh.next)
		n += is_open(p);
	return n;
}

static void status(const struct speaker *sp, struct out *o)
{
	struct health_ports *h = sp->health;

	if (!h)
		return;
	out_object(o, "health");
	out_str(o, "bind_address",
	        sp->opts.healthz_bind_address ? sp->opts.healthz_bind_address : "");
	out_bool(o, "healthy", is_in_sync(h));
	out_bool(o, "eligible", is_eligible(h));
	out_uint(o, "open", count_open(h));
	out_list(o, "addresses");
	for (size_t i = 0; i < h->n_addrs; i++)
		out_str(o, NULL, addr_is_none(&h->addrs[i]) ? "all" : addr_str(&h->addrs[i]));
	out_close(o);
	out_uint(o, "left_out", h->n_left_out);
	out_list(o, "failing");
	for (const struct service_port *p = h->services; p; p = p->hh.next) {
		if (!p->error)
			continue;
		out_object(o, NULL);
		out_str(o, "service", p->key);
		out_int(o, "port", p->port);
		out_str(o, "error", why(p->error));
		out_close(o);
	}
	out_close(o);
	out_close(o);
}

static void metrics(const struct speaker *sp, struct metrics_writer *w)
{
	static const char *const ports[N_ASKED] = { "service", "proxy" };
	static const char *const codes[] = { "200", "503" };
	const struct health_ports *h = sp->health;

	if (!h)
		return;
	metrics_family(w, METRIC_fairlead_health_ports);
	metrics_sample(w, (double)count_open(h), "state", "open", NULL);
	metrics_sample(w, (double)(HASH_COUNT(h->services) - count_open(h)), "state", "failing",
	               NULL);
	metrics_family(w, METRIC_fairlead_health_answers_total);
	for (int i = 0; i < N_ASKED; i++)
		for (size_t c = 0; c < ARRAY_LEN(codes); c++)
			metrics_sample(w, (double)h->answers[i][c], "port", ports[i], "code",
			               codes[c], NULL);
	http_ports_metrics(h->http, w);
}

/* ---- its life ---- */

static int start_healthz(struct health_ports *h, const char *address, struct err *e)
{
	struct http_port *healthz;
	struct addr a;
	uint16_t port;
	int r = http_address_parse(address, &a, &port, e);

	if (r < 0) {
		err_prefix(e, "--healthz-bind-address");
		return r;
	}
	r = http_port_open(h->http, &a, port, serve_proxy, h, &healthz);
	if (r < 0)
		return err_set(e, r, ERR_SYSTEM, "--healthz-bind-address: cannot listen on %s: %s",
		               address, why(r));
	return 0;
}

static int start(struct speaker *sp, struct err *e)
{
	if (!proxy_forwards(sp->proxy))
		return 0;
	struct health_ports *h = xcalloc(1, sizeof(*h));
	sp->health = h;
	h->sp = sp;
	h->started_ms = clock_ms();
	h->http = http_ports_new(sp->base);
	h->open = evtimer_new(sp->base, on_open, h);
	return sp->opts.healthz_bind_address ? start_healthz(h, sp->opts.healthz_bind_address, e)
	                                     : 0;
}

static void close_services(struct health_ports *h)
{
	while (h->services)
		service_port_free(h->services);
	event_del(h->open);
}

static void stop(struct speaker *sp)
{
	struct health_ports *h = TAKE(sp->health);

	if (!h)
		return;
	close_services(h);
	http_ports_free(h->http);
	event_free(h->open);
	free(h);
}

static int withdraw(struct speaker *sp, struct err *e)
{
	(void)e;
	if (sp->health)
		sp->health->ending = true;
	return 0;
}

static int uninstall(struct speaker *sp, struct err *e)
{
	(void)e;
	stop(sp);
	return 0;
}

const struct effector health_effector = {
	.what = "health checks",
	.follow_node = follow_node,
	.set = set,
	.remove = remove_service,
	.status = status,
	.metrics = metrics,
	.tell = tell,
	.start = start,
	.stop = stop,
	.withdraw = withdraw,
	.uninstall = uninstall,
};
