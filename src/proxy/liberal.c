/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/liberal.h"

#include <stdio.h>

#define SYSCTL "/proc/sys/net/netfilter/nf_conntrack_tcp_"

static bool has(const char *path, int first)
{
	FILE *f = fopen(path, "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == first;
}

bool liberal_is_on(void)
{
	return has(SYSCTL "be_liberal", '1');
}

bool liberal_is_loose(void)
{
	return !has(SYSCTL "loose", '0');
}
