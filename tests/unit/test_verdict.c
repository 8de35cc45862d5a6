/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "cli_world.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "cli/model_private.h"
#include "cli/verdict.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

#define ALL                                                                         \
	(VERDICT_CONTROLLER | VERDICT_POOLS | VERDICT_SERVICES | VERDICT_SPEAKERS | \
	 VERDICT_NODES | VERDICT_BGP)
#define LAN "{name: lan, protocol: layer2, addresses: [192.0.2.240-192.0.2.250]}"
#define WEB SERVICE("web", INGRESS("192.0.2.240"))
#define WEB_SAYS(announce, reason) SAYS("web", "192.0.2.240", announce, reason)
#define WAITING(class, condition)                                                           \
	"{'metadata':{'namespace':'shop','name':'db','uid':'u'},'spec':{'type':"            \
	"'LoadBalancer'," class "'clusterIP':'10.96.0.1','ports':[{'port':80}]},'status':{" \
				"'conditions':[" condition "]}}"
#define CONDITION(reason)                                                          \
	"{'type':'fairlead.io/AddressAssigned','status':'False','reason':'" reason \
	"','message':'so'}"

/* What a speaker says beside its Services. */
#define SPEAKER "'config':{'generation':3},'api':{'fresh':true}"

#define POD(component, node, status)                                                      \
	"{'metadata':{'namespace':'ns','name':'" component "-" node "','labels':{"        \
	"'app.kubernetes.io/component':'" component "'}},'spec':{'nodeName':'" node "'}," \
	"'status':{" status "}}"
#define RUNS "'phase':'Running'"
/* A Pod with these metadata and this spec. */
#define POD_OF(component, meta, spec, status)                                       \
	"{'metadata':{'namespace':'ns','name':'" component "-x'," meta "'labels':{" \
	"'app.kubernetes.io/component':'" component "'}},'spec':{" spec "},'status':{" status "}}"
#define GOES "'deletionTimestamp':'2026-01-01T00:00:00Z',"
#define UNSCHEDULED                                                                              \
	"'phase':'Pending','conditions':[{'type':'PodScheduled','status':'False','message':'no " \
	"memory'}]"
/* The name of the container is the Pod's only one. */
#define CRASHES                                                                    \
	"'phase':'Running','containerStatuses':[{'name':'%s','state':{'waiting':{" \
	"'reason':'CrashLoopBackOff','message':'back-off'}}}]"
#define EVICTED "'phase':'Failed','reason':'Evicted','message':'low on memory'"

