/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/test_report.h"

#include <stdio.h>

#include "fairlead/mem.h"

static const struct {
	const char *id, *title;
} checks[] = {
	[TEST_CHECK_SPEAKERS] = { "speakers", "speakers" },
	[TEST_CHECK_POD] = { "pod", "the test's Pod" },
	[TEST_CHECK_ADDRESS] = { "address", "address" },
	[TEST_CHECK_ANNOUNCED] = { "announced", "announced" },
	[TEST_CHECK_ARP] = { "arp", "ARP/ND from this machine" },
	[TEST_CHECK_VIP_HERE] = { "address-from-here", "address from this machine" },
	[TEST_CHECK_NODE_PORTS_HERE] = { "node-ports-from-here", "node ports from this machine" },
	[TEST_CHECK_CLIENT_HERE] = { "client-address", "client's address" },
	[TEST_CHECK_ASKING_POD] = { "asking-pod", "Pod that asks" },
	[TEST_CHECK_VIP_NODES] = { "address-from-nodes", "address from the nodes" },
	[TEST_CHECK_NODE_PORTS_NODES] = { "node-ports-from-nodes", "node ports from the nodes" },
	[TEST_CHECK_CLUSTER_IP_NODES] = { "cluster-ip-from-nodes", "cluster IP from the nodes" },
	[TEST_CHECK_CLIENT_NODES] = { "client-address-of-nodes", "client's address of the nodes" },
};

static const struct {
	const char *word, *text;
	enum out_colour colour;
} results[] = {
	[TEST_OK] = { "ok", "ok     ", OUT_GREEN },
	[TEST_FAILED] = { "failed", "FAILED ", OUT_RED },
	[TEST_SKIPPED] = { "skipped", "skipped", OUT_YELLOW },
};

/* As text what is there so far; whoever looks on need not wait for the end. */
static void show(struct test_report *r)
{
	if (!out_is_text(&r->a.out))
		return;
	fputs(buf_str(&r->a.text), stdout);
	fflush(stdout);
	buf_clear(&r->a.text);
}

void test_report_init(struct test_report *r, const struct command_options *o, const char *namespace,
                      const char *image)
{
	struct out *out = &r->a.out;

	*r = (struct test_report){ .counts = { 0 } };
	command_answer_init(&r->a, o);
	out_object(out, NULL);
	out_str(out, "namespace", namespace);
	out_str(out, "image", image);
	out_say(out, "namespace %s, image %s", namespace, image);
	out_list(out, "checks");
	show(r);
}

void test_report_fini(struct test_report *r)
{
	command_answer_fini(&r->a);
}

void test_report_add(struct test_report *r, enum test_check check, const char *policy,
                     enum test_result result, const char *why)
{
	struct out *out = &r->a.out;
	cleanup_free char *where = policy ? xasprintf("policy %s, %s", policy, checks[check].title)
	                                  : xstrdup(checks[check].title);
	cleanup_free char *line = xasprintf("%s  %s: %s", results[result].text, where, why);

	r->counts[result]++;
	out_object(out, NULL);
	out_str(out, "check", checks[check].id);
	out_str(out, "policy", policy);
	out_str(out, "result", results[result].word);
	out_str(out, "message", why);
	out_say_in(out, results[result].colour, line);
	out_close(out);
	show(r);
}

void test_report_end(struct test_report *r, const char *address, const char *left,
                     const char *ended)
{
	struct out *out = &r->a.out;

	out_close(out);
	out_str(out, "address", address);
	out_bool(out, "passed", !ended && r->counts[TEST_FAILED] == 0);
	out_str(out, "ended", ended);
	out_str(out, "left", left);
	if (ended)
		out_say(out, "ended early: %s", ended);
	if (left)
		out_say(out, "left behind: %s", left);
	out_say(out, "%zu ok, %zu failed, %zu skipped", r->counts[TEST_OK], r->counts[TEST_FAILED],
	        r->counts[TEST_SKIPPED]);
	out_close(out);
	command_print(&r->a);
}
