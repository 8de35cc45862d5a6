/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_WATCHED_H
#define FAIRLEAD_CLI_WATCHED_H

/*
 * Files that are waited for, until one of them is another one than it was, or has been written, or
 * is gone, or there again: whatever an editor does when it saves.
 */

#include <stddef.h>

struct watched {
	struct watched_file *files;
	size_t n, cap;
};

/* @path is borrowed.  It is looked at now, and so before it is read. */
void watched_add(struct watched *w, const char *path);
/* Until one of them differs; from then on all are as they are now. */
void watched_wait(struct watched *w);
void watched_fini(struct watched *w);

#endif
