/* SPDX-License-Identifier: Apache-2.0 */
/* Who has what by the journal: each entry says all that its Service has from then on. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/hash.h"
#include "fairlead/journal.h"
#include "fairlead/mem.h"

struct holder {
	struct journal_holder is;
	char *service, *uid;
	bool marked;
	UT_hash_handle hh;
};

struct journal_holders {
	struct holder *all;
};

struct journal_holders *journal_holders_new(void)
{
	return xcalloc(1, sizeof(struct journal_holders));
}

static void holder_free(struct holder *holder)
{
	free(holder->service);
	free(holder->uid);
	free(holder);
}

void journal_holders_free(struct journal_holders *h)
{
	struct holder *holder, *next;

	if (!h)
		return;
	HASH_ITER(hh, h->all, holder, next) {
		HASH_DEL(h->all, holder);
		holder_free(holder);
	}
	free(h);
}

static struct holder *find(const struct journal_holders *h, const char *service)
{
	struct holder *holder;

	HASH_FIND_STR(h->all, service, holder);
	return holder;
}

static struct holder *get(struct journal_holders *h, const char *service)
{
	struct holder *holder = find(h, service);

	if (!holder) {
		holder = xcalloc(1, sizeof(*holder));
		holder->service = xstrdup(service);
		holder->is.service = holder->service;
		HASH_ADD_KEYPTR(hh, h->all, holder->service, strlen(holder->service), holder);
	}
	return holder;
}

/* Since when it has what an entry names. */
static int64_t since_of(const struct journal_entry *e)
{
	return e->event == JOURNAL_FOUND ? 0 : e->event == JOURNAL_KEPT ? e->since_us : e->time_us;
}

/* What it had before, and still has, it has since then. */
static void take_over(const struct journal_holder *was, const struct journal_entry *e,
                      struct journal_holder *now)
{
	for (size_t i = 0; i < e->n; i++) {
		now->addrs[i] = e->addrs[i];
		now->since_us[i] = since_of(e);
		for (size_t k = 0; k < was->n; k++)
			if (addr_eq(&was->addrs[k], &e->addrs[i]))
				now->since_us[i] = was->since_us[k];
	}
	now->n = e->n;
	now->told_us = e->time_us;
}

void journal_holders_put(struct journal_holders *h, const struct journal_entry *e)
{
	static const struct journal_holder nothing = { .n = 0 };

	if (!e->service || e->event == JOURNAL_LOST)
		return;
	struct holder *holder = get(h, e->service);
	bool same = holder->uid && e->uid && !strcmp(holder->uid, e->uid);
	struct journal_holder now = { .service = holder->service };
	take_over(same ? &holder->is : &nothing, e, &now);
	if (!same) {
		free(holder->uid);
		holder->uid = xstrdup_null(e->uid);
	}
	now.uid = holder->uid;
	holder->is = now;
}

const struct journal_holder *journal_holder_of(const struct journal_holders *h, const char *service)
{
	const struct holder *holder = find(h, service);

	return holder ? &holder->is : NULL;
}

bool journal_says(const struct journal_holders *h, const char *service, const char *uid,
                  const struct addr *addrs, size_t n)
{
	const struct holder *holder = find(h, service);

	if (!holder)
		return n == 0;
	return addrs_same_set(holder->is.addrs, holder->is.n, addrs, n) &&
	       (n == 0 || (holder->uid && !strcmp(holder->uid, uid)));
}

void journal_holders_mark(struct journal_holders *h, const char *service)
{
	struct holder *holder = find(h, service);

	if (holder)
		holder->marked = true;
}

static int by_service(const struct holder *a, const struct holder *b)
{
	return strcmp(a->service, b->service);
}

void journal_holders_rest(struct journal_holders *h,
                          void (*put)(const struct journal_holder *holder, void *arg), void *arg)
{
	HASH_SORT(h->all, by_service);
	for (const struct holder *holder = h->all; holder; holder = holder->hh.next)
		if (!holder->marked && holder->is.n > 0)
			put(&holder->is, arg);
}
