/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead sysdump`: everything that somebody needs who was not there, in one archive.
 *
 * `fairlead status` goes first: without an API server there is nothing, and it finds out which
 * speakers answer, and by which way.  Only these are asked for more, so that however many are
 * silent cost one timeout together.  Then come the objects, a list after the other, and the pages
 * and logs of all Pods, many at a time.  What cannot be had is written down, and the rest goes on.
 *
 * Secrets are never asked for.  Names and addresses stay: a report in which they are others than in
 * the logs and the packet captures beside it is of no use.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/dump.h"
#include "cli/since.h"
#include "cli/gather.h"
#include "cli/dump_pods.h"
#include "cli/redact.h"
#include "cli/state.h"
#include "cli/status.h"
#include "cli/texts.h"
#include "fairlead/clock.h"
#include "fairlead/configuration.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/kube_types.h"
#include "fairlead/limits.h"
#include "fairlead/mem.h"

#define SYSDUMP_LIST_MAX_BYTES (128u << 20)
#define SYSDUMP_LOG_MAX_BYTES (16u << 20)
/* More than the daemons make of their own. */
#define SYSDUMP_PAGE_MAX_BYTES (64u << 20)
#define CONTROLLER_PORT 17481
#define CONTROLLER_SILENCE_S 2
#define SPEAKER_SILENCE_S 25
#define API_MS 25000
#define LOG_MS 30000
#define DIRECTORY_SIZE 64

/* A speaker that answered to /status. */
struct alive {
	char *node;
	struct addr address;
	bool by_proxy;
};

struct work {
	const struct command_options *o;
	struct gather *g;
	char *namespace;
	int64_t since_s; /* 0: whatever there is */
	/* What the configuration in force decides by, besides. */
	bool selects_namespaces, is_noted;
	struct dump dump;
	struct dump_pods pods;
	struct alive *alive;
	size_t n_alive, cap_alive;
	struct {
		char *node, *why;
	} * silent;
	size_t n_silent, cap_silent;
};

static void work_fini(struct work *w)
{
	for (size_t i = 0; i < w->n_alive; i++)
		free(w->alive[i].node);
	for (size_t i = 0; i < w->n_silent; i++) {
		free(w->silent[i].node);
		free(w->silent[i].why);
	}
	free(w->alive);
	free(w->silent);
	free(w->namespace);
	dump_pods_fini(&w->pods);
	dump_fini(&w->dump);
	gather_close(w->g);
}

/* ---- status ---- */

static void put_speaker(const struct gather_daemon *s, struct json_object *status, const char *why,
                        void *arg)
{
	struct work *w = arg;

	if (status) {
		cleanup_free char *name = dump_name("speakers", s->name, "status", ".json");
		const char *text = json_object_to_json_string_ext(status, REDACT_JSON_FLAGS);
		dump_put(&w->dump, name, text, strlen(text));
		ARRAY_RESERVE(w->alive, w->cap_alive, w->n_alive + 1);
		w->alive[w->n_alive++] =
			(struct alive){ xstrdup(s->name), *s->address, *s->ret_by_proxy };
	} else {
		ARRAY_RESERVE(w->silent, w->cap_silent, w->n_silent + 1);
		w->silent[w->n_silent].node = xstrdup(s->name);
		w->silent[w->n_silent++].why = xstrdup(why);
	}
}

static void passed_over(const char *why, void *arg)
{
	struct work *w = arg;

	/* It stands on standard error already. */
	buf_printf(&w->dump.missing, "status: %s\n", why);
	w->dump.n_missing++;
}

static int dump_status(struct work *w, struct err *e)
{
	const struct picture_tee tee = { put_speaker, passed_over, w };
	cleanup(buf_fini) struct buf text = BUF_INIT, json = BUF_INIT;
	int r = status_both(w->o, w->g, &tee, &text, &json, e);

	if (r < 0)
		return r;
	dump_put(&w->dump, "status.txt", buf_str(&text), text.size);
	dump_put(&w->dump, "status.json", buf_str(&json), json.size);
	return 0;
}

/* ---- objects ---- */

/* A list while it comes. */
struct list {
	struct work *w;
	const char *name; /* in the archive */
	void (*see)(struct work *w, struct json_object *obj);
	struct buf items;
	size_t n, n_cut;
};

static void put_item(struct json_object *obj, void *arg)
{
	struct list *l = arg;
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);

	if (meta)
		json_object_object_del(meta, "managedFields");
	if (l->see)
		l->see(l->w, obj);
	redact_json(obj);
	const char *text = json_object_to_json_string_ext(obj, REDACT_JSON_FLAGS);
	if (l->items.size + strlen(text) > SYSDUMP_LIST_MAX_BYTES) {
		l->n_cut++;
		return;
	}
	buf_printf(&l->items, "%s\n%s", l->n++ ? "," : "", text);
}

static void pass_over(const struct kube_remains *r, const struct err *why, void *arg)
{
	const struct list *l = arg;
	struct err e = *why;

	err_prefix(&e, "%s", r ? kube_key(&r->meta) : "(no name)");
	dump_miss(&l->w->dump, l->name, e.msg);
}

struct row {
	const char *name; /* in the archive */
	const char *kind, *api, *path;
	bool is_one; /* no list, and it need not be there */
	void (*see)(struct work *w, struct json_object *obj);
};

/*
 * A list, or the one object in a list; as kubectl prints it, so that `fairlead plan --state` takes
 * it.
 */
static void dump_row(struct work *w, const struct row *r)
{
	struct list l = { .w = w, .name = r->name, .see = r->see, .items = BUF_INIT };
	const struct gather_row row = { .path = r->path,
		                        .is_list = !r->is_one,
		                        .may_be_missing = r->is_one,
		                        .put = put_item,
		                        .pass_over = pass_over };
	cleanup(buf_fini) struct buf all = BUF_INIT;
	struct err e = ERR_INIT;

	if (gather_api(w->g, &row, 1, &l, &e) < 0) {
		dump_miss(&w->dump, r->name, e.msg);
	} else {
		buf_printf(&all, "{\"apiVersion\":\"%s\",\"kind\":\"%sList\",\"items\":[%s\n]}\n",
		           r->api, r->kind, buf_str(&l.items));
		dump_put_plain(&w->dump, r->name, all.data, all.size);
	}
	if (l.n_cut) {
		cleanup_free char *why = xasprintf("%zu more of them are left out: a list has at "
		                                   "most %u bytes",
		                                   l.n_cut, SYSDUMP_LIST_MAX_BYTES);
		dump_miss(&w->dump, r->name, why);
	}
	buf_fini(&l.items);
}

static void see_pod(struct work *w, struct json_object *obj)
{
	dump_pods_add(&w->pods, obj);
}

/* The text as the administrator wrote it, which in JSON is one long line. */
static void put_config(struct work *w, struct json_object *obj, const char *key, const char *name)
{
	struct json_object *data = kube_json_get(obj, "data", json_type_object, NULL);
	const char *text = data ? kube_json_str(data, key, NULL) : NULL;

	if (text)
		dump_put(&w->dump, name, text, strlen(text));
}

static void see_wanted(struct work *w, struct json_object *obj)
{
	put_config(w, obj, CONFIG_MAP_KEY, "config/wanted.yaml");
}

/* Whoever plans from the archive needs that, too. */
static void look_for_needs(struct work *w, const char *text)
{
	cleanup(config_problems_fini) struct config_problems problems = { 0 };
	struct configuration *c = NULL;

	if (configuration_parse_published(text, NULL, &c, &problems, NULL) == 0) {
		w->selects_namespaces = configuration_selects_namespaces(c);
		w->is_noted = configuration_is_noted(c);
	}
	configuration_unref(c);
}

static void see_active(struct work *w, struct json_object *obj)
{
	struct json_object *data = kube_json_get(obj, "data", json_type_object, NULL);
	const char *text = data ? kube_json_str(data, CONFIG_MAP_KEY, NULL) : NULL;

	if (text)
		look_for_needs(w, text);
	put_config(w, obj, CONFIG_MAP_KEY, "config/in-force.yaml");
	put_config(w, obj, CONFIG_MAP_RETAINED, "config/retained.yaml");
}

#define EVENTS_OF(component) \
	"/api/v1/events?fieldSelector=reportingComponent%3Dfairlead.io%2F" component

static void dump_objects(struct work *w)
{
	const char *ns = w->namespace;
	cleanup_free char *pods = xasprintf("/api/v1/namespaces/%s/pods?labelSelector="
	                                    "app.kubernetes.io%%2Fname%%3Dfairlead",
	                                    ns);
	cleanup_free char *wanted = xasprintf("/api/v1/namespaces/%s/configmaps/%s", ns,
	                                      state_config_map_name(w->o->config_map, NULL));
	cleanup_free char *active =
		xasprintf("/api/v1/namespaces/%s/configmaps/" CONFIG_MAP_ACTIVE, ns);
	cleanup_free char *cooling =
		xasprintf("/api/v1/namespaces/%s/configmaps/" IPAM_COOLING_MAP, ns);
	cleanup_free char *lease = xasprintf(
		"/apis/coordination.k8s.io/v1/namespaces/%s/leases/fairlead-controller", ns);

	const struct row rows[] = {
		{ "objects/pods.json", "Pod", "v1", pods, .see = see_pod },
		{ "objects/configmap-fairlead.json", "ConfigMap", "v1", wanted, true, see_wanted },
		{ "objects/configmap-fairlead-active.json", "ConfigMap", "v1", active, true,
		  see_active },
		{ "objects/lease.json", "Lease", "coordination.k8s.io/v1", lease, true },
		{ "objects/nodes.json", "Node", "v1", "/api/v1/nodes" },
		{ "objects/services.json", "Service", "v1", "/api/v1/services" },
		{ "objects/endpointslices.json", "EndpointSlice", "discovery.k8s.io/v1",
		  "/apis/discovery.k8s.io/v1/endpointslices" },
		{ "objects/events-controller.json", "Event", "v1", EVENTS_OF("controller") },
		{ "objects/events-speakers.json", "Event", "v1", EVENTS_OF("speaker") },
	};

	static const struct row namespaces = { "objects/namespaces.json", "Namespace", "v1",
		                               "/api/v1/namespaces" };
	const struct row coolings = { "objects/configmap-fairlead-cooling.json", "ConfigMap", "v1",
		                      cooling, true };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		dump_row(w, &rows[i]);
	/* Who may ask for the rest may these only where they are needed. */
	if (w->selects_namespaces)
		dump_row(w, &namespaces);
	if (w->is_noted)
		dump_row(w, &coolings);
}

/* ---- pages and logs ---- */

struct questions {
	struct text_question *list;
	size_t n, cap;
};

static void questions_fini(struct questions *qs)
{
	for (size_t i = 0; i < qs->n; i++) {
		free((char *)qs->list[i].file);
		free((char *)qs->list[i].api_path);
	}
	free(qs->list);
}

/* Takes the names of @q. */
static void ask(struct questions *qs, const struct text_question *q)
{
	ARRAY_RESERVE(qs->list, qs->cap, qs->n + 1);
	qs->list[qs->n++] = *q;
}

static void ask_speaker(struct work *w, const struct alive *s, const char *page, const char *suffix,
                        const char *path, struct questions *qs)
{
	const struct dump_pod *pod = dump_pods_on_node(&w->pods, "speaker", s->node);
	int port = w->o->speaker.port;
	const struct text_question q = {
		.file = dump_name("speakers", s->node, page, suffix),
		.address = s->by_proxy ? NULL : &s->address,
		.port = port,
		.path = path,
		.silence_s = SPEAKER_SILENCE_S,
		.api_path = pod ? xasprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s",
		                            pod->namespace, pod->name, port, path)
		                : xasprintf("/api/v1/nodes/%s:%d/proxy%s", s->node, port, path),
		.api_ms = API_MS,
		.max_bytes = SYSDUMP_PAGE_MAX_BYTES,
	};

	ask(qs, &q);
}

static void ask_controller(const struct dump_pod *pod, const char *page, const char *suffix,
                           const char *path, struct questions *qs)
{
	int port = pod->http_port ? pod->http_port : CONTROLLER_PORT;
	const struct text_question q = {
		.file = dump_name("controllers", pod->name, page, suffix),
		.address = &pod->address,
		.port = port,
		.path = path,
		.silence_s = CONTROLLER_SILENCE_S,
		.api_path = xasprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s", pod->namespace,
		                      pod->name, port, path),
		.api_ms = API_MS,
		.max_bytes = SYSDUMP_PAGE_MAX_BYTES,
	};

	ask(qs, &q);
}

static void ask_log(struct work *w, const struct dump_pod *pod, const struct dump_container *c,
                    bool previous, struct questions *qs)
{
	cleanup_free char *since =
		w->since_s ? xasprintf("&sinceSeconds=%lld", (long long)w->since_s) : xstrdup("");
	const struct text_question q = {
		.file = dump_name("logs", pod->name, c->name, previous ? ".previous.log" : ".log"),
		.api_path =
			xasprintf("/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=%d"
		                  "&limitBytes=%u%s%s",
		                  pod->namespace, pod->name, c->name, w->o->tail_lines,
		                  SYSDUMP_LOG_MAX_BYTES, since, previous ? "&previous=true" : ""),
		.api_ms = LOG_MS,
		.max_bytes = SYSDUMP_LOG_MAX_BYTES + 1,
	};

	ask(qs, &q);
}

static void put_text(const struct text_question *q, const char *data, size_t size, const char *why,
                     void *arg)
{
	struct work *w = arg;

	if (why)
		dump_miss(&w->dump, q->file, why);
	else
		dump_put(&w->dump, q->file, data, size);
	/* The API server ends a log there, where the newest lines would come. */
	if (!why && q->max_bytes == SYSDUMP_LOG_MAX_BYTES + 1 && size >= SYSDUMP_LOG_MAX_BYTES)
		dump_miss(
			&w->dump, q->file,
			"the end is left out: these lines are more than 16 MiB; --tail-lines with "
			"a smaller number has the newest");
}

static void ask_pod(struct work *w, const struct dump_pod *pod, struct questions *qs)
{
	if (!strcmp(pod->component, "controller")) {
		ask_controller(pod, "status", ".json", "/status", qs);
		ask_controller(pod, "metrics", ".txt", "/metrics", qs);
	}
	for (size_t i = 0; i < pod->n_containers; i++) {
		ask_log(w, pod, &pod->containers[i], false, qs);
		if (pod->containers[i].has_previous)
			ask_log(w, pod, &pod->containers[i], true, qs);
	}
}

static void dump_texts(struct work *w)
{
	cleanup(questions_fini) struct questions qs = { 0 };

	for (size_t i = 0; i < w->n_alive; i++) {
		ask_speaker(w, &w->alive[i], "metrics", ".txt", "/metrics", &qs);
		ask_speaker(w, &w->alive[i], "rules", ".txt", "/dump/rules", &qs);
		ask_speaker(w, &w->alive[i], "differences", ".json", "/dump/diff", &qs);
		ask_speaker(w, &w->alive[i], "bgp", ".txt", "/dump/bgp", &qs);
	}
	for (size_t i = 0; i < w->pods.n; i++)
		ask_pod(w, &w->pods.list[i], &qs);
	texts_ask(&w->o->kube, w->o->speaker.token_file, qs.list, qs.n, put_text, w);
}

/* A node on which no speaker is meant to run lacks nothing. */
static void miss_silent(struct work *w)
{
	bool any_pod = false;

	for (size_t i = 0; i < w->pods.n; i++)
		any_pod = any_pod || !strcmp(w->pods.list[i].component, "speaker");
	for (size_t i = 0; i < w->n_silent; i++) {
		cleanup_free char *name = dump_name("speakers", w->silent[i].node, NULL, "");
		if (!any_pod || dump_pods_on_node(&w->pods, "speaker", w->silent[i].node))
			dump_miss(&w->dump, name, w->silent[i].why);
	}
	if (w->pods.n == 0)
		dump_miss(&w->dump, "controllers and logs",
		          "there are no Pods with the label app.kubernetes.io/name=fairlead in the "
		          "namespace, or they cannot be listed");
}

/* ---- the whole ---- */

static const char about[] =
	"What `fairlead sysdump` " PACKAGE_VERSION " found at %s, in namespace %s.\n"
	"\n"
	"missing.txt     what could not be had, and why\n"
	"status.*        `fairlead status`\n"
	"config/         the administrator's configuration, the one in force, and what is retained\n"
	"objects/        from the API server; `fairlead plan --state` takes services.json and nodes.json\n"
	"logs/           of each container of our Pods: the last %d lines, %u bytes at most; .previous: before\n"
	"                it was started again\n"
	"speakers/       of each node: /status, /metrics, the rules as iptables-save or nft has them, what in them\n"
	"                differs from what is wanted (`fairlead proxy diff`), what bgpd says\n"
	"controllers/    of each Pod: /status, /metrics\n"
	"\n"
	"Passwords and tokens are ***, and so are the values of environment variables; Secrets were not\n"
	"asked for. Names and addresses are as they are, also in annotations: look through it before you give\n"
	"it to somebody. managedFields are left out, and what lies deeper than %d levels is null. A list has at\n"
	"most %u bytes, a page of a speaker about rules or BGP %d, all files together %u; where that was met\n"
	"stands in missing.txt, or at the end of the page.\n";

static void put_about(struct work *w)
{
	char now[CLOCK_RFC3339_SIZE];
	cleanup_free char *text =
		xasprintf(about, clock_rfc3339(clock_wall_us(), now), w->namespace,
	                  w->o->tail_lines, SYSDUMP_LOG_MAX_BYTES, KUBE_JSON_DEPTH_READ,
	                  SYSDUMP_LIST_MAX_BYTES, LIMIT_HTTP_DUMP_BYTES, ARCHIVE_MAX_BYTES);

	dump_put_plain(&w->dump, "README.txt", text, strlen(text));
}

static int open_archive(struct work *w, char **ret_path, struct err *e)
{
	char directory[DIRECTORY_SIZE];
	time_t now = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;

	strftime(directory, sizeof(directory), "fairlead-sysdump-%Y%m%d-%H%M%S",
	         gmtime_r(&now, &tm));
	*ret_path = w->o->file ? xstrdup(w->o->file) : xasprintf("%s.tar.gz", directory);
	if (!strcmp(*ret_path, "-") && isatty(STDOUT_FILENO))
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--file -: an archive is nothing for a terminal");
	return archive_open(*ret_path, directory, &w->dump.archive, e);
}

/* The API takes a number of seconds, of which 0 is none. */
static int read_since(const struct command_options *o, int64_t *ret_s, struct err *e)
{
	int64_t now_us = clock_wall_us(), since_us = now_us;
	int r = o->since ? since_parse(o->since, now_us, &since_us, e) : 0;

	if (r == 0 && o->since)
		*ret_s = 1 + (now_us - since_us - 1) / 1000000;
	return r;
}

static int run_sysdump(const struct command_options *o, struct err *e)
{
	cleanup(work_fini) struct work w = { .o = o, .namespace = options_namespace(&o->kube) };
	cleanup_free char *path = NULL;

	if (read_since(o, &w.since_s, e) < 0)
		return COMMAND_USAGE;
	if (open_archive(&w, &path, e) < 0 || gather_open(&o->kube, &w.g, e) < 0 ||
	    dump_status(&w, e) < 0)
		return COMMAND_NOTHING;
	put_about(&w);
	dump_objects(&w);
	dump_texts(&w);
	miss_silent(&w);
	dump_end(&w.dump);
	bool is_whole = w.dump.n_missing == 0;
	if (archive_close(TAKE(w.dump.archive), e) < 0)
		return COMMAND_NOTHING;
	if (strcmp(path, "-") != 0)
		printf("%s\n", path);
	return is_whole ? COMMAND_OK : COMMAND_FAILED;
}

const struct command command_sysdump = {
	.words = { "sysdump" },
	.operands = "",
	.flags = FLAGS_SYSDUMP | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_SPEAKERS,
	.summary =
		"an archive for a report of a fault: status, configuration, objects, the daemons' logs "
		"and pages, the nodes' rules, what bgpd says",
	.about =
		"There are no Secrets in it, and passwords are taken out of what is. Names and addresses "
		"stay, so look through it before you give it to somebody. What could not be had "
		"stands in missing.txt and on standard error.",
	.exits = { [COMMAND_OK] = "everything was had",
	           [COMMAND_FAILED] = "something is missing",
	           [COMMAND_NOTHING] = "nothing was had, and nothing written" },
	.run = run_sysdump,
};
