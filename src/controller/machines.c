/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that machines have.  A pool often spans a whole LAN, and the nodes, the routers and the API server stand in it too: were
 * one of their addresses given to a Service, the speakers would cut that machine off, and so they refuse.  So the books know them,
 * and nobody is given one.  Nodes are followed; BGP peers come with the configuration (ipam_new()); of the API server there is the
 * address that we talk to, for which no right is needed.
 *
 * A leader looks at the Nodes as at the Services before it assigns anything.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "controller/controller.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define API_SERVER "the API server"
#define TOLD_IN_EVENT 3

struct machine_node {
	char *name;
	char *what; /* "Node node1" */
	struct addr *addrs;
	size_t n;
	UT_hash_handle hh;
};

/* ---- in the books ---- */

/* Whoever holds the address is to be told; whoever waits may have it now, or be refused for another reason. */
static void decide_again(struct controller *ctl, const struct addr *a)
{
	const char *key = ipam_holder(ctl->ipam, a);
	struct record *r = NULL;

	if (!ctl->leading || !configuration_giving_pool_of(ctl->config.in_force, a))
		return;
	if (key) /* "shop/web" or "shop/web (external IPs)" */
		HASH_FIND(hh, ctl->records, key, strcspn(key, " "), r);
	if (r)
		registry_mark(r);
	registry_wake_waiting(ctl);
}

static void add(struct controller *ctl, const struct addr *a, enum reason reason, const char *what)
{
	struct ipam_machine_view m;

	if (!ctl->ipam)
		return;
	ipam_add_machine(ctl->ipam, a, reason, what);
	if (ctl->leading && ipam_machine_of(ctl->ipam, a, &m) && m.pool)
		log_warn("a pool holds a machine's address, which is assigned to nobody",
		         KV_S("pool", m.pool->name), KV_S("address", addr_str(a)),
		         KV_S("machine", what));
	decide_again(ctl, a);
}

static void remove_one(struct controller *ctl, const struct addr *a, enum reason reason,
                       const char *what)
{
	if (!ctl->ipam)
		return;
	ipam_remove_machine(ctl->ipam, a, reason, what);
	decide_again(ctl, a);
}

void machines_fill(struct controller *ctl)
{
	struct addr a;

	for (const struct machine_node *n = ctl->nodes; n; n = n->hh.next)
		for (size_t i = 0; i < n->n; i++)
			ipam_add_machine(ctl->ipam, &n->addrs[i], REASON_NodeAddress, n->what);
	if (kube_server_host(kube_access_server(ctl->access), &a))
		ipam_add_machine(ctl->ipam, &a, REASON_AddressOfApiServer, API_SERVER);
	if (!addr_is_none(&ctl->api_server))
		ipam_add_machine(ctl->ipam, &ctl->api_server, REASON_AddressOfApiServer,
		                 API_SERVER);
}

void machines_see_api_server(struct controller *ctl)
{
	const struct addr a = kube_client_server_address(ctl->client);
	const struct addr before = ctl->api_server;

	if (addr_is_none(&a) || addr_eq(&a, &before))
		return;
	ctl->api_server = a;
	add(ctl, &a, REASON_AddressOfApiServer, API_SERVER);
	if (!addr_is_none(&before))
		remove_one(ctl, &before, REASON_AddressOfApiServer, API_SERVER);
}

void machines_tell(const struct controller *ctl, struct buf *note)
{
	size_t n;
	cleanup_free struct ipam_machine_view *all = ipam_machines_in_pools(ctl->ipam, &n);

	for (size_t i = 0; i < n && i < TOLD_IN_EVENT; i++) {
		buf_puts(note, "; ");
		ipam_put_machine(&all[i], note);
	}
	if (n > TOLD_IN_EVENT)
		buf_printf(note, "; and %zu more addresses of machines", n - TOLD_IN_EVENT);
}

/* ---- Nodes ---- */

static struct machine_node *node_find(const struct controller *ctl, const char *name)
{
	struct machine_node *n;

	HASH_FIND_STR(ctl->nodes, name, n);
	return n;
}

static struct machine_node *node_get(struct controller *ctl, const char *name)
{
	struct machine_node *n = node_find(ctl, name);

	if (n)
		return n;
	n = xcalloc(1, sizeof(*n));
	n->name = xstrdup(name);
	n->what = xasprintf("Node %s", name);
	HASH_ADD_KEYPTR(hh, ctl->nodes, n->name, strlen(n->name), n);
	return n;
}

/* The internal and external ones, each once. */
static struct addr *addrs_of(const struct kube_node *node, size_t *ret_n)
{
	size_t n = 0, n_all = node->n_internal_ips + node->n_external_ips;
	struct addr *addrs = xcalloc(n_all + 1, sizeof(*addrs));

	for (size_t i = 0; i < n_all; i++) {
		const struct addr *a = i < node->n_internal_ips
		                               ? &node->internal_ips[i]
		                               : &node->external_ips[i - node->n_internal_ips];
		if (!addrs_contain(addrs, n, a))
			addrs[n++] = *a;
	}
	*ret_n = n;
	return addrs;
}

/* Takes over @addrs. */
static void node_set(struct controller *ctl, struct machine_node *node, struct addr *addrs,
                     size_t n)
{
	cleanup_free struct addr *before = node->addrs;
	size_t n_before = node->n;

	node->addrs = addrs;
	node->n = n;
	for (size_t i = 0; i < n; i++)
		if (!addrs_contain(before, n_before, &addrs[i]))
			add(ctl, &addrs[i], REASON_NodeAddress, node->what);
	for (size_t i = 0; i < n_before; i++)
		if (!addrs_contain(addrs, n, &before[i]))
			remove_one(ctl, &before[i], REASON_NodeAddress, node->what);
}

static void node_free(struct controller *ctl, struct machine_node *n)
{
	HASH_DEL(ctl->nodes, n);
	free(n->addrs);
	free(n->what);
	free(n->name);
	free(n);
}

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct controller *ctl = arg;
	struct kube_node *node = NULL;
	int r = kube_node_parse(obj, &node, e);
	size_t n;

	if (r < 0)
		return r;
	struct addr *addrs = addrs_of(node, &n);
	node_set(ctl, node_get(ctl, node->meta.name), addrs, n);
	kube_node_free(node);
	return 0;
}

static void removed(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct controller *ctl = arg;
	struct machine_node *n = node_find(ctl, name);

	(void)namespace;
	(void)uid;
	if (!n)
		return;
	node_set(ctl, n, NULL, 0);
	node_free(ctl, n);
}

const struct kube_informer_ops machines_ops = { .upsert = upsert, .remove = removed };

void machines_free(struct controller *ctl)
{
	while (ctl->nodes)
		node_free(ctl, ctl->nodes);
}
