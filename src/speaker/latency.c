/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/latency.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"

/* A Service with changes under way. */
struct change {
	char *key;
	int64_t noted_us, given_us; /* of the first of each stage; 0: none */
	UT_hash_handle hh;
};

struct latency {
	struct change *changes;
	struct histogram seconds;
};

struct latency *latency_new(void)
{
	return xcalloc(1, sizeof(struct latency));
}

static void change_free(struct latency *l, struct change *c)
{
	HASH_DEL(l->changes, c);
	free(c->key);
	free(c);
}

void latency_free(struct latency *l)
{
	struct change *c, *next;

	if (!l)
		return;
	HASH_ITER(hh, l->changes, c, next)
		change_free(l, c);
	free(l);
}

static struct change *find(const struct latency *l, const char *key)
{
	struct change *c;

	HASH_FIND_STR(l->changes, key, c);
	return c;
}

static void take_earlier(int64_t *first_us, int64_t us)
{
	if (us && (!*first_us || us < *first_us))
		*first_us = us;
}

void latency_note(struct latency *l, const char *key, int64_t trigger_us, int64_t now_us)
{
	struct change *c = find(l, key);

	if (trigger_us <= 0 || trigger_us > now_us || now_us - trigger_us > LATENCY_MAX_US)
		return;
	if (!c) {
		c = xcalloc(1, sizeof(*c));
		c->key = xstrdup(key);
		HASH_ADD_KEYPTR(hh, l->changes, c->key, strlen(c->key), c);
	}
	take_earlier(&c->noted_us, trigger_us);
}

void latency_give(struct latency *l, const char *key, bool applied)
{
	struct change *c = find(l, key);

	if (!c)
		return;
	if (!applied)
		take_earlier(&c->given_us, c->noted_us);
	c->noted_us = 0;
	if (!c->given_us)
		change_free(l, c);
}

void latency_forget(struct latency *l, const char *key)
{
	struct change *c = find(l, key);

	if (c)
		change_free(l, c);
}

void latency_settle(struct latency *l, bool (*is_applied)(const char *key, void *arg), void *arg,
                    int64_t now_us)
{
	struct change *c, *next;

	HASH_ITER(hh, l->changes, c, next) {
		if (!c->given_us || !is_applied(c->key, arg))
			continue;
		histogram_observe(&l->seconds, (double)(now_us - c->given_us) / 1e6);
		c->given_us = 0;
		if (!c->noted_us)
			change_free(l, c);
	}
}

const struct histogram *latency_histogram(const struct latency *l)
{
	return &l->seconds;
}
