/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_UNCARRIED_H
#define FAIRLEAD_SPEAKER_UNCARRIED_H

/*
 * Services that no data plane carries, since they are too large, or since older large ones leave no
 * room: which of them are worth an Event, a row of /status, and which speaker sends the Event.  Of
 * one with an address that could be announced the announcement tells already; of the others, as
 * those with a cluster IP alone, nobody else would.
 *
 * The Event is sent as those about addresses that no node may announce (nowhere.h).  Pure: time is
 * an argument.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/reason.h"
#include "fairlead/view.h"
#include "speaker/announce.h"
#include "speaker/budget.h"

/* Rows of /status.  Events go out for each, as far as @budget allows. */
#define UNCARRIED_ROWS_MAX 100
/* Of one namespace, which otherwise could have them all. */
#define UNCARRIED_OF_NAMESPACE_MAX 10

struct out;
struct uncarried;

/* @reason: why the Service is not carried; REASON_Candidate: it is again. */
typedef void uncarried_tell(const char *key, const uint8_t uid[static VIEW_UID_SIZE],
                            enum reason reason, void *arg);

struct uncarried *uncarried_new(void);
void uncarried_free(struct uncarried *u);

/* What the Service has become; @reason: why it is not carried, REASON_Candidate: it is. */
void uncarried_set(struct uncarried *u, const struct view_service *s, enum reason reason);
/* It is gone. */
void uncarried_drop(struct uncarried *u, const char *key);

/* Looks at the current state; call it every few seconds. */
void uncarried_look(struct uncarried *u, const struct view *v, const struct announce *t,
                    struct budget *budget, int64_t now_ms, uncarried_tell *tell, void *arg);
/* A list of those of which no announcement tells, as far as there is room for their namespace. */
void uncarried_status(const struct uncarried *u, const struct announce *t, const char *name,
                      struct out *o);
/* How many there are for each reason, whoever tells of them. */
void uncarried_count(const struct uncarried *u, size_t counts[static REASON_COUNT]);

#endif
