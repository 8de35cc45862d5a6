/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node whose urgent thread waits for a processor looks dead to its peers.  With real-time
 * priority it waits for no ordinary thread, and with its memory locked for no page that the kernel
 * has dropped.  Neither is there for the asking: CAP_SYS_NICE and CAP_IPC_LOCK are not among what
 * the speaker otherwise needs, so it goes on without them.
 *
 * The lowest real-time priority is enough, as it comes before whatever is ordinary.  What the
 * thread starts, if it ever did, would be ordinary again.
 *
 * What the thread works on comes from the segment, and the kernel's own bound on real-time threads
 * (sched_rt_runtime_us) would leave next to nothing to others.  So beyond a budget (brake.h) it
 * lays its priority down.  It cannot take it back itself as long as it does not get to run, and a
 * heartbeat may be due: a second thread of the same priority waits for a timer, and gives it back.
 * The two may meet, as the timer expires while it is set anew; at worst the thread then has its
 * priority too early and lays it down again, or waits until the timer has expired once more.
 *
 * Pages are locked as they are touched: all that is mapped would be far more than what is used.
 * Without CAP_IPC_LOCK that is not tried: RLIMIT_MEMLOCK would hold for what is allocated later,
 * too, and end the process once it is met.
 */
#include "config.h"

#include "l2/urgent.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/thread.h"

#define PRIORITY 1
#define GIVER_STACK_SIZE (64 * 1024)

static bool has_capability(unsigned int capability)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, sets) < 0)
		return false;
	return sets[capability / 32].effective & 1u << capability % 32;
}

/* Negative errno. */
static int take_priority(pthread_t thread)
{
	const struct sched_param param = { .sched_priority = PRIORITY };

	return -pthread_setschedparam(thread, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

static int lock_memory(void)
{
	if (!has_capability(CAP_IPC_LOCK))
		return -EPERM;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
}

/* ---- laid down and given back ---- */

static void *give_back(void *arg)
{
	struct urgency *u = arg;
	uint64_t count;

	while (!u->stopping) {
		if (read(u->timer_fd, &count, sizeof(count)) != sizeof(count))
			continue;
		u->relaxed = false;
		(void)take_priority(u->thread);
	}
	return NULL;
}

static void set_timer(const struct urgency *u, int64_t in_ms)
{
	const struct itimerspec when = { .it_value = { .tv_sec = in_ms / 1000,
		                                       .tv_nsec = in_ms % 1000 * 1000000 } };

	timerfd_settime(u->timer_fd, 0, &when, NULL);
}

/* Without it the thread keeps its priority. */
static void start_giver(struct urgency *u)
{
	u->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (u->timer_fd < 0)
		return;
	if (thread_start(&u->giver, GIVER_STACK_SIZE, give_back, u) < 0)
		return;
	(void)take_priority(u->giver);
	u->has_giver = true;
}

void urgent_begin(struct urgency *u, pthread_t thread)
{
	u->thread = thread;
	u->timer_fd = -1;
	u->priority = take_priority(thread);
	u->memory = lock_memory();
	if (u->priority == 0)
		start_giver(u);
}

void urgent_end(struct urgency *u)
{
	u->stopping = true;
	if (u->has_giver) {
		set_timer(u, 1);
		pthread_join(u->giver, NULL);
	}
	if (u->timer_fd > 0)
		close(u->timer_fd);
	*u = (struct urgency){ 0 };
}

void urgent_relax(struct urgency *u, int64_t until_ms)
{
	const struct sched_param ordinary = { 0 };
	int64_t in_ms = until_ms - clock_ms();

	if (!u->has_giver || u->relaxed)
		return;
	u->relaxed = true;
	set_timer(u, in_ms > 1 ? in_ms : 1);
	pthread_setschedparam(u->thread, SCHED_OTHER | SCHED_RESET_ON_FORK, &ordinary);
}

int64_t urgent_cpu_us(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
		return 0;
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
