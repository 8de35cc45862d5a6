/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "journal.h"
#include "js.h"

struct version *version_ref(struct version *v)
{
	v->refs++;
	return v;
}

void version_unref(struct version *v)
{
	if (!v || --v->refs)
		return;
	version_unref(v->alias);
	free(v->key);
	free(v->text);
	free(v->labels);
	free(v->fields);
	free(v);
}

static char *pack_labels(struct json_object *o)
{
	struct buf b = BUF_INIT;
	struct json_object *labels = js_object(o, "metadata.labels");

	if (labels) {
		json_object_object_foreach(labels, key, val) {
			const char *s = json_object_get_string(val);
			buf_add(&b, key, strlen(key) + 1);
			buf_add(&b, s ? s : "", strlen(s ? s : "") + 1);
		}
	}
	buf_putc(&b, 0);
	return buf_take(&b);
}

static char *pack_fields(const struct kind *k, struct json_object *o)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < KIND_FIELDS_MAX && k->fields[i]; i++) {
		struct json_object *v = js_at(o, k->fields[i]);
		const char *s = v ? json_object_get_string(v) : "";
		buf_add(&b, s, strlen(s) + 1);
	}
	buf_putc(&b, 0);
	return buf_take(&b);
}

struct version *version_new(const struct kind *k, uint64_t rv, struct json_object *o)
{
	struct version *v = xcalloc(1, sizeof(*v));

	v->refs = 1;
	v->rv = rv;
	v->kind = k;
	v->key = store_key(k->namespaced ? js_str0(o, "metadata.namespace") : NULL,
	                   js_str0(o, "metadata.name"));
	size_t size;
	const char *text = js_text(o, &size);
	struct buf b = BUF_INIT;
	buf_printf(&b, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",", k->kind, kind_api_version(k));
	v->rest = b.size;
	buf_add(&b, text + 1, size - 1);
	v->size = b.size;
	v->text = buf_take(&b);
	v->labels = pack_labels(o);
	v->fields = pack_fields(k, o);
	return v;
}

struct json_object *version_parse(const struct version *v)
{
	struct json_object *o = js_parse(v->text, v->size, NULL);

	json_object_object_del(o, "kind");
	json_object_object_del(o, "apiVersion");
	return o;
}

struct version *version_as(struct version *v, const struct kind *k)
{
	if (!k->converts || v->kind == k)
		return v;
	if (!v->alias) {
		cleanup(js_put) struct json_object *o = version_parse(v);
		kind_convert_out(k, o);
		v->alias = version_new(k, v->rv, o);
	}
	return v->alias;
}

const char *version_name(const struct version *v)
{
	const char *slash = strchr(v->key, '/');

	return slash ? slash + 1 : v->key;
}

const char *version_field(const struct version *v, size_t i)
{
	const char *s = v->fields;

	while (i--)
		s += strlen(s) + 1;
	return s;
}

char *store_key(const char *ns, const char *name)
{
	return ns ? xasprintf("%s/%s", ns, name) : xstrdup(name);
}

void store_init(struct store *s, size_t history)
{
	*s = (struct store){ .history = history };
	for (int i = 0; i < STORE_N; i++)
		s->shelves[i].ring = xcalloc(history, sizeof(struct event));
}

static void forget_events(struct store *s, struct shelf *f)
{
	for (size_t i = 0; i < f->n_events; i++) {
		struct event *e = &f->ring[(f->first + i) % s->history];
		version_unref(e->now);
		version_unref(e->before);
	}
	f->first = f->n_events = 0;
}

void store_fini(struct store *s)
{
	for (int id = 0; id < STORE_N; id++) {
		struct shelf *f = &s->shelves[id];
		forget_events(s, f);
		for (size_t i = 0; i < f->n; i++)
			version_unref(f->v[i]);
		free(f->v);
		free(f->ring);
	}
}

/* The index of @key, or where it would go. */
static size_t shelf_find(const struct shelf *f, const char *key, bool *ret_found)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(f->v[mid]->key, key);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = false;
	return low;
}

struct version *store_get(const struct store *s, enum store_id id, const char *key)
{
	bool found;
	size_t i = shelf_find(&s->shelves[id], key, &found);

	return found ? s->shelves[id].v[i] : NULL;
}

size_t store_after(const struct store *s, enum store_id id, const char *key)
{
	bool found;
	size_t i = shelf_find(&s->shelves[id], key, &found);

	return i + found;
}

void store_range(const struct store *s, enum store_id id, const char *ns, size_t *ret_begin,
                 size_t *ret_end)
{
	const struct shelf *f = &s->shelves[id];

	*ret_begin = 0;
	*ret_end = f->n;
	if (!ns)
		return;
	bool found;
	/* '0' is the character behind '/': the first key that no longer starts with "NS/". */
	cleanup_free char *low = xasprintf("%s/", ns);
	cleanup_free char *high = xasprintf("%s0", ns);
	*ret_begin = shelf_find(f, low, &found);
	*ret_end = shelf_find(f, high, &found);
}

