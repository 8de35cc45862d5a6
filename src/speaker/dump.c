/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/dump.h"

#include <event2/event.h>

#include "fairlead/bgp.h"
#include "fairlead/mem.h"
#include "speaker/state.h"

/* A dump that is under way, or one that consists of a single message. */
struct job {
	struct proxy_dump *rules;
	struct proxy_diff *diff;
	struct bgp_dump *bgp;
	struct event *word_said;
	const char *word;
	void (*done)(struct buf *text, void *done_arg);
	void *done_arg;
};

static void cancel(void *arg)
{
	struct job *j = arg;

	proxy_dump_cancel(j->rules);
	proxy_diff_cancel(j->diff);
	bgp_dump_cancel(j->bgp);
	if (j->word_said)
		event_free(j->word_said);
	free(j);
}

static void on_done(struct buf *text, void *arg)
{
	struct job *j = arg;

	/* The caller frees the dump itself. */
	j->rules = NULL;
	j->diff = NULL;
	j->bgp = NULL;
	j->done(text, j->done_arg);
	cancel(j);
}

static void on_word(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)fd;
	(void)what;
	buf_puts(&text, j->word);
	on_done(&text, j);
}

static struct job *job_new(void (*done)(struct buf *text, void *done_arg), void *done_arg)
{
	struct job *j = xcalloc(1, sizeof(*j));

	*j = (struct job){ .done = done, .done_arg = done_arg };
	return j;
}

static void say(struct job *j, struct event_base *base, const char *word)
{
	static const struct timeval now = { 0, 0 };

	j->word = word;
	j->word_said = evtimer_new(base, on_word, j);
	evtimer_add(j->word_said, &now);
}

static void *start_rules(void *arg, void (*done)(struct buf *text, void *done_arg), void *done_arg)
{
	const struct speaker *sp = arg;
	struct job *j = job_new(done, done_arg);

	/* An uninstalled speaker no longer has a proxy. */
	j->rules = sp->proxy ? proxy_dump_start(sp->proxy, sp->base, on_done, j) : NULL;
	if (!j->rules)
		say(j, sp->base, "# this speaker carries no traffic\n");
	return j;
}

static void *start_diff(void *arg, void (*done)(struct buf *text, void *done_arg), void *done_arg)
{
	const struct speaker *sp = arg;
	struct job *j = job_new(done, done_arg);

	j->diff = sp->proxy ? proxy_diff_start(sp->proxy, sp->base, on_done, j) : NULL;
	if (!j->diff)
		say(j, sp->base, "{\"mode\":\"none\",\"families\":[]}");
	return j;
}

static void *start_bgp(void *arg, void (*done)(struct buf *text, void *done_arg), void *done_arg)
{
	const struct speaker *sp = arg;
	struct job *j = job_new(done, done_arg);

	if (sp->opts.bgp_socket_dir) {
		cleanup_free char *path = xasprintf("%s/bgpd.vty", sp->opts.bgp_socket_dir);
		j->bgp = bgp_dump_start(sp->base, path, on_done, j);
	} else {
		say(j, sp->base, "# this speaker does no BGP (--bgp-socket-dir none)\n");
	}
	return j;
}

const struct metrics_dump speaker_dumps[] = {
	{ "/dump/rules", start_rules, cancel },
	{ "/dump/diff", start_diff, cancel },
	{ "/dump/bgp", start_bgp, cancel },
	{ .path = NULL },
};

bool speaker_may_dump(const struct addr *from, void *arg)
{
	return view_is_api_server(((const struct speaker *)arg)->view, from);
}
