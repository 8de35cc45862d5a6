/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/nftables/tables.h"

#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "fairlead/mem.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/wire.h"

static const uint8_t families[] = { 4, 6 };

static void note_table(const struct nlmsghdr *h, void *arg)
{
	bool *found = arg;
	const char *table = wire_table(h);

	*found = *found || (table && !strcmp(table, FRAME_TABLE));
}

static int has_table(struct wire *w, size_t i, bool *ret)
{
	const struct frame f = { .family = families[i] };

	*ret = false;
	return wire_read(w, NFT_MSG_GETTABLE, frame_nf_family(&f), NULL, NULL, note_table, ret);
}

bool tables_has_ours(const void *what)
{
	struct wire *w;
	bool any = false, has;

	(void)what;
	if (wire_new(&w, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		any = (has_table(w, i, &has) == 0 && has) || any;
	wire_free(w);
	return any;
}

int tables_clean(const void *what, struct err *e)
{
	struct wire *w;
	int r = wire_new(&w, e);

	(void)what;
	for (size_t i = 0; i < ARRAY_LEN(families) && r == 0; i++) {
		const struct frame f = { .family = families[i] };
		bool has;
		if (has_table(w, i, &has) < 0 || !has)
			continue;
		wire_begin(w);
		frame_drop_table(&f, w, FRAME_TABLE);
		r = wire_commit(w, e);
	}
	wire_free(w);
	return r;
}
