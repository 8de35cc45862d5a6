/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/interrupt.h"

#include <stddef.h>

volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	interrupted = sig;
}

void interrupt_catch(void)
{
	const struct sigaction once = { .sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND };
	const struct sigaction always = { .sa_handler = interrupt };
	struct sigaction before;

	sigaction(SIGINT, &once, NULL);
	sigaction(SIGTERM, &once, NULL);
	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &always, NULL);
}
