/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_STREAMS_H
#define FAIRLEAD_STREAMS_H

/*
 * Keeps the numbers of standard input, output and error reserved: a program that is started without
 * them would give these numbers to the next files that it opens, and might log into a connection to
 * the API server.
 */

/*
 * Opens /dev/null for each of them that is closed.  Call it first; it ends the program if that is
 * not possible.
 */
void streams_hold(void);

#endif
