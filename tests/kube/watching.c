/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

/* Informers: pages, watches, and all that can go wrong with them. */

/* More than two pages of 500. */
#define MANY 1203

static void set_faults(struct suite *s, const char *faults)
{
	suite_call(s, faults ? "PUT" : "DELETE", "/sim/faults", faults, KUBE_PATCH_NONE, NULL);
}

struct batch {
	int done, failed;
};

static void on_batch(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct batch *batch = arg;

	(void)status, (void)obj;
	batch->done++;
	batch->failed += e != NULL;
}

/* As many as the client takes in flight. */
static bool write_many(struct suite *s, bool create)
{
	struct batch batch = { 0 };

	for (int i = 0; i < MANY; i++) {
		cleanup_free char *name = xasprintf("many-%04d", i);
		cleanup_free char *body = xasprintf(
			"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s-%s\","
			"\"labels\":{\"suite\":\"%s\"}},\"data\":{\"v\":\"%d\"}}",
			s->run, name, s->run, i);
		const struct kube_request_spec spec = {
			.method = create ? "POST" : "DELETE",
			.path = suite_path(s, "/api/v1", "configmaps", create ? "" : name),
			.body = create ? body : NULL,
			.max_retries = 3,
		};
		kube_request_start(s->client, &spec, on_batch, &batch);
	}
	suite_wait_for_ends(s, &batch.done, MANY);
	return !batch.failed;
}

static void lists_come_in_pages(struct suite *s)
{
	struct seen seen;
	bool written = write_many(s, true);

	seen_start(&seen, s, 0);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	int n = seen.n_upserts;
	struct kube_informer_stats stats = kube_informer_stats(seen.inf);
	/* And they all go again while it watches. */
	bool deleted = write_many(s, false);
	bool gone = suite_wait(s, &seen.n_removes, MANY);
	kube_informer_stop(seen.inf);
	CHECK(s, written && deleted, "not all of them could be written");
	CHECK(s, synced && n == MANY && stats.objects == MANY, "%d of %d were listed", n, MANY);
	CHECK(s, stats.lists == 1 && stats.malformed == 0, "%d lists", (int)stats.lists);
	CHECK(s, gone, "%d of %d deletions were seen", seen.n_removes, MANY);
}

static void changes_are_seen(struct suite *s)
{
	struct seen seen;

	seen_start(&seen, s, 0);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	int before = seen.n_upserts;
	suite_put_map(s, "watched", "1");
	bool added = suite_wait(s, &seen.n_upserts, before + 1);
	bool right = !strcmp(seen.last, "watched") && !strcmp(seen.last_value, "1");
	suite_put_map(s, "watched", "2");
	bool modified = suite_wait(s, &seen.n_upserts, before + 2);
	right = right && !strcmp(seen.last_value, "2");
	suite_delete_map(s, "watched");
	bool removed = suite_wait(s, &seen.n_removes, 1);
	right = right && !strcmp(seen.last_removed, "watched");
	kube_informer_stop(seen.inf);
	CHECK(s, synced && added && modified && removed,
	      "synced %d, added %d, modified %d, removed %d", synced, added, modified, removed);
	CHECK(s, right, "last %s=%s", seen.last, seen.last_value);
}

/* A watch that is taken up again and again misses nothing, repeats nothing and needs no list. */
static void watches_resume(struct suite *s)
{
	struct seen seen;

	suite_put_map(s, "resumed", "start");
	seen_start(&seen, s, 150);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	int before = seen.n_upserts;
	bool all = true;
	for (int i = 0; i < 5 && all; i++) {
		char value[8];
		snprintf(value, sizeof(value), "%d", i);
		suite_run_for(s, 250);
		suite_put_map(s, "resumed", value);
		all = suite_wait(s, &seen.n_upserts, before + i + 1) &&
		      !strcmp(seen.last_value, value);
	}
	suite_run_for(s, 400);
	struct kube_informer_stats stats = kube_informer_stats(seen.inf);
	kube_informer_stop(seen.inf);
	CHECK(s, synced && all && seen.n_upserts == before + 5, "%d changes seen instead of 5",
	      seen.n_upserts - before);
	CHECK(s, stats.lists == 1 && stats.watches >= 5, "%d lists, %d watches", (int)stats.lists,
	      (int)stats.watches);
}

static void refreshes_are_consistent(struct suite *s)
{
	struct seen seen;

	seen_start(&seen, s, 0);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	bool all = true;
	for (int i = 0; i < 10 && all; i++) {
		char value[8];
		snprintf(value, sizeof(value), "r%d", i);
		suite_put_map(s, "refreshed", value);
		seen_refresh(&seen);
		/* From here on it must have been seen, no matter how. */
		all = suite_wait(s, &seen.n_refreshed, i + 1) && !strcmp(seen.last_value, value);
	}
	int upserts = seen.n_upserts;
	seen_refresh(&seen);
	suite_wait(s, &seen.n_refreshed, 11);
	kube_informer_stop(seen.inf);
	CHECK(s, synced && all, "last seen: %s", seen.last_value);
	CHECK(s, seen.n_upserts == upserts, "an unchanged world was delivered again");
}

