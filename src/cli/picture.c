/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First the API server's lists, all at once, then every daemon, all at once.
 */
#include "config.h"

#include "cli/picture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "cli/gather.h"
#include "cli/history.h"
#include "cli/model.h"
#include "cli/state.h"
#include "fairlead/clock.h"
#include "fairlead/configuration.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define LEASE_NAME "fairlead-controller"
#define LEASE_MAX_S 86400
#define LEASE_GRACE_S 30

static void tell_of(struct picture *p, const struct err *why)
{
	gather_pass_over(why, &p->n_unreadable);
	if (p->tee)
		p->tee->passed_over(why->msg, p->tee->arg);
}

static void pass_over(const struct kube_remains *r, const struct err *why, void *arg)
{
	struct picture *p = arg;
	struct err e = *why;

	err_prefix(&e, "%s", r ? kube_key(&r->meta) : "(no name)");
	tell_of(p, &e);
}

static void denied(const struct err *why, void *arg)
{
	tell_of(arg, why);
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

/* Little is missing. */
static void denied_cooling(const struct err *why, void *arg)
{
	(void)arg;
	state_tell_unknown_cooling(why);
}

/* It matters only if a daemon does not answer, and is shown then. */
static void denied_pods(const struct err *why, void *arg)
{
	(void)why;
	cluster_hide_pods(((struct picture *)arg)->model);
}

static void read_config_map(struct json_object *obj, struct picture *p,
                            void (*put)(struct model *m, const struct kube_config_map *map))
{
	struct kube_config_map *m = NULL;
	struct err e = ERR_INIT;

	if (kube_config_map_parse(obj, &m, &e) == 0)
		put(p->model, m);
	else
		tell_of(p, &e);
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

static void put_cooling(struct json_object *obj, void *arg)
{
	read_config_map(obj, arg, cluster_put_cooling);
}

static void put_service(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (kube_service_parse(obj, &s, &e) == 0)
		cluster_put_service(p->model, s);
	else
		tell_of(p, &e);
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
		tell_of(p, &e);
	kube_node_free(n);
}

static void put_pod(struct json_object *obj, void *arg)
{
	struct picture *p = arg;
	struct err e = ERR_INIT;

	if (cluster_put_pod(p->model, obj, &e) < 0)
		tell_of(p, &e);
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

static void put_controller(const char *pod, struct json_object *status, const char *why, void *arg)
{
	cluster_put_controller(arg, pod, status, why);
}

static int ask_api(const struct command_options *o, struct gather *g, unsigned int what,
                   struct picture *p, struct err *e)
{
	bool all = what & PICTURE_ALL;
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *map_path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", namespace, CONFIG_MAP_ACTIVE);
	cleanup_free char *lease_path = xasprintf(
		"/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", namespace, LEASE_NAME);
	cleanup_free char *pods_path = gather_pods_path(namespace);
	const struct gather_row rows[] = {
		{ pods_path, true, false, put_pod, pass_over, denied_pods },
		{ "/api/v1/nodes", true, false, put_node, pass_over, all ? denied : NULL },
		{ map_path, false, true, put_config_map, NULL, denied_configuration },
		{ "/api/v1/services", true, false, put_service, pass_over, denied },
		{ lease_path, false, true, put_lease, NULL, denied_leader },
	};
	int r = gather_api(g, rows, all ? ARRAY_LEN(rows) : 2, p, e);

	if (r == 0)
		cluster_end_pods(p->model);
	return r;
}

/* The administrator's ConfigMap, whose name is known only now, and what no object tells. */
static int ask_wanted(const struct command_options *o, struct gather *g, struct picture *p,
                      struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/configmaps/%s", namespace,
	                  state_config_map_name(o->config_map, cluster_source(p->model)));
	cleanup_free char *cooling =
		xasprintf("/api/v1/namespaces/%s/configmaps/" IPAM_COOLING_MAP, namespace);
	const struct gather_row rows[] = {
		{ path, false, true, put_wanted, NULL, denied },
		{ cooling, false, true, put_cooling, NULL, denied_cooling },
	};

	return gather_api(g, rows, cluster_is_noted(p->model) ? 2 : 1, p, e);
}

struct asked {
	struct picture *p;
	const struct gather_daemon *speakers;
	size_t n;
};

static void put_speaker(const char *node, struct json_object *status, const char *why, void *arg)
{
	const struct asked *a = arg;
	const struct picture_tee *tee = a->p->tee;

	cluster_put_speaker(a->p->model, node, status, why);
	for (size_t i = 0; tee && i < a->n; i++)
		if (a->speakers[i].name == node)
			tee->speaker(&a->speakers[i], status, why, tee->arg);
}

static void ask_speakers(const struct command_options *o, struct gather *g, struct picture *p)
{
	size_t n;
	struct gather_daemon *daemons = cluster_speakers(p->model, o->speaker.port, &n);
	struct asked a = { p, daemons, n };
	bool *by_proxy = xcalloc(n + 1, sizeof(*by_proxy));

	for (size_t i = 0; i < n; i++)
		daemons[i].ret_by_proxy = &by_proxy[i];
	gather_daemons(g, daemons, n, o->speaker.token_file, put_speaker, &a);
	free(by_proxy);
	free(daemons);
}

static void ask_controllers(const struct command_options *o, struct gather *g, struct model *m)
{
	size_t n;
	struct gather_daemon *daemons = cluster_controllers(m, &n);

	gather_daemons(g, daemons, n, o->speaker.token_file, put_controller, m);
	free(daemons);
}

/* What follows from it is left out where it may not be read. */
static void ask_journal(const struct command_options *o, struct gather *g, struct model *m)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup(state_fini) struct state s = { 0 };
	struct history h = { .n = 0 };
	struct err e = ERR_INIT;

	if (state_read_journal(&s, g, namespace, &e) < 0) {
		buf_plain(e.msg);
		fprintf(stderr, "warning: the journal is left out: %s\n", e.msg);
		return;
	}
	history_read(&h, &s, namespace);
	cluster_set_history(m, &h);
}

int picture_take(const struct command_options *o, struct gather *g, unsigned int what,
                 struct picture *p, struct err *e)
{
	int r = ask_api(o, g, what, p, e);

	if (r < 0)
		return r;
	/* Where nothing is published, only they say what it should have been made of. */
	bool is_unknown = (what & PICTURE_ALL) && !o->config_map && cluster_is_blank(p->model);
	if ((what & PICTURE_CONTROLLERS) || is_unknown)
		ask_controllers(o, g, p->model);
	if (what & PICTURE_ALL)
		r = ask_wanted(o, g, p, e);
	if (r == 0 && (what & PICTURE_SPEAKERS))
		ask_speakers(o, g, p);
	if (r == 0 && (what & PICTURE_JOURNAL))
		ask_journal(o, g, p->model);
	return r;
}

int picture_exit_status(const struct command_options *o, const struct picture *p,
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
