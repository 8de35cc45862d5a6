/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: a table of backends, one a mode, and what is the same with all of them.
 */
#include "config.h"

#include "proxy/proxy_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/dump.h"
#include "proxy/flows.h"
#include "proxy/localnet.h"
#include "proxy/sole.h"
#include "proxy/takeover.h"
#include "proxy/tally.h"

/* Others carry the traffic: everything is always as it should be. */
static const struct backend none_backend = { .name = "none" };

static const struct backend *const backends[] = {
	[PROXY_NONE] = &none_backend,
	[PROXY_IPTABLES] = &iptables_backend,
	[PROXY_NFTABLES] = &nftables_backend,
	[PROXY_IPVS] = &ipvs_backend,
};

const struct backend *backend_of(enum proxy_mode mode)
{
	return backends[mode];
}

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
	return localnet_is_ours();
}

int proxy_cleanup(struct err *e)
{
	const struct place *places[PLACES_MAX];
	size_t n = all_places(places);
	/* The rules that guard 127.0.0.1 go after what they are for. */
	int result = localnet_close(e);

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

static void on_failed(const struct err *e, void *arg)
{
	const struct proxy *p = arg;

	if (p->ops.failed)
		p->ops.failed(e, p->arg);
}

/*
 * Once the rules that guard 127.0.0.1 are in force; looked at again with each audit, as others may
 * change the sysctl.  A failure is told of once.
 */
static void open_localhost(struct proxy *p)
{
	struct err e = ERR_INIT;

	if (!p->localhost_node_ports || !p->complete || !is_settled(p))
		return;
	if (localnet_open(&e) < 0 && strcmp(e.msg, p->localhost_error.msg) != 0)
		on_failed(&e, p);
	p->localhost_error = e;
}

static void on_applied(void *arg)
{
	struct proxy *p = arg;

	open_localhost(p);
	if (p->takeover)
		takeover_run(p->takeover);
	if (p->ops.applied)
		p->ops.applied(p->arg);
}

static void look_at_flows(struct proxy *p)
{
	bool was_full = p->flows.full;

	flows_read(&p->flows);
	if (p->flows.full == was_full)
		return;
	if (p->flows.full)
		log_warn("the kernel's table of connections is nearly full; the packets of new "
		         "connections are dropped once it is: raise the sysctl "
		         "net.netfilter.nf_conntrack_max",
		         KV_I("connections", p->flows.count), KV_I("max", p->flows.max));
	else
		log_info("the kernel's table of connections has room again",
		         KV_I("connections", p->flows.count), KV_I("max", p->flows.max));
	if (p->ops.applied)
		p->ops.applied(p->arg);
}

static void on_audit(evutil_socket_t fd, short what, void *arg)
{
	struct proxy *p = arg;

	(void)fd;
	(void)what;
	p->b->audit(p->self);
	open_localhost(p);
	look_at_flows(p);
}

static int check_mark(uint32_t mark, struct err *e)
{
	if (mark == 0 || (mark & (mark - 1)) != 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "the mark 0x%x is not one bit", mark);
	return 0;
}

static bool writes_to(const struct proxy *p, const struct place *place)
{
	const struct place *own;

	for (size_t i = 0; (own = p->b->place(p->self, i)); i++)
		if (own == place)
			return true;
	return false;
}

static void start_takeover(struct proxy *p)
{
	static const struct takeover_ops ops = { .is_settled = is_settled,
		                                 .failed = on_failed,
		                                 .done = on_applied };
	const struct place *places[PLACES_MAX];
	size_t n = 0, n_all = all_places(places);

	for (size_t i = 0; i < n_all; i++)
		if (!writes_to(p, places[i]))
			places[n++] = places[i];
	p->takeover = takeover_new(p->base, places, n, p->retry_ms, &ops, p);
}

static void on_alone(void *arg)
{
	struct proxy *p = arg;

	log_info("the other service proxy is gone; this one writes the rules now");
	start_takeover(p);
	if (p->complete)
		p->b->complete(p->self);
}

static void on_another(pid_t other, void *arg)
{
	(void)arg;
	log_warn("another service proxy writes the rules of this network namespace; nothing is "
	         "written until it ends",
	         KV_I("process", other));
}

static void find_others(struct proxy *p)
{
	static const struct sole_ops ops = { .waits = on_another, .alone = on_alone };

	p->sole = sole_new(p->base, SOLE_NAME, &ops, p);
	if (sole_is(p->sole))
		start_takeover(p);
}

/*
 * What an earlier run has opened is closed before its guard goes; if that fails, the guard stays.
 */
static void begin_localhost(struct proxy *p)
{
	if (!p->localhost_node_ports && localnet_close(&p->localhost_error) < 0)
		log_err("an earlier run had node ports at 127.0.0.1", &p->localhost_error);
}

struct proxy_options backend_options(const struct proxy_options *opts)
{
	struct proxy_options o = *opts;

	o.mark = o.mark ? o.mark : PROXY_MARK_DEFAULT;
	o.audit_ms = o.audit_ms ? o.audit_ms : PROXY_AUDIT_MS;
	return o;
}

static int start_backend(struct proxy *p, struct event_base *base, const struct proxy_options *opts,
                         struct err *e)
{
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	const struct proxy_options o = backend_options(opts);

	int r = check_mark(o.mark, e);
	begin_localhost(p);
	if (r == 0)
		r = p->b->start(base, &o, &ops, p, &p->self, e);
	if (r < 0)
		return r;
	p->base = base;
	p->retry_ms = o.audit_ms;
	find_others(p);
	struct timeval tv = { o.audit_ms / 1000, o.audit_ms % 1000 * 1000 };
	p->audit = event_new(base, -1, EV_PERSIST, on_audit, p);
	event_add(p->audit, &tv);
	flows_read(&p->flows);
	return 0;
}

int proxy_start(struct event_base *base, const struct proxy_options *opts,
                const struct proxy_ops *ops, void *arg, struct proxy **ret_proxy, struct err *e)
{
	struct proxy *p = xcalloc(1, sizeof(*p));
	int r = 0;

	p->mode = opts->mode;
	p->b = backends[p->mode];
	p->masquerade_all = opts->masquerade_all;
	p->localhost_node_ports = opts->localhost_node_ports;
	p->pods_by = opts->pods_by;
	p->tally = opts->service_metrics && p->b->count ? tally_new() : NULL;
	p->ops = ops ? *ops : (struct proxy_ops){ .applied = NULL };
	p->arg = arg;
	if (p->b->start)
		r = start_backend(p, base, opts, e);
	else
		remove_leftovers();
	if (r < 0) {
		tally_free(p->tally);
		free(p);
		return r;
	}
	*ret_proxy = p;
	return 0;
}

/* ---- comparisons and dumps ---- */

struct proxy_diff *proxy_diff_start(struct proxy *p, struct event_base *base,
                                    void (*done)(struct buf *text, void *arg), void *arg)
{
	return p->b->set ? diffs_start(&p->diffs, p->b, p->self, base, done, arg) : NULL;
}

struct proxy_dump *proxy_dump_start(const struct proxy *p, struct event_base *base,
                                    void (*done)(struct buf *text, void *arg), void *arg)
{
	struct dump_program programs[DUMP_PROGRAMS_MAX];

	if (!p->b->dump)
		return NULL;
	return dump_start(base, programs, p->b->dump(p->self, programs), done, arg);
}

/* ---- its end ---- */

/* From then on others carry the traffic. */
static void stop_backend(struct proxy *p, bool wait)
{
	diffs_stop(&p->diffs);
	if (p->audit)
		event_free(TAKE(p->audit));
	sole_free(TAKE(p->sole));
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
	tally_free(p->tally);
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
	p->complete = true;
	if (p->b->complete && sole_is(p->sole))
		p->b->complete(p->self);
}

static bool prefixes_eq(const struct prefix *a, size_t n_a, const struct prefix *b, size_t n_b)
{
	bool same = n_a == n_b;

	for (size_t i = 0; same && i < n_a; i++)
		same = prefix_cmp(&a[i], &b[i]) == 0;
	return same;
}

bool proxy_node_eq(const struct proxy_node *a, const struct proxy_node *b)
{
	return prefixes_eq(a->pod_cidrs, a->n_pod_cidrs, b->pod_cidrs, b->n_pod_cidrs) &&
	       prefixes_eq(a->node_port_cidrs, a->n_node_port_cidrs, b->node_port_cidrs,
	                   b->n_node_port_cidrs);
}

void proxy_set_node(struct proxy *p, const struct proxy_node *n)
{
	if (!p->b->set_node || proxy_node_eq(&p->node, n))
		return;
	p->node = *n;
	p->b->set_node(p->self, n);
}

void proxy_set_behind(struct proxy *p, bool behind)
{
	p->behind = behind;
}

int proxy_render(const struct proxy_options *opts, const struct proxy_node *node, uint8_t family,
                 const struct proxy_service *const *services, size_t n, struct buf *ret_text,
                 struct err *e)
{
	const struct backend *b = backends[opts->mode];
	const struct proxy_options o = backend_options(opts);
	size_t n_halves = 0;

	if (!b->render)
		return err_set(e, -ENOTSUP, ERR_CONFIG,
		               "in mode %s there is nothing to show: others carry the traffic",
		               b->name);
	const struct proxy_half **halves = xcalloc(n + 1, sizeof(*halves));
	for (size_t i = 0; i < n; i++)
		if (services[i]->halves[family == 6])
			halves[n_halves++] = services[i]->halves[family == 6];
	b->render(&o, node, family, halves, n_halves, ret_text);
	free(halves);
	return 0;
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

const char *proxy_substitute(const struct proxy *p, const char *key, uint8_t family)
{
	return p->b->substitute ? p->b->substitute(p->self, key, family) : NULL;
}

bool proxy_any_substitute(const struct proxy *p)
{
	return p->b->any_substitute && p->b->any_substitute(p->self);
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
