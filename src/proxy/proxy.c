/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: a table of backends, one a mode, and what is the same with all of them.
 */
#include "config.h"

#include "fairlead/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "fairlead/out.h"
#include "proxy/backend.h"
#include "proxy/dump.h"
#include "proxy/takeover.h"

/* Others carry the traffic: everything is always as it should be. */
static const struct backend none_backend = { .name = "none" };

static const struct backend *const backends[] = {
	[PROXY_NONE] = &none_backend,
	[PROXY_IPTABLES] = &iptables_backend,
};

struct proxy {
	enum proxy_mode mode; /* that it was started in */
	const struct backend *b;
	void *self; /* the backend's own; NULL where it has nothing to start */
	struct event *audit;
	struct takeover *takeover; /* NULL where others carry the traffic */
	struct proxy_ops ops;
	void *arg;
};

/* ---- modes ---- */

enum proxy_mode proxy_mode_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (!strcmp(backends[i]->name, name))
			return (enum proxy_mode)i;
	return PROXY_NONE;
}

bool proxy_mode_forwards(enum proxy_mode mode)
{
	return backends[mode]->set;
}

/* ---- what earlier processes left ---- */

#define PLACES_MAX 8

/* Those of all backends. */
static size_t all_places(const struct place *ret_places[static PLACES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		for (size_t k = 0; k < backends[i]->n_places && n < PLACES_MAX; k++)
			ret_places[n++] = &backends[i]->places[k];
	return n;
}

bool proxy_has_leftovers(void)
{
	const struct place *places[PLACES_MAX];
	size_t n = all_places(places);

	for (size_t i = 0; i < n; i++)
		if (places[i]->has_ours(places[i]->what))
			return true;
	return false;
}

int proxy_cleanup(struct err *e)
{
	const struct place *places[PLACES_MAX];
	size_t n = all_places(places);
	int result = 0;

	for (size_t i = 0; i < n; i++) {
		int r = places[i]->clean(places[i]->what, result ? NULL : e);
		result = result ? result : r;
	}
	return result;
}

/* Not worth exiting for: the node is here to announce. */
static void remove_leftovers(void)
{
	struct err e = ERR_INIT;

	if (!proxy_has_leftovers())
		return;
	log_info("removing the rules of an earlier proxy mode");
	if (proxy_cleanup(&e) < 0)
		log_err("the rules of an earlier proxy mode are still there; --cleanup removes them",
		        &e);
}

/* ---- its life ---- */

static bool is_settled(void *arg)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };
	const struct proxy *p = arg;

	p->b->add_stats(p->self, &st);
	return st.settled;
}

static void on_applied(void *arg)
{
	const struct proxy *p = arg;

	if (p->takeover)
		takeover_run(p->takeover);
	if (p->ops.applied)
		p->ops.applied(p->arg);
}

static void on_failed(const struct err *e, void *arg)
{
	const struct proxy *p = arg;

	if (p->ops.failed)
		p->ops.failed(e, p->arg);
}

static void on_audit(evutil_socket_t fd, short what, void *arg)
{
	const struct proxy *p = arg;

	(void)fd;
	(void)what;
	p->b->audit(p->self);
}

static int check_mark(uint32_t mark, struct err *e)
{
	if (mark == 0 || (mark & (mark - 1)) != 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "the mark 0x%x is not one bit", mark);
	return 0;
}

static void start_takeover(struct proxy *p, struct event_base *base, int retry_ms)
{
	static const struct takeover_ops ops = { .is_settled = is_settled,
		                                 .failed = on_failed,
		                                 .done = on_applied };
	const struct place *places[PLACES_MAX];

	p->takeover = takeover_new(base, places, all_places(places), p->b->place(p->self), retry_ms,
	                           &ops, p);
}

static int start_backend(struct proxy *p, struct event_base *base, const struct proxy_options *opts,
                         struct err *e)
{
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	struct proxy_options o = *opts;

	o.mark = o.mark ? o.mark : PROXY_MARK_DEFAULT;
	o.audit_ms = o.audit_ms ? o.audit_ms : PROXY_AUDIT_MS;
	int r = check_mark(o.mark, e);
	if (r == 0)
		r = p->b->start(base, &o, &ops, p, &p->self, e);
	if (r < 0)
		return r;
	start_takeover(p, base, o.audit_ms);
	struct timeval tv = { o.audit_ms / 1000, o.audit_ms % 1000 * 1000 };
	p->audit = event_new(base, -1, EV_PERSIST, on_audit, p);
	event_add(p->audit, &tv);
	return 0;
}

int proxy_start(struct event_base *base, const struct proxy_options *opts,
                const struct proxy_ops *ops, void *arg, struct proxy **ret_proxy, struct err *e)
{
	struct proxy *p = xcalloc(1, sizeof(*p));
	int r = 0;

	p->mode = opts->mode;
	p->b = backends[p->mode];
	p->ops = ops ? *ops : (struct proxy_ops){ .applied = NULL };
	p->arg = arg;
	if (p->b->start)
		r = start_backend(p, base, opts, e);
	else
		remove_leftovers();
	if (r < 0) {
		free(p);
		return r;
	}
	*ret_proxy = p;
	return 0;
}

