/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/model_private.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* Where controllers serve /status unless their Pods say otherwise. */
#define CONTROLLER_PORT 17481

struct model *cluster_new(void)
{
	struct model *m = xcalloc(1, sizeof(*m));

	m->leader = xstrdup("");
	m->books = model_books_new();
	return m;
}

static void address_fini(struct model_address *a)
{
	for (size_t i = 0; i < a->n_verdicts; i++) {
		struct verdict *d = &a->verdicts[i];
		free(d->node);
		free(d->reason);
		free(d->message);
		free(d->owner);
		free(d->interface);
		free(d->mac);
		free(d->claim);
		free(d->cause);
	}
	free(a->verdicts);
}

static void service_free(struct model_service *s)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		address_fini(&s->addresses[i]);
	free(s->addresses);
	free(s->key);
	free(s->namespace);
	free(s->name);
	free(s->class);
	labels_fini(&s->labels);
	free(s->external_reason);
	free(s->external_message);
	free(s->reason);
	free(s->message);
	free(s);
}

static void refusals_fini(struct model_refusals *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->items[i].service);
		free(r->items[i].error);
	}
	free(r->items);
}

static void rules_fini(struct model_rules *r)
{
	refusals_fini(&r->refused);
	refusals_fini(&r->substituted);
	refusals_fini(&r->uncarried);
	for (size_t i = 0; i < ARRAY_LEN(r->passages); i++)
		free(r->passages[i].where);
	free(r->error);
}

static void troubles_fini(struct model_node *node)
{
	for (size_t i = 0; i < node->n_troubles; i++) {
		free(node->troubles[i].interface);
		free(node->troubles[i].reason);
		free(node->troubles[i].message);
	}
	free(node->troubles);
}

void cluster_free(struct model *m)
{
	struct model_service *s, *next;

	if (!m)
		return;
	model_books_free(m->books);
	history_fini(&m->history);
	HASH_ITER(hh, m->services, s, next) {
		HASH_DEL(m->services, s);
		service_free(s);
	}
	for (size_t i = 0; i < m->n_nodes; i++) {
		free(m->nodes[i].name);
		free(m->nodes[i].addrs);
		free(m->nodes[i].error);
		free(m->nodes[i].version);
		free(m->nodes[i].proxy);
		rules_fini(&m->nodes[i].rules);
		refusals_fini(&m->nodes[i].health_ports);
		troubles_fini(&m->nodes[i]);
		model_l2_fini(&m->nodes[i].l2);
		model_bgp_fini(&m->nodes[i].bgp);
	}
	free(m->nodes);
	configuration_unref(m->config);
	free(m->config_error);
	free(m->rejected);
	free(m->leader);
	free(m->wanted);
	free(m->source);
	for (size_t i = 0; i < m->n_controllers; i++) {
		free(m->controllers[i].pod);
		free(m->controllers[i].version);
		free(m->controllers[i].error);
	}
	free(m->controllers);
	pods_fini(&m->pods);
	free(m->cooling);
	free(m);
}

static char *problem_text(const struct config_problems *errors)
{
	const struct config_problem *first = errors->items;

	if (!errors->n)
		return xstrdup("it does not parse");
	return xasprintf("line %u: %s%s%s", first->line, first->path, *first->path ? ": " : "",
	                 first->message);
}

void cluster_set_configuration(struct model *m, struct configuration *c)
{
	model_books_reset(m->books);
	configuration_unref(m->config);
	m->config = c;
}

void cluster_set_history(struct model *m, struct history *h)
{
	history_fini(&m->history);
	m->history = *h;
	*h = (struct history){ .n = 0 };
}

