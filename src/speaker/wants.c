/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/wants.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"

/*
 * A peer that bgpd could not take is left out; this is logged once for each configuration.
 */
static void complain(const struct wants *x, const char *what, const char *name, const struct err *e)
{
	if (x->aloud)
		log_warn("left out of BGP", KV_S("what", what), KV_S("name", name),
		         KV_S("error", e->msg));
}

/*
 * Until its password is known, what bgpd has for it stays.  @bad: the Secret holds one that bgpd
 * cannot take.
 */
static int want_waiting_peer(const struct wants *x, const struct config_peer *peer, bool bad,
                             struct bgp_want *w, struct err *e)
{
	cleanup_free char *why =
		bad ? xasprintf("password-secret: what Secret %s holds under %s is no password: %s",
	                        x->passwords->name, peer->password_secret, e->msg)
		    : xstrdup(e->msg);
	int ret = bgp_want_waiting_peer(w, peer, why, e);

	if (ret == 0)
		ret = err_set(e, -ENOENT, ERR_CONFIG, "%s", why);
	else
		bgp_want_refused(w, peer, e->msg);
	return ret;
}

/* Never without its password. */
static int want_peer(const struct wants *x, const struct config_peer *peer, struct bgp_want *w,
                     struct err *e)
{
	struct config_peer with = *peer;
	char *password = NULL;
	int ret = passwords_of(x->passwords, peer, &password, e);

	if (password)
		with.password = password;
	if (ret == 0)
		ret = bgp_want_peer(w, &with, e);
	if (ret < 0 && peer->password_secret)
		ret = want_waiting_peer(x, peer, password != NULL, w, e);
	else if (ret < 0)
		bgp_want_refused(w, peer, e->msg);
	if (password)
		explicit_bzero(password, strlen(password));
	free(password);
	return ret;
}

size_t wants_add_peers(const struct wants *x, struct bgp_want *w)
{
	const struct configuration *c = x->configuration;
	struct config_node_peer *peers = NULL;
	size_t n = c ? config_node_peers(c, x->labels, &peers) : 0;

	for (size_t i = 0; i < n; i++) {
		struct err e = ERR_INIT;
		int ret = 0;
		if (!peers[i].refused) {
			ret = want_peer(x, peers[i].peer, w, &e);
		} else {
			ret = err_set(&e, -EINVAL, ERR_CONFIG, "%s", peers[i].refused);
			bgp_want_refused(w, peers[i].peer, peers[i].refused);
		}
		/* A Secret that has not been read yet is no news while it is being read. */
		if (ret < 0 && (x->passwords->known || !peers[i].peer->password_secret))
			complain(x, "peer", peers[i].peer->name, &e);
	}
	config_node_peers_free(peers, n);
	return n;
}

/* Those of the set; what they hold stays the pool's. */
static size_t choose(const struct config_pool *pool, uint64_t set,
                     struct config_advertisement ret_ads[static CONFIG_ADVERTISEMENTS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < pool->n_advertisements; i++)
		if (set >> i & 1)
			ret_ads[n++] = pool->advertisements[i];
	return n;
}

static void add_pool(const struct wants *x, const struct config_pool *pool, struct bgp_want *w)
{
	const uint64_t here =
		config_pool_advertisements_for_node(x->configuration, pool, UINT64_MAX, x->labels);
	struct config_advertisement ads[CONFIG_ADVERTISEMENTS_MAX];
	struct config_pool some = *pool;
	struct err e = ERR_INIT;

	some.advertisements = ads;
	some.n_advertisements = choose(pool, here, ads);
	if (some.n_advertisements > 0 && bgp_want_pool(w, &some, &e) < 0)
		complain(x, "pool", pool->name, &e);
}

static void add_policies(const struct wants *x, struct bgp_want *w)
{
	const struct configuration *c = x->configuration;

	for (size_t i = 0; i < c->n_bfd_profiles; i++) {
		struct err e = ERR_INIT;
		if (bgp_want_bfd_profile(w, &c->bfd_profiles[i], &e) < 0)
			complain(x, "BFD profile", c->bfd_profiles[i].name, &e);
	}
	for (size_t i = 0; i < c->n_pools; i++)
		if (c->pools[i].protocols & PROTOCOL_BGP)
			add_pool(x, &c->pools[i], w);
	/* Their policy class, as for a pool: default values cannot fail. */
	if (c->n_external_ips_allow)
		bgp_want_pool(w, &(const struct config_pool){ .name = NULL }, NULL);
}

struct adding {
	const struct wants *x;
	struct bgp_want *want;
};

static void add_address(const struct announcement *a, void *arg)
{
	const struct adding *to = arg;
	const struct wants *x = to->x;
	struct err e = ERR_INIT;

	if (a->protocol != PROTOCOL_BGP ||
	    !(x->only_less ? a->decided == REASON_Candidate : a->eligible))
		return;
	struct config_advertisement ads[CONFIG_ADVERTISEMENTS_MAX];
	/* An external IP may be outside all pools, and is then advertised with default values. */
	const struct config_pool *pool = configuration_pool_of(x->configuration, &a->addr);
	size_t n = pool ? choose(pool, a->advertisements, ads) : 0;
	if (pool && n == 0 && pool->n_advertisements > 0)
		return;
	if (bgp_want_address(to->want, &a->addr, a->local, ads, n, &e) < 0)
		complain(x, "address", addr_str(&a->addr), &e);
}

/* Any that bgpd could use as its router id. */
static bool has_ipv4(void)
{
	struct ifaddrs *all;
	bool has = false;

	if (getifaddrs(&all) < 0)
		return true;
	for (const struct ifaddrs *i = all; i && !has; i = i->ifa_next)
		has = i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
		      !(i->ifa_flags & IFF_LOOPBACK);
	freeifaddrs(all);
	return has;
}

/*
 * The configuration's router id for this node, else the peers'; if bgpd could not choose one, it is
 * derived from the name.
 */
static void add_router_id(const struct wants *x, struct bgp_want *w)
{
	const struct addr *id =
		x->node ? configuration_router_id_of(x->configuration, x->node) : NULL;

	if (id)
		bgp_want_router_id(w, id);
	else if (x->node && !has_ipv4())
		bgp_want_router_id_of(w, x->node);
}

void wants_add_all(const struct wants *x, const struct announce *t, struct bgp_want *w)
{
	struct adding to = { .x = x, .want = w };

	add_router_id(x, w);
	add_policies(x, w);
	announce_each(t, add_address, &to);
}
