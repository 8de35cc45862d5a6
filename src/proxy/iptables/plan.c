/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a batch.
 *
 * Of each table: first the chains that change are declared, which creates or empties them, then
 * their rules, then the ones that go are deleted; all of it is one transaction of the kernel.  A
 * chain that goes is declared too, so that neither its own rules nor its absence are in the way.
 * Which chains change falls out of digests: everything that the batch's Services touch is rendered,
 * and what the kernel has already is left out.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/iptables/model_private.h"
#include "proxy/traffic.h"

struct section {
	struct buf chains, rules, deletes;
};

struct batch {
	struct model *m;
	struct section tables[2]; /* by enum chain_table */
	size_t n_lines;
	struct chain scratch;
};

static void add_change(struct batch *b, struct record *r, uint64_t hash, bool gone)
{
	struct model *m = b->m;

	ARRAY_RESERVE(m->changes, m->cap_changes, m->n_changes + 1);
	m->changes[m->n_changes++] = (struct change){ r, hash, gone };
	buf_printf(&b->tables[chain_table(r->name)].chains, ":%s - [0:0]\n", r->name);
	b->n_lines++;
}

/* Writes the chain unless the kernel already has it like that. */
static void put_chain(const struct chain *c, void *arg)
{
	struct batch *b = arg;
	struct record *r = model_record(b->m, c->name);

	if (!r)
		r = model_record_new(b->m, c->name);
	uint64_t hash = chain_hash(c);
	bool twice = r->batch == b->m->batch;
	r->batch = b->m->batch;
	r->wanted = true;
	if (twice || (r->present && r->have == hash))
		return;
	add_change(b, r, hash, false);
	chain_write(c, hash, &b->tables[chain_table(c->name)].rules);
	b->n_lines += c->n_rules;
}

static void delete_record(struct batch *b, struct record *r)
{
	r->batch = b->m->batch;
	add_change(b, r, CHAIN_UNKNOWN, true);
	buf_printf(&b->tables[chain_table(r->name)].deletes, "-X %s\n", r->name);
	b->n_lines++;
}

/* A chain of a Service's old form that no Service of this batch renders. */
static void delete_if_unused(const struct chain *c, void *arg)
{
	struct batch *b = arg;
	struct record *r = model_record(b->m, c->name);

	if (r && r->present && r->batch != b->m->batch)
		delete_record(b, r);
}

static void touch(struct model *m, unsigned int bucket)
{
	if (m->buckets[bucket].touched)
		return;
	m->buckets[bucket].touched = true;
	ARRAY_RESERVE(m->touched, m->cap_touched, m->n_touched + 1);
	m->touched[m->n_touched++] = bucket;
}

static void touch_line(unsigned int bucket, bool after, const char *rule, void *arg)
{
	(void)after;
	(void)rule;
	touch(arg, bucket);
}

/* Lines of one bucket, one pass for those that come first and one for those after. */
struct bucket_lines {
	bool after;
	struct chain *c;
};

static void bucket_line(unsigned int bucket, bool after, const char *rule, void *arg)
{
	const struct bucket_lines *l = arg;

	(void)bucket;
	if (after == l->after)
		chain_bucket_rule(l->c, after, rule);
}

static int by_precedence(const void *a, const void *b)
{
	const struct proxy_half *const *x = a, *const *y = b;

	return traffic_precedence(*x, *y);
}

/* What the batch leaves in the bucket, as packets are to meet it; how many, for free(). */
static size_t members_of(const struct bucket *k, const struct proxy_half ***ret)
{
	const struct proxy_half **halves = xcalloc(k->n + 1, sizeof(*halves));
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++) {
		const struct service *s = k->members[i];
		const struct spec *spec = s->in_batch ? s->flying : s->have;
		if (spec)
			halves[n++] = &spec->s;
	}
	qsort(halves, n, sizeof(*halves), by_precedence);
	*ret = halves;
	return n;
}

static void put_bucket(struct batch *b, unsigned int number)
{
	struct bucket *k = &b->m->buckets[number];
	cleanup_free const struct proxy_half **halves = NULL;
	size_t n = members_of(k, &halves);
	char name[CHAIN_NAME_SIZE];

	bucket_name(number, name);
	chain_begin(&b->scratch, name, NULL);
	for (int after = 0; after <= (bucket_kind(number) == BUCKET_FILTER_ADDR); after++) {
		struct bucket_lines lines = { after, &b->scratch };
		for (size_t i = 0; i < n; i++)
			render_bucket(&b->m->o, halves[i], number, bucket_line, &lines);
	}
	k->next_used = b->scratch.n_rules > 0;
	if (k->next_used) {
		put_chain(&b->scratch, b);
		return;
	}
	struct record *r = model_record(b->m, name);
	if (r && r->present)
		delete_record(b, r);
}

static bool bucket_in_use(unsigned int bucket, void *arg)
{
	const struct model *m = arg;
	const struct bucket *k = &m->buckets[bucket];

	return k->touched ? k->next_used : k->used;
}

