/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller reports about itself. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "controller/admission.h"
#include "controller/namespaces.h"
#include "controller/report.h"
#include "controller/scribe.h"
#include "fairlead/clock.h"
#include "fairlead/hash.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* ---- what is reported about one Service ---- */

static bool any_in_pools(const struct controller *ctl, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; ctl->ipam && i < n; i++)
		if (configuration_pool_of(ctl->config.in_force, &addrs[i]))
			return true;
	return false;
}

/* Of interest here: wants addresses from us, or holds some of ours. */
static bool is_ours(const struct controller *ctl, const struct record_part *p)
{
	return p->request.wish == IPAM_WISH_ADDRESS ||
	       any_in_pools(ctl, p->request.held, p->request.n_held) ||
	       any_in_pools(ctl, p->request.written, p->request.n_written);
}

/* Those that somebody wrote by hand are judged, too. */
static bool external_is_ours(const struct controller *ctl, const struct record *r)
{
	const struct record_part *p = r->external;

	return p && (is_ours(ctl, p) || p->request.n_written > 0);
}

/* The leader reports what it decided, a standby what it reads. */
static enum reason reason_of(const struct controller *ctl, const struct record_part *p)
{
	if (!ctl->config.in_force)
		return REASON_NoConfiguration;
	if (ctl->leading && p->decided)
		return p->reason;
	if (p->condition.present && p->condition.reason != REASON_COUNT)
		return p->condition.reason;
	return p->request.n_held ? REASON_Kept : REASON_NoAddress;
}

static int by_key(const struct record *a, const struct record *b)
{
	return strcmp(a->key, b->key);
}

/* ---- /status ---- */

/* JSON readers have 63 bits at best. */
static uint64_t count_of(const uint64_t both[2])
{
	uint64_t sum = both[0] + both[1];

	return sum < both[0] || sum > INT64_MAX ? INT64_MAX : sum;
}

/* One word for each bit. */
static void put_words(const char *key, unsigned int bits, const char *const words[static 2],
                      struct out *o)
{
	out_list(o, key);
	for (size_t i = 0; i < 2; i++)
		if (bits & 1u << i)
			out_str(o, NULL, words[i]);
	out_close(o);
}

static void put_pool(const struct ipam_pool_usage *u, struct out *o)
{
	static const char *const protocols[] = { "layer2", "bgp" };
	static const char *const uses[] = { "load-balancer", "external-ip" };
	const struct config_pool *pool = u->pool;

	out_object(o, NULL);
	out_str(o, "name", pool->name);
	put_words("protocols", pool->protocols, protocols, o);
	out_list(o, "ranges");
	for (size_t i = 0; i < pool->n_ranges; i++)
		out_printf(o, NULL, "%s-%s", addr_str(&pool->ranges[i].first),
		           addr_str(&pool->ranges[i].last));
	out_close(o);
	put_words("use", pool->uses, uses, o);
	out_bool(o, "auto_assign", pool->auto_assign);
	if (pool->disabled)
		out_bool(o, "disabled", true);
	config_pool_put_audience(pool, "for", o);
	out_uint(o, "total", count_of(u->total));
	out_uint(o, "used", count_of(u->used));
	out_uint(o, "free", count_of(u->free));
	if (pool->cool_down_s > 0)
		out_uint(o, "cooling", count_of(u->cooling));
	out_close(o);
}

static void put_part(const struct controller *ctl, const struct record_part *p, struct out *o)
{
	const struct ipam_request *q = &p->request;
	enum reason reason = reason_of(ctl, p);
	const struct config_pool *pool = NULL;

	out_list(o, "addresses");
	for (size_t i = 0; i < q->n_held + q->n_written; i++) {
		const struct addr *a = i < q->n_held ? &q->held[i] : &q->written[i - q->n_held];
		out_addr(o, NULL, a);
		if (!pool && ctl->config.in_force)
			pool = configuration_pool_of(ctl->config.in_force, a);
	}
	out_close(o);
	out_str(o, "pool", pool ? pool->name : NULL);
	out_str(o, "reason", reason_name(reason));
	out_str(o, "message",
	        ctl->leading && p->decided && reason == p->reason ? p->message
	                                                          : reason_sentence(reason));
}

static void put_service(const struct controller *ctl, const struct record *r, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "namespace", r->namespace);
	out_str(o, "name", r->name);
	put_part(ctl, &r->lb, o);
	if (external_is_ours(ctl, r)) {
		out_object(o, "external_ips");
		put_part(ctl, r->external, o);
		out_close(o);
	}
	out_close(o);
}

