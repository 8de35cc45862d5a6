/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_SINCE_H
#define FAIRLEAD_CLI_SINCE_H

#include <stdint.h>

#include "fairlead/err.h"

/* What --since takes: "90s", "30m", "2h", "3d". */
int since_parse(const char *s, int64_t *ret_s, struct err *e);

#endif
