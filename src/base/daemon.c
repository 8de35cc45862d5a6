/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/daemon.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/streams.h"

/* More is of no use to us, and programs that we run may walk through all of them. */
#define DESCRIPTORS_MAX 65536

/*
 * libevent writes to standard error whatever it meets, as often as it meets it: an accept() that
 * fails, each time the loop goes round.
 */
static void on_libevent(int severity, const char *msg)
{
	static const enum log_level levels[] = { [EVENT_LOG_DEBUG] = LOG_DEBUG,
		                                 [EVENT_LOG_MSG] = LOG_INFO,
		                                 [EVENT_LOG_WARN] = LOG_WARN,
		                                 [EVENT_LOG_ERR] = LOG_ERROR };
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct log_rate rate;
	enum log_level level = severity >= EVENT_LOG_DEBUG && severity <= EVENT_LOG_ERR
	                               ? levels[severity]
	                               : LOG_WARN;

	unsigned long long left_out = 0;

	if (!log_enabled(level))
		return;
	pthread_mutex_lock(&lock);
	bool say = log_rate_take(&rate, clock_ms(), &left_out);
	pthread_mutex_unlock(&lock);
	if (say)
		LOG_AT(level, "libevent", KV_S("message", msg), KV_I("left_out", left_out));
}

static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= DESCRIPTORS_MAX)
		return;
	r.rlim_cur = r.rlim_max < DESCRIPTORS_MAX ? r.rlim_max : DESCRIPTORS_MAX;
	setrlimit(RLIMIT_NOFILE, &r);
}

void daemon_begin(void)
{
	streams_hold();
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	event_set_log_callback(on_libevent);
}
