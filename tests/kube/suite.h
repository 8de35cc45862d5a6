/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_KUBE_SUITE_H
#define FAIRLEAD_TESTS_KUBE_SUITE_H

/*
 * The suite of the API client against a server that runs: the embedded one, or a real
 * kube-apiserver.
 *
 * A case is a function that works synchronously: the helpers below run the event loop until what
 * they wait for is there.  One that fails says why with CHECK and returns.  Cases leave nothing
 * behind: whatever they make is in one namespace and bears the label suite=<run>, and is deleted at
 * the end.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/kube.h"

struct suite {
	struct event_base *base;
	struct kube_access *access;
	struct kube_client *client;
	const char *namespace;
	char run[24];    /* names this run: the prefix of its objects, and their label */
	bool has_faults; /* the server is the embedded one and can be told to fail */
	char why[512];   /* of the first CHECK that failed */
};

struct suite_case {
	const char *name;
	void (*run)(struct suite *s);
	bool needs_faults;
};

/* Ended by a case without a name. */
extern const struct suite_case suite_object_cases[];
extern const struct suite_case suite_watch_cases[];
extern const struct suite_case suite_lease_cases[];

#define SUITE_PATIENCE_MS 60000

void suite_fail(struct suite *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define CHECK(s, condition, ...)                      \
	do {                                          \
		if (!(condition)) {                   \
			suite_fail((s), __VA_ARGS__); \
			return;                       \
		}                                     \
	} while (0)

/* Runs the loop until *@counter is at least @want; false after SUITE_PATIENCE_MS. */
bool suite_wait(struct suite *s, const int *counter, int want);
void suite_run_for(struct suite *s, int ms);
/*
 * Runs the loop until so many requests have ended.  Each does, by its own timeout; until then it
 * has the counter, which may be gone once its caller has returned.
 */
void suite_wait_for_ends(struct suite *s, const int *counter, int want);

/* One request; the status, and the answer (to be put) in *@ret_answer if that is not NULL. */
int suite_call(struct suite *s, const char *method, const char *path, const char *body,
               enum kube_patch_type patch, struct json_object **ret_answer);
/*
 * The path of this run's object @name in a namespaced collection ("/api/v1", "configmaps"); one of
 * several buffers.
 */
const char *suite_path(struct suite *s, const char *api, const char *resource, const char *name);
/* Makes the ConfigMap @name of this run with data.v = @value; the status. */
int suite_put_map(struct suite *s, const char *name, const char *value);
int suite_delete_map(struct suite *s, const char *name);
/* Member at a dotted path ("metadata.name"); NULL. */
const char *suite_str(struct json_object *obj, const char *dotted);
struct json_object *suite_get(struct json_object *obj, const char *dotted);

/* ---- an informer on this run's ConfigMaps that counts what it is told ---- */

#define SEEN_NAME_SIZE 64

struct seen {
	struct suite *s;
	struct kube_informer *inf;
	int n_upserts, n_removes, n_synced, n_refreshed;
	char last[SEEN_NAME_SIZE], last_value[SEEN_NAME_SIZE], last_removed[SEEN_NAME_SIZE];
};

void seen_start(struct seen *seen, struct suite *s, int silence_ms);
void seen_refresh(struct seen *seen);

#endif
