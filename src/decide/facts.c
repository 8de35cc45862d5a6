/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/facts.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"

static const uint8_t families[] = { 4, 6 };

/* ---- flags ---- */

static int check_interface(const char *option, const char *name, struct err *e)
{
	if (options_is_interface(name))
		return 0;
	return err_set(e, -EINVAL, ERR_CONFIG,
	               "%s: \"%.100s\" is no interface name: 1 to %d letters, digits, '.', '_' "
	               "and '-', not beginning with '-'",
	               option, name, IFNAMSIZ - 1);
}

/* How Pods are told, by the flag that names them; the others of these belong to other modes. */
struct detection {
	const char *mode, *option, *value;
	bool is_interface;
};

static int check_detection(const struct facts_flags *o, struct err *e)
{
	const struct detection ways[] = {
		{ "cluster-cidr", "--cluster-cidr", o->cluster_cidr, false },
		{ "bridge-interface", "--pod-bridge-interface", o->pod_bridge_interface, true },
		{ "interface-name-prefix", "--pod-interface-name-prefix",
		  o->pod_interface_name_prefix, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		const struct detection *d = &ways[i];
		bool chosen = !strcmp(o->detect_local_mode, d->mode);
		if (d->value && !chosen)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "%s is for --detect-local-mode %s, and the mode is %s",
			               d->option, d->mode, o->detect_local_mode);
		if (!d->is_interface || !chosen)
			continue;
		if (!d->value)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "--detect-local-mode %s: give %s, too", d->mode, d->option);
		if (check_interface(d->option, d->value, e) < 0)
			return -EINVAL;
	}
	return 0;
}

static bool names_primary(const char *given)
{
	for (const char *p = given; p && *p; p += strcspn(p, ",")) {
		p += *p == ',';
		if (!strncmp(p, "primary", 7) && (p[7] == ',' || !p[7]))
			return true;
	}
	return false;
}

static int parse_node_port_addresses(struct facts_flags *o, struct err *e)
{
	if (!names_primary(o->nodeport_addresses))
		return proxy_parse_cidrs("--nodeport-addresses", o->nodeport_addresses,
		                         o->node_port_cidrs, &o->n_node_port_cidrs, e);
	if (strcmp(o->nodeport_addresses, "primary") != 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--nodeport-addresses: \"primary\" stands alone; give it, or CIDRs");
	o->node_ports_primary = true;
	return 0;
}

int facts_flags_parse(struct facts_flags *f, struct err *e)
{
	int r = proxy_parse_cidrs("--cluster-cidr", f->cluster_cidr, f->cluster_cidrs,
	                          &f->n_cluster_cidrs, e);

	if (r == 0)
		r = check_detection(f, e);
	if (r == 0)
		r = parse_node_port_addresses(f, e);
	if (r == 0)
		r = proxy_parse_clamp(f->clamp_mss, &f->clamp_mss_bytes, e);
	return r;
}

static enum proxy_pods pods_by(const struct facts_flags *f)
{
	if (f->pod_bridge_interface)
		return PROXY_PODS_BY_INTERFACE;
	return f->pod_interface_name_prefix ? PROXY_PODS_BY_INTERFACE_PREFIX : PROXY_PODS_BY_SOURCE;
}

void facts_flags_apply(const struct facts_flags *f, struct proxy_options *o)
{
	const char *interface =
		f->pod_bridge_interface ? f->pod_bridge_interface : f->pod_interface_name_prefix;

	o->pods_by = pods_by(f);
	o->localhost_node_ports = f->localhost_nodeports;
	o->masquerade_all = f->masquerade_all;
	o->clamp_mss = f->clamp_mss_bytes;
	if (interface)
		memccpy(o->pod_interface, interface, '\0', sizeof(o->pod_interface) - 1);
}

/* ---- facts ---- */

static void add(struct prefix *list, size_t *n, const struct prefix *p)
{
	if (*n < PROXY_CIDRS_MAX)
		list[(*n)++] = *p;
}

static void update_pods(const struct facts_flags *o, const struct view_node *n,
                        struct proxy_node *facts)
{
	bool by_node = !strcmp(o->detect_local_mode, "node-cidr");
	const struct prefix *cidrs = o->cluster_cidrs;
	size_t n_cidrs = o->n_cluster_cidrs;

	if (by_node) {
		if (!n || n->n_pod_cidrs == 0)
			return;
		cidrs = n->pod_cidrs;
		n_cidrs = n->n_pod_cidrs;
	}
	facts->n_pod_cidrs = 0;
	for (size_t i = 0; i < n_cidrs; i++)
		add(facts->pod_cidrs, &facts->n_pod_cidrs, &cidrs[i]);
}

static const struct addr *first_of(const struct addr *a, size_t n, uint8_t family)
{
	static const struct prefix loopback = { { .family = 4, .b = { 127 } }, 8 };
	static const struct addr loopback6 = { .family = 6, .b = { [15] = 1 } };

	for (size_t i = 0; i < n; i++)
		if (a[i].family == family && !prefix_contains(&loopback, &a[i]) &&
		    !addr_eq(&loopback6, &a[i]))
			return &a[i];
	return NULL;
}

const struct addr *facts_primary(const struct view_node *n, uint8_t family)
{
	const struct addr *a = first_of(n->addresses, n->n_addresses, family);

	return a ? a : first_of(n->external_ips, n->n_external_ips, family);
}

/* Of a Node that names any. */
static void update_primary(const struct view_node *n, struct proxy_node *facts)
{
	struct prefix found[ARRAY_LEN(families)];
	size_t n_found = 0;

	for (size_t i = 0; n && i < ARRAY_LEN(families); i++) {
		const struct addr *a = facts_primary(n, families[i]);
		if (a)
			found[n_found++] = prefix_of(a, addr_bits(a));
	}
	if (n_found == 0)
		return;
	memcpy(facts->node_port_cidrs, found, n_found * sizeof(*found));
	facts->n_node_port_cidrs = n_found;
}

static void update_chosen(const struct facts_flags *o, struct proxy_node *facts)
{
	facts->n_node_port_cidrs = 0;
	for (size_t i = 0; i < o->n_node_port_cidrs; i++)
		add(facts->node_port_cidrs, &facts->n_node_port_cidrs, &o->node_port_cidrs[i]);
	proxy_node_complete(facts);
}

bool facts_update(const struct facts_flags *o, const struct view_node *n, struct proxy_node *facts)
{
	const struct proxy_node before = *facts;

	update_pods(o, n, facts);
	if (o->node_ports_primary)
		update_primary(n, facts);
	else
		update_chosen(o, facts);
	return !proxy_node_eq(&before, facts);
}
