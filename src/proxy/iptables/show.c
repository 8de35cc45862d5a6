/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/show.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/iptables/whole.h"
#include "proxy/spec.h"

/* In the order in which packets come by. */
enum part { PART_FRAME, PART_BUCKETS, PART_SERVICES };
#define PARTS 3

struct table_text {
	struct buf chains;
	struct buf rules[PARTS];
	const char *key[PARTS]; /* whose rules come last; NULL: the frame's */
};

static enum part part_of(const char *chain)
{
	if (chain_is_of_service(chain))
		return PART_SERVICES;
	return chain_is_bucket(chain) ? PART_BUCKETS : PART_FRAME;
}

/* The key comes from a manifest, and must not end the comment. */
static void put_heading(const char *key, struct buf *out)
{
	cleanup_free char *plain = xstrdup(key);

	buf_plain(plain);
	buf_printf(out, "# %s\n", plain);
}

static void put_chain(const struct chain *c, const char *const *keys, void *arg)
{
	struct table_text *t = (struct table_text *)arg + chain_table(c->name);
	enum part part = part_of(c->name);
	cleanup(buf_fini) struct buf lines = BUF_INIT;

	buf_printf(&t->chains, ":%s - [0:0]\n", c->name);
	chain_write(c, chain_hash(c), &lines);
	const char *line = buf_str(&lines);
	for (size_t i = 0; i < c->n_rules; i++) {
		size_t len = strcspn(line, "\n") + 1;
		if (keys[i] && (!t->key[part] || strcmp(t->key[part], keys[i]) != 0))
			put_heading(keys[i], &t->rules[part]);
		t->key[part] = keys[i];
		buf_add(&t->rules[part], line, len);
		line += len;
	}
}

/* The one that accepts comes last: packets meet it when all others have let them pass. */
static void put_jumps(enum chain_table table, struct buf *out)
{
	for (int accepts = 0; accepts <= 1; accepts++)
		for (size_t i = 0; i < RENDER_JUMPS; i++) {
			const struct render_jump *j = &render_jumps[i];
			if (j->table != table || j->accepts != accepts)
				continue;
			buf_printf(out, accepts ? "-A %s -j %s\n" : "-I %s 1 -j %s\n", j->builtin,
			           j->target);
		}
}

static void put_table(enum chain_table table, struct table_text *t, struct buf *out)
{
	buf_printf(out, "*%s\n%s", chain_table_name(table), buf_str(&t->chains));
	put_jumps(table, out);
	for (int part = 0; part < PARTS; part++)
		buf_add(out, t->rules[part].data, t->rules[part].size);
	buf_puts(out, "COMMIT\n");
}

void show(const struct render_options *o, const struct proxy_half *const *halves, size_t n,
          struct buf *ret_text)
{
	struct table_text tables[2] = { { .chains = BUF_INIT } };
	struct spec **specs = xcalloc(n + 1, sizeof(struct spec *));

	for (size_t i = 0; i < n; i++)
		specs[i] = spec_new(halves[i]);
	struct whole *w = whole_new(o, specs, n);
	while (whole_step(w, SIZE_MAX, put_chain, tables))
		;
	put_table(CHAIN_FILTER, &tables[CHAIN_FILTER], ret_text);
	put_table(CHAIN_NAT, &tables[CHAIN_NAT], ret_text);
	for (int i = 0; i < 2; i++) {
		buf_fini(&tables[i].chains);
		for (int part = 0; part < PARTS; part++)
			buf_fini(&tables[i].rules[part]);
	}
	whole_free(w);
	free(specs);
}
