/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the controllers, the speakers and their nodes. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "cli/verdict_private.h"
#include "fairlead/mem.h"

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

static bool is_led(const struct model *m)
{
	return m->leader_hidden || (*m->leader && m->leader_silent_s == 0);
}

/* One that has ended, or is to end, has its place taken by another. */
static bool is_over(const struct kube_pod *pod)
{
	return pod->meta.deleting || !strcmp(pod->phase, "Failed") ||
	       !strcmp(pod->phase, "Succeeded");
}

struct tally {
	size_t n, n_live, n_running;
};

static struct tally count_controllers(const struct pods *p)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < p->n; i++) {
		if (!pod_is(p->items[i], PODS_CONTROLLER))
			continue;
		t.n++;
		t.n_live += !is_over(p->items[i]);
		t.n_running += pod_runs(p->items[i]);
	}
	return t;
}

static void find_no_leader(const struct model *m, const struct tally *t, struct findings *f)
{
	bool is_missing = m->pods.known && t->n == 0;
	enum reason r = is_missing ? REASON_NoController : REASON_NoLeader;
	cleanup_free char *pods = t->n_running ? xasprintf("; %zu of its Pods run%s", t->n_running,
	                                                   t->n_running == 1 ? "s" : "")
	                                       : xstrdup("");

	if (*m->leader)
		verdict_add(f, VERDICT_DOWN, r, xasprintf("controller %s", m->leader),
		            xasprintf("its Lease has expired %" PRId64 " s ago%s%s",
		                      m->leader_silent_s, pods, elsewhere(m)));
	else
		verdict_add(f, VERDICT_DOWN, r, xstrdup("controller"),
		            xasprintf("%s%s%s", reason_sentence(r), pods, elsewhere(m)));
}

/* Of those that are over only where nobody else could lead. */
static void find_controller_pods(const struct model *m, const struct tally *t, struct findings *f)
{
	bool is_idle = !is_led(m) && t->n_running == 0;

	for (size_t i = 0; i < m->pods.n; i++) {
		const struct kube_pod *pod = m->pods.items[i];
		if (!pod_is(pod, PODS_CONTROLLER) || pod_runs(pod) ||
		    (is_over(pod) && (t->n_live > 0 || is_led(m))))
			continue;
		verdict_add(f, is_idle ? VERDICT_DOWN : VERDICT_DEGRADED,
		            REASON_ControllerNotRunning,
		            pod->node ? xasprintf("controller on node %s", pod->node)
		                      : xstrdup("controller"),
		            pod_trouble(pod));
	}
}

void verdict_find_controllers(const struct model *m, struct findings *f)
{
	const struct tally t = count_controllers(&m->pods);

	/* That nobody leads follows, where none of their Pods runs. */
	if (!is_led(m) && (t.n == 0 || t.n_running > 0))
		find_no_leader(m, &t, f);
	find_controller_pods(m, &t, f);
}

