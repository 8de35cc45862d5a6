/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash, Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with one round a word
 * and three at the end, as Rust and Python use it for their tables.
 */
#include "config.h"

#include "fairlead/hash.h"

#include <endian.h>
#include <string.h>

#include "fairlead/clock.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t key[2];

/* Before main(), so that no thread ever sees another key. */
__attribute__((constructor)) static void draw_key(void)
{
	clock_random(key, sizeof(key));
}

static uint64_t rotate(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

uint64_t hash_sip13(const void *data, size_t size, const uint64_t k[static 2])
{
	struct sip s = { .v0 = k[0] ^ 0x736f6d6570736575u,
		         .v1 = k[1] ^ 0x646f72616e646f6du,
		         .v2 = k[0] ^ 0x6c7967656e657261u,
		         .v3 = k[1] ^ 0x7465646279746573u };
	const uint8_t *p = data;
	uint64_t word;
	size_t left = size;

	for (; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sip_word(&s, le64toh(word));
	}
	word = (uint64_t)size << 56;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)p[i] << (8 * i);
	sip_word(&s, word);
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint32_t hash_keyed(const void *data, size_t size)
{
	return (uint32_t)hash_sip13(data, size, key);
}

uint64_t hash_fnv(uint64_t h, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * HASH_FNV_PRIME;
	return h;
}

uint64_t hash64(const void *data, size_t size, uint64_t seed)
{
	uint64_t h = hash_fnv(HASH_FNV_BEGIN ^ seed, data, size);

	/* FNV alone leaves the high bits poor for short keys: finish as splitmix64 does. */
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

uint64_t hash64_str(const char *s, uint64_t seed)
{
	return hash64(s, strlen(s), seed);
}
