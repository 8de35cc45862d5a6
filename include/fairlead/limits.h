/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LIMITS_H
#define FAIRLEAD_LIMITS_H

/*
 * Bounds on what comes from outside: one row each, which is the constant that the code uses,
 * LIMIT_name, and a line of docs/limits.md.  `python3 -m lab.limits` in tests prints that page, and
 * `tests/lint limits` compares it.  The rows of LIMITS_ELSEWHERE are constants of other rooms, by
 * their names there; the lint compares their values.
 *
 *	X(name, value, unit, what is bounded, what happens when it is met, where that is shown)
 */

/* clang-format off */
/* ---- HTTP of the daemons ---- */
#define LIMITS_HTTP(X) \
	X(HTTP_CLIENTS, 64, "connections", \
	  "HTTP clients of a daemon at a time; fewer where RLIMIT_NOFILE is below 256: a quarter of it", \
	  "further clients get answers of /healthz and /readyz only, and 503 for the rest", \
	  "`fairlead_http_refused_total{reason=\"busy\"}`, a log line") \
	X(HTTP_CLIENTS_PER_ADDRESS, 16, "connections", \
	  "HTTP clients from one IPv4 address, or one IPv6 /64", \
	  "as above", \
	  "`fairlead_http_refused_total{reason=\"busy\"}`, a log line") \
	X(HTTP_PROBES, 16, "connections", \
	  "HTTP clients beyond those bounds, which get answers of /healthz and /readyz only", \
	  "the oldest of them makes room for the newest", \
	  "`fairlead_http_refused_total{reason=\"evicted\"}`") \
	X(HTTP_HEAD_BYTES, 8192, "bytes", \
	  "request line and headers", \
	  "431", \
	  "the answer") \
	X(HTTP_BODY_BYTES, 64, "bytes", \
	  "body of a request", \
	  "413", \
	  "the answer") \
	X(HTTP_READ_MS, 5000, "ms", \
	  "time that a client has for the whole request; beyond the bounds above 2 s", \
	  "its connection is closed", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`") \
	X(HTTP_STALL_MS, 5000, "ms", \
	  "time for which a client reads nothing of its answer", \
	  "its connection is closed", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`") \
	X(HTTP_WRITE_MS, 60000, "ms", \
	  "time that a client has for the whole answer", \
	  "its connection is closed", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`") \
	X(HTTP_PAGES_BYTES, 33554432, "bytes", \
	  "pages of /status that clients are still reading, all of them together, and of /metrics; two always have room", \
	  "new clients get the page that the others read, if it is younger than 15 s, else 503", \
	  "`fairlead_http_refused_total{reason=\"memory\"}`, a log line") \
	X(HTTP_DUMP_BYTES, 16777216, "bytes", \
	  "a page of /dump/rules, /dump/diff or /dump/bgp", \
	  "the rest is left out", \
	  "the last line of the page") \
	X(HTTP_DUMP_MS, 20000, "ms", \
	  "time that a client waits for such a page, while iptables-save or bgpd make it", \
	  "its connection is closed; iptables-save is killed sooner, and bgpd left alone", \
	  "`fairlead_http_refused_total{reason=\"slow\"}`, a line of the page") \
	X(WEBHOOK_CLIENTS, 16, "connections", \
	  "clients of the admission webhook at a time", \
	  "the oldest of them makes room for the newest", \
	  "this page") \
	X(WEBHOOK_BODY_BYTES, 4194304, "bytes", \
	  "a request of the admission webhook; a ConfigMap has 1 MiB, and the request two of it", \
	  "413; the API server takes the edit unasked", \
	  "the answer") \
	X(WEBHOOK_IDLE_MS, 10000, "ms", \
	  "time that a client of the admission webhook may be silent", \
	  "its connection is closed", \
	  "this page") \
	X(PROXY_DIFFERENCES, 1000, "differences", \
	  "what /dump/diff tells of one family", \
	  "further ones are counted", \
	  "`left_out` in it, a line of `fairlead proxy diff`")

