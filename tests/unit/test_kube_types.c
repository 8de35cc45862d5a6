/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <json-c/json.h>

#include "fairlead/buf.h"
#include "fairlead/kube.h"
#include "fairlead/kube_types.h"
#include "fairlead/mem.h"

static struct json_object *json_of(const char *text)
{
	struct json_object *obj = json_tokener_parse(text);

	assert_non_null(obj);
	return obj;
}

static struct kube_service *service_of(const char *text)
{
	struct json_object *obj = json_of(text);
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;
	int r = kube_service_parse(obj, &s, &e);

	if (r < 0)
		fail_msg("%s", e.msg);
	/* Nothing may point into the document. */
	json_object_put(obj);
	return s;
}

static void service_reads_everything(void **state)
{
	(void)state;
	struct kube_service *s = service_of(
		"{'metadata':{'namespace':'shop','name':'web','uid':'u1','resourceVersion':'7',"
		"'creationTimestamp':'2026-01-02T03:04:05Z','labels':{'app':'web'},"
		"'annotations':{'fairlead.io/address-pool':'lan','kubectl.kubernetes.io/x':'y',"
		"'fairlead.io/scheduler':'wlc','fairlead.io/external-ips':'edge','fairlead.io/external-ips-assigned':'203.0.113.1'}},"
		"'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9','"
		"fd00::9'],"
		"'ipFamilies':['IPv4','IPv6'],'ipFamilyPolicy':'PreferDualStack',"
		"'ports':[{'name':'http','port':80,'nodePort':30080},{'name':'dns','port':53,'"
		"protocol':'UDP'}],"
		"'externalIPs':['203.0.113.1'],'loadBalancerIP':'192.0.2.7','loadBalancerClass':'"
		"fairlead.io/a',"
		"'externalTrafficPolicy':'Local','internalTrafficPolicy':'Local','"
		"healthCheckNodePort':31000,"
		"'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds'"
		":60}},"
		"'loadBalancerSourceRanges':[' 10.0.0.0/8 ']},"
		"'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.7','ipMode':'Proxy'},{'"
		"hostname':'a.b'}]},"
		"'conditions':[{'type':'t','status':'True','reason':'R','message':'m','"
		"observedGeneration':3,"
		"'lastTransitionTime':'2026-01-02T03:04:05Z'}]}}");
	assert_string_equal(kube_key(&s->meta), "shop/web");
	assert_true(s->meta.creation_us == 1767323045000000);
	assert_string_equal(labels_get(&s->meta.labels, "app"), "web");
	assert_int_equal(s->meta.annotations.n, 4);
	assert_string_equal(s->traffic.scheduler, "wlc");
	assert_string_equal(s->external_pool, "edge");
	assert_int_equal(s->n_external_assigned, 1);
	assert_string_equal(addr_str(&s->external_assigned[0]), "203.0.113.1");
	assert_int_equal(s->type, KUBE_LOAD_BALANCER);
	assert_int_equal(s->n_cluster_ips, 2);
	assert_string_equal(addr_str(&s->cluster_ips[1]), "fd00::9");
	assert_int_equal(s->families[0], 4);
	assert_int_equal(s->families[1], 6);
	assert_int_equal(s->family_policy, KUBE_PREFER_DUAL_STACK);
	assert_int_equal(s->n_ports, 2);
	assert_int_equal(s->ports[0].node_port, 30080);
	assert_int_equal(s->ports[0].proto, KUBE_TCP);
	assert_int_equal(s->ports[1].proto, KUBE_UDP);
	assert_string_equal(addr_str(&s->external_ips[0]), "203.0.113.1");
	assert_string_equal(s->load_balancer_ip, "192.0.2.7");
	assert_string_equal(s->load_balancer_class, "fairlead.io/a");
/* Each row is given above, and no parser may be missing. */
#define PARSED(kind, ...) PARSED_##kind(__VA_ARGS__)
#define PARSED_VALUE(type, name) assert_true(s->traffic.name);
#define PARSED_OPTION(name) assert_non_null(s->traffic.name);
	TRAFFIC_FIELDS(PARSED)
	assert_int_equal(s->traffic.health_port, 31000);
	assert_int_equal(s->traffic.affinity_s, 60);
	assert_int_equal(s->source_ranges[0].len, 8);
	assert_int_equal(s->n_ingress, 2);
	assert_true(s->ingress[0].ip_mode_proxy && s->ingress[0].has_ip_mode);
	assert_string_equal(s->ingress[1].hostname, "a.b");
	assert_true(addr_is_none(&s->ingress[1].ip));
	assert_string_equal(s->conditions[0].message, "m");
	assert_int_equal(s->conditions[0].observed_generation, 3);
	kube_service_free(s);
}

