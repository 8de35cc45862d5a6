/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision table of the service proxy as text: for each case, all that iptables is told.  The
 * hashes in chain names are replaced by numbers in order of appearance, so that the texts can be
 * read.
 */
#include "config.h"

#include "unit.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "proxy/iptables/render.h"
#include "proxy/spec.h"

static struct addr addr(const char *s)
{
	struct addr a = { .family = 0 };

	if (s)
		assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct prefix prefix(const char *s)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, false, &p), 0);
	return p;
}

/* What a case gives, with addresses as text. */
struct wish {
	const char *cluster_ip, *vip, *external_ip;
	const char *ranges[3];
	const char *cluster[4], *local[4]; /* endpoints, all on port 8080 */
	int proto;
	uint16_t node_port;
	uint16_t health_port;
	bool external_local, internal_local, no_pods, has_any, open;
	bool bpf; /* there is the match */
	uint32_t affinity_s;
};

static size_t endpoints(const char *const *from, struct proxy_endpoint *to)
{
	size_t n = 0;

	for (; n < 4 && from[n]; n++)
		to[n] = (struct proxy_endpoint){ .addr = addr(from[n]), .port = 8080 };
	return n;
}

static struct spec *make_spec(const struct wish *w)
{
	struct proxy_endpoint cluster[4], local[4];
	struct prefix ranges[3];
	struct addr vip = addr(w->vip), external_ip = addr(w->external_ip);
	struct proxy_port port = {
		.name = "http",
		.proto = (uint8_t)(w->proto ? w->proto : IPPROTO_TCP),
		.port = 80,
		.node_port = w->node_port,
		.cluster = cluster,
		.n_cluster = endpoints(w->cluster, cluster),
		.local = local,
		.n_local = endpoints(w->local, local),
	};

	port.has_any = w->has_any || port.n_cluster || port.n_local;
	struct proxy_outside outside = {
		.vips = &vip,
		.n_vips = w->vip ? 1 : 0,
		.external_ips = &external_ip,
		.n_external_ips = w->external_ip ? 1 : 0,
		.open = w->vip ? &vip : &external_ip,
		.n_open = w->open ? 1 : 0,
		.source_ranges = ranges,
	};
	struct proxy_half s = {
		.key = "shop/web",
		.family = strchr(w->cluster_ip ? w->cluster_ip : w->vip, ':') ? 6 : 4,
		.cluster_ip = addr(w->cluster_ip),
		.outside = &outside,
		.traffic.external_local = w->external_local,
		.traffic.internal_local = w->internal_local,
		.traffic.affinity_s = w->affinity_s,
		.traffic.health_port = w->health_port,
		.ports = &port,
		.n_ports = 1,
	};
	for (uint32_t *n = &outside.n_source_ranges; *n < 3 && w->ranges[*n]; ++*n)
		ranges[*n] = prefix(w->ranges[*n]);
	return spec_new(&s);
}

static void add_chain(const struct chain *c, void *arg)
{
	struct buf *out = arg;
	const char *rule = buf_str(&c->rules);

	assert_true(strlen(c->name) < CHAIN_NAME_SIZE);
	for (size_t i = 0; i < c->n_rules; i++) {
		const char *end = strchr(rule, '\n');
		buf_printf(out, "%s: %.*s\n", c->name, (int)(end - rule), rule);
		rule = end + 1;
	}
}

static void add_line(unsigned int bucket, bool after, const char *rule, void *arg)
{
	char name[CHAIN_NAME_SIZE];

	bucket_name(bucket, name);
	buf_printf(arg, "%s:%s %s\n", name, after ? " (after)" : "", rule);
}

/* FL-X-HASH becomes X, or X1, X2, … for endpoints. */
static char *readable(const char *text)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	char seen[16][CHAIN_NAME_SIZE];
	size_t n_seen = 0;

	for (const char *p = text; *p;) {
		size_t len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-");
		if (len != 21 || strncmp(p, "FL-", 3) != 0) {
			size_t step = len ? len : 1;
			buf_add(&out, p, step);
			p += step;
			continue;
		}
		size_t i = 0;
		while (i < n_seen && strncmp(seen[i], p, len) != 0)
			i++;
		if (i == n_seen && n_seen < ARRAY_LEN(seen))
			snprintf(seen[n_seen++], CHAIN_NAME_SIZE, "%.21s", p);
		size_t number = 1;
		for (size_t k = 0; k < i; k++)
			number += seen[k][3] == p[3];
		if (p[3] == 'P')
			buf_printf(&out, "P%zu", number);
		else
			buf_putc(&out, p[3]);
		assert_true(p[3] == 'P' || number == 1);
		p += len;
	}
	return xstrdup(buf_str(&out));
}

static struct render_options options(uint8_t family, bool no_pods)
{
	return (struct render_options){
		.family = family,
		.mark = 0x100000,
		.node = { .pod_cidrs = { prefix("10.244.0.0/16"), prefix("fd00:244::/56"),
		                         prefix("10.245.0.0/16") },
		          .n_pod_cidrs = no_pods ? 0 : 3,
		          .node_port_cidrs = { prefix("0.0.0.0/0"), prefix("::/0") },
		          .n_node_port_cidrs = 2 },
		.random_fully = true,
		.drop_invalid = true,
	};
}

struct one_bucket {
	unsigned int number;
	struct buf *out;
};

