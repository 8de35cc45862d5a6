/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DAEMON_H
#define FAIRLEAD_DAEMON_H

/*
 * What every daemon does first: it holds its standard streams (streams.h), ignores SIGPIPE, raises
 * its limit on file descriptors as far as it may, and sends libevent's messages to its own log, a
 * few lines a minute.
 */

/* Call it before any thread or libevent object is created. */
void daemon_begin(void);

#endif
