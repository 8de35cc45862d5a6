/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BASE64_H
#define FAIRLEAD_BASE64_H

/* Base64 of RFC 4648, section 4: the standard alphabet, padded. */

#include <stddef.h>

#include "fairlead/buf.h"

void base64_encode(const void *data, size_t size, struct buf *out);
/*
 * Line breaks inside are skipped, as Go's decoder does.  -EINVAL for anything else that is not
 * base64; @out may be longer then.
 */
int base64_decode(const char *s, struct buf *out);

#endif
