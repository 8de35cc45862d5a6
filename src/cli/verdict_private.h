/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_VERDICT_PRIVATE_H
#define FAIRLEAD_CLI_VERDICT_PRIVATE_H

/* What looks for something wrong, for verdict_find(). */

#include "cli/model.h"
#include "cli/verdict.h"

/* Takes @object and @message; none: what the reason says. */
void verdict_add(struct findings *f, enum verdict_level level, enum reason r, char *object,
                 char *message);
/* The same by a word, which another version may have made. */
void verdict_add_word(struct findings *f, enum verdict_level level, const char *reason,
                      char *object, char *message);

void verdict_find_controllers(const struct model *m, struct findings *f);
void verdict_find_configuration(const struct model *m, struct findings *f);
void verdict_find_speakers(const struct model *m, struct findings *f);
void verdict_find_nodes(const struct model *m, struct findings *f);
void verdict_find_bgp(const struct model *m, struct findings *f);
void verdict_find_services(const struct model *m, struct findings *f);
void verdict_find_pools(const struct model *m, struct findings *f);
void verdict_find_versions(const struct model *m, struct findings *f);

#endif
