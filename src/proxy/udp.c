/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed is kept only as fronts; which endpoints may answer there is collected at the start
 * of a run, from whichever Services have these fronts then, since an address or a node port may
 * have gone from one to another.  A Service that changes during a run is added to it: its new
 * endpoints may answer, too.
 *
 * A run reads the whole table, however little has changed.  So that nobody who changes a Service
 * all the time has it read all the time, runs are paced as batches of iptables are.
 */
#include "config.h"

#include "proxy/udp.h"

#include <netinet/in.h>
#include <stdlib.h>

#include <event2/event.h>

#include "proxy/conntrack.h"
#include "proxy/fronts.h"
#include "proxy/pace.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

struct udp {
	struct event_base *base;
	uint8_t family;
	const struct fronts *fronts;
	const struct udp_ops *ops;
	void *arg;
	struct conntrack_job *waiting, *running;
	struct conntrack_run *run;
	struct event *timer; /* pending: a pause, after which a run follows */
	bool paced;          /* that pause is none after a failure */
	struct pace pace;
	int64_t begun_ms, next_ms;  /* the run; not before, the next one */
	unsigned int failures;      /* in a row */
	unsigned int interruptions; /* of them, again in a row */
	struct proxy_node node;     /* as the kernel's rules have it */
	bool knows_node, localhost;
	uint32_t refusal;
	struct udp_stats stats;
};

static void allow(const struct front_key *k, const struct proxy_port *p, void *arg)
{
	conntrack_job_allow_port(arg, k, p);
}

static void allow_all(const struct front_key *k, void *arg)
{
	const struct udp *u = arg;

	fronts_each_port(u->fronts, k, allow, u->running);
}

static void pause_for(struct udp *u, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(u->timer, &tv);
}

static void fail(struct udp *u, const struct err *e)
{
	u->stats.failures++;
	conntrack_job_touch_all(u->waiting, u->running);
	pause_for(u, pace_pause_ms(u->failures++, UDP_RETRY_MIN_MS, UDP_RETRY_MAX_MS));
	u->ops->failed(e, u->arg);
}

static void on_done(int r, const struct err *e, size_t n_deleted, void *arg)
{
	struct udp *u = arg;
	int64_t now_ms = clock_ms();

	u->run = NULL;
	u->next_ms = pace_next_ms(&u->pace, now_ms, now_ms - u->begun_ms);
	u->stats.n_deleted += n_deleted;
	if (n_deleted > 0)
		log_info("deleted UDP flows to endpoints that are gone",
		         KV_S("family", u->family == 4 ? "IPv4" : "IPv6"),
		         KV_I("flows", n_deleted));
	u->interruptions = r == -EINTR ? u->interruptions + 1 : 0;
	if (r < 0 && u->interruptions < UDP_INTERRUPTIONS_MAX)
		fail(u, e);
	else
		u->failures = u->interruptions = 0;
	conntrack_job_free(TAKE(u->running));
	udp_run(u);
	if (!udp_is_running(u))
		u->ops->idle(u->arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct udp *u = arg;

	(void)fd;
	(void)what;
	u->paced = false;
	udp_run(u);
}

struct udp *udp_new(struct event_base *base, uint8_t family, const struct fronts *fronts,
                    const struct udp_ops *ops, void *arg)
{
	struct udp *u = xcalloc(1, sizeof(*u));

	u->base = base;
	u->family = family;
	u->fronts = fronts;
	u->ops = ops;
	u->arg = arg;
	u->waiting = conntrack_job_new(family);
	u->timer = evtimer_new(base, on_timer, u);
	return u;
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	conntrack_run_free(u->run);
	conntrack_job_free(u->waiting);
	conntrack_job_free(u->running);
	event_free(u->timer);
	free(u);
}

void udp_refuse(struct udp *u, uint32_t mark)
{
	u->refusal = mark;
}

void udp_changed(struct udp *u, const struct proxy_half *before, const struct proxy_half *now)
{
	if (before)
		conntrack_job_touch(u->waiting, before);
	if (now)
		conntrack_job_touch(u->waiting, now);
	if (now && u->running)
		conntrack_job_allow(u->running, now);
}

void udp_touch(struct udp *u, const struct addr *a, uint16_t port)
{
	const struct front_key k = front_key(a, port);

	conntrack_job_touch_front(u->waiting, &k);
}

static void touch(const struct front_key *k, void *arg)
{
	conntrack_job_touch_front(arg, k);
}

void udp_set_node(struct udp *u, const struct proxy_node *n, bool localhost)
{
	if (u->knows_node && proxy_node_eq(&u->node, n))
		return;
	u->node = *n;
	u->localhost = localhost;
	u->knows_node = true;
	fronts_each_node_port(u->fronts, touch, u->waiting);
}

void udp_run(struct udp *u)
{
	struct err e = ERR_INIT;

	if (u->run || evtimer_pending(u->timer, NULL) || conntrack_job_is_empty(u->waiting))
		return;
	u->begun_ms = clock_ms();
	if (u->begun_ms < u->next_ms) {
		u->paced = true;
		pause_for(u, u->next_ms - u->begun_ms);
		return;
	}
	u->running = u->waiting;
	u->waiting = conntrack_job_new(u->family);
	conntrack_job_refuse(u->running, u->refusal);
	if (u->knows_node)
		conntrack_job_set_node(u->running, &u->node, u->localhost);
	conntrack_job_each_front(u->running, allow_all, u);
	if (conntrack_run_start(u->base, u->running, on_done, u, &u->run, &e) < 0) {
		fail(u, &e);
		conntrack_job_free(TAKE(u->running));
		return;
	}
	conntrack_run_step(u->run);
}

bool udp_is_running(const struct udp *u)
{
	return u->run || u->paced;
}

struct udp_stats udp_stats(const struct udp *u)
{
	return u->stats;
}
