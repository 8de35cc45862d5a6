/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead status`: a picture of the cluster, and its problems. `fairlead pools`, `fairlead bgp`
 * and `fairlead l2` are parts of it, the first without the speakers.  Each may look repeatedly, to
 * show changes or to wait until all is well.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/model.h"
#include "cli/picture.h"
#include "cli/selector.h"
#include "cli/status.h"
#include "cli/verdict.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

/* How often it looks again. */
#define WATCH_S 2
#define WAIT_S 1

/* ---- a look, and what it shows ---- */

struct look {
	unsigned int what;  /* PICTURE_… */
	unsigned int parts; /* of the verdict */
	void (*print)(struct model *m, const struct findings *f, struct out *o);
};

/* False: nobody reads it any more. */
static bool print(const struct command_options *o, const struct look *look, struct model *m,
                  const struct findings *f)
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, o);
	a.out.width = o->format == OUT_TEXT ? OUT_WIDTH : 0;
	look->print(m, f, &a.out);
	if (o->watch)
		return command_redraw(&a);
	command_print(&a);
	return true;
}

/* What manifests tell. */
#define PARTS_OF_FILES VERDICT_POOLS

/* One round: true if it is the last.  @g: NULL: of manifests. */
static bool round_of(const struct command_options *o, const struct look *look, struct gather *g,
                     const struct label_selector *selector, int64_t until_ms, int *ret_status,
                     struct err *e)
{
	struct picture p = { .model = cluster_new() };
	cleanup(findings_fini) struct findings f = { .items = NULL };
	int r = g ? picture_take(o, g, look->what, &p, e) : picture_read(o, &p, e);
	enum verdict_level level = VERDICT_DOWN;

	*ret_status = COMMAND_FAILED;
	if (r == 0)
		r = cluster_show_pools(p.model, o->pool, o->addresses, e);
	if (r == 0) {
		verdict_find(p.model, g ? look->parts : look->parts & PARTS_OF_FILES, &f);
		level = verdict_of(&f);
		cluster_show_only(p.model, o->service_namespace, selector);
	}
	bool last = !o->watch && (level == VERDICT_OK || clock_ms() >= until_ms);
	if (r == 0 && (last || o->watch)) {
		last |= !print(o, look, p.model, &f);
		*ret_status = picture_exit_status(o, &p, level, e);
	}
	cluster_free(p.model);
	return last;
}

static int show(const struct command_options *o, const struct look *look, struct err *e)
{
	cleanup(label_selector_fini) struct label_selector selector = { .n = 0 };
	int64_t until_ms = clock_ms() + o->wait_s * INT64_C(1000);
	struct gather *g = NULL;
	int status = COMMAND_FAILED;

	if (o->selector && selector_parse(o->selector, &selector, e) < 0)
		return COMMAND_USAGE;
	if (!o->state.n && gather_open(&o->kube, &g, e) < 0)
		return status;
	while (!round_of(o, look, g, &selector, until_ms, &status, e)) {
		if (o->watch)
			command_tell(e);
		*e = (struct err)ERR_INIT;
		sleep(o->watch ? WATCH_S : WAIT_S);
	}
	gather_close(g);
	return status;
}

#define WHOLE                                                                       \
	(VERDICT_CONTROLLER | VERDICT_POOLS | VERDICT_SERVICES | VERDICT_SPEAKERS | \
	 VERDICT_NODES | VERDICT_BGP)

static int run_status(const struct command_options *o, struct err *e)
{
	const struct look look = {
		.what = PICTURE_ALL | PICTURE_SPEAKERS,
		.parts = WHOLE,
		.print = o->summary ? cluster_summary_print : cluster_print,
	};

	return show(o, &look, e);
}

static void print_as(struct model *m, const struct findings *f, enum out_format format,
                     struct buf *text)
{
	cleanup(out_fini) struct out out;

	out_init(&out, format, text);
	out.width = format == OUT_TEXT ? OUT_WIDTH : 0;
	cluster_print(m, f, &out);
}

int status_both(const struct command_options *o, struct gather *g, const struct picture_tee *tee,
                struct buf *text, struct buf *json, struct err *e)
{
	cleanup(findings_fini) struct findings f = { .items = NULL };
	struct picture p = { .model = cluster_new(), .tee = tee };
	int r = picture_take(o, g, PICTURE_ALL | PICTURE_SPEAKERS, &p, e);

	if (r == 0) {
		verdict_find(p.model, WHOLE, &f);
		print_as(p.model, &f, OUT_TEXT, text);
		print_as(p.model, &f, OUT_JSON, json);
	}
	cluster_free(p.model);
	return r;
}

static int run_pools(const struct command_options *o, struct err *e)
{
	/* The table without -o wide shows nothing of the journal, which is long. */
	bool with_journal = o->addresses || o->format == OUT_WIDE || o->format == OUT_JSON ||
	                    o->format == OUT_YAML;
	const struct look look = { .what = PICTURE_ALL | (with_journal ? PICTURE_JOURNAL : 0),
		                   .parts = VERDICT_CONTROLLER | VERDICT_POOLS,
		                   .print = cluster_pools_print };

	if (o->config && !o->state.n) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "pools takes --config only with --state: a live cluster has its own");
		return COMMAND_USAGE;
	}
	return show(o, &look, e);
}

static int run_bgp(const struct command_options *o, struct err *e)
{
	static const struct look look = { .what = PICTURE_SPEAKERS,
		                          .parts = VERDICT_SPEAKERS | VERDICT_BGP,
		                          .print = cluster_bgp_print };

	return show(o, &look, e);
}

static int run_l2(const struct command_options *o, struct err *e)
{
	static const struct look look = { .what = PICTURE_ALL | PICTURE_SPEAKERS,
		                          .parts = VERDICT_SPEAKERS | VERDICT_NODES,
		                          .print = cluster_l2_print };

	return show(o, &look, e);
}

#define EXITS_OF_A_VERDICT                                      \
	{                                                       \
		[COMMAND_OK] = "the verdict is OK",             \
		[COMMAND_DEGRADED] = "the verdict is degraded", \
		[COMMAND_DOWN] = "the verdict is down",         \
	}

const struct command command_status = {
	.words = { "status" },
	.operands = "",
	.flags = FLAGS_VERDICT | FLAGS_SERVICES | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_SPEAKERS |
	         FLAGS_OUTPUT,
	.summary =
		"whether all is well, and what is not, why, and what to do; pools, Services with "
		"addresses, owners and reasons, nodes with their speakers",
	.exits = EXITS_OF_A_VERDICT,
	.run = run_status,
};

const struct command command_pools = {
	.words = { "pools" },
	.operands = "[--pool NAME] [--addresses] [--config FILE] [--state FILE…]",
	.flags = FLAGS_VERDICT | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_STATE |
	         FLAGS_CONFIG_FILE | FLAGS_POOL | FLAGS_ADDRESSES,
	.summary = "pools with their addresses: used, free, reserved, retained, excluded; each "
		   "address with who has it, or why nobody is given it",
	.exits = EXITS_OF_A_VERDICT,
	.run = run_pools,
};

const struct command command_bgp = {
	.words = { "bgp" },
	.operands = "",
	.flags = FLAGS_VERDICT | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary = "the BGP sessions of every node: state, uptime, last error, prefixes wanted and "
		   "sent; and what stands in the way of BGP there",
	.exits = EXITS_OF_A_VERDICT,
	.run = run_bgp,
};

const struct command command_l2 = {
	.words = { "l2" },
	.operands = "",
	.flags = FLAGS_VERDICT | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary = "layer 2: the segments of every node, whom it hears there and what is lost, who "
		   "owns which address since when and why, and what moved",
	.exits = EXITS_OF_A_VERDICT,
	.run = run_l2,
};
