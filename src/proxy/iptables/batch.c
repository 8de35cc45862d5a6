/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: written by one run of iptables-restore each, and what becomes of them. */
#include "config.h"

#include "proxy/iptables/plane_private.h"

#include <ctype.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

/* After a batch of this size memory goes back to the system. */
#define PLANE_TRIM_BYTES (256u << 10)
/* After how many times busy in a row it is worth logging. */
#define PLANE_BUSY_LIMIT 5

int plane_start_restore(struct plane *p, const struct buf *input, const struct child_ops *ops,
                        struct err *e)
{
	const char *const argv[] = { p->v->restore[variant_index(p->family)], "--noflush", "-w",
		                     "5", NULL };
	int r = child_start(p->base, argv, input, PLANE_PROGRAM_TIMEOUT_MS, ops, p, &p->child, e);
	if (r == 0)
		watch_own(p->watch, child_pid(p->child));
	return r;
}

static void on_committed(const struct proxy_half *before, const struct proxy_half *now, void *arg)
{
	struct plane *p = arg;

	udp_changed(p->udp, before, now);
}

static void end_flows(struct plane *p)
{
	udp_set_node(p->udp, &p->written, p->localhost_node_ports);
	udp_run(p->udp);
}

static void batch_succeeded(struct plane *p, int64_t took_ms)
{
	int64_t now = clock_ms();

	p->failures = 0;
	p->next_ms = p->more ? now : pace_next_ms(&p->pace, now, took_ms);
	p->stats.last_success_ms = now;
	plane_forget_error(p);
	watch_wrote(p->watch);
	model_commit(p->model, on_committed, p);
	end_flows(p);
	p->state = PLANE_IDLE;
	plane_kick(p);
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

/* The program's message on one line, and the line of input that it refers to. */
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

/*
 * iptables-nft uses the code of a lock for rules that the kernel refuses, too, but then it names
 * them.
 */
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
		plane_back_off(p, 1); /* half of them may do */
	else if (outcome != MODEL_REFUSED || n == 0)
		plane_back_off(p, ++p->failures);
	/*
	 * A lock is worth reporting when it is held for long; among many Services we do not know
	 * yet which are refused.
	 */
	bool aloud = outcome == MODEL_BUSY ? p->failures % PLANE_BUSY_LIMIT == 0
	                                   : outcome != MODEL_REFUSED || n <= 1;
	plane_say_failed(p, p->v->restore[variant_index(p->family)], buf_str(&why), aloud);
	plane_kick(p);
	if (model_n_refused(p->model) > 0)
		p->ops->applied(p->arg);
}

static void end_batch(struct plane *p)
{
	bool large = p->text.size >= PLANE_TRIM_BYTES;

	buf_fini(&p->text);
	if (large)
		malloc_trim(0); /* a cold start's peak must not last */
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
 * Before one Service is blamed, the program gets input that cannot be wrong: the program itself may
 * fail.  False: it could not be started.
 */
static bool try_program(struct plane *p, const struct child_result *r)
{
	static const char nothing[] = "*filter\nCOMMIT\n*nat\nCOMMIT\n";
	static const struct buf input = { .data = (char *)nothing, .size = sizeof(nothing) - 1 };
	static const struct child_ops ops = { .output = NULL, .done = on_tried };

	p->refusal = *r;
	snprintf(p->refusal_text, sizeof(p->refusal_text), "%s", r->errors);
	p->refusal.errors = p->refusal_text;
	return plane_start_restore(p, &input, &ops, NULL) == 0;
}

static void on_written(const struct child_result *r, void *arg)
{
	struct plane *p = arg;
	enum model_outcome outcome = judge(r);
	int64_t took_ms = clock_ms() - p->started_ms;

	p->child = NULL;
	watch_ended(p->watch);
	p->stats.batches++;
	histogram_observe(&p->stats.batch_seconds, (double)took_ms / 1000);
	if (r->exited && r->code == 0) {
		p->stats.lines_written += p->n_lines;
		batch_succeeded(p, took_ms);
	} else if (outcome != MODEL_BUSY && model_batch_services(p->model) == 1) {
		if (try_program(p, r))
			return;
		batch_failed(p, MODEL_BROKEN, r);
	} else {
		batch_failed(p, outcome, r);
	}
	end_batch(p);
}

void plane_write(struct plane *p)
{
	static const struct child_ops ops = { .output = NULL, .done = on_written };
	struct err e = ERR_INIT;
	bool done = false;

	p->settling = false;
	p->written = p->node;
	buf_clear(&p->text);
	while (model_plan(p->model, clock_ms(), &p->text, &p->n_lines) && p->text.size == 0) {
		model_commit(p->model, on_committed, p);
		done = true;
	}
	if (p->text.size > 0) {
		p->more = model_has_more(p->model);
		p->started_ms = clock_ms();
		p->state = PLANE_WRITING;
		if (plane_start_restore(p, &p->text, &ops, &e) < 0)
			batch_failed(p, MODEL_BUSY,
			             &(struct child_result){ .exited = true,
			                                     .code = EXIT_RESOURCE_PROBLEM,
			                                     .errors = e.msg });
	} else {
		int64_t retry = model_next_retry(p->model);
		if (p->compare && p->next_comparison_ms < retry)
			retry = p->next_comparison_ms;
		if (retry != INT64_MAX)
			plane_arm(p->timer, retry - clock_ms());
	}
	if (done) {
		end_flows(p);
		p->ops->applied(p->arg);
	}
}
