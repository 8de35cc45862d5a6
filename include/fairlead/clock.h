/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLOCK_H
#define FAIRLEAD_CLOCK_H

/*
 * Time and randomness.  Decisions take time as an argument; only the shells around them read these
 * clocks.
 */

#include <stddef.h>
#include <stdint.h>

/*
 * CLOCK_BOOTTIME, which goes on while the machine sleeps: a node that wakes up must know that
 * others did not wait for it, be it with an address or with a lease.
 */
int64_t clock_ms(void);
int64_t clock_ns(void);
/* CLOCK_REALTIME, for what people and the API server read. */
int64_t clock_wall_us(void);

#define CLOCK_RFC3339_SIZE 32
/* "2026-01-02T03:04:05Z", and with microseconds as the API's MicroTime has them. */
const char *clock_rfc3339(int64_t wall_us, char out[static CLOCK_RFC3339_SIZE]);
const char *clock_rfc3339_micro(int64_t wall_us, char out[static CLOCK_RFC3339_SIZE]);
/* Parses RFC 3339 with or without a fraction; -EINVAL. */
int clock_parse_rfc3339(const char *s, int64_t *ret_wall_us);

/* Random bytes from the kernel, and a uniform number in [0, @bound) (0 for a bound of 0). */
void clock_random(void *out, size_t size);
uint64_t clock_random_below(uint64_t bound);

#endif
