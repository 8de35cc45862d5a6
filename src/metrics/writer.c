/* SPDX-License-Identifier: Apache-2.0 */
/* The Prometheus text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "config.h"

#include "fairlead/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

/* Integers up to this are exact in a double, and are printed without an exponent. */
#define EXACT_INTEGER_MAX 9007199254740992.0

static const struct {
	const char *name, *type, *help;
} families[] = {
#define TYPE_COUNTER "counter"
#define TYPE_GAUGE "gauge"
#define TYPE_HISTOGRAM "histogram"
#define METRIC(name, type, labels, help) [METRIC_##name] = { #name, TYPE_##type, help },
#include "fairlead/metrics.def"
};

static void put_escaped(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\')
			buf_puts(out, "\\\\");
		else if (*s == '\n')
			buf_puts(out, "\\n");
		else if (*s == '"')
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

void metrics_family(struct metrics_writer *w, enum metric family)
{
	w->family = family;
	buf_printf(w->out, "# HELP %s ", families[family].name);
	for (const char *c = families[family].help; *c; c++)
		if (*c != '`')
			buf_putc(w->out, *c);
	buf_printf(w->out, ".\n# TYPE %s %s\n", families[family].name, families[family].type);
}

void metrics_sample(struct metrics_writer *w, double value, ...)
{
	const char *label, *separator = "{";
	va_list ap;

	buf_puts(w->out, families[w->family].name);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *))) {
		const char *v = va_arg(ap, const char *);
		buf_printf(w->out, "%s%s=\"", separator, label);
		put_escaped(w->out, v ? v : "");
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

void metrics_value(struct metrics_writer *w, enum metric family, double value)
{
	metrics_family(w, family);
	metrics_sample(w, value, NULL);
}

/* Each bucket has all that is below its bound, those of smaller ones included. */
void metrics_histogram(struct metrics_writer *w, enum metric family, const struct histogram *h)
{
	const char *name = families[family].name;
	uint64_t n = 0;

	metrics_family(w, family);
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		n += h->counts[i];
		buf_printf(w->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, histogram_bounds[i],
		           n);
	}
	n += h->counts[HISTOGRAM_BOUNDS];
	buf_printf(w->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, n, name);
	put_value(w->out, h->sum);
	buf_printf(w->out, "\n%s_count %" PRIu64 "\n", name, n);
}

uint64_t metrics_stat_of(const struct metrics_stat *row, const void *stats)
{
	return *(const uint64_t *)(const void *)((const char *)stats + row->offset);
}

void metrics_stats(struct metrics_writer *w, const struct metrics_stat *rows, size_t n,
                   const void *stats)
{
	for (size_t i = 0; i < n; i++)
		metrics_value(w, rows[i].family, (double)metrics_stat_of(&rows[i], stats));
}

void metrics_stats_put(const struct metrics_stat *rows, size_t n, const void *stats, struct out *o)
{
	for (size_t i = 0; i < n; i++)
		out_uint(o, rows[i].key, metrics_stat_of(&rows[i], stats));
}
