/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_pools.h"
#include "cli/model_private.h"
#include "cli/verdict.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/reason.h"

/* So many nodes are named that announce one address, unless more is asked for. */
#define OWNERS_SHOWN 2

/* ---- Services ---- */

static const struct out_table services_table = {
	.title = "Services",
	.columns = { { "service", "SERVICE" },
	             { "address", "ADDRESS" },
	             { "kind", "KIND", .wide = true },
	             { "from", "POOL" },
	             { "owners", "OWNER" },
	             { "held", "FOR", .if_any = true },
	             { "may", "CANDIDATES", .wide = true, .if_any = true },
	             { "cause", "CAUSE", .wide = true, .if_any = true },
	             { "why", "REASON" } },
};

static void put_verdicts(const struct model_address *a, struct out *o)
{
	out_list(o, "nodes");
	for (size_t i = 0; i < a->n_verdicts; i++) {
		const struct verdict *d = &a->verdicts[i];
		out_object(o, NULL);
		out_str(o, "node", d->node);
		out_str(o, "protocol", protocol_name(d->protocol));
		out_bool(o, "announce", d->announce);
		out_str(o, "reason", d->reason);
		out_str(o, "message", d->message);
		out_close(o);
	}
	out_close(o);
}

static void put_address(const struct model *m, const struct model_service *s,
                        const struct model_address *a, struct out *o)
{
	cleanup(buf_fini) struct buf owners = BUF_INIT, reasons = BUF_INIT;
	const struct verdict *owner = model_announcer(a);
	const char *pool = model_pool_name(m, &a->address.addr);

	model_put_owners(a, o->format == OUT_TEXT ? OWNERS_SHOWN : SIZE_MAX, &owners);
	model_put_reasons(m, a, &reasons);
	out_object(o, NULL);
	out_row(o);
	out_cell(o, "service", "%s", s->key);
	out_addr(o, "address", &a->address.addr);
	out_str(o, "kind", model_kind_name(m, a));
	out_str(o, "pool", pool);
	out_cell(o, "from", "%s%s", model_is_retained(m, &a->address.addr) ? "retained from " : "",
	         pool);
	out_str(o, "owner", owner ? owner->node : "");
	out_cell(o, "owners", "%s", buf_str(&owners));
	out_str(o, "interface", owner ? owner->interface : "");
	out_str(o, "mac", owner ? owner->mac : "");
	model_put_held(a, o);
	out_str(o, "reason", owner ? owner->reason : buf_str(&reasons));
	out_cell(o, "why", "%s", owner ? reason_name(REASON_Announced) : buf_str(&reasons));
	put_verdicts(a, o);
	out_close(o);
}

/* The row of a Service for an address that it does not have. */
static void put_waiting(const struct model_service *s, const char *kind, const char *reason,
                        const char *message, struct out *o)
{
	out_row(o);
	out_cell(o, "service", "%s", s->key);
	out_cell(o, "kind", "%s", kind);
	out_cell(o, "why", "%s%s%s", *reason ? reason : "no address yet", *message ? ": " : "",
	         message);
}

static void put_waits(const struct model_service *s, struct out *o)
{
	/*
	 * Which class the controller handles is not known here, but whose turn it is may be told by
	 * it.
	 */
	cleanup_free char *class =
		s->class ? xasprintf("of load balancer class %s", s->class) : NULL;

	if (s->waits)
		put_waiting(s, "", s->reason, class && !*s->reason ? class : s->message, o);
	if (s->external_waits)
		put_waiting(s, "external-ip", s->external_reason, s->external_message, o);
}

static void put_service(const struct model *m, const struct model_service *s, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "namespace", s->namespace);
	out_str(o, "name", s->name);
	out_str(o, "reason", s->reason);
	out_str(o, "message", s->message);
	if (s->external_waits || *s->external_reason) {
		out_object(o, "external_ips");
		out_str(o, "reason", s->external_reason);
		out_str(o, "message", s->external_message);
		out_close(o);
	}
	put_waits(s, o);
	out_list(o, "addresses");
	for (size_t i = 0; i < s->n_addresses; i++)
		put_address(m, s, &s->addresses[i], o);
	out_close(o);
	out_close(o);
	out_name(o, "%s", s->key);
}

