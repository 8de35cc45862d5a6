/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rendering runs in the thread that renews the lease, so what clients can make it do is bounded as
 * a share of its time, however fast they ask and however large the cluster is: a page stays fresh
 * for twenty times as long as it took to make.  A small cluster's page is never older than a
 * moment; one that took 50 ms serves for a second.
 *
 * Memory is bounded by what is still being read: a client who does not read keeps the page it began
 * with.  If there is no room for another, others get that same one while it is not too old, and
 * then none until its readers are gone, for whom there are deadlines.
 */
#include "config.h"

#include "metrics/page.h"

#include <stdlib.h>

#include "fairlead/limits.h"
#include "fairlead/mem.h"

#define SHARE 20
#define FRESH_MAX_MS 10000
#define STALE_MAX_MS 15000

struct page *page_ref(struct page *p)
{
	p->n_refs++;
	return p;
}

void page_unref(struct page *p)
{
	if (!p || --p->n_refs)
		return;
	p->of->bytes -= p->size;
	free(p->data);
	free(p);
}

enum page_state page_cache_look(const struct page_cache *c, int64_t now_ms)
{
	/* The one that is kept goes as soon as the new one is there, if nobody reads it. */
	size_t others = c->bytes - (c->page && c->page->n_refs == 1 ? c->page->size : 0);

	if (c->page && now_ms < c->fresh_until_ms)
		return PAGE_CACHED;
	/*
	 * Two have room, however large they are: else the first of the slow readers would keep out
	 * everybody.
	 */
	if (others + c->last_size <= LIMIT_HTTP_PAGES_BYTES || others <= c->last_size)
		return PAGE_RENDER;
	return c->page && now_ms - c->made_ms < STALE_MAX_MS ? PAGE_CACHED : PAGE_NO_ROOM;
}

void page_cache_put(struct page_cache *c, struct buf *b, int64_t now_ms, int64_t cost_ns)
{
	int64_t fresh_ms = cost_ns / 1000 * SHARE / 1000;
	struct page *p = xcalloc(1, sizeof(*p));

	page_unref(c->page);
	*p = (struct page){ .n_refs = 1, .of = c, .size = b->size };
	p->data = xrealloc(buf_take(b), p->size + 1);
	c->page = p;
	c->made_ms = now_ms;
	c->fresh_until_ms = now_ms + (fresh_ms < FRESH_MAX_MS ? fresh_ms : FRESH_MAX_MS);
	c->last_size = p->size;
	c->bytes += p->size;
}

void page_cache_expire(struct page_cache *c, int64_t now_ms)
{
	if (!c->page || now_ms < c->fresh_until_ms || c->page->n_refs > 1)
		return;
	page_unref(c->page);
	c->page = NULL;
}

void page_cache_fini(struct page_cache *c)
{
	page_unref(c->page);
	c->page = NULL;
}
