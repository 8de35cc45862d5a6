/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Frames of neighbour discovery: what is read, written and read again says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l2/ndp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ndp_packet p, again;
	uint8_t frame[NDP_FRAME_MAX], same[NDP_FRAME_MAX];

	if (ndp_decode(data, size, &p) < 0)
		return 0;
	size_t n = ndp_encode(&p, frame);
	if (n > size || ndp_decode(frame, n, &again) < 0 || ndp_encode(&again, same) != n ||
	    memcmp(frame, same, n) != 0)
		abort();
	return 0;
}
