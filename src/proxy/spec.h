/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_SPEC_H
#define FAIRLEAD_PROXY_SPEC_H

/*
 * A copy of a struct proxy_half in one piece of memory: bounded, sorted and without duplicates, so
 * that equal wishes are equal copies, in whatever order they came in.  Immutable and counted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/proxy.h"

/* What one Service may have; more is left out, which the status shows. */
/* a port and set */
#define SPEC_MAX_PORTS 256
#define SPEC_MAX_ENDPOINTS 16384
#define SPEC_MAX_VIPS 64
#define SPEC_MAX_EXTERNAL_IPS 256
#define SPEC_MAX_SOURCE_RANGES 1024

struct spec {
	struct proxy_half s;
	uint64_t digest; /* equal for equal content */
	bool truncated;
	unsigned int refs;
};

struct spec *spec_new(const struct proxy_half *s);
/* With a key that lives longer than it, and is not copied. */
struct spec *spec_new_keyed(const struct proxy_half *s, const char *key);
struct spec *spec_ref(struct spec *p);
void spec_unref(struct spec *p);

#endif