static void put_services(struct batch *b)
{
	struct model *m = b->m;
	const struct section *nat = &b->tables[CHAIN_NAT];

	for (size_t i = 0; i < m->n_flight; i++) {
		const struct spec *spec = m->flight[i]->flying;
		if (!spec)
			continue;
		if (nat->chains.size + nat->rules.size > m->max_bytes)
			model_shorten_flight(m, i);
		else
			render_service(&m->o, &spec->s, put_chain, b);
		m->rendered++;
	}
	for (size_t i = 0; i < m->n_flight; i++) {
		struct service *s = m->flight[i];
		if (s->have) {
			/*
			 * Until everything was swept, chains of unknown form may lead there.
			 */
			if (s->have != s->flying && !m->sweep)
				render_service(&m->o, &s->have->s, delete_if_unused, b);
			render_dispatch(&m->o, &s->have->s, touch_line, m);
		}
		if (s->flying) {
			model_join_buckets(m, s, s->flying);
			render_dispatch(&m->o, &s->flying->s, touch_line, m);
		}
	}
}

static void put_buckets(struct batch *b)
{
	struct model *m = b->m;

	for (unsigned int i = 0; m->any_dirty && i < BUCKETS; i++)
		if (m->buckets[i].dirty)
			touch(m, i);
	for (size_t i = 0; i < m->n_touched; i++)
		put_bucket(b, m->touched[i]);
}

static void want_chain(const struct chain *c, void *arg)
{
	struct record *r = model_record(arg, c->name);

	if (r)
		r->wanted = true;
}

/*
 * Notes anew who is wanted: what leads to somewhere in the kernel now, beside what this batch has
 * rendered.
 */
static void note_wanted(struct model *m)
{
	char name[CHAIN_NAME_SIZE];

	for (struct record *r = m->records; r; r = r->hh.next)
		r->wanted = false;
	for (const struct service *s = m->services; s; s = s->hh.next)
		if (s->have)
			render_service(&m->o, &s->have->s, want_chain, m);
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct record *r = NULL;
		bucket_name(i, name);
		if (bucket_in_use(i, m))
			r = model_record(m, name);
		if (r)
			r->wanted = true;
	}
}

static void sweep(struct batch *b)
{
	struct record *r, *next;

	if (b->m->moved)
		note_wanted(b->m);
	HASH_ITER(hh, b->m->records, r, next) {
		if (r->present && !r->wanted && r->batch != b->m->batch)
			delete_record(b, r);
	}
}

static void put_jump(struct batch *b, const struct render_jump *j)
{
	const struct path_place *at = &b->m->accept;
	struct buf *out = &b->tables[j->table].rules;

	if (!j->accepts)
		buf_printf(out, "-I %s 1 -j %s\n", j->builtin, j->target);
	else if (at->number)
		buf_printf(out, "-I %s %zu -j %s\n", at->chain, at->number, j->target);
	else
		buf_printf(out, "-A %s -j %s\n", at->chain, j->target);
	b->n_lines++;
}

static void put_jumps(struct batch *b)
{
	for (size_t i = 0; i < b->m->n_strays; i++) {
		const struct stray *s = &b->m->strays[i];
		buf_printf(&b->tables[s->table].rules, "-D %s\n", s->rule);
		b->n_lines++;
	}
	/* The accepting one first: its place was counted before any other rule is put in. */
	for (int accepts = 1; accepts >= 0; accepts--)
		for (size_t i = 0; i < RENDER_JUMPS; i++)
			if (b->m->missing_jumps[i] && render_jumps[i].accepts == accepts)
				put_jump(b, &render_jumps[i]);
}

static void put_table(struct batch *b, enum chain_table table, struct buf *out)
{
	struct section *s = &b->tables[table];

	if (s->chains.size + s->rules.size + s->deletes.size > 0) {
		buf_printf(out, "*%s\n", chain_table_name(table));
		buf_add(out, s->chains.data, s->chains.size);
		buf_add(out, s->rules.data, s->rules.size);
		buf_add(out, s->deletes.data, s->deletes.size);
		buf_puts(out, "COMMIT\n");
	}
	buf_fini(&s->chains);
	buf_fini(&s->rules);
	buf_fini(&s->deletes);
}

size_t model_render_batch(struct model *m, struct buf *ret_text)
{
	struct batch b = { .m = m };

	m->batch++;
	render_frame(&m->o, put_chain, &b);
	if (!m->has_jumps) {
		put_services(&b);
		put_buckets(&b);
	}
	for (int kind = 0; kind < BUCKET_KINDS; kind++) {
		render_index(&m->o, (enum bucket_kind)kind, bucket_in_use, m, &b.scratch);
		put_chain(&b.scratch, &b);
	}
	if (m->has_jumps)
		put_jumps(&b);
	if (m->has_sweep)
		sweep(&b);
	put_table(&b, CHAIN_FILTER, ret_text);
	put_table(&b, CHAIN_NAT, ret_text);
	chain_fini(&b.scratch);
	return b.n_lines;
}
