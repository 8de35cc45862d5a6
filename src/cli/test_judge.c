/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cannot be seen from this machine is skipped, and never held against Fairlead: a machine of
 * another network, a firewall before node ports, an image that does not say who asked.  But a
 * skipped check must not hide a fault either, so each of these needs its own evidence: if one node
 * port answers, the others must, too.
 */
#include "config.h"

#include "cli/test_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/configuration.h"
#include "fairlead/mem.h"
#include "fairlead/reason.h"

#define ITEMS_SHOWN 5

/* ---- words ---- */

/* Some things in a row, and how many more. */
struct row {
	struct buf text;
	size_t n;
};

static void row_fini(struct row *r)
{
	buf_fini(&r->text);
}

static void row_add(struct row *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void row_add(struct row *r, const char *fmt, ...)
{
	va_list ap;

	if (r->n++ >= ITEMS_SHOWN)
		return;
	buf_puts(&r->text, r->n > 1 ? ", " : "");
	va_start(ap, fmt);
	buf_vprintf(&r->text, fmt, ap);
	va_end(ap);
}

static void row_put(const struct row *r, struct buf *out)
{
	buf_puts(out, buf_str(&r->text));
	if (r->n > ITEMS_SHOWN)
		buf_printf(out, " and %zu more", r->n - ITEMS_SHOWN);
}

static enum test_result say(enum test_result result, struct buf *why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static enum test_result say(enum test_result result, struct buf *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(why, fmt, ap);
	va_end(ap);
	return result;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- what the API and the speakers say ---- */

/* Who keeps a node from announcing may keep the speakers from it, which run on Linux alone. */
static bool need_not_answer(const struct test_node *n)
{
	return n->excluded || n->is_windows;
}

enum test_result test_judge_speakers(const struct test_world *w, struct buf *why)
{
	cleanup(row_fini) struct row silent = { .n = 0 };
	size_t n = 0, n_without = 0;

	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct test_node *node = &w->nodes[i];
		n += node->ready;
		if (!node->ready || node->heard)
			continue;
		if (need_not_answer(node))
			n_without++;
		else
			row_add(&silent, "%s: %s", node->name,
			        node->silence ? node->silence : "not asked");
	}
	if (n == 0)
		return say(TEST_FAILED, why, "no Node is Ready");
	if (n == n_without)
		return say(TEST_FAILED, why, "none answers, and no Node is meant to have one");
	if (silent.n == 0) {
		say(TEST_OK, why, "%zu node%s, each answers", n - n_without, plural(n - n_without));
		return n_without ? say(TEST_OK, why, "; %zu without, which need none", n_without)
		                 : TEST_OK;
	}
	row_put(&silent, why);
	return TEST_FAILED;
}

enum test_result test_judge_echo(const struct test_world *w, struct buf *why)
{
	const char *trouble = w->echo_trouble ? w->echo_trouble : w->deployment_trouble;
	const struct test_node *node = w->echo_node ? test_world_node(w, w->echo_node) : NULL;

	if (!w->echo_pod)
		return say(TEST_FAILED, why, "no Pod was made%s%s", trouble ? ": " : "",
		           trouble ? trouble : "; does kube-controller-manager run?");
	if (!node)
		return say(TEST_FAILED, why, "Pod %s is on no node%s%s", w->echo_pod,
		           trouble ? ": " : "", trouble ? trouble : "");
	if (!w->echo_ready)
		return say(TEST_FAILED, why, "Pod %s on %s is not ready%s%s", w->echo_pod,
		           node->name, trouble ? ": " : "", trouble ? trouble : "");
	if (w->placed && !node->is_place)
		return say(TEST_FAILED, why,
		           "Pod %s stays on %s, which may not announce the address", w->echo_pod,
		           node->name);
	return say(TEST_OK, why, "on %s", node->name);
}

enum test_result test_judge_address(const struct test_world *w, struct buf *why)
{
	const char *remedy = "";
	enum reason r = w->reason ? reason_named(w->reason) : REASON_COUNT;

	if (!addr_is_none(&w->vip))
		return say(TEST_OK, why, "%s", addr_str(&w->vip));
	if (!w->reason)
		return say(TEST_FAILED, why,
		           "none, and no condition says why: does a controller lead, and handle "
		           "this load balancer class? `fairlead status` tells");
	if (r != REASON_COUNT)
		remedy = reason_remedy(r);
	return say(TEST_FAILED, why, "none: %s: %s%s%s", w->reason, w->message ? w->message : "",
	           *remedy ? ". " : "", remedy);
}

/* ---- who announces ---- */

/* That a node does not announce for this reason is as it should be. */
static bool is_in_order(const struct test_world *w, const struct test_node *n, enum reason r)
{
	static const enum reason fine[] = {
		REASON_NotOwner,     REASON_NodeExcluded,     REASON_NodeDrained,
		REASON_NodeCordoned, REASON_NodeShuttingDown, REASON_NodeOutOfService,
		REASON_NoInterface,  REASON_BgpNoPeer,        REASON_ProtocolUnsupported,
	};

	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (fine[i] == r)
			return true;
	return r == REASON_NoLocalEndpoint && w->local &&
	       !(w->echo_node && !strcmp(w->echo_node, n->name));
}

static bool is_layer2(const struct test_say *s)
{
	return s->protocol && !strcmp(s->protocol, protocol_name(PROTOCOL_LAYER2));
}

static void add_reason(const struct test_node *n, const struct test_say *s, struct row *row)
{
	row_add(row, "%s: %s%s%s", n->name, s->reason ? s->reason : "no reason",
	        s->message && *s->message ? ": " : "", s->message ? s->message : "");
}

struct announcers {
	struct row layer2, bgp, strangers, faults, others;
};

static void announcers_fini(struct announcers *a)
{
	row_fini(&a->layer2);
	row_fini(&a->bgp);
	row_fini(&a->strangers);
	row_fini(&a->faults);
	row_fini(&a->others);
}

static void sort_say(const struct test_world *w, const struct test_node *n,
                     const struct test_say *s, struct announcers *a)
{
	enum reason r = s->reason ? reason_named(s->reason) : REASON_COUNT;

	if (s->announce) {
		row_add(is_layer2(s) ? &a->layer2 : &a->bgp, "%s", n->name);
		if (w->local && !(w->echo_node && !strcmp(w->echo_node, n->name)))
			row_add(&a->strangers, "%s", n->name);
	} else if (is_in_order(w, n, r)) {
		add_reason(n, s, &a->others);
	} else {
		add_reason(n, s, &a->faults);
	}
}

static void sort_says(const struct test_world *w, struct announcers *a)
{
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct test_node *n = &w->nodes[i];
		for (size_t k = 0; k < n->n_says; k++)
			sort_say(w, n, &n->says[k], a);
		if (n->heard && !n->n_says)
			row_add(&a->faults, "%s: its speaker does not know the address", n->name);
	}
}

static void put_announcers(const struct announcers *a, struct buf *why)
{
	if (a->layer2.n) {
		buf_puts(why, "by layer 2: ");
		row_put(&a->layer2, why);
	}
	if (a->bgp.n) {
		buf_puts(why, a->layer2.n ? "; by BGP: " : "by BGP: ");
		row_put(&a->bgp, why);
	}
}

enum test_result test_judge_announced(const struct test_world *w, struct buf *why)
{
	cleanup(announcers_fini) struct announcers a = { .layer2 = { .n = 0 } };

	if (addr_is_none(&w->vip))
		return say(TEST_FAILED, why, "the Service has lost its address");
	sort_says(w, &a);
	if (a.layer2.n + a.bgp.n == 0) {
		buf_puts(why, "by nobody");
		buf_puts(why, a.faults.n + a.others.n ? ": " : "; no speaker answers");
		row_put(a.faults.n ? &a.faults : &a.others, why);
		return TEST_FAILED;
	}
	put_announcers(&a, why);
	if (a.layer2.n > 1)
		return say(TEST_FAILED, why, "; by layer 2 it should be one");
	if (a.strangers.n) {
		buf_puts(why, "; without an endpoint: ");
		row_put(&a.strangers, why);
		return TEST_FAILED;
	}
	if (a.faults.n) {
		buf_puts(why, "; but ");
		row_put(&a.faults, why);
		return TEST_FAILED;
	}
	return TEST_OK;
}

/* ---- ARP and neighbour discovery ---- */

enum test_result test_judge_arp(const struct test_world *w, const struct test_neighbour *n,
                                struct buf *why)
{
	const struct test_say *owner = NULL;
	const char *name = "";

	for (size_t i = 0; i < w->n_nodes && !owner; i++)
		for (size_t k = 0; k < w->nodes[i].n_says && !owner; k++)
			if (w->nodes[i].says[k].announce && is_layer2(&w->nodes[i].says[k])) {
				owner = &w->nodes[i].says[k];
				name = w->nodes[i].name;
			}
	if (!owner && !n->there)
		return say(TEST_SKIPPED, why, "not announced by layer 2");
	if (!n->there)
		return say(TEST_SKIPPED, why,
		           "this machine is not on the address's segment, or is one of the nodes");
	if (!n->complete)
		return say(TEST_FAILED, why, "nobody answers this machine for %s",
		           addr_str(&w->vip));
	if (!owner)
		return say(TEST_FAILED, why, "%s answers, though no speaker announces it", n->mac);
	if (!owner->mac || strcmp(owner->mac, n->mac) != 0)
		return say(TEST_FAILED, why, "%s answers, which is not %s of %s", n->mac,
		           owner->mac ? owner->mac : "an interface", name);
	return say(TEST_OK, why, "%s answers, which is %s", n->mac, name);
}

/* ---- what this machine asked ---- */

static const char *words_of(const struct test_probe *p)
{
	if (p->answered)
		return p->silent ? "answers, though the node has no endpoint"
		                 : "answers only now and then";
	return *p->why ? p->why : "silent";
}

static char *target_of(const struct test_probe *p)
{
	return xasprintf(p->addr.family == 6 ? "[%s]:%u" : "%s:%u", addr_str(&p->addr), p->port);
}

static const char *node_of(const struct test_probe *p)
{
	const char *slash = strchr(p->name, '/');

	return slash ? slash + 1 : "";
}

static size_t answered(const struct test_probe *probes, size_t n)
{
	size_t answers = 0;

	for (size_t i = 0; i < n; i++)
		answers += probes[i].answered;
	return answers;
}

enum test_result test_judge_vip_here(const struct test_probe *probes, size_t n,
                                     const struct test_neighbour *neighbour, struct buf *why)
{
	const struct test_probe *vip = &probes[0];

	if (n == 0 || strcmp(vip->name, "vip") != 0)
		return say(TEST_SKIPPED, why, "the Service has no address");
	cleanup_free char *target = target_of(vip);
	if (vip->good)
		return say(TEST_OK, why, "%s answers%s%s", target, *vip->node ? " from " : "",
		           vip->node);
	if (!vip->answered && !answered(probes + 1, n - 1) && !neighbour->there)
		return say(TEST_SKIPPED, why,
		           "neither %s nor any node port answers this machine (%s): it is of "
		           "another network",
		           target, words_of(vip));
	return say(TEST_FAILED, why, "%s: %s", target, words_of(vip));
}

/* Policy Local lets in at every node what comes from the cluster itself. */
static bool is_inside(const struct test_world *w, const struct test_probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (test_world_node_of(w, &probes[i].self))
			return true;
	return false;
}

static enum test_result put_ports(struct row *bad, struct row *good, struct row *silent,
                                  struct buf *why)
{
	if (bad->n) {
		row_put(bad, why);
		return TEST_FAILED;
	}
	if (good->n) {
		buf_puts(why, "answers at ");
		row_put(good, why);
	}
	if (silent->n) {
		buf_puts(why, good->n ? "; silent, without an endpoint: "
		                      : "silent, without an endpoint: ");
		row_put(silent, why);
	}
	return TEST_OK;
}

enum test_result test_judge_node_ports_here(const struct test_world *w,
                                            const struct test_probe *probes, size_t n,
                                            const struct test_probe *before, struct buf *why)
{
	cleanup(row_fini) struct row bad = { .n = 0 }, good = { .n = 0 }, silent = { .n = 0 };

	if (n < 2)
		return say(TEST_SKIPPED, why,
		           "the Service has no node port, or no node an address");
	if (answered(before ? before + 1 : probes + 1, n - 1) == 0)
		return say(TEST_SKIPPED, why,
		           "no node port answers this machine: a firewall, or another network");
	if (before && is_inside(w, probes, n))
		return say(TEST_SKIPPED, why,
		           "this machine is of the cluster, which policy Local lets in everywhere");
	for (size_t i = 1; i < n; i++) {
		cleanup_free char *target = target_of(&probes[i]);
		if (before && !before[i].answered)
			continue;
		if (!probes[i].good)
			row_add(&bad, "%s: %s %s", node_of(&probes[i]), target,
			        words_of(&probes[i]));
		else
			row_add(probes[i].silent ? &silent : &good, "%s", node_of(&probes[i]));
	}
	return put_ports(&bad, &good, &silent, why);
}

enum test_result test_judge_client(const struct test_world *w, const struct test_probe *vip,
                                   struct buf *why)
{
	const struct test_node *by = test_world_node_of(w, &vip->client);

	if (!vip->good)
		return say(TEST_SKIPPED, why, "the address does not answer this machine");
	if (addr_is_none(&vip->client))
		return say(TEST_SKIPPED, why, "the image's answer does not say who asked");
	if (addr_eq(&vip->client, &vip->self))
		return say(TEST_OK, why, "the Pod sees %s, which is this machine",
		           addr_str(&vip->self));
	if (test_world_node_of(w, &vip->self))
		return say(TEST_SKIPPED, why, "this machine is of the cluster");
	if (by)
		return say(TEST_FAILED, why, "the Pod sees %s, which is of node %s, instead of %s",
		           addr_str(&vip->client), by->name, addr_str(&vip->self));
	return say(TEST_SKIPPED, why,
	           "the Pod sees %s: something on the way, which is no node, translates %s",
	           addr_str(&vip->client), addr_str(&vip->self));
}

/* ---- what the Pods asked ---- */

static bool is_called(const struct test_probe *p, const char *what)
{
	size_t len = strlen(what);

	return !strncmp(p->name, what, len) && (p->name[len] == '\0' || p->name[len] == '/');
}

static void sort_asked(const struct test_asked *a, const char *what, struct row *bad, size_t *n)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct test_probe *p = &a->probes[i];
		cleanup_free char *target = target_of(p);
		const char *of = node_of(p);
		if (!is_called(p, what))
			continue;
		++*n;
		if (!p->good)
			row_add(bad, "from %s: %s%s%s%s %s", a->node->name, *of ? of : target,
			        *of ? " (" : "", *of ? target : "", *of ? ")" : "", words_of(p));
	}
}

