/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_ADMISSION_H
#define FAIRLEAD_CONTROLLER_ADMISSION_H

/* The admission webhook's certificate, and what the API server knows of it. */

#include "controller/state.h"

struct metrics_writer;
struct out;

/* The webhook's name in the ValidatingWebhookConfiguration. */
#define ADMISSION_WEBHOOK "configuration.fairlead.io"

/* Without --webhook they do nothing. */
int admission_start(struct controller *ctl, struct err *e);
void admission_lead(struct controller *ctl);
void admission_stop(struct controller *ctl);
void admission_put(const struct controller *ctl, struct out *o);
void admission_metrics(const struct controller *ctl, struct metrics_writer *w);

#endif
