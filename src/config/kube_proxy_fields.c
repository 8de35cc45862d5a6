/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube-proxy's fields, map by map, by the tables that read the configuration too: so that one that
 * is not known, or given twice, is an error with its line.  Most of them are about kube-proxy
 * itself: a row says why they are not carried over, which is told where they are set to something.
 * kubeadm writes all of them, most as null, 0s or "".
 */
#include "config.h"

#include "config/kube_proxy_fields.h"

#include <string.h>
#include <strings.h>

#include "fairlead/mem.h"

#define API_VERSION "kubeproxy.config.k8s.io/v1alpha1"

const char *proxy_field_text(const struct proxy_field *f)
{
	return f->node ? f->node->text : "";
}

void proxy_fields_remark(struct schema_ctx *x, struct config_problems *remarks, unsigned int line,
                         const char *text)
{
	struct schema_ctx remarking = { .warnings = remarks, .path = x->path };

	schema_warning(&remarking, line, "%s", text);
}

/* As a Go program writes what nobody set. */
static bool is_unset(const struct ynode *node, const char *by_default)
{
	static const char *const unset[] = { "", "0", "0s", "false" };

	if (node->kind != YNODE_SCALAR)
		return node->n_entries == 0;
	for (size_t i = 0; i < ARRAY_LEN(unset); i++)
		if (!strcasecmp(node->text, unset[i]))
			return true;
	return by_default && !strcmp(node->text, by_default);
}

/* ---- types ---- */

static void read_remark(struct schema_ctx *x, const struct schema_key *key,
                        const struct ynode *node, void *field)
{
	struct proxy_fields *f = field;

	if (!is_unset(node, key->otherwise))
		proxy_fields_remark(x, f->remarks, node->line, key->doc);
}

static void read_lost(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	(void)field;
	if (!is_unset(node, key->otherwise))
		schema_warning(x, node->line, "%s", key->doc);
}

static void read_text(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	struct proxy_field *f = field;
	const char *text = schema_text(x, node);

	(void)key;
	if (text && *text)
		f->node = node;
}

static void read_bool(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	struct proxy_field *f = field;

	schema_read_bool(x, key, node, &f->yes);
	f->node = node;
}

/* What it is decides its meaning, and so does that it is there. */
static void read_any(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                     void *field)
{
	struct proxy_field *f = field;

	if (key->doc)
		read_lost(x, key, node, NULL);
	f->node = node;
}

/* kind and apiVersion, which have one value. */
static void read_fixed(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                       void *field)
{
	const char *text = schema_text(x, node);

	(void)field;
	if (text && strcmp(text, key->otherwise) != 0)
		schema_error(x, node->line, "is \"%.64s\"; only %s is known here", text,
		             key->otherwise);
}

static const struct schema_type remark = { .read = read_remark }, lost = { .read = read_lost },
				text = { .read = read_text }, boolean = { .read = read_bool },
				any = { .read = read_any }, fixed = { .read = read_fixed };

#define NEEDS_NONE(key, why)                                 \
	{                                                    \
		.name = (key), .type = &remark, .doc = (why) \
	}
#define IS_LOST(key, why)                                  \
	{                                                  \
		.name = (key), .type = &lost, .doc = (why) \
	}
#define TAKEN(key, how, field)                                                                \
	{                                                                                     \
		.name = (key), .type = &(how), .offset = offsetof(struct proxy_fields, field) \
	}

