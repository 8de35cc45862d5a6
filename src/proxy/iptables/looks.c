/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel has: read completely and compared, or checked briefly; and whether there is
 * iptables at all.
 */
#include "config.h"

#include "proxy/iptables/plane_private.h"

#include <string.h>

#include "proxy/iptables/native.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"

/* ---- reading what is there ---- */

static void on_saved(const char *data, size_t size, void *arg)
{
	struct plane *p = arg;

	save_feed(&p->saved, data, size);
}

static void touch_state(const struct proxy_half *s, void *arg)
{
	const struct plane *p = arg;

	udp_changed(p->udp, NULL, s);
}

/*
 * Endpoints and whole Services disappeared while nobody looked, and left flows even if the rules
 * are right by now.
 */
static void look_for_old_flows(struct plane *p)
{
	if (p->flows_seen)
		return;
	p->flows_seen = true;
	for (size_t i = 0; i < p->saved.n_fronts; i++) {
		const struct save_front *f = &p->saved.fronts[i];
		udp_touch(p->udp, addr_is_none(&f->addr) ? NULL : &f->addr, f->port);
	}
	model_each_state(p->model, touch_state, p);
}

/* What the kernel has was compared: how long that took determines when it may be done again. */
static void compared(struct plane *p)
{
	int64_t now = clock_ms();
	int64_t gap = PLANE_COMPARISON_GAPS * (now - p->read_ms);

	if (p->saved.n_left_out + p->saved.path.n_left_out > 0 || path_place(&p->saved.path).beyond)
		log_warn("more rules than are looked at; what is beyond is not known",
		         KV_S("family", plane_family(p)),
		         KV_I("left_out", p->saved.n_left_out + p->saved.path.n_left_out));
	save_fini(&p->saved);
	p->comparison_ms = now - p->read_ms;
	p->compared_ms = now;
	p->next_comparison_ms =
		now + (gap > PLANE_COMPARISON_GAP_MS ? gap : PLANE_COMPARISON_GAP_MS);
	p->state = PLANE_IDLE;
	p->audits = 0;
	p->stats.resyncs++;
	plane_forget_error(p);
}

/*
 * Others have changed something that traffic needs: it is written again, and nothing is announced
 * until it is.
 */
static void tell_damage(struct plane *p)
{
	uint64_t repairs = model_stats(p->model).repairs;

	if (repairs == p->repairs)
		return;
	p->repairs = repairs;
	log_warn("somebody changed the service proxy's rules; writing them again",
	         KV_S("family", plane_family(p)));
	p->next_ms = 0;
	p->ops->applied(p->arg);
}

void plane_adopt(struct plane *p)
{
	bool refused = p->was_refused;

	if (!model_adopt_more(p->model, MODEL_ADOPT_CHAINS)) {
		plane_arm(p->timer, 0);
		return;
	}
	look_for_old_flows(p);
	compared(p);
	tell_damage(p);
	if (refused != model_forward_is_refused(p->model)) {
		log_warn(
			refused ? "forwarding is possible again"
				: "a rule of others refuses all forwarding before network policies "
				  "are asked; nothing is announced",
			KV_S("family", plane_family(p)));
		p->ops->applied(p->arg);
	}
	plane_kick(p); /* and if all is there already, that will be seen without a program run */
}

void plane_begin_adoption(struct plane *p)
{
	p->was_refused = model_forward_is_refused(p->model);
	p->state = PLANE_ADOPTING;
	model_adopt_begin(p->model, &p->saved);
	plane_adopt(p);
}

static void on_read(const struct child_result *r, void *arg)
{
	struct plane *p = arg;

	p->child = NULL;
	if (!r->exited || r->code != 0) {
		p->stats.failures++;
		plane_say_failed(p, p->v->save[variant_index(p->family)],
		                 r->exited ? r->errors : "killed, or took too long", true);
		plane_back_off(p, ++p->read_failures);
		plane_kick(p);
		return;
	}
	save_end(&p->saved);
	struct err e = ERR_INIT;
	if (native_complete(p->family, &p->saved, &e) < 0) {
		p->stats.failures++;
		plane_say_failed(p, "reading rules", e.msg, true);
		plane_back_off(p, ++p->read_failures);
		plane_kick(p);
		return;
	}
	p->read_failures = 0;
	p->state = PLANE_HELD;
	if (p->complete && model_matches(p->model, &p->saved)) {
		compared(p);
		plane_kick(p);
	} else if (p->complete) {
		plane_begin_adoption(p);
	}
}

