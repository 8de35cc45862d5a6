/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller says of itself. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "controller/controller.h"
#include "fairlead/clock.h"
#include "fairlead/hash.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

/* ---- what is said of one Service ---- */

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

/* The leader says what it decided, a standby what it reads. */
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

static void put_problems(const struct config_problems *p, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < p->n; i++) {
		buf_printf(out, "%s{\"line\":%u,\"path\":", i ? "," : "", p->items[i].line);
		buf_json_str(out, p->items[i].path);
		buf_puts(out, ",\"message\":");
		buf_json_str(out, p->items[i].message);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

/* JSON readers have 63 bits at best. */
static uint64_t count_of(const uint64_t both[2])
{
	uint64_t sum = both[0] + both[1];
	return sum < both[0] || sum > INT64_MAX ? INT64_MAX : sum;
}

static void put_pool(const struct ipam_pool_usage *u, struct buf *out)
{
	const struct config_pool *pool = u->pool;

	buf_puts(out, "{\"name\":");
	buf_json_str(out, pool->name);
	buf_printf(out, ",\"protocols\":[%s%s%s],\"ranges\":[",
	           pool->protocols & PROTOCOL_LAYER2 ? "\"layer2\"" : "",
	           pool->protocols == (PROTOCOL_LAYER2 | PROTOCOL_BGP) ? "," : "",
	           pool->protocols & PROTOCOL_BGP ? "\"bgp\"" : "");
	for (size_t i = 0; i < pool->n_ranges; i++)
		buf_printf(out, "%s\"%s-%s\"", i ? "," : "", addr_str(&pool->ranges[i].first),
		           addr_str(&pool->ranges[i].last));
	buf_printf(out,
	           "],\"use\":[%s%s%s],\"auto_assign\":%s,\"total\":%" PRIu64 ",\"used\":%" PRIu64
	           ",\"free\":%" PRIu64 "}",
	           pool->uses & CONFIG_USE_LOAD_BALANCER ? "\"load-balancer\"" : "",
	           pool->uses == (CONFIG_USE_LOAD_BALANCER | CONFIG_USE_EXTERNAL_IP) ? "," : "",
	           pool->uses & CONFIG_USE_EXTERNAL_IP ? "\"external-ip\"" : "",
	           pool->auto_assign ? "true" : "false", count_of(u->total), count_of(u->used),
	           count_of(u->free));
}

static void put_part(const struct controller *ctl, const struct record_part *p, struct buf *out)
{
	const struct ipam_request *q = &p->request;
	enum reason reason = reason_of(ctl, p);
	const struct config_pool *pool = NULL;

	buf_puts(out, "\"addresses\":[");
	for (size_t i = 0; i < q->n_held + q->n_written; i++) {
		const struct addr *a = i < q->n_held ? &q->held[i] : &q->written[i - q->n_held];
		buf_printf(out, "%s\"%s\"", i ? "," : "", addr_str(a));
		if (!pool && ctl->config.in_force)
			pool = configuration_pool_of(ctl->config.in_force, a);
	}
	buf_puts(out, "],\"pool\":");
	buf_json_str(out, pool ? pool->name : NULL);
	buf_printf(out, ",\"reason\":\"%s\",\"message\":", reason_name(reason));
	buf_json_str(out, ctl->leading && p->decided && reason == p->reason
	                          ? p->message
	                          : reason_sentence(reason));
}

static void put_service(const struct controller *ctl, const struct record *r, struct buf *out)
{
	buf_puts(out, "{\"namespace\":");
	buf_json_str(out, r->namespace);
	buf_puts(out, ",\"name\":");
	buf_json_str(out, r->name);
	buf_putc(out, ',');
	put_part(ctl, &r->lb, out);
	if (external_is_ours(ctl, r)) {
		buf_puts(out, ",\"external_ips\":{");
		put_part(ctl, r->external, out);
		buf_putc(out, '}');
	}
	buf_putc(out, '}');
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

static void put_stats(const struct controller *ctl, struct buf *out)
{
	const struct controller_stats *s = &ctl->stats;

	buf_puts(out, "{");
	metrics_stats_json(stat_rows, ARRAY_LEN(stat_rows), s, out);
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		buf_printf(out, ",\"%s\":%" PRIu64, results[i].stat.key,
		           metrics_stat_of(&results[i].stat, s));
	buf_printf(out,
	           ",\"turns\":%" PRIu64 ",\"events\":%" PRIu64 ",\"publications\":%" PRIu64
	           ",\"in_flight\":%zu,\"services_known\":%u}",
	           s->turns, s->events, ctl->config.publications, ctl->n_in_flight,
	           HASH_COUNT(ctl->records));
}

static void status(struct buf *out, void *arg)
{
	struct controller *ctl = arg;
	const char *comma = "";

	buf_puts(out, "{\"identity\":");
	buf_json_str(out, ctl->identity);
	buf_puts(out, ",\"version\":");
	buf_json_str(out, PACKAGE_VERSION);
	buf_printf(out, ",\"leader\":%s,\"holder\":", ctl->leading ? "true" : "false");
	buf_json_str(out, ctl->elector ? lease_holder(ctl->elector) : "");
	buf_printf(out, ",\"config\":{\"generation\":%" PRId64 ",\"accepted\":%s,\"errors\":",
	           ctl->config.generation, ctl->config.judged_good ? "true" : "false");
	put_problems(&ctl->config.errors, out);
	buf_puts(out, ",\"warnings\":");
	put_problems(&ctl->config.warnings, out);
	buf_puts(out, "},\"pools\":[");
	for (size_t i = 0; ctl->ipam && i < ipam_n_pools(ctl->ipam); i++) {
		const struct ipam_pool_usage u = ipam_usage(ctl->ipam, i);
		buf_puts(out, i ? "," : "");
		put_pool(&u, out);
	}
	buf_puts(out, "],\"services\":[");
	HASH_SORT(ctl->records, by_key);
	for (const struct record *r = ctl->records; r; r = r->hh.next) {
		if (!is_ours(ctl, &r->lb) && !external_is_ours(ctl, r))
			continue;
		buf_puts(out, comma);
		put_service(ctl, r, out);
		comma = ",";
	}
	buf_puts(out, "],\"stats\":");
	put_stats(ctl, out);
	buf_putc(out, '}');
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
				     { "free", u.free[f] } };
			for (size_t k = 0; k < 3; k++)
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

/* By the pool that they were of; those of one name are one. */
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
	if (ctl->services && ctl->config_maps && ctl->node_feed) {
		const struct kube_informer_stats services = kube_informer_stats(ctl->services);
		const struct kube_informer_stats config_maps =
			kube_informer_stats(ctl->config_maps);
		const struct kube_informer_stats nodes = kube_informer_stats(ctl->node_feed);
		const struct kube_metrics_informer informers[] = { { "services", &services },
			                                           { "configmaps", &config_maps },
			                                           { "nodes", &nodes } };
		kube_metrics(w, ctl->client, informers, ARRAY_LEN(informers), clock_ms());
	}
	metrics_process(w);
}

/* ---- probes ---- */

static bool healthy(struct buf *why, void *arg)
{
	(void)why;
	(void)arg;
	return true; /* the loop answers, so it turns */
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
