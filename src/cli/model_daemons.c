/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemons say of themselves by /status. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/model_private.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

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
			.claim = model_dup_str(obj, "claim"),
			.cause = model_dup_str(obj, "cause"),
			.preference = kube_json_int(obj, "preference", 0, UINT32_MAX, 0, NULL),
			.held_ms = kube_json_int(obj, "held_ms", -1, INT64_MAX, -1, NULL),
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

static void put_refusals(struct json_object *parent, const char *key, const char *what,
                         struct model_refusals *r)
{
	struct json_object *list = kube_json_get(parent, key, json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;

	r->items = xreallocarray(r->items, r->n + n + 1, sizeof(*r->items));
	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(list, i);
		if (json_object_is_type(obj, json_type_object))
			r->items[r->n++] = (struct model_refused){
				.service = model_dup_str(obj, "service"),
				.error = model_dup_str(obj, what),
				.port = kube_json_int(obj, "port", 0, UINT16_MAX, 0, NULL),
			};
	}
}

/* A firewall in the way of a family that no Service has is nobody's trouble. */
static bool is_carried(struct json_object *proxy, int64_t family)
{
	struct json_object *list = kube_json_get(proxy, "families", json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(list, i);
		if (json_object_is_type(obj, json_type_object) &&
		    kube_json_int(obj, "family", 0, 6, 0, NULL) == family)
			return kube_json_int(obj, "services", 0, INT64_MAX, 0, NULL) > 0;
	}
	return false;
}

static void put_passages(struct json_object *proxy, struct model_rules *r)
{
	struct json_object *list = kube_json_get(proxy, "forward", json_type_array, NULL);
	size_t n = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(list, i);
		if (!json_object_is_type(obj, json_type_object))
			continue;
		int64_t family = kube_json_int(obj, "family", 0, 6, 0, NULL);
		const char *passage = kube_json_str(obj, "passage", NULL);
		struct model_passage *p = &r->passages[family == 6];
		if (p->is_told || !passage || !strcmp(passage, "passes") ||
		    !is_carried(proxy, family))
			continue;
		*p = (struct model_passage){ .is_told = true,
			                     .is_refused = !strcmp(passage, "refused"),
			                     .where = model_dup_str(obj, "where") };
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
		put_refusals(family, "refused", "error", &r->refused);
		put_refusals(family, "substituted", "scheduler", &r->substituted);
	}
	put_passages(proxy, r);
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

void cluster_put_controller(struct model *m, const char *pod, struct json_object *status,
                            const char *error)
{
	struct json_object *config =
		status ? kube_json_get(status, "config", json_type_object, NULL) : NULL;
	struct model_controller c = { .pod = xstrdup(pod), .error = xstrdup_null(error) };

	if (status) {
		c.answered = true;
		c.leads = kube_json_bool(status, "leader", false, NULL);
		c.version = model_dup_str(status, "version");
	}
	if (config && !m->source)
		m->source = xstrdup_null(kube_json_str(config, "config_map", NULL));
	m->controllers =
		xreallocarray(m->controllers, m->n_controllers + 1, sizeof(*m->controllers));
	m->controllers[m->n_controllers++] = c;
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
	put_refusals(status, "uncarried", "reason", &node->rules.uncarried);
	struct json_object *health = kube_json_get(status, "health", json_type_object, NULL);
	if (health)
		put_refusals(health, "failing", "error", &node->health_ports);
	put_state(status, node);
	put_services(m, status, node);
	put_troubles(status, node);
	model_read_l2(status, &node->l2);
	model_read_bgp(status, &node->bgp);
}
