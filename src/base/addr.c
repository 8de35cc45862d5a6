/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/*
 * Four decimal parts of at most three digits, leading zeros allowed: what Go's ParseIPSloppy takes.
 */
static int parse_v4(const char *s, uint8_t out[static 4])
{
	for (int part = 0; part < 4; part++) {
		unsigned int v = 0, digits = 0;
		for (; *s >= '0' && *s <= '9'; s++) {
			if (++digits > 3)
				return -EINVAL;
			v = v * 10 + (unsigned int)(*s - '0');
		}
		if (digits == 0 || v > 255)
			return -EINVAL;
		out[part] = (uint8_t)v;
		if (part < 3 && *s++ != '.')
			return -EINVAL;
	}
	return *s ? -EINVAL : 0;
}

int addr_parse(const char *s, struct addr *ret_addr)
{
	struct addr a = { .family = 4 };
	struct in6_addr in6;

	if (!strchr(s, ':')) {
		if (parse_v4(s, a.b) < 0)
			return -EINVAL;
	} else {
		if (inet_pton(AF_INET6, s, &in6) != 1)
			return -EINVAL;
		a = addr_from_in6(&in6);
	}
	*ret_addr = a;
	return 0;
}

struct addr addr_from_in(struct in_addr in)
{
	struct addr a = { .family = 4 };

	memcpy(a.b, &in, 4);
	return a;
}

struct addr addr_from_in6(const struct in6_addr *in6)
{
	struct addr a = { .family = 6 };

	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		a.family = 4;
		memcpy(a.b, in6->s6_addr + 12, 4);
	} else {
		memcpy(a.b, in6, 16);
	}
	return a;
}

const char *addr_format(const struct addr *a, char out[static ADDR_STR_SIZE])
{
	if (a->family == 0)
		snprintf(out, ADDR_STR_SIZE, "none");
	else
		inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, out, ADDR_STR_SIZE);
	return out;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

static int compare(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

void addrs_sort(struct addr *addrs, size_t n)
{
	if (n)
		qsort(addrs, n, sizeof(*addrs), compare);
}

bool addrs_contain(const struct addr *addrs, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(&addrs[i], a))
			return true;
	return false;
}

bool addrs_have_family(const struct addr *addrs, size_t n, uint8_t family)
{
	for (size_t i = 0; i < n; i++)
		if (addrs[i].family == family)
			return true;
	return false;
}

bool addrs_same_set(const struct addr *a, size_t n_a, const struct addr *b, size_t n_b)
{
	size_t found = 0;

	for (size_t i = 0; i < n_a; i++)
		for (size_t k = 0; k < n_b; k++)
			found += addr_eq(&a[i], &b[k]);
	return n_a == n_b && found == n_a;
}

bool addr_is_none(const struct addr *a)
{
	return a->family == 0;
}

unsigned int addr_bits(const struct addr *a)
{
	return a->family == 4 ? 32 : 128;
}

bool addr_next(const struct addr *a, struct addr *ret_next)
{
	struct addr n = *a;

	for (int i = (int)addr_bits(a) / 8 - 1; i >= 0; i--)
		if (++n.b[i] != 0) {
			*ret_next = n;
			return true;
		}
	return false;
}

bool addr_previous(const struct addr *a, struct addr *ret_previous)
{
	struct addr p = *a;

	for (int i = (int)addr_bits(a) / 8 - 1; i >= 0; i--)
		if (p.b[i]-- != 0) {
			*ret_previous = p;
			return true;
		}
	return false;
}

bool addr_is_buggy(const struct addr *a)
{
	return a->family == 4 && (a->b[3] == 0 || a->b[3] == 255);
}

#define V4(w, x, y, z)                           \
	{                                        \
		.family = 4, .b = { w, x, y, z } \
	}
#define V6(first, second, fill, last) \
	{                             \
		.family = 6,          \
		.b = { first,         \
		       second,        \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       fill,          \
		       last }         \
	}

static const struct addr_range special_ranges[] = {
	{ V4(0, 0, 0, 0), V4(0, 255, 255, 255) },
	{ V4(127, 0, 0, 0), V4(127, 255, 255, 255) },
	{ V4(169, 254, 0, 0), V4(169, 254, 255, 255) },
	{ V4(224, 0, 0, 0), V4(239, 255, 255, 255) },
	{ V4(240, 0, 0, 0), V4(255, 255, 255, 255) },
	{ V6(0, 0, 0, 0), V6(0, 0, 0, 1) },
	{ V6(0xfe, 0x80, 0, 0), V6(0xfe, 0xbf, 0xff, 0xff) },
	{ V6(0xff, 0, 0, 0), V6(0xff, 0xff, 0xff, 0xff) },
};

