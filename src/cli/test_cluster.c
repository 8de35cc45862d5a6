/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/test_cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/gather.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define NAMESPACE_LETTERS "bcdfghjklmnpqrstvwxz2456789"
#define NAMESPACE_LETTERS_LEN 5
#define NAMESPACES "/api/v1/namespaces"
/* A run has some waits of --timeout, and some of its own. */
#define RUN_TIMEOUTS 8
#define RUN_S 300
#define GONE_LOOK_S 1
#define CLASS_FLAG "--load-balancer-class="

void test_cluster_fini(struct test_cluster *c)
{
	pods_fini(&c->pods);
	free(c->namespace);
	free(c->image);
	free(c->class);
	free(c->uid);
	free(c->service_uid);
	test_world_fini(&c->world);
}

/* ---- what is there ---- */

static void put_node(struct json_object *obj, void *arg)
{
	struct test_cluster *c = arg;
	struct kube_node *n = NULL;
	struct err ignored = ERR_INIT;

	if (kube_node_parse(obj, &n, &ignored) == 0)
		test_world_put_node(&c->world, n);
	kube_node_free(n);
}

/* "…=CLASS" among the arguments of its container. */
static const char *class_of(struct json_object *container)
{
	struct json_object *args = kube_json_get(container, "args", json_type_array, NULL);
	const size_t len = strlen(CLASS_FLAG);

	for (size_t i = 0; args && i < json_object_array_length(args); i++) {
		struct json_object *arg = json_object_array_get_idx(args, i);
		const char *s = json_object_is_type(arg, json_type_string)
		                        ? json_object_get_string(arg)
		                        : "";
		if (!strncmp(s, CLASS_FLAG, len))
			return s + len;
	}
	return NULL;
}

static struct json_object *enter(struct json_object *obj, const char *key)
{
	return kube_json_get(obj, key, json_type_object, NULL);
}

static void put_daemon_set(struct json_object *obj, void *arg)
{
	struct test_cluster *c = arg;
	struct json_object *pod = enter(enter(enter(obj, "spec"), "template"), "spec");
	struct json_object *list = kube_json_get(pod, "containers", json_type_array, NULL);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *container = json_object_array_get_idx(list, i);
		const char *name = kube_json_str(container, "name", NULL);
		const char *image = kube_json_str(container, "image", NULL);
		if (c->image || !name || strcmp(name, "speaker") != 0 || !image)
			continue;
		c->image = xstrdup(image);
		c->class = xstrdup_null(class_of(container));
	}
}

/* Without them less is known, which may be enough. */
static void tell_denial(const struct err *why, void *arg)
{
	struct err plain = *why;

	(void)arg;
	buf_plain(plain.msg);
	fprintf(stderr, "fairlead: %s\n", plain.msg);
}

static void put_speaker_pod(struct json_object *obj, void *arg)
{
	struct err ignored = ERR_INIT;

	pods_put(&((struct test_cluster *)arg)->pods, obj, &ignored);
}

static void choose(struct test_cluster *c)
{
	const struct command_test_options *t = &c->o->test;
	char letters[NAMESPACE_LETTERS_LEN + 1] = "";

	for (size_t i = 0; i < NAMESPACE_LETTERS_LEN; i++)
		letters[i] = NAMESPACE_LETTERS[clock_random_below(strlen(NAMESPACE_LETTERS))];
	c->namespace = t->namespace ? xstrdup(t->namespace) : xasprintf(TEST_NAME "-%s", letters);
	c->plan = (struct test_plan){
		.namespace = c->namespace,
		.image = t->image ? t->image : c->image,
		.own_image = !t->image,
		.probe_image = c->image,
		.port = t->port,
		.host_network = t->host_network,
		.class = c->o->load_balancer_class ? c->o->load_balancer_class : c->class,
		.pool = t->address_pool,
	};
}

int test_cluster_open(struct test_cluster *c, const struct command_options *o, struct gather *g,
                      struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *sets = xasprintf("/apis/apps/v1/namespaces/%s/daemonsets"
	                                    "?labelSelector=app.kubernetes.io%%2Fname%%3Dfairlead"
	                                    "%%2Capp.kubernetes.io%%2Fcomponent%%3Dspeaker",
	                                    namespace);
	cleanup_free char *pods = gather_pods_path(namespace);
	const struct gather_row rows[] = {
		{ "/api/v1/nodes", true, false, put_node },
		{ sets, true, true, put_daemon_set, NULL, tell_denial },
		{ pods, true, true, put_speaker_pod, NULL, tell_denial },
	};

	*c = (struct test_cluster){ .o = o, .gather = g };
	int r = gather_api(g, rows, ARRAY_LEN(rows), c, e);
	if (r < 0)
		return r;
	choose(c);
	test_world_choose_peers(&c->world);
	if (!c->plan.image)
		return err_set(e, -ENOENT, ERR_CONFIG,
		               "no DaemonSet of the speakers in namespace %s, whose image the test "
		               "would use: give --image IMAGE (and --port), or --namespace",
		               namespace);
	return 0;
}