/* ---- Health checks ---- */
#define LIMITS_HEALTH(X) \
	X(HEALTH_PORTS, 4096, "ports", \
	  "health-check node ports that a node listens on; fewer where RLIMIT_NOFILE is below 8192: half of it", \
	  "further ones are not listened on", \
	  "`HealthPortFailed`: an Event on the Service, `fairlead_health_ports{state=\"failing\"}`, `health.failing` in `/status`") \
	X(HEALTH_ADDRESSES, 16, "addresses", \
	  "addresses of a node that health-check node ports listen on, where `--nodeport-addresses` chooses some", \
	  "further ones are not listened on", \
	  "a log line, `health.left_out` in `/status`") \
	X(HEALTH_CLIENTS, 128, "connections", \
	  "clients of all health-check ports at a time", \
	  "further ones share the 16 places that are kept for probes, and are answered all the same", \
	  "`fairlead_health_refused_total{reason=\"evicted\"}`, when these are full as well") \
	X(HEALTH_CLIENTS_PER_PORT, 16, "connections", \
	  "of them, clients of one port", \
	  "as above", \
	  "as above")

/* ---- Logs ---- */
#define LIMITS_LOG(X) \
	X(LOG_RATE_LINES, 10, "lines a minute", \
	  "log lines of libevent, and of each complaint of the HTTP server", \
	  "further ones are left out", \
	  "`left_out=` of the next line")

/* ---- BGP ---- */
#define LIMITS_BGP(X) \
	X(BGP_PEERS, 256, "peers", \
	  "BGP peers of a node", \
	  "further ones get no neighbour in bgpd", \
	  "the log (`left out of BGP`), the peer's `last_error` in `/status`, `fairlead_bgp_peers_left_out`, an Event on the Node") \
	X(BGP_COMMUNITIES, 64, "communities", \
	  "communities, and large communities, of one prefix", \
	  "the address whose advertisements need more is not announced", \
	  "the log (`left out of BGP`)") \
	X(BGP_BFD_PROFILES, 256, "profiles", \
	  "BFD profiles", \
	  "further ones are not made in bfdd", \
	  "the log (`left out of BGP`)") \
	X(BGP_NEIGHBORS_POLLED, 32, "peers", \
	  "peers whose details are asked of bgpd in one turn", \
	  "details of further ones (last error, BFD, next hop, hold time) are not shown while the others need a look", \
	  "this page") \
	X(AGGREGATES, 256, "prefixes", \
	  "aggregates announced by BGP whose unused addresses end at the node", \
	  "packets to unused addresses of further ones go back and forth between router and node", \
	  "`fairlead_bgp_aggregates{state=\"open\"}`, a log line")

#define LIMITS_BGP_ELSEWHERE(X) \
	X(BGP_FOREIGN_PEERS_MAX, 4096, "neighbours", \
	  "neighbours of the instance in bgpd, others' and ours, and lines that claim some", \
	  "bgpd is left as it is, since what is others' cannot be identified", \
	  "`BgpForeignInstance`, whose message says so") \
	X(BGP_FOREIGN_NETWORKS_MAX, 1000000, "networks", \
	  "networks of others in the instance", \
	  "as above", \
	  "`BgpForeignInstance`, whose message says so") \
	X(VTY_REPLY_MAX, 67108864, "bytes", \
	  "an answer of bgpd or bfdd", \
	  "the connection is closed, and made again", \
	  "`BgpUnreachable`, the log") \
	X(SESSION_JSON_MAX, 8388608, "bytes", \
	  "what bgpd says of its sessions", \
	  "no session counts as established", \
	  "`BgpNoSession`, the peers' `last_error`")

