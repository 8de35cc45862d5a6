/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From advertisements and addresses to the state that bgpd should have (struct bgp_state, which
 * running.c reads back).
 *
 * A prefix has a policy: for each peer the attributes with which it is sent, or none.  Several
 * addresses and advertisements may want one prefix, an aggregate above all; a peer then gets the
 * attributes of all those that are for it.  Attributes and policies are interned: ten thousand
 * prefixes share a handful.
 *
 * Each policy is a class, a route-map named by the hash of its own lines, which the prefix's
 * network line names.  A class is never changed.  Another policy is another class, and moving a
 * prefix to it takes one command; classes that no prefix uses are removed last.  That keeps every
 * intermediate state of bgpd a valid one, wherever a batch ends.
 *
 * Where every peer gets the same, the class sets the attributes, and a tag by which the outbound
 * policy of each peer lets it out.  Where peers differ, the class sets a tag of its own, made of
 * what each of them gets; the outbound policies of those that get anything have an entry for that
 * tag, which sets their attributes.  The others have none, and what no entry matches is not sent.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bgp/want.h"
#include "fairlead/mem.h"

/* ---- policies ---- */

static int attr_of(const struct config_advertisement *ad, struct bgp_attr *a, struct err *e)
{
	int r = 0;

	a->has_localpref = ad->has_localpref;
	a->localpref = ad->has_localpref ? ad->localpref : 0;
	for (size_t i = 0; r == 0 && i < ad->n_communities; i++)
		r = bgp_attr_add(a, ad->communities[i], e);
	return r;
}

static unsigned int length_of(const struct config_advertisement *ad, uint8_t family, bool local)
{
	unsigned int bits = family == 4 ? 32 : 128;
	unsigned int len = family == 4 ? ad->aggregation_len : ad->aggregation_len_v6;

	return local || len > bits ? bits : len;
}

/* The number of these attributes, from 1; takes over what @attr holds. */
static uint32_t intern_attr(struct bgp_want *w, struct bgp_attr *attr)
{
	for (size_t i = 0; i < w->n_attrs; i++)
		if (bgp_attr_eq(&w->attrs[i], attr))
			return (uint32_t)i + 1;
	ARRAY_RESERVE(w->attrs, w->cap_attrs, w->n_attrs + 1);
	w->attrs[w->n_attrs] = *attr;
	*attr = (struct bgp_attr){ 0 };
	return (uint32_t)++w->n_attrs;
}

static const struct bgp_attr *attr_at(const struct bgp_want *w, uint32_t number)
{
	return &w->attrs[number - 1];
}

/* The index of this policy; takes over the array. */
static size_t intern_policy(struct bgp_want *w, uint32_t *attrs)
{
	for (size_t i = 0; i < w->n_policies; i++)
		if (!memcmp(w->policies[i].attrs, attrs, w->n_recipients * sizeof(*attrs))) {
			free(attrs);
			return i;
		}
	ARRAY_RESERVE(w->policies, w->cap_policies, w->n_policies + 1);
	w->policies[w->n_policies] = (struct want_policy){ .attrs = attrs };
	return w->n_policies++;
}

static int merge(struct bgp_want *w, uint32_t a, uint32_t b, uint32_t *ret, struct err *e)
{
	cleanup(bgp_attr_fini) struct bgp_attr sum = { 0 };
	int r = 0;

	if (!a || !b || a == b) {
		*ret = a ? a : b;
		return 0;
	}
	r = bgp_attr_merge(&sum, attr_at(w, a), e);
	if (r == 0)
		r = bgp_attr_merge(&sum, attr_at(w, b), e);
	if (r == 0)
		*ret = intern_attr(w, &sum);
	return r;
}

/* Adds to the policy what the advertisement is for. */
static int advertise(struct bgp_want *w, const struct config_advertisement *ad, uint32_t *attrs,
                     struct err *e)
{
	cleanup(bgp_attr_fini) struct bgp_attr attr = { 0 };
	int r = attr_of(ad, &attr, e);
	uint32_t number = r == 0 ? intern_attr(w, &attr) : 0;

	for (size_t i = 0; r == 0 && i < w->n_recipients; i++)
		if (config_advertisement_reaches(ad, w->recipients[i]))
			r = merge(w, attrs[i], number, &attrs[i], e);
	return r;
}

