/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_VTY_H
#define FAIRLEAD_BGP_VTY_H

/*
 * The wire format of an FRR daemon's vty socket, without the socket.
 *
 * A request is its text and one NUL; a reply is text (no NUL in it), three NULs and a status byte.
 * There is no other framing, no greeting and no escape.  A daemon's input buffer is 4096 bytes, and
 * it executes the tail of a longer line as a command of its own, so limiting the length and
 * checking every byte here is a matter of safety.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/err.h"

#define VTY_COMMAND_MAX 3500
#define VTY_REPLY_MAX (64u << 20)

enum vty_status {
	VTY_SUCCESS = 0,
	VTY_WARNING = 1,
	VTY_NO_MATCH = 2,
	VTY_AMBIGUOUS = 3,
	VTY_INCOMPLETE = 4,
	VTY_CONFIG_FAILED = 13,
};
/* "success", "no match", …; "status 200" is "unknown". */
const char *vty_status_name(uint8_t status);

/*
 * -EINVAL unless the text is 1 to VTY_COMMAND_MAX bytes of printable ASCII without "| ", which bgpd
 * takes for a pipe.
 */
int vty_check(const char *text, struct err *e);
/* Appends the request to @out. */
int vty_frame(const char *text, struct buf *out, struct err *e);
/*
 * Copies @text for display: what follows the word password becomes ***, bytes that are not
 * printable become '?'.
 */
void vty_redact(const char *text, struct buf *out);

/* The replies of one connection, put together from whatever pieces read() yields. */
struct vty_reader {
	struct buf text;   /* of the reply under way */
	unsigned int nuls; /* how many of the three that end the text have come */
	size_t max_bytes;  /* of a text; VTY_REPLY_MAX but in tests */
};
void vty_reader_init(struct vty_reader *r);
void vty_reader_fini(struct vty_reader *r);
/*
 * Takes bytes up to the end of one reply and says in *@ret_used how many.  Returns 1 and the status
 * when a reply is whole (its text is in r->text until the next call), 0 when more is needed,
 * -EPROTO for a NUL inside a text, -EMSGSIZE for one too long.
 */
int vty_reader_feed(struct vty_reader *r, const void *data, size_t size, size_t *ret_used,
                    uint8_t *ret_status);

#endif
