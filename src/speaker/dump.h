/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_DUMP_H
#define FAIRLEAD_SPEAKER_DUMP_H

/*
 * /dump/rules and /dump/bgp: what iptables and bgpd of this node say, for `fairlead sysdump`.
 *
 * They tell more than /status: everybody's rules, and bgpd's configuration without its passwords.
 * So they are for this host, for a token, and for the API server, which passes on what those ask
 * who may use the Pods' proxy subresource.
 */

#include "fairlead/metrics.h"

extern const struct metrics_dump speaker_dumps[];
bool speaker_may_dump(const struct addr *from, void *arg);

#endif
