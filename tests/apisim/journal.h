/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_JOURNAL_H
#define APISIM_JOURNAL_H

/*
 * The store's state in a file: one JSON line a change, written before the change is acknowledged,
 * so that kill -9 loses nothing that a client was told.  (A power cut may: nothing waits for the
 * disk.) Once most lines are superseded the file is rewritten beside and renamed.  A torn last
 * line, which nobody was told of, is cut off on opening.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"
#include "kind.h"

struct journal;
struct store;
struct version;

/* Reads @path into the empty @s, if it exists, and goes on writing there. */
int journal_open(const char *path, struct store *s, struct journal **ret_journal, struct err *err);
void journal_free(struct journal *j);
int journal_put(struct journal *j, enum store_id id, const struct version *v, struct err *err);
int journal_delete(struct journal *j, enum store_id id, const char *key, uint64_t rv,
                   struct err *err);
/* Rewrites the file to hold the store as it is. */
int journal_compact(struct journal *j, const struct store *s, struct err *err);
/* The same once it is worth it; a failure is logged, the old file goes on. */
void journal_compact_if_due(struct journal *j, const struct store *s);

#endif
