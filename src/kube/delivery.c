/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between texts and a receiver that wants objects.  The store remembers of each object its name,
 * its UID and the version that was delivered, so a list that repeats what is known calls nobody,
 * and one that leaves an object out is how a deletion is learned that no watch told of.
 *
 * A text goes one of three ways: it is parsed and taken (upsert); it has at least an outline, so
 * the receiver is told what of it can be made out (take_unreadable); or not even a name can be made
 * out, and it is lost.  Lost objects make every absence doubtful, so until a list without loss
 * nothing is removed for not being in a list.
 */
#include "config.h"

#include "kube/delivery.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "kube/client.h"
#include "kube/scanner.h"
#include "fairlead/hash.h"
#include "fairlead/kube_types.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

static void report(struct delivery *d, const char *namespace, const char *name, const struct err *e)
{
	const struct kube_meta meta = { .namespace = (char *)namespace, .name = (char *)name };

	d->malformed++;
	log_warn("object skipped", KV_S("kind", d->what), KV_S("object", kube_key(&meta)),
	         KV_S("error", e->msg));
}

/* Of an object's metadata; pointers into the JSON, "" where there is none. */
struct names {
	const char *namespace, *name, *uid, *version;
};

static struct json_object *parse(const struct delivery_text *t)
{
	struct json_object *obj = t->cut ? NULL : kube_json_parse(t->data, t->size);

	if (json_object_is_type(obj, json_type_object))
		return obj;
	json_object_put(obj);
	return NULL;
}

static struct names names_of(struct json_object *obj)
{
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	const char *namespace = kube_json_str(meta, "namespace", NULL);
	const char *name = kube_json_str(meta, "name", NULL);
	const char *uid = kube_json_str(meta, "uid", NULL);
	const char *version = kube_json_str(meta, "resourceVersion", NULL);

	return (struct names){
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
	cleanup_free char *uid = store_uid(entry);

	store_remove(&d->store, entry);
	d->ops.remove(namespace, name, uid, d->arg);
}

/* Deleted and made again while we were not looking: the former one goes first. */
static struct store_entry *entry_of(struct delivery *d, const char *namespace, const char *name,
                                    const char *uid)
{
	struct store_entry *entry = store_find(&d->store, namespace, name);

	if (entry && !store_has_uid(entry, uid)) {
		remove_entry(d, entry);
		entry = NULL;
	}
	return entry;
}

/*
 * Whether the receiver is to see this version of the object, which counts as delivered then.
 * *@ret_named is false where it has no name that anything can be kept by.
 */
static bool is_news(struct delivery *d, const struct names *n, bool *ret_named)
{
	uint64_t version = hash64_str(n->version, 0);
	struct store_entry *entry = *n->name ? entry_of(d, n->namespace, n->name, n->uid) : NULL;

	*ret_named = true;
	if (d->stopped)
		return false;
	if (entry && entry->version == version && *n->version) {
		entry->list = d->list;
		return false;
	}
	if (!entry && *n->name)
		entry = store_add(&d->store, n->namespace, n->name, n->uid);
	*ret_named = entry != NULL;
	if (!entry)
		return false;
	entry->version = version;
	entry->list = d->list;
	return true;
}

static void lose(struct delivery *d, const char *why)
{
	struct err e = ERR_INIT;

	err_set(&e, -EINVAL, ERR_REMOTE, "%s", why);
	report(d, "", "(no name)", &e);
	d->lost_in_list++;
	d->lost++;
	if (d->ops.lost)
		d->ops.lost(d->lost, d->arg);
}

/* Where everything ends that cannot be read. */
static void tell_unreadable(struct delivery *d, struct outline *o, const struct err *why)
{
	report(d, o->namespace, o->name, why);
	if (!d->ops.unreadable)
		return;
	struct kube_remains *r = outline_take(o);
	d->ops.unreadable(r, why, d->arg);
	kube_remains_free(r);
}

static void take_unreadable(struct delivery *d, struct outline *o, const struct err *why)
{
	const struct names n = { o->namespace, o->name, o->uid, o->version };
	bool named;

	if (!outline_is_good(o)) {
		lose(d, why->msg);
		return;
	}
	if (is_news(d, &n, &named))
		tell_unreadable(d, o, why);
	else if (!named)
		lose(d, "its name is longer than names can be");
}

static void upsert(struct delivery *d, struct json_object *obj, const struct delivery_text *t,
                   bool is_event)
{
	struct names n = names_of(obj);
	struct err e = ERR_INIT;
	bool named;

	if (!is_news(d, &n, &named)) {
		if (!named)
			lose(d, *n.name ? "its name is longer than names can be"
			                : "an object without a name");
		return;
	}
	if (d->ops.upsert(obj, d->arg, &e) >= 0 || d->stopped)
		return;
	struct outline o;
	outline_of(&o, is_event, t->data, t->size);
	if (outline_is_good(&o))
		tell_unreadable(d, &o, &e);
	else
		lose(d, e.msg);
	outline_fini(&o);
}

/* The outline of the text: the one that came with it, or @own, which is filled. */
static struct outline *outline_text(const struct delivery_text *t, bool is_event,
                                    struct outline *own)
{
	if (t->cut)
		return t->cut;
	outline_of(own, is_event, t->data, t->size);
	return own;
}

/* Why it cannot be read. */
static struct err explain(const struct delivery_text *t)
{
	struct err e = ERR_INIT;

