/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_GROUPS_H
#define FAIRLEAD_L2_GROUPS_H

/*
 * The IPv6 multicast groups that the node is a member of, for the sake of what its packet sockets
 * receive: a membership makes the kernel tell the switches by MLD, and the network card let the
 * group's frames in.  The kernel answers nothing because of it.
 *
 * Joining waits for the kernel, which may be busy reconfiguring something else, so a thread of its
 * own does it; groups_set() does not wait.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"

struct group {
	int interface; /* index */
	struct addr addr;
};

/* By interface, then by address. */
int group_cmp(const struct group *a, const struct group *b);

/* ---- which memberships on which socket ---- */

/*
 * What the kernel does; each returns 0 (open: a descriptor) or -errno.  -ENOMEM and -ENOBUFS of
 * join: the socket holds as many as it may (net.core.optmem_max).
 */
struct groups_kernel {
	int (*open)(void *arg);
	int (*join)(int fd, const struct group *g, void *arg);
	void (*leave)(int fd, const struct group *g, void *arg);
	void (*close)(int fd, void *arg);
	void *arg;
};

struct groups_member {
	struct group group;
	size_t socket;
};

struct groups_socket {
	int fd; /* -1: free */
	size_t n;
	bool full;
};

struct groups_ledger {
	struct groups_kernel kernel;
	struct groups_member *members; /* sorted */
	size_t n;
	struct groups_socket *sockets;
	size_t n_sockets, sockets_cap;
	/* Groups that could not be joined at the last change, and why: a negative errno. */
	size_t n_failed;
	int error;
};

/* Joins and leaves what differs from @wanted, which is sorted and has no group twice. */
void groups_ledger_set(struct groups_ledger *l, const struct group *wanted, size_t n);
/* Leaves everything. */
void groups_ledger_fini(struct groups_ledger *l);

/* ---- the thread ---- */

struct groups;

int groups_start(struct groups **ret_groups, struct err *e);
/* Replaces what is to be joined; in any order, doubles allowed, copied. */
void groups_set(struct groups *g, const struct group *wanted, size_t n);
/* How many could not be joined when it was last tried, and why: a negative errno in @ret_error. */
size_t groups_n_failed(const struct groups *g, int *ret_error);
void groups_stop(struct groups *g);

#endif
