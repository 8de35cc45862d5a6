/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_NATIVE_H
#define FAIRLEAD_PROXY_IPTABLES_NATIVE_H

/*
 * Tables that iptables-nft shares with somebody who writes nftables rules into them (`nft add rule
 * ip nat POSTROUTING … masquerade`). iptables writes to such a table but does not show it:
 * iptables-save prints only a remark, as if nothing of ours was there.  So we ask the kernel
 * itself.
 *
 * What comes of it is text as iptables-save would print it, as far as struct save looks at it: our
 * chains with their comments, jumps to them, and what forwarded packets meet.  How a chain of ours
 * is printed is not known, so rules that somebody has replaced by as many are found by the kernel's
 * notifications alone; and no flows of an earlier life are known (save_front).
 */

#include <stdint.h>

#include "fairlead/err.h"
#include "proxy/iptables/save.h"

/* It has failed if the kernel does not answer for this long. */
#define NATIVE_TIMEOUT_MS 5000

/* Reads those tables that @s could not be told of; 0 if there are none.  Blocks. */
int native_complete(uint8_t family, struct save *s, struct err *e);

#endif
