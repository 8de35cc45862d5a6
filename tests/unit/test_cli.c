/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "cli_world.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "cli/model.h"
#include "cli/screen.h"
#include "cli/selector.h"
#include "cli/verdict.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

static const struct findings none;

static void print_status(struct model *m, enum out_format format, struct buf *b)
{
	cleanup(out_fini) struct out o;

	out_init(&o, format, b);
	cluster_print(m, &none, &o);
}

static void print_bgp(struct model *m, enum out_format format, struct buf *b)
{
	cleanup(out_fini) struct out o;

	out_init(&o, format, b);
	cluster_bgp_print(m, &none, &o);
}

static void print_pools(struct model *m, enum out_format format, struct buf *b)
{
	cleanup(out_fini) struct out o;

	out_init(&o, format, b);
	cluster_pools_print(m, &none, &o);
}

/* By layer 2 as said, and by BGP yes. */
#define BOTH(name, ip, announce, reason)                                                    \
	"{'namespace':'shop','name':'" name "','addresses':[{'address':'" ip                \
	"','protocol':'bgp','announce':true,'reason':'Announced','message':''},"            \
	"{'address':'" ip "','protocol':'layer2','announce':" announce ",'reason':'" reason \
	"','message':'because','owner':'n1','interface':'eth0','mac':'02:00:00:00:00:01'}]}"
#define TWICE(name, ip, reason)                                                      \
	"{'namespace':'shop','name':'" name "','addresses':[{'address':'" ip         \
	"','protocol':'bgp','announce':false,'reason':'" reason "'},{'address':'" ip \
	"','protocol':'layer2','announce':false,'reason':'" reason "'}]}"

static struct model *small_model(void)
{
	struct model *m = cluster_new();

	cluster_put_leader(m, "host_1", 0);
	world_put_configuration(m, "address-pools: [{name: lan, protocol: layer2, addresses: "
	                           "[192.0.2.240-192.0.2.250]}]");
	world_put_service(m, SERVICE("web", INGRESS("192.0.2.240")));
	world_put_service(m, SERVICE("api", INGRESS("192.0.2.241")));
	world_put_service(m, SERVICE("db",
	                             "'conditions':[{'type':'fairlead.io/AddressAssigned','status':"
	                             "'False','reason':'PoolExhausted','message':'lan is full'}]"));
	world_put_node(m, "n1", "192.0.2.11");
	world_put_node(m, "n2", "192.0.2.12");
	world_put_node(m, "n3", "192.0.2.13");
	world_put_speaker(m, "n1",
	                  SAYS("web", "192.0.2.240", "true",
	                       "Announced") "," SAYS("api", "192.0.2.241", "false", "NoEndpoints"));
	world_put_speaker(m, "n2",
	                  SAYS("web", "192.0.2.240", "false",
	                       "NotOwner") "," SAYS("api", "192.0.2.241", "false", "NoEndpoints"));
	cluster_put_speaker(m, "n3", NULL, "unreachable: timed out");
	return m;
}

static void text_is_aligned(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = small_model();

	assert_false(cluster_is_complete(m));
	print_status(m, OUT_TEXT, &out);
	assert_string_equal(buf_str(&out),
	                    "OK\n"
	                    "\n"
	                    "Controller: leader host_1\n"
	                    "Configuration: generation 3\n"
	                    "\n"
	                    "Pools\n"
	                    "  NAME  PROTOCOLS  TOTAL  USED  FREE  RANGES\n"
	                    "  lan   layer2     11     2     9     192.0.2.240-192.0.2.250\n"
	                    "\n"
	                    "Services\n"
	                    "  SERVICE   ADDRESS      POOL  OWNER  REASON\n"
	                    "  shop/api  192.0.2.241  lan   -      NoEndpoints: because\n"
	                    "  shop/db   -            -     -      PoolExhausted: lan is full\n"
	                    "  shop/web  192.0.2.240  lan   n1     Announced\n"
	                    "\n"
	                    "Nodes\n"
	                    "  NODE  ADDRESS     READY  SPEAKER  API    PEERS   ANNOUNCES\n"
	                    "  n1    192.0.2.11  yes    0.1.0    fresh  1 of 2  1\n"
	                    "  n2    192.0.2.12  yes    0.1.0    fresh  1 of 2  0\n"
	                    "  n3    192.0.2.13  yes    silent   -      -       -\n");
	cluster_free(m);
}

