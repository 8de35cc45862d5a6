/* SPDX-License-Identifier: Apache-2.0 */
/* What people write into flags, as the backends understand it. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/proxy.h"

/* Every host takes segments of 536 bytes; 9000 is what jumbo frames hold. */
#define CLAMP_MSS_MIN 536
#define CLAMP_MSS_MAX 9000

int proxy_parse_cidrs(const char *option, const char *given,
                      struct prefix ret_cidrs[static PROXY_CIDRS_GIVEN_MAX], size_t *ret_n,
                      struct err *e)
{
	cleanup_free char *copy = xstrdup(given ? given : "");
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (n == PROXY_CIDRS_GIVEN_MAX)
			return err_set(e, -EINVAL, ERR_CONFIG, "%s: at most %d of them", option,
			               PROXY_CIDRS_GIVEN_MAX);
		if (prefix_parse(word, false, &ret_cidrs[n++]) < 0)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "%s: \"%.100s\" is no CIDR; it is like 10.244.0.0/16",
			               option, word);
	}
	*ret_n = n;
	return 0;
}

int proxy_parse_clamp(const char *given, int *ret_bytes, struct err *e)
{
	char *end;

	if (!strcmp(given, "off") || !strcmp(given, "pmtu")) {
		*ret_bytes = *given == 'p' ? PROXY_CLAMP_PMTU : 0;
		return 0;
	}
	unsigned long n = strtoul(given, &end, 10);
	if (*end || n < CLAMP_MSS_MIN || n > CLAMP_MSS_MAX)
		return err_set(
			e, -EINVAL, ERR_CONFIG,
			"--clamp-mss: \"%.100s\" is neither off, pmtu nor a number from %d to %d",
			given, CLAMP_MSS_MIN, CLAMP_MSS_MAX);
	*ret_bytes = (int)n;
	return 0;
}

static bool names_any(const struct proxy_node *n, uint8_t family)
{
	for (size_t i = 0; i < n->n_node_port_cidrs; i++)
		if (n->node_port_cidrs[i].addr.family == family)
			return true;
	return false;
}

void proxy_node_complete(struct proxy_node *n)
{
	static const uint8_t families[] = { 4, 6 };

	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (!names_any(n, families[i]) && n->n_node_port_cidrs < PROXY_CIDRS_MAX)
			n->node_port_cidrs[n->n_node_port_cidrs++] =
				(struct prefix){ .addr.family = families[i] };
}
