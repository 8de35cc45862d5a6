/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the wanted state can be had in this bgpd: whether anything may be set in it at all, what
 * in it belongs to others, and what stays for a while though it is not wanted any more.
 */
#include "config.h"

#include "bgp/diff.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/want.h"
#include "fairlead/mem.h"

static struct bgp_verdict verdict_of(enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static struct bgp_verdict verdict_of(enum reason reason, const char *fmt, ...)
{
	struct bgp_verdict v = { .reason = reason };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v.message, sizeof(v.message), fmt, ap);
	va_end(ap);
	return v;
}

struct bgp_verdict bgp_judge(const struct bgp_state *want, const struct bgp_have *have, bool shared)
{
	const struct bgp_state *ours = &have->ours;
	const struct bgp_seen_peer *open;

	if (want->asn == 0)
		return verdict_of(REASON_BgpNoPeer, "%s", reason_sentence(REASON_BgpNoPeer));
	if (ours->asn && ours->asn != want->asn && (!ours->own || have->foreign_lines))
		return verdict_of(REASON_BgpAsMismatch,
		                  "bgpd runs router bgp %" PRIu32
		                  " %s, the configuration says my-asn %" PRIu32,
		                  ours->asn, ours->own ? "that others need too" : "of others",
		                  want->asn);
	if (have->truncated)
		return verdict_of(REASON_BgpForeignInstance,
		                  "router bgp %" PRIu32
		                  " has more than %d neighbours or %d networks, too many to know "
		                  "what is others'",
		                  ours->asn, BGP_FOREIGN_PEERS_MAX, BGP_FOREIGN_NETWORKS_MAX);
	if (ours->asn == 0 || ours->own)
		return verdict_of(REASON_Announced, "%s", "");
	if (have->import_check)
		return verdict_of(REASON_BgpImportCheck,
		                  "router bgp %" PRIu32
		                  " is others' and announces only what is in the routing table: it "
		                  "needs `no bgp network import-check`",
		                  ours->asn);
	open = shared ? NULL : bgp_have_unfiltered(have);
	if (open)
		return verdict_of(REASON_BgpForeignInstance,
		                  "neighbour %.64s of others in router bgp %" PRIu32
		                  " has no outbound policy and would receive our networks",
		                  open->name, ours->asn);
	if (!shared && have->default_family[0])
		return verdict_of(
			REASON_BgpForeignInstance,
			"router bgp %" PRIu32
			" is others' and has `bgp default %s`: our neighbours would begin "
			"with that family, and without any policy in it",
			ours->asn, have->default_family);
	return verdict_of(REASON_Announced, "%s", "");
}

/*
 * The neighbour that stays for a peer whose password is not known.  None stays if the instance is
 * replaced, as it would have to be made anew; nor does one that is half made.
 */
static const struct bgp_peer *kept_for(const struct bgp_state *want, const struct bgp_have *have,
                                       const struct bgp_peer *p)
{
	const struct bgp_peer *old = bgp_state_find_peer(&have->ours, &p->address);

	return old && have->ours.asn == want->asn && bgp_peer_is_described(old) ? old : NULL;
}

bool bgp_only_waits(const struct bgp_state *want, const struct bgp_have *have)
{
	for (size_t i = 0; i < want->n_peers; i++)
		if (!want->peers[i].waits || kept_for(want, have, &want->peers[i]))
			return false;
	return want->n_peers > 0;
}

static void add_peer(struct bgp_state *s, const struct bgp_state *want, const struct bgp_have *have,
                     const struct bgp_peer *p)
{
	const struct bgp_peer *old = p->waits ? kept_for(want, have, p) : NULL;

	if (bgp_have_foreign_peer(have, &p->address) || (p->waits && !old))
		return;
	struct bgp_peer *n = bgp_state_add_peer(s, &p->address);
	bgp_peer_copy(n, p);
	if (!old)
		return;
	/* Its policies are separate: they follow the networks. */
	n->waits = false;
	n->remote_as = old->remote_as;
	bgp_lines_fini(&n->lines);
	bgp_lines_copy(&n->lines, &old->lines);
}

static void add_map(struct bgp_state *s, const struct bgp_map *m)
{
	ARRAY_RESERVE(s->maps, s->cap_maps, s->n_maps + 1);
	bgp_map_copy(&s->maps[s->n_maps++], m);
}

static void keep_used_maps(struct bgp_state *s, const struct bgp_state *have, bool collect)
{
	for (size_t i = 0; i < have->n_maps; i++) {
		const struct bgp_map *m = &have->maps[i];
		uint64_t class = bgp_class_of_name(m->name);
		bool keep = !collect && class != 0;
		for (size_t k = 0; !keep && class && k < s->n_networks; k++)
			keep = s->networks[k].class == class;
		if (keep && !bgp_state_find_map(s, m->name))
			add_map(s, m);
	}
}

/* ---- outbound policies between two classes ---- */

/*
 * While networks move to other classes, those that have not moved yet are still to be sent: an
 * outbound policy goes on letting out what it let out before.  That is nobody's leak, for a tag
 * says who gets what, and means the same for ever.
 */
static bool lets_out(const struct bgp_map *m)
{
	return m->permit && m->lines.n > 0 && !strncmp(m->lines.v[0], "match tag ", 10);
}

static bool has_entry(const struct bgp_lines *entries, size_t n, const struct bgp_lines *lines)
{
	for (size_t i = 0; i < n; i++)
		if (bgp_lines_eq(&entries[i], lines))
			return true;
	return false;
}

