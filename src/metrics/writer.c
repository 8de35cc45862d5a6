/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/metrics.h"

#include <math.h>
#include <stdarg.h>

/* The Prometheus text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */

/* Integers up to this are exact in a double, and are printed without an exponent. */
#define EXACT_INTEGER_MAX 9007199254740992.0

static void put_escaped(struct buf *out, const char *s, bool quote)
{
	for (; *s; s++) {
		if (*s == '\\')
			buf_puts(out, "\\\\");
		else if (*s == '\n')
			buf_puts(out, "\\n");
		else if (*s == '"' && quote)
			buf_puts(out, "\\\"");
		else
			buf_putc(out, *s);
	}
}

static void put_value(struct buf *out, double v)
{
	if (isnan(v))
		buf_puts(out, "NaN");
	else if (isinf(v))
		buf_puts(out, v > 0 ? "+Inf" : "-Inf");
	else if (fabs(v) <= EXACT_INTEGER_MAX && v == floor(v))
		buf_printf(out, "%.0f", v);
	else
		buf_printf(out, "%.10g", v);
}

void metrics_family(struct metrics_writer *w, const char *name, enum metrics_type type,
                    const char *help)
{
	w->family = name;
	buf_printf(w->out, "# HELP %s ", name);
	put_escaped(w->out, help, false);
	buf_printf(w->out, "\n# TYPE %s %s\n", name, type == METRICS_COUNTER ? "counter" : "gauge");
}

void metrics_sample(struct metrics_writer *w, double value, ...)
{
	const char *label, *separator = "{";
	va_list ap;

	buf_puts(w->out, w->family);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *))) {
		const char *v = va_arg(ap, const char *);
		buf_printf(w->out, "%s%s=\"", separator, label);
		put_escaped(w->out, v ? v : "", true);
		buf_putc(w->out, '"');
		separator = ",";
	}
	va_end(ap);
	if (*separator == ',')
		buf_putc(w->out, '}');
	buf_putc(w->out, ' ');
	put_value(w->out, value);
	buf_putc(w->out, '\n');
}
