/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* Any JSON, or none, as bgpd's word on the sessions. */

#include <stdint.h>
#include <stdlib.h>

#include "bgp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bgp_session s[2] = { 0 };

	addr_parse("10.9.0.2", &s[0].address);
	addr_parse("fd09::2", &s[1].address);
	bgp_session_read_summary((const char *)data, size, s, 2);
	bgp_session_read_neighbor((const char *)data, size, "contact", "a hint", &s[0]);
	if (s[0].uptime_ms < 0 || s[0].state > BGP_SESSION_SHUTDOWN)
		abort();
	return 0;
}
