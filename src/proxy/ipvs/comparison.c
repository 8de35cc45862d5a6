/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First the kernel lists all virtual servers, of which those are of interest that nobody wants;
 * then each one, by its mark, is asked for by itself, with its endpoints.  Nothing else happens
 * between that and the look at what is wanted of it, so whatever is written in the course of a
 * comparison is seen before or after, never half.
 */
#include "config.h"

#include "proxy/ipvs/comparison.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "proxy/ipvs/channel.h"
#include "proxy/ipvs/ledger.h"
#include "proxy/ipvs/virtual.h"

struct comparison {
	const struct ledger *ledger;
	uint8_t family;
	comparison_fn *found;
	void *arg;
	struct channel *channel;

	bool listed;
	uint32_t *marks; /* that are wanted or there; sorted once they are listed */
	size_t n, cap, at;

	/* of the one that is looked at */
	struct ipvs_server server;
	bool there; /* and ours */
	struct ipvs_endpoint *endpoints;
	size_t n_endpoints, cap_endpoints;
};

int comparison_new(const struct virtuals *v, uint8_t family, comparison_fn *found, void *arg,
                   struct comparison **ret_comparison, struct err *e)
{
	struct comparison *c = xcalloc(1, sizeof(*c));

	c->ledger = virtuals_ledger(v);
	c->family = family;
	c->found = found;
	c->arg = arg;
	int r = channel_open(&c->channel, e);
	if (r == 0) {
		r = channel_list_servers(c->channel);
		if (r < 0)
			err_set(e, r, ERR_SYSTEM, "virtual servers cannot be read: %s",
			        strerror(-r));
	}
	if (r < 0) {
		comparison_free(c);
		return r;
	}
	*ret_comparison = c;
	return 0;
}

void comparison_free(struct comparison *c)
{
	if (!c)
		return;
	channel_close(c->channel);
	free(c->marks);
	free(c->endpoints);
	free(c);
}

static struct virtual_id id_of(const struct comparison *c)
{
	return (struct virtual_id){ .mark = c->marks[c->at], .family = c->family };
}

static void find(const struct comparison *c, enum report_what what, const char *words)
{
	c->found(what, id_of(c), words, c->arg);
}

/* ---- which there are ---- */

static void note(struct virtual_id id, void *arg)
{
	struct comparison *c = arg;

	if (id.family != c->family)
		return;
	ARRAY_RESERVE(c->marks, c->cap, c->n + 1);
	c->marks[c->n++] = id.mark;
}

static void on_listed(const struct nlmsghdr *h, void *arg)
{
	struct ipvs_server s;

	if (ipvs_read_server(h, &s) && s.stamped)
		note(s.id, arg);
}

static int by_mark(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void sort(struct comparison *c)
{
	size_t n = 0;

	if (c->n > 0)
		qsort(c->marks, c->n, sizeof(*c->marks), by_mark);
	for (size_t i = 0; i < c->n; i++)
		if (n == 0 || c->marks[i] != c->marks[n - 1])
			c->marks[n++] = c->marks[i];
	c->n = n;
}

static int list(struct comparison *c)
{
	int r = channel_step(c->channel, on_listed, c);

	if (r != 0)
		return r;
	ledger_each_wanted(c->ledger, note, c);
	sort(c);
	c->listed = true;
	return 1;
}

/* ---- one of them, as the kernel has it ---- */

static void on_server(const struct nlmsghdr *h, void *arg)
{
	struct comparison *c = arg;

	c->there = ipvs_read_server(h, &c->server) && c->server.stamped;
}

static void on_endpoint(const struct nlmsghdr *h, void *arg)
{
	struct comparison *c = arg;

	ARRAY_RESERVE(c->endpoints, c->cap_endpoints, c->n_endpoints + 1);
	if (ipvs_read_endpoint(h, c->family, &c->endpoints[c->n_endpoints]))
		c->n_endpoints++;
}

/* @r: whether it could be asked for. */
static int read_all(struct comparison *c, int r, datagram_fn *fn)
{
	if (r < 0)
		return r;
	do
		r = channel_step(c->channel, fn, c);
	while (r == 1);
	return r;
}

static int read_one(struct comparison *c)
{
	c->there = false;
	c->n_endpoints = 0;
	int r = read_all(c, channel_ask_server(c->channel, id_of(c)), on_server);
	if (r == -ESRCH)
		return 0;
	if (r == 0 && c->there)
		r = read_all(c, channel_list_endpoints(c->channel, id_of(c)), on_endpoint);
	return r;
}

/* ---- what differs ---- */

static void put_endpoint(const struct virtual_endpoint *e, struct buf *out)
{
	buf_printf(out, e->addr.family == 4 ? "%s:%u" : "[%s]:%u", addr_str(&e->addr), e->port);
}

static int endpoint_cmp(const struct virtual_endpoint *a, const struct virtual_endpoint *b)
{
	int r = addr_cmp(&a->addr, &b->addr);

	return r ? r : (a->port > b->port) - (a->port < b->port);
}

static void find_endpoint(const struct comparison *c, enum report_what what,
                          const struct virtual_endpoint *e, const char *words)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	put_endpoint(e, &text);
	buf_puts(&text, words);
	find(c, what, buf_str(&text));
}

