/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/removal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/mem.h"

struct removal {
	struct event *ended;
	removal_done_fn *done;
	void *arg;
};

/* Owned by the thread: it may outlive the caller. */
struct job {
	removal_fn *fn;
	const void *what;
	int fd; /* where the answer goes */
};

struct answer {
	int r;
	struct err e;
};

static void *work(void *arg)
{
	struct job *job = arg;
	struct answer a = { .e = ERR_INIT };

	a.r = job->fn(job->what, &a.e);
	/* If nobody waits for it any more, nobody needs it. */
	(void)!send(job->fd, &a, sizeof(a), MSG_NOSIGNAL);
	close(job->fd);
	free(job);
	return NULL;
}

static int start_thread(removal_fn *fn, const void *what, int fd)
{
	struct job *job = xcalloc(1, sizeof(*job));
	pthread_t thread;

	*job = (struct job){ fn, what, fd };
	int r = pthread_create(&thread, NULL, work, job);
	if (r != 0)
		free(job);
	else
		pthread_detach(thread);
	return -r;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct removal *r = arg;
	struct answer a = { .r = -EIO, .e = ERR_INIT };
	removal_done_fn *done = r->done;
	void *done_arg = r->arg;

	(void)what;
	(void)!recv(fd, &a, sizeof(a), 0);
	removal_free(r);
	done(a.r, &a.e, done_arg);
}

int removal_start(struct event_base *base, removal_fn *fn, const void *what, removal_done_fn *done,
                  void *arg, struct removal **ret_removal, struct err *e)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_set(e, -errno, ERR_SYSTEM, "socketpair: %s", strerror(errno));
	struct removal *r = xcalloc(1, sizeof(*r));
	r->done = done;
	r->arg = arg;
	r->ended = event_new(base, fds[0], EV_READ, on_ended, r);
	event_add(r->ended, NULL);
	*ret_removal = r;
	if (start_thread(fn, what, fds[1]) < 0)
		close(fds[1]); /* which is an answer, too */
	return 0;
}

void removal_free(struct removal *r)
{
	if (!r)
		return;
	int fd = event_get_fd(r->ended);
	event_free(r->ended);
	close(fd);
	free(r);
}
