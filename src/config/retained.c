/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is retained: addresses in use that an edit left without a pool, as a list of pools that give
 * nothing.  The leader prints it into a key of its own beside the administrator's text, which so
 * stays as it was written, and which a speaker of an earlier version reads as ever.
 *
 * Neighbouring addresses of one pool become ranges; a pool is printed with what concerns
 * announcing, and with its use, by which an assigned external IP is told from one that somebody
 * wrote.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"

/* ---- reading ---- */

int configuration_retain(struct configuration *c, const char *retained,
                         struct config_problems *errors)
{
	struct schema_ctx x = { .errors = errors };
	struct draft d = { .config = xcalloc(1, sizeof(*d.config)), .retained = true };
	struct ytree tree;
	struct ytree_error broken;
	size_t before = errors->n, mark = schema_enter_key(&x, CONFIG_MAP_RETAINED);

	d.config->refs = 1;
	if (ytree_parse(retained, strlen(retained), 0, &tree, &broken) < 0) {
		schema_error(&x, broken.line, "%s", broken.message);
	} else {
		if (tree.root)
			parse_retained(&x, tree.root, &d);
		check_overlap(&x, &d);
		ytree_fini(&tree);
	}
	schema_leave(&x, mark);
	buf_fini(&x.path);
	if (errors->n == before) {
		make_index(&d);
		c->retained = TAKE(d.config->pools);
		c->n_retained = d.config->n_pools;
		c->retained_index = TAKE(d.config->index);
		c->n_retained_index = d.config->n_index;
		d.config->n_pools = d.config->n_index = 0;
	}
	draft_fini(&d);
	return errors->n == before ? 0 : -EINVAL;
}

int configuration_parse_published(const char *yaml, const char *retained,
                                  struct configuration **ret_config, struct config_problems *errors,
                                  struct config_problems *warnings)
{
	struct configuration *c;
	int r = parse_text(yaml ? yaml : "", yaml ? strlen(yaml) : 0, 0, true, &c, errors,
	                   warnings);

	if (r < 0)
		return r;
	if (retained && *retained)
		r = configuration_retain(c, retained, errors);
	if (r < 0)
		configuration_unref(c);
	else
		*ret_config = c;
	return r;
}

/* ---- printing ---- */

static void put_words(struct buf *out, const char *key, unsigned int bits, const char *first,
                      const char *second)
{
	buf_printf(out, ", %s: [%s%s%s]", key, bits & 1 ? first : "", bits == 3 ? ", " : "",
	           bits & 2 ? second : "");
}

/*
 * The lists by which it is for some alone, as JSON, which is YAML too; nothing where it is for all.
 */
static void put_limits(struct buf *out, const struct config_advertisement *a)
{
	const struct schema_table *t = &advertisement_table;

	for (const struct schema_key *key = t->keys; key < t->keys + t->n_keys; key++) {
		cleanup(buf_fini) struct buf value = BUF_INIT;
		struct schema_key unnamed = *key;
		struct out o;
		if (!key->type->reads_null)
			continue;
		unnamed.name = NULL;
		out_init(&o, OUT_JSON, &value);
		key->type->print(&o, &unnamed, (const char *)a + key->offset);
		out_fini(&o);
		if (value.size)
			buf_printf(out, ", %s: %s", key->name, buf_str(&value));
	}
}

static void put_advertisements(struct buf *out, const struct config_pool *p)
{
	buf_puts(out, ", bgp-advertisements: [");
	for (size_t i = 0; i < p->n_advertisements; i++) {
		const struct config_advertisement *a = &p->advertisements[i];
		buf_printf(out, "%s{aggregation-length: %u, aggregation-length-v6: %u",
		           i ? ", " : "", a->aggregation_len, a->aggregation_len_v6);
		if (a->has_localpref)
			buf_printf(out, ", localpref: %" PRIu32, a->localpref);
		buf_puts(out, ", communities: [");
		for (size_t k = 0; k < a->n_communities; k++) {
			buf_puts(out, k ? ", " : "");
			buf_json_str(out, a->communities[k]);
		}
		buf_putc(out, ']');
		put_limits(out, a);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

/* JSON is YAML, too. */
static void put_layer2(struct buf *out, const struct config_pool *p)
{
	struct out o;

	buf_puts(out, ", layer2: ");
	out_init(&o, OUT_JSON, out);
	print_layer2(&o, NULL, p);
	out_fini(&o);
}

static void put_pool(struct buf *out, const struct config_pool *p)
{
	_Static_assert(CONFIG_USE_LOAD_BALANCER == 1 && CONFIG_USE_EXTERNAL_IP == 2, "bits");

	buf_puts(out, "- {name: ");
	buf_json_str(out, p->name);
	put_words(out, "protocol", p->protocols, "layer2", "bgp");
	put_words(out, "use", p->uses, "load-balancer", "external-ip");
	if (p->holds_ending)
		buf_puts(out, ", terminating: hold");
	if (p->n_advertisements > 0)
		put_advertisements(out, p);
	if (p->n_layer2 > 0)
		put_layer2(out, p);
	buf_puts(out, ", addresses: [");
}

/* An address, and the text that opens its pool: pools whose settings are equal are one. */
struct line {
	const char *head;
	const struct addr *addr;
};

static int line_cmp(const void *a, const void *b)
{
	const struct line *la = a, *lb = b;
	int c = la->head == lb->head ? 0 : strcmp(la->head, lb->head);

	return c ? c : addr_cmp(la->addr, lb->addr);
}

static int by_pool(const void *a, const void *b)
{
	const struct config_pool *pa = ((const struct config_retention *)a)->pool;
	const struct config_pool *pb = ((const struct config_retention *)b)->pool;

	return (pa > pb) - (pa < pb);
}

static bool is_next(const struct addr *last, const struct addr *a)
{
	struct addr beyond;

	return addr_eq(a, last) || (addr_next(last, &beyond) && addr_eq(a, &beyond));
}

static void put_lines(const struct line *lines, size_t n, struct buf *out)
{
	char text[ADDR_RANGE_STR_SIZE];

	for (size_t i = 0, next; i < n; i = next) {
		struct addr_range range = { .first = *lines[i].addr, .last = *lines[i].addr };
		bool opens = i == 0 || strcmp(lines[i].head, lines[i - 1].head) != 0;

		for (next = i + 1; next < n && !strcmp(lines[next].head, lines[i].head) &&
		                   is_next(&range.last, lines[next].addr);
		     next++)
			range.last = *lines[next].addr;
		buf_printf(out, "%s\"%s\"", opens ? lines[i].head : ", ",
		           addr_range_format(&range, text));
		if (next == n || strcmp(lines[next].head, lines[i].head) != 0)
			buf_puts(out, "]}\n");
	}
}

void configuration_print_retained(struct config_retention *items, size_t n, struct buf *out)
{
	struct line *lines = xcalloc(n + 1, sizeof(*lines));
	char **heads = xcalloc(n + 1, sizeof(*heads));
	size_t n_heads = 0;

	if (n > 0)
		qsort(items, n, sizeof(*items), by_pool);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || items[i].pool != items[i - 1].pool) {
			struct buf head = BUF_INIT;
			put_pool(&head, items[i].pool);
			heads[n_heads++] = buf_take(&head);
		}
		lines[i] = (struct line){ .head = heads[n_heads - 1], .addr = &items[i].addr };
	}
	if (n > 0)
		qsort(lines, n, sizeof(*lines), line_cmp);
	put_lines(lines, n, out);
	for (size_t i = 0; i < n_heads; i++)
		free(heads[i]);
	free(heads);
	free(lines);
}
