/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DAEMON_H
#define FAIRLEAD_DAEMON_H

/*
 * What every daemon does first: it holds its standard streams (streams.h), ignores SIGPIPE, raises
 * its bound on descriptors as far as it may, and takes what libevent has to say into its own log, a
 * few lines a minute.
 */

/* To be called before any thread and any libevent object is made. */
void daemon_begin(void);

#endif
