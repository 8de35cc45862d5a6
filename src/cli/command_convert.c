/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead config convert`: MetalLB's custom resources as a configuration of Fairlead, or
 * kube-proxy's configuration as values of the chart.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/convert.h"
#include "cli/file.h"
#include "fairlead/kube.h"
#include "fairlead/kube_proxy.h"
#include "fairlead/mem.h"

/* It begins as the key config of a ConfigMap does, Fairlead's or MetalLB's of up to 0.12. */
static bool is_configuration(const char *kind, struct json_object *obj)
{
	return !*kind && (kube_json_get(obj, "address-pools", json_type_array, NULL) ||
	                  kube_json_get(obj, "peers", json_type_array, NULL));
}

static int put_object(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	if (is_configuration(kind, obj))
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "this is a configuration of Fairlead already; fairlead config check "
		               "judges it");
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

/* ---- MetalLB ---- */

static int finish(struct conversion *c, const struct command_options *o, struct err *e)
{
	cleanup(command_answer_fini) struct command_answer a;
	size_t n;

	command_answer_init(&a, o);
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

/* ---- kube-proxy ---- */

static void put_proxy(const struct kube_proxy *p, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "values", buf_str(&p->values));
	out_str(o, "flags", buf_str(&p->flags));
	config_problems_put(&p->remarks, "remarks", o);
	config_problems_put(&p->lost, "warnings", o);
	config_problems_put(&p->errors, "errors", o);
	out_close(o);
}

static int finish_proxy(const struct kube_proxy *p, const char *path,
                        const struct command_options *o, struct err *e)
{
	cleanup(command_answer_fini) struct command_answer a;

	command_answer_init(&a, o);
	put_proxy(p, &a.out);
	if (out_is_text(&a.out) && !p->errors.n)
		buf_printf(
			&a.text,
			"# Values of the chart, in place of kube-proxy.  The speaker's options:\n"
			"# %s\n%s",
			buf_str(&p->flags), buf_str(&p->values));
	command_print(&a);
	fflush(stdout);
	if (out_is_text(&a.out)) {
		file_tell_problems(path, &p->remarks, "note: ");
		file_tell_problems(path, &p->lost, "warning: ");
		file_tell_problems(path, &p->errors, "");
	}
	if (p->errors.n) {
		err_set(e, -EINVAL, ERR_CONFIG, "%s is not a valid configuration of kube-proxy",
		        path);
		return COMMAND_FAILED;
	}
	return p->lost.n ? COMMAND_CHANGES : COMMAND_OK;
}

static int convert_proxy(const char *path, const struct buf *text, const struct command_options *o,
                         struct err *e)
{
	cleanup(kube_proxy_fini) struct kube_proxy p = { .values = BUF_INIT };

	if (o->n_operands > 1) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        "%s: kube-proxy's configuration is converted by itself; give it alone",
		        path);
		return COMMAND_FAILED;
	}
	kube_proxy_read(buf_str(text), text->size, &p);
	return finish_proxy(&p, path, o, e);
}

static int convert_args(const struct command_options *o, struct err *e)
{
	cleanup(kube_proxy_fini) struct kube_proxy p = { .values = BUF_INIT };

	kube_proxy_read_args(o->kube_proxy_args, &p);
	return finish_proxy(&p, "--kube-proxy-args", o, e);
}

/* ---- both ---- */

static int convert(struct conversion *c, const struct command_options *o, struct err *e)
{
	for (size_t i = 0; i < o->n_operands; i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		const char *path = o->operands[i];
		if (file_read(path, MANIFEST_MAX_BYTES, &text, e) < 0)
			return COMMAND_FAILED;
		if (kube_proxy_is(buf_str(&text), text.size))
			return convert_proxy(path, &text, o, e);
		if (file_parse_manifest(path, &text, put_object, c, e) < 0)
			return COMMAND_FAILED;
	}
	return finish(c, o, e);
}

static int run_config_convert(const struct command_options *o, struct err *e)
{
	if (!o->kube_proxy_args == !o->n_operands) {
		err_set(e, -EINVAL, ERR_CONFIG,
		        o->n_operands ? "config convert takes FILE… or --kube-proxy-args, not both"
		                      : "config convert needs FILE… or --kube-proxy-args");
		return COMMAND_USAGE;
	}
	if (o->kube_proxy_args)
		return convert_args(o, e);
	struct conversion *c = conversion_new();
	int status = convert(c, o, e);

	conversion_free(c);
	return status;
}

const struct command command_config_convert = {
	.words = { "config", "convert" },
	.operands = "[FILE…]",
	.names = NAMES_FILES,
	.more = true,
	.flags = FLAGS_OUTPUT | FLAGS_CONVERT,
	.summary = "MetalLB's custom resources as a configuration of Fairlead, or kube-proxy's "
		   "configuration as values of the chart; what is lost is reported with its "
		   "object, or its line.  FILE… are manifests, as kubectl get -o yaml prints them; "
		   "- is standard input",
	.about =
		"Of kube-proxy a FILE is its KubeProxyConfiguration, or the ConfigMap kube-proxy, "
		"which holds it under the key config.conf; or where it runs by flags, the DaemonSet or "
		"Pod that runs it.  What is printed is what kube-proxy "
		"does, its defaults included.",
	.exits = { [COMMAND_OK] = "everything carried over",
	           [COMMAND_FAILED] = "it is not valid, or could not be read",
	           [COMMAND_CHANGES] = "it is valid, and something was lost" },
	.run = run_config_convert,
};
