/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MetalLB's custom resources that an administrator was handed: whatever is in them, the text stays
 * the document it is meant to be.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/convert.h"
#include "fairlead/buf.h"
#include "fairlead/manifest.h"
#include "fairlead/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	return conversion_put(arg, kind, obj, e);
}

/* The only document, with none but our keys. */
static int check(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	static const char *const keys[] = { "address-pools", "peers", "bgp-communities",
		                            "bfd-profiles" };
	size_t *n_documents = arg;

	(void)e;
	if (*kind || ++*n_documents > 1)
		abort();
	json_object_object_foreach(obj, key, value) {
		size_t i = 0;
		while (i < ARRAY_LEN(keys) && strcmp(keys[i], key) != 0)
			i++;
		if (i == ARRAY_LEN(keys) || !value)
			abort();
	}
	return 0;
}

static bool has_error(const struct conversion *c)
{
	size_t n;
	const struct conversion_note *notes = conversion_notes(c, &n);

	for (size_t i = 0; i < n; i++)
		if (notes[i].is_error)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conversion *c = conversion_new();
	struct err e = ERR_INIT;
	unsigned int line = 0;
	size_t n_documents = 0;
	/* A copy with an end that a sanitizer sees, and a NUL behind it as file_read() leaves. */
	char *text = xmalloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (manifest_read(text, size, put, c, NULL, &line, &e) < 0 && e.blame == ERR_NONE)
		abort();
	bool valid = conversion_run(c);
	const char *yaml = conversion_text(c);
	if (valid == has_error(c))
		abort();
	/*
	 * Nested as deep as the input was, and a little deeper, it may be too deep for this reader.
	 */
	if (manifest_read(yaml, strlen(yaml), check, &n_documents, NULL, &line, &e) < 0 &&
	    (valid || !strstr(e.msg, "nested deeper")))
		abort();
	conversion_free(c);
	free(text);
	return 0;
}
