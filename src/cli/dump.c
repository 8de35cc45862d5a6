/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/dump.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/redact.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define NO_ROOM "there is no room: all files together have at most %u bytes"

void dump_fini(struct dump *d)
{
	archive_discard(d->archive);
	buf_fini(&d->missing);
}

static char *safe(const char *part)
{
	char *s = xstrdup(part ? part : "");

	for (char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_", *p) && (*p != '.' || p == s))
			*p = '_';
	return s;
}

char *dump_name(const char *directory, const char *a, const char *b, const char *suffix)
{
	cleanup_free char *first = safe(a), *second = safe(b);

	return xasprintf("%s/%s%s%s%s", directory, first, *second ? "/" : "", second, suffix);
}

void dump_put_plain(struct dump *d, const char *name, const char *data, size_t size)
{
	cleanup_free char *why = NULL;

	if (archive_add(d->archive, name, data, size) == 0) {
		d->n_had++;
		return;
	}
	why = xasprintf(NO_ROOM, ARCHIVE_MAX_BYTES);
	dump_miss(d, name, why);
}

void dump_put(struct dump *d, const char *name, const char *data, size_t size)
{
	size_t len = strlen(name);
	bool is_json = len > 5 && !strcmp(name + len - 5, ".json");
	struct json_object *obj = is_json ? kube_json_parse(data, size) : NULL;
	cleanup(buf_fini) struct buf text = BUF_INIT;

	if (obj) {
		redact_json(obj);
		buf_puts(&text, json_object_to_json_string_ext(obj, REDACT_JSON_FLAGS));
		buf_putc(&text, '\n');
		json_object_put(obj);
	} else {
		redact_text(data, size, &text);
	}
	dump_put_plain(d, name, buf_str(&text), text.size);
}

void dump_miss(struct dump *d, const char *name, const char *why)
{
	cleanup_free char *line = xasprintf("%s: %s", name, why);

	buf_plain(line);
	fprintf(stderr, "fairlead: missing: %s\n", line);
	buf_printf(&d->missing, "%s\n", line);
	d->n_missing++;
}

void dump_end(struct dump *d)
{
	static const char nothing[] = "Nothing is missing.\n";
	bool any = d->missing.size > 0;
	cleanup(buf_fini) struct buf redacted = BUF_INIT;

	redact_text(any ? buf_str(&d->missing) : nothing,
	            any ? d->missing.size : sizeof(nothing) - 1, &redacted);
	dump_put_plain(d, "missing.txt", buf_str(&redacted), redacted.size);
}
