/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_REPORT_H
#define FAIRLEAD_CONTROLLER_REPORT_H

/* What the controller reports about itself: /metrics, /healthz, /readyz, /status. */

#include "controller/state.h"

extern const struct metrics_server_ops report_ops;

#endif
