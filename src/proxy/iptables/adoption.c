/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: compares what is found in the kernel's tables with what is wanted.
 *
 * A chain that is as it should be is known by its digest and costs nothing any more; a Service
 * whose chains all are needs no write.  Jumps from built-in chains count only where they are right:
 * once, bare, and before kube-proxy's.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "proxy/iptables/model_private.h"

/* The result of comparing a Service with the kernel's chains. */
struct verdict {
	const struct model *m;
	size_t n_chains;
	bool same;      /* all its chains are as they should be */
	bool reachable; /* all chains that its dispatch lines name are there */
};

static void verify_chain(const struct chain *c, void *arg)
{
	struct verdict *v = arg;
	struct record *r = model_record(v->m, c->name);

	v->n_chains++;
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
 * A Service that the kernel serves already, if perhaps an older form of it, keeps its lines in the
 * buckets while others are written before it.  Returns how many chains were compared.
 */
static size_t verify_service(struct model *m, struct service *s)
{
	struct verdict v = { .m = m, .same = true, .reachable = true };

	model_set_have(m, s, NULL);
	if (!s->want)
		return 0;
	render_service(&m->o, &s->want->s, verify_chain, &v);
	m->rendered++;
	render_dispatch(&m->o, &s->want->s, verify_line, &v);
	if (v.reachable) {
		model_set_have(m, s, spec_ref(s->want));
		model_join_buckets(m, s, s->want);
	}
	s->outdated = false;
	s->pending = s->damaged || !(v.same && v.reachable);
	if (!s->pending) {
		model_set_refused(m, s, false);
		s->suspect = false;
	}
	if (s->stood && s->pending)
		model_damage(m, s);
	if (s->pending) {
		model_enqueue(m, s);
	} else if (s->queued) {
		DL_DELETE(m->queue, s);
		s->queued = false;
	}
	return v.n_chains;
}

static bool jump_is(const struct save_jump *j, const struct render_jump *want_jump)
{
	return !strcmp(j->table, chain_table_name(want_jump->table)) &&
	       !strcmp(j->chain, want_jump->builtin) && !strcmp(j->target, want_jump->target);
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
		bare = bare && !strncmp(j->spec, "-j ", 3);
	}
	return n == 1 && bare && path_place(&saved->path).in_place;
}

/*
 * A jump is right if it is there once, bare, and in nat before kube-proxy's, which would take the
 * packets first.  The accepting one is right wherever it does its work.
 */
bool model_jump_is_right(const struct save *saved, const struct render_jump *want_jump)
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
		right = right && !strncmp(j->spec, "-j ", 3) &&
		        !(want_jump->table == CHAIN_NAT && j->behind_kube);
	}
	return n == 1 && right;
}

/* Others may jump to our chains from theirs, but only we jump to the accepting one. */
static bool keeps_jump(const struct model *m, const struct save_jump *j)
{
	bool keep = !chain_is_builtin(j->chain);

	for (size_t k = 0; k < RENDER_JUMPS; k++) {
		const struct render_jump *r = &render_jumps[k];
		if (r->accepts && !strcmp(j->table, "filter") && !strcmp(j->target, r->target))
			return !m->missing_jumps[k];
		keep = keep || (jump_is(j, r) && !m->missing_jumps[k]);
	}
	return keep;
}

bool model_jump_is_stray(const struct save_jump *j)
{
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		if (render_jumps[k].accepts ? !strcmp(j->table, "filter") &&
		                                      !strcmp(j->target, render_jumps[k].target)
		                            : jump_is(j, &render_jumps[k]))
			return false;
	return chain_is_builtin(j->chain);
}

/* Strays are deleted first, and each one before the place moves it up. */
static bool is_before(const struct save_jump *j, const struct path_place *place)
{
	return !strcmp(j->table, "filter") && !strcmp(j->chain, place->chain) &&
	       j->number < place->number;
}

