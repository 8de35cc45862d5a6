/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPVS_SCHEDULERS_H
#define FAIRLEAD_PROXY_IPVS_SCHEDULERS_H

/*
 * The schedulers that Services ask for, and whether the kernel has them: a module for each, which
 * it loads when it is asked.  Names come from whoever may write a Service, so there is room for a
 * few.  One that the kernel does not have is asked for again after a while.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/ipvs/virtual_types.h"

/* A scheduler that the kernel does not have is asked for again; one that it may have, soon. */
#define SCHEDULERS_RETRY_MS 600000
#define SCHEDULERS_SOON_MS 1000
/* There was no room for it. */
#define SCHEDULERS_NONE UINT8_MAX
#define SCHEDULERS_DEFAULT 0

struct scheduler {
	char name[VIRTUAL_SCHEDULER_SIZE];
	size_t n_users; /* 0: free */
	enum { SCHEDULER_UNKNOWN, SCHEDULER_THERE, SCHEDULER_MISSING } knowledge;
	int64_t retry_ms;
};

struct schedulers {
	struct scheduler list[VIRTUAL_SCHEDULERS_MAX];
};

/* With the default one, which is there, whatever becomes of it. */
void schedulers_init(struct schedulers *s);
/* Its number, for schedulers_drop(); SCHEDULERS_NONE.  "": the default one. */
uint8_t schedulers_hold(struct schedulers *s, const char *name);
void schedulers_drop(struct schedulers *s, uint8_t number);
/* What who asks for it gets: the default one where the kernel does not have it. */
const char *schedulers_effective(const struct schedulers *s, uint8_t number);
/* Whether there may be any that is substituted. */
bool schedulers_lack(const struct schedulers *s);
bool schedulers_is_substituted(const struct schedulers *s, uint8_t number);

/* The next one that the kernel has to be asked for; NULL: none. */
const char *schedulers_unknown(const struct schedulers *s);
/*
 * What the kernel said: 0, it is there; -ENOENT, it is not; another negative errno, that may be
 * otherwise soon.  Its number.
 */
uint8_t schedulers_know(struct schedulers *s, const char *name, int error, int64_t now_ms);
/* It has to be asked for again: it may have been unloaded. */
void schedulers_doubt(struct schedulers *s, uint8_t number);
/* What is due by now is unknown again; when the next one is, INT64_MAX: none. */
int64_t schedulers_wake(struct schedulers *s, int64_t now_ms);

#endif
