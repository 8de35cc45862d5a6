/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_PASSWORDS_H
#define FAIRLEAD_SPEAKER_PASSWORDS_H

/* The passwords of BGP peers, which the configuration names by their keys in one Secret. */

#include <stdbool.h>

#include "fairlead/configuration.h"
#include "fairlead/err.h"
#include "fairlead/kube_types.h"

struct passwords {
	const char *name;           /* of the Secret; NULL: none */
	bool known;                 /* whether it exists, and what it holds */
	struct kube_secret *secret; /* NULL: there is none */
};
void passwords_fini(struct passwords *p);
/*
 * Takes over @s.  NULL: there is none; what was known before stays.  Returns whether anything has
 * changed.
 */
bool passwords_set(struct passwords *p, struct kube_secret *s);
/*
 * @peer's password into @ret_password (NULL: it has none), which the caller wipes and frees.
 * -ENOENT and words for a reader if it is not known, -EINVAL if it cannot be a password.
 */
int passwords_of(const struct passwords *p, const struct config_peer *peer, char **ret_password,
                 struct err *e);

#endif
