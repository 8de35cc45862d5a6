/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret_thread, size_t stack_size, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack_size);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(ret_thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return r;
}
