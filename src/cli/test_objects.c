/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/test_objects.h"

#include "cli/test_pods.h"
#include "fairlead/clock.h"
#include "fairlead/ipam.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

#define USER 65532 /* the image's own */
#define MESSAGE_PATH "/dev/termination-log"

static void head(struct out *o, const char *api_version, const char *kind, const char *name)
{
	out_object(o, NULL);
	out_str(o, "apiVersion", api_version);
	out_str(o, "kind", kind);
	out_object(o, "metadata");
	out_str(o, "name", name);
}

static void open_labels(const char *key, const char *component, struct out *o)
{
	out_object(o, key);
	out_str(o, TEST_LABEL_NAME, TEST_NAME);
	out_str(o, TEST_LABEL_COMPONENT, component);
}

static void put_labels(const char *key, const char *component, struct out *o)
{
	open_labels(key, component, o);
	out_close(o);
}

/* An image of others may need more than `restricted` allows, such as a user of its own. */
static const char *pod_security(const struct test_plan *p)
{
	if (p->probe_image && p->host_network)
		return "privileged";
	return p->own_image ? "restricted" : "baseline";
}

void test_objects_namespace(const struct test_plan *p, int64_t until_us, struct buf *out)
{
	cleanup(out_fini) struct out o;
	char until[CLOCK_RFC3339_SIZE];

	out_init(&o, OUT_JSON, out);
	head(&o, "v1", "Namespace", p->namespace);
	out_object(&o, "labels");
	out_str(&o, TEST_LABEL_MANAGER, TEST_NAME);
	out_str(&o, "pod-security.kubernetes.io/enforce", pod_security(p));
	out_close(&o);
	out_object(&o, "annotations");
	out_str(&o, TEST_ANNOTATION_UNTIL, clock_rfc3339_micro(until_us, until));
	out_close(&o);
	out_close(&o);
	out_close(&o);
}

void test_objects_delete(const char *uid, struct buf *out)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, out);
	out_object(&o, NULL);
	out_str(&o, "apiVersion", "v1");
	out_str(&o, "kind", "DeleteOptions");
	/* An object of the same name that somebody has made meanwhile is not ours. */
	if (uid && *uid) {
		out_object(&o, "preconditions");
		out_str(&o, "uid", uid);
		out_close(&o);
	}
	out_close(&o);
}

void test_objects_service(const struct test_plan *p, struct buf *out)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, out);
	head(&o, "v1", "Service", TEST_SERVICE);
	if (p->pool) {
		out_object(&o, "annotations");
		out_str(&o, IPAM_ANNOTATION_POOL, p->pool);
		out_close(&o);
	}
	out_close(&o);
	out_object(&o, "spec");
	out_str(&o, "type", "LoadBalancer");
	if (p->class)
		out_str(&o, "loadBalancerClass", p->class);
	out_str(&o, "externalTrafficPolicy", "Cluster");
	out_str(&o, "ipFamilyPolicy", "SingleStack"); /* one address */
	put_labels("selector", TEST_ECHO, &o);
	out_list(&o, "ports");
	out_object(&o, NULL);
	out_str(&o, "name", "http");
	out_int(&o, "port", 80);
	out_int(&o, "targetPort", p->port);
	out_close(&o);
	out_close(&o);
	out_close(&o);
	out_close(&o);
}

/* ---- Pods ---- */

static void put_field(const char *name, const char *path, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "name", name);
	out_object(o, "valueFrom");
	out_object(o, "fieldRef");
	out_str(o, "fieldPath", path);
	out_close(o);
	out_close(o);
	out_close(o);
}

/* What the level `restricted` asks for; of an image of others all but its user. */
static void put_container_security(bool own_image, struct out *o)
{
	out_object(o, "securityContext");
	out_bool(o, "allowPrivilegeEscalation", false);
	if (own_image) {
		out_bool(o, "readOnlyRootFilesystem", true);
		out_object(o, "capabilities");
		out_list(o, "drop");
		out_str(o, NULL, "ALL");
		out_close(o);
		out_close(o);
	}
	out_close(o);
}

static void put_resources(bool own_image, struct out *o)
{
	out_object(o, "resources");
	out_object(o, "requests");
	out_str(o, "cpu", "10m");
	out_str(o, "memory", "16Mi");
	out_close(o);
	if (own_image) {
		out_object(o, "limits");
		out_str(o, "memory", "64Mi");
		out_close(o);
	}
	out_close(o);
}

