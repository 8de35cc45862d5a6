/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/state.h"

#include <string.h>

#include <json-c/json.h>

#include "cli/file.h"
#include "fairlead/hash.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

enum state_kind { STATE_SERVICE, STATE_SLICE, STATE_NODE, STATE_CONFIG_MAP, STATE_KINDS };

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

static const struct {
	const char *name;
	bool namespaced;
	int (*parse)(struct json_object *obj, void **ret_object, const struct kube_meta **ret_meta,
	             struct err *e);
	void (*free)(void *object);
} kinds[STATE_KINDS] = {
	[STATE_SERVICE] = { "Service", true, parse_service, free_service },
	[STATE_SLICE] = { "EndpointSlice", true, parse_slice, free_slice },
	[STATE_NODE] = { "Node", false, parse_node, free_node },
	[STATE_CONFIG_MAP] = { "ConfigMap", true, parse_config_map, free_config_map },
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
}

static void default_namespace(struct json_object *obj)
{
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);

	if (meta && !json_object_object_get_ex(meta, "namespace", NULL))
		json_object_object_add(meta, "namespace", json_object_new_string("default"));
}

int state_put(struct state *s, const char *name, struct json_object *obj, struct err *e)
{
	const struct kube_meta *meta;
	enum state_kind kind = 0;
	struct state_entry *entry;
	void *object;

	while (kind < STATE_KINDS && strcmp(kinds[kind].name, name) != 0)
		kind++;
	if (kind == STATE_KINDS)
		return 0;
	if (kinds[kind].namespaced)
		default_namespace(obj);
	int r = kinds[kind].parse(obj, &object, &meta, e);
	if (r < 0)
		return r;
	cleanup_free char *key = xasprintf("%s/%s", name, kube_key(meta));
	HASH_FIND_STR(s->entries, key, entry);
	if (entry) {
		kinds[kind].free(entry->object);
		entry->object = object;
		return 0;
	}
	entry = xcalloc(1, sizeof(*entry));
	*entry = (struct state_entry){ .key = TAKE(key), .kind = kind, .object = object };
	HASH_ADD_KEYPTR(hh, s->entries, entry->key, strlen(entry->key), entry);
	return 0;
}

static int put_object(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	return state_put(arg, kind, obj, e);
}

int state_read_file(struct state *s, const char *path, struct err *e)
{
	return file_read_manifest(path, put_object, s, e);
}

int state_read_files(struct state *s, const struct option_list *paths, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < paths->n && r == 0; i++)
		r = state_read_file(s, paths->items[i], e);
	return r;
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

const struct kube_slice **state_slices(const struct state *s, size_t *ret_n)
{
	return (const struct kube_slice **)list(s, STATE_SLICE, ret_n);
}

const struct kube_node **state_nodes(const struct state *s, size_t *ret_n)
{
	return (const struct kube_node **)list(s, STATE_NODE, ret_n);
}

const struct kube_config_map *state_config_map(const struct state *s, const char *name)
{
	for (const struct state_entry *entry = s->entries; entry; entry = entry->hh.next) {
		const struct kube_config_map *map = entry->object;
		if (entry->kind == STATE_CONFIG_MAP && !strcmp(map->meta.name, name))
			return map;
	}
	return NULL;
}
