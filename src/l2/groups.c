/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A solicitation for an IPv6 address goes to the group of its last 24 bits, so each address has
 * nearly a group of its own.  Their members are all nodes that may own the address, not its owner
 * alone: after a takeover a switch delivers to the new owner at once, and nodes that ask for an
 * address at the same moment hear each other's probes.
 *
 * Receiving all groups instead (PACKET_MR_ALLMULTI) would spare the memberships and open the
 * network card, but not the switch: one that snoops MLD delivers a group only where it was joined,
 * and it hears of that from the kernel.
 *
 * A socket holds some hundreds of memberships, as many as net.core.optmem_max has room for; the
 * next ones go to another socket.  A membership survives its link's going down.  What could not be
 * joined is tried again after a pause.
 */
#include "config.h"

#include "l2/groups.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fairlead/mem.h"
#include "fairlead/thread.h"

#define GROUPS_STACK_SIZE (256 * 1024)
#define RETRY_MS 1000

int group_cmp(const struct group *a, const struct group *b)
{
	if (a->interface != b->interface)
		return a->interface < b->interface ? -1 : 1;
	return addr_cmp(&a->addr, &b->addr);
}

/* ---- which memberships on which socket ---- */

static bool is_full(int error)
{
	return error == -ENOMEM || error == -ENOBUFS;
}

/* A socket that may have room, or a new one; -errno. */
static int pick_socket(struct groups_ledger *l, size_t *ret_socket)
{
	size_t i = 0;

	while (i < l->n_sockets && l->sockets[i].fd >= 0 && l->sockets[i].full)
		i++;
	if (i == l->n_sockets) {
		ARRAY_RESERVE(l->sockets, l->sockets_cap, l->n_sockets + 1);
		l->sockets[l->n_sockets++] = (struct groups_socket){ .fd = -1 };
	}
	struct groups_socket *s = &l->sockets[i];
	if (s->fd < 0) {
		int fd = l->kernel.open(l->kernel.arg);
		if (fd < 0)
			return fd;
		*s = (struct groups_socket){ .fd = fd };
	}
	*ret_socket = i;
	return 0;
}

static void drop_if_empty(struct groups_ledger *l, struct groups_socket *s)
{
	if (s->n > 0)
		return;
	l->kernel.close(s->fd, l->kernel.arg);
	*s = (struct groups_socket){ .fd = -1 };
}

static int join(struct groups_ledger *l, const struct group *g, size_t *ret_socket)
{
	for (;;) {
		size_t i;
		int r = pick_socket(l, &i);
		if (r < 0)
			return r;
		struct groups_socket *s = &l->sockets[i];
		r = l->kernel.join(s->fd, g, l->kernel.arg);
		if (r == 0) {
			s->n++;
			*ret_socket = i;
			return 0;
		}
		if (!is_full(r) || s->n == 0) {
			drop_if_empty(l, s);
			return r;
		}
		s->full = true;
	}
}

static void leave(struct groups_ledger *l, const struct groups_member *m)
{
	struct groups_socket *s = &l->sockets[m->socket];

	l->kernel.leave(s->fd, &m->group, l->kernel.arg);
	s->n--;
	s->full = false;
	drop_if_empty(l, s);
}

static int by_group(const void *a, const void *b)
{
	return group_cmp(a, b);
}

/* What is no longer wanted goes first, and makes room. */
static void leave_unwanted(struct groups_ledger *l, const struct group *wanted, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (n && bsearch(&l->members[i].group, wanted, n, sizeof(*wanted), by_group))
			l->members[kept++] = l->members[i];
		else
			leave(l, &l->members[i]);
	l->n = kept;
}

void groups_ledger_set(struct groups_ledger *l, const struct group *wanted, size_t n)
{
	leave_unwanted(l, wanted, n);
	struct groups_member *old = l->members;
	struct groups_member *members = n ? xcalloc(n, sizeof(*members)) : NULL;
	size_t kept = 0, at = 0;

	l->n_failed = 0;
	for (size_t i = 0; i < n; i++) {
		struct groups_member m = { .group = wanted[i] };
		if (at < l->n && group_cmp(&old[at].group, &wanted[i]) == 0) {
			members[kept++] = old[at++];
			continue;
		}
		int r = join(l, &m.group, &m.socket);
		if (r == 0) {
			members[kept++] = m;
			continue;
		}
		l->n_failed++;
		l->error = r;
	}
	free(old);
	l->members = members;
	l->n = kept;
}

