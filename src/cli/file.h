/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_FILE_H
#define FAIRLEAD_CLI_FILE_H

/*
 * Files named on the command line: read whole, "-" being standard input; and what is wrong with a
 * configuration among them, as FILE:LINE.
 */

#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/err.h"
#include "fairlead/manifest.h"
#include "fairlead/out.h"

int file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e);
/* Reads the objects of a manifest; @e names file and line. */
int file_read_manifest(const char *path, manifest_object_fn *fn, void *arg, struct err *e);
/* The same for what file_read() has read. */
int file_parse_manifest(const char *path, const struct buf *text, manifest_object_fn *fn, void *arg,
                        struct err *e);
/*
 * The same, but for what @fn refuses: each goes to @told as "FILE:LINE: message", and counts in
 * *ret_n_refused.
 */
int file_read_objects(const char *path, manifest_object_fn *fn, void *arg, struct buf *told,
                      size_t *ret_n_refused, struct err *e);
/* "FILE:LINE: path.to.key: message" for each; @kind ("warning: ") stands before the path. */
void file_say_problems(const char *path, const struct config_problems *p, const char *kind,
                       struct out *o);
/* The same to standard error. */
void file_tell_problems(const char *path, const struct config_problems *p, const char *kind);
/* Reads the text of a configuration, which must not be empty. */
int file_read_configuration_text(const char *path, struct buf *out, struct err *e);
/*
 * Reads and parses a configuration; what is wrong with it goes to standard error, @e says that
 * there is something.  That it has no pools is warned of there, too.
 */
int file_read_configuration(const char *path, struct configuration **ret_config, struct err *e);

#endif
