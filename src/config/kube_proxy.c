/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written is what kube-proxy does with the document, its defaults included: whoever leaves
 * a key out relies on them, too.  Where kube-proxy ignores a key in a mode, so does this, and says
 * so.
 */
#include "config.h"

#include "fairlead/kube_proxy.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "config/kube_proxy_fields.h"
#include "fairlead/addr.h"
#include "fairlead/mem.h"
#include "fairlead/options.h"
#include "fairlead/yaml_emit.h"

#define HEALTHZ_PORT "10256"

enum kube_proxy_mode { MODE_IPTABLES, MODE_NFTABLES, MODE_IPVS, MODE_OTHER };

static const char *const mode_names[] = {
	[MODE_IPTABLES] = "iptables",
	[MODE_NFTABLES] = "nftables",
	[MODE_IPVS] = "ipvs",
};

/* Values in the making. */
struct making {
	struct schema_ctx x;
	struct proxy_fields f;
	const struct ynode *kubeconfig; /* the text beside the document; NULL: none */
	unsigned int root_line;
	enum kube_proxy_mode mode;
	struct json_object *speaker, *api_server; /* maps of the chart's values */
	struct buf flags;
};

/* ---- what is written ---- */

/* Takes over @value.  @shown: as the option has it; NULL: the option is a switch. */
static void put(struct making *m, const char *key, struct json_object *value, const char *flag,
                const char *shown)
{
	json_object_object_add(m->speaker, key, value);
	buf_printf(&m->flags, "%s%s", m->flags.size ? " " : "", flag);
	if (shown)
		buf_printf(&m->flags, " %s", shown);
}

static void put_text(struct making *m, const char *key, const char *flag, const char *text)
{
	put(m, key, json_object_new_string(text), flag, text);
}

static void put_true(struct making *m, const char *key, const char *flag)
{
	put(m, key, json_object_new_boolean(true), flag, NULL);
}

static void put_list(struct making *m, const char *key, const char *flag, struct json_object *list)
{
	cleanup(buf_fini) struct buf shown = BUF_INIT;

	for (size_t i = 0; i < json_object_array_length(list); i++)
		buf_printf(&shown, "%s%s", i ? "," : "",
		           json_object_get_string(json_object_array_get_idx(list, i)));
	put(m, key, list, flag, buf_str(&shown));
}

/* ---- what is told ---- */

static unsigned int line_of(const struct making *m, const struct proxy_field *f)
{
	return f->node ? f->node->line : m->root_line;
}

#define TELL(m, key, fn, ...)                                    \
	do {                                                     \
		size_t mark_ = schema_enter_key(&(m)->x, (key)); \
		fn(&(m)->x, __VA_ARGS__);                        \
		schema_leave(&(m)->x, mark_);                    \
	} while (0)

static void remark(struct making *m, const char *key, const struct proxy_field *f, const char *text)
{
	TELL(m, key, proxy_fields_remark, m->f.remarks, line_of(m, f), text);
}

/* ---- fields ---- */

static void decide_mode(struct making *m)
{
	const char *text = proxy_field_text(&m->f.mode);
	unsigned int line = line_of(m, &m->f.mode);

	m->mode = MODE_IPTABLES;
	while (*text && m->mode < MODE_OTHER && strcmp(mode_names[m->mode], text) != 0)
		m->mode++;
	if (m->mode == MODE_OTHER)
		TELL(m, "mode", schema_error, line,
		     "\"%.64s\" is no mode of kube-proxy on Linux today; those are iptables, "
		     "nftables and ipvs",
		     text);
	if (m->mode == MODE_IPVS)
		TELL(m, "mode", schema_warning, line,
		     "nftables is written, which likewise takes the same time for many Services as for "
		     "few; where a scheduler of IPVS is wanted, set speaker.proxyMode to ipvs; both "
		     "need Linux 5.13, before which iptables does");
	put_text(m, "proxyMode", "--proxy-mode",
	         m->mode == MODE_IPTABLES ? "iptables" : "nftables");
}

/* Adds the CIDR to the list, unless it is none. */
static void add_cidr(struct making *m, struct json_object *list, const char *text,
                     unsigned int line)
{
	char out[PREFIX_STR_SIZE];
	struct prefix prefix;

	if (prefix_parse(text, false, &prefix) < 0)
		schema_error(&m->x, line, "\"%.64s\" is no CIDR; it is like 10.244.0.0/16", text);
	else if (json_object_array_length(list) == KUBE_PROXY_CIDRS_MAX)
		schema_error(&m->x, line, "at most %d of them", KUBE_PROXY_CIDRS_MAX);
	else
		json_object_array_add(list, json_object_new_string(prefix_format(&prefix, out)));
}

