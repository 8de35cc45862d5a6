/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: what the kernel's tables are found to hold, held against what is wanted.
 *
 * A chain that is as it should be is known by its digest and costs nothing any more; a Service whose chains all are needs no
 * write.  Jumps from built-in chains count only where they are right: once, bare, and before kube-proxy's.
 */
#include "config.h"

#include <string.h>

#include <utlist.h>

#include "model_internal.h"

/* What comparing a Service with the kernel's chains says. */
struct verdict {
	const struct model *m;
	bool same;      /* all its chains are as they should be */
	bool reachable; /* all chains that its dispatch lines name are there */
};

static void verify_chain(const struct chain *c, void *arg)
{
	struct verdict *v = arg;
	struct record *r = model_record(v->m, c->name);
	if (r)
		r->wanted = true;
	if (!r || r->have != chain_hash(c))
		v->same = false;
}

static void verify_line(unsigned int bucket, bool after, const char *rule, void *arg)
{
	(void)after;
	struct verdict *v = arg;
	const char *target = strrchr(rule, ' ') + 1;
	enum bucket_kind kind = bucket_kind(bucket);
	bool nat = kind == BUCKET_NAT_ADDR || kind == BUCKET_NAT_PORT;
	if (nat && !model_record(v->m, target))
		v->reachable = false;
}

/*
 * A Service that the kernel serves already, if perhaps an older form of it, keeps its lines in the buckets while others are
 * written before it.
 */
static void verify_service(struct model *m, struct service *s)
{
	struct verdict v = { .m = m, .same = true, .reachable = true };
	spec_unref(s->have);
	s->have = NULL;
	if (!s->want)
		return;
	render_service(&m->o, &s->want->s, verify_chain, &v);
	m->rendered++;
	render_dispatch(&m->o, &s->want->s, verify_line, &v);
	if (v.reachable) {
		s->have = spec_ref(s->want);
		model_join_buckets(m, s, s->want);
	}
	s->refused = false;
	s->pending = !(v.same && v.reachable);
	if (s->pending) {
		model_enqueue(m, s);
	} else if (s->queued) {
		DL_DELETE(m->queue, s);
		s->queued = false;
	}
}

static bool jump_is(const struct save_jump *j, const struct render_jump *want_jump)
{
	return strcmp(j->table, chain_table_name(want_jump->table)) == 0 &&
	       strcmp(j->chain, want_jump->builtin) == 0 &&
	       strcmp(j->target, want_jump->target) == 0;
}

static bool accepting_jump_is_right(const struct save *saved, const struct render_jump *want_jump)
{
	size_t n = 0;
	bool bare = true;
	for (size_t i = 0; i < saved->n_jumps; i++) {
		const struct save_jump *j = &saved->jumps[i];
		if (strcmp(j->table, "filter") != 0 || strcmp(j->target, want_jump->target) != 0)
			continue;
		n++;
		bare = bare && strncmp(j->spec, "-j ", 3) == 0;
	}
	return n == 1 && bare && path_place(&saved->path).in_place;
}

/*
 * A jump is right if it is there once, bare, and in nat before kube-proxy's, which would take the packets first.  The accepting
 * one is right where it does its work, wherever that is.
 */
static bool jump_is_right(const struct save *saved, const struct render_jump *want_jump)
{
	if (want_jump->accepts)
		return accepting_jump_is_right(saved, want_jump);
	size_t n = 0;
	bool right = true;
	for (size_t i = 0; i < saved->n_jumps; i++) {
		const struct save_jump *j = &saved->jumps[i];
		if (!jump_is(j, want_jump))
			continue;
		n++;
		right = right && strncmp(j->spec, "-j ", 3) == 0 &&
		        !(want_jump->table == CHAIN_NAT && j->behind_kube);
	}
	return n == 1 && right;
}

static bool is_builtin(const char *chain)
{
	static const char *const builtin[] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT",
		                               "POSTROUTING" };
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
		if (strcmp(chain, builtin[i]) == 0)
			return true;
	return false;
}

