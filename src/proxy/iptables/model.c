/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services, and the buckets that they have lines in.
 *
 * Invariants: a Service with want != have is pending; pending ones are in the queue, in the batch,
 * or refused and in the queue with a time; a bucket's members are a superset of the Services that
 * have lines in it.
 */
#include "config.h"

#include "proxy/iptables/model.h"

#include <string.h>

#include <utlist.h>

#include "proxy/iptables/model_private.h"

struct model *model_new(const struct render_options *o, size_t max_batch, size_t max_bytes)
{
	struct model *m = xcalloc(1, sizeof(*m));

	m->o = *o;
	m->max_batch = m->limit = max_batch;
	m->sweep_again_ms = INT64_MAX;
	m->max_bytes = max_bytes;
	m->fronts = fronts_new();
	m->buckets = xcalloc(BUCKETS, sizeof(*m->buckets));
	return m;
}

void model_drop_strays(struct model *m)
{
	for (size_t i = 0; i < m->n_strays; i++)
		free(m->strays[i].rule);
	m->n_strays = 0;
}

void model_drop_records(struct model *m)
{
	struct record *r, *next;

	HASH_ITER(hh, m->records, r, next)
		model_record_drop(m, r);
}

static const struct proxy_half *half_of(const struct spec *spec)
{
	return spec ? &spec->s : NULL;
}

/* Takes @spec. */
static void set_want(struct model *m, struct service *s, struct spec *spec)
{
	fronts_swap(m->fronts, half_of(s->want), half_of(spec));
	spec_unref(s->want);
	s->want = spec;
}

void model_set_have(struct model *m, struct service *s, struct spec *spec)
{
	fronts_swap(m->fronts, half_of(s->have), half_of(spec));
	spec_unref(s->have);
	s->have = spec;
}

void model_service_free(struct model *m, struct service *s)
{
	if (s->queued)
		DL_DELETE(m->queue, s);
	m->n_damaged -= s->damaged;
	m->n_refused -= s->refused;
	for (size_t i = m->next_unverified; s->unverified && i < m->n_unverified; i++)
		if (m->unverified[i] == s)
			m->unverified[i] = NULL;
	HASH_DEL(m->services, s);
	set_want(m, s, NULL);
	spec_unref(s->flying);
	model_set_have(m, s, NULL);
	free(s->error);
	free(s);
}

void model_free(struct model *m)
{
	if (!m)
		return;
	struct service *s, *next;
	HASH_ITER(hh, m->services, s, next)
		model_service_free(m, s);
	fronts_free(m->fronts);
	model_drop_records(m);
	model_drop_strays(m);
	for (unsigned int i = 0; i < BUCKETS; i++)
		free(m->buckets[i].members);
	free(m->buckets);
	free(m->strays);
	free(m->unverified);
	free(m->flight);
	free(m->changes);
	free(m->touched);
	free(m);
}

struct record *model_record(const struct model *m, const char *name)
{
	struct record *r;

	HASH_FIND_STR(m->records, name, r);
	return r;
}

struct record *model_record_new(struct model *m, const char *name)
{
	struct record *r = xcalloc(1, sizeof(*r));

	memccpy(r->name, name, '\0', sizeof(r->name) - 1);
	HASH_ADD_STR(m->records, name, r);
	return r;
}

void model_record_drop(struct model *m, struct record *r)
{
	HASH_DEL(m->records, r);
	free(r);
}