/* The beginning of a Pod's spec, up to its container, which stays open. */
static void open_pod(const char *image, bool own_image, struct out *o)
{
	out_object(o, "spec");
	out_bool(o, "automountServiceAccountToken", false);
	out_bool(o, "enableServiceLinks", false);
	out_int(o, "terminationGracePeriodSeconds", 1);
	out_object(o, "securityContext");
	if (own_image) {
		out_bool(o, "runAsNonRoot", true);
		out_int(o, "runAsUser", USER);
		out_int(o, "runAsGroup", USER);
	}
	out_object(o, "seccompProfile");
	out_str(o, "type", "RuntimeDefault");
	out_close(o);
	out_close(o);
	out_list(o, "containers");
	out_object(o, NULL);
	out_str(o, "name", TEST_NAME);
	out_str(o, "image", image);
	out_str(o, "imagePullPolicy", "IfNotPresent");
	put_container_security(own_image, o);
	put_resources(own_image, o);
}

static void close_pod_container(struct out *o)
{
	out_close(o);
	out_close(o);
}

static void put_echo_container(const struct test_plan *p, struct out *o)
{
	if (p->own_image) {
		out_list(o, "command");
		out_str(o, NULL, "fairlead");
		out_str(o, NULL, TEST_ECHO_WORD);
		out_printf(o, NULL, "%d", p->port);
		out_close(o);
		out_list(o, "env");
		put_field("POD_NAME", "metadata.name", o);
		put_field("NODE_NAME", "spec.nodeName", o);
		out_close(o);
	}
	out_list(o, "ports");
	out_object(o, NULL);
	out_int(o, "containerPort", p->port);
	out_close(o);
	out_close(o);
	out_object(o, "readinessProbe");
	out_object(o, "httpGet");
	out_str(o, "path", "/");
	out_int(o, "port", p->port);
	out_close(o);
	out_int(o, "periodSeconds", 1);
	out_close(o);
}

void test_objects_deployment(const struct test_plan *p, struct buf *out)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, out);
	head(&o, "apps/v1", "Deployment", TEST_SERVICE);
	out_close(&o);
	out_object(&o, "spec");
	out_int(&o, "replicas", 1);
	out_object(&o, "strategy");
	out_str(&o, "type", "Recreate");
	out_close(&o);
	out_object(&o, "selector");
	put_labels("matchLabels", TEST_ECHO, &o);
	out_close(&o);
	out_object(&o, "template");
	out_object(&o, "metadata");
	put_labels("labels", TEST_ECHO, &o);
	out_close(&o);
	open_pod(p->image, p->own_image, &o);
	put_echo_container(p, &o);
	close_pod_container(&o);
	out_object(&o, "nodeSelector");
	out_str(&o, "kubernetes.io/os", "linux");
	out_close(&o);
	out_close(&o);
	out_close(&o);
	out_close(&o);
	out_close(&o);
}

void test_objects_move(const struct test_world *w, struct buf *out)
{
	const char *separator = "";

	buf_puts(out,
	         "{\"spec\":{\"template\":{\"spec\":{\"affinity\":{\"nodeAffinity\":{"
	         "\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":[");
	/* A term names one node; it is enough that one term fits. */
	for (size_t i = 0; i < w->n_nodes; i++) {
		if (!w->nodes[i].is_place)
			continue;
		buf_printf(out,
		           "%s{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\","
		           "\"values\":[",
		           separator);
		buf_json_str(out, w->nodes[i].name);
		buf_puts(out, "]}]}");
		separator = ",";
	}
	buf_puts(out, "]}}}}}}}");
}

static void put_command(int seconds, const struct test_probe *probes, size_t n, struct out *o)
{
	out_list(o, "command");
	out_str(o, NULL, "fairlead");
	out_str(o, NULL, TEST_PROBE_WORD);
	out_printf(o, NULL, "%d", seconds);
	out_str(o, NULL, MESSAGE_PATH);
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *word = test_probe_word(&probes[i]);
		out_str(o, NULL, word);
	}
	out_close(o);
	out_str(o, "terminationMessagePath", MESSAGE_PATH);
}

void test_objects_probe(const struct test_plan *p, int round, const char *name,
                        const struct test_asked *asked, int seconds, struct buf *out)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, out);
	head(&o, "v1", "Pod", name);
	open_labels("labels", TEST_PROBE, &o);
	out_printf(&o, TEST_LABEL_ROUND, "%d", round);
	out_close(&o);
	out_close(&o);
	open_pod(p->probe_image, true, &o);
	put_command(seconds, asked->probes, asked->n, &o);
	close_pod_container(&o);
	out_str(&o, "nodeName", asked->node->name);
	out_bool(&o, "hostNetwork", p->host_network);
	out_str(&o, "restartPolicy", "Never");
	out_list(&o, "tolerations");
	out_object(&o, NULL);
	out_str(&o, "operator", "Exists");
	out_close(&o);
	out_close(&o);
	out_close(&o);
	out_close(&o);
}
