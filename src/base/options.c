/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/options.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

#define HELP_COLUMN 30
#define HELP_WIDTH 100

#define POD_NAMESPACE_FILE "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
#define DEFAULT_NAMESPACE "fairlead-system"
/* A namespace is a DNS label. */
#define NAMESPACE_MAX_LEN 63

/* Characters of the first @len bytes of UTF-8: each takes a column. */
static size_t columns(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* Adds @text from column @column on, broken between words; the line so far is @at columns wide. */
static void put_wrapped(struct buf *out, const char *text, size_t at, size_t column)
{
	while (*text) {
		size_t len = strcspn(text, " "), wide = columns(text, len);
		if (at > column && at + 1 + wide > HELP_WIDTH) {
			buf_putc(out, '\n');
			at = 0;
		}
		if (at < column)
			buf_printf(out, "%*s", (int)(column - at), "");
		else if (at > column)
			buf_putc(out, ' ');
		at = (at < column ? column : at + (at > column)) + wide;
		buf_add(out, text, len);
		text += len + strspn(text + len, " ");
	}
	buf_putc(out, '\n');
}

static void put_default(struct buf *text, const struct option_row *row)
{
	const char *s = NULL;

	switch (row->kind) {
	case OPTION_STRING:
	case OPTION_CHOICE:
		s = *(const char **)row->target;
		break;
	case OPTION_LEVEL:
		s = log_level_name(*(enum log_level *)row->target);
		break;
	case OPTION_INT:
		buf_printf(text, " (default %d)", *(int *)row->target);
		break;
	case OPTION_SWITCH:
	case OPTION_LIST:
		break;
	}
	if (s)
		buf_printf(text, " (default %s)", s);
}

void options_put(struct buf *out, const char *name, const char *text)
{
	size_t at = columns(name, strlen(name));

	buf_puts(out, name);
	if (at >= HELP_COLUMN) {
		buf_putc(out, '\n');
		at = 0;
	}
	put_wrapped(out, text, at, HELP_COLUMN);
}

static void put_row(struct buf *out, const struct option_row *row, const char *help)
{
	cleanup(buf_fini) struct buf name = BUF_INIT;

	buf_puts(&name, "  ");
	if (row->letter)
		buf_printf(&name, "-%c, ", row->letter);
	buf_printf(&name, "--%s", row->name);
	if (row->value)
		buf_printf(&name, "%s%s%s", row->implied ? "[=" : " ", row->value,
		           row->implied ? "]" : "");
	options_put(out, buf_str(&name), help);
}

void options_help(const struct options *o)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;

	buf_printf(&out, "Usage: %s\n\n", o->usage);
	put_wrapped(&out, o->about, 0, 0);
	buf_puts(&out, "\nOptions:\n");
	for (const struct option_row *row = o->rows; row->name; row++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		buf_puts(&text, row->help);
		if (row->choices)
			buf_printf(&text, ": %s", row->choices);
		if (!row->implied)
			put_default(&text, row);
		put_row(&out, row, buf_str(&text));
	}
	put_row(&out, &(struct option_row){ .name = "help" }, "print this and exit");
	put_row(&out, &(struct option_row){ .name = "version" }, "print the version and exit");
	if (o->after)
		buf_printf(&out, "\n%s", o->after);
	fputs(buf_str(&out), stdout);
}

static bool is_choice(const char *choices, const char *v)
{
	size_t len = strlen(v);

	if (strchr(v, '|'))
		return false;
	for (const char *c = choices; len && c; c = strchr(c, '|'), c = c ? c + 1 : NULL)
		if (!strncmp(c, v, len) && (c[len] == '|' || !c[len]))
			return true;
	return false;
}

static int add_value(const struct option_row *row, const char *v, struct err *e)
{
	struct option_list *list = row->target;

	if (!*v)
		return err_set(e, -EINVAL, ERR_CONFIG, "--%s is empty; it takes %s", row->name,
		               row->value);
	if (list->n == OPTION_LIST_MAX)
		return err_set(e, -EINVAL, ERR_CONFIG, "--%s is given more than %d times",
		               row->name, OPTION_LIST_MAX);
	list->items[list->n++] = v;
	return 0;
}

