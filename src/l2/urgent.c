/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node whose urgent thread waits for a processor looks dead to its peers.  With real-time
 * priority it waits for no ordinary thread, and with its memory locked for no page that the kernel
 * has dropped.  Neither is there for the asking: CAP_SYS_NICE and CAP_IPC_LOCK are not among what
 * the speaker otherwise needs, so it goes on without them.
 *
 * The lowest real-time priority is enough, as it comes before whatever is ordinary.  The kernel's
 * own bound on real-time threads (sched_rt_runtime_us) would hold up a thread that ran wild, and
 * what the thread starts, if it ever did, would be ordinary again.
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
#include <unistd.h>

#define PRIORITY 1

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

struct urgency urgent_begin(pthread_t thread)
{
	return (struct urgency){ .priority = take_priority(thread), .memory = lock_memory() };
}
