/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers: the rows of their keys, and the rules for what one of them says.  Those between peers are
 * in check_peers.c; they need lines of the document, which a peer keeps with itself.
 */
#include "config.h"

#include "config/parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define PEER_PORT_DEFAULT 179
#define PEER_NAME_MAX 253
#define SECRET_KEY_MAX 253
#define HOLD_TIME_DEFAULT_S 90
/* RFC 4271, 4.2: two octets */
#define HOLD_TIME_MIN_S 3
#define HOLD_TIME_MAX_S UINT16_MAX
#define KEEPALIVE_UNSET UINT32_MAX
#define NS_PER_S 1000000000

/* ---- times ---- */

/* As the old daemon cut them. */
bool read_seconds(struct schema_ctx *x, const char *what, const struct ynode *node, int64_t *ret_s)
{
	const char *s = schema_text(x, node);
	int64_t ns;

	if (!s || !s[0])
		return false;
	if (duration_parse(s, &ns) < 0) {
		bool bare = s[strspn(s, "0123456789")] == '\0';
		schema_error(x, node->line,
		             "invalid %s \"%.64s\": write a number with its unit, such as %.20s%s",
		             what, s, bare ? s : "90", "s");
		return false;
	}
	*ret_s = ns / NS_PER_S;
	if (ns != 0 && *ret_s == 0)
		schema_warning(x, node->line,
		               "\"%.64s\" is cut to whole seconds and so counts as 0", s);
	return true;
}

static void read_hold(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                      void *field)
{
	uint32_t *hold_s = field;
	int64_t s;

	(void)key;
	if (!read_seconds(x, "hold time", node, &s))
		return;
	if (s != 0 && (s < HOLD_TIME_MIN_S || s > HOLD_TIME_MAX_S))
		schema_error(x, node->line,
		             "invalid hold time \"%.64s\": must be 0 or >=3s, and at most %ds",
		             node->text, HOLD_TIME_MAX_S);
	else
		*hold_s = (uint32_t)s;
}

static void read_keepalive(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	uint32_t *keepalive_s = field;
	int64_t s;

	(void)key;
	if (!read_seconds(x, "keepaliveTime", node, &s))
		return;
	if (s < 0 || s > HOLD_TIME_MAX_S)
		schema_error(x, node->line, "invalid keepaliveTime \"%.64s\": write 0s to %ds",
		             node->text, HOLD_TIME_MAX_S);
	else
		*keepalive_s = (uint32_t)s;
}

void print_seconds(struct out *o, const struct schema_key *key, const void *field)
{
	out_printf(o, key->name, "%" PRIu32 "s", *(const uint32_t *)field);
}

static const struct schema_type hold_type = {
	.form = "duration",
	.value = SCHEMA_TEXT,
	.read = read_hold,
	.print = print_seconds,
};

static const struct schema_type keepalive_type = {
	.form = "duration",
	.value = SCHEMA_TEXT,
	.read = read_keepalive,
	.print = print_seconds,
};

static void settle_times(struct schema_ctx *x, const struct ynode *node, struct config_peer *p)
{
	if (p->keepalive_time_s == KEEPALIVE_UNSET) {
		p->keepalive_time_s = p->hold_time_s / 3;
	} else if (p->keepalive_time_s > p->hold_time_s) {
		size_t mark = schema_enter_key(x, "keepalive-time");
		schema_error(x, schema_line(node, "keepalive-time"),
		             "invalid keepaliveTime \"%us\": must be at most the hold time, %us",
		             p->keepalive_time_s, p->hold_time_s);
		schema_leave(x, mark);
	}
}

/* ---- peers ---- */

