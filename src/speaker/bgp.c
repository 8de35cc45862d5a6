/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGP as the speaker uses it: routes.c passes all of it to bgpd.  The rules that stop packets to
 * unused addresses of aggregates are its work, too, but they outlive the routes, and so they have a
 * row of their own.
 */
#include "config.h"

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "speaker/effector.h"
#include "speaker/events.h"
#include "speaker/sinks.h"

static enum reason reason_of(const struct speaker *sp, const struct announcement *a,
                             struct buf *words)
{
	if (a->reason == REASON_Candidate)
		return a->reason;
	if (a->eligible) {
		routes_reason_of(sp->routes, &a->addr, words);
		config_pool_say_advertisements(configuration_pool_of(view_configuration(sp->view),
		                                                     &a->addr),
		                               a->advertisements, words);
	} else {
		buf_puts(words, reason_sentence(a->reason));
	}
	return a->reason;
}

static void on_routes_changed(void *arg)
{
	speaker_schedule(arg);
}

static int start(struct speaker *sp, struct err *e)
{
	const struct routes_options routes = { .node = sp->opts.node,
		                               .socket_dir = sp->opts.bgp_socket_dir,
		                               .shared_instance = sp->opts.bgp_shared_instance,
		                               .sinks = true };

	(void)e;
	sp->routes = routes_new(sp->base, &routes, on_routes_changed, sp);
	if (sp->opts.bgp_password_secret)
		routes_await_passwords(sp->routes, sp->opts.bgp_password_secret);
	return 0;
}

static void stop(struct speaker *sp)
{
	routes_free(TAKE(sp->routes));
}

static int clean_up(const struct speaker_options *o, struct err *e)
{
	return o->bgp_socket_dir ? routes_cleanup(o->bgp_socket_dir, e) : 0;
}

static int withdraw(struct speaker *sp, struct err *e)
{
	routes_stop(sp->routes);
	return clean_up(&sp->opts, e);
}

static void status(const struct speaker *sp, struct out *o)
{
	routes_status(sp->routes, "bgp", o);
}

static void metrics(const struct speaker *sp, struct metrics_writer *w)
{
	routes_metrics(sp->routes, w);
}

static void tell(struct speaker *sp)
{
	routes_tell(sp->routes, sp->news, &sp->events, clock_ms(), speaker_tell_of_node, sp);
}

const struct effector bgp_effector = {
	.what = "bgpd",
	.protocol = PROTOCOL_BGP,
	.reason_of = reason_of,
	.status = status,
	.metrics = metrics,
	.tell = tell,
	.start = start,
	.stop = stop,
	.withdraw = withdraw,
	.clean_up = clean_up,
};

/* ---- the rules about aggregates ---- */

static int uninstall_sinks(struct speaker *sp, struct err *e)
{
	(void)sp;
	return sinks_cleanup(e);
}

static int clean_up_sinks(const struct speaker_options *o, struct err *e)
{
	(void)o;
	return sinks_cleanup(e);
}

const struct effector sinks_effector = {
	.what = "the rules about aggregates",
	.uninstall = uninstall_sinks,
	.clean_up = clean_up_sinks,
};