static void take_cluster_cidr(struct making *m)
{
	struct json_object *list = json_object_new_array();
	cleanup_free char *copy = xstrdup(proxy_field_text(&m->f.cluster_cidr));
	char *save = NULL;
	size_t mark = schema_enter_key(&m->x, "clusterCIDR");

	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		add_cidr(m, list, word, line_of(m, &m->f.cluster_cidr));
	if (json_object_array_length(list))
		put_list(m, "clusterCIDRs", "--cluster-cidr", list);
	else
		json_object_put(list);
	schema_leave(&m->x, mark);
	if (!m->f.cluster_cidr.node)
		remark(m, "clusterCIDR", &m->f.cluster_cidr,
		       "not set, so that kube-proxy does not tell Pods from others either; with the "
		       "Pods' CIDRs as speaker.clusterCIDRs they would keep their addresses "
		       "toward LoadBalancers of externalTrafficPolicy Local");
}

/* Those that another way of telling Pods would need. */
static void tell_unused(struct making *m, const char *key, const struct proxy_field *f)
{
	if (f->node)
		remark(m, key, f,
		       "not needed: with this detectLocalMode kube-proxy does not use it");
}

static void put_detection(struct making *m, const char *mode)
{
	put_text(m, "detectLocalMode", "--detect-local-mode", mode);
}

/* What the speaker would refuse is an error here. */
static void take_interface(struct making *m, const char *mode, const char *field,
                           const struct proxy_field *f, const char *key, const char *flag)
{
	const char *name = proxy_field_text(f);

	put_detection(m, mode);
	if (options_is_interface(name))
		put_text(m, key, flag, name);
	else
		TELL(m, field, schema_error, line_of(m, f),
		     "\"%.64s\" is no name of an interface that rules can have; it is like cali",
		     name);
}

static void decide_pods(struct making *m)
{
	const char *mode = proxy_field_text(&m->f.local_mode);
	bool by_cidr = !*mode || !strcmp(mode, "ClusterCIDR");

	if (strcmp(mode, "BridgeInterface") != 0)
		tell_unused(m, "detectLocal.bridgeInterface", &m->f.bridge);
	if (strcmp(mode, "InterfaceNamePrefix") != 0)
		tell_unused(m, "detectLocal.interfaceNamePrefix", &m->f.prefix);
	if (by_cidr) {
		take_cluster_cidr(m);
		return;
	}
	tell_unused(m, "clusterCIDR", &m->f.cluster_cidr);
	if (!strcmp(mode, "NodeCIDR"))
		put_detection(m, "node-cidr");
	else if (!strcmp(mode, "BridgeInterface"))
		take_interface(m, "bridge-interface", "detectLocal.bridgeInterface", &m->f.bridge,
		               "podBridgeInterface", "--pod-bridge-interface");
	else if (!strcmp(mode, "InterfaceNamePrefix"))
		take_interface(m, "interface-name-prefix", "detectLocal.interfaceNamePrefix",
		               &m->f.prefix, "podInterfaceNamePrefix",
		               "--pod-interface-name-prefix");
	else
		TELL(m, "detectLocalMode", schema_error, line_of(m, &m->f.local_mode),
		     "\"%.64s\" is none of ClusterCIDR, NodeCIDR, BridgeInterface and "
		     "InterfaceNamePrefix",
		     mode);
}

static void decide_masquerading(struct making *m)
{
	const struct proxy_field *used = &m->f.iptables_masquerade_all,
				 *other = &m->f.nftables_masquerade_all;
	const char *other_key = "nftables.masqueradeAll";

	if (m->mode == MODE_NFTABLES) {
		used = other;
		other = &m->f.iptables_masquerade_all;
		other_key = "iptables.masqueradeAll";
	}
	if (used->yes)
		put_true(m, "masqueradeAll", "--masquerade-all");
	if (other->yes)
		remark(m, other_key, other, "not needed: it is for another mode than this one");
}

/*
 * Of mode iptables alone.  The one default of kube-proxy's that is not written: it would make the
 * speaker's container privileged for what few use.
 */
