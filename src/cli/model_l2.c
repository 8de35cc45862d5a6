/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead l2`: the segments of every node as its speaker reports them, whom it hears there, who
 * owns which address, and what moved.  The same file reads and prints what nothing else looks at;
 * owners are those of `fairlead status`.
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

/* So many of the last moves are shown as text, unless more is asked for. */
#define MOVES_SHOWN 20

/* ---- reading ---- */

static int64_t count(struct json_object *obj, const char *key)
{
	return kube_json_int(obj, key, 0, INT64_MAX, 0, NULL);
}

static size_t list_of(struct json_object *l2, const char *key, struct json_object **ret_list)
{
	*ret_list = l2 ? kube_json_get(l2, key, json_type_array, NULL) : NULL;
	return *ret_list ? json_object_array_length(*ret_list) : 0;
}

/* NULL: it is no object. */
static struct json_object *object_at(struct json_object *list, size_t i)
{
	struct json_object *obj = json_object_array_get_idx(list, i);

	return json_object_is_type(obj, json_type_object) ? obj : NULL;
}

static void read_segments(struct json_object *l2, struct model_l2 *ret)
{
	struct json_object *list, *obj;
	size_t n = list_of(l2, "segments", &list);

	ret->segments = xcalloc(n + 1, sizeof(*ret->segments));
	for (size_t i = 0; i < n; i++) {
		if (!(obj = object_at(list, i)))
			continue;
		ret->segments[ret->n_segments++] = (struct model_segment){
			.interface = model_dup_str(obj, "interface"),
			.mac = model_dup_str(obj, "mac"),
			.ipv4 = model_dup_str(obj, "ipv4"),
			.ipv6 = model_dup_str(obj, "ipv6"),
			.state = model_dup_str(obj, "state"),
			.mtu = count(obj, "mtu"),
			.owned = count(obj, "owned"),
			.dead_after_ms = count(obj, "dead_after_ms"),
		};
	}
}

static void read_peers(struct json_object *l2, struct model_l2 *ret)
{
	struct json_object *list, *obj;
	size_t n = list_of(l2, "peers", &list);

	ret->peers = xcalloc(n + 1, sizeof(*ret->peers));
	for (size_t i = 0; i < n; i++) {
		if (!(obj = object_at(list, i)))
			continue;
		struct json_object *lately = kube_json_get(obj, "lately", json_type_object, NULL);
		ret->peers[ret->n_peers++] = (struct model_peer){
			.node = model_dup_str(obj, "node"),
			.interface = model_dup_str(obj, "interface"),
			.alive = kube_json_bool(obj, "alive", false, NULL),
			.restarting = kube_json_bool(obj, "restarting", false, NULL),
			.heard_ms = count(obj, "last_heard_ms"),
			.lost = count(obj, "lost"),
			.lately_lost = lately ? count(lately, "lost") : 0,
			.lately = lately ? count(lately, "messages") : 0,
		};
		ret->n_alive += ret->peers[ret->n_peers - 1].alive;
	}
}

static void read_moves(struct json_object *l2, struct model_l2 *ret)
{
	struct json_object *list, *obj;
	size_t n = list_of(l2, "moves", &list);

	ret->moves = xcalloc(n + 1, sizeof(*ret->moves));
	for (size_t i = 0; i < n; i++) {
		if (!(obj = object_at(list, i)))
			continue;
		ret->moves[ret->n_moves++] = (struct model_move){
			.address = model_dup_str(obj, "address"),
			.service = model_dup_str(obj, "service"),
			.from = model_dup_str(obj, "from"),
			.cause = model_dup_str(obj, "cause"),
			.took_ms = kube_json_int(obj, "took_ms", -1, INT64_MAX, -1, NULL),
			.ago_ms = count(obj, "ago_ms"),
		};
	}
}

void model_read_l2(struct json_object *status, struct model_l2 *ret)
{
	struct json_object *l2 = kube_json_get(status, "l2", json_type_object, NULL);

	read_segments(l2, ret);
	read_peers(l2, ret);
	read_moves(l2, ret);
}

void model_l2_fini(struct model_l2 *l)
{
	for (size_t i = 0; i < l->n_segments; i++) {
		free(l->segments[i].interface);
		free(l->segments[i].mac);
		free(l->segments[i].ipv4);
		free(l->segments[i].ipv6);
		free(l->segments[i].state);
	}
	for (size_t i = 0; i < l->n_peers; i++) {
		free(l->peers[i].node);
		free(l->peers[i].interface);
	}
	for (size_t i = 0; i < l->n_moves; i++) {
		free(l->moves[i].address);
		free(l->moves[i].service);
		free(l->moves[i].from);
		free(l->moves[i].cause);
	}
	free(l->segments);
	free(l->peers);
	free(l->moves);
}

/* ---- segments and peers ---- */

static const struct out_table segments_table = {
	.title = "Segments",
	.columns = { { "node", "NODE" },
	             { "interface", "INTERFACE" },
	             { "ipv4", "IPV4", .if_any = true },
	             { "ipv6", "IPV6", .wide = true },
	             { "mac", "MAC", .wide = true },
	             { "mtu", "MTU", .wide = true },
	             { "peers", "PEERS" },
	             { "owned", "OWNS" },
	             { "dead_after", "DEAD AFTER", .if_any = true },
	             { "state", "STATE" } },
};

static const struct out_table peers_table = {
	.title = "Peers",
	.columns = { { "by", "NODE" },
	             { "interface", "INTERFACE" },
	             { "node", "HEARS" },
	             { "heard", "LAST" },
	             { "share", "LOST", .if_any = true },
	             { "lost", "LOST EVER", .wide = true },
	             { "is", "STATE" } },
};

static void put_segment(const struct model_node *n, const struct model_segment *s, struct out *o)
{
	size_t known = 0, alive = 0;

	for (size_t i = 0; i < n->l2.n_peers; i++)
		if (!strcmp(n->l2.peers[i].interface, s->interface)) {
			known++;
			alive += n->l2.peers[i].alive;
		}
	out_object(o, NULL);
	out_row(o);
	out_str(o, "node", n->name);
	out_str(o, "interface", s->interface);
	out_str(o, "mac", s->mac);
	out_str(o, "ipv4", s->ipv4);
	out_str(o, "ipv6", s->ipv6);
	out_int(o, "mtu", s->mtu);
	out_str(o, "state", s->state);
	out_cell(o, "peers", "%zu of %zu", alive, known);
	out_int(o, "owned", s->owned);
	out_int(o, "dead_after_ms", s->dead_after_ms);
	if (s->dead_after_ms)
		out_cell(o, "dead_after", "%lld ms", (long long)s->dead_after_ms);
	out_close(o);
	out_name(o, "%s/%s", n->name, s->interface);
}

static void put_segments(const struct model *m, struct out *o)
{
	out_table(o, &segments_table);
	out_list(o, "segments");
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].l2.n_segments; k++)
			put_segment(&m->nodes[i], &m->nodes[i].l2.segments[k], o);
	out_close(o);
	out_table_end(o);
}

static void put_peer(const char *by, const struct model_peer *p, struct out *o)
{
	cleanup(buf_fini) struct buf heard = BUF_INIT;
	const char *is = p->alive ? "alive" : p->restarting ? "restarting" : "silent";

	model_put_duration(p->heard_ms, &heard);
	out_object(o, NULL);
	out_row(o);
	out_str(o, "by", by);
	out_str(o, "interface", p->interface);
	out_str(o, "node", p->node);
	out_bool(o, "alive", p->alive);
	out_bool(o, "restarting", p->restarting);
	out_cell(o, "is", "%s", is);
	out_int(o, "last_heard_ms", p->heard_ms);
	out_cell(o, "heard", "%s ago", buf_str(&heard));
	out_int(o, "lost", p->lost);
	if (p->lately) {
		out_object(o, "lately");
		out_int(o, "messages", p->lately);
		out_int(o, "lost", p->lately_lost);
		out_close(o);
		out_cell(o, "share", "%" PRId64 " of %" PRId64, p->lately_lost, p->lately);
	}
	out_close(o);
}

static void put_peers(const struct model *m, struct out *o)
{
	out_table(o, &peers_table);
	out_list(o, "peers");
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].l2.n_peers; k++)
			put_peer(m->nodes[i].name, &m->nodes[i].l2.peers[k], o);
	out_close(o);
	out_table_end(o);
}

/* ---- claims ---- */

static const struct out_table claims_table = {
	.title = "Addresses",
	.columns = { { "address", "ADDRESS" },
	             { "service", "SERVICE" },
	             { "owner", "OWNER" },
	             { "held", "FOR", .if_any = true },
	             { "may", "CANDIDATES" },
	             { "on_the_way", "ON THE WAY", .if_any = true },
	             { "cause", "CAUSE", .if_any = true } },
};

/* What a node does that neither has the address nor leaves it alone. */
static bool is_on_the_way(const struct verdict *d)
{
	return d->protocol == PROTOCOL_LAYER2 && *d->claim && strcmp(d->claim, "owner") != 0 &&
	       strcmp(d->claim, "other") != 0 && strcmp(d->claim, "idle") != 0;
}

static void put_nodes_of(const struct model_address *a, struct out *o)
{
	cleanup(buf_fini) struct buf words = BUF_INIT;

	out_list(o, "nodes");
	for (size_t i = 0; i < a->n_verdicts; i++) {
		const struct verdict *d = &a->verdicts[i];
		if (d->protocol != PROTOCOL_LAYER2)
			continue;
		out_object(o, NULL);
		out_str(o, "node", d->node);
		out_str(o, "claim", d->claim);
		out_str(o, "interface", d->interface);
		out_str(o, "reason", d->reason);
		out_close(o);
		if (is_on_the_way(d))
			buf_printf(&words, "%s%s %s", words.size ? ", " : "", d->node, d->claim);
	}
	out_close(o);
	if (words.size)
		out_cell(o, "on_the_way", "%s", buf_str(&words));
}

static bool is_of_layer2(const struct model_address *a)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (a->verdicts[i].protocol == PROTOCOL_LAYER2)
			return true;
	return false;
}

static void put_claim(const struct model_service *s, const struct model_address *a, struct out *o)
{
	const struct verdict *owner = model_l2_owner(a);

	out_object(o, NULL);
	out_row(o);
	out_addr(o, "address", &a->address.addr);
	out_str(o, "service", s->key);
	out_str(o, "owner", owner ? owner->node : "");
	out_str(o, "interface", owner ? owner->interface : "");
	model_put_held(a, o);
	put_nodes_of(a, o);
	out_close(o);
}

static void put_claims(const struct model *m, struct out *o)
{
	out_table(o, &claims_table);
	out_list(o, "addresses");
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; i < s->n_addresses; i++)
			if (is_of_layer2(&s->addresses[i]))
				put_claim(s, &s->addresses[i], o);
	out_close(o);
	out_table_end(o);
}

/* ---- moves ---- */

static const struct out_table moves_table = {
	.title = "Moves, the last first",
	.if_any = true,
	.columns = { { "ago", "WHEN" },
	             { "address", "ADDRESS" },
	             { "service", "SERVICE" },
	             { "from", "FROM" },
	             { "to", "TO" },
	             { "took", "TOOK" },
	             { "why", "CAUSE" } },
};

struct told_move {
	const char *to;
	const struct model_move *move;
};

static int by_age(const void *a, const void *b)
{
	const struct told_move *x = a, *y = b;

	if (x->move->ago_ms != y->move->ago_ms)
		return x->move->ago_ms < y->move->ago_ms ? -1 : 1;
	int to = strcmp(x->to, y->to);
	return to ? to : strcmp(x->move->address, y->move->address);
}

static void put_move(const struct told_move *t, struct out *o)
{
	const struct model_move *m = t->move;
	cleanup(buf_fini) struct buf ago = BUF_INIT, took = BUF_INIT;

	model_put_duration(m->ago_ms, &ago);
	out_object(o, NULL);
	out_row(o);
	out_str(o, "address", m->address);
	out_str(o, "service", m->service);
	out_str(o, "from", m->from);
	out_str(o, "to", t->to);
	out_str(o, "cause", m->cause);
	out_int(o, "ago_ms", m->ago_ms);
	out_cell(o, "ago", "%s ago", buf_str(&ago));
	if (m->took_ms >= 0) {
		out_int(o, "took_ms", m->took_ms);
		model_put_duration(m->took_ms, &took);
		out_cell(o, "took", "%s", buf_str(&took));
	}
	out_cell(o, "why", "%s", model_sentence(m->cause));
	out_close(o);
}

static void put_moves(const struct model *m, struct out *o)
{
	size_t n = 0, max = 0;

	for (size_t i = 0; i < m->n_nodes; i++)
		max += m->nodes[i].l2.n_moves;
	cleanup_free struct told_move *all = xcalloc(max + 1, sizeof(*all));
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].l2.n_moves; k++)
			all[n++] = (struct told_move){ m->nodes[i].name, &m->nodes[i].l2.moves[k] };
	qsort(all, n, sizeof(*all), by_age);
	size_t shown = o->format == OUT_TEXT && n > MOVES_SHOWN ? MOVES_SHOWN : n;
	out_table(o, &moves_table);
	out_list(o, "moves");
	for (size_t i = 0; i < shown; i++)
		put_move(&all[i], o);
	out_close(o);
	out_table_end(o);
	if (shown < n)
		out_say(o, "  … and %zu before them (--output wide)", n - shown);
}

void cluster_l2_print(struct model *m, const struct findings *f, struct out *o)
{
	model_sort(m);
	out_object(o, NULL);
	verdict_print(f, "verdict", o);
	put_segments(m, o);
	put_peers(m, o);
	put_claims(m, o);
	put_moves(m, o);
	out_close(o);
}
