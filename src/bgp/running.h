/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_RUNNING_H
#define FAIRLEAD_BGP_RUNNING_H

/*
 * Reads `show running-config` of bgpd into what is ours and what we must know of the rest.
 *
 * Tolerant: lines that it does not know belong to others.  Only the instance of the default VRF
 * counts.  Bounded: beyond a number of neighbours or networks of others it stops remembering them
 * and says so.
 */

#include "bgp/model.h"

#define BGP_FOREIGN_PEERS_MAX 4096
#define BGP_FOREIGN_NETWORKS_MAX 1000000

enum bgp_as_type { BGP_AS_NONE, BGP_AS_NUMBER, BGP_AS_INTERNAL, BGP_AS_EXTERNAL, BGP_AS_AUTO };

/* A neighbour or peer-group as read; those without our mark are kept as such. */
struct bgp_seen_peer {
	char *name; /* address, interface or group */
	char *group;
	bool is_group, has_description, ours;
	bool listens; /* a group that neighbours join by themselves (bgp listen range) */
	enum bgp_as_type as_type;
	struct {
		signed char active; /* -1: not said */
		bool filtered;      /* has some outbound policy */
	} af[BGP_N_AF];
	struct bgp_peer peer; /* for ours */
};

struct bgp_have {
	struct bgp_state ours; /* asn also where the instance is others' */
	bool foreign_lines;    /* the instance has others' lines: it must not be removed */
	bool requires_policy;  /* eBGP neighbours without policy are sent nothing */
	bool import_check, default_active[BGP_N_AF];
	/*
	 * "l2vpn-evpn": a family in which new neighbours begin activated, and where we set no
	 * policy; "": none.
	 */
	char default_family[32];
	bool truncated; /* a limit was reached */
	struct bgp_seen_peer *foreign;
	size_t n_foreign, cap_foreign;
	struct prefix *foreign_networks; /* sorted */
	size_t n_foreign_networks, cap_foreign_networks;
};
void bgp_have_fini(struct bgp_have *h);
void bgp_running_parse(const char *text, size_t size, struct bgp_have *ret_have);

/* A neighbour of others at this address (also by its text), or NULL. */
const struct bgp_seen_peer *bgp_have_foreign_peer(const struct bgp_have *h, const struct addr *a);
bool bgp_have_foreign_network(const struct bgp_have *h, const struct prefix *p);
/*
 * A neighbour of others that would be sent networks of this family without any outbound policy, or
 * NULL.
 */
const struct bgp_seen_peer *bgp_have_unfiltered(const struct bgp_have *h);

#endif
