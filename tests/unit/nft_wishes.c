/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "nft_wishes.h"

#include "fairlead/mem.h"
#include "virtual_loop.h"

/* Endpoints of all Services together. */
#define POOL 48

static struct addr addr(uint8_t family, const char *four, const char *six, size_t last)
{
	struct addr a;

	assert_int_equal(addr_parse(family == 4 ? four : six, &a), 0);
	a.b[family == 4 ? 3 : 15] = (uint8_t)last;
	return a;
}

void wish_key(size_t i, char ret[static WISH_KEY_SIZE])
{
	snprintf(ret, WISH_KEY_SIZE, "shop/%c", (char)('a' + i));
}

struct addr wish_cluster_ip(uint8_t family, size_t i)
{
	return addr(family, "10.96.0.0", "fd00:96::", i + 1);
}

struct proxy_endpoint wish_endpoint(uint8_t family, size_t i)
{
	return (struct proxy_endpoint){ .addr = addr(family, "10.244.1.0", "fd00:244::", i + 1),
		                        .port = 8080 };
}

static void begin(struct wish *w, size_t i, uint8_t family)
{
	*w = (struct wish){ .s = { .family = family, .n_ports = 1 } };
	wish_key(i, w->key);
	w->s.key = w->key;
	w->s.cluster_ip = wish_cluster_ip(family, i);
	w->s.ports = w->ports;
	w->s.outside = &w->outside;
	w->outside.vips = w->vips;
	w->outside.external_ips = w->external_ips;
	w->outside.open = w->open;
	w->outside.source_ranges = w->ranges;
	for (size_t p = 0; p < WISH_PORTS; p++)
		w->ports[p] = (struct proxy_port){ .name = "",
			                           .proto = IPPROTO_TCP,
			                           .port = 80,
			                           .cluster = w->endpoints[p],
			                           .local = w->endpoints[p] };
}

void wish_plain(struct wish *w, size_t i, uint8_t family, size_t n_endpoints)
{
	begin(w, i, family);
	for (size_t e = 0; e < n_endpoints; e++)
		w->endpoints[0][e] = wish_endpoint(family, e);
	w->ports[0].n_cluster = n_endpoints;
	w->ports[0].has_any = n_endpoints > 0;
}

void wish_add_vip(struct wish *w, size_t which)
{
	w->vips[w->outside.n_vips++] = addr(w->s.family, "192.0.2.0", "2001:db8::", which + 1);
}

void wish_add_range(struct wish *w, size_t which)
{
	static const char *const four[] = { "198.51.100.0/25", "198.51.100.128/25", "0.0.0.0/1",
		                            "128.0.0.0/1",     "203.0.113.7/32",    "10.0.0.0/8",
		                            "0.0.0.0/0" };
	static const char *const six[] = { "2001:db8:1::/65",
		                           "2001:db8:1:0:8000::/65",
		                           "::/1",
		                           "8000::/1",
		                           "2001:db8::7/128",
		                           "fd00::/8",
		                           "::/0" };

	which %= ARRAY_LEN(four);
	assert_int_equal(prefix_parse(w->s.family == 4 ? four[which] : six[which], false,
	                              &w->ranges[w->outside.n_source_ranges++]),
	                 0);
}

static void random_port(struct wish *w, size_t p)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	static const uint16_t node_ports[] = { 0, 30080, 30443 };
	struct proxy_port *port = &w->ports[p];
	size_t n = virtual_random(virtual_random(3) ? 6 : WISH_ENDPOINTS + 1);
	size_t first = virtual_random(POOL), step = virtual_random(2) ? 1 : 7;

	port->proto = protocols[virtual_random(ARRAY_LEN(protocols))];
	port->port = (uint16_t)(80 + virtual_random(2));
	port->node_port = node_ports[virtual_random(ARRAY_LEN(node_ports))];
	for (size_t e = 0; e < n; e++)
		w->endpoints[p][e] = wish_endpoint(w->s.family, (first + e * step) % POOL);
	port->n_cluster = n;
	port->n_local = virtual_random(2) ? virtual_random(n + 1) : 0;
	port->has_any = n > 0 || virtual_random(4) == 0;
}

/* No two are the same. */
static void random_ports(struct wish *w)
{
	w->s.n_ports = 1 + virtual_random(WISH_PORTS);
	for (size_t p = 0; p < w->s.n_ports; p++) {
		random_port(w, p);
		for (size_t q = 0; q < p; q++)
			if (w->ports[q].proto == w->ports[p].proto &&
			    (w->ports[q].port == w->ports[p].port ||
			     w->ports[q].node_port == w->ports[p].node_port)) {
				w->s.n_ports = p;
				return;
			}
	}
}

void wish_random(struct wish *w, size_t i, uint8_t family)
{
	static const uint32_t affinities[] = { 0, 0, 10, 10800 };

	begin(w, i, family);
	/* Rarely another one of the same name: it comes after whom it came before. */
	w->s.created_us = (int64_t)(virtual_random(4) ? (i * 5) % WISHES : virtual_random(WISHES));
	if (virtual_random(8) == 0)
		w->s.cluster_ip = (struct addr){ .family = 0 };
	size_t first = virtual_random(3);
	for (size_t n = virtual_random(3); n-- > 0;)
		wish_add_vip(w, (first + n) % 3);
	for (size_t n = virtual_random(3) ? 0 : virtual_random(4); n-- > 0;)
		wish_add_range(w, virtual_random(7));
	if (virtual_random(3) == 0)
		w->external_ips[w->outside.n_external_ips++] =
			addr(family, "203.0.113.0", "2001:db8:2::", 1 + virtual_random(2));
	if (w->outside.n_vips > 0 && virtual_random(4) == 0)
		w->open[w->outside.n_open++] = w->vips[0];
	w->s.traffic.external_local = virtual_random(2);
	w->s.traffic.internal_local = virtual_random(4) == 0;
	w->s.traffic.affinity_s = affinities[virtual_random(ARRAY_LEN(affinities))];
	random_ports(w);
}