static const struct metrics_stat stat_rows[] = {
#define CONTROLLER_STAT(member, name, help) METRICS_STAT(struct controller_stats, member, name),
#include "fairlead/metrics.def"
};

static const struct {
	struct metrics_stat stat;
	const char *result;
} results[] = {
#define PATCH_RESULT(member, result) \
	{ METRICS_STAT(struct controller_stats, member, fairlead_patches_total), result },
#include "fairlead/metrics.def"
};

static void put_stats(const struct controller *ctl, struct out *o)
{
	const struct controller_stats *s = &ctl->stats;

	out_object(o, "stats");
	metrics_stats_put(stat_rows, ARRAY_LEN(stat_rows), s, o);
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		out_uint(o, results[i].stat.key, metrics_stat_of(&results[i].stat, s));
	out_uint(o, "turns", s->turns);
	out_uint(o, "events", s->events);
	out_uint(o, "publications", ctl->config.publications);
	out_uint(o, "in_flight", ctl->n_in_flight);
	out_uint(o, "services_known", HASH_COUNT(ctl->records));
	out_close(o);
}

static void put_namespaces(const struct controller *ctl, struct out *o)
{
	out_object(o, "namespaces");
	out_bool(o, "watched", ctl->namespaces.feed != NULL);
	out_uint(o, "known", namespaces_count(ctl));
	out_str(o, "error", namespaces_error(ctl));
	out_close(o);
}

static void put_config(const struct controller *ctl, struct out *o)
{
	out_object(o, "config");
	out_str(o, "config_map", ctl->opts.config_map);
	out_int(o, "generation", ctl->config.generation);
	out_bool(o, "accepted", ctl->config.judged_good);
	config_problems_put(&ctl->config.errors, "errors", o);
	config_problems_put(&ctl->config.warnings, "warnings", o);
	out_close(o);
}

static void status(struct out *o, void *arg)
{
	struct controller *ctl = arg;

	out_object(o, NULL);
	out_str(o, "identity", ctl->identity);
	out_str(o, "version", PACKAGE_VERSION);
	out_bool(o, "leader", ctl->leading);
	out_str(o, "holder", ctl->elector ? lease_holder(ctl->elector) : "");
	put_config(ctl, o);
	put_namespaces(ctl, o);
	admission_put(ctl, o);
	scribe_put(ctl, o);
	out_list(o, "pools");
	for (size_t i = 0; ctl->ipam && i < ipam_n_pools(ctl->ipam); i++) {
		const struct ipam_pool_usage u = ipam_usage(ctl->ipam, i);
		put_pool(&u, o);
	}
	out_close(o);
	out_list(o, "services");
	HASH_SORT(ctl->records, by_key);
	for (const struct record *r = ctl->records; r; r = r->hh.next)
		if (is_ours(ctl, &r->lb) || external_is_ours(ctl, r))
			put_service(ctl, r, o);
	out_close(o);
	put_stats(ctl, o);
	out_close(o);
}

/* ---- /metrics ---- */

static void collect_pools(const struct controller *ctl, struct metrics_writer *w)
{
	static const char *const families[] = { "ipv4", "ipv6" };

	metrics_family(w, METRIC_fairlead_pool_addresses);
	for (size_t i = 0; ctl->ipam && i < ipam_n_pools(ctl->ipam); i++) {
		const struct ipam_pool_usage u = ipam_usage(ctl->ipam, i);
		for (size_t f = 0; f < 2; f++) {
			if (u.total[f] == 0)
				continue;
			const struct {
				const char *state;
				uint64_t n;
			} rows[] = { { "total", u.total[f] },
				     { "used", u.used[f] },
				     { "free", u.free[f] },
				     { "cooling", u.cooling[f] } };
			for (size_t k = 0; k < ARRAY_LEN(rows); k++)
				metrics_sample(w, (double)rows[k].n, "pool", u.pool->name, "family",
				               families[f], "state", rows[k].state, NULL);
		}
	}
}

static void collect_squatted(const struct controller *ctl, struct metrics_writer *w)
{
	metrics_family(w, METRIC_fairlead_pool_squatted);
	for (size_t i = 0; ctl->ipam && i < ipam_n_pools(ctl->ipam); i++) {
		const struct ipam_pool_usage u = ipam_usage(ctl->ipam, i);
		metrics_sample(w, (double)u.squatted, "pool", u.pool->name, NULL);
	}
}

static uint64_t count_retained(const struct configuration *c, const char *name, size_t from)
{
	uint64_t n = 0;

	for (size_t i = from; i < c->n_retained; i++)
		for (size_t k = 0;
		     !strcmp(c->retained[i].name, name) && k < c->retained[i].n_ranges; k++)
			n += addr_range_count(&c->retained[i].ranges[k]);
	return n;
}

