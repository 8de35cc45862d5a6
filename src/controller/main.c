/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "controller/controller.h"
#include "fairlead/daemon.h"
#include "fairlead/log.h"

enum { EXIT_USAGE = 2 };
#define LEASE_DURATION_MAX_S 3600

static int check_timing(const struct controller_options *o, struct err *e)
{
	if (o->lease_duration_s <= o->renew_deadline_s)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--lease-duration %d: must be longer than --renew-deadline %d",
		               o->lease_duration_s, o->renew_deadline_s);
	/* Each period is stretched by up to a fifth. */
	if (o->renew_deadline_s * 5 <= o->retry_period_s * 6)
		return err_set(
			e, -EINVAL, ERR_CONFIG,
			"--renew-deadline %d: must be longer than 1.2 times --retry-period %d",
			o->renew_deadline_s, o->retry_period_s);
	return 0;
}

int controller_options_parse(int argc, char **argv, struct controller_options *ret, struct err *e)
{
	struct controller_options o = {
		.daemon = { .http = "0.0.0.0:17481", .http_status = "all", .log_level = LOG_INFO },
		.config_map = CONFIG_MAP_NAME,
		.external_ips = "on",
		.webhook_service = "fairlead-webhook",
		.webhook_configuration = "fairlead-webhook",
		.lease_duration_s = 15,
		.renew_deadline_s = 10,
		.retry_period_s = 2,
	};
	const struct option_row rows[] = {
		OPTIONS_DAEMON(o.daemon),
		{ "config-map", 0, "NAME", "the ConfigMap with the configuration", OPTION_STRING,
		  &o.config_map },
		{ "identity", 0, "NAME",
		  "this replica's name in the Lease; the host name and a UUID if not given",
		  OPTION_STRING, &o.identity },
		{ "heartbeat-key-secret", 0, "NAME",
		  "make the key that the speakers share, in the Secret of this name, unless it is "
		  "there already",
		  OPTION_STRING, &o.heartbeat_key_secret },
		{ "external-ips", 0, "WHEN",
		  "assign external IPs, for which Services' specs are written, or only say that it "
		  "is off",
		  OPTION_CHOICE, &o.external_ips, .choices = "on|off" },
		{ "journal-copy", 0, "FILE",
		  "append each entry of the journal to this file, too, a line of JSON each; -: to "
		  "standard output",
		  OPTION_STRING, &o.journal_copy },
		{ "webhook", 0, "ADDRESS:PORT",
		  "serve the admission webhook, which refuses edits of the configuration that are "
		  "wrong",
		  OPTION_STRING, &o.webhook },
		{ "webhook-service", 0, "NAME",
		  "the Service of the webhook, and the Secret with its certificate, which is made",
		  OPTION_STRING, &o.webhook_service },
		{ "webhook-configuration", 0, "NAME",
		  "the ValidatingWebhookConfiguration that gets the certificate", OPTION_STRING,
		  &o.webhook_configuration },
		{ "tell-holders", 0, NULL,
		  "conditions and Events name Services of other namespaces that have the address "
		  "asked for",
		  OPTION_SWITCH, &o.tell_holders },
		{ "lease-duration", 0, "SECONDS",
		  "how long a leader that is not heard of stays leader", OPTION_INT,
		  &o.lease_duration_s, .min = 1, .max = LEASE_DURATION_MAX_S },
		{ "renew-deadline", 0, "SECONDS",
		  "how long a leader tries to renew before it stops leading", OPTION_INT,
		  &o.renew_deadline_s, .min = 1, .max = LEASE_DURATION_MAX_S },
		{ "retry-period", 0, "SECONDS", "how often the Lease is tried for, or renewed",
		  OPTION_INT, &o.retry_period_s, .min = 1, .max = LEASE_DURATION_MAX_S },
		{ 0 },
	};
	const struct options options = {
		.usage = "fairlead-controller [OPTION]…",
		.about =
			"Assigns addresses from pools to Kubernetes Services of type LoadBalancer. "
			"Two or more run for safety; one of them leads.",
		.rows = rows,
		.after = "SIGTERM, SIGINT and SIGHUP hand the Lease over and end it.\n"
			 "Exit status: 0 after a signal, 1 if it cannot run, 2 for a wrong command "
			 "line.\n"
			 "See fairlead-controller(8) and fairlead.yaml(5).\n",
	};
	size_t n_operands;
	int r = options_parse(&options, argc, argv, &n_operands, e);

	if (r == OPTIONS_RUN)
		r = check_timing(&o, e);
	if (r == OPTIONS_RUN && !strcmp(o.config_map, CONFIG_MAP_ACTIVE))
		r = err_set(e, -EINVAL, ERR_CONFIG,
		            "--config-map " CONFIG_MAP_ACTIVE
		            ": that name is for what the leader publishes");
	if (r == OPTIONS_RUN)
		*ret = o;
	return r;
}

int main(int argc, char **argv)
{
	struct controller ctl = { 0 };
	struct err e = ERR_INIT;

	daemon_begin();
	int r = controller_options_parse(argc, argv, &ctl.opts, &e);

	if (r == OPTIONS_DONE)
		return EXIT_SUCCESS;
	if (r < 0) {
		log_err("wrong command line", &e);
		return EXIT_USAGE;
	}
	log_set_level(ctl.opts.daemon.log_level);
	r = controller_start(&ctl, &e);
	if (r < 0)
		log_err("cannot start", &e);
	else
		event_base_dispatch(ctl.base);
	controller_stop(&ctl);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
