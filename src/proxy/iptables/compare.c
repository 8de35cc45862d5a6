/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/compare.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/iptables/model_private.h"
#include "proxy/iptables/whole.h"

/* A chain of ours in the kernel that did not look as it should. */
struct kept {
	UT_hash_handle hh;
	char *rules; /* a line each, without "-A NAME " */
	char name[CHAIN_NAME_SIZE];
};

struct expected {
	UT_hash_handle hh;
	char name[CHAIN_NAME_SIZE];
};

struct compare {
	struct model *m;
	struct save saved;
	/* the chain that is read, and its rules so far */
	char line[SAVE_MAX_LINE];
	size_t line_len;
	char chain[CHAIN_NAME_SIZE];
	struct buf rules;
	struct kept *kept;
	size_t kept_bytes;
	/* the comparison under way */
	struct whole *whole;
	struct expected *expected;
	compare_fn *fn;
	void *arg;
};

struct compare *compare_new(struct model *m)
{
	struct compare *c = xcalloc(1, sizeof(*c));

	c->m = m;
	save_init(&c->saved);
	return c;
}

void compare_free(struct compare *c)
{
	struct kept *k, *next_kept;
	struct expected *x, *next;

	if (!c)
		return;
	HASH_ITER(hh, c->kept, k, next_kept) {
		HASH_DEL(c->kept, k);
		free(k->rules);
		free(k);
	}
	HASH_ITER(hh, c->expected, x, next) {
		HASH_DEL(c->expected, x);
		free(x);
	}
	whole_free(c->whole);
	save_fini(&c->saved);
	buf_fini(&c->rules);
	free(c);
}

/* ---- reading ---- */

static const struct save_chain *saved_chain(const struct compare *c, const char *name)
{
	char key[sizeof(((struct save_chain *)NULL)->key)];
	const struct save_chain *found;

	snprintf(key, sizeof(key), "%s %s", chain_table_name(chain_table(name)), name);
	HASH_FIND_STR(c->saved.chains, key, found);
	return found;
}

/* Whether it looks as it was written, as far as the model knows. */
static bool is_intact(const struct compare *c, const struct save_chain *s, uint64_t hash)
{
	const struct record *r = model_record(c->m, s->name);

	if (save_chain_hash(s) != hash)
		return false;
	return !r || r->have != hash || !r->printed || !s->printed || r->printed == s->printed;
}

static bool is_known_intact(const struct compare *c, const char *name)
{
	const struct record *r = model_record(c->m, name);
	const struct save_chain *s = saved_chain(c, name);

	return r && s && r->have != CHAIN_UNKNOWN && is_intact(c, s, r->have);
}

static void end_chain(struct compare *c)
{
	if (*c->chain && c->rules.size && !is_known_intact(c, c->chain) &&
	    c->kept_bytes + c->rules.size <= COMPARE_KEPT_BYTES) {
		struct kept *k = xcalloc(1, sizeof(*k));
		memcpy(k->name, c->chain, sizeof(k->name));
		c->kept_bytes += c->rules.size;
		k->rules = buf_take(&c->rules);
		HASH_ADD_STR(c->kept, name, k);
	}
	buf_clear(&c->rules);
	c->chain[0] = '\0';
}

/* "-A CHAIN RULE" of a chain of ours; any other line ends the one before. */
static void one_line(struct compare *c, const char *line)
{
	bool is_ours = !strncmp(line, "-A " CHAIN_PREFIX, 3 + strlen(CHAIN_PREFIX));
	size_t len = is_ours ? strcspn(line + 3, " ") : 0;

	if (!is_ours || len >= sizeof(c->chain)) {
		end_chain(c);
		return;
	}
	if (strncmp(c->chain, line + 3, len) != 0 || c->chain[len]) {
		end_chain(c);
		memcpy(c->chain, line + 3, len);
		c->chain[len] = '\0';
	}
	const char *rule = line + 3 + len;
	if (c->rules.size < COMPARE_KEPT_BYTES)
		buf_printf(&c->rules, "%s\n", rule + (*rule == ' '));
}

static void end_line(struct compare *c)
{
	c->line[c->line_len] = '\0';
	/* The digest comes first: the line that ends a chain is fed to it before. */
	if (c->line_len)
		one_line(c, c->line);
	c->line_len = 0;
}

