/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/mem.h"
#include "speaker/options.h"

/* Every host takes segments of 536 bytes; 9000 is what jumbo frames hold. */
#define CLAMP_MSS_MIN 536
#define CLAMP_MSS_MAX 9000

/* @option: its name; @given: its value, NULL for none. */
static int parse_cidrs(const char *option, const char *given,
                       struct prefix ret_cidrs[static SPEAKER_CIDRS_MAX], size_t *ret_n,
                       struct err *e)
{
	cleanup_free char *copy = xstrdup(given ? given : "");
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (n == SPEAKER_CIDRS_MAX)
			return err_set(e, -EINVAL, ERR_CONFIG, "%s: at most %d of them", option,
			               SPEAKER_CIDRS_MAX);
		if (prefix_parse(word, false, &ret_cidrs[n++]) < 0)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "%s: \"%.100s\" is no CIDR; it is like 10.244.0.0/16",
			               option, word);
	}
	*ret_n = n;
	return 0;
}

static int parse_clamp(struct speaker_options *o, struct err *e)
{
	char *end;

	if (!strcmp(o->clamp_mss, "off") || !strcmp(o->clamp_mss, "pmtu")) {
		o->clamp_mss_bytes = *o->clamp_mss == 'p' ? PROXY_CLAMP_PMTU : 0;
		return OPTIONS_RUN;
	}
	unsigned long n = strtoul(o->clamp_mss, &end, 10);
	if (*end || n < CLAMP_MSS_MIN || n > CLAMP_MSS_MAX)
		return err_set(
			e, -EINVAL, ERR_CONFIG,
			"--clamp-mss: \"%s\" is neither off, pmtu nor a number from %d to %d",
			o->clamp_mss, CLAMP_MSS_MIN, CLAMP_MSS_MAX);
	o->clamp_mss_bytes = (int)n;
	return OPTIONS_RUN;
}