static void add_line_of(unsigned int bucket, bool after, const char *rule, void *arg)
{
	const struct one_bucket *one = arg;

	if (bucket == one->number)
		add_line(bucket, after, rule, one->out);
}

static void check_buckets(const struct render_options *o, const struct proxy_half *s)
{
	for (unsigned int i = 0; i < BUCKETS; i++) {
		cleanup(buf_fini) struct buf all = BUF_INIT, one = BUF_INIT;
		render_dispatch(o, s, add_line_of, &(struct one_bucket){ i, &all });
		render_bucket(o, s, i, add_line, &one);
		assert_string_equal(buf_str(&one), buf_str(&all));
	}
}

static void check(const struct wish *w, const char *want)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct spec *spec = make_spec(w);
	struct render_options o = options(spec->s.family, w->no_pods);

	o.knows_bpf = w->bpf;
	render_dispatch(&o, &spec->s, add_line, &out);
	render_service(&o, &spec->s, add_chain, &out);
	check_buckets(&o, &spec->s);
	spec_unref(spec);
	cleanup_free char *got = readable(buf_str(&out));
	assert_string_equal(got, want);
}

static void cluster_ip(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .cluster = { "10.244.2.5", "10.244.1.7" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "C: -j FL-NODE\n"
	      "C: -m statistic --mode random --probability 0.5000000000 -j P1\n"
	      "C: -j P2\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n"
	      "P2: -s 10.244.2.5/32 -j FL-MARK\n"
	      "P2: -p tcp -j DNAT --to-destination 10.244.2.5:8080\n");
	/* Without the Pods' addresses nothing is masqueraded but the hairpin. */
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .cluster = { "10.244.1.7" },
	                      .no_pods = true },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "C: -j P1\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n");
}

static void no_endpoints_reject(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17", .vip = "192.0.2.9", .node_port = 30080 },
	      "FL-D-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-D-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-R-0eb: -p tcp -m tcp --dport 30080 -j REJECT\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n");
	/* Source ranges and policies do not change that. */
	check(&(struct wish){ .vip = "192.0.2.9",
	                      .ranges = { "198.51.100.0/24" },
	                      .external_local = true,
	                      .internal_local = true },
	      "FL-D-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n");
}

static void policy_cluster_from_outside(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .vip = "192.0.2.9",
	                      .node_port = 30080,
	                      .proto = IPPROTO_UDP,
	                      .cluster = { "10.244.1.7" } },
	      "FL-B-11: -d 10.96.0.17/32 -p udp -m udp --dport 80 -j C\n"
	      "FL-B-09: -d 192.0.2.9/32 -p udp -m udp --dport 80 -j E\n"
	      "FL-N-2eb: -p udp -m udp --dport 30080 -j E\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -j FL-MARK\n"
	      "E: -j C\n"
	      "C: -d 10.96.0.17/32 -p udp -m udp --dport 80 -j FL-NODE\n"
	      "C: -j P1\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p udp -j DNAT --to-destination 10.244.1.7:8080\n");
}

static void external_ips_are_from_outside(void **state)
{
	(void)state;
	/* Alone they are enough for traffic from outside. */
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .external_ip = "203.0.113.9",
	                      .cluster = { "10.244.1.7" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "FL-B-09: -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -j E\n"
	      "FL-D-09: (after) -d 203.0.113.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -j FL-MARK\n"
	      "E: -j C\n"
	      "C: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j FL-NODE\n"
	      "C: -j P1\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n");
	/* Policy Local is theirs as well. */
	check(&(struct wish){ .external_ip = "2001:db8::9",
	                      .cluster_ip = "fd00:96::17",
	                      .external_local = true,
	                      .internal_local = true,
	                      .local = { "fd00:244::7" },
	                      .cluster = { "fd00:244::7" } },
	      "FL-B-17: -d fd00:96::17/128 -p tcp -m tcp --dport 80 -j L\n"
	      "FL-B-09: -d 2001:db8::9/128 -p tcp -m tcp --dport 80 -j E\n"
	      "FL-D-09: (after) -d 2001:db8::9/128 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -s fd00:244::/56 -j C\n"
	      "E: -m addrtype --src-type LOCAL -j FL-MARK\n"
	      "E: -m addrtype --src-type LOCAL -j C\n"
	      "E: -j CONNMARK --set-xmark 0x100000/0x100000\n"
	      "E: -j L\n"
	      "C: -j P1\n"
	      "L: -d fd00:96::17/128 -p tcp -m tcp --dport 80 -j FL-NODE\n"
	      "L: -j P1\n"
	      "P1: -s fd00:244::7/128 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination [fd00:244::7]:8080\n");
	/* None here: refused as an address of the load balancer is. */
	check(&(struct wish){ .external_ip = "203.0.113.9",
	                      .cluster_ip = "10.96.0.17",
	                      .has_any = true,
	                      .external_local = true,
	                      .internal_local = true },
	      "FL-D-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j DROP\n"
	      "FL-B-09: -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -j E\n"
	      "FL-D-09: -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -j DROP\n"
	      "FL-D-09: (after) -d 203.0.113.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n");
	/* Its other ports are a machine's: no guard. */
	check(&(struct wish){ .external_ip = "203.0.113.9",
	                      .cluster_ip = "10.96.0.17",
	                      .open = true },
	      "FL-D-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-D-09: -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -j REJECT\n");
	/* No endpoint anywhere. */
	check(&(struct wish){ .external_ip = "203.0.113.9", .cluster_ip = "10.96.0.17" },
	      "FL-D-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-D-09: -d 203.0.113.9/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-D-09: (after) -d 203.0.113.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n");
}