static void find_weight(const struct comparison *c, const struct ipvs_endpoint *has,
                        const struct server_endpoint *known)
{
	uint32_t wanted = known->wanted ? 1 : 0;

	if (!has->rewrites) {
		find_endpoint(c, REPORT_CHANGED, &has->endpoint, " is not reached by masquerading");
	} else if (has->weight != wanted) {
		cleanup_free char *words = xasprintf(" has weight %u instead of %u%s", has->weight,
		                                     wanted, wanted ? "" : ", as it goes");
		find_endpoint(c, REPORT_CHANGED, &has->endpoint, words);
	}
}

struct match {
	const struct virtual_endpoint *at;
	const struct ipvs_endpoint *has;     /* NULL: the kernel has not */
	const struct server_endpoint *known; /* NULL: nobody knows of it */
};

static int by_endpoint(const void *a, const void *b)
{
	const struct match *x = a, *y = b;

	return endpoint_cmp(x->at, y->at);
}

/* What the kernel has and what is known, side by side; @ret has room for all. */
static size_t match(const struct comparison *c, const struct server *s, struct match *ret)
{
	size_t n = 0, n_matches = 0;

	for (size_t i = 0; i < c->n_endpoints; i++)
		ret[n++] =
			(struct match){ .at = &c->endpoints[i].endpoint, .has = &c->endpoints[i] };
	for (size_t i = 0; i < s->n; i++)
		ret[n++] = (struct match){ .at = &s->list[i].at, .known = &s->list[i] };
	qsort(ret, n, sizeof(*ret), by_endpoint);
	for (size_t i = 0; i < n; i++) {
		struct match *last = n_matches ? &ret[n_matches - 1] : NULL;
		if (!last || endpoint_cmp(last->at, ret[i].at) != 0) {
			ret[n_matches++] = ret[i];
			continue;
		}
		last->has = last->has ? last->has : ret[i].has;
		last->known = last->known ? last->known : ret[i].known;
	}
	return n_matches;
}

/* Those that are wanted, from the oldest on; @all: matches, sorted. */
static bool is_in_order(const struct comparison *c, const struct match *all, size_t n)
{
	const struct virtual_endpoint *last = NULL;

	for (size_t i = c->n_endpoints; i-- > 0;) {
		const struct match key = { .at = &c->endpoints[i].endpoint };
		const struct match *m = bsearch(&key, all, n, sizeof(*all), by_endpoint);
		if (!m || !m->known || !m->known->wanted)
			continue;
		if (last && endpoint_cmp(last, m->at) > 0)
			return false;
		last = m->at;
	}
	return true;
}

static void compare_endpoints(const struct comparison *c, const struct server *s)
{
	cleanup_free struct match *all = xcalloc(c->n_endpoints + s->n + 1, sizeof(*all));
	size_t n = match(c, s, all);

	for (size_t i = 0; i < n; i++) {
		const struct match *m = &all[i];
		if (m->has && m->known)
			find_weight(c, m->has, m->known);
		else if (m->has)
			find_endpoint(c, REPORT_FOREIGN, m->at, "");
		else if (m->known->wanted)
			find_endpoint(c, REPORT_MISSING, m->at, "");
	}
	if (s->hashes && !is_in_order(c, all, n))
		find(c, REPORT_CHANGED,
		     "the order of endpoints, by which all nodes pick the same one");
}

static void compare_server(const struct comparison *c, const struct server *s)
{
	const struct ipvs_server *has = &c->server;

	if (strcmp(has->scheduler, s->scheduler) != 0) {
		cleanup_free char *words =
			xasprintf("scheduler %s instead of %s", has->scheduler, s->scheduler);
		find(c, REPORT_CHANGED, words);
	} else if (has->flags != s->flags) {
		cleanup_free char *words =
			xasprintf("flags 0x%x instead of 0x%x", has->flags, s->flags);
		find(c, REPORT_CHANGED, words);
	}
}

static void compare(const struct comparison *c, const struct server *s)
{
	if (s && s->wanted && c->there) {
		compare_server(c, s);
		compare_endpoints(c, s);
	} else if (s && s->wanted) {
		find(c, REPORT_MISSING, NULL);
	} else if (!s && c->there) {
		find(c, REPORT_FOREIGN, NULL);
	}
}

int comparison_step(struct comparison *c, bool patient)
{
	if (!c->listed)
		return list(c);
	if (c->at == c->n)
		return 0;
	if (patient && !ledger_is_at_rest(c->ledger, id_of(c)))
		return -EAGAIN;
	int r = read_one(c);
	if (r < 0)
		return r;
	compare(c, ledger_server(c->ledger, id_of(c)));
	c->at++;
	return 1;
}
