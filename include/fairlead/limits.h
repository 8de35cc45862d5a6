/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LIMITS_H
#define FAIRLEAD_LIMITS_H

/*
 * Bounds on what comes from outside: one row each, which is the constant that the code uses, LIMIT_name, and a line of
 * docs/limits.md.  `tests/limits` prints that page, and `tests/lint limits` compares it.
 *
 *	X(name, value, unit, what is bounded, what happens when it is met, where that is told)
 */

/* clang-format off */
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

#define LIMITS_LOG(X) \
	X(LOG_RATE_LINES, 10, "lines a minute", \
	  "log lines of libevent, and of each complaint of the HTTP server", \
	  "further ones are left out", \
	  "`left_out=` of the next line")

#define LIMITS_BGP(X) \
	X(AGGREGATES, 256, "prefixes", \
	  "aggregates announced by BGP whose unused addresses end at the node", \
	  "packets to unused addresses of further ones go back and forth between router and node", \
	  "`fairlead_bgp_aggregates{state=\"open\"}`, a log line")

#define LIMITS(X) LIMITS_HTTP(X) LIMITS_LOG(X) LIMITS_BGP(X)
/* clang-format on */

enum {
#define LIMIT_VALUE(name, value, unit, what, when, where) LIMIT_##name = (value),
	LIMITS(LIMIT_VALUE)
#undef LIMIT_VALUE
};

#endif
