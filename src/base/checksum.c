/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/checksum.h"

/* Sums up 16-bit words; 64 KiB of them fit without an overflow. */
static uint32_t add(const uint8_t *p, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint16_t checksum(const void *data, size_t size, uint32_t sum)
{
	return (uint16_t)~fold(add(data, size, fold(sum)));
}

uint32_t checksum_pseudo(const struct addr *source, const struct addr *destination,
                         uint8_t protocol, size_t size)
{
	uint32_t sum = protocol + (uint32_t)size;

	sum = add(source->b, addr_size(source->family), sum);
	return fold(add(destination->b, addr_size(destination->family), sum));
}