/* Not every special address: somebody may well have a router at 169.254.0.1. */
static void read_peer_address(struct schema_ctx *x, const struct schema_key *key,
                              const struct ynode *node, void *field)
{
	static const struct {
		const char *range, *what;
	} nowhere[] = {
		{ "0.0.0.0/8", "unspecified" },         { "::/128", "unspecified" },
		{ "127.0.0.0/8", "the node's own" },    { "::1/128", "the node's own" },
		{ "224.0.0.0/4", "a multicast group" }, { "ff00::/8", "a multicast group" },
		{ "255.255.255.255/32", "broadcast" },
	};
	const struct addr *a = field;

	schema_read_addr(x, key, node, field);
	for (size_t i = 0; i < ARRAY_LEN(nowhere); i++) {
		struct prefix p;
		prefix_parse(nowhere[i].range, false, &p);
		if (a->family == p.addr.family && prefix_contains(&p, a))
			schema_refuse(x, node->line,
			              "%s %s: it is %s; write the address that the router has on "
			              "the network",
			              key->invalid, addr_str(a), nowhere[i].what);
	}
	if (a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
		schema_warning(x, node->line,
		               "%s is link-local, and needs an interface, which cannot be given "
		               "here: no session can come up; write the router's global address",
		               addr_str(a));
}

static const struct schema_type peer_address_type = {
	.form = "address",
	.value = SCHEMA_NOTATION,
	.read = read_peer_address,
	.print = schema_print_addr,
};

static void read_router_id(struct schema_ctx *x, const struct schema_key *key,
                           const struct ynode *node, void *field)
{
	struct addr *id = field;
	const char *s = schema_text(x, node);

	if (s && s[0] && (addr_parse(s, id) < 0 || id->family != 4))
		schema_error(x, node->line, "%s \"%.64s\": write it as an IPv4 address",
		             key->invalid, s);
	else if (s && s[0] && !is_router_id(id))
		schema_refuse(x, node->line,
		              "%s \"%.64s\": write an IPv4 address from 1.0.0.0 to "
		              "223.255.255.255, and none of 127.0.0.0/8",
		              key->invalid, s);
}

static const struct schema_type router_id_type = {
	.form = "IPv4 address",
	.value = SCHEMA_NOTATION,
	.read = read_router_id,
	.print = schema_print_addr,
};

static void print_password(struct out *o, const struct schema_key *key, const void *field)
{
	out_str(o, key->name, *(char *const *)field ? "***" : NULL);
}

static void wipe_password(void *field)
{
	char *password = *(char **)field;

	if (password)
		explicit_bzero(password, strlen(password));
	free(password);
}

static const struct schema_type password_type = {
	.form = "word",
	.value = SCHEMA_TEXT,
	.read = schema_read_word,
	.print = print_password,
	.fini = wipe_password,
};

/* What the API takes as a key in a Secret's data. */
static void read_password_secret(struct schema_ctx *x, const struct schema_key *key,
                                 const struct ynode *node, void *field)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	char **secret = field;
	const char *s = schema_text(x, node);

	(void)key;
	if (!s || !*s)
		return;
	if (strlen(s) > SECRET_KEY_MAX || s[strspn(s, letters)])
		schema_error(x, node->line,
		             "\"%.64s\" is no key of a Secret; write letters, digits, '-', '.' and "
		             "'_', at most %d",
		             s, SECRET_KEY_MAX);
	else
		*secret = xstrdup(s);
}

static const struct schema_type password_secret_type = {
	.form = "key of a Secret",
	.value = SCHEMA_TEXT,
	.read = read_password_secret,
	.print = schema_print_string,
	.fini = schema_free_string,
};