/* With endpoints here or without: what is asked for is which of the two it is. */
static void health_checks_are_let_in(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17", .health_port = 31000 },
	      "FL-D-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j REJECT\n"
	      "FL-R-0f2: -p tcp -m tcp --dport 31000 -j CONNMARK --set-xmark 0x100000/0x100000\n"
	      "FL-R-0f2: -p tcp -m tcp --dport 31000 -j ACCEPT\n");
	check(&(struct wish){ .cluster_ip = "fd00:96::17",
	                      .cluster = { "fd00:244::7" },
	                      .no_pods = true,
	                      .health_port = 31000 },
	      "FL-B-17: -d fd00:96::17/128 -p tcp -m tcp --dport 80 -j C\n"
	      "FL-R-0f2: -p tcp -m tcp --dport 31000 -j CONNMARK --set-xmark 0x100000/0x100000\n"
	      "FL-R-0f2: -p tcp -m tcp --dport 31000 -j ACCEPT\n"
	      "C: -j P1\n"
	      "P1: -s fd00:244::7/128 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination [fd00:244::7]:8080\n");
}

static void source_ranges_are_for_vips_alone(void **state)
{
	(void)state;
	check(&(struct wish){ .vip = "192.0.2.9",
	                      .external_ip = "203.0.113.8",
	                      .ranges = { "198.51.100.0/24" },
	                      .cluster = { "10.244.1.7" } },
	      "FL-B-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j F\n"
	      "FL-D-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j DROP\n"
	      "FL-B-08: -d 203.0.113.8/32 -p tcp -m tcp --dport 80 -j E\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "FL-D-08: (after) -d 203.0.113.8/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -j FL-MARK\n"
	      "E: -j C\n"
	      "F: -s 198.51.100.0/24 -j E\n"
	      "C: -j P1\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n");
}

static void policy_local_with_local_endpoint(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .vip = "192.0.2.9",
	                      .external_local = true,
	                      .cluster = { "10.244.1.7", "10.244.2.5" },
	                      .local = { "10.244.2.5" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "FL-B-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j E\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -s 10.244.0.0/16 -j C\n"
	      "E: -s 10.245.0.0/16 -j C\n"
	      "E: -m addrtype --src-type LOCAL -j FL-MARK\n"
	      "E: -m addrtype --src-type LOCAL -j C\n"
	      "E: -j CONNMARK --set-xmark 0x100000/0x100000\n"
	      "E: -j L\n"
	      "C: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j FL-NODE\n"
	      "C: -m statistic --mode random --probability 0.5000000000 -j P1\n"
	      "C: -j P2\n"
	      "L: -j P2\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n"
	      "P2: -s 10.244.2.5/32 -j FL-MARK\n"
	      "P2: -p tcp -j DNAT --to-destination 10.244.2.5:8080\n");
}

static void policy_local_without_local_endpoint(void **state)
{
	(void)state;
	check(&(struct wish){ .vip = "192.0.2.9",
	                      .node_port = 30080,
	                      .external_local = true,
	                      .cluster = { "10.244.1.7" } },
	      "FL-B-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j E\n"
	      "FL-D-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j DROP\n"
	      "FL-N-0eb: -p tcp -m tcp --dport 30080 -j E\n"
	      "FL-R-0eb: -p tcp -m tcp --dport 30080 -j DROP\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -s 10.244.0.0/16 -j C\n"
	      "E: -s 10.245.0.0/16 -j C\n"
	      "E: -m addrtype --src-type LOCAL -j FL-MARK\n"
	      "E: -m addrtype --src-type LOCAL -j C\n"
	      "C: -j P1\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n");
}

static void internal_policy_local(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .internal_local = true,
	                      .cluster = { "10.244.1.7" },
	                      .local = { "10.244.2.5" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j L\n"
	      "L: -j FL-NODE\n"
	      "L: -j P1\n"
	      "P1: -s 10.244.2.5/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.2.5:8080\n");
	check(&(struct wish){ .cluster_ip = "10.96.0.17", .internal_local = true, .has_any = true },
	      "FL-D-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j DROP\n");
}

static void source_ranges(void **state)
{
	(void)state;
	check(&(struct wish){ .vip = "192.0.2.9",
	                      .node_port = 30080,
	                      .ranges = { "198.51.100.0/24", "2001:db8::/32", "10.0.0.0/8" },
	                      .cluster = { "10.244.1.7" } },
	      "FL-B-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j F\n"
	      "FL-D-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j DROP\n"
	      "FL-N-0eb: -p tcp -m tcp --dport 30080 -j E\n"
	      "FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -j FL-MARK\n"
	      "E: -j C\n"
	      "F: -s 10.0.0.0/8 -j E\n"
	      "F: -s 198.51.100.0/24 -j E\n"
	      "C: -j P1\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n");
	/* A range of everything, or none of this family, is no filter. */
	static const char *const plain =
		"FL-B-09: -d 192.0.2.9/32 -p tcp -m tcp --dport 80 -j E\n"
		"FL-D-09: (after) -d 192.0.2.9/32 -m addrtype ! --dst-type LOCAL -j REJECT\n"
		"E: -j FL-MARK\n"
		"E: -j C\n"
		"C: -j P1\n"
		"P1: -s 10.244.1.7/32 -j FL-MARK\n"
		"P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n";
	check(&(struct wish){ .vip = "192.0.2.9",
	                      .ranges = { "10.0.0.0/8", "0.0.0.0/0" },
	                      .cluster = { "10.244.1.7" } },
	      plain);
	check(&(struct wish){ .vip = "192.0.2.9",
	                      .ranges = { "2001:db8::/32" },
	                      .cluster = { "10.244.1.7" } },
	      plain);
}

