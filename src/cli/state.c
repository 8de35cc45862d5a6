/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/file.h"
#include "cli/gather.h"
#include "fairlead/configuration.h"
#include "fairlead/hash.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

enum state_kind {
	STATE_SERVICE,
	STATE_SLICE,
	STATE_NODE,
	STATE_CONFIG_MAP,
	STATE_NAMESPACE,
	STATE_REMAINS, /* of a Service; no kind of the API's */
	STATE_KINDS
};

struct state_entry {
	char *key; /* "kind/namespace/name" */
	enum state_kind kind;
	void *object;
	UT_hash_handle hh;
};

/* The parsers and destructors differ in their types only. */
#define ADAPT(type)                                                               \
	static int parse_##type(struct json_object *obj, void **ret_object,       \
	                        const struct kube_meta **ret_meta, struct err *e) \
	{                                                                         \
		struct kube_##type *o;                                            \
		int r = kube_##type##_parse(obj, &o, e);                          \
		if (r == 0) {                                                     \
			*ret_object = o;                                          \
			*ret_meta = &o->meta;                                     \
		}                                                                 \
		return r;                                                         \
	}                                                                         \
	static void free_##type(void *object)                                     \
	{                                                                         \
		kube_##type##_free(object);                                       \
	}
ADAPT(service)
ADAPT(slice)
ADAPT(node)
ADAPT(config_map)
ADAPT(object)

static void free_remains(void *object)
{
	kube_remains_free(object);
}

static const struct {
	const char *name;
	const char *group; /* of the API; another group's kind of this name is not this one */
	bool namespaced;
	int (*parse)(struct json_object *obj, void **ret_object, const struct kube_meta **ret_meta,
	             struct err *e);
	void (*free)(void *object);
} kinds[STATE_KINDS] = {
	[STATE_SERVICE] = { "Service", "", true, parse_service, free_service },
	[STATE_SLICE] = { "EndpointSlice", "discovery.k8s.io", true, parse_slice, free_slice },
	[STATE_NODE] = { "Node", "", false, parse_node, free_node },
	[STATE_CONFIG_MAP] = { "ConfigMap", "", true, parse_config_map, free_config_map },
	[STATE_NAMESPACE] = { "Namespace", "", false, parse_object, free_object },
	[STATE_REMAINS] = { "remains of Service", "", true, NULL, free_remains },
};

static void entry_free(struct state_entry *entry)
{
	kinds[entry->kind].free(entry->object);
	free(entry->key);
	free(entry);
}

void state_fini(struct state *s)
{
	struct state_entry *entry, *next;

	HASH_ITER(hh, s->entries, entry, next) {
		HASH_DEL(s->entries, entry);
		entry_free(entry);
	}
	pods_fini(&s->pods);
}

/* One that names no apiVersion, as the items of a "ServiceList", is what it is called. */
static bool is_of_group(struct json_object *obj, const char *group)
{
	const char *api = kube_json_str(obj, "apiVersion", NULL);
	size_t len = api && strchr(api, '/') ? (size_t)(strchr(api, '/') - api) : 0;

	return !api || (len == strlen(group) && !strncmp(api, group, len));
}

/* Manifests from templates say "namespace:" and "namespace: ''" where nothing was filled in. */
static void default_namespace(struct json_object *obj)
{
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	struct json_object *given = NULL;

	if (!meta)
		return;
	json_object_object_get_ex(meta, "namespace", &given);
	if (!given || (json_object_is_type(given, json_type_string) &&
	               json_object_get_string_len(given) == 0))
		json_object_object_add(meta, "namespace", json_object_new_string("default"));
}

static struct state_entry *find(const struct state *s, enum state_kind kind,
                                const struct kube_meta *meta)
{
	cleanup_free char *key = xasprintf("%s/%s", kinds[kind].name, kube_key(meta));
	struct state_entry *entry;

	HASH_FIND_STR(s->entries, key, entry);
	return entry;
}

/* Takes the object, in the place of an earlier one of its kind and name. */
static void put_entry(struct state *s, enum state_kind kind, const struct kube_meta *meta,
                      void *object)
{
	struct state_entry *entry = find(s, kind, meta);

	if (entry) {
		kinds[kind].free(entry->object);
		entry->object = object;
		return;
	}
	entry = xcalloc(1, sizeof(*entry));
	*entry = (struct state_entry){ .key = xasprintf("%s/%s", kinds[kind].name, kube_key(meta)),
		                       .kind = kind,
		                       .object = object };
	HASH_ADD_KEYPTR(hh, s->entries, entry->key, strlen(entry->key), entry);
}

static void put_remains(struct state *s, struct json_object *obj)
{
	size_t size;
	const char *text = json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN, &size);
	struct kube_remains *r = kube_remains_of(text, size);

	if (r)
		put_entry(s, STATE_REMAINS, &r->meta, r);
}

