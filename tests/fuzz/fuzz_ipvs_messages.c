/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of IPVS: messages as they come, taken for either kind. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/msg.h>

#include "proxy/ipvs/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Messages begin where numbers do. */
	char *copy = malloc(size + 1);
	int left = (int)size;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	for (struct nlmsghdr *h = (void *)copy; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
		struct ipvs_server s;
		struct ipvs_endpoint e;
		if (ipvs_read_server(h, &s) &&
		    (strlen(s.scheduler) >= sizeof(s.scheduler) || (s.flags & ~IPVS_FLAGS)))
			abort();
		ipvs_read_endpoint(h, 4, &e);
		ipvs_read_endpoint(h, 6, &e);
	}
	free(copy);
	return 0;
}
