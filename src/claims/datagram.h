/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLAIMS_DATAGRAM_H
#define FAIRLEAD_CLAIMS_DATAGRAM_H

/*
 * An Ethernet frame with a UDP datagram to the speakers' group, by IPv4 or IPv6.  Nothing in these
 * headers is signed.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/cursor.h"
#include "fairlead/wire.h"

/* Of the IP header, which is the larger one, and the UDP header. */
#define DATAGRAM_IP_MAX 40
#define DATAGRAM_UDP_SIZE 8
/* Of all headers of a frame. */
#define DATAGRAM_HEADERS_MAX (14 + DATAGRAM_IP_MAX + DATAGRAM_UDP_SIZE)

struct datagram {
	struct addr source; /* its family is the datagram's */
	uint16_t source_port, port;
};

/* Writes the frame with @size bytes of payload; the writer is bad if that does not fit. */
void datagram_write(struct writer *w, const struct datagram *d, const uint8_t *mac,
                    const uint8_t *payload, size_t size);
/*
 * Reads one.  -ENOMSG: another protocol or group than the speakers'; -EBADMSG: damaged or routed.
 */
int datagram_read(const void *frame, size_t size, struct datagram *ret_datagram,
                  struct cursor *ret_payload);

#endif
