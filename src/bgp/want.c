/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peers that bgpd should have.  Everything that a user wrote is checked here, once, against
 * what bgpd can take as a word of a command, so that nothing later has to quote.  What bgpd cannot
 * take is refused individually, with words for /status, and the rest goes on.
 */
#include "config.h"

#include "bgp/want.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"

#define HOLD_TIME_MAX_S 65535

struct bgp_want *bgp_want_new(void)
{
	return xcalloc(1, sizeof(struct bgp_want));
}

static void want_peer_fini(struct want_peer *p)
{
	free(p->name);
	free(p->bfd_profile);
	free(p->waits);
	bgp_peer_fini(&p->peer);
}

void bgp_want_free(struct bgp_want *w)
{
	struct want_prefix *p, *next;

	if (!w)
		return;
	for (size_t i = 0; i < w->n_peers; i++)
		want_peer_fini(&w->peers[i]);
	for (size_t i = 0; i < w->n_refused; i++) {
		free(w->refused[i].name);
		free(w->refused[i].why);
	}
	HASH_ITER(hh, w->prefixes, p, next) {
		HASH_DEL(w->prefixes, p);
		free(p);
	}
	for (size_t i = 0; i < w->n_attrs; i++)
		bgp_attr_fini(&w->attrs[i]);
	for (size_t i = 0; i < w->n_policies; i++)
		free(w->policies[i].attrs);
	for (size_t i = 0; i < w->n_profiles; i++)
		free(w->profiles[i].name);
	free(w->peers);
	free(w->refused);
	free(w->attrs);
	free(w->policies);
	free(w->recipients);
	free(w->addresses);
	free(w->profiles);
	free(w);
}

/* ---- strings of users ---- */

/* One word for bgpd: printable, without blanks. */
static int check_word(const char *what, const char *s, size_t max, struct err *e)
{
	size_t len = strnlen(s, max + 1);

	if (len == 0 || len > max)
		return err_set(e, -EINVAL, ERR_CONFIG, "%s: must have 1 to %zu characters", what,
		               max);
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] > 0x7e)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "%s: character %zu is a blank or no printable ASCII, which "
			               "bgpd cannot take",
			               what, i + 1);
	return 0;
}

/* Makes a description of any user string: what bgpd might interpret becomes '_'. */
static void add_description(struct bgp_lines *lines, const char *name)
{
	char text[sizeof("description " BGP_MARK " ") + BGP_NAME_MAX];
	size_t at = (size_t)snprintf(text, sizeof(text), "description " BGP_MARK " ");

	for (size_t i = 0; i < BGP_NAME_MAX && name && name[i]; i++) {
		unsigned char c = (unsigned char)name[i];
		bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
		             c == '-' || c == '.' || c == ':' || c == '/';
		text[at++] = plain ? (char)c : '_';
	}
	while (at > 0 && text[at - 1] == ' ')
		at--;
	text[at] = 0;
	bgp_lines_add(lines, text);
}

static __attribute__((format(printf, 2, 3))) void add_line(struct bgp_lines *lines, const char *fmt,
                                                           ...)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	bgp_lines_add(lines, buf_str(&b));
}

/* ---- peers ---- */

static size_t add_recipient(struct bgp_want *w, const char *name)
{
	ARRAY_RESERVE(w->recipients, w->cap_recipients, w->n_recipients + 1);
	w->recipients[w->n_recipients] = name;
	return w->n_recipients++;
}

_Static_assert(CONFIG_BFD_PROFILE_NAME_MAX == BGP_NAME_MAX - (sizeof(BGP_MAP_PREFIX) - 1),
               "a profile's name with our prefix is a name for bgpd");

static int check_peer(const struct bgp_want *w, const struct config_peer *p, struct err *e)
{
	int r = 0;

	if (w->n_peers == BGP_PEERS_MAX)
		return err_set(e, -E2BIG, ERR_LIMIT, "more than %d peers", BGP_PEERS_MAX);
	if (addr_is_none(&p->address) || p->my_asn == 0 || p->peer_asn == 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "a peer without address or AS numbers");
	for (size_t i = 0; i < w->n_peers; i++)
		if (addr_eq(&w->peers[i].peer.address, &p->address))
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "a second peer of the address %s on one node",
			               addr_str(&p->address));
	if (!addr_is_none(&p->source_address) && p->source_address.family != p->address.family)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "source-address and peer-address are of different families");
	if (p->hold_time_s > HOLD_TIME_MAX_S || p->hold_time_s == 1 || p->hold_time_s == 2)
		return err_set(e, -EINVAL, ERR_CONFIG, "hold-time must be 0 or 3 to %d seconds",
		               HOLD_TIME_MAX_S);
	if (p->password && p->password[0])
		r = check_word("password", p->password, BGP_PASSWORD_MAX, e);
	if (r == 0 && p->bfd_profile && p->bfd_profile[0])
		r = check_word("bfd-profile", p->bfd_profile, CONFIG_BFD_PROFILE_NAME_MAX, e);
	return r;
}

/* bgpd cuts the keepalive time to a third of the hold time, and prints that. */
static void add_timers(struct bgp_lines *lines, uint32_t hold, uint32_t keepalive)
{
	if (keepalive == 0 || keepalive > hold / 3)
		keepalive = hold / 3;
	add_line(lines, "timers %" PRIu32 " %" PRIu32, keepalive, hold);
	add_line(lines, "timers connect %d", BGP_CONNECT_RETRY_S);
	/* Some bgpds wait 30 s between updates by default for eBGP. */
	add_line(lines, "advertisement-interval 0");
}

