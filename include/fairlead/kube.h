/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_H
#define FAIRLEAD_KUBE_H

/*
 * A client of the Kubernetes API on libcurl's multi interface, driven by a libevent loop.  One
 * thread.
 *
 * It knows how to find and authenticate to a server, how to send one request, and how to keep a
 * local picture of one kind of object (an informer).  It does not know what the objects mean.
 * Writes share a connection (HTTP/2); each list or watch has one of its own, so that none holds up
 * another.  Callbacks run from the event loop, never from inside the call that started the work.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"

struct event_base;
struct json_object;
struct kube_access;
struct kube_client;
struct kube_request;
struct kube_informer;
struct kube_remains;
struct metrics_writer;

/* ---- where the API server is, and who we are ---- */

/*
 * From a kubeconfig file (@path; NULL: $KUBECONFIG, then ~/.kube/config) and a context of it (NULL:
 * its current one), or, where no path is given and the files of a Pod's service account are there,
 * from those.  Certificates are always verified unless the kubeconfig says
 * insecure-skip-tls-verify.
 */
int kube_access_load(const char *path, const char *context, struct kube_access **ret_access,
                     struct err *e);
void kube_access_free(struct kube_access *a);
const char *kube_access_server(const struct kube_access *a);
/* The context's or Pod's namespace, "default" if neither says. */
const char *kube_access_namespace(const struct kube_access *a);

/* ---- one request ---- */

struct kube_client_stats {
#define CLIENT_STAT(member, name, type, help) uint64_t member;
#include "fairlead/metrics.def"
};

struct kube_client *kube_client_new(struct event_base *base, struct kube_access *access,
                                    const char *user_agent);
/*
 * For writes that must take effect soon or never: a connection for writes that does not get its
 * data across within @stall_ms is closed, along with what it has not sent.
 */
void kube_client_bound_writes(struct kube_client *c, int stall_ms);
/*
 * Ends every request and informer of the client without calling back.  Not from a callback of any
 * of them.
 */
void kube_client_free(struct kube_client *c);
struct kube_client_stats kube_client_stats(const struct kube_client *c);
/*
 * The addresses by which we reach the API server, each once: the one in its URL, if there is one,
 * and the one that answered last (the proxy's, if there is a proxy).  Returns how many.
 */
#define KUBE_SERVER_ADDRESSES_MAX 2
size_t kube_client_server_addresses(const struct kube_client *c,
                                    struct addr ret_addrs[static KUBE_SERVER_ADDRESSES_MAX]);

enum kube_patch_type { KUBE_PATCH_NONE, KUBE_PATCH_MERGE, KUBE_PATCH_STRATEGIC, KUBE_PATCH_JSON };

struct kube_request_spec {
	const char *method; /* "GET", "POST", "PUT", "PATCH", "DELETE" */
	const char *path;   /* "/api/v1/…", with its query, already escaped */
	const char *body;   /* JSON or NULL; copied */
	enum kube_patch_type patch;
	int timeout_ms; /* the whole exchange; 0: KUBE_REQUEST_TIMEOUT_MS */
	/* After transport errors, 429 and 5xx: by backoff with jitter, or as Retry-After says. */
	int max_retries;
	bool urgent;     /* goes ahead of all waiting requests: Lease renewals */
	bool background; /* goes after all others, but not for ever, and a few at a time: Events */
	/*
	 * Called with the callback's @arg right before each send, including retries; false ends the
	 * request with status 0.  NULL: always.
	 */
	bool (*may_send)(void *arg);
	/*
	 * For an answer that is not JSON: called with all of it right before the callback, whose
	 * @obj is then NULL; not called for errors.
	 */
	void (*text)(const char *data, size_t size, void *arg);
	size_t max_bytes; /* of the answer; 0: KUBE_ANSWER_SIZE_MAX */
};

#define KUBE_REQUEST_TIMEOUT_MS 15000

/*
 * @status is the HTTP status, 0 if none was received.  @obj is the answer's JSON, or NULL; it
 * belongs to the client.  @e is NULL on 2xx; otherwise it carries the server's own words
 * (metav1.Status.message).
 */
typedef void kube_request_cb(int status, struct json_object *obj, const struct err *e, void *arg);
struct kube_request *kube_request_start(struct kube_client *c, const struct kube_request_spec *spec,
                                        kube_request_cb *cb, void *arg);
/*
 * Whether an answer with this status tells what became of a write.  No answer, or one from a server
 * that failed on the way, does not: the write may have taken effect, or may still do so.
 */
static inline bool kube_status_is_final(int status)
{
	return status >= 200 && status < 500;
}
/*
 * Gives up without calling back; must not be called after @cb.  What was sent may still take
 * effect.
 */
void kube_request_cancel(struct kube_request *r);

/* ---- an informer: list, watch, resume, relist by diff ---- */

