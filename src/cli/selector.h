/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_SELECTOR_H
#define FAIRLEAD_CLI_SELECTOR_H

/*
 * Label selectors as kubectl's -l takes them: "app=web,tier!=test,region,!old,zone in (a,b),env
 * notin (x)".
 */

#include "fairlead/err.h"
#include "fairlead/labels.h"

/* -EINVAL: @e quotes the part that is not a selector. */
int selector_parse(const char *text, struct label_selector *ret, struct err *e);

#endif