static void adopt_jumps(struct model *m, const struct save *saved)
{
	struct path_place place = path_place(&saved->path);

	m->accept = place;
	model_drop_strays(m);
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		m->missing_jumps[k] = !model_jump_is_right(saved, &render_jumps[k]);
	for (size_t i = 0; i < saved->n_jumps; i++) {
		const struct save_jump *j = &saved->jumps[i];
		bool nat = !strcmp(j->table, "nat");
		if (keeps_jump(m, j) || (!nat && strcmp(j->table, "filter") != 0))
			continue;
		ARRAY_RESERVE(m->strays, m->cap_strays, m->n_strays + 1);
		m->strays[m->n_strays++] = (struct stray){ nat ? CHAIN_NAT : CHAIN_FILTER,
			                                   xasprintf("%s %s", j->chain, j->spec) };
		m->accept.number -= is_before(j, &place);
	}
}

/*
 * Neighbours in a bucket follow each other, so that a slice of a long queue touches few buckets;
 * those that go alone are last.
 */
static int by_low_octet(const struct service *a, const struct service *b)
{
	const struct spec *x = a->want ? a->want : a->have, *y = b->want ? b->want : b->have;
	const struct addr *p = x ? &x->s.cluster_ip : NULL, *q = y ? &y->s.cluster_ip : NULL;
	int i = p ? p->b[p->family == 6 ? 15 : 3] : 0, k = q ? q->b[q->family == 6 ? 15 : 3] : 0;

	if (a->suspect != b->suspect)
		return a->suspect - b->suspect;
	return i != k ? i - k : strcmp(a->key, b->key);
}

static const struct save_chain *saved_chain(const struct save *saved, const char *name)
{
	char key[sizeof(((struct save_chain *)NULL)->key)];
	const struct save_chain *c;

	snprintf(key, sizeof(key), "%s %s", chain_table_name(chain_table(name)), name);
	HASH_FIND_STR(saved->chains, key, c);
	return c;
}

/*
 * Whether the kernel has the chain as we wrote it; if that is not known, it does not count as
 * damaged.
 */
static bool is_intact(const struct record *r, const struct save_chain *c)
{
	if (!r->present || r->have == CHAIN_UNKNOWN)
		return true;
	return c && !r->doubtful && save_chain_hash(c) == r->have &&
	       (!r->printed || !c->printed || r->printed == c->printed);
}

/* A bucket's lines were lost or changed, so all Services with lines in it suffer. */
static void damage_bucket(struct model *m, unsigned int number)
{
	const struct bucket *b = &m->buckets[number];

	for (size_t i = 0; i < b->n; i++) {
		model_damage(m, b->members[i]);
		model_enqueue(m, b->members[i]);
	}
}

/*
 * What others have done to what we had written, before it is forgotten.  A Service's own chains
 * come later, when the Service is verified; all the rest, except for the buckets, belongs to all
 * Services.
 */
static void find_damage(struct model *m, const struct save *saved)
{
	char name[CHAIN_NAME_SIZE];

	for (const struct record *r = m->records; r; r = r->hh.next)
		if (!chain_is_of_service(r->name) && !chain_is_bucket(r->name) &&
		    !is_intact(r, saved_chain(saved, r->name)))
			m->damaged = true;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		bucket_name(i, name);
		const struct record *r = model_record(m, name);
		if (r && !is_intact(r, saved_chain(saved, name)))
			damage_bucket(m, i);
	}
}

bool model_jump_is_missing(const struct save *saved, const struct render_jump *want_jump)
{
	for (size_t i = 0; !want_jump->accepts && i < saved->n_jumps; i++)
		if (jump_is(&saved->jumps[i], want_jump))
			return false;
	return !want_jump->accepts || path_place(&saved->path).number > 0;
}

static void find_damaged_jumps(struct model *m, const struct save *saved)
{
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		m->damaged = m->damaged || (!model_jump_is_right(saved, &render_jumps[k]) &&
		                            model_jump_is_missing(saved, &render_jumps[k]));
}

