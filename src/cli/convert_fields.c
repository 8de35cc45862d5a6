/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MetalLB's fields, kind by kind: the key that takes each over, or what is lost without it.
 *
 * A value goes over as it is, whatever its type: the parser of the configuration is the one judge
 * of it, and refuses the wrong ones.  Where an address is announced in more places than by MetalLB,
 * that is noted; a peer that would be the wrong one is left out.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "cli/convert_private.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/ytree.h"

#define NS_PER_S 1000000000

static bool is_list(struct json_object *value)
{
	return json_object_is_type(value, json_type_array);
}

/* ---- Community ---- */

static void take_alias(struct conversion *c, size_t i, struct json_object *item)
{
	const char *name = kube_json_str(item, "name", NULL);
	const char *value = kube_json_str(item, "value", NULL);

	if (!name || !value) {
		convert_note(c, "communities[%zu]: has no name and value, and is not carried over",
		             i);
	} else if (json_object_object_get_ex(c->communities, name, NULL)) {
		convert_note(c,
		             "communities[%zu]: \"%.64s\" is defined already; this one is left out",
		             i, name);
	} else {
		json_object_object_add(c->communities, name, json_object_new_string(value));
		convert_origin(c, c->current->label, "bgp-communities.%s", name);
	}
}

static void read_aliases(struct convert_reader *r, const struct convert_field *f,
                         struct json_object *value)
{
	if (!is_list(value))
		convert_note(r->c, "%s: is no list, and is not carried over", f->name);
	for (size_t i = 0; is_list(value) && i < json_object_array_length(value); i++)
		take_alias(r->c, i, json_object_array_get_idx(value, i));
}

static const struct convert_field community_fields[] = {
	{ "communities", .read = read_aliases },
};

/* ---- BFDProfile ---- */

static const struct convert_field bfd_fields[] = {
	{ "receiveInterval", .read = convert_read_value, .key = "receive-interval" },
	{ "transmitInterval", .read = convert_read_value, .key = "transmit-interval" },
	{ "echoInterval", .read = convert_read_value, .key = "echo-interval" },
	{ "detectMultiplier", .read = convert_read_value, .key = "detect-multiplier" },
	{ "minimumTtl", .read = convert_read_value, .key = "minimum-ttl" },
	{ "echoMode", .read = convert_read_value, .key = "echo-mode", .omit = "false" },
	{ "passiveMode", .read = convert_read_value, .key = "passive-mode", .omit = "false" },
};

/* ---- BGPPeer ---- */

/* "internal" is the own AS by another name. */
static void read_dynamic_asn(struct convert_reader *r, const struct convert_field *f,
                             struct json_object *value)
{
	struct json_object *asn = NULL;

	if (convert_is_unset(value))
		return;
	if (!strcmp(json_object_get_string(value), "internal") &&
	    json_object_object_get_ex(r->to, "my-asn", &asn)) {
		json_object_object_add(r->to, "peer-asn", json_object_get(asn));
		return;
	}
	convert_note(r->c,
	             "%s: a peer needs its number; this one is left out, add it with peer-asn",
	             f->name);
	r->left_out = true;
}

/* Of MetalLB's sessions each has a family unless told, of ours those over IPv4 have both. */
static void read_dual(struct convert_reader *r, const struct convert_field *f,
                      struct json_object *value)
{
	const char *address = kube_json_str(r->from, "peerAddress", NULL);

	if (!convert_is_unset(value) && address && strchr(address, ':'))
		convert_note(r->c,
		             "%s: a session over IPv6 carries IPv6 alone; add a peer over IPv4, "
		             "which carries both",
		             f->name);
}

/*
 * Each of MetalLB's passwords has a Secret to itself; ours are keys of one, which can be named as
 * those were.
 */
static void read_password_secret(struct convert_reader *r, const struct convert_field *f,
                                 struct json_object *value)
{
	const char *name = kube_json_str(value, "name", NULL);

	if (convert_is_unset(value))
		return;
	if (!name || !*name) {
		convert_note(r->c, "%s: has no name, and is not carried over", f->name);
		return;
	}
	convert_note(r->c,
	             "%s: put the password of the Secret \"%.64s\" as the key \"%.64s\" into the "
	             "Secret that the speakers' --bgp-password-secret names; without it there is "
	             "no session",
	             f->name, name, name);
	json_object_object_add(r->to, "password-secret", json_object_new_string(name));
}

