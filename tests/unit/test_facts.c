/* SPDX-License-Identifier: Apache-2.0 */
/* What the flags say of this node's Pods and node ports, and what follows from its Node. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/facts.h"
#include "speaker/options.h"
#include "world.h"

#define FLAGS_MAX 5
#define EIGHT                                                                                  \
	"10.0.0.0/16,10.1.0.0/16,10.2.0.0/16,10.3.0.0/16,10.4.0.0/16,10.5.0.0/16,10.6.0.0/16," \
	"10.7.0.0/16"

struct flags {
	const char *words[FLAGS_MAX];
};

static int parse(const struct flags *f, struct speaker_options *ret, struct err *e)
{
	char name[] = "fairlead-speaker", words[FLAGS_MAX][160];
	char *argv[FLAGS_MAX + 2] = { name };
	int n = 1;

	for (size_t i = 0; i < FLAGS_MAX && f->words[i]; i++) {
		snprintf(words[i], sizeof(words[i]), "%s", f->words[i]);
		argv[n++] = words[i];
	}
	/* What is kept points into the arguments. */
	static char kept[64][FLAGS_MAX][160];
	static size_t n_kept;
	memcpy(kept[n_kept % 64], words, sizeof(words));
	for (int i = 1; i < n; i++)
		argv[i] = kept[n_kept % 64][i - 1];
	n_kept++;
	return speaker_options_parse(n, argv, ret, e);
}

static void flags_that_do_not_fit(void **state)
{
	(void)state;
	static const struct {
		struct flags flags;
		const char *error; /* NULL: it is right */
	} rows[] = {
		{ { { "--detect-local-mode=cluster-cidr", "--cluster-cidr=10.244.0.0/16" } },
		  NULL },
		{ { { "--detect-local-mode=node-cidr" } }, NULL },
		{ { { "--detect-local-mode=bridge-interface", "--pod-bridge-interface=cni0" } },
		  NULL },
		{ { { "--detect-local-mode=interface-name-prefix",
		      "--pod-interface-name-prefix=calicalicalical" } },
		  NULL },
		{ { { "--detect-local-mode=pods" } }, "it is one of cluster-cidr|node-cidr" },
		{ { { "--detect-local-mode=bridge-interface" } },
		  "--detect-local-mode bridge-interface: give --pod-bridge-interface, too" },
		{ { { "--detect-local-mode=interface-name-prefix" } },
		  "--detect-local-mode interface-name-prefix: give --pod-interface-name-prefix" },
		{ { { "--pod-bridge-interface=cni0" } },
		  "--pod-bridge-interface is for --detect-local-mode bridge-interface, and the "
		  "mode is cluster-cidr" },
		{ { { "--detect-local-mode=node-cidr", "--cluster-cidr=10.244.0.0/16" } },
		  "--cluster-cidr is for --detect-local-mode cluster-cidr, and the mode is "
		  "node-cidr" },
		{ { { "--detect-local-mode=bridge-interface", "--pod-bridge-interface=cni0",
		      "--pod-interface-name-prefix=cali" } },
		  "--pod-interface-name-prefix is for --detect-local-mode interface-name-prefix" },
		{ { { "--detect-local-mode=bridge-interface", "--pod-bridge-interface=cni+" } },
		  "--pod-bridge-interface: \"cni+\" is no interface name: 1 to 15 letters" },
		{ { { "--detect-local-mode=interface-name-prefix",
		      "--pod-interface-name-prefix=calicalicalicali" } },
		  "--pod-interface-name-prefix: \"calicalicalicali\" is no interface name" },
		{ { { "--detect-local-mode=interface-name-prefix",
		      "--pod-interface-name-prefix=-j" } },
		  "\"-j\" is no interface name" },
		{ { { "--nodeport-addresses=primary" } }, NULL },
		{ { { "--nodeport-addresses=primary,192.0.2.0/24" } },
		  "--nodeport-addresses: \"primary\" stands alone; give it, or CIDRs" },
		{ { { "--nodeport-addresses=192.0.2.0/24,primary" } }, "stands alone" },
		{ { { "--nodeport-addresses=primary-ones" } }, "\"primary-ones\" is no CIDR" },
		{ { { "--cluster-cidr=" EIGHT } }, NULL },
		{ { { "--cluster-cidr=" EIGHT ",10.8.0.0/16" } },
		  "--cluster-cidr: at most 8 of them" },
		{ { { "--clamp-mss=536" } }, NULL },
		{ { { "--clamp-mss=9000" } }, NULL },
		{ { { "--clamp-mss=535" } }, "neither off, pmtu nor a number from 536 to 9000" },
		{ { { "--clamp-mss=9001" } }, "--clamp-mss: \"9001\" is neither" },
		{ { { "--clamp-mss=1400b" } }, "--clamp-mss: \"1400b\" is neither" },
		{ { { "--clamp-mss=1400 " } }, "--clamp-mss: \"1400 \" is neither" },
		{ { { "--localhost-nodeports", "--proxy-mode=iptables" } }, NULL },
		{ { { "--localhost-nodeports" } },
		  "--localhost-nodeports: with --proxy-mode none kube-proxy" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct speaker_options o;
		struct err e = ERR_INIT;
		int r = parse(&rows[i].flags, &o, &e);
		if (r != (rows[i].error ? -EINVAL : OPTIONS_RUN) ||
		    (rows[i].error && !strstr(e.msg, rows[i].error)))
			fail_msg("row %zu: %d %s", i, r, e.msg);
	}
}

/* ---- what follows ---- */

static char *text_of(const struct proxy_node *n)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	char text[PREFIX_STR_SIZE];

	for (size_t i = 0; i < n->n_pod_cidrs; i++)
		buf_printf(&out, "%s ", prefix_format(&n->pod_cidrs[i], text));
	buf_puts(&out, "|");
	for (size_t i = 0; i < n->n_node_port_cidrs; i++)
		buf_printf(&out, " %s", prefix_format(&n->node_port_cidrs[i], text));
	return xstrdup(buf_str(&out));
}