static void service_fills_in_defaults(void **state)
{
	(void)state;
	struct kube_service *s = service_of(
		"{'metadata':{'name':'web','deletionTimestamp':'2026-01-02T03:04:05Z','uid':null},"
		"'spec':{'clusterIP':'10.96.000.009','ports':[{'port':80}],'sessionAffinity':'"
		"ClientIP',"
		"'loadBalancerIP':''}}");
	assert_string_equal(kube_key(&s->meta), "web");
	assert_string_equal(s->meta.uid, "");
	assert_true(s->meta.deleting);
	assert_int_equal(s->type, KUBE_CLUSTER_IP);
	assert_string_equal(addr_str(&s->cluster_ips[0]), "10.96.0.9");
	assert_string_equal(s->ports[0].name, "");
	assert_int_equal(s->traffic.affinity_s, 10800);
	assert_false(s->traffic.external_local || s->traffic.internal_local || s->headless);
	assert_null(s->load_balancer_ip);
	assert_null(s->load_balancer_class);
	kube_service_free(s);

	s = service_of(
		"{'metadata':{'name':'h'},'spec':{'clusterIP':'None','clusterIPs':['None']}}");
	assert_true(s->headless);
	assert_int_equal(s->n_cluster_ips, 0);
	kube_service_free(s);
}

