/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_TABLES_H
#define FAIRLEAD_PROXY_NFTABLES_TABLES_H

/* Our tables, of whatever run, without a keeper that runs: as struct place has it. */

#include <stdbool.h>

#include "fairlead/err.h"

bool tables_has_ours(const void *what);
int tables_clean(const void *what, struct err *e);

#endif
