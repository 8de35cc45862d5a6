/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

void trial_fini(struct trial *t)
{
	free(t->namespaces);
	free(t->nodes);
	free(t->remains);
	free(t->services);
	configuration_unref(t->config);
	state_fini(&t->state);
	gather_close(t->g);
}

/* ---- what there is ---- */

/*
 * The configuration that was published, else what the administrator has among the manifests.  None
 * if neither is there, or it cannot be used.
 */
static void read_configuration(struct trial *t, const char *namespace)
{
	struct config_problems problems = { 0 };
	const struct kube_config_map *map =
		state_configuration(&t->state, namespace, t->g != NULL, t->o->config_map);

	t->text = map ? labels_get(&map->data, CONFIG_MAP_KEY) : NULL;
	if (t->text)
		configuration_parse_published(t->text, labels_get(&map->data, CONFIG_MAP_RETAINED),
		                              &t->config, &problems, NULL);
	config_problems_fini(&problems);
}

static bool selects_namespaces(const struct configuration *c)
{
	return c && configuration_selects_namespaces(c);
}

static bool is_noted(const struct configuration *c)
{
	return c && configuration_is_noted(c);
}

/*
 * The controller passes over what it cannot read, too, but for the addresses in it.  @c: another
 * configuration to be tried, or NULL.
 */
static int read_state(struct trial *t, const struct configuration *c, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&t->o->kube);
	int r;

	if (t->o->state.n) {
		r = state_read_files(&t->state, &t->o->state, e);
	} else {
		r = gather_open(&t->o->kube, &t->g, e);
		if (r == 0)
			r = state_read_live(&t->state, t->g, namespace, false, e);
	}
	if (r < 0)
		return r;
	read_configuration(t, namespace);
	if (t->g && (selects_namespaces(t->config) || selects_namespaces(c)))
		r = state_read_namespaces(&t->state, t->g, e);
	if (r == 0 && t->g && (is_noted(t->config) || is_noted(c)))
		r = state_read_cooling(&t->state, t->g, namespace, e);
	return r;
}

int trial_read_for(struct trial *t, const struct command_options *o, const struct configuration *c,
                   struct err *e)
{
	*t = (struct trial){ .o = o };
	int r = read_state(t, c, e);
	if (r < 0)
		return r;
	t->services = state_services(&t->state, &t->in.n_services);
	t->remains = state_remains(&t->state, &t->in.n_remains);
	t->nodes = state_nodes(&t->state, &t->in.n_nodes);
	t->namespaces = state_namespaces(&t->state, &t->in.n_namespaces);
	t->in.services = t->services;
	t->in.remains = t->remains;
	t->in.nodes = t->nodes;
	t->in.namespaces = t->namespaces;
	t->in.in_force = t->config;
	cleanup_free char *namespace = options_namespace(&o->kube);
	t->in.cooling = state_cooling(&t->state, namespace);
	return 0;
}

int trial_read(struct trial *t, const struct command_options *o, struct err *e)
{
	int r = trial_read_for(t, o, NULL, e);

	if (r == 0 && !t->config)
		r = err_set(e, -ENOENT, ERR_CONFIG, "%s",
		            o->state.n
		                    ? "no configuration that can be used: the manifests need the "
		                      "ConfigMap " CONFIG_MAP_ACTIVE ", or the administrator's"
		                    : "no configuration is in force: nothing would be decided");
	return r;
}

char *trial_key(const char *word)
{
	return xasprintf("%s%s", strchr(word, '/') ? "" : "default/", word);
}

bool trial_find(const struct trial *t, const char *key, size_t *ret_at)
{
	for (size_t i = 0; i < t->in.n_services; i++)
		if (!strcmp(kube_key(&t->services[i]->meta), key)) {
			*ret_at = i;
			return true;
		}
	return false;
}

/* ---- plans ---- */

struct configuration *trial_configuration(const struct trial *t)
{
	struct config_problems problems = { 0 };
	struct configuration *c = NULL;

	configuration_parse_published(t->text, NULL, &c, &problems, NULL);
	config_problems_fini(&problems);
	return c;
}

struct plan *trial_plan_under(const struct trial *t, struct configuration *c)
{
	return plan_new(c, t->o->load_balancer_class, &t->in);
}

struct plan *trial_plan(const struct trial *t, size_t at, const struct kube_service *s,
                        const struct kube_service *another)
{
	struct configuration *c = trial_configuration(t);
	struct plan_input in = t->in;
	const struct kube_service **services =
		xcalloc(in.n_services + 2, sizeof(const struct kube_service *));

	memcpy(services, t->services, in.n_services * sizeof(const struct kube_service *));
	services[at] = s;
	if (another)
		services[in.n_services++] = another;
	in.services = services;
	struct plan *p = plan_new(c, t->o->load_balancer_class, &in);
	configuration_unref(c);
	free(services);
	return p;
}
