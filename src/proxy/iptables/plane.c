/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/iptables/plane_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

const char *plane_family(const struct plane *p)
{
	return p->family == 4 ? "IPv4" : "IPv6";
}

void plane_say_failed(struct plane *p, const char *what, const char *why, bool aloud)
{
	struct err e = ERR_INIT;

	err_set(&e, -EIO, ERR_SYSTEM, "%s: %s", what, *why ? why : "no reason given");
	size_t len = strlen(e.msg);
	while (len > 0 && isspace((unsigned char)e.msg[len - 1]))
		e.msg[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		e.msg[i] = (unsigned char)e.msg[i] < ' ' ? ' ' : e.msg[i];
	memcpy(p->last_error, e.msg, sizeof(p->last_error));
	if (aloud)
		p->ops->failed(&e, p->arg);
}

void plane_forget_error(struct plane *p)
{
	if (p->failures == 0 && model_n_refused(p->model) == 0)
		p->last_error[0] = '\0';
}

void plane_back_off(struct plane *p, unsigned int failures)
{
	int64_t wait = pace_pause_ms(failures ? failures - 1 : 0, PLANE_BACKOFF_MIN_MS,
	                             PLANE_BACKOFF_MAX_MS);

	p->next_ms = clock_ms() + wait + (int64_t)clock_random_below((uint64_t)wait / 2);
}

void plane_arm(struct event *timer, int64_t wait_ms)
{
	wait_ms = wait_ms < 0 ? 0 : wait_ms;
	struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };
	evtimer_add(timer, &tv);
}

/* ---- the machine ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct plane *p = arg;

	(void)fd;
	(void)what;
	if (p->child)
		return;
	switch (p->state) {
	case PLANE_ABSENT:
		plane_look_for_family(p);
		break;
	case PLANE_READING:
		plane_read(p);
		break;
	case PLANE_HELD:
		if (p->complete)
			plane_begin_adoption(p);
		break;
	case PLANE_ADOPTING:
		plane_adopt(p);
		break;
	case PLANE_IDLE:
		if (p->compare && clock_ms() >= p->next_comparison_ms)
			plane_read(p);
		else
			plane_write(p);
		break;
	case PLANE_WRITING:
	case PLANE_AUDITING:
		break; /* the program's end kicks again */
	}
}

void plane_kick(struct plane *p)
{
	if (!p->child)
		plane_arm(p->timer, p->next_ms - clock_ms());
}

static void on_udp_failed(const struct err *e, void *arg)
{
	struct plane *p = arg;

	plane_say_failed(p, "old UDP flows", e->msg, true);
}

static void on_udp_idle(void *arg)
{
	struct plane *p = arg;

	p->ops->applied(p->arg);
}

static const struct udp_ops udp_ops = { .failed = on_udp_failed, .idle = on_udp_idle };

static void on_foreign_change(void *arg)
{
	struct plane *p = arg;

	p->compare = true;
	plane_kick(p);
}

static void on_foreign_table(void *arg)
{
	struct plane *p = arg;

	if (p->ops->foreign)
		p->ops->foreign(p->arg);
}

static const struct watch_ops watch_ops = { .cares = plane_cares,
	                                    .changed = on_foreign_change,
	                                    .foreign = on_foreign_table };

struct plane *plane_new(struct event_base *base, const struct variant *v,
                        const struct render_options *o, int audit_ms, const char *absent,
                        const struct plane_ops *ops, void *arg)
{
	struct plane *p = xcalloc(1, sizeof(*p));

	p->base = base;
	p->v = v;
	p->family = o->family;
	p->localhost_node_ports = o->localhost_node_ports;
	p->ops = ops;
	p->arg = arg;
	p->model = model_new(o, v->max_batch, v->max_bytes);
	p->udp = udp_new(base, p->family, model_fronts(p->model), &udp_ops, p);
	p->watch = watch_new(base, v, p->family, &watch_ops, p);
	p->audit_ms = audit_ms;
	save_init(&p->saved);
	p->timer = evtimer_new(base, on_timer, p);
	p->state = PLANE_READING;
	if (absent) {
		p->state = PLANE_ABSENT;
		p->next_ms = clock_ms() + p->audit_ms;
		plane_say_failed(p, p->v->iptables[variant_index(p->family)], absent, false);
	}
	plane_kick(p);
	return p;
}

