/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view as a whole: its life, the dirty set, nodes and configuration.  Services are in
 * services.c, slices in slices.c, who claims which address in addresses.c.
 *
 * A Service's record outlives the Service for as long as a slice points to it or a reader has yet
 * to learn that it is gone: view_service_reap() frees it when neither is so.
 */
#include "config.h"

#include "fairlead/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fairlead/size.h"
#include "view/private.h"

/* ---- one node ---- */

static void count_address(struct view *v, const struct addr *a)
{
	struct node_address *na;

	HASH_FIND(hh, v->node_addresses, a, sizeof(*a), na);
	if (!na) {
		na = xcalloc(1, sizeof(*na));
		na->addr = *a;
		HASH_ADD(hh, v->node_addresses, addr, sizeof(na->addr), na);
	}
	na->n++;
}

static void discount_address(struct view *v, const struct addr *a)
{
	struct node_address *na;

	HASH_FIND(hh, v->node_addresses, a, sizeof(*a), na);
	if (--na->n)
		return;
	HASH_DEL(v->node_addresses, na);
	free(na);
}

static const struct addr *copy_addresses(struct view *v, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		count_address(v, &addrs[i]);
	return n ? xmemdup(addrs, n * sizeof(*addrs)) : NULL;
}

static void free_addresses(struct view *v, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		discount_address(v, &addrs[i]);
	free((void *)addrs);
}

/* Only this node's own matter, to its rules. */
static void set_pod_cidrs(struct view_node *node, const struct kube_node *n)
{
	_Static_assert(sizeof(node->pod_cidrs) == sizeof(n->pod_cidrs), "as many as come in");

	memcpy(node->pod_cidrs, n->pod_cidrs, sizeof(node->pod_cidrs));
	node->n_pod_cidrs = n->n_pod_cidrs;
}

static struct view_node node_of(struct view *v, const struct kube_node *n)
{
	return (struct view_node){
		.name = intern_get(&v->strings, n->meta.name),
		.excluded = n->excluded,
		.drained = n->drained,
		.cordoned = n->cordoned,
		.shutting_down = n->shutting_down,
		.out_of_service = n->out_of_service,
		.network_unavailable = n->network_unavailable,
		.leaving = n->meta.deleting || n->to_be_deleted,
		.ready = n->ready,
		.labels = intern_labels(&v->strings, &n->meta.labels),
		.addresses = copy_addresses(v, n->internal_ips, n->n_internal_ips),
		.n_addresses = n->n_internal_ips,
		.external_ips = copy_addresses(v, n->external_ips, n->n_external_ips),
		.n_external_ips = n->n_external_ips,
	};
}

static void node_fini(struct view *v, struct view_node *n)
{
	free_addresses(v, n->addresses, n->n_addresses);
	free_addresses(v, n->external_ips, n->n_external_ips);
	intern_drop_labels(&v->strings, &n->labels);
	intern_drop(&v->strings, n->name);
}

/* ---- life ---- */

struct view *view_new(const char *node, const char *load_balancer_class)
{
	struct view *v = xcalloc(1, sizeof(*v));

	v->services.kind = &view_service_kind;
	v->slices.kind = &view_slice_kind;
	v->ration.bound = SIZE_ALL_ELEMENTS_MAX;
	v->class = xstrdup_null(load_balancer_class);
	v->self = intern_get(&v->strings, node);
	return v;
}

void view_set_node_rules(struct view *v, struct view_node_rules rules)
{
	v->node_rules = rules;
}

void view_free(struct view *v)
{
	struct slice *sl;
	struct service *s;

	if (!v)
		return;
	for (uint32_t at = 0; (sl = table_next(&v->slices, &at));)
		view_slice_free(v, sl);
	for (uint32_t at = 0; (s = table_next(&v->services, &at));)
		view_remove_service(v, s->pub.namespace, s->pub.name);
	view_clean(v);
	for (size_t i = 0; i < v->n_nodes; i++)
		node_fini(v, &v->nodes[i]);
	free(v->nodes);
	free(v->needed);
	free(v->dirty);
	configuration_unref(v->config);
	intern_drop(&v->strings, v->self);
	intern_drop(&v->strings, v->zone);
	free(v->class);
	free(v);
}

/* ---- the dirty set ---- */

void view_mark(struct view *v, struct service *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	ARRAY_RESERVE(v->dirty, v->cap_dirty, v->n_dirty + 1);
	v->dirty[v->n_dirty++] = s;
}

/* Whatever changes a Service's size or age has made it dirty. */
static void ask_for_room(struct view *v, struct service *s)
{
	const struct seniority order = { s->pub.created_us, s->pub.namespace, s->pub.name };
	size_t n = size_of_large(&s->pub);

	if (s->share && ration_amount(s->share) == n &&
	    ration_order(s->share)->creation_us == order.creation_us)
		return;
	ration_leave(&v->ration, TAKE(s->share));
	if (n)
		s->share = ration_ask(&v->ration, &order, n, s);
}

