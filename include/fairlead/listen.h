/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LISTEN_H
#define FAIRLEAD_LISTEN_H

/* Sockets that listen. */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/addr.h"

/*
 * A socket that listens on @a.  :: is both families, or with @apart IPv6 alone, whatever the host's
 * default.  @port 0: any.  A negative errno.
 */
int listen_on(const struct addr *a, uint16_t port, bool apart);
/* On all addresses of all families that the machine has. */
int listen_on_all(uint16_t port);
/* The port of one of these; 0: it has none. */
uint16_t listen_port(int fd);

#endif
