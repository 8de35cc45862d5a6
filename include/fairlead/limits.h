/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LIMITS_H
#define FAIRLEAD_LIMITS_H

/*
 * Bounds on what comes from outside: one row each, which is the constant that the code uses, LIMIT_name, and a line of
 * docs/limits.md.  `python3 -m lab.limits` in tests prints that page, and `tests/lint limits` compares it.  The rows of
 * LIMITS_ELSEWHERE are constants of other rooms, by their names there; the lint compares their values.
 *
 *	X(name, value, unit, what is bounded, what happens when it is met, where that is told)
 */

/* clang-format off */
/* ---- HTTP of the daemons ---- */
#define LIMITS_HTTP(X) \
	X(HTTP_CLIENTS, 64, "connections", \
	  "HTTP clients of a daemon at a time; fewer where RLIMIT_NOFILE is below 256: a quarter of it", \
	  "further clients get answers of /healthz and /readyz only, and 503 for the rest", \
	  "`fairlead_http_refused_total{reason=\"busy\"}`, a log line") \
	X(HTTP_CLIENTS_PER_ADDRESS, 16, "connections", \
	  "HTTP clients from one IPv4 address, or one IPv6 /64", \
	  "as above", \
	  "`fairlead_http_refused_total{reason=\"busy\"}`, a log line") \
	X(HTTP_PROBES, 16, "connections", \
	  "HTTP clients beyond those bounds, which get answers of /healthz and /readyz only", \
	  "the oldest of them makes room for the newest", \
	  "`fairlead_http_refused_total{reason=\"evicted\"}`") \
	X(HTTP_HEAD_BYTES, 8192, "bytes", \
	  "request line and headers", \
	  "431", \
	  "the answer") \
	X(HTTP_BODY_BYTES, 64, "bytes", \
	  "body of a request", \
	  "413", \
	  "the answer") \
	X(HTTP_READ_MS, 5000, "ms", \
	  "time that a client has for the whole request; beyond the bounds above 2 s", \
	  "its connection is closed", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`") \
	X(HTTP_STALL_MS, 5000, "ms", \
	  "time for which a client reads nothing of its answer", \
	  "its connection is closed", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`") \
	X(HTTP_WRITE_MS, 60000, "ms", \
	  "time that a client has for the whole answer", \
	  "its connection is closed", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`") \
	X(HTTP_PAGES_BYTES, 33554432, "bytes", \
	  "pages of /status that clients are still reading, all of them together, and of /metrics; two always have room", \
	  "new clients get the page that the others read, if it is younger than 15 s, else 503", \
	  "`fairlead_http_refused_total{reason=\"memory\"}`, a log line")

/* ---- Logs ---- */
#define LIMITS_LOG(X) \
	X(LOG_RATE_LINES, 10, "lines a minute", \
	  "log lines of libevent, and of each complaint of the HTTP server", \
	  "further ones are left out", \
	  "`left_out=` of the next line")

/* ---- BGP ---- */
#define LIMITS_BGP(X) \
	X(BGP_PEERS, 256, "peers", \
	  "BGP peers of a node", \
	  "further ones get no neighbour in bgpd", \
	  "the log (`left out of BGP`), the peer's `last_error` in `/status`, `fairlead_bgp_peers_left_out`, an Event on the Node") \
	X(BGP_COMMUNITIES, 64, "communities", \
	  "communities, and large communities, of one prefix", \
	  "the address whose advertisements need more is not announced", \
	  "the log (`left out of BGP`)") \
	X(BGP_BFD_PROFILES, 256, "profiles", \
	  "BFD profiles", \
	  "further ones are not made in bfdd", \
	  "the log (`left out of BGP`)") \
	X(BGP_NEIGHBORS_POLLED, 32, "peers", \
	  "peers whose details are asked of bgpd in one turn", \
	  "details of further ones (last error, BFD, next hop, hold time) are not shown while the others need a look", \
	  "this page") \
	X(AGGREGATES, 256, "prefixes", \
	  "aggregates announced by BGP whose unused addresses end at the node", \
	  "packets to unused addresses of further ones go back and forth between router and node", \
	  "`fairlead_bgp_aggregates{state=\"open\"}`, a log line")