static void problems_of_layer_2_stand_with_the_node(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf json = BUF_INIT;
	struct model *m = cluster_new();

	world_put_node(m, "n1", "192.0.2.11");
	struct json_object *said =
		world_parse("{'l2':{'peers':[],'troubles':[1,{'reason':'SendFailed',"
	                    "'interface':'eth0','message':'it is too large'}]}}");
	cluster_put_speaker(m, "n1", said, NULL);
	json_object_put(said);
	print_status(m, OUT_JSON, &json);
	assert_non_null(strstr(buf_str(&json),
	                       "\"troubles\":[{\"interface\":\"eth0\","
	                       "\"reason\":\"SendFailed\",\"message\":\"it is too large\"}]"));
	cluster_free(m);
}

static void json_says_the_same(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = small_model();

	print_status(m, OUT_JSON, &out);
	struct json_object *all = json_tokener_parse(buf_str(&out));
	assert_non_null(all);
	struct json_object *services = json_object_object_get(all, "services");
	assert_int_equal(json_object_array_length(services), 3);
	struct json_object *web = json_object_array_get_idx(services, 2);
	struct json_object *address =
		json_object_array_get_idx(json_object_object_get(web, "addresses"), 0);
	assert_string_equal(json_object_get_string(json_object_object_get(address, "owner")), "n1");
	assert_string_equal(json_object_get_string(json_object_object_get(address, "reason")),
	                    "Announced");
	assert_int_equal(json_object_array_length(json_object_object_get(address, "nodes")), 2);
	struct json_object *nodes = json_object_object_get(all, "nodes");
	struct json_object *speaker =
		json_object_object_get(json_object_array_get_idx(nodes, 2), "speaker");
	assert_false(json_object_get_boolean(json_object_object_get(speaker, "reachable")));
	json_object_put(all);
	cluster_free(m);
}

#define SESSION                                                                                    \
	"'address':'192.0.2.1','my_asn':64512,'asn':64513,'uptime_ms':93784000,'prefixes_wanted':" \
	"4,'prefixes_sent':3,'resets':2,"

static struct model *model_of_peers(void)
{
	static const char *const answers[] = {
		"{'bgp':{'connected':true,'reason':'Announced','message':'yes','instance':{'asn':64512,"
		"'own':true},'peers':[{'name':'tor-a'," SESSION
		"'state':'Established','established':"
		"true,'last_error':'','reason':'Announced','bfd_profile':'fast','bfd':'Up'},"
		"{'name':'tor-b'," SESSION "'state':'Active','established':false,'last_error':"
		"'the router does not answer','reason':'BgpNoSession'}],"
		"'prefixes':{'wanted':4,'set':4}}}",
		("{'bgp':{'connected':true,'reason':'BgpAsMismatch','message':'bgpd runs 7','instance':"
		 "{'asn':7,'own':false},'peers':[],'prefixes':{'wanted':4,'set':0}}}"),
		("{'bgp':{'connected':false,'reason':'BgpNoPeer','message':'none','peers':["
		 "{'name':'peer-2','address':'192.0.2.1','my_asn':64512,'asn':64513,'state':'Unknown',"
		 "'established':false,'last_error':'peer-1 has it','reason':'BgpPeerRefused'}]}}"),
		"{'bgp':[]}",
	};
	static const char *const names[] = { "n1", "n2", "n3", "n4" };
	struct model *m = cluster_new();

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		world_put_node(m, names[i], "192.0.2.11");
	world_put_node(m, "n5", "192.0.2.15");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct json_object *obj = world_parse(answers[i]);
		cluster_put_speaker(m, names[i], obj, NULL);
		json_object_put(obj);
	}
	cluster_put_speaker(m, "n5", NULL, "unreachable: timed out");
	return m;
}