static void affinity(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .affinity_s = 10800,
	                      .cluster = { "10.244.1.7", "10.244.2.5" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "C: -j FL-NODE\n"
	      "C: -m recent --name P1 --rcheck --seconds 10800 --reap -j P1\n"
	      "C: -m recent --name P2 --rcheck --seconds 10800 --reap -j P2\n"
	      "C: -m statistic --mode random --probability 0.5000000000 -j P1\n"
	      "C: -j P2\n"
	      "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	      "P1: -p tcp -m recent --name P1 --set -j DNAT --to-destination 10.244.1.7:8080\n"
	      "P2: -s 10.244.2.5/32 -j FL-MARK\n"
	      "P2: -p tcp -m recent --name P2 --set -j DNAT --to-destination 10.244.2.5:8080\n");
}

/* One rule for all finds who reaches himself: no endpoint needs a chain for that. */
static void with_the_match_endpoints_are_rules(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .bpf = true,
	                      .cluster = { "10.244.2.5", "10.244.1.7", "10.244.1.8" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "C: -j FL-NODE\n"
	      "C: -p tcp -m statistic --mode random --probability 0.3333333333 -j DNAT "
	      "--to-destination 10.244.1.7:8080\n"
	      "C: -p tcp -m statistic --mode random --probability 0.5000000000 -j DNAT "
	      "--to-destination 10.244.1.8:8080\n"
	      "C: -p tcp -j DNAT --to-destination 10.244.2.5:8080\n");
	check(&(struct wish){ .cluster_ip = "fd00:96::17",
	                      .vip = "2001:db8::9",
	                      .bpf = true,
	                      .proto = IPPROTO_UDP,
	                      .external_local = true,
	                      .cluster = { "fd00:244::5", "fd00:244::6" },
	                      .local = { "fd00:244::6" } },
	      "FL-B-17: -d fd00:96::17/128 -p udp -m udp --dport 80 -j C\n"
	      "FL-B-09: -d 2001:db8::9/128 -p udp -m udp --dport 80 -j E\n"
	      "FL-D-09: (after) -d 2001:db8::9/128 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -s fd00:244::/56 -j C\n"
	      "E: -m addrtype --src-type LOCAL -j FL-MARK\n"
	      "E: -m addrtype --src-type LOCAL -j C\n"
	      "E: -j CONNMARK --set-xmark 0x100000/0x100000\n"
	      "E: -j L\n"
	      "C: -d fd00:96::17/128 -p udp -m udp --dport 80 -j FL-NODE\n"
	      "C: -p udp -m statistic --mode random --probability 0.5000000000 -j DNAT "
	      "--to-destination [fd00:244::5]:8080\n"
	      "C: -p udp -j DNAT --to-destination [fd00:244::6]:8080\n"
	      "L: -p udp -j DNAT --to-destination [fd00:244::6]:8080\n");
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .bpf = true,
	                      .proto = IPPROTO_SCTP,
	                      .no_pods = true,
	                      .cluster = { "10.244.1.7" } },
	      "FL-B-11: -d 10.96.0.17/32 -p sctp -m sctp --dport 80 -j C\n"
	      "C: -p sctp -j DNAT --to-destination 10.244.1.7:8080\n");
	/* Affinity needs a name for each. */
	check(&(struct wish){ .cluster_ip = "10.96.0.17",
	                      .bpf = true,
	                      .affinity_s = 60,
	                      .cluster = { "10.244.1.7", "10.244.2.5" } },
	      "FL-B-11: -d 10.96.0.17/32 -p tcp -m tcp --dport 80 -j C\n"
	      "C: -j FL-NODE\n"
	      "C: -m recent --name P1 --rcheck --seconds 60 --reap -j P1\n"
	      "C: -m recent --name P2 --rcheck --seconds 60 --reap -j P2\n"
	      "C: -m statistic --mode random --probability 0.5000000000 -j P1\n"
	      "C: -j P2\n"
	      "P1: -p tcp -m recent --name P1 --set -j DNAT --to-destination 10.244.1.7:8080\n"
	      "P2: -p tcp -m recent --name P2 --set -j DNAT --to-destination 10.244.2.5:8080\n");
}

/* ---- what the bytecode says of a packet: as the kernel runs it ---- */

static bool run_bytecode(const char *frame, const uint8_t *packet, size_t size)
{
	struct {
		unsigned int code, jt, jf, k;
	} insns[32];
	uint32_t a = 0, x = 0;
	int n, at = 0, len = 0;
	const char *p = strstr(frame, "--bytecode \"");

	assert_non_null(p);
	p += strlen("--bytecode \"");
	assert_int_equal(sscanf(p, "%d,%n", &n, &len), 1);
	assert_in_range(n, 1, ARRAY_LEN(insns));
	for (int i = 0; i < n; i++) {
		p += len;
		assert_int_equal(sscanf(p, "%u %u %u %u%n", &insns[i].code, &insns[i].jt,
		                        &insns[i].jf, &insns[i].k, &len),
		                 4);
		assert_int_equal(p[len], i + 1 < n ? ',' : '"');
		len++;
	}
	for (;; at++) {
		assert_in_range(at, 0, n - 1);
		unsigned int k = insns[at].k;
		switch (insns[at].code) {
		case 32: /* a = a word of the packet */
			assert_true(k + 4 <= size);
			a = (uint32_t)packet[k] << 24 | (uint32_t)packet[k + 1] << 16 |
			    (uint32_t)packet[k + 2] << 8 | packet[k + 3];
			break;
		case 7: /* x = a */
			x = a;
			break;
		case 29: /* a == x? */
			at += (int)(a == x ? insns[at].jt : insns[at].jf);
			break;
		case 6:
			return k != 0;
		default:
			fail_msg("instruction %u", insns[at].code);
		}
	}
}

