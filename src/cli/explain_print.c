/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "cli/explain_private.h"
#include "cli/table.h"
#include "fairlead/ipam.h"
#include "fairlead/mem.h"

static const char *const kind_words[] = {
	[DECIDE_LOAD_BALANCER] = "",
	[DECIDE_EXTERNAL_ASSIGNED] = "external IP assigned by the controller, ",
	[DECIDE_EXTERNAL_HANDWRITTEN] = "external IP written by hand, ",
};

/* ---- JSON ---- */

static void row_json(const struct explain_row *row, struct buf *out)
{
	buf_puts(out, "{\"node\":");
	buf_json_str(out, row->node);
	buf_printf(out,
	           ",\"protocol\":\"%s\",\"announce\":%s,\"reason\":", protocol_name(row->protocol),
	           row->announce ? "true" : "false");
	buf_json_str(out, row->reason);
	buf_puts(out, ",\"message\":");
	buf_json_str(out, row->message);
	buf_putc(out, '}');
}

void explain_json(const struct explain *x, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < x->n_addresses; i++) {
		const struct explain_address *a = &x->addresses[i];
		buf_printf(out, "%s{\"address\":\"%s\",\"kind\":\"%s\",\"pool\":", i ? "," : "",
		           addr_str(&a->addr), decide_kind_name(a->decision.kind));
		buf_json_str(out, a->decision.pool ? a->decision.pool->name : NULL);
		buf_puts(out, ",\"nodes\":[");
		for (size_t k = 0; k < a->n_rows; k++) {
			buf_puts(out, k ? "," : "");
			row_json(&a->rows[k], out);
		}
		buf_puts(out, "]}");
	}
	buf_puts(out, "]\n");
}

/* ---- text ---- */

/* "Announced by n1." and the like, for one protocol; nothing where the pool has it not. */
static void verdict_text(const struct explain *x, const struct explain_address *a,
                         enum protocol protocol, struct buf *out)
{
	cleanup(buf_fini) struct buf nodes = BUF_INIT, silent = BUF_INIT;
	size_t n_asked = 0, n = 0;

	for (size_t i = 0; i < a->n_rows; i++) {
		if (a->rows[i].protocol != protocol)
			continue;
		n_asked++;
		if (a->rows[i].announce)
			buf_printf(&nodes, "%s%s", n++ ? ", " : "", a->rows[i].node);
		else if (!strcmp(a->rows[i].reason, reason_name(REASON_SpeakerSilent)))
			buf_printf(&silent, "%s%s", silent.size ? ", " : "", a->rows[i].node);
	}
	if (n_asked == 0)
		return;
	if (n == 0 && silent.size)
		buf_printf(out, "  By %s no node is known to announce it; no answer from %s.\n",
		           protocol_name(protocol), buf_str(&silent));
	else if (n == 0)
		buf_printf(out, "  By %s it %s announced by none of these nodes.\n",
		           protocol_name(protocol), x->is_live ? "is" : "would be");
	else if (x->is_live)
		buf_printf(out, "  By %s it is announced by %s%s%s.\n", protocol_name(protocol),
		           buf_str(&nodes), silent.size ? "; no answer from " : "",
		           buf_str(&silent));
	else if (protocol == PROTOCOL_LAYER2 && n > 1)
		buf_printf(out, "  By layer2 one of these would announce it: %s.\n",
		           buf_str(&nodes));
	else
		buf_printf(out, "  By %s it would be announced by %s.\n", protocol_name(protocol),
		           buf_str(&nodes));
}

static void rows_text(const struct explain_address *a, struct buf *out)
{
	static const char *const head[] = { "NODE", "PROTOCOL", "ANNOUNCES", "REASON", "MESSAGE" };
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < a->n_rows; i++) {
		const struct explain_row *row = &a->rows[i];
		table_cell(&t, "%s", row->node);
		table_cell(&t, "%s", protocol_name(row->protocol));
		table_cell(&t, "%s", row->announce ? "yes" : "no");
		table_cell(&t, "%s", row->reason);
		table_cell(&t, "%s", row->message);
	}
	table_print(&t, "  ", out);
}

/* A terminal needs no marks around code. */
static void remedy_text(const char *remedy, struct buf *out)
{
	for (; *remedy; remedy++)
		if (*remedy != '`')
			buf_putc(out, *remedy);
	buf_putc(out, '\n');
}

static void remedies_text(const struct explain_address *a, struct buf *out)
{
	bool told[REASON_COUNT] = { false }, any = false;

	for (size_t i = 0; i < a->n_rows; i++) {
		enum reason r = reason_named(a->rows[i].reason);
		if (a->rows[i].announce || r == REASON_COUNT || told[r] || !*reason_remedy(r))
			continue;
		told[r] = true;
		buf_printf(out, "%s    %s: ", any ? "" : "  What would change it:\n",
		           reason_name(r));
		remedy_text(reason_remedy(r), out);
		any = true;
	}
}

