/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"

#define CHUNK_BYTES 65536
#define FILE_CONFIG_MAX_BYTES (2 << 20)

int file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	static bool stdin_is_read;
	bool is_stdin = !strcmp(path, "-");

	if (is_stdin && stdin_is_read)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "- is given twice, and standard input can be read once");
	stdin_is_read |= is_stdin;
	FILE *f = is_stdin ? stdin : fopen(path, "re");
	int r = 0;

	if (!f)
		return err_set(e, -errno, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	for (;;) {
		size_t n = fread(buf_reserve(out, CHUNK_BYTES), 1, CHUNK_BYTES, f);
		buf_advance(out, n);
		if (out->size > max_bytes) {
			r = err_set(e, -EFBIG, ERR_LIMIT, "%s: longer than %zu bytes", path,
			            max_bytes);
			break;
		}
		if (n == 0)
			break;
	}
	if (ferror(f))
		r = err_set(e, -EIO, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	if (!is_stdin)
		fclose(f);
	return r;
}

static int parse_manifest(const char *path, const struct buf *text, manifest_object_fn *fn,
                          void *arg, struct manifest_problems *problems, struct err *e)
{
	unsigned int line = 0;
	int r = manifest_read(buf_str(text), text->size, fn, arg, problems, &line, e);

	if (r < 0)
		err_prefix(e, "%s:%u", path, line ? line : 1);
	return r;
}

static int read_manifest(const char *path, manifest_object_fn *fn, void *arg,
                         struct manifest_problems *problems, struct err *e)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	int r = file_read(path, MANIFEST_MAX_BYTES, &text, e);

	return r < 0 ? r : parse_manifest(path, &text, fn, arg, problems, e);
}

int file_read_manifest(const char *path, manifest_object_fn *fn, void *arg, struct err *e)
{
	return read_manifest(path, fn, arg, NULL, e);
}

int file_parse_manifest(const char *path, const struct buf *text, manifest_object_fn *fn, void *arg,
                        struct err *e)
{
	return parse_manifest(path, text, fn, arg, NULL, e);
}

int file_read_objects(const char *path, manifest_object_fn *fn, void *arg, struct buf *told,
                      size_t *ret_n_refused, struct err *e)
{
	cleanup(manifest_problems_fini) struct manifest_problems problems = { .n = 0 };
	int r = read_manifest(path, fn, arg, &problems, e);

	for (size_t i = 0; i < problems.n; i++)
		buf_printf(told, "%s:%u: %s\n", path,
		           problems.items[i].line ? problems.items[i].line : 1,
		           problems.items[i].message);
	*ret_n_refused = problems.n;
	return r;
}

void file_say_problems(const char *path, const struct config_problems *p, const char *kind,
                       struct out *o)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct config_problem *item = &p->items[i];
		out_say(o, "%s:%u: %s%s%s%s", path, item->line ? item->line : 1, kind, item->path,
		        *item->path ? ": " : "", item->message);
	}
}

int file_read_configuration_text(const char *path, struct buf *out, struct err *e)
{
	int r = file_read(path, FILE_CONFIG_MAX_BYTES, out, e);

	if (r < 0 || buf_str(out)[strspn(buf_str(out), " \t\r\n")])
		return r;
	if (!strcmp(path, "-"))
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "standard input is empty: see whether what should write the "
		               "configuration to it failed");
	return err_set(e, -EINVAL, ERR_CONFIG, "%s is empty: write a configuration into it", path);
}

void file_tell_problems(const char *path, const struct config_problems *p, const char *kind)
{
	cleanup(buf_fini) struct buf told = BUF_INIT;
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_TEXT, &told);
	file_say_problems(path, p, kind, &o);
	fputs(buf_str(&told), stderr);
}

int file_read_configuration(const char *path, struct configuration **ret_config, struct err *e)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	int r = file_read_configuration_text(path, &text, e);

	if (r < 0)
		return r;
	r = configuration_parse_file(buf_str(&text), text.size, ret_config, &errors, NULL);
	file_tell_problems(path, &errors, "");
	if (r < 0)
		return err_set(e, r, ERR_CONFIG, "%s is not a valid configuration", path);
	configuration_warn_no_pools(*ret_config, &warnings);
	file_tell_problems(path, &warnings, "warning: ");
	return 0;
}
