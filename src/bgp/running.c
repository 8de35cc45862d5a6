/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of lines, with a section that it is in (enum section) and what was seen so far.  bgpd's
 * configuration has no grammar that would be worth a parser: each line stands for itself, indented
 * by its depth, and unknown lines belong to somebody else and are skipped.
 *
 * What is ours is recognised by its mark alone: the description of a neighbour, the prefix of a
 * name, or an entry in a list that claims a neighbour while it is being made.  A neighbour is read
 * line by line, and its mark may come last, so all are collected and judged at the end (keep_peer).
 * What belongs to others is kept only as far as it decides whether we may announce beside them:
 * neighbours without an outbound policy, networks, and what new neighbours start with.
 */
#include "config.h"

#include "bgp/running.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bgp/vty.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define LINE_MAX_BYTES (VTY_COMMAND_MAX - 128) /* leaves room for the command's words before it */

enum section { AT_TOP, AT_BGP, AT_AF, AT_OTHER_AF, AT_MAP, AT_OTHER };

struct seen {
	struct bgp_seen_peer p;
	UT_hash_handle hh;
};

struct parser {
	struct bgp_have *have;
	enum section at;
	enum bgp_af af;
	struct bgp_map *map;
	struct seen *peers; /* in the order seen */
};

/* What follows @word and one blank ("" at the end of the line), or NULL. */
static const char *after(const char *s, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(s, word, len) != 0)
		return NULL;
	if (s[len] == ' ')
		return s + len + 1;
	return s[len] ? NULL : s + len;
}

/* Cuts the first word off: terminates it, and returns what follows. */
static char *cut_word(char *s)
{
	char *end = strchr(s, ' ');

	if (!end)
		return s + strlen(s);
	*end = 0;
	return end + 1;
}

/* "65001" or "1.10"; 0 for anything else. */
static uint32_t parse_asn(const char *s)
{
	char *end;
	unsigned long high, low;

	if (*s < '0' || *s > '9')
		return 0;
	errno = 0;
	low = strtoul(s, &end, 10);
	if (*end == '.' && low <= UINT16_MAX && end[1] >= '0' && end[1] <= '9') {
		high = low;
		low = strtoul(end + 1, &end, 10);
		if (low > UINT16_MAX)
			return 0;
		low |= high << 16;
	}
	if (errno || low > UINT32_MAX || (*end && *end != ' ' && *end != ':'))
		return 0;
	return (uint32_t)low;
}

/* ---- neighbours ---- */

static struct bgp_seen_peer *peer_named(struct parser *p, const char *name)
{
	struct seen *s;