static void decide_localhost(struct making *m)
{
	const struct proxy_field *f = &m->f.localhost_node_ports;

	if (m->mode != MODE_IPTABLES && f->yes)
		remark(m, "iptables.localhostNodePorts", f,
		       "not needed: it is for another mode than this one");
	if (m->mode != MODE_IPTABLES)
		return;
	if (f->yes)
		put_true(m, "localhostNodePorts", "--localhost-nodeports");
	if (!f->node)
		TELL(m, "iptables.localhostNodePorts", schema_warning, m->root_line,
		     "without it kube-proxy serves IPv4 node ports at 127.0.0.1, too: set "
		     "speaker.localhostNodePorts if anything on the nodes uses that; it makes the "
		     "speaker's container privileged");
}

static void read_node_ports(struct making *m, const struct ynode *list, struct json_object *cidrs)
{
	for (size_t i = 0; i < list->n_entries; i++) {
		const struct ynode *item = list->entries[i].value;
		size_t mark = schema_enter_item(&m->x, i);
		const char *text = schema_text(&m->x, item);
		bool primary = text && !strcmp(text, "primary");

		if (primary && list->n_entries > 1)
			schema_error(&m->x, item->line, "primary stands alone; give it, or CIDRs");
		else if (primary)
			json_object_array_add(cidrs, json_object_new_string(text));
		else if (text)
			add_cidr(m, cidrs, text, item->line);
		schema_leave(&m->x, mark);
	}
}

static void decide_node_ports(struct making *m)
{
	const struct ynode *list = m->f.node_port_addresses.node;
	struct json_object *cidrs = json_object_new_array();
	size_t mark = schema_enter_key(&m->x, "nodePortAddresses");

	if (list && list->kind != YNODE_LIST)
		schema_error(&m->x, list->line, "is %s; write a list", schema_kind(list));
	else if (list)
		read_node_ports(m, list, cidrs);
	schema_leave(&m->x, mark);
	/* kube-proxy's default there. */
	if (m->mode == MODE_NFTABLES && json_object_array_length(cidrs) == 0)
		json_object_array_add(cidrs, json_object_new_string("primary"));
	if (json_object_array_length(cidrs))
		put_list(m, "nodePortAddresses", "--nodeport-addresses", cidrs);
	else
		json_object_put(cidrs);
}

/* "192.0.2.1:80", "[2001:db8::1]:80" */
static bool is_address_with_port(const char *text)
{
	const char *colon = strrchr(text, ':');
	bool brackets = text[0] == '[' && colon && colon[-1] == ']';
	struct addr address;

	if (!colon)
		return false;
	size_t len = (size_t)(colon - text) - (brackets ? 2 : 0);
	cleanup_free char *host = xstrndup(text + (brackets ? 1 : 0), len);
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	return addr_parse(host, &address) == 0 && (address.family == 6) == brackets &&
	       isdigit((unsigned char)colon[1]) && !*end && port >= 1 && port <= UINT16_MAX;
}

/* kube-proxy adds its port to a lone address. */
static void decide_healthz(struct making *m)
{
	const char *text = proxy_field_text(&m->f.healthz_bind_address);
	struct addr bound = { .family = 4 }, address;

	addr_parse(proxy_field_text(&m->f.bind_address), &bound);
	if (!*text)
		text = bound.family == 6 ? "::" : "0.0.0.0";
	cleanup_free char *full = addr_parse(text, &address) < 0 ? xstrdup(text)
	                          : address.family == 6
	                                  ? xasprintf("[%s]:" HEALTHZ_PORT, addr_str(&address))
	                                  : xasprintf("%s:" HEALTHZ_PORT, text);
	if (!is_address_with_port(full))
		TELL(m, "healthzBindAddress", schema_error, line_of(m, &m->f.healthz_bind_address),
		     "\"%.64s\" is no address with a port; it is like 0.0.0.0:" HEALTHZ_PORT, text);
	put_text(m, "healthzBindAddress", "--healthz-bind-address", full);
}

static void tell_bind_address(struct making *m)
{
	const char *text = proxy_field_text(&m->f.bind_address);

	if (*text && strcmp(text, "0.0.0.0") != 0 && strcmp(text, "::") != 0)
		remark(m, "bindAddress", &m->f.bind_address,
		       "not needed: the addresses of a node are those of its Node object");
}

