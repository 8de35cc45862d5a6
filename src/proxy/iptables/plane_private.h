/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_PLANE_PRIVATE_H
#define FAIRLEAD_PROXY_IPTABLES_PLANE_PRIVATE_H

/*
 * The inside of a plane: plane.c is the machine and the door, looks.c reads what the kernel has,
 * batch.c writes.
 */

#include <stddef.h>
#include <stdint.h>

#include "proxy/child.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "proxy/iptables/model.h"
#include "proxy/pace.h"
#include "proxy/iptables/plane.h"
#include "proxy/iptables/save.h"
#include "proxy/udp.h"
#include "proxy/iptables/variant.h"
#include "proxy/iptables/watch.h"

struct event;

enum plane_state {
	PLANE_ABSENT,
	PLANE_READING,
	PLANE_HELD,
	PLANE_ADOPTING,
	PLANE_IDLE,
	PLANE_WRITING,
	PLANE_AUDITING
};

struct plane {
	struct event_base *base;
	const struct variant *v;
	uint8_t family;
	const struct plane_ops *ops;
	void *arg;

	enum plane_state state;
	bool complete;
	struct model *model;
	struct save saved; /* what READING and AUDITING have read */
	struct child *child;
	struct buf text; /* of the batch */
	size_t n_lines;
	bool more;          /* the batch left Services waiting */
	int64_t started_ms; /* when the program was started */
	int64_t next_ms;    /* no batch before this */
	struct pace pace;
	bool settling;                        /* something changed since the last batch started */
	unsigned int failures, read_failures; /* in a row */
	struct child_result refusal; /* of one Service, while the program itself is tried */
	char refusal_text[CHILD_MAX_ERRORS];
	struct event *timer;
	struct watch *watch;
	int64_t audit_ms;
	unsigned int audits;        /* since the last complete comparison */
	bool compare;               /* as soon as that may be */
	int64_t read_ms;            /* when reading began */
	int64_t comparison_ms;      /* what the last one took */
	int64_t compared_ms;        /* when it ended */
	int64_t next_comparison_ms; /* no other before this, unless there is doubt */
	struct udp *udp;
	struct proxy_node node, written; /* as it should be; as the batch under way has it */
	bool localhost_node_ports;
	uint64_t repairs; /* that were told of */
	bool was_refused; /* forwarding, before the adoption under way */
	bool flows_seen;  /* those of an earlier life were looked for */

	struct proxy_stats stats;
	char last_error[ERR_MSG_SIZE];
};

/* ---- plane.c ---- */

const char *plane_family(const struct plane *p);
/* For /status, on one line, and @aloud for the log. */
void plane_say_failed(struct plane *p, const char *what, const char *why, bool aloud);
/* What was reported about a failure no longer holds. */
void plane_forget_error(struct plane *p);
void plane_back_off(struct plane *p, unsigned int failures);
void plane_arm(struct event *timer, int64_t wait_ms);
/* Makes the machine run: at once after a rest, otherwise when the gap is over. */
void plane_kick(struct plane *p);

/* ---- looks.c ---- */

/* Reads what the kernel has, to compare it with what is wanted. */
void plane_read(struct plane *p);
/* Takes over what was read; more of it with each call. */
void plane_begin_adoption(struct plane *p);
void plane_adopt(struct plane *p);
/* Whether a change of others' is of interest: as struct watch_ops asks. */
bool plane_cares(const char *table, const char *chain, void *arg);
/* Whether there is iptables for the family by now. */
void plane_look_for_family(struct plane *p);

/* ---- batch.c ---- */

/* Writes the next batch; those that turn out to change nothing are over at once. */
void plane_write(struct plane *p);
int plane_start_restore(struct plane *p, const struct buf *input, const struct child_ops *ops,
                        struct err *e);

#endif