static void sessions_are_told_by_node(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = model_of_peers();

	print_bgp(m, OUT_TEXT, &out);
	assert_string_equal(
		buf_str(&out),
		"OK\n"
		"\n"
		"Sessions\n"
		"  NODE  PEER    ADDRESS    ASN    STATE        UP    WANTED  SENT  BFD  LAST ERROR\n"
		"  n1    tor-a   192.0.2.1  64513  Established  1d2h  4       3     Up   -\n"
		"  n1    tor-b   192.0.2.1  64513  Active       -     4       3     -    the router does not answer\n"
		"  n3    peer-2  192.0.2.1  64513  Unknown      -     0       0     -    BgpPeerRefused: peer-1 has it\n"
		"\n"
		"Nodes\n"
		"  NODE  ASN    INSTANCE  WANTED  SET  REASON\n"
		"  n1    64512  ours      4       4    Announced\n"
		"  n2    7      others'   4       0    BgpAsMismatch: bgpd runs 7\n"
		"  n3    -      -         0       0    BgpNoPeer: none\n"
		"  n4    -      -         -       -    its speaker says nothing of BGP\n"
		"  n5    -      -         -       -    unreachable: timed out\n");
	cluster_free(m);
}

static void sessions_as_json(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = model_of_peers();

	print_bgp(m, OUT_JSON, &out);
	struct json_object *expected = world_parse(
		"{'verdict':{'level':'OK','findings':[]},'nodes':["
		"{'node':'n1','reachable':true,'connected':true,'reason':'Announced','message':'yes',"
		"'instance':{'asn':64512,'own':true},'prefixes':{'wanted':4,'set':4},'peers':["
		"{'name':'tor-a'," SESSION
		"'state':'Established','established':true,'last_error':'',"
		"'reason':'Announced','bfd':'Up'},{'name':'tor-b'," SESSION "'state':'Active',"
		"'established':false,'last_error':'the router does not answer','reason':"
		"'BgpNoSession'}]},"
		"{'node':'n2','reachable':true,'connected':true,'reason':'BgpAsMismatch','message':"
		"'bgpd runs 7','instance':{'asn':7,'own':false},'prefixes':{'wanted':4,'set':0},"
		"'peers':[]},"
		"{'node':'n3','reachable':true,'connected':false,'reason':'BgpNoPeer','message':'none',"
		"'instance':{'asn':0,'own':false},'prefixes':{'wanted':0,'set':0},'peers':["
		"{'name':'peer-2','address':'192.0.2.1','my_asn':64512,'asn':64513,'state':'Unknown',"
		"'established':false,'uptime_ms':0,'prefixes_wanted':0,'prefixes_sent':0,'resets':0,"
		"'last_error':'peer-1 has it','reason':'BgpPeerRefused'}]},"
		"{'node':'n4','reachable':true,'error':'its speaker says nothing of BGP'},"
		"{'node':'n5','reachable':false,'error':'unreachable: timed out'}]}");
	struct json_object *said = json_tokener_parse(buf_str(&out));
	assert_non_null(said);
	if (!json_object_equal(said, expected))
		fail_msg("%s", buf_str(&out));
	json_object_put(said);
	json_object_put(expected);
	cluster_free(m);
}

static void all_sessions_down_is_a_reason(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = cluster_new();
	struct json_object *obj = world_parse(
		"{'bgp':{'reason':'Announced','message':'yes','peers':[{'state':'Active'}]}}");

	world_put_node(m, "n1", "192.0.2.11");
	cluster_put_speaker(m, "n1", obj, NULL);
	print_bgp(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out),
	                       "BgpNoSession: no BGP session of this node is established\n"));
	json_object_put(obj);
	cluster_free(m);
}

static void uptime_has_two_units(void **state)
{
	(void)state;
	static const struct {
		const char *ms, *text;
	} rows[] = { { "0", " 0ms " },           { "999", " 999ms " },
		     { "1000", " 1s " },         { "61000", " 1m1s " },
		     { "3600000", " 1h0m " },    { "86399999", " 23h59m " },
		     { "864000000", " 10d0h " }, { "-5", " 0ms " } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct model *m = cluster_new();
		cleanup_free char *text =
			xasprintf("{'bgp':{'reason':'Announced','peers':[null,{'established':true,"
		                  "'uptime_ms':%s}]}}",
		                  rows[i].ms);
		struct json_object *obj = world_parse(text);
		world_put_node(m, "n1", "192.0.2.11");
		cluster_put_speaker(m, "n1", obj, NULL);
		print_bgp(m, OUT_TEXT, &out);
		assert_non_null(strstr(buf_str(&out), rows[i].text));
		json_object_put(obj);
		cluster_free(m);
	}
}