static uint32_t *policy_new(const struct bgp_want *w, const struct want_prefix *p)
{
	size_t size = (w->n_recipients + 1) * sizeof(uint32_t);

	return p ? xmemdup(w->policies[p->policy].attrs, size) : xcalloc(1, size);
}

/* ---- prefixes ---- */

static int add_prefix(struct bgp_want *w, const struct prefix *prefix,
                      const struct config_advertisement *ad, struct err *e)
{
	struct want_prefix *p;

	HASH_FIND(hh, w->prefixes, prefix, sizeof(*prefix), p);
	uint32_t *attrs = policy_new(w, p);
	int r = advertise(w, ad, attrs, e);
	if (r) {
		free(attrs);
		err_prefix(e, "prefix %s/%u", addr_str(&prefix->addr), prefix->len);
		return r;
	}
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->prefix = *prefix;
		HASH_ADD(hh, w->prefixes, prefix, sizeof(*prefix), p);
	}
	p->policy = intern_policy(w, attrs);
	return 0;
}

int bgp_want_address(struct bgp_want *w, const struct addr *a, bool local,
                     const struct config_advertisement *ads, size_t n_ads, struct err *e)
{
	struct config_advertisement plain;
	int r = 0;

	if (addr_is_none(a))
		return err_set(e, -EINVAL, ERR_BUG, "no address to announce");
	if (n_ads == 0) {
		config_advertisement_init(&plain);
		ads = &plain;
		n_ads = 1;
	}
	for (size_t i = 0; r == 0 && i < n_ads; i++) {
		struct prefix prefix = prefix_of(a, length_of(&ads[i], a->family, local));
		r = add_prefix(w, &prefix, &ads[i], e);
		if (r == 0) {
			ARRAY_RESERVE(w->addresses, w->cap_addresses, w->n_addresses + 1);
			w->addresses[w->n_addresses++] = (struct want_address){ *a, prefix };
		}
	}
	return r;
}

size_t bgp_want_aggregates(const struct bgp_want *w, struct prefix **ret_prefixes)
{
	struct prefix *prefixes = xcalloc(HASH_COUNT(w->prefixes) + 1, sizeof(*prefixes));
	size_t n = 0;

	for (const struct want_prefix *p = w->prefixes; p; p = p->hh.next)
		if (p->prefix.len < addr_bits(&p->prefix.addr))
			prefixes[n++] = p->prefix;
	*ret_prefixes = prefixes;
	return n;
}

size_t bgp_want_n_prefixes(struct bgp_want *w)
{
	return HASH_COUNT(w->prefixes);
}

/* ---- what is made ready ---- */

/* The policy of the prefix of length @len by these advertisements. */
static int add_ready(struct bgp_want *w, const struct config_advertisement *ads, size_t n_ads,
                     unsigned int len, uint8_t family, bool local, size_t extra, struct err *e)
{
	uint32_t *attrs = policy_new(w, NULL);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_ads; i++)
		if (length_of(&ads[i], family, local) == len &&
		    (ads[i].service_selectors.n == 0 || i == extra))
			r = advertise(w, &ads[i], attrs, e);
	if (r) {
		free(attrs);
		return r;
	}
	size_t policy = intern_policy(w, attrs);
	w->policies[policy].ready = true;
	return 0;
}

int bgp_want_pool(struct bgp_want *w, const struct config_pool *pool, struct err *e)
{
	const struct config_advertisement *ads = pool->advertisements;
	size_t n_ads = pool->n_advertisements;
	struct config_advertisement plain;
	int r = 0;

	if (n_ads == 0) {
		config_advertisement_init(&plain);
		ads = &plain;
		n_ads = 1;
	}
	/*
	 * An address's prefixes: with the advertisements' lengths, or the whole address alone for
	 * policy Local.  Those for some Services are taken one at a time.
	 */
	for (int family = 4; family <= 6; family += 2)
		for (int local = 0; local < 2; local++)
			for (size_t i = 0; r == 0 && i < n_ads; i++)
				r = add_ready(w, ads, n_ads,
				              length_of(&ads[i], (uint8_t)family, local != 0),
				              (uint8_t)family, local != 0, i, e);
	if (r)
		err_prefix(e, "pool %s", pool->name ? pool->name : "");
	return r;
}

/* ---- the state ---- */

