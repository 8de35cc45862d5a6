/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_REPORT_H
#define FAIRLEAD_SPEAKER_REPORT_H

/*
 * What the speaker reports about itself: log lines about changes, /healthz and /readyz, /status,
 * /metrics.
 */

#include "speaker/state.h"

extern const struct metrics_server_ops speaker_http_ops;
void speaker_log_change(const struct announcement *a, enum reason old_reason,
                        const char *old_owner);

#endif
