/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_DUMP_H
#define FAIRLEAD_SPEAKER_DUMP_H

/*
 * /dump/rules and /dump/bgp: the output of iptables and bgpd on this node; /dump/diff: whether the
 * kernel has the rules that are wanted.  `fairlead sysdump` has all, `fairlead proxy diff` the
 * last.
 *
 * They contain more than /status: everybody's rules, and bgpd's configuration without its
 * passwords.  So they are served to this host, to clients with the token, and to the API server,
 * which forwards the requests of those that may use the Pods' proxy subresource.
 */

#include "fairlead/metrics.h"

extern const struct metrics_dump speaker_dumps[];
bool speaker_may_dump(const struct addr *from, void *arg);

#endif
