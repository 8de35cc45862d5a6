/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/follow.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

#include "cli/follow_private.h"
#include "fairlead/forward.h"
#include "fairlead/kube.h"
#include "fairlead/labels.h"
#include "fairlead/mem.h"

/* ---- the packet ---- */

static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = { { "TCP", IPPROTO_TCP }, { "UDP", IPPROTO_UDP }, { "SCTP", IPPROTO_SCTP } };

/* Cuts "/udp" off. */
static int parse_protocol(char *text, uint8_t *ret_proto)
{
	char *slash = strrchr(text, '/');

	*ret_proto = IPPROTO_TCP;
	if (!slash)
		return 0;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (!strcasecmp(slash + 1, protocols[i].name)) {
			*ret_proto = protocols[i].proto;
			return 0;
		}
	return -EINVAL;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	char *end;
	unsigned long n = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;

	if (n == 0 || n > UINT16_MAX || *end)
		return -EINVAL;
	*ret_port = (uint16_t)n;
	return 0;
}

static int parse_target(const char *to, struct packet *p)
{
	cleanup_free char *text = xstrdup(to);
	int r = parse_protocol(text, &p->proto);
	char *colon = strrchr(text, ':'), *address = text;

	if (r < 0 || !colon || parse_port(colon + 1, &p->port) < 0)
		return -EINVAL;
	*colon = '\0';
	if (*address == '[' && colon[-1] == ']') {
		address++;
		colon[-1] = '\0';
	} else if (strchr(address, ':')) {
		return -EINVAL;
	}
	return addr_parse(address, &p->to);
}

int follow_parse(const char *from, const char *to, struct packet *ret_packet, struct err *e)
{
	struct packet p;

	if (addr_parse(from, &p.from) < 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--from \"%.100s\" is no address; it is like 10.0.0.9", from);
	if (parse_target(to, &p) < 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--to \"%.100s\": it is like 192.168.1.241:80, 10.96.0.10:53/UDP or "
		               "[2001:db8::1]:443",
		               to);
	if (p.from.family != p.to.family)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--from %.100s and --to %.100s: one is IPv4 and the other IPv6",
		               from, to);
	*ret_packet = p;
	return 0;
}

/* ---- the nodes ---- */

static void add_addresses(struct follow_node *n, const struct addr *addrs, size_t n_addrs)
{
	n->addresses =
		xreallocarray(n->addresses, n->n_addresses + n_addrs + 1, sizeof(*n->addresses));
	for (size_t i = 0; i < n_addrs; i++)
		n->addresses[n->n_addresses++] = addrs[i];
}

static void add_node(struct follow *f, const char *name, const struct kube_node *node)
{
	struct follow_node *n = &f->nodes[f->n_nodes++];

	*n = (struct follow_node){ .name = name, .node = node, .options = *f->in.options };
	facts_update(f->in.flags, view_node_named(f->in.view, name), &n->facts);
	if (node) {
		add_addresses(n, node->internal_ips, node->n_internal_ips);
		add_addresses(n, node->external_ips, node->n_external_ips);
	}
}

static int node_cmp(const void *a, const void *b)
{
	const struct follow_node *x = a, *y = b;

	return strcmp(x->name, y->name);
}

struct follow *follow_new(const struct follow_input *in, const struct packet *p)
{
	struct follow *f = xcalloc(1, sizeof(*f));

	*f = (struct follow){ .in = *in, .packet = *p };
	f->nodes = xcalloc(in->n_nodes + 1, sizeof(*f->nodes));
	for (size_t i = 0; i < in->n_nodes; i++)
		add_node(f, in->nodes[i]->meta.name, in->nodes[i]);
	qsort(f->nodes, f->n_nodes, sizeof(*f->nodes), node_cmp);
	return f;
}

static void node_fini(struct follow_node *n)
{
	packet_answer_fini(&n->answer);
	free(n->addresses);
	free(n->substitute);
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n_nodes; i++)
		node_fini(&f->nodes[i]);
	free(f->nodes);
	free(f);
}

static bool has(const struct follow_node *n, const struct addr *a)
{
	return addrs_contain(n->addresses, n->n_addresses, a);
}

static bool is_named(const struct follow *f, const struct follow_node *n)
{
	return !strcmp(n->name, f->in.node);
}

static bool has_target(const struct follow *f, const struct follow_node *n)
{
	return has(n, &f->packet.to);
}

