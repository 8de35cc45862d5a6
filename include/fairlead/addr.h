/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_ADDR_H
#define FAIRLEAD_ADDR_H

/*
 * IP addresses, prefixes and ranges, IPv4 and IPv6 alike.  Plain values: copy, compare, zero them.
 * Addresses are in network byte order; IPv4 uses the first four bytes and leaves the rest zero, so
 * that equal addresses are equal bytes and a struct addr can be a hash key.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
	uint8_t family; /* 4, 6, or 0 for none */
	uint8_t b[16];
};

struct prefix {
	struct addr addr; /* host bits zero after prefix_parse() */
	uint8_t len;      /* 0..32 or 0..128 */
};

/* Both ends included; first <= last; one family. */
struct addr_range {
	struct addr first;
	struct addr last;
};

#define ADDR_STR_SIZE INET6_ADDRSTRLEN
#define PREFIX_STR_SIZE (ADDR_STR_SIZE + 4)
#define ADDR_RANGE_STR_SIZE (2 * ADDR_STR_SIZE + 1)

/*
 * "192.0.2.1" or "2001:db8::1"; -EINVAL for anything else.  Leading zeros in IPv4 parts are
 * decimal, as the API server reads them in old objects; an IPv4-mapped IPv6 address becomes the
 * IPv4 one; zones are refused.
 */
int addr_parse(const char *s, struct addr *ret_addr);
struct addr addr_from_in(struct in_addr in);
struct addr addr_from_in6(const struct in6_addr *in6);
/* RFC 5952 text in @out, which is also returned. */
const char *addr_format(const struct addr *a, char out[static ADDR_STR_SIZE]);
/* Families first (4 before 6), then numerically. */
int addr_cmp(const struct addr *a, const struct addr *b);
bool addr_eq(const struct addr *a, const struct addr *b);
void addrs_sort(struct addr *addrs, size_t n);
bool addrs_contain(const struct addr *addrs, size_t n, const struct addr *a);
/* Whether any is of that family. */
bool addrs_have_family(const struct addr *addrs, size_t n, uint8_t family);
/* Whether both hold the same addresses, in any order. */
bool addrs_same_set(const struct addr *a, size_t n_a, const struct addr *b, size_t n_b);
bool addr_is_none(const struct addr *a);
/* Bytes of b in an address of this family: 4 or 16. */
static inline size_t addr_size(uint8_t family)
{
	return family == 4 ? 4 : 16;
}
/* Bits in an address of this family: 32 or 128. */
unsigned int addr_bits(const struct addr *a);
/* *@a + 1 into *@ret; false where it would wrap. */
bool addr_next(const struct addr *a, struct addr *ret_next);
/* *@a - 1 likewise. */
bool addr_previous(const struct addr *a, struct addr *ret_previous);
/*
 * Whether it ends in .0 or .255 (IPv4 only): some client routers take those for broadcast
 * addresses.
 */
bool addr_is_buggy(const struct addr *a);
/*
 * Whether it is unspecified (0.0.0.0/8, ::), loopback, link-local, multicast or reserved
 * (240.0.0.0/4): never the address of a Service.
 */
bool addr_is_special(const struct addr *a);
/* The ranges of those, in order; how many. */
size_t addr_special_ranges(const struct addr_range **ret_ranges);
/*
 * Short for printf: formats into one of several thread-local buffers; good for eight uses at a
 * time.
 */
const char *addr_str(const struct addr *a);

/*
 * "192.0.2.0/24"; host bits are cleared.  @allow_bare: also takes a lone address, as a /32 or /128.
 */
int prefix_parse(const char *s, bool allow_bare, struct prefix *ret_prefix);
const char *prefix_format(const struct prefix *p, char out[static PREFIX_STR_SIZE]);
bool prefix_contains(const struct prefix *p, const struct addr *a);
struct prefix prefix_of(const struct addr *a, unsigned int len);
int prefix_cmp(const struct prefix *a, const struct prefix *b);
bool prefix_eq(const struct prefix *a, const struct prefix *b);
struct addr_range prefix_range(const struct prefix *p);

bool addr_range_contains(const struct addr_range *r, const struct addr *a);
bool addr_range_overlaps(const struct addr_range *a, const struct addr_range *b);
/* Of @n ranges in order without overlaps, the first that ends at @a or after it; @n: none does. */
size_t addr_ranges_find(const struct addr_range *ranges, size_t n, const struct addr *a);
/* How many addresses, UINT64_MAX if more. */
uint64_t addr_range_count(const struct addr_range *r);
/* "first-last", or the CIDR where it is exactly one. */
const char *addr_range_format(const struct addr_range *r, char out[static ADDR_RANGE_STR_SIZE]);

/*
 * All addresses of all interfaces, in a new array for free().  Blocks for the kernel alone; a
 * negative errno.
 */
int addrs_of_machine(struct addr **ret_addrs, size_t *ret_n);

#endif
