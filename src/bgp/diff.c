/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands in such an order that every intermediate state may stay, as the connection may break
 * after each.  Withdrawals go first: networks, then neighbours.  Route-maps are made before the
 * networks and neighbours that use them, and removed once nothing uses them; what lets a network
 * out is set before the network asks for it.  The mark of our instance is set before the instance
 * is made, and a neighbour is claimed before it is made, so that what an interruption leaves is
 * known as ours; a neighbour has its policies before it is activated, so that at no moment it gets
 * more than it should.
 *
 * Entering a node costs a command, so the family in which the connection stands comes first.  If
 * the instance has to be replaced, everything in it goes with the old one, and only the route-maps
 * are left to compare with.
 */
#include "config.h"

#include "bgp/diff.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bgp/want.h"
#include "fairlead/mem.h"

/* ---- commands ---- */

struct differ {
	const struct bgp_state *to, *have;
	struct bgp_script *out;
};

void bgp_script_fini(struct bgp_script *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].text);
	free(s->v);
	*s = (struct bgp_script){ 0 };
}

const struct bgp_command *bgp_script_shown(const struct bgp_script *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].shown)
			return &s->v[i];
	return NULL;
}

static struct bgp_command *say(struct differ *d, enum bgp_node node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static struct bgp_command *say(struct differ *d, enum bgp_node node, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	ARRAY_RESERVE(d->out->v, d->out->cap, d->out->n + 1);
	struct bgp_command *c = &d->out->v[d->out->n++];
	*c = (struct bgp_command){ .text = buf_take(&text), .node = node };
	d->out->node = node;
	return c;
}

/*
 * Enters the instance or one of its address families, with one command if the connection is in the
 * instance already.
 */
static void enter(struct differ *d, uint32_t asn, enum bgp_node node)
{
	if (d->out->node == node)
		return;
	if (d->out->node < BGP_AT_BGP || node == BGP_AT_BGP)
		say(d, BGP_AT_BGP, "router bgp %" PRIu32, asn)->enters = true;
	if (node != BGP_AT_BGP)
		say(d, node, "address-family %s unicast", node == BGP_AT_AF4 ? "ipv4" : "ipv6")
			->enters = true;
}

static enum bgp_node node_of(int af)
{
	return af == BGP_AF4 ? BGP_AT_AF4 : BGP_AT_AF6;
}

/* The family where the connection stands comes first, which saves a command. */
static int first_af(const struct bgp_script *s)
{
	return s->node == BGP_AT_AF6 ? BGP_AF6 : BGP_AF4;
}

static bool in_family(const struct bgp_network *n, int af)
{
	return (n->prefix.addr.family == 6) == (af == BGP_AF6);
}

static void remove_networks(struct differ *d, int af)
{
	const struct bgp_state *to = d->to, *have = d->have;
	char prefix[PREFIX_STR_SIZE];

	for (size_t i = 0, k = 0; i < have->n_networks; i++) {
		const struct bgp_network *n = &have->networks[i];
		while (k < to->n_networks && prefix_cmp(&to->networks[k].prefix, &n->prefix) < 0)
			k++;
		bool stays =
			k < to->n_networks && prefix_cmp(&to->networks[k].prefix, &n->prefix) == 0;
		if (stays || !in_family(n, af))
			continue;
		enter(d, have->asn, node_of(af));
		struct bgp_command *c =
			say(d, node_of(af), "no network %s", prefix_format(&n->prefix, prefix));
		c->removes = c->shown = true;
	}
}

static void add_networks(struct differ *d, int af)
{
	const struct bgp_state *to = d->to, *have = d->have;
	char prefix[PREFIX_STR_SIZE], class[BGP_CLASS_NAME_SIZE];

	for (size_t i = 0, k = 0; i < to->n_networks; i++) {
		const struct bgp_network *n = &to->networks[i];
		while (k < have->n_networks &&
		       prefix_cmp(&have->networks[k].prefix, &n->prefix) < 0)
			k++;
		bool same = k < have->n_networks &&
		            prefix_cmp(&have->networks[k].prefix, &n->prefix) == 0 &&
		            have->networks[k].class == n->class;
		if (same || !in_family(n, af))
			continue;
		enter(d, to->asn, node_of(af));
		say(d, node_of(af), "network %s route-map %s", prefix_format(&n->prefix, prefix),
		    bgp_class_name(n->class, class))
			->shown = true;
	}
}

static void remove_entry(struct differ *d, const struct bgp_map *m)
{
	say(d, BGP_AT_CONFIG, "no route-map %s %s %" PRIu32, m->name, m->permit ? "permit" : "deny",
	    m->seq)
		->removes = true;
}

/*
 * How much of a route-map's line follows "no": bgpd does not take the number of an `on-match goto
 * N`.
 */
static int negated_len(const char *line)
{
	static const char jump[] = "on-match goto";
	size_t len = strlen(jump);

	return (int)(!strncmp(line, jump, len) ? len : strlen(line));
}

static void make_map(struct differ *d, const struct bgp_map *m)
{
	const struct bgp_map *old = bgp_state_find_entry(d->have, m->name, m->seq);

	if (old && bgp_map_eq(old, m))
		return;
	/*
	 * Changed in place: bgpd 8.4 may crash within seconds of the removal of a map that networks
	 * point to.
	 */
	say(d, BGP_AT_MAP, "route-map %s %s %" PRIu32, m->name, m->permit ? "permit" : "deny",
	    m->seq)
		->enters = true;
	for (size_t i = 0; old && i < old->lines.n; i++)
		if (!bgp_lines_has(&m->lines, old->lines.v[i]))
			say(d, BGP_AT_MAP, "no %.*s", negated_len(old->lines.v[i]),
			    old->lines.v[i]);
	for (size_t i = 0; i < m->lines.n; i++)
		if (!old || !bgp_lines_has(&old->lines, m->lines.v[i]))
			say(d, BGP_AT_MAP, "%s", m->lines.v[i]);
}

static void remove_maps(struct differ *d)
{
	const struct bgp_map *last = NULL; /* that went as a whole */

	for (size_t i = 0; i < d->have->n_maps; i++) {
		const struct bgp_map *m = &d->have->maps[i];
		if (bgp_state_find_map(d->to, m->name)) {
			if (!bgp_state_find_entry(d->to, m->name, m->seq))
				remove_entry(d, m);
		} else if (!last || strcmp(last->name, m->name) != 0) {
			say(d, BGP_AT_CONFIG, "no route-map %s", m->name)->removes = true;
			last = m;
		}
	}
}

static void set_marker(struct differ *d)
{
	if (d->have->marker == d->to->marker)
		return;
	if (d->have->marker)
		say(d, BGP_AT_CONFIG, "no bgp large-community-list standard " BGP_INSTANCE_LIST)
			->removes = true;
	if (d->to->marker)
		say(d, BGP_AT_CONFIG,
		    "bgp large-community-list standard " BGP_INSTANCE_LIST " seq 5 permit %" PRIu32
		    ":0:0",
		    d->to->marker);
}

static void set_instance(struct differ *d)
{
	const struct bgp_lines *to = &d->to->instance, *have = &d->have->instance;

	if (d->to->asn && d->have->asn != d->to->asn)
		enter(d, d->to->asn, BGP_AT_BGP);
	for (size_t i = 0; i < have->n; i++) {
		const char *line = have->v[i];
		if (bgp_lines_has(to, line))
			continue;
		enter(d, d->to->asn, BGP_AT_BGP);
		if (!strncmp(line, "no ", 3))
			say(d, BGP_AT_BGP, "%s", line + 3);
		else if (!strncmp(line, "bgp router-id", 13))
			say(d, BGP_AT_BGP, "no bgp router-id");
	}
	for (size_t i = 0; i < to->n; i++)
		if (!bgp_lines_has(have, to->v[i])) {
			enter(d, d->to->asn, BGP_AT_BGP);
			say(d, BGP_AT_BGP, "%s", to->v[i]);
		}
}

/* ---- neighbours ---- */

static const struct bgp_peer *peer_before(const struct differ *d, const struct bgp_peer *p)
{
	const struct bgp_peer *old = bgp_state_find_peer(d->have, &p->address);

	return old && old->remote_as == p->remote_as ? old : NULL;
}

static void remove_peers(struct differ *d)
{
	for (size_t i = 0; i < d->have->n_peers; i++) {
		const struct bgp_peer *p = &d->have->peers[i];
		const struct bgp_peer *n = bgp_state_find_peer(d->to, &p->address);
		if (n && n->remote_as == p->remote_as)
			continue;
		enter(d, d->have->asn, BGP_AT_BGP);
		struct bgp_command *c = say(d, BGP_AT_BGP, "no neighbor %s", addr_str(&p->address));
		c->removes = c->shown = true;
	}
}

static void drop_claim(struct differ *d, const struct addr *a)
{
	say(d, BGP_AT_CONFIG, "no bgp large-community-list standard " BGP_CLAIM_PREFIX "%s",
	    addr_str(a))
		->removes = true;
}

/* Before the neighbours are made. */
static void claim_peers(struct differ *d)
{
	for (size_t i = 0; i < d->to->n_peers; i++) {
		const struct bgp_peer *p = &d->to->peers[i];
		const struct bgp_claim *c = bgp_state_find_claim(d->have, &p->address);
		if (peer_before(d, p) || (c && c->remote_as == p->remote_as))
			continue;
		if (c)
			drop_claim(d, &p->address);
		say(d, BGP_AT_CONFIG,
		    "bgp large-community-list standard " BGP_CLAIM_PREFIX "%s seq 5 permit %" PRIu32
		    ":0:0",
		    addr_str(&p->address), p->remote_as);
	}
}

/* Once all neighbours have their descriptions. */
static void drop_claims(struct differ *d)
{
	for (size_t i = 0; i < d->to->n_peers; i++)
		if (!peer_before(d, &d->to->peers[i]))
			drop_claim(d, &d->to->peers[i].address);
	for (size_t i = 0; i < d->have->n_claims; i++) {
		const struct addr *a = &d->have->claims[i].address;
		const struct bgp_peer *p = bgp_state_find_peer(d->to, a);
		if (!p || peer_before(d, p))
			drop_claim(d, a);
	}
}

static bool has_keyword(const struct bgp_lines *l, const char *line, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (bgp_peer_keyword(l->v[i]) == len && !strncmp(l->v[i], line, len))
			return true;
	return false;
}

static void set_peer(struct differ *d, const struct bgp_peer *p)
{
	const struct bgp_peer *old = peer_before(d, p);
	const char *name = addr_str(&p->address);

	if (!old) {
		enter(d, d->to->asn, BGP_AT_BGP);
		say(d, BGP_AT_BGP, "neighbor %s remote-as %" PRIu32, name, p->remote_as)->shown =
			true;
	}
	for (size_t i = 0; old && i < old->lines.n; i++) {
		const char *line = old->lines.v[i];
		size_t len = bgp_peer_keyword(line);
		if (len == 0 || has_keyword(&p->lines, line, len))
			continue;
		enter(d, d->to->asn, BGP_AT_BGP);
		say(d, BGP_AT_BGP, "no neighbor %s %.*s", name, (int)len, line);
	}
	for (size_t i = 0; i < p->lines.n; i++) {
		if (old && bgp_lines_has(&old->lines, p->lines.v[i]))
			continue;
		enter(d, d->to->asn, BGP_AT_BGP);
		say(d, BGP_AT_BGP, "neighbor %s %s", name, p->lines.v[i]);
	}
}

static void set_policy(struct differ *d, int af, const struct bgp_peer *p, const char *old,
                       const char *to, const char *direction)
{
	if (!to || (old && !strcmp(old, to)))
		return;
	enter(d, d->to->asn, node_of(af));
	say(d, node_of(af), "neighbor %s route-map %s %s", addr_str(&p->address), to, direction);
}

/* Policies come before the activation, so that there is no moment without them. */
static void set_peer_family(struct differ *d, const struct bgp_peer *p, int af)
{
	const struct bgp_peer *old = peer_before(d, p);

	set_policy(d, af, p, old ? old->af[af].in : NULL, p->af[af].in, "in");
	if (!old || !old->af[af].out)
		set_policy(d, af, p, NULL, p->af[af].out, "out");
	/* In an instance of others, a new neighbour may begin with IPv4 activated. */
	bool before = old ? old->af[af].active
	                  : af == BGP_AF4 && !bgp_lines_has(&d->to->instance,
	                                                    "no bgp default ipv4-unicast");
	if (before == p->af[af].active)
		return;
	enter(d, d->to->asn, node_of(af));
	say(d, node_of(af), "%sneighbor %s activate", p->af[af].active ? "" : "no ",
	    addr_str(&p->address));
}

/* Before the networks move to classes that the former policies do not know. */
static void change_outs(struct differ *d, int af)
{
	for (size_t i = 0; i < d->to->n_peers; i++) {
		const struct bgp_peer *p = &d->to->peers[i], *old = peer_before(d, p);
		if (old && old->af[af].out)
			set_policy(d, af, p, old->af[af].out, p->af[af].out, "out");
	}
}

static void set_peers(struct differ *d)
{
	for (size_t i = 0; i < d->to->n_peers; i++)
		set_peer(d, &d->to->peers[i]);
	for (int af = 0; af < BGP_N_AF; af++)
		for (size_t i = 0; i < d->to->n_peers; i++)
			set_peer_family(d, &d->to->peers[i], af);
}

void bgp_diff(const struct bgp_state *to, const struct bgp_state *have, bool keep_instance,
              enum bgp_node node, struct bgp_script *ret_script)
{
	struct bgp_state without = { 0 };
	struct bgp_script script = { .node = node };
	struct differ d = { .to = to, .have = have, .out = &script };

	if (have->own && have->asn != to->asn && !keep_instance) {
		/*
		 * bgpd refuses it if VRF instances need this one: then none of the following
		 * commands is right.
		 */
		say(&d, BGP_AT_CONFIG, "no router bgp %" PRIu32, have->asn)->enters = true;
		bgp_state_copy(&without, have);
		without.asn = 0;
		bgp_lines_fini(&without.instance);
		without.n_networks = 0;
		while (without.n_peers)
			bgp_peer_fini(&without.peers[--without.n_peers]);
		d.have = &without;
	}
	int first = first_af(&script);
	remove_networks(&d, first);
	remove_networks(&d, BGP_AF6 - first);
	remove_peers(&d);
	for (size_t i = 0; i < to->n_maps; i++)
		make_map(&d, &to->maps[i]);
	if (to->asn) {
		set_marker(&d);
		claim_peers(&d);
		set_instance(&d);
	}
	first = first_af(&script);
	for (int i = 0; i < BGP_N_AF; i++) {
		int af = i == 0 ? first : BGP_AF6 - first;
		change_outs(&d, af);
		add_networks(&d, af);
	}
	set_peers(&d);
	drop_claims(&d);
	remove_maps(&d);
	if (!to->asn)
		set_marker(&d);
	bgp_state_fini(&without);
	*ret_script = script;
}
