/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_DUMP_H
#define FAIRLEAD_CLI_DUMP_H

/*
 * The archive of `fairlead sysdump` while it is made: what was had goes in, without secrets, and
 * what was not is written down.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/archive.h"
#include "fairlead/buf.h"

struct json_object;

struct dump {
	struct archive *archive;
	struct buf missing; /* a line each */
	size_t n_had, n_missing;
};

void dump_fini(struct dump *d);
/*
 * "DIRECTORY/A/B" and the suffix; "" or NULL: without B.  What comes from outside leads nowhere
 * else.
 */
char *dump_name(const char *directory, const char *a, const char *b, const char *suffix);
/* Redacted as JSON where the name ends with .json and it is some, else as text. */
void dump_put(struct dump *d, const char *name, const char *data, size_t size);
/* The same for what is redacted already, or has nothing to redact. */
void dump_put_plain(struct dump *d, const char *name, const char *data, size_t size);
/* Also on standard error. */
void dump_miss(struct dump *d, const char *name, const char *why);
/* missing.txt, which is there in any case. */
void dump_end(struct dump *d);

#endif
