/* SPDX-License-Identifier: Apache-2.0 */
/* Communities and the classes that carry them; see model.h. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bgp/model.h"
#include "fairlead/bgp.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* RFC 1997 and its successors, by the names that bgpd prints. */
static const struct {
	const char *name;
	uint32_t value;
} well_known[] = {
	{ "internet", 0x00000000 },        { "graceful-shutdown", 0xffff0000 },
	{ "accept-own", 0xffff0001 },      { "route-filter-translated-v4", 0xffff0002 },
	{ "route-filter-v4", 0xffff0003 }, { "route-filter-translated-v6", 0xffff0004 },
	{ "route-filter-v6", 0xffff0005 }, { "llgr-stale", 0xffff0006 },
	{ "no-llgr", 0xffff0007 },         { "accept-own-nexthop", 0xffff0008 },
	{ "blackhole", 0xffff029a },       { "no-export", 0xffffff01 },
	{ "no-advertise", 0xffffff02 },    { "local-AS", 0xffffff03 },
	{ "local-as", 0xffffff03 },        { "no-peer", 0xffffff04 },
};

void bgp_attr_fini(struct bgp_attr *a)
{
	free(a->communities);
	free(a->large);
	*a = (struct bgp_attr){ 0 };
}

/* One decimal number of at most @max, ended by @end. */
static bool number(const char **s, uint32_t max, char end, uint32_t *ret)
{
	uint64_t v = 0;
	const char *p = *s;

	for (; *p >= '0' && *p <= '9' && p - *s < 11; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (p == *s || *p != end || v > max)
		return false;
	*ret = (uint32_t)v;
	*s = end ? p + 1 : p;
	return true;
}

static bool parse_community(const char *s, uint32_t *ret)
{
	uint32_t high, low;
	const char *p = s;

	for (size_t i = 0; i < ARRAY_LEN(well_known); i++)
		if (!strcmp(s, well_known[i].name)) {
			*ret = well_known[i].value;
			return true;
		}
	if (number(&p, UINT32_MAX, 0, ret))
		return true;
	if (!number(&p, UINT16_MAX, ':', &high) || !number(&p, UINT16_MAX, 0, &low))
		return false;
	*ret = high << 16 | low;
	return true;
}

static int add_community(struct bgp_attr *a, uint32_t c)
{
	size_t at = 0;

	while (at < a->n_communities && a->communities[at] < c)
		at++;
	if (at < a->n_communities && a->communities[at] == c)
		return 0;
	if (a->n_communities == BGP_COMMUNITIES_MAX)
		return -E2BIG;
	ARRAY_RESERVE(a->communities, a->cap_communities, a->n_communities + 1);
	memmove(&a->communities[at + 1], &a->communities[at],
	        (a->n_communities - at) * sizeof(*a->communities));
	a->communities[at] = c;
	a->n_communities++;
	return 0;
}

static int large_cmp(const struct bgp_large *a, const struct bgp_large *b)
{
	for (int i = 0; i < 3; i++)
		if (a->v[i] != b->v[i])
			return a->v[i] < b->v[i] ? -1 : 1;
	return 0;
}

static int add_large(struct bgp_attr *a, const struct bgp_large *c)
{
	size_t at = 0;

	while (at < a->n_large && large_cmp(&a->large[at], c) < 0)
		at++;
	if (at < a->n_large && large_cmp(&a->large[at], c) == 0)
		return 0;
	if (a->n_large == BGP_COMMUNITIES_MAX)
		return -E2BIG;
	ARRAY_RESERVE(a->large, a->cap_large, a->n_large + 1);
	memmove(&a->large[at + 1], &a->large[at], (a->n_large - at) * sizeof(*a->large));
	a->large[at] = *c;
	a->n_large++;
	return 0;
}

static int add_error(int r, struct err *e)
{
	return r ? err_set(e, r, ERR_CONFIG, "more than %d communities on one prefix",
	                   BGP_COMMUNITIES_MAX)
	         : 0;
}

int bgp_attr_add(struct bgp_attr *a, const char *community, struct err *e)
{
	static const char prefix[] = "large:";
	struct bgp_large large;
	uint32_t c;

	if (!strncmp(community, prefix, strlen(prefix))) {
		const char *p = community + strlen(prefix);
		if (number(&p, UINT32_MAX, ':', &large.v[0]) &&
		    number(&p, UINT32_MAX, ':', &large.v[1]) &&
		    number(&p, UINT32_MAX, 0, &large.v[2]))
			return add_error(add_large(a, &large), e);
	} else if (parse_community(community, &c)) {
		return add_error(add_community(a, c), e);
	}
	return err_set(e, -EINVAL, ERR_CONFIG,
	               "community \"%.40s\" is neither a:b (16 bits each) nor large:a:b:c",
	               community);
}

int bgp_attr_merge(struct bgp_attr *to, const struct bgp_attr *from, struct err *e)
{
	int r = 0;

	if (from->has_localpref && (!to->has_localpref || from->localpref > to->localpref)) {
		to->has_localpref = true;
		to->localpref = from->localpref;
	}
	for (size_t i = 0; r == 0 && i < from->n_communities; i++)
		r = add_community(to, from->communities[i]);
	for (size_t i = 0; r == 0 && i < from->n_large; i++)
		r = add_large(to, &from->large[i]);
	return add_error(r, e);
}

static bool same(const void *a, const void *b, size_t size)
{
	return size == 0 || !memcmp(a, b, size);
}

bool bgp_attr_eq(const struct bgp_attr *a, const struct bgp_attr *b)
{
	return a->has_localpref == b->has_localpref && a->localpref == b->localpref &&
	       a->n_communities == b->n_communities && a->n_large == b->n_large &&
	       same(a->communities, b->communities, a->n_communities * sizeof(*a->communities)) &&
	       same(a->large, b->large, a->n_large * sizeof(*a->large));
}

/* In the order of their bits. */
static const uint32_t scope_communities[] = { 0xffffff01, 0xffffff02, 0xffffff03 };

static unsigned int scope_of(uint32_t community)
{
	for (size_t i = 0; i < ARRAY_LEN(scope_communities); i++)
		if (scope_communities[i] == community)
			return 1u << i;
	return 0;
}

unsigned int bgp_attr_scope(const struct bgp_attr *a)
{
	unsigned int scope = 0;

	for (size_t i = 0; i < a->n_communities; i++)
		scope |= scope_of(a->communities[i]);
	return scope;
}

static void put_community(struct buf *b, uint32_t community)
{
	buf_printf(b, "%s %" PRIu32 ":%" PRIu32, b->size ? "" : "set community", community >> 16,
	           community & 0xffff);
}

/* Without those of the scope, if @scoped. */
static void add_community_lines(const struct bgp_attr *a, bool scoped, struct bgp_lines *out)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	for (size_t i = 0; i < a->n_communities; i++)
		if (!scoped || !scope_of(a->communities[i]))
			put_community(&b, a->communities[i]);
	if (b.size)
		bgp_lines_add(out, buf_str(&b));
	buf_clear(&b);
	if (a->n_large) {
		buf_puts(&b, "set large-community");
		for (size_t i = 0; i < a->n_large; i++)
			buf_printf(&b, " %" PRIu32 ":%" PRIu32 ":%" PRIu32, a->large[i].v[0],
			           a->large[i].v[1], a->large[i].v[2]);
		bgp_lines_add(out, buf_str(&b));
	}
}

