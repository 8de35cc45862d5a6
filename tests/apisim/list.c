/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "selector.h"
#include "table.h"

/*
 * Lists, in pages if the client wants.  The first page of a longer list keeps references to
 * everything that the later pages will need, so all pages show one moment; snapshots are few, and
 * whoever comes back for one that was dropped gets 410 with a token for the rest as it is then.
 */

#define SNAPSHOTS_MAX 32
#define TOKEN_MAX 1024

struct snapshot {
	struct snapshot *next; /* newest first */
	uint64_t id, rv;
	const struct kind *kind;
	struct version **v;
	size_t n;
};

/*
 * What the continue token says, as "ID.RV.KEY" in hexadecimal digits; RV 0: from the present state.
 */
struct token {
	uint64_t id, rv;
	char key[TOKEN_MAX];
};

static void snapshot_free(struct snapshot *sn)
{
	for (size_t i = 0; i < sn->n; i++)
		version_unref(sn->v[i]);
	free(sn->v);
	free(sn);
}

void list_forget_snapshots(struct server *s)
{
	while (s->snapshots) {
		struct snapshot *sn = s->snapshots;
		s->snapshots = sn->next;
		snapshot_free(sn);
	}
	s->n_snapshots = 0;
}

static const struct snapshot *snapshot_keep(struct server *s, const struct kind *k,
                                            struct version **v, size_t n)
{
	static uint64_t last_id;
	struct snapshot *sn = xcalloc(1, sizeof(*sn));

