/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merely asking iptables-legacy about a table creates it in the kernel, so it is asked only about
 * tables that the kernel lists already.
 */
#include "config.h"

#include "proxy/iptables/variant.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/child.h"
#include "fairlead/mem.h"

#define VARIANT_TIMEOUT_MS 60000

const struct variant variants[VARIANTS] = {
	{ "nft",
	  { "iptables-nft", "ip6tables-nft" },
	  { "iptables-nft-restore", "ip6tables-nft-restore" },
	  { "iptables-nft-save", "ip6tables-nft-save" },
	  100,
	  1000,
	  256u << 10 },
	{ "legacy",
	  { "iptables-legacy", "ip6tables-legacy" },
	  { "iptables-legacy-restore", "ip6tables-legacy-restore" },
	  { "iptables-legacy-save", "ip6tables-legacy-save" },
	  20,
	  20000,
	  2u << 20 },
};

int variant_index(uint8_t family)
{
	return family == 6;
}

static bool kernel_lists_table(uint8_t family, const char *table)
{
	char line[64];
	bool found = false;
	FILE *f = fopen(family == 6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names",
	                "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = !strcmp(line, table);
	}
	if (f)
		fclose(f);
	return found;
}

/* Whether the program succeeds.  @why: gets its output; may be NULL. */
static bool succeeds(const char *const argv[], struct buf *why)
{
	cleanup(buf_fini) struct buf said = BUF_INIT;
	int code = -1;

	for (int i = 0; i < VARIANT_LOCK_TRIES; i++) {
		buf_clear(&said);
		if (child_run(argv, NULL, VARIANT_TIMEOUT_MS, NULL, NULL, &code, &said, NULL) < 0)
			return false;
		if (code != EXIT_RESOURCE_PROBLEM || !strstr(buf_str(&said), "xtables lock"))
			break;
	}
	if (why)
		buf_puts(why, buf_str(&said));
	return code == 0;
}

static bool has_chain(const struct variant *v, const char *table, const char *chain)
{
	static const uint8_t families[] = { 4, 6 };

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const char *const argv[] = { v->iptables[i], "-w", "5",   "-t",
			                     table,          "-S", chain, NULL };
		if (v == &variants[1] && !kernel_lists_table(families[i], table))
			continue;
		if (succeeds(argv, NULL))
			return true;
	}
	return false;
}

bool variant_has_ours(const struct variant *v)
{
	/*
	 * Tables are written one after the other: a cleanup that was cut short leaves the second.
	 */
	return has_chain(v, "nat", "FL-SVC") || has_chain(v, "filter", "FL-IN");
}

struct rule_count {
	size_t n;
	bool inside; /* a line under way */
};

static void count_rules(const char *data, size_t size, void *arg)
{
	struct rule_count *c = arg;

	for (size_t i = 0; i < size; i++) {
		c->n += !c->inside && data[i] == '-';
		c->inside = data[i] != '\n';
	}
}

static size_t n_rules(const struct variant *v)
{
	struct rule_count c = { .n = 0 };

	for (int i = 0; i < 2; i++) {
		const char *const argv[] = { v->save[i], NULL };
		int code;
		child_run(argv, NULL, VARIANT_TIMEOUT_MS, count_rules, &c, &code, NULL, NULL);
	}
	return c.n;
}

static void keep_output(const char *data, size_t size, void *arg)
{
	struct buf *b = arg;

	if (b->size < CHILD_MAX_ERRORS)
		buf_add(b, data, size);
}

static bool installed(const char *program, struct buf *version)
{
	const char *const argv[] = { program, "--version", NULL };
	int code = -1;
	return child_run(argv, NULL, VARIANT_TIMEOUT_MS, keep_output, version, &code, NULL, NULL) ==
	               0 &&
	       code == 0;
}

bool variant_is_installed(const struct variant *v, uint8_t family)
{
	cleanup(buf_fini) struct buf version = BUF_INIT;

	return installed(v->restore[variant_index(family)], &version);
}

bool variant_is_used(const struct variant *v, uint8_t family)
{
	return v != &variants[1] || kernel_lists_table(family, "nat") ||
	       kernel_lists_table(family, "filter");
}

struct variant_question variant_question(const struct variant *v, uint8_t family)
{
	return (struct variant_question){ { v->iptables[variant_index(family)], "-w", "5", "-t",
		                            "nat", "-S", "PREROUTING", NULL } };
}

bool variant_kernel_has(uint8_t family)
{
	return family == 4 || access("/proc/net/if_inet6", F_OK) == 0;
}

bool variant_has_family(const struct variant *v, uint8_t family, struct buf *why)
{
	struct variant_question q = variant_question(v, family);

	if (variant_kernel_has(family) && variant_is_installed(v, family))
		return succeeds(q.argv, why);
	buf_puts(why, variant_kernel_has(family) ? "not installed" : "the kernel has no IPv6");
	return false;
}

bool variant_random_fully(const struct variant *v)
{
	cleanup(buf_fini) struct buf version = BUF_INIT;
	unsigned int a = 0, b = 0, c = 0;

	if (!installed(v->restore[0], &version))
		return false;
	const char *p = strstr(buf_str(&version), " v");
	if (!p || sscanf(p, " v%u.%u.%u", &a, &b, &c) != 3)
		return false;
	return a > 1 || (a == 1 && (b > 6 || (b == 6 && c >= 2)));
}

/*
 * Asked for help on a match, the program asks the kernel for it.  Where the kernel has none, it
 * says so, or, before 1.8.8, fails.
 */
bool variant_knows_match(const struct variant *v, uint8_t family, const char *match)
{
	const char *const argv[] = { v->iptables[variant_index(family)], "-m", match, "--help",
		                     NULL };
	cleanup(buf_fini) struct buf said = BUF_INIT;

	return succeeds(argv, &said) && !strstr(buf_str(&said), "not supported");
}

static const struct variant *judge(void)
{
	static const char *const signs[][2] = {
		{ "nat", "FL-SVC" },
		{ "mangle", "KUBE-IPTABLES-HINT" },
		{ "mangle", "KUBE-KUBELET-CANARY" },
	};
	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		for (size_t k = 0; k < VARIANTS; k++)
			if (has_chain(&variants[k], signs[i][0], signs[i][1]))
				return &variants[k];
	return n_rules(&variants[1]) > n_rules(&variants[0]) ? &variants[1] : &variants[0];
}

int variant_choose(const char *wish, const struct variant **ret_variant, struct err *e)
{
	bool there[VARIANTS];
	const struct variant *chosen = NULL;

	for (size_t i = 0; i < VARIANTS; i++) {
		there[i] = variant_is_installed(&variants[i], 4);
		if (!strcmp(wish, variants[i].name))
			chosen = &variants[i];
	}
	if (!chosen && strcmp(wish, "auto") != 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "iptables variant \"%s\": it is auto, nft or legacy", wish);
	if (!chosen && there[0] && there[1])
		chosen = judge();
	else if (!chosen)
		chosen = there[1] ? &variants[1] : &variants[0];
	if (!there[chosen - variants])
		return err_set(e, -ENOENT, ERR_SYSTEM, "%s is not installed", chosen->restore[0]);
	*ret_variant = chosen;
	return 0;
}
