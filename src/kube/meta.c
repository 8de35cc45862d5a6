/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metav1.ObjectMeta.  All labels are kept, because selectors may name any; of the annotations only
 * those that this project or the data plane reads, since kubectl and others store whole manifests
 * there.
 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"
#include "kube/parse.h"

/* The API's own limits on names, and generous ones where it has none. */
#define META_NAMESPACE_MAX 63
#define META_NAME_MAX 253
#define META_UID_MAX 128
#define META_RESOURCE_VERSION_MAX 128
#define META_LABELS_MAX 512
#define META_LABEL_VALUE_MAX 63
#define META_ANNOTATIONS_MAX 64
#define META_ANNOTATION_VALUE_MAX 16384

#define KEY_BUFFERS 8

static const char *const annotation_domains[] = {
	"fairlead.io/",
	"metallb.io/",
	"metallb.universe.tf/",
	"service.kubernetes.io/",
};

static bool is_known_annotation(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(annotation_domains); i++)
		if (!strncmp(key, annotation_domains[i], strlen(annotation_domains[i])))
			return true;
	return false;
}

const char *kube_key(const struct kube_meta *meta)
{
	static __thread char ring[KEY_BUFFERS][META_NAMESPACE_MAX + META_NAME_MAX + 2];
	static __thread unsigned int next;
	char *out = ring[next++ % KEY_BUFFERS];
	const char *namespace = meta->namespace ? meta->namespace : "";
	snprintf(out, sizeof(ring[0]), "%s%s%s", namespace, *namespace ? "/" : "",
	         meta->name ? meta->name : "");
	return out;
}

void parse_meta(struct parse *p, struct json_object *obj, struct kube_meta *meta)
{
	parse_at(p, NULL);
	if (!json_object_is_type(obj, json_type_object)) {
		parse_fail(p, "object", "not an object");
		return;
	}
	struct json_object *m = parse_object(p, obj, "metadata");
	parse_at(p, "metadata");
	meta->name = parse_dup(p, m, "name", META_NAME_MAX, "");
	meta->namespace = parse_dup(p, m, "namespace", META_NAMESPACE_MAX, "");
	p->name = meta->name;
	p->namespace = meta->namespace;
	if (!*meta->name)
		parse_fail(p, "name", "missing");
	meta->uid = parse_dup(p, m, "uid", META_UID_MAX, "");
	meta->resource_version = parse_dup(p, m, "resourceVersion", META_RESOURCE_VERSION_MAX, "");
	meta->creation_us = parse_time(p, m, "creationTimestamp");
	meta->deleting = parse_str(p, m, "deletionTimestamp", 64) != NULL;
	meta->labels = parse_map(p, m, "labels", META_LABELS_MAX, META_LABEL_VALUE_MAX, NULL);
	meta->annotations = parse_map(p, m, "annotations", META_ANNOTATIONS_MAX,
	                              META_ANNOTATION_VALUE_MAX, is_known_annotation);
}

void kube_meta_fini(struct kube_meta *meta)
{
	free(meta->namespace);
	free(meta->name);
	free(meta->uid);
	free(meta->resource_version);
	labels_fini(&meta->labels);
	labels_fini(&meta->annotations);
}

int kube_object_parse(struct json_object *obj, struct kube_object **ret_object, struct err *e)
{
	struct parse p = { .kind = "object", .index = -1, .e = e };
	struct kube_object *o = xcalloc(1, sizeof(*o));

	parse_meta(&p, obj, &o->meta);
	if (p.ret)
		kube_object_free(o);
	else
		*ret_object = o;
	return p.ret;
}

void kube_object_free(struct kube_object *o)
{
	if (!o)
		return;
	kube_meta_fini(&o->meta);
	free(o);
}
