/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_LIBERAL_H
#define FAIRLEAD_PROXY_LIBERAL_H

#include <stdbool.h>

/*
 * Whether the sysctl nf_conntrack_tcp_be_liberal is on: the kernel itself lets odd packets of known
 * flows pass translated then, and dropping them would undo that.
 */
bool liberal_is_on(void);
/*
 * Whether nf_conntrack_tcp_loose is on, as it is by default: a packet from the middle of a
 * connection that the kernel does not know counts as the first of a new one, and not as invalid.
 */
bool liberal_is_loose(void);

#endif
