/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_WORLD_H
#define FAIRLEAD_TESTS_WORLD_H

/*
 * Objects for views, written as JSON with single quotes and read by the real parsers.
 */

#include "fairlead/view.h"

/*
 * printf first; then puts a Service, EndpointSlice, Node or ConfigMap into the view; the test fails
 * if it does not parse.
 */
void world_put(struct view *v, const char *json, ...) __attribute__((format(printf, 2, 3)));
/*
 * A Service of type LoadBalancer in namespace "shop" with address @ip and port 80; @more is added
 * to its spec.
 */
void world_service(struct view *v, const char *name, const char *ip, const char *more);
/*
 * A slice of "shop"/@service called @name; @endpoints: "10.244.1.2@n1 10.244.2.2@n2!" (!: not
 * ready, ~: terminating).
 */
void world_slice(struct view *v, const char *service, const char *name, const char *endpoints);
void world_node(struct view *v, const char *name);
/*
 * One of type @type whose spec.externalIPs and confirmed record of assigned ones are these, each
 * "A,B" or "".
 */
void world_external(struct view *v, const char *name, const char *type, const char *external_ips,
                    const char *record, const char *more);
/*
 * Pools: "lan" of layer 2 over 192.0.2.0/24 and "far" of BGP over 198.51.100.0/24, both for load
 * balancers; "out" of layer 2 over 100.64.1.0/24 and "away" of BGP over 100.64.2.0/24, for external
 * IPs.  In namespace "shop" 203.0.113.0/25 and the first half of "far" may be written by hand.
 */
void world_configuration(struct view *v);
/* How many Services are dirty; they are taken and cleaned. */
size_t world_passes(struct view *v);

#endif
