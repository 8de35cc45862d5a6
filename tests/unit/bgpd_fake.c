/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgpd_fake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bgp/vty.h"
#include "fairlead/mem.h"

void bgpd_fake_fini(struct bgpd_fake *f)
{
	bgp_state_fini(&f->s);
}

static const char *after(const char *s, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(s, word, len) ? s + len : NULL;
}

static void drop_line(struct bgp_lines *l, size_t i)
{
	free(l->v[i]);
	memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(*l->v));
	l->n--;
}

static void drop_exact(struct bgp_lines *l, const char *line)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], line)) {
			drop_line(l, i);
			return;
		}
}

/* ---- route-maps ---- */

static uint8_t say_map(struct bgpd_fake *f, const char *v)
{
	char action[8];
	uint32_t seq;

	if (sscanf(v, "%63s %7s %" SCNu32, f->map, action, &seq) != 3)
		return VTY_NO_MATCH;
	f->seq = seq;
	bgp_state_map(&f->s, f->map, seq, NULL)->permit = !strcmp(action, "permit");
	f->node = BGP_AT_MAP;
	return VTY_SUCCESS;
}

static uint8_t say_no_in_map(struct bgp_map *m, const char *line)
{
	bool jump = !strcmp(line, "on-match goto");

	if (!jump && after(line, "on-match goto"))
		return VTY_NO_MATCH;
	for (size_t i = m->lines.n; i > 0; i--)
		if (jump ? after(m->lines.v[i - 1], line) != NULL
		         : !strcmp(m->lines.v[i - 1], line))
			drop_line(&m->lines, i - 1);
	return VTY_SUCCESS;
}

static uint8_t say_in_map(struct bgpd_fake *f, const char *c)
{
	struct bgp_map *m = bgp_state_map(&f->s, f->map, f->seq, NULL);
	const char *no = after(c, "no ");
	cleanup_free char *line = bgp_canonical_line(no ? no : c);

	if (!after(line, "set ") && !after(line, "match ") && !after(line, "call") &&
	    !after(line, "on-match"))
		return VTY_NO_MATCH;
	if (no)
		return say_no_in_map(m, line);
	bgp_lines_add(&m->lines, line);
	return VTY_SUCCESS;
}

static void drop_map(struct bgpd_fake *f, size_t i)
{
	free(f->s.maps[i].name);
	bgp_lines_fini(&f->s.maps[i].lines);
	f->s.maps[i] = f->s.maps[--f->s.n_maps];
}

/* The whole map, or one entry of it. */
static uint8_t say_no_map(struct bgpd_fake *f, const char *v)
{
	char name[64], action[8];
	uint32_t seq;
	bool whole = sscanf(v, "%63s %7s %" SCNu32, name, action, &seq) == 1;

	for (size_t i = 0; i < f->s.n_maps;)
		if (!strcmp(f->s.maps[i].name, name) && (whole || f->s.maps[i].seq == seq))
			drop_map(f, i);
		else
			i++;
	for (size_t i = 0; i < f->s.n_networks; i++)
		f->violations += f->s.networks[i].class &&
		                 f->s.networks[i].class == bgp_class_of_name(name) &&
		                 !bgp_state_find_map(&f->s, name);
	f->node = BGP_AT_CONFIG;
	return VTY_SUCCESS;
}

/* ---- neighbours ---- */

static struct bgp_peer *peer_at(struct bgpd_fake *f, const char *text, const char **ret_rest)
{
	char name[64];
	struct addr a;
	int used = 0;

	if (sscanf(text, "%63s%n", name, &used) != 1 || addr_parse(name, &a))
		return NULL;
	*ret_rest = text + used + (text[used] == ' ');
	for (size_t i = 0; i < f->s.n_peers; i++)
		if (addr_eq(&f->s.peers[i].address, &a))
			return &f->s.peers[i];
	return NULL;
}

