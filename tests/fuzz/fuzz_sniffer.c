/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The beginning of any packet: what is told of it is what stands there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l2/sniffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sniffed p;

	if (!sniffer_decode(data, size, &p))
		return 0;
	size_t addr = addr_size(p.source.family), at = p.source.family == 4 ? 26 : 22;
	if (size < at + 2 * addr || memcmp(p.mac, data + 6, sizeof(p.mac)) != 0 ||
	    memcmp(p.source.b, data + at, addr) != 0 ||
	    memcmp(p.target.b, data + at + addr, addr) != 0)
		abort();
	return 0;
}
