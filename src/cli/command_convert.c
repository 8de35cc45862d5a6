/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead config convert`: MetalLB's custom resources as a configuration of Fairlead. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/convert.h"
#include "cli/file.h"
#include "fairlead/mem.h"

static int put_object(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	return conversion_put(arg, kind, obj, e);
}

static void put_notes(const struct conversion *c, const char *key, bool errors, struct out *o)
{
	size_t n;
	const struct conversion_note *notes = conversion_notes(c, &n);

	out_list(o, key);
	for (size_t i = 0; i < n; i++) {
		if (notes[i].is_error != errors)
			continue;
		out_object(o, NULL);
		out_str(o, "object", notes[i].object);
		out_str(o, "message", notes[i].message);
		out_close(o);
	}
	out_close(o);
}

static void put_answer(const struct conversion *c, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "config", conversion_text(c));
	put_notes(c, "warnings", false, o);
	put_notes(c, "errors", true, o);
	out_close(o);
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
	cleanup(command_answer_fini) struct command_answer a;
	size_t n;

	command_answer_init(&a, o);
	for (size_t i = 0; i < o->n_operands; i++)
		if (file_read_manifest(o->operands[i], put_object, c, e) < 0)
			return COMMAND_FAILED;
	bool valid = conversion_run(c);
	put_answer(c, &a.out);
	/* As text it is a file, for whatever reads it next. */
	if (out_is_text(&a.out))
		buf_puts(&a.text, conversion_text(c));
	command_print(&a);
	fflush(stdout);
	if (out_is_text(&a.out))
		tell_notes(c);
	conversion_notes(c, &n);
	if (!valid) {
		err_set(e, -EINVAL, ERR_CONFIG, "this is not a valid configuration");
		return COMMAND_FAILED;
	}
	return n ? COMMAND_CHANGES : COMMAND_OK;
}

static int run_config_convert(const struct command_options *o, struct err *e)
{
	struct conversion *c = conversion_new();
	int status = convert(c, o, e);

	conversion_free(c);
	return status;
}

const struct command command_config_convert = {
	.words = { "config", "convert" },
	.operands = "FILE…",
	.names = NAMES_FILES,
	.n = 1,
	.more = true,
	.flags = FLAGS_OUTPUT,
	.summary = "MetalLB's custom resources as a configuration of Fairlead; what is lost is "
		   "reported with its object.  FILE… are manifests, as kubectl get -o yaml prints "
		   "them; - is standard input",
	.exits = { [COMMAND_OK] = "everything carried over",
	           [COMMAND_FAILED] = "it is not valid, or could not be read",
	           [COMMAND_CHANGES] = "it is valid, and something was lost" },
	.run = run_config_convert,
};
