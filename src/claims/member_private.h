/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLAIMS_MEMBER_PRIVATE_H
#define FAIRLEAD_CLAIMS_MEMBER_PRIVATE_H

/*
 * Shared by member.c, which judges who is alive, and member_timing.c, which knows for how long a
 * peer may be silent.  Times are milliseconds.
 */

#include "fairlead/member.h"

/* Heartbeats out of turn come no closer together than this. */
#define BEAT_GAP_MS 20

/* How often the peer says something, and after how long a silence it is dead. */
int64_t member_peer_heartbeat_ms(const struct member *m, const struct member_peer *p);
int64_t member_peer_dead_ms(const struct member *m, const struct member_peer *p);
/* When our next heartbeat is due after one at @now. */
int64_t member_pace_ms(const struct member *m, int64_t now);
/* Before a heartbeat: goes by how many speakers there are now. */
void member_follow_number(struct member *m, int64_t now);
/* How many peers, beyond those that are new, a heartbeat repeats. */
size_t member_echoes(const struct member *m);
/* So many more, which we have heard since anybody last said so, if that is long ago. */
#define MEMBER_OVERDUE_MAX 6
bool member_is_overdue(const struct member *m, const struct member_peer *p, int64_t now);

/* What a believed message says of its sender's timing. */
void member_note_timing(const struct wire_msg *msg, struct member_peer *p);
/* @msg comes from a speaker that is there now, or that may be a replay, of whichever version. */
void member_hear_version(struct member *m, int64_t now, const struct wire_msg *msg);
void member_hear_strange_version(struct member *m, int64_t now, const struct wire_msg *msg);

#endif
