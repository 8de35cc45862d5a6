/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include "cli/follow_private.h"
#include "fairlead/buf.h"
#include "fairlead/decide.h"
#include "fairlead/kube_types.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/reason.h"

/* More rows tell a person nothing; the other formats have all. */
#define ENDPOINTS_SHOWN 16

static const char *const class_words[] = {
	[TRAFFIC_CLUSTER_IP] = "cluster-ip",
	[TRAFFIC_VIP] = "load-balancer",
	[TRAFFIC_EXTERNAL_IP] = "external-ip",
	[TRAFFIC_NODE_PORT] = "node-port",
};
static const char *const origin_words[] = {
	[TRAFFIC_POD] = "pod",
	[TRAFFIC_NODE] = "node",
	[TRAFFIC_OUTSIDE] = "outside",
};
static const char *const origin_sentences[] = {
	[TRAFFIC_POD] = "a Pod",
	[TRAFFIC_NODE] = "the node itself",
	[TRAFFIC_OUTSIDE] = "somebody outside",
};
static const char *const class_sentences[] = {
	[TRAFFIC_CLUSTER_IP] = "the cluster IP",
	[TRAFFIC_VIP] = "an address of the load balancer",
	[TRAFFIC_EXTERNAL_IP] = "an external IP",
	[TRAFFIC_NODE_PORT] = "a node port",
};
static const char *const choice_sentences[] = {
	[FOLLOW_GIVEN] = NULL,
	[FOLLOW_HAS_TARGET] = "the address is its own",
	[FOLLOW_HAS_SOURCE] = "the packet begins there",
	[FOLLOW_ANNOUNCES] = "announced from there",
	[FOLLOW_EACH] = "wherever it comes by",
};

static const char *protocol(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : "SCTP";
}

/* ---- one answer ---- */

static const char *verdict(const struct follow *f, const struct follow_node *n)
{
	static const char *const fates[] = { [TRAFFIC_FORWARD] = "forwarded",
		                             [TRAFFIC_REJECT] = "refused",
		                             [TRAFFIC_DROP] = "dropped" };
	static const char *const ends[] = { [PACKET_GUARDED] = "refused",
		                            [PACKET_HEALTH] = "answered",
		                            [PACKET_OTHER_PORT] = "left-alone",
		                            [PACKET_NOT_CHOSEN] = "left-alone",
		                            [PACKET_NOT_ITS_OWN] = "left-alone" };

	if (f->other)
		return "of-another-service";
	if (!n->carried)
		return "not-carried";
	return n->answer.end == PACKET_SERVED ? fates[n->answer.fate] : ends[n->answer.end];
}

static void say_forwarded(const struct follow *f, const struct packet_answer *a, struct buf *out)
{
	bool local = a->set == TRAFFIC_LOCAL_SET;

	buf_printf(out, "forwarded to %s%zu endpoint%s%s; ", a->n_endpoints == 1 ? "" : "one of ",
	           a->n_endpoints, a->n_endpoints == 1 ? "" : "s",
	           local ? " on the node itself (policy Local)" : "");
	buf_puts(out, a->n_endpoints == 1 ? "it sees " : "they see ");
	buf_puts(out, a->masquerade ? "an address of the node" : addr_str(&f->packet.from));
	if (a->affinity_s)
		buf_printf(out, "; a client stays with its endpoint for %u seconds", a->affinity_s);
}

static void say_refused(const struct follow *f, const struct packet_answer *a, struct buf *out)
{
	bool inside = a->class == TRAFFIC_CLUSTER_IP;

	buf_puts(out, a->fate == TRAFFIC_DROP ? "dropped: " : "refused: ");
	switch (a->why) {
	case TRAFFIC_IS_FORWARDED:
		break;
	case TRAFFIC_NO_ENDPOINT:
		buf_puts(out, "the port has no usable endpoint");
		break;
	case TRAFFIC_NO_LOCAL_ENDPOINT:
		buf_printf(out, "%sTrafficPolicy is Local, and the node has no usable endpoint",
		           inside ? "internal" : "external");
		break;
	case TRAFFIC_NOT_IN_RANGES:
		buf_printf(out, "%s is in none of the Service's source ranges",
		           addr_str(&f->packet.from));
		break;
	}
}