/* Copies pointers: the lines stay the maps'. */
static void add_entries(const struct bgp_state *s, const char *name, bool all,
                        struct bgp_lines *entries, size_t *n)
{
	for (size_t i = 0; i < s->n_maps; i++)
		if (!strcmp(s->maps[i].name, name) && (all || lets_out(&s->maps[i])) &&
		    !has_entry(entries, *n, &s->maps[i].lines))
			entries[(*n)++] = s->maps[i].lines;
}

static void widen(struct bgp_state *s, const struct bgp_state *have, char **out, const char *old)
{
	char name[BGP_CLASS_NAME_SIZE];
	size_t n = 0, n_wanted;

	if (!*out || !old || !strcmp(*out, old))
		return;
	struct bgp_lines *entries = xcalloc(s->n_maps + have->n_maps + 1, sizeof(*entries));
	add_entries(s, *out, true, entries, &n);
	n_wanted = n;
	add_entries(have, old, false, entries, &n);
	if (n > n_wanted) {
		bgp_out_map(s, entries, n, name);
		free(*out);
		*out = xstrdup(name);
	}
	free(entries);
}

static bool is_used(const struct bgp_state *s, const char *out)
{
	for (size_t i = 0; i < s->n_peers; i++)
		for (int af = 0; af < BGP_N_AF; af++)
			if (s->peers[i].af[af].out && !strcmp(s->peers[i].af[af].out, out))
				return true;
	return false;
}

/* A neighbour that is not made, or that has a wider one, needs none. */
static void drop_unused_outs(struct bgp_state *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_maps; i++) {
		struct bgp_map *m = &s->maps[i];
		if (!strncmp(m->name, BGP_MAP_OUT_PREFIX, strlen(BGP_MAP_OUT_PREFIX)) &&
		    !is_used(s, m->name))
			bgp_map_fini(m);
		else
			s->maps[n++] = *m;
	}
	s->n_maps = n;
}

static bool any_moves(const struct bgp_state *s, const struct bgp_state *have)
{
	for (size_t i = 0; i < s->n_networks; i++) {
		const struct bgp_network *n = bgp_state_find_network(have, &s->networks[i].prefix);
		if (n && n->class != s->networks[i].class)
			return true;
	}
	return false;
}

static void widen_outs(struct bgp_state *s, const struct bgp_state *have, bool collect)
{
	bool narrow = collect && !any_moves(s, have);

	for (size_t i = 0; i < s->n_peers && !narrow; i++) {
		const struct bgp_peer *old = bgp_state_find_peer(have, &s->peers[i].address);
		for (int af = 0; old && af < BGP_N_AF; af++)
			widen(s, have, &s->peers[i].af[af].out, old->af[af].out);
	}
	drop_unused_outs(s);
}

/* Nothing new, and less if less is wanted. */
static void effective_frozen(const struct bgp_state *want, const struct bgp_have *have,
                             const struct bgp_want *leads, struct bgp_state *s)
{
	const struct bgp_state *ours = &have->ours;

	s->asn = ours->asn;
	s->own = ours->own;
	s->marker = ours->own ? ours->marker : 0;
	bgp_lines_copy(&s->instance, &ours->instance);
	for (size_t i = 0; i < ours->n_networks; i++)
		if (bgp_state_find_network(want, &ours->networks[i].prefix) ||
		    (leads && bgp_want_leads(leads, &ours->networks[i].prefix)))
			bgp_state_add_network(s, &ours->networks[i]);
	for (size_t i = 0; i < ours->n_peers; i++)
		if (bgp_state_find_peer(want, &ours->peers[i].address) &&
		    bgp_peer_is_described(&ours->peers[i])) {
			struct bgp_peer *p = bgp_state_add_peer(s, &ours->peers[i].address);
			bgp_peer_copy(p, &ours->peers[i]);
		}
	/* What the neighbours that stay refer to, and their classes. */
	for (size_t i = 0; i < ours->n_maps; i++)
		if (s->n_peers || s->n_networks)
			add_map(s, &ours->maps[i]);
	bgp_state_sort(s);
}

void bgp_effective(const struct bgp_state *want, const struct bgp_have *have,
                   const struct bgp_verdict *verdict, bool collect, struct bgp_state *ret_state)
{
	const struct bgp_state *ours = &have->ours;
	struct bgp_state s = { 0 };

	if (want->asn == 0 || bgp_only_waits(want, have)) {
		*ret_state = s;
		return;
	}
	if (!reason_holds(verdict->reason)) {
		effective_frozen(want, have, verdict->leads, &s);
		*ret_state = s;
		return;
	}
	s.asn = want->asn;
	s.own = ours->asn == 0 || ours->own;
	s.marker = s.own ? want->asn : 0;
	bgp_lines_copy(&s.instance, s.own ? &want->instance : &ours->instance);
	for (size_t i = 0; i < want->n_networks; i++)
		if (!bgp_have_foreign_network(have, &want->networks[i].prefix))
			bgp_state_add_network(&s, &want->networks[i]);
	for (size_t i = 0; i < want->n_peers; i++)
		add_peer(&s, want, have, &want->peers[i]);
	for (size_t i = 0; i < want->n_maps; i++)
		add_map(&s, &want->maps[i]);
	keep_used_maps(&s, ours, collect);
	widen_outs(&s, ours, collect);
	bgp_state_sort(&s);
	*ret_state = s;
}
