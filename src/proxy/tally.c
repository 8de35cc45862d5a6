/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/tally.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"

struct amount {
	uint64_t packets, bytes;
};

struct total {
	struct amount of[TALLY_WHATS];
	UT_hash_handle hh;
	char service[];
};

/* Bytes only, so that equal keys are equal memory. */
struct counter_key {
	unsigned char id[TALLY_ID_MAX];
	uint8_t source, what;
};

struct counter {
	struct counter_key key;
	struct amount last;
	uint32_t reading; /* the last one that met it */
	UT_hash_handle hh;
};

struct tally {
	struct total *totals;
	struct counter *counters;
	uint32_t readings[TALLY_SOURCES];
	bool full[TALLY_SOURCES];
	size_t n_left_out[TALLY_SOURCES]; /* counters of Services that are too many, so far */
	bool left_out[TALLY_SOURCES], told;
};

struct tally *tally_new(void)
{
	return xcalloc(1, sizeof(struct tally));
}

void tally_free(struct tally *t)
{
	struct total *total, *next_total;
	struct counter *c, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->totals, total, next_total) {
		HASH_DEL(t->totals, total);
		free(total);
	}
	HASH_ITER(hh, t->counters, c, next) {
		HASH_DEL(t->counters, c);
		free(c);
	}
	free(t);
}

/* ---- a reading ---- */

void tally_begin(struct tally *t, unsigned int source)
{
	t->readings[source]++;
	t->n_left_out[source] = 0;
}

/* NULL: there are too many. */
static struct total *total_of(struct tally *t, const char *service)
{
	struct total *total;
	size_t size = strlen(service) + 1;

	HASH_FIND_STR(t->totals, service, total);
	if (total || HASH_COUNT(t->totals) >= TALLY_SERVICES_MAX)
		return total;
	total = xcalloc(1, sizeof(*total) + size);
	memcpy(total->service, service, size);
	HASH_ADD_STR(t->totals, service, total);
	return total;
}

static struct counter *counter_of(struct tally *t, unsigned int source, const void *id, size_t size,
                                  enum tally_what what)
{
	struct counter_key key = { .source = (uint8_t)source, .what = (uint8_t)what };
	struct counter *c;

	memcpy(key.id, id, size);
	HASH_FIND(hh, t->counters, &key, sizeof(key), c);
	if (c)
		return c;
	c = xcalloc(1, sizeof(*c));
	c->key = key;
	HASH_ADD(hh, t->counters, key, sizeof(c->key), c);
	return c;
}

void tally_count(struct tally *t, unsigned int source, const void *id, size_t size,
                 const char *service, enum tally_what what, uint64_t packets, uint64_t bytes)
{
	struct total *total = service ? total_of(t, service) : NULL;

	if (service && !total) {
		t->n_left_out[source]++;
		return;
	}
	struct counter *c = counter_of(t, source, id, size, what);
	/* One that went back was written anew, and counts from its beginning. */
	bool anew = packets < c->last.packets || bytes < c->last.bytes;
	if (total) {
		total->of[what].packets += packets - (anew ? 0 : c->last.packets);
		total->of[what].bytes += bytes - (anew ? 0 : c->last.bytes);
	}
	c->last = (struct amount){ packets, bytes };
	c->reading = t->readings[source];
}

static void forget_counters(struct tally *t, unsigned int source)
{
	struct counter *c, *next;

	HASH_ITER(hh, t->counters, c, next)
		if (c->key.source == source && t->readings[source] - c->reading > TALLY_MISSES) {
			HASH_DEL(t->counters, c);
			free(c);
		}
}

static void forget_services(struct tally *t, bool (*is_there)(const char *service, void *arg),
                            void *arg)
{
	struct total *total, *next;

	HASH_ITER(hh, t->totals, total, next)
		if (!is_there(total->service, arg)) {
			HASH_DEL(t->totals, total);
			free(total);
		}
}

static bool is_cut(const struct tally *t)
{
	bool cut = false;

	for (unsigned int i = 0; i < TALLY_SOURCES; i++)
		cut = cut || t->full[i] || t->left_out[i];
	return cut;
}

void tally_end(struct tally *t, unsigned int source, bool full,
               bool (*is_there)(const char *service, void *arg), void *arg)
{
	t->full[source] = full;
	t->left_out[source] = t->n_left_out[source] > 0;
	forget_counters(t, source);
	forget_services(t, is_there, arg);
	if (is_cut(t) && !t->told)
		log_warn(
			"more Services have traffic than are counted; metrics of some are left out",
			KV_I("services", HASH_COUNT(t->totals)));
	t->told = is_cut(t);
}

/* ---- metrics ---- */

static void put_connections(const struct tally *t, struct metrics_writer *w)
{
	metrics_family(w, METRIC_fairlead_service_connections_total);
	for (const struct total *s = t->totals; s; s = s->hh.next)
		metrics_sample(w, (double)s->of[TALLY_CONNECTIONS].packets, "service", s->service,
		               NULL);
}

static void put_amounts(const struct tally *t, enum metric family, bool bytes,
                        struct metrics_writer *w)
{
	metrics_family(w, family);
	for (const struct total *s = t->totals; s; s = s->hh.next)
		for (int what = TALLY_TO; what <= TALLY_FROM; what++) {
			const struct amount *a = &s->of[what];
			metrics_sample(w, (double)(bytes ? a->bytes : a->packets), "service",
			               s->service, "direction", what == TALLY_TO ? "to" : "from",
			               NULL);
		}
}

void tally_metrics(const struct tally *t, bool packets, struct metrics_writer *w)
{
	put_connections(t, w);
	if (packets) {
		put_amounts(t, METRIC_fairlead_service_packets_total, false, w);
		put_amounts(t, METRIC_fairlead_service_bytes_total, true, w);
	}
	metrics_value(w, METRIC_fairlead_service_metrics_cut, is_cut(t));
}
