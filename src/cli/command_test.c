/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead test`: makes a Service of its own, and sees whether what Fairlead promises of it is so:
 * an address, an announcement, and answers by every way that there is, with policy Cluster and then
 * with policy Local.
 *
 * It asks from where it runs, and has a Pod on each node ask.  Those are given their targets at
 * their start and leave what they found behind as their termination message, which comes back in
 * their status: so nothing listens that others could use, and no way into Pods is needed but the
 * API itself, neither exec nor logs nor a proxy.
 *
 * Changes take a moment to arrive, so each look is repeated until it is as it should be, or time is
 * up.  Whatever happens, what was made is removed: a signal only ends the looking.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/interrupt.h"
#include "cli/test_cluster.h"
#include "cli/test_judge.h"
#include "cli/test_neighbour.h"
#include "cli/test_report.h"
#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define AGAIN_MS 500
/* A speaker that is not there is not waited for as long as something that is being made. */
#define SPEAKERS_S 10
#define ARP_S 10
/*
 * So long targets are asked that are not as they should be.  To see that one is silent takes a
 * while, too.
 */
#define ASK_MIN_S 12
#define ASK_MAX_S 30
#define REMOVE_S 60

struct run {
	const struct command_options *o;
	struct test_cluster cluster;
	struct test_report report;
	/* What was asked from here with policy Cluster. */
	struct test_probe *before;
	size_t n_before;
	char *ended; /* why there are no more checks; NULL: there are */
};

static int at_most(int s, int bound)
{
	return s < bound ? s : bound;
}

/* So many seconds targets are asked for, at most. */
static int ask_s(const struct run *r)
{
	return r->o->timeout_s > ASK_MIN_S ? at_most(r->o->timeout_s, ASK_MAX_S) : ASK_MIN_S;
}

/* ---- looking until it is as it should be ---- */

typedef int look_fn(struct test_cluster *c, struct err *e);
typedef enum test_result judge_fn(const struct test_world *w, struct buf *why);

static void pause_a_moment(void)
{
	const struct timespec moment = { 0, AGAIN_MS * 1000000L };

	nanosleep(&moment, NULL);
}

static enum test_result settle(struct run *r, look_fn *look, judge_fn *judge, int timeout_s,
                               struct buf *why)
{
	int64_t until_ms = clock_ms() + timeout_s * INT64_C(1000);

	for (;;) {
		struct err e = ERR_INIT;
		enum test_result result = TEST_FAILED;
		buf_clear(why);
		if (look(&r->cluster, &e) == 0)
			result = judge(&r->cluster.world, why);
		else
			buf_puts(why, e.msg);
		if (result != TEST_FAILED || interrupted || clock_ms() >= until_ms)
			return result;
		pause_a_moment();
	}
}

/* What was cut short by a signal is not known. */
static void tell(struct run *r, enum test_check check, const char *policy, enum test_result result,
                 const struct buf *why)
{
	if (!interrupted)
		test_report_add(&r->report, check, policy, result, buf_str(why));
}

static enum test_result check(struct run *r, enum test_check which, const char *policy,
                              look_fn *look, judge_fn *judge, int timeout_s)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	enum test_result result = settle(r, look, judge, timeout_s, &why);

	tell(r, which, policy, result, &why);
	return result;
}

/* If a signal cut the test short, that is the reason, and not @why. */
static void end(struct run *r, const char *why)
{
	if (!r->ended)
		r->ended = xstrdup(interrupted ? "interrupted" : why);
}

/* ---- targets ---- */

static void add_target(struct test_probe *probes, size_t *n, const char *name, const char *node,
                       const struct addr *addr, uint16_t port, bool silent)
{
	struct test_probe *p = &probes[*n];

	if (addr_is_none(addr) || port == 0)
		return;
	*p = (struct test_probe){ .addr = *addr, .port = port, .silent = silent };
	snprintf(p->name, sizeof(p->name), "%s%s%s", name, *node ? "/" : "", node);
	++*n;
}

/* Each peer's, but for that of @but; those without an endpoint are silent with policy Local. */
static void add_node_ports(const struct test_world *w, const char *but, struct test_probe *probes,
                           size_t *n)
{
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct test_node *node = &w->nodes[i];
		bool has_endpoint = w->echo_node && !strcmp(w->echo_node, node->name);
		if (node->is_peer && strcmp(node->name, but) != 0)
			add_target(probes, n, "node-port", node->name, test_world_node_ip(w, node),
			           w->node_port, w->local && !has_endpoint);
	}
}

/* ---- from here ---- */

/* An earlier answer may be cached for a while, so the address is asked again. */
static void check_arp(struct run *r, const char *policy, struct test_probe vip)
{
	const struct test_world *w = &r->cluster.world;
	int64_t until_ms = clock_ms() + at_most(r->o->timeout_s, ARP_S) * INT64_C(1000);
	cleanup(buf_fini) struct buf why = BUF_INIT;

	for (;;) {
		struct test_neighbour n = test_neighbour_look(&w->vip);
		buf_clear(&why);
		enum test_result result = test_judge_arp(w, &n, &why);
		if (result != TEST_FAILED || interrupted || clock_ms() >= until_ms) {
			tell(r, TEST_CHECK_ARP, policy, result, &why);
			return;
		}
		test_probe_all(&vip, 1, 1, &interrupted);
	}
}

/* The Pod sees somebody else than this machine, though nothing needs to be on the way. */
static bool is_translated(const struct test_world *w, const struct test_probe *vip)
{
	return vip->good && !addr_is_none(&vip->client) && !addr_eq(&vip->client, &vip->self) &&
	       !test_world_node_of(w, &vip->self);
}

/*
 * The address may move to a node a moment before that node's rules are those of policy Local, and
 * who asks in between is translated as with policy Cluster.
 */
static void settle_client(struct run *r, struct test_probe *vip)
{
	int64_t until_ms = clock_ms() + ask_s(r) * INT64_C(1000);

	while (is_translated(&r->cluster.world, vip) && !interrupted && clock_ms() < until_ms) {
		struct test_probe again[1];
		size_t n = 0;
		pause_a_moment();
		add_target(again, &n, vip->name, "", &vip->addr, vip->port, false);
		test_probe_all(again, n, ask_s(r), &interrupted);
		if (again[0].good)
			*vip = again[0];
	}
}

static void judge_here(struct run *r, const char *policy, const struct test_probe *probes, size_t n)
{
	const struct test_world *w = &r->cluster.world;
	struct test_neighbour neighbour = test_neighbour_look(&w->vip);
	cleanup(buf_fini) struct buf vip = BUF_INIT, ports = BUF_INIT, client = BUF_INIT;
	const struct test_probe *before = w->local && n == r->n_before ? r->before : NULL;
	enum test_result result = test_judge_vip_here(probes, n, &neighbour, &vip);

	tell(r, TEST_CHECK_VIP_HERE, policy, result, &vip);
	result = test_judge_node_ports_here(w, probes, n, before, &ports);
	tell(r, TEST_CHECK_NODE_PORTS_HERE, policy, result, &ports);
	if (!w->local)
		return;
	result = test_judge_client(w, &probes[0], &client);
	tell(r, TEST_CHECK_CLIENT_HERE, policy, result, &client);
}

static void check_here(struct run *r, const char *policy)
{
	const struct test_world *w = &r->cluster.world;
	struct test_probe *probes = xcalloc(TEST_PROBES_MAX, sizeof(*probes));
	size_t n = 0;

	add_target(probes, &n, "vip", "", &w->vip, 80, false);
	add_node_ports(w, "", probes, &n);
	test_probe_all(probes, n, ask_s(r), &interrupted);
	check_arp(r, policy, probes[0]);
	if (w->local)
		settle_client(r, &probes[0]);
	judge_here(r, policy, probes, n);
	free(r->before);
	r->before = probes;
	r->n_before = n;
}

/* ---- from the nodes ---- */

static void fill_targets(const struct run *r, struct test_asked *a)
{
	const struct test_world *w = &r->cluster.world;

	add_target(a->probes, &a->n, "vip", "", &w->vip, 80, false);
	add_target(a->probes, &a->n, "cluster-ip", "", &w->cluster_ip, 80, false);
	/*
	 * With policy Local, a request from a Pod may be treated like any other: the result would
	 * tell nothing.
	 */
	if (!w->local)
		add_node_ports(w, "", a->probes, &a->n);
	else if (r->o->test.host_network)
		add_node_ports(w, a->node->name, a->probes, &a->n);
}

static enum test_result judge_asking(const struct test_world *w, struct buf *why)
{
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct test_node *n = &w->nodes[i];
		if (n->is_peer && !n->found && !(n->pod_trouble && !n->pod_waits))
			return TEST_FAILED;
	}
	(void)why;
	return TEST_OK;
}

/* Of the nodes whose Pod has not told, why; the others stay.  Returns how many those are. */
static size_t take_answers(struct run *r, const char *policy, struct test_asked *asked, size_t n)
{
	size_t n_told = 0;

	for (size_t i = 0; i < n; i++) {
		const struct test_node *node = asked[i].node;
		cleanup(buf_fini) struct buf why = BUF_INIT;
		if (node->found && test_probe_read(node->found, asked[i].probes, asked[i].n) == 0) {
			struct test_asked told = asked[i];
			asked[i] = asked[n_told];
			asked[n_told++] = told;
			continue;
		}
		buf_printf(&why, "on %s: %s", node->name,
		           node->pod_trouble ? node->pod_trouble
		           : node->found     ? "it left behind what is no answer"
		                             : "it did not end in time");
		tell(r, TEST_CHECK_ASKING_POD, policy, TEST_SKIPPED, &why);
	}
	return n_told;
}

static void judge_asked(struct run *r, enum test_check which, const char *policy,
                        const struct test_asked *asked, size_t n, const char *what)
{
	bool by_pods = r->cluster.world.local && !r->o->test.host_network;
	cleanup(buf_fini) struct buf why = BUF_INIT;
	enum test_result result = test_judge_asked(asked, n, what, &why);

	if (result == TEST_FAILED && by_pods && which == TEST_CHECK_VIP_NODES)
		buf_puts(&why, "; do the speakers, or kube-proxy, know the Pods' addresses by "
		               "--cluster-cidr (chart: speaker.clusterCIDRs)?");
	tell(r, which, policy, result, &why);
}

static void judge_nodes(struct run *r, const char *policy, const struct test_asked *asked, size_t n)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;

	judge_asked(r, TEST_CHECK_VIP_NODES, policy, asked, n, "vip");
	judge_asked(r, TEST_CHECK_CLUSTER_IP_NODES, policy, asked, n, "cluster-ip");
	if (!r->cluster.world.local || r->o->test.host_network) {
		judge_asked(r, TEST_CHECK_NODE_PORTS_NODES, policy, asked, n, "node-port");
	} else {
		buf_puts(&why, "policy Local may take Pods for clients of the cluster; "
		               "--host-network asks as the nodes");
		tell(r, TEST_CHECK_NODE_PORTS_NODES, policy, TEST_SKIPPED, &why);
	}
	if (!r->cluster.world.local || !r->o->test.host_network)
		return;
	buf_clear(&why);
	enum test_result result = test_judge_asked_client(asked, n, &why);
	tell(r, TEST_CHECK_CLIENT_NODES, policy, result, &why);
}

static void ask_nodes(struct run *r, const char *policy, struct test_asked *asked, size_t n)
{
	cleanup(buf_fini) struct buf ignored = BUF_INIT;

	test_cluster_ask(&r->cluster, asked, n, ask_s(r));
	settle(r, test_cluster_look_asking, judge_asking, r->o->timeout_s + ask_s(r), &ignored);
	n = take_answers(r, policy, asked, n);
	judge_nodes(r, policy, asked, n);
}

static void check_nodes(struct run *r, const char *policy)
{
	const struct test_world *w = &r->cluster.world;
	struct test_asked *asked = xcalloc(w->n_nodes + 1, sizeof(*asked));
	cleanup(buf_fini) struct buf why = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < w->n_nodes; i++) {
		if (!w->nodes[i].is_peer)
			continue;
		asked[n] = (struct test_asked){ .node = &w->nodes[i] };
		asked[n].probes = xcalloc(TEST_PROBES_MAX, sizeof(*asked[n].probes));
		fill_targets(r, &asked[n++]);
	}
	if (r->cluster.plan.probe_image) {
		ask_nodes(r, policy, asked, n);
	} else {
		buf_puts(&why, "no DaemonSet of the speakers, whose image the Pods would run");
		tell(r, TEST_CHECK_ASKING_POD, policy, TEST_SKIPPED, &why);
	}
	for (size_t i = 0; i < n; i++)
		free(asked[i].probes);
	free(asked);
}

/* ---- the whole ---- */

/* With policy Local the echo has to be where the address may be announced. */
static bool place_echo(struct run *r)
{
	struct err e = ERR_INIT;

	if (test_world_is_well_placed(&r->cluster.world))
		return true;
	if (test_cluster_move_echo(&r->cluster, &e) < 0) {
		end(r, e.msg);
		return false;
	}
	if (check(r, TEST_CHECK_POD, NULL, test_cluster_look_echo, test_judge_echo,
	          r->o->timeout_s) == TEST_OK)
		return true;
	end(r, "the test's Pod does not run where the address may be announced");
	return false;
}

/* Whether there is more to see: somebody may announce the address, and nobody has interrupted. */
static bool check_policy(struct run *r, const char *policy)
{
	check(r, TEST_CHECK_ANNOUNCED, policy, test_cluster_look_all, test_judge_announced,
	      r->o->timeout_s);
	bool may = test_world_is_announceable(&r->cluster.world);
	if (addr_is_none(&r->cluster.world.vip)) {
		end(r, "the Service has lost its address");
		return false;
	}
	if (!interrupted)
		check_here(r, policy);
	if (!interrupted)
		check_nodes(r, policy);
	return may && !interrupted;
}

static bool prepare(struct run *r)
{
	struct err e = ERR_INIT;

	check(r, TEST_CHECK_SPEAKERS, NULL, test_cluster_look_speakers, test_judge_speakers,
	      at_most(r->o->timeout_s, SPEAKERS_S));
	if (interrupted)
		return false;
	if (test_cluster_make(&r->cluster, &e) < 0) {
		end(r, e.msg);
		return false;
	}
	if (check(r, TEST_CHECK_POD, NULL, test_cluster_look_echo, test_judge_echo,
	          r->o->timeout_s) == TEST_OK)
		return true;
	end(r, "the test's Pod does not run");
	return false;
}

static void check_all(struct run *r)
{
	struct err e = ERR_INIT;

	if (!prepare(r) || interrupted)
		return;
	if (check(r, TEST_CHECK_ADDRESS, NULL, test_cluster_look_service, test_judge_address,
	          r->o->timeout_s) != TEST_OK)
		return;
	/* Where nobody announces it, no Pod can be where that may be. */
	if (!check_policy(r, "Cluster") || !place_echo(r) || interrupted)
		return;
	if (test_cluster_set_local(&r->cluster, &e) < 0)
		end(r, e.msg);
	else
		check_policy(r, "Local");
}

static char *remove_all(struct run *r)
{
	struct err e = ERR_INIT;

	if (!r->cluster.made)
		return NULL;
	if (r->o->test.keep)
		return xasprintf("namespace %s, as --keep asks; fairlead test --clean-up "
		                 "removes it",
		                 r->cluster.namespace);
	if (interrupted)
		fputs("fairlead: removing what was made; a second signal leaves it\n", stderr);
	if (test_cluster_remove(&r->cluster, REMOVE_S, &e) == 0)
		return NULL;
	return xstrdup(e.msg);
}

/* ---- what earlier tests have left ---- */

static void name_remains(struct gather *g)
{
	cleanup(test_remains_fini) struct test_remains_list l = { .n = 0 };
	struct err ignored = ERR_INIT;

	if (test_remains_find(g, &l, &ignored) < 0)
		return;
	for (size_t i = 0; i < l.n; i++) {
		const struct test_remains *x = &l.items[i];
		if (!test_remains_are_in_use(x, clock_wall_us()))
			fprintf(stderr,
			        "fairlead: namespace %s, of %s, is left of another test: "
			        "fairlead test --clean-up removes it\n",
			        x->namespace, x->since);
	}
}

static bool remove_remains(const struct command_options *o, struct gather *g,
                           const struct test_remains *x, struct out *out)
{
	bool may = o->yes || !test_remains_are_in_use(x, clock_wall_us());
	struct err e = ERR_INIT;
	bool done = may && test_remains_remove(g, x, &e) == 0;
	const char *said = done  ? "removed"
	                   : may ? e.msg
	                         : "a test may be using it; --yes removes it nevertheless";

	out_object(out, NULL);
	out_str(out, "namespace", x->namespace);
	out_bool(out, "removed", done);
	out_str(out, "message", said);
	out_say(out, "namespace %s: %s", x->namespace, said);
	out_close(out);
	return done;
}

static int clean_up(const struct command_options *o, struct gather *g, struct err *e)
{
	cleanup(test_remains_fini) struct test_remains_list l = { .n = 0 };
	cleanup(command_answer_fini) struct command_answer a;
	size_t n = 0, n_removed = 0;

	command_answer_init(&a, o);
	if (test_remains_find(g, &l, e) < 0)
		return COMMAND_NOT_RUN;
	out_list(&a.out, NULL);
	for (size_t i = 0; i < l.n; i++) {
		if (o->test.namespace && strcmp(o->test.namespace, l.items[i].namespace) != 0)
			continue;
		n++;
		n_removed += remove_remains(o, g, &l.items[i], &a.out);
	}
	if (n == 0 && o->test.namespace)
		out_say(&a.out, "namespace %s is none that is left of an earlier test",
		        o->test.namespace);
	else if (n == 0)
		out_say(&a.out, "nothing is left of earlier tests");
	out_close(&a.out);
	command_print(&a);
	return n_removed == n ? COMMAND_OK : COMMAND_FAILED;
}

static int run(struct run *r)
{
	const struct test_world *w = &r->cluster.world;

	test_report_init(&r->report, r->o, r->cluster.namespace, r->cluster.plan.image);
	check_all(r);
	if (interrupted)
		end(r, "interrupted");
	cleanup_free char *address = addr_is_none(&w->vip) ? NULL : xstrdup(addr_str(&w->vip));
	cleanup_free char *left = remove_all(r);
	test_report_end(&r->report, address, left, r->ended);
	bool failed = r->report.counts[TEST_FAILED] > 0 || (left && !r->o->test.keep);
	int exit_status = r->ended ? COMMAND_NOT_RUN : failed ? COMMAND_FAILED : COMMAND_OK;
	test_report_fini(&r->report);
	return exit_status;
}

static int test(const struct command_options *o, struct gather *g, struct err *e)
{
	struct run r = { .o = o };
	int exit_status = COMMAND_NOT_RUN;

	interrupt_catch();
	name_remains(g);
	if (test_cluster_open(&r.cluster, o, g, e) == 0)
		exit_status = run(&r);
	test_cluster_fini(&r.cluster);
	free(r.before);
	free(r.ended);
	return exit_status;
}

static int run_test(const struct command_options *o, struct err *e)
{
	struct gather *g;

	if (gather_open(&o->kube, &g, e) < 0)
		return COMMAND_NOT_RUN;
	int exit_status = o->test.clean_up ? clean_up(o, g, e) : test(o, g, e);
	gather_close(g);
	return exit_status;
}

const struct command command_test = {
	.words = { "test" },
	.operands = "",
	.flags = FLAGS_TEST | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary =
		"does it work?  Makes a Service of its own in a namespace of its own, sees whether "
		"it gets an address, who announces it and who answers there, and removes it",
	.about = "What cannot be seen from where it runs is skipped, and says so. It takes one "
		 "address of the pools as long as it runs. Ctrl-C ends it, and what it made is "
		 "removed; a second one leaves that for --clean-up.",
	.exits = { [COMMAND_OK] = "no check has failed",
	           [COMMAND_FAILED] = "a check has failed, or something could not be removed",
	           [COMMAND_NOT_RUN] = "it could not be run to its end" },
	.unreadable = COMMAND_NOT_RUN,
	.run = run_test,
};
