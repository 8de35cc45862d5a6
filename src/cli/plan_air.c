/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which nodes would announce the addresses that the Services have in the end: the speakers' own
 * decision, on the objects as they would be by then.  Endpoints are left out, and of nodes only
 * counts whether one has a peer, or is selected by layer2 of a pool: they come and go by
 * themselves, and an edit of the configuration changes neither.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/plan_private.h"
#include "fairlead/decide.h"
#include "fairlead/mem.h"

/* The cluster under one configuration. */
struct world {
	struct view *view;
	bool has_session; /* some node has a peer, or may have one */
};

static bool has_session(const struct configuration *c, const struct plan_input *in)
{
	for (size_t i = 0; i < c->n_peers; i++) {
		if (in->n_nodes == 0)
			return true;
		for (size_t k = 0; k < in->n_nodes; k++)
			if (config_peer_selects(&c->peers[i], &in->nodes[k]->meta.labels))
				return true;
	}
	return false;
}

static struct world world_of(struct configuration *c, const char *class,
                             const struct plan_input *in)
{
	struct world w = { .view = view_new("", class), .has_session = has_session(c, in) };

	view_set_configuration(w.view, configuration_ref(c), 0);
	for (size_t i = 0; i < in->n_nodes; i++)
		view_upsert_node(w.view, in->nodes[i]);
	for (size_t i = 0; i < in->n_services; i++)
		view_upsert_service(w.view, in->services[i]);
	return w;
}

/* ---- the objects as they would be ---- */

/* What stays in the status stays as it is written there; the ports say that it is shared. */
static void put_ingress(const struct record_part *p, struct kube_service *s)
{
	size_t n;
	cleanup_free struct addr *after = plan_addrs(p, &n);
	struct kube_ingress *ingress = xcalloc(n + 1, sizeof(*ingress));

	for (size_t i = 0; i < n; i++) {
		ingress[i] = (struct kube_ingress){ .ip = after[i] };
		for (size_t k = 0; k < s->n_ingress; k++)
			if (addr_eq(&s->ingress[k].ip, &after[i]))
				ingress[i] = s->ingress[k];
		if (record_shares(p))
			ingress[i].ports = kube_ports_digest(s);
	}
	s->ingress = ingress;
	s->n_ingress = n;
}

static void put_external(const struct record_part *p, struct kube_service *s,
                         struct kube_condition *condition, struct buf *message)
{
	static char type[] = KUBE_CONDITION_EXTERNAL_IPS;
	const struct ipam_request *q = &p->request;

	s->external_ips = plan_addrs(p, &s->n_external_ips);
	s->n_external_assigned = 0;
	for (size_t i = 0; i < q->n_held && i < ARRAY_LEN(s->external_assigned); i++)
		s->external_assigned[s->n_external_assigned++] = q->held[i];
	for (size_t i = 0; i < q->n_confirmed; i++)
		buf_printf(message, "%s%s", i ? ", " : KUBE_CONFIRMS_KEPT,
		           addr_str(&q->confirmed[i]));
	if (q->n_confirmed > 0 && record_shares(p))
		buf_puts(message, KUBE_CONFIRMS_SHARED);
	*condition = (struct kube_condition){ .type = type, .message = message->data };
	s->conditions = condition;
	s->n_conditions = q->n_confirmed > 0;
}

static void put_after(struct view *v, const struct plan_row *row)
{
	struct kube_service s = *row->service;
	struct kube_condition condition;
	cleanup(buf_fini) struct buf message = BUF_INIT;

	put_ingress(&row->record->lb, &s);
	s.external_ips = NULL;
	s.n_external_ips = 0;
	if (row->record->external)
		put_external(row->record->external, &s, &condition, &message);
	view_upsert_service(v, &s);
	free(s.ingress);
	free(s.external_ips);
}

/* ---- the decision ---- */

/* By layer 2; where no Nodes are known, some may be. */
static bool selects_a_node(const struct decision *d)
{
	size_t n;
	const struct view_node *nodes = view_nodes(d->view, &n);

	for (size_t i = 0; i < n; i++)
		if (decide_layer2(d, &nodes[i]))
			return true;
	return n == 0;
}

