/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The speaker's Events.  What concerns all of BGP here, a session, or the node's firewall is of
 * interest to the administrator of this node, and goes to the Node; a prefix that cannot be
 * announced, or rules that are refused, affect one Service, and go there, and so does an address
 * that no node may announce.
 */
#include "config.h"

#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "speaker/effector.h"
#include "speaker/events.h"

#define CONTROLLER "fairlead.io/speaker"
#define ACTION "Announce"

/* Adds what a person should do after the note of @ev. */
static void emit(const struct speaker *sp, struct kube_event *ev, enum reason reason)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;

	buf_puts(&note, ev->note);
	if (*reason_remedy(reason))
		buf_printf(&note, ". %s", reason_remedy(reason));
	ev->note = buf_str(&note);
	ev->api_version = "v1";
	ev->warning = !reason_holds(reason);
	ev->reason = reason_name(reason);
	if (!ev->action)
		ev->action = ACTION;
	kube_event_emit(sp->client, CONTROLLER, sp->opts.node, ev);
}

void speaker_tell_of_node(enum reason reason, const char *note, void *arg)
{
	const struct speaker *sp = arg;

	/* A Node that does not exist has no Events. */
	if (!sp->node_uid)
		return;
	struct kube_event ev = {
		.kind = "Node", .name = sp->opts.node, .uid = sp->node_uid, .note = note
	};
	emit(sp, &ev, reason);
}

/* As the API server writes it. */
static void uuid_format(const uint8_t uid[static VIEW_UID_SIZE], struct buf *out)
{
	for (size_t i = 0; i < VIEW_UID_SIZE; i++)
		buf_printf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uid[i]);
}

static void two_owners_note(const struct speaker *sp, const struct announcement *a, struct buf *out)
{
	const uint8_t *m = a->rival;

	buf_printf(
		out,
		"%s was answered for by node %s and by the machine at %02x:%02x:%02x:%02x:%02x:%02x;"
		" one of them gives way",
		addr_str(&a->addr), sp->opts.node, m[0], m[1], m[2], m[3], m[4], m[5]);
}

void speaker_add_detail(const struct speaker *sp, const struct announcement *a, struct buf *out)
{
	EACH_EFFECTOR(e)
		if (e->add_detail)
			e->add_detail(sp, a, out);
}

void speaker_tell_on_service(const struct speaker *sp, const char *key,
                             const uint8_t uid[static VIEW_UID_SIZE], const char *action,
                             enum reason reason, const char *note)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	const char *slash = strchr(key, '/');

	if (!slash)
		return;
	cleanup_free char *namespace = xstrndup(key, (size_t)(slash - key));
	uuid_format(uid, &text);
	struct kube_event ev = { .kind = "Service",
		                 .namespace = namespace,
		                 .name = slash + 1,
		                 .uid = buf_str(&text),
		                 .action = action,
		                 .note = note };
	emit(sp, &ev, reason);
}

/* On the Service of @a. */
static void emit_on_service(const struct speaker *sp, const struct announcement *a,
                            enum reason reason, const char *note)
{
	speaker_tell_on_service(sp, a->key, a->uid, ACTION, reason, note);
}

/* Reasons that are worth an Event on their Service. */
static bool is_worth_telling(enum reason r)
{
	return r == REASON_BgpPrefixTaken || r == REASON_TooLarge || r == REASON_CrowdedOut ||
	       r == REASON_TwoOwners || r == REASON_RulesRefused;
}

void speaker_tell_of_service(struct speaker *sp, const struct announcement *a, enum reason old)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;
	bool over = is_worth_telling(old) && announce_is_announced(a);
	/*
	 * Events that a tenant can cause at will must not use up the budget for those about the
	 * network and the nodes.
	 */
	enum reason about = over ? old : a->reason;
	bool network = about == REASON_TwoOwners || about == REASON_BgpPrefixTaken;

	if (!is_worth_telling(about) ||
	    !budget_take(network ? &sp->events : &sp->tenant_events, clock_ms()))
		return;
	if (over) {
		buf_printf(&note, "%s of %s on node %s is over", reason_name(old),
		           addr_str(&a->addr), sp->opts.node);
		emit_on_service(sp, a, REASON_AnnouncedAgain, buf_str(&note));
		return;
	}
	if (a->reason == REASON_TwoOwners)
		two_owners_note(sp, a, &note);
	else
		buf_printf(&note, "node %s does not announce %s: %s", sp->opts.node,
		           addr_str(&a->addr), reason_sentence(a->reason));
	speaker_add_detail(sp, a, &note);
	emit_on_service(sp, a, a->reason, buf_str(&note));
}

static void tell_of_nowhere(const struct announcement *a, void *arg)
{
	const struct speaker *sp = arg;
	cleanup(buf_fini) struct buf note = BUF_INIT;

	if (a->nowhere == REASON_Candidate) {
		buf_printf(&note, "a node may announce %s again", addr_str(&a->addr));
		emit_on_service(sp, a, REASON_AnnouncedAgain, buf_str(&note));
		return;
	}
	buf_printf(&note, "no node may announce %s (%s)", addr_str(&a->addr),
	           reason_sentence(a->nowhere));
	log_warn("no node may announce the address", KV_S("service", a->key),
	         KV_S("address", addr_str(&a->addr)), KV_S("reason", reason_name(a->nowhere)));
	emit_on_service(sp, a, a->nowhere, buf_str(&note));
}

static void tell_of_ownership(const struct ownership_change *changes, size_t n, void *arg)
{
	struct speaker *sp = arg;
	cleanup(buf_fini) struct buf note = BUF_INIT;

	for (size_t i = 0; i < n && n <= OWNERSHIP_EACH_MAX; i++) {
		const struct ownership_change *c = &changes[i];
		struct announcement a = { .key = c->key, .addr = c->addr };
		memcpy(a.uid, c->uid, sizeof(a.uid));
		buf_clear(&note);
		buf_printf(&note, "node %s answers for %s in place of node %s", sp->opts.node,
		           addr_str(&c->addr), c->from);
		if (c->cause != REASON_COUNT)
			buf_printf(&note, ": %s", reason_sentence(c->cause));
		emit_on_service(sp, &a, REASON_Announced, buf_str(&note));
	}
	if (n <= OWNERSHIP_EACH_MAX)
		return;
	buf_printf(&note, "this node answers for %zu addresses in place of other nodes:", n);
	for (size_t i = 0; i < OWNERSHIP_EACH_MAX; i++)
		buf_printf(&note, "%s %s of %.128s", i ? "," : "", addr_str(&changes[i].addr),
		           changes[i].key);
	buf_puts(&note, " and others");
	speaker_tell_of_node(REASON_Announced, buf_str(&note), sp);
}

void speaker_tell(struct speaker *sp)
{
	EACH_EFFECTOR(e)
		if (e->tell)
			e->tell(sp);
	nowhere_look(sp->nowhere, sp->view, sp->announce, &sp->tenant_events, clock_ms(),
	             tell_of_nowhere, sp);
	ownership_look(sp->ownership, &sp->ownership_events, clock_ms(), tell_of_ownership, sp);
}