#define EXTERNAL(name, type, ip, record)                                                          \
	"{'metadata':{'namespace':'shop','name':'" name "','uid':'u','annotations':{"             \
	"'fairlead.io/external-ips-assigned':'" record "'}},'spec':{'type':'" type                \
	"','clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1'],'externalIPs':['" ip "'],'ports':[" \
	"{'port':80}]},'status':{'conditions':[{'type':'fairlead.io/ExternalIPsAssigned',"        \
	"'status':'True','reason':'Assigned','message':'assigned external IP " record             \
	" from pool out'}]}}"

static void external_ips_are_shown(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = cluster_new();

	world_put_configuration(m,
	                        "address-pools: [{name: out, protocol: layer2, use: external-ip, "
	                        "addresses: [192.0.2.240-192.0.2.250]}]");
	world_put_service(m, EXTERNAL("assigned", "ClusterIP", "192.0.2.240", "192.0.2.240"));
	world_put_service(m, EXTERNAL("denied", "NodePort", "192.0.2.241", ""));
	world_put_service(m, EXTERNAL("lb", "LoadBalancer", "192.0.2.242", "192.0.2.242"));
	world_put_service(m, "{'metadata':{'namespace':'shop','name':'inner','uid':'u'},'spec':{"
	                     "'type':'ClusterIP','clusterIP':'10.96.0.1','ports':[{'port':80}]}}");
	world_put_service(
		m, "{'metadata':{'namespace':'shop','name':'refused','uid':'u','annotations':{"
		   "'fairlead.io/external-ips':'out'}},'spec':{'type':'ClusterIP','clusterIP':"
		   "'10.96.0.1','ports':[{'port':80}]},'status':{'conditions':[{'type':"
		   "'fairlead.io/ExternalIPsAssigned','status':'False','reason':"
		   "'ExternalIpsRefused','message':'not here'}]}}");
	world_put_node(m, "n1", "192.0.2.11");
	world_put_speaker(m, "n1",
	                  SAYS("assigned", "192.0.2.240", "true", "Announced") "," SAYS(
				  "denied", "192.0.2.241", "false", "ExternalIpNotAllowed"));
	print_status(m, OUT_WIDE, &out);
	assert_non_null(strstr(
		buf_str(&out),
		"  out   layer2     external-ip  11    11     2     9     "
		"192.0.2.243-192.0.2.250  shop 2      192.0.2.240-192.0.2.250\n"
		"\n"
		"Services\n"
		"  SERVICE        ADDRESS      KIND                     POOL  OWNER  CANDIDATES  "
		"REASON\n"
		"  shop/assigned  192.0.2.240  external-ip-assigned     out   n1     n1          "
		"Announced\n"
		"  shop/denied    192.0.2.241  external-ip-handwritten  out   -      -           "
		"ExternalIpNotAllowed: because\n"
		"  shop/lb        -            -                        -     -      -           no address "
		"yet\n"
		"  shop/lb        192.0.2.242  external-ip-assigned     out   -      -           no speaker "
		"knows of it\n"
		"  shop/refused   -            external-ip              -     -      -           "
		"ExternalIpsRefused: not here\n"));
	cluster_free(m);
}

/* A Service with an address, and so many nodes. */
static struct model *web_on(int n)
{
	static const char *const nodes[][2] = { { "n1", "192.0.2.11" },
		                                { "n2", "192.0.2.12" },
		                                { "n3", "192.0.2.13" } };
	struct model *m = cluster_new();

	world_put_service(m, SERVICE("web", INGRESS("192.0.2.240")));
	for (int i = 0; i < n; i++)
		world_put_node(m, nodes[i][0], nodes[i][1]);
	return m;
}

static void differing_reasons_name_their_nodes(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = web_on(3);

	world_put_speaker(m, "n1", SAYS("web", "192.0.2.240", "false", "NodeExcluded"));
	world_put_speaker(m, "n2", SAYS("web", "192.0.2.240", "false", "NoLocalEndpoint"));
	world_put_speaker(m, "n3", SAYS("web", "192.0.2.240", "false", "NoLocalEndpoint"));
	assert_true(cluster_is_complete(m));
	print_status(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out), "NodeExcluded on n1; NoLocalEndpoint on n2, n3\n"));
	assert_non_null(strstr(buf_str(&out), "nobody leads"));
	assert_non_null(strstr(buf_str(&out), "none was published yet"));
	cluster_free(m);
}