static int look(struct test_cluster *c, const struct gather_row *rows, size_t n, struct err *e)
{
	return gather_api(c->gather, rows, n, c, e);
}

static void heard(const char *node, struct json_object *status, const char *why, void *arg)
{
	struct test_cluster *c = arg;
	cleanup(buf_fini) struct buf words = BUF_INIT;

	if (!status)
		pods_silence(&c->pods, node, why, &words);
	test_world_put_speaker(&c->world, node, status, buf_str(&words));
}

int test_cluster_look_speakers(struct test_cluster *c, struct err *e)
{
	static const struct addr none;
	struct test_world *w = &c->world;
	struct gather_daemon *speakers = xcalloc(w->n_nodes + 1, sizeof(*speakers));
	size_t n = 0;

	(void)e;
	test_world_clear_says(w);
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct test_node *node = &w->nodes[i];
		const struct addr *ip = &node->ips[addr_is_none(&node->ips[0])];
		if (node->ready)
			speakers[n++] =
				pods_ask_speaker(&c->pods, node->name,
			                         addr_is_none(ip) ? &none : ip, c->o->speaker.port);
	}
	gather_daemons(c->gather, speakers, n, c->o->speaker.token_file, heard, c);
	free(speakers);
	return 0;
}

static void put_service(struct json_object *obj, void *arg)
{
	struct test_cluster *c = arg;
	struct kube_service *s = NULL;
	struct err ignored = ERR_INIT;

	if (kube_service_parse(obj, &s, &ignored) == 0)
		test_world_put_service(&c->world, s);
	kube_service_free(s);
}

int test_cluster_look_service(struct test_cluster *c, struct err *e)
{
	cleanup_free char *path = xasprintf(NAMESPACES "/%s/services/" TEST_SERVICE, c->namespace);
	const struct gather_row row = { path, false, false, put_service };

	return look(c, &row, 1, e);
}

static void put_pod(struct json_object *obj, void *arg)
{
	test_world_put_pod(&((struct test_cluster *)arg)->world, obj);
}

static void put_deployment(struct json_object *obj, void *arg)
{
	test_world_put_deployment(&((struct test_cluster *)arg)->world, obj);
}

int test_cluster_look_echo(struct test_cluster *c, struct err *e)
{
	cleanup_free char *pods =
		xasprintf(NAMESPACES "/%s/pods?labelSelector="
	                             "app.kubernetes.io%%2Fcomponent%%3D" TEST_ECHO,
	                  c->namespace);
	cleanup_free char *deployment =
		xasprintf("/apis/apps/v1/namespaces/%s/deployments/" TEST_SERVICE, c->namespace);
	const struct gather_row rows[] = {
		{ pods, true, false, put_pod },
		{ deployment, false, false, put_deployment },
	};

	test_world_clear_echo(&c->world);
	return look(c, rows, ARRAY_LEN(rows), e);
}

int test_cluster_look_all(struct test_cluster *c, struct err *e)
{
	int r = test_cluster_look_service(c, e);

	if (r == 0)
		r = test_cluster_look_echo(c, e);
	return r < 0 ? r : test_cluster_look_speakers(c, e);
}

int test_cluster_look_asking(struct test_cluster *c, struct err *e)
{
	cleanup_free char *path =
		xasprintf(NAMESPACES "/%s/pods?labelSelector=fairlead.io%%2Ftest-round%%3D%d",
	                  c->namespace, c->round);
	const struct gather_row row = { path, true, false, put_pod };

	return look(c, &row, 1, e);
}

/* ---- what is written ---- */

static int send_request(const struct test_cluster *c, const char *method, const char *path,
                        const struct buf *body, int *ret_status, struct err *e)
{
	const struct kube_request_spec spec = {
		.method = method,
		.path = path,
		.body = body ? buf_str(body) : NULL,
		.patch = !strcmp(method, "PATCH") ? KUBE_PATCH_MERGE : KUBE_PATCH_NONE,
	};

	return gather_request(c->gather, &spec, ret_status, e);
}

static char *uid_of(struct json_object *obj)
{
	return xstrdup_null(kube_json_str(enter(obj, "metadata"), "uid", NULL));
}

static const char *until_of(struct json_object *namespace)
{
	struct json_object *annotations = enter(enter(namespace, "metadata"), "annotations");

	return kube_json_str(annotations, TEST_ANNOTATION_UNTIL, NULL);
}