/* Without a hold time, MetalLB takes three times the keepalive time. */
static void read_keepalive(struct convert_reader *r, const struct convert_field *f,
                           struct json_object *value)
{
	int64_t ns;

	if (!json_object_object_get_ex(r->to, "hold-time", NULL) &&
	    duration_parse(json_object_get_string(value), &ns) == 0 && ns > 0 &&
	    ns <= INT64_MAX / 3) {
		cleanup_free char *hold = xasprintf("%" PRId64 "s", 3 * ns / NS_PER_S);
		json_object_object_add(r->to, "hold-time", json_object_new_string(hold));
	}
	convert_read_value(r, f, value);
}

static const struct convert_field peer_fields[] = {
	{ "myASN", .read = convert_read_value, .key = "my-asn" },
	{ "peerASN", .read = convert_read_value, .key = "peer-asn", .omit = "0" },
	{ "dynamicASN", .read = read_dynamic_asn },
	{ "peerAddress", .read = convert_read_value, .key = "peer-address" },
	{ "peerPort", .read = convert_read_value, .key = "peer-port", .omit = "179" },
	{ "sourceAddress", .read = convert_read_value, .key = "source-address" },
	{ "holdTime", .read = convert_read_value, .key = "hold-time" },
	{ "keepaliveTime", .read = read_keepalive, .key = "keepalive-time" },
	{ "routerID", .read = convert_read_value, .key = "router-id" },
	{ "password", .read = convert_read_value, .key = "password" },
	{ "passwordSecret", .read = read_password_secret },
	{ "bfdProfile", .read = convert_read_value, .key = "bfd-profile" },
	{ "ebgpMultiHop", .read = convert_read_value, .key = "ebgp-multihop", .omit = "false" },
	{ "nodeSelectors", .read = convert_read_selectors, .key = "node-selectors" },
	{ "dualStackAddressFamily", .read = read_dual },
	{ "interface",
	  .lost = "a peer needs its address; this one is left out, add it with peer-address",
	  .needed = true },
	{ "vrf", .lost = "there are sessions in the default VRF only; the peer is left out",
	  .needed = true },
	{ "localASN",
	  .lost = "there is one local AS on a node, my-asn; the peer is left out, add it with the one "
	          "it expects",
	  .needed = true },
	{ "connectTime", .lost = "bgpd tries again every 5 s" },
	{ "enableGracefulRestart",
	  .lost = "not asked for; while bgpd restarts, this node's routes are gone" },
	{ "disableMP", .lost = "a session over IPv4 carries IPv6 as well" },
};

/* ---- IPAddressPool, AddressPool ---- */

static const struct convert_field allocation_fields[] = {
	{ "priority", .read = convert_read_value, .key = "priority", .omit = "0" },
	{ "namespaces", .read = convert_read_value, .key = "namespaces" },
	{ "namespaceSelectors", .read = convert_read_selectors, .key = "namespace-selectors" },
	{ "serviceSelectors", .read = convert_read_selectors, .key = "service-selectors" },
};

static bool is_empty_selector(struct json_object *selector)
{
	bool any = false;

	if (!json_object_is_type(selector, json_type_object))
		return false;
	json_object_object_foreach(selector, key, value) {
		(void)key;
		any |= !convert_is_unset(value);
	}
	return !any;
}

/*
 * A selector without conditions selects everything in Kubernetes, and so does a list that has one.
 */
static bool selects_all(struct json_object *map, const char *key)
{
	struct json_object *list = NULL;

	json_object_object_get_ex(map, key, &list);
	for (size_t i = 0; is_list(list) && i < json_object_array_length(list); i++)
		if (is_empty_selector(json_object_array_get_idx(list, i)))
			return true;
	return false;
}

/* What selects all is no condition; with it the names of namespaces are none either. */
static void drop_conditions_on_none(struct convert_reader *r)
{
	bool all_namespaces = selects_all(r->to, "namespace-selectors");
	bool all_services = selects_all(r->to, "service-selectors");

	if (all_namespaces) {
		json_object_object_del(r->to, "namespaces");
		json_object_object_del(r->to, "namespace-selectors");
	}
	if (all_services)
		json_object_object_del(r->to, "service-selectors");
	if (all_namespaces)
		convert_note(r->c, "serviceAllocation.namespaceSelectors: one is empty, which "
		                   "selects every namespace; left out, as it is no condition");
	if (all_services)
		convert_note(r->c, "serviceAllocation.serviceSelectors: one is empty, which "
		                   "selects every Service; left out, as it is no condition");
}

