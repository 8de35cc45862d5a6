/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_WORLD_H
#define FAIRLEAD_TESTS_WORLD_H

/*
 * Objects for views, written as JSON with single quotes and read by the real parsers.
 */

#include "fairlead/view.h"

/* printf first; then puts a Service, EndpointSlice, Node or ConfigMap into the view; the test fails if it does not parse. */
void world_put(struct view *v, const char *json, ...) __attribute__((format(printf, 2, 3)));
/* A Service of type LoadBalancer in namespace "shop" with address @ip and port 80; @more is added to its spec. */
void world_service(struct view *v, const char *name, const char *ip, const char *more);
/* A slice of "shop"/@service called @name; @endpoints: "10.244.1.2@n1 10.244.2.2@n2!" (!: not ready, ~: terminating). */
void world_slice(struct view *v, const char *service, const char *name, const char *endpoints);
void world_node(struct view *v, const char *name);
/* One layer-2 pool "lan" over 192.0.2.0/24, and one of BGP, "far", over 198.51.100.0/24. */
void world_configuration(struct view *v);
/* How many Services are dirty; they are taken and cleaned. */
size_t world_passes(struct view *v);

#endif
