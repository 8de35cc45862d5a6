/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications say only that something changed.  Following each of them would need a copy of the
 * kernel's state that a lost one puts out of step, so everything is read anew, compared with what
 * was read last, and handed over if it differs.  As settings under /proc have no notifications,
 * that is done every ten seconds in any case.
 *
 * The thread that reads owns `last`. `fresh` is the only thing that two threads touch: the reader
 * puts a copy there, and the urgent thread takes it if the lock is free at that moment, otherwise
 * at its next turn; it waits for nobody.
 */
#include "config.h"

#include "l2/ifaces.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/thread.h"

#define WATCH_STACK_SIZE (256 * 1024)
/*
 * When to read again after a failure; and otherwise, as notifications may be missed and settings
 * have none.
 */
#define RETRY_MS 1000
#define RECHECK_MS 10000

struct ifaces_watch {
	regex_t pattern;
	bool has_pattern;
	void (*notify)(void *arg);
	void *arg;
	struct nl_sock *events;
	int stop_fd;
	pthread_t thread;
	pthread_mutex_t lock; /* of fresh and has_fresh */
	struct ifaces fresh;
	bool has_fresh;
	struct ifaces last; /* the thread's */
};

static int events_open(struct nl_sock **ret_sock)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (!sock)
		return -NLE_NOMEM;
	nl_socket_disable_seq_check(sock);
	int r = nl_connect(sock, NETLINK_ROUTE);
	if (r >= 0)
		r = nl_socket_add_memberships(sock, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
		                              RTNLGRP_IPV6_IFADDR, 0);
	if (r >= 0)
		r = nl_socket_set_nonblocking(sock);
	if (r < 0) {
		nl_socket_free(sock);
		return r;
	}
	*ret_sock = sock;
	return 0;
}

/* The contents of the notifications do not matter, only that there were some. */
static void drain(struct ifaces_watch *w)
{
	char bytes[4096];

	while (recv(nl_socket_get_fd(w->events), bytes, sizeof(bytes), MSG_DONTWAIT) >= 0 ||
	       errno == ENOBUFS || errno == EINTR)
		;
}

static void hand_over(struct ifaces_watch *w, const struct ifaces *now)
{
	struct ifaces copy = { .n = now->n };

	copy.list = xmemdup(now->list, now->n * sizeof(*now->list));
	copy.locals = xmemdup(now->locals, now->n_locals * sizeof(*now->locals));
	copy.n_locals = now->n_locals;
	copy.n_left_out = now->n_left_out;
	pthread_mutex_lock(&w->lock);
	struct ifaces old = w->fresh;
	w->fresh = copy;
	w->has_fresh = true;
	pthread_mutex_unlock(&w->lock);
	ifaces_fini(&old);
	w->notify(w->arg);
}

static int review(struct ifaces_watch *w)
{
	struct ifaces now;
	struct err e = ERR_INIT;
	int r = ifaces_read(w->has_pattern ? &w->pattern : NULL, &now, &e);

	if (r < 0) {
		log_err("interfaces", &e);
		return r;
	}
	if (ifaces_eq(&now, &w->last)) {
		ifaces_fini(&now);
		return 0;
	}
	ifaces_fini(&w->last);
	w->last = now;
	hand_over(w, &now);
	return 0;
}

static void *watch_run(void *arg)
{
	struct ifaces_watch *w = arg;
	struct pollfd fds[] = {
		{ .fd = w->stop_fd, .events = POLLIN },
		{ .fd = nl_socket_get_fd(w->events), .events = POLLIN },
	};
	int timeout = RECHECK_MS;

	for (;;) {
		if (poll(fds, ARRAY_LEN(fds), timeout) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents)
			return NULL;
		drain(w);
		timeout = review(w) < 0 ? RETRY_MS : RECHECK_MS;
	}
}

bool ifaces_watch_take(struct ifaces_watch *w, struct ifaces *ret_ifaces)
{
	/*
	 * The lock is held for a few instructions only, but a thread that must not wait does not
	 * have to.
	 */
	if (pthread_mutex_trylock(&w->lock) != 0)
		return false;
	bool has = w->has_fresh;
	if (has) {
		*ret_ifaces = w->fresh;
		w->fresh = (struct ifaces){ 0 };
		w->has_fresh = false;
	}
	pthread_mutex_unlock(&w->lock);
	return has;
}

static void watch_free(struct ifaces_watch *w)
{
	if (w->has_pattern)
		regfree(&w->pattern);
	nl_socket_free(w->events);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	ifaces_fini(&w->fresh);
	ifaces_fini(&w->last);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static int watch_prepare(struct ifaces_watch *w, const char *pattern, struct err *e)
{
	int r = pattern ? regcomp(&w->pattern, pattern, REG_EXTENDED) : 0;

	if (r) {
		char why[128];
		regerror(r, &w->pattern, why, sizeof(why));
		return err_set(e, -EINVAL, ERR_CONFIG, "interface pattern \"%s\": %s", pattern,
		               why);
	}
	w->has_pattern = pattern;
	r = events_open(&w->events);
	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "netlink: %s", nl_geterror(r));
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (w->stop_fd < 0)
		return err_set(e, -errno, ERR_SYSTEM, "eventfd: %s", strerror(errno));
	r = ifaces_read(w->has_pattern ? &w->pattern : NULL, &w->last, e);
	if (r < 0)
		return r;
	hand_over(w, &w->last);
	return 0;
}

int ifaces_watch_start(const char *pattern, void (*notify)(void *arg), void *arg,
                       struct ifaces_watch **ret_watch, struct err *e)
{
	struct ifaces_watch *w = xcalloc(1, sizeof(*w));

	w->notify = notify;
	w->arg = arg;
	w->stop_fd = -1;
	pthread_mutex_init(&w->lock, NULL);
	int r = watch_prepare(w, pattern, e);
	if (r == 0) {
		r = thread_start(&w->thread, WATCH_STACK_SIZE, watch_run, w);
		if (r < 0)
			err_set(e, r, ERR_SYSTEM, "thread: %s", strerror(-r));
	}
	if (r < 0) {
		watch_free(w);
		return r;
	}
	*ret_watch = w;
	return 0;
}

void ifaces_watch_stop(struct ifaces_watch *w)
{
	if (!w)
		return;
	if (eventfd_write(w->stop_fd, 1) == 0)
		pthread_join(w->thread, NULL);
	watch_free(w);
}
