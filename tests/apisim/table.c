/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "table.h"

#include <inttypes.h>
#include <string.h>

#include "cells.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "js.h"
#include "store.h"

static void write_columns(const struct columns *cols, struct buf *b)
{
	buf_puts(b, ",\"columnDefinitions\":[");
	for (size_t i = 0; i < cols->n; i++) {
		const struct column *c = &cols->v[i];
		buf_printf(b,
		           "%s{\"name\":\"%s\",\"type\":\"%s\",\"format\":\"%s\",\"description\":"
		           "\"%s\","
		           "\"priority\":%d}",
		           i ? "," : "", c->name, c->is_number ? "integer" : "string",
		           i == 0 && !strcmp(c->name, "Name") ? "name" : "", c->name, c->priority);
	}
	buf_putc(b, ']');
}

static void write_row(const struct kind *k, const struct columns *cols, struct version *v,
                      bool full, struct buf *b)
{
	cleanup(js_put) struct json_object *o = version_parse(v);
	cleanup(buf_fini) struct buf cell = BUF_INIT;
	int64_t now_us = clock_wall_us();

	buf_puts(b, "{\"cells\":[");
	for (size_t i = 0; i < cols->n; i++) {
		buf_clear(&cell);
		cols->v[i].print(&cell, o, now_us);
		if (i)
			buf_putc(b, ',');
		if (cols->v[i].is_number)
			buf_puts(b, buf_str(&cell));
		else
			buf_json_str(b, buf_str(&cell));
	}
	buf_puts(b, "],\"object\":");
	if (full) {
		struct version *as = version_as(v, k);
		buf_add(b, as->text, as->size);
	} else {
		buf_printf(b,
		           "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","
		           "\"metadata\":%s}",
		           js_text(js_get(o, "metadata"), NULL));
	}
	buf_putc(b, '}');
}

static void write_head(struct buf *b, uint64_t rv, const char *token, size_t left)
{
	buf_printf(b,
	           "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":"
	           "{\"resourceVersion\":\"%" PRIu64 "\"",
	           rv);
	if (left)
		buf_printf(b, ",\"continue\":\"%s\",\"remainingItemCount\":%zu", token, left);
	buf_putc(b, '}');
}

void table_write_list(const struct kind *k, struct version **v, size_t n, uint64_t rv,
                      const char *token, size_t left, bool full, struct evbuffer *out)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	const struct columns *cols = columns_of(k->store);

	write_head(&b, rv, token, left);
	write_columns(cols, &b);
	buf_puts(&b, ",\"rows\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(&b, ',');
		write_row(k, cols, v[i], full, &b);
	}
	buf_puts(&b, "]}\n");
	evbuffer_add(out, b.data, b.size);
}

void table_write_event(const struct kind *k, struct version *v, bool full, bool columns,
                       struct evbuffer *out)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	const struct columns *cols = columns_of(k->store);

	write_head(&b, v->rv, NULL, 0);
	if (columns)
		write_columns(cols, &b);
	else
		buf_puts(&b, ",\"columnDefinitions\":null");
	buf_puts(&b, ",\"rows\":[");
	write_row(k, cols, v, full, &b);
	buf_puts(&b, "]}");
	evbuffer_add(out, b.data, b.size);
}
