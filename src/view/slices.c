/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EndpointSlices.  Each keeps its own state under its Service, and they are merged where somebody
 * reads: while the endpoint slice controller moves an endpoint it may be in two slices, or for a
 * moment in none.
 *
 * A slice finds its Service by name, but says in its ownerReferences which one of that name it was
 * made for.  Where a Service is deleted and another of its name made at once, slices of the first
 * one live on until the garbage collector comes, and name Pods that the second may not select:
 * these are strays, kept apart.  So is a slice labelled for another proxy under a Service that is
 * not: kube-proxy does not look at such a slice.  Where both are, the slice says where the other
 * proxy's endpoints are, and an address may be announced for it.
 */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "view/private.h"

static void endpoint_fini(struct view *v, const struct view_endpoint *ep)
{
	const struct view_place *p = ep->place;

	intern_drop(&v->strings, p->node);
	intern_drop(&v->strings, p->hint_zones);
	intern_drop(&v->strings, p->hint_nodes);
	intern_drop_bytes(&v->places, p, sizeof(*p));
}

static void content_fini(struct view *v, struct view_slice *s)
{
	for (size_t i = 0; i < s->n_endpoints; i++)
		endpoint_fini(v, &s->endpoints[i]);
	view_ports_drop(v, s->ports, s->n_ports);
	free((void *)s->endpoints);
}

/* ---- ports ---- */

/* Names are compared by pointer: equal ones of one view are equal. */
static int port_cmp(const void *a, const void *b)
{
	const struct view_port *p = a, *q = b;
	uintptr_t x = (uintptr_t)p->name, y = (uintptr_t)q->name;

	if (x != y)
		return x < y ? -1 : 1;
	return (p->proto > q->proto) - (p->proto < q->proto);
}

/* Of one name and protocol the API takes one port, and only a port with a number leads anywhere. */
static const struct view_port *ports_of(struct view *v, const struct kube_slice *in,
                                        uint32_t *ret_n)
{
	cleanup_free struct view_port *ports = xcalloc(in->n_ports + 1, sizeof(*ports));
	uint32_t n = 0;

	for (size_t i = 0; i < in->n_ports; i++)
		if (in->ports[i].port)
			ports[n++] = (struct view_port){
				.name = intern_get(&v->strings, in->ports[i].name),
				.proto = view_proto_number(in->ports[i].proto),
				.port = in->ports[i].port,
			};
	qsort(ports, n, sizeof(*ports), port_cmp);
	*ret_n = n;
	return view_ports_get(v, ports, n);
}

const struct view_port *view_slice_port(const struct view_slice *s, const struct view_port *port)
{
	return s->n_ports ? bsearch(port, s->ports, s->n_ports, sizeof(*s->ports), port_cmp) : NULL;
}

/* ---- the content of a slice ---- */

static const struct view_place *place_of(struct view *v, const struct kube_endpoint *in)
{
	const struct view_place p = {
		.node = intern_get(&v->strings, in->node),
		.hint_zones = intern_get(&v->strings, in->hint_zones),
		.hint_nodes = intern_get(&v->strings, in->hint_nodes),
	};

	return intern_get_bytes(&v->places, &p, sizeof(p));
}

static struct view_slice content_of(struct view *v, const struct kube_slice *in)
{
	struct view_slice out = { .family = in->family };

	if (in->n_endpoints) {
		struct view_endpoint *eps = xcalloc(in->n_endpoints, sizeof(*eps));
		for (size_t i = 0; i < in->n_endpoints; i++)
			eps[i] = (struct view_endpoint){
				.addr = in->endpoints[i].addr,
				.place = place_of(v, &in->endpoints[i]),
				.ready = in->endpoints[i].ready,
				.serving = in->endpoints[i].serving,
				.terminating = in->endpoints[i].terminating,
			};
		out.endpoints = eps;
		out.n_endpoints = (uint32_t)in->n_endpoints;
	}
	for (size_t i = 0; i < out.n_endpoints; i++) {
		const struct view_endpoint *ep = &out.endpoints[i];
		bool used = ep->ready || ep->serving;
		out.n_used += used;
		out.n_ending += !used && ep->terminating;
	}
	out.ports = ports_of(v, in, &out.n_ports);
	return out;
}

static bool view_endpoint_eq(const struct view_endpoint *a, const struct view_endpoint *b)
{
	return true VIEW_ENDPOINT_FIELDS(FIELD_EQ);
}

static bool content_eq(const struct view_slice *a, const struct view_slice *b)
{
	return true VIEW_SLICE_FIELDS(FIELD_EQ);
}

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct slice *s = record;

	*ret_size = strlen(s->key);
	return s->key;
}

const struct table_kind view_slice_kind = { .link = offsetof(struct slice, link), .key = key_of };

static struct slice *find(const struct view *v, const char *key)
{
	return table_find(&v->slices, key, strlen(key));
}