/* Others may jump to ours from chains of theirs, but to the accepting one nobody does but us. */
static bool keeps_jump(const struct model *m, const struct save_jump *j)
{
	bool keep = !is_builtin(j->chain);
	for (size_t k = 0; k < RENDER_JUMPS; k++) {
		const struct render_jump *r = &render_jumps[k];
		if (r->accepts && strcmp(j->table, "filter") == 0 &&
		    strcmp(j->target, r->target) == 0)
			return !m->missing_jumps[k];
		keep = keep || (jump_is(j, r) && !m->missing_jumps[k]);
	}
	return keep;
}

/* Strays are deleted first, and each one before the place moves it up. */
static bool is_before(const struct save_jump *j, const struct path_place *place)
{
	return strcmp(j->table, "filter") == 0 && strcmp(j->chain, place->chain) == 0 &&
	       j->number < place->number;
}

static void adopt_jumps(struct model *m, const struct save *saved)
{
	struct path_place place = path_place(&saved->path);
	m->accept = place;
	model_drop_strays(m);
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		m->missing_jumps[k] = !jump_is_right(saved, &render_jumps[k]);
	for (size_t i = 0; i < saved->n_jumps; i++) {
		const struct save_jump *j = &saved->jumps[i];
		bool nat = strcmp(j->table, "nat") == 0;
		if (keeps_jump(m, j) || (!nat && strcmp(j->table, "filter") != 0))
			continue;
		ARRAY_RESERVE(m->strays, m->cap_strays, m->n_strays + 1);
		m->strays[m->n_strays++] = (struct stray){ nat ? CHAIN_NAT : CHAIN_FILTER,
			                                   xasprintf("%s %s", j->chain, j->spec) };
		m->accept.number -= is_before(j, &place);
	}
}

/* Neighbours in a bucket follow each other, so that a slice of a long queue touches few buckets. */
static int by_low_octet(const struct service *a, const struct service *b)
{
	const struct spec *x = a->want ? a->want : a->have, *y = b->want ? b->want : b->have;
	const struct addr *p = x ? &x->s.cluster_ip : NULL, *q = y ? &y->s.cluster_ip : NULL;
	int i = p ? p->b[p->family == 6 ? 15 : 3] : 0, k = q ? q->b[q->family == 6 ? 15 : 3] : 0;
	return i != k ? i - k : strcmp(a->key, b->key);
}

static void adopt_chains(struct model *m, const struct save *saved)
{
	model_drop_records(m);
	for (const struct save_chain *c = saved->chains; c; c = c->hh.next) {
		if (!save_chain_in_place(c))
			continue;
		struct record *r = model_record_new(m, c->name);
		r->have = save_chain_hash(c);
		r->present = true;
	}
	for (unsigned int i = 0; i < BUCKETS; i++) {
		char name[CHAIN_NAME_SIZE];
		bucket_name(i, name);
		m->buckets[i].n = 0;
		m->buckets[i].used = m->buckets[i].next_used = model_record(m, name) != NULL;
		m->buckets[i].dirty = true;
	}
}

void model_adopt(struct model *m, const struct save *saved)
{
	adopt_chains(m, saved);
	adopt_jumps(m, saved);
	struct service *s, *next;
	HASH_ITER(hh, m->services, s, next) {
		verify_service(m, s);
		if (!s->want)
			model_service_free(m, s);
	}
	DL_SORT(m->queue, by_low_octet);
	m->any_dirty = m->sweep = m->adopted = m->unproven = true;
	m->moved = false;
	m->limit = m->max_batch;
}

bool model_audit(const struct model *m, const struct save *audit)
{
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		if (!jump_is_right(audit, &render_jumps[k]))
			return false;
	for (const struct save_chain *c = audit->chains; c; c = c->hh.next) {
		const struct record *r = model_record(m, c->name);
		if (r && r->have != CHAIN_UNKNOWN && r->have != save_chain_hash(c))
			return false;
	}
	return audit->chains != NULL;
}
