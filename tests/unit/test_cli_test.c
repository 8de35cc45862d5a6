/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairlead test` makes of what it is told, what it asks, and the objects that it makes. */
#include "config.h"

#include "unit.h"

#include "cli_world.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/test_cluster.h"
#include "cli/test_judge.h"
#include "cli/test_neighbour.h"
#include "cli/test_objects.h"
#include "cli/test_probe.h"
#include "cli/test_world.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

/* ---- worlds ---- */

static struct addr ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void put_node(struct test_world *w, const char *name, const char *address, const char *pods)
{
	cleanup_free char *text = xasprintf(
		"{'metadata':{'name':'%s','uid':'u'},'spec':{'podCIDRs':['%s']},'status':{"
		"'conditions':[{'type':'Ready','status':'True'}],'addresses':[{'type':"
		"'InternalIP','address':'%s'}]}}",
		name, pods, address);
	struct json_object *obj = world_parse(text);
	struct kube_node *n = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(kube_node_parse(obj, &n, &e), 0);
	test_world_put_node(w, n);
	kube_node_free(n);
	json_object_put(obj);
}

static void put_labelled_node(struct test_world *w, const char *name, const char *labels)
{
	cleanup_free char *text = xasprintf("{'metadata':{'name':'%s','uid':'u','labels':{%s}},"
	                                    "'status':{'conditions':[{'type':'Ready',"
	                                    "'status':'True'}]}}",
	                                    name, labels);
	struct json_object *obj = world_parse(text);
	struct kube_node *n = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(kube_node_parse(obj, &n, &e), 0);
	test_world_put_node(w, n);
	kube_node_free(n);
	json_object_put(obj);
}

static void put_service(struct test_world *w, const char *policy, const char *status)
{
	cleanup_free char *text =
		xasprintf("{'metadata':{'namespace':'t','name':'echo','uid':'u'},'spec':{'type':"
	                  "'LoadBalancer','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	                  "'externalTrafficPolicy':'%s','ports':[{'port':80,'nodePort':30080}]},"
	                  "'status':{%s}}",
	                  policy, status);
	struct json_object *obj = world_parse(text);
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(kube_service_parse(obj, &s, &e), 0);
	test_world_put_service(w, s);
	kube_service_free(s);
	json_object_put(obj);
}

static void put_pod(struct test_world *w, const char *component, const char *node,
                    const char *status)
{
	cleanup_free char *text =
		xasprintf("{'metadata':{'name':'p','labels':{'app.kubernetes.io/component':'%s'}},"
	                  "'spec':{%s%s%s},'status':{%s}}",
	                  component, *node ? "'nodeName':'" : "", node, *node ? "'" : "", status);
	struct json_object *obj = world_parse(text);

	test_world_put_pod(w, obj);
	json_object_put(obj);
}

/* What a speaker says of the address, with the entries of its list. */
static void put_says(struct test_world *w, const char *node, const char *entries)
{
	cleanup_free char *text = xasprintf(
		"{'services':[{'namespace':'u','name':'echo','addresses':[{'address':'192.0.2.9',"
		"'announce':true}]},{'namespace':'t','name':'echo','addresses':[{'address':"
		"'198.51.100.1','announce':true},%s]}]}",
		entries);
	struct json_object *obj = world_parse(text);

	test_world_put_speaker(w, node, obj, NULL);
	json_object_put(obj);
}

#define VIP "192.0.2.9"
#define SAY(protocol, announce, reason)                                                            \
	"{'address':'" VIP "','protocol':'" protocol "','announce':" announce ",'reason':'" reason \
	"','message':'because','mac':'02:00:00:00:00:01'}"
#define OWNS SAY("layer2", "true", "Announced")
#define WAITS SAY("layer2", "false", "NotOwner")
#define READY "'conditions':[{'type':'Ready','status':'True'}]"

/* Three nodes, of which the first owns the address and the second has the echo. */
static struct test_world *well(const char *policy)
{
	struct test_world *w = xcalloc(1, sizeof(*w));

	put_node(w, "n1", "10.0.0.1", "10.244.1.0/24");
	put_node(w, "n2", "10.0.0.2", "10.244.2.0/24");
	put_node(w, "n3", "10.0.0.3", "10.244.3.0/24");
	test_world_choose_peers(w);
	put_service(w, policy, INGRESS(VIP));
	put_pod(w, "echo", "n2", READY);
	put_says(w, "n1", OWNS);
	put_says(w, "n2", WAITS);
	put_says(w, "n3", WAITS);
	return w;
}

static void end(struct test_world *w)
{
	test_world_fini(w);
	free(w);
}

#define assert_judged(call, result, words)                   \
	do {                                                 \
		cleanup(buf_fini) struct buf why = BUF_INIT; \
		enum test_result judged = (call);            \
		assert_string_equal(buf_str(&why), (words)); \
		assert_int_equal(judged, (result));          \
	} while (0)

/* ---- what the API and the speakers say ---- */

static void an_address_or_why_there_is_none(void **state)
{
	(void)state;
	struct test_world w = { .n_nodes = 0 };

	put_service(&w, "Cluster", INGRESS(VIP));
	assert_judged(test_judge_address(&w, &why), TEST_OK, VIP);
	put_service(&w, "Cluster", "");
	assert_judged(test_judge_address(&w, &why), TEST_FAILED,
	              "none, and no condition says why: does a controller lead, and handle this "
	              "load balancer class? `fairlead status` tells");
	put_service(&w, "Cluster",
	            "'conditions':[{'type':'fairlead.io/AddressAssigned','status':'False',"
	            "'reason':'NoSuchPool','message':'no pool x'}]");
	assert_judged(test_judge_address(&w, &why), TEST_FAILED,
	              "none: NoSuchPool: no pool x. Correct the annotation, or add the pool.");
	put_service(&w, "Cluster",
	            "'conditions':[{'type':'fairlead.io/AddressAssigned','status':'False',"
	            "'reason':'OfAnotherVersion','message':'so it is'}]");
	assert_judged(test_judge_address(&w, &why), TEST_FAILED,
	              "none: OfAnotherVersion: so it is");
	test_world_fini(&w);
}

static void speakers_that_are_silent_are_named(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");

	assert_judged(test_judge_speakers(w, &why), TEST_OK, "3 nodes, each answers");
	test_world_put_speaker(w, "n3", NULL, "unreachable: timed out");
	assert_judged(test_judge_speakers(w, &why), TEST_FAILED, "n3: unreachable: timed out");
	end(w);
	struct test_world none = { .n_nodes = 0 };
	assert_judged(test_judge_speakers(&none, &why), TEST_FAILED, "no Node is Ready");
}

static void of_many_some_are_named(void **state)
{
	(void)state;
	struct test_world w = { .n_nodes = 0 };

	for (size_t i = 1; i <= 7; i++) {
		cleanup_free char *name = xasprintf("n%zu", i);
		put_node(&w, name, "10.0.0.1", "10.244.1.0/24");
	}
	assert_judged(test_judge_speakers(&w, &why), TEST_FAILED,
	              "n1: not asked, n2: not asked, n3: not asked, n4: not asked, n5: not asked "
	              "and 2 more");
	test_world_fini(&w);
}

/* One whose label keeps it from announcing, and one of another system. */
static void nodes_that_need_no_speaker(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");

	put_labelled_node(w, "edge",
	                  "'node.kubernetes.io/exclude-from-external-load-balancers':''");
	put_labelled_node(w, "win", "'kubernetes.io/os':'windows'");
	test_world_choose_peers(w);
	test_world_put_speaker(w, "edge", NULL, "unreachable: refused");
	assert_judged(test_judge_speakers(w, &why), TEST_OK,
	              "3 nodes, each answers; 2 without, which need none");
	assert_true(test_world_node(w, "edge")->is_peer);
	assert_false(test_world_node(w, "win")->is_peer);
	test_world_put_speaker(w, "n1", NULL, "unreachable: refused");
	assert_judged(test_judge_speakers(w, &why), TEST_FAILED, "n1: unreachable: refused");
	end(w);
	struct test_world alone = { .n_nodes = 0 };
	put_labelled_node(&alone, "win", "'kubernetes.io/os':'windows'");
	assert_judged(test_judge_speakers(&alone, &why), TEST_FAILED,
	              "none answers, and no Node is meant to have one");
	test_world_fini(&alone);
}

static void the_echo_runs_or_why_not(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct json_object *deployment = world_parse(
		"{'status':{'conditions':[{'type':'ReplicaFailure','status':'True','reason':"
		"'FailedCreate','message':'quota'}]}}");

	assert_judged(test_judge_echo(w, &why), TEST_OK, "on n2");
	test_world_clear_echo(w);
	assert_judged(test_judge_echo(w, &why), TEST_FAILED,
	              "no Pod was made; does kube-controller-manager run?");
	test_world_put_deployment(w, deployment);
	assert_judged(test_judge_echo(w, &why), TEST_FAILED,
	              "no Pod was made: FailedCreate: quota");
	put_pod(w, "echo", "",
	        "'conditions':[{'type':'PodScheduled','status':'False','reason':'Unschedulable',"
	        "'message':'0/3 nodes'}]");
	assert_judged(test_judge_echo(w, &why), TEST_FAILED,
	              "Pod p is on no node: Unschedulable: 0/3 nodes");
	test_world_clear_echo(w);
	put_pod(w, "echo", "n2",
	        "'containerStatuses':[{'name':'fairlead-test','state':{'waiting':{'reason':'ImagePullBackOff',"
	        "'message':'no such image'}}}]");
	assert_judged(test_judge_echo(w, &why), TEST_FAILED,
	              "Pod p on n2 is not ready: ImagePullBackOff: no such image");
	json_object_put(deployment);
	end(w);
}

static void the_echo_has_to_be_where_the_address_may_be_announced(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	cleanup(buf_fini) struct buf patch = BUF_INIT;

	assert_true(test_world_is_well_placed(w));
	assert_judged(test_judge_echo(w, &why), TEST_OK, "on n2");
	put_says(w, "n2", SAY("layer2", "false", "NodeDrained"));
	assert_false(test_world_is_well_placed(w));
	assert_judged(test_judge_echo(w, &why), TEST_FAILED,
	              "Pod p stays on n2, which may not announce the address");
	test_objects_move(w, &patch);
	assert_non_null(strstr(buf_str(&patch), "\"values\":[\"n1\"]"));
	assert_non_null(strstr(buf_str(&patch), "\"values\":[\"n3\"]"));
	assert_null(strstr(buf_str(&patch), "n2"));
	struct json_object *obj = json_tokener_parse(buf_str(&patch));
	assert_non_null(obj);
	json_object_put(obj);
	test_world_clear_echo(w);
	put_pod(w, "echo", "n3", READY);
	assert_judged(test_judge_echo(w, &why), TEST_OK, "on n3");
	end(w);
}

/* While it moves, that which is ready counts, and not one that goes. */
static void of_two_echoes_the_ready_one_counts(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct json_object *goes = world_parse(
		"{'metadata':{'name':'q','deletionTimestamp':'2026-01-01T00:00:00Z','labels':{"
		"'app.kubernetes.io/component':'echo'}},'spec':{'nodeName':'n3'},'status':{" READY
		"}}");

	put_pod(w, "echo", "n1", "");
	assert_judged(test_judge_echo(w, &why), TEST_OK, "on n2");
	test_world_put_pod(w, goes);
	assert_judged(test_judge_echo(w, &why), TEST_OK, "on n2");
	test_world_clear_echo(w);
	assert_false(w->echo_ready);
	put_pod(w, "echo", "n1", "");
	put_pod(w, "echo", "n3", READY);
	assert_judged(test_judge_echo(w, &why), TEST_OK, "on n3");
	json_object_put(goes);
	end(w);
}

/* They neither ask nor are asked, and what they may announce is not to be counted on. */
static void nodes_that_are_not_ready_are_left_out(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");

	w->nodes[0].ready = false;
	test_world_choose_peers(w);
	assert_int_equal(test_world_peers(w), 2);
	assert_false(w->nodes[0].is_peer);
	put_says(w, "n2", SAY("layer2", "false", "NodeDrained"));
	assert_false(test_world_is_well_placed(w));
	assert_false(w->nodes[0].is_place);
	assert_true(w->nodes[2].is_place);
	put_says(w, "n3", SAY("layer2", "false", "NodeDrained"));
	assert_false(test_world_is_announceable(w));
	end(w);
}

static void so_many_nodes_ask_at_most(void **state)
{
	(void)state;
	struct test_world w = { .n_nodes = 0 };

	for (size_t i = 0; i <= TEST_NODES_MAX; i++)
		put_node(&w, "n", "10.0.0.1", "10.244.1.0/24");
	test_world_choose_peers(&w);
	assert_int_equal(test_world_peers(&w), TEST_NODES_MAX);
	test_world_fini(&w);
}

static void one_node_announces_by_layer_2(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");

	assert_judged(test_judge_announced(w, &why), TEST_OK, "by layer 2: n1");
	put_says(w, "n3", OWNS);
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by layer 2: n1, n3; by layer 2 it should be one");
	put_says(w, "n3", SAY("layer2", "false", "RulesRefused"));
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by layer 2: n1; but n3: RulesRefused: because");
	put_says(w, "n3", SAY("layer2", "false", "NodeExcluded"));
	assert_judged(test_judge_announced(w, &why), TEST_OK, "by layer 2: n1");
	end(w);
}

static void nobody_announces(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct json_object *empty = world_parse("{'services':[]}");

	put_says(w, "n1", SAY("layer2", "false", "NodeExcluded"));
	put_says(w, "n2", SAY("layer2", "false", "AddressInUse"));
	assert_true(test_world_is_announceable(w));
	put_says(w, "n3", SAY("layer2", "false", "NodeExcluded"));
	assert_false(test_world_is_announceable(w));
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by nobody: n2: AddressInUse: because");
	put_says(w, "n2", SAY("layer2", "false", "NodeCordoned"));
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by nobody: n1: NodeExcluded: because, n2: NodeCordoned: because, "
	              "n3: NodeExcluded: because");
	test_world_put_speaker(w, "n2", empty, NULL);
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by nobody: n2: its speaker does not know the address");
	test_world_clear_says(w);
	assert_judged(test_judge_announced(w, &why), TEST_FAILED, "by nobody; no speaker answers");
	json_object_put(empty);
	end(w);
}

static void every_node_announces_by_bgp(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");

	put_says(w, "n1", SAY("bgp", "true", "Announced"));
	put_says(w, "n2", SAY("bgp", "true", "Announced"));
	put_says(w, "n3", SAY("bgp", "false", "BgpNoPeer"));
	assert_judged(test_judge_announced(w, &why), TEST_OK, "by BGP: n1, n2");
	put_says(w, "n3", SAY("bgp", "false", "BgpNoSession"));
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by BGP: n1, n2; but n3: BgpNoSession: because");
	end(w);
}

static void policy_local_is_announced_where_the_endpoint_is(void **state)
{
	(void)state;
	struct test_world *w = well("Local");

	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by layer 2: n1; without an endpoint: n1");
	put_says(w, "n1", SAY("layer2", "false", "NoLocalEndpoint"));
	put_says(w, "n2", OWNS);
	put_says(w, "n3", SAY("layer2", "false", "NoLocalEndpoint"));
	assert_judged(test_judge_announced(w, &why), TEST_OK, "by layer 2: n2");
	put_says(w, "n2", SAY("layer2", "false", "NoLocalEndpoint"));
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "by nobody: n2: NoLocalEndpoint: because");
	end(w);
}

/* ---- ARP and neighbour discovery ---- */

#define VIP6 "2001:db8::40"
#define OTHER_MAC "02:00:00:00:00:07"

static void put_neighbour(struct nl_cache *cache, int interface, const char *address, int state,
                          const char *mac)
{
	struct rtnl_neigh *n = rtnl_neigh_alloc();
	struct nl_addr *dst, *at;
	const struct addr a = ip(address);

	assert_int_equal(nl_addr_parse(address, AF_UNSPEC, &dst), 0);
	rtnl_neigh_set_family(n, a.family == 6 ? AF_INET6 : AF_INET);
	rtnl_neigh_set_ifindex(n, interface);
	rtnl_neigh_set_dst(n, dst);
	rtnl_neigh_set_state(n, state);
	nl_addr_put(dst);
	if (mac) {
		assert_int_equal(nl_addr_parse(mac, AF_LLC, &at), 0);
		rtnl_neigh_set_lladdr(n, at);
		nl_addr_put(at);
	}
	assert_int_equal(nl_cache_add(cache, OBJ_CAST(n)), 0);
	rtnl_neigh_put(n);
}

static void whom_the_kernel_has_found(void **state)
{
	(void)state;
	static const struct {
		const char *what, *address;
		int state, state_elsewhere; /* of what another interface has; 0: nothing */
		const char *mac;
		bool there, complete;
	} cases[] = {
		{ "it answers", VIP, NUD_REACHABLE, 0, OTHER_MAC, true, true },
		{ "by IPv6", VIP6, NUD_REACHABLE, 0, OTHER_MAC, true, true },
		{ "a while ago", VIP6, NUD_STALE, 0, OTHER_MAC, true, true },
		{ "written by hand", VIP, NUD_PERMANENT, 0, OTHER_MAC, true, true },
		{ "not yet", VIP6, NUD_INCOMPLETE, 0, NULL, true, false },
		{ "not in time", VIP, NUD_FAILED, 0, NULL, true, false },
		{ "not here", VIP6, NUD_FAILED, NUD_DELAY, OTHER_MAC, true, true },
		{ "not there", VIP6, NUD_DELAY, NUD_FAILED, OTHER_MAC, true, true },
		{ "nobody is asked", VIP6, NUD_NOARP, 0, OTHER_MAC, false, false },
		{ "nobody was asked", VIP, NUD_NONE, 0, NULL, false, false },
		{ "of another address", "192.0.2.99", NUD_REACHABLE, 0, OTHER_MAC, false, false },
		{ "of another one of IPv6", "2001:db8::41", NUD_STALE, 0, OTHER_MAC, false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nl_cache *cache;
		assert_int_equal(nl_cache_alloc_name("route/neigh", &cache), 0);
		put_neighbour(cache, 1, cases[i].address, cases[i].state, cases[i].mac);
		if (cases[i].state_elsewhere)
			put_neighbour(cache, 2, cases[i].address, cases[i].state_elsewhere,
			              cases[i].mac);
		const struct addr vip = ip(strchr(cases[i].address, ':') ? VIP6 : VIP);
		struct test_neighbour n = test_neighbour_find(cache, &vip);
		if (n.there != cases[i].there || n.complete != cases[i].complete)
			fail_msg("%s: %d %d", cases[i].what, n.there, n.complete);
		assert_string_equal(n.mac, n.complete ? OTHER_MAC : "");
		nl_cache_free(cache);
	}
}

static void who_answers_is_the_owner(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct test_neighbour n = { .there = false };

	assert_judged(test_judge_arp(w, &n, &why), TEST_SKIPPED,
	              "this machine is not on the address's segment, or is one of the nodes");
	n.there = true;
	assert_judged(test_judge_arp(w, &n, &why), TEST_FAILED,
	              "nobody answers this machine for " VIP);
	n = (struct test_neighbour){ true, true, "02:00:00:00:00:01" };
	assert_judged(test_judge_arp(w, &n, &why), TEST_OK,
	              "02:00:00:00:00:01 answers, which is n1");
	n = (struct test_neighbour){ true, true, OTHER_MAC };
	assert_judged(test_judge_arp(w, &n, &why), TEST_FAILED,
	              OTHER_MAC " answers, which is not 02:00:00:00:00:01 of n1");
	test_world_clear_says(w);
	assert_judged(test_judge_arp(w, &n, &why), TEST_FAILED,
	              OTHER_MAC " answers, though no speaker announces it");
	n.there = false;
	assert_judged(test_judge_arp(w, &n, &why), TEST_SKIPPED, "not announced by layer 2");
	end(w);
}

/* ---- what this machine asked ---- */

/* The address, and the node ports of n1 and n2. */
static void fill(struct test_probe probes[static 3])
{
	static const char *const names[] = { "vip", "node-port/n1", "node-port/n2" };
	static const char *const addresses[] = { VIP, "10.0.0.1", "10.0.0.2" };

	memset(probes, 0, 3 * sizeof(*probes));
	for (size_t i = 0; i < 3; i++) {
		snprintf(probes[i].name, sizeof(probes[i].name), "%s", names[i]);
		snprintf(probes[i].why, sizeof(probes[i].why), "timed out");
		probes[i].addr = ip(addresses[i]);
		probes[i].port = i ? 30080 : 80;
		probes[i].self = ip("203.0.113.7");
	}
}

static void answers(struct test_probe *p)
{
	p->answered = true;
	p->good = !p->silent;
	p->why[0] = '\0';
}

static void is_silent(struct test_probe *p)
{
	p->answered = false;
	p->good = p->silent;
}

static void the_address_from_here(void **state)
{
	(void)state;
	struct test_probe p[3];
	struct test_neighbour none = { .there = false }, some = { .there = true };

	fill(p);
	assert_judged(test_judge_vip_here(p, 3, &none, &why), TEST_SKIPPED,
	              "neither 192.0.2.9:80 nor any node port answers this machine (timed out): "
	              "it is of another network");
	assert_judged(test_judge_vip_here(p, 3, &some, &why), TEST_FAILED,
	              "192.0.2.9:80: timed out");
	answers(&p[2]);
	assert_judged(test_judge_vip_here(p, 3, &none, &why), TEST_FAILED,
	              "192.0.2.9:80: timed out");
	answers(&p[0]);
	p[0].good = false;
	assert_judged(test_judge_vip_here(p, 3, &none, &why), TEST_FAILED,
	              "192.0.2.9:80: answers only now and then");
	answers(&p[0]);
	snprintf(p[0].node, sizeof(p[0].node), "n2");
	assert_judged(test_judge_vip_here(p, 3, &none, &why), TEST_OK,
	              "192.0.2.9:80 answers from n2");
}

/* Its pool was edited, or somebody else wrote its status. */
static void an_address_that_is_lost_in_between(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct test_probe p[3];
	struct test_neighbour none = { .there = false };

	put_service(w, "Cluster", "");
	assert_judged(test_judge_announced(w, &why), TEST_FAILED,
	              "the Service has lost its address");
	fill(p);
	answers(&p[1]);
	assert_judged(test_judge_vip_here(p + 1, 2, &none, &why), TEST_SKIPPED,
	              "the Service has no address");
	assert_judged(test_judge_vip_here(p, 0, &none, &why), TEST_SKIPPED,
	              "the Service has no address");
	assert_judged(test_judge_node_ports_here(w, p, 0, NULL, &why), TEST_SKIPPED,
	              "the Service has no node port, or no node an address");
	end(w);
}

static void node_ports_from_here(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct test_probe p[3];

	fill(p);
	assert_judged(test_judge_node_ports_here(w, p, 3, NULL, &why), TEST_SKIPPED,
	              "no node port answers this machine: a firewall, or another network");
	assert_judged(test_judge_node_ports_here(w, p, 1, NULL, &why), TEST_SKIPPED,
	              "the Service has no node port, or no node an address");
	answers(&p[1]);
	assert_judged(test_judge_node_ports_here(w, p, 3, NULL, &why), TEST_FAILED,
	              "n2: 10.0.0.2:30080 timed out");
	answers(&p[2]);
	assert_judged(test_judge_node_ports_here(w, p, 3, NULL, &why), TEST_OK,
	              "answers at n1, n2");
	end(w);
}

static void node_ports_with_policy_local(void **state)
{
	(void)state;
	struct test_world *w = well("Local");
	struct test_probe before[3], p[3];

	fill(before);
	fill(p);
	p[1].silent = true;
	p[1].self = (struct addr){ 0 }; /* of no connection, which is of no node */
	is_silent(&p[1]);
	answers(&p[2]);
	assert_judged(test_judge_node_ports_here(w, p, 3, before, &why), TEST_SKIPPED,
	              "no node port answers this machine: a firewall, or another network");
	answers(&before[2]);
	assert_judged(test_judge_node_ports_here(w, p, 3, before, &why), TEST_OK, "answers at n2");
	answers(&before[1]);
	assert_judged(test_judge_node_ports_here(w, p, 3, before, &why), TEST_OK,
	              "answers at n2; silent, without an endpoint: n1");
	answers(&p[1]);
	assert_judged(test_judge_node_ports_here(w, p, 3, before, &why), TEST_FAILED,
	              "n1: 10.0.0.1:30080 answers, though the node has no endpoint");
	p[0].self = ip("10.0.0.3");
	assert_judged(test_judge_node_ports_here(w, p, 3, before, &why), TEST_SKIPPED,
	              "this machine is of the cluster, which policy Local lets in everywhere");
	end(w);
}

static void the_client_s_address(void **state)
{
	(void)state;
	struct test_world *w = well("Local");
	struct test_probe p[3];

	fill(p);
	assert_judged(test_judge_client(w, p, &why), TEST_SKIPPED,
	              "the address does not answer this machine");
	answers(p);
	assert_judged(test_judge_client(w, p, &why), TEST_SKIPPED,
	              "the image's answer does not say who asked");
	p[0].client = ip("203.0.113.7");
	assert_judged(test_judge_client(w, p, &why), TEST_OK,
	              "the Pod sees 203.0.113.7, which is this machine");
	p[0].client = ip("10.0.0.2");
	assert_judged(test_judge_client(w, p, &why), TEST_FAILED,
	              "the Pod sees 10.0.0.2, which is of node n2, instead of 203.0.113.7");
	p[0].client = ip("10.244.2.1");
	assert_judged(test_judge_client(w, p, &why), TEST_FAILED,
	              "the Pod sees 10.244.2.1, which is of node n2, instead of 203.0.113.7");
	p[0].client = ip("198.51.100.77");
	assert_judged(test_judge_client(w, p, &why), TEST_SKIPPED,
	              "the Pod sees 198.51.100.77: something on the way, which is no node, "
	              "translates 203.0.113.7");
	p[0].client = ip("10.0.0.2");
	p[0].self = ip("10.244.1.7");
	assert_judged(test_judge_client(w, p, &why), TEST_SKIPPED,
	              "this machine is of the cluster");
	end(w);
}

/* ---- what the Pods asked ---- */

static void pods_name_what_does_not_answer(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	struct test_probe one[3], two[3];
	const struct test_asked asked[] = { { &w->nodes[0], one, 3 }, { &w->nodes[1], two, 3 } };

	fill(one);
	fill(two);
	for (size_t i = 0; i < 3; i++) {
		answers(&one[i]);
		answers(&two[i]);
	}
	assert_judged(test_judge_asked(asked, 2, "vip", &why), TEST_OK, "from 2 nodes");
	assert_judged(test_judge_asked(asked, 2, "node-port", &why), TEST_OK, "from 2 nodes");
	assert_judged(test_judge_asked(asked, 2, "node", &why), TEST_SKIPPED, "nobody could ask");
	assert_judged(test_judge_asked(asked, 0, "vip", &why), TEST_SKIPPED, "nobody could ask");
	is_silent(&two[1]);
	snprintf(two[1].why, sizeof(two[1].why), "refused");
	assert_judged(test_judge_asked(asked, 2, "node-port", &why), TEST_FAILED,
	              "from n2: n1 (10.0.0.1:30080) refused");
	is_silent(&one[0]);
	assert_judged(test_judge_asked(asked, 2, "vip", &why), TEST_FAILED,
	              "from n1: 192.0.2.9:80 silent");
	one[0].silent = true;
	answers(&one[0]);
	assert_judged(test_judge_asked(asked, 2, "vip", &why), TEST_FAILED,
	              "from n1: 192.0.2.9:80 answers, though the node has no endpoint");
	end(w);
}

static void pods_on_the_host_are_seen_as_the_host(void **state)
{
	(void)state;
	struct test_world *w = well("Local");
	struct test_probe one[3];
	const struct test_asked asked[] = { { &w->nodes[0], one, 3 } };

	fill(one);
	answers(&one[2]);
	assert_judged(test_judge_asked_client(asked, 1, &why), TEST_SKIPPED,
	              "no answer that says who asked");
	one[2].client = ip("10.0.0.1");
	assert_judged(test_judge_asked_client(asked, 1, &why), TEST_OK,
	              "the Pod sees the nodes that ask");
	one[2].client = ip("10.0.0.2");
	assert_judged(test_judge_asked_client(asked, 1, &why), TEST_FAILED,
	              "n1 by the port of n2: the Pod sees 10.0.0.2");
	end(w);
}

static void a_pod_that_asks_leaves_a_message(void **state)
{
	(void)state;
	struct test_world *w = well("Cluster");
	const struct test_node *n1 = test_world_node(w, "n1");

	put_pod(w, "probe", "n1",
	        "'containerStatuses':[{'name':'fairlead-test','state':{'waiting':{'reason':'ContainerCreating'}}}]");
	assert_string_equal(n1->pod_trouble, "ContainerCreating");
	assert_true(n1->pod_waits);
	test_world_clear_asking(w);
	assert_null(n1->pod_trouble);
	assert_false(n1->pod_waits);
	put_pod(w, "probe", "n1",
	        "'phase':'Succeeded','containerStatuses':[{'name':'fairlead-test','state':{'terminated':{'exitCode':0,"
	        "'message':'[]'}}}]");
	assert_null(n1->pod_trouble);
	assert_string_equal(n1->found, "[]");
	put_pod(w, "probe", "n1",
	        "'phase':'Failed','containerStatuses':[{'name':'fairlead-test','state':{'terminated':{'exitCode':1,"
	        "'reason':'Error','message':'no'}}}]");
	assert_null(n1->found);
	assert_string_equal(n1->pod_trouble, "Error: no");
	put_pod(w, "probe", "n1", "'phase':'Failed','reason':'Evicted','message':'disk'");
	assert_string_equal(n1->pod_trouble, "Evicted: disk");
	put_pod(w, "probe", "n1",
	        "'phase':'Succeeded','containerStatuses':[{'name':'fairlead-test','state':{'terminated':{'exitCode':0}}}]");
	assert_string_equal(n1->pod_trouble, "it left no message behind");
	put_pod(w, "probe", "n1",
	        "'phase':'Running','containerStatuses':[{'name':'envoy','state':{'terminated':{"
	        "'exitCode':9}}},{'name':'fairlead-test','state':{'terminated':{'exitCode':0,"
	        "'message':'[]'}}}]");
	assert_null(n1->pod_trouble);
	assert_string_equal(n1->found, "[]");
	end(w);
}

/* ---- asking ---- */

static void targets_are_words(void **state)
{
	(void)state;
	static const char *const good[] = { "+vip=192.0.2.9:80", "-node-port/n1=[2001:db8::1]:1" };
	static const char *const bad[] = {
		"",
		"vip=192.0.2.9:80",
		"+=192.0.2.9:80",
		"+vip",
		"+vip=192.0.2.9",
		"+vip=192.0.2.9:0",
		"+vip=192.0.2.9:65536",
		"+vip=[192.0.2.9:80",
		"+vip=host:80",
		"+vip=:80",
		"+vip=192.0.2.9:80x",
	};
	char name[TEST_PROBE_NAME_SIZE + 1] = "";
	struct err e = ERR_INIT;
	struct test_probe p;

	/* A name of a byte more than there is room for, and one that just fits. */
	memset(name, 'x', TEST_PROBE_NAME_SIZE);
	for (size_t i = 0; i < 2; i++) {
		cleanup_free char *word = xasprintf("+%s=192.0.2.9:80", name + i);
		assert_int_equal(test_probe_parse(word, &p, &e), i == 0 ? -EINVAL : 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(test_probe_parse(good[i], &p, &e), 0);
		cleanup_free char *again = test_probe_word(&p);
		assert_string_equal(again, good[i]);
		assert_int_equal(p.silent, i == 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(test_probe_parse(bad[i], &p, &e), 0);
}

static void what_was_found_is_read_back(void **state)
{
	(void)state;
	struct test_probe p[3], q[3];
	cleanup(buf_fini) struct buf text = BUF_INIT;

	fill(p);
	fill(q);
	answers(&p[0]);
	p[0].client = ip("203.0.113.7");
	snprintf(p[1].why, sizeof(p[1].why), "refused \"by\" n1");
	test_probe_put(p, 3, &text);
	assert_int_equal(test_probe_read(buf_str(&text), q, 3), 0);
	assert_true(q[0].good && q[0].answered && addr_eq(&q[0].client, &p[0].client));
	assert_string_equal(q[1].why, "refused \"by\" n1");
	assert_false(q[2].good || q[2].answered);
	assert_int_not_equal(test_probe_read(buf_str(&text), q, 2), 0);
	assert_int_not_equal(test_probe_read("", q, 3), 0);
	assert_int_not_equal(test_probe_read("{}", q, 3), 0);
}

/* A Pod's message has 4096 bytes; the most that is asked, each with the longest why. */
static void all_that_is_found_fits_into_a_message(void **state)
{
	(void)state;
	struct test_probe *p = xcalloc(TEST_NODES_MAX + 2, sizeof(*p));
	cleanup(buf_fini) struct buf text = BUF_INIT;

	for (size_t i = 0; i < TEST_NODES_MAX + 2; i++) {
		memset(p[i].why, 'x', sizeof(p[i].why) - 1);
		p[i].client = ip("2001:db8:1111:2222:3333:4444:5555:6666");
	}
	test_probe_put(p, TEST_NODES_MAX + 2, &text);
	assert_in_range(text.size, 1, 4096);
	assert_in_range(TEST_NODES_MAX + 2, 1, TEST_PROBES_MAX);
	free(p);
}

/*
 * A server in a process of its own that gives each client this answer, or keeps it waiting (and
 * tells us so by SIGUSR1); its port.
 */
enum serving { EACH, THE_FIRST, THE_FIRST_AND_TELL, ALL_BUT_THE_FIRST };

static pid_t serve(const char *answer, enum serving serving, uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[512];

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &size), 0);
	*ret_port = ntohs(sa.sin_port);
	if (answer)
		assert_int_equal(listen(fd, 16), 0);
	const pid_t parent = getpid();
	pid_t pid = answer ? fork() : 0;
	if (pid || !answer) {
		if (answer)
			close(fd);
		return pid;
	}
	/* A failed test ends without us, and whoever reads its output would wait. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	for (bool first = true;; first = false) {
		int client = accept(fd, NULL, NULL);
		if (client < 0 || read(client, request, sizeof(request)) < 0)
			_exit(1);
		if (serving == THE_FIRST_AND_TELL && !first)
			kill(parent, SIGUSR1);
		if (serving != EACH && (serving == ALL_BUT_THE_FIRST) == first)
			continue;
		/* Who has heard enough goes, which is no error of ours. */
		(void)!write(client, answer, strlen(answer));
		close(client);
	}
}

static void targets_are_asked_until_they_are_as_they_should_be(void **state)
{
	(void)state;
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\n\r\n{\"node\":\"n2\",\"client\":\"192.0.2.77\"}",
		"HTTP/1.1 503 No\r\n\r\n",
		"SSH-2.0-x\r\n",
		NULL, /* nobody listens */
		"HTTP/1.0 200 OK\r\n\r\n<p>",
	};
	cleanup_free char *much = xcalloc(1, 80001);
	struct test_probe p[7] = { { .port = 0 } };
	pid_t pids[7];

	memset(much, ' ', 80000);
	memcpy(much, replies[4], strlen(replies[4]));
	for (size_t i = 0; i < 7; i++) {
		pids[i] = serve(i < 5    ? replies[i]
		                : i == 5 ? much
		                         : replies[0],
		                i == 6, &p[i].port);
		p[i].addr = ip("127.0.0.1");
	}
	p[3].silent = true;
	p[4].silent = true;
	test_probe_all(p, 7, 4, NULL);
	for (size_t i = 0; i < 7; i++)
		if (pids[i] > 0) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	assert_true(p[0].good && p[0].answered);
	assert_string_equal(p[0].node, "n2");
	assert_string_equal(addr_str(&p[0].client), "192.0.2.77");
	assert_string_equal(addr_str(&p[0].self), "127.0.0.1");
	assert_false(p[1].good || p[1].answered);
	assert_string_equal(p[1].why, "HTTP status 503");
	assert_false(p[2].good || p[2].answered);
	assert_string_equal(p[2].why, "the answer is no HTTP");
	assert_true(p[3].good);
	assert_string_equal(p[3].why, "refused");
	assert_true(p[4].answered);
	assert_false(p[4].good);
	assert_string_equal(p[4].node, "");
	assert_false(p[5].good || p[5].answered);
	assert_string_equal(p[5].why, "the answer is too long");
	/* Once is not enough, and is not remembered. */
	assert_false(p[6].good || p[6].answered);
	assert_string_equal(p[6].why, "timed out");
}

/* Else a connection that got lost would take all the time that there is. */
static void whoever_keeps_silent_is_asked_again(void **state)
{
	(void)state;
	struct test_probe p = { .addr = ip("127.0.0.1") };
	pid_t pid = serve("HTTP/1.0 200 OK\r\n\r\n", ALL_BUT_THE_FIRST, &p.port);

	test_probe_all(&p, 1, 20, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(p.good);
}

static void a_signal_ends_the_asking(void **state)
{
	(void)state;
	volatile sig_atomic_t stop = 1;
	struct test_probe p = { .addr = ip("127.0.0.1"), .port = 1 };

	test_probe_all(&p, 1, 3600, &stop);
	assert_false(p.good);
}

static volatile sig_atomic_t told;

static void on_told(int signo)
{
	(void)signo;
	told = 1;
}

static void what_was_wrong_is_wrong_still_in_the_middle_of_an_attempt(void **state)
{
	(void)state;
	struct test_probe p = { .addr = ip("127.0.0.1") };

	signal(SIGUSR1, on_told);
	pid_t pid = serve("HTTP/1.1 503 No\r\n\r\n", THE_FIRST_AND_TELL, &p.port);
	test_probe_all(&p, 1, 60, &told);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_string_equal(p.why, "HTTP status 503");
}

/* ---- the objects ---- */

static struct json_object *parse(const struct buf *b)
{
	struct json_object *obj = json_tokener_parse(buf_str(b));

	assert_non_null(obj);
	return obj;
}

static struct json_object *at(struct json_object *obj, const char *path)
{
	cleanup_free char *words = xstrdup(path);
	char *rest = words;

	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		obj = json_object_is_type(obj, json_type_array)
		              ? json_object_array_get_idx(obj, (size_t)atoi(word))
		              : json_object_object_get(obj, word);
		if (!obj)
			return NULL;
	}
	return obj;
}

static const char *text_at(struct json_object *obj, const char *path)
{
	struct json_object *v = at(obj, path);

	return v ? json_object_get_string(v) : "";
}

static const struct test_plan plan = { .namespace = "fairlead-test-x",
	                               .image = "fairlead:1",
	                               .own_image = true,
	                               .probe_image = "fairlead:1",
	                               .port = 8080 };

/* https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
static void assert_restricted(struct json_object *pod)
{
	assert_string_equal(text_at(pod, "securityContext runAsNonRoot"), "true");
	assert_string_equal(text_at(pod, "securityContext seccompProfile type"), "RuntimeDefault");
	assert_string_equal(text_at(pod, "automountServiceAccountToken"), "false");
	assert_string_equal(text_at(pod, "containers 0 securityContext allowPrivilegeEscalation"),
	                    "false");
	assert_string_equal(text_at(pod, "containers 0 securityContext capabilities drop 0"),
	                    "ALL");
	assert_string_equal(text_at(pod, "containers 0 securityContext readOnlyRootFilesystem"),
	                    "true");
	assert_string_equal(text_at(pod, "containers 0 resources limits memory"), "64Mi");
	assert_string_equal(text_at(pod, "enableServiceLinks"), "false");
	assert_null(at(pod, "volumes"));
}

static void the_namespace_says_whose_it_is(void **state)
{
	(void)state;
	struct test_plan p = plan;
	/* The last: no Pod asks, so that none needs the host's network. */
	const char *const levels[] = { "restricted", "baseline", "privileged", "baseline" };

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		p.own_image = i == 0;
		p.host_network = i >= 2;
		p.probe_image = i == 3 ? NULL : plan.probe_image;
		test_objects_namespace(&p, INT64_C(1767225600000000), &text);
		struct json_object *obj = parse(&text);
		assert_string_equal(text_at(obj,
		                            "metadata labels pod-security.kubernetes.io/enforce"),
		                    levels[i]);
		assert_string_equal(text_at(obj, "metadata labels app.kubernetes.io/managed-by"),
		                    "fairlead-test");
		assert_string_equal(text_at(obj, "metadata annotations fairlead.io/test-until"),
		                    "2026-01-01T00:00:00.000000Z");
		json_object_put(obj);
	}
}

static void the_service_takes_one_address(void **state)
{
	(void)state;
	struct test_plan p = plan;
	cleanup(buf_fini) struct buf text = BUF_INIT, other = BUF_INIT;

	test_objects_service(&p, &text);
	struct json_object *obj = parse(&text);
	assert_string_equal(text_at(obj, "spec ipFamilyPolicy"), "SingleStack");
	assert_null(at(obj, "spec loadBalancerClass"));
	assert_null(at(obj, "metadata annotations"));
	json_object_put(obj);
	p.pool = "lan";
	p.class = "example.com/x";
	test_objects_service(&p, &other);
	obj = parse(&other);
	assert_string_equal(text_at(obj, "spec loadBalancerClass"), "example.com/x");
	assert_string_equal(text_at(obj, "metadata annotations fairlead.io/address-pool"), "lan");
	json_object_put(obj);
}

static void pods_have_no_privileges(void **state)
{
	(void)state;
	struct test_plan p = plan;
	struct test_probe probes[3];
	struct test_node node = { .name = xstrdup("n1") };
	const struct test_asked asked = { &node, probes, 3 };
	cleanup(buf_fini) struct buf echo = BUF_INIT, asks = BUF_INIT, other = BUF_INIT;

	fill(probes);
	test_objects_deployment(&p, &echo);
	struct json_object *obj = parse(&echo);
	assert_restricted(at(obj, "spec template spec"));
	assert_string_equal(text_at(obj, "spec template spec containers 0 command 1"), "__echo");
	/* There is never a second one that could answer elsewhere. */
	assert_string_equal(text_at(obj, "spec strategy type"), "Recreate");
	json_object_put(obj);
	test_objects_probe(&p, 1, "probe-1-0", &asked, 20, &asks);
	obj = parse(&asks);
	assert_restricted(at(obj, "spec"));
	assert_string_equal(text_at(obj, "spec hostNetwork"), "false");
	assert_string_equal(text_at(obj, "spec nodeName"), "n1");
	assert_string_equal(text_at(obj, "spec containers 0 command 4"), "+vip=192.0.2.9:80");
	assert_null(at(obj, "spec containers 0 ports"));
	/* It asks once, on a node of any taint, and is found by its round. */
	assert_string_equal(text_at(obj, "spec restartPolicy"), "Never");
	assert_string_equal(text_at(obj, "spec tolerations 0 operator"), "Exists");
	assert_string_equal(text_at(obj, "metadata labels fairlead.io/test-round"), "1");
	json_object_put(obj);
	p.own_image = false;
	test_objects_deployment(&p, &other);
	obj = parse(&other);
	assert_null(at(obj, "spec template spec containers 0 command"));
	struct json_object *pod = at(obj, "spec template spec");
	assert_string_equal(text_at(pod, "containers 0 securityContext "
	                                 "allowPrivilegeEscalation"),
	                    "false");
	assert_string_equal(text_at(pod, "securityContext seccompProfile type"), "RuntimeDefault");
	json_object_put(obj);
	free(node.name);
}

static void only_what_was_made_is_deleted(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf one = BUF_INIT, any = BUF_INIT;

	test_objects_delete("u-1", &one);
	assert_string_equal(buf_str(&one), "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\","
	                                   "\"preconditions\":{\"uid\":\"u-1\"}}");
	test_objects_delete(NULL, &any);
	assert_string_equal(buf_str(&any), "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}");
}

static void a_test_that_may_run_yet_is_let_be(void **state)
{
	(void)state;
	char until[] = "2026-01-01T00:00:00Z", none[] = "";
	struct test_remains r = { .until = until };

	assert_true(test_remains_are_in_use(&r, INT64_C(1767225599000000)));
	assert_false(test_remains_are_in_use(&r, INT64_C(1767225600000000)));
	r.until = none;
	assert_false(test_remains_are_in_use(&r, 0));
}

/* A label alone comes from anybody: from a tenant, or from a tool that puts its own on all. */
static void a_namespace_of_others_is_no_remains(void **state)
{
	(void)state;
	static const char deleting[] =
		"{'metadata':{'name':'shop','uid':'u','deletionTimestamp':'x','annotations':{"
		"'fairlead.io/test-until':'2026-01-01T00:00:00Z'}}}";
	static const char *const others[] = {
		"{'metadata':{'name':'shop','uid':'u'}}",
		"{'metadata':{'name':'shop','uid':'u','annotations':{}}}",
		"{'metadata':{'name':'shop','uid':'u','annotations':{'fairlead.io/test-until':'x'}}}",
		deleting,
	};
	cleanup(test_remains_fini) struct test_remains_list l = { .n = 0 };

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct json_object *obj = world_parse(others[i]);
		test_remains_put(&l, obj);
		json_object_put(obj);
	}
	assert_int_equal(l.n, 0);
	struct json_object *ours = world_parse(
		"{'metadata':{'name':'t','uid':'u-1','creationTimestamp':'2026-01-01T00:00:00Z',"
		"'annotations':{'fairlead.io/test-until':'2026-01-01T00:05:00.000001Z'}}}");
	test_remains_put(&l, ours);
	json_object_put(ours);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.items[0].namespace, "t");
	assert_string_equal(l.items[0].uid, "u-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_or_why_there_is_none),
		cmocka_unit_test(speakers_that_are_silent_are_named),
		cmocka_unit_test(of_many_some_are_named),
		cmocka_unit_test(nodes_that_need_no_speaker),
		cmocka_unit_test(the_echo_runs_or_why_not),
		cmocka_unit_test(the_echo_has_to_be_where_the_address_may_be_announced),
		cmocka_unit_test(of_two_echoes_the_ready_one_counts),
		cmocka_unit_test(nodes_that_are_not_ready_are_left_out),
		cmocka_unit_test(so_many_nodes_ask_at_most),
		cmocka_unit_test(one_node_announces_by_layer_2),
		cmocka_unit_test(nobody_announces),
		cmocka_unit_test(every_node_announces_by_bgp),
		cmocka_unit_test(policy_local_is_announced_where_the_endpoint_is),
		cmocka_unit_test(whom_the_kernel_has_found),
		cmocka_unit_test(who_answers_is_the_owner),
		cmocka_unit_test(the_address_from_here),
		cmocka_unit_test(an_address_that_is_lost_in_between),
		cmocka_unit_test(node_ports_from_here),
		cmocka_unit_test(node_ports_with_policy_local),
		cmocka_unit_test(the_client_s_address),
		cmocka_unit_test(pods_name_what_does_not_answer),
		cmocka_unit_test(pods_on_the_host_are_seen_as_the_host),
		cmocka_unit_test(a_pod_that_asks_leaves_a_message),
		cmocka_unit_test(targets_are_words),
		cmocka_unit_test(what_was_found_is_read_back),
		cmocka_unit_test(all_that_is_found_fits_into_a_message),
		cmocka_unit_test(targets_are_asked_until_they_are_as_they_should_be),
		cmocka_unit_test(whoever_keeps_silent_is_asked_again),
		cmocka_unit_test(a_signal_ends_the_asking),
		cmocka_unit_test(what_was_wrong_is_wrong_still_in_the_middle_of_an_attempt),
		cmocka_unit_test(the_namespace_says_whose_it_is),
		cmocka_unit_test(the_service_takes_one_address),
		cmocka_unit_test(pods_have_no_privileges),
		cmocka_unit_test(only_what_was_made_is_deleted),
		cmocka_unit_test(a_test_that_may_run_yet_is_let_be),
		cmocka_unit_test(a_namespace_of_others_is_no_remains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