/* From then on others carry the traffic. */
static void stop_backend(struct proxy *p, bool wait)
{
	if (p->audit)
		event_free(TAKE(p->audit));
	takeover_free(TAKE(p->takeover));
	if (p->b->stop)
		p->b->stop(TAKE(p->self), wait);
	p->b = &none_backend;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	stop_backend(p, false);
	free(p);
}

int proxy_uninstall(struct proxy *p, struct err *e)
{
	if (!proxy_mode_forwards(p->mode))
		return 0;
	stop_backend(p, true);
	return proxy_cleanup(e);
}

/* ---- what is wanted ---- */

void proxy_set(struct proxy *p, const struct proxy_service *s)
{
	if (p->b->set)
		p->b->set(p->self, s);
}

void proxy_remove(struct proxy *p, const char *key)
{
	if (p->b->remove)
		p->b->remove(p->self, key);
}

void proxy_complete(struct proxy *p)
{
	if (p->b->complete)
		p->b->complete(p->self);
}

/* ---- what became of it ---- */

bool proxy_forwards(const struct proxy *p)
{
	return p->b->set;
}

bool proxy_is_applied(const struct proxy *p, const char *key, uint8_t family)
{
	return !p->b->is_applied || p->b->is_applied(p->self, key, family);
}

bool proxy_is_damaged(const struct proxy *p, const char *key, uint8_t family)
{
	return p->b->is_damaged && p->b->is_damaged(p->self, key, family);
}

const char *proxy_refusal(const struct proxy *p, const char *key, uint8_t family)
{
	return p->b->refusal ? p->b->refusal(p->self, key, family) : NULL;
}

enum proxy_passage proxy_passage(const struct proxy *p, uint8_t family, const char **ret_where)
{
	*ret_where = "";
	return p->b->passage ? p->b->passage(p->self, family, ret_where) : PROXY_PASSES;
}

bool proxy_forward_is_refused(const struct proxy *p, uint8_t family)
{
	const char *where;

	return proxy_passage(p, family, &where) == PROXY_REFUSED;
}

bool proxy_has_family(const struct proxy *p, uint8_t family)
{
	return p->b->has_family && p->b->has_family(p->self, family);
}

bool proxy_any_hindrance(const struct proxy *p)
{
	return p->b->any_hindrance && p->b->any_hindrance(p->self);
}

/* ---- what it reports about itself ---- */

struct proxy_stats proxy_stats(const struct proxy *p)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };

	if (p->b->add_stats)
		p->b->add_stats(p->self, &st);
	st.in_sync = st.in_sync && (!p->takeover || takeover_is_done(p->takeover));
	return st;
}

static const struct metrics_stat stat_rows[] = {
#define PROXY_STAT(member, from, name, type, help) METRICS_STAT(struct proxy_stats, member, name),
#include "fairlead/metrics.def"
};

struct proxy_dump *proxy_dump_start(const struct proxy *p, struct event_base *base,
                                    void (*done)(struct buf *text, void *arg), void *arg)
{
	struct dump_program programs[DUMP_PROGRAMS_MAX];

	if (!p->b->dump)
		return NULL;
	return dump_start(base, programs, p->b->dump(p->self, programs), done, arg);
}

void proxy_metrics(const struct proxy *p, struct metrics_writer *w)
{
	const struct proxy_stats st = proxy_stats(p);

	if (!proxy_forwards(p))
		return;
	metrics_stats(w, stat_rows, ARRAY_LEN(stat_rows), &st);
	metrics_value(w, METRIC_fairlead_proxy_in_sync, st.in_sync);
}

static void put_passages(const struct proxy *p, struct out *o)
{
	static const char *const words[] = { [PROXY_PASSES] = "passes",
		                             [PROXY_UNCERTAIN] = "uncertain",
		                             [PROXY_REFUSED] = "refused" };

	out_list(o, "forward");
	for (int i = 0; i < PROXY_HALVES; i++) {
		const char *where;
		enum proxy_passage passage = proxy_passage(p, i == 0 ? 4 : 6, &where);
		out_object(o, NULL);
		out_int(o, "family", i == 0 ? 4 : 6);
		out_str(o, "passage", words[passage]);
		out_str(o, "where", where);
		out_close(o);
	}
	out_close(o);
}

static void put_forwarding(const struct proxy *p, struct out *o)
{
	struct proxy_stats st = proxy_stats(p);

	out_bool(o, "in_sync", st.in_sync);
	metrics_stats_put(stat_rows, ARRAY_LEN(stat_rows), &st, o);
	out_int(o, "last_success_ms", st.last_success_ms);
	put_passages(p, o);
	p->b->status(p->self, o);
}

void proxy_status(const struct proxy *p, const char *key, struct out *o)
{
	out_object(o, key);
	out_str(o, "mode", p->b->name);
	if (proxy_forwards(p))
		put_forwarding(p, o);
	out_close(o);
}
