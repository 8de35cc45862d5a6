/* SPDX-License-Identifier: Apache-2.0 */
/* Of several service proxies one is at work, and the others wait for it. */
#include "config.h"

#include "unit.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/sole.h"

static struct event_base *base;
static char name[64];

struct one {
	struct sole *sole;
	int n_waits, n_alone;
	pid_t other;
};

static void on_waits(pid_t other, void *arg)
{
	struct one *o = arg;

	o->n_waits++;
	o->other = other;
}

static void on_alone(void *arg)
{
	struct one *o = arg;

	o->n_alone++;
}

static const struct sole_ops ops = { .waits = on_waits, .alone = on_alone };

static void come(struct one *o)
{
	*o = (struct one){ .n_waits = 0 };
	o->sole = sole_new(base, name, &ops, o);
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void the_first_one_waits_for_nobody(void **state)
{
	struct one a;

	(void)state;
	come(&a);
	assert_true(sole_is(a.sole));
	turn();
	assert_int_equal(a.n_waits + a.n_alone, 0);
	assert_int_equal(sole_other(a.sole), 0);
	sole_free(a.sole);
}

static void the_others_wait_for_its_end(void **state)
{
	struct one a, b, c;

	(void)state;
	come(&a);
	come(&b);
	come(&c);
	for (int i = 0; i < 3; i++)
		turn();
	assert_false(sole_is(b.sole) || sole_is(c.sole));
	assert_int_equal(b.n_waits + c.n_waits, 2);
	assert_int_equal(b.other, getpid());
	assert_int_equal(sole_other(c.sole), getpid());
	assert_int_equal(b.n_alone + c.n_alone, 0);
	sole_free(a.sole);
	for (int i = 0; i < 3; i++)
		turn();
	assert_int_equal(sole_is(b.sole) + sole_is(c.sole), 1);
	assert_int_equal(b.n_alone + c.n_alone, 1);
	/* The same process is not told of again. */
	assert_int_equal(b.n_waits + c.n_waits, 2);
	sole_free(sole_is(b.sole) ? TAKE(b.sole) : TAKE(c.sole));
	for (int i = 0; i < 3; i++)
		turn();
	assert_int_equal(b.n_alone + c.n_alone, 2);
	sole_free(b.sole);
	sole_free(c.sole);
}

/* Its end by force is an end like any other. */
static void a_process_that_is_killed_holds_nothing(void **state)
{
	int ready[2];
	char byte;
	struct one a;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		come(&a);
		(void)!write(ready[1], "", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	come(&a);
	assert_false(sole_is(a.sole));
	assert_int_equal(a.other, pid);
	kill(pid, SIGKILL);
	event_base_loop(base, EVLOOP_ONCE);
	assert_true(sole_is(a.sole));
	assert_int_equal(a.n_alone, 1);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	sole_free(a.sole);
}

/* Whoever has no rights may bind a name as well. */
static void somebody_without_rights_holds_up_nobody(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int ready[2];
	char byte;
	struct one a;

	(void)state;
	memcpy(sun.sun_path + 1, name, strlen(name));
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		socklen_t size =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
		bool stranger = setuid(65534) == 0;
		stranger = stranger && bind(fd, (struct sockaddr *)&sun, size) == 0 &&
		           listen(fd, 1) == 0;
		(void)!write(ready[1], stranger ? "y" : "n", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	come(&a);
	assert_int_equal(byte, 'y');
	assert_true(sole_is(a.sole));
	assert_int_equal(a.n_waits, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	sole_free(a.sole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_one_waits_for_nobody),
		cmocka_unit_test(the_others_wait_for_its_end),
		cmocka_unit_test(a_process_that_is_killed_holds_nothing),
		cmocka_unit_test(somebody_without_rights_holds_up_nobody),
	};
	/* Only root can make a process without rights. */
	size_t n = ARRAY_LEN(tests) - (geteuid() != 0);

	log_set_level(LOG_ERROR);
	snprintf(name, sizeof(name), "fairlead-test-%d", getpid());
	base = event_base_new();
	int r = _cmocka_run_group_tests("sole", tests, n, NULL, NULL);
	event_base_free(base);
	return r;
}
