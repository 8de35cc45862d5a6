/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_IPAM_IPAM_H
#define FAIRLEAD_IPAM_IPAM_H

/* The allocator's inside: pools with their free addresses, and who holds what. */

#include "fairlead/hash.h"
#include "fairlead/ipam.h"
#include "ipam/runs.h"

/* A Service as the holder of one kind of addresses. */
struct ipam_service {
	char *key;
	size_t n, cap;
	struct addr *held; /* those that stand in the object, and those on their way to it */
	UT_hash_handle hh;
};

struct ipam_holding {
	struct addr addr;
	struct ipam_service *service;
	UT_hash_handle hh;
};

struct ipam_pool {
	const struct config_pool *conf;
	struct runs runs[2];
	uint64_t used[2], used_usable[2];
	bool freed[2]; /* since ipam_freed_seen() */
};

struct ipam {
	struct configuration *config;
	struct ipam_pool *pools; /* in the order in which they are tried */
	size_t n_pools;
	size_t *position; /* of each of the configuration's pools in @pools */
	struct ipam_service *services;
	struct ipam_holding *holdings;
	bool tells_holders;
};

/* 0 for IPv4, 1 for IPv6. */
static inline size_t ipam_family_index(uint8_t family)
{
	return family == 4 ? 0 : 1;
}

struct ipam_pool *ipam_pool_of(const struct ipam *ipam, const struct addr *a);
/*
 * In a message about an address that stays though its pool is another than the one asked for, or though something else that is
 * asked for cannot be had; the pool's name follows, as much of it as IPAM_NAME_TEXT says.
 */
#define IPAM_GIVEN_FOR " given for the request for pool "
#define IPAM_NAME_TEXT "%.100s"
/* Names that are longer are told apart by so many bytes: a cut may have spoiled a character at the end. */
#define IPAM_NAME_SAME 96

/* Whether what is asked for is what the condition of this type says that it was honoured. */
void ipam_read_honoured(const struct kube_service *s, const char *type, struct ipam_request *r);
void ipam_read_families(const struct kube_service *s, struct ipam_request *r);
bool ipam_is_our_class(const struct kube_service *s, const char *class);
/* Of a Service that names no pool for external IPs: what there is to take back, and to say of those written by hand. */
void ipam_judge_written(const struct configuration *c, const struct ipam_request *r,
                        struct ipam_decision *out);
const struct ipam_service *ipam_service_find(const struct ipam *ipam, const char *key);
const struct ipam_service *ipam_holder_of(const struct ipam *ipam, const struct addr *a);

#endif
