/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/screen.h"
#include "fairlead/mem.h"

/* https://no-color.org: any value but an empty one. */
static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void command_answer_init(struct command_answer *a, const struct command_options *o)
{
	a->text = (struct buf)BUF_INIT;
	out_init(&a->out, o->format, &a->text);
	a->out.colour = has_colour();
}

void command_answer_fini(struct command_answer *a)
{
	out_fini(&a->out);
	buf_fini(&a->text);
}

void command_print(struct command_answer *a)
{
	/* The other formats end each line. */
	if (a->out.format == OUT_JSON)
		buf_putc(&a->text, '\n');
	fputs(buf_str(&a->text), stdout);
}

bool command_redraw(struct command_answer *a)
{
	struct winsize size = { .ws_row = 0 };
	cleanup(buf_fini) struct buf drawn = BUF_INIT;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		screen_draw(buf_str(&a->text), size.ws_row, size.ws_col, &drawn);
		fputs(buf_str(&drawn), stdout);
	} else {
		command_print(a);
	}
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	/* A reader that closes the pipe has seen enough, which is not an error. */
	if (errno == EPIPE)
		clearerr(stdout);
	return false;
}

void command_tell(struct err *e)
{
	if (e->blame != ERR_NONE) {
		buf_plain(e->msg);
		fprintf(stderr, "fairlead: %s\n", e->msg);
	}
	*e = (struct err)ERR_INIT;
}
