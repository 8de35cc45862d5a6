/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "suite.h"

static const char usage[] =
	"Usage: kube_suite KUBECONFIG|URL [NAMESPACE]\n"
	"Runs the suite of the API client against that server, in that namespace (default).\n"
	"Prints one line a case, and \"N passed, N failed, N skipped\".\n";

/* A URL is a kubeconfig without credentials. */
static int open_access(const char *where, struct kube_access **ret_access, struct err *e)
{
	if (!strstr(where, "://"))
		return kube_access_load(where, NULL, ret_access, e);
	char path[] = "/tmp/fairlead-kube-suite-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return err_set(e, -1, ERR_SYSTEM, "%s: cannot be written", path);
	fprintf(f,
	        "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
	        "clusters: [{name: k, cluster: {server: '%s'}}]\n",
	        where);
	fclose(f);
	int ret = kube_access_load(path, NULL, ret_access, e);
	remove(path);
	return ret;
}

/* What a case may have left. */
static void clean_up(struct suite *s)
{
	static const char *const names[] = { "patched",   "contended", "watched",    "resumed",
		                             "refreshed", "forgotten", "z-historic", "cut",
		                             "silent",    "busy" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		suite_delete_map(s, names[i]);
}

static int run_cases(struct suite *s)
{
	static const struct suite_case *const all[] = { suite_object_cases, suite_watch_cases,
		                                        suite_lease_cases };
	int n[3] = { 0 }; /* passed, failed, skipped */
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		for (const struct suite_case *c = all[i]; c->name; c++) {
			if (c->needs_faults && !s->has_faults) {
				printf("skip %s: the server takes no faults\n", c->name);
				n[2]++;
				continue;
			}
			*s->why = '\0';
			c->run(s);
			clean_up(s);
			printf("%s %s%s%s\n", *s->why ? "FAIL" : "ok  ", c->name,
			       *s->why ? ": " : "", s->why);
			fflush(stdout);
			n[*s->why ? 1 : 0]++;
		}
	printf("%d passed, %d failed, %d skipped\n", n[0], n[1], n[2]);
	return n[1] ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct suite s = { .namespace = argc > 2 ? argv[2] : "default" };
	struct err e = ERR_INIT;

	if (argc < 2 || argc > 3) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	if (open_access(argv[1], &s.access, &e) < 0) {
		fprintf(stderr, "kube_suite: %s\n", e.msg);
		return 2;
	}
	snprintf(s.run, sizeof(s.run), "suite-%llx",
	         (unsigned long long)clock_random_below(1ULL << 40));
	s.base = event_base_new();
	s.client = kube_client_new(s.base, s.access, "fairlead-kube-suite/" PACKAGE_VERSION);
	s.has_faults = suite_call(&s, "GET", "/sim/faults", NULL, KUBE_PATCH_NONE, NULL) == 200;
	int ret = run_cases(&s);
	kube_client_free(s.client);
	kube_access_free(s.access);
	event_base_free(s.base);
	return ret;
}