void plane_free(struct plane *p)
{
	if (!p)
		return;
	child_abandon(p->child);
	event_free(p->timer);
	udp_free(p->udp);
	model_free(p->model);
	watch_free(p->watch);
	save_fini(&p->saved);
	buf_fini(&p->text);
	free(p);
}

void plane_end(struct plane *p)
{
	if (p)
		child_end(TAKE(p->child));
	plane_free(p);
}

/* Something is to be written, with whatever else comes in the next moment. */
static void changed(struct plane *p)
{
	int64_t settled = clock_ms() + PACE_SETTLE_MS;

	if (!p->settling && p->next_ms < settled)
		p->next_ms = settled;
	p->settling = true;
	plane_kick(p);
}

void plane_set(struct plane *p, const struct proxy_half *s)
{
	if (!model_set(p->model, s))
		return;
	if (model_is_truncated(p->model, s->key))
		log_warn(
			"the Service has more ports, addresses or source ranges than are carried; what "
			"is beyond is left out",
			KV_S("service", s->key), KV_S("family", plane_family(p)));
	changed(p);
}

void plane_remove(struct plane *p, const char *key)
{
	if (model_remove(p->model, key))
		changed(p);
}

void plane_complete(struct plane *p)
{
	p->complete = true;
	/* What was read meanwhile may be old: another proxy may have been at work until now. */
	if (p->state == PLANE_HELD && watch_is_changed(p->watch))
		p->state = PLANE_READING;
	plane_kick(p);
}

void plane_set_node(struct plane *p, const struct proxy_node *n)
{
	model_set_node(p->model, n);
	p->node = *n;
	changed(p);
}

bool plane_is_damaged(const struct plane *p, const char *key)
{
	return model_is_damaged(p->model, key);
}

bool plane_any_damaged(const struct plane *p)
{
	return model_any_damaged(p->model);
}

const char *plane_refusal(const struct plane *p, const char *key)
{
	return model_refusal(p->model, key);
}

size_t plane_n_refused(const struct plane *p)
{
	return model_n_refused(p->model);
}

bool plane_forward_is_refused(const struct plane *p)
{
	return model_forward_is_refused(p->model);
}

bool plane_is_applied(const struct plane *p, const char *key)
{
	return model_is_applied(p->model, key);
}

bool plane_has(const struct plane *p, const char *key)
{
	return model_has(p->model, key);
}

bool plane_is_there(const struct plane *p)
{
	return p->state != PLANE_ABSENT;
}

void plane_add_stats(const struct plane *p, struct proxy_stats *st)
{
	const struct model_stats model = model_stats(p->model);
	const struct udp_stats udp = udp_stats(p->udp);
	const struct proxy_stats own = p->stats;

#define PROXY_STAT(member, from, name, type, help) st->member += from;
#include "fairlead/metrics.def"
	histogram_add(&st->batch_seconds, &own.batch_seconds);
	if (own.last_success_ms > st->last_success_ms)
		st->last_success_ms = own.last_success_ms;
	/* Nothing can be written for a family that is absent, and nothing of it is announced. */
	st->in_sync = st->in_sync && (p->state == PLANE_ABSENT ||
	                              (model_in_sync(p->model) && !udp_is_running(p->udp)));
	st->settled = st->settled && (p->state == PLANE_ABSENT || model_is_settled(p->model));
}

static void put_refused(const char *key, const char *error, void *arg)
{
	struct out *o = arg;

	out_object(o, NULL);
	out_str(o, "service", key);
	out_str(o, "error", error);
	out_close(o);
}

void plane_status(const struct plane *p, struct out *o)
{
	static const char *const states[] = {
		"without iptables", "reading", "waiting for all Services", "comparing", "idle",
		"writing",          "auditing"
	};
	struct model_stats m = model_stats(p->model);

	out_object(o, NULL);
	out_int(o, "family", p->family);
	out_str(o, "state", states[p->state]);
	out_bool(o, "in_sync", model_in_sync(p->model));
	out_uint(o, "services", m.n_services);
	out_uint(o, "pending", m.n_pending);
	out_uint(o, "truncated", m.n_truncated);
	out_uint(o, "repairs", m.repairs);
	out_int(o, "program_ms", p->child ? clock_ms() - child_started_ms(p->child) : 0);
	out_bool(o, "forward_refused", model_forward_is_refused(p->model));
	out_list(o, "refused");
	model_each_refused(p->model, put_refused, o);
	out_close(o);
	out_str(o, "last_error", *p->last_error ? p->last_error : NULL);
	out_close(o);
}