/* What the controller has said in the Service's condition of this type, if anything. */
static bool condition_text(const struct kube_service *service, const char *type, struct buf *out)
{
	for (size_t i = 0; i < service->n_conditions; i++) {
		const struct kube_condition *c = &service->conditions[i];
		if (strcmp(c->type, type) != 0)
			continue;
		cleanup_free char *told =
			xasprintf("The controller says %s: %s", c->reason, c->message);
		buf_plain(told);
		buf_printf(out, "%s\n", told);
		return true;
	}
	return false;
}

/* Addresses that it asks for and another Service has: the condition, which tenants read, may leave that one unnamed. */
static void holders_text(const struct explain *x, const struct kube_service *service,
                         struct buf *out)
{
	struct ipam_request r;

	ipam_request_of(service, service->load_balancer_class, &r);
	for (size_t i = 0; i < r.n_asked; i++) {
		const struct view_service *first = decide_first(x->view, &r.asked[i]);
		if (first && first != x->service)
			buf_printf(out, "%s, which it asks for, belongs to %s.\n",
			           addr_str(&r.asked[i]), first->key);
	}
	ipam_request_fini(&r);
}

/* A Service that asks for external IPs and was given none. */
static void waiting_text(const struct kube_service *service, struct buf *out)
{
	buf_printf(out, "It asks for external IPs from pool %s, and has none.\n",
	           service->external_pool);
	if (!condition_text(service, IPAM_CONDITION_EXTERNAL, out))
		buf_puts(out, "What the controller would do: see `fairlead plan`\n");
}

/* "ClusterIP, headless", "LoadBalancer, externalTrafficPolicy Local" */
static void kind_text(const struct kube_service *service, struct buf *out)
{
	buf_puts(out, kube_service_type_name(service->type));
	if (service->headless)
		buf_puts(out, ", headless");
	else if (service->type != KUBE_EXTERNAL_NAME)
		buf_printf(out, ", externalTrafficPolicy %s",
		           service->external_local ? "Local" : "Cluster");
}

static void no_address_text(const struct explain *x, const struct kube_service *service,
                            struct buf *out)
{
	struct decision d = decide_address(x->view, x->service, NULL);
	const char *remedy = reason_remedy(d.reason);

	/* External IPs are nothing for those, either. */
	if (d.reason == REASON_NotLoadBalancer && service->headless)
		remedy = "Make the Service anew with a cluster IP and `type: LoadBalancer`.";
	else if (d.reason == REASON_NotLoadBalancer && service->type == KUBE_EXTERNAL_NAME)
		remedy = "Set `type: LoadBalancer`.";
	buf_puts(out, "It has no address, so nothing is announced: ");
	decide_message(&d, d.reason, view_self(x->view), out);
	buf_puts(out, ".\n");
	condition_text(service, IPAM_CONDITION, out);
	if (*remedy) {
		buf_puts(out, "What would change it: ");
		remedy_text(remedy, out);
	}
}

static void address_text(const struct explain *x, const struct explain_address *a, struct buf *out)
{
	buf_printf(out, "\n%s, %s%s%s\n", addr_str(&a->addr), kind_words[a->decision.kind],
	           a->decision.pool ? "pool " : "in no pool",
	           a->decision.pool ? a->decision.pool->name : "");
	if (a->n_rows == 0) {
		buf_puts(out, "  There is no Node that could announce it.\n");
		return;
	}
	verdict_text(x, a, PROTOCOL_LAYER2, out);
	verdict_text(x, a, PROTOCOL_BGP, out);
	rows_text(a, out);
	remedies_text(a, out);
}

void explain_text(const struct explain *x, const struct kube_service *service, struct buf *out)
{
	const struct view_service *s = x->service;
	bool waits = service->external_pool && service->n_external_assigned == 0;

	buf_printf(out, "%s: ", s->key);
	kind_text(service, out);
	buf_putc(out, '\n');
	if (waits)
		waiting_text(service, out);
	/* Of two families it has one: the controller has said why. */
	if (service->n_ingress == 1 && service->n_cluster_ips == 2)
		condition_text(service, IPAM_CONDITION, out);
	if (x->n_addresses == 0 && !(waits && s->type != KUBE_LOAD_BALANCER))
		no_address_text(x, service, out);
	holders_text(x, service, out);
	for (size_t i = 0; i < x->n_addresses; i++)
		address_text(x, &x->addresses[i], out);
}