/* One cluster: NULL, and "" of a speaker, for what is healthy. */
static const struct row {
	const char *name;
	const char *leader; /* "": none */
	int64_t leader_silent_s;
	const char *pools;  /* "": nothing is published */
	const char *wanted; /* the administrator's */
	const char *service;
	const char *speakers[2]; /* "-": no answer; what it says, without braces */
	const char *pods[4];     /* NULL: none of them are known; "-": they may not be read */
	bool unready, excluded;  /* the second node */
	const char *expected;
} rows[] = {
	{ .name = "a healthy cluster", .expected = "OK\n" },
	{ .name = "no Services, no pools",
	  .pools = "",
	  .service = "",
	  .speakers = { SPEAKER, SPEAKER },
	  .expected = "down\ndown NoConfiguration ConfigMap fairlead-active: no accepted "
	              "configuration was published yet\n" },
	{ .name = "no leader",
	  .leader = "",
	  .expected = "down\ndown NoLeader controller: no controller leads, so no address is "
	              "assigned or taken back\n" },
	{ .name = "no leader, and nothing published",
	  .leader = "",
	  .pools = "",
	  .service = "",
	  .expected = "down\ndown NoLeader controller: no controller leads, so no address is "
	              "assigned or taken back; there is no ConfigMap fairlead-active either: "
	              "Fairlead may not be installed in this namespace (--namespace)\n"
	              "down NoConfiguration ConfigMap fairlead-active: no accepted "
	              "configuration was published yet\n" },
	{ .name = "a leader that is gone",
	  .leader_silent_s = 93,
	  .expected = "down\ndown NoLeader controller c-1: its Lease has expired 93 s ago\n" },
	{ .name = "a configuration that is refused",
	  .wanted = "address-pools: [{name: lan}]",
	  .expected = "degraded\ndegraded ConfigurationRejected ConfigMap fairlead: line 1: "
	              "address-pools[0].protocol: address pool is missing the protocol field; "
	              "write protocol: layer2 or protocol: bgp; and 1 more\n" },
	{ .name = "no leader, and Pods that run",
	  .leader = "",
	  .pods = { POD("controller", "n1", RUNS), POD("controller", "n2", RUNS) },
	  .expected = "down\ndown NoLeader controller: no controller leads, so no address is "
	              "assigned or taken back; 2 of its Pods run\n" },
	{ .name = "no leader, and one Pod that runs",
	  .leader = "",
	  .pods = { POD("controller", "n1", RUNS), POD("controller", "n2", CRASHES) },
	  .expected = "down\ndown NoLeader controller: no controller leads, so no address is "
	              "assigned or taken back; 1 of its Pods runs\n"
	              "degraded ControllerNotRunning controller on node n2: Pod controller-n2, "
	              "container controller: CrashLoopBackOff: back-off\n" },
	{ .name = "no controller, and speakers' Pods",
	  .leader = "",
	  .pods = { POD("speaker", "n1", RUNS), POD("speaker", "n2", RUNS) },
	  .expected = "down\ndown NoController controller: no Pod of a controller is there, and "
	              "nobody leads\n" },
	{ .name = "no controller runs",
	  .leader_silent_s = 93,
	  .pods = { POD("controller", "n1", CRASHES) },
	  .expected = "down\ndown ControllerNotRunning controller on node n1: Pod controller-n1, "
	              "container controller: CrashLoopBackOff: back-off\n" },
	{ .name = "a controller that was evicted, and its replacement",
	  .pods = { POD("controller", "n1", EVICTED), POD("controller", "n2", RUNS) },
	  .expected = "OK\n" },
	{ .name = "the only controller was evicted",
	  .leader = "",
	  .pods = { POD("controller", "n1", EVICTED) },
	  .expected = "down\ndown ControllerNotRunning controller on node n1: Pod controller-n1: "
	              "Evicted: low on memory\n" },
	{ .name = "a speaker that is silent though its Pod runs",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n1", RUNS), POD("speaker", "n2", RUNS) },
	  .expected = "degraded\ndegraded SpeakerSilent node n2: Pod speaker-n2 runs; "
	              "unreachable\n" },
	{ .name = "FRR beside the speaker crashes",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n2",
	                "'phase':'Running','containerStatuses':[{'name':'speaker','state':{"
	                "'running':{}}},{'name':'frr','state':{'waiting':{}}}]") },
	  .expected = "degraded\ndegraded SpeakerSilent node n2: Pod speaker-n2 runs; "
	              "unreachable\n" },
	{ .name = "a speaker that crashes",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n1", RUNS), POD("speaker", "n2", CRASHES) },
	  .expected = "degraded\ndegraded SpeakerNotRunning node n2: Pod speaker-n2, container "
	              "speaker: CrashLoopBackOff: back-off\n" },
	{ .name = "what comes before a speaker fails",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n2",
	                "'phase':'Pending','initContainerStatuses':[{'name':'done','state':{"
	                "'terminated':{'exitCode':0}}},{'name':'init','state':{'terminated':{"
	                "'exitCode':3,'reason':'Error'}}}],'containerStatuses':[{'name':"
	                "'speaker','state':{'waiting':{'reason':'PodInitializing'}}}]") },
	  .expected = "degraded\ndegraded SpeakerNotRunning node n2: Pod speaker-n2, container "
	              "init: Error; its last exit status was 3\n" },
	{ .name = "a speaker that crashes, and another in its place",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n2", CRASHES), POD("speaker", "n2", RUNS) },
	  .expected = "degraded\ndegraded SpeakerSilent node n2: Pod speaker-n2 runs; "
	              "unreachable\n" },
	{ .name = "a node without a speaker",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n1", RUNS) },
	  .expected = "degraded\ndegraded SpeakerMissing node n2: the node has no Pod of a "
	              "speaker\n" },
	{ .name = "no Pod on any node, where one speaker runs by hand",
	  .speakers = { NULL, "-" },
	  .pods = { POD("controller", "n1", RUNS) },
	  .expected = "degraded\ndegraded SpeakerSilent node n2: unreachable\n" },
	{ .name = "no speaker anywhere",
	  .speakers = { "-", "-" },
	  .pods = { POD("controller", "n1", RUNS) },
	  .expected = "down\ndown SpeakerMissing node n1: no node has a Pod of a speaker of this "
	              "namespace\ndown SpeakerMissing node n2: no node has a Pod of a speaker of "
	              "this namespace\n" },
	{ .name = "Pods that may not be read",
	  .speakers = { NULL, "-" },
	  .pods = { "-" },
	  .expected = "degraded\ndegraded SpeakerSilent node n2: unreachable; whether its Pod "
	              "runs may not be asked\n" },
	{ .name = "Pods that may not be read, and neither leader nor speakers",
	  .leader = "",
	  .speakers = { "-", "-" },
	  .pods = { "-" },
	  .expected = "down\ndown NoLeader controller: no controller leads, so no address is "
	              "assigned or taken back\ndown SpeakerSilent node n1: unreachable; whether "
	              "its Pod runs may not be asked\ndown SpeakerSilent node n2: unreachable; "
	              "whether its Pod runs may not be asked\n" },
	{ .name = "a speaker whose Pod is being deleted",
	  .speakers = { NULL, "-" },
	  .pods = { POD_OF("speaker", GOES, "'nodeName':'n2'", RUNS) },
	  .expected = "degraded\ndegraded SpeakerNotRunning node n2: Pod speaker-x: it is being "
	              "deleted\n" },
	{ .name = "a speaker's Pod that is on no node",
	  .speakers = { NULL, "-" },
	  .pods = { POD_OF("speaker", "", "", UNSCHEDULED) },
	  .expected = "degraded\ndegraded SpeakerMissing node n2: the node has no Pod of a "
	              "speaker\n" },
	{ .name = "a speaker that was killed",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n2",
	                RUNS
	                ",'containerStatuses':[{'name':'speaker','state':{'waiting':{}},"
	                "'lastState':{'terminated':{'exitCode':137,'reason':'OOMKilled'}}}]") },
	  .expected = "degraded\ndegraded SpeakerNotRunning node n2: Pod speaker-n2, container "
	              "speaker: waits; its last exit status was 137 (OOMKilled)\n" },
	{ .name = "the only container has another name",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n2",
	                RUNS ",'containerStatuses':[{'name':'x','state':{'waiting':{}}}]") },
	  .expected = "degraded\ndegraded SpeakerNotRunning node n2: Pod speaker-n2, container x: "
	              "waits\n" },
	{ .name = "a node that is not Ready",
	  .speakers = { NULL, "-" },
	  .unready = true,
	  .expected = "degraded\ndegraded SpeakerSilent node n2: unreachable; the Node is not "
	              "Ready\n" },
	{ .name = "an excluded node without a speaker",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n1", RUNS) },
	  .excluded = true,
	  .expected = "OK\nOK SpeakerMissing node n2: the node has no Pod of a speaker\n" },
	{ .name = "an excluded node whose speaker is silent",
	  .speakers = { NULL, "-" },
	  .pods = { POD("speaker", "n2", RUNS) },
	  .excluded = true,
	  .expected = "degraded\ndegraded SpeakerSilent node n2: Pod speaker-n2 runs; "
	              "unreachable\n" },
	{ .name = "no speaker anywhere, and an excluded node",
	  .speakers = { "-", "-" },
	  .pods = { POD("controller", "n1", RUNS) },
	  .excluded = true,
	  .expected = "down\ndown SpeakerMissing node n1: no node has a Pod of a speaker of this "
	              "namespace\ndown SpeakerMissing node n2: no node has a Pod of a speaker of "
	              "this namespace\n" },
	{ .name = "a controller's Pod that no node takes",
	  .leader = "",
	  .pods = { POD_OF("controller", "", "", UNSCHEDULED) },
	  .expected = "down\ndown ControllerNotRunning controller: Pod controller-x: no node takes "
	              "it: no memory\n" },
	{ .name = "a controller that was evicted, and one that leads without a Pod",
	  .pods = { POD("controller", "n1", EVICTED) },
	  .expected = "OK\n" },
	{ .name = "a controller that was evicted, and its replacement crashes",
	  .leader = "",
	  .pods = { POD("controller", "n1", EVICTED), POD("controller", "n2", CRASHES) },
	  .expected = "down\ndown ControllerNotRunning controller on node n2: Pod controller-n2, "
	              "container controller: CrashLoopBackOff: back-off\n" },
	{ .name = "controllers that have ended, and their replacement",
	  .pods = { POD("controller", "n1", "'phase':'Succeeded'"),
	            POD_OF("controller", GOES, "'nodeName':'n1'", RUNS),
	            POD("controller", "n2", RUNS) },
	  .expected = "OK\n" },
	{ .name = "no controller's Pod runs, and one leads",
	  .pods = { POD("controller", "n1", CRASHES) },
	  .expected = "degraded\ndegraded ControllerNotRunning controller on node n1: Pod "
	              "controller-n1, container controller: CrashLoopBackOff: back-off\n" },
	{ .name = "refusals that are none",
	  .speakers = { SPEAKER
	                ",'proxy':{'families':[null,7,{'refused':[null,3]}]},'health':{'failing':[null,3]},'services':[" WEB_SAYS(
				"true", "Announced") "]" },
	  .expected = "OK\n" },
	{ .name = "a speaker that is silent",
	  .speakers = { NULL, "-" },
	  .expected = "degraded\ndegraded SpeakerSilent node n2: unreachable\n" },
	{ .name = "all speakers are silent",
	  .speakers = { "-", "-" },
	  .expected = "down\ndown SpeakerSilent node n1: unreachable\n"
	              "down SpeakerSilent node n2: unreachable\n" },
	{ .name = "one that was uninstalled",
	  .speakers = { NULL, SPEAKER ",'uninstalled':'done'" },
	  .expected = "degraded\ndegraded SpeakerUninstalled node n2: the speaker was "
	              "uninstalled and announces nothing\n" },
	{ .name = "uninstalled, and still in the statuses",
	  .speakers = { SPEAKER ",'uninstalled':'done'", SPEAKER ",'uninstalled':'withdrawn'" },
	  .expected = "down\ndown SpeakerUninstalled node n1: the speaker was uninstalled and "
	              "announces nothing\ndown SpeakerUninstalled node n2: the speaker was "
	              "uninstalled and announces nothing\n" },
	{ .name = "an address that nobody announces for want of Pods",
	  .speakers = { SPEAKER ",'services':[" WEB_SAYS("false", "NoEndpoints") "]",
	                SPEAKER ",'services':[" WEB_SAYS("false", "NoEndpoints") "]" },
	  .expected = "degraded\ndegraded NoEndpoints Service shop/web, 192.0.2.240: because\n" },
	{ .name = "an address that no node may announce, the only one",
	  .speakers = { SPEAKER ",'services':[" WEB_SAYS("false", "NodeExcluded") "]",
	                SPEAKER ",'services':[" WEB_SAYS("false", "NoLocalEndpoint") "]" },
	  .expected = "down\ndown NodeExcluded Service shop/web, 192.0.2.240: NodeExcluded on "
	              "n1; NoLocalEndpoint on n2\n" },
	{ .name = "the owner is another, and is silent",
	  .speakers = { SPEAKER ",'services':[" WEB_SAYS("false", "NotOwner") "]", "-" },
	  .expected = "down\ndown NotOwner Service shop/web, 192.0.2.240: because\n"
	              "degraded SpeakerSilent node n2: unreachable\n" },
	{ .name = "an address of which no speaker knows",
	  .speakers = { SPEAKER, SPEAKER },
	  .expected = "down\ndown SpeakerStale Service shop/web, 192.0.2.240: no speaker knows "
	              "of it\n" },
	{ .name = "another load balancer's address",
	  .speakers = { SPEAKER ",'services':[" WEB_SAYS("false", "OtherClass") "]",
	                SPEAKER ",'services':[" WEB_SAYS("false", "OtherClass") "]" },
	  .expected = "OK\n" },
	{ .name = "an address of no pool",
	  .speakers = { SPEAKER ",'services':[" WEB_SAYS("false", "AddressNotInPool") "]",
	                SPEAKER ",'services':[" WEB_SAYS("false", "AddressNotInPool") "]" },
	  .expected = "OK\n" },
	{ .name = "two owners",
	  .speakers = { NULL, SPEAKER ",'services':[" WEB_SAYS("true", "Announced") "]" },
	  .expected = "degraded\ndegraded TwoOwners Service shop/web, 192.0.2.240: announced by "
	              "n1,n2\n" },
	{ .name = "one of two owners gives way",
	  .speakers = { NULL, SPEAKER ",'services':[" WEB_SAYS("false", "TwoOwners") "]" },
	  .expected = "degraded\ndegraded TwoOwners Service shop/web, 192.0.2.240: node n2: "
	              "because\n" },
	{ .name = "a contested status",
	  .service = SERVICE("web", INGRESS("192.0.2.240") ",'conditions':["
	                                                   "" CONDITION("StatusContested") "]"),
	  .expected = "degraded\ndegraded StatusContested Service shop/web: so\n" },
	{ .name = "a Service without an address",
	  .service = WAITING("", CONDITION("PoolExhausted")),
	  .speakers = { SPEAKER, SPEAKER },
	  .expected = "degraded\ndegraded PoolExhausted Service shop/db: so\n" },
	{ .name = "a Service that nobody has looked at yet",
	  .service = WAITING("", ""),
	  .speakers = { SPEAKER, SPEAKER },
	  .expected = "degraded\ndegraded NoAddress Service shop/db: the Service has no address "
	              "yet\n" },
	{ .name = "a Service of another class",
	  .service = WAITING("'loadBalancerClass':'x.io/y',", ""),
	  .speakers = { SPEAKER, SPEAKER },
	  .expected = "OK\n" },
	{ .name = "the only pool is full",
	  .pools = "{name: lan, protocol: layer2, addresses: [192.0.2.240/32]}",
	  .expected = "degraded\ndegraded PoolFull pool lan: none of its 1 addresses is free\n" },
	{ .name = "a full pool beside another",
	  .pools = "{name: lan, protocol: layer2, addresses: [192.0.2.240/32]}, {name: more, "
	           "protocol: layer2, addresses: [192.0.2.241-192.0.2.250]}",
	  .expected = "OK\nOK PoolFull pool lan: none of its 1 addresses is free\n" },
	{ .name = "a full pool beside one of the other family",
	  .pools = "{name: lan, protocol: layer2, addresses: [192.0.2.240/32]}, {name: six, "
	           "protocol: bgp, addresses: [2001:db8::/64]}",
	  .expected = "degraded\ndegraded PoolFull pool lan: none of its 1 addresses is free\n" },
	{ .name = "a full pool that is asked for by name",
	  .pools = "{name: lan, protocol: layer2, auto-assign: false, addresses: "
	           "[192.0.2.240/32]}",
	  .expected = "OK\nOK PoolFull pool lan: none of its 1 addresses is free\n" },
	{ .name = "a speaker that has lost the API server",
	  .speakers = { NULL, "'config':{'generation':3},'api':{'fresh':false}" },
	  .expected = "degraded\ndegraded SpeakerStale node n2: the API server does not answer "
	              "it\n" },
	{ .name = "a speaker of an older configuration",
	  .speakers = { NULL, "'config':{'generation':2},'api':{'fresh':true}" },
	  .expected = "degraded\ndegraded SpeakerStale node n2: it follows generation 2 of the "
	              "configuration, and 3 is in force\n" },
	{ .name = "no heartbeat key",
	  .speakers = { NULL, SPEAKER ",'l2':{'heartbeat_key':'awaited'}" },
	  .expected = "degraded\ndegraded HeartbeatKeyPending node n2: the speaker does not know "
	              "the heartbeat key yet\n" },
	{ .name = "layer 2 is in trouble",
	  .speakers = { NULL, SPEAKER ",'l2':{'troubles':[{'reason':'ProxyArp','interface':"
	                              "'eth0','message':'02:…'},{'reason':'NewWord',"
	                              "'interface':'eth1','message':'of a later version'}]}" },
	  .expected = "degraded\ndegraded ProxyArp node n2, interface eth0: 02:…\n"
	              "degraded NewWord node n2, interface eth1: of a later version\n" },
	{ .name = "rules are not in sync",
	  .speakers = { NULL, SPEAKER ",'proxy':{'mode':'iptables','in_sync':false,'families':"
	                              "[{'last_error':'locked'}]}" },
	  .expected = "degraded\ndegraded RulesPending node n2: locked\n" },
	{ .name = "rules are refused",
	  .speakers = { NULL, SPEAKER ",'proxy':{'mode':'iptables','in_sync':false,'families':"
	                              "[{'refused':[{'service':'shop/web','error':'no module'}"
	                              "]}]}" },
	  .expected = "degraded\ndegraded RulesRefused Service shop/web on node n2: no module\n" },
	{ .name = "a firewall refuses what the node forwards, of a family that it carries",
	  .speakers = { NULL, SPEAKER ",'proxy':{'mode':'nftables','in_sync':true,'forward':[null,"
	                              "{'family':4,'passage':'refused','where':'table inet fw'},"
	                              "{'family':6,'passage':'refused','where':'table inet fw'}],"
	                              "'families':[null,{'family':4,'services':1},"
	                              "{'family':6,'services':0}]}" },
	  .expected = "degraded\ndegraded ForwardRefused node n2: IPv4: table inet fw\n" },
	{ .name = "a firewall may refuse what the node forwards",
	  .speakers = { NULL, SPEAKER ",'proxy':{'mode':'iptables','in_sync':true,'forward':["
	                              "{'family':4,'passage':'passes','where':''},"
	                              "{'family':6,'passage':'uncertain','where':'table inet fw'}],"
	                              "'families':[{'family':6,'services':2}]}" },
	  .expected = "OK\nOK ForwardUncertain node n2: IPv6: table inet fw\n" },
	{ .name = "a health-check node port that is somebody else's",
	  .speakers = { NULL,
	                SPEAKER ",'health':{'failing':[null,{'service':'shop/web','port':30100,"
	                        "'error':'Address already in use'}]}" },
	  .expected =
	          "degraded\ndegraded HealthPortFailed Service shop/web on node n2: port 30100: "
	          "Address already in use\n" },
	{ .name = "BGP sessions that are down, together though found apart",
	  .speakers = { SPEAKER ",'services':[" WEB_SAYS(
				"true",
				"Announced") "],'bgp':{'reason':'Announced','peers':[{'name':'a','address':"
	                                     "'192.0.2.1','last_error':'no route'},{'name':'b','address':"
	                                     "'192.0.2.2','reason':'BgpNoPassword','last_error':'no Secret'}]}",
	                SPEAKER ",'bgp':{'reason':'Announced','peers':[{'name':'a','address':"
	                        "'192.0.2.1','reason':'BgpNoSession','last_error':'no route'},"
	                        "{'name':'b','established':true}]}" },
	  .expected = "degraded\ndegraded BgpNoSession node n1, peer a (192.0.2.1): no route\n"
	              "degraded BgpNoSession node n2, peer a (192.0.2.1): no route\n"
	              "degraded BgpNoPassword node n1, peer b (192.0.2.2): no Secret\n" },
	{ .name = "bgpd does not answer",
	  .speakers = { NULL, SPEAKER ",'bgp':{'reason':'BgpUnreachable','message':'refused'}" },
	  .expected = "degraded\ndegraded BgpUnreachable node n2: refused\n" },
	{ .name = "a node without BGP",
	  .speakers = { NULL, SPEAKER ",'bgp':{'reason':'BgpNoPeer','message':'none'}" },
	  .expected = "OK\n" },
	{ .name = "the worst comes first",
	  .leader = "",
	  .speakers = { NULL, "-" },
	  .expected = "down\ndown NoLeader controller: no controller leads, so no address is "
	              "assigned or taken back\n"
	              "degraded SpeakerSilent node n2: unreachable\n" },
};

