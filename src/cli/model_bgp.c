/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead bgp`: the sessions of every node as its speaker reports them, and what stands in the way of BGP there.  The same
 * file reads and prints, for nothing else looks at these members.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/model_private.h"
#include "cli/table.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
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

/* ---- text ---- */

/* The two largest units: "3d4h", "5m6s", "7s". */
static void uptime_text(int64_t ms, struct buf *out)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t left = ms / 1000;
	size_t first = 0;

	while (first < ARRAY_LEN(units) - 1 && left < units[first].seconds)
		first++;
	for (size_t i = first; i < ARRAY_LEN(units) && i < first + 2; i++) {
		buf_printf(out, "%" PRId64 "%c", left / units[i].seconds, units[i].letter);
		left %= units[i].seconds;
	}
}

/* There is no session, and not for the router's sake. */
static bool is_left_out(const struct model_session *s)
{
	return !s->established && *s->reason &&
	       strcmp(s->reason, reason_name(REASON_BgpNoSession)) != 0;
}

static void session_text(const char *node, const struct model_session *s, struct table *t)
{
	cleanup(buf_fini) struct buf uptime = BUF_INIT;

	if (s->established)
		uptime_text(s->uptime_ms, &uptime);
	table_cell(t, "%s", node);
	table_cell(t, "%s", s->peer);
	table_cell(t, "%s", s->address);
	table_cell(t, "%" PRId64, s->asn);
	table_cell(t, "%s", s->state);
	table_cell(t, "%s", buf_str(&uptime));
	table_cell(t, "%" PRId64, s->wanted);
	table_cell(t, "%" PRId64, s->sent);
	table_cell(t, "%s", s->bfd ? s->bfd : "");
	if (is_left_out(s))
		table_cell(t, "%s: %s", s->reason, s->error);
	else
		table_cell(t, "%s", s->error);
}

static void node_text(const struct model_node *n, struct table *t)
{
	const struct model_bgp *b = &n->bgp;

	table_cell(t, "%s", n->name);
	if (!b->reason) {
		for (int i = 0; i < 4; i++)
			table_cell(t, "%s", "");
		table_cell(t, "%s", n->error ? n->error : "its speaker says nothing of BGP");
		return;
	}
	if (b->asn)
		table_cell(t, "%" PRId64, b->asn);
	else
		table_cell(t, "%s", "");
	table_cell(t, "%s", !b->asn ? "" : b->own_instance ? "ours" : "others'");
	table_cell(t, "%" PRId64, b->wanted);
	table_cell(t, "%" PRId64, b->set);
	if (!strcmp(b->reason, reason_name(REASON_Announced)))
		table_cell(t, "%s", b->reason);
	else
		table_cell(t, "%s: %s", b->reason, b->message);
}

void cluster_bgp_text(const struct model *m, struct buf *out)
{
	static const char *const sessions_head[] = { "NODE",  "PEER",      "ADDRESS", "ASN",
		                                     "STATE", "UP",        "WANTED",  "SENT",
		                                     "BFD",   "LAST ERROR" };
	static const char *const nodes_head[] = { "NODE",   "ASN", "INSTANCE",
		                                  "WANTED", "SET", "REASON" };
	cleanup(table_fini) struct table sessions, nodes;

	table_init(&sessions, ARRAY_LEN(sessions_head), sessions_head);
	table_init(&nodes, ARRAY_LEN(nodes_head), nodes_head);
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		for (size_t k = 0; k < n->bgp.n_sessions; k++)
			session_text(n->name, &n->bgp.sessions[k], &sessions);
		node_text(n, &nodes);
	}
	buf_puts(out, "Sessions\n");
	table_print(&sessions, "  ", out);
	buf_puts(out, "\nNodes\n");
	table_print(&nodes, "  ", out);
}

/* ---- JSON ---- */

static void put_str(struct buf *out, const char *key, const char *value)
{
	buf_json_str(out, key);
	buf_putc(out, ':');
	buf_json_str(out, value);
}

static void session_json(const struct model_session *s, struct buf *out)
{
	buf_putc(out, '{');
	put_str(out, "name", s->peer);
	buf_putc(out, ',');
	put_str(out, "address", s->address);
	buf_printf(out, ",\"my_asn\":%" PRId64 ",\"asn\":%" PRId64 ",", s->my_asn, s->asn);
	put_str(out, "state", s->state);
	buf_printf(out, ",\"established\":%s,\"uptime_ms\":%" PRId64,
	           s->established ? "true" : "false", s->uptime_ms);
	buf_printf(out,
	           ",\"prefixes_wanted\":%" PRId64 ",\"prefixes_sent\":%" PRId64
	           ",\"resets\":%" PRId64 ",",
	           s->wanted, s->sent, s->resets);
	put_str(out, "last_error", s->error);
	buf_putc(out, ',');
	put_str(out, "reason", s->reason);
	if (s->bfd) {
		buf_putc(out, ',');
		put_str(out, "bfd", s->bfd);
	}
	buf_putc(out, '}');
}

static void node_json(const struct model_node *n, struct buf *out)
{
	const struct model_bgp *b = &n->bgp;

	buf_putc(out, '{');
	put_str(out, "node", n->name);
	buf_printf(out, ",\"reachable\":%s,", n->answered ? "true" : "false");
	if (!b->reason) {
		put_str(out, "error", n->error ? n->error : "its speaker says nothing of BGP");
		buf_putc(out, '}');
		return;
	}
	buf_printf(out, "\"connected\":%s,", b->connected ? "true" : "false");
	put_str(out, "reason", b->reason);
	buf_putc(out, ',');
	put_str(out, "message", b->message);
	buf_printf(out, ",\"instance\":{\"asn\":%" PRId64 ",\"own\":%s}", b->asn,
	           b->own_instance ? "true" : "false");
	buf_printf(out, ",\"prefixes\":{\"wanted\":%" PRId64 ",\"set\":%" PRId64 "},\"peers\":[",
	           b->wanted, b->set);
	for (size_t i = 0; i < b->n_sessions; i++) {
		if (i)
			buf_putc(out, ',');
		session_json(&b->sessions[i], out);
	}
	buf_puts(out, "]}");
}

void cluster_bgp_json(const struct model *m, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < m->n_nodes; i++) {
		if (i)
			buf_putc(out, ',');
		node_json(&m->nodes[i], out);
	}
	buf_puts(out, "]\n");
}
