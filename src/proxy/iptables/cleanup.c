/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uninstalling: whatever variant and family a former run used, its jumps and chains go, in one
 * transaction a table.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "proxy/child.h"
#include "fairlead/mem.h"
#include "proxy/iptables/native.h"
#include "proxy/iptables/save.h"
#include "proxy/iptables/variant.h"

#define CLEANUP_TIMEOUT_MS 300000

static void feed(const char *data, size_t size, void *arg)
{
	save_feed(arg, data, size);
}

static bool is_in(const char *table, const char *key)
{
	size_t len = strlen(table);

	return !strncmp(key, table, len) && key[len] == ' ';
}

static void removal(const struct save *s, const char *table, struct buf *out)
{
	cleanup(buf_fini) struct buf declare = BUF_INIT, delete_rules = BUF_INIT, delete = BUF_INIT;

	for (const struct save_chain *c = s->chains; c; c = c->hh.next) {
		if (!is_in(table, c->key))
			continue;
		buf_printf(&declare, ":%s - [0:0]\n", c->name);
		buf_printf(&delete, "-X %s\n", c->name);
	}
	for (size_t i = 0; i < s->n_jumps; i++)
		if (!strcmp(s->jumps[i].table, table))
			buf_printf(&delete_rules, "-D %s %s\n", s->jumps[i].chain,
			           s->jumps[i].spec);
	if (declare.size + delete_rules.size == 0)
		return;
	buf_printf(out, "*%s\n%s%s%sCOMMIT\n", table, buf_str(&declare), buf_str(&delete_rules),
	           buf_str(&delete));
}

/* If somebody holds the lock, we wait as long as variant.h says. */
static int write_patiently(const char *const argv[], const struct buf *text, int *ret_code,
                           struct buf *errors, struct err *e)
{
	int r = 0;

	for (int i = 0; r == 0 && i < VARIANT_LOCK_TRIES; i++) {
		buf_clear(errors);
		r = child_run(argv, text, CLEANUP_TIMEOUT_MS, NULL, NULL, ret_code, errors, e);
		if (*ret_code != EXIT_RESOURCE_PROBLEM || !strstr(buf_str(errors), "lock"))
			break;
	}
	return r;
}

/* @saved comes empty and is filled here. */
static int clean(const struct variant *v, uint8_t family, struct save *saved, struct err *e)
{
	int i = variant_index(family), code = 0;
	cleanup(buf_fini) struct buf text = BUF_INIT, errors = BUF_INIT;

	const char *const read[] = { v->save[i], NULL };
	const char *const write[] = { v->restore[i], "--noflush", "-w", "5", NULL };
	int r = child_run(read, NULL, CLEANUP_TIMEOUT_MS, feed, saved, &code, &errors, e);
	save_end(saved);
	if (r == 0 && code != 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", read[0], buf_str(&errors));
	if (r == 0)
		r = native_complete(family, saved, e);
	/* The nat rules first: nothing must be forwarded that the filter would have refused. */
	removal(saved, "nat", &text);
	removal(saved, "filter", &text);
	if (r < 0 || text.size == 0)
		return r;
	r = write_patiently(write, &text, &code, &errors, e);
	if (r == 0 && code != 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", write[0], buf_str(&errors));
	return r;
}

int variant_clean(const struct variant *v, struct err *e)
{
	static const uint8_t families[] = { 4, 6 };
	int result = 0;

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		if (!variant_is_used(v, families[f]) || !variant_is_installed(v, families[f]))
			continue;
		/* Too large for the stack of a small thread. */
		struct save *saved = xmalloc(sizeof(*saved));
		save_init(saved);
		int r = clean(v, families[f], saved, result ? NULL : e);
		result = result ? result : r;
		save_fini(saved);
		free(saved);
	}
	return result;
}
