/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "plane.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "child.h"
#include "native.h"
#include "pace.h"
#include "udp.h"
#include "watch.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* After a batch of this size memory goes back to the system. */
#define PLANE_TRIM_BYTES (256u << 10)
/* Busy so often in a row is worth saying. */
#define PLANE_BUSY_LIMIT 5

enum plane_state {
	PLANE_ABSENT,
	PLANE_READING,
	PLANE_HELD,
	PLANE_ADOPTING,
	PLANE_IDLE,
	PLANE_WRITING,
	PLANE_AUDITING
};

struct plane {
	struct event_base *base;
	const struct variant *v;
	uint8_t family;
	const struct plane_ops *ops;
	void *arg;

	enum plane_state state;
	bool complete;
	struct model *model;
	struct save saved; /* what READING and AUDITING have read */
	struct child *child;
	struct buf text; /* of the batch */
	size_t n_lines;
	bool more;          /* the batch left Services waiting */
	int64_t started_ms; /* when the program was started */
	int64_t next_ms;    /* no batch before this */
	struct pace pace;
	bool settling;                        /* something changed since the last batch started */
	unsigned int failures, read_failures; /* in a row */
	struct child_result refusal; /* of one Service, while the program itself is tried */
	char refusal_text[CHILD_MAX_ERRORS];
	struct event *timer, *audit_timer;
	struct watch *watch;
	int64_t audit_ms;
	unsigned int audits;        /* since the last complete comparison */
	bool compare;               /* as soon as that may be */
	int64_t read_ms;            /* when reading began */
	int64_t comparison_ms;      /* what the last one took */
	int64_t compared_ms;        /* when it ended */
	int64_t next_comparison_ms; /* no other before this, unless there is doubt */
	struct udp *udp;
	uint64_t repairs; /* that were told of */
	bool was_refused; /* forwarding, before the adoption under way */
	bool flows_seen;  /* those of an earlier life were looked for */

	struct proxy_stats stats;
	char last_error[ERR_MSG_SIZE];
};

static void kick(struct plane *p);
static void read_kernel(struct plane *p);

static const char *family_name(const struct plane *p)
{
	return p->family == 4 ? "IPv4" : "IPv6";
}

/* For /status, on one line, and @aloud for the log. */
static void say_failed(struct plane *p, const char *what, const char *why, bool aloud)
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

/* What was said of a failure holds no longer. */
static void forget_error(struct plane *p)
{
	if (p->failures == 0 && model_n_refused(p->model) == 0)
		p->last_error[0] = '\0';
}

static void back_off(struct plane *p, unsigned int failures)
{
	int64_t wait = PLANE_BACKOFF_MIN_MS;
	for (unsigned int i = 1; i < failures && wait < PLANE_BACKOFF_MAX_MS; i++)
		wait *= 2;
	if (wait > PLANE_BACKOFF_MAX_MS)
		wait = PLANE_BACKOFF_MAX_MS;
	p->next_ms = clock_ms() + wait + (int64_t)clock_random_below((uint64_t)wait / 2);
}

static void arm(struct event *timer, int64_t wait_ms)
{
	wait_ms = wait_ms < 0 ? 0 : wait_ms;
	struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };
	evtimer_add(timer, &tv);
}

/* ---- reading what is there ---- */

static void on_saved(const char *data, size_t size, void *arg)
{
	struct plane *p = arg;
	save_feed(&p->saved, data, size);
}

static void touch_state(const struct proxy_service *s, void *arg)
{
	const struct plane *p = arg;
	udp_changed(p->udp, NULL, s);
}

/* Endpoints and whole Services went while nobody looked, and left flows though the rules may be right by now. */
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

/* What the kernel has was compared: when that may be done again follows from what it took. */
static void compared(struct plane *p)
{
	int64_t now = clock_ms();
	int64_t gap = PLANE_COMPARISON_GAPS * (now - p->read_ms);
	if (p->saved.n_left_out + p->saved.path.n_left_out > 0 || path_place(&p->saved.path).beyond)
		log_warn("more rules than are looked at; what is beyond is not known",
		         KV_S("family", family_name(p)),
		         KV_I("left_out", p->saved.n_left_out + p->saved.path.n_left_out));
	save_fini(&p->saved);
	p->comparison_ms = now - p->read_ms;
	p->compared_ms = now;
	p->next_comparison_ms =
		now + (gap > PLANE_COMPARISON_GAP_MS ? gap : PLANE_COMPARISON_GAP_MS);
	p->state = PLANE_IDLE;
	p->audits = 0;
	p->stats.resyncs++;
	forget_error(p);
}

