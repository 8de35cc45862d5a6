/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* ARP frames: what is read is written again as it was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l2/arp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arp_packet p;
	uint8_t frame[ARP_FRAME_SIZE];

	if (arp_decode(data, size, &p) < 0)
		return 0;
	arp_encode(&p, frame);
	if (memcmp(frame, data, ARP_FRAME_SIZE) != 0)
		abort();
	return 0;
}
