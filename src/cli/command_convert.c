/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead config convert`: MetalLB's custom resources as a configuration of Fairlead. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/convert.h"
#include "cli/file.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"

static int put_object(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	return conversion_put(arg, kind, obj, e);
}

static void put_notes(const struct conversion *c, const char *key, bool errors, struct buf *out)
{
	size_t n, told = 0;
	const struct conversion_note *notes = conversion_notes(c, &n);

	buf_printf(out, "\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		if (notes[i].is_error != errors)
			continue;
		buf_puts(out, told++ ? ",{\"object\":" : "{\"object\":");
		buf_json_str(out, notes[i].object);
		buf_puts(out, ",\"message\":");
		buf_json_str(out, notes[i].message);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void put_json(const struct conversion *c, struct buf *out)
{
	buf_puts(out, "{\"config\":");
	buf_json_str(out, conversion_text(c));
	buf_putc(out, ',');
	put_notes(c, "warnings", false, out);
	buf_putc(out, ',');
	put_notes(c, "errors", true, out);
	buf_puts(out, "}\n");
}

/* Control characters, which an object may have brought along, do not reach the terminal. */
static void tell_notes(const struct conversion *c)
{
	size_t n;
	const struct conversion_note *notes = conversion_notes(c, &n);

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *line = xasprintf("%s%s: %s", notes[i].is_error ? "error: " : "",
		                                    notes[i].object, notes[i].message);
		buf_plain(line);
		fprintf(stderr, "%s\n", line);
	}
}

static int convert(struct conversion *c, const struct command_options *o, struct err *e)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	size_t n;

	for (size_t i = 0; i < o->n_operands; i++)
		if (file_read_manifest(o->operands[i], put_object, c, e) < 0)
			return COMMAND_FAILED;
	bool valid = conversion_run(c);
	if (o->json)
		put_json(c, &out);
	else
		buf_puts(&out, conversion_text(c));
	fputs(buf_str(&out), stdout);
	fflush(stdout);
	if (!o->json)
		tell_notes(c);
	conversion_notes(c, &n);
	if (!valid) {
		err_set(e, -EINVAL, ERR_CONFIG, "this is not a valid configuration");
		return COMMAND_FAILED;
	}
	return n ? COMMAND_CHANGES : COMMAND_OK;
}

int command_config_convert(const struct command_options *o, struct err *e)
{
	struct conversion *c = conversion_new();
	int status = convert(c, o, e);

	conversion_free(c);
	return status;
}
