/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/addr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include "fairlead/mem.h"

int addrs_of_machine(struct addr **ret_addrs, size_t *ret_n)
{
	struct addr *addrs = NULL;
	struct ifaddrs *all;
	size_t n = 0, cap = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const void *sa = i->ifa_addr;
		if (!sa ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		ARRAY_RESERVE(addrs, cap, n + 1);
		addrs[n++] = i->ifa_addr->sa_family == AF_INET
		                     ? addr_from_in(((const struct sockaddr_in *)sa)->sin_addr)
		                     : addr_from_in6(&((const struct sockaddr_in6 *)sa)->sin6_addr);
	}
	freeifaddrs(all);
	*ret_addrs = addrs;
	*ret_n = n;
	return 0;
}
