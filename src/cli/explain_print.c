/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "cli/explain_private.h"
#include "cli/model_private.h"
#include "fairlead/clock.h"
#include "fairlead/ipam.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

static const char *const kind_words[] = {
	[DECIDE_LOAD_BALANCER] = "",
	[DECIDE_EXTERNAL_ASSIGNED] = "external IP assigned by the controller, ",
	[DECIDE_EXTERNAL_HANDWRITTEN] = "external IP written by hand, ",
};

static const struct out_table rows_table = {
	.indented = true,
	.if_any = true,
	.columns = { { "node", "NODE" },
	             { "protocol", "PROTOCOL" },
	             { "announce", "ANNOUNCES" },
	             { "reason", "REASON" },
	             { "message", "MESSAGE" } },
};

/* ---- an address ---- */

/* "Announced by n1." and the like, for one protocol; nothing where the pool has it not. */
static bool is_silent(const struct explain_row *row)
{
	return !strcmp(row->reason, reason_name(REASON_SpeakerSilent)) ||
	       !strcmp(row->reason, reason_name(REASON_SpeakerNotRunning)) ||
	       !strcmp(row->reason, reason_name(REASON_SpeakerMissing));
}

static void say_verdict(const struct explain *x, const struct explain_address *a,
                        enum protocol protocol, struct out *o)
{
	cleanup(buf_fini) struct buf nodes = BUF_INIT, silent = BUF_INIT;
	size_t n_asked = 0, n = 0;

	for (size_t i = 0; i < a->n_rows; i++) {
		if (a->rows[i].protocol != protocol)
			continue;
		n_asked++;
		if (a->rows[i].announce)
			buf_printf(&nodes, "%s%s", n++ ? ", " : "", a->rows[i].node);
		else if (is_silent(&a->rows[i]))
			buf_printf(&silent, "%s%s", silent.size ? ", " : "", a->rows[i].node);
	}
	if (n_asked == 0)
		return;
	if (n == 0 && silent.size)
		out_say(o, "  By %s no node is known to announce it; no answer from %s.",
		        protocol_name(protocol), buf_str(&silent));
	else if (n == 0)
		out_say(o, "  By %s it %s announced by none of these nodes.",
		        protocol_name(protocol), x->is_live ? "is" : "would be");
	else if (x->is_live)
		out_say(o, "  By %s it is announced by %s%s%s.", protocol_name(protocol),
		        buf_str(&nodes), silent.size ? "; no answer from " : "", buf_str(&silent));
	else if (protocol == PROTOCOL_LAYER2 && n > 1)
		out_say(o, "  By layer2 one of these would announce it: %s.", buf_str(&nodes));
	else
		out_say(o, "  By %s it would be announced by %s.", protocol_name(protocol),
		        buf_str(&nodes));
}

/* The only node that announces it by layer 2; NULL: there is none, or more than one. */
static const struct explain_row *owner_of(const struct explain_address *a)
{
	const struct explain_row *owner = NULL;

	for (size_t i = 0; i < a->n_rows; i++) {
		if (a->rows[i].protocol != PROTOCOL_LAYER2 || !a->rows[i].announce)
			continue;
		if (owner)
			return NULL;
		owner = &a->rows[i];
	}
	return owner;
}

/* The others have known it longer than a speaker that has restarted since. */
static int64_t held_ms(const struct explain_address *a, const char *owner)
{
	int64_t longest = -1;

	for (size_t i = 0; i < a->n_rows; i++)
		if (!strcmp(a->rows[i].owner, owner) && a->rows[i].held_ms > longest)
			longest = a->rows[i].held_ms;
	return longest;
}

/* What brought the address to its owner by layer 2, and what would take it elsewhere. */
static void say_why_there(const struct explain *x, const struct explain_address *a, struct out *o)
{
	const struct explain_row *owner = x->is_live ? owner_of(a) : NULL;
	cleanup(buf_fini) struct buf held = BUF_INIT, others = BUF_INIT;

	if (!owner)
		return;
	int64_t ms = held_ms(a, owner->node);
	for (size_t i = 0; i < a->n_rows; i++)
		if (reason_named(a->rows[i].reason) == REASON_NotOwner)
			buf_printf(&others, "%s%s", others.size ? ", " : "", a->rows[i].node);
	if (ms >= 0) {
		buf_puts(&held, " for ");
		model_put_duration(ms, &held);
	}
	if (*owner->cause)
		out_say(o, "  %s has had it%s: %s (%s).", owner->node, buf_str(&held),
		        model_sentence(owner->cause), owner->cause);
	if (x->is_of_one_node)
		return;
	if (others.size)
		out_say(o,
		        "  It stays there until %s may not announce it any more or is heard no "
		        "more, and then goes to one of: %s.",
		        owner->node, buf_str(&others));
	else
		out_say(o, "  No other node may have it now.");
}