static void say_missed(const struct follow *f, const struct packet_answer *a, struct buf *out)
{
	const char *to = addr_str(&f->packet.to), *proto = protocol(f->packet.proto);

	switch (a->end) {
	case PACKET_SERVED:
		break;
	case PACKET_GUARDED:
		buf_printf(out, "refused by the guard: no Service has port %d/%s at %s",
		           f->packet.port, proto, to);
		break;
	case PACKET_HEALTH:
		buf_puts(out,
		         "answered by the node's speaker: it is the Service's health check port");
		break;
	case PACKET_OTHER_PORT:
		buf_printf(out,
		           "left alone: the Service has no port %d/%s at %s, and its other ports "
		           "there are open",
		           f->packet.port, proto, to);
		break;
	case PACKET_NOT_CHOSEN:
		buf_printf(out, "left alone: %s is none of the addresses that have node ports", to);
		break;
	case PACKET_NOT_ITS_OWN:
		buf_printf(out, "left alone: nothing of the Service's is at %s, port %d/%s", to,
		           f->packet.port, proto);
		break;
	}
}

static void say_not_carried(const struct follow *f, const struct follow_node *n, struct buf *out)
{
	enum reason reason = decide_by_size(f->in.service, n->options.mode == PROXY_IPTABLES);

	buf_printf(out, "not carried: the speakers forward nothing for the Service in IPv%d",
	           f->packet.to.family);
	if (reason != REASON_Candidate)
		buf_printf(out, ": %s: %s", reason_name(reason), reason_sentence(reason));
}

static void say(const struct follow *f, const struct follow_node *n, struct buf *out)
{
	const struct packet_answer *a = &n->answer;

	if (f->other)
		buf_printf(out, "it is %s that has this port there: ask for that Service",
		           f->other->key);
	else if (!n->carried)
		say_not_carried(f, n, out);
	else if (a->end != PACKET_SERVED)
		say_missed(f, a, out);
	else if (a->fate == TRAFFIC_FORWARD)
		say_forwarded(f, a, out);
	else
		say_refused(f, a, out);
}

/* ---- what does the same ---- */

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool does_the_same(const struct follow_node *a, const struct follow_node *b)
{
	return a->carried == b->carried && a->options.mode == b->options.mode &&
	       is_same(a->substitute, b->substitute) &&
	       (!a->carried || packet_answer_eq(&a->answer, &b->answer));
}

/* The nodes that do what @first does; they are not printed again. */
static size_t put_nodes(struct follow *f, const struct follow_node *first, struct buf *names,
                        struct out *o)
{
	size_t n = 0;

	out_list(o, "nodes");
	for (size_t i = 0; i < f->n_nodes; i++) {
		struct follow_node *one = &f->nodes[i];
		if (one->passed || !does_the_same(first, one))
			continue;
		one->passed = true;
		out_str(o, NULL, one->name);
		buf_printf(names, "%s%s", n++ ? ", " : "", one->name);
	}
	out_close(o);
	return n;
}

static const struct out_table endpoints_table = {
	.indented = true,
	.if_any = true,
	.columns = { { "endpoint", "ENDPOINT" }, { "node", "NODE" }, { "source", "SEES" } },
};

/* One that reaches itself would answer itself, past the node. */
static bool is_masqueraded(const struct follow *f, const struct packet_answer *a,
                           const struct proxy_endpoint *e)
{
	return a->masquerade || addr_eq(&e->addr, &f->packet.from);
}

static void put_endpoints(const struct follow *f, const struct packet_answer *a, struct out *o)
{
	size_t shown = out_is_text(o) && a->n_endpoints > ENDPOINTS_SHOWN ? ENDPOINTS_SHOWN
	                                                                  : a->n_endpoints;

	out_table(o, &endpoints_table);
	out_list(o, "endpoints");
	for (size_t i = 0; i < shown; i++) {
		const struct proxy_endpoint *e = &a->endpoints[i];
		bool six = e->addr.family == 6, masqueraded = is_masqueraded(f, a, e);
		out_object(o, NULL);
		out_row(o);
		out_printf(o, "endpoint", "%s%s%s:%d", six ? "[" : "", addr_str(&e->addr),
		           six ? "]" : "", e->port);
		out_str(o, "node", follow_node_of(f, e));
		out_bool(o, "masqueraded", masqueraded);
		out_cell(o, "source", "%s", masqueraded ? "the node" : addr_str(&f->packet.from));
		out_close(o);
	}
	out_close(o);
	out_table_end(o);
	if (shown < a->n_endpoints)
		out_say(o, "  … and %zu more", a->n_endpoints - shown);
}

