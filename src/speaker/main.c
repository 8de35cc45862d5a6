/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/daemon.h"
#include "fairlead/log.h"
#include "speaker/effector.h"
#include "speaker/options.h"
#include "speaker/speaker.h"

enum { EXIT_USAGE = 2 };

static int run(struct speaker *sp)
{
	struct err e = ERR_INIT;

	if (speaker_start(sp, &e) < 0) {
		/* Whoever is to blame, this process ends: logged at any log level. */
		log_error("cannot start", KV_S("error", e.msg),
		          KV_S("blame", err_blame_name(e.blame)));
		speaker_stop(sp);
		return EXIT_FAILURE;
	}
	event_base_dispatch(sp->base);
	speaker_stop(sp);
	return sp->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int clean_up(const struct speaker_options *o)
{
	int status = EXIT_SUCCESS;

	/*
	 * Down, as always: first what leads packets here.  A failing one does not stop the others.
	 */
	EACH_EFFECTOR(effector) {
		struct err e = ERR_INIT;
		if (!effector->clean_up || effector->clean_up(o, &e) == 0)
			continue;
		err_prefix(&e, "%s", effector->what);
		log_err("cannot clean up", &e);
		status = EXIT_FAILURE;
	}
	if (status == EXIT_SUCCESS)
		log_info("rules, chains and routes of ours are gone");
	return status;
}

int main(int argc, char **argv)
{
	static char host[HOST_NAME_MAX + 1];
	struct speaker sp = { 0 };
	struct err e = ERR_INIT;

	daemon_begin();
	int r = speaker_options_parse(argc, argv, &sp.opts, &e);

	if (r == OPTIONS_DONE)
		return EXIT_SUCCESS;
	if (r < 0) {
		log_error("wrong command line", KV_S("error", e.msg));
		return EXIT_USAGE;
	}
	log_set_level(sp.opts.daemon.log_level);
	if (!sp.opts.node)
		sp.opts.node = getenv("NODE_NAME");
	if (!sp.opts.node || !*sp.opts.node) {
		gethostname(host, sizeof(host) - 1);
		sp.opts.node = host;
	}
	return sp.opts.cleanup ? clean_up(&sp.opts) : run(&sp);
}