void groups_ledger_fini(struct groups_ledger *l)
{
	leave_unwanted(l, NULL, 0);
	free(l->members);
	free(l->sockets);
}

/* ---- the kernel ---- */

static int kernel_open(void *arg)
{
	(void)arg;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int change(int fd, int option, const struct group *g)
{
	struct ipv6_mreq mreq = { .ipv6mr_interface = (unsigned int)g->interface };

	memcpy(&mreq.ipv6mr_multiaddr, g->addr.b, sizeof(mreq.ipv6mr_multiaddr));
	return setsockopt(fd, IPPROTO_IPV6, option, &mreq, sizeof(mreq)) < 0 ? -errno : 0;
}

static int kernel_join(int fd, const struct group *g, void *arg)
{
	(void)arg;
	return change(fd, IPV6_JOIN_GROUP, g);
}

/* An interface that has gone has taken its memberships along. */
static void kernel_leave(int fd, const struct group *g, void *arg)
{
	(void)arg;
	(void)change(fd, IPV6_LEAVE_GROUP, g);
}

static void kernel_close(int fd, void *arg)
{
	(void)arg;
	close(fd);
}

/* ---- the thread ---- */

struct list {
	size_t n;
	struct group groups[];
};

struct groups {
	pthread_t thread;
	int wake_fd;
	_Atomic(struct list *) pending;
	_Atomic bool stopping;
	_Atomic size_t n_failed;
	_Atomic int error;

	/* The thread's own. */
	struct list *wanted;
	struct groups_ledger ledger;
};

static void sort(struct list *l)
{
	size_t kept = 0;

	qsort(l->groups, l->n, sizeof(*l->groups), by_group);
	for (size_t i = 0; i < l->n; i++)
		if (kept == 0 || group_cmp(&l->groups[kept - 1], &l->groups[i]) != 0)
			l->groups[kept++] = l->groups[i];
	l->n = kept;
}

static void bring_about(struct groups *g)
{
	struct list *fresh = atomic_exchange(&g->pending, NULL);

	if (fresh) {
		free(g->wanted);
		g->wanted = fresh;
		sort(fresh);
	}
	if (!g->wanted)
		return;
	groups_ledger_set(&g->ledger, g->wanted->groups, g->wanted->n);
	g->error = g->ledger.error;
	g->n_failed = g->ledger.n_failed;
}

static void *run(void *arg)
{
	struct groups *g = arg;
	struct pollfd fd = { .fd = g->wake_fd, .events = POLLIN };

	while (!g->stopping) {
		eventfd_t count;
		if (poll(&fd, 1, g->n_failed ? RETRY_MS : -1) < 0 && errno != EINTR)
			return NULL;
		if (fd.revents)
			(void)eventfd_read(g->wake_fd, &count);
		bring_about(g);
	}
	return NULL;
}

static void groups_free(struct groups *g)
{
	groups_ledger_fini(&g->ledger);
	free(g->wanted);
	free(atomic_exchange(&g->pending, NULL));
	if (g->wake_fd >= 0)
		close(g->wake_fd);
	free(g);
}

int groups_start(struct groups **ret_groups, struct err *e)
{
	struct groups *g = xcalloc(1, sizeof(*g));

	g->ledger.kernel = (struct groups_kernel){ .open = kernel_open,
		                                   .join = kernel_join,
		                                   .leave = kernel_leave,
		                                   .close = kernel_close };
	g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = g->wake_fd < 0 ? -errno : 0;
	if (r == 0)
		r = thread_start(&g->thread, GROUPS_STACK_SIZE, run, g);
	if (r < 0) {
		groups_free(g);
		return err_set(e, r, ERR_SYSTEM, "thread for multicast groups: %s", strerror(-r));
	}
	*ret_groups = g;
	return 0;
}

void groups_set(struct groups *g, const struct group *wanted, size_t n)
{
	struct list *l = xmalloc(sizeof(*l) + n * sizeof(*wanted));

	l->n = n;
	if (n)
		memcpy(l->groups, wanted, n * sizeof(*wanted));
	free(atomic_exchange(&g->pending, l));
	(void)eventfd_write(g->wake_fd, 1);
}

size_t groups_n_failed(const struct groups *g, int *ret_error)
{
	*ret_error = g->error;
	return g->n_failed;
}

void groups_stop(struct groups *g)
{
	if (!g)
		return;
	g->stopping = true;
	(void)eventfd_write(g->wake_fd, 1);
	pthread_join(g->thread, NULL);
	groups_free(g);
}
