/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_REDACT_H
#define FAIRLEAD_CLI_REDACT_H

/*
 * Takes secrets out of what goes to strangers.  Nothing that we read should hold any; people
 * put them into wrong places all the same, such as a password into the ConfigMap.
 *
 * A secret is the value of what is called password, token or the like, or ends so; what is called
 * password-secret is the name of one, and stays.  In doubt more goes than has to.
 */

#include <stddef.h>

/* As JSON is printed here: in one line, and paths as they are. */
#define REDACT_JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct buf;
struct json_object;

/*
 * A text of lines, such as YAML, a log or bgpd's configuration: the rest of the line goes, and what
 * belongs to the value on the lines below.
 */
void redact_text(const char *text, size_t size, struct buf *out);
/*
 * Members, however deep; strings are texts by themselves, or JSON again.  Values of environment
 * variables go, too.
 */
void redact_json(struct json_object *obj);

#endif
