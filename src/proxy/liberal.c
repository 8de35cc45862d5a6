/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/liberal.h"

#include <stdio.h>

bool liberal_is_on(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == '1';
}