static void the_record_of_external_ips(void **state)
{
	(void)state;
	static const struct {
		const char *record;
		size_t n;
		bool malformed;
	} rows[] = {
		{ "", 0, false },
		{ " , ", 0, false },
		{ "203.0.113.1", 1, false },
		{ " 203.0.113.1 , 2001:db8::1 ", 2, false },
		{ "2001:DB8:0::1,203.0.113.1", 2, false },
		{ "203.0.113.1,203.0.113.2", 0, true },
		{ "203.0.113.1,2001:db8::1,2001:db8::2", 0, true },
		{ "203.0.113.1,", 1, false },
		{ "203.0.113", 0, true },
		{ "203.0.113.1;2001:db8::1", 0, true },
		{ "2001:db8:1111:2222:3333:4444:5555:6666:7777:8888", 0, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *json =
			xasprintf("{'metadata':{'name':'w','annotations':{'%s':'%s','%s':' '}}}",
		                  KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED, rows[i].record,
		                  KUBE_ANNOTATION_EXTERNAL_IPS);
		struct kube_service *s = service_of(json);
		if (s->n_external_assigned != rows[i].n ||
		    s->external_record_malformed != rows[i].malformed)
			fail_msg("\"%s\": %zu addresses", rows[i].record, s->n_external_assigned);
		assert_null(s->external_pool);
		kube_service_free(s);
	}
}

/* Each is refused with a message that names object and field. */
static void malformed_objects_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *json, *said;
	} cases[] = {
		{ "service", "[]", "not an object" },
		{ "service", "{}", "metadata.name: missing" },
		{ "service", "{'metadata':[]}", "metadata: not an object" },
		{ "service", "{'metadata':{'name':80}}", "metadata.name: not a string" },
		{ "service", "{'metadata':{'name':'a\\u0000b'}}", "NUL" },
		{ "service", "{'metadata':{'name':'w','labels':{'a':1}}}",
		  "metadata.labels: not a string" },
		{ "service", "{'metadata':{'name':'w'},'spec':7}",
		  "Service w: spec: not an object" },
		{ "service",
		  "{'metadata':{'name':'w','namespace':'n'},'spec':{'ports':[{'port':'80'}]}}",
		  "Service n/w: spec.ports[0].port: not a whole number between 1 and 65535" },
		{ "service",
		  "{'metadata':{'name':'w'},'spec':{'ports':[{'port':80},{'port':70000}]}}",
		  "spec.ports[1].port" },
		{ "service", "{'metadata':{'name':'w'},'spec':{'ports':[{}]}}",
		  "spec.ports[0].port: missing" },
		{ "service", "{'metadata':{'name':'w'},'spec':{'ports':[80]}}",
		  "spec.ports[0]: not an object" },
		{ "service", "{'metadata':{'name':'w'},'spec':{'ports':{}}}",
		  "spec.ports: not a list" },
		{ "service", "{'metadata':{'name':'w'},'spec':{'type':'Magic'}}",
		  "unknown value \"Magic\"" },
		{ "service", "{'metadata':{'name':'w'},'spec':{'clusterIPs':['x']}}",
		  "spec.clusterIPs[0]: \"x\" is no IP address" },
		{ "service", "{'metadata':{'name':'w'},'spec':{'clusterIPs':['::1','::2','::3']}}",
		  "3 entries" },
		{ "service",
		  "{'metadata':{'name':'w'},'spec':{'loadBalancerSourceRanges':['1.2.3.4']}}",
		  "no CIDR" },
		{ "service",
		  "{'metadata':{'name':'w'},'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3'}]}}"
		  "}",
		  "status.loadBalancer.ingress[0].ip" },
		{ "service", "{'metadata':{'name':'w','creationTimestamp':'yesterday'}}",
		  "RFC 3339" },
		{ "slice", "{'metadata':{'name':'s'},'addressType':'IPv4','endpoints':[{}]}",
		  "endpoints[0].addresses: no address" },
		{ "slice",
		  "{'metadata':{'name':'s'},'addressType':'IPv4','endpoints':[{'addresses':['::1']}"
		  "]}",
		  "not of the slice's address type" },
		{ "slice",
		  "{'metadata':{'name':'s'},'addressType':'IPv4','endpoints':[{'addresses':['10.0."
		  "0.1'],"
		  "'conditions':{'ready':'true'}}]}",
		  "endpoints[0].ready: neither true nor false" },
		{ "slice", "{'metadata':{'name':'s'},'addressType':4}",
		  "addressType: not a string" },
		{ "slice", "{'metadata':{'name':'s'},'ports':[{'port':1,'protocol':'ICMP'}]}",
		  "protocol" },
		{ "node",
		  "{'metadata':{'name':'n'},'status':{'addresses':[{'type':'InternalIP','address':'"
		  "x'}]}}",
		  "Node n: status.addresses[0].address" },
		{ "node", "{'metadata':{'name':'n'},'spec':{'podCIDR':'10.0.0.0'}}", "no CIDR" },
		{ "pod",
		  "{'metadata':{'name':'p'},'spec':{'containers':[{'ports':[{'name':'http',"
		  "'containerPort':70000}]}]}}",
		  "containerPort: not a whole number between 1 and 65535" },
		{ "pod", "{'metadata':{'name':'p'},'status':{'podIP':'x'}}",
		  "\"x\" is no IP address" },
		{ "map", "{'metadata':{'name':'m'},'data':{'config':{}}}",
		  "ConfigMap m: data: not a string" },
		{ "object", "{'metadata':{'name':''}}", "missing" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json_object *obj = json_of(cases[i].json);
		struct err e = ERR_INIT;
		int r = 0;
		void *ret = NULL;
		if (!strcmp(cases[i].kind, "service"))
			r = kube_service_parse(obj, (struct kube_service **)&ret, &e);
		else if (!strcmp(cases[i].kind, "slice"))
			r = kube_slice_parse(obj, (struct kube_slice **)&ret, &e);
		else if (!strcmp(cases[i].kind, "node"))
			r = kube_node_parse(obj, (struct kube_node **)&ret, &e);
		else if (!strcmp(cases[i].kind, "pod"))
			r = kube_pod_parse(obj, (struct kube_pod **)&ret, &e);
		else if (!strcmp(cases[i].kind, "map"))
			r = kube_config_map_parse(obj, (struct kube_config_map **)&ret, &e);
		else
			r = kube_object_parse(obj, (struct kube_object **)&ret, &e);
		if (r != -EINVAL || !strstr(e.msg, cases[i].said))
			fail_msg("case %zu: %d, \"%s\" lacks \"%s\"", i, r, e.msg, cases[i].said);
		assert_null(ret);
		assert_int_equal(e.blame, ERR_REMOTE);
		json_object_put(obj);
	}
}