/* What the state needs of a policy that is used or ready. */
struct shape {
	bool needed, any, same; /* some peer gets it; all get the same */
	uint32_t attr;          /* of one that gets it */
	uint32_t tag;           /* where they differ */
	uint64_t class;
};

static void look_at(const struct bgp_want *w, const struct want_policy *policy, struct shape *shape)
{
	shape->same = true;
	for (size_t i = 0; i < w->n_peers; i++) {
		uint32_t attr = policy->attrs[w->peers[i].recipient];
		shape->any |= attr != 0;
		shape->same &= attr == policy->attrs[w->peers[0].recipient];
		shape->attr = attr ? attr : shape->attr;
	}
}

/* Whatever the order of the peers. */
static uint32_t tag_of(const struct bgp_want *w, const struct want_policy *policy)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < w->n_peers; i++) {
		struct bgp_lines lines = { 0 };
		uint32_t attr = policy->attrs[w->peers[i].recipient];
		if (!attr)
			continue;
		bgp_attr_out_lines(attr_at(w, attr), 0, &lines);
		hash ^= hash64_str(addr_str(&w->peers[i].peer.address), bgp_lines_hash(&lines));
		bgp_lines_fini(&lines);
	}
	return BGP_TAG_FIRST | (uint32_t)(hash ^ hash >> 32);
}

/* No two policies may have one tag. */
static uint32_t free_tag(const struct shape *shapes, size_t n, uint32_t tag)
{
	for (size_t i = 0; i < n; i++)
		if (shapes[i].tag == tag)
			return free_tag(shapes, n, BGP_TAG_FIRST | (tag + 1));
	return tag;
}

static uint64_t add_class(struct bgp_state *s, struct bgp_lines *lines)
{
	char name[BGP_CLASS_NAME_SIZE];
	uint64_t class = bgp_lines_hash(lines);
	bool is_new;
	struct bgp_map *m = bgp_state_map(s, bgp_class_name(class, name), BGP_SEQ, &is_new);

	if (is_new)
		bgp_lines_copy(&m->lines, lines);
	bgp_lines_fini(lines);
	return class;
}

/* The shapes of all policies, and the classes of those that are needed. */
static struct shape *add_classes(const struct bgp_want *w, struct bgp_state *s)
{
	struct shape *shapes = xcalloc(w->n_policies + 1, sizeof(*shapes));

	for (const struct want_prefix *p = w->prefixes; p; p = p->hh.next)
		shapes[p->policy].needed = true;
	for (size_t i = 0; i < w->n_policies; i++) {
		struct shape *shape = &shapes[i];
		struct bgp_lines lines = { 0 };
		look_at(w, &w->policies[i], shape);
		shape->needed |= w->policies[i].ready;
		shape->needed &= shape->any;
		if (!shape->needed)
			continue;
		if (shape->same) {
			bgp_attr_lines(attr_at(w, shape->attr), &lines);
		} else {
			shape->tag = free_tag(shapes, i, tag_of(w, &w->policies[i]));
			bgp_tag_line(shape->tag, &lines);
		}
		shape->class = add_class(s, &lines);
	}
	return shapes;
}

/* The outbound policy of a peer: an entry for each scope and each tag. */
static void add_out_map(const struct bgp_want *w, const struct shape *shapes,
                        const struct want_peer *peer, struct bgp_state *s,
                        char ret_name[static BGP_CLASS_NAME_SIZE])
{
	struct bgp_lines *entries = xcalloc(BGP_SCOPES + w->n_policies, sizeof(*entries));
	unsigned int scopes = 1;
	size_t n = 0;

	for (size_t i = 0; i < w->n_policies; i++) {
		uint32_t attr = w->policies[i].attrs[peer->recipient];
		if (shapes[i].needed && shapes[i].same)
			scopes |= 1u << bgp_attr_scope(attr_at(w, shapes[i].attr));
		else if (shapes[i].needed && attr)
			bgp_attr_out_lines(attr_at(w, attr), shapes[i].tag, &entries[n++]);
	}
	for (unsigned int scope = 0; scope < BGP_SCOPES; scope++)
		if (scopes & 1u << scope)
			bgp_scope_lines(scope, &entries[n++]);
	bgp_out_map(s, entries, n, ret_name);
	for (size_t i = 0; i < n; i++)
		bgp_lines_fini(&entries[i]);
	free(entries);
}