static void two_owners_are_both_named(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = web_on(2);

	world_put_speaker(m, "n1", SAYS("web", "192.0.2.240", "true", "Announced"));
	world_put_speaker(m, "n2", SAYS("web", "192.0.2.240", "true", "Announced"));
	print_status(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out), "  n1,n2  Announced\n"));
	cluster_free(m);
}

/* Speakers answer in any order, and of a pool of both protocols each says two things. */
static void both_protocols_are_told_in_order(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = web_on(3);

	world_put_speaker(m, "n3", BOTH("web", "192.0.2.240", "true", "Announced"));
	world_put_speaker(m, "n2", BOTH("web", "192.0.2.240", "false", "NotOwner"));
	world_put_speaker(m, "n1", BOTH("web", "192.0.2.240", "false", "NotOwner"));
	print_status(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out), "  n3 (layer2) n1,n2+1 (bgp)  Announced\n"));
	assert_non_null(strstr(buf_str(&out), " 1 of 2  1\n  n2"));
	buf_clear(&out);
	print_status(m, OUT_JSON, &out);
	assert_non_null(strstr(
		buf_str(&out),
		"\"owner\":\"n3\",\"interface\":\"eth0\",\"mac\":\"02:00:00:00:00:01\",\"candidates\":["
		"\"n1\",\"n2\",\"n3\"],\"reason\":\"Announced\",\"nodes\":[{\"node\":\"n1\",\"protocol\":\"layer2\",\"announce\":false,"
		"\"reason\":\"NotOwner\",\"message\":\"because\"},{\"node\":\"n1\",\"protocol\":\"bgp\","
		"\"announce\":true,"));
	cluster_free(m);
}

static void reasons_of_both_protocols_name_a_node_once(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = web_on(2);

	world_put_speaker(m, "n2", TWICE("web", "192.0.2.240", "NoLocalEndpoint"));
	world_put_speaker(m, "n1", TWICE("web", "192.0.2.240", "NodeExcluded"));
	print_status(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out), "NodeExcluded on n1; NoLocalEndpoint on n2\n"));
	cluster_free(m);
}

static void retained_addresses_are_listed(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf text = BUF_INIT, pools = BUF_INIT, json = BUF_INIT;
	struct model *m = cluster_new();

	world_put_configuration(
		m, "address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.240/32]}]',"
		   "'retained':'- {name: old, protocol: layer2, addresses: [192.0.2.9/32]}");
	world_put_service(m, SERVICE("api", INGRESS("192.0.2.240")));
	world_put_service(m, SERVICE("web", INGRESS("192.0.2.9")));
	print_status(m, OUT_TEXT, &text);
	assert_non_null(strstr(buf_str(&text), "\nRetained: in use, and in no pool any more\n"
	                                       "  ADDRESS    FORMER POOL  SERVICE\n"
	                                       "  192.0.2.9  old          shop/web\n"
	                                       "\nServices\n"));
	assert_non_null(strstr(buf_str(&text), "  shop/api  192.0.2.240  lan                "));
	assert_non_null(strstr(buf_str(&text), "  shop/web  192.0.2.9    retained from old  "));
	print_pools(m, OUT_TEXT, &pools);
	assert_non_null(strstr(buf_str(&pools), "\n  192.0.2.9  old          shop/web\n"));
	assert_null(strstr(buf_str(&pools), "shop/api"));
	print_status(m, OUT_JSON, &json);
	assert_non_null(strstr(buf_str(&json),
	                       "\"retained\":[{\"address\":\"192.0.2.9\",\"pool\":\"old\","
	                       "\"service\":\"shop/web\"}],"));
	cluster_free(m);
}

static void a_published_configuration_that_does_not_parse_is_told(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = cluster_new();

	world_put_configuration(m, "peers: 1");
	print_status(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out), "Configuration: line 1: peers: "));
	assert_null(strstr(buf_str(&out), "none was published"));
	cluster_free(m);
}

static void another_class_is_named(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct model *m = cluster_new();

	world_put_service(m,
	                  "{'metadata':{'namespace':'shop','name':'web','uid':'u'},'spec':{'type':"
	                  "'LoadBalancer','clusterIP':'10.96.0.1','loadBalancerClass':'x.io/y',"
	                  "'ports':[{'port':80}]}}");
	print_status(m, OUT_TEXT, &out);
	assert_non_null(strstr(buf_str(&out), "no address yet: of load balancer class x.io/y\n"));
	cluster_free(m);
}