static const struct schema_key peer_keys[] = {
	{ .name = "name",
	  .type = &schema_word,
	  .max = PEER_NAME_MAX,
	  SCHEMA_FIELD(struct config_peer, name),
	  .otherwise = "peer-1 and so on",
	  .doc = "By this `bgp-advertisements` name the peer, and what Fairlead reports does. No two "
	         "peers may have the same. Peers without one are counted, and no advertisement can "
	         "name them." },
	{ .name = "my-asn",
	  .type = &schema_int,
	  .required = "missing local ASN; write my-asn: NUMBER",
	  .min = 1,
	  .max = UINT32_MAX,
	  .invalid = "invalid local ASN",
	  SCHEMA_FIELD(struct config_peer, my_asn),
	  .doc = "The AS that the node speaks for." },
	{ .name = "peer-asn",
	  .type = &schema_int,
	  .required = "missing peer ASN; write peer-asn: NUMBER",
	  .min = 1,
	  .max = UINT32_MAX,
	  .invalid = "invalid peer ASN",
	  SCHEMA_FIELD(struct config_peer, peer_asn),
	  .doc = "The router's AS." },
	{ .name = "peer-address",
	  .type = &peer_address_type,
	  .required = "missing peer address; write peer-address: ADDRESS",
	  .invalid = "invalid peer IP",
	  SCHEMA_FIELD(struct config_peer, address),
	  .doc = "The router's address; unspecified, loopback and multicast ones are none, nor is "
	         "one that a pool gives (see `exclude`). A link-local one of IPv6 gives a warning: no "
	         "session can come up without its interface, which cannot be given." },
	{ .name = "source-address",
	  .type = &schema_addr,
	  .invalid = "invalid source IP",
	  SCHEMA_FIELD(struct config_peer, source_address),
	  .otherwise = "the kernel's choice",
	  .doc = "The node's address in the session." },
	{ .name = "peer-port",
	  .type = &schema_int,
	  .min = 0,
	  .max = UINT16_MAX,
	  .by_default = PEER_PORT_DEFAULT,
	  .invalid = "invalid peer port",
	  SCHEMA_FIELD(struct config_peer, port),
	  .doc = "The router's TCP port; 0 is the default." },
	{ .name = "hold-time",
	  .type = &hold_type,
	  .by_default = HOLD_TIME_DEFAULT_S,
	  SCHEMA_FIELD(struct config_peer, hold_time_s),
	  .otherwise = "90s",
	  .doc = "With its unit (`90s`, `1m30s`), cut to whole seconds: 0s, or 3s to 65535s." },
	{ .name = "keepalive-time",
	  .type = &keepalive_type,
	  .by_default = KEEPALIVE_UNSET,
	  SCHEMA_FIELD(struct config_peer, keepalive_time_s),
	  .otherwise = "a third of the hold time",
	  .doc = "Written likewise; at most the hold time." },
	{ .name = "router-id",
	  .type = &router_id_type,
	  .invalid = "invalid router ID",
	  SCHEMA_FIELD(struct config_peer, router_id),
	  .otherwise = "bgpd's choice",
	  .doc = "The BGP identifier of the node, unless `bgp-router-ids` has one for it. "
	         "Without it bgpd takes an IPv4 address of the "
	         "node; where there is none, one is made of the node's name." },
	{ .name = "node-selectors",
	  .type = &selectors_type,
	  SCHEMA_FIELD(struct config_peer, node_selectors),
	  .otherwise = "all nodes",
	  .doc = "The peer is for nodes that one of these selects; see below." },
	{ .name = "password",
	  .type = &password_type,
	  .max = CONFIG_PASSWORD_MAX,
	  SCHEMA_FIELD(struct config_peer, password),
	  .otherwise = "none",
	  .doc = "For TCP MD5 signatures (RFC 2385): at most 80 characters of ASCII, none of them "
	         "a blank. Whoever may read the ConfigMap reads it." },
	{ .name = "password-secret",
	  .type = &password_secret_type,
	  SCHEMA_FIELD(struct config_peer, password_secret),
	  .otherwise = "none",
	  .doc = "Instead of `password`: a key in the Secret of BGP passwords (the speaker's "
	         "`--bgp-password-secret`). While it cannot be read, no session with this peer is "
	         "opened, and one that bgpd has from before stays as it is." },
	{ .name = "bfd-profile",
	  .type = &schema_string,
	  SCHEMA_FIELD(struct config_peer, bfd_profile),
	  .otherwise = "no BFD",
	  .doc = "The name of one of `bfd-profiles`." },
	{ .name = "ebgp-multihop",
	  .type = &schema_bool,
	  SCHEMA_FIELD(struct config_peer, ebgp_multihop),
	  .doc = "The router may be more than one hop away. Not for a peer of the own AS." },
};

