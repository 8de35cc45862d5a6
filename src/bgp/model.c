/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"

/* ---- lines ---- */

void bgp_lines_fini(struct bgp_lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct bgp_lines){ 0 };
}

/* Where @line is or belongs. */
static size_t lines_find(const struct bgp_lines *l, const char *line, bool *ret_there)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = strcmp(l->v[mid], line);
		if (c == 0) {
			*ret_there = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_there = false;
	return lo;
}

void bgp_lines_add(struct bgp_lines *l, const char *line)
{
	bool there;
	size_t at = lines_find(l, line, &there);

	if (there)
		return;
	ARRAY_RESERVE(l->v, l->cap, l->n + 1);
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof(*l->v));
	l->v[at] = xstrdup(line);
	l->n++;
}

bool bgp_lines_has(const struct bgp_lines *l, const char *line)
{
	bool there;

	lines_find(l, line, &there);
	return there;
}

bool bgp_lines_eq(const struct bgp_lines *a, const struct bgp_lines *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

void bgp_lines_copy(struct bgp_lines *to, const struct bgp_lines *from)
{
	*to = (struct bgp_lines){ 0 };
	for (size_t i = 0; i < from->n; i++)
		bgp_lines_add(to, from->v[i]);
}

/* ---- maps ---- */

void bgp_map_fini(struct bgp_map *m)
{
	free(m->name);
	bgp_lines_fini(&m->lines);
}

void bgp_map_copy(struct bgp_map *to, const struct bgp_map *from)
{
	*to = *from;
	to->name = xstrdup(from->name);
	bgp_lines_copy(&to->lines, &from->lines);
}

bool bgp_map_eq(const struct bgp_map *a, const struct bgp_map *b)
{
	return !strcmp(a->name, b->name) && a->permit == b->permit && a->seq == b->seq &&
	       bgp_lines_eq(&a->lines, &b->lines);
}

const char *bgp_class_name(uint64_t class, char out[static BGP_CLASS_NAME_SIZE])
{
	snprintf(out, BGP_CLASS_NAME_SIZE, BGP_CLASS_PREFIX "%016" PRIx64, class);
	return out;
}

uint64_t bgp_class_of_name(const char *name)
{
	char again[BGP_CLASS_NAME_SIZE];
	uint64_t class;

	if (strncmp(name, BGP_CLASS_PREFIX, strlen(BGP_CLASS_PREFIX)) != 0)
		return 0;
	class = strtoull(name + strlen(BGP_CLASS_PREFIX), NULL, 16);
	return !strcmp(bgp_class_name(class, again), name) ? class : 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct bgp_lines *x = a, *y = b;
	size_t i = 0;

	while (i < x->n && i < y->n && !strcmp(x->v[i], y->v[i]))
		i++;
	return i < x->n && i < y->n ? strcmp(x->v[i], y->v[i]) : (x->n > y->n) - (x->n < y->n);
}

void bgp_out_map(struct bgp_state *s, struct bgp_lines *entries, size_t n,
                 char ret_name[static BGP_CLASS_NAME_SIZE])
{
	uint64_t hash = 0;

	qsort(entries, n, sizeof(*entries), entry_cmp);
	for (size_t i = 0; i < n; i++)
		hash ^= bgp_lines_hash(&entries[i]);
	snprintf(ret_name, BGP_CLASS_NAME_SIZE, BGP_MAP_OUT_PREFIX "%08" PRIx32, (uint32_t)hash);
	for (size_t i = 0; i < n; i++) {
		bool is_new;
		struct bgp_map *m =
			bgp_state_map(s, ret_name, BGP_SEQ * (uint32_t)(i + 1), &is_new);
		if (is_new)
			bgp_lines_copy(&m->lines, &entries[i]);
	}
}

/* ---- peers ---- */

size_t bgp_peer_keyword(const char *line)
{
	/* Longer ones before what they begin with. */
	static const char *const keywords[] = {
		"advertisement-interval",
		"bfd",
		"description",
		"ebgp-multihop",
		"local-as",
		"password",
		"port",
		"timers connect",
		"timers",
		"update-source",
	};
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		size_t len = strlen(keywords[i]);
		if (!strncmp(line, keywords[i], len) && (line[len] == ' ' || line[len] == 0))
			return len;
	}
	return 0;
}

