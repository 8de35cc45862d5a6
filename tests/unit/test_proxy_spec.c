/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of wishes: bounded, sorted, without duplicates, and equal where the wishes are. */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "proxy/spec.h"

static struct addr four(size_t i)
{
	return (struct addr){ .family = 4,
		              .b = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
}

static struct proxy_endpoint *endpoints(size_t n)
{
	struct proxy_endpoint *list = xcalloc(n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = (struct proxy_endpoint){ .addr = four(i), .port = 80 };
	return list;
}

static struct proxy_port *ports(size_t n)
{
	struct proxy_port *list = xcalloc(n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = (struct proxy_port){ .name = "",
			                       .proto = IPPROTO_TCP,
			                       .port = (uint16_t)(1 + i) };
	return list;
}

static struct addr *addrs(size_t n)
{
	struct addr *list = xcalloc(n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = four(i);
	return list;
}

static struct prefix *ranges(size_t n)
{
	struct prefix *list = xcalloc(n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = (struct prefix){ four(i), 32 };
	return list;
}

/* So many of each, and what became of them. */
static struct spec *spec_of(size_t n_ports, size_t n_endpoints, size_t n_vips, size_t n_external,
                            size_t n_ranges)
{
	cleanup_free struct proxy_port *p = ports(n_ports);
	cleanup_free struct proxy_endpoint *e = endpoints(n_endpoints);
	cleanup_free struct addr *vips = addrs(n_vips), *external = addrs(n_external);
	cleanup_free struct prefix *r = ranges(n_ranges);
	const struct proxy_outside outside = { .vips = vips,
		                               .n_vips = (uint32_t)n_vips,
		                               .external_ips = external,
		                               .n_external_ips = (uint32_t)n_external,
		                               .source_ranges = r,
		                               .n_source_ranges = (uint32_t)n_ranges };
	const struct proxy_half half = { .key = "shop/web",
		                         .family = 4,
		                         .outside = &outside,
		                         .ports = p,
		                         .n_ports = (uint32_t)n_ports };

	p[0].cluster = p[0].local = p[0].kept = e;
	p[0].n_cluster = p[0].n_local = p[0].n_kept = (uint32_t)n_endpoints;
	return spec_new(&half);
}

static void a_service_has_bounds(void **state)
{
	(void)state;
	static const size_t max[] = { SPEC_MAX_PORTS, SPEC_MAX_ENDPOINTS, SPEC_MAX_VIPS,
		                      SPEC_MAX_EXTERNAL_IPS, SPEC_MAX_SOURCE_RANGES };

	/* All at their bounds, and each beyond it alone. */
	for (size_t which = 0; which <= ARRAY_LEN(max); which++) {
		size_t n[ARRAY_LEN(max)];
		for (size_t i = 0; i < ARRAY_LEN(max); i++)
			n[i] = max[i] + (i == which);
		struct spec *s = spec_of(n[0], n[1], n[2], n[3], n[4]);
		const struct proxy_outside *o = s->s.outside;
		const size_t got[] = { s->s.n_ports, s->s.ports[0].n_cluster, o->n_vips,
			               o->n_external_ips, o->n_source_ranges };
		assert_int_equal(s->s.ports[0].n_local, SPEC_MAX_ENDPOINTS);
		assert_int_equal(s->s.ports[0].n_kept, SPEC_MAX_ENDPOINTS);
		assert_memory_equal(got, max, sizeof(max));
		assert_int_equal(s->truncated, which < ARRAY_LEN(max));
		spec_unref(s);
	}
}

/* What was built port by port has the bound, too, and tells of it. */
static void lists_of_their_own_have_bounds(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		cleanup_free struct proxy_endpoint *e = endpoints(SPEC_MAX_ENDPOINTS + more);
		struct proxy_port port = { .name = "",
			                   .proto = IPPROTO_TCP,
			                   .port = 80,
			                   .cluster = e,
			                   .n_cluster = (uint32_t)(SPEC_MAX_ENDPOINTS + more) };
		struct proxy_lists *lists = proxy_lists_new(&port, 4);
		const struct proxy_half half = {
			.key = "shop/web", .family = 4, .ports = &port, .n_ports = 1
		};
		proxy_lists_put(lists, &port);
		assert_int_equal(port.n_cluster, SPEC_MAX_ENDPOINTS);
		struct spec *s = spec_new(&half);
		assert_int_equal(s->truncated, more);
		proxy_lists_unref(lists);
		assert_int_equal(s->s.ports[0].n_cluster, SPEC_MAX_ENDPOINTS);
		spec_unref(s);
	}
}

/* In whatever order, however often, and with whatever of the other family. */
static void equal_wishes_are_equal(void **state)
{
	(void)state;
	static const struct addr six = { .family = 6, .b = { 0x20, 1 } };
	const struct proxy_endpoint sorted[] = { { .addr = four(1), .port = 80 },
		                                 { .addr = four(1), .port = 81 },
		                                 { .addr = four(2), .port = 80 } };
	const struct proxy_endpoint mixed[] = { sorted[2], { .addr = six, .port = 80 },
		                                sorted[0], sorted[2],
		                                sorted[1], sorted[0] };
	const struct addr vips[] = { four(1), four(2) },
			  mixed_vips[] = { four(2), six, four(1), four(2) };
	struct proxy_port p[] = {
		{ .name = "", .proto = IPPROTO_TCP, .port = 80, .cluster = sorted, .n_cluster = 3 },
		{ .name = "", .proto = IPPROTO_TCP, .port = 81 },
		{ .name = "", .proto = IPPROTO_UDP, .port = 80 },
	};
	struct proxy_port q[] = { p[2], p[0], p[1] };
	struct proxy_outside o = { .vips = vips, .n_vips = 2 };
	struct proxy_outside u = { .vips = mixed_vips, .n_vips = 4 };
	const struct proxy_half one = {
		.key = "shop/web", .family = 4, .outside = &o, .ports = p, .n_ports = 3
	};
	const struct proxy_half other = {
		.key = "shop/web", .family = 4, .outside = &u, .ports = q, .n_ports = 3
	};

	q[1].cluster = mixed;
	q[1].n_cluster = ARRAY_LEN(mixed);
	struct spec *a = spec_new(&one), *b = spec_new(&other);
	assert_int_equal(b->s.ports[0].n_cluster, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(b->s.ports[i].port, p[i].port);
		assert_true(addr_eq(&b->s.ports[0].cluster[i].addr, &sorted[i].addr));
		assert_int_equal(b->s.ports[0].cluster[i].port, sorted[i].port);
	}
	assert_int_equal(b->s.outside->n_vips, 2);
	assert_true(a->digest == b->digest);
	spec_unref(b);
	q[1].n_cluster--;
	b = spec_new(&other);
	assert_true(a->digest == b->digest); /* the last one was there before */
	spec_unref(b);
	q[1].n_cluster--;
	b = spec_new(&other);
	assert_true(a->digest != b->digest);
	spec_unref(b);
	spec_unref(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_has_bounds),
		cmocka_unit_test(lists_of_their_own_have_bounds),
		cmocka_unit_test(equal_wishes_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
