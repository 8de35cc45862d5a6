/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of commands and flags say what may follow; names of cluster objects come from the API
 * server that the words before lead to, and are left out if it does not answer soon.
 */
#include "config.h"

#include "cli/complete.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/flags.h"
#include "cli/gather.h"
#include "fairlead/kube_types.h"
#include "fairlead/mem.h"

/* So long a shell waits for names from a cluster. */
#define PATIENCE_S 3

struct completion {
	struct command_options options; /* of the words before */
	struct flag flags[FLAGS_MAX];
	/* those before that are neither flags nor values of flags */
	const char *words[OPTION_LIST_MAX];
	size_t n_words;
	const struct flag *pending; /* whose value the last word is */
	/* what the shell has of the word, behind which it begins: "--output=" */
	const char *prefix;
	const char *current;
	bool files;
	char *last; /* name that was printed, of a list in order */
};

/* ---- candidates ---- */

static void put(const struct completion *c, const char *word, const char *means)
{
	if (strncmp(word, c->current, strlen(c->current)) != 0)
		return;
	printf("%s%s%s%s\n", c->prefix, word, *means ? "\t" : "", means);
}

/* Names are those of DNS; whatever else came in their place is not for a shell. */
static bool is_name(const char *s)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-/";

	return *s && strspn(s, allowed) == strlen(s);
}

static void put_name(struct completion *c, char *name)
{
	if (is_name(name) && !(c->last && !strcmp(c->last, name)))
		put(c, name, "");
	free(c->last);
	c->last = name;
}

static void put_service(struct json_object *obj, void *arg)
{
	struct completion *c = arg;
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	if (kube_service_parse(obj, &s, &e) < 0)
		return;
	if (c->pending)
		put_name(c, xstrdup(s->meta.namespace));
	else
		put_name(c, xstrdup(kube_key(&s->meta)));
	kube_service_free(s);
}

static void put_node(struct json_object *obj, void *arg)
{
	struct kube_node *n = NULL;
	struct err e = ERR_INIT;

	if (kube_node_parse(obj, &n, &e) < 0)
		return;
	put_name(arg, xstrdup(n->meta.name));
	kube_node_free(n);
}

static void put_live(struct completion *c, const struct gather_row *row)
{
	struct gather *g;
	struct err e = ERR_INIT;

	if (gather_open(&c->options.kube, &g, &e) < 0)
		return;
	alarm(PATIENCE_S);
	gather_api(g, row, 1, c, &e);
	alarm(0);
	gather_close(g);
}

/* The first words, or the second ones behind a first that has several. */
static void put_commands(const struct completion *c, size_t from)
{
	const char *first = c->n_words > from ? c->words[from] : NULL;

	if (c->n_words > from + 1)
		return;
	for (size_t i = 0; commands[i]; i++) {
		const char *const *words = commands[i]->words;
		if (first && words[1] && !strcmp(words[0], first))
			put(c, words[1], commands[i]->summary);
		else if (!first && !(i && !strcmp(words[0], commands[i - 1]->words[0])))
			put(c, words[0], words[1] ? "" : commands[i]->summary);
	}
}

static void put_names(struct completion *c, enum command_names names)
{
	static const char *const shells[] = { "bash", "zsh", "fish", "kubectl" };
	static const struct gather_row services = { "/api/v1/services", true, false, put_service };
	static const struct gather_row nodes = { "/api/v1/nodes", true, false, put_node };

	switch (names) {
	case NAMES_NONE:
		return;
	case NAMES_FILES:
		c->files = true;
		return;
	case NAMES_SERVICES:
	case NAMES_NAMESPACES:
		put_live(c, &services);
		return;
	case NAMES_NODES:
		put_live(c, &nodes);
		return;
	case NAMES_COMMANDS:
		put_commands(c, 1);
		return;
	case NAMES_SHELLS:
		for (size_t i = 0; i < ARRAY_LEN(shells); i++)
			put(c, shells[i], "");
		return;
	}
}

/* ---- what is being written ---- */

static void put_choices(const struct completion *c, const char *choices)
{
	cleanup_free char *copy = xstrdup(choices);

	for (char *save, *one = strtok_r(copy, "|", &save); one; one = strtok_r(NULL, "|", &save))
		put(c, one, "");
}

static void put_value(struct completion *c, const struct command *command)
{
	const char *choices = flags_choices(c->pending, command);

	if (choices)
		put_choices(c, choices);
	else
		put_names(c, c->pending->names);
}