void view_settle(struct view *v)
{
	size_t n = v->n_dirty;
	struct service *s;

	for (size_t i = 0; i < n; i++)
		ask_for_room(v, v->dirty[i]);
	while ((s = ration_settle(&v->ration))) {
		view_mark(v, s);
		view_mark_company(v, s);
	}
}

bool view_has_room(const struct view_service *pub)
{
	const struct service *s = (const struct service *)(const void *)pub;

	return !s->share || ration_has(s->share);
}

const struct view_service *const *view_take_dirty(struct view *v, size_t *ret_n)
{
	/* A struct service begins with its public part, so that the one array serves both. */
	_Static_assert(offsetof(struct service, pub) == 0, "the public part comes first");

	view_settle(v);
	for (size_t i = 0; i < v->n_dirty; i++)
		v->dirty[i]->pub.passes++;
	v->stats.passes += v->n_dirty;
	*ret_n = v->n_dirty;
	return (const struct view_service *const *)v->dirty;
}

void view_clean(struct view *v)
{
	for (size_t i = 0; i < v->n_dirty; i++) {
		v->dirty[i]->dirty = false;
		view_service_reap(v, v->dirty[i]);
	}
	/* The first list makes everything dirty at once; that much room is not needed again. */
	free(v->dirty);
	v->dirty = NULL;
	v->n_dirty = v->cap_dirty = 0;
}

bool view_is_dirty(const struct view *v)
{
	return v->n_dirty != 0;
}

static bool is_announced(const struct view *v, const struct service *s)
{
	return s->pub.n_addresses ||
	       (s->pub.known && s->pub.type == KUBE_LOAD_BALANCER && view_is_our_class(v, &s->pub));
}

void view_mark_announced(struct view *v)
{
	struct service *s;

	for (uint32_t at = 0; (s = table_next(&v->services, &at));)
		if (is_announced(v, s))
			view_mark(v, s);
}

/* ---- nodes ---- */

static size_t node_position(const struct view *v, const char *name, bool *ret_found)
{
	size_t low = 0, high = v->n_nodes;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strcmp(v->nodes[mid].name, name);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = false;
	return low;
}

static void nodes_changed(struct view *v)
{
	v->revision++;
	view_mark_announced(v);
}

static bool same_addresses(const struct addr *a, size_t n_a, const struct addr *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!addr_eq(&a[i], &b[i]))
			return false;
	return true;
}

static bool same_to_pools(const struct view *v, const struct labels *a, const struct labels *b)
{
	return !v->config || !configuration_tells_nodes_apart(v->config, a, b);
}

static bool node_is(const struct view *v, const struct view_node *old, const struct kube_node *n)
{
	return old->excluded == n->excluded && old->drained == n->drained &&
	       old->cordoned == n->cordoned && old->shutting_down == n->shutting_down &&
	       old->out_of_service == n->out_of_service &&
	       old->network_unavailable == n->network_unavailable &&
	       same_addresses(old->addresses, old->n_addresses, n->internal_ips,
	                      n->n_internal_ips) &&
	       same_addresses(old->external_ips, old->n_external_ips, n->external_ips,
	                      n->n_external_ips) &&
	       same_to_pools(v, &old->labels, &n->meta.labels);
}

/* What decides nothing now. */
static void refresh_node(struct view *v, struct view_node *node, const struct kube_node *n)
{
	node->ready = n->ready;
	node->leaving = n->meta.deleting || n->to_be_deleted;
	set_pod_cidrs(node, n);
	if (labels_eq(&node->labels, &n->meta.labels))
		return;
	intern_drop_labels(&v->strings, &node->labels);
	node->labels = intern_labels(&v->strings, &n->meta.labels);
}

/* Endpoints may be meant for some zones only, of any Service. */
static void set_zone(struct view *v, const char *zone)
{
	const char *old = v->zone;
	struct service *s;

	v->zone = intern_get(&v->strings, zone && *zone ? zone : NULL);
	for (uint32_t at = 0; v->zone != old && (s = table_next(&v->services, &at));)
		view_mark(v, s);
	intern_drop(&v->strings, old);
}

