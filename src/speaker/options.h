/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_OPTIONS_H
#define FAIRLEAD_SPEAKER_OPTIONS_H

/* The command line, and the files that it names. */

#include "speaker/state.h"

/* Returns what to do: OPTIONS_RUN, OPTIONS_DONE, or -EINVAL. */
int speaker_options_parse(int argc, char **argv, struct speaker_options *ret, struct err *e);
/*
 * The one rule for heartbeat keys, wherever they come from: -EINVAL, in words, for a size that a
 * key cannot have.
 */
#define SPEAKER_KEY_MIN_BYTES 16
#define SPEAKER_KEY_MAX_BYTES 4096
int speaker_key_check(size_t size, struct err *e);
/*
 * Reads a heartbeat key that speaker_key_check() accepts; one newline at its end is not part of it.
 * *ret_loose: others may read the file.
 */
int speaker_key_read(const char *path, uint8_t **ret_key, size_t *ret_size, bool *ret_loose,
                     struct err *e);

/* The data key of the Secret that holds it. */
#define SPEAKER_KEY_NAME "key"

#endif