void compare_feed(struct compare *c, const char *data, size_t size)
{
	save_feed(&c->saved, data, size);
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n')
			end_line(c);
		else if (c->line_len < sizeof(c->line) - 1)
			c->line[c->line_len++] = data[i];
	}
}

struct save *compare_end(struct compare *c)
{
	save_end(&c->saved);
	end_line(c);
	end_chain(c);
	return &c->saved;
}

/* ---- rules as sets of words ---- */

/* What iptables-save adds, with the word after it. */
static bool is_default(const char *word, size_t len, const char *value, size_t value_len)
{
	static const char *const pairs[][2] = {
		{ "--mask", "255.255.255.255" },
		{ "--mask", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "--reject-with", "icmp-port-unreachable" },
		{ "--reject-with", "icmp6-port-unreachable" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (strlen(pairs[i][0]) == len && !memcmp(pairs[i][0], word, len) &&
		    strlen(pairs[i][1]) == value_len && !memcmp(pairs[i][1], value, value_len))
			return true;
	return false;
}

static bool word_is(const char *word, size_t len, const char *s)
{
	return strlen(s) == len && !memcmp(word, s, len);
}

static size_t word_len(const char *word)
{
	const char *end = chain_next_argument(word);

	while (end > word && end[-1] == ' ')
		end--;
	return (size_t)(end - word);
}

/* A probability is printed as the kernel keeps it. */
static uint64_t word_hash(const char *word, size_t len)
{
	char text[64], *end;

	if (len > 2 && len < sizeof(text) && !memcmp(word, "0.", 2)) {
		memcpy(text, word, len);
		text[len] = '\0';
		double v = strtod(text, &end);
		if (!*end) {
			snprintf(text, sizeof(text), "%.5f", v);
			return hash64(text, strlen(text), 1);
		}
	}
	return hash64(word, len, 1);
}

/* Equal for rules with the same words in any order, but for their comments and defaults. */
static uint64_t rule_hash(const char *rule)
{
	uint64_t h = 0;

	for (const char *at = rule; *at; at = chain_next_argument(at)) {
		size_t len = word_len(at);
		const char *value = chain_next_argument(at);
		size_t value_len = word_len(value);
		bool comment = word_is(at, len, "--comment");
		if (comment || is_default(at, len, value, value_len)) {
			at = value;
			if (!*at)
				break;
			continue;
		}
		if (word_is(at, len, "-m") && word_is(value, value_len, "comment")) {
			at = value;
			continue;
		}
		if (!word_is(at, len, "--rsource"))
			h += word_hash(at, len);
	}
	return h;
}

/* ---- findings ---- */

static void find(const struct compare *c, enum report_what what, const char *chain,
                 const char *rule, size_t rule_len, const char *service)
{
	char text[COMPARE_RULE_SIZE];
	struct report_finding f = { .what = what,
		                    .table = chain_table_name(chain_table(chain)),
		                    .chain = chain,
		                    .rule = rule ? text : NULL,
		                    .service = service };

	if (rule)
		snprintf(text, sizeof(text), "%.*s", (int)rule_len, rule);
	c->fn(&f, c->arg);
}

struct rule_line {
	const char *text;
	size_t len;
	uint64_t hash;
	bool found;
};

static size_t split(char *rules, struct rule_line **ret)
{
	struct rule_line *lines = NULL;
	size_t n = 0, cap = 0;

	for (char *p = rules; *p;) {
		size_t len = strcspn(p, "\n");
		bool more = p[len] == '\n';
		p[len] = '\0';
		ARRAY_RESERVE(lines, cap, n + 1);
		lines[n++] = (struct rule_line){ .text = p, .len = len, .hash = rule_hash(p) };
		p += len + more;
	}
	*ret = lines;
	return n;
}

static void match(struct rule_line *want, size_t n_want, struct rule_line *have, size_t n_have)
{
	for (size_t i = 0; i < n_want; i++)
		for (size_t k = 0; k < n_have && !want[i].found; k++)
			if (!have[k].found && have[k].hash == want[i].hash)
				want[i].found = have[k].found = true;
}

/*
 * Rule by rule; a chain in which no rule differs was changed all the same: their order, or its
 * comment.
 */
static void compare_rules(const struct compare *c, const struct chain *chain,
                          const char *const *keys, struct kept *k)
{
	cleanup_free char *wanted = xstrdup(buf_str(&chain->rules));
	struct rule_line *want, *have;
	size_t n_want = split(wanted, &want), n_have = split(k->rules, &have), n = 0;

	match(want, n_want, have, n_have);
	for (size_t i = 0; i < n_want; i++)
		if (!want[i].found && ++n)
			find(c, REPORT_MISSING, chain->name, want[i].text, want[i].len, keys[i]);
	for (size_t i = 0; i < n_have; i++)
		if (!have[i].found && ++n)
			find(c, REPORT_FOREIGN, chain->name, have[i].text, have[i].len,
			     chain_is_of_service(chain->name) ? keys[0] : NULL);
	if (n == 0)
		find(c, REPORT_CHANGED, chain->name, NULL, 0,
		     chain_is_of_service(chain->name) ? keys[0] : NULL);
	free(want);
	free(have);
}

static void note_expected(struct compare *c, const char *name)
{
	struct expected *x;

	HASH_FIND_STR(c->expected, name, x);
	if (x)
		return;
	x = xcalloc(1, sizeof(*x));
	snprintf(x->name, sizeof(x->name), "%s", name);
	HASH_ADD_STR(c->expected, name, x);
}

static void compare_chain(const struct chain *chain, const char *const *keys, void *arg)
{
	struct compare *c = arg;
	const struct save_chain *s = saved_chain(c, chain->name);
	const char *key = chain->n_rules && chain_is_of_service(chain->name) ? keys[0] : NULL;
	struct kept *k;

	note_expected(c, chain->name);
	if (!s) {
		find(c, REPORT_MISSING, chain->name, NULL, 0, key);
		return;
	}
	if (is_intact(c, s, chain_hash(chain)))
		return;
	HASH_FIND_STR(c->kept, chain->name, k);
	if (k || s->n_rules == 0) {
		struct kept none = { .rules = (char[]){ "" } };
		compare_rules(c, chain, keys, k ? k : &none);
	} else {
		find(c, REPORT_CHANGED, chain->name, NULL, 0, key);
	}
}

/* Chains of ours that nobody wants, in whichever table they are. */
static void find_left_over(const struct compare *c)
{
	for (const struct save_chain *s = c->saved.chains; s; s = s->hh.next) {
		char table[SAVE_TABLE_SIZE];
		struct expected *x;
		snprintf(table, sizeof(table), "%.*s", (int)s->table_len, s->key);
		HASH_FIND_STR(c->expected, s->name, x);
		const struct report_finding f = { .what = REPORT_FOREIGN,
			                          .table = table,
			                          .chain = s->name };
		if (!x || !save_chain_in_place(s))
			c->fn(&f, c->arg);
	}
}

static void find_jumps(const struct compare *c)
{
	for (size_t i = 0; i < RENDER_JUMPS; i++) {
		const struct render_jump *j = &render_jumps[i];
		cleanup_free char *rule = xasprintf("-j %s", j->target);
		bool missing = model_jump_is_missing(&c->saved, j);
		const struct report_finding f = { .what = missing ? REPORT_MISSING : REPORT_CHANGED,
			                          .table = chain_table_name(j->table),
			                          .chain = j->builtin,
			                          .rule = rule };
		if (!model_jump_is_right(&c->saved, j))
			c->fn(&f, c->arg);
	}
}

static void find_strays(const struct compare *c)
{
	for (size_t i = 0; i < c->saved.n_jumps; i++) {
		const struct save_jump *j = &c->saved.jumps[i];
		char rule[COMPARE_RULE_SIZE];
		snprintf(rule, sizeof(rule), "%s", j->spec);
		const struct report_finding f = {
			.what = REPORT_FOREIGN, .table = j->table, .chain = j->chain, .rule = rule
		};
		if (model_jump_is_stray(j))
			c->fn(&f, c->arg);
	}
}

static struct whole *begin(const struct compare *c)
{
	struct spec **specs = xcalloc(HASH_COUNT(c->m->services) + 1, sizeof(struct spec *));
	size_t n = 0;

	for (const struct service *s = c->m->services; s; s = s->hh.next)
		if (s->want)
			specs[n++] = spec_ref(s->want);
	struct whole *w = whole_new(&c->m->o, specs, n);
	free(specs);
	return w;
}

bool compare_step(struct compare *c, size_t n_chains, compare_fn *fn, void *arg)
{
	c->fn = fn;
	c->arg = arg;
	if (!c->whole)
		c->whole = begin(c);
	if (whole_step(c->whole, n_chains, compare_chain, c))
		return true;
	find_left_over(c);
	find_jumps(c);
	find_strays(c);
	return false;
}
