/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_HASH_H
#define FAIRLEAD_HASH_H

/*
 * The hash table for every room: uthash with its fast function and an allocation failure that ends the
 * process, and a stable 64-bit hash for what nodes must agree upon.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/mem.h"

#define HASH_FUNCTION HASH_SFH
#define uthash_malloc(size) xmalloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>

/* FNV-1a with a final mix: the same on every machine and in every version; not for hostile keys. */
uint64_t hash64(const void *data, size_t size, uint64_t seed);
uint64_t hash64_str(const char *s, uint64_t seed);

#endif
