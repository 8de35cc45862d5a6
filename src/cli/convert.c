/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects are read kind by kind, those that others refer to first, and by name, so that neither the
 * text nor the notes depend on the order of the files.  Pools learn from the advertisements how
 * they are announced; the text is put together last, and judged.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/convert_private.h"
#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/yaml_emit.h"

#define API_GROUP "metallb.io/"

static const char *const kinds[CONVERT_KINDS] = {
	[CONVERT_COMMUNITY] = "Community",
	[CONVERT_BFD_PROFILE] = "BFDProfile",
	[CONVERT_PEER] = "BGPPeer",
	[CONVERT_LEGACY_POOL] = "AddressPool",
	[CONVERT_POOL] = "IPAddressPool",
	[CONVERT_L2_ADVERTISEMENT] = "L2Advertisement",
	[CONVERT_BGP_ADVERTISEMENT] = "BGPAdvertisement",
};

struct conversion *conversion_new(void)
{
	struct conversion *c = xcalloc(1, sizeof(*c));

	c->peers = json_object_new_array();
	c->bfd_profiles = json_object_new_array();
	c->communities = json_object_new_object();
	return c;
}

static void object_free(struct convert_object *object)
{
	kube_object_free(object->object);
	json_object_put(object->json);
	free(object->key);
	free(object->label);
	free(object);
}

static void pool_fini(struct convert_pool *pool)
{
	json_object_put(pool->map);
	json_object_put(pool->layer2.maps);
	json_object_put(pool->bgp.maps);
	free(pool->layer2.labels);
	free(pool->bgp.labels);
}

void conversion_free(struct conversion *c)
{
	struct convert_object *object, *next;

	if (!c)
		return;
	HASH_ITER(hh, c->objects, object, next) {
		HASH_DEL(c->objects, object);
		object_free(object);
	}
	for (size_t i = 0; i < c->n_pools; i++)
		pool_fini(&c->pools[i]);
	free(c->pools);
	for (size_t i = 0; i < c->n_origins; i++)
		free(c->origins[i].path);
	free(c->origins);
	for (size_t i = 0; i < c->n_notes; i++) {
		free(c->notes[i].object);
		free(c->notes[i].message);
	}
	free(c->notes);
	json_object_put(c->peers);
	json_object_put(c->bfd_profiles);
	json_object_put(c->communities);
	buf_fini(&c->text);
	free(c);
}

/* ---- notes ---- */

/* Takes over both strings. */
static void add_note(struct conversion *c, char *object, char *message, bool is_error)
{
	ARRAY_RESERVE(c->notes, c->cap_notes, c->n_notes + 1);
	c->notes[c->n_notes++] = (struct conversion_note){ .object = object,
		                                           .message = message,
		                                           .is_error = is_error };
}

void convert_note(struct conversion *c, const char *fmt, ...)
{
	struct buf message = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&message, fmt, ap);
	va_end(ap);
	add_note(c, xstrdup(c->current ? c->current->label : "configuration"), buf_take(&message),
	         false);
}

void convert_origin(struct conversion *c, const char *label, const char *fmt, ...)
{
	struct buf path = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&path, fmt, ap);
	va_end(ap);
	ARRAY_RESERVE(c->origins, c->cap_origins, c->n_origins + 1);
	c->origins[c->n_origins++] =
		(struct convert_origin){ .path = buf_take(&path), .label = label };
}

/*
 * The innermost origin of a place of the configuration, or NULL; *@ret_rest is the path from there.
 */
static const char *find_origin(const struct conversion *c, const char *path, const char **ret_rest)
{
	const char *label = NULL;
	size_t longest = 0;

	*ret_rest = path;
	for (size_t i = 0; i < c->n_origins; i++) {
		size_t len = strlen(c->origins[i].path);
		if (len < longest || strncmp(path, c->origins[i].path, len) != 0 ||
		    (path[len] && path[len] != '.' && path[len] != '['))
			continue;
		label = c->origins[i].label;
		longest = len;
		*ret_rest = path + len + (path[len] == '.');
	}
	return label;
}

static void note_problems(struct conversion *c, const struct config_problems *p, bool is_error)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *rest, *label = find_origin(c, p->items[i].path, &rest);
		add_note(c, xstrdup(label ? label : "configuration"),
		         xasprintf("%s%s%s", rest, *rest ? ": " : "", p->items[i].message),
		         is_error);
	}
}

/* ---- objects in ---- */

/* What the API takes as a name: lower case letters, digits, "-" and ".". */
static bool is_name(const char *s)
{
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-' &&
		    *s != '.')
			return false;
	return true;
}