static void put_said(struct model *m, const char *node, const char *said)
{
	cleanup_free char *text = xasprintf("{%s}", said);

	if (!strcmp(said, "-")) {
		cluster_put_speaker(m, node, NULL, "unreachable");
		return;
	}
	struct json_object *obj = world_parse(text);
	cluster_put_speaker(m, node, obj, NULL);
	json_object_put(obj);
}

static void put_wanted(struct model *m, const char *yaml)
{
	struct label data = { (char[]){ "config" }, xstrdup(yaml) };
	const struct kube_config_map map = { .data = { .kvs = &data, .n = 1 } };

	cluster_put_wanted(m, &map);
	free(data.value);
}

/* In a template of a Pod its container is called as its component. */
static void put_pods(struct model *m, const char *const pods[static 4])
{
	for (size_t i = 0; i < 4 && pods[i]; i++) {
		const char *name =
			strstr(pods[i], "component':'controller'") ? "controller" : "speaker";
		const char *gap = strstr(pods[i], "%s");
		cleanup_free char *text =
			gap ? xasprintf("%.*s%s%s", (int)(gap - pods[i]), pods[i], name, gap + 2)
			    : xstrdup(pods[i]);
		struct err e = ERR_INIT;
		if (!strcmp(text, "-")) {
			cluster_hide_pods(m);
			continue;
		}
		struct json_object *obj = world_parse(text);
		if (cluster_put_pod(m, obj, &e) < 0)
			fail_msg("%s", e.msg);
		json_object_put(obj);
	}
	if (pods[0])
		cluster_end_pods(m);
}

