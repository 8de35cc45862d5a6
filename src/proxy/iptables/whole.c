/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/whole.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/spec.h"
#include "proxy/traffic.h"

/* A line in a bucket. */
struct dispatch_line {
	unsigned int bucket;
	bool after;
	size_t number; /* in the order of coming, which is that of the Services' keys */
	const char *key;
	char *rule;
};

struct whole {
	struct render_options o;
	struct spec **specs; /* by key */
	size_t n, next;
	struct dispatch_line *lines;
	size_t n_lines, cap_lines, next_line;
	bool sorted;
	struct chain scratch;
	const char **keys; /* of the chain at hand */
	size_t cap_keys;
	/* of this step */
	whole_chain_fn *fn;
	void *arg;
	size_t n_chains;
};

static int spec_cmp(const void *a, const void *b)
{
	const struct spec *const *x = a, *const *y = b;

	return traffic_precedence(&(*x)->s, &(*y)->s);
}

struct whole *whole_new(const struct render_options *o, struct spec *const *specs, size_t n)
{
	struct whole *w = xcalloc(1, sizeof(*w));

	w->o = *o;
	w->n = n;
	w->specs = xcalloc(n + 1, sizeof(struct spec *));
	if (n)
		memcpy(w->specs, specs, n * sizeof(struct spec *));
	qsort(w->specs, n, sizeof(struct spec *), spec_cmp);
	return w;
}

void whole_free(struct whole *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		spec_unref(w->specs[i]);
	for (size_t i = 0; i < w->n_lines; i++)
		free(w->lines[i].rule);
	chain_fini(&w->scratch);
	free(w->specs);
	free(w->lines);
	free(w->keys);
	free(w);
}

static void give(struct whole *w, const struct chain *c)
{
	w->n_chains++;
	w->fn(c, w->keys, w->arg);
}

static void reserve_keys(struct whole *w, size_t n)
{
	ARRAY_RESERVE(w->keys, w->cap_keys, n + 1);
}

/* All rules are for the one Service, or for none. */
static void give_for(struct whole *w, const struct chain *c, const char *key)
{
	reserve_keys(w, c->n_rules);
	for (size_t i = 0; i < c->n_rules; i++)
		w->keys[i] = key;
	give(w, c);
}

/* ---- Services ---- */

static void on_chain(const struct chain *c, void *arg)
{
	struct whole *w = arg;

	give_for(w, c, w->specs[w->next]->s.key);
}

static void on_line(unsigned int bucket, bool after, const char *rule, void *arg)
{
	struct whole *w = arg;

	ARRAY_RESERVE(w->lines, w->cap_lines, w->n_lines + 1);
	w->lines[w->n_lines] = (struct dispatch_line){ .bucket = bucket,
		                                       .after = after,
		                                       .number = w->n_lines,
		                                       .key = w->specs[w->next]->s.key,
		                                       .rule = xstrdup(rule) };
	w->n_lines++;
}

static void step_service(struct whole *w)
{
	const struct proxy_half *s = &w->specs[w->next]->s;

	render_service(&w->o, s, on_chain, w);
	render_dispatch(&w->o, s, on_line, w);
	w->next++;
}

/* ---- buckets ---- */

static int line_cmp(const void *a, const void *b)
{
	const struct dispatch_line *x = a, *y = b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	if (x->after != y->after)
		return x->after - y->after;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void step_bucket(struct whole *w)
{
	unsigned int bucket = w->lines[w->next_line].bucket;
	char name[CHAIN_NAME_SIZE];

	bucket_name(bucket, name);
	chain_begin(&w->scratch, name, NULL);
	for (; w->next_line < w->n_lines && w->lines[w->next_line].bucket == bucket;
	     w->next_line++) {
		const struct dispatch_line *l = &w->lines[w->next_line];
		reserve_keys(w, w->scratch.n_rules + 1);
		w->keys[w->scratch.n_rules] = l->key;
		chain_bucket_rule(&w->scratch, l->after, l->rule);
	}
	give(w, &w->scratch);
}

/* ---- the frame ---- */

static void on_frame(const struct chain *c, void *arg)
{
	give_for(arg, c, NULL);
}

static bool in_use(unsigned int bucket, void *arg)
{
	const struct whole *w = arg;
	size_t low = 0, high = w->n_lines;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (w->lines[mid].bucket < bucket)
			low = mid + 1;
		else
			high = mid;
	}
	return low < w->n_lines && w->lines[low].bucket == bucket;
}

static void step_frame(struct whole *w)
{
	render_frame(&w->o, on_frame, w);
	for (int kind = 0; kind < BUCKET_KINDS; kind++) {
		render_index(&w->o, (enum bucket_kind)kind, in_use, w, &w->scratch);
		give_for(w, &w->scratch, NULL);
	}
}

bool whole_step(struct whole *w, size_t n_chains, whole_chain_fn *fn, void *arg)
{
	w->fn = fn;
	w->arg = arg;
	for (w->n_chains = 0; w->n_chains < n_chains;) {
		if (w->next < w->n) {
			step_service(w);
			continue;
		}
		if (!w->sorted && w->n_lines)
			qsort(w->lines, w->n_lines, sizeof(*w->lines), line_cmp);
		w->sorted = true;
		if (w->next_line == w->n_lines) {
			step_frame(w);
			return false;
		}
		step_bucket(w);
	}
	return true;
}
