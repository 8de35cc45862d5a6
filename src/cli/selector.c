/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define BLANK " \t"
/* What ends a key or a value. */
#define ENDS BLANK ",()=!"

static const char *skip(const char *s)
{
	return s + strspn(s, BLANK);
}

static bool take(const char **s, const char *token)
{
	size_t len = strlen(token);

	*s = skip(*s);
	if (strncmp(*s, token, len) != 0)
		return false;
	*s += len;
	return true;
}

/* A key or a value; NULL: there is none. */
static char *take_word(const char **s)
{
	*s = skip(*s);
	size_t len = strcspn(*s, ENDS);
	char *word = len ? xstrndup(*s, len) : NULL;

	*s += len;
	return word;
}

static void add_value(struct label_requirement *r, char *value)
{
	r->values = xreallocarray(r->values, r->n_values + 1, sizeof(*r->values));
	r->values[r->n_values++] = value;
}

/* "(a,b)" */
static bool take_values(const char **s, struct label_requirement *r)
{
	if (!take(s, "("))
		return false;
	do {
		char *value = take_word(s);
		add_value(r, value ? value : xstrdup(""));
	} while (take(s, ","));
	return take(s, ")");
}

/* What stands behind the key. */
static bool take_condition(const char **s, struct label_requirement *r)
{
	bool differs = take(s, "!=");

	if (differs || take(s, "==") || take(s, "=")) {
		char *value = take_word(s);
		r->op = differs ? LABEL_NOT_IN : LABEL_IN;
		add_value(r, value ? value : xstrdup(""));
		return true;
	}
	cleanup_free char *word = take_word(s);
	if (!word)
		return true;
	r->op = !strcmp(word, "in") ? LABEL_IN : LABEL_NOT_IN;
	return (r->op == LABEL_IN || !strcmp(word, "notin")) && take_values(s, r);
}

static bool take_requirement(const char **s, struct label_requirement *r)
{
	bool absent = take(s, "!");

	r->op = absent ? LABEL_DOES_NOT_EXIST : LABEL_EXISTS;
	r->key = take_word(s);
	return r->key && (absent || take_condition(s, r));
}

int selector_parse(const char *text, struct label_selector *ret, struct err *e)
{
	struct label_selector sel = { .n = 0 };
	const char *s = text;

	do {
		sel.requirements =
			xreallocarray(sel.requirements, sel.n + 1, sizeof(*sel.requirements));
		struct label_requirement *r = &sel.requirements[sel.n++];
		*r = (struct label_requirement){ .key = NULL };
		const char *from = skip(s);
		if (take_requirement(&s, r) && (!*skip(s) || *skip(s) == ','))
			continue;
		err_set(e, -EINVAL, ERR_CONFIG,
		        "--selector: \"%.100s\" is no condition; these are: key=value, key!=value, "
		        "key, !key, key in (a,b), key notin (a,b)",
		        from);
		label_selector_fini(&sel);
		return -EINVAL;
	} while (take(&s, ","));
	*ret = sel;
	return 0;
}
