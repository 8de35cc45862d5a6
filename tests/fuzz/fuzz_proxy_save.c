/* SPDX-License-Identifier: Apache-2.0 */
/* iptables-save as the adopter reads it: any bytes, in pieces whose size the first byte chooses. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "proxy/iptables/save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t piece = data[0] ? data[0] : 4096;
	struct save *s = malloc(sizeof(*s));
	if (!s)
		return 0;
	save_init(s);
	for (size_t at = 1; at < size; at += piece)
		save_feed(s, (const char *)data + at, size - at < piece ? size - at : piece);
	save_end(s);
	size_t n = 0;
	for (const struct save_chain *c = s->chains; c; c = c->hh.next) {
		n += save_chain_hash(c) != CHAIN_UNKNOWN;
		n += save_chain_in_place(c);
		if (strlen(c->name) >= CHAIN_NAME_SIZE)
			abort();
	}
	if (n > 2 * s->n_chains || s->n_jumps > SAVE_MAX_JUMPS)
		abort();
	save_fini(s);
	free(s);
	return 0;
}
