/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/decide.h"

#include "decide/private.h"
#include "fairlead/configuration.h"
#include "fairlead/kube_types.h"
#include "fairlead/size.h"

/* Words, by reason.  By which configuration; one that is only tried has no generation. */
static void add_generation(const struct view *v, struct buf *out)
{
	if (view_generation(v))
		buf_printf(out, ", generation %llu", (unsigned long long)view_generation(v));
}

static void about_protocol(const struct decision *d, struct buf *out)
{
	buf_printf(out, ": %s%s", d->pool ? "another is named by pool " : "there is no peer",
	           d->pool ? d->pool->name : "");
}

static void about_admission(const struct decision *d, struct buf *out)
{
	buf_printf(out, ": %s in namespace %s", addr_str(&d->address->addr), d->service->namespace);
	add_generation(d->view, out);
	if (d->address->confirmed)
		buf_puts(out, "; it was assigned once, but no pool for external IPs holds it");
}

static void about_pool(const struct decision *d, struct buf *out)
{
	buf_printf(out, ": %s", addr_str(&d->address->addr));
	add_generation(d->view, out);
}

static void about_size(const struct view *v, struct buf *out)
{
	if (view_node_rules(v).by_rules)
		buf_printf(out, ": more than %d rules in one family", SIZE_RULES_MAX);
	else
		buf_printf(out, ": more than %d elements in one family", SIZE_ELEMENTS_MAX);
}

static void about_room(const struct view_service *s, struct buf *out)
{
	buf_printf(out, ": it takes %zu elements, and all of them together may take %d",
	           size_of_large(s), SIZE_ALL_ELEMENTS_MAX);
}

/* The entries of the pool's layer2 that are for the Service, whatever the node. */
static void about_layer2(const struct decision *d, struct buf *out)
{
	buf_printf(out, "; for this Service pool %s has", d->pool->name);
	for (size_t i = 0, n = 0; i < d->pool->n_layer2; i++)
		if (d->layer2 >> i & 1)
			buf_printf(out, "%s layer2[%zu]", n++ ? "," : "", i);
}

void decide_message(const struct decision *d, enum reason reason, const char *node, struct buf *out)
{
	const struct view_service *s = d->service;
	const struct addr *a = d->address ? &d->address->addr : NULL;

	buf_puts(out, reason_sentence(reason));
	if (reason == REASON_NotAdvertised)
		decide_say_unadvertised(d, out);
	else if (reason_about(reason) == REASON_ABOUT_NODE)
		buf_printf(out, ": %s", node);
	if (reason == REASON_NodeNotSelected)
		about_layer2(d, out);
	else if (reason == REASON_ServiceNotSelected)
		buf_printf(out, ": pool %s", d->pool->name);
	else if (reason == REASON_AddressShared)
		buf_printf(out, ": %s has %s", d->first->key, addr_str(a));
	else if (reason == REASON_OtherClass)
		buf_printf(out, ": %s", s->class ? s->class : "none");
	else if (reason == REASON_NotLoadBalancer)
		buf_printf(out, ": it is %s", kube_service_type_name(s->type));
	else if (reason == REASON_AddressNotInPool)
		about_pool(d, out);
	else if (reason == REASON_ProtocolUnsupported)
		about_protocol(d, out);
	else if (reason == REASON_ExternalIpNotAllowed)
		about_admission(d, out);
	else if (reason == REASON_NotForwarded)
		buf_printf(out, ": IPv%u", a->family);
	else if (reason == REASON_AddressOfPeer)
		buf_printf(out, ": %s, peer %s", addr_str(a),
		           configuration_peer_of(view_configuration(d->view), a)->name);
	else if (reason == REASON_TooLarge)
		about_size(d->view, out);
	else if (reason == REASON_CrowdedOut)
		about_room(s, out);
	else if (reason == REASON_NodeAddress || reason == REASON_AddressOfApiServer)
		buf_printf(out, ": %s", addr_str(a));
}