	HASH_FIND_STR(p->peers, name, s);
	if (s)
		return &s->p;
	if (HASH_COUNT(p->peers) == BGP_FOREIGN_PEERS_MAX) {
		p->have->truncated = true;
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->p.name = xstrdup(name);
	s->p.af[BGP_AF4].active = s->p.af[BGP_AF6].active = -1;
	HASH_ADD_KEYPTR(hh, p->peers, s->p.name, strlen(s->p.name), s);
	return &s->p;
}

static void read_remote_as(struct bgp_seen_peer *s, const char *value)
{
	s->peer.remote_as = parse_asn(value);
	if (s->peer.remote_as)
		s->as_type = BGP_AS_NUMBER;
	else if (after(value, "internal"))
		s->as_type = BGP_AS_INTERNAL;
	else if (after(value, "auto"))
		s->as_type = BGP_AS_AUTO;
	else
		s->as_type = BGP_AS_EXTERNAL;
}

static void read_peer_line(struct bgp_seen_peer *s, const char *line)
{
	const char *v;

	if ((v = after(line, "interface")))
		line = after(v, "v6only") ? after(v, "v6only") : v;
	if ((v = after(line, "remote-as"))) {
		read_remote_as(s, v);
	} else if ((v = after(line, "peer-group"))) {
		if (*v) {
			free(s->group);
			s->group = xstrdup(v);
		} else {
			s->is_group = true;
		}
	} else if ((v = after(line, "description"))) {
		s->has_description = true;
		s->ours = after(v, BGP_MARK) != NULL;
	}
	if (bgp_peer_keyword(line))
		bgp_lines_add(&s->peer.lines, line);
}

static void set_string(char **at, const char *s, size_t len)
{
	free(*at);
	*at = xstrndup(s, len);
}

static void read_peer_af_line(struct bgp_seen_peer *s, enum bgp_af af, const char *line, bool no)
{
	const char *v = after(line, "route-map");
	size_t len = strlen(line);
	bool out = len > 4 && !strcmp(line + len - 4, " out");
	bool in = len > 3 && !strcmp(line + len - 3, " in");

	if (!strcmp(line, "activate"))
		s->af[af].active = !no;
	if (no)
		return;
	if (v && (in || out) && strchr(v, ' '))
		set_string(out ? &s->peer.af[af].out : &s->peer.af[af].in, v, strcspn(v, " "));
	if (out && (v || after(line, "prefix-list") || after(line, "filter-list") ||
	            after(line, "distribute-list")))
		s->af[af].filtered = true;
	if (after(line, "peer-group"))
		read_peer_line(s, line);
}

/* "neighbor NAME …" or "no neighbor NAME …", of the instance or of an address family. */
static bool read_neighbor(struct parser *p, char *line)
{
	const char *negated = after(line, "no");
	bool no = negated != NULL;
	char *name = no ? line + (negated - line) : line;

	if (!after(name, "neighbor"))
		return false;
	name += strlen("neighbor");
	name += *name == ' ';
	char *rest = cut_word(name);
	struct bgp_seen_peer *s = *name ? peer_named(p, name) : NULL;
	if (!s)
		return true;
	if (p->at == AT_AF)
		read_peer_af_line(s, p->af, rest, no);
	else if (!no)
		read_peer_line(s, rest);
	return true;
}

/* ---- the instance ---- */

static bool read_network(struct parser *p, char *line)
{
	struct bgp_have *h = p->have;
	struct prefix prefix;
	const char *map;

	if (!after(line, "network"))
		return false;
	char *text = line + strlen("network");
	text += *text == ' ';
	const char *rest = cut_word(text);
	if (prefix_parse(text, false, &prefix))
		return false;
	map = strstr(rest, "route-map ");
	map = map ? map + strlen("route-map ") : "";
	if (!strncmp(map, BGP_MAP_PREFIX, strlen(BGP_MAP_PREFIX))) {
		cleanup_free char *name = xstrndup(map, strcspn(map, " "));
		bgp_state_add_network(&h->ours,
		                      &(struct bgp_network){ prefix, bgp_class_of_name(name) });
		return true;
	}
	h->foreign_lines = true;
	if (h->n_foreign_networks == BGP_FOREIGN_NETWORKS_MAX) {
		h->truncated = true;
		return true;
	}
	ARRAY_RESERVE(h->foreign_networks, h->cap_foreign_networks, h->n_foreign_networks + 1);
	h->foreign_networks[h->n_foreign_networks++] = prefix;
	return true;
}

/* "bgp listen range PREFIX peer-group NAME" */
static void read_listen_range(struct parser *p, const char *line)
{
	static const char word[] = " peer-group ";
	const char *name = after(line, "bgp listen range") ? strstr(line, word) : NULL;
	struct bgp_seen_peer *group = name ? peer_named(p, name + strlen(word)) : NULL;

	if (group)
		group->listens = true;
}

/* "bgp default FAMILY", beside other things that may be default. */
static void read_default_family(struct bgp_have *h, const char *line)
{
	const char *v = after(line, "bgp default");

	if (v && strchr(v, '-') && strcmp(v, "ipv4-unicast") != 0 &&
	    strcmp(v, "ipv6-unicast") != 0 && (!strncmp(v, "ip", 2) || !strncmp(v, "l2vpn", 5)))
		snprintf(h->default_family, sizeof(h->default_family), "%s", v);
}

static void read_instance_line(struct parser *p, const char *line)
{
	struct bgp_have *h = p->have;

	if (!strcmp(line, "no bgp network import-check"))
		h->import_check = false;
	else if (!strcmp(line, "no bgp default ipv4-unicast"))
		h->default_active[BGP_AF4] = false;
	else if (!after(line, "bgp router-id")) {
		h->foreign_lines = true;
		read_listen_range(p, line);
		read_default_family(h, line);
		if (!strcmp(line, "bgp default ipv6-unicast"))
			h->default_active[BGP_AF6] = true;
		else if (!strcmp(line, "no bgp ebgp-requires-policy"))
			h->requires_policy = false;
		else if (!strcmp(line, "bgp ebgp-requires-policy"))
			h->requires_policy = true;
		return;
	}
	bgp_lines_add(&h->ours.instance, line);
}

static void read_in_instance(struct parser *p, char *line)
{
	const char *af = after(line, "address-family");

	if (af) {
		p->at = AT_AF;
		if (!strcmp(af, "ipv4 unicast"))
			p->af = BGP_AF4;
		else if (!strcmp(af, "ipv6 unicast"))
			p->af = BGP_AF6;
		else
			p->at = AT_OTHER_AF;
	} else if (after(line, "exit-address-family")) {
		p->at = AT_BGP;
	} else if (p->at == AT_OTHER_AF) {
		p->have->foreign_lines = true;
	} else if (!read_neighbor(p, line) && !(p->at == AT_AF && read_network(p, line))) {
		if (p->at == AT_BGP)
			read_instance_line(p, line);
		else
			p->have->foreign_lines = true;
	}
}

/* ---- the top level ---- */

static void read_map_header(struct parser *p, const char *v)
{
	p->at = AT_MAP;
	p->map = NULL;
	if (strncmp(v, BGP_MAP_PREFIX, strlen(BGP_MAP_PREFIX)) != 0 || !strchr(v, ' '))
		return;
	cleanup_free char *name = xstrndup(v, strcspn(v, " "));
	v = strchr(v, ' ') + 1;
	bool permit = after(v, "permit") != NULL;
	v = strchr(v, ' ');
	uint32_t seq = v ? (uint32_t)strtoul(v + 1, NULL, 10) : 0;
	p->map = bgp_state_map(&p->have->ours, name, seq, NULL);
	p->map->permit = permit;
}

/* "INSTANCE seq 5 permit ASN:0:0", "PEER-ADDRESS seq 5 permit ASN:0:0" */
static void read_list(struct bgp_have *h, const char *v)
{
	static const char claim[] = BGP_CLAIM_PREFIX;
	const char *permit = strstr(v, "permit ");
	uint32_t asn = permit ? parse_asn(permit + strlen("permit ")) : 0;
	cleanup_free char *name = xstrndup(v, strcspn(v, " "));
	struct addr a;

	if (!strcmp(name, BGP_INSTANCE_LIST))
		h->ours.marker = asn;
	else if (strncmp(name, claim, strlen(claim)) != 0 ||
	         addr_parse(name + strlen(claim), &a) != 0 || bgp_state_find_claim(&h->ours, &a))
		return;
	else if (h->ours.n_claims == BGP_FOREIGN_PEERS_MAX)
		h->truncated = true;
	else
		bgp_state_claim(&h->ours, &a, asn);
}

static void read_top(struct parser *p, const char *line)
{
	struct bgp_have *h = p->have;
	const char *v;

	p->at = AT_TOP;
	if ((v = after(line, "router bgp"))) {
		/* "router bgp 65001 vrf red" is another instance, which does not concern us. */
		bool other = strstr(v, " vrf ") || strstr(v, " view ");
		uint32_t asn = parse_asn(v);
		p->at = other || !asn ? AT_OTHER : AT_BGP;
		if (p->at == AT_BGP)
			h->ours.asn = asn;
	} else if ((v = after(line, "route-map"))) {
		read_map_header(p, v);
	} else if ((v = after(line, "bgp large-community-list standard"))) {
		read_list(h, v);
	} else if ((v = after(line, "frr defaults"))) {
		h->requires_policy = strcmp(v, "datacenter") != 0;
	} else if (!after(line, "exit")) {
		p->at = AT_OTHER;
	}
}

static void read_line(struct parser *p, char *line)
{
	bool top = *line != ' ';

	line += strspn(line, " ");
	line[strcspn(line, "\r")] = 0;
	if (*line == 0 || *line == '!' || *line == '#')
		return;
	if (strlen(line) > LINE_MAX_BYTES || vty_check(line, NULL)) {
		/* We could neither have written it nor name it in a command. */
		p->have->foreign_lines |= p->at == AT_BGP || p->at == AT_AF || p->at == AT_OTHER_AF;
		if (top)
			p->at = AT_OTHER;
		return;
	}
	if (top) {
		read_top(p, line);
		return;
	}
	if (p->at == AT_BGP || p->at == AT_AF || p->at == AT_OTHER_AF) {
		read_in_instance(p, line);
	} else if (p->at == AT_MAP && p->map && !after(line, "description")) {
		cleanup_free char *canonical = bgp_canonical_line(line);
		bgp_lines_add(&p->map->lines, canonical);
	}
}

/* ---- the whole ---- */

static void seen_fini(struct bgp_seen_peer *s)
{
	free(s->name);
	free(s->group);
	bgp_peer_fini(&s->peer);
}

void bgp_have_fini(struct bgp_have *h)
{
	bgp_state_fini(&h->ours);
	for (size_t i = 0; i < h->n_foreign; i++)
		seen_fini(&h->foreign[i]);
	free(h->foreign);
	free(h->foreign_networks);
	*h = (struct bgp_have){ 0 };
}

/* bgpd prints "bfd" and "bfd profile NAME" though one line implies both. */
static void drop_plain_bfd(struct bgp_lines *l)
{
	for (size_t i = 0; i + 1 < l->n; i++)
		if (!strcmp(l->v[i], "bfd") && after(l->v[i + 1], "bfd")) {
			free(l->v[i]);
			memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(*l->v));
			l->n--;
			return;
		}
}

