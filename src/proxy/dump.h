/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_DUMP_H
#define FAIRLEAD_PROXY_DUMP_H

/* The inside of proxy_dump_start(): what programs print, and what stands in files of the kernel. */

#include <stddef.h>

#include "fairlead/proxy.h"

#define DUMP_PROGRAMS_MAX 2
#define DUMP_ARGV_SIZE 6

/* All of it constants. */
struct dump_program {
	const char *argv[DUMP_ARGV_SIZE]; /* the end is NULL */
	const char *skip;                 /* why it is not run; NULL: it is */
	const char *file;                 /* it is read in place of a program; NULL: none */
};

struct proxy_dump *dump_start(struct event_base *base, const struct dump_program *programs,
                              size_t n, void (*done)(struct buf *text, void *arg), void *arg);

#endif
