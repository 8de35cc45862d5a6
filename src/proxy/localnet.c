/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/localnet.h"

#include <string.h>

#include "proxy/owned.h"

#define NAME "net.ipv4.conf.all.route_localnet"

static const char path[] = "/proc/sys/net/ipv4/conf/all/route_localnet";

int localnet_open(struct err *e)
{
	int r = owned_take(path);

	if (r < 0)
		return err_set(e, r, ERR_SYSTEM,
		               "no node ports at 127.0.0.1: cannot set the sysctl " NAME
		               ": %s; it takes a writable /proc/sys, as privileged containers "
		               "have, or somebody else who sets it to 1",
		               strerror(-r));
	return 0;
}

bool localnet_is_ours(void)
{
	return owned_is_ours(path);
}

int localnet_close(struct err *e)
{
	int r = owned_give_back(path);

	if (r < 0)
		return err_set(e, r, ERR_SYSTEM,
		               "cannot take back the sysctl " NAME ": %s; run \"sysctl -w " NAME
		               "=0\" on the node itself, since "
		               "without our rules its neighbours reach what listens at 127.0.0.1",
		               strerror(-r));
	return 0;
}
