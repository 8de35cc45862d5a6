/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/model.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/model_private.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

struct model *cluster_new(void)
{
	struct model *m = xcalloc(1, sizeof(*m));

	m->leader = xstrdup("");
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

static void rules_fini(struct model_rules *r)
{
	for (size_t i = 0; i < r->n_refused; i++) {
		free(r->refused[i].service);
		free(r->refused[i].error);
	}
	free(r->refused);
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
	HASH_ITER(hh, m->services, s, next) {
		HASH_DEL(m->services, s);
		service_free(s);
	}
	for (size_t i = 0; i < m->n_nodes; i++) {
		free(m->nodes[i].name);
		free(m->nodes[i].error);
		free(m->nodes[i].version);
		free(m->nodes[i].proxy);
		rules_fini(&m->nodes[i].rules);
		troubles_fini(&m->nodes[i]);
		model_bgp_fini(&m->nodes[i].bgp);
	}
	free(m->nodes);
	configuration_unref(m->config);
	free(m->config_error);
	free(m->rejected);
	free(m->leader);
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

void cluster_put_configuration(struct model *m, const struct kube_config_map *map)
{
	const char *text = labels_get(&map->data, CONFIG_MAP_KEY);
	const char *generation = labels_get(&map->meta.annotations, CONFIG_GENERATION_ANNOTATION);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(config_problems_fini) struct config_problems warnings = { 0 };
	struct configuration *c = NULL;

	m->generation = generation ? strtoll(generation, NULL, 10) : 0;
	m->uninstalling = labels_get(&map->meta.annotations, UNINSTALL_ANNOTATION);
	free(m->config_error);
	m->config_error = NULL;
	if (configuration_parse_published(text, labels_get(&map->data, CONFIG_MAP_RETAINED), &c,
	                                  &errors, &warnings) < 0) {
		m->config_error = problem_text(&errors);
		return;
	}
	configuration_unref(m->config);
	m->config = c;
}

void cluster_put_wanted(struct model *m, const struct kube_config_map *map)
{
	const char *text = labels_get(&map->data, CONFIG_MAP_KEY);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(config_problems_fini) struct config_problems warnings = { 0 };
	struct configuration *c = NULL;

	free(m->rejected);
	m->rejected = NULL;
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
	s->key = xasprintf("%s/%s", in->meta.namespace, in->meta.name);
	s->namespace = xstrdup(in->meta.namespace);
	s->name = xstrdup(in->meta.name);
	s->class = xstrdup_null(in->load_balancer_class);
	s->labels = labels_copy(&in->meta.labels);
	copy_condition(in, IPAM_CONDITION, &s->reason, &s->message);
	copy_condition(in, IPAM_CONDITION_EXTERNAL, &s->external_reason, &s->external_message);
	s->external_waits = in->external_pool && in->n_external_assigned == 0;
	cleanup_free struct view_address *list = view_addresses_of(in, &s->n_addresses);
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
		                     .away = away_of(n) };
	if (n->n_internal_ips)
		node->addr = n->internal_ips[0];
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

/* ---- speakers ---- */

char *model_dup_str(struct json_object *obj, const char *key)
{
	const char *s = kube_json_str(obj, key, NULL);

	return xstrdup(s ? s : "");
}

static enum protocol protocol_of(struct json_object *obj)
{
	const char *protocol = kube_json_str(obj, "protocol", NULL);

	return protocol && !strcmp(protocol, protocol_name(PROTOCOL_BGP)) ? PROTOCOL_BGP
	                                                                  : PROTOCOL_LAYER2;
}

static bool is_announced_by(const struct model_address *a, const char *node)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (a->verdicts[i].announce && !strcmp(a->verdicts[i].node, node))
			return true;
	return false;
}

static void put_verdict(struct model_service *s, struct json_object *obj, struct model_node *node)
{
	const char *text = kube_json_str(obj, "address", NULL);
	struct addr addr;

	if (!text || addr_parse(text, &addr) < 0)
		return;
	for (size_t i = 0; i < s->n_addresses; i++) {
		struct model_address *a = &s->addresses[i];
		if (!addr_eq(&a->address.addr, &addr))
			continue;
		bool before = is_announced_by(a, node->name);
		a->verdicts = xreallocarray(a->verdicts, a->n_verdicts + 1, sizeof(*a->verdicts));
		struct verdict *d = &a->verdicts[a->n_verdicts++];
		*d = (struct verdict){
			.node = xstrdup(node->name),
			.reason = model_dup_str(obj, "reason"),
			.message = model_dup_str(obj, "message"),
			.owner = model_dup_str(obj, "owner"),
			.interface = model_dup_str(obj, "interface"),
			.mac = model_dup_str(obj, "mac"),
			.protocol = protocol_of(obj),
			.announce = kube_json_bool(obj, "announce", false, NULL),
		};
		node->n_announced += d->announce && !before;
		enum reason reason = reason_named(d->reason);
		if (node->away == REASON_Candidate &&
		    (reason == REASON_NodeExcluded || reason == REASON_NodeCordoned))
			node->away = reason;
		return;
	}
}

static void put_services(struct model *m, struct json_object *status, struct model_node *node)
{
	struct json_object *list = kube_json_get(status, "services", json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(list, i);
		const char *namespace = kube_json_str(obj, "namespace", NULL);
		const char *name = kube_json_str(obj, "name", NULL);
		struct json_object *addresses =
			kube_json_get(obj, "addresses", json_type_array, NULL);
		struct model_service *s;
		if (!namespace || !name)
			continue;
		cleanup_free char *key = xasprintf("%s/%s", namespace, name);
		HASH_FIND(hh, m->services, key, strlen(key), s);
		size_t n_addresses = addresses ? json_object_array_length(addresses) : 0;
		for (size_t k = 0; s && k < n_addresses; k++)
			put_verdict(s, json_object_array_get_idx(addresses, k), node);
	}
}

static void put_peers(struct json_object *status, struct model_node *node)
{
	struct json_object *l2 = kube_json_get(status, "l2", json_type_object, NULL);
	struct json_object *peers = l2 ? kube_json_get(l2, "peers", json_type_array, NULL) : NULL;

	node->n_peers = peers ? json_object_array_length(peers) : 0;
	for (size_t i = 0; i < node->n_peers; i++)
		node->n_peers_alive +=
			kube_json_bool(json_object_array_get_idx(peers, i), "alive", false, NULL);
}

static void put_troubles(struct json_object *status, struct model_node *node)
{
	struct json_object *l2 = kube_json_get(status, "l2", json_type_object, NULL);
	struct json_object *list = l2 ? kube_json_get(l2, "troubles", json_type_array, NULL) : NULL;
	size_t n = list ? json_object_array_length(list) : 0;

	node->troubles = xcalloc(n + 1, sizeof(*node->troubles));
	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(list, i);
		if (!json_object_is_type(obj, json_type_object))
			continue;
		node->troubles[node->n_troubles++] =
			(struct model_trouble){ .interface = model_dup_str(obj, "interface"),
			                        .reason = model_dup_str(obj, "reason"),
			                        .message = model_dup_str(obj, "message") };
	}
}

