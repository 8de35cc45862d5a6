/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_STATUS_H
#define FAIRLEAD_CLI_STATUS_H

/* `fairlead status` as part of something larger: asked once, printed twice. */

#include "cli/commands.h"
#include "cli/picture.h"

struct buf;

int status_both(const struct command_options *o, struct gather *g, const struct picture_tee *tee,
                struct buf *text, struct buf *json, struct err *e);

#endif
