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

int speaker_options_parse(int argc, char **argv, struct speaker_options *ret, struct err *e)
{
	struct speaker_options o = {
		.daemon = { .http = "0.0.0.0:17482", .http_status = "all", .log_level = LOG_INFO },
		.proxy_mode = "none",
		.iptables_variant = "auto",
		.plane = FACTS_FLAGS_INIT,
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
		OPTIONS_FACTS(o.plane),
		{ "service-metrics", 0, NULL,
		  "count connections by Service, and with --proxy-mode nftables or ipvs packets and "
		  "bytes, for /metrics",
		  OPTION_SWITCH, &o.service_metrics },
		{ "healthz-bind-address", 0, "ADDRESS:PORT",
		  "answer /healthz and /livez there as kube-proxy does on its port 10256, for load "
		  "balancers and clouds that ask; in all modes but none",
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
		  "where FRR's vty sockets are; bgpd is contacted where the configuration has a "
		  "peer for this node, and once without one, to clean up; none: no BGP",
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
		  "remove every rule, chain and table of ours, and all of ours from bgpd, and exit",
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
	if (r == OPTIONS_RUN && facts_flags_parse(&o.plane, e) < 0)
		r = -EINVAL;
	if (r == OPTIONS_RUN && o.heartbeat_key_file && o.heartbeat_key_secret)
		r = err_set(e, -EINVAL, ERR_CONFIG,
		            "--heartbeat-key-file and --heartbeat-key-secret: give one of them");
	if (r == OPTIONS_RUN && o.healthz_bind_address && !strcmp(o.proxy_mode, "none"))
		r = err_set(e, -EINVAL, ERR_CONFIG,
		            "--healthz-bind-address: with --proxy-mode none kube-proxy, or what "
		            "carries the traffic in its place, answers");
	if (r == OPTIONS_RUN && o.plane.localhost_nodeports && !strcmp(o.proxy_mode, "none"))
		r = err_set(e, -EINVAL, ERR_CONFIG,
		            "--localhost-nodeports: with --proxy-mode none kube-proxy, or what "
		            "carries the traffic in its place, has the node ports");
	if (r == OPTIONS_RUN && o.plane.localhost_nodeports && !strcmp(o.proxy_mode, "ipvs"))
		r = err_set(
			e, -EINVAL, ERR_CONFIG,
			"--localhost-nodeports: IPVS sends nothing from 127.0.0.1 to other "
			"machines; use --proxy-mode nftables, or reach node ports at the node's "
			"other addresses");
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
