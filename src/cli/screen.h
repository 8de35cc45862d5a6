/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_SCREEN_H
#define FAIRLEAD_CLI_SCREEN_H

/* A text drawn over what stands on a terminal, so that only what differs is seen to change. */

#include <stddef.h>

#include "fairlead/buf.h"

/*
 * As many lines as a screen of so many rows and columns has room for; the last one says how many
 * are left out.  Without rows: all of them; without columns no line is too long for one row.
 */
void screen_draw(const char *text, size_t rows, size_t columns, struct buf *out);

#endif