static struct model *model_of(const struct row *row)
{
	struct model *m = cluster_new();
	cleanup_free char *pools = xasprintf("address-pools: [%s]", row->pools ? row->pools : LAN);

	cluster_put_leader(m, row->leader ? row->leader : "c-1", row->leader_silent_s);
	if (!row->pools || *row->pools)
		world_put_configuration(m, pools);
	if (row->wanted)
		put_wanted(m, row->wanted);
	if (!row->service || *row->service)
		world_put_service(m, row->service ? row->service : WEB);
	put_pods(m, row->pods);
	world_put_node(m, "n1", "192.0.2.11");
	world_put_node(m, "n2", "192.0.2.12");
	m->nodes[1].ready = !row->unready;
	m->nodes[1].excluded = row->excluded;
	put_said(m, "n1",
	         row->speakers[0] ? row->speakers[0]
	                          : SPEAKER ",'services':[" WEB_SAYS("true", "Announced") "]");
	put_said(m, "n2",
	         row->speakers[1] ? row->speakers[1]
	                          : SPEAKER ",'services':[" WEB_SAYS("false", "NotOwner") "]");
	return m;
}

static void put_findings(const struct findings *f, struct buf *out)
{
	buf_printf(out, "%s\n", verdict_name(verdict_of(f)));
	for (size_t i = 0; i < f->n; i++)
		buf_printf(out, "%s %s %s: %s\n", verdict_name(f->items[i].level),
		           f->items[i].reason, f->items[i].object, f->items[i].message);
}