static unsigned int protocols_of(const struct world *w, const struct decision *d)
{
	unsigned int protocols = 0;

	if (decide_anywhere(d, PROTOCOL_LAYER2) == REASON_Candidate && selects_a_node(d))
		protocols |= PROTOCOL_LAYER2;
	if (w->has_session && decide_anywhere(d, PROTOCOL_BGP) == REASON_Candidate)
		protocols |= PROTOCOL_BGP;
	return protocols;
}

/* Of a pool's protocols the last counts: with a peer BGP could announce what layer 2 does not. */
static enum reason reason_of(const struct decision *d)
{
	if (d->reason != REASON_Candidate)
		return d->reason;
	if (d->protocols & PROTOCOL_BGP)
		return REASON_BgpNoPeer;
	enum reason reason = decide_anywhere(d, PROTOCOL_LAYER2);
	return reason == REASON_Candidate ? REASON_NodeNotSelected : reason;
}

static char *message_of(const struct decision *d, enum reason reason)
{
	struct buf out = BUF_INIT;

	if (reason == REASON_BgpNoPeer)
		return xstrdup(view_configuration(d->view)->n_peers > 0
		                       ? "no BGP peer of the configuration selects any of the Nodes"
		                       : "the configuration has no BGP peer");
	if (reason == REASON_NodeNotSelected)
		return xasprintf(
			"no layer2 entry of pool %s that is for the Service selects any of "
			"the Nodes",
			d->pool->name);
	decide_message(d, reason, "", &out);
	return buf_take(&out);
}

static bool is_on_air(const struct world *now, const char *key, const struct addr *a)
{
	const struct view_service *s = view_service_named(now->view, key);

	if (!s)
		return false;
	struct decision d = decide_address(now->view, s, a);
	return protocols_of(now, &d) != 0;
}

/*
 * If it is not known what is in force, everything that a configuration could announce counts as
 * announced.
 */
static bool is_silenced(const struct plan_row *row, const struct plan_side *side,
                        const struct decision *d, const struct addr *a, const struct world *now)
{
	for (size_t i = 0; i < side->n_before; i++) {
		if (side->before[i].family != a->family)
			continue;
		if (now ? is_on_air(now, row->record->key, &side->before[i])
		        : d->reason == REASON_Candidate)
			return true;
	}
	return false;
}

/* @now: NULL: it is not known what is in force. */
static void look_at(const struct plan_row *row, size_t side, const struct addr *a,
                    const struct world *after, const struct world *now, struct plan_air *ret_air)
{
	const struct view_service *s = view_service_named(after->view, row->record->key);
	const struct record_part *part = plan_part(row, side);
	struct decision d = decide_address(after->view, s, a);

	*ret_air = (struct plan_air){ .addr = *a,
		                      .protocols = protocols_of(after, &d),
		                      .reason = REASON_Candidate };
	if (ret_air->protocols)
		return;
	if (!now && !d.pool && part->reason == REASON_Retained) {
		ret_air->reason = REASON_Retained;
		ret_air->message = xstrdup("it is announced as by the configuration in force, "
		                           "which is not known here");
		return;
	}
	ret_air->reason = reason_of(&d);
	ret_air->message = message_of(&d, ret_air->reason);
	ret_air->silenced = is_silenced(row, &row->sides[side], &d, a, now);
}

static void look_at_side(struct plan_row *row, size_t i, const struct world *after,
                         const struct world *now)
{
	struct plan_side *side = &row->sides[i];
	size_t n;

	if (!side->of_interest || !row->service)
		return;
	cleanup_free struct addr *addrs = plan_addrs(plan_part(row, i), &n);
	side->air = xcalloc(n + 1, sizeof(*side->air));
	for (size_t k = 0; k < n; k++)
		look_at(row, i, &addrs[k], after, now, &side->air[side->n_air++]);
}

void plan_look_at_air(struct plan *p, const char *class, const struct plan_input *in)
{
	struct world after = world_of(p->config, class, in), now = { 0 };

	if (in->in_force)
		now = world_of(in->in_force, class, in);
	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i].service)
			put_after(after.view, &p->rows[i]);
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < SIDES; k++)
			look_at_side(&p->rows[i], k, &after, in->in_force ? &now : NULL);
	view_free(after.view);
	view_free(now.view);
}

bool plan_silences(const struct plan_side *side)
{
	for (size_t i = 0; i < side->n_air; i++)
		if (side->air[i].silenced)
			return true;
	return false;
}
