/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three pipes and a process group.  Input is written as the program takes it, output handed on as
 * it comes, and errors kept up to a bound.  The end of the output says that the program is about to
 * be gone; it is then waited for by a short timer, not by SIGCHLD, which belongs to whoever owns
 * the process.
 *
 * What is killed is the whole group, for iptables may be a script that runs another program.  A
 * program that was abandoned ends by itself when it finds its input closed; iptables-restore
 * commits only at the end of its input, so half an input changes nothing.
 */
#include "config.h"

#include "proxy/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define CHILD_READ_SIZE 16384
/* The time between two checks whether a process has ended, which starts at a millisecond. */
#define CHILD_LOOK_MAX_MS 100
#define END_LOOK_MS 10

extern char **environ;

struct child {
	pid_t pid;
	int64_t started_ms;
	const struct buf *input;
	size_t sent;
	struct event *in, *out, *err, *deadline;
	struct event *gone; /* looks whether it is, once its output has ended or it was killed */
	int look_ms;
	struct buf errors;
	const struct child_ops *ops;
	void *arg;
};

static void event_drop(struct event **ev)
{
	if (!*ev)
		return;
	int fd = event_get_fd(*ev);
	event_free(*ev);
	*ev = NULL;
	if (fd >= 0)
		close(fd);
}

