/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_DUMP_H
#define FAIRLEAD_PROXY_DUMP_H

/* The inside of proxy_dump_start(): programs, one after the other, and what they print. */

#include <stddef.h>

#include "fairlead/proxy.h"

#define DUMP_PROGRAMS_MAX 2
#define DUMP_ARGV_SIZE 6

struct dump_program {
	const char *argv[DUMP_ARGV_SIZE]; /* constants; the end is NULL */
	const char *skip;                 /* why it is not run, a constant; NULL: it is */
};

struct proxy_dump *dump_start(struct event_base *base, const struct dump_program *programs,
                              size_t n, void (*done)(struct buf *text, void *arg), void *arg);

#endif