static void read_allocation(struct convert_reader *r, const struct convert_field *f,
                            struct json_object *value)
{
	cleanup_free char *at = xasprintf("%s%s.", r->at, f->name);
	struct convert_reader nested = { .c = r->c, .at = at, .from = value, .to = r->to };
	bool is_narrow = false;

	convert_read_fields(&nested, allocation_fields, ARRAY_LEN(allocation_fields));
	if (!json_object_is_type(value, json_type_object)) {
		convert_note(
			r->c,
			"%s: whom the pool is for is not known; auto-assign: false is written, "
			"so that nobody gets an address of it unasked",
			f->name);
		json_object_object_add(r->to, "auto-assign", json_object_new_boolean(false));
		return;
	}
	drop_conditions_on_none(r);
	for (size_t i = 1; i < ARRAY_LEN(allocation_fields); i++)
		is_narrow |= json_object_object_get_ex(r->to, allocation_fields[i].key, NULL);
	if (!is_narrow && !json_object_object_get_ex(r->to, "priority", NULL))
		convert_note(r->c,
		             "%s: MetalLB tries such a pool before those without; give it a "
		             "priority",
		             f->name);
}

static int text_cmp(const void *a, const void *b)
{
	struct json_object *const *pa = a, *const *pb = b;

	return strcmp(json_object_to_json_string(*pa), json_object_to_json_string(*pb));
}

/* In order, so that equal advertisements look equal. */
static void read_communities(struct convert_reader *r, const struct convert_field *f,
                             struct json_object *value)
{
	if (!is_list(value)) {
		convert_read_value(r, f, value);
		return;
	}
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(value); i++)
		json_object_array_add(list, json_object_get(json_object_array_get_idx(value, i)));
	json_object_array_sort(list, text_cmp);
	if (json_object_array_length(list))
		json_object_object_add(r->to, f->key, list);
	else
		json_object_put(list);
}

/* Selectors of which one selects all are no condition. */
static void read_condition(struct convert_reader *r, const struct convert_field *f,
                           struct json_object *value)
{
	convert_read_selectors(r, f, value);
	if (selects_all(r->to, f->key))
		json_object_object_del(r->to, f->key);
}

static bool is_peer(const struct conversion *c, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(c->peers); i++) {
		const char *other =
			kube_json_str(json_object_array_get_idx(c->peers, i), "name", NULL);
		if (other && !strcmp(other, name))
			return true;
	}
	return false;
}

/* MetalLB announces to those of them that there are. */
static void read_peers(struct convert_reader *r, const struct convert_field *f,
                       struct json_object *value)
{
	size_t n = is_list(value) ? json_object_array_length(value) : 0;
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(value, i);
		const char *name = item ? json_object_get_string(item) : "null";
		if (is_peer(r->c, name))
			json_object_array_add(list, json_object_get(item));
		else
			convert_note(r->c,
			             "%s%s[%zu]: there is no peer \"%.64s\" in what is written",
			             r->at, f->name, i, name);
	}
	if (json_object_array_length(list)) {
		json_object_object_add(r->to, f->key, json_object_get(list));
	} else if (!convert_is_unset(value)) {
		convert_note(r->c, "%s%s: none of them is a peer; the advertisement is left out",
		             r->at, f->name);
		r->left_out = true;
	}
	json_object_put(list);
}

/* The first of the table, which an AddressPool's own advertisements have too. */
#define LEGACY_ADVERTISEMENT_FIELDS 4

static const struct convert_field bgp_fields[] = {
	{ "aggregationLength", .read = convert_read_value, .key = "aggregation-length",
	  .omit = "32" },
	{ "aggregationLengthV6", .read = convert_read_value, .key = "aggregation-length-v6",
	  .omit = "128" },
	{ "localPref", .read = convert_read_value, .key = "localpref", .omit = "0" },
	{ "communities", .read = read_communities, .key = "communities" },
	{ "ipAddressPools" }, /* convert_select() looks at these */
	{ "ipAddressPoolSelectors" },
	{ "nodeSelectors", .read = read_condition, .key = "node-selectors" },
	{ "peers", .read = read_peers, .key = "peers" },
	{ "serviceSelectors", .read = read_condition, .key = "service-selectors" },
};