/* Others have changed something that traffic needs: it is written again, and nothing is announced until it is. */
static void tell_damage(struct plane *p)
{
	uint64_t repairs = model_stats(p->model).repairs;
	if (repairs == p->repairs)
		return;
	p->repairs = repairs;
	log_warn("somebody changed the service proxy's rules; writing them again",
	         KV_S("family", family_name(p)));
	p->next_ms = 0;
	p->ops->applied(p->arg);
}

static void adopt(struct plane *p)
{
	bool refused = p->was_refused;
	if (!model_adopt_more(p->model, MODEL_ADOPT_CHAINS)) {
		arm(p->timer, 0);
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
			KV_S("family", family_name(p)));
		p->ops->applied(p->arg);
	}
	kick(p); /* and if all is there already, that will be seen without a program run */
}

static void begin_adoption(struct plane *p)
{
	p->was_refused = model_forward_is_refused(p->model);
	p->state = PLANE_ADOPTING;
	model_adopt_begin(p->model, &p->saved);
	adopt(p);
}

static void on_read(const struct child_result *r, void *arg)
{
	struct plane *p = arg;
	p->child = NULL;
	if (!r->exited || r->code != 0) {
		p->stats.failures++;
		say_failed(p, p->v->save[variant_index(p->family)],
		           r->exited ? r->errors : "killed, or took too long", true);
		back_off(p, ++p->read_failures);
		kick(p);
		return;
	}
	save_end(&p->saved);
	struct err e = ERR_INIT;
	if (native_complete(p->family, &p->saved, &e) < 0) {
		p->stats.failures++;
		say_failed(p, "reading rules", e.msg, true);
		back_off(p, ++p->read_failures);
		kick(p);
		return;
	}
	p->read_failures = 0;
	p->state = PLANE_HELD;
	if (p->complete && model_matches(p->model, &p->saved)) {
		compared(p);
		kick(p);
	} else if (p->complete) {
		begin_adoption(p);
	}
}

static void read_kernel(struct plane *p)
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
		say_failed(p, "reading rules", e.msg, true);
		back_off(p, ++p->read_failures);
		kick(p);
	}
}

/* ---- writing ---- */

static int start_restore(struct plane *p, const struct buf *input, const struct child_ops *ops,
                         struct err *e)
{
	const char *const argv[] = { p->v->restore[variant_index(p->family)], "--noflush", "-w",
		                     "5", NULL };
	int r = child_start(p->base, argv, input, PLANE_PROGRAM_TIMEOUT_MS, ops, p, &p->child, e);
	if (r == 0)
		watch_own(p->watch, child_pid(p->child));
	return r;
}

static void on_committed(const struct proxy_service *before, const struct proxy_service *now,
                         void *arg)
{
	struct plane *p = arg;
	udp_changed(p->udp, before, now);
}

static void batch_succeeded(struct plane *p, int64_t took_ms)
{
	int64_t now = clock_ms();
	p->failures = 0;
	p->next_ms = p->more ? now : pace_next_ms(&p->pace, now, took_ms);
	p->stats.last_success_ms = now;
	forget_error(p);
	watch_wrote(p->watch);
	model_commit(p->model, on_committed, p);
	udp_run(p->udp);
	p->state = PLANE_IDLE;
	kick(p);
	p->ops->applied(p->arg);
}

/* "line 7 failed", "Error occurred at line: 7": the number, 0 if none is said. */
static size_t line_number(const char *errors)
{
	for (const char *at = errors; (at = strstr(at, "line")); at++) {
		const char *n = at + 4 + strspn(at + 4, ": ");
		if (n > at + 4 && isdigit((unsigned char)*n))
			return strtoul(n, NULL, 10);
	}
	return 0;
}

