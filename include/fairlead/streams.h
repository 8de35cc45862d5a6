/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_STREAMS_H
#define FAIRLEAD_STREAMS_H

/*
 * Standard input, output and error belong to nobody else: a program that is started without them
 * would give their numbers to the next files that it opens, and log into a connection to the API
 * server.
 */

/*
 * Opens /dev/null for each of them that is closed.  To be called first; ends the program if that is
 * not possible.
 */
void streams_hold(void);

#endif
