/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/tenancy.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* ---- what a Service says ---- */

static const char *key_of(const struct kube_service *s)
{
	static const char *const names[] = { TENANCY_ANNOTATION, "metallb.io/allow-shared-ip",
		                             "metallb.universe.tf/allow-shared-ip" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *key = labels_get(&s->meta.annotations, names[i]);
		if (key && *key)
			return key;
	}
	return NULL;
}

static int port_cmp(const void *a, const void *b)
{
	const struct tenancy_port *x = a, *y = b;

	return x->port != y->port ? (int)x->port - (int)y->port : (int)x->proto - (int)y->proto;
}

static struct tenancy *read_tenancy(const struct kube_service *s, bool external,
                                    const struct addr *granted, size_t n_granted)
{
	const char *key = key_of(s);

	if (!key && !n_granted)
		return NULL;
	struct tenancy *t = xcalloc(1, sizeof(*t));
	t->namespace = xstrdup(s->meta.namespace);
	t->key = xstrdup_null(key);
	t->local = s->traffic.external_local;
	if (t->local)
		t->selector = labels_copy(&s->selector);
	t->ports = xcalloc(s->n_ports + 1, sizeof(*t->ports));
	for (size_t i = 0; i < s->n_ports; i++)
		t->ports[t->n_ports++] = (struct tenancy_port){ .proto = s->ports[i].proto,
			                                        .port = s->ports[i].port };
	qsort(t->ports, t->n_ports, sizeof(*t->ports), port_cmp);
	t->creation_us = s->meta.creation_us;
	t->external = external;
	tenancy_grant(t, granted, n_granted);
	return t;
}

/* All of the status, or nothing. */
static size_t read_granted(const struct kube_service *s, struct addr *ret_addrs)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_ingress; i++) {
		if (!s->ingress[i].ports)
			return 0;
		ret_addrs[n] = s->ingress[i].ip;
		n += !addr_is_none(&ret_addrs[n]);
	}
	return n;
}

struct tenancy *tenancy_of(const struct kube_service *s)
{
	cleanup_free struct addr *granted = xcalloc(s->n_ingress + 1, sizeof(*granted));

	return read_tenancy(s, false, granted, read_granted(s, granted));
}

/* Whoever may write Services may write the record, so that says nothing. */
struct tenancy *tenancy_of_external(const struct kube_service *s)
{
	struct addr confirmed[2];
	size_t n = kube_external_confirmed(s, confirmed);

	return read_tenancy(s, true, confirmed, kube_external_shares(s) ? n : 0);
}

void tenancy_grant(struct tenancy *t, const struct addr *addrs, size_t n)
{
	free(t->granted);
	t->granted = n ? xmemdup(addrs, n * sizeof(*addrs)) : NULL;
	t->n_granted = n;
}

bool tenancy_is_granted(const struct tenancy *t, const struct addr *a)
{
	return t && addrs_contain(t->granted, t->n_granted, a);
}

struct tenancy *tenancy_copy(const struct tenancy *t)
{
	if (!t)
		return NULL;
	struct tenancy *copy = xmemdup(t, sizeof(*t));
	copy->namespace = xstrdup(t->namespace);
	copy->key = xstrdup_null(t->key);
	copy->selector = labels_copy(&t->selector);
	copy->ports = xcalloc(t->n_ports + 1, sizeof(*t->ports));
	if (t->n_ports)
		memcpy(copy->ports, t->ports, t->n_ports * sizeof(*t->ports));
	copy->granted = NULL;
	tenancy_grant(copy, t->granted, t->n_granted);
	return copy;
}

void tenancy_free(struct tenancy *t)
{
	if (!t)
		return;
	free(t->namespace);
	free(t->key);
	labels_fini(&t->selector);
	free(t->ports);
	free(t->granted);
	free(t);
}

static bool same_ports(const struct tenancy *a, const struct tenancy *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (port_cmp(&a->ports[i], &b->ports[i]) != 0)
			return false;
	return true;
}

static bool same_key(const struct tenancy *a, const struct tenancy *b)
{
	return a->key && b->key ? !strcmp(a->key, b->key) : a->key == b->key;
}

bool tenancy_says_same(const struct tenancy *a, const struct tenancy *b)
{
	if (!a || !b)
		return a == b;
	return !strcmp(a->namespace, b->namespace) && same_key(a, b) &&
	       a->external == b->external && a->closed == b->closed && a->local == b->local &&
	       labels_eq(&a->selector, &b->selector) && same_ports(a, b) &&
	       a->creation_us == b->creation_us;
}

bool tenancy_eq(const struct tenancy *a, const struct tenancy *b)
{
	return tenancy_says_same(a, b) &&
	       (!a || addrs_same_set(a->granted, a->n_granted, b->granted, b->n_granted));
}

/* ---- the rule ---- */

/* NULL: they have none in common. */
static const struct tenancy_port *common_port(const struct tenancy *a, const struct tenancy *b)
{
	for (size_t i = 0, k = 0; i < a->n_ports && k < b->n_ports;) {
		int order = port_cmp(&a->ports[i], &b->ports[k]);
		if (order == 0)
			return &a->ports[i];
		i += order < 0;
		k += order > 0;
	}
	return NULL;
}

struct tenancy_verdict tenancy_judge(const struct tenancy *a, const struct tenancy *b, bool across)
{
	struct tenancy_verdict v = { .obstacle = TENANCY_KEY };

	if (!a || !b || !a->key || !b->key)
		return v;
	if (!across && strcmp(a->namespace, b->namespace) != 0) {
		v.obstacle = TENANCY_NAMESPACE;
		return v;
	}
	if (strcmp(a->key, b->key) != 0)
		return v;
	const struct tenancy_port *port = common_port(a, b);
	v.obstacle = TENANCY_NONE;
	if (a->external != b->external) {
		v.obstacle = TENANCY_USE;
	} else if (port) {
		v.obstacle = TENANCY_PORT;
		v.port = *port;
	} else if (a->local != b->local) {
		v.obstacle = TENANCY_POLICY;
	} else if (a->local && !labels_eq(&a->selector, &b->selector)) {
		v.obstacle = TENANCY_SELECTOR;
	}
	return v;
}

void tenancy_put(const struct tenancy_verdict *v, const char *who, struct buf *out)
{
	switch (v->obstacle) {
	case TENANCY_NONE:
		break;
	case TENANCY_NAMESPACE:
		buf_puts(out, "its pool does not share addresses across namespaces");
		break;
	case TENANCY_KEY:
		buf_printf(out, "%s has not the same " TENANCY_ANNOTATION, who);
		break;
	case TENANCY_USE:
		buf_printf(out, "of %s and this one, one has it as an external IP", who);
		break;
	case TENANCY_POLICY:
		buf_printf(out, "%s has another externalTrafficPolicy", who);
		break;
	case TENANCY_SELECTOR:
		buf_printf(
			out,
			"%s has another selector, and with externalTrafficPolicy Local it must be "
			"the same",
			who);
		break;
	case TENANCY_PORT:
		buf_printf(out, "%s has port %u/%s, too", who, v->port.port,
		           kube_proto_name(v->port.proto));
		break;
	case TENANCY_AGE:
		buf_printf(out, "%s is younger, and would have to give way", who);
		break;
	case TENANCY_FULL:
		buf_printf(out, "%d Services have it already", TENANCY_MAX);
		break;
	case TENANCY_CLOSED:
		buf_printf(out, "%s has addresses that others wrote, or may have none of ours",
		           who);
		break;
	}
}