static void lists_are_bounded(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	buf_puts(&b, "{\"metadata\":{\"name\":\"s\"},\"addressType\":\"IPv4\",\"endpoints\":[");
	for (int i = 0; i < 1001; i++)
		buf_printf(&b, "%s{\"addresses\":[\"10.0.0.1\"]}", i ? "," : "");
	buf_puts(&b, "]}");
	struct json_object *obj = json_of(buf_str(&b));
	struct kube_slice *s = NULL;
	struct err e = ERR_INIT;
	assert_int_equal(kube_slice_parse(obj, &s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "1001 entries, more than the 1000"));
	json_object_put(obj);

	buf_clear(&b);
	buf_puts(&b, "{\"metadata\":{\"name\":\"p\"},\"status\":{\"containerStatuses\":[");
	for (int i = 0; i < 257; i++)
		buf_printf(&b, "%s{}", i ? "," : "");
	buf_puts(&b, "]}}");
	obj = json_of(buf_str(&b));
	struct kube_pod *pod = NULL;
	assert_int_equal(kube_pod_parse(obj, &pod, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "257 entries, more than the 256"));
	json_object_put(obj);
}

static void slice_reads_everything(void **state)
{
	(void)state;
	struct json_object *obj = json_of(
		"{'metadata':{'namespace':'shop','name':'web-x','labels':{'kubernetes.io/"
		"service-name':'web'},'ownerReferences':[{'apiVersion':'v1','kind':'Pod',"
		"'uid':'p'},{'apiVersion':'v1','kind':'Service','uid':'s'}]},"
		"'addressType':'IPv4','ports':[{'name':'http','port':8080},{'name':'all'},"
		"{'name':null,'port':53,'protocol':'UDP'}],"
		"'endpoints':[{'addresses':['10.244.1.5','10.244.1.6'],'nodeName':'n1','"
		"conditions':{},'hints':{'forZones':[{'name':'a'},{'name':'b'}],'forNodes':null}},"
		"{'addresses':['10.244.2.5'],'conditions':{'ready':false,'serving':true,'"
		"terminating':true}}]}");
	struct kube_slice *s = NULL;
	assert_int_equal(kube_slice_parse(obj, &s, NULL), 0);
	json_object_put(obj);
	assert_string_equal(s->service, "web");
	assert_string_equal(s->owner_uid, "s");
	assert_int_equal(s->trigger_us, 0);
	assert_int_equal(s->family, 4);
	assert_int_equal(s->n_ports, 2);
	assert_int_equal(s->ports[0].port, 8080);
	assert_string_equal(s->ports[1].name, "");
	assert_int_equal(s->ports[1].proto, KUBE_UDP);
	assert_int_equal(s->n_endpoints, 2);
	assert_true(s->endpoints[0].ready && s->endpoints[0].serving &&
	            !s->endpoints[0].terminating);
	assert_string_equal(s->endpoints[0].node, "n1");
	assert_string_equal(s->endpoints[0].hint_zones, ",a,b,");
	assert_null(s->endpoints[0].hint_nodes);
	assert_null(s->endpoints[1].hint_zones);
	assert_null(s->endpoints[1].node);
	assert_true(!s->endpoints[1].ready && s->endpoints[1].serving &&
	            s->endpoints[1].terminating);
	kube_slice_free(s);

	/* What is no time is no reason to refuse the slice. */
	static const struct {
		const char *said;
		int64_t us;
	} times[] = {
		{ "'2026-01-01T00:00:00.123456789Z'", INT64_C(1767225600123456) },
		{ "'2026-01-01T01:00:00+01:00'", INT64_C(1767225600000000) },
		{ "'yesterday'", 0 },
		{ "7", 0 },
		{ "null", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		cleanup_free char *text =
			xasprintf("{'metadata':{'name':'x','annotations':{'endpoints.kubernetes.io/"
		                  "last-change-trigger-time':%s}},'addressType':'IPv4'}",
		                  times[i].said);
		obj = json_of(text);
		assert_int_equal(kube_slice_parse(obj, &s, NULL), 0);
		assert_int_equal(s->trigger_us, times[i].us);
		kube_slice_free(s);
		json_object_put(obj);
	}

	obj = json_of("{'metadata':{'name':'x'},'addressType':'FQDN','endpoints':[{'addresses':['a."
	              "b']}]}");
	assert_int_equal(kube_slice_parse(obj, &s, NULL), 0);
	assert_int_equal(s->family, 0);
	assert_string_equal(s->owner_uid, "");
	assert_int_equal(s->n_endpoints, 0);
	kube_slice_free(s);
	json_object_put(obj);
}

static void node_reads_everything(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		bool set;
	} values[] = {
		{ "true", true }, { "false", false }, { "F", false }, { "", true }, { "nein", true }
	};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		cleanup_free char *text = xasprintf(
			"{'metadata':{'name':'n1','labels':{"
			"'node.kubernetes.io/exclude-from-external-load-balancers':'%s'},"
			"'annotations':{'fairlead.io/drain':'%s'}},"
			"'spec':{'unschedulable':%s,'podCIDR':'10.244.1.0/24','podCIDRs':['10.244.1.0/24','fd00:1::/"
			"64']},"
			"'status':{'addresses':[{'type':'Hostname','address':'n1'},"
			"{'type':'InternalIP','address':'192.168.1.11'}],'conditions':["
			"{'type':'Ready','status':'True'},{'type':'NetworkUnavailable','status':'"
			"Unknown'}]}}",
			values[i].value, values[i].value, values[i].set ? "true" : "false");
		struct json_object *obj = json_of(text);
		struct kube_node *n = NULL;
		assert_int_equal(kube_node_parse(obj, &n, NULL), 0);
		json_object_put(obj);
		assert_int_equal(n->excluded, values[i].set);
		assert_int_equal(n->drained, values[i].set);
		assert_int_equal(n->cordoned, values[i].set);
		assert_true(n->ready && !n->network_unavailable);
		assert_int_equal(n->n_internal_ips, 1);
		assert_int_equal(n->n_pod_cidrs, 2);
		assert_int_equal(n->pod_cidrs[1].len, 64);
		kube_node_free(n);
	}
}

