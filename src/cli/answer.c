/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>

#include "cli/commands.h"

void command_answer_init(struct command_answer *a, const struct command_options *o)
{
	a->text = (struct buf)BUF_INIT;
	out_init(&a->out, o->format, &a->text);
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
