/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_SHOW_H
#define FAIRLEAD_PROXY_NFTABLES_SHOW_H

/* What a node without any table would be given for these Services, for people: pure text. */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/packet.h"
#include "proxy/nftables/frame.h"
#include "proxy/traffic.h"

/*
 * Elements, each as nft reads it, after a comment with the Service's key; the rules, which are the
 * same for all Services, are not among them.  @halves are of the frame's family, in any order; the
 * text is the same for any.
 */
void show_elements(const struct frame *f, bool masquerade_all,
                   const struct proxy_half *const *halves, size_t n, struct buf *ret_text);

/*
 * Those that a packet of the answer's origin to a destination of the Service meets, in that order,
 * to its caught_by; and its scheduler, where IPVS picks.
 */
void show_caught(const struct frame *f, bool masquerade_all, const struct proxy_half *s,
                 const struct traffic_destination *d, struct packet_answer *answer);
void show_guarded(const struct frame *f, const struct addr *a, struct buf *ret_lines);

#endif
