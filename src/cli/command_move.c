/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead move` and `fairlead release`: what a person would edit in a Service so that it has
 * another address.
 *
 * Nothing is decided here.  The Service as it would be goes through the same plan as `fairlead
 * plan`, under the configuration in force, and what the controller would refuse is not written; the
 * plan without the edit shows whom else it concerns.  What release asks for is what that plan gives
 * to a new Service which is otherwise the same.  The patch names the version that was looked at, so
 * that it overwrites nobody's edit.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/amend.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/plan.h"
#include "cli/trial.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* One run: the cluster, the edit, and what would come of it. */
struct work {
	const struct command_options *o;
	struct trial t;
	char *key; /* the Service's */
	size_t at; /* its place in the trial */
	struct amendment edit;
	struct plan *without, *with;
	struct plan_outcome outcome;
	const char *refusal; /* by the outcome; NULL: it may be written */
};

static void work_fini(struct work *w)
{
	plan_outcome_fini(&w->outcome);
	plan_free(w->with);
	plan_free(w->without);
	amend_fini(&w->edit);
	free(w->key);
	trial_fini(&w->t);
}

static int read_all(struct work *w, struct err *e)
{
	int r = trial_read(&w->t, w->o, e);

	if (r < 0)
		return r;
	w->key = trial_key(w->o->operands[0]);
	if (trial_find(&w->t, w->key, &w->at))
		return 0;
	return err_set(e, -ENOENT, ERR_CONFIG, "there is no Service %s, or it cannot be read",
	               w->key);
}

/* ---- the edits ---- */

static int check_to(const struct command_options *o, struct addr to[static IPAM_ADDRS_MAX],
                    size_t *ret_n, struct err *e)
{
	size_t n = 0;

	for (const char *at = o->packet.to; at;) {
		const char *comma = strchr(at, ',');
		cleanup_free char *word = xstrndup(at, comma ? (size_t)(comma - at) : SIZE_MAX);
		if (n == IPAM_ADDRS_MAX)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "--to %.100s: a Service has %d addresses at most",
			               o->packet.to, IPAM_ADDRS_MAX);
		if (addr_parse(word, &to[n]) < 0)
			return err_set(e, -EINVAL, ERR_CONFIG, "--to \"%.100s\" is no address",
			               word);
		n++;
		at = comma ? comma + 1 : NULL;
	}
	*ret_n = n;
	return 0;
}

/* What is asked for of a family that is not moved goes on being asked for. */
static void keep_other_family(const struct work *w, struct addr addrs[static IPAM_ADDRS_MAX],
                              size_t *n)
{
	struct ipam_request r = { 0 };
	const size_t n_moved = *n;

	ipam_request_of(w->edit.was, w->o->load_balancer_class, &r);
	for (size_t i = 0; i < r.n_asked && *n < IPAM_ADDRS_MAX; i++)
		if (!addrs_have_family(addrs, n_moved, r.asked[i].family))
			addrs[(*n)++] = r.asked[i];
	ipam_request_fini(&r);
}

static void ask_addresses(struct work *w, const struct addr *addrs, size_t n)
{
	const struct config_pool *pool = configuration_giving_pool_of(w->t.config, &addrs[0]);

	amend_ask_addresses(&w->edit, addrs, n, pool ? pool->name : NULL);
}

static int edit_move(struct work *w, struct err *e)
{
	const struct command_options *o = w->o;
	struct addr to[IPAM_ADDRS_MAX] = { { .family = 0 } };
	size_t n = 0;

	if (o->pool) {
		amend_ask_pool(&w->edit, o->pool);
		return 0;
	}
	int r = check_to(o, to, &n, e);
	if (r < 0)
		return r;
	keep_other_family(w, to, &n);
	ask_addresses(w, to, n);
	return 0;
}

/* So that nobody has its name: "~" is in none. */
#define NEWCOMER "~new"

/*
 * The same Service, as if it were created now, and beside the other one, which has what it has
 * until it has something else.
 */
static struct plan *plan_newcomer(const struct work *w, const struct amendment *any,
                                  const char *name)
{
	struct kube_service s = any->service;
	cleanup_free char *own_name = xstrdup(name);

	s.meta.name = own_name;
	s.ingress = NULL;
	s.n_ingress = 0;
	s.conditions = NULL;
	s.n_conditions = 0;
	s.external_ips = NULL;
	s.n_external_ips = s.n_external_assigned = 0;
	s.external_pool = NULL;
	return trial_plan(&w->t, w->at, w->edit.was, &s);
}

static int edit_release(struct work *w, struct err *e)
{
	struct plan_outcome now = { .fails = false }, other = { .fails = false };
	cleanup_free char *name = xasprintf("%s" NEWCOMER, w->edit.was->meta.name);
	cleanup_free char *key = xasprintf("%s" NEWCOMER, w->key);
	struct amendment any;
	int r = 0;

	amend_init(&any, w->edit.was);
	amend_ask_any(&any);
	struct plan *p = plan_newcomer(w, &any, name);
	bool known = plan_outcome_of(w->without, w->key, &now) && plan_outcome_of(p, key, &other);

	if (!known || now.n_before == 0)
		r = err_set(e, -ENOENT, ERR_CONFIG, "%s has no address of a load balancer", w->key);
	else if (other.n_after == 0)
		r = err_set(e, -ENOSPC, ERR_CONFIG,
		            "there is no other address for %s: %s; nothing was changed", w->key,
		            other.message);
	else
		ask_addresses(w, other.after,
		              other.n_after < IPAM_ADDRS_MAX ? other.n_after : IPAM_ADDRS_MAX);
	plan_outcome_fini(&now);
	plan_outcome_fini(&other);
	plan_free(p);
	amend_fini(&any);
	return r;
}

/* ---- what comes of it ---- */

/* All that is asked for by name, or what it has is of the pool. */
static bool is_fulfilled(const struct work *w)
{
	const struct plan_outcome *is = &w->outcome;
	struct ipam_request r = { 0 };
	bool yes = is->n_after > 0;

	ipam_request_of(&w->edit.service, w->o->load_balancer_class, &r);
	for (size_t i = 0; i < r.n_asked; i++)
		yes &= addrs_contain(is->after, is->n_after, &r.asked[i]);
	for (size_t i = 0; w->o->pool && i < is->n_after; i++) {
		const struct config_pool *pool =
			configuration_giving_pool_of(w->t.config, &is->after[i]);
		yes &= pool && !strcmp(pool->name, w->o->pool);
	}
	ipam_request_fini(&r);
	return yes;
}

static void look_ahead(struct work *w)
{
	w->with = trial_plan(&w->t, w->at, &w->edit.service, NULL);
	if (!plan_outcome_of(w->with, w->key, &w->outcome))
		w->refusal = "it is no Service of type LoadBalancer that it handles";
	else if (w->outcome.fails || !is_fulfilled(w))
		w->refusal = w->outcome.message;
}

static void put_list(const struct addr *addrs, size_t n, const struct addr *but, size_t n_but,
                     struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		if (!addrs_contain(but, n_but, &addrs[i]))
			buf_printf(out, "%s%s", out->size ? ", " : "", addr_str(&addrs[i]));
}

static void __attribute__((format(printf, 2, 3))) say(struct out *o, const char *fmt, ...)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	out_str(o, NULL, buf_str(&text));
	out_wrap(o, 2, buf_str(&text));
}

static void say_who_has_it(const struct work *w, const struct addr *a, struct out *o)
{
	bool had = false;
	const char *other = plan_other_with(w->with, w->key, a, &had);

	if (!other)
		say(o, "%s is free then, or cools down first where its pool says so.", addr_str(a));
	else if (had)
		say(o, "%s stays with %s, which has it, too.", addr_str(a), other);
	else
		say(o, "%s goes to %s.", addr_str(a), other);
}

/*
 * The status is written once.  Only a pool with renumber has the new address beside the old one for
 * a while, and a Service that asks for something does not wait for that (ipam/stays.c).
 */
static void say_traffic(const struct work *w, struct out *o)
{
	const struct plan_outcome *is = &w->outcome;
	cleanup(buf_fini) struct buf lost = BUF_INIT, gained = BUF_INIT;

	put_list(is->before, is->n_before, is->after, is->n_after, &lost);
	put_list(is->after, is->n_after, is->before, is->n_before, &gained);
	if (lost.size == 0 && gained.size == 0)
		say(o, "Its addresses stay as they are, and so does its traffic.");
	else if (lost.size == 0)
		say(o, "%s is reached as soon as it stands in the status%s.", buf_str(&gained),
		    is->n_before ? ", and what the Service has stays as it is" : "");
	else if (gained.size == 0)
		say(o, "%s is given up, and connections to it break.", buf_str(&lost));
	else
		say(o,
		    "The status gets %s in place of %s in one write: nodes begin to announce the "
		    "new and stop announcing the old at the same time. Connections to %s break, "
		    "and clients that know the Service by a name wait until that leads to %s.",
		    buf_str(&gained), buf_str(&lost), buf_str(&lost), buf_str(&gained));
	if (is->is_silent)
		say(o, "Not all that it has then would be announced: the table says why.");
	for (size_t i = 0; i < is->n_before; i++)
		if (!addrs_contain(is->after, is->n_after, &is->before[i]))
			say_who_has_it(w, &is->before[i], o);
}

static void show_edit(const struct work *w, struct out *o)
{
	cleanup(buf_fini) struct buf typed = BUF_INIT, patch = BUF_INIT;

	amend_put_commands(&w->edit, &typed);
	amend_put_patch(&w->edit, &patch);
	out_str(o, "patch", amend_is_empty(&w->edit) ? NULL : buf_str(&patch));
	out_say(o, amend_is_empty(&w->edit) ? "Nothing is to be edited: it asks for that already."
	                                    : "The edit:");
	out_list(o, "commands");
	for (const char *line = buf_str(&typed); *line;) {
		size_t n = strcspn(line, "\n");
		out_printf(o, NULL, "%.*s", (int)n, line);
		out_say(o, "  %.*s", (int)n, line);
		line += n + (line[n] != '\0');
	}
	out_close(o);
}

static void show(const struct work *w, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "service", w->key);
	show_edit(w, o);
	out_str(o, "refused", w->refusal);
	plan_print_part(w->with, w->without, w->key, "plan", o);
	out_list(o, "traffic");
	if (!w->refusal) {
		out_gap(o);
		out_say(o, "Traffic:");
		say_traffic(w, o);
	}
	out_close(o);
	out_close(o);
}

static void print(const struct work *w)
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, w->o);
	show(w, &a.out);
	command_print(&a);
	/* The question comes behind it. */
	fflush(stdout);
}

/* ---- whether it is done ---- */

static int write_edit(const struct work *w, struct err *e)
{
	const struct kube_meta *meta = &w->edit.was->meta;
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/services/%s", meta->namespace, meta->name);
	cleanup(buf_fini) struct buf patch = BUF_INIT;
	int status = 0;

	amend_put_patch(&w->edit, &patch);
	const struct kube_request_spec spec = {
		.method = "PATCH", .path = path, .body = buf_str(&patch), .patch = KUBE_PATCH_MERGE
	};
	if (gather_request(w->t.g, &spec, &status, e) < 0) {
		err_prefix(e, "%s",
		           status == 409 ? "somebody has edited it meanwhile; look again" : w->key);
		return COMMAND_FAILED;
	}
	fprintf(stderr, "%s is edited; fairlead explain %s tells what has come of it\n", w->key,
	        w->key);
	return COMMAND_OK;
}

static int conclude(const struct work *w, struct err *e)
{
	if (w->refusal) {
		err_set(e, -EPERM, ERR_CONFIG, "the controller would refuse that: %s", w->refusal);
		return COMMAND_CHANGES;
	}
	if (w->o->dry_run || amend_is_empty(&w->edit))
		return COMMAND_OK;
	return ask_is_wanted(w->o->yes) ? write_edit(w, e) : COMMAND_FAILED;
}

static int run_edit(const struct command_options *o, int (*edit)(struct work *w, struct err *e),
                    struct err *e)
{
	cleanup(work_fini) struct work w = { .o = o };

	if (o->state.n && !o->dry_run) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "manifests are not edited: --state needs --dry-run");
		return COMMAND_USAGE;
	}
	if (read_all(&w, e) < 0)
		return COMMAND_FAILED;
	amend_init(&w.edit, w.t.in.services[w.at]);
	w.without = trial_plan(&w.t, w.at, w.edit.was, NULL);
	int r = edit(&w, e);
	if (r < 0)
		return r == -EINVAL ? COMMAND_USAGE : COMMAND_CHANGES;
	look_ahead(&w);
	print(&w);
	return state_exit(&w.t.state, conclude(&w, e), e);
}

static int run_move(const struct command_options *o, struct err *e)
{
	if (!o->packet.to == !o->pool) {
		err_set(e, -EINVAL, ERR_CONFIG, "move needs either --to ADDRESS or --pool NAME");
		return COMMAND_USAGE;
	}
	return run_edit(o, edit_move, e);
}

static int run_release(const struct command_options *o, struct err *e)
{
	return run_edit(o, edit_release, e);
}

#define UNWANTED "nobody said to go on, or the API server refused it"
#define REFUSED "the controller would refuse it, or there is no other address; nothing was changed"

const struct command command_move = {
	.words = { "move" },
	.operands = "[NAMESPACE/]SERVICE --to ADDRESS[,ADDRESS]...|--pool NAME [--dry-run]",
	.names = NAMES_SERVICES,
	.n = 1,
	.flags = FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_STATE | FLAGS_CLASS | FLAGS_EDIT |
	         FLAGS_POOL | FLAGS_TO,
	.summary = "edits a Service so that it asks for this address, or for one of this pool; the "
		   "edit and what would come of it are shown first",
	.about = "What the controller would refuse is not written.  The namespace is default if "
		 "none is given.  With --state and --dry-run the cluster is that of the manifests.",
	.exits = { [COMMAND_FAILED] = UNWANTED, [COMMAND_CHANGES] = REFUSED },
	.run = run_move,
};

const struct command command_release = {
	.words = { "release" },
	.operands = "[NAMESPACE/]SERVICE [--dry-run]",
	.names = NAMES_SERVICES,
	.n = 1,
	.flags = FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_STATE | FLAGS_CLASS | FLAGS_EDIT,
	.summary = "edits a Service so that it gives its addresses back and gets others: it asks "
		   "for what a new one like it would be given; shown first, as by move",
	.about = "The namespace is default if none is given.  With --state and --dry-run the "
		 "cluster is that of the manifests.",
	.exits = { [COMMAND_FAILED] = UNWANTED, [COMMAND_CHANGES] = REFUSED },
	.run = run_release,
};