/* Names as long as they come in small clusters; what is longer is in -o wide. */
static void a_small_cluster_fits_100_columns(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf services = BUF_INIT, out = BUF_INIT;
	cleanup(findings_fini) struct findings f = { .items = NULL };
	cleanup(out_fini) struct out o;
	struct model *m = cluster_new();
	size_t n_lines = 0;

	cluster_put_leader(m, "fairlead-controller-5c9f7d6b8-x2x7k", 0);
	world_put_configuration(m,
	                        "address-pools: [{name: production, protocol: layer2, addresses: "
	                        "[192.168.100.0/24, 192.168.101.10-192.168.101.20]}]");
	for (int i = 0; i < 30; i++) {
		cleanup_free char *service = xasprintf(
			SERVICE("frontend-%02d-web", INGRESS("192.168.100.%d")), i, 100 + i);
		world_put_service(m, service);
		buf_printf(&services,
		           "%s" SAYS("frontend-%02d-web", "192.168.100.%d", "%s", "NoEndpoints"),
		           i ? "," : "", i, 100 + i, i % 3 ? "true" : "false");
	}
	for (int i = 1; i <= 3; i++) {
		cleanup_free char *name = xasprintf("worker-node-%d", i);
		world_put_node(m, name, "192.168.100.1");
		world_put_speaker(m, name, buf_str(&services));
	}
	verdict_find(m, VERDICT_SERVICES, &f);
	out_init(&o, OUT_TEXT, &out);
	o.width = OUT_WIDTH;
	cluster_print(m, &f, &o);
	for (const char *line = buf_str(&out), *end; *line; line = end + 1, n_lines++) {
		size_t wide = 0;
		end = strchr(line, '\n');
		for (const char *c = line; c < end; c++)
			wide += ((unsigned char)*c & 0xc0) != 0x80;
		if (wide > OUT_WIDTH)
			fail_msg("%zu columns: %.*s", wide, (int)(end - line), line);
	}
	assert_true(n_lines > 40);
	cluster_free(m);
}

static void services_are_shown_as_asked(void **state)
{
	(void)state;
	static const struct {
		const char *namespace, *selector, *names;
	} rows[] = {
		{ NULL, NULL, "shop/api\nshop/db\nshop/web\n" },
		{ "shop", NULL, "shop/api\nshop/db\nshop/web\n" },
		{ "other", NULL, "" },
		{ NULL, "app", "" },
		{ NULL, "!app", "shop/api\nshop/db\nshop/web\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		cleanup(label_selector_fini) struct label_selector sel = { .n = 0 };
		struct model *m = small_model();
		struct err e = ERR_INIT;
		if (rows[i].selector)
			assert_int_equal(selector_parse(rows[i].selector, &sel, &e), 0);
		cluster_show_only(m, rows[i].namespace, &sel);
		print_status(m, OUT_NAME, &out);
		assert_string_equal(buf_str(&out), rows[i].names);
		cluster_free(m);
	}
}

/* Whether each matches app=web, tier=front. */
static void selectors_are_those_of_kubectl(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int matches; /* -1: it is no selector */
	} rows[] = {
		{ "app=web", 1 },
		{ "app==web", 1 },
		{ " app = web , tier = front ", 1 },
		{ "app=web,tier=back", 0 },
		{ "app!=web", 0 },
		{ "app!=other", 1 },
		{ "gone!=x", 1 },
		{ "app", 1 },
		{ "gone", 0 },
		{ "!app", 0 },
		{ "! gone", 1 },
		{ "app in (a,web)", 1 },
		{ "app in ( a , b )", 0 },
		{ "app notin (a,b),tier", 1 },
		{ "app notin (web)", 0 },
		{ "app=", 0 },
		{ "", -1 },
		{ ",", -1 },
		{ "app=web,", -1 },
		{ "=web", -1 },
		{ "app in web", -1 },
		{ "app in (web", -1 },
		{ "app web", -1 },
		{ "!app=web", -1 },
		{ "app=web)", -1 },
	};
	struct label kvs[] = { { (char[]){ "app" }, (char[]){ "web" } },
		               { (char[]){ "tier" }, (char[]){ "front" } } };
	const struct labels labels = { .kvs = kvs, .n = 2 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct label_selector sel = { .n = 0 };
		struct err e = ERR_INIT;
		int r = selector_parse(rows[i].text, &sel, &e);
		int matches = r < 0 ? -1 : label_selector_matches(&sel, &labels);
		if (matches != rows[i].matches)
			fail_msg("%s: %d", rows[i].text, matches);
		assert_int_equal(r < 0, e.blame != ERR_NONE);
		label_selector_fini(&sel);
	}
}

