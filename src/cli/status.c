/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead status`: first the API server's lists, all at once, then every speaker, all at once;
 * then one picture.  `fairlead pools` and `fairlead bgp` are parts of it: one without the speakers,
 * one with little else.  Each may look again and again, to show what changes or to wait until all
 * is well.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/model.h"
#include "cli/selector.h"
#include "cli/verdict.h"
#include "fairlead/clock.h"
#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define LEASE_NAME "fairlead-controller"
#define LEASE_MAX_S 86400
/* How often it looks again. */
#define WATCH_S 2
#define WAIT_S 1
#define LEASE_GRACE_S 30

struct picture {
	struct model *model;
	size_t n_unreadable; /* objects that were told of and passed over */
};

static void pass_over(const struct kube_remains *r, const struct err *why, void *arg)
{
	struct picture *p = arg;
	struct err e = *why;

	err_prefix(&e, "%s", r ? kube_key(&r->meta) : "(no name)");
	gather_pass_over(&e, &p->n_unreadable);
}

static void denied(const struct err *why, void *arg)
{
	struct picture *p = arg;

	gather_pass_over(why, &p->n_unreadable);
}

static void denied_configuration(const struct err *why, void *arg)
{
	denied(why, arg);
	cluster_hide_configuration(((struct picture *)arg)->model);
}

static void denied_leader(const struct err *why, void *arg)
{
	denied(why, arg);
	cluster_hide_leader(((struct picture *)arg)->model);
}

static void read_config_map(struct json_object *obj, struct picture *p,
                            void (*put)(struct model *m, const struct kube_config_map *map))
{
	struct kube_config_map *m = NULL;
	struct err e = ERR_INIT;

	if (kube_config_map_parse(obj, &m, &e) == 0)
		put(p->model, m);
	else
		gather_pass_over(&e, &p->n_unreadable);
	kube_config_map_free(m);
}

static void put_config_map(struct json_object *obj, void *arg)
{
	read_config_map(obj, arg, cluster_put_configuration);
}

static void put_wanted(struct json_object *obj, void *arg)
{
	read_config_map(obj, arg, cluster_put_wanted);
}

static void put_service(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (kube_service_parse(obj, &s, &e) == 0)
		cluster_put_service(p->model, s);
	else
		gather_pass_over(&e, &p->n_unreadable);
	kube_service_free(s);
}

static void put_node(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct kube_node *n = NULL;
	struct err e = ERR_INIT;

	if (kube_node_parse(obj, &n, &e) == 0)
		cluster_put_node(p->model, n);
	else
		gather_pass_over(&e, &p->n_unreadable);
	kube_node_free(n);
}

/*
 * For how long the Lease has been expired by the clock of this machine, which may differ from that
 * of the controller: seconds of grace go before it counts.
 */
static int64_t expired_s(struct json_object *spec)
{
	const char *renewed = kube_json_str(spec, "renewTime", NULL);
	int64_t lasts_s = kube_json_int(spec, "leaseDurationSeconds", 0, LEASE_MAX_S, 0, NULL);
	int64_t renewed_us;

	if (!renewed || clock_parse_rfc3339(renewed, &renewed_us) < 0)
		return 0;
	int64_t since_s = (clock_wall_us() - renewed_us) / 1000000 - lasts_s;
	return since_s > LEASE_GRACE_S ? since_s : 0;
}

static void put_lease(struct json_object *obj, void *arg)
{
	struct json_object *spec = kube_json_get(obj, "spec", json_type_object, NULL);
	const char *holder = spec ? kube_json_str(spec, "holderIdentity", NULL) : NULL;

	cluster_put_leader(((struct picture *)arg)->model, holder ? holder : "",
	                   spec ? expired_s(spec) : 0);
}

static void put_speaker(const char *node, struct json_object *status, const char *why, void *arg)
{
	cluster_put_speaker(arg, node, status, why);
}

static int ask_api(const struct command_options *o, struct picture *p, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *map_path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", namespace, CONFIG_MAP_ACTIVE);
	cleanup_free char *wanted_path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", namespace, CONFIG_MAP_NAME);
	cleanup_free char *lease_path = xasprintf(
		"/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", namespace, LEASE_NAME);
	const struct gather_row rows[] = {
		{ map_path, false, true, put_config_map, NULL, denied_configuration },
		{ wanted_path, false, true, put_wanted, NULL, denied },
		{ "/api/v1/services", true, false, put_service, pass_over, denied },
		{ lease_path, false, true, put_lease, NULL, denied_leader },
		{ "/api/v1/nodes", true, false, put_node, pass_over, denied },
	};

	return gather_api(&o->kube, rows, ARRAY_LEN(rows), p, e);
}

static void ask_speakers(const struct command_options *o, struct model *m)
{
	size_t n = cluster_nodes(m);
	struct gather_speaker *speakers = xcalloc(n + 1, sizeof(*speakers));

	for (size_t i = 0; i < n; i++)
		speakers[i] = (struct gather_speaker){ .node = cluster_node_name(m, i),
			                               .address = cluster_node_address(m, i) };
	gather_speakers(&o->kube, speakers, n, &o->speaker, put_speaker, m);
	free(speakers);
}

/* ---- a look, and what it shows ---- */

struct look {
	bool nodes_only; /* of the API server's lists */
	bool speakers;
	unsigned int parts; /* of the verdict */
	void (*print)(struct model *m, const struct findings *f, struct out *o);
};

static int take(const struct command_options *o, const struct look *look, struct picture *p,
                struct err *e)
{
	const struct gather_row nodes = { "/api/v1/nodes", true, false, put_node, pass_over };
	int r = look->nodes_only ? gather_api(&o->kube, &nodes, 1, p, e) : ask_api(o, p, e);

	if (r == 0 && look->speakers)
		ask_speakers(o, p->model);
	return r;
}

static int exit_status_of(const struct command_options *o, const struct picture *p,
                          enum verdict_level level, struct err *e)
{
	static const int by_verdict[] = { [VERDICT_OK] = COMMAND_OK,
		                          [VERDICT_DEGRADED] = COMMAND_DEGRADED,
		                          [VERDICT_DOWN] = COMMAND_DOWN };
	int status = o->exit_by_answer ? COMMAND_OK : by_verdict[level];

	if (p->n_unreadable == 0)
		return status;
	err_set(e, -EINVAL, ERR_REMOTE, "not everything could be read; the answer is without it");
	return status == COMMAND_OK ? COMMAND_FAILED : status;
}

/* False: nobody reads it any more. */
static bool print(const struct command_options *o, const struct look *look, struct model *m,
                  const struct findings *f)
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, o);
	a.out.width = o->format == OUT_TEXT ? OUT_WIDTH : 0;
	look->print(m, f, &a.out);
	if (o->watch)
		return command_redraw(&a);
	command_print(&a);
	return true;
}

/* One round: true if it is the last. */
static bool round_of(const struct command_options *o, const struct look *look,
                     const struct label_selector *selector, int64_t until_ms, int *ret_status,
                     struct err *e)
{
	struct picture p = { .model = cluster_new() };
	cleanup(findings_fini) struct findings f = { .items = NULL };
	int r = take(o, look, &p, e);
	enum verdict_level level = VERDICT_DOWN;

	*ret_status = COMMAND_FAILED;
	if (r == 0) {
		verdict_find(p.model, look->parts, &f);
		level = verdict_of(&f);
		cluster_show_only(p.model, o->service_namespace, selector);
	}
	bool last = !o->watch && (level == VERDICT_OK || clock_ms() >= until_ms);
	if (r == 0 && (last || o->watch)) {
		last |= !print(o, look, p.model, &f);
		*ret_status = exit_status_of(o, &p, level, e);
	}
	cluster_free(p.model);
	return last;
}

static void tell(struct err *e)
{
	buf_plain(e->msg);
	fprintf(stderr, "fairlead: %s\n", e->msg);
}

static int show(const struct command_options *o, const struct look *look, struct err *e)
{
	cleanup(label_selector_fini) struct label_selector selector = { .n = 0 };
	int64_t until_ms = clock_ms() + o->wait_s * INT64_C(1000);
	int status = COMMAND_USAGE;

	if (o->selector && selector_parse(o->selector, &selector, e) < 0)
		return status;
	while (!round_of(o, look, &selector, until_ms, &status, e)) {
		if (o->watch && e->blame != ERR_NONE)
			tell(e);
		*e = (struct err)ERR_INIT;
		sleep(o->watch ? WATCH_S : WAIT_S);
	}
	return status;
}

static int run_status(const struct command_options *o, struct err *e)
{
	const struct look look = {
		.speakers = true,
		.parts = VERDICT_CONTROLLER | VERDICT_POOLS | VERDICT_SERVICES | VERDICT_SPEAKERS |
		         VERDICT_NODES | VERDICT_BGP,
		.print = o->summary ? cluster_summary_print : cluster_print,
	};

	return show(o, &look, e);
}

static int run_pools(const struct command_options *o, struct err *e)
{
	static const struct look look = { .parts = VERDICT_CONTROLLER | VERDICT_POOLS,
		                          .print = cluster_pools_print };

	return show(o, &look, e);
}

static int run_bgp(const struct command_options *o, struct err *e)
{
	static const struct look look = { .nodes_only = true,
		                          .speakers = true,
		                          .parts = VERDICT_SPEAKERS | VERDICT_BGP,
		                          .print = cluster_bgp_print };

	return show(o, &look, e);
}

const struct command command_status = {
	.words = { "status" },
	.operands = "",
	.flags = FLAGS_VERDICT | FLAGS_SERVICES | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary =
		"whether all is well, and what is not, why, and what to do; pools, Services with "
		"addresses, owners and reasons, nodes with their speakers",
	.exits = { [COMMAND_OK] = "the verdict is OK",
	           [COMMAND_DEGRADED] = "the verdict is degraded",
	           [COMMAND_DOWN] = "the verdict is down" },
	.run = run_status,
};

const struct command command_pools = {
	.words = { "pools" },
	.operands = "",
	.flags = FLAGS_VERDICT | FLAGS_CLUSTER | FLAGS_OUTPUT,
	.summary = "pools with their addresses, used and free",
	.exits = { [COMMAND_OK] = "the verdict is OK",
	           [COMMAND_DEGRADED] = "the verdict is degraded",
	           [COMMAND_DOWN] = "the verdict is down" },
	.run = run_pools,
};

const struct command command_bgp = {
	.words = { "bgp" },
	.operands = "",
	.flags = FLAGS_VERDICT | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary = "the BGP sessions of every node: state, uptime, last error, prefixes wanted and "
		   "sent; and what stands in the way of BGP there",
	.exits = { [COMMAND_OK] = "the verdict is OK",
	           [COMMAND_DEGRADED] = "the verdict is degraded",
	           [COMMAND_DOWN] = "the verdict is down" },
	.run = run_bgp,
};
