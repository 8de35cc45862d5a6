/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/hash.h"

#include <string.h>

uint64_t hash64(const void *data, size_t size, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325u ^ seed;
	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	/* FNV alone leaves the high bits poor for short keys: finish as splitmix64 does. */
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

uint64_t hash64_str(const char *s, uint64_t seed)
{
	return hash64(s, strlen(s), seed);
}