/* Takes the references that @e holds. */
static void push_event(struct store *s, struct shelf *f, const struct event *e)
{
	if (f->n_events == s->history) {
		struct event *old = &f->ring[f->first];
		f->floor = old->rv;
		version_unref(old->now);
		version_unref(old->before);
		f->first = (f->first + 1) % s->history;
		f->n_events--;
	}
	f->ring[(f->first + f->n_events++) % s->history] = *e;
	f->last = e->rv;
}

/* Puts @v (a reference that it takes) in its place; returns what was there, NULL if nothing. */
static struct version *shelf_put(struct shelf *f, struct version *v)
{
	bool found;
	size_t i = shelf_find(f, v->key, &found);

	if (found) {
		struct version *before = f->v[i];
		f->v[i] = v;
		return before;
	}
	ARRAY_RESERVE(f->v, f->cap, f->n + 1);
	memmove(f->v + i + 1, f->v + i, (f->n - i) * sizeof(*f->v));
	f->v[i] = v;
	f->n++;
	return NULL;
}

static struct version *shelf_take(struct shelf *f, const char *key)
{
	bool found;
	size_t i = shelf_find(f, key, &found);

	if (!found)
		return NULL;
	struct version *v = f->v[i];
	memmove(f->v + i, f->v + i + 1, (f->n - i - 1) * sizeof(*f->v));
	f->n--;
	return v;
}

static void set_rv(struct json_object *o, uint64_t rv)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, rv);
	js_set_str(o, "metadata.resourceVersion", text);
}

int store_put(struct store *s, enum store_id id, struct json_object *o,
              struct version **ret_version, struct err *err)
{
	struct shelf *f = &s->shelves[id];

	set_rv(o, s->rv + 1);
	struct version *v = version_new(kind_of_store(id), s->rv + 1, o);
	if (s->journal) {
		int r = journal_put(s->journal, id, v, err);
		if (r < 0) {
			version_unref(v);
			return r;
		}
	}
	s->rv++;
	struct event e = { .rv = s->rv, .now = version_ref(v), .before = shelf_put(f, v) };
	e.type = e.before ? EVENT_MODIFIED : EVENT_ADDED;
	push_event(s, f, &e);
	if (s->on_event)
		s->on_event(s->arg, id, &e);
	if (s->journal)
		journal_compact_if_due(s->journal, s);
	if (ret_version)
		*ret_version = v;
	return 0;
}

int store_delete(struct store *s, enum store_id id, const char *key, struct json_object *o,
                 struct version **ret_last, struct err *err)
{
	struct shelf *f = &s->shelves[id];
	struct version *have = store_get(s, id, key);

	if (!have)
		return 0;
	if (s->journal) {
		int r = journal_delete(s->journal, id, key, s->rv + 1, err);
		if (r < 0)
			return r;
	}
	cleanup(js_put) struct json_object *last = o ? json_object_get(o) : version_parse(have);
	s->rv++;
	set_rv(last, s->rv);
	struct event e = { .type = EVENT_DELETED,
		           .rv = s->rv,
		           .now = version_new(kind_of_store(id), s->rv, last),
		           .before = shelf_take(f, key) };
	push_event(s, f, &e);
	if (s->on_event)
		s->on_event(s->arg, id, &e);
	if (s->journal)
		journal_compact_if_due(s->journal, s);
	if (ret_last)
		*ret_last = e.now;
	return 0;
}

bool store_reaches(const struct store *s, enum store_id id, uint64_t rv)
{
	return rv >= s->shelves[id].floor && (rv <= s->rv || !s->was_reset);
}

size_t store_first_event(const struct store *s, enum store_id id, uint64_t rv)
{
	const struct shelf *f = &s->shelves[id];
	size_t low = 0, high = f->n_events;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (store_event(s, id, mid)->rv <= rv)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct event *store_event(const struct store *s, enum store_id id, size_t i)
{
	const struct shelf *f = &s->shelves[id];

	return &f->ring[(f->first + i) % s->history];
}

int store_reset_history(struct store *s, struct err *err)
{
	uint64_t rv = 0;

	for (int id = 0; id < STORE_N; id++) {
		struct shelf *f = &s->shelves[id];
		forget_events(s, f);
		for (size_t i = 0; i < f->n; i++) {
			cleanup(js_put) struct json_object *o = version_parse(f->v[i]);
			set_rv(o, ++rv);
			struct version *v = version_new(f->v[i]->kind, rv, o);
			version_unref(f->v[i]);
			f->v[i] = v;
		}
	}
	/* A list of the empty store still needs a version, and 0 means "any". */
	s->rv = rv + 1;
	for (int id = 0; id < STORE_N; id++)
		s->shelves[id].floor = s->shelves[id].last = s->rv;
	s->was_reset = true;
	return s->journal ? journal_compact(s->journal, s, err) : 0;
}

void store_load(struct store *s, enum store_id id, uint64_t rv, struct json_object *o)
{
	struct shelf *f = &s->shelves[id];

	version_unref(shelf_put(f, version_new(kind_of_store(id), rv, o)));
	f->floor = f->last = rv;
	s->rv = rv > s->rv ? rv : s->rv;
}

void store_unload(struct store *s, enum store_id id, uint64_t rv, const char *key)
{
	struct shelf *f = &s->shelves[id];

	version_unref(shelf_take(f, key));
	f->floor = f->last = rv;
	s->rv = rv > s->rv ? rv : s->rv;
}