/* By the pool that they were in; pools of one name count as one. */
static void collect_retained(const struct controller *ctl, struct metrics_writer *w)
{
	const struct configuration *c = ctl->config.in_force;

	metrics_family(w, METRIC_fairlead_pool_retained);
	for (size_t i = 0; c && i < c->n_retained; i++) {
		const char *name = c->retained[i].name;
		size_t before = 0;
		while (before < i && strcmp(c->retained[before].name, name) != 0)
			before++;
		if (before == i)
			metrics_sample(w, (double)count_retained(c, name, i), "pool", name, NULL);
	}
}

static void put_reasons(struct metrics_writer *w, const size_t n[static REASON_COUNT])
{
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (n[i] > 0)
			metrics_sample(w, (double)n[i], "reason", reason_name((enum reason)i),
			               NULL);
}

static void collect_services(const struct controller *ctl, struct metrics_writer *w)
{
	size_t n[REASON_COUNT] = { 0 }, n_external[REASON_COUNT] = { 0 };

	for (const struct record *r = ctl->records; r; r = r->hh.next) {
		if (is_ours(ctl, &r->lb))
			n[reason_of(ctl, &r->lb)]++;
		if (external_is_ours(ctl, r))
			n_external[reason_of(ctl, r->external)]++;
	}
	metrics_family(w, METRIC_fairlead_services);
	put_reasons(w, n);
	metrics_family(w, METRIC_fairlead_external_ips);
	put_reasons(w, n_external);
}

static void collect_patches(const struct controller *ctl, struct metrics_writer *w)
{
	metrics_stats(w, stat_rows, ARRAY_LEN(stat_rows), &ctl->stats);
	metrics_family(w, METRIC_fairlead_patches_total);
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		metrics_sample(w, (double)metrics_stat_of(&results[i].stat, &ctl->stats), "result",
		               results[i].result, NULL);
	metrics_value(w, METRIC_fairlead_patches_in_flight, (double)ctl->n_in_flight);
}

static void collect(struct metrics_writer *w, void *arg)
{
	const struct controller *ctl = arg;

	metrics_value(w, METRIC_fairlead_leader, ctl->leading);
	metrics_value(w, METRIC_fairlead_config_generation, (double)ctl->config.generation);
	metrics_value(w, METRIC_fairlead_config_errors, (double)ctl->config.errors.n);
	metrics_value(w, METRIC_fairlead_config_warnings, (double)ctl->config.warnings.n);
	collect_pools(ctl, w);
	collect_retained(ctl, w);
	collect_squatted(ctl, w);
	collect_services(ctl, w);
	collect_patches(ctl, w);
	admission_metrics(ctl, w);
	if (ctl->services && ctl->config_maps && ctl->node_feed) {
		const struct kube_informer_stats services = kube_informer_stats(ctl->services);
		const struct kube_informer_stats config_maps =
			kube_informer_stats(ctl->config_maps);
		const struct kube_informer_stats nodes = kube_informer_stats(ctl->node_feed);
		const bool follows = ctl->namespaces.feed;
		const struct kube_informer_stats namespaces =
			follows ? kube_informer_stats(ctl->namespaces.feed)
				: (struct kube_informer_stats){ .synced = false };
		const struct kube_metrics_informer informers[] = { { "services", &services },
			                                           { "configmaps", &config_maps },
			                                           { "nodes", &nodes },
			                                           { "namespaces", &namespaces } };
		kube_metrics(w, ctl->client, informers, ARRAY_LEN(informers) - !follows,
		             clock_ms());
	}
	metrics_process(w);
}

/* ---- probes ---- */

static bool healthy(struct buf *why, void *arg)
{
	(void)why;
	(void)arg;
	return true; /* the loop answers, so it runs */
}

static bool ready(struct buf *why, void *arg)
{
	const struct controller *ctl = arg;

	if (!ctl->services || !kube_informer_stats(ctl->services).synced) {
		buf_puts(why, "services are not known yet");
		return false;
	}
	if (!kube_informer_stats(ctl->config_maps).synced) {
		buf_puts(why, "configmaps are not known yet");
		return false;
	}
	if (!kube_informer_stats(ctl->node_feed).synced) {
		buf_puts(why, "nodes are not known yet");
		return false;
	}
	return true;
}

const struct metrics_server_ops report_ops = {
	.collect = collect,
	.healthy = healthy,
	.ready = ready,
	.status = status,
};
