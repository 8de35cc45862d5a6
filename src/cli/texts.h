/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEXTS_H
#define FAIRLEAD_CLI_TEXTS_H

/*
 * Texts of the daemons and about them, many at a time: their pages, directly or by way of the API
 * server, and logs.  However many do not answer, they are waited for together.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/options.h"

struct addr;

struct text_question {
	const char *file; /* the asker's word for it */
	/* Directly; no address: not. */
	const struct addr *address;
	int port;
	const char *path;
	int silence_s;
	/* By the API server, where the direct way gave nothing; NULL: not. */
	const char *api_path;
	int api_ms;
	size_t max_bytes;
};

/* @why NULL: it was had.  Otherwise what the API server said, or what was met on the direct way. */
typedef void texts_put(const struct text_question *q, const char *data, size_t size,
                       const char *why, void *arg);

/* Returns when all of them were told of. @token_file: as in gather_port. */
void texts_ask(const struct options_kube *kube, const char *token_file,
               const struct text_question *questions, size_t n, texts_put *put, void *arg);

#endif
