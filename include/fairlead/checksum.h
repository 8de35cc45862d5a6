/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CHECKSUM_H
#define FAIRLEAD_CHECKSUM_H

/*
 * The Internet checksum (RFC 1071) of headers and of what UDP and ICMPv6 carry.  Over data that
 * holds its right checksum it is 0.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"

/* Over @size bytes, in host byte order; @sum: what goes before them, 0 or a pseudo-header's. */
uint16_t checksum(const void *data, size_t size, uint32_t sum);
/*
 * The pseudo-header of a packet that carries @size bytes of @protocol, less than 64 KiB (RFC 768,
 * RFC 8200 8.1).
 */
uint32_t checksum_pseudo(const struct addr *source, const struct addr *destination,
                         uint8_t protocol, size_t size);

#endif