/* The program's words on one line, and the line of input that it means. */
static void explain(const struct plane *p, const struct child_result *r, struct buf *out)
{
	const char *text = buf_str(&p->text);
	if (!r->exited) {
		buf_puts(out, "killed, or took too long");
		return;
	}
	const char *advice = strstr(r->errors, "\nTry `"); /* "… --help' for more information" */
	size_t len = advice ? (size_t)(advice - r->errors) : strlen(r->errors);
	for (size_t i = 0; i < len && i < ERR_MSG_SIZE / 2; i++)
		buf_putc(out, (unsigned char)r->errors[i] < ' ' ? ' ' : r->errors[i]);
	buf_printf(out, " (exit code %d)", r->code);
	size_t line = line_number(r->errors);
	for (size_t i = 1; i < line && text; i++) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	if (line && text && *text)
		buf_printf(out, "; line %zu is: %.*s", line, (int)strcspn(text, "\n"), text);
}

/* iptables-nft uses the code of a lock for rules that the kernel refuses, too, but then it names them. */
static enum model_outcome judge(const struct child_result *r)
{
	if (!r->exited)
		return MODEL_KILLED;
	return r->code == EXIT_RESOURCE_PROBLEM && strstr(r->errors, "lock") &&
	                       !strstr(r->errors, "failed (")
	               ? MODEL_BUSY
	               : MODEL_REFUSED;
}

static void batch_failed(struct plane *p, enum model_outcome outcome, const struct child_result *r)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	size_t n = model_batch_services(p->model);
	if (outcome == MODEL_BROKEN)
		buf_puts(&why, "fails whatever it is given: ");
	explain(p, r, &why);
	p->stats.failures++;
	bool doubt = model_abort(p->model, outcome, buf_str(&why), clock_ms());
	p->state = doubt ? PLANE_READING : PLANE_IDLE;
	if (outcome == MODEL_KILLED && n > 1)
		back_off(p, 1); /* half of them may do */
	else if (outcome != MODEL_REFUSED || n == 0)
		back_off(p, ++p->failures);
	/* A lock is worth a word when it is held for long; of many Services it is not known yet which are refused. */
	bool aloud = outcome == MODEL_BUSY ? p->failures % PLANE_BUSY_LIMIT == 0
	                                   : outcome != MODEL_REFUSED || n <= 1;
	say_failed(p, p->v->restore[variant_index(p->family)], buf_str(&why), aloud);
	kick(p);
	if (model_n_refused(p->model) > 0)
		p->ops->applied(p->arg);
}

static void end_batch(struct plane *p)
{
	bool large = p->text.size >= PLANE_TRIM_BYTES;
	buf_fini(&p->text);
	if (large)
		malloc_trim(0); /* a cold start's peak shall not last */
}

static void on_tried(const struct child_result *r, void *arg)
{
	struct plane *p = arg;
	bool works = r->exited && r->code == 0;
	p->child = NULL;
	watch_ended(p->watch);
	batch_failed(p, works ? judge(&p->refusal) : MODEL_BROKEN, &p->refusal);
	end_batch(p);
}

/*
 * Before one Service is blamed the program gets what nothing can be wrong with: it may be the program that fails.  False: it
 * could not be started.
 */
static bool try_program(struct plane *p, const struct child_result *r)
{
	static const char nothing[] = "*filter\nCOMMIT\n*nat\nCOMMIT\n";
	static const struct buf input = { .data = (char *)nothing, .size = sizeof(nothing) - 1 };
	static const struct child_ops ops = { .output = NULL, .done = on_tried };
	p->refusal = *r;
	snprintf(p->refusal_text, sizeof(p->refusal_text), "%s", r->errors);
	p->refusal.errors = p->refusal_text;
	return start_restore(p, &input, &ops, NULL) == 0;
}

static void on_written(const struct child_result *r, void *arg)
{
	struct plane *p = arg;
	enum model_outcome outcome = judge(r);
	p->child = NULL;
	watch_ended(p->watch);
	p->stats.batches++;
	if (r->exited && r->code == 0) {
		p->stats.lines_written += p->n_lines;
		batch_succeeded(p, clock_ms() - p->started_ms);
	} else if (outcome != MODEL_BUSY && model_batch_services(p->model) == 1) {
		if (try_program(p, r))
			return;
		batch_failed(p, MODEL_BROKEN, r);
	} else {
		batch_failed(p, outcome, r);
	}
	end_batch(p);
}

