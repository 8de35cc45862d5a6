/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any history of the cluster's objects: the view with its dirty set must end where a view ends that
 * sees only the last state of each.  Two bytes are one change: which object, and what becomes of it
 * (0: it goes).
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/forward.h"
#include "fairlead/mem.h"
#include "fairlead/view.h"
#include "speaker/announce.h"
#include "speaker/served.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 512

enum { N_SERVICES = 4, N_SLICES = 4, N_NODES = 3, N_OBJECTS = N_SERVICES + N_SLICES + N_NODES + 1 };

/* A view, and what its reader made of it. */
struct world {
	struct view *view;
	struct announce *announce;
	char *forwarded[N_SERVICES]; /* as of the last pass, NULL: nothing */
};

static char service_names[N_SERVICES][4] = { "s0", "s1", "s2", "s3" };
static char slice_names[N_SLICES][4] = { "e0", "e1", "e2", "e3" };
static char node_names[N_NODES][4] = { "n0", "n1", "n2" };
static char namespace[] = "ns";

static void put_service(struct view *v, size_t i, uint8_t p)
{
	static const struct addr addrs[] = {
		{ 4, { 192, 0, 2, 1 } },
		{ 4, { 192, 0, 2, 2 } },
		{ 4, { 198, 51, 100, 1 } },
		{ 4, { 203, 0, 113, 1 } },
	};
	static char uids[2][4] = { "a", "b" }, class[] = "x", port[] = "http";
	struct kube_ingress ingress = { .ip = addrs[p & 3], .ip_mode_proxy = p == 255 };
	struct addr external_ips[] = { addrs[p >> 1 & 3], addrs[1], addrs[2], addrs[3] };
	struct kube_service_port ports = { .name = port, .port = 80, .node_port = 30000 };
	static char type[] = KUBE_CONDITION_EXTERNAL_IPS, word[] = "True";
	static char messages[2][64] = { KUBE_CONFIRMS_ASSIGNED "192.0.2.1 from pool a",
		                        KUBE_CONFIRMS_KEPT "198.51.100.1" };
	struct kube_condition condition = {
		.type = type, .status = word, .reason = word, .message = messages[p >> 2 & 1]
	};
	struct kube_service s = {
		.meta = { .namespace = namespace,
		          .name = service_names[i],
		          .uid = uids[p >> 7],
		          .creation_us = p >> 6,
		          .deleting = p % 31 == 30 },
		.type = p % 13 == 12 ? KUBE_CLUSTER_IP : KUBE_LOAD_BALANCER,
		.cluster_ips = { { 4, { 10, 96, 0, (uint8_t)i } } },
		.n_cluster_ips = 1,
		.ports = &ports,
		.n_ports = 1,
		.load_balancer_class = p % 17 == 16 ? class : NULL,
		.traffic.external_local = p & 8,
		.traffic.internal_local = p & 16,
		.ingress = &ingress,
		.n_ingress = p & 4 ? 0 : 1,
		/* The same addresses as external IPs, and all the others. */
		.external_ips = external_ips,
		.n_external_ips = p % 5,
		.external_assigned = { external_ips[p >> 5 & 3] },
		.n_external_assigned = p >> 6 & 1,
		.conditions = &condition,
		.n_conditions = p >> 5 & 1,
	};

	view_upsert_service(v, &s);
}

static void put_slice(struct view *v, size_t i, uint8_t p)
{
	static char port[] = "http", owners[3][4] = { "", "a", "b" };
	struct kube_endpoint eps[2] = {
		{ .addr = { 4, { 10, 244, 0, (uint8_t)(p & 1) } },
		  .node = node_names[p % N_NODES],
		  .ready = p & 2,
		  .serving = p & 4,
		  .terminating = p & 8 },
		{ .addr = { 4, { 10, 244, 0, 2 } }, .node = NULL, .ready = p & 16 },
	};
	struct kube_endpoint_port ports = { .name = port, .port = 8080 };
	struct kube_slice s = {
		.meta = { .namespace = namespace, .name = slice_names[i] },
		.service = service_names[p >> 6],
		.owner_uid = owners[p % 5 % 3],
		.family = 4,
		.endpoints = eps,
		.n_endpoints = p & 32 ? 2 : 1,
		.ports = &ports,
		.n_ports = p == 255 ? 0 : 1,
	};

	view_upsert_slice(v, &s);
}

static void put_node(struct view *v, size_t i, uint8_t p)
{
	struct addr ip = { 4, { 203, 0, 113, (uint8_t)(p >> 3 & 1) } };
	struct kube_node n = { .meta = { .name = node_names[i] },
		               .excluded = p & 2,
		               .network_unavailable = p & 4,
		               .internal_ips = &ip,
		               .n_internal_ips = p >> 4 & 1 };

	view_upsert_node(v, &n);
}

static void put_configuration(struct view *v, uint8_t p)
{
	static char key[] = CONFIG_MAP_KEY;
	char text[512];
	struct label kv = { .key = key, .value = text };
	struct kube_config_map map = { .meta = { .namespace = namespace, .name = namespace },
		                       .data = { .kvs = &kv, .n = 1 } };

	snprintf(text, sizeof(text),
	         "address-pools:\n- {name: lan, protocol: layer2, addresses: [192.0.2.%d/32]}\n"
	         "- {name: far, protocol: %s, addresses: [198.51.100.0/24], use: %s}\n"
	         "external-ips: {allow: [192.0.2.%d/32, %s.0/24], namespaces: [%s]}\n%s",
	         1 + (p & 1), p & 2 ? "bgp" : "layer2", p & 4 ? "external-ip" : "load-balancer",
	         1 + (p >> 3 & 1), p & 64 ? "198.51.100" : "203.0.113", p & 16 ? "other" : "ns",
	         p & 32 ? "peers: [{my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1}]\n" : "");
	view_load_configuration(v, &map, NULL);
}