static void pod_reads_everything(void **state)
{
	(void)state;
	struct json_object *obj = json_of(
		"{'metadata':{'namespace':'ns','name':'p'},'spec':{'nodeName':'n1','containers':[{"
		"'name':'frr'},{'name':'speaker','ports':[{'name':'x','containerPort':1},{'name':"
		"'http','containerPort':17482},{'name':'http','containerPort':2}]}]},'status':{"
		"'phase':'Running','podIP':'192.0.2.1','conditions':[{'type':'PodScheduled',"
		"'status':'True','message':'x'},{'type':'Ready','status':'False','message':'y'}],"
		"'initContainerStatuses':[{'name':'i','state':{'terminated':{'exitCode':0}}}],"
		"'containerStatuses':[{'name':'speaker','state':{'waiting':{'reason':"
		"'CrashLoopBackOff','message':'back-off'}},'lastState':{'terminated':{'exitCode':"
		"137,'reason':'OOMKilled'}}},{'name':'frr','state':{'running':{}}}]}}");
	struct kube_pod *pod = NULL;
	assert_int_equal(kube_pod_parse(obj, &pod, NULL), 0);
	json_object_put(obj);
	assert_string_equal(pod->node, "n1");
	assert_string_equal(addr_str(&pod->ip), "192.0.2.1");
	assert_string_equal(pod->phase, "Running");
	assert_int_equal(pod->http_port, 17482);
	assert_int_equal(pod->n_containers, 3);
	assert_true(pod->containers[0].is_init && pod->containers[0].has_ended);
	assert_true(!pod->containers[1].is_init && !pod->containers[1].runs);
	assert_string_equal(pod->containers[1].reason, "CrashLoopBackOff");
	assert_string_equal(pod->containers[1].message, "back-off");
	assert_int_equal(pod->containers[1].exit_code, 137);
	assert_string_equal(pod->containers[1].exit_reason, "OOMKilled");
	assert_true(pod->containers[2].runs);
	assert_null(pod->unscheduled);
	kube_pod_free(pod);

	/* A DaemonSet's that waits for its node, which its affinity names. */
	obj = json_of(
		"{'metadata':{'name':'p'},'spec':{'affinity':{'nodeAffinity':{"
		"'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{},{"
		"'matchFields':[{'key':'x','values':['n7']},{'key':'metadata.name','operator':"
		"'In','values':['n8','n9']},{'key':'metadata.name','operator':'In','values':["
		"'n2']}]}]}}}},'status':{'podIP':'','conditions':[{'type':'PodScheduled',"
		"'status':'False','message':'no memory'},{'type':'PodScheduled','status':'False',"
		"'message':'no disk'}]}}");
	assert_int_equal(kube_pod_parse(obj, &pod, NULL), 0);
	json_object_put(obj);
	assert_string_equal(pod->node, "n2");
	assert_string_equal(pod->phase, "Pending");
	assert_string_equal(pod->unscheduled, "no memory");
	assert_true(addr_is_none(&pod->ip));
	kube_pod_free(pod);
}

