/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead proxy diff`: whether the nodes' kernels hold what is wanted of them. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/state.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* Longer than a speaker takes. */
#define DIFF_PATIENCE_S 25
/* More rows tell a person nothing; the other formats have all. */
#define DIFFERENCES_SHOWN 50

struct asking {
	const struct pods *pods;
	struct out *o;
	size_t n_differences, n_unknown;
};

static const struct out_table differences_table = {
	.indented = true,
	.if_any = true,
	.columns = { { "what", "WHAT" },
	             { "table", "TABLE" },
	             { "chain", "CHAIN" },
	             { "service", "SERVICE" },
	             { "rule", "RULE" } },
};

/* ---- a family ---- */

static void put_difference(struct json_object *f, struct out *o)
{
	static const char *const keys[] = { "what", "table", "chain", "rule", "service" };

	out_object(o, NULL);
	out_row(o);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		out_str(o, keys[i], kube_json_str(f, keys[i], NULL));
	out_close(o);
}

static void say_family(int64_t family, const char *state, const char *error, size_t n, bool settled,
                       struct out *o)
{
	if (!strcmp(state, "absent"))
		out_say(o, "  IPv%d: the node cannot carry it%s%s", (int)family, error ? ": " : "",
		        error ? error : "");
	else if (strcmp(state, "compared") != 0)
		out_say(o, "  IPv%d: not compared (%s)%s%s", (int)family, state, error ? ": " : "",
		        error ? error : "");
	else if (n == 0)
		out_say(o, "  IPv%d: no difference", (int)family);
	else
		out_say(o, "  IPv%d: %zu difference%s%s", (int)family, n, n == 1 ? "" : "s",
		        settled ? "" : "; the node is writing now, so ask again");
}

static void put_family(struct json_object *f, struct asking *a)
{
	struct json_object *list = kube_json_get(f, "differences", json_type_array, NULL);
	const char *state = kube_json_str(f, "state", NULL);
	const char *error = kube_json_str(f, "error", NULL);
	int64_t family = kube_json_int(f, "family", 4, 6, 0, NULL);
	int64_t left_out = kube_json_int(f, "left_out", 0, INT32_MAX, 0, NULL);
	size_t n = list ? json_object_array_length(list) : 0;
	size_t shown = out_is_text(a->o) && n > DIFFERENCES_SHOWN ? DIFFERENCES_SHOWN : n;
	bool settled = kube_json_bool(f, "settled", true, NULL);

	state = state ? state : "unknown";
	a->n_differences += n;
	a->n_unknown += strcmp(state, "compared") != 0 && strcmp(state, "absent") != 0;
	say_family(family, state, error, n + (size_t)left_out, settled, a->o);
	out_object(a->o, NULL);
	out_int(a->o, "family", family);
	out_str(a->o, "state", state);
	out_str(a->o, "error", error);
	out_bool(a->o, "settled", settled);
	out_table(a->o, &differences_table);
	out_list(a->o, "differences");
	for (size_t i = 0; i < shown; i++)
		put_difference(json_object_array_get_idx(list, i), a->o);
	out_close(a->o);
	out_table_end(a->o);
	out_int(a->o, "left_out", left_out);
	out_close(a->o);
	if (shown < n + (size_t)left_out)
		out_say(a->o, "  … and %zu more", n + (size_t)left_out - shown);
}

/* ---- a node ---- */

static void heard(const char *node, struct json_object *said, const char *why, void *arg)
{
	struct asking *a = arg;
	struct json_object *list =
		said ? kube_json_get(said, "families", json_type_array, NULL) : NULL;
	const char *mode = said ? kube_json_str(said, "mode", NULL) : NULL;
	cleanup(buf_fini) struct buf words = BUF_INIT;

	if (!said)
		pods_silence(a->pods, node, why, &words);
	else if (!list)
		buf_puts(&words, "its answer is none of a speaker of this version");
	else if (kube_json_str(said, "error", NULL))
		buf_puts(&words, kube_json_str(said, "error", NULL));
	a->n_unknown += words.size > 0;
	out_object(a->o, NULL);
	out_str(a->o, "node", node);
	out_str(a->o, "mode", mode);
	out_str(a->o, "error", words.size ? buf_str(&words) : NULL);
	if (words.size)
		out_say(a->o, "%s: no answer: %s", node, buf_str(&words));
	else
		out_say(a->o, "%s: mode %s%s", node, mode ? mode : "?",
		        json_object_array_length(list) ? "" : ": others carry the traffic");
	out_list(a->o, "families");
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		put_family(json_object_array_get_idx(list, i), a);
	out_close(a->o);
	out_close(a->o);
}

static int node_cmp(const void *a, const void *b)
{
	const struct gather_daemon *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static size_t speakers_of(const struct command_options *o, const struct state *s,
                          struct gather_daemon **ret)
{
	static const struct addr none;
	size_t n_nodes, n = 0;
	const struct kube_node **nodes = state_nodes(s, &n_nodes);
	struct gather_daemon *speakers = xcalloc(n_nodes + 1, sizeof(*speakers));

	for (size_t i = 0; i < n_nodes; i++) {
		const struct kube_node *node = nodes[i];
		if (o->node && strcmp(o->node, node->meta.name) != 0)
			continue;
		speakers[n] =
			pods_ask_speaker(&s->pods, node->meta.name,
		                         node->n_internal_ips ? &node->internal_ips[0] : &none,
		                         o->speaker.port);
		speakers[n].path = "/dump/diff";
		speakers[n++].patience_s = DIFF_PATIENCE_S;
	}
	qsort(speakers, n, sizeof(*speakers), node_cmp);
	free(nodes);
	*ret = speakers;
	return n;
}

static int exit_status(const struct asking *a)
{
	if (a->n_differences)
		return COMMAND_CHANGES;
	return a->n_unknown ? COMMAND_INCOMPLETE : COMMAND_OK;
}

static int ask(const struct command_options *o, struct gather *g, struct err *e)
{
	cleanup(command_answer_fini) struct command_answer a;
	cleanup(state_fini) struct state s = { 0 };
	cleanup_free char *namespace = options_namespace(&o->kube);
	struct asking asking = { .pods = &s.pods, .o = &a.out };
	struct gather_daemon *speakers;

	command_answer_init(&a, o);
	if (state_read_live(&s, g, namespace, true, e) < 0)
		return COMMAND_FAILED;
	size_t n = speakers_of(o, &s, &speakers);
	if (o->node && n == 0) {
		err_set(e, -ENOENT, ERR_CONFIG, "there is no Node %.300s", o->node);
		free(speakers);
		return COMMAND_FAILED;
	}
	out_list(&a.out, NULL);
	gather_daemons(g, speakers, n, o->speaker.token_file, heard, &asking);
	out_close(&a.out);
	command_print(&a);
	free(speakers);
	return exit_status(&asking);
}

static int run_diff(const struct command_options *o, struct err *e)
{
	struct gather *g = NULL;

	if (gather_open(&o->kube, &g, e) < 0)
		return COMMAND_FAILED;
	int status = ask(o, g, e);
	gather_close(g);
	return status;
}

const struct command command_proxy_diff = {
	.words = { "proxy", "diff" },
	.operands = "",
	.flags = FLAGS_NODE | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary = "what differs on the nodes between the rules that the kernel holds and those "
		   "that are wanted",
	.about =
		"The speakers are asked, and compare everything; nothing is repaired by that. What "
		"a speaker finds by itself it repairs within seconds, so a difference that stays "
		"is one that it cannot see or mend.",
	.exits = { [COMMAND_OK] = "no difference",
	           [COMMAND_CHANGES] = "there are differences",
	           [COMMAND_INCOMPLETE] = "none was found, but a speaker did not answer, or could "
	                                  "not compare" },
	.run = run_diff,
};