static bool has_source(const struct follow *f, const struct follow_node *n)
{
	return has(n, &f->packet.from);
}

/* The node of a Pod that is an endpoint of the Service. */
static bool has_pod(const struct follow *f, const struct follow_node *n)
{
	const struct proxy_endpoint pod = { .addr = f->packet.from };
	const char *node = follow_node_of(f, &pod);

	return node && !strcmp(node, n->name);
}

/* As far as any speaker knows. */
static bool is_from_pod(const struct follow *f)
{
	for (size_t i = 0; i < f->n_nodes; i++) {
		const struct proxy_node *n = &f->nodes[i].facts;
		for (size_t k = 0; k < n->n_pod_cidrs; k++)
			if (n->pod_cidrs[k].addr.family == f->packet.from.family &&
			    prefix_contains(&n->pod_cidrs[k], &f->packet.from))
				return true;
	}
	return false;
}

static bool announces(const struct follow *f, const struct follow_node *n)
{
	return explain_announces(f->in.explain, &f->packet.to, n->name);
}

/* Leaves those for which @is_chosen holds, if there are any. */
static bool leave(struct follow *f,
                  bool (*is_chosen)(const struct follow *f, const struct follow_node *n))
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_nodes; i++)
		n += is_chosen(f, &f->nodes[i]);
	if (n == 0)
		return false;
	n = 0;
	for (size_t i = 0; i < f->n_nodes; i++) {
		if (is_chosen(f, &f->nodes[i]))
			f->nodes[n++] = f->nodes[i];
		else
			node_fini(&f->nodes[i]);
	}
	f->n_nodes = n;
	return true;
}

static void leave_given(struct follow *f)
{
	if (leave(f, is_named))
		return;
	while (f->n_nodes)
		node_fini(&f->nodes[--f->n_nodes]);
	add_node(f, f->in.node, NULL);
}

/* What a node or a Pod sends is caught where it begins, whoever announces the address. */
static void choose_nodes(struct follow *f)
{
	if (f->in.node) {
		f->choice = FOLLOW_GIVEN;
		leave_given(f);
	} else if (leave(f, has_source) || leave(f, has_pod)) {
		f->choice = FOLLOW_HAS_SOURCE;
	} else if (is_from_pod(f)) {
		f->choice = FOLLOW_EACH;
	} else if (leave(f, has_target)) {
		f->choice = FOLLOW_HAS_TARGET;
	} else if (leave(f, announces)) {
		f->choice = FOLLOW_ANNOUNCES;
	} else {
		f->choice = FOLLOW_EACH;
	}
}

/* ---- what speakers say of themselves ---- */

static size_t read_cidrs(struct json_object *obj, const char *key,
                         struct prefix ret_cidrs[static PROXY_CIDRS_MAX])
{
	struct json_object *list = kube_json_get(obj, key, json_type_array, NULL);
	size_t n = 0;

	for (size_t i = 0; list && i < json_object_array_length(list) && n < PROXY_CIDRS_MAX; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		if (json_object_is_type(one, json_type_string) &&
		    prefix_parse(json_object_get_string(one), false, &ret_cidrs[n]) == 0)
			n++;
	}
	return n;
}

static void read_facts(struct json_object *node, struct follow_node *n)
{
	const char *pods_by = kube_json_str(node, "pods_by", NULL);

	n->options.localhost_node_ports = kube_json_bool(node, "localhost_node_ports", false, NULL);
	n->options.masquerade_all = kube_json_bool(node, "masquerade_all", false, NULL);
	n->facts.n_node_port_cidrs = read_cidrs(node, "node_port_cidrs", n->facts.node_port_cidrs);
	/* By interface nobody tells from an address: then --cluster-cidr counts. */
	if (pods_by && !strcmp(pods_by, "source"))
		n->facts.n_pod_cidrs = read_cidrs(node, "pod_cidrs", n->facts.pod_cidrs);
	else
		n->options.pods_by = PROXY_PODS_BY_INTERFACE;
}

/* In the list of one family: the scheduler in place of the one that the Service has. */
static void read_substitute(const struct follow *f, struct json_object *family,
                            struct follow_node *n)
{
	struct json_object *list = kube_json_get(family, "substituted", json_type_array, NULL);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *service = kube_json_str(one, "service", NULL);
		const char *scheduler = kube_json_str(one, "scheduler", NULL);
		if (!service || !scheduler || strcmp(service, f->in.service->key) != 0)
			continue;
		free(n->substitute);
		n->substitute = xstrdup(scheduler);
	}
}