static void put_made(struct json_object *obj, void *arg)
{
	struct test_cluster *c = arg;

	c->made = true;
	c->uid = uid_of(obj);
}

/* Of what somebody else made meanwhile, that time is another. */
static void put_found(struct json_object *obj, void *arg)
{
	struct test_cluster *c = arg;
	const char *until = until_of(obj);
	int64_t us;

	if (until && clock_parse_rfc3339(until, &us) == 0 && us == c->until_us)
		put_made(obj, c);
}

static void put_service_made(struct json_object *obj, void *arg)
{
	((struct test_cluster *)arg)->service_uid = uid_of(obj);
}

/* A kept one is of no run any more. */
static int64_t until_us(const struct command_options *o)
{
	int64_t now_us = clock_wall_us();
	int64_t lasts_s = RUN_S + (int64_t)RUN_TIMEOUTS * o->timeout_s;

	return o->test.keep ? now_us : now_us + lasts_s * 1000000;
}

static int create(struct test_cluster *c, const char *path, const struct buf *body,
                  void (*put)(struct json_object *obj, void *arg), int *ret_status, struct err *e)
{
	const struct kube_request_spec spec = { .method = "POST",
		                                .path = path,
		                                .body = buf_str(body) };

	return gather_request_object(c->gather, &spec, put, c, ret_status, e);
}

/* Where no answer came, or one that says nothing: it may be there nevertheless, and is removed. */
static void find_made(struct test_cluster *c, struct err *e)
{
	cleanup_free char *path = xasprintf(NAMESPACES "/%s", c->namespace);
	const struct gather_row row = { path, false, true, put_found };
	struct err ignored = ERR_INIT;

	if (look(c, &row, 1, &ignored) < 0)
		err_prefix(e,
		           "whether namespace %s was made is not known, fairlead test "
		           "--clean-up removes it",
		           c->namespace);
}

static int make_namespace(struct test_cluster *c, struct err *e)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	int status = 0;

	c->until_us = until_us(c->o);
	test_objects_namespace(&c->plan, c->until_us, &body);
	int r = create(c, NAMESPACES, &body, put_made, &status, e);
	if (status == 409)
		return err_set(e, -EEXIST, ERR_CONFIG,
		               "namespace %s is there already; the test only uses one that it made",
		               c->namespace);
	if (r < 0 && !kube_status_is_final(status))
		find_made(c, e);
	return r;
}

static int make(struct test_cluster *c, const char *path,
                void (*objects)(const struct test_plan *p, struct buf *out),
                void (*put)(struct json_object *obj, void *arg), struct err *e)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	int status;

	objects(&c->plan, &body);
	return create(c, path, &body, put, &status, e);
}

int test_cluster_make(struct test_cluster *c, struct err *e)
{
	cleanup_free char *deployments =
		xasprintf("/apis/apps/v1/namespaces/%s/deployments", c->namespace);
	cleanup_free char *services = xasprintf(NAMESPACES "/%s/services", c->namespace);
	int r = make_namespace(c, e);

	if (r == 0)
		r = make(c, deployments, test_objects_deployment, NULL, e);
	if (r == 0)
		r = make(c, services, test_objects_service, put_service_made, e);
	return r;
}

int test_cluster_set_local(struct test_cluster *c, struct err *e)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *path = xasprintf(NAMESPACES "/%s/services/" TEST_SERVICE, c->namespace);
	int status;

	buf_puts(&body, "{\"spec\":{\"externalTrafficPolicy\":\"Local\"}}");
	return send_request(c, "PATCH", path, &body, &status, e);
}

int test_cluster_move_echo(struct test_cluster *c, struct err *e)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *path =
		xasprintf("/apis/apps/v1/namespaces/%s/deployments/" TEST_SERVICE, c->namespace);
	int status;

	test_objects_move(&c->world, &body);
	return send_request(c, "PATCH", path, &body, &status, e);
}

static void ask_from(struct test_cluster *c, size_t i, const struct test_asked *asked, int seconds)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *path = xasprintf(NAMESPACES "/%s/pods", c->namespace);
	cleanup_free char *name = xasprintf(TEST_PROBE "-%d-%zu", c->round, i);
	struct test_node *node = test_world_node(&c->world, asked->node->name);
	struct err e = ERR_INIT;
	int status;

	test_objects_probe(&c->plan, c->round, name, asked, seconds, &body);
	if (send_request(c, "POST", path, &body, &status, &e) < 0)
		node->pod_trouble = xstrdup(e.msg);
}

