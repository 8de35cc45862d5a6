/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fairlead uninstall marks fairlead-active, which every daemon follows, waits until each speaker
 * says that it has cleaned up, and takes the mark off again, so that who installs once more finds
 * none; also when it is interrupted.
 *
 * A speaker that does not answer, to us or to the API server, holds it up: nothing tells whether it
 * has cleaned up.  It is passed over only where its Node is gone or not Ready, and what stood in
 * the kernel most likely with it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/interrupt.h"
#include "cli/pods.h"
#include "fairlead/clock.h"
#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/kube_types.h"
#include "fairlead/mem.h"

#define AGAIN_S 1
#define ATTEMPTS 5
/* A word, and an error. */
#define SAID_SIZE (64 + ERR_MSG_SIZE)

struct speaker {
	const struct kube_pod *pod;
	char said[SAID_SIZE]; /* how far its speaker has come, or why that is not known; "": done */
	bool silent;
};

struct round {
	struct pods pods;
	struct speaker *speakers; /* those of them whose node is known */
	size_t n;
	char **ready; /* Nodes, by name */
	size_t n_ready, cap_ready;
	bool released;
};

static void round_fini(struct round *u)
{
	for (size_t i = 0; i < u->n_ready; i++)
		free(u->ready[i]);
	free(u->ready);
	free(u->speakers);
	pods_fini(&u->pods);
}

/* ---- the mark ---- */

/* @mark NULL takes it off. */
static int set_mark(struct gather *g, const char *namespace, const char *mark, int *ret_status,
                    struct err *e)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *maps = xasprintf("/api/v1/namespaces/%s/configmaps", namespace);
	cleanup_free char *active = xasprintf("%s/" CONFIG_MAP_ACTIVE, maps);

	buf_puts(
		&body,
		"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"" CONFIG_MAP_ACTIVE
		"\",\"annotations\":{\"" UNINSTALL_ANNOTATION "\":");
	buf_json_str(&body, mark);
	buf_puts(&body, "}}}");
	const struct kube_request_spec patch = { .method = "PATCH",
		                                 .path = active,
		                                 .body = buf_str(&body),
		                                 .patch = KUBE_PATCH_MERGE,
		                                 .max_retries = ATTEMPTS - 1 };
	int r = gather_request(g, &patch, ret_status, e);
	if (*ret_status != 404)
		return r;
	*e = (struct err)ERR_INIT;
	if (!mark)
		return 0;
	/* Nothing was ever accepted; the speakers follow that name nevertheless. */
	const struct kube_request_spec post = {
		.method = "POST", .path = maps, .body = buf_str(&body), .max_retries = ATTEMPTS - 1
	};
	return gather_request(g, &post, ret_status, e);
}

/* What went wrong before comes first. */
static void take_off(struct gather *g, const char *namespace, struct err *e)
{
	struct err left = ERR_INIT;
	int status = 0;

	if (set_mark(g, namespace, NULL, &status, &left) == 0)
		return;
	if (e->blame == ERR_NONE)
		*e = left;
	err_prefix(e, "annotation " UNINSTALL_ANNOTATION
	              " may be left at ConfigMap " CONFIG_MAP_ACTIVE ", and is to be taken off");
}

/* ---- how far it has come ---- */

static void put_pod(struct json_object *obj, void *arg)
{
	struct round *u = arg;
	struct err ignored = ERR_INIT;

	pods_put(&u->pods, obj, &ignored);
}

static void put_node(struct json_object *obj, void *arg)
{
	struct round *u = arg;
	struct kube_node *n = NULL;
	struct err ignored = ERR_INIT;

	if (kube_node_parse(obj, &n, &ignored) == 0 && n->ready) {
		ARRAY_RESERVE(u->ready, u->cap_ready, u->n_ready + 1);
		u->ready[u->n_ready++] = xstrdup(n->meta.name);
	}
	kube_node_free(n);
}