static bool is_stray(const struct slice *s, const struct service *service)
{
	static const uint8_t nobody[VIEW_UID_SIZE];

	if (s->foreign_proxy && service->pub.known && !service->pub.foreign_proxy)
		return true;
	return memcmp(s->owner, nobody, VIEW_UID_SIZE) &&
	       memcmp(service->pub.uid, nobody, VIEW_UID_SIZE) &&
	       memcmp(s->owner, service->pub.uid, VIEW_UID_SIZE);
}

/* Takes the slice out of a list; false: it is not there. */
static bool unlink_slice(const struct view_slice **at, const struct view_slice *s)
{
	while (*at && *at != s)
		at = (const struct view_slice **)&(*at)->next;
	if (!*at)
		return false;
	*at = s->next;
	return true;
}

/*
 * Takes time only where the slice or the ports are new: equal lists of ports are one.  Another list
 * is never where that of a kept count was, since it is made before the old one goes, and counted at
 * once.
 */
static void count_served(struct slice *s, const struct view_service *service)
{
	if (s->served_of == service->ports)
		return;
	s->served_of = service->ports;
	s->pub.n_served = 0;
	for (size_t i = 0; i < service->n_ports; i++)
		s->pub.n_served += view_slice_port(&s->pub, &service->ports[i]) != NULL;
}

static void forget_served(struct slice *s)
{
	s->served_of = NULL;
	s->pub.n_served = 0;
}

static void link_slice(struct slice *s, struct service *service)
{
	bool stray = is_stray(s, service);
	const struct view_slice **list = stray ? &service->strays : &service->pub.slices;

	if (stray)
		forget_served(s);
	else
		count_served(s, &service->pub);
	s->pub.next = *list;
	*list = &s->pub;
}

/* The slice that the API servers keep of themselves. */
#define API_SERVER_SLICE "default/kubernetes"

bool view_is_api_server(const struct view *v, const struct addr *a)
{
	const struct slice *s = find(v, API_SERVER_SLICE);

	for (size_t i = 0; s && i < s->pub.n_endpoints; i++)
		if (addr_eq(&s->pub.endpoints[i].addr, a))
			return true;
	return false;
}

/* Puts the slice under @service (NULL: under none) and marks those who gain or lose it. */
static void move_to(struct view *v, struct slice *s, struct service *service)
{
	struct service *old = s->service;

	if (!strcmp(s->key, API_SERVER_SLICE))
		view_mark_announced(v);
	if (old) {
		if (!unlink_slice(&old->pub.slices, &s->pub))
			unlink_slice(&old->strays, &s->pub);
		view_mark(v, old);
		view_mark_company(v, old);
	}
	s->service = service;
	forget_served(s);
	if (service) {
		link_slice(s, service);
		view_mark(v, service);
		view_mark_company(v, service);
	}
}

void view_slices_sort(struct service *service)
{
	const struct view_slice *lists[] = { TAKE(service->pub.slices), TAKE(service->strays) };

	_Static_assert(offsetof(struct slice, pub) == 0, "the public part comes first");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const struct view_slice *s = lists[i], *next; s; s = next) {
			next = s->next;
			link_slice((struct slice *)(uintptr_t)s, service);
		}
}

void view_slice_free(struct view *v, struct slice *s)
{
	move_to(v, s, NULL);
	table_remove(&v->slices, s);
	content_fini(v, &s->pub);
	free(s);
}

void view_remove_slice(struct view *v, const char *namespace, const char *name)
{
	cleanup_free char *key = xasprintf("%s/%s", namespace, name);
	struct slice *s = find(v, key);

	if (s)
		view_slice_free(v, s);
}

bool view_upsert_slice(struct view *v, const struct kube_slice *in)
{
	cleanup_free char *key = xasprintf("%s/%s", in->meta.namespace, in->meta.name);
	struct slice *s = find(v, key);

	if (!in->family || !*in->service || labels_get(&in->meta.labels, VIEW_LABEL_HEADLESS)) {
		if (s)
			view_slice_free(v, s);
		return s != NULL;
	}
	struct view_slice content = content_of(v, in);
	struct service *service = view_service_get(v, in->meta.namespace, in->service);
	uint8_t owner[VIEW_UID_SIZE];
	bool foreign_proxy = labels_get(&in->meta.labels, VIEW_LABEL_PROXY_NAME) != NULL;
	view_parse_uid(in->owner_uid, owner);
	if (s && s->foreign_proxy == foreign_proxy && s->service == service &&
	    !memcmp(s->owner, owner, sizeof(owner)) && content_eq(&s->pub, &content)) {
		v->stats.unchanged++;
		content_fini(v, &content);
		return false;
	}
	if (!s) {
		s = xcalloc(1, offsetof(struct slice, key) + strlen(key) + 1);
		memcpy(s->key, key, strlen(key) + 1);
		table_add(&v->slices, s);
	}
	memcpy(s->owner, owner, sizeof(owner));
	s->foreign_proxy = foreign_proxy;
	move_to(v, s, NULL);
	content_fini(v, &s->pub);
	s->pub = content;
	move_to(v, s, service);
	return true;
}