static void each_broken_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf said = BUF_INIT;
		cleanup(findings_fini) struct findings f = { .items = NULL };
		struct model *m = model_of(&rows[i]);
		verdict_find(m, ALL, &f);
		put_findings(&f, &said);
		if (strcmp(buf_str(&said), rows[i].expected) != 0)
			fail_msg("%s:\n%sinstead of\n%s", rows[i].name, buf_str(&said),
			         rows[i].expected);
		cluster_free(m);
	}
}

static void the_rejected_is_called_by_its_name(void **state)
{
	(void)state;
	struct model *m = cluster_new();
	const struct kube_config_map map = { .meta = { .name = (char[]){ "pools" } } };
	cleanup(findings_fini) struct findings f = { .items = NULL };

	m->config_hidden = m->leader_hidden = true;
	cluster_put_wanted(m, &map);
	verdict_find(m, VERDICT_CONTROLLER, &f);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].object, "ConfigMap pools");
	cluster_free(m);
}

static void put_version(struct model *m, const char *daemon, const char *version)
{
	cleanup_free char *text = xasprintf("{'version':'%s'}", version ? version : "");
	struct json_object *obj = version ? world_parse(text) : NULL;

	if (daemon[0] == 'n')
		cluster_put_speaker(m, daemon, obj, NULL);
	else
		cluster_put_controller(m, daemon, obj, NULL);
	json_object_put(obj);
}

