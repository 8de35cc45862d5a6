/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "suite.h"

#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/lease.h"
#include "fairlead/mem.h"

/* Two and three electors on one Lease, with short times. */

static const struct lease_timing timing = {
	.duration_s = 2, .renew_ms = 1500, .retry_ms = 300, .effect_ms = 300
};

struct candidate {
	struct lease_elector *el;
	int started, stopped, released;
	char holder[64]; /* as last told */
};

static void on_started(void *arg)
{
	struct candidate *c = arg;

	c->started++;
}

static void on_stopped(void *arg)
{
	struct candidate *c = arg;

	c->stopped++;
}

static void on_observed(const char *holder, void *arg)
{
	struct candidate *c = arg;
	cleanup_free char *cut = xstrndup(holder, sizeof(c->holder) - 1);

	memcpy(c->holder, cut, strlen(cut) + 1);
}

static void on_released(void *arg)
{
	struct candidate *c = arg;

	c->released++;
}

static void run_for_office(struct candidate *c, struct suite *s, const char *identity)
{
	static const struct lease_elector_ops ops = { on_started, on_stopped, on_observed };
	cleanup_free char *name = xasprintf("%s-lease", s->run);

	*c = (struct candidate){ 0 };
	c->el = lease_elector_start(s->client, s->base, s->namespace, name, identity, timing, &ops,
	                            c);
}

static void one_leads_at_a_time(struct suite *s)
{
	struct candidate a, b, c;

	run_for_office(&a, s, "a");
	bool a_leads = suite_wait(s, &a.started, 1) && lease_may_write(a.el);
	run_for_office(&b, s, "b");
	/* Longer than the lease: it is renewed, and the standby stands by. */
	suite_run_for(s, 3000);
	bool b_waits = !b.started && !a.stopped && lease_is_leader(a.el) &&
	               !strcmp(lease_holder(b.el), "a") && !strcmp(b.holder, "a");
	lease_elector_stop(a.el, true, on_released, &a);
	bool released = suite_wait(s, &a.released, 1);
	int64_t from = clock_ms();
	bool b_leads = suite_wait(s, &b.started, 1);
	int64_t handover_ms = clock_ms() - from;
	/* Gone without a word: the next one waits for the lease to run out, and for late writes. */
	run_for_office(&c, s, "c");
	suite_run_for(s, 700);
	bool c_waits = !c.started && !strcmp(lease_holder(c.el), "b");
	lease_elector_free(b.el);
	from = clock_ms();
	bool c_leads = suite_wait(s, &c.started, 1);
	int64_t takeover_ms = clock_ms() - from;
	lease_elector_free(a.el);
	lease_elector_stop(c.el, true, on_released, &c);
	released = released && suite_wait(s, &c.released, 1);
	lease_elector_free(c.el);
	CHECK(s, a_leads && b_waits, "first leads %d, standby waits %d", a_leads, b_waits);
	CHECK(s, released && b_leads && handover_ms < 1500,
	      "released %d, next leads %d after %d ms", released, b_leads, (int)handover_ms);
	CHECK(s, c_waits && c_leads && takeover_ms > 1500 && takeover_ms < 5000,
	      "waits %d, takes over %d after %d ms", c_waits, c_leads, (int)takeover_ms);
}

static void rivals_at_the_same_time(struct suite *s)
{
	struct candidate c[3];

	static const char *const names[] = { "x", "y", "z" };
	cleanup_free char *path =
		xstrdup(suite_path(s, "/apis/coordination.k8s.io/v1", "leases", "lease"));
	suite_call(s, "DELETE", path, NULL, KUBE_PATCH_NONE, NULL);
	for (int i = 0; i < 3; i++)
		run_for_office(&c[i], s, names[i]);
	int leaders = 0, most = 0;
	for (int i = 0; i < 60; i++) {
		suite_run_for(s, 30);
		leaders = lease_may_write(c[0].el) + lease_may_write(c[1].el) +
		          lease_may_write(c[2].el);
		most = leaders > most ? leaders : most;
	}
	struct json_object *answer = NULL;
	suite_call(s, "GET", path, NULL, KUBE_PATCH_NONE, &answer);
	const char *holder = suite_str(answer, "spec.holderIdentity");
	bool known = holder && !strcmp(holder, lease_holder(c[0].el)) &&
	             !strcmp(holder, lease_holder(c[1].el)) &&
	             !strcmp(holder, lease_holder(c[2].el));
	json_object_put(answer);
	for (int i = 0; i < 3; i++)
		lease_elector_free(c[i].el);
	suite_call(s, "DELETE", path, NULL, KUBE_PATCH_NONE, NULL);
	CHECK(s, leaders == 1 && most == 1, "%d leaders, at most %d", leaders, most);
	CHECK(s, known, "not everybody knows who leads");
}

/* Everything that the server lets through, and no one behind it. */
static void a_lease_that_somebody_edited(struct suite *s)
{
	struct candidate a;
	char holder[400];

	memset(holder, 'h', sizeof(holder) - 1);
	holder[sizeof(holder) - 1] = '\0';
	cleanup_free char *path =
		xstrdup(suite_path(s, "/apis/coordination.k8s.io/v1", "leases", "lease"));
	cleanup_free char *all =
		xasprintf("/apis/coordination.k8s.io/v1/namespaces/%s/leases", s->namespace);
	cleanup_free char *body = xasprintf(
		"{\"metadata\":{\"name\":\"%s-lease\"},\"spec\":{\"holderIdentity\":\"%s\","
		"\"leaseDurationSeconds\":1,\"leaseTransitions\":2147483647,"
		"\"renewTime\":\"2099-01-01T00:00:00.000000Z\"}}",
		s->run, holder);
	int made = suite_call(s, "POST", all, body, KUBE_PATCH_NONE, NULL);
	run_for_office(&a, s, "a");
	bool leads = suite_wait(s, &a.started, 1) && lease_may_write(a.el);
	lease_elector_free(a.el);
	suite_call(s, "DELETE", path, NULL, KUBE_PATCH_NONE, NULL);
	CHECK(s, made == 201, "not made: %d", made);
	CHECK(s, leads, "it was never taken over");
}

const struct suite_case suite_lease_cases[] = {
	{ "a Lease: standby, handover, takeover", one_leads_at_a_time, false },
	{ "a Lease: three at the same time", rivals_at_the_same_time, false },
	{ "a Lease: edited by somebody", a_lease_that_somebody_edited, false },
	{ NULL, NULL, false },
};
