/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/verdict.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "fairlead/mem.h"

void findings_fini(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->items[i].object);
		free(f->items[i].reason);
		free(f->items[i].message);
	}
	free(f->items);
	*f = (struct findings){ .items = NULL };
}

/* Takes @object and @message; none: what the reason says. */
static void add(struct findings *f, enum verdict_level level, const char *reason, char *object,
                char *message)
{
	enum reason r = reason_named(reason);

	if (!message || !*message) {
		free(message);
		message = xstrdup(r == REASON_COUNT ? "" : reason_sentence(r));
	}
	ARRAY_RESERVE(f->items, f->cap, f->n + 1);
	f->items[f->n++] = (struct finding){
		.level = level, .object = object, .reason = xstrdup(reason), .message = message
	};
}

static void add_known(struct findings *f, enum verdict_level level, enum reason r, char *object,
                      char *message)
{
	add(f, level, reason_name(r), object, message);
}

/* ---- the controller ---- */

/* Neither a leader nor what one publishes: that is how a namespace without Fairlead looks. */
static const char *elsewhere(const struct model *m)
{
	bool published = m->config || m->config_error || m->config_hidden || m->uninstalling;

	return published ? ""
	                 : "; there is no ConfigMap " CONFIG_MAP_ACTIVE
	                   " either: Fairlead may not be installed in this namespace "
	                   "(--namespace)";
}

static void find_controller(const struct model *m, struct findings *f)
{
	if (!*m->leader && !m->leader_hidden)
		add_known(f, VERDICT_DOWN, REASON_NoLeader, xstrdup("controller"),
		          xasprintf("%s%s", reason_sentence(REASON_NoLeader), elsewhere(m)));
	else if (m->leader_silent_s > 0)
		add_known(f, VERDICT_DOWN, REASON_NoLeader, xasprintf("controller %s", m->leader),
		          xasprintf("its Lease has expired %" PRId64 " s ago%s", m->leader_silent_s,
		                    elsewhere(m)));
	if (m->uninstalling)
		add_known(f, VERDICT_DOWN, REASON_Uninstalling,
		          xstrdup("ConfigMap " CONFIG_MAP_ACTIVE), NULL);
	else if (m->config_error)
		add_known(f, VERDICT_DOWN, REASON_ConfigurationRejected,
		          xstrdup("ConfigMap " CONFIG_MAP_ACTIVE), xstrdup(m->config_error));
	else if (!m->config && !m->config_hidden)
		add_known(f, VERDICT_DOWN, REASON_NoConfiguration,
		          xstrdup("ConfigMap " CONFIG_MAP_ACTIVE), NULL);
	if (m->rejected)
		add_known(f, VERDICT_DEGRADED, REASON_ConfigurationRejected,
		          xstrdup("ConfigMap " CONFIG_MAP_NAME),
		          m->n_rejected > 1
		                  ? xasprintf("%s; and %zu more", m->rejected, m->n_rejected - 1)
		                  : xstrdup(m->rejected));
}

/* ---- nodes ---- */

static char *node_object(const struct model_node *n)
{
	return xasprintf("node %s", n->name);
}

static bool is_in_service(const struct model_node *n)
{
	return n->answered && !n->uninstalled;
}

static void find_speakers(const struct model *m, struct findings *f)
{
	enum verdict_level level = model_any_in_service(m) ? VERDICT_DEGRADED : VERDICT_DOWN;

	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		if (!n->answered)
			add_known(f, level, REASON_SpeakerSilent, node_object(n),
			          xasprintf("%s%s", n->error ? n->error : "not asked",
			                    n->ready ? "" : "; the Node is not Ready"));
		else if (n->uninstalled)
			add_known(f, level, REASON_SpeakerUninstalled, node_object(n), NULL);
	}
}

