/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

static const char *const names[] = {
	[JOURNAL_ASSIGNED] = "assigned", [JOURNAL_MOVED] = "moved",
	[JOURNAL_RELEASED] = "released", [JOURNAL_DELETED] = "deleted",
	[JOURNAL_CHANGED] = "changed",   [JOURNAL_FOUND] = "found",
	[JOURNAL_MISSED] = "missed",     [JOURNAL_KEPT] = "kept",
	[JOURNAL_LOST] = "lost",
};

const char *journal_event_name(enum journal_event e)
{
	return names[e];
}

void journal_entry_fini(struct journal_entry *e)
{
	free(e->service);
	free(e->uid);
	free(e->pool);
	free(e->reason);
	free(e->by);
	*e = (struct journal_entry){ 0 };
}

/* ---- writing ---- */

static void put_addrs(const char *key, const struct addr *addrs, size_t n, struct out *o)
{
	out_list(o, key);
	for (size_t i = 0; i < n; i++)
		out_addr(o, NULL, &addrs[i]);
	out_close(o);
}

static void put_if_any(const char *key, const char *s, struct out *o)
{
	if (s)
		out_str(o, key, s);
}

void journal_print(const struct journal_entry *e, struct buf *out)
{
	char time[CLOCK_RFC3339_SIZE];
	struct out o;

	out_init(&o, OUT_JSON, out);
	out_object(&o, NULL);
	out_str(&o, "time", clock_rfc3339(e->time_us, time));
	out_str(&o, "event", names[e->event]);
	put_if_any("service", e->service, &o);
	put_if_any("uid", e->uid, &o);
	if (e->event == JOURNAL_LOST)
		out_uint(&o, "count", e->count);
	else
		put_addrs("addresses", e->addrs, e->n, &o);
	if (e->n_before)
		put_addrs("before", e->before, e->n_before, &o);
	if (e->since_us)
		out_str(&o, "since", clock_rfc3339(e->since_us, time));
	put_if_any("pool", e->pool, &o);
	put_if_any("reason", e->reason, &o);
	put_if_any("by", e->by, &o);
	out_close(&o);
	out_fini(&o);
	buf_putc(out, '\n');
}

/* ---- reading ---- */

static int read_event(struct json_object *obj, enum journal_event *ret)
{
	const char *name = kube_json_str(obj, "event", NULL);

	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i], name)) {
			*ret = (enum journal_event)i;
			return 0;
		}
	return -EINVAL;
}

static int read_addrs(struct json_object *obj, const char *key, struct addr *addrs, size_t *n)
{
	struct json_object *list = kube_json_get(obj, key, json_type_array, NULL);
	size_t len = list ? json_object_array_length(list) : 0;

	if (len > JOURNAL_ADDRS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		if (!json_object_is_type(item, json_type_string) ||
		    addr_parse(json_object_get_string(item), &addrs[i]) < 0)
			return -EINVAL;
	}
	*n = len;
	return 0;
}

/* What people will see, whoever wrote it; no longer when it is printed. */
static char *read_text(struct json_object *obj, const char *key)
{
	char *s = xstrdup_null(kube_json_str(obj, key, NULL));

	if (s)
		buf_plain(s);
	return s;
}

static int read_entry(struct json_object *obj, struct journal_entry *e)
{
	const char *time = kube_json_str(obj, "time", NULL);
	const char *since = kube_json_str(obj, "since", NULL);

	if (since && clock_parse_rfc3339(since, &e->since_us) < 0)
		return -EINVAL;
	if (!time || clock_parse_rfc3339(time, &e->time_us) < 0 || read_event(obj, &e->event) < 0 ||
	    read_addrs(obj, "addresses", e->addrs, &e->n) < 0 ||
	    read_addrs(obj, "before", e->before, &e->n_before) < 0)
		return -EINVAL;
	e->service = read_text(obj, "service");
	e->uid = read_text(obj, "uid");
	e->pool = read_text(obj, "pool");
	e->reason = read_text(obj, "reason");
	e->by = read_text(obj, "by");
	e->count = (uint64_t)kube_json_int(obj, "count", 0, INT64_MAX, 0, NULL);
	if (!e->service && e->event != JOURNAL_LOST) {
		journal_entry_fini(e);
		return -EINVAL;
	}
	return 0;
}

int journal_parse(const char *line, size_t size, struct journal_entry *ret)
{
	struct json_tokener *tok;
	struct json_object *obj;
	struct journal_entry e = { 0 };
	int r = -EINVAL;

	if (size > JOURNAL_LINE_MAX)
		return -EINVAL;
	tok = json_tokener_new();
	obj = json_tokener_parse_ex(tok, line, (int)size);
	if (json_object_is_type(obj, json_type_object) && json_tokener_get_parse_end(tok) == size)
		r = read_entry(obj, &e);
	json_object_put(obj);
	json_tokener_free(tok);
	if (r == 0)
		*ret = e;
	return r;
}

/* The line that begins there, without its end; *@at is then behind it. */
static const char *next_line(const char *text, size_t size, size_t *at, size_t *ret_size)
{
	const char *line = text + *at, *end = memchr(line, '\n', size - *at);

	*ret_size = end ? (size_t)(end - line) : size - *at;
	*at += *ret_size + (end != NULL);
	return line;
}

size_t journal_read(const char *text, size_t size, void (*put)(struct journal_entry *e, void *arg),
                    void *arg)
{
	size_t unreadable = 0, len;

	for (size_t at = 0; at < size;) {
		const char *line = next_line(text, size, &at, &len);
		struct journal_entry e;
		if (len == 0)
			continue;
		if (journal_parse(line, len, &e) < 0) {
			unreadable++;
			continue;
		}
		put(&e, arg);
		journal_entry_fini(&e);
	}
	return unreadable;
}

size_t journal_older_than(const char *text, size_t size, int64_t time_us)
{
	size_t older = 0, len;

	for (size_t at = 0; at < size; older = at) {
		const char *line = next_line(text, size, &at, &len);
		struct journal_entry e;
		if (journal_parse(line, len, &e) < 0)
			continue;
		bool is_older = e.time_us < time_us;
		journal_entry_fini(&e);
		if (!is_older)
			break;
	}
	return older;
}

uint64_t journal_number(const struct labels *data)
{
	const char *s = labels_get(data, JOURNAL_KEY_NUMBER);
	char *end;

	if (!s || *s < '0' || *s > '9')
		return 0;
	errno = 0;
	uint64_t n = strtoull(s, &end, 10);
	/* The largest has no successor. */
	return *end || errno || n > INT64_MAX ? 0 : n;
}
