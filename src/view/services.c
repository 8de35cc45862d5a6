/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services.  What is kept is compared with what comes, field by field: the API server sends an
 * object anew for each condition and annotation that anybody writes, and most of that changes
 * nothing here.
 */
#include "config.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "view/private.h"

/* What becomes of a node whose local endpoints are all ending; "hold": it stays. */
#define ANNOTATION_TERMINATING "fairlead.io/terminating"

/* ---- the content of a record: everything that comes from the Service itself ---- */

static void content_fini(struct view *v, struct view_service *s)
{
	view_ports_drop(v, s->ports, s->n_ports);
	intern_drop(&v->strings, s->class);
	intern_drop(&v->strings, s->traffic.scheduler);
	intern_drop_labels(&v->strings, &s->labels);
	free((void *)s->addresses);
	free((void *)s->source_ranges);
}

void view_parse_uid(const char *text, uint8_t ret_uid[static VIEW_UID_SIZE])
{
	uint8_t uid[VIEW_UID_SIZE] = { 0 };
	size_t n = 0;

	for (const char *p = text; *p; p++) {
		const char *digits = "0123456789abcdef";
		const char *d = strchr(digits, *p);
		if (*p == '-')
			continue;
		if (!d || n == 2 * sizeof(uid)) {
			n = 0;
			break;
		}
		uid[n / 2] = (uint8_t)(uid[n / 2] << 4 | (d - digits));
		n++;
	}
	if (n != 2 * sizeof(uid) && *text) {
		uint64_t folded[2] = { hash64_str(text, 0), hash64_str(text, 1) };
		memcpy(uid, folded, sizeof(uid));
	}
	memcpy(ret_uid, uid, sizeof(uid));
}

uint8_t view_proto_number(enum kube_proto p)
{
	switch (p) {
	case KUBE_TCP:
		return IPPROTO_TCP;
	case KUBE_UDP:
		return IPPROTO_UDP;
	case KUBE_SCTP:
		return IPPROTO_SCTP;
	}
	return 0;
}

const struct view_port *view_ports_get(struct view *v, const struct view_port *ports, size_t n)
{
	return n ? intern_get_bytes(&v->ports, ports, n * sizeof(*ports)) : NULL;
}

void view_ports_drop(struct view *v, const struct view_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		intern_drop(&v->strings, ports[i].name);
	intern_drop_bytes(&v->ports, ports, n * sizeof(*ports));
}

static void content_lists(struct view *v, const struct kube_service *in, struct view_service *out)
{
	cleanup_free struct view_port *ports = xcalloc(in->n_ports + 1, sizeof(*ports));

	for (size_t i = 0; i < in->n_ports; i++)
		ports[i] = (struct view_port){
			.name = intern_get(&v->strings, in->ports[i].name),
			.proto = view_proto_number(in->ports[i].proto),
			.port = in->ports[i].port,
			.node_port = in->ports[i].node_port,
		};
	out->ports = view_ports_get(v, ports, in->n_ports);
	out->n_ports = (uint32_t)in->n_ports;
	struct view_address *addresses = view_addresses_of(in, &out->n_addresses);
	/* Our controller leaves them alone, so a record there is somebody else's word. */
	bool left_alone = in->type == KUBE_LOAD_BALANCER && !view_is_our_class(v, out);
	for (size_t i = 0; left_alone && i < out->n_addresses; i++)
		addresses[i].confirmed = addresses[i].shared = false;
	out->addresses = addresses;
	if (in->n_source_ranges) {
		out->source_ranges = xmemdup(in->source_ranges,
		                             in->n_source_ranges * sizeof(*in->source_ranges));
		out->n_source_ranges = in->n_source_ranges;
	}
}

static enum view_ending ending_of(const struct kube_service *in)
{
	const char *value = labels_get(&in->meta.annotations, ANNOTATION_TERMINATING);

	if (value && !strcmp(value, "hold"))
		return VIEW_ENDING_HOLDS;
	return value && !strcmp(value, "give-way") ? VIEW_ENDING_GIVES_WAY : VIEW_ENDING_OF_POOL;
}

static struct view_service content_of(struct view *v, const struct kube_service *in)
{
	struct view_service out = {
		.known = true,
		.created_us = in->meta.creation_us,
		.type = in->type,
		.deleting = in->meta.deleting,
		.traffic = in->traffic,
		.ending = ending_of(in),
		.foreign_proxy = labels_get(&in->meta.labels, VIEW_LABEL_PROXY_NAME) != NULL,
		.proxyless = labels_get(&in->meta.labels, VIEW_LABEL_HEADLESS) != NULL,
		.class = intern_get(&v->strings, in->load_balancer_class),
		.labels = intern_labels(&v->strings, &in->meta.labels),
		.n_cluster_ips = in->headless ? 0 : in->n_cluster_ips,
	};

	out.traffic.scheduler = intern_get(&v->strings, in->traffic.scheduler);
	view_parse_uid(in->meta.uid, out.uid);
	memcpy(out.cluster_ips, in->cluster_ips, sizeof(out.cluster_ips));
	content_lists(v, in, &out);
	return out;
}

bool view_port_eq(const struct view_port *a, const struct view_port *b)
{
	return true VIEW_PORT_FIELDS(FIELD_EQ);
}

static bool view_address_eq(const struct view_address *a, const struct view_address *b)
{
	return true VIEW_ADDRESS_FIELDS(FIELD_EQ);
}