/*
 * Keeps what an advertisement makes, unless the pool has the same already: two may have differed in
 * what is lost.
 */
static void add_map(struct convert_list *list, struct json_object *map, const char *label)
{
	size_t n = json_object_array_length(list->maps);

	list->any = true;
	for (size_t i = 0; i < n; i++)
		if (json_object_equal(json_object_array_get_idx(list->maps, i), map))
			return;
	json_object_array_add(list->maps, json_object_get(map));
	ARRAY_RESERVE(list->labels, list->cap_labels, n + 1);
	list->labels[n] = label;
}

static void read_legacy_advertisements(struct convert_reader *r, const struct convert_field *f,
                                       struct json_object *value)
{
	struct convert_pool *pool = &r->c->pools[r->c->n_pools - 1];

	if (!is_list(value)) {
		convert_note(r->c, "%s: is no list, and is not carried over", f->name);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		cleanup_free char *at = xasprintf("%s[%zu].", f->name, i);
		struct convert_reader nested = { .c = r->c,
			                         .at = at,
			                         .from = json_object_array_get_idx(value, i),
			                         .to = json_object_new_object() };
		convert_read_fields(&nested, bgp_fields, LEGACY_ADVERTISEMENT_FIELDS);
		add_map(&pool->bgp, nested.to, pool->from->label);
		json_object_put(nested.to);
	}
}

static const struct convert_field pool_fields[] = {
	{ "addresses", .read = convert_read_value, .key = "addresses" },
	{ "autoAssign", .read = convert_read_value, .key = "auto-assign", .omit = "true" },
	{ "avoidBuggyIPs", .read = convert_read_value, .key = "avoid-buggy-ips", .omit = "false" },
	{ "serviceAllocation", .read = read_allocation },
};

static const struct convert_field legacy_pool_fields[] = {
	{ "protocol", .read = convert_read_value, .key = "protocol" },
	{ "addresses", .read = convert_read_value, .key = "addresses" },
	{ "autoAssign", .read = convert_read_value, .key = "auto-assign", .omit = "true" },
	{ "avoidBuggyIPs", .read = convert_read_value, .key = "avoid-buggy-ips", .omit = "false" },
	{ "bgpAdvertisements", .read = read_legacy_advertisements },
};

/* ---- L2Advertisement ---- */

/* MetalLB's are names, ours expressions. */
static struct json_object *interface_pattern(struct json_object *name)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;

	if (!json_object_is_type(name, json_type_string))
		return json_object_get(name);
	for (const char *s = json_object_get_string(name); *s; s++)
		buf_printf(&out, "%s%c", strchr(".[]()*+?^$|{}\\", *s) ? "\\" : "", *s);
	return json_object_new_string(buf_str(&out));
}

static void read_interfaces(struct convert_reader *r, const struct convert_field *f,
                            struct json_object *value)
{
	if (!is_list(value) || json_object_array_length(value) == 0) {
		convert_read_value(r, f, value);
		return;
	}
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(value); i++)
		json_object_array_add(list, interface_pattern(json_object_array_get_idx(value, i)));
	json_object_object_add(r->to, f->key, list);
}

static const struct convert_field preferred_fields[] = {
	{ "weight", .read = convert_read_value, .key = "weight" },
	{ "preference", .read = convert_read_selector },
};

/* One without conditions prefers every node to every other, and so none. */
static void read_preferred(struct convert_reader *r, const struct convert_field *f,
                           struct json_object *value)
{
	if (!is_list(value)) {
		convert_read_value(r, f, value);
		return;
	}
	struct json_object *list = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		cleanup_free char *at = xasprintf("%s%s[%zu].", r->at, f->name, i);
		struct convert_reader nested = { .c = r->c,
			                         .at = at,
			                         .from = json_object_array_get_idx(value, i),
			                         .to = json_object_new_object() };
		convert_read_fields(&nested, preferred_fields, ARRAY_LEN(preferred_fields));
		if (json_object_object_get_ex(nested.to, "match-labels", NULL) ||
		    json_object_object_get_ex(nested.to, "match-expressions", NULL))
			json_object_array_add(list, json_object_get(nested.to));
		json_object_put(nested.to);
	}
	if (json_object_array_length(list) > 0)
		json_object_object_add(r->to, f->key, json_object_get(list));
	json_object_put(list);
}

