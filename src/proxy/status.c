/* SPDX-License-Identifier: Apache-2.0 */
/* What the data plane reports about itself: for /status, and for /metrics. */
#include "config.h"

#include "proxy/proxy_private.h"

#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "fairlead/out.h"
#include "proxy/sole.h"
#include "proxy/takeover.h"
#include "proxy/tally.h"

struct proxy_stats proxy_stats(const struct proxy *p)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };

	if (p->b->add_stats)
		p->b->add_stats(p->self, &st);
	if (p->sole)
		st.in_sync = st.in_sync && p->takeover && takeover_is_done(p->takeover);
	st.in_sync = st.in_sync && !p->behind;
	return st;
}

struct proxy_flows proxy_flows(const struct proxy *p)
{
	return p->flows;
}

static const struct metrics_stat stat_rows[] = {
#define PROXY_STAT(member, from, name, type, help) METRICS_STAT(struct proxy_stats, member, name),
#include "fairlead/metrics.def"
};

void proxy_metrics(const struct proxy *p, struct metrics_writer *w)
{
	const struct proxy_stats st = proxy_stats(p);

	if (!proxy_forwards(p))
		return;
	metrics_stats(w, stat_rows, ARRAY_LEN(stat_rows), &st);
	metrics_value(w, METRIC_fairlead_proxy_in_sync, st.in_sync);
	metrics_histogram(w, METRIC_fairlead_proxy_batch_duration_seconds, &st.batch_seconds);
	metrics_value(w, METRIC_fairlead_conntrack_entries, (double)p->flows.count);
	metrics_value(w, METRIC_fairlead_conntrack_entries_limit, (double)p->flows.max);
	if (!p->tally)
		return;
	p->b->count(p->self, p->tally);
	tally_metrics(p->tally, p->b->counts_packets, w);
}

static void put_flows(const struct proxy *p, struct out *o)
{
	out_object(o, "conntrack");
	out_uint(o, "entries", p->flows.count);
	out_uint(o, "max", p->flows.max);
	out_bool(o, "full", p->flows.full);
	out_close(o);
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

static void put_cidrs(const char *key, const struct prefix *cidrs, size_t n, struct out *o)
{
	char text[PREFIX_STR_SIZE];

	out_list(o, key);
	for (size_t i = 0; i < n; i++)
		out_str(o, NULL, prefix_format(&cidrs[i], text));
	out_close(o);
}

/* What `fairlead explain` follows packets by. */
static void put_node(const struct proxy *p, struct out *o)
{
	static const char *const words[] = { [PROXY_PODS_BY_SOURCE] = "source",
		                             [PROXY_PODS_BY_INTERFACE] = "interface",
		                             [PROXY_PODS_BY_INTERFACE_PREFIX] = "interface" };

	out_object(o, "node");
	out_str(o, "pods_by", words[p->pods_by]);
	put_cidrs("pod_cidrs", p->node.pod_cidrs, p->node.n_pod_cidrs, o);
	put_cidrs("node_port_cidrs", p->node.node_port_cidrs, p->node.n_node_port_cidrs, o);
	out_bool(o, "localhost_node_ports", p->localhost_node_ports && !p->localhost_error.blame);
	out_bool(o, "masquerade_all", p->masquerade_all);
	out_str(o, "localhost_error", p->localhost_error.blame ? p->localhost_error.msg : NULL);
	out_close(o);
}

static void put_forwarding(const struct proxy *p, struct out *o)
{
	struct proxy_stats st = proxy_stats(p);

	out_bool(o, "in_sync", st.in_sync);
	metrics_stats_put(stat_rows, ARRAY_LEN(stat_rows), &st, o);
	out_int(o, "last_success_ms", st.last_success_ms);
	out_bool(o, "waits_for_another", !sole_is(p->sole));
	out_int(o, "other_process", sole_other(p->sole));
	put_flows(p, o);
	put_passages(p, o);
	put_node(p, o);
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
