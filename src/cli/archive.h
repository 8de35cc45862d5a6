/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_ARCHIVE_H
#define FAIRLEAD_CLI_ARCHIVE_H

/* A tar.gz that is written file by file, all of them in one directory. */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/err.h"

struct archive;

/* Of all files together. */
#define ARCHIVE_MAX_BYTES (1u << 30)

/*
 * @path: a file that is not there yet, only for its owner to read; "-": standard output.
 */
int archive_open(const char *path, const char *directory, struct archive **ret_archive,
                 struct err *e);
/* -EFBIG where it is too much for the whole.  What cannot be written is told in the end. */
int archive_add(struct archive *a, const char *name, const void *data, size_t size);
/* Ends and frees it; a file that is not complete is removed again. */
int archive_close(struct archive *a, struct err *e);
/* Frees it, and removes the file. */
void archive_discard(struct archive *a);

#endif