const struct schema_table peer_table = SCHEMA_TABLE("peers", peer_keys);

static void check_references(struct schema_ctx *x, const struct draft *d, const struct ynode *node,
                             const struct config_peer *p)
{
	const struct configuration *c = d->config;
	bool found = !p->bfd_profile;

	for (size_t i = 0; i < c->n_bfd_profiles && !found; i++)
		found = c->bfd_profiles[i].name && !strcmp(c->bfd_profiles[i].name, p->bfd_profile);
	if (!found) {
		size_t mark = schema_enter_key(x, "bfd-profile");
		schema_error(
			x, schema_line(node, "bfd-profile"),
			"peer #%zu referencing non existing bfd profile %.64s; define it under "
			"bfd-profiles",
			c->n_peers + 1, p->bfd_profile);
		schema_leave(x, mark);
	}
	if (p->password && p->password_secret) {
		size_t mark = schema_enter_key(x, "password-secret");
		schema_error(x, schema_line(node, "password-secret"),
		             "given beside password; keep one of them");
		schema_leave(x, mark);
	}
	if (p->source_address.family && p->address.family &&
	    p->source_address.family != p->address.family) {
		size_t mark = schema_enter_key(x, "source-address");
		schema_warning(x, schema_line(node, "source-address"),
		               "is IPv%u, but peer-address is IPv%u: no session can come up",
		               p->source_address.family, p->address.family);
		schema_leave(x, mark);
	}
	if (p->ebgp_multihop && p->my_asn != 0 && p->my_asn == p->peer_asn) {
		size_t mark = schema_enter_key(x, "ebgp-multihop");
		schema_error(x, schema_line(node, "ebgp-multihop"),
		             "invalid ebgp-multihop parameter set for an ibgp peer; remove it");
		schema_leave(x, mark);
	}
}

/* What is counted must not be somebody's name, either. */
static void settle_name(struct schema_ctx *x, const struct configuration *c,
                        const struct ynode *node, struct config_peer *p)
{
	p->is_named = p->name != NULL;
	if (!p->is_named)
		p->name = xasprintf("peer-%zu", c->n_peers + 1);
	for (size_t i = 0; i < c->n_peers; i++) {
		if (strcmp(c->peers[i].name, p->name) != 0)
			continue;
		size_t mark = schema_enter_key(x, "name");
		schema_error(
			x, schema_line(node, "name"),
			"the name %.64s is also that of peer #%zu, on line %u; give each its own",
			p->name, i + 1, c->peers[i].line);
		schema_leave(x, mark);
		return;
	}
}

static void peer_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct draft *d = target;
	struct configuration *c = d->config;
	struct config_peer peer = {
		.line = node->line,
		.asn_line = schema_line(node, "my-asn"),
		.address_line = schema_line(node, "peer-address"),
		.router_id_line = schema_line(node, "router-id"),
	};

	schema_defaults(&peer_table, &peer);
	schema_read(x, &peer_table, node, &peer);
	if (peer.port == 0)
		peer.port = PEER_PORT_DEFAULT;
	settle_times(x, node, &peer);
	check_references(x, d, node, &peer);
	settle_name(x, c, node, &peer);
	ARRAY_RESERVE(c->peers, d->cap_peers, c->n_peers + 1);
	c->peers[c->n_peers++] = peer;
}

void parse_peers(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_list(x, node, CONFIG_PEERS_MAX, peer_item, d);
}