static void versions_are_one_or_not(void **state)
{
	(void)state;
	static const struct {
		const char *versions[4]; /* of two controllers and two speakers; NULL: silent */
		const char *expected;
	} cases[] = {
		{ { PACKAGE_VERSION, PACKAGE_VERSION, PACKAGE_VERSION, PACKAGE_VERSION }, "OK\n" },
		{ { "9.1", "9.1", "9.1", "9.1" },
		  "OK\nOK VersionSkew this program: it is " PACKAGE_VERSION
		  ", and all daemons are 9.1\n" },
		{ { "9.1", "9.1", "9.1", "9.0" },
		  "degraded\ndegraded VersionSkew version 9.1: controller on n1, n2; speaker on "
		  "n1\ndegraded VersionSkew version 9.0: speaker on n2\n" },
		{ { "9.1", "9.0", "9.0", "9.0" },
		  "degraded\ndegraded VersionSkew version 9.1: controller on n1\ndegraded "
		  "VersionSkew version 9.0: controller on n2; speaker on n1, n2\n" },
		/* A speaker that says nothing of it is not of another. */
		{ { PACKAGE_VERSION, PACKAGE_VERSION, PACKAGE_VERSION, "" }, "OK\n" },
		{ { "", PACKAGE_VERSION, PACKAGE_VERSION, PACKAGE_VERSION }, "OK\n" },
		{ { NULL, PACKAGE_VERSION, PACKAGE_VERSION, PACKAGE_VERSION }, "OK\n" },
	};
	static const char *const pods[4] = { POD("controller", "n1", RUNS),
		                             POD("controller", "n2", RUNS) };
	static const char *const names[] = { "controller-n1", "controller-n2", "n1", "n2" };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup(buf_fini) struct buf said = BUF_INIT;
		cleanup(findings_fini) struct findings f = { .items = NULL };
		struct model *m = cluster_new();
		put_pods(m, pods);
		world_put_node(m, "n1", "192.0.2.11");
		world_put_node(m, "n2", "192.0.2.12");
		for (size_t k = 0; k < ARRAY_LEN(names); k++)
			put_version(m, names[k], cases[i].versions[k]);
		verdict_find(m, VERDICT_VERSIONS | VERDICT_SPEAKERS, &f);
		put_findings(&f, &said);
		assert_string_equal(buf_str(&said), cases[i].expected);
		cluster_free(m);
	}
}

