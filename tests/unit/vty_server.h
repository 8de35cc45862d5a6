/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_VTY_SERVER_H
#define FAIRLEAD_TESTS_VTY_SERVER_H

/*
 * A bgpd_fake behind a socket, on the test's own event loop.  Every neighbour's session is up at
 * once.
 */

#include <stdbool.h>

#include "bgpd_fake.h"

struct event_base;
struct vty_server;

struct vty_server *vty_server_start(struct event_base *base, const char *path,
                                    struct bgpd_fake *fake);
/* As if killed: connections are closed, and nobody listens any more. */
void vty_server_stop(struct vty_server *s);
/* Hung: it takes commands and neither executes nor answers them until it is no longer. */
void vty_server_hang(struct vty_server *s, bool hung);
/* It hangs before the first command that begins so; @word is not copied. */
void vty_server_hang_at(struct vty_server *s, const char *word);
bool vty_server_is_hung(const struct vty_server *s);
/* Shows @text as its summary of sessions, with this status; NULL: its own. */
void vty_server_summary(struct vty_server *s, const char *text, uint8_t status);
/* What somebody sees who asks outside of its configuration; NULL: its own. */
void vty_server_running(struct vty_server *s, const char *text);
unsigned int vty_server_accepted(const struct vty_server *s);
unsigned int vty_server_open(const struct vty_server *s);

#endif