static void add_peers(const struct bgp_want *w, const struct shape *shapes, struct bgp_state *s)
{
	char out[BGP_CLASS_NAME_SIZE];

	bgp_state_map(s, BGP_MAP_IN, BGP_SEQ, NULL)->permit = false;
	for (size_t i = 0; i < w->n_peers; i++) {
		add_out_map(w, shapes, &w->peers[i], s, out);
		struct bgp_peer *p = bgp_state_add_peer(s, &w->peers[i].peer.address);
		bgp_peer_copy(p, &w->peers[i].peer);
		if (w->peers[i].my_asn != s->asn) {
			cleanup_free char *line = xasprintf(
				"local-as %" PRIu32 " no-prepend replace-as", w->peers[i].my_asn);
			bgp_lines_add(&p->lines, line);
		}
		/*
		 * An IPv4 session carries both families, with the interface's IPv6 address as next
		 * hop.  Not the other way round: without an IPv4 address bgpd would send the next
		 * hop 0.0.0.0, for which the peer ends the session.
		 */
		for (int af = p->address.family == 6 ? BGP_AF6 : BGP_AF4; af < BGP_N_AF; af++) {
			p->af[af].active = true;
			p->af[af].in = xstrdup(BGP_MAP_IN);
			p->af[af].out = xstrdup(out);
		}
	}
}

static void add_networks(const struct bgp_want *w, const struct shape *shapes, struct bgp_state *s)
{
	for (const struct want_prefix *p = w->prefixes; p; p = p->hh.next)
		if (shapes[p->policy].any)
			bgp_state_add_network(s, &(struct bgp_network){ p->prefix,
			                                                shapes[p->policy].class });
}

/* Whatever their order. */
static uint64_t hash_of_ready(const struct bgp_want *w, const struct shape *shapes)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < w->n_policies; i++)
		if (w->policies[i].ready)
			hash ^= shapes[i].class;
	return hash;
}

static int address_cmp(const void *a, const void *b)
{
	const struct want_address *x = a, *y = b;
	int c = addr_cmp(&x->addr, &y->addr);

	return c ? c : prefix_cmp(&x->prefix, &y->prefix);
}

void bgp_want_state(struct bgp_want *w, struct bgp_state *ret_state)
{
	struct bgp_state *s = ret_state;

	if (w->n_addresses)
		qsort(w->addresses, w->n_addresses, sizeof(*w->addresses), address_cmp);
	*s = (struct bgp_state){ 0 };
	if (w->n_peers == 0)
		return;
	s->asn = s->marker = w->peers[0].my_asn;
	s->own = true;
	bgp_lines_add(&s->instance, "no bgp default ipv4-unicast");
	bgp_lines_add(&s->instance, "no bgp network import-check");
	if (!addr_is_none(&w->router_id)) {
		cleanup_free char *line = xasprintf("bgp router-id %s", addr_str(&w->router_id));
		bgp_lines_add(&s->instance, line);
	}
	cleanup_free struct shape *shapes = add_classes(w, s);
	w->ready = hash_of_ready(w, shapes);
	add_peers(w, shapes, s);
	add_networks(w, shapes, s);
	bgp_state_sort(s);
}

/* The first address that is not before @a. */
static size_t lower_bound(const struct bgp_want *w, const struct addr *a)
{
	size_t lo = 0, hi = w->n_addresses;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (addr_cmp(&w->addresses[mid].addr, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void bgp_want_find(const struct bgp_want *w, const struct addr *a, size_t *ret_first,
                   size_t *ret_end)
{
	size_t first = lower_bound(w, a), end = first;

	while (end < w->n_addresses && addr_eq(&w->addresses[end].addr, a))
		end++;
	*ret_first = first;
	*ret_end = end;
}

bool bgp_want_leads(const struct bgp_want *w, const struct prefix *p)
{
	size_t at = lower_bound(w, &p->addr);

	return at < w->n_addresses && prefix_contains(p, &w->addresses[at].addr);
}

bool bgp_want_reaches(const struct bgp_want *w, const struct prefix *prefix, size_t recipient)
{
	const struct want_prefix *p;

	HASH_FIND(hh, w->prefixes, prefix, sizeof(*prefix), p);
	return p && w->policies[p->policy].attrs[recipient];
}