static void read_substitutes(const struct follow *f, struct json_object *proxy,
                             struct follow_node *n)
{
	struct json_object *list = kube_json_get(proxy, "families", json_type_array, NULL);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *family = json_object_array_get_idx(list, i);
		if (kube_json_int(family, "family", 4, 6, 0, NULL) == f->packet.to.family)
			read_substitute(f, family, n);
	}
}

void follow_put_speaker(struct follow *f, const char *node, struct json_object *status)
{
	struct json_object *proxy = kube_json_get(status, "proxy", json_type_object, NULL);
	const char *mode = proxy ? kube_json_str(proxy, "mode", NULL) : NULL;
	struct json_object *facts =
		proxy ? kube_json_get(proxy, "node", json_type_object, NULL) : NULL;

	for (size_t i = 0; i < f->n_nodes; i++) {
		if (strcmp(f->nodes[i].name, node) != 0)
			continue;
		if (mode)
			f->nodes[i].options.mode = proxy_mode_named(mode);
		if (facts)
			read_facts(facts, &f->nodes[i]);
		if (proxy)
			read_substitutes(f, proxy, &f->nodes[i]);
	}
}

/* ---- the answer ---- */

static bool is_announced(const char *key, const struct addr *a, const void *arg)
{
	const struct follow_node *n = arg;

	(void)key;
	return n->announces && explain_announces(n->announces, a, n->name);
}

static void build(const struct follow *f, const struct follow_node *n, const struct view_service *s,
                  struct forward *ret)
{
	const struct forward_node at = {
		.name = n->name,
		.zone = n->node ? labels_get(&n->node->meta.labels, VIEW_LABEL_ZONE) : NULL,
		.by_rules = n->options.mode == PROXY_IPTABLES,
		.is_announced = s == f->in.service ? is_announced : NULL,
		.arg = n,
	};

	forward_build(f->in.view, &at, s, NULL, ret);
}

static void follow_at(const struct follow *f, struct follow_node *n)
{
	const struct packet_node at = { n->addresses, n->n_addresses, &n->options, &n->facts };
	struct forward forward;

	n->announces = f->in.explain;
	build(f, n, f->in.service, &forward);
	const struct proxy_half *half = forward.service.halves[f->packet.to.family == 6];
	n->carried = half != NULL;
	if (half)
		packet_follow(half, &at, &f->packet, &n->answer);
	forward_fini(&forward);
}

/* A port of another Service comes before any guard. */
static const struct view_service *find_other(const struct follow *f, const struct follow_node *n)
{
	const struct packet_node at = { n->addresses, n->n_addresses, &n->options, &n->facts };
	const struct view_service *found = NULL;
	size_t n_all;
	const struct view_service **all = view_services(f->in.view, &n_all);

	for (size_t i = 0; i < n_all && !found; i++) {
		struct packet_answer answer;
		struct forward forward;
		if (all[i] == f->in.service)
			continue;
		build(f, n, all[i], &forward);
		const struct proxy_half *half = forward.service.halves[f->packet.to.family == 6];
		if (half) {
			packet_follow(half, &at, &f->packet, &answer);
			found = answer.end == PACKET_SERVED ? all[i] : NULL;
			packet_answer_fini(&answer);
		}
		forward_fini(&forward);
	}
	free(all);
	return found;
}

void follow_run(struct follow *f)
{
	bool is_served = false;

	choose_nodes(f);
	for (size_t i = 0; i < f->n_nodes; i++) {
		follow_at(f, &f->nodes[i]);
		is_served = is_served ||
		            (f->nodes[i].carried && (f->nodes[i].answer.end == PACKET_SERVED ||
		                                     f->nodes[i].answer.end == PACKET_HEALTH));
	}
	if (f->n_nodes && !is_served)
		f->other = find_other(f, &f->nodes[0]);
}

const char *follow_node_of(const struct follow *f, const struct proxy_endpoint *e)
{
	for (const struct view_slice *s = f->in.service->slices; s; s = s->next)
		for (size_t i = 0; i < s->n_endpoints; i++)
			if (addr_eq(&s->endpoints[i].addr, &e->addr) && s->endpoints[i].place->node)
				return s->endpoints[i].place->node;
	return NULL;
}