/* ---- Objects of the API server ---- */
#define LIMITS_KUBE_ELSEWHERE(X) \
	X(KUBE_JSON_DEPTH_MAX, 10000, "levels", \
	  "lists and maps within each other, in an object", \
	  "it is skipped alone; what its status holds is given to nobody", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(OUTLINE_ADDRS_MAX, 262144, "addresses", \
	  "addresses of a Service that cannot be read", \
	  "nothing new is assigned while it is there", \
	  "`fairlead_kube_lost_objects`, an Event `ServicesLost` on the ConfigMap") \
	X(META_ANNOTATION_VALUE_MAX, 16384, "bytes", \
	  "value of an annotation that Fairlead reads", \
	  "the object counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(PAGE_LIMIT, 500, "objects", \
	  "page of a list", \
	  "more pages are asked for; each object of a page is read by itself", \
	  "this page") \
	X(SCANNER_OBJECT_SIZE_MAX, 4194304, "bytes", \
	  "one object of a list or a watch", \
	  "it is skipped alone; what its status holds is given to nobody", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(KUBE_ANSWER_SIZE_MAX, 4194304, "bytes", \
	  "any other answer of the API server", \
	  "the request fails, and is tried again where it matters", \
	  "`fairlead_kube_errors_total`, the log") \
	X(KUBE_EVENTS_QUEUED, 16384, "Events", \
	  "Events that wait to be recorded", \
	  "further ones are lost", \
	  "`fairlead_kube_events_lost_total`, the log") \
	X(SERVICE_PORTS_MAX, 4096, "ports", \
	  "ports of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SERVICE_EXTERNAL_IPS_MAX, 256, "addresses", \
	  "`spec.externalIPs` of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SERVICE_INGRESS_MAX, 64, "addresses", \
	  "`status.loadBalancer.ingress` of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SERVICE_SOURCE_RANGES_MAX, 4096, "ranges", \
	  "`spec.loadBalancerSourceRanges` of a Service", \
	  "the Service counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SERVICE_CONDITIONS_MAX, 64, "conditions", \
	  "conditions of a Service", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_ENDPOINTS_MAX, 1000, "endpoints", \
	  "endpoints of an EndpointSlice", \
	  "the EndpointSlice counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_ADDRESSES_MAX, 100, "addresses", \
	  "addresses of an endpoint", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_PORTS_MAX, 20000, "ports", \
	  "ports of an EndpointSlice", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SLICE_OWNERS_MAX, 64, "owners", \
	  "owners of an EndpointSlice", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(NODE_ADDRESSES_MAX, 256, "addresses", \
	  "addresses of a Node", \
	  "the Node counts as one that cannot be read; what is known of it stays", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(NODE_CONDITIONS_MAX, 256, "conditions", \
	  "conditions of a Node", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(POD_CONTAINERS_MAX, 256, "containers", \
	  "containers of a Pod of Fairlead's", \
	  "`fairlead status` names the Pod, and is without it", \
	  "standard error") \
	X(META_LABELS_MAX, 512, "labels", \
	  "labels of an object", \
	  "the object counts as one that cannot be read", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(META_ANNOTATIONS_MAX, 64, "annotations", \
	  "annotations that Fairlead reads, of an object; others have no bound", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(CONFIG_MAP_KEYS_MAX, 1024, "keys", \
	  "keys of a ConfigMap", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log") \
	X(SECRET_KEYS_MAX, 1024, "keys", \
	  "keys of a Secret", \
	  "as above", \
	  "`fairlead_kube_malformed_total`, the log")

/* ---- Layer 2 ---- */
#define LIMITS_L2_ELSEWHERE(X) \
	X(MEMBER_PEERS_MAX, 1024, "speakers", \
	  "speakers on a segment", \
	  "messages of further ones are ignored; the one that has been gone for longest makes room", \
	  "`fairlead_l2_peers_refused_total`") \
	X(STRANGERS_UNKNOWN_MAX, 64, "speakers", \
	  "speakers of unknown names that have not proven yet that they hear us", \
	  "further ones find no place among the others, as with replays", \
	  "`fairlead_l2_strangers_turned_away_total`") \
	X(STRANGERS_MAX, 8192, "speakers", \
	  "speakers on all segments that have not proven yet that they hear us", \
	  "the one that was silent for longest makes room", \
	  "`fairlead_l2_strangers_turned_away_total`") \
	X(CLAIMS_PER_PEER_MAX, 16384, "claims", \
	  "addresses that one other speaker owns", \
	  "those beyond are not known here", \
	  "`fairlead_l2_claims_refused_total`, `LimitReached`: an Event on the Node and `fairlead_l2_trouble`") \
	X(CLAIMS_ENTRIES_MAX, 65536, "addresses", \
	  "addresses of a segment, of this node and of all others", \
	  "those beyond are not known here, and not announced", \
	  "`fairlead_l2_claims_refused_total`, `LimitReached`") \
	X(STRAGGLERS_GONE_MAX, 4096, "addresses", \
	  "addresses of a segment that moved from this node within ten minutes, for which it looks who still sends here", \
	  "the latest are looked for", \
	  "nothing says so; who sends for the others is told when it asks") \
	X(STRAGGLERS_TOLD_MAX, 64, "frames", \
	  "times a second that machines which still send here are told where an address is, on a segment", \
	  "further ones are told later", \
	  "`fairlead_l2_stale_neighbours_total`") \
	X(SPEAKERS_AT_ONCE, 70, "speakers", \
	  "speakers on a segment whose heartbeats come as often as configured; with `failover: calm` 250", \
	  "the interval of all grows with their number, and the time with it after which a dead node is noticed", \
	  "`fairlead l2` (DEAD AFTER), [layer2.md](layer2.md#how-fast-a-dead-node-is-noticed)") \
	X(CLAIMS_START_MS, 2000, "ms", \
	  "time for which a speaker waits after its start, before it claims what nobody held, for others that may be starting, too", \
	  "it claims the addresses without them; they are spread less evenly", \
	  "[layer2.md](layer2.md#which-node-gets-an-address)") \
	X(ATTACH_SEGMENTS_MAX, 32, "interfaces", \
	  "interfaces with addresses to announce", \
	  "the others are not used", \
	  "`LimitReached`") \
	X(IFACES_MAX, 4096, "interfaces", \
	  "interfaces of a node that may be used", \
	  "the others are not used", \
	  "`LimitReached`") \
	X(IFACE_SUBNETS_MAX, 16, "subnets", \
	  "subnets of an interface", \
	  "addresses of the others are not announced there", \
	  "`LimitReached`") \
	X(IFACES_LOCALS_MAX, 65536, "addresses", \
	  "addresses of the node itself", \
	  "an address of a Service that the kernel has too, beyond these, is not reported (`KernelAnswers`)", \
	  "`LimitReached`") \
	X(ANSWERERS_MAX, 16, "machines", \
	  "machines that answer for addresses that they do not own", \
	  "further ones are not named (`KernelAnswers`, `ProxyArp`)", \
	  "`LimitReached`")

/* ---- The node ---- */
#define LIMITS_NODE(X) \
	X(NEEDED_ROUTES, 4096, "routes", \
	  "routes of the node, of one family, whose gateways the data plane leaves their ports; default routes come first", \
	  "gateways of further ones are treated as any address: if a pool holds it and a Service has it, its other ports are closed", \
	  "a log line") \
	X(NEEDED_ADDRESSES, 64, "addresses", \
	  "different gateways, and addresses by which the node reaches the API server", \
	  "as above", \
	  "a log line")

/* ---- The data plane ---- */
#define LIMITS_PROXY_ELSEWHERE(X) \
	X(SIZE_RULES_MAX, 40000, "rules", \
	  "rules that a Service takes in one family, in mode `iptables`", \
	  "it is not carried and not announced, on any node", \
	  "`TooLarge`: an Event on the Service, `fairlead_proxy_uncarried_services`, `fairlead status`, `fairlead explain`") \
	X(SIZE_ELEMENTS_MAX, 2500000, "elements", \
	  "elements that a Service takes in one family, in the modes `nftables` and `ipvs`; an element takes about 60 bytes of the " \
	  "speaker's memory and two or three times as much of the kernel's", \
	  "as above", \
	  "as above") \
	X(SIZE_ALL_ELEMENTS_MAX, 5000000, "elements", \
	  "elements that all large Services take together, in both families, in the modes `nftables` and `ipvs`; large is a Service " \
	  "that would take more than 40000 rules in mode `iptables`, as one whose endpoints, times its ports, are 10000", \
	  "the oldest are carried; one with which there would be more is not, and not announced, on any node, until there is room", \
	  "`CrowdedOut`: an Event on the Service, `fairlead_proxy_uncarried_services`, `fairlead status`, `fairlead explain`") \
	X(SPEC_MAX_PORTS, 256, "ports", \
	  "ports of a Service that are carried", \
	  "it is carried without the others", \
	  "`proxy.truncated` in `/status`, the log") \
	X(SPEC_MAX_ENDPOINTS, 16384, "endpoints", \
	  "endpoints of a port", \
	  "as above", \
	  "`proxy.truncated` in `/status`, the log") \
	X(SPEC_MAX_SOURCE_RANGES, 1024, "ranges", \
	  "`loadBalancerSourceRanges` of a Service", \
	  "as above: clients of the others are refused", \
	  "`proxy.truncated` in `/status`, the log") \
	X(KEEPER_ODD_KINDS_MAX, 64, "kinds", \
	  "pairs of a number of endpoints and a `timeoutSeconds` other than 60, 600, 3600, 10800 and 86400 that sets of endpoints have, in mode `nftables`, of one family", \
	  "sets of further ones keep their clients for the next of these times", \
	  "`proxy.families.rounded` in `/status`") \
	X(UNCARRIED_ROWS_MAX, 100, "Services", \
	  "Services without an address to announce of which `/status` says that no node carries them", \
	  "further ones are not named there, nor by `fairlead status`", \
	  "`fairlead_proxy_uncarried_services`, an Event on each") \
	X(UNCARRIED_OF_NAMESPACE_MAX, 10, "Services", \
	  "of one namespace among these", \
	  "as above", \
	  "`fairlead_proxy_uncarried_services`, an Event on each") \
	X(TALLY_SERVICES_MAX, 5000, "Services", \
	  "Services whose traffic is counted with `--service-metrics`", \
	  "further ones have no metrics until one of these is deleted", \
	  "`fairlead_service_metrics_cut`, the log") \
	X(FRAME_COUNTED_MAX, 65536, "destinations", \
	  "addresses with port and protocol, of one family, that have had traffic within an hour and are counted in mode `nftables`; for packets each direction is one", \
	  "traffic to further ones is not counted", \
	  "`fairlead_service_metrics_cut`, the log") \
	X(CONNTRACK_SLICE, 1000, "flows", \
	  "flows of the kernel that are looked at in one turn, when UDP flows are ended", \
	  "the rest follows in the next turns; there is no bound on all of them", \
	  "`fairlead_proxy_udp_flows_ended_total`") \
	X(PATH_MAX_CHAINS, 4096, "chains", \
	  "chains of others in FORWARD's path, in which the place of our accepting rule is looked for", \
	  "further ones are not looked at", \
	  "the log") \
	X(PATH_MAX_RULES, 65536, "rules", \
	  "rules in these chains", \
	  "further ones are not looked at", \
	  "the log") \
	X(PATH_MAX_DEPTH, 16, "chains", \
	  "these chains one in another, as jumps lead from one to the next", \
	  "those further in are not looked at", \
	  "the log") \
	X(PATH_MAX_STEPS, 65536, "steps", \
	  "rules that are met on the way through them, one that is met twice counting twice", \
	  "what comes then is not looked at", \
	  "the log") \
	X(FOREIGN_MAX_BASE_CHAINS, 256, "chains", \
	  "base chains of nftables at the forward hook, of one family, that are asked whether they let our packets through", \
	  "what further ones do is taken for uncertain", \
	  "`ForwardUncertain`, whose message says so") \
	X(PASSAGE_MAX_VISITS, 256, "chains", \
	  "chains that one of these leads to, one that is met twice counting twice", \
	  "as above", \
	  "`ForwardUncertain`, whose message names the base chain") \
	X(PASSAGE_MAX_DEPTH, 16, "chains", \
	  "these chains one in another", \
	  "as above", \
	  "`ForwardUncertain`, whose message names the base chain") \
	X(PASSAGE_MAX_RULES, 4096, "rules", \
	  "rules of such a chain that may decide about our packets", \
	  "as above", \
	  "`ForwardUncertain`, whose message names the base chain") \
	X(SAVE_MAX_CHAINS, 1000000, "chains", \
	  "chains of ours in the kernel, of one family", \
	  "further ones are not compared with what should be there", \
	  "the log") \
	X(SAVE_MAX_JUMPS, 256, "rules", \
	  "rules of others' chains that jump to ours", \
	  "further ones are not taken away where they should not be", \
	  "the log") \
	X(SAVE_MAX_FRONTS, 65536, "ports", \
	  "UDP ports that the kernel's rules serve when the speaker starts", \
	  "flows of further ones that nobody serves any more end by themselves", \
	  "the log") \
	X(CHILD_MAX_ERRORS, 4096, "bytes", \
	  "what iptables says of an error", \
	  "the rest is left out", \
	  "this page")

/* ---- The configuration ---- */
#define LIMITS_CONFIG_ELSEWHERE(X) \
	X(YTREE_SIZE_MAX, 1048576, "bytes", \
	  "text of the configuration", \
	  "it is refused; the one before stays in force", \
	  "an Event on the ConfigMap, `fairlead_config_errors`, `fairlead config check`") \
	X(CONFIG_POOLS_MAX, 1000, "pools", \
	  "pools", \
	  "as above", \
	  "as above") \
	X(CONFIG_INTERFACES_BYTES_MAX, 4096, "bytes", \
	  "expressions of interfaces in the `layer2` of a pool, all of them together", \
	  "as above", \
	  "as above") \
	X(CONFIG_RANGES_MAX, 100000, "ranges", \
	  "ranges of a pool", \
	  "as above", \
	  "as above") \
	X(CONFIG_PEERS_MAX, 1000, "peers", \
	  "BGP peers, of all nodes", \
	  "as above", \
	  "as above") \
	X(CONFIG_BFD_PROFILES_MAX, 1000, "profiles", \
	  "BFD profiles that are written", \
	  "as above", \
	  "as above") \
	X(CONFIG_EXCLUDED_MAX, 1000, "ranges", \
	  "ranges that a pool excludes", \
	  "as above", \
	  "as above") \
	X(CONFIG_RESERVATIONS_MAX, 1000, "addresses", \
	  "addresses that a pool reserves", \
	  "as above", \
	  "as above") \
	X(CONFIG_ADDRESSES_PER_SERVICE_MAX, 4, "addresses", \
	  "addresses of one family that a Service may have by a pool's `addresses-per-service`", \
	  "as above; a Service that asks for more gets none of them", \
	  "as above, `TooManyAddresses`") \
	X(CONFIG_QUOTAS_MAX, 1000, "quotas", \
	  "entries of a pool's `quota`", \
	  "as above", \
	  "as above") \
	X(CONFIG_COMMUNITIES_MAX, 5000, "names", \
	  "names of BGP communities", \
	  "as above", \
	  "as above") \
	X(CONFIG_ROUTER_IDS_MAX, 10000, "nodes", \
	  "nodes with a BGP router id in the configuration", \
	  "as above", \
	  "as above") \
	X(CONFIG_ADVERTISEMENTS_MAX, 64, "advertisements", \
	  "advertisements of a pool, and communities of one of them", \
	  "as above", \
	  "as above") \
	X(CONFIG_SELECTORS_MAX, 64, "selectors", \
	  "selectors of a peer or in a list of a pool, and expressions of one of them", \
	  "as above", \
	  "as above") \
	X(CONFIG_ALLOW_MAX, 1000, "ranges", \
	  "ranges of external IPs that are allowed", \
	  "as above", \
	  "as above") \
	X(CONFIG_NAMESPACES_MAX, 1000, "namespaces", \
	  "namespaces that may write them by hand, and that a pool names", \
	  "as above", \
	  "as above") \
	X(CONFIG_RENUMBER_MAX, 10000, "Services", \
	  "Services that `renumber` of a pool names", \
	  "as above", \
	  "as above") \
	X(YTREE_NODES_MAX, 200000, "values", \
	  "maps, lists, keys and values of the text", \
	  "as above", \
	  "as above") \
	X(YTREE_DEPTH_MAX, 16, "levels", \
	  "maps and lists within each other", \
	  "as above", \
	  "as above") \
	X(YTREE_ANCHORS_MAX, 1000, "anchors", \
	  "anchors of the text", \
	  "as above", \
	  "as above") \
	X(YTREE_MERGED_KEYS_MAX, 64, "keys", \
	  "keys of a map that is merged into others", \
	  "as above", \
	  "as above") \
	X(SCHEMA_PROBLEMS_MAX, 200, "problems", \
	  "errors, and warnings, reported for one text", \
	  "the rest is left out", \
	  "the last one says so") \
	X(PUBLISHED_MAX, 1044480, "bytes", \
	  "text of the configuration together with the addresses that are retained", \
	  "an edit that takes more addresses in use out of all pools is refused; the one before stays in force", \
	  "an Event on the ConfigMap, `fairlead_config_errors`")

/* ---- The journal ---- */
#define LIMITS_JOURNAL_ELSEWHERE(X) \
	X(JOURNAL_MAPS, 16, "ConfigMaps", \
	  "ConfigMaps of the journal", \
	  "the oldest one is written over, after what Services still have was repeated", \
	  "[operations](operations.md#who-had-this-address)") \
	X(JOURNAL_MAP_BYTES, 262144, "bytes", \
	  "entries in one of them", \
	  "the next one is begun", \
	  "as above") \
	X(SCRIBE_QUEUE_BYTES_MAX, 1048576, "bytes", \
	  "entries that wait to be written, and as much that waits for `--journal-copy`", \
	  "further ones are dropped and counted", \
	  "an entry `lost`, `fairlead_journal_dropped_total`, the log") \
	X(SCRIBE_SHARE_BURST, 2000, "entries", \
	  "entries about Services of one namespace at once, with one more each 30 s", \
	  "as above; who has an address is entered later", \
	  "an entry `lost` that names the namespace, and as above") \
	X(SCRIBE_FOUND_MAX, 2000, "entries", \
	  "differences between the journal and the statuses that are entered at a time", \
	  "the others follow after 2 minutes, eight times a day", \
	  "[operations](operations.md#who-had-this-address)") \
	X(SCRIBE_KEPT_MAX, 500, "entries", \
	  "entries that are repeated at a time before they go", \
	  "as above; those that have gone by then are found again, and known since then only", \
	  "[operations](operations.md#who-had-this-address)")

/* ---- Addresses that cool down ---- */
#define LIMITS_COOLING(X) \
	X(COOLING_ADDRESSES, 16384, "addresses", \
	  "addresses that cool down (`cool-down`), in all pools together", \
	  "the one that was let go first is for everybody early", \
	  "`cooling` of the pools in `/status`") \
	X(COOLING_PERCENT, 50, "% of a pool", \
	  "addresses of one family that cool down after Services of one namespace; no more than its `quota`, and at least one", \
	  "as above", \
	  "as above")

/* ---- The command line ---- */
#define LIMITS_CLI_ELSEWHERE(X) \
	X(MANIFEST_MAX_BYTES, 268435456, "bytes", \
	  "a file of manifests (`--state`, `config convert`)", \
	  "the command fails", \
	  "its error") \
	X(MANIFEST_DEPTH_MAX, 64, "levels", \
	  "maps and lists within each other in it", \
	  "as above", \
	  "its error") \
	X(FILE_CONFIG_MAX_BYTES, 2097152, "bytes", \
	  "a file with a configuration", \
	  "the command fails", \
	  "its error") \
	X(DAEMON_BODY_MAX_BYTES, 67108864, "bytes", \
	  "a daemon's /status", \
	  "the daemon counts as one that did not answer", \
	  "`SpeakerSilent`, whose message says so") \
	X(SYSDUMP_LIST_MAX_BYTES, 134217728, "bytes", \
	  "objects of one kind in an archive of `fairlead sysdump`", \
	  "the rest is left out", \
	  "`missing.txt` in it, standard error") \
	X(SYSDUMP_LOG_MAX_BYTES, 16777216, "bytes", \
	  "a log in it, besides `--tail-lines`", \
	  "the end is left out", \
	  "as above") \
	X(SYSDUMP_PAGE_MAX_BYTES, 67108864, "bytes", \
	  "a page of a daemon in it", \
	  "it is left out", \
	  "as above") \
	X(ARCHIVE_MAX_BYTES, 1073741824, "bytes", \
	  "all of it together, before it is compressed", \
	  "what comes then is left out", \
	  "as above")

#define LIMITS_ELSEWHERE(X) \
	LIMITS_KUBE_ELSEWHERE(X) LIMITS_L2_ELSEWHERE(X) LIMITS_PROXY_ELSEWHERE(X) LIMITS_CONFIG_ELSEWHERE(X) \
	LIMITS_CLI_ELSEWHERE(X) LIMITS_BGP_ELSEWHERE(X) LIMITS_JOURNAL_ELSEWHERE(X)

#define LIMITS(X) LIMITS_HTTP(X) LIMITS_HEALTH(X) LIMITS_LOG(X) LIMITS_BGP(X) LIMITS_NODE(X) LIMITS_COOLING(X)
/* clang-format on */

enum {
#define LIMIT_VALUE(name, value, unit, what, when, where) LIMIT_##name = (value),
	LIMITS(LIMIT_VALUE)
#undef LIMIT_VALUE
};

#endif
