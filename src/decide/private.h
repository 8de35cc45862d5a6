/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DECIDE_PRIVATE_H
#define FAIRLEAD_DECIDE_PRIVATE_H

/* What the files of this room share. */

#include "fairlead/decide.h"

/* Sets has_endpoint and has_ready. */
void decide_count_endpoints(struct decision *d);

#endif
