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
	  "`fairlead_l2_strangers_turned_away_total`")

#define LIMITS_ELSEWHERE(X) LIMITS_KUBE_ELSEWHERE(X) LIMITS_L2_ELSEWHERE(X)

#define LIMITS(X) LIMITS_HTTP(X) LIMITS_LOG(X) LIMITS_BGP(X)
/* clang-format on */

enum {
#define LIMIT_VALUE(name, value, unit, what, when, where) LIMIT_##name = (value),
	LIMITS(LIMIT_VALUE)
#undef LIMIT_VALUE
};

#endif