static void put_active(struct json_object *obj, void *arg)
{
	struct round *u = arg;
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	struct json_object *annotations =
		meta ? kube_json_get(meta, "annotations", json_type_object, NULL) : NULL;
	const char *mark =
		annotations ? kube_json_str(annotations, UNINSTALL_ANNOTATION, NULL) : NULL;

	u->released = mark && !strcmp(mark, UNINSTALL_RELEASED);
}

static void put_speaker(const char *pod, struct json_object *status, const char *why, void *arg)
{
	struct round *u = arg;
	const char *said = status ? kube_json_str(status, "uninstalled", NULL) : why;
	const char *error = status ? kube_json_str(status, "uninstall_error", NULL) : NULL;

	for (size_t i = 0; i < u->n; i++) {
		struct speaker *p = &u->speakers[i];
		if (p->pod->meta.name != pod)
			continue;
		p->silent = !status;
		snprintf(p->said, sizeof(p->said), "%s%s%s",
		         !said                             ? "it knows of no uninstalling"
		         : status && !strcmp(said, "done") ? ""
		                                           : said,
		         error ? ": " : "", error ? error : "");
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void ask_speakers(const struct command_options *o, struct gather *g, struct round *u)
{
	struct gather_daemon *daemons = xcalloc(u->pods.n + 1, sizeof(*daemons));

	u->speakers = xcalloc(u->pods.n + 1, sizeof(*u->speakers));
	for (size_t i = 0; i < u->pods.n; i++) {
		const struct kube_pod *pod = u->pods.items[i];
		if (!pod_is(pod, PODS_SPEAKER) || !pod->node)
			continue;
		daemons[u->n] = pods_ask(pod, o->speaker.port);
		u->speakers[u->n++].pod = pod;
	}
	gather_daemons(g, daemons, u->n, o->speaker.token_file, put_speaker, u);
	free(daemons);
}

static int look(const struct command_options *o, struct gather *g, const char *namespace,
                struct round *u, struct err *e)
{
	cleanup_free char *pods = gather_pods_path(namespace);
	cleanup_free char *active =
		xasprintf("/api/v1/namespaces/%s/configmaps/" CONFIG_MAP_ACTIVE, namespace);
	const struct gather_row rows[] = {
		{ pods, true, false, put_pod },
		{ "/api/v1/nodes", true, false, put_node },
		{ active, false, true, put_active },
	};
	int r = gather_api(g, rows, ARRAY_LEN(rows), u, e);

	if (r < 0)
		return r;
	ask_speakers(o, g, u);
	qsort(u->ready, u->n_ready, sizeof(*u->ready), by_name);
	return 0;
}

/* Its Node is gone or not Ready, and nobody can ask it. */
static bool is_passed_over(const struct round *u, const struct speaker *p)
{
	return p->silent && (!u->n_ready || !bsearch(&p->pod->node, u->ready, u->n_ready,
	                                             sizeof(*u->ready), by_name));
}

static bool is_done(const struct round *u, const struct speaker *p)
{
	return !*p->said || is_passed_over(u, p);
}

static bool all_done(const struct command_options *o, const struct round *u)
{
	for (size_t i = 0; i < u->n; i++)
		if (!is_done(u, &u->speakers[i]))
			return false;
	return u->n > 0 && (u->released || !o->release_addresses);
}

/* Where nobody was found there is nothing to wait for but the addresses. */
static bool may_end(const struct command_options *o, const struct round *u)
{
	return all_done(o, u) || (u->n == 0 && (u->released || !o->release_addresses));
}

static void put_said(const struct round *u, const struct speaker *p, struct buf *out)
{
	buf_printf(out, "%s%s%s", p->silent && !is_passed_over(u, p) ? "not verified: " : "",
	           *p->said ? p->said : "cleaned up",
	           is_passed_over(u, p) ? "; its Node is gone or not Ready, passed over" : "");
}

static void put_pods(const struct round *u, struct out *out)
{
	out_list(out, "nodes");
	for (size_t i = 0; i < u->n; i++) {
		const struct speaker *p = &u->speakers[i];
		cleanup(buf_fini) struct buf said = BUF_INIT;
		put_said(u, p, &said);
		out_object(out, NULL);
		out_str(out, "node", p->pod->node);
		out_bool(out, "done", is_done(u, p));
		out_str(out, "message", buf_str(&said));
		out_close(out);
		out_say(out, "node %s: %s", p->pod->node, buf_str(&said));
	}
	out_close(out);
}

static void print(const struct command_options *o, const char *namespace, const struct round *u)
{
	cleanup(command_answer_fini) struct command_answer a;
	struct out *out = &a.out;

	command_answer_init(&a, o);
	out_object(out, NULL);
	put_pods(u, out);
	if (u->n == 0)
		out_say(out,
		        "not verified: no speaker has a Pod with our labels in namespace %s, so none was waited "
		        "for; on nodes where speakers run by hand, stop them and run "
		        "fairlead-speaker --cleanup",
		        namespace);
	if (o->release_addresses) {
		out_bool(out, "addresses_taken_back", u->released);
		out_say(out, "addresses: %s", u->released ? "taken back" : "not taken back yet");
	} else {
		out_str(out, "addresses_taken_back", NULL);
	}
	out_close(out);
	command_print(&a);
}

/* Somebody at a terminal is asked; what runs by itself has no one to ask. */
static bool is_wanted(const struct command_options *o)
{
	if (o->yes || !ask_has_terminal())
		return true;
	fputs("Every speaker will stop announcing and remove its rules, so no Service can be reached by "
	      "its addresses until Fairlead is installed again. ",
	      stderr);
	if (o->release_addresses)
		fputs("The Services lose their addresses, too. ", stderr);
	return ask_goes_on();
}

/* True: all has been cleaned up; what has become of it is printed. */
static bool wait_for_speakers(const struct command_options *o, struct gather *g,
                              const char *namespace, struct err *e)
{
	int64_t until_ms = clock_ms() + o->timeout_s * INT64_C(1000);

	for (;;) {
		cleanup(round_fini) struct round u = { 0 };
		*e = (struct err)ERR_INIT;
		int r = look(o, g, namespace, &u, e);
		if ((r == 0 && may_end(o, &u)) || interrupted || clock_ms() >= until_ms) {
			print(o, namespace, &u);
			return r == 0 && all_done(o, &u);
		}
		sleep(AGAIN_S);
	}
}

static int uninstall(const struct command_options *o, struct gather *g, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	const char *mark = o->release_addresses ? UNINSTALL_RELEASE : UNINSTALL_KEEP;
	int status = 0;

	/* A mark that stayed would end the next installation. */
	interrupt_catch();
	if (set_mark(g, namespace, mark, &status, e) < 0) {
		/* Where no answer came, or one that says nothing, it may be there nevertheless. */
		if (!kube_status_is_final(status))
			take_off(g, namespace, e);
		return COMMAND_FAILED;
	}
	bool done = wait_for_speakers(o, g, namespace, e);
	/* Also where the last look failed; what was wrong with that comes first. */
	take_off(g, namespace, e);
	return done && e->blame == ERR_NONE ? COMMAND_OK : COMMAND_FAILED;
}

static int run_uninstall(const struct command_options *o, struct err *e)
{
	struct gather *g;

	if (!is_wanted(o)) {
		fputs("Nothing was done.\n", stderr);
		return COMMAND_FAILED;
	}
	if (gather_open(&o->kube, &g, e) < 0)
		return COMMAND_FAILED;
	int exit_status = uninstall(o, g, e);
	gather_close(g);
	return exit_status;
}

const struct command command_uninstall = {
	.words = { "uninstall" },
	.operands = "",
	.flags = FLAGS_UNINSTALL | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary = "tells every speaker to take away what it announces and its rules, and waits "
		   "for it; to be followed by deleting the Pods",
	.exits = { [COMMAND_FAILED] = "not all has been cleaned up in time, or it cannot be "
	                              "verified" },
	.run = run_uninstall,
};
