/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_ERR_H
#define FAIRLEAD_ERR_H

/*
 * Errors as values with a reader in mind.
 *
 * A function that can fail returns 0 or a negative errno.  Where a person will read why, its last
 * parameter is a struct err *, which may be NULL and is written on failure only.  The message names
 * the object and what is wrong with it; the blame says whose move it is.  Libraries fill errors in,
 * programs log them, once, at the top.
 */

#include <stdbool.h>

enum err_blame {
	ERR_NONE,   /* no error */
	ERR_CONFIG, /* what a user wrote: ConfigMap, Service, flag */
	ERR_REMOTE, /* the API server, a router, another speaker */
	ERR_SYSTEM, /* the kernel, a file, a program we ran */
	ERR_LIMIT,  /* a limit of ours was reached */
	ERR_BUG,    /* this program */
};

#define ERR_MSG_SIZE 512

struct err {
	enum err_blame blame;
	char msg[ERR_MSG_SIZE];
};

#define ERR_INIT                  \
	{                         \
		.blame = ERR_NONE \
	}

/*
 * Fills *@e (if not NULL) and returns @ret, so that `return err_set(e, -EINVAL, …);` reads in one
 * line.
 */
int err_set(struct err *e, int ret, enum err_blame blame, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Puts "PREFIX: " before the message. */
void err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The word for metric labels and logs: "config", "remote", "system", "limit", "bug". */
const char *err_blame_name(enum err_blame blame);

#endif