	*sn = (struct snapshot){
		.next = s->snapshots, .id = ++last_id, .rv = s->store.rv, .kind = k
	};
	sn->v = xcalloc(n, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		sn->v[sn->n++] = version_ref(v[i]);
	s->snapshots = sn;
	if (++s->n_snapshots > SNAPSHOTS_MAX) {
		struct snapshot **last = &s->snapshots;
		while ((*last)->next)
			last = &(*last)->next;
		snapshot_free(*last);
		*last = NULL;
		s->n_snapshots--;
	}
	return sn;
}

static void token_print(struct buf *out, uint64_t id, uint64_t rv, const char *key)
{
	cleanup(buf_fini) struct buf plain = BUF_INIT;

	buf_printf(&plain, "%" PRIu64 ".%" PRIu64 ".%s", id, rv, key);
	for (size_t i = 0; i < plain.size; i++)
		buf_printf(out, "%02x", (unsigned char)plain.data[i]);
}

static int token_parse(const char *s, struct token *t)
{
	char plain[TOKEN_MAX];
	size_t len = strlen(s) / 2;

	if (len >= sizeof(plain) || strlen(s) % 2)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned int byte;
		if (sscanf(s + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		plain[i] = (char)byte;
	}
	plain[len] = 0;
	int at = 0;
	if (sscanf(plain, "%" SCNu64 ".%" SCNu64 ".%n", &t->id, &t->rv, &at) < 2 || !at)
		return -EINVAL;
	snprintf(t->key, sizeof(t->key), "%s", plain + at);
	return 0;
}

static void drop_ref(const void *data, size_t size, void *version)
{
	(void)data;
	(void)size;
	version_unref(version);
}

void list_add_text(struct evbuffer *out, struct version *v, size_t from)
{
	evbuffer_add_reference(out, v->text + from, v->size - from, drop_ref, version_ref(v));
}

/* What one answer shows, and where the next one goes on. */
struct page {
	struct version **v;
	size_t n, left;
	uint64_t rv;
	struct buf token;
};

static void write_page(const struct api_request *rq, const struct page *p, struct evbuffer *out)
{
	if (rq->table) {
		table_write_list(rq->kind, p->v, p->n, p->rv, buf_str(&p->token), p->left,
		                 rq->table_full, out);
		return;
	}
	evbuffer_add_printf(
		out,
		"{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":"
		"\"%" PRIu64 "\"",
		rq->kind->kind, kind_api_version(rq->kind), p->rv);
	if (p->left)
		evbuffer_add_printf(out, ",\"continue\":\"%s\",\"remainingItemCount\":%zu",
		                    buf_str(&p->token), p->left);
	evbuffer_add_printf(out, "},\"items\":[");
	for (size_t i = 0; i < p->n; i++) {
		struct version *v = version_as(p->v[i], rq->kind);
		evbuffer_add(out, i ? ",{" : "{", i ? 2 : 1);
		list_add_text(out, v, v->rest);
	}
	evbuffer_add(out, "]}\n", 3);
}

/* Everything that matches, borrowed, in an array that the caller frees. */
static struct version **collect(struct server *s, const struct api_request *rq,
                                const struct selector *sel, const char *after, size_t *ret_n)
{
	const struct shelf *f = &s->store.shelves[rq->kind->store];
	size_t begin, end, n = 0;

	store_range(&s->store, rq->kind->store, rq->kind->namespaced ? rq->ns : NULL, &begin, &end);
	if (after) {
		size_t i = store_after(&s->store, rq->kind->store, after);
		begin = i > begin ? i : begin;
	}
	struct version **v = xcalloc(end > begin ? end - begin : 1, sizeof(struct version *));
	for (size_t i = begin; i < end; i++)
		if (selector_matches(sel, f->v[i]))
			v[n++] = f->v[i];
	*ret_n = n;
	return v;
}

static int answer_expired(struct server *s, const struct api_request *rq, const struct token *t,
                          struct reply *r)
{
	(void)s;
	cleanup(buf_fini) struct buf token = BUF_INIT;
	reply_status(
		r, 410, "Expired", NULL, NULL,
		"The provided continue parameter is too old to display a consistent list result. "
		"You can start a new list without the continue parameter, or use the continue "
		"token "
		"in this response to retrieve the remainder of the results. Continuing with the "
		"provided token results in an inconsistent list - objects that were created, "
		"modified, or deleted between the time the first chunk was returned and now may "
		"show up in the list.");
	(void)rq;
	token_print(&token, 0, 0, t->key);
	struct json_object *meta = NULL;
	if (json_object_object_get_ex(r->obj, "metadata", &meta))
		json_object_object_add(meta, "continue", json_object_new_string(buf_str(&token)));
	return 410;
}

/* Cuts what goes beyond @limit and prepares the token for it. */
static void cut_page(struct server *s, const struct api_request *rq, struct page *p, size_t limit,
                     uint64_t snapshot_id)
{
	if (!limit || p->n <= limit)
		return;
	p->left = p->n - limit;
	if (!snapshot_id)
		snapshot_id = snapshot_keep(s, rq->kind, p->v + limit, p->left)->id;
	p->n = limit;
	token_print(&p->token, snapshot_id, p->rv, p->v[limit - 1]->key);
}

static int continue_list(struct server *s, const struct api_request *rq, const char *text,
                         size_t limit, const struct selector *sel, struct evbuffer *out,
                         struct reply *r)
{
	struct token t;
	struct page p = { .rv = s->store.rv, .token = BUF_INIT };

	if (token_parse(text, &t) < 0)
		return reply_bad_request(r, "continue key is not valid: encoding is wrong");
	if (!t.rv) {
		cleanup_free struct version **v = collect(s, rq, sel, t.key, &p.n);
		p.v = v;
		cut_page(s, rq, &p, limit, 0);
		write_page(rq, &p, out);
		buf_fini(&p.token);
		return 0;
	}
	struct snapshot *sn = s->snapshots;
	while (sn && (sn->id != t.id || sn->kind != rq->kind || sn->rv != t.rv))
		sn = sn->next;
	if (!sn)
		return answer_expired(s, rq, &t, r);
	size_t i = 0;
	while (i < sn->n && strcmp(sn->v[i]->key, t.key) <= 0)
		i++;
	p.v = sn->v + i;
	p.n = sn->n - i;
	p.rv = sn->rv;
	cut_page(s, rq, &p, limit, sn->id);
	write_page(rq, &p, out);
	buf_fini(&p.token);
	return 0;
}

/* resourceVersion: "" and 0 are served now; a version of the future is not there yet. */
static int check_version(struct server *s, const struct api_request *rq, struct reply *r)
{
	const char *text = request_query(rq, "resourceVersion");
	const char *match = request_query(rq, "resourceVersionMatch");
	char *end;

	if (!text || !*text)
		return 0;
	uint64_t rv = strtoull(text, &end, 10);
	if (*end)
		return reply_bad_request(
			r,
			"Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": "
			"invalid syntax",
			text, text);
	if (rv > s->store.rv) {
		reply_status(r, 504, "Timeout", NULL, NULL,
		             "Timeout: Too large resource version: %" PRIu64 ", current: %" PRIu64,
		             rv, s->store.rv);
		json_object_object_add(r->obj, "details", json_object_new_object());
		r->retry_after_s = 1;
		return 504;
	}
	if (match && !strcmp(match, "Exact") && rv != s->store.rv)
		return reply_code(r, 410, 0);
	return 0;
}

int list_handle(struct server *s, const struct api_request *rq, struct evbuffer *out,
                struct reply *r)
{
	struct err err = ERR_INIT;
	struct selector *sel;
	const char *limit_text = request_query(rq, "limit"),
		   *rv = request_query(rq, "resourceVersion");
	const char *token = request_query(rq, "continue");
	/* The watch cache, which answers version 0, knows no limit. */
	size_t limit = limit_text && !(rv && !strcmp(rv, "0")) ? strtoul(limit_text, NULL, 10) : 0;

	if (selector_parse(rq->kind, request_query(rq, "labelSelector"),
	                   request_query(rq, "fieldSelector"), &sel, &err) < 0)
		return reply_bad_request(r, "%s", err.msg);
	int code = 0;
	if (token && *token) {
		code = continue_list(s, rq, token, limit, sel, out, r);
	} else if (!(code = check_version(s, rq, r))) {
		struct page p = { .rv = s->store.rv, .token = BUF_INIT };
		cleanup_free struct version **v = collect(s, rq, sel, NULL, &p.n);
		p.v = v;
		cut_page(s, rq, &p, limit, 0);
		write_page(rq, &p, out);
		buf_fini(&p.token);
	}
	selector_free(sel);
	return code;
}
