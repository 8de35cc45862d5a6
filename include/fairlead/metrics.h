/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_METRICS_H
#define FAIRLEAD_METRICS_H

/*
 * The HTTP side of a daemon: /metrics (Prometheus text format 0.0.4), /healthz, /readyz and
 * /status.
 *
 * Metrics are collected when somebody asks: each collector appends the families it owns, through
 * the writer below, which keeps HELP and TYPE with their samples and escapes labels.  Runs on the
 * daemon's event loop.
 *
 * Every family is a row of metrics.def, from which HELP, TYPE and docs/metrics.md are printed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/out.h"
#include "fairlead/err.h"
#include "fairlead/histogram.h"

struct event_base;
struct metrics_server;

enum metric {
#define METRIC(name, type, labels, help) METRIC_##name,
#include "fairlead/metrics.def"
	METRIC_COUNT
};

struct metrics_writer {
	struct buf *out;
	enum metric family; /* the one under way */
};

/* Opens a family: every metrics_sample() until the next one belongs to it. */
void metrics_family(struct metrics_writer *w, enum metric family);
/* One sample.  Labels come as name, value pairs, ended by NULL. */
void metrics_sample(struct metrics_writer *w, double value, ... /* label, value, …, NULL */)
	__attribute__((sentinel));
/* A family of one sample, without labels. */
void metrics_value(struct metrics_writer *w, enum metric family, double value);

/* A family of one histogram, without labels. */
void metrics_histogram(struct metrics_writer *w, enum metric family, const struct histogram *h);

/* A counter that is a member of a struct: of type uint64_t, at @offset. */
struct metrics_stat {
	const char *key; /* in /status */
	size_t offset;
	enum metric family;
};
#define METRICS_STAT(type, member, name)                       \
	{                                                      \
#member, offsetof(type, member), METRIC_##name \
	}
uint64_t metrics_stat_of(const struct metrics_stat *row, const void *stats);
/* A family of one sample for each. */
void metrics_stats(struct metrics_writer *w, const struct metrics_stat *rows, size_t n,
                   const void *stats);
/* The same, as members of the open object. */
void metrics_stats_put(const struct metrics_stat *rows, size_t n, const void *stats, struct out *o);

/* What every daemon reports about itself: fairlead_build_info and the usual process_… families. */
void metrics_process(struct metrics_writer *w);

/*
 * A page that takes a while to make and is requested rarely, for troubleshooting: served to this
 * host, to clients with the token, and to those that metrics_server_ops.may_dump lets in.  One of a
 * kind is made at a time, for all clients that wait for it; it is cached like the others.
 */
struct metrics_dump {
	const char *path; /* "/dump/rules"; NULL: the end of the list */
	/*
	 * Starts without blocking and calls @done once from the event loop, never from within this
	 * call; @done takes the bytes of the text.  The returned value is for cancel(), until @done
	 * is called.
	 */
	void *(*start)(void *arg, void (*done)(struct buf *text, void *done_arg), void *done_arg);
	void (*cancel)(void *job);
};

struct metrics_server_ops {
	void (*collect)(struct metrics_writer *w, void *arg); /* /metrics */
	/* Each returns true for 200, false for 503, and may say why in @why. */
	bool (*healthy)(struct buf *why, void *arg);
	bool (*ready)(struct buf *why, void *arg);
	void (*status)(struct out *o, void *arg); /* /status: one object */
	const struct metrics_dump *dumps;         /* NULL: none */
	/* Whether clients of another host, at this address, may get dumps; NULL: never. */
	bool (*may_dump)(const struct addr *from, void *arg);
};

/* What clients of other hosts may see of /status, /loglevel and dumps. */
struct metrics_guard {
	const char *token_file; /* the file of the token that they need; NULL: none */
	bool host_only;         /* without a token they may not even read */
};

/*
 * Listens on @address ("0.0.0.0:17482", "[::]:7483"; port 0: any).  PUT /loglevel with a level name
 * as the body changes the log level, for clients on this host only; GET shows it to everybody.
 *
 * Anybody who reaches the port is served, within the bounds of limits.h: /metrics and /status are
 * rendered once for all clients that ask within a short time, and /healthz and /readyz are answered
 * when everything else is refused.
 */
int metrics_server_start(struct event_base *base, const char *address,
                         const struct metrics_server_ops *ops, void *arg,
                         struct metrics_server **ret_server, struct err *e);
/*
 * Restricts /status and /loglevel.  @g's file name stays the caller's.  -EINVAL and the like: the
 * token cannot be read.
 */
int metrics_server_guard(struct metrics_server *s, const struct metrics_guard *g, struct err *e);
/* The port that it listens on. */
uint16_t metrics_server_port(const struct metrics_server *s);
void metrics_server_stop(struct metrics_server *s);

#endif
