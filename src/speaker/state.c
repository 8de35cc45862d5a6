/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/state.h"

#include <event2/event.h>

void speaker_schedule(struct speaker *sp)
{
	event_active(sp->turn, 0, 0);
}
