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

/*
 * An address, or a Service, whose namespace is "default" if none is given.  No name of a Service
 * or a namespace has a dot or a colon, so that what has one was to be an address.
 */
static int read_operand(const char *word, struct history_question *q, struct buf *service,
                        struct err *e)
{
	struct prefix range;

	if (addr_parse(word, &q->address) == 0)
		return 0;
	q->address = (struct addr){ .family = 0 };
	if (prefix_parse(word, false, &range) == 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "%.100s is a range; the journal is asked for one address, such as "
		               "%.*s",
		               word, (int)strcspn(word, "/"), word);
	if (strpbrk(word, ".:"))
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "\"%.100s\" is no address; write one such as 192.0.2.1 or "
		               "2001:db8::1, or the name of a Service, such as shop/web",
		               word);
	buf_printf(service, "%s%s", strchr(word, '/') ? "" : "default/", word);
	q->service = buf_str(service);
	return 0;
}

static int read_question(const struct command_options *o, struct history_question *q,
                         struct buf *service, struct err *e)
{
	int r = o->since ? since_parse(o->since, clock_wall_us(), &q->since_us, e) : 0;

	if (r == 0 && o->n_operands)
		r = read_operand(o->operands[0], q, service, e);
	return r;
}

static void warn(const struct history *h)
{
	if (h->n_unreadable)
		fprintf(stderr, "warning: %zu lines of the journal cannot be read\n",
		        h->n_unreadable);
	if (h->n_maps == 0)
		fprintf(stderr, "warning: there is no journal; the key journal of the "
		                "configuration has the leader keep one\n");
}

/* Without a namespace it was asked for in "default", and nobody may have meant that. */
static int look_elsewhere(const struct history *h, const struct command_options *o,
                          const struct history_question *q, struct err *e)
{
	const char *found = q->service && !strchr(o->operands[0], '/')
	                            ? history_elsewhere(h, q->service)
	                            : NULL;

	return found ? err_set(e, -ENOENT, ERR_CONFIG,
	                       "there is no Service %.320s in the journal; give its namespace: "
	                       "%.320s",
	                       q->service, found)
	             : 0;
}

static int run_journal(const struct command_options *o, struct err *e)
{
	cleanup(state_fini) struct state s = { 0 };
	cleanup(history_fini) struct history h = { .n = 0 };
	cleanup(command_answer_fini) struct command_answer a;
	cleanup(buf_fini) struct buf service = BUF_INIT;
	cleanup_free char *namespace = options_namespace(&o->kube);
	struct history_question q = { .since_us = INT64_MIN };

	command_answer_init(&a, o);
	if (read_question(o, &q, &service, e) < 0)
		return COMMAND_USAGE;
	if (read_state(o, namespace, &s, e) < 0)
		return COMMAND_FAILED;
	history_read(&h, &s, namespace);
	warn(&h);
	if (look_elsewhere(&h, o, &q, e) < 0)
		return COMMAND_FAILED;
	history_print(&h, &q, &a.out);
	command_print(&a);
	return state_exit(&s, COMMAND_OK, e);
}

const struct command command_journal = {
	.words = { "journal" },
	.operands = "[ADDRESS|[NAMESPACE/]SERVICE] [--since TIME] [--state FILE…]",
	.names = NAMES_SERVICES,
	.n = 1,
	.optional = true,
	.flags = FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_STATE | FLAGS_SINCE | FLAGS_WIDE,
	.summary = "who had this address when, or which addresses this Service had; without "
		   "either, everything that the leaders have written down",
	.about = "The namespace is default if none is given.  With --since the answer about an "
		 "address or a Service begins with how it was before, marked (earlier).  The "
		 "configuration's key journal has the leader write it.",
	.exits = { [COMMAND_FAILED] = "there is no such Service, but one in another namespace" },
	.run = run_journal,
};
