/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_LOCALNET_H
#define FAIRLEAD_PROXY_LOCALNET_H

/*
 * The sysctl that node ports at 127.0.0.1 take: net.ipv4.conf.all.route_localnet.  Without it the
 * kernel lets nothing from 127.0.0.0/8 out, nor an answer to there in.  With it anybody on the link
 * could send to 127.0.0.1, so the rules that refuse that come before it and go after it.
 *
 * It is one of those that are ours or others' (owned.h).
 */

#include <stdbool.h>

#include "fairlead/err.h"

/* Sets it unless it is set already, by whomever.  A negative errno, as of a read-only /proc/sys. */
int localnet_open(struct err *e);
/* Whether it has our value.  Then others have to be kept from 127.0.0.0/8 in any case. */
bool localnet_is_ours(void);
/* Takes it back if it has our value. */
int localnet_close(struct err *e);

#endif
