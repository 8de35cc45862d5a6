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