void cluster_put_configuration(struct model *m, const struct kube_config_map *map)
{
	const char *text = labels_get(&map->data, CONFIG_MAP_KEY);
	const char *generation = labels_get(&map->meta.annotations, CONFIG_GENERATION_ANNOTATION);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(config_problems_fini) struct config_problems warnings = { 0 };
	struct configuration *c = NULL;

	m->generation = generation ? strtoll(generation, NULL, 10) : 0;
	free(m->source);
	m->source = xstrdup_null(labels_get(&map->meta.annotations, CONFIG_SOURCE_ANNOTATION));
	m->uninstalling = labels_get(&map->meta.annotations, UNINSTALL_ANNOTATION);
	free(m->config_error);
	m->config_error = NULL;
	if (configuration_parse_published(text, labels_get(&map->data, CONFIG_MAP_RETAINED), &c,
	                                  &errors, &warnings) < 0) {
		m->config_error = problem_text(&errors);
		return;
	}
	cluster_set_configuration(m, c);
}

void cluster_put_cooling(struct model *m, const struct kube_config_map *map)
{
	free(m->cooling);
	m->cooling = xstrdup_null(labels_get(&map->data, IPAM_COOLING_KEY));
	model_books_reset(m->books);
}

bool cluster_is_noted(const struct model *m)
{
	return m->config && configuration_is_noted(m->config);
}

void cluster_put_wanted(struct model *m, const struct kube_config_map *map)
{
	const char *text = labels_get(&map->data, CONFIG_MAP_KEY);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(config_problems_fini) struct config_problems warnings = { 0 };
	struct configuration *c = NULL;

	free(m->rejected);
	m->rejected = NULL;
	free(m->wanted);
	m->wanted = xstrdup(map->meta.name ? map->meta.name : CONFIG_MAP_NAME);
	if (!text)
		m->rejected = xstrdup("there is no key " CONFIG_MAP_KEY);
	else if (configuration_parse(text, strlen(text), &c, &errors, &warnings) < 0)
		m->rejected = problem_text(&errors);
	m->n_rejected = m->rejected ? (errors.n ? errors.n : 1) : 0;
	configuration_unref(c);
}

/* "" where the condition is missing. */
static void copy_condition(const struct kube_service *in, const char *type, char **ret_reason,
                           char **ret_message)
{
	const struct kube_condition *c = NULL;

	for (size_t i = 0; i < in->n_conditions; i++)
		if (!strcmp(in->conditions[i].type, type))
			c = &in->conditions[i];
	*ret_reason = xstrdup(c && c->reason ? c->reason : "");
	*ret_message = xstrdup(c && c->message ? c->message : "");
}

void cluster_put_service(struct model *m, const struct kube_service *in)
{
	if (in->type != KUBE_LOAD_BALANCER && in->n_external_ips == 0 && !in->external_pool)
		return;
	struct model_service *s = xcalloc(1, sizeof(*s)), *old;
	model_books_reset(m->books);
	s->key = xasprintf("%s/%s", in->meta.namespace, in->meta.name);
	s->namespace = xstrdup(in->meta.namespace);
	s->name = xstrdup(in->meta.name);
	s->class = xstrdup_null(in->load_balancer_class);
	s->labels = labels_copy(&in->meta.labels);
	copy_condition(in, IPAM_CONDITION, &s->reason, &s->message);
	copy_condition(in, IPAM_CONDITION_EXTERNAL, &s->external_reason, &s->external_message);
	s->external_waits = in->external_pool && in->n_external_assigned == 0;
	cleanup_free struct view_address *list = view_addresses_of(in, &s->n_addresses);
	view_parse_uid(in->meta.uid, s->identity.id);
	s->identity.since_us = in->meta.creation_us;
	s->waits = in->type == KUBE_LOAD_BALANCER && (!s->n_addresses || list[0].external);
	s->addresses = xcalloc(s->n_addresses + 1, sizeof(*s->addresses));
	for (size_t i = 0; i < s->n_addresses; i++)
		s->addresses[i].address = list[i];
	/* A list in pages may name an object twice. */
	HASH_FIND(hh, m->services, s->key, strlen(s->key), old);
	if (old) {
		HASH_DEL(m->services, old);
		service_free(old);
	}
	HASH_ADD_KEYPTR(hh, m->services, s->key, strlen(s->key), s);
}

