/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_INTERRUPT_H
#define FAIRLEAD_CLI_INTERRUPT_H

/*
 * For commands that leave something in the cluster for as long as they run: a signal asks them to
 * take it away and end.  One more ends them at once; but a terminal that is closed may send SIGHUP
 * several times, and who is to outlive it (nohup) is not ended by it.
 */

#include <signal.h>

/* The signal; 0: none came. */
extern volatile sig_atomic_t interrupted;

void interrupt_catch(void);

#endif