static void add_number(struct bgp_lines *out, const char *what, uint32_t number)
{
	char line[64];

	snprintf(line, sizeof(line), "%s %" PRIu32, what, number);
	bgp_lines_add(out, line);
}

static void add_attr_lines(const struct bgp_attr *a, bool scoped, struct bgp_lines *out)
{
	add_community_lines(a, scoped, out);
	if (a->has_localpref)
		add_number(out, "set local-preference", a->localpref);
}

void bgp_tag_line(uint32_t tag, struct bgp_lines *out)
{
	add_number(out, "set tag", tag);
}

void bgp_attr_lines(const struct bgp_attr *a, struct bgp_lines *out)
{
	add_attr_lines(a, true, out);
	bgp_tag_line(BGP_TAG + bgp_attr_scope(a), out);
}

void bgp_attr_out_lines(const struct bgp_attr *a, uint32_t tag, struct bgp_lines *out)
{
	add_number(out, "match tag", tag);
	add_attr_lines(a, false, out);
}

void bgp_scope_lines(unsigned int scope, struct bgp_lines *out)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	add_number(out, "match tag", BGP_TAG + scope);
	for (size_t i = 0; i < ARRAY_LEN(scope_communities); i++)
		if (scope & 1u << i)
			put_community(&b, scope_communities[i]);
	if (!b.size)
		return;
	buf_puts(&b, " additive");
	bgp_lines_add(out, buf_str(&b));
}

char *bgp_canonical_line(const char *line)
{
	static const char plain[] = "set community ", large[] = "set large-community ";
	struct bgp_attr a = { 0 };
	struct bgp_lines l = { 0 };
	char *out = NULL;
	bool is_large = !strncmp(line, large, strlen(large)), additive = false;

	if (!is_large && strncmp(line, plain, strlen(plain)) != 0)
		return xstrdup(line);
	cleanup_free char *words = xstrdup(line + strlen(is_large ? large : plain));
	char *save, *w;
	int r = 0;
	for (w = strtok_r(words, " ", &save); r == 0 && w; w = strtok_r(NULL, " ", &save)) {
		cleanup_free char *token = xasprintf("%s%s", is_large ? "large:" : "", w);
		if (!strcmp(w, "additive"))
			additive = true;
		else
			r = bgp_attr_add(&a, token, NULL);
	}
	if (r == 0)
		add_community_lines(&a, false, &l);
	if (l.n == 1)
		out = xasprintf("%s%s", l.v[0], additive ? " additive" : "");
	/* "none": as it is */
	else
		out = xstrdup(line);
	bgp_lines_fini(&l);
	bgp_attr_fini(&a);
	return out;
}

uint64_t bgp_lines_hash(const struct bgp_lines *l)
{
	uint64_t h = 0;

	for (size_t i = 0; i < l->n; i++)
		h = hash64_str(l->v[i], h);
	return h ? h : 1;
}