static void find_rules(const struct model_node *n, struct findings *f)
{
	const struct model_rules *r = &n->rules;

	for (size_t i = 0; i < r->n_refused; i++)
		add_known(f, VERDICT_DEGRADED, REASON_RulesRefused,
		          xasprintf("Service %s on node %s", r->refused[i].service, n->name),
		          xstrdup(r->refused[i].error));
	if (r->pending && !r->n_refused)
		add_known(f, VERDICT_DEGRADED, REASON_RulesPending, node_object(n),
		          xstrdup_null(r->error));
}

static void find_node(const struct model *m, const struct model_node *n, struct findings *f)
{
	if (!n->fresh)
		add_known(f, VERDICT_DEGRADED, REASON_SpeakerStale, node_object(n),
		          xstrdup("the API server does not answer it"));
	else if (m->config && n->generation != m->generation)
		add_known(f, VERDICT_DEGRADED, REASON_SpeakerStale, node_object(n),
		          xasprintf("it follows generation %" PRId64
		                    " of the configuration, and %" PRId64 " is in force",
		                    n->generation, m->generation));
	if (n->key_awaited)
		add_known(f, VERDICT_DEGRADED, REASON_HeartbeatKeyPending, node_object(n), NULL);
	for (size_t i = 0; i < n->n_troubles; i++)
		add(f, VERDICT_DEGRADED, n->troubles[i].reason,
		    xasprintf("node %s, interface %s", n->name, n->troubles[i].interface),
		    xstrdup(n->troubles[i].message));
	find_rules(n, f);
}

/*
 * Meant so, most likely, and easily forgotten.  That a node is excluded is a matter of its
 * installation, which the table shows.
 */
static void find_away(const struct model_node *n, struct findings *f)
{
	if (n->away != REASON_Candidate && n->away != REASON_NodeExcluded)
		add_known(f, VERDICT_OK, n->away, node_object(n), NULL);
}

static void find_nodes(const struct model *m, struct findings *f)
{
	for (size_t i = 0; i < m->n_nodes; i++) {
		if (is_in_service(&m->nodes[i]))
			find_node(m, &m->nodes[i], f);
		find_away(&m->nodes[i], f);
	}
}

/* ---- Services ---- */

/*
 * Whose address it is, or whether it may be one at all: no node should announce it, and nothing is
 * wrong.
 */
static bool is_not_ours(enum reason r)
{
	return r == REASON_OtherClass || r == REASON_IpModeProxy || r == REASON_Deleting ||
	       r == REASON_AddressNotInPool || r == REASON_ExternalIpNotAllowed ||
	       r == REASON_NotLoadBalancer;
}

static bool is_expected(const struct model_address *a)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (is_not_ours(reason_named(a->verdicts[i].reason)))
			return false;
	return true;
}

/* The reason that says most of why no node announces it. */
static const char *principal(const struct model_address *a)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (reason_named(a->verdicts[i].reason) != REASON_NotOwner)
			return a->verdicts[i].reason;
	return a->n_verdicts ? a->verdicts[0].reason : reason_name(REASON_SpeakerStale);
}

/* Of that reason alone if all say the same, else who says what. */
static char *why_nobody(const struct model *m, const struct model_address *a)
{
	struct buf all = BUF_INIT;
	const char *reason = principal(a);
	size_t len = strlen(reason);

	model_put_reasons(m, a, &all);
	/* "NoEndpoints: because": the word stands before it already. */
	if (!strncmp(buf_str(&all), reason, len) && !strncmp(buf_str(&all) + len, ": ", 2))
		buf_consume(&all, len + 2);
	return buf_take(&all);
}

static size_t n_owners(const struct model_address *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_verdicts; i++)
		n += a->verdicts[i].announce && a->verdicts[i].protocol == PROTOCOL_LAYER2;
	return n;
}

static char *address_object(const struct model_service *s, const struct model_address *a)
{
	return xasprintf("Service %s, %s", s->key, addr_str(&a->address.addr));
}

static void find_owners(const struct model_service *s, const struct model_address *a,
                        struct findings *f)
{
	cleanup(buf_fini) struct buf owners = BUF_INIT;

