/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/explain.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/explain_private.h"
#include "cli/model_private.h"
#include "fairlead/bgp.h"
#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* ---- what the objects say ---- */

static void set_row(struct explain_row *row, bool announce, const char *reason, const char *message)
{
	free(row->reason);
	free(row->message);
	row->announce = announce;
	row->reason = xstrdup(reason);
	row->message = xstrdup(message);
}

/* How many peers the node has; which of them it is refused goes to @out. */
static size_t read_peers(const struct explain *x, const struct kube_node *node, struct buf *out)
{
	const struct configuration *c = view_configuration(x->view);
	struct config_node_peer *peers = NULL;
	size_t n = c ? config_node_peers(c, &node->meta.labels, &peers) : 0;

	for (size_t i = 0; i < n; i++)
		if (peers[i].refused)
			bgp_put_left_out(peers[i].peer->name, &peers[i].peer->address,
			                 REASON_BgpPeerRefused, peers[i].refused, out);
	config_node_peers_free(peers, n);
	return n;
}

/* What the speaker of this node would find in its own way, as far as the objects tell. */
static enum reason speaker_reason(const struct kube_node *node, enum protocol protocol,
                                  size_t n_peers)
{
	if (!node->ready)
		return REASON_NodeNotReady;
	if (protocol == PROTOCOL_BGP && !n_peers)
		return REASON_BgpNoPeer;
	return REASON_Candidate;
}

static void put_candidate(const struct explain_address *a, const char *node, const char *refused,
                          struct buf *out)
{
	buf_printf(out, "this node may announce the address to its peers%s", refused);
	config_pool_say_advertisements(a->decision.pool, decide_advertisements(&a->decision, node),
	                               out);
}

/* @node is NULL where there is only a @name. */
static void add_row(struct explain *x, struct explain_address *a, const char *name,
                    const struct kube_node *node, enum protocol protocol)
{
	enum reason reason = decide_node(&a->decision, name, protocol);
	cleanup(buf_fini) struct buf message = BUF_INIT, refused = BUF_INIT;
	size_t n_peers = node && protocol == PROTOCOL_BGP ? read_peers(x, node, &refused) : 0;

	if (reason == REASON_Candidate && !x->is_live && node)
		reason = speaker_reason(node, protocol, n_peers);
	if (reason == REASON_Candidate && protocol == PROTOCOL_BGP)
		put_candidate(a, name, buf_str(&refused), &message);
	else
		decide_message(&a->decision, reason, name, &message);
	a->rows = xreallocarray(a->rows, a->n_rows + 1, sizeof(*a->rows));
	struct explain_row *row = &a->rows[a->n_rows++];
	*row = (struct explain_row){ .node = xstrdup(name),
		                     .protocol = protocol,
		                     .owner = xstrdup(""),
		                     .cause = xstrdup(""),
		                     .held_ms = -1 };
	set_row(row, reason == REASON_Candidate, reason_name(reason), buf_str(&message));
}

static void add_rows(struct explain *x, struct explain_address *a, const char *name,
                     const struct kube_node *node)
{
	if (a->decision.protocols & PROTOCOL_LAYER2)
		add_row(x, a, name, node, PROTOCOL_LAYER2);
	if (a->decision.protocols & PROTOCOL_BGP)
		add_row(x, a, name, node, PROTOCOL_BGP);
}

static int node_cmp(const void *a, const void *b)
{
	const struct kube_node *const *na = a, *const *nb = b;
	return strcmp((*na)->meta.name, (*nb)->meta.name);
}

struct explain *explain_new(const struct view *v, const struct view_service *s,
                            const struct kube_node *const *nodes, size_t n_nodes, const char *node,
                            bool nodes_stand_for_speakers)
{
	struct explain *x = xcalloc(1, sizeof(*x));
	const struct kube_node **sorted = xcalloc(n_nodes + 1, sizeof(*sorted));

	memcpy(sorted, nodes, n_nodes * sizeof(*sorted));
	qsort(sorted, n_nodes, sizeof(*sorted), node_cmp);
	*x = (struct explain){ .view = v,
		               .service = s,
		               .is_live = !nodes_stand_for_speakers,
		               .is_of_one_node = node };
	x->addresses = xcalloc(s->n_addresses + 1, sizeof(*x->addresses));
	for (size_t i = 0; i < s->n_addresses; i++) {
		struct explain_address *a = &x->addresses[x->n_addresses++];
		a->addr = s->addresses[i].addr;
		a->decision = decide_address(v, s, &a->addr);
		for (size_t k = 0; k < n_nodes; k++)
			if (!node || !strcmp(sorted[k]->meta.name, node))
				add_rows(x, a, sorted[k]->meta.name, sorted[k]);
		if (node && a->n_rows == 0)
			add_rows(x, a, node, NULL);
	}
	free(sorted);
	return x;
}