static void put_refused(struct json_object *family, struct model_rules *r)
{
	struct json_object *list = kube_json_get(family, "refused", json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;

	r->refused = xreallocarray(r->refused, r->n_refused + n + 1, sizeof(*r->refused));
	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(list, i);
		if (json_object_is_type(obj, json_type_object))
			r->refused[r->n_refused++] =
				(struct model_refused){ .service = model_dup_str(obj, "service"),
				                        .error = model_dup_str(obj, "error") };
	}
}

static void put_rules(struct json_object *proxy, struct model_rules *r)
{
	struct json_object *list = kube_json_get(proxy, "families", json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;

	r->pending = !kube_json_bool(proxy, "in_sync", true, NULL);
	for (size_t i = 0; i < n; i++) {
		struct json_object *family = json_object_array_get_idx(list, i);
		if (!json_object_is_type(family, json_type_object))
			continue;
		if (!r->error)
			r->error = xstrdup_null(kube_json_str(family, "last_error", NULL));
		put_refused(family, r);
	}
}

static void put_state(struct json_object *status, struct model_node *node)
{
	struct json_object *config = kube_json_get(status, "config", json_type_object, NULL);
	struct json_object *api = kube_json_get(status, "api", json_type_object, NULL);
	struct json_object *l2 = kube_json_get(status, "l2", json_type_object, NULL);
	const char *uninstalled = kube_json_str(status, "uninstalled", NULL);
	const char *key = l2 ? kube_json_str(l2, "heartbeat_key", NULL) : NULL;

	node->version = model_dup_str(status, "version");
	node->generation = config ? kube_json_int(config, "generation", 0, INT64_MAX, 0, NULL) : 0;
	node->fresh = api && kube_json_bool(api, "fresh", false, NULL);
	node->uninstalled = uninstalled && strcmp(uninstalled, "no") != 0;
	node->key_awaited = key && !strcmp(key, "awaited");
}

void cluster_put_speaker(struct model *m, const char *name, struct json_object *status,
                         const char *error)
{
	struct model_node *node = NULL;

	for (size_t i = 0; i < m->n_nodes && !node; i++)
		if (!strcmp(m->nodes[i].name, name))
			node = &m->nodes[i];
	if (!node || node->asked)
		return;
	node->asked = true;
	node->answered = status != NULL;
	node->error = xstrdup_null(error);
	if (!status)
		return;
	struct json_object *proxy = kube_json_get(status, "proxy", json_type_object, NULL);
	node->proxy = proxy ? model_dup_str(proxy, "mode") : xstrdup("");
	if (proxy)
		put_rules(proxy, &node->rules);
	put_state(status, node);
	put_services(m, status, node);
	put_peers(status, node);
	put_troubles(status, node);
	model_read_bgp(status, &node->bgp);
}

void cluster_show_only(struct model *m, const char *namespace,
                       const struct label_selector *selector)
{
	for (struct model_service *s = m->services; s; s = s->hh.next)
		s->hidden = (namespace && strcmp(namespace, s->namespace) != 0) ||
		            (selector && !label_selector_matches(selector, &s->labels));
}

/* ---- reading ---- */

size_t cluster_nodes(const struct model *m)
{
	return m->n_nodes;
}

const char *cluster_node_name(const struct model *m, size_t i)
{
	return m->nodes[i].name;
}

const struct addr *cluster_node_address(const struct model *m, size_t i)
{
	return &m->nodes[i].addr;
}

bool cluster_is_complete(const struct model *m)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (!m->nodes[i].answered)
			return false;
	return true;
}