/* We were making it when we were interrupted. */
static bool is_claimed(const struct bgp_have *h, const struct bgp_seen_peer *s,
                       const struct addr *a)
{
	const struct bgp_claim *c = bgp_state_find_claim(&h->ours, a);

	return c && c->remote_as == s->peer.remote_as && !s->has_description && !s->group;
}

static void keep_peer(struct bgp_have *h, struct seen *s)
{
	struct addr a;

	if (!s->p.is_group && addr_parse(s->p.name, &a) == 0 &&
	    (s->p.ours || is_claimed(h, &s->p, &a))) {
		drop_plain_bfd(&s->p.peer.lines);
		struct bgp_peer *n = bgp_state_add_peer(&h->ours, &a);
		bgp_peer_copy(n, &s->p.peer);
		n->address = a;
		for (int af = 0; af < BGP_N_AF; af++)
			n->af[af].active = s->p.af[af].active >= 0 ? s->p.af[af].active
			                                           : h->default_active[af];
		seen_fini(&s->p);
	} else {
		h->foreign_lines = true;
		ARRAY_RESERVE(h->foreign, h->cap_foreign, h->n_foreign + 1);
		h->foreign[h->n_foreign++] = s->p;
	}
	free(s);
}

static int prefix_qcmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

void bgp_running_parse(const char *text, size_t size, struct bgp_have *ret_have)
{
	struct bgp_have h = { .requires_policy = true,
		              .import_check = true,
		              .default_active = { [BGP_AF4] = true } };
	struct parser p = { .have = &h };
	cleanup_free char *copy = xstrndup(text, size);
	struct seen *s, *next;

	for (char *line = copy, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = 0;
		read_line(&p, line);
	}
	HASH_ITER(hh, p.peers, s, next) {
		HASH_DEL(p.peers, s);
		keep_peer(&h, s);
	}
	h.ours.own = h.ours.asn && h.ours.marker == h.ours.asn;
	bgp_state_sort(&h.ours);
	if (h.n_foreign_networks)
		qsort(h.foreign_networks, h.n_foreign_networks, sizeof(struct prefix), prefix_qcmp);
	*ret_have = h;
}

