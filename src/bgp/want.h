/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_WANT_H
#define FAIRLEAD_BGP_WANT_H

/*
 * The inside of struct bgp_want, and what becomes of it: the state that an instance of ours would
 * have.
 */

#include "bgp/model.h"
#include "bgp/probe.h"
#include "fairlead/bgp.h"
#include "fairlead/hash.h"

struct want_prefix {
	struct prefix prefix; /* the key: no padding in it */
	size_t attr;          /* an index of bgp_want.attrs */
	UT_hash_handle hh;
};

struct want_peer {
	char *name; /* as the user wrote it, of any bytes */
	char *bfd_profile;
	char *waits; /* why its password is not known; NULL: it is, or there is none */
	uint32_t my_asn;
	struct bgp_peer peer; /* without local-as and policies */
	struct probe_way way;
};

/* What /status says about a peer that bgpd cannot run. */
struct want_refused {
	char *name, *why;
	struct addr address;
	uint32_t my_asn, asn;
};

struct want_address {
	struct addr addr;
	struct prefix prefix;
};

/*
 * bfdd's defaults are filled in, for it does not print them and has no command to return to them.
 */
struct bgp_bfd_profile {
	char *name; /* with our prefix */
	uint32_t detect_multiplier, transmit_ms, receive_ms, echo_transmit_ms, echo_receive_ms,
		minimum_ttl;
	bool passive, echo;
};
#define BGP_BFD_PROFILES_MAX LIMIT_BGP_BFD_PROFILES
void bgp_bfd_profile_init(struct bgp_bfd_profile *p, const char *name);

struct bgp_want {
	bool only_less;
	struct addr router_id;
	struct want_peer *peers;
	size_t n_peers, cap_peers;
	struct want_refused *refused;
	size_t n_refused, cap_refused;
	struct want_prefix *prefixes;
	struct bgp_attr *attrs; /* distinct: ten thousand prefixes have a handful */
	size_t n_attrs, cap_attrs;
	struct want_address *addresses; /* sorted by bgp_want_state() */
	size_t n_addresses, cap_addresses;
	struct bgp_lines *classes; /* those that are to stay even if unused */
	size_t n_classes, cap_classes;
	unsigned int scopes; /* of the classes, one bit for each */
	struct bgp_bfd_profile *profiles;
	size_t n_profiles, cap_profiles;
};

/*
 * The state that bgpd should have if there were nobody but us: sorted, with every class of it.
 * Without peers it is empty.
 */
void bgp_want_state(struct bgp_want *w, struct bgp_state *ret_state);
/* The entries between the two indices have the address @a. */
void bgp_want_find(const struct bgp_want *w, const struct addr *a, size_t *ret_first,
                   size_t *ret_end);

/* Whether @p leads to an address that is wanted, be it announced by that prefix or by another. */
bool bgp_want_leads(const struct bgp_want *w, const struct prefix *p);

#endif
