/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that machines have.  A pool often spans a whole LAN, and the nodes, the routers and the
 * API server are in it too: if one of their addresses were given to a Service, the speakers would
 * cut that machine off, and so they refuse.  So the books know them, and nobody is given one.
 * Nodes are followed; BGP peers come with the configuration (ipam_new()); of the API server we know
 * the address that we talk to, which needs no permission.
 *
 * A leader looks at the Nodes as at the Services before it assigns anything.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "controller/books.h"
#include "controller/machines.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define API_SERVER "the API server"
#define TOLD_IN_EVENT 3

struct machine {
	char *name;
	char *what;         /* "Node node1" */
	enum reason reason; /* why nobody is given its addresses */
	struct addr *addrs;
	size_t n;
	UT_hash_handle hh;
};

/* ---- in the books ---- */

/*
 * A Service that holds the address must be told; one that waits may get it now, or be refused for
 * another reason.
 */
static void decide_again(struct controller *ctl, const struct addr *a)
{
	const char *key = ipam_holder(ctl->ipam, a);
	struct record *r = NULL;

	if (!ctl->leading || !configuration_giving_pool_of(ctl->config.in_force, a))
		return;
	if (key) /* "shop/web" or "shop/web (external IPs)" */
		HASH_FIND(hh, ctl->records, key, strcspn(key, " "), r);
	if (r)
		books_mark(r);
	books_wake_waiting(ctl);
}

static void add(struct controller *ctl, const struct addr *a, const struct machine *of)
{
	struct ipam_machine_view m;

	if (!ctl->ipam)
		return;
	ipam_add_machine(ctl->ipam, a, of->reason, of->what);
	if (ctl->leading && ipam_machine_of(ctl->ipam, a, &m) && m.pool)
		log_warn("a pool holds a machine's address, which is assigned to nobody",
		         KV_S("pool", m.pool->name), KV_S("address", addr_str(a)),
		         KV_S("machine", of->what));
	decide_again(ctl, a);
}

static void remove_one(struct controller *ctl, const struct addr *a, const struct machine *of)
{
	if (!ctl->ipam)
		return;
	ipam_remove_machine(ctl->ipam, a, of->reason, of->what);
	decide_again(ctl, a);
}

/* Takes over @addrs. */
static void set_addrs(struct controller *ctl, struct machine *m, struct addr *addrs, size_t n)
{
	cleanup_free struct addr *before = m->addrs;
	size_t n_before = m->n;

	m->addrs = addrs;
	m->n = n;
	for (size_t i = 0; i < n; i++)
		if (!addrs_contain(before, n_before, &addrs[i]))
			add(ctl, &addrs[i], m);
	for (size_t i = 0; i < n_before; i++)
		if (!addrs_contain(addrs, n, &before[i]))
			remove_one(ctl, &before[i], m);
}

static struct machine *machine_new(const char *name, char *what, enum reason reason)
{
	struct machine *m = xcalloc(1, sizeof(*m));

	m->name = xstrdup(name);
	m->what = what;
	m->reason = reason;
	return m;
}

static void machine_free(struct machine *m)
{
	if (!m)
		return;
	free(m->addrs);
	free(m->what);
	free(m->name);
	free(m);
}

static void fill_one(struct ipam *ipam, const struct machine *m)
{
	for (size_t i = 0; i < m->n; i++)
		ipam_add_machine(ipam, &m->addrs[i], m->reason, m->what);
}

/*
 * What is known about it now; NULL if that is less than before, since between two connections it is
 * still where it was.
 */
static struct addr *look_for_api_server(struct controller *ctl, size_t *ret_n)
{
	struct addr known[KUBE_SERVER_ADDRESSES_MAX];
	size_t n = kube_client_server_addresses(ctl->client, known);

	if (!ctl->api_server)
		ctl->api_server = machine_new("", xstrdup(API_SERVER), REASON_AddressOfApiServer);
	*ret_n = n;
	return n < ctl->api_server->n ? NULL : xmemdup(known, n * sizeof(*known));
}

void machines_see_api_server(struct controller *ctl)
{
	size_t n;
	struct addr *known = look_for_api_server(ctl, &n);

	if (known)
		set_addrs(ctl, ctl->api_server, known, n);
}

void machines_fill(struct controller *ctl)
{
	size_t n;
	struct addr *known = look_for_api_server(ctl, &n);

	if (known) {
		free(ctl->api_server->addrs);
		ctl->api_server->addrs = known;
		ctl->api_server->n = n;
	}
	fill_one(ctl->ipam, ctl->api_server);
	for (const struct machine *m = ctl->nodes; m; m = m->hh.next)
		fill_one(ctl->ipam, m);
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

static struct machine *node_find(const struct controller *ctl, const char *name)
{
	struct machine *m;

	HASH_FIND_STR(ctl->nodes, name, m);
	return m;
}

static struct machine *node_get(struct controller *ctl, const char *name)
{
	struct machine *m = node_find(ctl, name);

	if (m)
		return m;
	m = machine_new(name, xasprintf("Node %s", name), REASON_NodeAddress);
	HASH_ADD_KEYPTR(hh, ctl->nodes, m->name, strlen(m->name), m);
	return m;
}

static void node_free(struct controller *ctl, struct machine *m)
{
	HASH_DEL(ctl->nodes, m);
	machine_free(m);
}

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct controller *ctl = arg;
	struct kube_node *node = NULL;
	int r = kube_node_parse(obj, &node, e);
	size_t n;

	if (r < 0)
		return r;
	struct addr *addrs = kube_node_addresses(node, &n);
	set_addrs(ctl, node_get(ctl, node->meta.name), addrs, n);
	kube_node_free(node);
	return 0;
}

static void removed(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct controller *ctl = arg;
	struct machine *m = node_find(ctl, name);

	(void)namespace;
	(void)uid;
	if (!m)
		return;
	set_addrs(ctl, m, NULL, 0);
	node_free(ctl, m);
}

const struct kube_informer_ops machines_ops = { .upsert = upsert, .remove = removed };

void machines_free(struct controller *ctl)
{
	while (ctl->nodes)
		node_free(ctl, ctl->nodes);
	machine_free(TAKE(ctl->api_server));
}