enum test_result test_judge_asked(const struct test_asked *asked, size_t n, const char *what,
                                  struct buf *why)
{
	cleanup(row_fini) struct row bad = { .n = 0 };
	size_t n_asked = 0;

	for (size_t i = 0; i < n; i++)
		sort_asked(&asked[i], what, &bad, &n_asked);
	if (n_asked == 0)
		return say(TEST_SKIPPED, why, "nobody could ask");
	if (bad.n == 0)
		return say(TEST_OK, why, "from %zu node%s", n, plural(n));
	row_put(&bad, why);
	return TEST_FAILED;
}

static bool is_of(const struct test_node *n, const struct addr *a)
{
	return addr_eq(&n->ips[0], a) || addr_eq(&n->ips[1], a);
}

enum test_result test_judge_asked_client(const struct test_asked *asked, size_t n, struct buf *why)
{
	cleanup(row_fini) struct row bad = { .n = 0 };
	size_t n_seen = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < asked[i].n; k++) {
			const struct test_probe *p = &asked[i].probes[k];
			if (!is_called(p, "node-port") || !p->answered || addr_is_none(&p->client))
				continue;
			n_seen++;
			if (!is_of(asked[i].node, &p->client))
				row_add(&bad, "%s by the port of %s: the Pod sees %s",
				        asked[i].node->name, node_of(p), addr_str(&p->client));
		}
	if (n_seen == 0)
		return say(TEST_SKIPPED, why, "no answer that says who asked");
	if (bad.n == 0)
		return say(TEST_OK, why, "the Pod sees the nodes that ask");
	row_put(&bad, why);
	return TEST_FAILED;
}