void plane_read(struct plane *p)
{
	static const struct child_ops ops = { .output = on_saved, .done = on_read };

	const char *const argv[] = { p->v->save[variant_index(p->family)], NULL };
	struct err e = ERR_INIT;
	p->state = PLANE_READING;
	p->compare = false;
	p->read_ms = clock_ms();
	watch_settle(p->watch);
	save_fini(&p->saved);
	if (child_start(p->base, argv, NULL, PLANE_PROGRAM_TIMEOUT_MS, &ops, p, &p->child, &e) <
	    0) {
		plane_say_failed(p, "reading rules", e.msg, true);
		plane_back_off(p, ++p->read_failures);
		plane_kick(p);
	}
}

/* ---- auditing ---- */

static void on_audited(const struct child_result *r, void *arg)
{
	struct plane *p = arg;

	p->child = NULL;
	watch_ended(p->watch);
	save_end(&p->saved);
	p->state = PLANE_IDLE;
	if (r->exited && r->code == EXIT_RESOURCE_PROBLEM) {
		/* Somebody holds the lock: no news. */
	} else if (!r->exited || r->code != 0 || !model_audit(p->model, &p->saved)) {
		p->compare = true;
		p->next_ms = p->next_comparison_ms = 0;
	}
	buf_fini(&p->text);
	save_fini(&p->saved);
	plane_kick(p);
}

/*
 * iptables-restore takes -S as well: all that matters in one process, and nothing is written.  Of
 * the filter table that is everything, since the way of forwarded packets may lead through any
 * chain; it is the small one.
 */
static void audit_frame(struct plane *p)
{
	static const struct child_ops ops = { .output = on_saved, .done = on_audited };

	buf_clear(&p->text);
	buf_puts(&p->text, "*filter\n-S\nCOMMIT\n"
	                   "*nat\n-S PREROUTING\n-S OUTPUT\n-S POSTROUTING\n-S FL-SVC\nCOMMIT\n");
	save_fini(&p->saved);
	if (plane_start_restore(p, &p->text, &ops, NULL) == 0)
		p->state = PLANE_AUDITING;
}

/*
 * A complete comparison where something has changed, and as often as that may cost: a sign may have
 * been lost, with legacy if others wrote while we did.
 */
static bool should_compare(struct plane *p)
{
	int64_t rest = p->comparison_ms * p->v->comparison_share;

	return watch_is_changed(p->watch) || clock_ms() - p->compared_ms >= rest ||
	       ++p->audits >= PLANE_AUDITS_TO_COMPARISON;
}

void plane_audit(struct plane *p)
{
	if (p->state != PLANE_IDLE || model_needs_frame(p->model))
		return;
	if (!should_compare(p)) {
		audit_frame(p);
		return;
	}
	p->compare = true;
	plane_kick(p);
}

/*
 * Others' chains matter in the filter table alone, where the way of forwarded packets may lead
 * through them.
 */
bool plane_cares(const char *table, const char *chain, void *arg)
{
	const struct plane *p = arg;
	bool filter = !strcmp(table, "filter");

	if (!filter && strcmp(table, "nat") != 0)
		return false;
	if (chain && !strncmp(chain, CHAIN_PREFIX, strlen(CHAIN_PREFIX))) {
		model_doubt(p->model, chain);
		return true;
	}
	if (!chain || chain_is_builtin(chain))
		return true;
	return filter && strncmp(chain, "KUBE-", 5) != 0 && !path_is_policy(chain);
}

/* ---- whether there is iptables ---- */

static void on_looked(const struct child_result *r, void *arg)
{
	struct plane *p = arg;

	p->child = NULL;
	p->next_ms = clock_ms() + p->audit_ms;
	if (r->exited && r->code == 0) {
		log_info("iptables can be used now", KV_S("family", plane_family(p)));
		p->state = PLANE_READING;
		p->next_ms = 0;
		plane_forget_error(p);
	}
	plane_kick(p);
}

void plane_look_for_family(struct plane *p)
{
	static const struct child_ops ops = { .output = NULL, .done = on_looked };
	struct variant_question q = variant_question(p->v, p->family);

	p->next_ms = clock_ms() + p->audit_ms;
	if (!variant_kernel_has(p->family) ||
	    child_start(p->base, q.argv, NULL, PLANE_PROGRAM_TIMEOUT_MS, &ops, p, &p->child, NULL) <
	            0)
		plane_kick(p);
}
