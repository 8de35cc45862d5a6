/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list scanner and the watch framing: what comes out must not depend on the pieces that go in.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "kube/scanner.h"

/* Small, so that objects are cut short. */
#define MAX_OBJECT 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool note(const char *data, size_t size, struct outline *cut, void *arg)
{
	struct outline own;

	if (size > MAX_OBJECT)
		abort();
	outline_of(&own, false, data, size);
	const struct outline *o = cut ? cut : &own;
	buf_putc(arg, cut ? '!' : ' ');
	buf_add(arg, data, size);
	buf_printf(arg, "%s/%s %zu %zu %d", o->namespace, o->name, o->ingress.n, o->external_ips.n,
	           outline_is_good(o));
	outline_fini(&own);
	return true;
}

static void scan(const char *data, size_t size, size_t piece, struct buf *out)
{
	struct scanner s;
	struct lines l;

	scanner_init(&s, note, out);
	lines_init(&l, note, out);
	s.max = l.max = MAX_OBJECT;
	for (size_t i = 0; i < size; i += piece)
		if (scanner_feed(&s, data + i, size - i < piece ? size - i : piece) < 0)
			break;
	buf_puts(out, scanner_complete(&s) ? "complete" : "incomplete");
	buf_add(out, s.metadata.data, s.metadata.size);
	for (size_t i = 0; i < size; i += piece)
		lines_feed(&l, data + i, size - i < piece ? size - i : piece);
	scanner_fini(&s);
	lines_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, pieces = BUF_INIT;

	if (size < 1)
		return 0;
	const char *text = (const char *)data + 1;
	scan(text, size - 1, size, &whole);
	scan(text, size - 1, (size_t)data[0] % 16 + 1, &pieces);
	if (whole.size != pieces.size || memcmp(whole.data, pieces.data, whole.size) != 0)
		abort();
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
