/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_SINCE_H
#define FAIRLEAD_CLI_SINCE_H

#include <stdint.h>

#include "fairlead/err.h"

/*
 * What --since takes: "90s", "30m", "2h", "3d", "1w" before @now_us, or a date, "2026-11-20", or a
 * time as RFC 3339 has it.  Both are of the wall clock; a date is UTC's.
 */
int since_parse(const char *s, int64_t now_us, int64_t *ret_us, struct err *e);

#endif