/* What holds whatever the speakers' flags are. */
static enum reason away_of(const struct kube_node *n)
{
	struct view *v = view_new("", NULL);

	view_set_node_rules(v, (struct view_node_rules){ .ignore_exclude_label = true });
	view_upsert_node(v, n);
	enum reason reason = decide_node_itself(v, view_node_named(v, n->meta.name));
	view_free(v);
	return reason;
}

void cluster_put_node(struct model *m, const struct kube_node *n)
{
	ARRAY_RESERVE(m->nodes, m->cap_nodes, m->n_nodes + 1);
	struct model_node *node = &m->nodes[m->n_nodes++];

	*node = (struct model_node){ .name = xstrdup(n->meta.name),
		                     .ready = n->ready,
		                     .excluded = n->excluded,
		                     .away = away_of(n) };
	node->addrs = kube_node_addresses(n, &node->n_addrs);
	if (n->n_internal_ips)
		node->addr = n->internal_ips[0];
	model_books_reset(m->books);
}

void cluster_put_leader(struct model *m, const char *holder, int64_t silent_s)
{
	free(m->leader);
	m->leader = xstrdup(holder);
	m->leader_silent_s = silent_s;
}

void cluster_hide_leader(struct model *m)
{
	m->leader_hidden = true;
}

void cluster_hide_configuration(struct model *m)
{
	m->config_hidden = true;
}

void cluster_hide_pods(struct model *m)
{
	m->pods_hidden = true;
}

int cluster_put_pod(struct model *m, struct json_object *obj, struct err *e)
{
	return pods_put(&m->pods, obj, e);
}

void cluster_end_pods(struct model *m)
{
	m->pods.known = !m->pods_hidden;
}

void cluster_show_only(struct model *m, const char *namespace,
                       const struct label_selector *selector)
{
	for (struct model_service *s = m->services; s; s = s->hh.next)
		s->hidden = (namespace && strcmp(namespace, s->namespace) != 0) ||
		            (selector && !label_selector_matches(selector, &s->labels));
}

int cluster_show_pools(struct model *m, const char *pool, bool addresses, struct err *e)
{
	cleanup(buf_fini) struct buf names = BUF_INIT;

	m->only_pool = pool;
	m->lists_addresses = addresses;
	if (!pool || !m->config || configuration_pool_named(m->config, pool))
		return 0;
	for (size_t i = 0; i < m->config->n_pools; i++)
		buf_printf(&names, "%s%s", i ? ", " : "; there are ", m->config->pools[i].name);
	return err_set(e, -ENOENT, ERR_CONFIG, "there is no pool %.100s%.300s", pool,
	               buf_str(&names));
}

/* ---- reading ---- */

struct gather_daemon *cluster_speakers(const struct model *m, int port, size_t *ret_n)
{
	struct gather_daemon *all = xcalloc(m->n_nodes + 1, sizeof(*all));

	for (size_t i = 0; i < m->n_nodes; i++)
		all[i] = pods_ask_speaker(&m->pods, m->nodes[i].name, &m->nodes[i].addr, port);
	*ret_n = m->n_nodes;
	return all;
}

struct gather_daemon *cluster_controllers(const struct model *m, size_t *ret_n)
{
	struct gather_daemon *all = xcalloc(m->pods.n + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i < m->pods.n; i++) {
		const struct kube_pod *pod = m->pods.items[i];
		int port = pod->http_port ? pod->http_port : CONTROLLER_PORT;
		if (pod_is(pod, PODS_CONTROLLER) && pod_runs(pod))
			all[n++] = pods_ask(pod, port);
	}
	*ret_n = n;
	return all;
}

bool cluster_is_blank(const struct model *m)
{
	return !m->config && !m->config_error && !m->config_hidden;
}

const char *cluster_source(const struct model *m)
{
	return m->source;
}

const char *cluster_configuration_error(const struct model *m)
{
	return m->config_error;
}

bool cluster_is_complete(const struct model *m)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (!m->nodes[i].answered)
			return false;
	return true;
}