static void put_services(const struct model *m, struct out *o)
{
	out_table(o, &services_table);
	out_list(o, "services");
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		if (!s->hidden)
			put_service(m, s, o);
	out_close(o);
	out_table_end(o);
}

/* ---- nodes ---- */

static const struct out_table nodes_table = {
	.title = "Nodes",
	.columns = { { "name", "NODE" },
	             { "address", "ADDRESS" },
	             { "state", "READY" },
	             { "said", "SPEAKER" },
	             { "speaker.generation", "GENERATION", .wide = true },
	             { "api", "API" },
	             { "speaker.proxy", "PROXY", .wide = true },
	             { "alive", "PEERS" },
	             { "speaker.announces", "ANNOUNCES" } },
};

static void put_speaker(const struct model_node *n, struct out *o)
{
	out_str(o, "version", n->version);
	out_cell(o, "said", "%s", n->version);
	out_int(o, "generation", n->generation);
	out_bool(o, "fresh", n->fresh);
	out_cell(o, "api", "%s", n->fresh ? "fresh" : "stale");
	out_str(o, "proxy", n->proxy);
	out_uint(o, "announces", n->n_announced);
	out_uint(o, "peers", n->l2.n_peers);
	out_uint(o, "peers_alive", n->l2.n_alive);
	out_cell(o, "alive", "%zu of %zu", n->l2.n_alive, n->l2.n_peers);
	out_list(o, "troubles");
	for (size_t i = 0; i < n->n_troubles; i++) {
		out_object(o, NULL);
		out_str(o, "interface", n->troubles[i].interface);
		out_str(o, "reason", n->troubles[i].reason);
		out_str(o, "message", n->troubles[i].message);
		out_close(o);
	}
	out_close(o);
}

/* Why, the verdict says in more words. */
static void put_silence(const struct model *m, const struct model_node *n, struct out *o)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	enum reason reason = model_silence(m, n, &why);

	out_str(o, "error", n->error ? n->error : "not asked");
	out_str(o, "reason", reason_name(reason));
	out_cell(o, "said", "%s", model_silence_word(reason));
}

static void put_node(const struct model *m, const struct model_node *n, struct out *o)
{
	bool away = n->away != REASON_Candidate;

	out_object(o, NULL);
	out_row(o);
	out_str(o, "name", n->name);
	out_addr(o, "address", &n->addr);
	out_bool(o, "ready", n->ready);
	out_cell(o, "state", "%s%s%s", n->ready ? "yes" : "no", away ? ", " : "",
	         away ? reason_name(n->away) : "");
	out_object(o, "speaker");
	out_bool(o, "reachable", n->answered);
	if (n->answered)
		put_speaker(n, o);
	else
		put_silence(m, n, o);
	out_close(o);
	out_close(o);
}

static void put_nodes(const struct model *m, struct out *o)
{
	out_table(o, &nodes_table);
	out_list(o, "nodes");
	for (size_t i = 0; i < m->n_nodes; i++)
		put_node(m, &m->nodes[i], o);
	out_close(o);
	out_table_end(o);
}

/* ---- all of it ---- */

static void put_head(const struct model *m, struct out *o)
{
	out_object(o, "controller");
	out_str(o, "leader", m->leader);
	out_close(o);
	out_say(o, "Controller: %s%s", *m->leader ? "leader " : "nobody leads", m->leader);
	out_object(o, "config");
	out_int(o, "generation", m->generation);
	out_bool(o, "published", m->config);
	if (m->config_error)
		out_str(o, "error", m->config_error);
	out_close(o);
	if (m->config)
		out_say(o, "Configuration: generation %" PRId64, m->generation);
	else if (!m->config_error)
		out_say(o, "Configuration: none was published yet");
	if (m->config_error)
		out_say(o, "Configuration: %s", m->config_error);
}

void cluster_print(struct model *m, const struct findings *f, struct out *o)
{
	model_sort(m);
	out_object(o, NULL);
	verdict_print(f, "verdict", o);
	out_gap(o);
	put_head(m, o);
	pools_put(m, o);
	pools_put_retained(m, o);
	put_services(m, o);
	put_nodes(m, o);
	out_close(o);
}

void cluster_summary_print(struct model *m, const struct findings *f, struct out *o)
{
	(void)m;
	out_object(o, NULL);
	verdict_print(f, "verdict", o);
	out_close(o);
}
