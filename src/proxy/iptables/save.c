/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/save.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void save_init(struct save *s)
{
	*s = (struct save){ .n_chains = 0 };
}

void save_fini(struct save *s)
{
	struct save_chain *c, *next;

	HASH_ITER(hh, s->chains, c, next) {
		HASH_DEL(s->chains, c);
		free(c);
	}
	for (size_t i = 0; i < s->n_jumps; i++)
		free(s->jumps[i].spec);
	free(s->jumps);
	free(s->fronts);
	path_fini(&s->path);
	save_init(s);
}

static bool is_ours(const char *name)
{
	return !strncmp(name, CHAIN_PREFIX, strlen(CHAIN_PREFIX));
}

/*
 * Copies the word at *@at and moves behind it and the blanks after it; false if it does not fit or
 * is empty.
 */
static bool word(const char **at, char *out, size_t size)
{
	size_t len = strcspn(*at, " ");

	if (len == 0 || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len;
	*at += strspn(*at, " ");
	return true;
}

static struct save_chain *chain_of(struct save *s, const char *name)
{
	char key[sizeof(((struct save_chain *)NULL)->key)];
	struct save_chain *c;
	int len = snprintf(key, sizeof(key), "%s %s", s->table, name);

	if (len < 0 || (size_t)len >= sizeof(key))
		return NULL;
	HASH_FIND_STR(s->chains, key, c);
	if (c)
		return c;
	if (s->n_chains >= SAVE_MAX_CHAINS) {
		s->n_left_out++;
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	memcpy(c->key, key, (size_t)len + 1);
	c->table_len = strlen(s->table);
	c->name = c->key + c->table_len + 1;
	HASH_ADD_STR(s->chains, key, c);
	s->n_chains++;
	return c;
}

/* The chain or target that a rule jumps or goes to. */
static bool find_target(const char *spec, char target[static CHAIN_NAME_SIZE])
{
	for (const char *p = spec; *p; p = chain_next_argument(p)) {
		const char *at = p + 3;
		if (!strncmp(p, "-j ", 3) || !strncmp(p, "-g ", 3))
			return word(&at, target, CHAIN_NAME_SIZE);
	}
	return false;
}

/*
 * A bucket's rule for UDP: "-d ADDRESS/32 -p udp … --dport PORT", without the first in a bucket of
 * node ports.
 */
static void udp_front(struct save *s, const char *spec)
{
	struct save_front f = { .port = 0 };
	struct prefix p;
	char value[PREFIX_STR_SIZE];
	bool udp = false;

	for (const char *at = spec; *at; at = chain_next_argument(at)) {
		const char *v = chain_next_argument(at);
		if (!strncmp(at, "-p ", 3))
			udp = !strncmp(v, "udp ", 4);
		else if (!strncmp(at, "-d ", 3) && word(&v, value, sizeof(value)) &&
		         prefix_parse(value, false, &p) == 0)
			f.addr = p.addr;
		else if (!strncmp(at, "--dport ", 8))
			f.port = (uint16_t)strtoul(v, NULL, 10);
	}
	if (!udp || !f.port)
		return;
	if (s->n_fronts >= SAVE_MAX_FRONTS) {
		s->n_left_out++;
		return;
	}
	ARRAY_RESERVE(s->fronts, s->cap_fronts, s->n_fronts + 1);
	s->fronts[s->n_fronts++] = f;
}

static void our_rule(struct save *s, const char *name, const char *spec)
{
	if (!s->native && (!strncmp(name, "FL-B-", 5) || !strncmp(name, "FL-N-", 5)))
		udp_front(s, spec);
	static const char option[] = "--comment ";
	struct save_chain *c = chain_of(s, name);
	if (!c)
		return;
	if (!s->native)
		c->printed = hash64(spec, strlen(spec), c->printed);
	if (c->n_rules++ > 0)
		return;
	const char *comment = strstr(spec, option);
	if (!comment)
		return;
	comment += strlen(option);
	comment += *comment == '"';
	if (chain_parse_comment(comment, &c->comment_hash, &c->comment_n_rules) < 0)
		c->comment_n_rules = 0;
}

static void others_rule(struct save *s, const char *name, const char *spec)
{
	char target[CHAIN_NAME_SIZE];

	if (strcmp(s->chain, name) != 0) {
		snprintf(s->chain, sizeof(s->chain), "%s", name);
		s->seen_kube = false;
		s->n_rules = 0;
	}
	s->n_rules++;
	if (!strcmp(s->table, "filter"))
		path_add_rule(&s->path, name, spec);
	if (!find_target(spec, target))
		return;
	if (!strcmp(target, "KUBE-SERVICES"))
		s->seen_kube = true;
	if (!is_ours(target))
		return;
	if (s->n_jumps >= SAVE_MAX_JUMPS) {
		s->n_left_out++;
		return;
	}
	ARRAY_RESERVE(s->jumps, s->cap_jumps, s->n_jumps + 1);
	struct save_jump *j = &s->jumps[s->n_jumps++];
	*j = (struct save_jump){ .spec = xstrdup(spec),
		                 .number = s->n_rules,
		                 .behind_kube = s->seen_kube };
	memcpy(j->table, s->table, sizeof(j->table));
	memcpy(j->chain, s->chain, sizeof(j->chain));
	memcpy(j->target, target, sizeof(j->target));
}

static void set_table(struct save *s, const char *table)
{
	snprintf(s->table, sizeof(s->table), "%s", table);
	s->chain[0] = '\0';
	s->seen_kube = false;
}

/* "# Table `nat' is incompatible, use 'nft' tool." */
static void remark(struct save *s, const char *line)
{
	for (int t = 0; t < 2; t++) {
		char start[64];
		int len = snprintf(start, sizeof(start), "# Table `%s' is incompatible",
		                   chain_table_name((enum chain_table)t));
		s->hidden[t] = s->hidden[t] || !strncmp(line, start, (size_t)len);
	}
}

static void one_line(struct save *s, const char *line)
{
	char name[CHAIN_NAME_SIZE];
	const char *at = line + 1;
	if (*line == '#') {
		remark(s, line);
	} else if (*line == '*') {
		set_table(s, line + 1);
	} else if (*line == ':') {
		if (word(&at, name, sizeof(name)) && is_ours(name))
			chain_of(s, name);
	} else if (!strncmp(line, "-A ", 3)) {
		at = line + 3;
		if (!word(&at, name, sizeof(name)))
			return;
		if (is_ours(name))
			our_rule(s, name, at);
		else
			others_rule(s, name, at);
	} else if (!strncmp(line, "-P FORWARD ", 11)) {
		set_table(s,
		          "filter"); /* -S does not name the table, but only one has this chain … */
	} else if (!strncmp(line, "-P PREROUTING ", 14)) {
		set_table(s, "nat"); /* … and of those that we list, one this */
	} else if (!strncmp(line, "-N ", 3)) {
		at = line + 3;
		if (word(&at, name, sizeof(name)) && is_ours(name))
			chain_of(s, name);
	}
}

void save_feed(struct save *s, const char *data, size_t size)
{
	while (size > 0) {
		const char *nl = memchr(data, '\n', size);
		size_t len = nl ? (size_t)(nl - data) : size;
		size_t room = sizeof(s->line) - 1 - s->line_len;
		size_t take = len < room ? len : room;
		memcpy(s->line + s->line_len, data, take);
		s->line_len += take;
		if (!nl)
			return;
		save_end(s);
		data += len + 1;
		size -= len + 1;
	}
}

void save_end(struct save *s)
{
	s->line[s->line_len] = '\0';

	if (s->line_len > 0)
		one_line(s, s->line);
	s->line_len = 0;
}

uint64_t save_chain_hash(const struct save_chain *c)
{
	if (c->n_rules == 0)
		return CHAIN_EMPTY;
	return c->comment_n_rules == c->n_rules ? c->comment_hash : CHAIN_UNKNOWN;
}

bool save_chain_in_place(const struct save_chain *c)
{
	const char *table = chain_table_name(chain_table(c->name));

	return strlen(table) == c->table_len && !strncmp(c->key, table, c->table_len);
}
