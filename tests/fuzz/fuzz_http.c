/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * A client's bytes, all at once and one by one: what was answered early stays the answer, and is
 * the same.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request all, piecewise;

	if (size > REQUEST_SIZE)
		size = REQUEST_SIZE;
	int want = request_parse((const char *)data, size, &all), got = -EAGAIN;
	for (size_t n = 1; n <= size && got == -EAGAIN; n++)
		got = request_parse((const char *)data, n, &piecewise);
	if (size && got != want)
		abort();
	if (want == 0 &&
	    (strlen(all.path) >= sizeof(all.path) || strlen(all.body) > LIMIT_HTTP_BODY_BYTES ||
	     strcmp(all.path, piecewise.path) != 0))
		abort();
	return 0;
}