static uint8_t say_peer_af(struct bgpd_fake *f, struct bgp_peer *p, const char *rest, bool no)
{
	int af = f->node == BGP_AT_AF4 ? BGP_AF4 : BGP_AF6;
	char map[64], way[8];

	if (!strcmp(rest, "activate")) {
		f->violations += !no && (!p->af[af].in || !p->af[af].out);
		p->af[af].active = !no;
	} else if (sscanf(rest, "route-map %63s %7s", map, way) == 2) {
		char **at = !strcmp(way, "in") ? &p->af[af].in : &p->af[af].out;
		f->violations += bgp_state_find_map(&f->s, map) == NULL;
		free(*at);
		*at = xstrdup(map);
	} else {
		return VTY_INCOMPLETE;
	}
	return VTY_SUCCESS;
}

static bool default_active(const struct bgpd_fake *f)
{
	return !bgp_lines_has(&f->s.instance, "no bgp default ipv4-unicast");
}

static uint8_t say_neighbor(struct bgpd_fake *f, const char *text, bool no)
{
	const char *rest = "";
	struct bgp_peer *p = peer_at(f, text, &rest);
	struct addr a;
	char name[64];
	uint32_t asn;

	if (f->node < BGP_AT_BGP)
		return VTY_NO_MATCH;
	if (f->node != BGP_AT_BGP)
		return p ? say_peer_af(f, p, rest, no) : VTY_CONFIG_FAILED;
	if (sscanf(text, "%63s remote-as %" SCNu32, name, &asn) == 2 && !no) {
		if (addr_parse(name, &a))
			return VTY_NO_MATCH;
		if (!p) {
			p = bgp_state_add_peer(&f->s, &a);
			p->af[BGP_AF4].active = default_active(f);
		}
		p->remote_as = asn;
		return VTY_SUCCESS;
	}
	if (!p)
		return no ? VTY_SUCCESS : VTY_CONFIG_FAILED;
	if (no && !*rest) {
		size_t i = (size_t)(p - f->s.peers);
		bgp_peer_fini(p);
		f->s.peers[i] = f->s.peers[--f->s.n_peers];
		return VTY_SUCCESS;
	}
	size_t len = bgp_peer_keyword(rest);
	if (!len)
		return VTY_NO_MATCH;
	for (size_t i = 0; i < p->lines.n; i++)
		if (bgp_peer_keyword(p->lines.v[i]) == len && !strncmp(p->lines.v[i], rest, len)) {
			drop_line(&p->lines, i);
			break;
		}
	if (!no)
		bgp_lines_add(&p->lines, rest);
	return VTY_SUCCESS;
}

/* ---- the instance ---- */

static uint8_t say_network(struct bgpd_fake *f, const char *text, bool no)
{
	char prefix_text[64], map[64] = "";
	struct prefix prefix;

	if (f->node != BGP_AT_AF4 && f->node != BGP_AT_AF6)
		return VTY_NO_MATCH;
	if (sscanf(text, "%63s route-map %63s", prefix_text, map) < 1 ||
	    prefix_parse(prefix_text, false, &prefix) ||
	    (prefix.addr.family == 6) != (f->node == BGP_AT_AF6))
		return VTY_NO_MATCH;
	size_t i = 0;
	while (i < f->s.n_networks && prefix_cmp(&f->s.networks[i].prefix, &prefix) != 0)
		i++;
	if (no) {
		if (i == f->s.n_networks)
			return VTY_CONFIG_FAILED;
		f->s.networks[i] = f->s.networks[--f->s.n_networks];
		f->removed++;
		return VTY_SUCCESS;
	}
	f->violations += bgp_state_find_map(&f->s, map) == NULL;
	if (f->forgets) {
		f->forgets--;
		return VTY_SUCCESS;
	}
	if (i == f->s.n_networks)
		bgp_state_add_network(&f->s, &(struct bgp_network){ .prefix = prefix });
	f->s.networks[i].class = bgp_class_of_name(map);
	return VTY_SUCCESS;
}

static uint8_t say_router(struct bgpd_fake *f, uint32_t asn)
{
	if (f->s.asn && f->s.asn != asn)
		return VTY_CONFIG_FAILED;
	f->s.asn = asn;
	f->node = BGP_AT_BGP;
	return VTY_SUCCESS;
}