static void secret_is_decoded(void **state)
{
	(void)state;
	struct json_object *obj = json_of(
		"{'metadata':{'namespace':'s','name':'k'},'data':{'key':'AAEC','none':''}}");
	struct kube_secret *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(kube_secret_parse(obj, &s, NULL), 0);
	const struct kube_secret_item *item = kube_secret_get(s, "key");
	assert_int_equal(item->size, 3);
	assert_memory_equal(item->value, "\0\1\2", 4);
	assert_int_equal(kube_secret_get(s, "none")->size, 0);
	assert_null(kube_secret_get(s, "other"));
	kube_secret_free(s);
	json_object_put(obj);

	obj = json_of("{'metadata':{'namespace':'s','name':'k'},'data':{'key':'hunter2!'}}");
	assert_true(kube_secret_parse(obj, &s, &e) < 0);
	assert_non_null(strstr(e.msg, "Secret s/k: data.key: not base64"));
	assert_null(strstr(e.msg, "hunter2"));
	json_object_put(obj);
}

static void config_map_keeps_its_data(void **state)
{
	(void)state;
	struct json_object *obj =
		json_of("{'metadata':{'namespace':'s','name':'fairlead','annotations':"
	                "{'fairlead.io/generation':'4'}},'data':{'config':'a: b\\n','other':''}}");
	struct kube_config_map *m = NULL;
	assert_int_equal(kube_config_map_parse(obj, &m, NULL), 0);
	json_object_put(obj);
	assert_string_equal(labels_get(&m->data, "config"), "a: b\n");
	assert_string_equal(labels_get(&m->meta.annotations, "fairlead.io/generation"), "4");
	assert_null(labels_get(&m->data, "missing"));
	kube_config_map_free(m);
}

