/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Any text as a running configuration: what we would say to get from it to a wanted state, and to
 * nothing, must be fit to be sent.
 */

#include <stdint.h>
#include <stdlib.h>

#include "bgp/bfd.h"
#include "bgp/diff.h"
#include "bgp/running.h"
#include "bgp/vty.h"
#include "bgp/want.h"
#include "fairlead/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void go(const struct bgp_have *have, struct bgp_want *w)
{
	struct bgp_state want, to;
	struct bgp_script script;

	bgp_want_state(w, &want);
	struct bgp_verdict v = bgp_judge(&want, have, false);
	bgp_effective(&want, have, &v, true, &to);
	bgp_diff(&to, &have->ours, have->foreign_lines, BGP_AT_CONFIG, &script);
	for (size_t i = 0; i < script.n; i++)
		if (vty_check(script.v[i].text, NULL))
			abort();
	bgp_script_fini(&script);
	bgp_state_fini(&to);
	bgp_state_fini(&want);
	bgp_want_free(w);
}

static struct bgp_want *something(void)
{
	struct bgp_want *w = bgp_want_new();
	struct config_peer p = { .my_asn = 65001, .peer_asn = 65002, .hold_time_s = 90 };
	struct addr a;

	addr_parse("10.0.0.1", &p.address);
	addr_parse("198.51.100.1", &a);
	if (bgp_want_peer(w, &p, NULL) || bgp_want_address(w, &a, true, NULL, 0, NULL))
		abort();
	return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bgp_have have;
	struct bgp_bfd_state bfd, none = { 0 };
	cleanup(buf_fini) struct buf commands = BUF_INIT;

	bgp_running_parse((const char *)data, size, &have);
	go(&have, something());
	go(&have, bgp_want_new());
	bgp_have_fini(&have);
	bgp_bfd_parse((const char *)data, size, &bfd);
	bgp_bfd_diff(&none, &bfd, &commands);
	bgp_bfd_diff(&bfd, &none, &commands);
	bgp_bfd_state_fini(&bfd);
	return 0;
}
