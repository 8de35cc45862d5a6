/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "fairlead/kube.h"
#include "fairlead/labels.h"
#include "fairlead/mem.h"

/* --config, else the published one among the objects, else that of the administrator. */
static int configure(const struct command_options *o, const struct state *s, struct view *v,
                     struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	const struct kube_config_map *map =
		state_configuration(s, namespace, o->state.n == 0, o->config_map);
	struct configuration *c = NULL;

	if (o->config) {
		int r = file_read_configuration(o->config, &c, e);
		if (r == 0)
			view_set_configuration(v, c, 0);
		return r;
	}
	if (map)
		return view_load_configuration(v, map, e);
	if (o->state.n)
		return err_set(e, -EINVAL, ERR_CONFIG, STATE_NO_CONFIGURATION);
	return 0;
}

static void fill(struct view *v, const struct state *s, const struct kube_node *const *nodes,
                 size_t n_nodes)
{
	size_t n;
	const struct kube_service **services = state_services(s, &n);

	for (size_t i = 0; i < n; i++)
		view_upsert_service(v, services[i]);
	free(services);
	const struct kube_slice **slices = state_slices(s, &n);
	for (size_t i = 0; i < n; i++)
		view_upsert_slice(v, slices[i]);
	free(slices);
	for (size_t i = 0; i < n_nodes; i++)
		view_upsert_node(v, nodes[i]);
	view_settle(v);
}

/* Of a live cluster speakers are asked: they know what they were told. */
static struct view_node_rules node_rules(const struct command_options *o, bool is_live)
{
	enum proxy_mode mode = proxy_mode_named(o->proxy.mode);

	return (struct view_node_rules){ .forwards = !is_live && proxy_mode_forwards(mode),
		                         .by_rules = !is_live && mode == PROXY_IPTABLES };
}

int scene_open(struct scene *s, const struct command_options *o, struct gather *g, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);

	*s = (struct scene){ .o = o };
	int r = g ? state_read_live(&s->state, g, namespace, true, e)
	          : state_read_files(&s->state, &o->state, e);
	if (r == 0) {
		s->nodes = state_nodes(&s->state, &s->n_nodes);
		s->view = view_new(o->node ? o->node : "", o->load_balancer_class);
		view_set_node_rules(s->view, node_rules(o, g != NULL));
		fill(s->view, &s->state, s->nodes, s->n_nodes);
		r = configure(o, &s->state, s->view, e);
	}
	if (r < 0)
		scene_close(s);
	return r;
}

void scene_close(struct scene *s)
{
	view_free(TAKE(s->view));
	free(TAKE(s->nodes));
	state_fini(&s->state);
}

/* ---- what is in it ---- */

static const struct kube_service *service_named(const struct state *s, const char *key)
{
	const struct kube_service *found = NULL;
	size_t n;
	const struct kube_service **services = state_services(s, &n);

	for (size_t i = 0; i < n && !found; i++)
		if (!strcmp(kube_key(&services[i]->meta), key))
			found = services[i];
	free(services);
	return found;
}

/* "; give its namespace: shop/web", if there is one of that name elsewhere. */
static const char *elsewhere(const struct state *s, const char *name, char out[static 400])
{
	size_t n;
	const struct kube_service **services = state_services(s, &n);

	out[0] = '\0';
	for (size_t i = 0; i < n && !out[0]; i++)
		if (!strcmp(services[i]->meta.name, name))
			snprintf(out, 400, "; give its namespace: %s",
			         kube_key(&services[i]->meta));
	free(services);
	return out;
}

int scene_service(const struct scene *s, const char *name, const struct kube_service **ret_service,
                  const struct view_service **ret_known, struct err *e)
{
	cleanup_free char *key = xasprintf("%s%s", strchr(name, '/') ? "" : "default/", name);
	const struct kube_service *service = service_named(&s->state, key);
	const struct view_service *known = service ? view_service_named(s->view, key) : NULL;
	char hint[400];

	if (!known)
		return err_set(e, -ENOENT, ERR_CONFIG, "there is no Service %.320s%s", key,
		               elsewhere(&s->state, name, hint));
	*ret_service = service;
	*ret_known = known;
	return 0;
}

const struct kube_node *scene_node(const struct scene *s, const char *name)
{
	for (size_t i = 0; i < s->n_nodes; i++)
		if (!strcmp(s->nodes[i]->meta.name, name))
			return s->nodes[i];
	return NULL;
}

const struct kube_object *scene_namespace(const struct scene *s, const char *name)
{
	const struct kube_object *found = NULL;
	size_t n;
	const struct kube_object **all = state_namespaces(&s->state, &n);

	for (size_t i = 0; i < n && !found; i++)
		if (!strcmp(all[i]->meta.name, name))
			found = all[i];
	free(all);
	return found;
}

const char *scene_cooling(const struct scene *s)
{
	cleanup_free char *namespace = options_namespace(&s->o->kube);

	return state_cooling(&s->state, namespace);
}

const char *scene_zone(const struct scene *s, const char *node)
{
	const struct kube_node *n = scene_node(s, node);

	return n ? labels_get(&n->meta.labels, VIEW_LABEL_ZONE) : NULL;
}

int scene_plane(const struct command_options *o, struct scene_plane *ret, struct err *e)
{
	struct scene_plane p = { .options = { .mode = proxy_mode_named(o->proxy.mode) },
		                 .flags = o->proxy.flags };
	int r = facts_flags_parse(&p.flags, e);

	facts_flags_apply(&p.flags, &p.options);
	if (r == 0)
		*ret = p;
	return r;
}

struct proxy_node scene_facts(const struct scene *s, const struct scene_plane *p, const char *node)
{
	struct proxy_node facts = { .n_pod_cidrs = 0 };

	facts_update(&p->flags, view_node_named(s->view, node), &facts);
	return facts;
}