	if (n_owners(a) > 1) {
		model_put_owners(a, SIZE_MAX, &owners);
		add_known(f, VERDICT_DEGRADED, REASON_TwoOwners, address_object(s, a),
		          xasprintf("announced by %s", buf_str(&owners)));
		return;
	}
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (reason_named(a->verdicts[i].reason) == REASON_TwoOwners)
			add_known(f, VERDICT_DEGRADED, REASON_TwoOwners, address_object(s, a),
			          xasprintf("node %s: %s", a->verdicts[i].node,
			                    a->verdicts[i].message));
}

/* A part of it that has no address; without a reason only if nobody else can be meant. */
static void find_waiting(const struct model_service *s, const char *reason, const char *message,
                         struct findings *f)
{
	enum reason r = reason_named(reason);

	if (*reason ? r != REASON_COUNT && reason_holds(r) : s->class != NULL)
		return;
	add(f, VERDICT_DEGRADED, *reason ? reason : reason_name(REASON_NoAddress),
	    xasprintf("Service %s", s->key), xstrdup(message));
}

/* Whether what the Service is or wants is the reason, and not the nodes. */
static bool is_its_own(const char *reason)
{
	enum reason r = reason_named(reason);

	return r != REASON_COUNT && reason_about(r) == REASON_ABOUT_SERVICE;
}

/* Where nobody announces anything, it is not one Service's trouble. */
static enum verdict_level level_of_silence(const struct model *m)
{
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; i < s->n_addresses; i++)
			if (model_announcer(&s->addresses[i]))
				return VERDICT_DEGRADED;
	return VERDICT_DOWN;
}

static void find_services(const struct model *m, struct findings *f)
{
	enum verdict_level silence = level_of_silence(m);
	bool asked = model_any_in_service(m);

	for (const struct model_service *s = m->services; s; s = s->hh.next) {
		for (size_t i = 0; i < s->n_addresses; i++) {
			const struct model_address *a = &s->addresses[i];
			find_owners(s, a, f);
			if (asked && !model_announcer(a) && is_expected(a))
				add(f, is_its_own(principal(a)) ? VERDICT_DEGRADED : silence,
				    principal(a), address_object(s, a), why_nobody(m, a));
		}
		if (s->waits)
			find_waiting(s, s->reason, s->message, f);
		if (s->external_waits)
			find_waiting(s, s->external_reason, s->external_message, f);
		if (reason_named(s->reason) == REASON_StatusContested)
			add_known(f, VERDICT_DEGRADED, REASON_StatusContested,
			          xasprintf("Service %s", s->key), xstrdup(s->message));
	}
}

/* ---- pools ---- */

static uint64_t pool_free(const struct model *m, const struct config_pool *p)
{
	uint64_t total = model_pool_total(p), used = model_pool_used(m, p);

	return total > used ? total - used : 0;
}

/* Whether a Service that asks for no pool in particular may be served by either. */
static bool stands_in(const struct config_pool *p, const struct config_pool *other)
{
	return other != p && other->auto_assign && (other->uses & p->uses) && other->n_ranges &&
	       p->n_ranges && other->ranges[0].first.family == p->ranges[0].first.family;
}

/* A full pool is fine as long as nobody has to ask for it, or another one takes over. */
static enum verdict_level level_of_full(const struct model *m, const struct config_pool *p)
{
	if (!p->auto_assign)
		return VERDICT_OK;
	for (size_t i = 0; i < m->config->n_pools; i++)
		if (stands_in(p, &m->config->pools[i]) && pool_free(m, &m->config->pools[i]))
			return VERDICT_OK;
	return VERDICT_DEGRADED;
}