void child_abandon(struct child *c)
{
	if (!c)
		return;
	event_drop(&c->in);
	event_drop(&c->out);
	event_drop(&c->err);
	event_drop(&c->deadline);
	event_drop(&c->gone);
	buf_fini(&c->errors);
	free(c);
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int64_t child_started_ms(const struct child *c)
{
	return c->started_ms;
}

/*
 * Whether it has ended; *ret_status is then what waitpid() says, or nothing if somebody else has
 * reaped it.
 */
static bool is_gone(const struct child *c, int *ret_status)
{
	pid_t pid = waitpid(c->pid, ret_status, WNOHANG);

	return pid != 0 && !(pid < 0 && errno == EINTR);
}

/* Together with what it has started, as it may be a script in place of the program. */
static void end_by_force(const struct child *c)
{
	kill(-c->pid, SIGKILL);
}

void child_end(struct child *c)
{
	int status = 0;

	if (!c)
		return;
	event_drop(&c->in);
	event_drop(&c->out);
	event_drop(&c->err);
	for (int ms = 0; !is_gone(c, &status); ms += END_LOOK_MS) {
		if (ms == CHILD_END_MS)
			end_by_force(c);
		usleep(END_LOOK_MS * 1000);
	}
	child_abandon(c);
}

static void after(struct event *timer, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(timer, &tv);
}

/*
 * A process whose output has ended, or that was killed, is gone or about to be.  That may take
 * time: it may have closed its output and live on, until its deadline, and one that is busy in the
 * kernel is not killed at once.
 */
static void finish(struct child *c)
{
	struct child_result r = { .exited = false };
	int status = SIGKILL;

	if (!is_gone(c, &status)) {
		after(c->gone, c->look_ms);
		c->look_ms =
			c->look_ms * 2 < CHILD_LOOK_MAX_MS ? c->look_ms * 2 : CHILD_LOOK_MAX_MS;
		return;
	}
	if (WIFEXITED(status)) {
		r.exited = true;
		r.code = WEXITSTATUS(status);
	}
	r.errors = buf_str(&c->errors);
	c->ops->done(&r, c->arg);
	child_abandon(c);
}

static void on_gone(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	end_by_force(c);
	event_drop(&c->in);
	event_drop(&c->out);
	event_drop(&c->err);
	c->look_ms = 1;
	finish(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)what;
	size_t left = c->input ? c->input->size - c->sent : 0;
	if (left > 0) {
		ssize_t n = send(fd, c->input->data + c->sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0)
			c->sent += (size_t)n;
		if (n > 0 && c->sent < c->input->size)
			return;
	}
	event_drop(&c->in); /* all written, or nobody reads any more */
}

/* Reads once; at the end of file, closes the pipe and checks whether that was the last. */
static ssize_t read_once(struct child *c, struct event **ev, char *data, size_t size)
{
	ssize_t n = read(event_get_fd(*ev), data, size);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return n;
	event_drop(ev);
	if (!c->out && !c->err)
		finish(c);
	return 0;
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	char data[CHILD_READ_SIZE];

	(void)fd;
	(void)what;
	void (*output)(const char *, size_t, void *) = c->ops->output;
	void *output_arg = c->arg;
	ssize_t n = read_once(c, &c->out, data, sizeof(data));
	if (n > 0 && output)
		output(data, (size_t)n, output_arg);
}

static void on_errors(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	char data[1024];

	(void)fd;
	(void)what;
	ssize_t n = read_once(c, &c->err, data, sizeof(data));
	if (n > 0 && c->errors.size < CHILD_MAX_ERRORS)
		buf_add(&c->errors, data, (size_t)n);
}

static int spawn(const char *const argv[], const int fds[3], pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	/* Libraries open files that exec would keep, libpcap's sockets for one. */
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                        POSIX_SPAWN_SETPGROUP);
	int r = posix_spawnp(ret_pid, argv[0], &actions, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static void close_pair(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static struct event *watch(struct event_base *base, int fd, short what, event_callback_fn fn,
                           struct child *c)
{
	evutil_make_socket_nonblocking(fd);
	struct event *ev = event_new(base, fd, (short)(what | EV_PERSIST), fn, c);
	event_add(ev, NULL);
	return ev;
}

int child_start(struct event_base *base, const char *const argv[], const struct buf *input,
                int timeout_ms, const struct child_ops *ops, void *arg, struct child **ret_child,
                struct err *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	pid_t pid = 0;
	int r = 0;

	/* A socket rather than a pipe, because one can send on it without SIGPIPE. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0 ||
	    pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0)
		r = spawn(argv, (int[]){ in[1], out[1], err[1] }, &pid);
	if (r < 0) {
		close_pair(in);
		close_pair(out);
		close_pair(err);
		return err_set(e, r, ERR_SYSTEM, "%s: %s", argv[0], strerror(-r));
	}
	close(in[1]);
	close(out[1]);
	close(err[1]);

	struct child *c = xcalloc(1, sizeof(*c));
	c->pid = pid;
	c->started_ms = clock_ms();
	c->input = input;
	c->ops = ops;
	c->arg = arg;
	c->in = watch(base, in[0], EV_WRITE, on_writable, c);
	c->out = watch(base, out[0], EV_READ, on_output, c);
	c->err = watch(base, err[0], EV_READ, on_errors, c);
	c->deadline = evtimer_new(base, on_deadline, c);
	c->gone = evtimer_new(base, on_gone, c);
	c->look_ms = 1;
	after(c->deadline, timeout_ms);
	*ret_child = c;
	return 0;
}

struct run {
	void (*output)(const char *data, size_t size, void *arg);
	void *arg;
	bool exited;
	int code;
	struct buf *errors;
};

static void run_output(const char *data, size_t size, void *arg)
{
	struct run *r = arg;

	if (r->output)
		r->output(data, size, r->arg);
}

static void run_done(const struct child_result *result, void *arg)
{
	struct run *r = arg;

	r->exited = result->exited;
	r->code = result->code;
	if (r->errors)
		buf_puts(r->errors, result->errors);
}

int child_run(const char *const argv[], const struct buf *input, int timeout_ms,
              void (*output)(const char *data, size_t size, void *arg), void *arg, int *ret_code,
              struct buf *errors, struct err *e)
{
	static const struct child_ops ops = { .output = run_output, .done = run_done };
	struct run run = { .output = output, .arg = arg, .errors = errors };
	struct child *c;
	struct event_base *base = event_base_new();

	if (!base)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "no event base for %s", argv[0]);
	int r = child_start(base, argv, input, timeout_ms, &ops, &run, &c, e);
	if (r == 0) {
		event_base_dispatch(base);
		if (run.exited)
			*ret_code = run.code;
		else
			r = err_set(e, -ETIMEDOUT, ERR_SYSTEM, "%s was killed or took too long",
			            argv[0]);
	}
	event_base_free(base);
	return r;
}