static void put_rows(const struct explain_address *a, struct out *o)
{
	out_list(o, "nodes");
	for (size_t i = 0; i < a->n_rows; i++) {
		const struct explain_row *row = &a->rows[i];
		out_object(o, NULL);
		out_row(o);
		out_str(o, "node", row->node);
		out_str(o, "protocol", protocol_name(row->protocol));
		out_bool(o, "announce", row->announce);
		out_str(o, "reason", row->reason);
		out_str(o, "message", row->message);
		if (row->held_ms >= 0)
			out_int(o, "held_ms", row->held_ms);
		if (*row->cause)
			out_str(o, "cause", row->cause);
		out_close(o);
	}
	out_close(o);
}

/* A terminal needs no marks around code. */
static void say_remedy(const char *before, const char *remedy, struct out *o)
{
	cleanup(buf_fini) struct buf plain = BUF_INIT;

	for (; *remedy; remedy++)
		if (*remedy != '`')
			buf_putc(&plain, *remedy);
	out_say(o, "%s: %s", before, buf_str(&plain));
}

static void say_remedies(const struct explain_address *a, struct out *o)
{
	bool told[REASON_COUNT] = { false }, any = false;

	for (size_t i = 0; i < a->n_rows; i++) {
		enum reason r = reason_named(a->rows[i].reason);
		if (a->rows[i].announce || r == REASON_COUNT || told[r] || !*reason_remedy(r))
			continue;
		if (!any)
			out_say(o, "  What would change it:");
		told[r] = any = true;
		cleanup_free char *before = xasprintf("    %s", reason_name(r));
		say_remedy(before, reason_remedy(r), o);
	}
}

static bool is_retained(const struct explain *x, const struct addr *a)
{
	const struct configuration *c = view_configuration(x->view);

	return c && configuration_retained_of(c, a);
}

static void put_address(const struct explain *x, const struct explain_address *a, struct out *o)
{
	const struct config_pool *pool = a->decision.pool;
	bool retained = pool && is_retained(x, &a->addr);

	out_gap(o);
	out_say(o, "%s, %s%s%s%s", addr_str(&a->addr), kind_words[a->decision.kind],
	        retained ? "retained from " : "", pool ? "pool " : "in no pool",
	        pool ? pool->name : "");
	if (retained) {
		out_say(o, "  %s: %s.", reason_name(REASON_Retained),
		        reason_sentence(REASON_Retained));
		say_remedy("  What would change that", reason_remedy(REASON_Retained), o);
	}
	if (a->n_rows == 0)
		out_say(o, "  There is no Node that could announce it.");
	say_verdict(x, a, PROTOCOL_LAYER2, o);
	say_why_there(x, a, o);
	say_verdict(x, a, PROTOCOL_BGP, o);
	explain_say_layer2(&a->decision, o);
	out_table(o, &rows_table);
	out_object(o, NULL);
	out_addr(o, "address", &a->addr);
	out_str(o, "kind", decide_kind_name(a->decision.kind));
	out_str(o, "pool", pool ? pool->name : NULL);
	explain_put_layer2(&a->decision, o);
	put_rows(a, o);
	out_close(o);
	out_table_end(o);
	say_remedies(a, o);
}

/* ---- what is not about one address ---- */

/* What the controller has said in the Service's condition of this type, if anything. */
static const struct kube_condition *say_condition(const struct kube_service *service,
                                                  const char *type, struct out *o)
{
	for (size_t i = 0; i < service->n_conditions; i++) {
		const struct kube_condition *c = &service->conditions[i];
		if (strcmp(c->type, type) != 0)
			continue;
		out_say(o, "The controller says %s: %s", c->reason, c->message);
		return c;
	}
	return NULL;
}

/* "" where there is no such condition, or its reason has none. */
static const char *remedy_of(const struct kube_condition *c)
{
	enum reason r = c ? reason_named(c->reason) : REASON_COUNT;

	return r == REASON_COUNT ? "" : reason_remedy(r);
}

