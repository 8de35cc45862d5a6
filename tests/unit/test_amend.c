/* SPDX-License-Identifier: Apache-2.0 */
/* What a person would edit in a Service so that it asks for another address. */
#include "config.h"

#include "unit.h"

#include <json-c/json.h>

#include "cli/amend.h"
#include "cli_world.h"
#include "fairlead/mem.h"

#define WITH(annotations, spec)                                                                 \
	"{'metadata':{'namespace':'shop','name':'web','uid':'u','resourceVersion':'7','"        \
	"annotations':{" annotations "}},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.1'" \
	",'clusterIPs':['10.96.0.1'],'ports':[{'port':80}]" spec "}}"

static struct kube_service *service(const char *text)
{
	struct json_object *obj = world_parse(text);
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(kube_service_parse(obj, &s, &e), 0);
	json_object_put(obj);
	return s;
}

static void assert_edit(const struct amendment *m, const char *commands, const char *patch)
{
	cleanup(buf_fini) struct buf typed = BUF_INIT, body = BUF_INIT;

	amend_put_commands(m, &typed);
	amend_put_patch(m, &body);
	assert_string_equal(buf_str(&typed), commands);
	assert_string_equal(buf_str(&body), patch);
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void it_asks_for_an_address(void **state)
{
	const struct addr to[] = { addr("192.0.2.1"), addr("2001:db8::1") };
	cleanup(amend_fini) struct amendment m;
	struct kube_service *s = service(WITH("", ""));

	(void)state;
	amend_init(&m, s);
	assert_true(amend_is_empty(&m));
	amend_ask_addresses(&m, to, 2, "lan");
	assert_false(amend_is_empty(&m));
	assert_edit(&m,
	            "kubectl -n shop annotate --overwrite service web "
	            "fairlead.io/addresses=192.0.2.1,2001:db8::1\n",
	            "{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":"
	            "{\"fairlead.io/addresses\":\"192.0.2.1,2001:db8::1\"}}}");
	assert_string_equal(labels_get(&m.service.meta.annotations, "fairlead.io/addresses"),
	                    "192.0.2.1,2001:db8::1");
	assert_null(labels_get(&s->meta.annotations, "fairlead.io/addresses"));
	kube_service_free(s);
}

/* The controller would refuse both together. */
static void what_contradicts_is_taken_away(void **state)
{
	const struct addr to = addr("192.0.2.1");
	cleanup(amend_fini) struct amendment m;
	struct kube_service *s =
		service(WITH("'fairlead.io/address-pool':'edge','metallb.io/address-pool':'lan',"
	                     "'metallb.universe.tf/address-pool':'edge','fairlead.io/drain':'x'",
	                     ",'loadBalancerIP':'192.0.2.9'"));

	(void)state;
	amend_init(&m, s);
	amend_ask_addresses(&m, &to, 1, "lan");
	assert_edit(
		&m,
		"kubectl -n shop patch service web --type merge -p "
		"'{\"spec\":{\"loadBalancerIP\":null}}'\n"
		"kubectl -n shop annotate --overwrite service web "
		"fairlead.io/addresses=192.0.2.1 fairlead.io/address-pool- "
		"metallb.universe.tf/address-pool-\n",
		"{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{"
		"\"fairlead.io/addresses\":\"192.0.2.1\",\"fairlead.io/address-pool\":null,"
		"\"metallb.universe.tf/address-pool\":null}},\"spec\":{\"loadBalancerIP\":null}}");
	assert_null(m.service.load_balancer_ip);
	assert_non_null(s->load_balancer_ip);
	assert_string_equal(labels_get(&m.service.meta.annotations, "metallb.io/address-pool"),
	                    "lan");
	assert_string_equal(labels_get(&m.service.meta.annotations, "fairlead.io/drain"), "x");
	kube_service_free(s);
}

/* Which pool it is of is not known: what is asked for stays, for the controller to judge. */
static void an_address_of_no_pool_takes_no_pool_away(void **state)
{
	const struct addr to = addr("192.0.2.1");
	cleanup(amend_fini) struct amendment m;
	struct kube_service *s = service(WITH("'fairlead.io/address-pool':'edge'", ""));

	(void)state;
	amend_init(&m, s);
	amend_ask_addresses(&m, &to, 1, NULL);
	assert_int_equal(m.set.n, 1);
	kube_service_free(s);
}

static void it_asks_for_a_pool(void **state)
{
	cleanup(amend_fini) struct amendment m;
	struct kube_service *s = service(WITH("'metallb.io/loadBalancerIPs':'192.0.2.9',"
	                                      "'fairlead.io/addresses':'192.0.2.8'",
	                                      ",'loadBalancerIP':'192.0.2.9'"));

	(void)state;
	amend_init(&m, s);
	amend_ask_pool(&m, "it's \"mine\"");
	assert_edit(&m,
	            "kubectl -n shop patch service web --type merge -p "
	            "'{\"spec\":{\"loadBalancerIP\":null}}'\n"
	            "kubectl -n shop annotate --overwrite service web "
	            "'fairlead.io/address-pool=it'\\''s \"mine\"' fairlead.io/addresses- "
	            "metallb.io/loadBalancerIPs-\n",
	            "{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{"
	            "\"fairlead.io/address-pool\":\"it's \\\"mine\\\"\","
	            "\"fairlead.io/addresses\":null,\"metallb.io/loadBalancerIPs\":null}},"
	            "\"spec\":{\"loadBalancerIP\":null}}");
	kube_service_free(s);
}

static void what_is_so_already_is_no_edit(void **state)
{
	const struct addr to = addr("192.0.2.1");
	cleanup(amend_fini) struct amendment m;
	struct kube_service *s = service(WITH("'fairlead.io/addresses':'192.0.2.1',"
	                                      "'fairlead.io/address-pool':'lan'",
	                                      ""));

	(void)state;
	amend_init(&m, s);
	amend_ask_addresses(&m, &to, 1, "lan");
	assert_true(amend_is_empty(&m));
	amend_ask_any(&m);
	assert_edit(&m, "kubectl -n shop annotate --overwrite service web fairlead.io/addresses-\n",
	            "{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":"
	            "{\"fairlead.io/addresses\":null}}}");
	kube_service_free(s);
}

static void only_the_field_is_dropped(void **state)
{
	cleanup(amend_fini) struct amendment m;
	struct kube_service *s = service(WITH("", ",'loadBalancerIP':'192.0.2.9'"));

	(void)state;
	amend_init(&m, s);
	amend_ask_any(&m);
	assert_edit(
		&m,
		"kubectl -n shop patch service web --type merge -p "
		"'{\"spec\":{\"loadBalancerIP\":null}}'\n",
		"{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{\"loadBalancerIP\":null}}");
	kube_service_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_asks_for_an_address),
		cmocka_unit_test(what_contradicts_is_taken_away),
		cmocka_unit_test(an_address_of_no_pool_takes_no_pool_away),
		cmocka_unit_test(it_asks_for_a_pool),
		cmocka_unit_test(what_is_so_already_is_no_edit),
		cmocka_unit_test(only_the_field_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