static void adopt_chains(struct model *m, const struct save *saved)
{
	struct record *before = TAKE(m->records);

	for (const struct save_chain *c = saved->chains; c; c = c->hh.next) {
		struct record *old;
		if (!save_chain_in_place(c))
			continue;
		HASH_FIND_STR(before, c->name, old);
		struct record *new = model_record_new(m, c->name);
		new->have = save_chain_hash(c);
		if (old && old->doubtful)
			new->have = CHAIN_UNKNOWN;
		else if (old && old->have == new->have && old->printed && c->printed &&
		         old->printed != c->printed)
			new->have = CHAIN_UNKNOWN; /* the comment is ours, but not all rules are */
		else if (new->have != CHAIN_UNKNOWN)
			new->printed = c->printed;
		new->present = true;
	}
	struct record *r, *next;
	HASH_ITER(hh, before, r, next) {
		HASH_DEL(before, r);
		free(r);
	}
	for (unsigned int i = 0; i < BUCKETS; i++) {
		char name[CHAIN_NAME_SIZE];
		bucket_name(i, name);
		m->buckets[i].n = 0;
		m->buckets[i].used = m->buckets[i].next_used = model_record(m, name) != NULL;
		m->buckets[i].dirty = true;
	}
}

void model_doubt(struct model *m, const char *chain)
{
	struct record *r = model_record(m, chain);

	if (r)
		r->doubtful = true;
}

bool model_matches(struct model *m, const struct save *saved)
{
	size_t n = 0;

	if (!m->adopted || model_needs_jumps(m))
		return false;
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		if (!model_jump_is_right(saved, &render_jumps[k]))
			return false;
	if (path_place(&saved->path).refused != m->accept.refused)
		return false;
	for (const struct save_chain *c = saved->chains; c; c = c->hh.next) {
		struct record *r = save_chain_in_place(c) ? model_record(m, c->name) : NULL;
		if (!r || !r->present || r->have == CHAIN_UNKNOWN || !is_intact(r, c))
			return false;
		r->printed = c->printed;
		n++;
	}
	for (const struct record *r = m->records; r; r = r->hh.next)
		n -= r->present;
	return n == 0;
}

void model_adopt_begin(struct model *m, const struct save *saved)
{
	m->again = m->adopted;
	m->n_damaged_before = m->n_damaged + m->damaged;
	if (m->again) {
		find_damage(m, saved);
		find_damaged_jumps(m, saved);
	}
	adopt_chains(m, saved);
	adopt_jumps(m, saved);
	m->n_unverified = m->next_unverified = 0;
	ARRAY_RESERVE(m->unverified, m->cap_unverified, HASH_COUNT(m->services));
	for (struct service *s = m->services; s; s = s->hh.next) {
		s->unverified = true;
		s->stood = s->have && !s->pending;
		m->unverified[m->n_unverified++] = s;
	}
	m->adopting = true;
	m->moved = false;
}

/*
 * A Service that came, or changed, meanwhile is written like any other; so it is noted anew who is
 * wanted (moved).
 */
bool model_adopt_more(struct model *m, size_t n_chains)
{
	for (size_t n = 0; m->next_unverified < m->n_unverified && n < n_chains;) {
		struct service *s = m->unverified[m->next_unverified++];
		if (!s)
			continue;
		s->unverified = false;
		n += verify_service(m, s) + 1;
		if (!s->want)
			model_service_free(m, s);
	}
	if (m->next_unverified < m->n_unverified)
		return false;
	if (m->n_damaged + m->damaged > m->n_damaged_before) {
		m->repairs++;
		model_try_refused(m); /* it may have been for a chain that was gone */
	}
	DL_SORT(m->queue, by_low_octet);
	m->any_dirty = m->sweep = m->adopted = m->unproven = true;
	m->adopting = false;
	return true;
}

void model_adopt(struct model *m, const struct save *saved)
{
	model_adopt_begin(m, saved);
	while (!model_adopt_more(m, SIZE_MAX))
		;
}

bool model_audit(const struct model *m, const struct save *audit)
{
	for (size_t k = 0; k < RENDER_JUMPS; k++)
		if (!model_jump_is_right(audit, &render_jumps[k]))
			return false;
	for (const struct save_chain *c = audit->chains; c; c = c->hh.next) {
		const struct record *r = model_record(m, c->name);
		if (r && r->have != CHAIN_UNKNOWN && r->have != save_chain_hash(c))
			return false;
	}
	return audit->chains != NULL;
}
