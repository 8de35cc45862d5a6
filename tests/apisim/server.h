/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_SERVER_H
#define APISIM_SERVER_H

/*
 * The whole server in one struct, and a request once its path, query and headers are understood.
 * One thread, one event loop; a request is answered before the next one is looked at.
 */

#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "kind.h"
#include "patch.h"
#include "reply.h"
#include "store.h"

#define SERVER_MAX_BODY (3 * 1024 * 1024) /* as the real server */
#define SERVER_MAX_HEADERS (64 * 1024)
#define SERVER_MAX_PATH 2048

struct fault_set;
struct watcher;
struct snapshot;
struct wlog;

enum verb {
	VERB_GET,
	VERB_LIST,
	VERB_WATCH,
	VERB_CREATE,
	VERB_UPDATE,
	VERB_PATCH,
	VERB_DELETE,
	VERB_DELETECOLLECTION,
	VERB_N,
};
extern const char *const verb_names[VERB_N];

struct server {
	struct event_base *base;
	struct store store;
	struct alloc alloc;
	struct watcher *watchers;
	size_t n_watchers;
	struct snapshot *snapshots;
	size_t n_snapshots;
	struct fault_set *faults;
	struct wlog *wlog;
	const char *token; /* NULL: everybody may */
	int64_t bookmark_ms;
	int64_t started_ms;
	uint64_t counts[VERB_N][STORE_N];
	uint64_t n_writes; /* that changed something */
	uint64_t n_watch_events;
};

struct api_request {
	enum verb verb;
	const struct kind *kind;
	const char *ns, *name, *sub; /* NULL where the path has none */
	const char *path, *user_agent;
	struct evkeyvalq *query;
	const char *body;
	size_t body_size;
	enum patch_type patch;
	bool patch_known; /* whether the content type named a patch format */
	bool table;       /* the client prefers a server-side Table */
	bool table_full;  /* …with whole objects in its rows */
	bool dry_run;
};

/* NULL if the query has no such key. */
const char *request_query(const struct api_request *rq, const char *key);
bool request_flag(const struct api_request *rq, const char *key);

/* get, create, update, patch, delete, deletecollection: fills @r. */
void rest_handle(struct server *s, const struct api_request *rq, struct reply *r);
/* The namespaces that every cluster has. */
int rest_create_namespaces(struct server *s, struct err *err);

/* Adds the list's JSON to @out; 0 or a code with @r filled. */
int list_handle(struct server *s, const struct api_request *rq, struct evbuffer *out,
                struct reply *r);
void list_forget_snapshots(struct server *s);
/* Adds a version's text (from byte @from) without copying it. */
void list_add_text(struct evbuffer *out, struct version *v, size_t from);

/* Takes the request over and streams. */
int watch_start(struct server *s, const struct api_request *rq, struct evhttp_request *http,
                struct reply *r);
void watch_deliver(struct server *s, enum store_id id, const struct event *e);
/* Ends every watch; @kind_filter NULL: of all kinds.  @clean: the stream ends as at its timeout. */
void watch_cut(struct server *s, const char *resource, bool clean);

#endif
