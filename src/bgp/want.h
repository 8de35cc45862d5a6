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
	size_t policy;        /* an index of bgp_want.policies */
	UT_hash_handle hh;
};

/* How a prefix is sent: for each recipient the number of its attributes, from 1; 0: it is not. */
struct want_policy {
	uint32_t *attrs;
	bool ready; /* to stay even if unused */
};

struct want_peer {
	char *name; /* as the user wrote it, of any bytes */
	char *bfd_profile;
	char *waits; /* why its password is not known; NULL: it is, or there is none */
	uint32_t my_asn;
	size_t recipient;
	struct bgp_peer peer; /* without local-as and policies */
	struct probe_way way;
};

/* What /status says about a peer that bgpd cannot run. */
struct want_refused {
	char *name, *why;
	struct addr address;
	uint32_t my_asn, asn;
	size_t recipient;
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
	/* The names of the peers, refused ones too: advertisements name whom they are for. */
	const char **recipients;
	size_t n_recipients, cap_recipients;
	struct want_prefix *prefixes;
	struct bgp_attr *attrs; /* distinct: ten thousand prefixes have a handful */
	size_t n_attrs, cap_attrs;
	struct want_policy *policies; /* distinct */
	size_t n_policies, cap_policies;
	uint64_t ready; /* set by bgp_want_state(): equal where the ready ones are */
	struct want_address *addresses; /* sorted by bgp_want_state() */
	size_t n_addresses, cap_addresses;
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

/* Whether @prefix is for this recipient, a peer's or a refused one's. */
bool bgp_want_reaches(const struct bgp_want *w, const struct prefix *prefix, size_t recipient);

/* Whether @p leads to an address that is wanted, be it announced by that prefix or by another. */
bool bgp_want_leads(const struct bgp_want *w, const struct prefix *p);

#endif