void bgp_peer_fini(struct bgp_peer *p)
{
	bgp_lines_fini(&p->lines);
	for (int af = 0; af < BGP_N_AF; af++) {
		free(p->af[af].in);
		free(p->af[af].out);
	}
}

void bgp_peer_copy(struct bgp_peer *to, const struct bgp_peer *from)
{
	*to = *from;
	bgp_lines_copy(&to->lines, &from->lines);
	for (int af = 0; af < BGP_N_AF; af++) {
		to->af[af].in = xstrdup_null(from->af[af].in);
		to->af[af].out = xstrdup_null(from->af[af].out);
	}
}

static bool str_eq(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool bgp_peer_eq(const struct bgp_peer *a, const struct bgp_peer *b)
{
	for (int af = 0; af < BGP_N_AF; af++)
		if (a->af[af].active != b->af[af].active || !str_eq(a->af[af].in, b->af[af].in) ||
		    !str_eq(a->af[af].out, b->af[af].out))
			return false;
	return addr_eq(&a->address, &b->address) && a->remote_as == b->remote_as &&
	       bgp_lines_eq(&a->lines, &b->lines);
}

bool bgp_peer_is_described(const struct bgp_peer *p)
{
	for (size_t i = 0; i < p->lines.n; i++)
		if (!strncmp(p->lines.v[i], "description ", 12))
			return true;
	return false;
}

/* ---- states ---- */

void bgp_state_fini(struct bgp_state *s)
{
	bgp_lines_fini(&s->instance);
	for (size_t i = 0; i < s->n_maps; i++)
		bgp_map_fini(&s->maps[i]);
	for (size_t i = 0; i < s->n_peers; i++)
		bgp_peer_fini(&s->peers[i]);
	free(s->networks);
	free(s->maps);
	free(s->peers);
	free(s->claims);
	*s = (struct bgp_state){ 0 };
}

void bgp_state_copy(struct bgp_state *to, const struct bgp_state *from)
{
	*to = (struct bgp_state){ .asn = from->asn, .own = from->own, .marker = from->marker };
	bgp_lines_copy(&to->instance, &from->instance);
	ARRAY_RESERVE(to->networks, to->cap_networks, from->n_networks);
	if (from->n_networks)
		memcpy(to->networks, from->networks, from->n_networks * sizeof(*to->networks));
	to->n_networks = from->n_networks;
	ARRAY_RESERVE(to->maps, to->cap_maps, from->n_maps);
	for (; to->n_maps < from->n_maps; to->n_maps++)
		bgp_map_copy(&to->maps[to->n_maps], &from->maps[to->n_maps]);
	ARRAY_RESERVE(to->peers, to->cap_peers, from->n_peers);
	for (; to->n_peers < from->n_peers; to->n_peers++)
		bgp_peer_copy(&to->peers[to->n_peers], &from->peers[to->n_peers]);
	for (size_t i = 0; i < from->n_claims; i++)
		bgp_state_claim(to, &from->claims[i].address, from->claims[i].remote_as);
}

bool bgp_state_eq(const struct bgp_state *a, const struct bgp_state *b)
{
	if (a->asn != b->asn || a->own != b->own || a->marker != b->marker ||
	    !bgp_lines_eq(&a->instance, &b->instance) || a->n_networks != b->n_networks ||
	    a->n_maps != b->n_maps || a->n_peers != b->n_peers || a->n_claims != b->n_claims)
		return false;
	for (size_t i = 0; i < a->n_networks; i++)
		if (prefix_cmp(&a->networks[i].prefix, &b->networks[i].prefix) != 0 ||
		    a->networks[i].class != b->networks[i].class)
			return false;
	for (size_t i = 0; i < a->n_maps; i++)
		if (!bgp_map_eq(&a->maps[i], &b->maps[i]))
			return false;
	for (size_t i = 0; i < a->n_peers; i++)
		if (!bgp_peer_eq(&a->peers[i], &b->peers[i]))
			return false;
	for (size_t i = 0; i < a->n_claims; i++) {
		const struct bgp_claim *c = bgp_state_find_claim(b, &a->claims[i].address);
		if (!c || c->remote_as != a->claims[i].remote_as)
			return false;
	}
	return true;
}

static int network_cmp(const void *a, const void *b)
{
	const struct bgp_network *x = a, *y = b;

	return prefix_cmp(&x->prefix, &y->prefix);
}

static int map_cmp(const void *a, const void *b)
{
	const struct bgp_map *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

static int peer_cmp(const void *a, const void *b)
{
	const struct bgp_peer *x = a, *y = b;

	return addr_cmp(&x->address, &y->address);
}

void bgp_state_sort(struct bgp_state *s)
{
	if (s->n_networks)
		qsort(s->networks, s->n_networks, sizeof(*s->networks), network_cmp);
	if (s->n_maps)
		qsort(s->maps, s->n_maps, sizeof(*s->maps), map_cmp);
	if (s->n_peers)
		qsort(s->peers, s->n_peers, sizeof(*s->peers), peer_cmp);
}

struct bgp_map *bgp_state_map(struct bgp_state *s, const char *name, uint32_t seq, bool *ret_new)
{
	for (size_t i = 0; i < s->n_maps; i++)
		if (s->maps[i].seq == seq && !strcmp(s->maps[i].name, name)) {
			if (ret_new)
				*ret_new = false;
			return &s->maps[i];
		}
	ARRAY_RESERVE(s->maps, s->cap_maps, s->n_maps + 1);
	struct bgp_map *m = &s->maps[s->n_maps++];
	*m = (struct bgp_map){ .name = xstrdup(name), .permit = true, .seq = seq };
	if (ret_new)
		*ret_new = true;
	return m;
}

const struct bgp_map *bgp_state_find_entry(const struct bgp_state *s, const char *name,
                                           uint32_t seq)
{
	for (size_t i = 0; i < s->n_maps; i++)
		if (s->maps[i].seq == seq && !strcmp(s->maps[i].name, name))
			return &s->maps[i];
	return NULL;
}

const struct bgp_map *bgp_state_find_map(const struct bgp_state *s, const char *name)
{
	for (size_t i = 0; i < s->n_maps; i++)
		if (!strcmp(s->maps[i].name, name))
			return &s->maps[i];
	return NULL;
}

void bgp_state_claim(struct bgp_state *s, const struct addr *a, uint32_t remote_as)
{
	ARRAY_RESERVE(s->claims, s->cap_claims, s->n_claims + 1);
	s->claims[s->n_claims++] = (struct bgp_claim){ *a, remote_as };
}

const struct bgp_claim *bgp_state_find_claim(const struct bgp_state *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n_claims; i++)
		if (addr_eq(&s->claims[i].address, a))
			return &s->claims[i];
	return NULL;
}

const struct bgp_peer *bgp_state_find_peer(const struct bgp_state *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n_peers; i++)
		if (addr_eq(&s->peers[i].address, a))
			return &s->peers[i];
	return NULL;
}

const struct bgp_network *bgp_state_find_network(const struct bgp_state *s, const struct prefix *p)
{
	struct bgp_network key = { .prefix = *p };

	if (s->n_networks == 0)
		return NULL;
	return bsearch(&key, s->networks, s->n_networks, sizeof(key), network_cmp);
}

void bgp_state_add_network(struct bgp_state *s, const struct bgp_network *n)
{
	ARRAY_RESERVE(s->networks, s->cap_networks, s->n_networks + 1);
	s->networks[s->n_networks++] = *n;
}

struct bgp_peer *bgp_state_add_peer(struct bgp_state *s, const struct addr *a)
{
	ARRAY_RESERVE(s->peers, s->cap_peers, s->n_peers + 1);
	s->peers[s->n_peers] = (struct bgp_peer){ .address = *a };
	return &s->peers[s->n_peers++];
}
