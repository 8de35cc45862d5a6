/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two load balancers on one Service.  Another program that writes the addresses of a status that is ours to write is
 * answered, but not at the speed of the network, and it is named: the operator has to end one of the two, and can only do
 * so if he hears of it.  What the other one wrote is judged like any status: an address in one of our pools is kept.
 */
#include "config.h"

#include <stdio.h>

#include "controller/controller.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"

/* So many writes to one status, each so soon after the one before: then a pause. */
#define RAPID_MS 1000
#define RAPID_MAX 10
/* Of one Service it is told once in that time. */
#define TELL_AGAIN_MS 60000

static void tell(struct record *r, const char *what, const char *writer)
{
	char note[IPAM_MESSAGE_SIZE];
	int64_t now_ms = clock_ms();

	if (r->contested_ms && now_ms - r->contested_ms < TELL_AGAIN_MS)
		return;
	r->contested_ms = now_ms;
	snprintf(note, sizeof(note),
	         "%s by %.128s; if that is another load balancer's controller, end it, or tell the "
	         "Services apart by spec.loadBalancerClass",
	         what, writer ? writer : "another program");
	log_warn("others write the status", KV_S("service", r->key), KV_S("detail", note));
	controller_event(r->ctl, "Service", r->namespace, r->name, r->uid, true, "StatusContested",
	                 "Allocate", note);
}

void contest_overwritten(struct record *r, const char *writer)
{
	r->ctl->stats.contested++;
	tell(r, "the addresses in the status were written", writer);
}

bool contest_is_rapid(struct record *r, int64_t now_ms)
{
	r->n_rapid = now_ms - r->written_ms < RAPID_MS ? r->n_rapid + 1 : 0;
	r->written_ms = now_ms;
	if (r->n_rapid < RAPID_MAX)
		return false;
	r->n_rapid = 0;
	tell(r, "the status is changed again and again", NULL);
	return true;
}
