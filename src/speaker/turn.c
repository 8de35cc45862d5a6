/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn:
 *
 *   1. decide anew for each dirty Service
 *   2. publish: what may no longer be announced is yielded now, and its routes are withdrawn
 *   3. give the data plane the Services, which it writes after this turn.  Those that lost a route
 *      wait until bgpd has acknowledged the withdrawal, but not for long
 *   4. what is already in the kernel (where others forward: everything) becomes eligible, and what
 *      others keep from doing its work is so no longer; publish again
 *
 * What has to wait for the kernel becomes eligible in a later turn.  The first thing to go is what
 * an earlier run announced and nobody wants any more: until bgpd has acknowledged that, the rules
 * of that run stand untouched (again not for long).
 */
#include "config.h"

#include "speaker/turn.h"

#include <stdlib.h>

#include "fairlead/mem.h"

/*
 * Whether the node is ready for the traffic to the Service's address.  If others forward, that is
 * their job.
 */
static bool is_applied(const char *key, uint8_t family, void *arg)
{
	const struct turn *t = arg;
	const struct view_service *s = view_service_named(t->view, key);

	if (t->effectors->is_held(key, t->arg))
		return false;
	return !t->effectors->has_rules || !s || t->effectors->has_rules(s, family, t->arg);
}

/* A Service whose route is gone: in its present state, or removed. */
static void set_released(const char *key, void *arg)
{
	const struct turn *t = arg;
	const struct view_service *s = view_service_named(t->view, key);

	if (!t->effectors->set_rules)
		return;
	if (s)
		t->effectors->set_rules(s, t->arg);
	else
		t->effectors->remove_rules(key, t->arg);
}

/*
 * Decides anew; those of the Services that have lost a route are marked in the result, which the
 * caller frees.
 */
static bool *decide_all(struct turn *t, const struct view_service *const *dirty, size_t n)
{
	bool *withdrawn = xcalloc(n + 1, sizeof(*withdrawn));

	for (size_t i = 0; i < n; i++)
		withdrawn[i] = announce_update(t->announce, t->view, dirty[i]);
	return withdrawn;
}

static bool waits_for_withdrawal(const struct turn *t, const char *key, bool withdrawn)
{
	const struct turn_effectors *e = t->effectors;

	/* Before it is complete nothing is written at all. */
	if (t->complete && withdrawn && e->hold(key, t->arg))
		return true;
	return e->is_held(key, t->arg);
}

/*
 * @begun: before that any Service may have a route from an earlier run, which its announcement does
 * not show.
 */
static void set_all(struct turn *t, const struct view_service *const *dirty, size_t n,
                    const bool *withdrawn, bool begun)
{
	for (size_t i = 0; t->effectors->set_rules && i < n; i++)
		if (!waits_for_withdrawal(t, dirty[i]->key, withdrawn[i] || !begun))
			t->effectors->set_rules(dirty[i], t->arg);
}

/*
 * From now on the data plane is written; until then the rules of an earlier run stand, whatever
 * they are for.
 */
static void complete(struct turn *t)
{
	if (t->effectors->set_rules && !t->effectors->may_program(t->arg))
		return;
	t->complete = true;
	if (t->effectors->complete_rules)
		t->effectors->complete_rules(t->arg);
}

size_t turn_run(struct turn *t)
{
	const struct turn_effectors *e = t->effectors;
	size_t n = 0;

	const struct view_service *const *dirty = view_take_dirty(t->view, &n);
	cleanup_free bool *withdrawn = decide_all(t, dirty, n);
	/*
	 * The withdrawal may itself complete the start: the last Service that was waited for goes.
	 */
	bool begun = e->routes_have_begun(t->arg);

	e->publish(t->arg);
	if (t->complete)
		e->update_routes(t->arg);
	set_all(t, dirty, n, withdrawn, begun);
	view_clean(t->view);
	e->release(set_released, t, t->arg);
	if (e->hinder)
		e->hinder(t->arg);
	announce_settle(t->announce, is_applied, t);
	e->publish(t->arg);
	e->update_routes(t->arg);
	if (!t->complete)
		complete(t);
	return n;
}
