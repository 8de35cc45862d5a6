/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_HASH_H
#define FAIRLEAD_HASH_H

/*
 * The hash table for every room: uthash with a keyed function and an allocation failure that ends
 * the process, and a stable 64-bit hash for what nodes must agree on.
 *
 * Keys of tables come from outside: anybody who may write a Service chooses its name.  Under a hash
 * that everybody can compute, a few hundred crafted names fall into one chain, and uthash, which
 * sees that doubling the table does not help, never doubles it again, for anybody's objects.  So
 * tables hash by SipHash under a random key that each process keeps to itself.  Nothing may depend
 * on the order that follows from it; uthash iterates in the order of insertion, which does not.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/mem.h"

/* SipHash-1-3, and its low half under the key of this process. */
uint64_t hash_sip13(const void *data, size_t size, const uint64_t k[static 2]);
uint32_t hash_keyed(const void *data, size_t size);

#define HASH_FUNCTION(data, size, ret_hash)              \
	do {                                             \
		(ret_hash) = hash_keyed((data), (size)); \
	} while (0)
/*
 * Two doublings without effect stop uthash from growing for good; ours stops only while most of the
 * buckets are empty.
 */
#define uthash_noexpand_fyi(table) \
	((table)->noexpand = (table)->num_buckets / 4 > (table)->num_items)
#define uthash_malloc(size) xmalloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>

/*
 * FNV-1a with a final mix: the same on every machine and in every version, for digests and for what
 * nodes agree on.  Not for tables: anybody who chooses the data can choose the result.
 */
uint64_t hash64(const void *data, size_t size, uint64_t seed);
uint64_t hash64_str(const char *s, uint64_t seed);

/* FNV-1a without that mix, piece by piece: the first @h is HASH_FNV_BEGIN. */
#define HASH_FNV_BEGIN 0xcbf29ce484222325u
#define HASH_FNV_PRIME 0x100000001b3u
uint64_t hash_fnv(uint64_t h, const void *data, size_t size);

#endif
