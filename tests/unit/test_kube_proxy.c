/* SPDX-License-Identifier: Apache-2.0 */
/* kube-proxy's configuration, field by field: the flag that one becomes, or what is said of it. */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/kube_proxy.h"
#include "fairlead/mem.h"

#define KIND "kind: KubeProxyConfiguration\n"
#define SERVER(url)                                                                     \
	"kind: ConfigMap\ndata:\n  config.conf: |-\n    kind: KubeProxyConfiguration\n" \
	"  kubeconfig.conf: |-\n    clusters:\n    - cluster:\n        server: " url "\n"

static void put_problems(const struct config_problems *p, const char *word, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++)
		buf_printf(out, "%s %u %s: %s\n", word, p->items[i].line, p->items[i].path,
		           p->items[i].message);
}

/* All that is said, values and flags in one text. */
static char *told(const char *text)
{
	struct kube_proxy k = { .errors.n = 0 };
	struct buf out = BUF_INIT;

	int r = kube_proxy_read(text, strlen(text), &k);
	assert_int_equal(r, k.errors.n ? -EINVAL : 0);
	if (r)
		assert_int_equal(k.values.size + k.flags.size, 0);
	put_problems(&k.errors, "error", &out);
	put_problems(&k.lost, "lost", &out);
	put_problems(&k.remarks, "remark", &out);
	buf_printf(&out, "%s\n%s\n", buf_str(&k.values), buf_str(&k.flags));
	kube_proxy_fini(&k);
	return buf_take(&out);
}

static char *told_of_args(const char *args)
{
	struct kube_proxy k = { .errors.n = 0 };
	struct buf out = BUF_INIT;

	int r = kube_proxy_read_args(args, &k);
	assert_int_equal(r, k.errors.n ? -EINVAL : 0);
	put_problems(&k.errors, "error", &out);
	put_problems(&k.lost, "lost", &out);
	put_problems(&k.remarks, "remark", &out);
	buf_printf(&out, "%s\n%s\n", buf_str(&k.values), buf_str(&k.flags));
	kube_proxy_fini(&k);
	return buf_take(&out);
}

struct row {
	const char *text, *has, *has_not; /* NULL: nothing in particular */
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *all = told(rows[i].text);
		if ((rows[i].has && !strstr(all, rows[i].has)) ||
		    (rows[i].has_not && strstr(all, rows[i].has_not)))
			fail_msg("row %zu, %s:\n%s", i, rows[i].text, all);
	}
}

#define DAEMON_SET(command)                                                   \
	"kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n" \
	"      - command: [sleep]\n      - name: kube-proxy\n        command:\n" command

