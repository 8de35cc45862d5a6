/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_SCREEN_H
#define FAIRLEAD_CLI_SCREEN_H

/* A text drawn over what stands on a terminal, so that only what differs is seen to change. */

#include <stddef.h>

#include "fairlead/buf.h"

/*
 * As many lines as the screen has, of @rows; the last one says how many are left out.  0: all of
 * them.
 */
void screen_draw(const char *text, size_t rows, struct buf *out);

#endif
