/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_THREAD_H
#define FAIRLEAD_THREAD_H

#include <pthread.h>
#include <stddef.h>

/*
 * A thread that takes no signals, which are the main loop's.  @stack_size in bytes: as threads are
 * few and small, the kernel's usual megabytes would only be counted as ours.  -errno.
 */
int thread_start(pthread_t *ret_thread, size_t stack_size, void *(*run)(void *arg), void *arg);

#endif
