/* SPDX-License-Identifier: Apache-2.0 */
/* Which entries of the pool's layer2 decide about an address, and for which nodes. */
#include "config.h"

#include "cli/explain_private.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

static bool is_for(uint64_t entries, size_t i)
{
	return entries >> i & 1;
}

/* The nodes that the entry is for, with what it prefers them by. */
static void say_nodes(const struct decision *d, size_t i, struct buf *out)
{
	size_t n;
	const struct view_node *nodes = view_nodes(d->view, &n);
	size_t before = out->size;

	for (size_t k = 0; k < n; k++) {
		if (!is_for(decide_layer2(d, &nodes[k]), i))
			continue;
		uint32_t preference = decide_preference(d, &nodes[k]);
		buf_printf(out, "%s%s", out->size > before ? ", " : "", nodes[k].name);
		if (preference > 0)
			buf_printf(out, " (preferred by %u)", (unsigned int)preference);
	}
	if (out->size == before)
		buf_puts(out, "no Node");
}

void explain_say_layer2(const struct decision *d, struct out *o)
{
	for (size_t i = 0; d->pool && i < d->pool->n_layer2; i++) {
		cleanup(buf_fini) struct buf entry = BUF_INIT, nodes = BUF_INIT;
		config_layer2_say(&d->pool->layer2[i], &entry);
		if (is_for(d->layer2, i))
			say_nodes(d, i, &nodes);
		else
			buf_puts(&nodes, "not for this Service");
		out_say(o, "  By layer2[%zu] of the pool (%s): %s.", i, buf_str(&entry),
		        buf_str(&nodes));
	}
}

static void put_nodes(const struct decision *d, size_t i, struct out *o)
{
	size_t n;
	const struct view_node *nodes = view_nodes(d->view, &n);

	out_list(o, "nodes");
	for (size_t k = 0; k < n; k++)
		if (is_for(decide_layer2(d, &nodes[k]), i)) {
			out_object(o, NULL);
			out_str(o, "node", nodes[k].name);
			out_uint(o, "preference", decide_preference(d, &nodes[k]));
			out_close(o);
		}
	out_close(o);
}

void explain_put_layer2(const struct decision *d, struct out *o)
{
	if (out_is_text(o) || !d->pool || d->pool->n_layer2 == 0)
		return;
	out_list(o, "layer2");
	for (size_t i = 0; i < d->pool->n_layer2; i++) {
		cleanup(buf_fini) struct buf entry = BUF_INIT;
		config_layer2_say(&d->pool->layer2[i], &entry);
		out_object(o, NULL);
		out_uint(o, "entry", i);
		out_str(o, "says", buf_str(&entry));
		out_bool(o, "for_service", is_for(d->layer2, i));
		put_nodes(d, i, o);
		out_close(o);
	}
	out_close(o);
}
