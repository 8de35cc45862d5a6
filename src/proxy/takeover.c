/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/takeover.h"

#include <stdlib.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/removal.h"

struct takeover {
	struct event_base *base;
	const struct place **left; /* the last one first */
	size_t n_left;
	struct event *retry;
	struct removal *removal; /* of the last one, while that is under way */
	int retry_ms;
	const struct takeover_ops *ops;
	void *arg;
};

static void retry_later(struct takeover *t, const struct err *e)
{
	struct timeval tv = { t->retry_ms / 1000, t->retry_ms % 1000 * 1000 };

	t->ops->failed(e, t->arg);
	evtimer_add(t->retry, &tv);
}

static void on_removed(int r, const struct err *e, void *arg)
{
	struct takeover *t = arg;

	t->removal = NULL;
	if (r < 0) {
		retry_later(t, e);
		return;
	}
	t->n_left--;
	takeover_run(t);
	if (t->n_left == 0)
		t->ops->done(t->arg);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	takeover_run(arg);
}

struct takeover *takeover_new(struct event_base *base, const struct place *const *places, size_t n,
                              int retry_ms, const struct takeover_ops *ops, void *arg)
{
	struct takeover *t = xcalloc(1, sizeof(*t));

	t->base = base;
	t->retry_ms = retry_ms;
	t->ops = ops;
	t->arg = arg;
	t->retry = evtimer_new(base, on_retry, t);
	t->left = xcalloc(n + 1, sizeof(*t->left));
	for (size_t i = n; i-- > 0;)
		if (places[i]->has_ours(places[i]->what))
			t->left[t->n_left++] = places[i];
	return t;
}

void takeover_free(struct takeover *t)
{
	if (!t)
		return;
	removal_free(t->removal);
	event_free(t->retry);
	free(t->left);
	free(t);
}

void takeover_run(struct takeover *t)
{
	struct err e = ERR_INIT;

	if (t->n_left == 0 || t->removal || evtimer_pending(t->retry, NULL) ||
	    !t->ops->is_settled(t->arg))
		return;
	const struct place *place = t->left[t->n_left - 1];
	log_info("removing the rules of an earlier life", KV_S("place", place->name));
	if (removal_start(t->base, place->clean, place->what, on_removed, t, &t->removal, &e) < 0)
		retry_later(t, &e);
}

bool takeover_is_done(const struct takeover *t)
{
	return t->n_left == 0;
}
