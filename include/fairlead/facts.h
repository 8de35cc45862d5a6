/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_FACTS_H
#define FAIRLEAD_FACTS_H

/*
 * The flags of the data plane, as the speaker has them and the commands that foretell what it does;
 * and what the data plane has to know of a node, by the flags and by its Node.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/err.h"
#include "fairlead/options.h"
#include "fairlead/proxy.h"
#include "fairlead/view.h"

#define FACTS_DETECT_MODES "cluster-cidr|node-cidr|bridge-interface|interface-name-prefix"

struct facts_flags {
	/* as given; NULL: not given */
	const char *detect_local_mode, *cluster_cidr;
	const char *pod_bridge_interface, *pod_interface_name_prefix;
	const char *nodeport_addresses, *clamp_mss;
	bool localhost_nodeports, masquerade_all;
	/* of facts_flags_parse() */
	struct prefix cluster_cidrs[PROXY_CIDRS_GIVEN_MAX];
	size_t n_cluster_cidrs;
	struct prefix node_port_cidrs[PROXY_CIDRS_GIVEN_MAX];
	size_t n_node_port_cidrs;
	bool node_ports_primary; /* "primary" was given instead of them */
	int clamp_mss_bytes;     /* as in struct proxy_options */
};
#define FACTS_FLAGS_INIT                                                \
	{                                                               \
		.detect_local_mode = "cluster-cidr", .clamp_mss = "off" \
	}

#define OPTIONS_FACTS_N 8
/* clang-format off */
#define OPTIONS_FACTS(f) \
	{ "detect-local-mode", 0, "MODE", \
	  "what tells the packets of Pods, which are not masqueraded on their way to a " \
	  "cluster IP: --cluster-cidr, the Node's spec.podCIDRs, or one of the two " \
	  "interfaces below", \
	  OPTION_CHOICE, &(f).detect_local_mode, .choices = FACTS_DETECT_MODES }, \
	{ "cluster-cidr", 0, "CIDR[,CIDR]", "the addresses of all Pods", OPTION_STRING, \
	  &(f).cluster_cidr }, \
	{ "pod-bridge-interface", 0, "NAME", "the bridge that this node's Pods are behind", \
	  OPTION_STRING, &(f).pod_bridge_interface }, \
	{ "pod-interface-name-prefix", 0, "PREFIX", \
	  "what the names of the interfaces of this node's Pods begin with", OPTION_STRING, \
	  &(f).pod_interface_name_prefix }, \
	{ "nodeport-addresses", 0, "CIDR[,CIDR]|primary", \
	  "which of the node's addresses have node ports; primary: the first of each " \
	  "family that the Node names; all if not given", \
	  OPTION_STRING, &(f).nodeport_addresses }, \
	{ "localhost-nodeports", 0, NULL, \
	  "node ports also at 127.0.0.1, for the node itself; takes the sysctl " \
	  "net.ipv4.conf.all.route_localnet, which the speaker sets", \
	  OPTION_SWITCH, &(f).localhost_nodeports }, \
	{ "masquerade-all", 0, NULL, \
	  "masquerade everything on its way to a cluster IP, also what comes from Pods", \
	  OPTION_SWITCH, &(f).masquerade_all }, \
	{ "clamp-mss", 0, "BYTES", \
	  "bound the segment size of the TCP connections that the speaker carries: so many bytes, " \
	  "pmtu (what fits the node's routes), or off; for paths with a smaller MTU behind " \
	  "routers that spread flows over nodes", \
	  OPTION_STRING, &(f).clamp_mss }
/* clang-format on */

/* -EINVAL: @e names the flag and what would be right. */
int facts_flags_parse(struct facts_flags *f, struct err *e);
/* Writes what the flags decide into @o. */
void facts_flags_apply(const struct facts_flags *f, struct proxy_options *o);

/*
 * Brings @facts, all zero at first, up to what the flags and @n say; NULL: there is no Node.  What
 * a Node does not say, for the time being or any more, stays as it was: a node keeps its addresses
 * while its Node is made anew.
 * Returns whether anything has changed.
 */
bool facts_update(const struct facts_flags *f, const struct view_node *n, struct proxy_node *facts);
/* The first of the Node's internal addresses of the family, else of its external ones, or NULL. */
const struct addr *facts_primary(const struct view_node *n, uint8_t family);

#endif