void state_pass_over(struct state *s, const char *kind, const struct kube_remains *r,
                     const struct err *why)
{
	struct err e = *why;

	err_prefix(&e, "%s %s", kind, r ? kube_key(&r->meta) : "(no name)");
	gather_pass_over(&e, &s->n_unreadable);
	if (r && !strcmp(kind, kinds[STATE_SERVICE].name)) {
		struct kube_remains *copy = kube_remains_copy(r);
		put_entry(s, STATE_REMAINS, &copy->meta, copy);
	}
}

int state_put(struct state *s, const char *name, struct json_object *obj, struct err *e)
{
	const struct kube_meta *meta;
	enum state_kind kind = 0;
	void *object;

	while (kind < STATE_REMAINS && strcmp(kinds[kind].name, name) != 0)
		kind++;
	if (kind == STATE_REMAINS || !is_of_group(obj, kinds[kind].group))
		return 0;
	if (kinds[kind].namespaced)
		default_namespace(obj);
	int r = kinds[kind].parse(obj, &object, &meta, e);
	if (r == 0)
		put_entry(s, kind, meta, object);
	else if (kind == STATE_SERVICE)
		put_remains(s, obj);
	return r;
}

static int put_object(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	/* A configuration, most likely: to pass it over would be an answer about nothing. */
	if (!*kind)
		return err_set(e, -EINVAL, ERR_CONFIG, "no manifest: it has no kind");
	return state_put(arg, kind, obj, e);
}

int state_read_files(struct state *s, const struct option_list *paths, struct err *e)
{
	cleanup(buf_fini) struct buf told = BUF_INIT;
	size_t n;
	int r = 0;

	for (size_t i = 0; i < paths->n && r == 0; i++) {
		r = file_read_objects(paths->items[i], put_object, s, &told, &n, e);
		s->n_unreadable += n;
	}
	fputs(buf_str(&told), stderr);
	return r;
}

int state_exit(const struct state *s, int exit_status, struct err *e)
{
	if (s->n_unreadable == 0)
		return exit_status;
	err_set(e, -EINVAL, ERR_CONFIG, "not everything could be read; the answer is without it");
	return COMMAND_FAILED;
}

/* ---- reading ---- */

static const void **list(const struct state *s, enum state_kind kind, size_t *ret_n)
{
	const void **all = xcalloc(HASH_COUNT(s->entries) + 1, sizeof(*all));
	size_t n = 0;

	for (const struct state_entry *entry = s->entries; entry; entry = entry->hh.next)
		if (entry->kind == kind)
			all[n++] = entry->object;
	*ret_n = n;
	return all;
}

const struct kube_service **state_services(const struct state *s, size_t *ret_n)
{
	return (const struct kube_service **)list(s, STATE_SERVICE, ret_n);
}

/* One that came again, and could be read, counts as that. */
const struct kube_remains **state_remains(const struct state *s, size_t *ret_n)
{
	const void **all = list(s, STATE_REMAINS, ret_n);
	size_t n = 0;

	for (size_t i = 0; i < *ret_n; i++) {
		const struct kube_remains *r = all[i];
		if (!find(s, STATE_SERVICE, &r->meta))
			all[n++] = r;
	}
	*ret_n = n;
	return (const struct kube_remains **)all;
}

const struct kube_slice **state_slices(const struct state *s, size_t *ret_n)
{
	return (const struct kube_slice **)list(s, STATE_SLICE, ret_n);
}

const struct kube_node **state_nodes(const struct state *s, size_t *ret_n)
{
	return (const struct kube_node **)list(s, STATE_NODE, ret_n);
}

const struct kube_object **state_namespaces(const struct state *s, size_t *ret_n)
{
	return (const struct kube_object **)list(s, STATE_NAMESPACE, ret_n);
}

const char *state_config_map_name(const char *given, const char *told)
{
	return given ? given : told ? told : CONFIG_MAP_NAME;
}

const struct kube_config_map *state_configuration(const struct state *s, const char *namespace,
                                                  bool is_live, const char *given)
{
	const struct kube_config_map *map = state_config_map(s, namespace, CONFIG_MAP_ACTIVE);

	return map || is_live ? map
	                      : state_config_map(s, namespace, state_config_map_name(given, NULL));
}

const char *state_cooling(const struct state *s, const char *namespace)
{
	const struct kube_config_map *map = state_config_map(s, namespace, IPAM_COOLING_MAP);

	return map ? labels_get(&map->data, IPAM_COOLING_KEY) : NULL;
}

const struct kube_config_map *state_config_map(const struct state *s, const char *namespace,
                                               const char *name)
{
	const struct kube_config_map *found = NULL;

	for (const struct state_entry *entry = s->entries; entry; entry = entry->hh.next) {
		const struct kube_config_map *map = entry->object;
		if (entry->kind != STATE_CONFIG_MAP || strcmp(map->meta.name, name) != 0)
			continue;
		if (!strcmp(map->meta.namespace, namespace))
			return map;
		found = found ? found : map;
	}
	return found;
}
