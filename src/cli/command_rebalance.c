/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead rebalance`: what would go from node to node so that each has its share, and the mark by
 * which speakers are asked for it.  The mark is at fairlead-active, which they follow anyway, so
 * neither they nor anybody else needs a right more; it stays there, since only another one counts.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/model.h"
#include "cli/picture.h"
#include "fairlead/clock.h"
#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

static int set_mark(const struct command_options *o, struct gather *g, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/configmaps/" CONFIG_MAP_ACTIVE, namespace);
	char now[CLOCK_RFC3339_SIZE];
	cleanup_free char *body =
		xasprintf("{\"metadata\":{\"annotations\":{\"" REBALANCE_ANNOTATION "\":\"%s\"}}}",
	                  clock_rfc3339_micro(clock_wall_us(), now));
	const struct kube_request_spec spec = {
		.method = "PATCH", .path = path, .body = body, .patch = KUBE_PATCH_MERGE
	};
	int status = 0;

	if (gather_request(g, &spec, &status, e) < 0) {
		err_prefix(e, "ConfigMap " CONFIG_MAP_ACTIVE);
		return COMMAND_FAILED;
	}
	fputs("The speakers are asked. They begin when nothing has been wrong for a minute; "
	      "fairlead l2 --watch shows what moves.\n",
	      stderr);
	return COMMAND_OK;
}

static bool print(const struct command_options *o, struct model *m)
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, o);
	bool any = cluster_rebalance_print(m, &a.out);
	command_print(&a);
	/* The question comes behind it. */
	fflush(stdout);
	return any;
}

static int rebalance(const struct command_options *o, struct gather *g, struct err *e)
{
	struct picture p = { .model = cluster_new() };
	int status = COMMAND_FAILED;

	if (picture_take(o, g, PICTURE_ALL | PICTURE_SPEAKERS, &p, e) == 0) {
		bool complete = cluster_is_complete(p.model);
		bool any = print(o, p.model);
		status = COMMAND_OK;
		if (!complete)
			fputs("Some speaker did not answer, and is not counted.\n", stderr);
		/* What only the silent one owns may be too much. */
		if ((any || !complete) && !o->dry_run)
			status = ask_is_wanted(o->yes) ? set_mark(o, g, e) : COMMAND_FAILED;
		if (status == COMMAND_OK && !complete)
			status = COMMAND_INCOMPLETE;
	}
	cluster_free(p.model);
	return status;
}

static int run_rebalance(const struct command_options *o, struct err *e)
{
	struct gather *g = NULL;

	if (gather_open(&o->kube, &g, e) < 0)
		return COMMAND_FAILED;
	int status = rebalance(o, g, e);
	gather_close(g);
	return status;
}

const struct command command_rebalance = {
	.words = { "rebalance" },
	.operands = "[--dry-run]",
	.flags = FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT | FLAGS_EDIT,
	.summary =
		"has owners by layer 2 hand over addresses, once, to nodes that own less than their "
		"share; what would go from whom to whom is shown first",
	.about = "They begin when nothing has been wrong on the segment for a minute, and hand "
		 "over one Service a second, or as many as rebalance in the configuration says.",
	.exits = { [COMMAND_FAILED] = "nobody said to go on, or the API server refused it",
	           [COMMAND_INCOMPLETE] = "the answer was printed, but a speaker did not answer" },
	.run = run_rebalance,
};