void explain_free(struct explain *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n_addresses; i++) {
		struct explain_address *a = &x->addresses[i];
		for (size_t k = 0; k < a->n_rows; k++) {
			free(a->rows[k].node);
			free(a->rows[k].reason);
			free(a->rows[k].message);
			free(a->rows[k].owner);
			free(a->rows[k].cause);
		}
		free(a->rows);
	}
	free(x->addresses);
	ipam_free(x->cooling);
	free(x);
}

/* ---- what the speakers say ---- */

static bool is_str(struct json_object *obj, const char *key, const char *value)
{
	const char *s = kube_json_str(obj, key, NULL);

	return s && !strcmp(s, value);
}

/* The list of addresses that a speaker's /status has for the Service, or NULL. */
static struct json_object *addresses_of(const struct view_service *s, struct json_object *status)
{
	struct json_object *list = kube_json_get(status, "services", json_type_array, NULL);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		if (is_str(one, "namespace", s->namespace) && is_str(one, "name", s->name))
			return kube_json_get(one, "addresses", json_type_array, NULL);
	}
	return NULL;
}

static void hear(struct explain_row *row, const struct addr *a, struct json_object *list)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *text = kube_json_str(one, "address", NULL);
		const char *reason = kube_json_str(one, "reason", NULL);
		const char *message = kube_json_str(one, "message", NULL);
		struct addr addr;
		if (!text || addr_parse(text, &addr) < 0 || !addr_eq(&addr, a) || !reason ||
		    !is_str(one, "protocol", protocol_name(row->protocol)))
			continue;
		set_row(row, kube_json_bool(one, "announce", false, NULL), reason,
		        message ? message : "");
		free(row->owner);
		free(row->cause);
		row->owner = model_dup_str(one, "owner");
		row->cause = model_dup_str(one, "cause");
		row->held_ms = kube_json_int(one, "held_ms", -1, INT64_MAX, -1, NULL);
		return;
	}
	/* What the objects forbid is so whether the speaker told it or not. */
	if (!strcmp(row->reason, reason_name(REASON_Candidate)))
		set_row(row, false, reason_name(REASON_Candidate),
		        "the node's speaker says nothing of it yet");
}

void explain_put_speaker(struct explain *x, const char *node, struct json_object *status,
                         enum reason silence, const char *why)
{
	struct json_object *list = status ? addresses_of(x->service, status) : NULL;

	x->incomplete |= !status;
	for (size_t i = 0; i < x->n_addresses; i++) {
		struct explain_address *a = &x->addresses[i];
		for (size_t k = 0; k < a->n_rows; k++) {
			struct explain_row *row = &a->rows[k];
			if (strcmp(row->node, node) != 0)
				continue;
			if (status) {
				hear(row, &a->addr, list);
			} else if (!strcmp(row->reason, reason_name(REASON_Candidate))) {
				cleanup_free char *silent = xasprintf(
					"%s: %s", reason_sentence(REASON_SpeakerSilent), why);
				set_row(row, false, reason_name(silence),
				        silence == REASON_SpeakerSilent ? silent : why);
			}
		}
	}
}

void explain_put_namespace(struct explain *x, const struct labels *labels)
{
	x->namespace_labels = labels;
}

void explain_put_cooling(struct explain *x, const char *text)
{
	const struct configuration *c = view_configuration(x->view);

	if (!c)
		return;
	ipam_free(x->cooling);
	x->cooling = ipam_new((struct configuration *)(uintptr_t)c);
	ipam_set_time(x->cooling, clock_wall_us() / 1000000);
	ipam_read_cooling(x->cooling, text);
}

bool explain_announces(const struct explain *x, const struct addr *addr, const char *node)
{
	for (size_t i = 0; i < x->n_addresses; i++) {
		const struct explain_address *a = &x->addresses[i];
		if (!addr_eq(&a->addr, addr))
			continue;
		for (size_t k = 0; k < a->n_rows; k++)
			if (a->rows[k].announce && !strcmp(a->rows[k].node, node))
				return true;
	}
	return false;
}

bool explain_is_complete(const struct explain *x)
{
	return !x->incomplete;
}