/* It cools down for another Service. */
static void say_cooling(const struct explain *x, const struct addr *a, struct out *o)
{
	char until[CLOCK_RFC3339_SIZE];
	int64_t until_s;
	const char *who = x->cooling ? ipam_cools_for(x->cooling, a, &until_s) : NULL;

	if (who && strcmp(who, x->service->key) != 0)
		out_say(o,
		        "%s, which it asks for, cools down until %s; sooner it is only for %s, "
		        "which had it.",
		        addr_str(a), clock_rfc3339(until_s * 1000000, until), who);
}

/*
 * Addresses that it asks for and another Service has, or had: the condition, which tenants read,
 * may leave that one unnamed.
 */
static void say_holders(const struct explain *x, const struct kube_service *service, struct out *o)
{
	struct ipam_request r;

	ipam_request_of(service, service->load_balancer_class, &r);
	for (size_t i = 0; i < r.n_asked; i++) {
		const struct view_service *first = decide_first(x->view, &r.asked[i]);
		if (first && first != x->service)
			out_say(o, "%s, which it asks for, belongs to %s.", addr_str(&r.asked[i]),
			        first->key);
		else if (!first)
			say_cooling(x, &r.asked[i], o);
	}
	ipam_request_fini(&r);
}

/* A Service that asks for external IPs and was given none. */
static void say_waiting(const struct kube_service *service, struct out *o)
{
	out_say(o, "It asks for external IPs from pool %s, and has none.", service->external_pool);
	const struct kube_condition *said = say_condition(service, IPAM_CONDITION_EXTERNAL, o);
	if (!said)
		out_say(o, "fairlead plan tells what the controller would do.");
	else if (*remedy_of(said))
		say_remedy("What would change it", remedy_of(said), o);
}

/* "shop/web: ClusterIP, headless", "shop/web: LoadBalancer, externalTrafficPolicy Local" */
static void say_kind(const char *key, const struct kube_service *service, struct out *o)
{
	const char *type = kube_service_type_name(service->type);

	if (service->headless)
		out_say(o, "%s: %s, headless", key, type);
	else if (service->type == KUBE_EXTERNAL_NAME)
		out_say(o, "%s: %s", key, type);
	else
		out_say(o, "%s: %s, externalTrafficPolicy %s", key, type,
		        service->traffic.external_local ? "Local" : "Cluster");
}

static void say_no_address(const struct explain *x, const struct kube_service *service,
                           struct out *o)
{
	struct decision d = decide_address(x->view, x->service, NULL);
	const char *remedy = reason_remedy(d.reason);
	cleanup(buf_fini) struct buf message = BUF_INIT;

	/* External IPs are nothing for those, either. */
	if (d.reason == REASON_NotLoadBalancer && service->headless)
		remedy = "Make the Service anew with a cluster IP and `type: LoadBalancer`.";
	else if (d.reason == REASON_NotLoadBalancer && service->type == KUBE_EXTERNAL_NAME)
		remedy = "Set `type: LoadBalancer`.";
	decide_message(&d, d.reason, view_self(x->view), &message);
	out_say(o, "It has no address, so nothing is announced: %s.", buf_str(&message));
	const struct kube_condition *said = say_condition(service, IPAM_CONDITION, o);
	/* "See the condition" would be no more than what stands above. */
	if (d.reason == REASON_NoAddress && *remedy_of(said))
		remedy = remedy_of(said);
	if (*remedy)
		say_remedy("What would change it", remedy, o);
}

void explain_print(const struct explain *x, const struct kube_service *service, struct out *o)
{
	const struct view_service *s = x->service;
	bool waits = service->external_pool && service->n_external_assigned == 0;

	say_kind(s->key, service, o);
	if (waits)
		say_waiting(service, o);
	/* Of two families it has one: the controller has said why. */
	if (service->n_ingress == 1 && service->n_cluster_ips == 2)
		say_condition(service, IPAM_CONDITION, o);
	if (x->n_addresses == 0 && !(waits && s->type != KUBE_LOAD_BALANCER))
		say_no_address(x, service, o);
	say_holders(x, service, o);
	explain_say_pools(x, service, o);
	out_list(o, NULL);
	for (size_t i = 0; i < x->n_addresses; i++)
		put_address(x, &x->addresses[i], o);
	out_close(o);
}
