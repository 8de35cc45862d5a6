/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four informers, each one kind of object.  What cannot be parsed is refused here and reported by
 * the informer; the view keeps the last good state of that object until it is deleted.  For a
 * Service that cannot be read it drops the addresses that the object no longer names; no other
 * Service can have been given one that it still names.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/kube_types.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "speaker/feeds.h"
#include "fairlead/forward.h"
#include "speaker/latency.h"
#include "speaker/needed.h"
#include "speaker/uninstall.h"

const char *const speaker_feed_names[N_FEEDS] = {
	[FEED_CONFIG] = "configmaps",
	[FEED_NODES] = "nodes",
	[FEED_SERVICES] = "services",
	[FEED_SLICES] = "endpointslices",
};

/* One that was there before this speaker was has asked others. */
static void follow_rebalance_mark(struct speaker *sp, const char *mark)
{
	const char *before = sp->rebalance_mark;

	if (before && (!mark || !strcmp(before, mark)))
		return;
	if (before) {
		sp->rebalances++;
		log_info("asked to hand over addresses to nodes that own less than their share",
		         KV_S("mark", mark));
	}
	free(sp->rebalance_mark);
	sp->rebalance_mark = xstrdup(mark ? mark : "");
}

static int upsert_config(struct json_object *obj, void *arg, struct err *e)
{
	struct speaker *sp = arg;
	struct kube_config_map *m = NULL;
	uint64_t revision = view_revision(sp->view);
	int r = kube_config_map_parse(obj, &m, e);

	if (r < 0)
		return r;
	/*
	 * The field selector asks for one name; a server that ignores it must not make another one
	 * take effect.
	 */
	if (strcmp(m->meta.name, CONFIG_MAP_ACTIVE) != 0) {
		r = 0;
	} else if (labels_get(&m->meta.annotations, UNINSTALL_ANNOTATION)) {
		speaker_uninstall(sp);
	} else {
		follow_rebalance_mark(sp, labels_get(&m->meta.annotations, REBALANCE_ANNOTATION));
		r = view_load_configuration(sp->view, m, e);
	}
	kube_config_map_free(m);
	if (r == 0 && revision != view_revision(sp->view))
		log_info("configuration in force", KV_I("generation", view_generation(sp->view)),
		         KV_I("pools", view_configuration(sp->view)->n_pools));
	speaker_schedule(sp);
	return r;
}

static void remove_config(const char *namespace, const char *name, const char *uid, void *arg)
{
	(void)namespace;
	(void)uid;
	(void)arg;
	if (!strcmp(name, CONFIG_MAP_ACTIVE))
		log_warn("the active configuration was deleted; the last one stays in force",
		         KV_S("configmap", name));
}

static int upsert_node(struct json_object *obj, void *arg, struct err *e)
{
	struct speaker *sp = arg;
	struct kube_node *n = NULL;
	int r = kube_node_parse(obj, &n, e);

	if (r < 0)
		return r;
	view_upsert_node(sp->view, n);
	if (!strcmp(n->meta.name, view_self(sp->view))) {
		routes_set_labels(sp->routes, &n->meta.labels);
		free(sp->node_uid);
		sp->node_uid = xstrdup_null(n->meta.uid);
	}
	kube_node_free(n);
	speaker_schedule(sp);
	return 0;
}

static void remove_node(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct speaker *sp = arg;

	(void)namespace;
	(void)uid;
	view_remove_node(sp->view, name);
	if (!strcmp(name, view_self(sp->view)))
		free(TAKE(sp->node_uid));
	speaker_schedule(sp);
}

static int upsert_service(struct json_object *obj, void *arg, struct err *e)
{
	struct speaker *sp = arg;
	struct kube_service *s = NULL;
	int r = kube_service_parse(obj, &s, e);

	if (r < 0)
		return r;
	view_upsert_service(sp->view, s);
	kube_service_free(s);
	speaker_schedule(sp);
	return 0;
}

static void remove_service(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct speaker *sp = arg;

	(void)uid;
	view_remove_service(sp->view, namespace, name);
	speaker_schedule(sp);
}

static void unreadable_service(const struct kube_remains *r, const struct err *why, void *arg)
{
	struct speaker *sp = arg;

	(void)why;
	view_service_unreadable(sp->view, r);
	speaker_schedule(sp);
}

/* What came with the first lists is no news. */
static void note_change(struct speaker *sp, const struct kube_slice *s)
{
	cleanup_free char *key = xasprintf("%s/%s", s->meta.namespace, s->service);
	const struct view_service *service = view_service_named(sp->view, key);

	if (service &&
	    (forward_wanted(sp->view, service, 4) || forward_wanted(sp->view, service, 6)))
		latency_note(sp->latency, key, s->trigger_us, clock_wall_us());
}

static int upsert_slice(struct json_object *obj, void *arg, struct err *e)
{
	struct speaker *sp = arg;
	struct kube_slice *s = NULL;
	int r = kube_slice_parse(obj, &s, e);

	if (r < 0)
		return r;
	if (view_upsert_slice(sp->view, s) && sp->latency && sp->complete)
		note_change(sp, s);
	kube_slice_free(s);
	speaker_schedule(sp);
	return 0;
}

static void remove_slice(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct speaker *sp = arg;

	(void)uid;
	view_remove_slice(sp->view, namespace, name);
	speaker_schedule(sp);
}

static void synced(void *arg)
{
	struct speaker *sp = arg;

	sp->n_synced++;
	speaker_look_for_needed(sp);
	speaker_schedule(sp);
}

void speaker_feeds_start(struct speaker *sp)
{
	static const struct kube_informer_ops ops[N_FEEDS] = {
		[FEED_CONFIG] = { upsert_config, remove_config, synced },
		[FEED_NODES] = { upsert_node, remove_node, synced },
		[FEED_SERVICES] = { upsert_service, remove_service, synced, unreadable_service },
		[FEED_SLICES] = { upsert_slice, remove_slice, synced },
	};
	cleanup_free char *config_path =
		xasprintf("/api/v1/namespaces/%s/configmaps", sp->namespace);
	const struct kube_informer_spec specs[N_FEEDS] = {
		[FEED_CONFIG] = { config_path, "fieldSelector=metadata.name%3D" CONFIG_MAP_ACTIVE },
		[FEED_NODES] = { "/api/v1/nodes" },
		[FEED_SERVICES] = { "/api/v1/services" },
		[FEED_SLICES] = { "/apis/discovery.k8s.io/v1/endpointslices" },
	};

	for (int i = 0; i < N_FEEDS; i++) {
		struct kube_informer_spec spec = specs[i];
		spec.what = speaker_feed_names[i];
		sp->feeds[i] = kube_informer_start(sp->client, &spec, &ops[i], sp);
	}
}

int64_t speaker_last_contact_ms(const struct speaker *sp)
{
	int64_t services = kube_informer_stats(sp->feeds[FEED_SERVICES]).last_contact_ms;
	int64_t slices = kube_informer_stats(sp->feeds[FEED_SLICES]).last_contact_ms;

	return services < slices ? services : slices;
}

int64_t speaker_last_word_ms(const struct speaker *sp)
{
	int64_t last = 0;

	for (int i = 0; i < N_FEEDS; i++) {
		int64_t at = kube_informer_stats(sp->feeds[i]).last_contact_ms;
		last = at > last ? at : last;
	}
	return last;
}