static void put_flags(const struct completion *c, const struct command *command)
{
	for (const struct flag *f = c->flags; f->row.name; f++) {
		cleanup_free char *name = xasprintf("--%s", f->row.name);
		if (!command || (f->group & command->flags))
			put(c, name, flags_row(f, command).help);
	}
	put(c, "--help", "print the help and exit");
	put(c, "--version", "print the version and exit");
}

static void put_operand(struct completion *c, const struct command *command, size_t n_words)
{
	if (!command)
		put_commands(c, 0);
	else if (command->more || c->n_words - n_words < command->n || c->options.state.n)
		put_names(c, c->options.state.n ? NAMES_FILES : command->names);
}

/* ---- what stands before ---- */

static const struct flag *flag_of(const struct completion *c, const char *word)
{
	for (const struct flag *f = c->flags; f->row.name; f++) {
		size_t len = strlen(f->row.name);
		bool is_long = !strncmp(word, "--", 2) && !strncmp(word + 2, f->row.name, len) &&
		               (!word[2 + len] || word[2 + len] == '=');
		if (is_long || (f->row.letter && word[0] == '-' && word[1] == f->row.letter))
			return f;
	}
	return NULL;
}

/* Whether the flag's value is a separate word, after this one. */
static bool wants_word(const struct flag *f, const char *word)
{
	bool alone = word[1] == '-' ? !strchr(word, '=') : !word[2];

	return f && alone && f->row.kind != OPTION_SWITCH && !f->row.implied;
}

/* How to reach the cluster, as far as these words are right. */
static void read_options(struct completion *c, char **words, size_t n)
{
	struct flag_choices choices = FLAG_CHOICES_INIT;
	struct option_row rows[FLAGS_MAX];
	bool help = false;
	const struct options options = {
		.usage = "", .rows = rows, .max_operands = OPTION_LIST_MAX, .help = &help
	};
	char **argv = xcalloc(n + 2, sizeof(*argv));
	struct err e = ERR_INIT;
	size_t n_operands = 0, k = 1;

	flags_fill(&c->options, &choices, c->flags);
	for (size_t i = 0; i < FLAGS_MAX; i++)
		rows[i] = c->flags[i].row;
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], "--version") != 0)
			argv[k++] = words[i];
	/* A word that is wrong ends it; those before count. */
	options_parse(&options, (int)k, argv, &n_operands, &e);
	free(argv);
}

static void read_words(struct completion *c, char **words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct flag *f = words[i][0] == '-' ? flag_of(c, words[i]) : NULL;
		if (f && wants_word(f, words[i])) {
			if (i + 1 == n)
				c->pending = f;
			i++;
		} else if (words[i][0] != '-' && c->n_words < OPTION_LIST_MAX) {
			c->words[c->n_words++] = words[i];
		}
	}
}

/* bash makes three words of "--output=json"; what it completes is the last of them. */
static size_t join_words(char **words, size_t n, bool *ret_split)
{
	size_t k = 0;

	*ret_split = n >= 2 && !strcmp(words[n - 2], "=");
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], "=") != 0)
			words[k++] = words[i];
	return k;
}

void complete(char **words, size_t n)
{
	struct completion c = { .options = COMMAND_OPTIONS_INIT, .prefix = "" };
	bool split = false;
	size_t n_words = 0;

	n = join_words(words, n, &split);
	c.current = n ? words[n - 1] : "";
	n -= n > 0;
	read_options(&c, words, n);
	read_words(&c, words, n);
	const char *equals = strchr(c.current, '=');
	cleanup_free char *prefix =
		equals ? xstrndup(c.current, (size_t)(equals - c.current) + 1) : NULL;
	const struct flag *inner = equals ? flag_of(&c, c.current) : NULL;
	if (split && !c.pending && n)
		c.pending = flag_of(&c, words[n - 1]);
	if (inner && !c.pending) {
		c.pending = inner;
		c.prefix = prefix;
		c.current = equals + 1;
	}
	const struct command *command =
		command_find((char *const *)(uintptr_t)c.words, c.n_words, &n_words);
	if (c.pending)
		put_value(&c, command);
	else if (c.current[0] == '-')
		put_flags(&c, command);
	else
		put_operand(&c, command, n_words);
	printf(":%d\n", c.files ? 0 : 4);
	free(c.last);
}
