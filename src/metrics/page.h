/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_METRICS_PAGE_H
#define FAIRLEAD_METRICS_PAGE_H

/*
 * Pages that are expensive to make, /status and /metrics: rendered once for all clients who ask
 * within a while, kept as long as one of them still reads.  Times in ms, costs in ns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"

/* A finished page, shared by all that send it. */
struct page {
	size_t n_refs;
	struct page_cache *of; /* where its size is counted; outlives it */
	char *data;
	size_t size;
};

/* The pages of one kind: the newest, and what is still being read of older ones. */
struct page_cache {
	struct page *page; /* NULL: none is kept */
	int64_t made_ms, fresh_until_ms;
	size_t last_size, bytes;
};

struct page *page_ref(struct page *p);
void page_unref(struct page *p);

enum page_state { PAGE_CACHED, PAGE_RENDER, PAGE_NO_ROOM };

/* What to do for a client who asks at @now_ms: send c->page, make a new one, or refuse. */
enum page_state page_cache_look(const struct page_cache *c, int64_t now_ms);
/* Keeps a page that took @cost_ns to make.  Takes the bytes of @b, and leaves it empty. */
void page_cache_put(struct page_cache *c, struct buf *b, int64_t now_ms, int64_t cost_ns);
/* Lets go of a page that is fresh no longer and that nobody reads. */
void page_cache_expire(struct page_cache *c, int64_t now_ms);
void page_cache_fini(struct page_cache *c);

#endif
