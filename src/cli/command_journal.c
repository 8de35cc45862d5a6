/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead journal`: who had an address when, and what a Service had. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/since.h"
#include "cli/gather.h"
#include "cli/history.h"
#include "cli/state.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

static int read_state(const struct command_options *o, const char *namespace, struct state *s,
                      struct err *e)
{
	struct gather *g;

	if (o->state.n)
		return state_read_files(s, &o->state, e);
	int r = gather_open(&o->kube, &g, e);
	if (r < 0)
		return r;
	r = state_read_journal(s, g, namespace, e);
	gather_close(g);
	return r;
}

/* An address, or a Service, whose namespace is "default" if none is given. */
static void read_operand(const char *word, struct history_question *q, struct buf *service)
{
	if (addr_parse(word, &q->address) == 0)
		return;
	q->address = (struct addr){ .family = 0 };
	buf_printf(service, "%s%s", strchr(word, '/') ? "" : "default/", word);
	q->service = buf_str(service);
}

static int run_journal(const struct command_options *o, struct err *e)
{
	cleanup(state_fini) struct state s = { 0 };
	cleanup(history_fini) struct history h = { .n = 0 };
	cleanup(command_answer_fini) struct command_answer a;
	cleanup(buf_fini) struct buf service = BUF_INIT;
	cleanup_free char *namespace = options_namespace(&o->kube);
	struct history_question q = { .since_us = INT64_MIN };
	int64_t since_s;

	command_answer_init(&a, o);
	if (o->since && since_parse(o->since, &since_s, e) < 0)
		return COMMAND_USAGE;
	if (o->since)
		q.since_us = clock_wall_us() - since_s * 1000000;
	if (o->n_operands)
		read_operand(o->operands[0], &q, &service);
	if (read_state(o, namespace, &s, e) < 0)
		return COMMAND_FAILED;
	history_read(&h, &s, namespace);
	if (h.n_unreadable)
		fprintf(stderr, "warning: %zu lines of the journal cannot be read\n",
		        h.n_unreadable);
	if (h.n_maps == 0)
		fprintf(stderr, "warning: there is no journal; the key journal of the "
		                "configuration has the leader keep one\n");
	history_print(&h, &q, &a.out);
	command_print(&a);
	return state_exit(&s, COMMAND_OK, e);
}

const struct command command_journal = {
	.words = { "journal" },
	.operands = "[ADDRESS|[NAMESPACE/]SERVICE] [--since DURATION] [--state FILE…]",
	.names = NAMES_SERVICES,
	.n = 1,
	.optional = true,
	.flags = FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_STATE | FLAGS_SINCE | FLAGS_WIDE,
	.summary = "who had this address when, or which addresses this Service had; without "
		   "either, everything that the leaders have written down",
	.about = "The namespace is default if none is given.  The configuration's key journal "
		 "has the leader write it.",
	.run = run_journal,
};
