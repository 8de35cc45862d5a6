/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "delivery.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "client.h"
#include "scanner.h"
#include "fairlead/kube_types.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define NAME_SIZE 256

static void report(struct delivery *d, const char *namespace, const char *name, const struct err *e)
{
	const struct kube_meta meta = { .namespace = (char *)namespace, .name = (char *)name };
	d->malformed++;
	log_warn("object skipped", KV_S("kind", d->what), KV_S("object", kube_key(&meta)),
	         KV_S("error", e->msg));
}

void delivery_skip(struct delivery *d, const char *data, size_t size, bool too_large)
{
	char namespace[NAME_SIZE], name[NAME_SIZE];
	struct err e = ERR_INIT;
	scanner_find_meta(data, size, "namespace", namespace, sizeof(namespace));
	scanner_find_meta(data, size, "name", name, sizeof(name));
	struct store_entry *known = store_find(&d->store, namespace, name);
	if (known)
		known->list = d->list;
	if (too_large)
		err_set(&e, -EMSGSIZE, ERR_LIMIT, "larger than %u bytes", SCANNER_OBJECT_SIZE_MAX);
	else
		err_set(&e, -EINVAL, ERR_REMOTE, "not a named object in JSON");
	report(d, namespace, name, &e);
}

struct json_object *delivery_parse(struct delivery *d, const char *data, size_t size,
                                   bool cut_short)
{
	struct json_object *obj = cut_short ? NULL : request_parse_json(data, size);
	if (json_object_is_type(obj, json_type_object))
		return obj;
	json_object_put(obj);
	delivery_skip(d, data, size, cut_short);
	return NULL;
}

struct delivery_names delivery_names_of(struct json_object *obj)
{
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	const char *namespace = kube_json_str(meta, "namespace", NULL);
	const char *name = kube_json_str(meta, "name", NULL);
	const char *uid = kube_json_str(meta, "uid", NULL);
	const char *version = kube_json_str(meta, "resourceVersion", NULL);
	return (struct delivery_names){
		.namespace = namespace ? namespace : "",
		.name = name ? name : "",
		.uid = uid ? uid : "",
		.version = version ? version : "",
	};
}

static void remove_entry(struct delivery *d, struct store_entry *entry)
{
	/* Copied, since the receiver may stop us. */
	cleanup_free char *namespace = xstrdup(entry->text);
	cleanup_free char *name = xstrdup(entry->text + entry->name_at);
	cleanup_free char *uid = xstrdup(entry->text + entry->uid_at);
	store_remove(&d->store, entry);
	d->ops.remove(namespace, name, uid, d->arg);
}

void delivery_upsert(struct delivery *d, struct json_object *obj)
{
	struct delivery_names n = delivery_names_of(obj);
	struct err e = ERR_INIT;
	uint64_t version = hash64_str(n.version, 0);
	struct store_entry *entry = store_find(&d->store, n.namespace, n.name);
	if (entry && strcmp(entry->text + entry->uid_at, n.uid) != 0) {
		/* Deleted and made again while we were not looking. */
		remove_entry(d, entry);
		entry = NULL;
		if (d->stopped)
			return;
	}
	if (entry && entry->version == version && *n.version) {
		entry->list = d->list;
		return;
	}
	if (!entry)
		entry = *n.name ? store_add(&d->store, n.namespace, n.name, n.uid) : NULL;
	if (!entry) {
		err_set(&e, -EINVAL, ERR_REMOTE, "no name, or one longer than names can be");
		report(d, n.namespace, *n.name ? "(name too long)" : "(no name)", &e);
		return;
	}
	entry->version = version;
	entry->list = d->list;
	if (d->ops.upsert(obj, d->arg, &e) < 0)
		report(d, n.namespace, n.name, &e);
}

void delivery_remove(struct delivery *d, const char *namespace, const char *name)
{
	struct store_entry *entry = store_find(&d->store, namespace, name);
	if (entry)
		remove_entry(d, entry);
}

void delivery_remove_unread(struct delivery *d, const char *data, size_t size)
{
	char namespace[NAME_SIZE], name[NAME_SIZE];
	scanner_find_meta(data, size, "namespace", namespace, sizeof(namespace));
	scanner_find_meta(data, size, "name", name, sizeof(name));
	delivery_remove(d, namespace, name);
}

void delivery_end_list(struct delivery *d)
{
	struct store_entry *entry, *next;
	HASH_ITER(hh, d->store.entries, entry, next) {
		if (entry->list != d->list)
			remove_entry(d, entry);
		if (d->stopped)
			return;
	}
}
