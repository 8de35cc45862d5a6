/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "alloc.h"

#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "js.h"

#define N_PORTS (NODE_PORT_MAX - NODE_PORT_MIN + 1)

struct alloc_ip {
	struct addr ip;
	unsigned int uses;
	UT_hash_handle hh;
};

/* Network address and .1, which a real cluster gives to its own Service, are never handed out. */
static struct addr first_ip(const struct prefix *range)
{
	struct addr ip = range->addr;

	addr_next(&ip, &ip);
	addr_next(&ip, &ip);
	return ip;
}

void alloc_init(struct alloc *a, const struct prefix *ranges, size_t n_ranges)
{
	*a = (struct alloc){ .n_ranges = n_ranges };
	for (size_t i = 0; i < n_ranges; i++) {
		a->ranges[i] = ranges[i];
		a->next[i] = first_ip(&ranges[i]);
	}
}

void alloc_fini(struct alloc *a)
{
	struct alloc_ip *ip, *next;

	HASH_ITER(hh, a->ips, ip, next) {
		HASH_DEL(a->ips, ip);
		free(ip);
	}
}

static void count_ip(struct alloc *a, const char *text, int sign)
{
	struct addr key;
	struct alloc_ip *ip;

	if (addr_parse(text, &key) < 0)
		return;
	HASH_FIND(hh, a->ips, &key, sizeof(key), ip);
	if (!ip && sign > 0) {
		ip = xcalloc(1, sizeof(*ip));
		ip->ip = key;
		HASH_ADD(hh, a->ips, ip, sizeof(key), ip);
	}
	if (!ip)
		return;
	ip->uses += (unsigned int)sign;
	if (!ip->uses) {
		HASH_DEL(a->ips, ip);
		free(ip);
	}
}

static void count_port(struct alloc *a, int64_t port, int sign)
{
	if (port >= NODE_PORT_MIN && port <= NODE_PORT_MAX)
		a->ports[port - NODE_PORT_MIN] = (uint16_t)(a->ports[port - NODE_PORT_MIN] + sign);
}

void alloc_count(struct alloc *a, struct json_object *service, int sign)
{
	struct json_object *ips = js_array(service, "spec.clusterIPs");

	for (size_t i = 0; i < js_len(ips); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(ips, i));
		count_ip(a, s ? s : "", sign);
	}
	struct json_object *ports = js_array(service, "spec.ports");
	for (size_t i = 0; i < js_len(ports); i++)
		count_port(a, js_int(json_object_array_get_idx(ports, i), "nodePort", 0), sign);
	count_port(a, js_int(service, "spec.healthCheckNodePort", 0), sign);
}

const struct prefix *alloc_range(const struct alloc *a, int family)
{
	for (size_t i = 0; i < a->n_ranges; i++)
		if (a->ranges[i].addr.family == family)
			return &a->ranges[i];
	return NULL;
}

bool alloc_ip_taken(const struct alloc *a, const struct addr *ip)
{
	struct alloc_ip *found;

	HASH_FIND(hh, a->ips, ip, sizeof(*ip), found);
	return found;
}

bool alloc_next_ip(struct alloc *a, int family, struct addr *ret_ip)
{
	const struct prefix *range = alloc_range(a, family);

	if (!range)
		return false;
	struct addr *at = &a->next[range - a->ranges];
	/* One more address than are taken is surely looked at, so a full range ends this. */
	size_t left = (size_t)HASH_COUNT(a->ips) + 3;
	while (left--) {
		struct addr ip = *at;
		if (!addr_next(at, at) || !prefix_contains(range, at))
			*at = first_ip(range);
		if (prefix_contains(range, &ip) && !alloc_ip_taken(a, &ip)) {
			*ret_ip = ip;
			return true;
		}
	}
	return false;
}

bool alloc_port_taken(const struct alloc *a, int64_t port)
{
	return a->ports[port - NODE_PORT_MIN];
}

int64_t alloc_next_port(struct alloc *a, const int64_t *but, size_t n_but)
{
	for (unsigned int tries = 0; tries < N_PORTS; tries++) {
		int64_t port = NODE_PORT_MIN + a->next_port;
		bool excluded = false;
		a->next_port = (a->next_port + 1) % N_PORTS;
		for (size_t i = 0; i < n_but; i++)
			excluded = excluded || but[i] == port;
		if (!excluded && !alloc_port_taken(a, port))
			return port;
	}
	return 0;
}
