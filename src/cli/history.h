/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_HISTORY_H
#define FAIRLEAD_CLI_HISTORY_H

/* The journal as the cluster's ConfigMaps have it, read and printed. */

#include "fairlead/journal.h"

struct out;
struct state;

struct history {
	struct journal_entry *entries; /* in the order in which they were written */
	size_t n, cap;
	size_t n_maps;       /* that there are */
	size_t n_unreadable; /* lines */
};

/* Those of that namespace. */
void history_read(struct history *h, const struct state *s, const char *namespace);
void history_fini(struct history *h);
/* Who has what by it. */
struct journal_holders *history_holders(const struct history *h);

struct history_question {
	struct addr address; /* none: of any */
	const char *service; /* "namespace/name"; NULL: of any */
	int64_t since_us;    /* earlier entries are not printed */
};
void history_print(const struct history *h, const struct history_question *q, struct out *o);

#endif
