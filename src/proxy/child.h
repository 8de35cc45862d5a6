/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_CHILD_H
#define FAIRLEAD_PROXY_CHILD_H

/*
 * A program that we run: input in, output and errors out, without ever blocking the event loop.
 *
 * It is found by PATH and gets no signal settings and no files of ours.  Its errors are kept up to
 * a bound, its output is handed on as it comes.  No signal handler is needed: the end of its output
 * is the cue to check whether it has ended.  It leads a process group, and the group is what gets
 * killed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fairlead/buf.h"
#include "fairlead/err.h"

struct event_base;
struct child;

#define CHILD_MAX_ERRORS 4096

struct child_result {
	bool exited; /* by itself, with the code; otherwise killed by a signal or by our deadline */
	int code;
	const char *errors;
};

struct child_ops {
	void (*output)(const char *data, size_t size, void *arg); /* may be NULL */
	/* The last call; the child is freed after it. */
	void (*done)(const struct child_result *r, void *arg);
};

/* Starts @argv; -ENOENT if there is no such program.  @input must stay until done() is called. */
int child_start(struct event_base *base, const char *const argv[], const struct buf *input,
                int timeout_ms, const struct child_ops *ops, void *arg, struct child **ret_child,
                struct err *e);
pid_t child_pid(const struct child *c);
int64_t child_started_ms(const struct child *c); /* clock_ms() then */
/* Lets go of it without a call to done(): it ends by itself when it finds its input closed. */
void child_abandon(struct child *c);
/*
 * The same, and waits up to that long for its end; it gets no more input.
 */
#define CHILD_END_MS 10000
void child_end(struct child *c);

/* The same in one call that returns when the program has ended. @errors may be NULL. */
int child_run(const char *const argv[], const struct buf *input, int timeout_ms,
              void (*output)(const char *data, size_t size, void *arg), void *arg, int *ret_code,
              struct buf *errors, struct err *e);

#endif