size_t addr_special_ranges(const struct addr_range **ret_ranges)
{
	*ret_ranges = special_ranges;
	return ARRAY_LEN(special_ranges);
}

bool addr_is_special(const struct addr *a)
{
	for (size_t i = 0; i < ARRAY_LEN(special_ranges); i++)
		if (addr_range_contains(&special_ranges[i], a))
			return true;
	return false;
}

const char *addr_str(const struct addr *a)
{
	static _Thread_local char ring[8][ADDR_STR_SIZE];
	static _Thread_local unsigned int next;
	return addr_format(a, ring[next++ % 8]);
}

/* Clears all bits behind the first @len, or sets them. */
static struct addr mask(const struct addr *a, unsigned int len, bool set)
{
	struct addr m = *a;

	for (unsigned int bit = len; bit < addr_bits(a); bit++) {
		uint8_t one = (uint8_t)(0x80u >> bit % 8);
		m.b[bit / 8] = set ? m.b[bit / 8] | one : m.b[bit / 8] & (uint8_t)~one;
	}
	return m;
}

int prefix_parse(const char *s, bool allow_bare, struct prefix *ret_prefix)
{
	char text[ADDR_STR_SIZE];
	struct addr a;
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);

	if (n >= sizeof(text) || (!slash && !allow_bare))
		return -EINVAL;
	memcpy(text, s, n);
	text[n] = '\0';
	if (addr_parse(text, &a) < 0)
		return -EINVAL;
	unsigned long len = addr_bits(&a);
	if (slash) {
		char *end;
		/* A mapped address would have a length that counts other bits. */
		if (slash[1] < '0' || slash[1] > '9' || (a.family == 4 && strchr(text, ':')))
			return -EINVAL;
		len = strtoul(slash + 1, &end, 10);
		if (*end || len > addr_bits(&a) || end - slash > 4)
			return -EINVAL;
	}
	*ret_prefix = prefix_of(&a, (unsigned int)len);
	return 0;
}

const char *prefix_format(const struct prefix *p, char out[static PREFIX_STR_SIZE])
{
	char text[ADDR_STR_SIZE];

	snprintf(out, PREFIX_STR_SIZE, "%s/%u", addr_format(&p->addr, text), p->len);
	return out;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	if (p->addr.family != a->family)
		return false;
	struct addr m = mask(a, p->len, false);
	return addr_eq(&m, &p->addr);
}

struct prefix prefix_of(const struct addr *a, unsigned int len)
{
	return (struct prefix){ .addr = mask(a, len, false), .len = (uint8_t)len };
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int c = addr_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->len - (int)b->len;
}

bool prefix_eq(const struct prefix *a, const struct prefix *b)
{
	return prefix_cmp(a, b) == 0;
}

struct addr_range prefix_range(const struct prefix *p)
{
	return (struct addr_range){ .first = p->addr, .last = mask(&p->addr, p->len, true) };
}

bool addr_range_contains(const struct addr_range *r, const struct addr *a)
{
	return addr_cmp(&r->first, a) <= 0 && addr_cmp(a, &r->last) <= 0;
}

bool addr_range_overlaps(const struct addr_range *a, const struct addr_range *b)
{
	return addr_cmp(&a->first, &b->last) <= 0 && addr_cmp(&b->first, &a->last) <= 0;
}

size_t addr_ranges_find(const struct addr_range *ranges, size_t n, const struct addr *a)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr_cmp(&ranges[mid].last, a) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint64_t addr_range_count(const struct addr_range *r)
{
	unsigned __int128 first = 0, last = 0;

	for (unsigned int i = 0; i < addr_bits(&r->first) / 8; i++) {
		first = first << 8 | r->first.b[i];
		last = last << 8 | r->last.b[i];
	}
	unsigned __int128 span = last - first;
	return span >= UINT64_MAX ? UINT64_MAX : (uint64_t)span + 1;
}

const char *addr_range_format(const struct addr_range *r, char out[static ADDR_RANGE_STR_SIZE])
{
	char first[ADDR_STR_SIZE], last[ADDR_STR_SIZE];

	for (unsigned int len = 0; len <= addr_bits(&r->first); len++) {
		struct prefix p = prefix_of(&r->first, len);
		struct addr_range whole = prefix_range(&p);
		if (addr_eq(&whole.first, &r->first) && addr_eq(&whole.last, &r->last)) {
			snprintf(out, ADDR_RANGE_STR_SIZE, "%s/%u", addr_format(&r->first, first),
			         len);
			return out;
		}
	}
	snprintf(out, ADDR_RANGE_STR_SIZE, "%s-%s", addr_format(&r->first, first),
	         addr_format(&r->last, last));
	return out;
}
