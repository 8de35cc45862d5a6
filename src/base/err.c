/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int ret, enum err_blame blame, const char *fmt, ...)
{
	if (!e)
		return ret;
	/* The arguments may point into e->msg. */
	char msg[ERR_MSG_SIZE];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	e->blame = blame;
	memcpy(e->msg, msg, sizeof(msg));
	return ret;
}

void err_prefix(struct err *e, const char *fmt, ...)
{
	if (!e)
		return;
	char msg[ERR_MSG_SIZE];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(msg) - 1)
		snprintf(msg + n, sizeof(msg) - (size_t)n, ": %s", e->msg);
	memcpy(e->msg, msg, sizeof(msg));
}

const char *err_blame_name(enum err_blame blame)
{
	switch (blame) {
	case ERR_NONE:
		return "none";
	case ERR_CONFIG:
		return "config";
	case ERR_REMOTE:
		return "remote";
	case ERR_SYSTEM:
		return "system";
	case ERR_LIMIT:
		return "limit";
	case ERR_BUG:
		return "bug";
	}
	return "bug";
}