/* What kube-proxy sets without being asked. */
static void tell_sysctls(struct making *m)
{
	cleanup(buf_fini) struct buf list = BUF_INIT;

	if (!m->f.max_per_core.node)
		buf_puts(&list, ", nf_conntrack_max=N (32768 for each processor, at least 131072)");
	if (!m->f.tcp_established.node)
		buf_puts(&list, ", nf_conntrack_tcp_timeout_established=86400");
	if (!m->f.tcp_close_wait.node)
		buf_puts(&list, ", nf_conntrack_tcp_timeout_close_wait=3600");
	if (list.size)
		TELL(m, "conntrack", schema_warning, m->root_line,
		     "kube-proxy's defaults are in net.netfilter, which the speaker does not set: "
		     "write them to /etc/sysctl.d: %s",
		     buf_str(&list) + 2);
}

/* ---- the API server ---- */

const struct ynode *kube_proxy_member(const struct ynode *map, const char *key)
{
	for (size_t i = 0; map && map->kind == YNODE_MAP && i < map->n_entries; i++)
		if (!strcmp(map->entries[i].key, key))
			return map->entries[i].value;
	return NULL;
}

/* "https://HOST:PORT", with what may follow it. */
static bool take_server(struct making *m, const char *url)
{
	const char *host = !strncmp(url, "https://", 8) ? url + 8 : NULL;
	size_t n = host ? strspn(host,
	                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	                         "[]:")
	                : 0;
	cleanup_free char *place = xstrndup(host ? host : "", n);
	char *port = strrchr(place, ':'), *end = strrchr(place, ']');

	if (n == 0 || (host[n] && host[n] != '/'))
		return false;
	if (port && (!end || port > end))
		*port++ = '\0';
	else
		port = NULL;
	json_object_object_add(m->api_server, "host", json_object_new_string(place));
	json_object_object_add(m->api_server, "port", json_object_new_string(port ? port : "443"));
	return true;
}

static bool find_server(struct making *m)
{
	struct ytree tree;
	struct ytree_error error;
	bool found = false;

	if (!m->kubeconfig ||
	    ytree_parse(m->kubeconfig->text, strlen(m->kubeconfig->text), 0, &tree, &error) < 0)
		return false;
	const struct ynode *clusters = kube_proxy_member(tree.root, "clusters");
	const struct ynode *first = clusters && clusters->kind == YNODE_LIST && clusters->n_entries
	                                    ? clusters->entries[0].value
	                                    : NULL;
	const struct ynode *server =
		kube_proxy_member(kube_proxy_member(first, "cluster"), "server");
	if (server && server->kind == YNODE_SCALAR)
		found = take_server(m, server->text);
	ytree_fini(&tree);
	return found;
}

static void decide_api_server(struct making *m)
{
	if (find_server(m))
		remark(m, "clientConnection.kubeconfig", &m->f.kubeconfig,
		       "not needed: the speaker has a ServiceAccount, and apiServer is what this "
		       "kubeconfig names");
	else
		TELL(m, "clientConnection.kubeconfig", schema_warning, line_of(m, &m->f.kubeconfig),
		     "kube-proxy finds the API server by this file: write its server as apiServer.host "
		     "and apiServer.port, since the cluster IP of the Service kubernetes answers "
		     "only once the speaker runs");
}

/* ---- the document ---- */

static void make(struct making *m, const struct ynode *root)
{
	m->root_line = root->line;
	proxy_fields_read(&m->x, root, &m->f);
	decide_mode(m);
	decide_pods(m);
	decide_masquerading(m);
	decide_node_ports(m);
	decide_localhost(m);
	decide_healthz(m);
	tell_bind_address(m);
	tell_sysctls(m);
	decide_api_server(m);
}

static void write_values(struct making *m, struct kube_proxy *ret)
{
	struct json_object *values = json_object_new_object();

	json_object_object_add(values, "speaker", json_object_get(m->speaker));
	if (json_object_object_length(m->api_server))
		json_object_object_add(values, "apiServer", json_object_get(m->api_server));
	if (yaml_emit(values, &ret->values) < 0)
		schema_error(&m->x, m->root_line, "some text in it is no UTF-8");
	json_object_put(values);
	ret->flags = m->flags;
	m->flags = (struct buf)BUF_INIT;
}

void kube_proxy_make(const struct ynode *root, const struct ynode *kubeconfig,
                     struct kube_proxy *ret)
{
	struct making m = { .x = { .errors = &ret->errors, .warnings = &ret->lost },
		            .f.remarks = &ret->remarks,
		            .kubeconfig = kubeconfig };

	m.speaker = json_object_new_object();
	m.api_server = json_object_new_object();
	make(&m, root);
	if (!ret->errors.n)
		write_values(&m, ret);
	buf_fini(&m.x.path);
	buf_fini(&m.flags);
	json_object_put(m.speaker);
	json_object_put(m.api_server);
}