/* Those of which an answer is to be had, at the port that they name. */
static void controllers_that_run_are_asked(void **state)
{
	(void)state;
	static const char *const pods[4] = {
		POD("controller", "n1", RUNS),
		POD_OF("controller", "",
		       "'nodeName':'n2','containers':[{'ports':[{'name':'http','containerPort':"
		       "1234}]}]",
		       RUNS),
		POD("controller", "n3", EVICTED),
		POD("other", "n1", RUNS),
	};
	struct model *m = cluster_new();
	size_t n;

	put_pods(m, pods);
	assert_int_equal(m->pods.n, 3);
	struct gather_daemon *asked = cluster_controllers(m, &n);
	assert_int_equal(n, 2);
	assert_string_equal(asked[0].name, "controller-n1");
	assert_int_equal(asked[0].port, 17481);
	assert_string_equal(asked[1].name, "controller-x");
	assert_int_equal(asked[1].port, 1234);
	free(asked);
	cluster_free(m);
}

/* Of a speaker, and of those that say where the configuration comes from. */
static void the_first_answer_counts(void **state)
{
	(void)state;
	static const char *const maps[] = { "pools", "others" };
	struct model *m = model_of(&(struct row){ .name = "healthy" });
	cleanup(findings_fini) struct findings f = { .items = NULL };

	put_said(m, "n1", "-");
	verdict_find(m, ALL, &f);
	assert_int_equal(f.n, 0);
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		cleanup_free char *text = xasprintf("{'config':{'config_map':'%s'}}", maps[i]);
		struct json_object *obj = world_parse(text);
		cluster_put_controller(m, "c", obj, NULL);
		json_object_put(obj);
	}
	assert_string_equal(cluster_source(m), "pools");
	cluster_free(m);
}