static void change(struct view *v, size_t object, uint8_t p)
{
	size_t i = object;

	if (i < N_SERVICES) {
		if (p)
			put_service(v, i, p);
		else
			view_remove_service(v, namespace, service_names[i]);
		return;
	}
	i -= N_SERVICES;
	if (i < N_SLICES) {
		if (p)
			put_slice(v, i, p);
		else
			view_remove_slice(v, namespace, slice_names[i]);
		return;
	}
	i -= N_SLICES;
	if (i < N_NODES) {
		if (p)
			put_node(v, i, p);
		else
			view_remove_node(v, node_names[i]);
		return;
	}
	/* A configuration never goes. */
	if (p)
		put_configuration(v, p);
}

static char *forward_text(const struct view *v, const struct view_service *s)
{
	struct buf b = BUF_INIT;
	struct forward f;

	if (!forward_wanted(v, s, 4))
		return NULL;
	forward_build(v, &(struct forward_node){ .name = view_self(v), .zone = view_zone(v) }, s,
	              NULL, &f);
	const struct proxy_half p = f.halves[0];
	const struct proxy_outside *o = proxy_outside(&p);
	buf_printf(&b, "%u vips %d%d", o->n_vips, p.traffic.external_local,
	           p.traffic.internal_local);
	for (size_t i = 0; i < o->n_external_ips; i++)
		buf_printf(&b, " external %s", addr_str(&o->external_ips[i]));
	for (size_t i = 0; i < p.ports[0].n_cluster; i++)
		buf_printf(&b, " %s", addr_str(&p.ports[0].cluster[i].addr));
	for (size_t i = 0; i < p.ports[0].n_local; i++)
		buf_printf(&b, " local %s", addr_str(&p.ports[0].local[i].addr));
	buf_printf(&b, " any %d", p.ports[0].has_any);
	forward_fini(&f);
	return buf_take(&b);
}

static bool always(const char *key, uint8_t family, void *arg)
{
	(void)family;
	(void)key;
	(void)arg;
	return true;
}

static void turn(struct world *w)
{
	size_t n;

	const struct view_service *const *dirty = view_take_dirty(w->view, &n);

	for (size_t i = 0; i < n; i++) {
		char **at = &w->forwarded[dirty[i]->name[1] - '0'];
		announce_update(w->announce, w->view, dirty[i]);
		free(*at);
		*at = forward_text(w->view, dirty[i]);
	}
	view_clean(w->view);
	announce_settle(w->announce, always, NULL);
}

static struct world world_new(void)
{
	return (struct world){ .view = view_new(node_names[0], NULL),
		               .announce = announce_new(NULL, NULL) };
}

static void world_fini(struct world *w)
{
	announce_free(w->announce);
	view_free(w->view);
	for (size_t i = 0; i < N_SERVICES; i++)
		free(w->forwarded[i]);
}

struct description {
	struct buf *out;
	const char *const *nodes;
};

static void describe_want(const struct l2_want *want, void *arg)
{
	const struct description *d = arg;

	buf_printf(d->out, "%s%s %d %d:", addr_str(&want->addr), want->eligible ? "+" : "-",
	           want->identity.id[0], (int)want->identity.since_us);
	for (size_t k = 0; k < want->n_candidates; k++)
		buf_printf(d->out, " %s", d->nodes[want->candidates[k]]);
	buf_putc(d->out, '\n');
}

static void describe(struct world *w, struct buf *out)
{
	struct served_snapshot s;

	for (size_t i = 0; i < N_SERVICES; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%s/%s", namespace, service_names[i]);
		buf_printf(out, "%s: %s\n", key, w->forwarded[i] ? w->forwarded[i] : "none");
		for (const struct announcement *a = announce_of(w->announce, key); a; a = a->next)
			buf_printf(out, "  %s %s\n", addr_str(&a->addr), reason_name(a->reason));
	}
	served_snapshot(announce_served(w->announce), w->view, true, 0, &s);
	want_map_each(s.wants, describe_want, &(struct description){ out, s.l2.nodes });
	served_snapshot_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world lived = world_new(), fresh = world_new();
	cleanup(buf_fini) struct buf a = BUF_INIT, b = BUF_INIT;
	uint8_t last[N_OBJECTS] = { 0 };

	for (size_t i = 0; i + 1 < size && i < 2 * STEPS_MAX; i += 2) {
		size_t object = data[i] % N_OBJECTS;
		change(lived.view, object, data[i + 1]);
		if (data[i + 1] || object != N_OBJECTS - 1)
			last[object] = data[i + 1];
		/* Turns come after any number of changes. */
		if (data[i] & 0x80)
			turn(&lived);
	}
	turn(&lived);
	for (size_t i = N_OBJECTS; i-- > 0;)
		if (last[i])
			change(fresh.view, i, last[i]);
	turn(&fresh);
	describe(&lived, &a);
	describe(&fresh, &b);
	if (strcmp(buf_str(&a), buf_str(&b)) != 0) {
		fprintf(stderr, "lived:\n%s\nfresh:\n%s", buf_str(&a), buf_str(&b));
		abort();
	}
	if (view_stats(lived.view).services != view_stats(fresh.view).services ||
	    view_stats(lived.view).slices != view_stats(fresh.view).slices)
		abort();
	world_fini(&lived);
	world_fini(&fresh);
	return 0;
}
