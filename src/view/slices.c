/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "view/private.h"

/*
 * EndpointSlices.  Each keeps its own state under its Service, and they are merged where somebody reads: while the
 * endpoint slice controller moves an endpoint it may be in two slices, or for a moment in none.
 */

#define LABEL_HEADLESS "service.kubernetes.io/headless"

static void content_fini(struct view *v, struct view_slice *s)
{
	for (size_t i = 0; i < s->n_endpoints; i++)
		intern_drop(&v->strings, s->endpoints[i].node);
	for (size_t i = 0; i < s->n_ports; i++)
		intern_drop(&v->strings, s->ports[i].name);
	free((void *)s->endpoints);
	free((void *)s->ports);
}

static struct view_slice content_of(struct view *v, const struct kube_slice *in)
{
	struct view_slice out = { .family = in->family };

	if (in->n_endpoints) {
		struct view_endpoint *eps = xcalloc(in->n_endpoints, sizeof(*eps));
		for (size_t i = 0; i < in->n_endpoints; i++)
			eps[i] = (struct view_endpoint){
				.addr = in->endpoints[i].addr,
				.node = intern_get(&v->strings, in->endpoints[i].node),
				.ready = in->endpoints[i].ready,
				.serving = in->endpoints[i].serving,
				.terminating = in->endpoints[i].terminating,
			};
		out.endpoints = eps;
		out.n_endpoints = in->n_endpoints;
	}
	if (in->n_ports) {
		struct view_port *ports = xcalloc(in->n_ports, sizeof(*ports));
		for (size_t i = 0; i < in->n_ports; i++)
			ports[i] = (struct view_port){
				.name = intern_get(&v->strings, in->ports[i].name),
				.proto = view_proto_number(in->ports[i].proto),
				.port = in->ports[i].port,
			};
		out.ports = ports;
		out.n_ports = in->n_ports;
	}
	return out;
}

static bool content_eq(const struct view_slice *a, const struct view_slice *b)
{
	if (a->family != b->family || a->n_endpoints != b->n_endpoints || a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_endpoints; i++) {
		const struct view_endpoint *p = &a->endpoints[i], *q = &b->endpoints[i];
		if (!addr_eq(&p->addr, &q->addr) || p->node != q->node || p->ready != q->ready ||
		    p->serving != q->serving || p->terminating != q->terminating)
			return false;
	}
	for (size_t i = 0; i < a->n_ports; i++) {
		const struct view_port *p = &a->ports[i], *q = &b->ports[i];
		if (p->name != q->name || p->proto != q->proto || p->port != q->port)
			return false;
	}
	return true;
}

static struct slice *find(const struct view *v, const char *key)
{
	struct slice *s;

	HASH_FIND(hh, v->slices, key, strlen(key), s);
	return s;
}

/* Puts the slice under @service (NULL: under none) and marks those who gain or lose it. */
static void move_to(struct view *v, struct slice *s, struct service *service)
{
	struct service *old = s->service;

	if (old == service)
		return;
	if (old) {
		const struct view_slice **at = &old->pub.slices;
		while (*at != &s->pub)
			at = (const struct view_slice **)&(*at)->next;
		*at = s->pub.next;
		view_mark(v, old);
	}
	s->service = service;
	s->pub.next = NULL;
	if (service) {
		s->pub.next = service->pub.slices;
		service->pub.slices = &s->pub;
		view_mark(v, service);
	}
}

void view_slice_free(struct view *v, struct slice *s)
{
	move_to(v, s, NULL);
	HASH_DEL(v->slices, s);
	content_fini(v, &s->pub);
	free(s->key);
	free(s);
}

void view_remove_slice(struct view *v, const char *namespace, const char *name)
{
	cleanup_free char *key = xasprintf("%s/%s", namespace, name);
	struct slice *s = find(v, key);

	if (s)
		view_slice_free(v, s);
}

void view_upsert_slice(struct view *v, const struct kube_slice *in)
{
	cleanup_free char *key = xasprintf("%s/%s", in->meta.namespace, in->meta.name);
	struct slice *s = find(v, key);

	if (!in->family || !*in->service || kube_labels_get(&in->meta.labels, LABEL_HEADLESS)) {
		if (s)
			view_slice_free(v, s);
		return;
	}
	struct view_slice content = content_of(v, in);
	struct service *service = view_service_get(v, in->meta.namespace, in->service);
	if (s && s->service == service && content_eq(&s->pub, &content)) {
		v->stats.unchanged++;
		content_fini(v, &content);
		return;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->pub.name = key + strlen(in->meta.namespace) + 1;
		s->key = TAKE(key);
		HASH_ADD_KEYPTR(hh, v->slices, s->key, strlen(s->key), s);
	}
	move_to(v, s, service);
	content_fini(v, &s->pub);
	content.next = s->pub.next;
	content.name = s->pub.name;
	s->pub = content;
	view_mark(v, service);
}