/* A map within: its keys go where those of the whole do. */
#define TABLE(table)                                                                         \
	static const struct schema_table table##_table = SCHEMA_TABLE(#table, table##_keys); \
	static void read_##table(struct schema_ctx *x, const struct schema_key *key,         \
	                         const struct ynode *node, void *field)                      \
	{                                                                                    \
		(void)key;                                                                   \
		schema_read(x, &table##_table, node, field);                                 \
	}                                                                                    \
	static const struct schema_type table##_map = { .read = read_##table }
#define MAP(key, table)                             \
	{                                           \
		.name = (key), .type = &table##_map \
	}

/* ---- tables ---- */

#define SYNC                                                                                       \
	NEEDS_NONE("syncPeriod", "not needed: rules are checked every 30 s, and repaired as soon " \
	                         "as others are seen to change them"),                             \
		NEEDS_NONE("minSyncPeriod",                                                        \
	                   "not needed: a change is written at once, and many of them "            \
	                   "wait twice as long as the last batch took")
/* What kube-proxy takes where nothing is set is no wish of anybody's. */
#define IS_LOST_UNLESS(key, by_default, why)                                          \
	{                                                                             \
		.name = (key), .type = &lost, .otherwise = (by_default), .doc = (why) \
	}
#define MASQUERADE_BIT                                                                 \
	IS_LOST_UNLESS("masqueradeBit", "14",                                          \
	               "the speaker's mark is 0x1000, bit 12, and cannot be changed: " \
	               "see that nothing else on the nodes uses that bit")
#define IPVS_ONLY "mode nftables is written: "
#define ITS_WINDOWS "not needed: of Windows alone"

static const struct schema_key iptables_keys[] = {
	TAKEN("masqueradeAll", boolean, iptables_masquerade_all),
	TAKEN("localhostNodePorts", boolean, localhost_node_ports),
	MASQUERADE_BIT,
	SYNC,
};
TABLE(iptables);

static const struct schema_key nftables_keys[] = {
	TAKEN("masqueradeAll", boolean, nftables_masquerade_all),
	MASQUERADE_BIT,
	SYNC,
};
TABLE(nftables);

static const struct schema_key ipvs_keys[] = {
	IS_LOST_UNLESS("scheduler", "rr",
	               IPVS_ONLY "each new connection goes to an endpoint by chance; in mode ipvs "
	                         "a Service's annotation fairlead.io/scheduler names a scheduler"),
	NEEDS_NONE("excludeCIDRs", "not needed: the speaker touches no virtual servers of others"),
	NEEDS_NONE("strictARP", "not needed: Services' addresses are on no interface"),
	IS_LOST("tcpTimeout", IPVS_ONLY "connection tracking has "
	                                "net.netfilter.nf_conntrack_tcp_timeout_established"),
	IS_LOST("tcpFinTimeout", IPVS_ONLY "connection tracking has "
	                                   "net.netfilter.nf_conntrack_tcp_timeout_fin_wait"),
	IS_LOST("udpTimeout",
	        IPVS_ONLY "connection tracking has net.netfilter.nf_conntrack_udp_timeout"),
	SYNC,
};
TABLE(ipvs);

#define SYSCTL(name) "the speaker does not set net.netfilter." name ": write it to /etc/sysctl.d"

static const struct schema_key conntrack_keys[] = {
	{ .name = "maxPerCore",
	  .type = &any,
	  .offset = offsetof(struct proxy_fields, max_per_core),
	  .doc = SYSCTL("nf_conntrack_max") },
	IS_LOST("min", SYSCTL("nf_conntrack_max")),
	{ .name = "tcpEstablishedTimeout",
	  .type = &any,
	  .offset = offsetof(struct proxy_fields, tcp_established),
	  .doc = SYSCTL("nf_conntrack_tcp_timeout_established") },
	{ .name = "tcpCloseWaitTimeout",
	  .type = &any,
	  .offset = offsetof(struct proxy_fields, tcp_close_wait),
	  .doc = SYSCTL("nf_conntrack_tcp_timeout_close_wait") },
	IS_LOST("tcpBeLiberal", SYSCTL("nf_conntrack_tcp_be_liberal")),
	IS_LOST("udpTimeout", SYSCTL("nf_conntrack_udp_timeout")),
	IS_LOST("udpStreamTimeout", SYSCTL("nf_conntrack_udp_timeout_stream")),
};
TABLE(conntrack);

static const struct schema_key local_keys[] = {
	TAKEN("bridgeInterface", text, bridge),
	TAKEN("interfaceNamePrefix", text, prefix),
};
TABLE(local);

static const struct schema_key winkernel_keys[] = {
	NEEDS_NONE("networkName", ITS_WINDOWS),
	NEEDS_NONE("sourceVip", ITS_WINDOWS),
	NEEDS_NONE("enableDSR", ITS_WINDOWS),
	NEEDS_NONE("rootHnsEndpointName", ITS_WINDOWS),
	NEEDS_NONE("forwardHealthCheckVip", ITS_WINDOWS),
};
TABLE(winkernel);

#define ITS_CLIENT "not needed: of kube-proxy's own client"

static const struct schema_key client_keys[] = {
	TAKEN("kubeconfig", text, kubeconfig), NEEDS_NONE("acceptContentTypes", ITS_CLIENT),
	NEEDS_NONE("contentType", ITS_CLIENT), NEEDS_NONE("qps", ITS_CLIENT),
	NEEDS_NONE("burst", ITS_CLIENT),
};
TABLE(client);

#define ITS_LOG "not needed: of kube-proxy's own log"

static const struct schema_key format_keys[] = {
	NEEDS_NONE("splitStream", ITS_LOG),
	NEEDS_NONE("infoBufferSize", ITS_LOG),
};
TABLE(format);

static const struct schema_key formats_keys[] = {
	MAP("text", format),
	MAP("json", format),
};
TABLE(formats);

static const struct schema_key logging_keys[] = {
	NEEDS_NONE("format", ITS_LOG),
	NEEDS_NONE("flushFrequency", ITS_LOG),
	NEEDS_NONE("verbosity", "not needed: the chart's logLevel is error, warn, info or debug"),
	NEEDS_NONE("vmodule", ITS_LOG),
	MAP("options", formats),
};
TABLE(logging);

#define NODE_OBJECT "the addresses of a node are those of its Node object"

static const struct schema_key root_keys[] = {
	{ .name = "kind", .type = &fixed, .otherwise = "KubeProxyConfiguration" },
	{ .name = "apiVersion", .type = &fixed, .otherwise = API_VERSION },
	TAKEN("mode", text, mode),
	MAP("iptables", iptables),
	MAP("nftables", nftables),
	MAP("ipvs", ipvs),
	MAP("winkernel", winkernel),
	TAKEN("detectLocalMode", text, local_mode),
	MAP("detectLocal", local),
	TAKEN("clusterCIDR", text, cluster_cidr),
	TAKEN("nodePortAddresses", any, node_port_addresses),
	TAKEN("healthzBindAddress", text, healthz_bind_address),
	TAKEN("bindAddress", text, bind_address),
	MAP("conntrack", conntrack),
	MAP("clientConnection", client),
	MAP("logging", logging),
	NEEDS_NONE("metricsBindAddress",
	           "not needed: the speaker's metrics are at the chart's speaker.http, with names "
	           "of their own (docs/metrics.md)"),
	NEEDS_NONE(
		"hostnameOverride",
		"not needed: the chart tells each speaker its node's name; elsewhere --node does"),
	NEEDS_NONE("featureGates", "not needed: of kube-proxy's own features"),
	NEEDS_NONE("bindAddressHardFail",
	           "not needed: a health port that cannot be opened is reported, with the reason "
	           "HealthPortFailed, and tried again"),
	NEEDS_NONE("enableProfiling", "not needed: there are no pages for profiles"),
	NEEDS_NONE("showHiddenMetricsForVersion", "not needed: no metrics are hidden"),
	NEEDS_NONE("oomScoreAdj", "not needed: the kubelet gives Pods of the priority class "
	                          "system-node-critical -997, which is the chart's default"),
	NEEDS_NONE("configSyncPeriod",
	           "not needed: objects are watched, and listed anew where a watch ends"),
	NEEDS_NONE("portRange", "not needed: kube-proxy does not use it either"),
	NEEDS_NONE("udpIdleTimeout", "not needed: kube-proxy does not use it either"),
	NEEDS_NONE("windowsRunAsService", ITS_WINDOWS),
};
TABLE(root);

void proxy_fields_read(struct schema_ctx *x, const struct ynode *root, struct proxy_fields *f)
{
	root_map.read(x, NULL, root, f);
}
