/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/flows.h"

#include <inttypes.h>
#include <stdio.h>

#define DIRECTORY "/proc/sys/net/netfilter/"

void flows_update(struct proxy_flows *f, uint64_t count, uint64_t max)
{
	uint64_t bound = f->full ? FLOWS_ROOM : FLOWS_FULL;

	*f = (struct proxy_flows){ count, max, max > 0 && count >= (max * bound + 99) / 100 };
}

static bool read_number(const char *path, uint64_t *ret)
{
	FILE *file = fopen(path, "re");
	bool read = file && fscanf(file, "%" SCNu64, ret) == 1;

	if (file)
		fclose(file);
	return read;
}

void flows_read(struct proxy_flows *f)
{
	uint64_t count, max;

	if (read_number(DIRECTORY "nf_conntrack_count", &count) &&
	    read_number(DIRECTORY "nf_conntrack_max", &max))
		flows_update(f, count, max);
}