static uint8_t say_no_router(struct bgpd_fake *f, uint32_t asn)
{
	if (f->s.asn != asn)
		return VTY_CONFIG_FAILED;
	f->s.asn = 0;
	f->s.n_networks = 0;
	bgp_lines_fini(&f->s.instance);
	while (f->s.n_peers)
		bgp_peer_fini(&f->s.peers[--f->s.n_peers]);
	f->node = BGP_AT_CONFIG;
	return VTY_SUCCESS;
}

static uint8_t say_setting(struct bgpd_fake *f, const char *c)
{
	struct bgp_lines *l = &f->s.instance;
	char no[128];

	if (f->node != BGP_AT_BGP)
		return VTY_NO_MATCH;
	if (!strcmp(c, "no bgp router-id") || after(c, "bgp router-id ")) {
		for (size_t i = 0; i < l->n; i++)
			if (after(l->v[i], "bgp router-id ")) {
				drop_line(l, i);
				break;
			}
		if (*c == 'b')
			bgp_lines_add(l, c);
	} else if (after(c, "no ")) {
		bgp_lines_add(l, c);
	} else {
		snprintf(no, sizeof(no), "no %s", c);
		drop_exact(l, no);
	}
	return VTY_SUCCESS;
}

static uint8_t say_claim(struct bgpd_fake *f, const char *name, uint32_t asn)
{
	struct addr a;
	size_t i = 0;

	if (addr_parse(name, &a))
		return VTY_NO_MATCH;
	while (i < f->s.n_claims && !addr_eq(&f->s.claims[i].address, &a))
		i++;
	if (asn && i < f->s.n_claims)
		f->s.claims[i].remote_as = asn;
	else if (asn)
		bgp_state_claim(&f->s, &a, asn);
	else if (i < f->s.n_claims)
		f->s.claims[i] = f->s.claims[--f->s.n_claims];
	else
		return VTY_CONFIG_FAILED;
	return VTY_SUCCESS;
}

/* "NAME seq 5 permit ASN:0:0", or the name alone. */
static uint8_t say_list(struct bgpd_fake *f, const char *v, bool no)
{
	char name[64];
	uint32_t asn = 0;
	int n = sscanf(v, "%63s seq 5 permit %" SCNu32 ":0:0", name, &asn);

	f->node = BGP_AT_CONFIG;
	if (n != (no ? 1 : 2))
		return VTY_NO_MATCH;
	if (after(name, BGP_CLAIM_PREFIX))
		return say_claim(f, after(name, BGP_CLAIM_PREFIX), asn);
	if (strcmp(name, BGP_INSTANCE_LIST) != 0 || (no && !f->s.marker))
		return VTY_CONFIG_FAILED;
	f->s.marker = asn;
	return VTY_SUCCESS;
}

uint8_t bgpd_fake_say(struct bgpd_fake *f, const char *c)
{
	const char *no = after(c, "no "), *yes = no ? no : c, *v;
	uint32_t asn;

	f->commands++;
	if (f->refuses && !strncmp(c, f->refuses, strlen(f->refuses)))
		return VTY_CONFIG_FAILED;
	if (vty_check(c, NULL))
		return VTY_NO_MATCH;
	if (sscanf(yes, "router bgp %" SCNu32, &asn) == 1)
		return no ? say_no_router(f, asn) : say_router(f, asn);
	if ((v = after(yes, "route-map ")))
		return no ? say_no_map(f, v) : say_map(f, v);
	if ((v = after(yes, "bgp large-community-list standard ")))
		return say_list(f, v, no != NULL);
	if (f->node == BGP_AT_MAP)
		return say_in_map(f, c);
	if ((v = after(yes, "neighbor ")))
		return say_neighbor(f, v, no != NULL);
	if ((v = after(yes, "network ")))
		return say_network(f, v, no != NULL);
	if ((v = after(c, "address-family "))) {
		if (f->node < BGP_AT_BGP)
			return VTY_NO_MATCH;
		f->node = !strcmp(v, "ipv4 unicast") ? BGP_AT_AF4 : BGP_AT_AF6;
		return VTY_SUCCESS;
	}
	return say_setting(f, c);
}

