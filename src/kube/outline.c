/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass, one byte at a time.  A table says which member of which collection is what; of all that
 * it does not name only brackets are counted and strings skipped, so depth costs nothing.  What is
 * wrong within such a part goes unnoticed: this reads what no parser would.
 */
#include "config.h"

#include "kube/outline.h"

#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "kube/parse.h"

enum node {
	NODE_OTHER,
	NODE_EVENT,
	NODE_TYPE,
	NODE_OBJECT,
	NODE_METADATA,
	NODE_NAMESPACE,
	NODE_NAME,
	NODE_UID,
	NODE_VERSION,
	NODE_CREATION,
	NODE_SPEC,
	NODE_EXTERNAL_IPS,
	NODE_EXTERNAL_IP,
	NODE_STATUS,
	NODE_LOAD_BALANCER,
	NODE_INGRESS,
	NODE_INGRESS_ITEM,
	NODE_INGRESS_IP,
	NODE_CONDITIONS,
	NODE_CONDITION,
	NODE_CONDITION_TYPE,
	NODE_CONDITION_MESSAGE,
};

static const struct {
	enum node parent;
	const char *key; /* NULL: an item of a list */
	enum node node;
} members[] = {
	{ NODE_EVENT, "type", NODE_TYPE },
	{ NODE_EVENT, "object", NODE_OBJECT },
	{ NODE_OBJECT, "metadata", NODE_METADATA },
	{ NODE_OBJECT, "spec", NODE_SPEC },
	{ NODE_OBJECT, "status", NODE_STATUS },
	{ NODE_METADATA, "namespace", NODE_NAMESPACE },
	{ NODE_METADATA, "name", NODE_NAME },
	{ NODE_METADATA, "uid", NODE_UID },
	{ NODE_METADATA, "resourceVersion", NODE_VERSION },
	{ NODE_METADATA, "creationTimestamp", NODE_CREATION },
	{ NODE_SPEC, "externalIPs", NODE_EXTERNAL_IPS },
	{ NODE_EXTERNAL_IPS, NULL, NODE_EXTERNAL_IP },
	{ NODE_STATUS, "loadBalancer", NODE_LOAD_BALANCER },
	{ NODE_LOAD_BALANCER, "ingress", NODE_INGRESS },
	{ NODE_INGRESS, NULL, NODE_INGRESS_ITEM },
	{ NODE_INGRESS_ITEM, "ip", NODE_INGRESS_IP },
	{ NODE_STATUS, "conditions", NODE_CONDITIONS },
	{ NODE_CONDITIONS, NULL, NODE_CONDITION },
	{ NODE_CONDITION, "type", NODE_CONDITION_TYPE },
	{ NODE_CONDITION, "message", NODE_CONDITION_MESSAGE },
};

static enum node member_of(enum node parent, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (members[i].parent == parent && !members[i].key == !key &&
		    (!key || !strcmp(members[i].key, key)))
			return members[i].node;
	return NODE_OTHER;
}

void outline_init(struct outline *o, bool event)
{
	*o = (struct outline){ .next = event ? NODE_EVENT : NODE_OBJECT };
}

void outline_fini(struct outline *o)
{
	free(o->ingress.addrs);
	free(o->external_ips.addrs);
	o->ingress = o->external_ips = (struct outline_list){ 0 };
}

/* ---- values ---- */

/* Octets with leading zeros, which old objects may have, are decimal: so reads kube-proxy. */
static bool read_addr(const char *text, struct addr *ret)
{
	char plain[OUTLINE_TEXT_SIZE];
	size_t n = 0;
	bool begins = true;

	if (addr_parse(text, ret) == 0)
		return true;
	for (const char *p = text; *p; p++) {
		if (begins && *p == '0' && p[1] >= '0' && p[1] <= '9')
			continue;
		begins = *p == '.';
		plain[n++] = *p;
	}
	plain[n] = '\0';
	return addr_parse(plain, ret) == 0;
}

static void add_addr(struct outline *o, struct outline_list *list)
{
	struct addr a;

	if (o->len >= sizeof(o->text) || !read_addr(o->text, &a))
		return;
	if (list->n == OUTLINE_ADDRS_MAX) {
		o->overflow = true;
		return;
	}
	ARRAY_RESERVE(list->addrs, list->cap, list->n + 1);
	list->addrs[list->n++] = a;
}

static void keep(const struct outline *o, char *out, size_t size)
{
	if (o->len < size && o->len < sizeof(o->text))
		memcpy(out, o->text, o->len + 1);
}

static void take_value(struct outline *o)
{
	switch ((enum node)o->next) {
	case NODE_TYPE:
		keep(o, o->type, sizeof(o->type));
		break;
	case NODE_NAMESPACE:
		keep(o, o->namespace, sizeof(o->namespace));
		break;
	case NODE_NAME:
		keep(o, o->name, sizeof(o->name));
		break;
	case NODE_UID:
		keep(o, o->uid, sizeof(o->uid));
		break;
	case NODE_VERSION:
		keep(o, o->version, sizeof(o->version));
		break;
	case NODE_CREATION:
		keep(o, o->creation, sizeof(o->creation));
		break;
	case NODE_EXTERNAL_IP:
		add_addr(o, &o->external_ips);
		break;
	case NODE_INGRESS_IP:
		add_addr(o, &o->ingress);
		break;
	case NODE_CONDITION_TYPE:
		o->confirms = !strcmp(o->text, KUBE_CONDITION_EXTERNAL_IPS);
		break;
	case NODE_CONDITION_MESSAGE:
		/* Its beginning, which is where the addresses stand. */
		memcpy(o->message, o->text, sizeof(o->message));
		break;
	case NODE_OTHER:
	case NODE_EVENT:
	case NODE_OBJECT:
	case NODE_METADATA:
	case NODE_SPEC:
	case NODE_EXTERNAL_IPS:
	case NODE_STATUS:
	case NODE_LOAD_BALANCER:
	case NODE_INGRESS:
	case NODE_INGRESS_ITEM:
	case NODE_CONDITIONS:
	case NODE_CONDITION:
		break;
	}
}

