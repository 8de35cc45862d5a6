/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_ASK_H
#define FAIRLEAD_CLI_ASK_H

/* Asking who sits at the terminal whether to go on. */

#include <stdbool.h>

/* Is there anybody to ask, and to read the question? */
bool ask_has_terminal(void);
/* Puts the question behind what stands on standard error; anything but y or yes is no. */
bool ask_goes_on(void);
/*
 * What runs by itself has nobody to ask: without @yes and a terminal nothing is done, which is
 * said.
 */
bool ask_is_wanted(bool yes);

#endif
