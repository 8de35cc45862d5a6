/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "controller/term.h"

#include "fairlead/clock.h"

bool term_may_write(const struct controller *ctl)
{
	return ctl->leading && !ctl->stopping && !ctl->resigning && lease_may_write(ctl->elector);
}

void term_unanswered(struct controller *ctl)
{
	ctl->open_until_ms = clock_ms() + ctl->timing.effect_ms;
}

bool term_is_open(const struct controller *ctl)
{
	return ctl->n_in_flight > 0 || ctl->config.write || ctl->cooling.request ||
	       clock_ms() < ctl->open_until_ms;
}
