/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "speaker/speaker.h"

/*
 * The speaker's Events.  What concerns all of BGP here, a session, or the node's firewall is of interest to whoever looks after
 * this node, and stands on the Node; a prefix that cannot be had, or rules that are refused, hurt one Service, and stand there,
 * and so does an address that no node may announce.
 */

#define CONTROLLER "fairlead.io/speaker"
#define ACTION "Announce"

/* Says what a person should do behind the note of @ev. */
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
	ev->action = ACTION;
	kube_event_emit(sp->client, CONTROLLER, sp->opts.node, ev);
}

static void tell_of_node(enum reason reason, const char *note, void *arg)
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
	const char *why = NULL;

	if (a->reason == REASON_RulesRefused && sp->proxy)
		why = proxy_refusal(sp->proxy, a->key);
	if (a->reason == REASON_ForwardRefused && sp->proxy)
		proxy_passage(sp->proxy, a->addr.family, &why);
	if (why && *why)
		buf_printf(out, ": %s", why);
}

/* On the Service of @a. */
static void emit_on_service(const struct speaker *sp, const struct announcement *a,
                            enum reason reason, const char *note)
{
	cleanup(buf_fini) struct buf uid = BUF_INIT;
	const char *slash = strchr(a->key, '/');

	if (!slash)
		return;
	cleanup_free char *namespace = xstrndup(a->key, (size_t)(slash - a->key));
	uuid_format(a->uid, &uid);
	struct kube_event ev = { .kind = "Service",
		                 .namespace = namespace,
		                 .name = slash + 1,
		                 .uid = buf_str(&uid),
		                 .note = note };
	emit(sp, &ev, reason);
}

void speaker_tell_of_service(struct speaker *sp, const struct announcement *a)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;

	/* What a tenant can bring about at will must not use up what the network and the nodes have to say. */
	bool network = a->reason == REASON_TwoOwners || a->reason == REASON_BgpPrefixTaken;

	if (!budget_take(network ? &sp->events : &sp->tenant_events, clock_ms()))
		return;
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

	buf_printf(&note, "no node may announce %s (%s)", addr_str(&a->addr),
	           reason_sentence(a->nowhere));
	log_warn("no node may announce the address", KV_S("service", a->key),
	         KV_S("address", addr_str(&a->addr)), KV_S("reason", reason_name(a->nowhere)));
	emit_on_service(sp, a, a->nowhere, buf_str(&note));
}

/* Once for each change of what firewalls of others make of forwarded packets; that they pass again is no news. */
static void tell_of_passage(struct speaker *sp, uint8_t family)
{
	enum proxy_passage *told = &sp->passages[family == 6];
	cleanup(buf_fini) struct buf note = BUF_INIT;
	const char *where;
	enum proxy_passage now = proxy_passage(sp->proxy, family, &where);
	enum reason reason = now == PROXY_REFUSED ? REASON_ForwardRefused : REASON_ForwardUncertain;

	if (now == *told || !sp->node_uid ||
	    (now != PROXY_PASSES && !budget_take(&sp->events, clock_ms())))
		return;
	*told = now;
	buf_printf(&note, "IPv%d: %s: %s", family, reason_sentence(reason), where);
	if (now != PROXY_PASSES)
		tell_of_node(reason, buf_str(&note), sp);
}

void speaker_tell(struct speaker *sp)
{
	cleanup_free struct l2_trouble *troubles = NULL;
	size_t n = 0;

	routes_tell(sp->routes, sp->news, &sp->events, clock_ms(), tell_of_node, sp);
	if (sp->l2)
		l2_troubles(sp->l2, &troubles, &n);
	trouble_news_look(sp->troubles, troubles, n, &sp->events, clock_ms(), tell_of_node, sp);
	nowhere_look(sp->nowhere, sp->view, sp->announce, &sp->tenant_events, clock_ms(),
	             tell_of_nowhere, sp);
	if (sp->proxy) {
		tell_of_passage(sp, 4);
		tell_of_passage(sp, 6);
	}
}