/* Writes the next batch; those that turn out to change nothing are over at once. */
static void write_batch(struct plane *p)
{
	static const struct child_ops ops = { .output = NULL, .done = on_written };
	struct err e = ERR_INIT;
	bool done = false;
	p->settling = false;
	buf_clear(&p->text);
	while (model_plan(p->model, clock_ms(), &p->text, &p->n_lines) && p->text.size == 0) {
		model_commit(p->model, on_committed, p);
		done = true;
	}
	if (p->text.size > 0) {
		p->more = model_has_more(p->model);
		p->started_ms = clock_ms();
		p->state = PLANE_WRITING;
		if (start_restore(p, &p->text, &ops, &e) < 0)
			batch_failed(p, MODEL_BUSY,
			             &(struct child_result){ .exited = true,
			                                     .code = EXIT_RESOURCE_PROBLEM,
			                                     .errors = e.msg });
	} else {
		int64_t retry = model_next_retry(p->model);
		if (p->compare && p->next_comparison_ms < retry)
			retry = p->next_comparison_ms;
		if (retry != INT64_MAX)
			arm(p->timer, retry - clock_ms());
	}
	if (done) {
		udp_run(p->udp);
		p->ops->applied(p->arg);
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
		/* Locked by somebody: no news. */
	} else if (!r->exited || r->code != 0 || !model_audit(p->model, &p->saved)) {
		p->compare = true;
		p->next_ms = p->next_comparison_ms = 0;
	}
	buf_fini(&p->text);
	save_fini(&p->saved);
	kick(p);
}

/*
 * iptables-restore takes -S as well: all that matters in one process, and nothing is written.  Of the filter table that is
 * everything, since the way of forwarded packets may lead through any chain; it is the small one.
 */
static void audit(struct plane *p)
{
	static const struct child_ops ops = { .output = on_saved, .done = on_audited };
	buf_clear(&p->text);
	buf_puts(&p->text, "*filter\n-S\nCOMMIT\n"
	                   "*nat\n-S PREROUTING\n-S OUTPUT\n-S POSTROUTING\n-S FL-SVC\nCOMMIT\n");
	save_fini(&p->saved);
	if (start_restore(p, &p->text, &ops, NULL) == 0)
		p->state = PLANE_AUDITING;
}

/*
 * A complete comparison where something has changed, and as often as that may cost: a sign may have been lost, with legacy
 * if others wrote while we did.
 */
static bool should_compare(struct plane *p)
{
	int64_t rest = p->comparison_ms * p->v->comparison_share;
	return watch_is_changed(p->watch) || clock_ms() - p->compared_ms >= rest ||
	       ++p->audits >= PLANE_AUDITS_TO_COMPARISON;
}

static void on_audit_timer(evutil_socket_t fd, short what, void *arg)
{
	struct plane *p = arg;
	(void)fd;
	(void)what;
	if (p->state != PLANE_IDLE || model_needs_frame(p->model))
		return;
	if (!should_compare(p)) {
		audit(p);
		return;
	}
	p->compare = true;
	kick(p);
}

/* Others' chains matter in the filter table alone, where the way of forwarded packets may lead through them. */
static bool cares(const char *table, const char *chain, void *arg)
{
	const struct plane *p = arg;
	bool filter = strcmp(table, "filter") == 0;
	if (!filter && strcmp(table, "nat") != 0)
		return false;
	if (chain && strncmp(chain, CHAIN_PREFIX, strlen(CHAIN_PREFIX)) == 0) {
		model_doubt(p->model, chain);
		return true;
	}
	if (!chain || chain_is_builtin(chain))
		return true;
	return filter && strncmp(chain, "KUBE-", 5) != 0 && !path_is_policy(chain);
}

static void on_foreign_change(void *arg)
{
	struct plane *p = arg;
	p->compare = true;
	kick(p);
}

/* ---- whether there is iptables ---- */