/* ---- Objects of the API server ---- */
#define LIMITS_KUBE_ELSEWHERE(X) \
	X(KUBE_JSON_DEPTH_MAX, 10000, "levels", \
	  "lists and maps within each other, in an object", \
	  "it is skipped alone; what its status holds is given to nobody", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(OUTLINE_ADDRS_MAX, 262144, "addresses", \
	  "addresses of a Service that cannot be read", \
	  "nothing new is assigned while it is there", \
	  "`fairlead_kube_lost_objects`, an Event `ServicesLost` on the ConfigMap") \
	X(META_ANNOTATION_VALUE_MAX, 16384, "bytes", \
	  "value of an annotation that Fairlead reads", \
	  "the object counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(PAGE_LIMIT, 500, "objects", \
	  "page of a list", \
	  "more pages are asked for; each object of a page is read by itself", \
	  "this page") \
	X(SCANNER_OBJECT_SIZE_MAX, 4194304, "bytes", \
	  "one object of a list or a watch", \
	  "it is skipped alone; what its status holds is given to nobody", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(KUBE_ANSWER_SIZE_MAX, 4194304, "bytes", \
	  "any other answer of the API server", \
	  "the request fails, and is tried again where it matters", \
	  "`fairlead_kube_errors_total`, the log") \
	X(KUBE_EVENTS_QUEUED, 16384, "Events", \
	  "Events that wait to be recorded", \
	  "further ones are lost", \
	  "`fairlead_kube_events_lost_total`, the log") \
	X(SERVICE_PORTS_MAX, 4096, "ports", \
	  "ports of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SERVICE_EXTERNAL_IPS_MAX, 256, "addresses", \
	  "`spec.externalIPs` of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SERVICE_INGRESS_MAX, 64, "addresses", \
	  "`status.loadBalancer.ingress` of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_ENDPOINTS_MAX, 1000, "endpoints", \
	  "endpoints of an EndpointSlice", \
	  "the EndpointSlice counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_ADDRESSES_MAX, 100, "addresses", \
	  "addresses of an endpoint", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_PORTS_MAX, 20000, "ports", \
	  "ports of an EndpointSlice", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log")

/* ---- Layer 2 ---- */
#define LIMITS_L2_ELSEWHERE(X) \
	X(MEMBER_PEERS_MAX, 1024, "speakers", \
	  "speakers on a segment", \
	  "messages of further ones are not taken; who has been gone for longest makes room", \
	  "`fairlead_l2_peers_refused_total`") \
	X(STRANGERS_UNKNOWN_MAX, 64, "speakers", \
	  "speakers of unknown names that have not proven yet that they hear us", \
	  "further ones find no place among the others, as with replays", \
	  "`fairlead_l2_strangers_turned_away_total`") \
	X(STRANGERS_MAX, 8192, "speakers", \
	  "speakers on all segments that have not proven yet that they hear us", \
	  "the one that was silent for longest makes room", \
	  "`fairlead_l2_strangers_turned_away_total`") \
	X(CLAIMS_PER_PEER_MAX, 16384, "claims", \
	  "addresses that one other speaker owns", \
	  "those beyond are not known here", \
	  "`fairlead_l2_claims_refused_total`, `LimitReached`: an Event on the Node and `fairlead_l2_trouble`") \
	X(CLAIMS_ENTRIES_MAX, 65536, "addresses", \
	  "addresses of a segment, of this node and of all others", \
	  "those beyond are not known here, and not announced", \
	  "`fairlead_l2_claims_refused_total`, `LimitReached`") \
	X(ATTACH_SEGMENTS_MAX, 32, "interfaces", \
	  "interfaces with addresses to announce", \
	  "the others are not used", \
	  "`LimitReached`") \
	X(IFACES_MAX, 4096, "interfaces", \
	  "interfaces of a node that may be used", \
	  "the others are not used", \
	  "`LimitReached`") \
	X(IFACE_SUBNETS_MAX, 16, "subnets", \
	  "subnets of an interface", \
	  "addresses of the others are not announced there", \
	  "`LimitReached`") \
	X(IFACES_LOCALS_MAX, 65536, "addresses", \
	  "addresses of the node itself", \
	  "an address of a Service that the kernel has too, beyond these, is not told (`KernelAnswers`)", \
	  "`LimitReached`")

/* ---- The node ---- */
#define LIMITS_NODE(X) \
	X(NEEDED_ROUTES, 4096, "routes", \
	  "routes of the node, of one family, whose gateways the data plane leaves their ports; default routes come first", \
	  "gateways of further ones are treated as any address: if a pool holds it and a Service has it, its other ports are closed", \
	  "a log line") \
	X(NEEDED_ADDRESSES, 64, "addresses", \
	  "different gateways, and addresses by which the node reaches the API server", \
	  "as above", \
	  "a log line")

/* ---- The data plane ---- */
#define LIMITS_PROXY_ELSEWHERE(X) \
	X(DECIDE_RULES_MAX, 40000, "rules", \
	  "rules that a Service takes in one family", \
	  "it is not carried and not announced, on any node", \
	  "`TooLarge`: an Event on the Service, `fairlead_decision`, `fairlead explain`") \
	X(SPEC_MAX_PORTS, 256, "ports", \
	  "ports of a Service that are carried", \
	  "it is carried without the others", \
	  "`proxy.truncated` in `/status`, the log") \
	X(SPEC_MAX_ENDPOINTS, 16384, "endpoints", \
	  "endpoints of a port", \
	  "as above", \
	  "`proxy.truncated` in `/status`, the log") \
	X(SPEC_MAX_SOURCE_RANGES, 1024, "ranges", \
	  "`loadBalancerSourceRanges` of a Service", \
	  "as above: clients of the others are refused", \
	  "`proxy.truncated` in `/status`, the log") \
	X(CONNTRACK_SLICE, 1000, "flows", \
	  "flows of the kernel that are looked at in one turn, when UDP flows are ended", \
	  "the rest follows in the next turns; there is no bound on all of them", \
	  "`fairlead_proxy_udp_flows_ended_total`") \
	X(PATH_MAX_CHAINS, 4096, "chains", \
	  "chains of others in FORWARD's path, in which the place of our accepting rule is looked for", \
	  "further ones are not looked at", \
	  "the log") \
	X(PATH_MAX_RULES, 65536, "rules", \
	  "rules in these chains", \
	  "further ones are not looked at", \
	  "the log")

/* ---- The configuration ---- */
#define LIMITS_CONFIG_ELSEWHERE(X) \
	X(YTREE_SIZE_MAX, 1048576, "bytes", \
	  "text of the configuration", \
	  "it is refused; the one before stays in force", \
	  "an Event on the ConfigMap, `fairlead_config_errors`, `fairlead config check`") \
	X(CONFIG_POOLS_MAX, 1000, "pools", \
	  "pools", \
	  "as above", \
	  "as above") \
	X(CONFIG_RANGES_MAX, 100000, "ranges", \
	  "ranges of a pool", \
	  "as above", \
	  "as above") \
	X(CONFIG_PEERS_MAX, 1000, "peers", \
	  "BGP peers, of all nodes", \
	  "as above", \
	  "as above") \
	X(CONFIG_BFD_PROFILES_MAX, 1000, "profiles", \
	  "BFD profiles that are written", \
	  "as above", \
	  "as above") \
	X(CONFIG_COMMUNITIES_MAX, 5000, "names", \
	  "names of BGP communities", \
	  "as above", \
	  "as above") \
	X(CONFIG_ROUTER_IDS_MAX, 10000, "nodes", \
	  "nodes with a BGP router id in the configuration", \
	  "as above", \
	  "as above") \
	X(CONFIG_ADVERTISEMENTS_MAX, 64, "advertisements", \
	  "advertisements of a pool, and communities of one of them", \
	  "as above", \
	  "as above") \
	X(CONFIG_SELECTORS_MAX, 64, "selectors", \
	  "node selectors of a peer, and expressions of one of them", \
	  "as above", \
	  "as above") \
	X(CONFIG_ALLOW_MAX, 1000, "ranges", \
	  "ranges of external IPs that are allowed", \
	  "as above", \
	  "as above") \
	X(CONFIG_NAMESPACES_MAX, 1000, "namespaces", \
	  "namespaces that may write them by hand", \
	  "as above", \
	  "as above") \
	X(CONFIG_RENUMBER_MAX, 10000, "Services", \
	  "Services that `renumber` of a pool names", \
	  "as above", \
	  "as above")

#define LIMITS_ELSEWHERE(X) \
	LIMITS_KUBE_ELSEWHERE(X) LIMITS_L2_ELSEWHERE(X) LIMITS_PROXY_ELSEWHERE(X) LIMITS_CONFIG_ELSEWHERE(X)

#define LIMITS(X) LIMITS_HTTP(X) LIMITS_LOG(X) LIMITS_BGP(X) LIMITS_NODE(X)
/* clang-format on */

enum {
#define LIMIT_VALUE(name, value, unit, what, when, where) LIMIT_##name = (value),
	LIMITS(LIMIT_VALUE)
#undef LIMIT_VALUE
};

#endif
