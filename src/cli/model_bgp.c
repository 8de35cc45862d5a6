/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead bgp`: the sessions of every node as its speaker reports them, and what stands in the
 * way of BGP there.  The same file reads and prints, for nothing else looks at these members.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/model_private.h"
#include "cli/verdict.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "fairlead/reason.h"

/* ---- reading ---- */

static int64_t count(struct json_object *obj, const char *key)
{
	return obj ? kube_json_int(obj, key, 0, INT64_MAX, 0, NULL) : 0;
}

static void read_session(struct json_object *obj, struct model_session *s)
{
	*s = (struct model_session){
		.peer = model_dup_str(obj, "name"),
		.address = model_dup_str(obj, "address"),
		.state = model_dup_str(obj, "state"),
		.error = model_dup_str(obj, "last_error"),
		.reason = model_dup_str(obj, "reason"),
		.bfd = kube_json_str(obj, "bfd", NULL) ? model_dup_str(obj, "bfd") : NULL,
		.my_asn = count(obj, "my_asn"),
		.asn = count(obj, "asn"),
		.uptime_ms = count(obj, "uptime_ms"),
		.wanted = count(obj, "prefixes_wanted"),
		.sent = count(obj, "prefixes_sent"),
		.resets = count(obj, "resets"),
		.established = kube_json_bool(obj, "established", false, NULL),
	};
}

static bool is_all_down(const struct model_bgp *b)
{
	for (size_t i = 0; i < b->n_sessions; i++)
		if (b->sessions[i].established)
			return false;
	return b->n_sessions > 0;
}

/* A speaker whose sessions are all down has nothing else in its way, but announces nothing. */
void model_read_bgp(struct json_object *status, struct model_bgp *ret)
{
	struct json_object *bgp = kube_json_get(status, "bgp", json_type_object, NULL);

	if (!bgp)
		return;
	struct json_object *instance = kube_json_get(bgp, "instance", json_type_object, NULL);
	struct json_object *prefixes = kube_json_get(bgp, "prefixes", json_type_object, NULL);
	struct json_object *peers = kube_json_get(bgp, "peers", json_type_array, NULL);
	size_t n = peers ? json_object_array_length(peers) : 0;
	struct model_bgp b = {
		.reason = model_dup_str(bgp, "reason"),
		.message = model_dup_str(bgp, "message"),
		.connected = kube_json_bool(bgp, "connected", false, NULL),
		.own_instance = instance && kube_json_bool(instance, "own", false, NULL),
		.asn = count(instance, "asn"),
		.wanted = count(prefixes, "wanted"),
		.set = count(prefixes, "set"),
		.sessions = xcalloc(n + 1, sizeof(*b.sessions)),
	};
	for (size_t i = 0; i < n; i++) {
		struct json_object *peer = json_object_array_get_idx(peers, i);
		if (json_object_is_type(peer, json_type_object))
			read_session(peer, &b.sessions[b.n_sessions++]);
	}
	if (!strcmp(b.reason, reason_name(REASON_Announced)) && is_all_down(&b)) {
		free(b.reason);
		free(b.message);
		b.reason = xstrdup(reason_name(REASON_BgpNoSession));
		b.message = xstrdup(reason_sentence(REASON_BgpNoSession));
	}
	*ret = b;
}

void model_bgp_fini(struct model_bgp *b)
{
	for (size_t i = 0; i < b->n_sessions; i++) {
		struct model_session *s = &b->sessions[i];
		free(s->peer);
		free(s->address);
		free(s->state);
		free(s->error);
		free(s->reason);
		free(s->bfd);
	}
	free(b->sessions);
	free(b->reason);
	free(b->message);
	*b = (struct model_bgp){ 0 };
}

/* ---- printing ---- */

/* There is no session, and not for the router's sake. */
static bool is_left_out(const struct model_session *s)
{
	return !s->established && *s->reason &&
	       strcmp(s->reason, reason_name(REASON_BgpNoSession)) != 0;
}

static const struct out_table sessions_table = {
	.title = "Sessions",
	.columns = { { "node", "NODE" },
	             { "name", "PEER" },
	             { "address", "ADDRESS" },
	             { "asn", "ASN" },
	             { "state", "STATE" },
	             { "up", "UP" },
	             { "prefixes_wanted", "WANTED" },
	             { "prefixes_sent", "SENT" },
	             { "bfd", "BFD" },
	             { "why", "LAST ERROR" } },
};

static const struct out_table instances_table = {
	.title = "Nodes",
	.columns = { { "node", "NODE" },
	             { "asn", "ASN" },
	             { "instance", "INSTANCE" },
	             { "wanted", "WANTED" },
	             { "set", "SET" },
	             { "why", "REASON" } },
};

static void put_session(const char *node, const struct model_session *s, struct out *o)
{
	cleanup(buf_fini) struct buf uptime = BUF_INIT;

	if (s->established)
		model_put_duration(s->uptime_ms, &uptime);
	out_object(o, NULL);
	out_row(o);
	out_cell(o, "node", "%s", node);
	out_str(o, "name", s->peer);
	out_str(o, "address", s->address);
	out_int(o, "my_asn", s->my_asn);
	out_int(o, "asn", s->asn);
	out_str(o, "state", s->state);
	out_bool(o, "established", s->established);
	out_int(o, "uptime_ms", s->uptime_ms);
	out_cell(o, "up", "%s", buf_str(&uptime));
	out_int(o, "prefixes_wanted", s->wanted);
	out_int(o, "prefixes_sent", s->sent);
	out_int(o, "resets", s->resets);
	out_str(o, "last_error", s->error);
	out_str(o, "reason", s->reason);
	if (s->bfd)
		out_str(o, "bfd", s->bfd);
	out_cell(o, "why", "%s%s%s", is_left_out(s) ? s->reason : "", is_left_out(s) ? ": " : "",
	         s->error);
	out_close(o);
	out_name(o, "%s/%s", node, s->peer);
}

static const char *silence_of(const struct model_node *n)
{
	return n->error ? n->error : "its speaker says nothing of BGP";
}

static void put_node(const struct model_node *n, struct out *o)
{
	const struct model_bgp *b = &n->bgp;

	out_object(o, NULL);
	out_str(o, "node", n->name);
	out_bool(o, "reachable", n->answered);
	if (!b->reason) {
		out_str(o, "error", silence_of(n));
		out_close(o);
		return;
	}
	out_bool(o, "connected", b->connected);
	out_str(o, "reason", b->reason);
	out_str(o, "message", b->message);
	out_object(o, "instance");
	out_int(o, "asn", b->asn);
	out_bool(o, "own", b->own_instance);
	out_close(o);
	out_object(o, "prefixes");
	out_int(o, "wanted", b->wanted);
	out_int(o, "set", b->set);
	out_close(o);
	out_list(o, "peers");
	for (size_t i = 0; i < b->n_sessions; i++)
		put_session(n->name, &b->sessions[i], o);
	out_close(o);
	out_close(o);
}

static bool is_without(const struct model_bgp *b)
{
	enum reason r = reason_named(b->reason);

	return r == REASON_BgpNoPeer || r == REASON_ProtocolUnsupported;
}

/* Why no node has BGP, where all that say anything say the same; NULL: some node has. */
static const struct model_bgp *lack_of_all(const struct model *m)
{
	const struct model_bgp *first = NULL;

	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_bgp *b = &m->nodes[i].bgp;
		if (!b->reason)
			continue;
		if (!is_without(b) || (first && strcmp(first->message, b->message) != 0))
			return NULL;
		first = b;
	}
	return first;
}

/* Without what would be the same in each row of the table, and too long for it. */
static void say_lack(const struct model_bgp *lack, struct out *o)
{
	cleanup_free char *text =
		xasprintf("No node that answers has BGP, and each says: %s.", lack->message);

	out_gap(o);
	out_wrap(o, 0, text);
}

/* People get the nodes in a table of their own, behind all sessions. */
static void put_instance(const struct model_node *n, bool all_lack, struct out *o)
{
	const struct model_bgp *b = &n->bgp;

	out_row(o);
	out_cell(o, "node", "%s", n->name);
	if (!b->reason) {
		out_cell(o, "why", "%s", silence_of(n));
		return;
	}
	if (b->asn) {
		out_cell(o, "asn", "%" PRId64, b->asn);
		out_cell(o, "instance", "%s", b->own_instance ? "ours" : "others'");
	}
	out_cell(o, "wanted", "%" PRId64, b->wanted);
	out_cell(o, "set", "%" PRId64, b->set);
	if (all_lack || !strcmp(b->reason, reason_name(REASON_Announced)))
		out_cell(o, "why", "%s", b->reason);
	else
		out_cell(o, "why", "%s: %s", b->reason, b->message);
}

void cluster_bgp_print(struct model *m, const struct findings *f, struct out *o)
{
	const struct model_bgp *lack = lack_of_all(m);

	out_object(o, NULL);
	verdict_print(f, "verdict", o);
	if (lack)
		say_lack(lack, o);
	out_table(o, &sessions_table);
	out_list(o, "nodes");
	for (size_t i = 0; i < m->n_nodes; i++)
		put_node(&m->nodes[i], o);
	out_close(o);
	out_table_end(o);
	out_table(o, &instances_table);
	for (size_t i = 0; i < m->n_nodes && out_is_text(o); i++)
		put_instance(&m->nodes[i], lack, o);
	out_table_end(o);
	out_close(o);
}
