/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/chain.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "fairlead/mem.h"

static uint64_t sha64(const void *data, size_t size)
{
	unsigned char md[SHA256_DIGEST_LENGTH];
	uint64_t v = 0;

	SHA256(data, size, md);
	for (int i = 0; i < 8; i++)
		v = v << 8 | md[i];
	return v;
}

void chain_begin(struct chain *c, const char *name, const char *label)
{
	snprintf(c->name, sizeof(c->name), "%s", name);
	/*
	 * The label stands between quotes in a line that iptables-restore splits: nothing in it may
	 * end either.
	 */
	size_t n = 0;
	for (const char *p = label ? label : ""; *p && n < sizeof(c->label) - 1; p++)
		c->label[n++] = isalnum((unsigned char)*p) || strchr("-._/:", *p) ? *p : '?';
	c->label[n] = '\0';
	buf_clear(&c->rules);
	c->n_rules = 0;
}

void chain_fini(struct chain *c)
{
	buf_fini(&c->rules);
}

void chain_rule(struct chain *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&c->rules, fmt, ap);
	va_end(ap);
	buf_putc(&c->rules, '\n');
	c->n_rules++;
}

static bool has_rule(const struct chain *c, const char *rule)
{
	size_t len = strlen(rule);

	for (const char *p = buf_str(&c->rules); *p;) {
		size_t line = strcspn(p, "\n");
		if (line == len && !memcmp(p, rule, len))
			return true;
		p += line + (p[line] == '\n');
	}
	return false;
}

void chain_bucket_rule(struct chain *c, bool after, const char *rule)
{
	if (!after || !has_rule(c, rule))
		chain_rule(c, "%s", rule);
}

uint64_t chain_hash(const struct chain *c)
{
	if (c->n_rules == 0)
		return CHAIN_EMPTY;
	uint64_t h = sha64(c->rules.data, c->rules.size);
	return h > CHAIN_EMPTY ? h : CHAIN_EMPTY + 1;
}

void chain_write(const struct chain *c, uint64_t hash, struct buf *out)
{
	const char *rule = buf_str(&c->rules);

	for (size_t i = 0; i < c->n_rules; i++) {
		const char *end = strchr(rule, '\n');
		if (!end)
			break;
		buf_printf(out, "-A %s ", c->name);
		if (i == 0)
			buf_printf(out, "-m comment --comment \"%016llx/%zu%s%s\" ",
			           (unsigned long long)hash, c->n_rules, *c->label ? " " : "",
			           c->label);
		buf_add(out, rule, (size_t)(end + 1 - rule));
		rule = end + 1;
	}
}

enum chain_table chain_table(const char *name)
{
	static const char *const filter[] = { "FL-IN",  "FL-OUT", "FL-FWD", "FL-ACC",
		                              "FL-FLT", "FL-NPF", "FL-D-",  "FL-R-" };
	for (size_t i = 0; i < sizeof(filter) / sizeof(filter[0]); i++) {
		size_t len = strlen(filter[i]);
		if (!strncmp(name, filter[i], len) &&
		    (filter[i][len - 1] == '-' || name[len] == '\0'))
			return CHAIN_FILTER;
	}
	return CHAIN_NAT;
}

const char *chain_table_name(enum chain_table t)
{
	return t == CHAIN_NAT ? "nat" : "filter";
}

bool chain_is_of_service(const char *name)
{
	return strlen(name) == strlen("FL-C-") + CHAIN_ID_SIZE - 1 && strchr("CELFP", name[3]) &&
	       name[4] == '-';
}

bool chain_is_bucket(const char *name)
{
	return strlen(name) > 5 && strchr("BNDR", name[3]) && name[4] == '-';
}

bool chain_is_builtin(const char *chain)
{
	static const char *const builtin[] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT",
		                               "POSTROUTING" };
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
		if (!strcmp(chain, builtin[i]))
			return true;
	return false;
}

void chain_id(const char *text, char ret_id[static CHAIN_ID_SIZE])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned char md[SHA256_DIGEST_LENGTH];
	unsigned int acc = 0, bits = 0, at = 0;

	SHA256((const unsigned char *)text, strlen(text), md);
	for (size_t i = 0; i < CHAIN_ID_SIZE - 1; i++) {
		if (bits < 5) {
			acc = acc << 8 | md[at++];
			bits += 8;
		}
		bits -= 5;
		ret_id[i] = digits[acc >> bits & 31];
	}
	ret_id[CHAIN_ID_SIZE - 1] = '\0';
}

const char *chain_next_argument(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || *p != ' '); p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	return p + strspn(p, " ");
}

int chain_parse_comment(const char *comment, uint64_t *ret_hash, size_t *ret_n_rules)
{
	for (int i = 0; i < 16; i++)
		if (!isxdigit((unsigned char)comment[i]))
			return -EINVAL;
	if (comment[16] != '/' || !isdigit((unsigned char)comment[17]))
		return -EINVAL;
	char *end;
	errno = 0;
	unsigned long long n = strtoull(comment + 17, &end, 10);
	if (errno || (*end != ' ' && *end != '\0' && *end != '"'))
		return -EINVAL;
	*ret_hash = strtoull(comment, NULL, 16);
	*ret_n_rules = n;
	return 0;
}