/* MetalLB's reports, which configure nothing. */
static bool is_report(const char *kind)
{
	static const char *const reports[] = { "ConfigurationState", "ServiceBGPStatus",
		                               "ServiceL2Status" };

	for (size_t i = 0; i < ARRAY_LEN(reports); i++)
		if (!strcmp(kind, reports[i]))
			return true;
	return false;
}

static void pass_over(struct conversion *c, const char *kind, const char *version,
                      struct json_object *obj)
{
	const char *name =
		kube_json_str(kube_json_get(obj, "metadata", json_type_object, NULL), "name", NULL);
	bool is_config_map = !strcmp(kind, "ConfigMap");

	if (!strncmp(version, API_GROUP, strlen(API_GROUP)) && is_report(kind))
		return;
	add_note(
		c,
		*kind ? xasprintf("%.64s/%.253s", kind, name ? name : "")
		      : xstrdup("object without a kind"),
		xasprintf(
			"passed over: no custom resource of MetalLB, whose apiVersion is " API_GROUP
			"v1beta1 or v1beta2%s",
			is_config_map ? "; its ConfigMap of up to 0.12 is taken as it is, and "
					"kube-proxy's has a KubeProxyConfiguration under the key "
					"config.conf"
				      : ""),
		false);
}

static enum convert_kind kind_of(const char *kind, const char *version)
{
	enum convert_kind k = 0;

	if (strcmp(version, API_GROUP "v1beta1") != 0 && strcmp(version, API_GROUP "v1beta2") != 0)
		return CONVERT_KINDS;
	while (k < CONVERT_KINDS && strcmp(kinds[k], kind) != 0)
		k++;
	return k;
}

int conversion_put(struct conversion *c, const char *kind, struct json_object *obj, struct err *e)
{
	const char *version = kube_json_str(obj, "apiVersion", NULL);
	enum convert_kind k = kind_of(kind, version ? version : "");
	struct convert_object *object, *before;
	struct kube_object *parsed;

	if (k == CONVERT_KINDS) {
		pass_over(c, kind, version ? version : "", obj);
		return 0;
	}
	int r = kube_object_parse(obj, &parsed, e);
	if (r < 0) {
		err_prefix(e, "%s", kind);
		return r;
	}
	if (!is_name(parsed->meta.name)) {
		kube_object_free(parsed);
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "%s: metadata.name is none that the API server would take", kind);
	}
	object = xcalloc(1, sizeof(*object));
	*object = (struct convert_object){ .key = xasprintf("%s/%s", kind, kube_key(&parsed->meta)),
		                           .label = xasprintf("%s/%s", kind, parsed->meta.name),
		                           .kind = k,
		                           .object = parsed,
		                           .json = json_object_get(obj) };
	HASH_FIND_STR(c->objects, object->key, before);
	if (before) {
		HASH_DEL(c->objects, before);
		object_free(before);
	}
	HASH_ADD_KEYPTR(hh, c->objects, object->key, strlen(object->key), object);
	return 0;
}

/* ---- pools ---- */

static int pool_cmp(const void *a, const void *b)
{
	const struct convert_pool *pa = a, *pb = b;
	int diff = strcmp(pa->from->object->meta.name, pb->from->object->meta.name);

	return diff ? diff : strcmp(pa->from->key, pb->from->key);
}

/*
 * MetalLB assigns addresses of a pool that no advertisement selects, and announces them nowhere.
 * BGP without peers does the same; where there are peers, the pool's own segment is the smaller
 * circle.
 */
static const char *protocol_of_silent_pool(struct conversion *c)
{
	if (json_object_array_length(c->peers) == 0) {
		convert_note(
			c,
			"protocol: no L2Advertisement or BGPAdvertisement selects it, so that MetalLB "
			"announces none of its addresses; bgp is written, by which none is "
			"announced either while there are no peers");
		return "bgp";
	}
	convert_note(c,
	             "protocol: no L2Advertisement or BGPAdvertisement selects it, so that MetalLB "
	             "announces none of its addresses; Fairlead announces what it assigns: layer2 "
	             "is written, which the routers do not see; take the pool out if nobody "
	             "needs it");
	return "layer2";
}

static struct json_object *protocol_of(struct conversion *c, const struct convert_pool *pool)
{
	if (pool->layer2.any && pool->bgp.any) {
		struct json_object *both = json_object_new_array();
		json_object_array_add(both, json_object_new_string("layer2"));
		json_object_array_add(both, json_object_new_string("bgp"));
		return both;
	}
	return json_object_new_string(pool->layer2.any ? "layer2"
	                              : pool->bgp.any  ? "bgp"
	                                               : protocol_of_silent_pool(c));
}