void view_upsert_node(struct view *v, const struct kube_node *n)
{
	bool found;
	size_t at = node_position(v, n->meta.name, &found);

	if (!strcmp(n->meta.name, v->self))
		set_zone(v, labels_get(&n->meta.labels, VIEW_LABEL_ZONE));
	if (found && node_is(v, &v->nodes[at], n)) {
		refresh_node(v, &v->nodes[at], n);
		v->stats.unchanged++;
		return;
	}
	struct view_node node = node_of(v, n);
	if (found) {
		node_fini(v, &v->nodes[at]);
	} else {
		ARRAY_RESERVE(v->nodes, v->cap_nodes, v->n_nodes + 1);
		memmove(v->nodes + at + 1, v->nodes + at, (v->n_nodes - at) * sizeof(*v->nodes));
		v->n_nodes++;
	}
	v->nodes[at] = node;
	set_pod_cidrs(&v->nodes[at], n);
	nodes_changed(v);
}

void view_remove_node(struct view *v, const char *name)
{
	bool found;
	size_t at = node_position(v, name, &found);

	if (!found)
		return;
	node_fini(v, &v->nodes[at]);
	v->n_nodes--;
	memmove(v->nodes + at, v->nodes + at + 1, (v->n_nodes - at) * sizeof(*v->nodes));
	nodes_changed(v);
}

const struct view_node *view_nodes(const struct view *v, size_t *ret_n)
{
	*ret_n = v->n_nodes;
	return v->nodes;
}

const struct view_node *view_node_named(const struct view *v, const char *name)
{
	bool found;
	size_t at = node_position(v, name, &found);

	return found ? &v->nodes[at] : NULL;
}

bool view_is_node_address(const struct view *v, const struct addr *a)
{
	struct node_address *na;

	HASH_FIND(hh, v->node_addresses, a, sizeof(*a), na);
	return na != NULL;
}

void view_set_needed(struct view *v, const struct addr *addrs, size_t n)
{
	if (addrs_same_set(v->needed, v->n_needed, addrs, n))
		return;
	free(v->needed);
	v->needed = n ? xmemdup(addrs, n * sizeof(*addrs)) : NULL;
	v->n_needed = n;
	view_mark_announced(v);
}

bool view_is_needed(const struct view *v, const struct addr *a)
{
	return addrs_contain(v->needed, v->n_needed, a);
}

/* ---- the configuration ---- */

static void set_configuration(struct view *v, struct configuration *c)
{
	struct configuration *old = v->config;
	struct service *s;

	v->config = c;
	v->revision++;
	for (uint32_t at = 0; (s = table_next(&v->services, &at));)
		if (is_announced(v, s))
			view_claims_compare(v, s, old, c);
	configuration_unref(old);
}

int view_load_configuration(struct view *v, const struct kube_config_map *map, struct err *e)
{
	const char *text = labels_get(&map->data, CONFIG_MAP_KEY);
	const char *generation = labels_get(&map->meta.annotations, CONFIG_GENERATION_ANNOTATION);
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	cleanup(config_problems_fini) struct config_problems warnings = { 0 };
	struct configuration *c = NULL;

	if (!text)
		return err_set(e, -EINVAL, ERR_CONFIG, "ConfigMap %s has no key \"%s\"",
		               kube_key(&map->meta), CONFIG_MAP_KEY);
	int r = configuration_parse_published(text, labels_get(&map->data, CONFIG_MAP_RETAINED), &c,
	                                      &errors, &warnings);
	if (r < 0 && errors.n)
		return err_set(e, r, ERR_CONFIG, "ConfigMap %s, line %u: %s: %s",
		               kube_key(&map->meta), errors.items[0].line, errors.items[0].path,
		               errors.items[0].message);
	if (r < 0)
		return err_set(e, r, ERR_CONFIG, "ConfigMap %s does not parse",
		               kube_key(&map->meta));
	view_set_configuration(v, c, generation ? strtoull(generation, NULL, 10) : 0);
	return 0;
}

void view_set_configuration(struct view *v, struct configuration *c, uint64_t generation)
{
	set_configuration(v, c);
	v->generation = generation;
}

/* ---- reading ---- */

const char *view_self(const struct view *v)
{
	return v->self;
}

struct view_node_rules view_node_rules(const struct view *v)
{
	return v->node_rules;
}

const char *view_zone(const struct view *v)
{
	return v->zone;
}

bool view_is_our_class(const struct view *v, const struct view_service *s)
{
	if (!v->class || !s->class)
		return !v->class && !s->class;
	return !strcmp(v->class, s->class);
}

const struct configuration *view_configuration(const struct view *v)
{
	return v->config;
}

uint64_t view_revision(const struct view *v)
{
	return v->revision;
}

uint64_t view_generation(const struct view *v)
{
	return v->generation;
}

struct view_stats view_stats(const struct view *v)
{
	struct view_stats st = v->stats;
	const struct service *s;

	for (uint32_t at = 0; (s = table_next(&v->services, &at));)
		st.services += s->pub.known;
	st.slices = v->slices.n;
	st.nodes = v->n_nodes;
	return st;
}
