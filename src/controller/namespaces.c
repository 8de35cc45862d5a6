/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces are followed for their labels alone, and only while a pool has namespace-selectors:
 * who has no such pool need not give the controller the right to see them.  Where it is missing,
 * nothing breaks: Services that the labels would decide about wait, all others go on, and log,
 * Event and /status name the right.  It is asked for again and again, so granting it is enough.
 * Otherwise a turn waits until Namespaces are known, so that who comes first is served first; with
 * a fault that may pass it does so for PATIENCE_MS.
 *
 * Labels count as they were seen last.  A change has the Services of that Namespace decided again.
 */
#include "config.h"

#include "controller/namespaces.h"

#include <stdlib.h>
#include <string.h>

#include "controller/books.h"
#include "controller/tell.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define PATIENCE_MS 5000 /* with faults that pass */

struct namespace_seen {
	char *name;
	struct labels labels;
	UT_hash_handle hh;
};

static struct namespace_seen *find(const struct controller *ctl, const char *name)
{
	struct namespace_seen *n;

	HASH_FIND_STR(ctl->namespaces.all, name, n);
	return n;
}

static void forget(struct controller *ctl, struct namespace_seen *n)
{
	HASH_DEL(ctl->namespaces.all, n);
	labels_fini(&n->labels);
	free(n->name);
	free(n);
}

static void forget_all(struct controller *ctl)
{
	while (ctl->namespaces.all)
		forget(ctl, ctl->namespaces.all);
}

/* @name: NULL: of all. */
static void decide_again(struct controller *ctl, const char *name)
{
	if (!ctl->leading || !ctl->ipam)
		return;
	for (struct record *r = ctl->records; r; r = r->hh.next)
		if (!name || !strcmp(r->namespace, name))
			books_mark(r);
}

/* ---- the informer's side ---- */

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct controller *ctl = arg;
	struct kube_object *o;
	int r = kube_object_parse(obj, &o, e);

	if (r < 0)
		return r;
	struct namespace_seen *n = find(ctl, o->meta.name);
	if (n && labels_eq(&n->labels, &o->meta.labels)) {
		kube_object_free(o);
		return 0;
	}
	if (n)
		forget(ctl, n);
	n = xcalloc(1, sizeof(*n));
	n->name = xstrdup(o->meta.name);
	n->labels = labels_copy(&o->meta.labels);
	HASH_ADD_KEYPTR(hh, ctl->namespaces.all, n->name, strlen(n->name), n);
	kube_object_free(o);
	if (!ctl->namespaces.known || !ctl->ipam)
		return 0;
	ipam_set_namespace(ctl->ipam, n->name, &n->labels);
	decide_again(ctl, n->name);
	return 0;
}

static void removed(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct controller *ctl = arg;
	struct namespace_seen *n = find(ctl, name);

	(void)namespace;
	(void)uid;
	if (n)
		forget(ctl, n);
	if (n && ctl->ipam)
		ipam_set_namespace(ctl->ipam, name, NULL);
}

static void fill(const struct controller *ctl)
{
	for (const struct namespace_seen *n = ctl->namespaces.all; n; n = n->hh.next)
		ipam_set_namespace(ctl->ipam, n->name, &n->labels);
}

static void forget_error(struct controller *ctl)
{
	free(TAKE(ctl->namespaces.error));
	ctl->namespaces.failing_ms = 0;
	ctl->namespaces.unseen = false;
}

static void synced(void *arg)
{
	struct controller *ctl = arg;

	ctl->namespaces.known = true;
	forget_error(ctl);
	log_info("namespaces are known", KV_I("namespaces", HASH_COUNT(ctl->namespaces.all)));
	if (ctl->ipam)
		fill(ctl);
	decide_again(ctl, NULL);
	books_schedule(ctl);
}

static void tell(struct controller *ctl, const char *pool, const struct err *e)
{
	cleanup_free char *note = xasprintf("pool %.100s has namespace-selectors, and Namespaces "
	                                    "cannot be listed and watched: %s",
	                                    pool, e->msg);

	log_error("namespaces cannot be seen", KV_S("pool", pool), KV_S("error", e->msg));
	if (!ctl->leading)
		return;
	ctl->namespaces.told = true;
	tell_event(ctl, "ConfigMap", ctl->namespace, ctl->opts.config_map, ctl->config.admin.uid,
	           true, REASON_NamespaceUnknown, "Judge", note);
}

/* A passing fault is no news; a right that is missing is told once to each of log and Event. */
static bool failed(int status, const struct err *e, void *arg)
{
	struct controller *ctl = arg;
	const struct config_pool *pool =
		ctl->config.in_force ? configuration_selects_namespaces(ctl->config.in_force)
				     : NULL;
	bool news = !ctl->namespaces.error || (ctl->leading && !ctl->namespaces.told);
	bool passes = status != 401 && status != 403;

	if (!ctl->namespaces.failing_ms)
		ctl->namespaces.failing_ms = clock_ms();
	free(ctl->namespaces.error);
	ctl->namespaces.error = xstrdup(e->msg);
	if (passes)
		log_warn("list or watch failed, retrying", KV_S("kind", "namespaces"),
		         KV_S("error", e->msg));
	else if (news && pool)
		tell(ctl, pool->name, e);
	if (passes && clock_ms() - ctl->namespaces.failing_ms < PATIENCE_MS)
		return true;
	ctl->namespaces.unseen = true;
	ctl->calls->looked_at_namespaces(ctl);
	books_schedule(ctl);
	return true;
}

static const struct kube_informer_ops ops = {
	.upsert = upsert, .remove = removed, .synced = synced, .failed = failed
};

/* ---- while they are needed ---- */

static void stop(struct controller *ctl)
{
	kube_informer_stop(TAKE(ctl->namespaces.feed));
	ctl->namespaces.known = ctl->namespaces.told = false;
	ctl->n_namespace_looks = 0;
	forget_error(ctl);
	forget_all(ctl);
	ctl->calls->looked_at_namespaces(ctl);
}

void namespaces_fill(struct controller *ctl)
{
	const struct kube_informer_spec spec = { .path = "/api/v1/namespaces",
		                                 .what = "namespaces" };
	bool needed = configuration_selects_namespaces(ctl->config.in_force);

	if (needed && !ctl->namespaces.feed)
		ctl->namespaces.feed = kube_informer_start(ctl->client, &spec, &ops, ctl);
	else if (!needed && ctl->namespaces.feed)
		stop(ctl);
	if (ctl->namespaces.known)
		fill(ctl);
}

bool namespaces_are_followed(const struct controller *ctl)
{
	return ctl->namespaces.feed && (!ctl->namespaces.unseen || !namespaces_error(ctl));
}

/* The right may have been granted since the list was refused. */
const char *namespaces_error(const struct controller *ctl)
{
	if (!ctl->namespaces.feed || kube_informer_stats(ctl->namespaces.feed).watching)
		return NULL;
	return ctl->namespaces.error;
}

bool namespaces_are_awaited(const struct controller *ctl)
{
	return ctl->namespaces.feed && !ctl->namespaces.known && !ctl->namespaces.unseen;
}

size_t namespaces_count(const struct controller *ctl)
{
	return HASH_COUNT(ctl->namespaces.all);
}

void namespaces_free(struct controller *ctl)
{
	free(TAKE(ctl->namespaces.error));
	forget_all(ctl);
}