static void put_rules(const struct packet_answer *a, struct out *o)
{
	cleanup_free char *lines = xstrdup(buf_str(&a->caught_by));
	char *save = NULL;

	out_list(o, "caught_by");
	for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		out_say(o, "  %s", line);
		out_str(o, NULL, line);
	}
	out_close(o);
}

static void put_served(const struct packet_answer *a, struct out *o)
{
	out_str(o, "class", a->end == PACKET_SERVED ? class_words[a->class] : NULL);
	out_str(o, "origin", origin_words[a->origin]);
	if (a->end == PACKET_SERVED)
		out_say(o, "  It goes to %s, and counts as from %s.", class_sentences[a->class],
		        origin_sentences[a->origin]);
}

/* Who picks the endpoint, where IPVS does. */
static void put_scheduler(const struct follow_node *n, struct out *o)
{
	const struct packet_answer *a = &n->answer;
	const char *source = a->scheduler_named ? "which the annotation " KUBE_ANNOTATION_SCHEDULER
	                                          " names"
	                                        : "the default";

	out_str(o, "scheduler", *a->scheduler ? a->scheduler : NULL);
	out_str(o, "scheduler_from",
	        !*a->scheduler       ? NULL
	        : a->scheduler_named ? "annotation"
	                             : "default");
	out_str(o, "scheduler_in_place", *a->scheduler ? n->substitute : NULL);
	if (!*a->scheduler)
		return;
	if (n->substitute)
		out_say(o,
		        "  %s: its kernel lacks the scheduler %s (module ip_vs_%s), %s; %s picks "
		        "the endpoint in its place.",
		        reason_name(REASON_SchedulerMissing), a->scheduler, a->scheduler, source,
		        n->substitute);
	else
		out_say(o, "  IPVS picks the endpoint, by %s, %s.", a->scheduler, source);
}

static void put_answer(struct follow *f, const struct follow_node *n, struct out *o)
{
	cleanup(buf_fini) struct buf names = BUF_INIT, words = BUF_INIT;
	const char *choice = choice_sentences[f->choice];

	out_gap(o);
	out_object(o, NULL);
	size_t n_nodes = put_nodes(f, n, &names, o);
	say(f, n, &words);
	if (choice)
		out_say(o, "%s (%s): %s.", buf_str(&names), choice, buf_str(&words));
	else
		out_say(o, "%s: %s.", buf_str(&names), buf_str(&words));
	if (n->options.mode == PROXY_NONE)
		out_say(o, "  Others carry the traffic there, as far as they keep to the rules of "
		           "kube-proxy.");
	if (!n->node)
		out_say(o, "  The cluster has no such Node: its own addresses are not known.");
	out_bool(o, "carried_by_speaker", n_nodes && proxy_mode_forwards(n->options.mode));
	out_str(o, "verdict", verdict(f, n));
	out_str(o, "message", buf_str(&words));
	out_str(o, "other_service", f->other ? f->other->key : NULL);
	if (n->carried && !f->other) {
		put_served(&n->answer, o);
		out_bool(o, "masquerade", n->answer.masquerade);
		out_uint(o, "affinity_s", n->answer.affinity_s);
		put_scheduler(n, o);
		put_rules(&n->answer, o);
		put_endpoints(f, &n->answer, o);
	}
	out_close(o);
}

void follow_print(struct follow *f, struct out *o)
{
	const struct packet *p = &f->packet;
	bool six = p->to.family == 6;

	follow_run(f);
	out_object(o, NULL);
	out_str(o, "service", f->in.service->key);
	out_addr(o, "from", &p->from);
	out_addr(o, "to", &p->to);
	out_uint(o, "port", p->port);
	out_str(o, "protocol", protocol(p->proto));
	out_say(o, "%s: from %s to %s%s%s:%d/%s", f->in.service->key, addr_str(&p->from),
	        six ? "[" : "", addr_str(&p->to), six ? "]" : "", p->port, protocol(p->proto));
	if (f->n_nodes == 0)
		out_say(o, "There is no Node that it could come to.");
	out_list(o, "answers");
	for (size_t i = 0; i < f->n_nodes; i++)
		if (!f->nodes[i].passed)
			put_answer(f, &f->nodes[i], o);
	out_close(o);
	out_close(o);
}
