/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Replies in pieces: the first byte says how large. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/vty.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vty_reader r;
	size_t piece = size ? data[0] + 1u : 1, at = size ? 1 : 0;

	vty_reader_init(&r);
	r.max_bytes = 4096;
	while (at < size) {
		size_t n = size - at < piece ? size - at : piece, used = 0;
		uint8_t status;
		int got = vty_reader_feed(&r, data + at, n, &used, &status);
		if (got < 0)
			break;
		if (used == 0 || used > n || r.text.size > r.max_bytes ||
		    (r.text.size && memchr(r.text.data, 0, r.text.size)))
			abort();
		at += used;
	}
	vty_reader_fini(&r);
	return 0;
}
