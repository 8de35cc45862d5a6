/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead version`: this program's version, and those of the daemons.  The first is printed even
 * if asking for the others fails.
 */
#include "config.h"

#include "cli/gather.h"
#include "cli/model.h"
#include "cli/picture.h"
#include "cli/verdict.h"
#include "fairlead/mem.h"

#define WHAT (PICTURE_SPEAKERS | PICTURE_CONTROLLERS)
#define PARTS (VERDICT_VERSIONS | VERDICT_SPEAKERS)

/* @m: NULL: no cluster was asked, or it did not answer. */
static void print(const struct command_options *o, struct model *m, const struct findings *f)
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, o);
	a.out.width = OUT_WIDTH;
	cluster_version_print(m, f, &a.out);
	command_print(&a);
}

static int answer(const struct command_options *o, struct gather *g, struct err *e)
{
	struct picture p = { .model = cluster_new() };
	cleanup(findings_fini) struct findings f = { .items = NULL };
	int exit_status = COMMAND_FAILED;

	if (picture_take(o, g, WHAT, &p, e) == 0) {
		verdict_find(p.model, PARTS, &f);
		print(o, p.model, &f);
		exit_status = picture_exit_status(o, &p, verdict_of(&f), e);
	} else {
		print(o, NULL, NULL);
	}
	cluster_free(p.model);
	return exit_status;
}

static int run_version(const struct command_options *o, struct err *e)
{
	struct gather *g;

	if (o->client_only || gather_open(&o->kube, &g, e) < 0) {
		print(o, NULL, NULL);
		if (e->blame != ERR_NONE)
			err_prefix(e, "no cluster was asked, see --client");
		return o->client_only ? COMMAND_OK : COMMAND_FAILED;
	}
	int exit_status = answer(o, g, e);
	gather_close(g);
	return exit_status;
}

const struct command command_version = {
	.words = { "version" },
	.operands = "",
	.flags = FLAGS_CLIENT | FLAGS_CLUSTER | FLAGS_SPEAKERS | FLAGS_OUTPUT,
	.summary =
		"the version of this program, and those of the controllers and speakers; whether "
		"they differ",
	.about = "This program's is printed also where no cluster answers.",
	.exits = { [COMMAND_OK] = "all daemons are of one version",
	           [COMMAND_DEGRADED] = "they differ, or a speaker did not answer",
	           [COMMAND_DOWN] = "no speaker answered" },
	.run = run_version,
};
