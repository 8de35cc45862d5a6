/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iptables-save as the adopter reads it, and as hits are read with -c: any bytes, in pieces whose
 * size the first byte chooses.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/iptables/hits.h"
#include "proxy/iptables/save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void counted(const char *chain, const char *service, uint64_t packets, uint64_t bytes,
                    void *arg)
{
	(void)packets, (void)bytes, (void)arg;
	if (!*chain || strlen(chain) >= CHAIN_NAME_SIZE || !*service ||
	    strlen(service) >= CHAIN_LABEL_SIZE)
		abort();
}

static void read_hits(const char *data, size_t size, size_t piece)
{
	static const struct hits_ops ops = { .counted = counted };
	struct hits_text *t = calloc(1, sizeof(*t));

	if (!t)
		return;
	t->ops = &ops;
	for (size_t at = 0; at < size; at += piece)
		hits_text_feed(t, data + at, size - at < piece ? size - at : piece);
	hits_text_end(t);
	free(t);
}

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
	read_hits((const char *)data + 1, size - 1, piece);
	return 0;
}