/* Flags say the same as fields do. */
static void flags_are_fields(void **state)
{
	static const struct row rows[] = {
		{ "", "--proxy-mode iptables", "error" },
		{ "--proxy-mode=nftables --cluster-cidr 10.42.0.0/16",
		  "--proxy-mode nftables --cluster-cidr 10.42.0.0/16", "error" },
		{ "kube-proxy --proxy-mode=ipvs --ipvs-scheduler=lc",
		  "lost 3 ipvs.scheduler: ", NULL },
		{ "/usr/bin/kube-proxy proxy-mode=nftables", "--proxy-mode nftables", "error" },
		{ "--masquerade-all", "--masquerade-all", "another mode" },
		{ "--masquerade-all --proxy-mode=nftables", "--masquerade-all", "another mode" },
		{ "--masquerade-all --proxy-mode=iptables", "--masquerade-all", "another mode" },
		{ "--masquerade-all=false", NULL, "masquerade" },
		{ "--iptables-localhost-nodeports=false", NULL, "127.0.0.1" },
		{ "--iptables-localhost-nodeports", "--localhost-nodeports", "error" },
		{ "--nodeport-addresses 192.0.2.0/24,2001:db8::/64",
		  "--nodeport-addresses 192.0.2.0/24,2001:db8::/64", "error" },
		{ "--nodeport-addresses=primary", "--nodeport-addresses primary", "error" },
		{ "--nodeport-addresses=eth0", "error 1 nodePortAddresses[0]: \"eth0\" is no CIDR",
		  NULL },
		{ "--detect-local-mode=BridgeInterface --pod-bridge-interface=cni0",
		  "--detect-local-mode bridge-interface --pod-bridge-interface cni0", "error" },
		{ "--healthz-bind-address=127.0.0.1", "--healthz-bind-address 127.0.0.1:10256",
		  "error" },
		{ "--conntrack-max-per-core=0 --conntrack-tcp-timeout-established 5m",
		  "lost 2 conntrack.tcpEstablishedTimeout: ", "conntrack.maxPerCore" },
		{ "--kubeconfig=/etc/kube-proxy --v=2 --master=https://192.0.2.1:6443",
		  "remark 3 --master: not needed", "error 3" },
		{ "--proxy-mode=nftables --kubeconfig /etc/kube-proxy", "--proxy-mode nftables",
		  "error" },
		{ "--cluster-cidr=10.0.0.0/8 --cluster-cidr=10.42.0.0/16",
		  "--cluster-cidr 10.42.0.0/16", "10.0.0.0" },
		{ "--hostname-override $(NODE_NAME) --feature-gates=A=true",
		  "remark 1 hostnameOverride: not needed", "error" },
		{ "--config=/var/lib/kube-proxy/config.conf",
		  "error 1 --config: ", "--proxy-mode" },
		{ "--cleanup --config=/c", "error 2 --config: ", NULL },
		{ "--proxy-mod=ipvs", "error 1 : \"--proxy-mod=ipvs\" is no flag", NULL },
		{ "--cluster-cidr", "error 1 : \"--cluster-cidr\" lacks its value", NULL },
		{ "--proxy-mode=nftables --proxy-moed=ipvs",
		  "error 2 : \"--proxy-moed=ipvs\" is no flag", "--proxy-mode nftables" },
		{ "--proxy-mode=userspace", "error 1 mode: \"userspace\" is no mode", NULL },
		/* As Go reads them. */
		{ "--masquerade-all=1", "--masquerade-all", "error" },
		{ "--masquerade-all=T --masquerade-all=f", "--proxy-mode", "--masquerade-all" },
		{ "--masquerade-all=2", "error 1 iptables.masqueradeAll: \"2\"", NULL },
		/* As a shell does. */
		{ "kube-proxy --cluster-cidr=10.42.0.0/16; sleep 1", "--cluster-cidr 10.42.0.0/16",
		  "error" },
		{ "kube-proxy --proxy-mode=nftables&& sleep --forever", "--proxy-mode nftables",
		  "error" },
		{ "kube-proxy 2>&1 >/log --cluster-cidr=10.42.0.0/16 < /dev/null "
		  "--proxy-mode=nftables>>log",
		  "--proxy-mode nftables --cluster-cidr 10.42.0.0/16", "error" },
		{ "kube-proxy \\\n --proxy-mode=nftables \\\n --oom-score-adj=-998 &> log; --nonsense",
		  "--proxy-mode nftables", "error" },
		{ "kube-proxy > log; --nonsense", "--proxy-mode", "error" },
		{ "kube-proxy 2>&1| tee --append log", "--proxy-mode", "error" },
	};
	static const struct row manifests[] = {
		{ DAEMON_SET("        - /usr/local/bin/kube-proxy\n"
		             "        - --proxy-mode=nftables\n"
		             "        args: [--cluster-cidr, 10.42.0.0/16]\n"),
		  "--proxy-mode nftables --cluster-cidr 10.42.0.0/16", "error" },
		{ DAEMON_SET("        - kube-proxy\n        - --proxy-mode=ipvs\n"),
		  "lost 10 mode: ", "error" },
		{ DAEMON_SET("        - /bin/sh\n        - -c\n        - exec kube-proxy "
		             "--cluster-cidr=10.42.0.0/16 1>>/var/log/kube-proxy.log 2>&1\n"),
		  "--cluster-cidr 10.42.0.0/16", "error" },
		{ "kind: Pod\nspec:\n  containers:\n  - command: [kube-proxy, --proxy-mode=nftables]\n",
		  "--proxy-mode nftables", "error" },
		{ DAEMON_SET("        - kube-proxy\n        - --config=/c\n"),
		  "error 10 --config: ", NULL },
		{ DAEMON_SET("        - kube-proxy\n        - --proxy-mode=nftables\n") "---\n" DAEMON_SET(
			  "        - kube-proxy\n        - --cluster-cidr=10.42.0.0/16\n"),
		  "a second manifest that runs kube-proxy; keep one", NULL },
		/* The document counts. */
		{ DAEMON_SET("        - kube-proxy\n        - --config=/c\n") "---\n" KIND
		                                                              "mode: nftables\n",
		  "--proxy-mode nftables", "error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *all = told_of_args(rows[i].text);
		if ((rows[i].has && !strstr(all, rows[i].has)) ||
		    (rows[i].has_not && strstr(all, rows[i].has_not)))
			fail_msg("%s:\n%s", rows[i].text, all);
	}
	for (size_t i = 0; i < ARRAY_LEN(manifests); i++)
		assert_true(kube_proxy_is(manifests[i].text, strlen(manifests[i].text)));
	check(manifests, ARRAY_LEN(manifests));
}

static void addresses_to_listen_at(void **state)
{
#define HEALTHZ(a) KIND "healthzBindAddress: '" a "'"
#define NO_PORT "is no address with a port"
	static const struct row rows[] = {
		{ KIND, "--healthz-bind-address 0.0.0.0:10256", "error" },
		{ KIND "bindAddress: '::'", "--healthz-bind-address [::]:10256", "error" },
		{ KIND "bindAddress: '::'", NULL, "bindAddress: not needed" },
		{ KIND "bindAddress: '0.0.0.0'", NULL, "bindAddress: not needed" },
		{ KIND "bindAddress: 10.0.0.1", "remark 2 bindAddress: not needed", NULL },
		{ HEALTHZ("10.0.0.1"), "--healthz-bind-address 10.0.0.1:10256", "error" },
		{ HEALTHZ("2001:db8::1"), "--healthz-bind-address [2001:db8::1]:10256", "error" },
		{ HEALTHZ("10.0.0.1:65535"), "--healthz-bind-address 10.0.0.1:65535", "error" },
		{ HEALTHZ("[2001:db8::1]:1"), "--healthz-bind-address [2001:db8::1]:1", "error" },
		{ HEALTHZ("10.0.0.1:0"), NO_PORT, NULL },
		{ HEALTHZ("10.0.0.1:"), NO_PORT, NULL },
		{ HEALTHZ("10.0.0.1:+1"), NO_PORT, NULL },
		{ HEALTHZ("10.0.0.1:1x"), NO_PORT, NULL },
		{ HEALTHZ("10.0.0.1:65536"), NO_PORT, NULL },
		{ HEALTHZ("[10.0.0.1]:80"), NO_PORT, NULL },
		{ HEALTHZ("[2001:db8::1:80"), NO_PORT, NULL },
		{ HEALTHZ("2001:db8::1]:80"), NO_PORT, NULL },
		{ HEALTHZ("1:2:3:4:5:6:7:8:80"), NO_PORT, NULL },
		{ HEALTHZ(":80"), NO_PORT, NULL },
		{ HEALTHZ("localhost:80"), NO_PORT, NULL },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void cidrs(void **state)
{
#define EIGHT \
	"10.0.0.0/16,10.1.0.0/16,10.2.0.0/16,10.3.0.0/16,10.4.0.0/16,10.5.0.0/16,10.6.0.0/16,10.7.0.0/16"
	static const struct row rows[] = {
		{ KIND "clusterCIDR: " EIGHT, "--cluster-cidr " EIGHT, "error" },
		{ KIND "clusterCIDR: " EIGHT ",10.8.0.0/16", "clusterCIDR: at most 8 of them",
		  NULL },
		{ KIND "clusterCIDR: 10.244", "\"10.244\" is no CIDR", NULL },
		{ KIND "clusterCIDR: ''", "remark 1 clusterCIDR: not set", "--cluster-cidr" },
		{ KIND "nodePortAddresses: [" EIGHT "]", "--nodeport-addresses " EIGHT, "error" },
		{ KIND "nodePortAddresses: [" EIGHT ",10.8.0.0/16]",
		  "nodePortAddresses[8]: at most 8 of them", NULL },
		{ KIND "nodePortAddresses: 10.0.0.0/8",
		  "nodePortAddresses: is a single value; write a list", NULL },
		{ KIND "nodePortAddresses: [primary, 10.0.0.0/8]", "primary stands alone", NULL },
		/* What each mode of kube-proxy does where nothing is chosen. */
		{ KIND "nodePortAddresses: []", NULL, "--nodeport-addresses" },
		{ KIND "mode: nftables\nnodePortAddresses: []", "--nodeport-addresses primary",
		  NULL },
		{ KIND "mode: ipvs\nnodePortAddresses: []", NULL, "--nodeport-addresses" },
		{ KIND "mode: nftables\nnodePortAddresses: [10.0.0.0/8]",
		  "--nodeport-addresses 10.0.0.0/8", "primary" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void modes_and_what_is_theirs(void **state)
{
	static const struct row rows[] = {
		{ KIND "mode: ''", "--proxy-mode iptables", "error" },
		{ KIND "mode: ipvs", "lost 2 mode: nftables is written", "error" },
		{ KIND "mode: ipvs", "--proxy-mode nftables", NULL },
		{ KIND "mode: iptable", "\"iptable\" is no mode of kube-proxy on Linux", NULL },
		{ KIND "iptables: {masqueradeAll: true}", "--masquerade-all", "another mode" },
		{ KIND "nftables: {masqueradeAll: true}",
		  "remark 2 nftables.masqueradeAll: not needed: it is for another mode",
		  "--masquerade-all" },
		{ KIND "mode: nftables\niptables: {masqueradeAll: true}",
		  "remark 3 iptables.masqueradeAll: not needed: it is for another mode",
		  "--masquerade-all" },
		{ KIND "mode: nftables\nnftables: {masqueradeAll: true}", "--masquerade-all",
		  "another mode" },
		{ KIND "iptables: {localhostNodePorts: true}", "--localhost-nodeports", "error" },
		{ KIND "iptables: {localhostNodePorts: false}", NULL, "localhost" },
		{ KIND, "lost 1 iptables.localhostNodePorts: without it kube-proxy serves", NULL },
		{ KIND "mode: nftables\niptables: {localhostNodePorts: true}",
		  "remark 3 iptables.localhostNodePorts: not needed", "--localhost-nodeports" },
		{ KIND "mode: nftables", NULL, "localhost" },
		{ KIND "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: a/b}",
		  "\"a/b\" is no name of an interface", NULL },
		/* As a Go program writes what nobody set. */
		{ KIND "iptables: {syncPeriod: 0s, minSyncPeriod: '', masqueradeBit: 0}", NULL,
		  "masqueradeBit" },
		{ KIND "iptables: {syncPeriod: 0s, minSyncPeriod: ''}", NULL, "yncPeriod" },
		{ KIND "iptables: {syncPeriod: 1s}", "remark 2 iptables.syncPeriod", NULL },
		{ KIND "featureGates: {}", NULL, "featureGates" },
		{ KIND "featureGates: {X: true}", "remark 2 featureGates", NULL },
		{ KIND "conntrack: {tcpEstablishedTimeout: 1h}", "nf_conntrack_max=N",
		  "established=86400" },
		{ KIND "conntrack: {maxPerCore: 1, tcpEstablishedTimeout: 1h, "
		       "tcpCloseWaitTimeout: 1h}",
		  NULL, "kube-proxy's defaults are in net.netfilter" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void where_the_api_server_is(void **state)
{
#define IT_IS(a, p) "host: " a "\n  port: " p
#define UNKNOWN "lost 3 clientConnection.kubeconfig: kube-proxy finds the API server"
	static const struct row rows[] = {
		{ SERVER("https://api.example.com:6443"), "host: api.example.com", UNKNOWN },
		{ SERVER("https://api.example.com:6443"), "6443", UNKNOWN },
		{ SERVER("https://api.example.com"), "443", UNKNOWN },
		{ SERVER("https://api.example.com/x"), "host: api.example.com\n", UNKNOWN },
		{ SERVER("https://[2001:db8::1]:6443"), "[2001:db8::1]", UNKNOWN },
		{ SERVER("https://[2001:db8::1]:6443"), "6443", UNKNOWN },
		{ SERVER("https://[2001:db8::1]"), "[2001:db8::1]", UNKNOWN },
		{ SERVER("https://[2001:db8::1]"), "443", UNKNOWN },
		{ SERVER("https://"), "clientConnection.kubeconfig: kube-proxy finds",
		  "apiServer:" },
		{ SERVER("http://api.example.com"), "clientConnection.kubeconfig: kube-proxy finds",
		  "apiServer:" },
		{ SERVER("https://a@b"), "clientConnection.kubeconfig: kube-proxy finds",
		  "apiServer:" },
		{ SERVER("{}"), "clientConnection.kubeconfig: kube-proxy finds", "apiServer:" },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
}

static void where_the_document_is(void **state)
{
#define NONE "error 1 : there is no KubeProxyConfiguration in it"
	static const struct row rows[] = {
		{ "", NONE, NULL },
		{ "kind: Pod", NONE, NULL },
		{ "kind: Secret\ndata: {config.conf: 'kind: KubeProxyConfiguration'}", NONE, NULL },
		{ "kind: ConfigMap\ndata: {config.conf: 'kind: Other'}", NONE, NULL },
		{ "kind: ConfigMap\ndata: {config.conf: [KubeProxyConfiguration]}", NONE, NULL },
		{ "kind: ConfigMap\ndata:\n  config.conf: '#KubeProxyConfiguration'",
		  "error 3 : config.conf is empty", NULL },
		{ "kind: ConfigMap\ndata:\n  config.conf: |\n    " KIND "    mode: [", "error 5",
		  NULL },
		{ "kind: ConfigMap\ndata:\n  config.conf: |\n    " KIND "    mode: x",
		  "error 5 mode: ", NULL },
		/* Where the quoting hides the lines, that of the key. */
		{ "kind: ConfigMap\ndata:\n  config.conf: \"kind: KubeProxyConfiguration\\nmode: "
		  "x\\n\"",
		  "error 3 mode: ", NULL },
		{ KIND "---\n" KIND, "error 3 : a second KubeProxyConfiguration", NULL },
		{ "kind: Pod\n---\n" KIND "mode: nftables", "--proxy-mode nftables", "error" },
		{ KIND "apiVersion: v1", "error 2 apiVersion: is \"v1\"", NULL },
		{ KIND "zzz: 1\nmode: x\naaa: 1", "error 2 zzz: unknown key \"zzz\"", NULL },
	};

	(void)state;
	check(rows, ARRAY_LEN(rows));
	/* By line, whatever was found first. */
	cleanup_free char *all = told(KIND "zzz: 1\nmode: x\naaa: 1");
	assert_true(strstr(all, "zzz: unknown") < strstr(all, "mode: \"x\"") &&
	            strstr(all, "mode: \"x\"") < strstr(all, "aaa: unknown"));
	assert_true(kube_proxy_is(KIND, strlen(KIND)));
	assert_false(kube_proxy_is("kind: Pod", 9));
	assert_false(kube_proxy_is("a: KubeProxyConfiguration", 25));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_fields),
		cmocka_unit_test(addresses_to_listen_at),
		cmocka_unit_test(cidrs),
		cmocka_unit_test(modes_and_what_is_theirs),
		cmocka_unit_test(where_the_api_server_is),
		cmocka_unit_test(where_the_document_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
