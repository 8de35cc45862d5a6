/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/report.h"

#include "fairlead/limits.h"

const char *report_what_name(enum report_what what)
{
	static const char *const names[] = { [REPORT_MISSING] = "missing",
		                             [REPORT_CHANGED] = "changed",
		                             [REPORT_FOREIGN] = "foreign" };

	return names[what];
}

void report_init(struct report *r, const char *mode, void (*done)(struct buf *text, void *arg),
                 void *arg)
{
	*r = (struct report){ .text = BUF_INIT, .done = done, .arg = arg };
	out_init(&r->out, OUT_JSON, &r->text);
	out_object(&r->out, NULL);
	out_str(&r->out, "mode", mode);
	out_list(&r->out, "families");
}

void report_fini(struct report *r)
{
	while (r->out.depth)
		out_close(&r->out);
	out_fini(&r->out);
	buf_fini(&r->text);
}

void report_family_begin(struct report *r, uint8_t family, const char *state, const char *error,
                         bool settled, size_t n_pending)
{
	out_object(&r->out, NULL);
	out_int(&r->out, "family", family);
	out_str(&r->out, "state", state);
	out_str(&r->out, "error", error);
	out_bool(&r->out, "settled", settled);
	out_uint(&r->out, "pending", n_pending);
	out_list(&r->out, "differences");
	r->n = r->n_left_out = 0;
}

void report_find(struct report *r, const struct report_finding *f)
{
	if (r->n++ >= LIMIT_PROXY_DIFFERENCES) {
		r->n_left_out++;
		return;
	}
	out_object(&r->out, NULL);
	out_str(&r->out, "what", report_what_name(f->what));
	out_str(&r->out, "table", f->table);
	out_str(&r->out, "chain", f->chain);
	out_str(&r->out, "rule", f->rule);
	out_str(&r->out, "service", f->service);
	out_close(&r->out);
}

void report_family_end(struct report *r)
{
	out_close(&r->out);
	out_uint(&r->out, "left_out", r->n_left_out);
	out_close(&r->out);
}

void report_end(struct report *r, const char *error)
{
	out_close(&r->out);
	if (error)
		out_str(&r->out, "error", error);
	out_close(&r->out);
	r->done(&r->text, r->arg);
}