static void selectors_match(void **state)
{
	(void)state;
	struct label kvs[] = { { (char[]){ "rack" }, (char[]){ "a" } } };
	const struct labels labels = { .kvs = kvs, .n = 1 };
	char *a[] = { (char[]){ "b" }, (char[]){ "a" } }, *b[] = { (char[]){ "b" } };
	const struct {
		struct label_requirement r;
		bool matches;
	} cases[] = {
		{ { (char[]){ "rack" }, LABEL_IN, a, 2 }, true },
		{ { (char[]){ "rack" }, LABEL_IN, b, 1 }, false },
		{ { (char[]){ "zone" }, LABEL_IN, a, 2 }, false },
		{ { (char[]){ "rack" }, LABEL_NOT_IN, a, 2 }, false },
		{ { (char[]){ "rack" }, LABEL_NOT_IN, b, 1 }, true },
		{ { (char[]){ "zone" }, LABEL_NOT_IN, b, 1 }, true },
		{ { (char[]){ "rack" }, LABEL_EXISTS, NULL, 0 }, true },
		{ { (char[]){ "zone" }, LABEL_EXISTS, NULL, 0 }, false },
		{ { (char[]){ "rack" }, LABEL_DOES_NOT_EXIST, NULL, 0 }, false },
		{ { (char[]){ "zone" }, LABEL_DOES_NOT_EXIST, NULL, 0 }, true },
	};
	struct label_selector all = { 0 };
	assert_true(label_selector_matches(&all, &labels));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct label_requirement both[] = { cases[0].r, cases[i].r };
		struct label_selector sel = { .requirements = both, .n = 2 };
		assert_int_equal(label_selector_matches(&sel, &labels), cases[i].matches);
	}
}

static void readers_do_not_convert(void **state)
{
	(void)state;
	struct json_object *obj = json_of("{'s':'80','n':80,'null':null,'f':1.0,'b':true,"
	                                  "'big':99999999999999999999999,'z':'a\\u0000'}");
	bool bad = false;
	assert_int_equal(kube_json_int(obj, "n", 0, 100, -1, &bad), 80);
	assert_int_equal(kube_json_int(obj, "null", 0, 100, -1, &bad), -1);
	assert_int_equal(kube_json_int(obj, "missing", 0, 100, -1, &bad), -1);
	assert_string_equal(kube_json_str(obj, "s", &bad), "80");
	assert_true(kube_json_bool(obj, "b", false, &bad));
	assert_null(kube_json_get(NULL, "n", json_type_int, &bad));
	assert_false(bad);
	static const char *const wrong[] = { "s", "f", "b", "big" };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		bad = false;
		assert_int_equal(kube_json_int(obj, wrong[i], 0, 1 << 30, -1, &bad), -1);
		assert_true(bad);
	}
	bad = false;
	assert_null(kube_json_str(obj, "z", &bad));
	assert_true(bad);
	assert_null(kube_json_str(obj, "n", NULL));
	assert_false(kube_json_bool(obj, "n", false, NULL));
	json_object_put(obj);
}

