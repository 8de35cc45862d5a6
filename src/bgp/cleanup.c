/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uninstalling: an engine of its own that wants nothing, until bgpd and bfdd have nothing of ours.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "bgp/engine.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define CLEANUP_DEADLINE_MS 8000

/* 0, or why nobody listens there. */
static int probe(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int r = 0, fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	/* The queue of a hung daemon may be full, for which connect() would otherwise wait. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		r = errno;
	close(fd);
	return r;
}

static bool absent(int error)
{
	return error == ENOENT || error == ECONNREFUSED;
}

static bool done(const struct bgp *b, bool bgpd, bool bfdd)
{
	return (!bgpd || bgp_applied_generation(b) > 0) &&
	       (!bfdd || (b->bfd && bgp_bfd_in_sync(b->bfd)));
}

int bgp_cleanup(const struct bgp_options *opts, struct err *e)
{
	int bgpd = probe(opts->bgpd_socket ? opts->bgpd_socket : BGP_SOCKET);
	int bfdd = probe(opts->bfdd_socket ? opts->bfdd_socket : BGP_BFDD_SOCKET);
	int64_t deadline = clock_ms() + CLEANUP_DEADLINE_MS;
	struct bgp *b;

	if (absent(bgpd) && absent(bfdd))
		return 0;
	struct event_base *base = event_base_new();
	if (!base)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "no event loop");
	int r = bgp_start(base, opts, NULL, NULL, &b, e);
	if (r == 0) {
		struct timeval tick = { .tv_usec = 20000 };
		bgp_publish(b, bgp_want_new());
		while (!done(b, !absent(bgpd), !absent(bfdd)) && clock_ms() < deadline) {
			event_base_loopexit(base, &tick);
			event_base_dispatch(base);
		}
		if (!done(b, !absent(bgpd), false))
			r = err_set(e, -ETIMEDOUT, ERR_SYSTEM, "bgpd still has lines of ours: %s",
			            b->error);
		else if (!done(b, false, !absent(bfdd)))
			r = err_set(e, -ETIMEDOUT, ERR_SYSTEM,
			            "bfdd still has profiles of ours: %s",
			            b->bfd ? bgp_bfd_error(b->bfd) : "not connected");
		bgp_free(b);
	}
	event_base_free(base);
	return r;
}