static bool content_eq(const struct view_service *a, const struct view_service *b)
{
	return true VIEW_SERVICE_FIELDS(FIELD_EQ);
}

/* Replaces the content and keeps what is the record's own. */
static void set_content(struct view *v, struct service *s, struct view_service content)
{
	view_claims_drop(v, s);
	content_fini(v, &s->pub);
	content.key = s->pub.key;
	content.namespace = s->pub.namespace;
	content.name = s->pub.name;
	content.slices = s->pub.slices;
	content.passes = s->pub.passes;
	s->pub = content;
	view_slices_sort(s);
	view_claims_add(v, s);
	view_mark(v, s);
}

/* ---- records ---- */

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct service *s = record;

	*ret_size = strlen(s->key);
	return s->key;
}

const struct table_kind view_service_kind = { .link = offsetof(struct service, link),
	                                      .key = key_of };

static struct service *find(const struct view *v, const char *key)
{
	return table_find(&v->services, key, strlen(key));
}

struct service *view_service_get(struct view *v, const char *namespace, const char *name)
{
	cleanup_free char *key = xasprintf("%s/%s", namespace, name);
	struct service *s = find(v, key);

	if (s)
		return s;
	s = xcalloc(1, offsetof(struct service, key) + strlen(key) + 1);
	memcpy(s->key, key, strlen(key) + 1);
	s->pub.key = s->key;
	s->pub.namespace = intern_get(&v->strings, namespace);
	s->pub.name = s->key + strlen(namespace) + 1;
	table_add(&v->services, s);
	return s;
}

void view_service_reap(struct view *v, struct service *s)
{
	if (s->pub.known || s->pub.slices || s->strays || s->dirty)
		return;
	ration_leave(&v->ration, s->share);
	table_remove(&v->services, s);
	content_fini(v, &s->pub);
	intern_drop(&v->strings, s->pub.namespace);
	free(s);
}

void view_upsert_service(struct view *v, const struct kube_service *in)
{
	struct service *s = view_service_get(v, in->meta.namespace, in->meta.name);
	struct view_service content = content_of(v, in);

	if (content_eq(&s->pub, &content)) {
		v->stats.unchanged++;
		content_fini(v, &content);
		return;
	}
	set_content(v, s, content);
}

/*
 * What is known goes on being served, but for addresses that the object does not name any more:
 * they may be another's by now.
 */
static void narrow(struct view *v, struct service *s, const struct kube_remains *r)
{
	struct view_service content = s->pub;
	struct view_address *kept = xcalloc(s->pub.n_addresses + 1, sizeof(*kept));

	for (size_t i = 0; i < content.n_ports; i++)
		intern_get(&v->strings, s->pub.ports[i].name);
	content.ports = view_ports_get(v, s->pub.ports, s->pub.n_ports);
	content.class = intern_get(&v->strings, content.class);
	content.traffic.scheduler = intern_get(&v->strings, content.traffic.scheduler);
	content.labels = intern_labels(&v->strings, &s->pub.labels);
	content.source_ranges = xmemdup(s->pub.source_ranges,
	                                s->pub.n_source_ranges * sizeof(*s->pub.source_ranges));
	content.addresses = kept;
	content.n_addresses = 0;
	for (size_t i = 0; i < s->pub.n_addresses; i++) {
		const struct view_address *a = &s->pub.addresses[i];
		if (a->external ? addrs_contain(r->external_ips, r->n_external_ips, &a->addr)
		                : addrs_contain(r->ingress, r->n_ingress, &a->addr))
			kept[content.n_addresses++] = *a;
	}
	set_content(v, s, content);
}

void view_service_unreadable(struct view *v, const struct kube_remains *r)
{
	cleanup_free char *key = xasprintf("%s/%s", r->meta.namespace, r->meta.name);
	struct service *s = find(v, key);
	uint8_t uid[VIEW_UID_SIZE];

	if (!s || !s->pub.known)
		return;
	view_parse_uid(r->meta.uid, uid);
	if (memcmp(uid, s->pub.uid, sizeof(uid)) != 0)
		set_content(v, s, (struct view_service){ .known = false });
	else
		narrow(v, s, r);
}

void view_remove_service(struct view *v, const char *namespace, const char *name)
{
	cleanup_free char *key = xasprintf("%s/%s", namespace, name);
	struct service *s = find(v, key);

	if (s && s->pub.known)
		set_content(v, s, (struct view_service){ .known = false });
}

bool view_touch(struct view *v, const char *key, const struct addr *a)
{
	struct service *s = find(v, key);

	if (!s || (v->config && configuration_pool_of(v->config, a)))
		return false;
	view_mark(v, s);
	return true;
}

/* ---- reading ---- */

const struct view_service *view_service_named(const struct view *v, const char *key)
{
	const struct service *s = find(v, key);

	return s && s->pub.known ? &s->pub : NULL;
}

static int cmp_services(const void *a, const void *b)
{
	return view_by_name(*(const struct view_service *const *)a,
	                    *(const struct view_service *const *)b);
}

const struct view_service **view_services(const struct view *v, size_t *ret_n)
{
	const struct view_service **all = xcalloc(v->services.n + 1, sizeof(*all));
	const struct service *s;
	size_t n = 0;

	for (uint32_t at = 0; (s = table_next(&v->services, &at));)
		if (s->pub.known)
			all[n++] = &s->pub;
	qsort(all, n, sizeof(*all), cmp_services);
	*ret_n = n;
	return all;
}
