/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/streams.h"
#include "speaker/speaker.h"

enum { EXIT_USAGE = 2 };

static int run(struct speaker *sp)
{
	struct err e = ERR_INIT;

	if (speaker_start(sp, &e) < 0) {
		/* Whoever is to blame, for this process it is the end: said at any log level. */
		log_error("cannot start", KV_S("error", e.msg),
		          KV_S("blame", err_blame_name(e.blame)));
		speaker_stop(sp);
		return EXIT_FAILURE;
	}
	event_base_dispatch(sp->base);
	speaker_stop(sp);
	return EXIT_SUCCESS;
}

static int clean_up(void)
{
	struct err e = ERR_INIT;

	if (proxy_cleanup(&e) < 0) {
		log_err("cannot clean up", &e);
		return EXIT_FAILURE;
	}
	log_info("rules and chains of ours are gone");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static char host[HOST_NAME_MAX + 1];
	struct speaker sp = { 0 };
	struct err e = ERR_INIT;

	streams_hold();
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
	signal(SIGPIPE, SIG_IGN);
	return sp.opts.cleanup ? clean_up() : run(&sp);
}
