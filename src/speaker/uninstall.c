/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a speaker that is uninstalled, in the order of every end: it stops announcing, and on
 * the next tick, when routers have heard of that, its rules go.  What fails is tried again with
 * each tick.  The process lives on, doing nothing, and /status says how far it has come, for
 * `fairlead uninstall` or anybody else who waits.
 */
#include "config.h"

#include "fairlead/log.h"
#include "speaker/effector.h"
#include "speaker/uninstall.h"

static const char *const names[] = {
	[UNINSTALL_NOT] = "no",
	[UNINSTALL_ASKED] = "withdrawing",
	[UNINSTALL_WITHDRAWN] = "withdrawn",
	[UNINSTALL_DONE] = "done",
};

static int withdraw(struct speaker *sp, struct err *e)
{
	int r = 0;

	EACH_EFFECTOR(effector)
		if (effector->withdraw && r == 0)
			r = effector->withdraw(sp, e);
	return r;
}

static int take_away(struct speaker *sp, struct err *e)
{
	int r = 0;

	EACH_EFFECTOR(effector)
		if (effector->uninstall && r == 0)
			r = effector->uninstall(sp, e);
	return r;
}

void speaker_uninstall_tick(struct speaker *sp)
{
	struct err e = ERR_INIT;
	int r = 0;

	sp->uninstall_error = e;
	switch (sp->uninstall) {
	case UNINSTALL_NOT:
	case UNINSTALL_DONE:
		return;
	case UNINSTALL_ASKED:
		r = withdraw(sp, &e);
		break;
	case UNINSTALL_WITHDRAWN:
		r = take_away(sp, &e);
		break;
	}
	if (r < 0) {
		log_err("cannot clean up; trying again", &e);
		sp->uninstall_error = e;
		return;
	}
	sp->uninstall++;
	if (sp->uninstall == UNINSTALL_DONE)
		log_info("everything of ours on this node is gone");
}

void speaker_uninstall(struct speaker *sp)
{
	if (sp->uninstall != UNINSTALL_NOT)
		return;
	log_info("being uninstalled: announcements, routes and rules go");
	sp->uninstall = UNINSTALL_ASKED;
	speaker_uninstall_tick(sp);
}

const char *speaker_uninstall_name(const struct speaker *sp)
{
	return names[sp->uninstall];
}