/* ---- structure ---- */

static void begin_condition(struct outline *o)
{
	o->confirms = false;
	o->message[0] = '\0';
}

static void end_condition(struct outline *o)
{
	if (o->confirms)
		o->n_confirmed = kube_external_confirmed_by(o->message, o->confirmed);
}

/* What comes next in the innermost collection. */
static void expect(struct outline *o)
{
	bool counts = o->depth > 0 && o->depth <= OUTLINE_DEPTH;
	enum node parent = counts ? (enum node)o->nodes[o->depth - 1] : NODE_OTHER;

	o->expect_key = counts && o->maps[o->depth - 1];
	o->next = o->expect_key ? NODE_OTHER : (uint8_t)member_of(parent, NULL);
}

static void open_collection(struct outline *o, bool is_map)
{
	if (o->depth == 0 && (!is_map || o->closed)) {
		o->bad = true;
		return;
	}
	if (o->depth < OUTLINE_DEPTH) {
		o->nodes[o->depth] = o->next;
		o->maps[o->depth] = is_map;
	}
	if (o->next == NODE_CONDITION)
		begin_condition(o);
	o->depth++;
	expect(o);
}

static void close_collection(struct outline *o, bool is_map)
{
	if (o->depth == 0 || (o->depth <= OUTLINE_DEPTH && o->maps[o->depth - 1] != is_map)) {
		o->bad = true;
		return;
	}
	o->depth--;
	if (o->depth < OUTLINE_DEPTH && o->nodes[o->depth] == NODE_CONDITION)
		end_condition(o);
	o->closed = o->depth == 0;
	o->expect_key = false;
	o->next = NODE_OTHER;
}

static void end_string(struct outline *o)
{
	o->in_string = false;
	o->text[o->len < sizeof(o->text) ? o->len : sizeof(o->text) - 1] = '\0';
	if (!o->is_key) {
		take_value(o);
		return;
	}
	o->expect_key = false;
	o->next = o->len < sizeof(o->text)
	                  ? (uint8_t)member_of((enum node)o->nodes[o->depth - 1], o->text)
	                  : NODE_OTHER;
}

static void string_byte(struct outline *o, char c)
{
	if (o->escaped) {
		o->escaped = false;
	} else if (c == '\\') {
		o->escaped = true;
	} else if (c == '"') {
		end_string(o);
		return;
	}
	if (o->len < sizeof(o->text))
		o->text[o->len++] = c;
}

void outline_feed(struct outline *o, const char *data, size_t size)
{
	for (size_t i = 0; i < size && !o->bad; i++) {
		char c = data[i];
		if (o->in_string) {
			string_byte(o, c);
		} else if (c == '"') {
			o->in_string = true;
			o->escaped = false;
			o->is_key = o->expect_key;
			o->len = 0;
			o->bad = o->depth == 0;
		} else if (c == '{' || c == '[') {
			open_collection(o, c == '{');
		} else if (c == '}' || c == ']') {
			close_collection(o, c == '}');
		} else if (c == ',') {
			expect(o);
		} else if (o->depth == 0 && !strchr(" \t\r\n", c)) {
			o->bad = true;
		}
	}
}

void outline_of(struct outline *o, bool event, const char *data, size_t size)
{
	outline_init(o, event);
	outline_feed(o, data, size);
}

bool outline_is_good(const struct outline *o)
{
	return o->closed && !o->bad && !o->overflow && *o->name;
}

/* ---- what remains ---- */

struct kube_remains *outline_take(struct outline *o)
{
	struct kube_remains *r = xcalloc(1, sizeof(*r));

	r->meta.namespace = xstrdup(o->namespace);
	r->meta.name = xstrdup(o->name);
	r->meta.uid = xstrdup(o->uid);
	r->meta.resource_version = xstrdup(o->version);
	if (*o->creation)
		clock_parse_rfc3339(o->creation, &r->meta.creation_us);
	r->ingress = TAKE(o->ingress.addrs);
	r->n_ingress = o->ingress.n;
	r->external_ips = TAKE(o->external_ips.addrs);
	r->n_external_ips = o->external_ips.n;
	memcpy(r->confirmed, o->confirmed, sizeof(r->confirmed));
	r->n_confirmed = o->n_confirmed;
	outline_fini(o);
	return r;
}

struct kube_remains *kube_remains_of(const char *text, size_t size)
{
	struct outline o;
	struct kube_remains *r = NULL;

	outline_of(&o, false, text, size);
	if (outline_is_good(&o))
		r = outline_take(&o);
	outline_fini(&o);
	return r;
}

struct kube_remains *kube_remains_copy(const struct kube_remains *r)
{
	struct kube_remains *copy = xmemdup(r, sizeof(*r));

	copy->meta.namespace = xstrdup(r->meta.namespace);
	copy->meta.name = xstrdup(r->meta.name);
	copy->meta.uid = xstrdup(r->meta.uid);
	copy->meta.resource_version = xstrdup(r->meta.resource_version);
	copy->ingress = xmemdup(r->ingress, r->n_ingress * sizeof(*r->ingress));
	copy->external_ips = xmemdup(r->external_ips, r->n_external_ips * sizeof(*r->external_ips));
	return copy;
}

void kube_remains_free(struct kube_remains *r)
{
	if (!r)
		return;
	kube_meta_fini(&r->meta);
	free(r->ingress);
	free(r->external_ips);
	free(r);
}
