/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_BOOKS_H
#define FAIRLEAD_CONTROLLER_BOOKS_H

/* The records of all Services, on their lists, and the allocator's books about them. */

#include "controller/state.h"

/* Schedules a turn, for when the callbacks of this one are done. */
void books_schedule(struct controller *ctl);
/* Rebuilds the books under the configuration in force; every Service is to be decided again. */
void books_rebuild(struct controller *ctl);
/* The same after the books were used up, with what cooled down before that (ipam_print_cooling). */
void books_rebuild_as(struct controller *ctl, const char *cooling);
/* What has cooled down by now is free; whom that concerns is woken by books_settle(). */
void books_tell_time(struct controller *ctl);
void books_free(struct controller *ctl);

/* Takes over what the object says; @obj is the same as @s. */
void books_read(struct record *r, const struct kube_service *s, struct json_object *obj);
/* The books follow what the record has read. */
void books_adopt(struct controller *ctl, struct record *r);
/*
 * The Service is gone: nothing is held for it any more, and nothing of it is under way.  Whoever
 * waits for what it had is woken by books_settle().
 */
void books_drop(struct record *r);
void books_mark(struct record *r); /* to be decided in the next turn */
void books_set_flight(struct record *r, enum record_flight flight, int64_t due_ms);
void books_set_waiting(struct record *r, bool waiting);
/* Decides again all that wait for something; or only those that what became free concerns. */
void books_wake_waiting(struct controller *ctl);
void books_wake_concerned(struct controller *ctl);
/*
 * Wakes those that what dropped Services had concerns.  Due before anything is read or decided, so
 * that it does not go to one that is heard of later.
 */
void books_settle(struct controller *ctl);

#endif