/* Where the Service is, or would be, among the bucket's members. */
static size_t bucket_place(const struct bucket *b, const struct service *s)
{
	size_t low = 0, high = b->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (strcmp(b->members[mid]->key, s->key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct membership {
	struct model *m;
	struct service *s;
};

static void join_bucket(unsigned int bucket, bool after, const char *rule, void *arg)
{
	(void)after;
	(void)rule;
	const struct membership *at = arg;
	struct bucket *b = &at->m->buckets[bucket];
	size_t place = bucket_place(b, at->s);
	if (place < b->n && b->members[place] == at->s)
		return;
	ARRAY_RESERVE(b->members, b->cap, b->n + 1);
	memmove(b->members + place + 1, b->members + place, (b->n - place) * sizeof(*b->members));
	b->members[place] = at->s;
	b->n++;
}

static void leave_bucket(unsigned int bucket, bool after, const char *rule, void *arg)
{
	(void)after;
	(void)rule;
	const struct membership *at = arg;
	struct bucket *b = &at->m->buckets[bucket];
	size_t place = bucket_place(b, at->s);
	if (place == b->n || b->members[place] != at->s)
		return;
	b->n--;
	memmove(b->members + place, b->members + place + 1, (b->n - place) * sizeof(*b->members));
}

void model_join_buckets(struct model *m, struct service *s, const struct spec *spec)
{
	struct membership at = { m, s };

	if (spec)
		render_dispatch(&m->o, &spec->s, join_bucket, &at);
}

void model_settle_members(struct model *m, struct service *s, const struct spec *before,
                          const struct spec *now)
{
	if (before == now)
		return;
	struct membership at = { m, s };
	if (before)
		render_dispatch(&m->o, &before->s, leave_bucket, &at);
	model_join_buckets(m, s, now);
}

bool model_needs_jumps(const struct model *m)
{
	bool needs = m->n_strays > 0;

	for (size_t i = 0; i < RENDER_JUMPS; i++)
		needs = needs || m->missing_jumps[i];
	return needs;
}

static struct service *find(const struct model *m, const char *key)
{
	struct service *s;

	HASH_FIND_STR(m->services, key, s);
	return s;
}

void model_enqueue(struct model *m, struct service *s)
{
	s->pending = true;
	if (!s->queued && !s->in_batch) {
		DL_APPEND(m->queue, s);
		s->queued = true;
	}
}

void model_damage(struct model *m, struct service *s)
{
	m->n_damaged += !s->damaged;
	s->damaged = true;
}

void model_set_refused(struct model *m, struct service *s, bool refused)
{
	m->n_refused += refused;
	m->n_refused -= s->refused;
	s->refused = refused;
}

static void want(struct model *m, struct service *s, struct spec *spec)
{
	set_want(m, s, spec);
	m->moved = true;
	model_set_refused(m, s, false);
	s->failures = 0;
	s->stood = false;
	model_enqueue(m, s);
}

bool model_set(struct model *m, const struct proxy_half *from)
{
	struct spec *spec = spec_new(from);
	struct service *s = find(m, spec->s.key);

	if (s && s->want && s->want->digest == spec->digest) {
		spec_unref(spec);
		return false;
	}
	if (!s) {
		size_t size = strlen(spec->s.key) + 1;
		s = xcalloc(1, sizeof(*s) + size);
		memcpy(s->key, spec->s.key, size);
		HASH_ADD_STR(m->services, key, s);
	}
	want(m, s, spec);
	return true;
}

bool model_remove(struct model *m, const char *key)
{
	struct service *s = find(m, key);

	if (!s || !s->want)
		return false;
	m->moved = true;
	if (!s->have && !s->in_batch)
		model_service_free(m, s);
	else
		want(m, s, NULL);
	return true;
}

/*
 * The frame goes with the first batch, and what names Pods by their addresses in a Service's own
 * chains follows: chains that come out the same cost no write.
 */
void model_set_node(struct model *m, const struct proxy_node *n)
{
	m->o.node = *n;
	m->any_dirty = m->reframe = true;
	m->sweep = m->moved = true; /* a chain of the frame may be of no more use */
	for (struct service *s = m->services; s; s = s->hh.next) {
		s->outdated = true;
		s->stood = false;
		model_enqueue(m, s);
	}
}

bool model_is_applied(const struct model *m, const char *key)
{
	const struct service *s = find(m, key);

	return m->adopted && !m->adopting && !m->unproven && (!s || !s->pending);
}

bool model_is_damaged(const struct model *m, const char *key)
{
	const struct service *s = m->n_damaged > 0 ? find(m, key) : NULL;

	return m->damaged || (s && s->damaged);
}

bool model_is_truncated(const struct model *m, const char *key)
{
	const struct service *s = find(m, key);

	return s && s->want && s->want->truncated;
}

bool model_any_damaged(const struct model *m)
{
	return m->damaged || m->n_damaged > 0;
}

bool model_has(const struct model *m, const char *key)
{
	const struct service *s = find(m, key);

	return s && s->want;
}

const char *model_refusal(const struct model *m, const char *key)
{
	const struct service *s = m->n_refused > 0 ? find(m, key) : NULL;

	return s && s->refused ? s->error : NULL;
}

size_t model_n_refused(const struct model *m)
{
	return m->n_refused;
}

bool model_forward_is_refused(const struct model *m)
{
	return m->accept.refused;
}

bool model_in_sync(const struct model *m)
{
	return m->adopted && !m->adopting && !m->planned && !m->queue && !m->any_dirty &&
	       !m->sweep && !model_needs_jumps(m);
}

bool model_is_settled(const struct model *m)
{
	bool waits = false;
	const struct service *s;

	DL_FOREACH(m->queue, s)
		waits = waits || !s->refused;
	return m->adopted && !m->adopting && !m->planned && !waits && !m->any_dirty &&
	       (!m->sweep || m->queue) && !model_needs_jumps(m);
}

struct model_stats model_stats(const struct model *m)
{
	struct model_stats st = { .rendered = m->rendered,
		                  .repairs = m->repairs,
		                  .n_refused = m->n_refused };

	for (const struct service *s = m->services; s; s = s->hh.next) {
		st.n_services += s->want != NULL;
		st.n_pending += s->pending;
		st.n_truncated += s->want && s->want->truncated;
	}
	return st;
}

void model_each_state(const struct model *m, void (*fn)(const struct proxy_half *s, void *arg),
                      void *arg)
{
	for (const struct service *s = m->services; s; s = s->hh.next) {
		if (s->want)
			fn(&s->want->s, arg);
		if (s->have && s->have != s->want)
			fn(&s->have->s, arg);
	}
}

const struct fronts *model_fronts(const struct model *m)
{
	return m->fronts;
}

void model_each_refused(const struct model *m,
                        void (*fn)(const char *key, const char *error, void *arg), void *arg)
{
	for (const struct service *s = m->services; s; s = s->hh.next)
		if (s->refused)
			fn(s->key, s->error, arg);
}