static void on_looked(const struct child_result *r, void *arg)
{
	struct plane *p = arg;
	p->child = NULL;
	p->next_ms = clock_ms() + p->audit_ms;
	if (r->exited && r->code == 0) {
		log_info("iptables can be used now", KV_S("family", family_name(p)));
		p->state = PLANE_READING;
		p->next_ms = 0;
		forget_error(p);
	}
	kick(p);
}

static void look_for_family(struct plane *p)
{
	static const struct child_ops ops = { .output = NULL, .done = on_looked };
	struct variant_question q = variant_question(p->v, p->family);
	p->next_ms = clock_ms() + p->audit_ms;
	if (!variant_kernel_has(p->family) ||
	    child_start(p->base, q.argv, NULL, PLANE_PROGRAM_TIMEOUT_MS, &ops, p, &p->child, NULL) <
	            0)
		kick(p);
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
		look_for_family(p);
		break;
	case PLANE_READING:
		read_kernel(p);
		break;
	case PLANE_HELD:
		if (p->complete)
			begin_adoption(p);
		break;
	case PLANE_ADOPTING:
		adopt(p);
		break;
	case PLANE_IDLE:
		if (p->compare && clock_ms() >= p->next_comparison_ms)
			read_kernel(p);
		else
			write_batch(p);
		break;
	case PLANE_WRITING:
	case PLANE_AUDITING:
		break; /* the program's end kicks again */
	}
}

/* Sees to it that the machine runs: at once after a rest, else when the gap is over. */
static void kick(struct plane *p)
{
	if (!p->child)
		arm(p->timer, p->next_ms - clock_ms());
}

static void each_state(udp_state_fn *fn, void *fn_arg, void *arg)
{
	const struct plane *p = arg;
	model_each_state(p->model, fn, fn_arg);
}

static void on_udp_failed(const struct err *e, void *arg)
{
	struct plane *p = arg;
	say_failed(p, "old UDP flows", e->msg, true);
}

static void on_udp_idle(void *arg)
{
	struct plane *p = arg;
	p->ops->applied(p->arg);
}

static const struct udp_ops udp_ops = { .each_state = each_state,
	                                .failed = on_udp_failed,
	                                .idle = on_udp_idle };

static void on_foreign_table(void *arg)
{
	struct plane *p = arg;
	if (p->ops->foreign)
		p->ops->foreign(p->arg);
}

static const struct watch_ops watch_ops = { .cares = cares,
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
	p->ops = ops;
	p->arg = arg;
	p->model = model_new(o, v->max_batch);
	p->udp = udp_new(base, p->family, &udp_ops, p);
	p->watch = watch_new(base, v, p->family, &watch_ops, p);
	p->audit_ms = audit_ms;
	save_init(&p->saved);
	p->timer = evtimer_new(base, on_timer, p);
	p->audit_timer = event_new(base, -1, EV_PERSIST, on_audit_timer, p);
	struct timeval tv = { audit_ms / 1000, audit_ms % 1000 * 1000 };
	event_add(p->audit_timer, &tv);
	p->state = PLANE_READING;
	if (absent) {
		p->state = PLANE_ABSENT;
		p->next_ms = clock_ms() + p->audit_ms;
		say_failed(p, p->v->iptables[variant_index(p->family)], absent, false);
	}
	kick(p);
	return p;
}

void plane_free(struct plane *p)
{
	if (!p)
		return;
	child_abandon(p->child);
	event_free(p->timer);
	event_free(p->audit_timer);
	model_free(p->model);
	udp_free(p->udp);
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
	kick(p);
}

void plane_set(struct plane *p, const struct proxy_service *s)
{
	if (!model_set(p->model, s))
		return;
	if (model_is_truncated(p->model, s->key))
		log_warn(
			"the Service has more ports, addresses or source ranges than are carried; what "
			"is beyond is left out",
			KV_S("service", s->key), KV_S("family", family_name(p)));
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
	kick(p);
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

void plane_add_stats(const struct plane *p, struct proxy_stats *st)
{
	const struct model_stats model = model_stats(p->model);
	const struct udp_stats udp = udp_stats(p->udp);
	const struct proxy_stats own = p->stats;

#define PROXY_STAT(member, from, name, type, help) st->member += from;
#include "fairlead/metrics.def"
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
