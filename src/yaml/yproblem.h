/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_YAML_YPROBLEM_H
#define FAIRLEAD_YAML_YPROBLEM_H

/* What libyaml says about a text that is not YAML, with the line, and in words for its author. */

#include <stddef.h>
#include <yaml.h>

#include "fairlead/buf.h"

/* Skips the mark of UTF-8 that some editors put before a text. */
const char *yproblem_skip_mark(const char *text, size_t *size);
/* "not YAML: …"; @text is what the parser was given.  The line, from 1. */
unsigned int yproblem_text(const yaml_parser_t *parser, const char *text, size_t size,
                           struct buf *out);

#endif