struct step {
	const char *node; /* spec and status; NULL: there is no Node */
	const char *want;
};

static void check(const struct flags *f, const struct step *steps, size_t n)
{
	struct view *v = view_new("n1", NULL);
	struct proxy_node facts = { .n_pod_cidrs = 0 };
	struct speaker_options o;
	struct err e = ERR_INIT;

	assert_int_equal(parse(f, &o, &e), OPTIONS_RUN);
	for (size_t i = 0; i < n; i++) {
		const struct proxy_node before = facts;
		if (steps[i].node)
			world_put(v, "{'kind':'Node','metadata':{'name':'n1','uid':'u'},%s}",
			          steps[i].node);
		else
			view_remove_node(v, "n1");
		bool changed = facts_update(&o.plane, view_node_named(v, "n1"), &facts);
		cleanup_free char *got = text_of(&facts), *old = text_of(&before);
		assert_string_equal(got, steps[i].want);
		assert_int_equal(changed, strcmp(got, old) != 0);
	}
	view_free(v);
}

static void flags_alone(void **state)
{
	(void)state;
	static const struct {
		struct flags flags;
		const char *want;
	} rows[] = {
		{ { { NULL } }, "| 0.0.0.0/0 ::/0" },
		{ { { "--cluster-cidr=10.244.0.0/16,fd00:10::/56" } },
		  "10.244.0.0/16 fd00:10::/56 | 0.0.0.0/0 ::/0" },
		{ { { "--nodeport-addresses=2001:db8::/64" } }, "| 2001:db8::/64 0.0.0.0/0" },
		{ { { "--nodeport-addresses=192.0.2.0/24,10.0.0.0/8" } },
		  "| 192.0.2.0/24 10.0.0.0/8 ::/0" },
		{ { { "--nodeport-addresses=10.0.0.0/8,10.1.0.0/16,10.2.0.0/16,10.3.0.0/16,"
		      "10.4.0.0/16,10.5.0.0/16,10.6.0.0/16,10.7.0.0/16" } },
		  "| 10.0.0.0/8 10.1.0.0/16 10.2.0.0/16 10.3.0.0/16 10.4.0.0/16 10.5.0.0/16 "
		  "10.6.0.0/16 10.7.0.0/16 ::/0" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct step steps[] = { { NULL, rows[i].want },
			                      { "'spec':{'podCIDRs':['10.9.0.0/24']}",
			                        rows[i].want } };
		check(&rows[i].flags, steps, ARRAY_LEN(steps));
	}
}

static void pods_of_the_node(void **state)
{
	(void)state;
	static const struct flags flags = { { "--detect-local-mode=node-cidr" } };
	static const struct step steps[] = {
		{ NULL, "| 0.0.0.0/0 ::/0" },
		{ "'spec':{}", "| 0.0.0.0/0 ::/0" },
		{ "'spec':{'podCIDR':'10.244.1.0/24','podCIDRs':['10.244.1.0/24','fd00:1::/64']}",
		  "10.244.1.0/24 fd00:1::/64 | 0.0.0.0/0 ::/0" },
		/* A node keeps its Pods while its Node is made anew. */
		{ NULL, "10.244.1.0/24 fd00:1::/64 | 0.0.0.0/0 ::/0" },
		{ "'spec':{}", "10.244.1.0/24 fd00:1::/64 | 0.0.0.0/0 ::/0" },
		{ "'spec':{'podCIDR':'10.244.7.0/24'}", "10.244.7.0/24 | 0.0.0.0/0 ::/0" },
	};
	check(&flags, steps, ARRAY_LEN(steps));
}

#define ADDRESSES(list) "'status':{'addresses':[" list "]}"
#define INTERNAL(a) "{'type':'InternalIP','address':'" a "'}"
#define EXTERNAL(a) "{'type':'ExternalIP','address':'" a "'}"

static void primary_addresses(void **state)
{
	(void)state;
	static const struct flags flags = { { "--nodeport-addresses=primary" } };
	static const struct step steps[] = {
		{ NULL, "|" },
		{ ADDRESSES(EXTERNAL("198.51.100.7") "," INTERNAL("192.0.2.7") "," INTERNAL(
			  "192.0.2.8")),
		  "| 192.0.2.7/32" },
		{ ADDRESSES(INTERNAL("192.0.2.8") "," INTERNAL("2001:db8::8") "," INTERNAL(
			  "192.0.2.7")),
		  "| 192.0.2.8/32 2001:db8::8/128" },
		{ NULL, "| 192.0.2.8/32 2001:db8::8/128" },
		/* A family that went is nowhere; loopback addresses are none of the node's. */
		{ ADDRESSES(INTERNAL("127.0.0.1") "," INTERNAL("::1") "," INTERNAL("192.0.2.8")),
		  "| 192.0.2.8/32" },
		{ ADDRESSES(EXTERNAL("2001:db8::9") "," INTERNAL("192.0.2.8")),
		  "| 192.0.2.8/32 2001:db8::9/128" },
	};
	check(&flags, steps, ARRAY_LEN(steps));
}

/* Eight are given at the most, so a list has room for a whole family's; but a bound is a bound. */
static void a_full_list_stays_as_it_is(void **state)
{
	struct proxy_node n = { .n_node_port_cidrs = PROXY_CIDRS_MAX };
	const struct proxy_node before = n;

	(void)state;
	proxy_node_complete(&n);
	assert_memory_equal(&n, &before, sizeof(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_that_do_not_fit),      cmocka_unit_test(flags_alone),
		cmocka_unit_test(pods_of_the_node),           cmocka_unit_test(primary_addresses),
		cmocka_unit_test(a_full_list_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