static void who_reaches_himself_is_found(void **state)
{
	(void)state;
	static const struct {
		uint8_t family;
		size_t source, size; /* of the addresses, which follow each other */
	} rows[] = { { 4, 12, 4 }, { 6, 8, 16 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct render_options o = options(rows[i].family, false);
		uint8_t packet[40];
		o.knows_bpf = true;
		render_frame(&o, add_chain, &out);
		assert_non_null(
			strstr(buf_str(&out), "FL-POST: -m conntrack --ctstate DNAT -m bpf "));
		memset(packet, 0xaa, sizeof(packet));
		assert_true(run_bytecode(buf_str(&out), packet, sizeof(packet)));
		for (size_t k = 0; k < sizeof(packet); k++) {
			bool is_address =
				k >= rows[i].source && k < rows[i].source + 2 * rows[i].size;
			packet[k] ^= 1;
			assert_int_equal(run_bytecode(buf_str(&out), packet, sizeof(packet)),
			                 !is_address);
			packet[k] ^= 1;
		}
	}
}

static void ipv6(void **state)
{
	(void)state;
	check(&(struct wish){ .cluster_ip = "fd00:96::1:1a",
	                      .vip = "2001:db8::f0",
	                      .node_port = 65535,
	                      .proto = IPPROTO_SCTP,
	                      .external_local = true,
	                      .cluster = { "fd00:244::5", "10.244.1.7" },
	                      .local = { "fd00:244::5" } },
	      "FL-B-1a: -d fd00:96::1:1a/128 -p sctp -m sctp --dport 80 -j C\n"
	      "FL-B-f0: -d 2001:db8::f0/128 -p sctp -m sctp --dport 80 -j E\n"
	      "FL-N-5ff: -p sctp -m sctp --dport 65535 -j E\n"
	      "FL-D-f0: (after) -d 2001:db8::f0/128 -m addrtype ! --dst-type LOCAL -j REJECT\n"
	      "E: -s fd00:244::/56 -j C\n"
	      "E: -m addrtype --src-type LOCAL -j FL-MARK\n"
	      "E: -m addrtype --src-type LOCAL -j C\n"
	      "E: -j CONNMARK --set-xmark 0x100000/0x100000\n"
	      "E: -j L\n"
	      "C: -d fd00:96::1:1a/128 -p sctp -m sctp --dport 80 -j FL-NODE\n"
	      "C: -j P1\n"
	      "L: -j P1\n"
	      "P1: -s fd00:244::5/128 -j FL-MARK\n"
	      "P1: -p sctp -j DNAT --to-destination [fd00:244::5]:8080\n");
}

static bool some_buckets(unsigned int bucket, void *arg)
{
	(void)arg;
	char name[CHAIN_NAME_SIZE];
	bucket_name(bucket, name);
	return !strcmp(name + 4, "-09") || !strcmp(name + 4, "-ff") || !strcmp(name + 4, "-0eb") ||
	       !strcmp(name + 4, "-5ff");
}

static bool no_buckets(unsigned int bucket, void *arg)
{
	(void)bucket;
	(void)arg;
	return false;
}

static void the_frame_is_complete(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct render_options o = options(4, false);
	o.clamp_mss = PROXY_CLAMP_PMTU;
	render_frame(&o, add_chain, &out);
	struct chain c = { .n_rules = 0 };
	for (int k = 0; k < BUCKET_KINDS; k++) {
		render_index(&o, (enum bucket_kind)k, some_buckets, NULL, &c);
		add_chain(&c, &out);
	}
	o = options(6, true);
	render_index(&o, BUCKET_NAT_ADDR, some_buckets, NULL, &c);
	add_chain(&c, &out);
	chain_fini(&c);
	assert_string_equal(
		buf_str(&out),
		"FL-IN: -m conntrack --ctstate NEW -j FL-FLT\n"
		"FL-IN: -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL -j FL-NPF\n"
		"FL-IN: -m connmark --mark 0x100000/0x100000 -m conntrack ! --ctstate DNAT -j "
		"ACCEPT\n"
		"FL-OUT: -m conntrack --ctstate NEW -j FL-FLT\n"
		"FL-FWD: -s 10.244.0.0/16 -m conntrack --ctstate INVALID -j DROP\n"
		"FL-FWD: -s 10.245.0.0/16 -m conntrack --ctstate INVALID -j DROP\n"
		"FL-FWD: -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT -j "
		"TCPMSS --clamp-mss-to-pmtu\n"
		"FL-FWD: -m conntrack --ctstate NEW -j FL-FLT\n"
		"FL-ACC: -m mark --mark 0x100000/0x100000 -j ACCEPT\n"
		"FL-ACC: -m connmark --mark 0x100000/0x100000 -m conntrack --ctstate DNAT -j "
		"ACCEPT\n"
		"FL-ACC: -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctstate DNAT "
		"-j ACCEPT\n"
		"FL-MARK: -j MARK --set-xmark 0x100000/0x100000\n"
		"FL-NODE: -s 10.244.0.0/16 -j RETURN\n"
		"FL-NODE: -s 10.245.0.0/16 -j RETURN\n"
		"FL-NODE: -j FL-MARK\n"
		"FL-POST: -m mark ! --mark 0x100000/0x100000 -j RETURN\n"
		"FL-POST: -j MARK --set-xmark 0x0/0x100000\n"
		"FL-POST: -j MASQUERADE --random-fully\n"
		"FL-SVC: -d 0.0.0.9/0.0.0.255 -j FL-B-09\n"
		"FL-SVC: -d 0.0.0.255/0.0.0.255 -j FL-B-ff\n"
		"FL-SVC: ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j FL-NP\n"
		"FL-NP: -p tcp -m tcp --dport 30080:30207 -j FL-N-0eb\n"
		"FL-NP: -p sctp -m sctp --dport 65408:65535 -j FL-N-5ff\n"
		"FL-FLT: -d 0.0.0.9/0.0.0.255 -j FL-D-09\n"
		"FL-FLT: -d 0.0.0.255/0.0.0.255 -j FL-D-ff\n"
		"FL-NPF: -d 127.0.0.0/8 -j RETURN\n"
		"FL-NPF: -p tcp -m tcp --dport 30080:30207 -j FL-R-0eb\n"
		"FL-NPF: -p sctp -m sctp --dport 65408:65535 -j FL-R-5ff\n"
		"FL-SVC: -d ::9/::ff -j FL-B-09\n"
		"FL-SVC: -d ::ff/::ff -j FL-B-ff\n"
		"FL-SVC: ! -d ::1/128 -m addrtype --dst-type LOCAL -j FL-NP\n");
}

static void node_ports_at_chosen_addresses(void **state)
{
	(void)state;
	static const char *const given[] = { "192.0.2.0/28", "2001:db8::/64", "192.0.2.64/32" };
	static const char all4[] =
		"FL-SVC: ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j FL-NP\n"
		"FL-IN: -m conntrack --ctstate NEW -j FL-FLT\n"
		"FL-IN: -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL -j FL-NPF\n";
	static const struct {
		uint8_t family;
		size_t n;
		bool everywhere;
		const char *want;
	} rows[] = {
		{ 4, 3, false,
		  "FL-SVC: -d 127.0.0.0/8 -j RETURN\n"
		  "FL-SVC: -d 192.0.2.0/28 -m addrtype --dst-type LOCAL -j FL-NP\n"
		  "FL-SVC: -d 192.0.2.64/32 -m addrtype --dst-type LOCAL -j FL-NP\n"
		  "FL-IN: -m conntrack --ctstate NEW -j FL-FLT\n"
		  "FL-IN: -d 192.0.2.0/28 -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL "
		  "-j FL-NPF\n"
		  "FL-IN: -d 192.0.2.64/32 -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL "
		  "-j FL-NPF\n" },
		{ 6, 2, false,
		  "FL-SVC: -d ::1/128 -j RETURN\n"
		  "FL-SVC: -d 2001:db8::/64 -m addrtype --dst-type LOCAL -j FL-NP\n"
		  "FL-IN: -m conntrack --ctstate NEW -j FL-FLT\n"
		  "FL-IN: -d 2001:db8::/64 -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL "
		  "-j FL-NPF\n" },
		/* One of everybody is no choice; none of the family is nowhere. */
		{ 4, 3, true, all4 },
		{ 6, 1, false,
		  "FL-SVC: -d ::1/128 -j RETURN\n"
		  "FL-IN: -m conntrack --ctstate NEW -j FL-FLT\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT, frame = BUF_INIT;
		struct render_options o = options(rows[i].family, false);
		struct prefix *cidrs = o.node.node_port_cidrs;
		struct chain c = { .n_rules = 0 };
		for (size_t k = 0; k < rows[i].n; k++)
			cidrs[k] = prefix(given[k]);
		if (rows[i].everywhere)
			cidrs[2] = prefix("0.0.0.0/0");
		o.node.n_node_port_cidrs = rows[i].n;
		render_index(&o, BUCKET_NAT_ADDR, no_buckets, NULL, &c);
		add_chain(&c, &out);
		render_frame(&o, add_chain, &frame);
		const char *end = strstr(buf_str(&frame), "FL-IN: -m connmark");
		buf_add(&out, buf_str(&frame), (size_t)(end - buf_str(&frame)));
		assert_string_equal(buf_str(&out), rows[i].want);
		chain_fini(&c);
	}
}

/* The lines of the frame, and of FL-SVC, that begin with one of these. */
static char *frame_lines(const struct render_options *o, const char *const chains[], size_t n)
{
	cleanup(buf_fini) struct buf all = BUF_INIT, out = BUF_INIT;
	struct chain c = { .n_rules = 0 };

	render_index(o, BUCKET_NAT_ADDR, no_buckets, NULL, &c);
	add_chain(&c, &all);
	chain_fini(&c);
	render_frame(o, add_chain, &all);
	for (const char *p = buf_str(&all); *p; p = strchr(p, '\n') + 1)
		for (size_t i = 0; i < n; i++)
			if (!strncmp(p, chains[i], strlen(chains[i])))
				buf_add(&out, p, strcspn(p, "\n") + 1);
	return xstrdup(buf_str(&out));
}

static void pods_by_interface(void **state)
{
	(void)state;
	static const char *const chains[] = { "FL-FWD: -i", "FL-FWD: -s", "FL-NODE" };
	static const struct {
		enum proxy_pods by;
		const char *name, *match;
	} rows[] = {
		{ PROXY_PODS_BY_INTERFACE, "cni0", "cni0" },
		{ PROXY_PODS_BY_INTERFACE_PREFIX, "cali", "cali+" },
		/* There is no longer name that it could be the beginning of. */
		{ PROXY_PODS_BY_INTERFACE_PREFIX, "calicalicalical", "calicalicalical" },
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		struct render_options o = options(i % 2 ? 6 : 4, i % 4 < 2);
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct spec *spec = make_spec(&(struct wish){ .vip = "203.0.113.9",
		                                              .external_local = true,
		                                              .cluster = { "10.244.1.7" },
		                                              .local = { "10.244.1.7" } });
		o.pods_by = rows[i / 2].by;
		snprintf(o.pod_interface, sizeof(o.pod_interface), "%s", rows[i / 2].name);
		cleanup_free char *got = frame_lines(&o, chains, ARRAY_LEN(chains));
		cleanup_free char *want =
			xasprintf("FL-FWD: -i %s -m conntrack --ctstate INVALID -j DROP\n"
		                  "FL-NODE: -i %s -j RETURN\nFL-NODE: -j FL-MARK\n",
		                  rows[i / 2].match, rows[i / 2].match);
		assert_string_equal(got, want);
		render_service(&o, &spec->s, add_chain, &out);
		spec_unref(spec);
		cleanup_free char *chains_of = readable(buf_str(&out));
		cleanup_free char *first = xasprintf("E: -i %s -j C\n", rows[i / 2].match);
		assert_memory_equal(chains_of, first, strlen(first));
	}
}

static void node_ports_at_localhost(void **state)
{
	(void)state;
	static const char *const chains[] = { "FL-SVC", "FL-IN: -d" };
	static const char guard[] = "FL-IN: -d 127.0.0.0/8 ! -i lo -m conntrack ! --ctstate "
				    "RELATED,ESTABLISHED,DNAT -j DROP\n";
	static const struct {
		uint8_t family;
		bool wanted, guarded, chosen;
		const char *svc, *in;
	} rows[] = {
		{ 4, true, true, false,
		  "FL-SVC: -d 127.0.0.0/8 -o lo -j FL-NP\n"
		  "FL-SVC: ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j FL-NP\n",
		  guard },
		/* It is no more wanted, but the sysctl cannot be taken back. */
		{ 4, false, true, false,
		  "FL-SVC: ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j FL-NP\n", guard },
		{ 4, false, false, false,
		  "FL-SVC: ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j FL-NP\n", "" },
		{ 6, true, true, false,
		  "FL-SVC: ! -d ::1/128 -m addrtype --dst-type LOCAL -j FL-NP\n", "" },
		{ 4, true, true, true,
		  "FL-SVC: -d 127.0.0.0/8 -o lo -j FL-NP\nFL-SVC: -d 127.0.0.0/8 -j RETURN\n",
		  "FL-IN: -d 127.0.0.0/8 -i lo -m conntrack --ctstate NEW -j FL-NPF\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct render_options o = options(rows[i].family, false);
		o.localhost_node_ports = rows[i].wanted;
		o.localhost_guard = rows[i].guarded;
		if (rows[i].chosen)
			o.node.n_node_port_cidrs = 0;
		cleanup_free char *got = frame_lines(&o, chains, ARRAY_LEN(chains));
		cleanup_free char *want =
			xasprintf("%s%s%s", rows[i].svc, rows[i].chosen ? guard : "", rows[i].in);
		assert_string_equal(got, want);
	}
}

static void masquerading_all_asks_nobody(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct spec *spec = make_spec(
		&(struct wish){ .cluster_ip = "10.96.0.17", .cluster = { "10.244.1.7" } });
	struct render_options o = options(4, false);
	o.masquerade_all = true;
	render_service(&o, &spec->s, add_chain, &out);
	spec_unref(spec);
	cleanup_free char *got = readable(buf_str(&out));
	assert_string_equal(got, "C: -j FL-MARK\n"
	                         "C: -j P1\n"
	                         "P1: -s 10.244.1.7/32 -j FL-MARK\n"
	                         "P1: -p tcp -j DNAT --to-destination 10.244.1.7:8080\n");
}

static void equal_wishes_are_equal_copies(void **state)
{
	(void)state;
	const struct wish w = { .cluster_ip = "10.96.0.17",
		                .cluster = { "10.244.1.7", "10.244.2.5", "10.244.1.7" } };
	const struct wish same = { .cluster_ip = "10.96.0.17",
		                   .cluster = { "10.244.2.5", "10.244.1.7" } };
	const struct wish other = { .cluster_ip = "10.96.0.17",
		                    .cluster = { "10.244.2.5", "10.244.1.8" } };
	struct spec *a = make_spec(&w), *b = make_spec(&same), *c = make_spec(&other);
	assert_int_equal(a->s.ports[0].n_cluster, 2);
	assert_true(a->digest == b->digest);
	assert_true(a->digest != c->digest);
	spec_unref(a);
	spec_unref(b);
	spec_unref(c);
}

static void any_difference_is_a_change(void **state)
{
	(void)state;
	static const struct wish wishes[] = {
		{ .cluster_ip = "10.96.0.17" },
		{ .cluster_ip = "10.96.0.18" },
		{ .cluster_ip = "10.96.0.17", .vip = "192.0.2.9" },
		{ .cluster_ip = "10.96.0.17", .external_ip = "192.0.2.9" },
		{ .cluster_ip = "10.96.0.17", .external_ip = "192.0.2.8" },
		{ .cluster_ip = "10.96.0.17", .vip = "192.0.2.8" },
		{ .cluster_ip = "10.96.0.17", .vip = "192.0.2.8", .ranges = { "10.0.0.0/8" } },
		{ .cluster_ip = "10.96.0.17", .external_local = true },
		{ .cluster_ip = "10.96.0.17", .internal_local = true },
		{ .cluster_ip = "10.96.0.17", .node_port = 30080 },
		{ .cluster_ip = "10.96.0.17", .affinity_s = 5 },
		{ .cluster_ip = "10.96.0.17", .has_any = true },
	};
	uint64_t digests[ARRAY_LEN(wishes)];
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		struct spec *spec = make_spec(&wishes[i]);
		digests[i] = spec->digest;
		spec_unref(spec);
		for (size_t k = 0; k < i; k++)
			assert_true(digests[i] != digests[k]);
	}
}

static char *rules_of(const struct proxy_half *s)
{
	struct buf out = BUF_INIT;
	struct render_options o = options(s->family, false);

	render_dispatch(&o, s, add_line, &out);
	render_service(&o, s, add_chain, &out);
	return buf_take(&out);
}

/* A row that comes this far and makes no other rules would be parsed for nothing. */
static void each_row_of_traffic_is_in_the_rules(void **state)
{
	const struct wish wish = { .cluster_ip = "10.96.0.17",
		                   .vip = "192.0.2.9",
		                   .cluster = { "10.244.1.7", "10.244.2.5" },
		                   .local = { "10.244.1.7" } };
	struct spec *spec = make_spec(&wish);
	cleanup_free char *plain = rules_of(&spec->s);

	(void)state;
/* A name is for other modes. */
#define USED(kind, ...) USED_##kind(__VA_ARGS__)
#define USED_OPTION(name)
#define USED_VALUE(type, name)                                                  \
	{                                                                       \
		struct proxy_half other = spec->s;                              \
		other.traffic.name = (type)!other.traffic.name;                 \
		cleanup_free char *rules = rules_of(&other);                    \
		if (!strcmp(rules, plain))                                      \
			fail_msg("%s makes no difference to the rules", #name); \
	}
	TRAFFIC_FIELDS(USED)
	spec_unref(spec);
}

static void names_cannot_break_a_line(void **state)
{
	(void)state;
	struct chain c = { .n_rules = 0 };
	cleanup(buf_fini) struct buf out = BUF_INIT;
	chain_begin(&c, "FL-X", "a/b\"-j ACCEPT\n-A INPUT");
	chain_rule(&c, "-j FL-MARK");
	chain_write(&c, 0x1234, &out);
	chain_fini(&c);
	assert_string_equal(buf_str(&out), "-A FL-X -m comment --comment \"0000000000001234/1 "
	                                   "a/b?-j?ACCEPT?-A?INPUT\" -j FL-MARK\n");
}

static void tables_follow_from_names(void **state)
{
	(void)state;
	static const char *const filter[] = { "FL-IN",  "FL-OUT", "FL-FWD",  "FL-ACC",
		                              "FL-FLT", "FL-NPF", "FL-D-0a", "FL-R-5ff" };
	static const char *const nat[] = {
		"FL-SVC",  "FL-NP",   "FL-MARK",  "FL-NODE",
		"FL-POST", "FL-B-0a", "FL-N-5ff", "FL-C-ABCDEFGHIJKLMNOP"
	};
	for (size_t i = 0; i < ARRAY_LEN(filter); i++) {
		assert_int_equal(chain_table(filter[i]), CHAIN_FILTER);
		assert_int_equal(chain_table(nat[i]), CHAIN_NAT);
		assert_false(chain_is_of_service(filter[i]));
		assert_int_equal(chain_is_of_service(nat[i]), i == 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cluster_ip),
		cmocka_unit_test(no_endpoints_reject),
		cmocka_unit_test(policy_cluster_from_outside),
		cmocka_unit_test(external_ips_are_from_outside),
		cmocka_unit_test(health_checks_are_let_in),
		cmocka_unit_test(source_ranges_are_for_vips_alone),
		cmocka_unit_test(policy_local_with_local_endpoint),
		cmocka_unit_test(policy_local_without_local_endpoint),
		cmocka_unit_test(internal_policy_local),
		cmocka_unit_test(source_ranges),
		cmocka_unit_test(affinity),
		cmocka_unit_test(with_the_match_endpoints_are_rules),
		cmocka_unit_test(who_reaches_himself_is_found),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(the_frame_is_complete),
		cmocka_unit_test(node_ports_at_chosen_addresses),
		cmocka_unit_test(pods_by_interface),
		cmocka_unit_test(node_ports_at_localhost),
		cmocka_unit_test(masquerading_all_asks_nobody),
		cmocka_unit_test(equal_wishes_are_equal_copies),
		cmocka_unit_test(any_difference_is_a_change),
		cmocka_unit_test(each_row_of_traffic_is_in_the_rules),
		cmocka_unit_test(names_cannot_break_a_line),
		cmocka_unit_test(tables_follow_from_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