/* ---- show running-config ---- */

static void show_family(const struct bgpd_fake *f, int af, struct buf *out)
{
	char prefix[PREFIX_STR_SIZE], class[BGP_CLASS_NAME_SIZE];

	buf_printf(out, " !\n address-family %s unicast\n", af ? "ipv6" : "ipv4");
	if (af == BGP_AF4 && f->foreign_af4)
		buf_puts(out, f->foreign_af4);
	for (size_t i = 0; i < f->s.n_networks; i++)
		if ((f->s.networks[i].prefix.addr.family == 6) == (af == BGP_AF6))
			buf_printf(out, "  network %s route-map %s\n",
			           prefix_format(&f->s.networks[i].prefix, prefix),
			           f->s.networks[i].class ? bgp_class_name(f->s.networks[i].class,
			                                                   class)
			                                  : BGP_MAP_PREFIX "X");
	for (size_t i = 0; i < f->s.n_peers; i++) {
		const struct bgp_peer *p = &f->s.peers[i];
		const char *name = addr_str(&p->address);
		if (p->af[af].active != (af == BGP_AF4 && default_active(f)))
			buf_printf(out, "  %sneighbor %s activate\n", p->af[af].active ? "" : "no ",
			           name);
		if (p->af[af].in)
			buf_printf(out, "  neighbor %s route-map %s in\n", name, p->af[af].in);
		if (p->af[af].out)
			buf_printf(out, "  neighbor %s route-map %s out\n", name, p->af[af].out);
	}
	buf_puts(out, " exit-address-family\n");
}

static void show_instance(const struct bgpd_fake *f, struct buf *out)
{
	buf_printf(out, "router bgp %" PRIu32 "\n", f->s.asn);
	for (size_t i = 0; i < f->s.instance.n; i++)
		buf_printf(out, " %s\n", f->s.instance.v[i]);
	if (f->foreign_bgp)
		buf_puts(out, f->foreign_bgp);
	for (size_t i = 0; i < f->s.n_peers; i++) {
		const struct bgp_peer *p = &f->s.peers[i];
		const char *name = addr_str(&p->address);
		buf_printf(out, " neighbor %s remote-as %" PRIu32 "\n", name, p->remote_as);
		for (size_t k = 0; k < p->lines.n; k++) {
			if (after(p->lines.v[k], "bfd profile"))
				buf_printf(out, " neighbor %s bfd\n", name);
			buf_printf(out, " neighbor %s %s\n", name, p->lines.v[k]);
		}
	}
	show_family(f, BGP_AF4, out);
	show_family(f, BGP_AF6, out);
	buf_puts(out, "!\nexit\n!\n");
}

void bgpd_fake_show(const struct bgpd_fake *f, struct buf *out)
{
	buf_puts(out, "frr version 8.4.4\nfrr defaults traditional\n!\nhostname vm\n!\n");
	if (f->s.asn)
		show_instance(f, out);
	if (f->s.marker)
		buf_printf(out,
		           "bgp large-community-list standard " BGP_INSTANCE_LIST
		           " seq 5 permit %" PRIu32 ":0:0\n!\n",
		           f->s.marker);
	for (size_t i = 0; i < f->s.n_claims; i++)
		buf_printf(out,
		           "bgp large-community-list standard " BGP_CLAIM_PREFIX
		           "%s seq 5 permit %" PRIu32 ":0:0\n!\n",
		           addr_str(&f->s.claims[i].address), f->s.claims[i].remote_as);
	for (size_t i = 0; i < f->s.n_maps; i++) {
		const struct bgp_map *m = &f->s.maps[i];
		buf_printf(out, "route-map %s %s %" PRIu32 "\n", m->name,
		           m->permit ? "permit" : "deny", m->seq);
		for (size_t n = 0; n < m->lines.n; n++)
			buf_printf(out, " %s\n", m->lines.v[n]);
		buf_puts(out, "exit\n!\n");
	}
	buf_puts(out, "!\n");
}
