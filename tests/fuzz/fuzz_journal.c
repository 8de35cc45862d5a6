/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's text, which anybody who may write ConfigMaps may have written. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/journal.h"
#include "fairlead/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct read {
	struct journal_holders *holders;
	struct buf printed;
	size_t n;
};

static void put(struct journal_entry *e, void *arg)
{
	struct read *r = arg;

	journal_holders_put(r->holders, e);
	journal_print(e, &r->printed);
	r->n++;
}

static void count(const struct journal_holder *holder, void *arg)
{
	if (holder->n == 0 || holder->n > JOURNAL_ADDRS_MAX)
		abort();
	++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* What is printed may be a little longer, and lines have a bound. */
	if (size > JOURNAL_LINE_MAX / 2)
		size = JOURNAL_LINE_MAX / 2;
	struct read first = { .holders = journal_holders_new() },
		    second = { .holders = journal_holders_new() };
	const char *text = (const char *)data;
	size_t holders[2] = { 0, 0 };

	journal_read(text, size, put, &first);
	/* What was read is printed so that it is read again, as the same. */
	if (journal_read(buf_str(&first.printed), first.printed.size, put, &second) > 0 ||
	    first.n != second.n || strcmp(buf_str(&first.printed), buf_str(&second.printed)) != 0)
		abort();
	journal_holders_rest(first.holders, count, &holders[0]);
	journal_holders_rest(second.holders, count, &holders[1]);
	if (holders[0] != holders[1] || journal_older_than(text, size, INT64_MAX) > size)
		abort();
	journal_holders_free(first.holders);
	journal_holders_free(second.holders);
	buf_fini(&first.printed);
	buf_fini(&second.printed);
	return 0;
}