/* ---- questions ---- */

const struct bgp_seen_peer *bgp_have_foreign_peer(const struct bgp_have *h, const struct addr *a)
{
	struct addr b;

	for (size_t i = 0; i < h->n_foreign; i++)
		if (addr_parse(h->foreign[i].name, &b) == 0 && addr_eq(a, &b))
			return &h->foreign[i];
	return NULL;
}

bool bgp_have_foreign_network(const struct bgp_have *h, const struct prefix *p)
{
	return h->n_foreign_networks &&
	       bsearch(p, h->foreign_networks, h->n_foreign_networks, sizeof(*p), prefix_qcmp);
}

static const struct bgp_seen_peer *group_of(const struct bgp_have *h, const struct bgp_seen_peer *s)
{
	for (size_t i = 0; s->group && i < h->n_foreign; i++)
		if (h->foreign[i].is_group && !strcmp(h->foreign[i].name, s->group))
			return &h->foreign[i];
	return s;
}

/*
 * To be on the safe side: where eBGP needs a policy, a neighbour that might be internal counts as
 * one without it.
 */
static bool is_external(const struct bgp_have *h, const struct bgp_seen_peer *s)
{
	const struct bgp_seen_peer *from = s->as_type ? s : group_of(h, s);

	switch (from->as_type) {
	case BGP_AS_NONE:
	case BGP_AS_EXTERNAL:
		return true;
	case BGP_AS_INTERNAL:
	case BGP_AS_AUTO:
		return false;
	case BGP_AS_NUMBER:
		return from->peer.remote_as != h->ours.asn;
	}
	return true;
}

const struct bgp_seen_peer *bgp_have_unfiltered(const struct bgp_have *h)
{
	for (size_t i = 0; i < h->n_foreign; i++) {
		const struct bgp_seen_peer *s = &h->foreign[i], *group = group_of(h, s);
		if ((s->is_group && !s->listens) || (h->requires_policy && is_external(h, s)))
			continue;
		for (int af = 0; af < BGP_N_AF; af++) {
			bool active = h->default_active[af];
			if (group->af[af].active >= 0)
				active = group->af[af].active;
			if (s->af[af].active >= 0)
				active = s->af[af].active;
			if (active && !s->af[af].filtered && !group->af[af].filtered)
				return s;
		}
	}
	return NULL;
}