static int set_value(const struct option_row *row, const char *v, struct err *e)
{
	char *end;
	long n;

	switch (row->kind) {
	case OPTION_SWITCH:
		*(bool *)row->target = true;
		return 0;
	case OPTION_STRING:
		if (!*v)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "--%s is empty; it takes %s, or leave the flag out",
			               row->name, row->value);
		*(const char **)row->target = v;
		return 0;
	case OPTION_LIST:
		return add_value(row, v, e);
	case OPTION_CHOICE:
		if (!is_choice(row->choices, v))
			return err_set(e, -EINVAL, ERR_CONFIG, "--%s %.100s: it is one of %s",
			               row->name, v, row->choices);
		*(const char **)row->target = v;
		return 0;
	case OPTION_LEVEL:
		if (log_level_parse(v, row->target) < 0)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "--%s %.100s: it is one of error, warn, info, debug",
			               row->name, v);
		return 0;
	case OPTION_INT:
		errno = 0;
		n = strtol(v, &end, 10);
		if (errno || end == v || *end || n < row->min || n > row->max)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "--%s %.100s: it is a whole number from %d to %d", row->name,
			               v, row->min, row->max);
		*(int *)row->target = (int)n;
		return 0;
	}
	return err_set(e, -EINVAL, ERR_BUG, "--%s: option of an unknown kind", row->name);
}

/*
 * The row that @arg ("--name", "--name=value", "-n", "-nvalue") names; *ret_value is what is joined
 * to it, or NULL.
 */
static const struct option_row *find_row(const struct options *o, const char *arg,
                                         const char **ret_value)
{
	bool is_long = arg[1] == '-';
	size_t len = is_long ? strcspn(arg + 2, "=") : 1;

	for (const struct option_row *row = o->rows; row->name; row++) {
		if (is_long ? strlen(row->name) != len || strncmp(arg + 2, row->name, len) != 0
		            : arg[1] != row->letter)
			continue;
		if (is_long)
			*ret_value = arg[2 + len] == '=' ? arg + 2 + len + 1 : NULL;
		else
			*ret_value = arg[2] ? arg + 2 : NULL;
		return row;
	}
	return NULL;
}

/* Parses the option at argv[*i], and moves *i on over a value that stands alone. */
static int parse_option(const struct options *o, int argc, char **argv, int *i, struct err *e)
{
	const char *arg = argv[*i], *v = NULL;
	const struct option_row *row = find_row(o, arg, &v);

	if (!row)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "unknown flag %.*s; --help lists those there are",
		               (int)strcspn(arg, "="), arg);
	if (row->kind == OPTION_SWITCH) {
		if (v)
			return err_set(e, -EINVAL, ERR_CONFIG, "--%s takes no value", row->name);
	} else if (!v && row->implied) {
		v = row->implied;
	} else if (!v) {
		if (*i + 1 >= argc)
			return err_set(e, -EINVAL, ERR_CONFIG, "--%s needs a value: --%s %s",
			               row->name, row->name, row->value);
		v = argv[++*i];
	}
	if (o->given)
		*o->given |= UINT64_C(1) << (row - o->rows);
	return set_value(row, v, e);
}

int options_parse(const struct options *o, int argc, char **argv, size_t *ret_n_operands,
                  struct err *e)
{
	size_t n = 0;
	bool operands_only = false;

	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];
		if (operands_only || arg[0] != '-' || !arg[1]) {
			if (n == o->max_operands)
				return err_set(e, -EINVAL, ERR_CONFIG,
				               "\"%.100s\" is one word too many; usage: %s", arg,
				               o->usage);
			argv[++n] = arg;
		} else if (!strcmp(arg, "--")) {
			operands_only = true;
		} else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			if (!o->help) {
				options_help(o);
				return OPTIONS_DONE;
			}
			*o->help = true;
		} else if (!strcmp(arg, "--version")) {
			printf("%.*s %s\n", (int)strcspn(o->usage, " "), o->usage, PACKAGE_VERSION);
			return OPTIONS_DONE;
		} else {
			int r = parse_option(o, argc, argv, &i, e);
			if (r < 0)
				return r;
		}
	}
	*ret_n_operands = n;
	return OPTIONS_RUN;
}

char *options_namespace(const struct options_kube *k)
{
	char name[NAMESPACE_MAX_LEN + 2];

	if (k->namespace)
		return xstrdup(k->namespace);
	FILE *f = k->kubeconfig ? NULL : fopen(POD_NAMESPACE_FILE, "re");
	if (f) {
		size_t n = fread(name, 1, sizeof(name) - 1, f);
		fclose(f);
		name[n] = '\0';
		name[strcspn(name, " \t\r\n")] = '\0';
		if (*name && strlen(name) <= NAMESPACE_MAX_LEN)
			return xstrdup(name);
	}
	return xstrdup(DEFAULT_NAMESPACE);
}

bool options_is_interface(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && strspn(name, allowed) == len && *name != '-';
}