/* The history before the first object that there is has been compacted away, or never was. */
static void old_versions_are_gone(struct suite *s)
{
	struct seen seen;

	suite_put_map(s, "forgotten", "1");
	seen_start(&seen, s, 0);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	/* The last by name, so that it is the last that a list delivers. */
	suite_put_map(s, "z-historic", "1");
	int status = suite_call(s, "POST", "/sim/reset-history", "{}", KUBE_PATCH_NONE, NULL);
	suite_put_map(s, "z-historic", "2");
	suite_delete_map(s, "forgotten");
	bool lists = false;
	for (int i = 0; i < 100 && !lists; i++) {
		suite_run_for(s, 100);
		lists = kube_informer_stats(seen.inf).lists > 1 && !strcmp(seen.last_value, "2") &&
		        seen.n_removes == 1;
	}
	suite_put_map(s, "z-historic", "3");
	int before = seen.n_upserts;
	bool goes_on = !strcmp(seen.last_value, "3") || suite_wait(s, &seen.n_upserts, before + 1);
	kube_informer_stop(seen.inf);
	CHECK(s, synced && status == 200, "reset: %d", status);
	CHECK(s, lists, "last %s=%s, %d removed", seen.last, seen.last_value, seen.n_removes);
	CHECK(s, goes_on, "no more changes after the new list");
}

static void cut_watches_lose_nothing(struct suite *s)
{
	struct seen seen;

	suite_put_map(s, "cut", "start");
	seen_start(&seen, s, 0);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	set_faults(s, "{\"cut_every_ms\":100}");
	int n = 0;
	char value[8] = "";
	for (; n < 30; n++) {
		snprintf(value, sizeof(value), "%d", n);
		suite_put_map(s, "cut", value);
		suite_run_for(s, 40);
	}
	bool all = false;
	for (int i = 0; i < 50 && !all; i++) {
		all = !strcmp(seen.last_value, value);
		suite_run_for(s, 50);
	}
	struct kube_informer_stats stats = kube_informer_stats(seen.inf);
	set_faults(s, NULL);
	kube_informer_stop(seen.inf);
	CHECK(s, synced && all, "last seen %s of %s", seen.last_value, value);
	CHECK(s, stats.lists == 1 && stats.watches >= 8, "%d lists, %d watches", (int)stats.lists,
	      (int)stats.watches);
}

static void silent_watches_are_replaced(struct suite *s)
{
	struct seen seen;

	seen_start(&seen, s, 200);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	suite_run_for(s, 50);
	set_faults(s, "{\"silent\":true}");
	suite_run_for(s, 300); /* the one that was open has been given up by now */
	suite_put_map(s, "silent", "1");
	suite_run_for(s, 300);
	bool unseen = strcmp(seen.last, "silent") != 0;
	set_faults(s, NULL);
	bool seen_at_last = false;
	for (int i = 0; i < 100 && !seen_at_last; i++) {
		suite_run_for(s, 50);
		seen_at_last = !strcmp(seen.last, "silent");
	}
	kube_informer_stop(seen.inf);
	CHECK(s, synced && unseen && seen_at_last, "synced %d, silent %d, recovered %d", synced,
	      unseen, seen_at_last);
}

static void busy_servers_are_asked_again(struct suite *s)
{
	set_faults(
		s,
		"{\"rules\":[{\"verb\":\"get\",\"path\":\"/configmaps\",\"next\":2,\"code\":429,"
		"\"retry_after\":1},{\"verb\":\"list\",\"path\":\"/configmaps\",\"next\":1,\"code\":500}]}");
	struct batch batch = { 0 };
	suite_put_map(s, "busy", "1");
	const struct kube_request_spec spec = { .method = "GET",
		                                .path = suite_path(s, "/api/v1", "configmaps",
		                                                   "busy"),
		                                .max_retries = 5 };
	uint64_t throttled = kube_client_stats(s->client).throttled;
	kube_request_start(s->client, &spec, on_batch, &batch);
	suite_wait_for_ends(s, &batch.done, 1);
	throttled = kube_client_stats(s->client).throttled - throttled;
	struct seen seen;
	seen_start(&seen, s, 0);
	bool synced = suite_wait(s, &seen.n_synced, 1);
	kube_informer_stop(seen.inf);
	set_faults(s, NULL);
	CHECK(s, !batch.failed && throttled == 2, "failed %d, throttled %d", batch.failed,
	      (int)throttled);
	CHECK(s, synced, "the list did not survive a 500");
}

const struct suite_case suite_watch_cases[] = {
	{ "a list in pages, many writes in flight", lists_come_in_pages, false },
	{ "a watch sees changes", changes_are_seen, false },
	{ "a watch resumes where it was", watches_resume, false },
	{ "a refresh is consistent", refreshes_are_consistent, false },
	{ "410: a history that starts anew", old_versions_are_gone, true },
	{ "watches cut all the time", cut_watches_lose_nothing, true },
	{ "silent watches", silent_watches_are_replaced, true },
	{ "429 and 500", busy_servers_are_asked_again, true },
	{ NULL, NULL, false },
};
