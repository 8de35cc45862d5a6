/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_FAULT_H
#define APISIM_FAULT_H

/*
 * Faults on command.  PUT /sim/faults replaces the set, DELETE clears it, GET shows it:
 *
 *	{"rules":[{"verb":"patch","path":"/services/","agent":"controller","next":3,"every":2,
 *	           "code":429,"retry_after":1,"delay_ms":200,"drop":true,"lose":true,"undo":true}],
 *	 "silent":true | "services", "cut":true | "services", "cut_every_ms":1000, "cut_clean":true,
 *	 "drop_connections":true, "refuse_ms":5000, "deny_external_ips":true}
 *
 * A rule applies to the requests whose verb, part of the path and part of the user agent match (all
 * of them where left out), to the next N of those, to every Nth.  It delays, then answers with the
 * code (200: with a Status where an object or a list was asked for), or drops the connection
 * without an answer, or lets the request pass, or, to "lose" its answer, lets it take effect and
 * then drops the connection, or, as an admission webhook may "undo" a patch, answers it with the
 * object as it is.  "silent": watches are accepted and deliver nothing.  "cut": ends watches now,
 * "cut_every_ms" again and again, in the middle of the stream unless "cut_clean".  "refuse_ms":
 * nothing listens for that long.  "deny_external_ips": the admission plugin DenyServiceExternalIPs
 * is on.
 */

#include <json.h>
#include <stdbool.h>
#include <stdint.h>

#include "fairlead/err.h"

#define FAULT_RULES_MAX 64
#define FAULT_DELAY_MAX_MS 600000

struct api_request;
struct fault_set;

struct fault_action {
	int64_t delay_ms;
	int code; /* 0: let it pass */
	int retry_after_s;
	bool drop, lose, undo;
};

struct fault_set *fault_new(void);
void fault_free(struct fault_set *f);
void fault_clear(struct fault_set *f);
/*
 * Replaces the rules and the silence; what happens once or by a timer is the server's to read from
 * @o.
 */
int fault_set_rules(struct fault_set *f, struct json_object *o, struct err *err);
/* What to do with this request; counts it against the rules. */
struct fault_action fault_judge(struct fault_set *f, const char *verb, const char *path,
                                const char *agent);
/* @f: may be NULL. */
bool fault_denies_external_ips(const struct fault_set *f);
bool fault_watches_silent(const struct fault_set *f, const char *resource);
/* As it was put, plus how often each rule matched and struck; owned by the caller. */
struct json_object *fault_show(const struct fault_set *f);

#endif