void verdict_find_configuration(const struct model *m, struct findings *f)
{
	if (m->uninstalling)
		verdict_add(f, VERDICT_DOWN, REASON_Uninstalling,
		            xstrdup("ConfigMap " CONFIG_MAP_ACTIVE), NULL);
	else if (m->config_error)
		verdict_add(f, VERDICT_DOWN, REASON_ConfigurationRejected,
		            xstrdup("ConfigMap " CONFIG_MAP_ACTIVE), xstrdup(m->config_error));
	else if (!m->config && !m->config_hidden)
		verdict_add(f, VERDICT_DOWN, REASON_NoConfiguration,
		            xstrdup("ConfigMap " CONFIG_MAP_ACTIVE), NULL);
	if (m->rejected)
		verdict_add(f, VERDICT_DEGRADED, REASON_ConfigurationRejected,
		            xasprintf("ConfigMap %s", m->wanted),
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

/* That a node which may not announce has no speaker is meant so. */
static void find_silence(const struct model *m, const struct model_node *n,
                         enum verdict_level level, struct findings *f)
{
	struct buf why = BUF_INIT;
	enum reason r = model_silence(m, n, &why);
	bool is_meant = r == REASON_SpeakerMissing && n->excluded;

	verdict_add(f, is_meant && level != VERDICT_DOWN ? VERDICT_OK : level, r, node_object(n),
	            buf_take(&why));
}

void verdict_find_speakers(const struct model *m, struct findings *f)
{
	enum verdict_level level = model_any_in_service(m) ? VERDICT_DEGRADED : VERDICT_DOWN;

	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		if (!n->answered)
			find_silence(m, n, level, f);
		else if (n->uninstalled)
			verdict_add(f, level, REASON_SpeakerUninstalled, node_object(n), NULL);
	}
}

static char *service_object(const struct model_node *n, const struct model_refused *r)
{
	return xasprintf("Service %s on node %s", r->service, n->name);
}

static void find_rules(const struct model_node *n, struct findings *f)
{
	const struct model_rules *r = &n->rules;

	for (size_t i = 0; i < r->refused.n; i++)
		verdict_add(f, VERDICT_DEGRADED, REASON_RulesRefused,
		            service_object(n, &r->refused.items[i]),
		            xstrdup(r->refused.items[i].error));
	for (size_t i = 0; i < r->substituted.n; i++)
		verdict_add(f, VERDICT_OK, REASON_SchedulerMissing,
		            service_object(n, &r->substituted.items[i]),
		            xasprintf("%s is used in its place", r->substituted.items[i].error));
	if (r->pending && !r->refused.n)
		verdict_add(f, VERDICT_DEGRADED, REASON_RulesPending, node_object(n),
		            xstrdup_null(r->error));
}

static bool is_uncarried(const struct model_node *n, const struct model_refused *r)
{
	for (size_t i = 0; i < n->rules.uncarried.n; i++)
		if (!strcmp(n->rules.uncarried.items[i].service, r->service))
			return true;
	return false;
}

/* Once for all nodes, which decide alike. */
static void find_uncarried(const struct model *m, const struct model_node *n, struct findings *f)
{
	for (size_t i = 0; i < n->rules.uncarried.n; i++) {
		const struct model_refused *r = &n->rules.uncarried.items[i];
		const struct model_node *first = m->nodes;
		while (first != n && !(is_in_service(first) && is_uncarried(first, r)))
			first++;
		if (first == n)
			verdict_add_word(f, VERDICT_DEGRADED, r->error,
			                 xasprintf("Service %s", r->service), xstrdup(""));
	}
}

/* Other nodes may announce in its place, but what they send to its Pods may be refused, too. */
static void find_passages(const struct model_node *n, struct findings *f)
{
	for (size_t i = 0; i < ARRAY_LEN(n->rules.passages); i++) {
		const struct model_passage *p = &n->rules.passages[i];
		if (p->is_told)
			verdict_add(f, p->is_refused ? VERDICT_DEGRADED : VERDICT_OK,
			            p->is_refused ? REASON_ForwardRefused : REASON_ForwardUncertain,
			            node_object(n),
			            xasprintf("IPv%d: %s", i == 0 ? 4 : 6, p->where));
	}
}

static void find_health_ports(const struct model_node *n, struct findings *f)
{
	for (size_t i = 0; i < n->health_ports.n; i++) {
		const struct model_refused *r = &n->health_ports.items[i];
		verdict_add(f, VERDICT_DEGRADED, REASON_HealthPortFailed, service_object(n, r),
		            xasprintf("port %" PRId64 ": %s", r->port, r->error));
	}
}

static void find_node(const struct model *m, const struct model_node *n, struct findings *f)
{
	if (!n->fresh)
		verdict_add(f, VERDICT_DEGRADED, REASON_SpeakerStale, node_object(n),
		            xstrdup("the API server does not answer it"));
	else if (m->config && n->generation != m->generation)
		verdict_add(f, VERDICT_DEGRADED, REASON_SpeakerStale, node_object(n),
		            xasprintf("it follows generation %" PRId64
		                      " of the configuration, and %" PRId64 " is in force",
		                      n->generation, m->generation));
	if (n->key_awaited)
		verdict_add(f, VERDICT_DEGRADED, REASON_HeartbeatKeyPending, node_object(n), NULL);
	for (size_t i = 0; i < n->n_troubles; i++)
		verdict_add_word(f, VERDICT_DEGRADED, n->troubles[i].reason,
		                 xasprintf("node %s, interface %s", n->name,
		                           n->troubles[i].interface),
		                 xstrdup(n->troubles[i].message));
	find_rules(n, f);
	find_uncarried(m, n, f);
	find_passages(n, f);
	find_health_ports(n, f);
}

/*
 * Meant so, most likely, and easily forgotten.  That a node is excluded is a matter of its
 * installation, which the table shows.
 */
static void find_away(const struct model_node *n, struct findings *f)
{
	if (n->away != REASON_Candidate && n->away != REASON_NodeExcluded)
		verdict_add(f, VERDICT_OK, n->away, node_object(n), NULL);
}

void verdict_find_nodes(const struct model *m, struct findings *f)
{
	for (size_t i = 0; i < m->n_nodes; i++) {
		if (is_in_service(&m->nodes[i]))
			find_node(m, &m->nodes[i], f);
		find_away(&m->nodes[i], f);
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
		verdict_add_word(f, VERDICT_DEGRADED,
		                 *s->reason ? s->reason : reason_name(REASON_BgpNoSession),
		                 xasprintf("node %s, peer %s (%s)", n->name, s->peer, s->address),
		                 xstrdup(s->error));
	}
}

void verdict_find_bgp(const struct model *m, struct findings *f)
{
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		if (!is_in_service(n) || !n->bgp.reason)
			continue;
		if (*n->bgp.reason && is_hindrance(reason_named(n->bgp.reason)))
			verdict_add_word(f, VERDICT_DEGRADED, n->bgp.reason, node_object(n),
			                 xstrdup(n->bgp.message));
		find_sessions(n, f);
	}
}