static bool is_empty(struct json_object *map)
{
	return json_object_object_length(map) == 0;
}

/* Where there is nothing but one with all defaults, the key needs no writing. */
static void finish_list(struct conversion *c, const struct convert_pool *pool, size_t i,
                        const struct convert_list *list, const char *key)
{
	size_t n = json_object_array_length(list->maps);

	if (n == 0 || (n == 1 && is_empty(json_object_array_get_idx(list->maps, 0))))
		return;
	for (size_t k = 0; k < n; k++)
		convert_origin(c, list->labels[k], "address-pools[%zu].%s[%zu]", i, key, k);
	json_object_object_add(pool->map, key, json_object_get(list->maps));
}

static struct json_object *finish_pools(struct conversion *c)
{
	struct json_object *list = json_object_new_array();

	if (c->n_pools)
		qsort(c->pools, c->n_pools, sizeof(c->pools[0]), pool_cmp);
	for (size_t i = 0; i < c->n_pools; i++) {
		struct convert_pool *pool = &c->pools[i];
		c->current = pool->from;
		if (pool->from->kind == CONVERT_POOL)
			json_object_object_add(pool->map, "protocol", protocol_of(c, pool));
		convert_origin(c, pool->from->label, "address-pools[%zu]", i);
		finish_list(c, pool, i, &pool->layer2, "layer2");
		finish_list(c, pool, i, &pool->bgp, "bgp-advertisements");
		json_object_array_add(list, json_object_get(pool->map));
	}
	c->current = NULL;
	return list;
}

/* ---- text ---- */

static void put_value(struct conversion *c, struct json_object *value)
{
	if (yaml_emit(value, &c->text) < 0)
		add_note(c, xstrdup("configuration"), xstrdup("some text in it is no UTF-8"), true);
}

static size_t size_of(struct json_object *value)
{
	return json_object_is_type(value, json_type_array)
	               ? json_object_array_length(value)
	               : (size_t)json_object_object_length(value);
}

/* The key with its value, unless there is nothing in it. */
static void put_section(struct conversion *c, const char *key, struct json_object *value)
{
	struct json_object *section;

	if (size_of(value) == 0)
		return;
	section = json_object_new_object();
	json_object_object_add(section, key, json_object_get(value));
	put_value(c, section);
	json_object_put(section);
}

static bool judge(struct conversion *c)
{
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	struct configuration *config = NULL;
	bool valid = true;

	configuration_parse(buf_str(&c->text), c->text.size, &config, &errors, &warnings);
	configuration_unref(config);
	note_problems(c, &warnings, false);
	note_problems(c, &errors, true);
	for (size_t i = 0; i < c->n_notes; i++)
		valid &= !c->notes[i].is_error;
	return valid;
}

static int object_cmp(const void *a, const void *b)
{
	const struct convert_object *const *oa = a, *const *ob = b;

	if ((*oa)->kind != (*ob)->kind)
		return (*oa)->kind < (*ob)->kind ? -1 : 1;
	int diff = strcmp((*oa)->object->meta.name, (*ob)->object->meta.name);
	return diff ? diff : strcmp((*oa)->key, (*ob)->key);
}

static void read_objects(struct conversion *c)
{
	size_t n = HASH_COUNT(c->objects), i = 0;
	const struct convert_object **sorted = xcalloc(n + 1, sizeof(const void *));

	for (const struct convert_object *o = c->objects; o; o = o->hh.next)
		sorted[i++] = o;
	qsort(sorted, n, sizeof(const void *), object_cmp);
	for (i = 0; i < n; i++)
		convert_read(c, sorted[i]);
	free(sorted);
	if (n == 0)
		convert_note(c, "there is neither a custom resource of MetalLB nor a "
		                "configuration of kube-proxy in what was read");
}

bool conversion_run(struct conversion *c)
{
	struct json_object *pools;

	read_objects(c);
	pools = finish_pools(c);
	put_section(c, "address-pools", pools);
	json_object_put(pools);
	put_section(c, "peers", c->peers);
	put_section(c, "bgp-communities", c->communities);
	put_section(c, "bfd-profiles", c->bfd_profiles);
	return judge(c);
}

const char *conversion_text(const struct conversion *c)
{
	return buf_str(&c->text);
}

const struct conversion_note *conversion_notes(const struct conversion *c, size_t *ret_n)
{
	*ret_n = c->n_notes;
	return c->notes;
}