	if (t->cut)
		err_set(&e, -EMSGSIZE, ERR_LIMIT, "larger than %u bytes", SCANNER_OBJECT_SIZE_MAX);
	else
		err_set(&e, -EINVAL, ERR_REMOTE, "not an object in JSON");
	return e;
}

void delivery_item(struct delivery *d, const struct delivery_text *t)
{
	struct json_object *obj = parse(t);

	if (obj) {
		upsert(d, obj, t, false);
	} else {
		struct outline own = { 0 };
		struct outline *o = outline_text(t, false, &own);
		struct err e = explain(t);
		take_unreadable(d, o, &e);
		outline_fini(&own);
	}
	json_object_put(obj);
}

static void remove_named(struct delivery *d, const char *namespace, const char *name)
{
	struct store_entry *entry = store_find(&d->store, namespace, name);

	if (entry)
		remove_entry(d, entry);
}

/* A deletion is good by its name alone. */
static void take_change(struct delivery *d, const char *type, struct json_object *obj,
                        const struct delivery_text *t)
{
	struct names n = names_of(obj);

	if (!strcmp(type, "DELETED") && *n.name)
		remove_named(d, n.namespace, n.name);
	else
		upsert(d, obj, t, true);
}

static void take_unread_event(struct delivery *d, struct outline *o, const struct err *why)
{
	if (!strcmp(o->type, "DELETED") && *o->name)
		remove_named(d, o->namespace, o->name);
	else
		take_unreadable(d, o, why);
}

static void read_error(struct json_object *obj, struct delivery_event *ev)
{
	const char *message = kube_json_str(obj, "message", NULL);

	ev->kind = DELIVERY_ERROR;
	ev->code = (int)kube_json_int(obj, "code", 100, 599, 500, NULL);
	err_set(&ev->error, -EIO, ERR_REMOTE, "watch ended with %d: %s", ev->code,
	        message ? message : "no message");
}

static void note_version(struct delivery_event *ev, const char *version)
{
	if (strlen(version) < sizeof(ev->version))
		memcpy(ev->version, version, strlen(version) + 1);
}

void delivery_event(struct delivery *d, const struct delivery_text *t,
                    struct delivery_event *ret_event)
{
	struct json_object *event = parse(t);
	const char *type = kube_json_str(event, "type", NULL);
	struct json_object *obj = kube_json_get(event, "object", json_type_object, NULL);
	struct delivery_event ev = { .kind = DELIVERY_CHANGE };
	struct outline own = { 0 };

	if (!type || !obj) {
		struct outline *o = outline_text(t, true, &own);
		struct err e = explain(t);
		note_version(&ev, o->version);
		ev.kind = strcmp(o->type, "BOOKMARK") ? DELIVERY_CHANGE : DELIVERY_BOOKMARK;
		if (ev.kind == DELIVERY_CHANGE)
			take_unread_event(d, o, &e);
	} else if (!strcmp(type, "ERROR")) {
		read_error(obj, &ev);
	} else {
		note_version(&ev, names_of(obj).version);
		ev.kind = strcmp(type, "BOOKMARK") ? DELIVERY_CHANGE : DELIVERY_BOOKMARK;
		if (ev.kind == DELIVERY_CHANGE)
			take_change(d, type, obj, t);
	}
	outline_fini(&own);
	json_object_put(event);
	*ret_event = ev;
}

void delivery_start_list(struct delivery *d)
{
	d->list++;
	d->lost_in_list = 0;
}

void delivery_end_list(struct delivery *d)
{
	struct store_entry *entry;
	bool changed = d->lost != d->lost_in_list;

	if (d->lost_in_list == 0)
		for (uint32_t at = 0; (entry = store_next(&d->store, &at));) {
			if (entry->list != d->list)
				remove_entry(d, entry);
			if (d->stopped)
				return;
		}
	d->lost = d->lost_in_list;
	if (changed && d->ops.lost)
		d->ops.lost(d->lost, d->arg);
}
