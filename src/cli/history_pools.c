/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal says of pools: since when an address is held, and whether a pool fills. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/history.h"
#include "fairlead/configuration.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define GROWTH_DAYS 30

/* ---- since when ---- */

static int64_t since_of(const struct history *h, const char *key, const struct addr *a)
{
	const struct journal_holder *holder = journal_holder_of(h->holders, key);

	for (size_t i = 0; holder && i < holder->n; i++)
		if (addr_eq(&holder->addrs[i], a))
			return holder->since_us[i];
	return 0;
}

int64_t history_held_since(const struct history *h, const char *service, const struct addr *a)
{
	cleanup_free char *external = xasprintf("%s (external IPs)", service);

	if (!h->holders)
		return 0;
	int64_t since_us = since_of(h, service, a);
	return since_us ? since_us : since_of(h, external, a);
}

/* ---- growth ---- */

/* An address, and how many have it. */
struct tally {
	struct addr addr;
	unsigned int n;
	UT_hash_handle hh;
};

static struct tally *tally_of(struct tally **all, const struct addr *a)
{
	struct tally *t;

	HASH_FIND(hh, *all, a, sizeof(*a), t);
	if (!t) {
		t = xcalloc(1, sizeof(*t));
		t->addr = *a;
		HASH_ADD(hh, *all, addr, sizeof(t->addr), t);
	}
	return t;
}

static void tally_free(struct tally *all)
{
	struct tally *t, *next;

	HASH_ITER(hh, all, t, next) {
		HASH_DEL(all, t);
		free(t);
	}
}

/* 1 if nobody had it before. */
static int taken(struct tally **all, const struct addr *a)
{
	return tally_of(all, a)->n++ == 0;
}

/* -1 if nobody has it any more; who gives up what the journal never gave had it before it began. */
static int given_up(struct tally **all, const struct addr *a)
{
	struct tally *t = tally_of(all, a);

	t->n -= t->n > 0;
	return t->n ? 0 : -1;
}

static bool is_of(const struct config_pool *p, uint8_t family, const struct addr *a)
{
	return a->family == family && config_pool_contains(p, a);
}

/* By how many addresses of the pool an entry lets more of them be held. */
static int gain_of(struct tally **all, const struct config_pool *p, uint8_t family,
                   const struct journal_entry *e)
{
	bool was_so = e->event == JOURNAL_FOUND || e->event == JOURNAL_KEPT;
	int gain = 0;

	for (size_t i = 0; i < e->n_before; i++)
		if (is_of(p, family, &e->before[i]) &&
		    !addrs_contain(e->addrs, e->n, &e->before[i]))
			gain += given_up(all, &e->before[i]);
	for (size_t i = 0; i < e->n; i++)
		if (is_of(p, family, &e->addrs[i]) &&
		    !addrs_contain(e->before, e->n_before, &e->addrs[i]))
			gain += taken(all, &e->addrs[i]);
	return was_so ? 0 : gain;
}

void history_growth_of(const struct history *h, const struct config_pool *p, uint8_t family,
                       int64_t now_us, struct history_growth *ret)
{
	int64_t since_us = now_us - GROWTH_DAYS * DAY_US;
	struct tally *all = NULL;

	*ret = (struct history_growth){ .days = 0 };
	if (h->n == 0)
		return;
	if (since_us < h->entries[0].time_us)
		since_us = h->entries[0].time_us;
	for (size_t i = 0; i < h->n; i++) {
		const struct journal_entry *e = &h->entries[i];
		int gain = gain_of(&all, p, family, e);
		if (e->event == JOURNAL_LOST && e->time_us > since_us) {
			since_us = e->time_us;
			ret->gained = 0;
		}
		if (e->time_us >= since_us)
			ret->gained += gain;
	}
	tally_free(all);
	ret->days = now_us > since_us ? (now_us - since_us) / DAY_US : 0;
}