static void a_screen_is_drawn_over(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t rows, columns;
		const char *drawn;
	} cases[] = {
		{ "a\nb\n", 0, 0, "\033[Ha\033[K\nb\033[K\n\033[J" },
		{ "a\nb\n", 3, 80, "\033[Ha\033[K\nb\033[K\n\033[J" },
		{ "a\nb\nc\n", 3, 80, "\033[Ha\033[K\nb\033[K\n… 1 more lines\033[K\033[J" },
		{ "a\n", 1, 80, "\033[H… 1 more lines\033[K\033[J" },
		{ "", 5, 80, "\033[H\033[J" },
		/* A line that is longer than a row takes several. */
		{ "a b c\nd\ne\n", 4, 4, "\033[Ha b c\033[K\nd\033[K\n… 1 more lines\033[K\033[J" },
		{ "a b c\n\nd\n", 5, 4, "\033[Ha b c\033[K\n\033[K\nd\033[K\n\033[J" },
		{ "a b c\n", 2, 4, "\033[H… 1 more lines\033[K\033[J" },
		/* What fills its row leaves nothing to erase; colours have no width. */
		{ "abcd\n\033[32m….OK\033[0m\n", 3, 4, "\033[Habcd\n\033[32m….OK\033[0m\n\033[J" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		screen_draw(cases[i].text, cases[i].rows, cases[i].columns, &out);
		assert_string_equal(buf_str(&out), cases[i].drawn);
	}
}

static void nonsense_from_a_speaker_is_left_out(void **state)
{
	(void)state;
	static const char *const nonsense[] = {
		"{}",
		"{'services':7,'l2':[],'config':'x','proxy':1,'api':null}",
		"{'services':[1,null,{},{'namespace':'shop'},{'namespace':'shop','name':'web',"
		"'addresses':[null,{},{'address':'x'},{'address':'192.0.2.9'}]}],"
		"'l2':{'peers':[1,null]}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct model *m = cluster_new();
		struct json_object *obj = world_parse(nonsense[i]);
		world_put_service(m, SERVICE("web", INGRESS("192.0.2.240")));
		world_put_node(m, "n1", "192.0.2.11");
		cluster_put_speaker(m, "n1", obj, NULL);
		cluster_put_speaker(m, "nobody", obj, NULL);
		print_status(m, OUT_TEXT, &out);
		assert_non_null(strstr(buf_str(&out), "no speaker knows of it"));
		cluster_free(m);
		json_object_put(obj);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_aligned),
		cmocka_unit_test(problems_of_layer_2_stand_with_the_node),
		cmocka_unit_test(json_says_the_same),
		cmocka_unit_test(sessions_are_told_by_node),
		cmocka_unit_test(sessions_as_json),
		cmocka_unit_test(all_sessions_down_is_a_reason),
		cmocka_unit_test(uptime_has_two_units),
		cmocka_unit_test(external_ips_are_shown),
		cmocka_unit_test(differing_reasons_name_their_nodes),
		cmocka_unit_test(two_owners_are_both_named),
		cmocka_unit_test(another_class_is_named),
		cmocka_unit_test(both_protocols_are_told_in_order),
		cmocka_unit_test(reasons_of_both_protocols_name_a_node_once),
		cmocka_unit_test(retained_addresses_are_listed),
		cmocka_unit_test(a_published_configuration_that_does_not_parse_is_told),
		cmocka_unit_test(a_small_cluster_fits_100_columns),
		cmocka_unit_test(services_are_shown_as_asked),
		cmocka_unit_test(selectors_are_those_of_kubectl),
		cmocka_unit_test(a_screen_is_drawn_over),
		cmocka_unit_test(nonsense_from_a_speaker_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