struct kube_informer_ops {
	/*
	 * One object was added or changed (also once for each when a list finds it changed).  @obj
	 * belongs to the informer and is valid during the call.  An error return says that the
	 * receiver cannot read it: see unreadable().
	 */
	int (*upsert)(struct json_object *obj, void *arg, struct err *e);
	/*
	 * An object is gone, possibly one that upsert refused.  @uid is the UID it had.
	 */
	void (*remove)(const char *namespace, const char *name, const char *uid, void *arg);
	/* The first complete list was delivered.  Called once.  May be NULL. */
	void (*synced)(void *arg);
	/*
	 * An object was added or changed, and cannot be read: it is too large, not JSON, or upsert
	 * refused it.  @r is what its text tells; it belongs to the informer.  Logged and counted
	 * by the informer.  May be NULL: the last good state of that object stays with the
	 * receiver.
	 */
	void (*unreadable)(const struct kube_remains *r, const struct err *why, void *arg);
	/*
	 * How many objects there may be by now whose very name and addresses cannot be read; 0:
	 * none any more.  The API server sends nothing of that kind, whatever users write.  May be
	 * NULL.
	 */
	void (*lost)(size_t n, void *arg);
	/*
	 * A list or a watch failed, with this HTTP status (0: no answer; 200: an answer that is cut
	 * short, or not a list).  True: it is tried again after a pause.  Otherwise nothing more
	 * happens; the receiver may stop the informer.  NULL: always retried, and logged.
	 */
	bool (*failed)(int status, const struct err *e, void *arg);
};

struct kube_informer_spec {
	const char *path;  /* collection, e.g. "/api/v1/services" */
	const char *query; /* selectors, e.g. "labelSelector=…", or NULL; escaped */
	const char *what;  /* "services", for logs and metrics */
	/* A watch or list is dead if nothing comes for this long; 0: KUBE_WATCH_SILENCE_MS. */
	int silence_ms;
};

/* The server sends bookmarks about every minute. */
#define KUBE_WATCH_SILENCE_MS 90000

struct kube_informer_stats {
#define INFORMER_STAT(member, name, type, help) uint64_t member;
#include "fairlead/metrics.def"
	int64_t last_contact_ms; /* clock_ms() of the last byte from a healthy watch or list */
	bool synced;
	bool watching; /* a watch is open, as far as we can tell */
};

struct kube_informer *kube_informer_start(struct kube_client *c,
                                          const struct kube_informer_spec *spec,
                                          const struct kube_informer_ops *ops, void *arg);
/* May be called from its own callbacks; no callback follows. */
void kube_informer_stop(struct kube_informer *inf);
/*
 * Lists again, consistently (resourceVersion=""), delivers the difference, then calls @done once:
 * from then on the receiver has seen everything that was written before this call.  For a new
 * leader.
 */
void kube_informer_refresh(struct kube_informer *inf, void (*done)(void *arg), void *arg);
struct kube_informer_stats kube_informer_stats(const struct kube_informer *inf);

/* ---- metrics ---- */

/* One informer's row for kube_metrics(). */
struct kube_metrics_informer {
	const char *what; /* "services" */
	const struct kube_informer_stats *stats;
};
/* The fairlead_kube_… families: the client's counters and one series for each informer. */
void kube_metrics(struct metrics_writer *w, const struct kube_client *c,
                  const struct kube_metrics_informer *informers, size_t n_informers,
                  int64_t now_ms);

/* ---- Events ---- */

/*
 * How many Events are under way at a time, and how many are waiting or under way; more are dropped.
 * An Event that has waited for so long is sent alongside other requests, and then so many at a
 * time.
 */
#define KUBE_EVENTS_IN_FLIGHT 8
#define KUBE_EVENTS_QUEUED 16384
#define KUBE_EVENTS_PATIENCE_MS 3000
#define KUBE_EVENTS_BESIDE_OTHERS 2

/*
 * Records an Event (core/v1) about an object.  Never fails visibly: what the queue cannot hold or
 * the server does not accept is counted and dropped.  Goes behind every other request.  The caller
 * emits on change only.
 */
struct kube_event {
	const char *kind, *api_version, *namespace, *name, *uid; /* involvedObject */
	bool warning;
	const char *reason, *action, *note; /* note is cut at 1024 bytes */
};
void kube_event_emit(struct kube_client *c, const char *controller, const char *instance,
                     const struct kube_event *ev);

/* ---- strict readers over json-c, which converts silently where it should refuse ---- */

/* The API server's own limit on depth; and the greatest depth of what we read. */
#define KUBE_JSON_DEPTH_MAX 10000
#define KUBE_JSON_DEPTH_READ 24
/*
 * One JSON document in @size bytes, and nothing after it; NULL if it is not JSON, or deeper than
 * KUBE_JSON_DEPTH_MAX.  What lies deeper than KUBE_JSON_DEPTH_READ is null in the result, so that
 * walking through it needs no deep stack.
 */
struct json_object *kube_json_parse(const char *data, size_t size);

/*
 * The member of that name and type, or NULL (missing, null or of another type; the last sets *@bad,
 * which may be NULL).
 */
struct json_object *kube_json_get(struct json_object *obj, const char *key, int json_type,
                                  bool *bad);
const char *kube_json_str(struct json_object *obj, const char *key, bool *bad);
int64_t kube_json_int(struct json_object *obj, const char *key, int64_t min, int64_t max,
                      int64_t absent, bool *bad);
bool kube_json_bool(struct json_object *obj, const char *key, bool absent, bool *bad);

#endif
