/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The text of the ConfigMap that says which addresses cool down, or were given last. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"

static const char yaml[] =
	"address-pools:\n"
	"- {name: a, protocol: layer2, cool-down: 5m, addresses: [10.0.0.0/24, 'fd00::/64'],\n"
	"   reservations: [{service: shop/web, address: 10.0.0.7}]}\n"
	"- {name: b, protocol: layer2, addresses: [10.0.1.0/24], allocation: round-robin}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_problems errors = { 0 };
	struct configuration *c;

	if (configuration_parse(yaml, strlen(yaml), &c, &errors, NULL) < 0)
		abort();
	struct ipam *ipam = ipam_new(c), *again = ipam_new(c);
	char *text = xstrndup((const char *)data, size);
	cleanup(buf_fini) struct buf once = BUF_INIT, twice = BUF_INIT;

	ipam_set_time(ipam, 1000);
	ipam_set_time(again, 1000);
	ipam_read_cooling(ipam, text);
	ipam_print_cooling(ipam, SIZE_MAX, &once);
	ipam_read_cooling(again, buf_str(&once));
	ipam_print_cooling(again, SIZE_MAX, &twice);
	if (strcmp(buf_str(&once), buf_str(&twice)) != 0)
		abort();
	ipam_set_time(ipam, INT64_MAX / 2);
	if (ipam_next_cooled(ipam) != INT64_MAX)
		abort();
	ipam_free(ipam);
	ipam_free(again);
	configuration_unref(c);
	free(text);
	return 0;
}
