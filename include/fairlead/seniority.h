/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SENIORITY_H
#define FAIRLEAD_SENIORITY_H

/*
 * Which of two Services comes first: who is served first, who has an address that both claim, who
 * gives way where they share one.  Controllers, speakers and the data plane have to agree on it,
 * so it is said here alone.
 */

#include <stdint.h>

struct seniority {
	int64_t creation_us;   /* 0: not known, which comes last */
	const char *namespace; /* up to its end, or to a slash */
	const char *name;
};

/* Of the Service with the key "namespace/name", which has to outlive it. */
struct seniority seniority_of(int64_t creation_us, const char *key);
/* < 0 if @a comes first.  By creation, then namespace, then name. */
int seniority_cmp(const struct seniority *a, const struct seniority *b);

#endif
