/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_NFT_WISHES_H
#define FAIRLEAD_TESTS_NFT_WISHES_H

/*
 * Services for the keeper of a table: a handful that have cluster IPs of their own, and claim the
 * same few VIPs, external IPs and node ports.
 */

#include "fairlead/proxy.h"

#define WISHES 6
#define WISH_PORTS 3
#define WISH_ENDPOINTS 40
#define WISH_KEY_SIZE 16

/* Not to be copied: it points into itself. */
struct wish {
	char key[WISH_KEY_SIZE];
	struct proxy_endpoint endpoints[WISH_PORTS][WISH_ENDPOINTS];
	struct proxy_port ports[WISH_PORTS];
	struct addr vips[2], external_ips[1], open[1];
	struct prefix ranges[3];
	struct proxy_outside outside;
	struct proxy_half s;
};

void wish_key(size_t i, char ret[static WISH_KEY_SIZE]);
struct addr wish_cluster_ip(uint8_t family, size_t i);
struct proxy_endpoint wish_endpoint(uint8_t family, size_t i);
/* One TCP port 80 at a cluster IP, and so many endpoints. */
void wish_plain(struct wish *w, size_t i, uint8_t family, size_t n_endpoints);
void wish_add_vip(struct wish *w, size_t which);
void wish_add_range(struct wish *w, size_t which);
/* By chance (virtual_loop.h). */
void wish_random(struct wish *w, size_t i, uint8_t family);

#endif
