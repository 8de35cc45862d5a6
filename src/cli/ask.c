/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/ask.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#define ANSWER_SIZE 16

bool ask_has_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool ask_goes_on(void)
{
	char answer[ANSWER_SIZE] = "";

	fputs("Go on? [y/N] ", stderr);
	return fgets(answer, sizeof(answer), stdin) &&
	       (!strcasecmp(answer, "y\n") || !strcasecmp(answer, "yes\n"));
}

bool ask_is_wanted(bool yes)
{
	if (yes)
		return true;
	if (!ask_has_terminal()) {
		fputs("Nothing was changed: where there is no terminal to ask at, it takes --yes.\n",
		      stderr);
		return false;
	}
	if (ask_goes_on())
		return true;
	fputs("Nothing was changed.\n", stderr);
	return false;
}