void test_cluster_ask(struct test_cluster *c, const struct test_asked *asked, size_t n, int seconds)
{
	c->round++;
	test_world_clear_asking(&c->world);
	for (size_t i = 0; i < n; i++)
		ask_from(c, i, &asked[i], seconds);
}

/* ---- taking it away ---- */

static int remove_namespace(struct gather *g, const char *name, const char *uid, int *ret_status,
                            struct err *e)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *path = xasprintf(NAMESPACES "/%s", name);

	test_objects_delete(uid, &body);
	const struct kube_request_spec spec = {
		.method = "DELETE", .path = path, .body = buf_str(&body), .max_retries = 3
	};
	int r = gather_request(g, &spec, ret_status, e);
	if (*ret_status == 404) {
		*e = (struct err)ERR_INIT;
		return 0;
	}
	return r;
}

struct presence {
	const char *uid; /* NULL: any */
	bool there;
};

static void put_there(struct json_object *obj, void *arg)
{
	struct presence *p = arg;
	cleanup_free char *uid = uid_of(obj);

	p->there = !p->uid || !uid || !strcmp(p->uid, uid);
}

static int wait_gone(struct test_cluster *c, int timeout_s, struct err *e)
{
	cleanup_free char *path = xasprintf(NAMESPACES "/%s", c->namespace);
	const struct gather_row row = { path, false, true, put_there };
	int64_t until_ms = clock_ms() + timeout_s * INT64_C(1000);

	for (;;) {
		struct presence p = { .uid = c->uid };
		*e = (struct err)ERR_INIT;
		int r = gather_api(c->gather, &row, 1, &p, e);
		if (r == 0 && !p.there)
			return 0;
		if (clock_ms() >= until_ms)
			return r < 0 ? r
			             : err_set(e, -ETIMEDOUT, ERR_REMOTE,
			                       "it is still being deleted after %d s; its status "
			                       "says what holds it up",
			                       timeout_s);
		sleep(GONE_LOOK_S);
	}
}

/*
 * It goes first: what holds up a namespace must not keep the address.  Where nothing is known of
 * it, it goes with the namespace.
 */
static void remove_service(struct test_cluster *c)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *path = xasprintf(NAMESPACES "/%s/services/" TEST_SERVICE, c->namespace);
	struct err ignored = ERR_INIT;
	int status;

	if (!c->service_uid)
		return;
	test_objects_delete(c->service_uid, &body);
	send_request(c, "DELETE", path, &body, &status, &ignored);
}

int test_cluster_remove(struct test_cluster *c, int timeout_s, struct err *e)
{
	int status;

	if (!c->made)
		return 0;
	remove_service(c);
	int r = remove_namespace(c->gather, c->namespace, c->uid, &status, e);
	if (r == 0)
		r = wait_gone(c, timeout_s, e);
	if (r < 0)
		err_prefix(e, "namespace %s", c->namespace);
	return r;
}

/* ---- what is left of others ---- */

void test_remains_fini(struct test_remains_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].namespace);
		free(l->items[i].uid);
		free(l->items[i].since);
		free(l->items[i].until);
	}
	free(l->items);
}

static char *dup_member(struct json_object *obj, const char *key)
{
	const char *s = kube_json_str(obj, key, NULL);

	return xstrdup(s ? s : "");
}

void test_remains_put(struct test_remains_list *l, struct json_object *namespace)
{
	struct json_object *meta = enter(namespace, "metadata");
	const char *until = until_of(namespace);
	int64_t us;

	if (!kube_json_str(meta, "name", NULL) || kube_json_str(meta, "deletionTimestamp", NULL))
		return;
	if (!until || clock_parse_rfc3339(until, &us) < 0)
		return;
	ARRAY_RESERVE(l->items, l->cap, l->n + 1);
	l->items[l->n++] = (struct test_remains){
		.namespace = dup_member(meta, "name"),
		.uid = dup_member(meta, "uid"),
		.since = dup_member(meta, "creationTimestamp"),
		.until = xstrdup(until),
	};
}

static void put_remains(struct json_object *obj, void *arg)
{
	test_remains_put(arg, obj);
}

int test_remains_find(struct gather *g, struct test_remains_list *ret, struct err *e)
{
	const struct gather_row row = { NAMESPACES "?labelSelector="
		                                   "app.kubernetes.io%2Fmanaged-by%3D" TEST_NAME,
		                        true, false, put_remains };

	return gather_api(g, &row, 1, ret, e);
}

bool test_remains_are_in_use(const struct test_remains *r, int64_t now_us)
{
	int64_t until;

	return clock_parse_rfc3339(r->until, &until) == 0 && now_us < until;
}

int test_remains_remove(struct gather *g, const struct test_remains *r, struct err *e)
{
	int status;

	return remove_namespace(g, r->namespace, r->uid, &status, e);
}