static const struct convert_field l2_fields[] = {
	{ "ipAddressPools" }, /* convert_select() looks at these */
	{ "ipAddressPoolSelectors" },
	{ "interfaces", .read = read_interfaces, .key = "interfaces" },
	{ "nodeSelectors", .read = read_condition, .key = "node-selectors" },
	{ "serviceSelectors", .read = read_condition, .key = "service-selectors" },
	{ "preferredNodeSelectors", .read = read_preferred, .key = "preferred-nodes" },
};

/* ---- objects ---- */

static const struct {
	const struct convert_field *fields;
	size_t n;
} tables[CONVERT_KINDS] = {
	[CONVERT_COMMUNITY] = { community_fields, ARRAY_LEN(community_fields) },
	[CONVERT_BFD_PROFILE] = { bfd_fields, ARRAY_LEN(bfd_fields) },
	[CONVERT_PEER] = { peer_fields, ARRAY_LEN(peer_fields) },
	[CONVERT_LEGACY_POOL] = { legacy_pool_fields, ARRAY_LEN(legacy_pool_fields) },
	[CONVERT_POOL] = { pool_fields, ARRAY_LEN(pool_fields) },
	[CONVERT_L2_ADVERTISEMENT] = { l2_fields, ARRAY_LEN(l2_fields) },
	[CONVERT_BGP_ADVERTISEMENT] = { bgp_fields, ARRAY_LEN(bgp_fields) },
};

static void add_name(const struct convert_reader *r, const struct convert_object *object)
{
	json_object_object_add(r->to, "name", json_object_new_string(object->object->meta.name));
}

static void add_pool(const struct convert_reader *r, const struct convert_object *object)
{
	struct conversion *c = r->c;

	ARRAY_RESERVE(c->pools, c->cap_pools, c->n_pools + 1);
	c->pools[c->n_pools++] = (struct convert_pool){ .from = object,
		                                        .map = json_object_get(r->to),
		                                        .layer2.maps = json_object_new_array(),
		                                        .bgp.maps = json_object_new_array() };
	add_name(r, object);
	/* Its place; the advertisements fill it. */
	json_object_object_add(r->to, "protocol", NULL);
}

static void take_layer2(struct convert_pool *pool, void *arg)
{
	const struct convert_reader *r = arg;

	add_map(&pool->layer2, r->to, r->c->current->label);
}

static void take_bgp(struct convert_pool *pool, void *arg)
{
	const struct convert_reader *r = arg;

	add_map(&pool->bgp, r->to, r->c->current->label);
}

static void add_to_list(const struct convert_reader *r, struct json_object *list, const char *key)
{
	convert_origin(r->c, r->c->current->label, "%s[%zu]", key, json_object_array_length(list));
	json_object_array_add(list, json_object_get(r->to));
}

void convert_read(struct conversion *c, const struct convert_object *object)
{
	struct json_object *spec = NULL;
	struct convert_reader r = { .c = c, .at = "", .to = json_object_new_object() };

	json_object_object_get_ex(object->json, "spec", &spec);
	r.from = spec;
	c->current = object;
	if (object->kind == CONVERT_POOL || object->kind == CONVERT_LEGACY_POOL)
		add_pool(&r, object);
	else if (object->kind == CONVERT_BFD_PROFILE || object->kind == CONVERT_PEER)
		add_name(&r, object);
	convert_read_fields(&r, tables[object->kind].fields, tables[object->kind].n);
	if (object->kind == CONVERT_L2_ADVERTISEMENT) {
		convert_select(c, spec, take_layer2, &r);
	} else if (object->kind == CONVERT_BGP_ADVERTISEMENT && !r.left_out) {
		convert_select(c, spec, take_bgp, &r);
	} else if (object->kind == CONVERT_BFD_PROFILE) {
		add_to_list(&r, c->bfd_profiles, "bfd-profiles");
	} else if (object->kind == CONVERT_PEER && !r.left_out) {
		add_to_list(&r, c->peers, "peers");
	}
	json_object_put(r.to);
	c->current = NULL;
}