static void find_pools(const struct model *m, struct findings *f)
{
	for (size_t i = 0; m->config && i < m->config->n_pools; i++) {
		const struct config_pool *p = &m->config->pools[i];
		uint64_t total = model_pool_total(p), free_ones = pool_free(m, p);
		char *object = xasprintf("pool %s", p->name);
		if (!free_ones)
			add_known(f, level_of_full(m, p), REASON_PoolFull, object,
			          xasprintf("none of its %" PRIu64 " addresses is free", total));
		else if (free_ones <= total / 10)
			add_known(f, VERDICT_OK, REASON_PoolNearlyFull, object,
			          xasprintf("%" PRIu64 " of its %" PRIu64 " addresses are free",
			                    free_ones, total));
		else
			free(object);
	}
}

/* ---- BGP ---- */

/* That a node has no BGP is no fault of it; what sessions say is said of each. */
static bool is_hindrance(enum reason r)
{
	return r == REASON_COUNT ||
	       (!reason_holds(r) && r != REASON_BgpNoPeer && r != REASON_ProtocolUnsupported &&
	        r != REASON_NoConfiguration && r != REASON_BgpNoSession);
}

static void find_sessions(const struct model_node *n, struct findings *f)
{
	for (size_t i = 0; i < n->bgp.n_sessions; i++) {
		const struct model_session *s = &n->bgp.sessions[i];
		if (s->established)
			continue;
		add(f, VERDICT_DEGRADED, *s->reason ? s->reason : reason_name(REASON_BgpNoSession),
		    xasprintf("node %s, peer %s (%s)", n->name, s->peer, s->address),
		    xstrdup(s->error));
	}
}

static void find_bgp(const struct model *m, struct findings *f)
{
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		if (!is_in_service(n) || !n->bgp.reason)
			continue;
		if (*n->bgp.reason && is_hindrance(reason_named(n->bgp.reason)))
			add(f, VERDICT_DEGRADED, n->bgp.reason, node_object(n),
			    xstrdup(n->bgp.message));
		find_sessions(n, f);
	}
}

/* ---- all of it ---- */

bool finding_is_alike(const struct finding *a, const struct finding *b)
{
	return a->level == b->level && !strcmp(a->reason, b->reason);
}

/* Adds what is alike to @from[first], which is taken out of @from. */
static void move_alike(struct findings *from, size_t first, struct finding *to, size_t *n)
{
	const struct finding like = from->items[first];

	for (size_t i = first; i < from->n; i++) {
		if (!from->items[i].reason ||
		    (i > first && !finding_is_alike(&like, &from->items[i])))
			continue;
		to[(*n)++] = from->items[i];
		from->items[i].reason = NULL;
	}
}

/*
 * The worse ones first; of those that are as bad, reasons in the order in which they were found,
 * each with all it is about.
 */
static void sort_findings(struct findings *f)
{
	struct finding *sorted = xcalloc(f->n + 1, sizeof(*sorted));
	size_t n = 0;

	for (int level = VERDICT_DOWN; level >= VERDICT_OK; level--)
		for (size_t i = 0; i < f->n; i++)
			if (f->items[i].reason && (int)f->items[i].level == level)
				move_alike(f, i, sorted, &n);
	free(f->items);
	f->items = sorted;
	f->cap = f->n + 1;
}

void verdict_find(struct model *m, unsigned int parts, struct findings *ret)
{
	static const struct {
		enum verdict_part part;
		void (*find)(const struct model *m, struct findings *f);
	} rows[] = {
		{ VERDICT_CONTROLLER, find_controller }, { VERDICT_SPEAKERS, find_speakers },
		{ VERDICT_SERVICES, find_services },     { VERDICT_BGP, find_bgp },
		{ VERDICT_NODES, find_nodes },           { VERDICT_POOLS, find_pools },
	};

	model_sort(m);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (parts & rows[i].part)
			rows[i].find(m, ret);
	sort_findings(ret);
}

enum verdict_level verdict_of(const struct findings *f)
{
	return f->n ? f->items[0].level : VERDICT_OK;
}

const char *verdict_name(enum verdict_level level)
{
	static const char *const names[] = {
		[VERDICT_OK] = "OK",
		[VERDICT_DEGRADED] = "degraded",
		[VERDICT_DOWN] = "down",
	};

	return names[level];
}
