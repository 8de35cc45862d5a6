/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/director.h"

#include <stdlib.h>

#include "fairlead/mem.h"
#include "fairlead/proxy.h"
#include "proxy/conntrack.h"
#include "proxy/ipvs/routing.h"
#include "proxy/ipvs/settings.h"

struct director {
	struct virtuals *virtuals;
	struct routing *routing;
	const struct virtuals_ops *ops;
	void *arg;
};

static void on_changed(void *arg)
{
	const struct director *d = arg;

	d->ops->applied(d->arg);
}

static void on_failed(const struct err *e, void *arg)
{
	const struct director *d = arg;

	d->ops->failed(e, d->arg);
}

/* The sysctls are there once the module is. */
int director_start(struct event_base *base, uint32_t tag, const struct virtuals_ops *ops, void *arg,
                   struct director **ret_director, struct err *e)
{
	static const struct virtuals_ops own = { .applied = on_changed, .failed = on_failed };
	static const struct routing_ops routing = { .changed = on_changed, .failed = on_failed };
	struct director *d = xcalloc(1, sizeof(*d));

	d->ops = ops;
	d->arg = arg;
	int r = virtuals_start(base, tag, &own, d, &d->virtuals, e);
	if (r == 0)
		r = settings_open(e);
	if (r == 0)
		r = routing_start(base, tag, &routing, d, &d->routing, e);
	if (r < 0) {
		director_stop(d);
		return r;
	}
	*ret_director = d;
	return 0;
}

void director_stop(struct director *d)
{
	if (!d)
		return;
	virtuals_stop(d->virtuals);
	routing_stop(d->routing);
	free(d);
}

struct virtuals *director_virtuals(const struct director *d)
{
	return d ? d->virtuals : NULL;
}

void director_audit(struct director *d)
{
	struct err e = ERR_INIT;

	if (settings_open(&e) < 0)
		d->ops->failed(&e, d->arg);
	routing_audit(d->routing);
	virtuals_audit(d->virtuals);
}

bool director_is_lost(const struct director *d, uint8_t family)
{
	return routing_is_lost(d->routing, family);
}

bool director_is_damaged(const struct director *d, uint8_t family)
{
	return virtuals_is_damaged(d->virtuals, family) || !routing_stands(d->routing, family);
}

/* An operation is to IPVS what a rule is to the tables. */
void director_add_stats(const struct director *d, struct proxy_stats *st)
{
	const struct virtuals_stats own = virtuals_stats(d->virtuals);

	st->batches += own.batches;
	st->failures += own.failures;
	st->lines_written += own.operations;
	st->repairs += own.repairs + routing_n_repairs(d->routing);
	histogram_add(&st->batch_seconds, &own.batch_seconds);
	if (own.last_success_ms > st->last_success_ms)
		st->last_success_ms = own.last_success_ms;
	st->in_sync = st->in_sync && virtuals_is_in_sync(d->virtuals);
	st->settled = st->settled && virtuals_is_settled(d->virtuals);
}

/* ---- without one that runs ---- */

/*
 * Connections that IPVS had cannot go on, since connection tracking has no translation for them.
 * While it remembers them, no rule sees their packets as new: so their peers would hear nothing,
 * and a flow of UDP would go nowhere for as long as somebody sends.
 */
static int end_connections(struct err *e)
{
	uint32_t tags = routing_tags();
	int result = 0;

	for (uint32_t tag = tags & -tags; tag; tags &= ~tag, tag = tags & -tags) {
		int r = conntrack_forget(tag, e);
		result = result ? result : r;
	}
	return result;
}

bool director_has_ours(const void *what)
{
	(void)what;
	return virtuals_any() || routing_any() || settings_any();
}

int director_clean(const void *what, struct err *e)
{
	/* The way says which connections there were. */
	int (*const parts[])(struct err *) = { virtuals_clean, end_connections, routing_clean,
		                               settings_close };
	int result = 0;

	(void)what;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		int r = parts[i](result ? NULL : e);
		result = result ? result : r;
	}
	return result;
}