static void the_latest_writer_of_a_status(void **state)
{
#define ENTRY(manager, part, time) \
	"{\"manager\":\"" manager "\",\"subresource\":\"" part "\",\"time\":\"" time "\"}"
	static const struct {
		const char *fields, *writer;
	} rows[] = {
		{ ENTRY("controller", "status", "2026-01-01T00:00:00Z"), "controller" },
		{ ENTRY("us", "status", "2026-01-01T00:00:00Z"), NULL },
		{ ENTRY("a", "status", "2026-01-02T00:00:00Z") "," ENTRY(
			  "b", "status", "2026-01-01T00:00:00Z") "," ENTRY("us", "status",
		                                                           "2026-01-03T00:00:00Z"),
		  "a" },
		{ ENTRY("kubectl", "scale", "2026-01-01T00:00:00Z"), NULL },
		{ "{\"manager\":\"a\",\"time\":\"2026-01-01T00:00:00Z\"}", NULL },
		{ "{\"manager\":7,\"subresource\":\"status\",\"time\":\"2\"},null,[],\"x\"", NULL },
		{ "{\"manager\":\"a\",\"subresource\":\"status\"}", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *text =
			xasprintf("{\"metadata\":{\"managedFields\":[%s]}}", rows[i].fields);
		struct json_object *obj = json_tokener_parse(text);
		const char *writer = kube_service_status_writer(obj, "us");

		assert_non_null(obj);
		if (!writer != !rows[i].writer || (writer && strcmp(writer, rows[i].writer) != 0))
			fail_msg("%s: %s", text, writer ? writer : "nobody");
		json_object_put(obj);
	}
}

/* A message confirms the addresses that it opens with, and only one that is worded as ours. */
static void what_a_message_confirms(void **state)
{
	static const struct {
		const char *message;
		size_t n;
		bool shares;
	} rows[] = {
		{ KUBE_CONFIRMS_ASSIGNED "192.0.2.1 from pool edge", 1 },
		{ KUBE_CONFIRMS_ASSIGNED "192.0.2.1" KUBE_CONFIRMS_SHARED " from pool edge", 1,
		  true },
		{ KUBE_CONFIRMS_KEPT "192.0.2.1, 2001:db8::1" KUBE_CONFIRMS_SHARED, 2, true },
		{ KUBE_CONFIRMS_FAILED "192.0.2.1; pool " KUBE_CONFIRMS_SHARED, 1 },
		{ KUBE_CONFIRMS_FAILED KUBE_CONFIRMS_SHARED, 0 },
		{ "192.0.2.1" KUBE_CONFIRMS_SHARED, 0 },
		{ KUBE_CONFIRMS_ASSIGNED "192.0.2.1, 2001:db8::1 from pool edge", 2 },
		{ KUBE_CONFIRMS_KEPT "192.0.2.1; 192.0.2.1 is in no pool", 1 },
		{ KUBE_CONFIRMS_FAILED "192.0.2.1; pool x was asked for", 1 },
		{ KUBE_CONFIRMS_ASSIGNED "192.0.2.1, 192.0.2.2 from pool edge", 1 },
		{ KUBE_CONFIRMS_ASSIGNED "2001:db8::1, 192.0.2.1, 192.0.2.2", 2 },
		{ KUBE_CONFIRMS_ASSIGNED, 0 },
		{ "192.0.2.1", 0 },
		{ "192.0.2.1 from pool edge", 0 },
		{ "pool x was asked for: " KUBE_CONFIRMS_ASSIGNED "192.0.2.1", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a[2];
		if (kube_external_confirmed_by(rows[i].message, a) != rows[i].n ||
		    kube_external_shares_by(rows[i].message) != rows[i].shares)
			fail_msg("%s", rows[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_reads_everything),
		cmocka_unit_test(service_fills_in_defaults),
		cmocka_unit_test(the_record_of_external_ips),
		cmocka_unit_test(malformed_objects_are_refused),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(slice_reads_everything),
		cmocka_unit_test(node_reads_everything),
		cmocka_unit_test(pod_reads_everything),
		cmocka_unit_test(secret_is_decoded),
		cmocka_unit_test(config_map_keeps_its_data),
		cmocka_unit_test(selectors_match),
		cmocka_unit_test(readers_do_not_convert),
		cmocka_unit_test(the_latest_writer_of_a_status),
		cmocka_unit_test(what_a_message_confirms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