int speaker_options_parse(int argc, char **argv, struct speaker_options *ret, struct err *e)
{
	struct speaker_options o = {
		.daemon = { .http = "0.0.0.0:17482", .http_status = "all", .log_level = LOG_INFO },
		.proxy_mode = "none",
		.iptables_variant = "auto",
		.clamp_mss = "off",
		.first_use_probe = "on",
		.bgp_socket_dir = "/run/frr",
	};
	const struct option_row rows[] = {
		OPTIONS_DAEMON(o.daemon),
		{ "node", 0, "NAME",
		  "this node's name; $NODE_NAME, else the host name, if not given", OPTION_STRING,
		  &o.node },
		{ "proxy-mode", 0, "MODE",
		  "who carries the traffic to the endpoints: kube-proxy or "
		  "the like (none), or the speaker itself",
		  OPTION_CHOICE, &o.proxy_mode, .choices = PROXY_MODES },
		{ "iptables-variant", 0, "VARIANT", "which iptables", OPTION_CHOICE,
		  &o.iptables_variant, .choices = "auto|nft|legacy" },
		{ "cluster-cidr", 0, "CIDR[,CIDR]",
		  "the Pods' addresses, which are not masqueraded "
		  "on their way to a cluster IP",
		  OPTION_STRING, &o.cluster_cidr },
		{ "nodeport-addresses", 0, "CIDR[,CIDR]",
		  "which of the node's addresses have node ports; all if not given", OPTION_STRING,
		  &o.nodeport_addresses },
		{ "masquerade-all", 0, NULL,
		  "masquerade everything on its way to a cluster IP, also what comes from Pods",
		  OPTION_SWITCH, &o.masquerade_all },
		{ "clamp-mss", 0, "BYTES",
		  "bound the segment size of the TCP connections that the speaker carries: so many bytes, "
		  "pmtu (what fits the node's routes), or off; for paths with a smaller MTU behind "
		  "routers that spread flows over nodes",
		  OPTION_STRING, &o.clamp_mss },
		{ "healthz-bind-address", 0, "ADDRESS:PORT",
		  "answer /healthz and /livez there as kube-proxy does on its port 10256, for load "
		  "balancers and clouds that ask; with --proxy-mode iptables",
		  OPTION_STRING, &o.healthz_bind_address },
		{ "heartbeat-key-file", 0, "FILE",
		  "the key that all speakers share, for the "
		  "heartbeats between them",
		  OPTION_STRING, &o.heartbeat_key_file },
		{ "heartbeat-key-secret", 0, "NAME",
		  "the same from the key \"" SPEAKER_KEY_NAME "\" of this Secret in our namespace",
		  OPTION_STRING, &o.heartbeat_key_secret },
		{ "interface", 0, "REGEX",
		  "use the interfaces whose whole name matches; all that "
		  "can carry ARP if not given",
		  OPTION_STRING, &o.interface },
		{ "first-use-probe", 0, "WHEN",
		  "ask whether anybody uses an address before "
		  "announcing it for the first time",
		  OPTION_CHOICE, &o.first_use_probe, .choices = "on|off" },
		{ "drain-on-cordon", 0, NULL,
		  "announce nothing from nodes that are cordoned; the same on all nodes",
		  OPTION_SWITCH, &o.node_rules.drain_on_cordon },
		{ "ignore-exclude-label", 0, NULL,
		  "announce also from nodes that are labelled "
		  "exclude-from-external-load-balancers; the same on all nodes",
		  OPTION_SWITCH, &o.node_rules.ignore_exclude_label },
		{ "bgp-socket-dir", 0, "DIR",
		  "where FRR's vty sockets are; bgpd is contacted only where the configuration has "
		  "a peer for this node; none: no BGP",
		  OPTION_STRING, &o.bgp_socket_dir },
		{ "bgp-password-secret", 0, "NAME",
		  "the Secret in our namespace with the passwords of peers that name them by "
		  "password-secret",
		  OPTION_STRING, &o.bgp_password_secret },
		{ "bgp-shared-instance", 0, NULL,
		  "bgpd's instance is shared with others on purpose: announce though a neighbour "
		  "of theirs has no outbound policy",
		  OPTION_SWITCH, &o.bgp_shared_instance },
		{ "cleanup", 0, NULL,
		  "remove every iptables rule and chain of ours, and all of ours from bgpd, and exit",
		  OPTION_SWITCH, &o.cleanup },
		{ 0 },
	};
	const struct options options = {
		.usage = "fairlead-speaker [OPTION]…",
		.about = "Announces the addresses of Kubernetes Services of type LoadBalancer from "
			 "this node, and carries their traffic where asked to. One runs on each "
			 "node.",
		.rows = rows,
		.after =
			"SIGTERM, SIGINT and SIGHUP mean a restart: rules stay, and the other speakers\n"
			"leave this node its addresses for a few seconds.\n"
			"Exit status: 0 after a signal or --cleanup, 1 if it cannot run, 2 for a "
			"wrong command line.\n",
	};
	size_t n_operands;
	int r = options_parse(&options, argc, argv, &n_operands, e);

	if (!*o.bgp_socket_dir || !strcmp(o.bgp_socket_dir, "none"))
		o.bgp_socket_dir = NULL;
	if (r == OPTIONS_RUN)
		r = parse_cidrs("--cluster-cidr", o.cluster_cidr, o.cluster_cidrs,
		                &o.n_cluster_cidrs, e);
	if (r == OPTIONS_RUN)
		r = parse_cidrs("--nodeport-addresses", o.nodeport_addresses, o.node_port_cidrs,
		                &o.n_node_port_cidrs, e);
	if (r == OPTIONS_RUN)
		r = parse_clamp(&o, e);
	if (r == OPTIONS_RUN && o.heartbeat_key_file && o.heartbeat_key_secret)
		r = err_set(e, -EINVAL, ERR_CONFIG,
		            "--heartbeat-key-file and --heartbeat-key-secret: give one of them");
	if (r == OPTIONS_RUN && o.healthz_bind_address && !strcmp(o.proxy_mode, "none"))
		r = err_set(e, -EINVAL, ERR_CONFIG,
		            "--healthz-bind-address: with --proxy-mode none kube-proxy, or what "
		            "carries the traffic in its place, answers");
	if (r == OPTIONS_RUN)
		*ret = o;
	return r;
}

int speaker_key_check(size_t size, struct err *e)
{
	if (size >= SPEAKER_KEY_MIN_BYTES && size <= SPEAKER_KEY_MAX_BYTES)
		return 0;
	return err_set(
		e, -EINVAL, ERR_CONFIG,
		"a heartbeat key has %d to %d bytes, and this one has %s%zu; 32 random bytes "
		"are good",
		SPEAKER_KEY_MIN_BYTES, SPEAKER_KEY_MAX_BYTES,
		size > SPEAKER_KEY_MAX_BYTES ? "at least " : "", size);
}

int speaker_key_read(const char *path, uint8_t **ret_key, size_t *ret_size, bool *ret_loose,
                     struct err *e)
{
	uint8_t key[SPEAKER_KEY_MAX_BYTES + 2];
	struct stat st;
	size_t size = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno, ERR_CONFIG, "--heartbeat-key-file %s: %s", path,
		               strerror(errno));
	bool loose = fstat(fd, &st) == 0 && (st.st_mode & S_IROTH);
	while (size < sizeof(key) && (n = read(fd, key + size, sizeof(key) - size)) > 0)
		size += (size_t)n;
	int error = n < 0 ? errno : 0;
	close(fd);
	if (error)
		return err_set(e, -error, ERR_CONFIG, "--heartbeat-key-file %s: %s", path,
		               strerror(error));
	if (size && key[size - 1] == '\n')
		size--;
	if (speaker_key_check(size, e) < 0) {
		err_prefix(e, "--heartbeat-key-file %s", path);
		return -EINVAL;
	}
	*ret_key = xmemdup(key, size);
	*ret_size = size;
	*ret_loose = loose;
	return 0;
}