int bgp_want_peer(struct bgp_want *w, const struct config_peer *p, struct err *e)
{
	int r = check_peer(w, p, e);

	if (r) {
		err_prefix(e, "peer %s", addr_str(&p->address));
		return r;
	}
	ARRAY_RESERVE(w->peers, w->cap_peers, w->n_peers + 1);
	struct want_peer *n = &w->peers[w->n_peers++];
	*n = (struct want_peer){ .name = xstrdup(p->name ? p->name : ""), .my_asn = p->my_asn };
	n->recipient = add_recipient(w, n->name);
	n->peer.address = p->address;
	n->peer.remote_as = p->peer_asn;
	n->way = (struct probe_way){ .to = p->address,
		                     .from = p->source_address,
		                     .port = p->port,
		                     .one_hop = !p->ebgp_multihop && p->my_asn != p->peer_asn };
	struct bgp_lines *lines = &n->peer.lines;
	add_description(lines, p->name);
	add_timers(lines, p->hold_time_s, p->keepalive_time_s);
	if (p->port && p->port != 179)
		add_line(lines, "port %u", p->port);
	if (p->password && p->password[0])
		add_line(lines, "password %s", p->password);
	if (p->ebgp_multihop && p->my_asn != p->peer_asn)
		add_line(lines, "ebgp-multihop 255");
	if (!addr_is_none(&p->source_address))
		add_line(lines, "update-source %s", addr_str(&p->source_address));
	if (p->bfd_profile && p->bfd_profile[0]) {
		n->bfd_profile = xstrdup(p->bfd_profile);
		add_line(lines, "bfd profile " BGP_MAP_PREFIX "%s", p->bfd_profile);
	}
	if (addr_is_none(&w->router_id) && p->router_id.family == 4)
		w->router_id = p->router_id;
	return 0;
}

int bgp_want_waiting_peer(struct bgp_want *w, const struct config_peer *p, const char *why,
                          struct err *e)
{
	int r = bgp_want_peer(w, p, e);

	if (r == 0) {
		struct want_peer *n = &w->peers[w->n_peers - 1];
		n->waits = xstrdup(why);
		n->peer.waits = true;
	}
	return r;
}

void bgp_want_refused(struct bgp_want *w, const struct config_peer *p, const char *why)
{
	if (w->n_refused == BGP_PEERS_MAX)
		return;
	ARRAY_RESERVE(w->refused, w->cap_refused, w->n_refused + 1);
	struct want_refused *n = &w->refused[w->n_refused++];
	*n = (struct want_refused){ .name = xstrdup(p->name ? p->name : ""),
		                    .why = xstrdup(why),
		                    .address = p->address,
		                    .my_asn = p->my_asn,
		                    .asn = p->peer_asn };
	n->recipient = add_recipient(w, n->name);
}

void bgp_bfd_profile_init(struct bgp_bfd_profile *p, const char *name)
{
	*p = (struct bgp_bfd_profile){
		.name = xstrdup(name),
		.detect_multiplier = 3,
		.transmit_ms = 300,
		.receive_ms = 300,
		.echo_transmit_ms = 50,
		.echo_receive_ms = 50,
		.minimum_ttl = 254,
	};
}

void bgp_want_router_id(struct bgp_want *w, const struct addr *id)
{
	w->router_id = *id;
}

/* Not from 0/8, 127/8 or 224/3, with which routers refuse the session. */
void bgp_want_router_id_of(struct bgp_want *w, const char *name)
{
	uint64_t h = hash64_str(name, 0);
	struct in_addr id;

	if (!addr_is_none(&w->router_id))
		return;
	uint32_t first = 1 + (uint32_t)(h >> 32) % 222;
	if (first >= 127)
		first++;
	id.s_addr = htonl(first << 24 | ((uint32_t)h & 0xffffff));
	w->router_id = addr_from_in(id);
}

int bgp_want_bfd_profile(struct bgp_want *w, const struct config_bfd_profile *p, struct err *e)
{
	int r = check_word("bfd-profile", p->name ? p->name : "", CONFIG_BFD_PROFILE_NAME_MAX, e);

	if (r)
		return r;
	if (w->n_profiles == BGP_BFD_PROFILES_MAX)
		return err_set(e, -E2BIG, ERR_LIMIT, "more than %d BFD profiles",
		               BGP_BFD_PROFILES_MAX);
	cleanup_free char *name = xasprintf(BGP_MAP_PREFIX "%s", p->name);
	for (size_t i = 0; i < w->n_profiles; i++)
		if (!strcmp(w->profiles[i].name, name))
			return err_set(e, -EINVAL, ERR_CONFIG, "a second BFD profile %s", p->name);
	ARRAY_RESERVE(w->profiles, w->cap_profiles, w->n_profiles + 1);
	struct bgp_bfd_profile *n = &w->profiles[w->n_profiles++];
	bgp_bfd_profile_init(n, name);
	n->passive = p->passive_mode;
	n->echo = p->echo_mode;
	if (p->detect_multiplier)
		n->detect_multiplier = p->detect_multiplier;
	if (p->transmit_interval_ms)
		n->transmit_ms = p->transmit_interval_ms;
	if (p->receive_interval_ms)
		n->receive_ms = p->receive_interval_ms;
	if (p->echo_interval_ms)
		n->echo_transmit_ms = n->echo_receive_ms = p->echo_interval_ms;
	if (p->minimum_ttl)
		n->minimum_ttl = p->minimum_ttl;
	return 0;
}

void bgp_want_only_less(struct bgp_want *w)
{
	w->only_less = true;
}
