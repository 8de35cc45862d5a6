/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/owned.h"

#define FOLDER "/proc/sys/net/ipv4/vs/"
#define PATH_SIZE 64
#define EXPIRY "expire_nodest_conn"

static const char *const names[] = {
	/* What IPVS translates can be masqueraded, and is known to other rules. */
	"conntrack",
	/* Connections to an endpoint that is gone end with their next packet, and begin anew. */
	EXPIRY,
	/* Clients do not stay with an endpoint that is drained. */
	"expire_quiescent_template",
	/*
	 * What belongs to a connection that began at another node is led to an endpoint.  That one
	 * knows no such connection from here, and says so at once; else its sender would wait.
	 */
	"sloppy_tcp",
	"sloppy_sctp",
};

static const char *path_of(const char *name, char out[static PATH_SIZE])
{
	snprintf(out, PATH_SIZE, FOLDER "%s", name);
	return out;
}

int settings_open(struct err *e)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int r = owned_take(path_of(names[i], path));
		if (r < 0)
			return err_set(e, r, ERR_SYSTEM,
			               "cannot set the sysctl net.ipv4.vs.%s: %s; it takes a "
			               "writable /proc/sys, as privileged containers have, or "
			               "somebody else who sets it to 1",
			               names[i], strerror(-r));
	}
	return 0;
}

bool settings_any(void)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (owned_is_ours(path_of(names[i], path)))
			return true;
	return false;
}

int settings_close(struct err *e)
{
	char path[PATH_SIZE];
	int result = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int r = owned_give_back(path_of(names[i], path));
		if (r < 0)
			result = err_set(e, r, ERR_SYSTEM,
			                 "cannot take back the sysctl net.ipv4.vs.%s: %s; without "
			                 "a writable /proc/sys it has to be set to 0 on the node "
			                 "itself",
			                 names[i], strerror(-r));
	}
	return result;
}

int settings_suspend_expiry(void)
{
	char path[PATH_SIZE];

	return owned_suspend(path_of(EXPIRY, path));
}

void settings_resume_expiry(int was)
{
	char path[PATH_SIZE];

	owned_resume(path_of(EXPIRY, path), was);
}