static void a_mark_of_uninstalling_counts(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf said = BUF_INIT;
	cleanup(findings_fini) struct findings f = { .items = NULL };
	struct model *m = model_of(&(struct row){ .name = "healthy" });

	m->uninstalling = true;
	verdict_find(m, VERDICT_CONTROLLER, &f);
	put_findings(&f, &said);
	assert_string_equal(buf_str(&said),
	                    "down\ndown Uninstalling ConfigMap fairlead-active: Fairlead is being "
	                    "uninstalled, so nothing is assigned or announced\n");
	cluster_free(m);
}

/* 11 addresses, 10 used: nearly full. */
static void a_pool_is_nearly_full(void **state)
{
	(void)state;
	static const struct {
		int used;
		const char *expected;
	} steps[] = { { 9, "OK\n" },
		      { 10, "OK\nOK PoolNearlyFull pool lan: 1 of its 11 addresses are free\n" } };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		cleanup(buf_fini) struct buf said = BUF_INIT;
		cleanup(findings_fini) struct findings f = { .items = NULL };
		struct model *m = model_of(&(struct row){ .name = "healthy" });
		for (int k = 1; k < steps[i].used; k++) {
			cleanup_free char *text =
				xasprintf(SERVICE("s%d", INGRESS("192.0.2.%d")), k, 240 + k);
			world_put_service(m, text);
		}
		verdict_find(m, VERDICT_POOLS, &f);
		put_findings(&f, &said);
		assert_string_equal(buf_str(&said), steps[i].expected);
		cluster_free(m);
	}
}

static void parts_are_looked_at_as_asked(void **state)
{
	(void)state;
	static const struct row bad = { .name = "bad", .leader = "", .speakers = { NULL, "-" } };
	cleanup(findings_fini) struct findings pools = { .items = NULL }, bgp = { .items = NULL };
	struct model *m = model_of(&bad);

	verdict_find(m, VERDICT_POOLS, &pools);
	assert_int_equal(verdict_of(&pools), VERDICT_OK);
	verdict_find(m, VERDICT_SPEAKERS | VERDICT_BGP, &bgp);
	assert_int_equal(bgp.n, 1);
	assert_int_equal(verdict_of(&bgp), VERDICT_DEGRADED);
	cluster_free(m);
}

/* Of many objects with one reason a few are named, with the remedy once. */
static void many_are_told_in_few_words(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf text = BUF_INIT, json = BUF_INIT;
	cleanup(findings_fini) struct findings f = { .items = NULL };
	cleanup(out_fini) struct out o, j;
	struct model *m = model_of(&(struct row){ .name = "healthy", .service = "" });

	for (int k = 0; k < 7; k++) {
		cleanup_free char *service = xasprintf(
			SERVICE("s%d", "'conditions':[" CONDITION("AddressTaken") "]"), k);
		world_put_service(m, service);
	}
	verdict_find(m, VERDICT_SERVICES, &f);
	out_init(&o, OUT_TEXT, &text);
	verdict_print(&f, NULL, &o);
	assert_string_equal(
		buf_str(&text),
		"degraded\n"
		"  AddressTaken\n"
		"    Service shop/s0: so\n"
		"    Service shop/s1: so\n"
		"    Service shop/s2: so\n"
		"    Service shop/s3: so\n"
		"    Service shop/s4: so\n"
		"    and 2 more\n"
		"    → Ask for another address, or delete the Service that has it, which fairlead "
		"explain names; this\n"
		"    one then gets the address as soon as it is free.\n");
	out_init(&j, OUT_JSON, &json);
	verdict_print(&f, NULL, &j);
	struct json_object *verdict = json_tokener_parse(buf_str(&json));
	assert_string_equal(json_object_get_string(json_object_object_get(verdict, "level")),
	                    "degraded");
	assert_int_equal(json_object_array_length(json_object_object_get(verdict, "findings")), 7);
	json_object_put(verdict);
	cluster_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_broken_state),
		cmocka_unit_test(the_rejected_is_called_by_its_name),
		cmocka_unit_test(versions_are_one_or_not),
		cmocka_unit_test(controllers_that_run_are_asked),
		cmocka_unit_test(the_first_answer_counts),
		cmocka_unit_test(a_mark_of_uninstalling_counts),
		cmocka_unit_test(a_pool_is_nearly_full),
		cmocka_unit_test(parts_are_looked_at_as_asked),
		cmocka_unit_test(many_are_told_in_few_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
