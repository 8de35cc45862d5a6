/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the API server still there?
 *
 * A silent watch is normal: the server has to send a bookmark only every minute or so, and a
 * network that swallows everything looks the same.  An owner that alone has lost the server would
 * go on for minutes with endpoints that are gone.  So if all watches were silent for a while, we
 * ask the server for its version, which everybody may read and which costs it next to nothing; any
 * answer will do, and so does anything from any watch.  In large clusters the watch of Nodes is
 * hardly ever silent: each kubelet writes its Node at least once in five minutes, so that from some
 * eighty nodes on hardly any speaker has to ask.  (TCP keep-alives and HTTP/2 pings tell less: only
 * that some kernel or proxy on the way is there; and libcurl does not report them.)
 *
 * A view is fresh if its own watches, of Services and endpoints, each brought something not too
 * long ago, and the server answered just now.
 */
#include "config.h"

#include "fairlead/clock.h"
#include "speaker/feeds.h"
#include "speaker/pulse.h"

/*
 * The server sends a bookmark about once a minute; a watch that is silent for this long is dead,
 * whatever else is answered.
 */
#define WATCH_SILENCE_MS 90000
/*
 * After how long a silence the server is asked, and after how long it is asked again; and for how
 * long it may not answer before it counts as lost.
 */
#define ASK_MS 4000
#define LOST_MS 9000
#define TIMEOUT_MS 4000

static void on_answer(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct speaker *sp = arg;

	(void)obj;
	(void)e;
	sp->pulse.request = NULL;
	if (status == 0 || status >= 500)
		return;
	/* The time of the question: the answer may have been on its way for long. */
	sp->pulse.answered_ms = sp->pulse.asked_ms;
	speaker_schedule(sp);
}

int64_t speaker_answered_ms(const struct speaker *sp)
{
	int64_t word = speaker_last_word_ms(sp);

	return word > sp->pulse.answered_ms ? word : sp->pulse.answered_ms;
}

void speaker_pulse(struct speaker *sp)
{
	const struct kube_request_spec spec = { .method = "GET",
		                                .path = "/version",
		                                .timeout_ms = TIMEOUT_MS };
	int64_t now = clock_ms();

	if (sp->pulse.request || now - speaker_answered_ms(sp) < ASK_MS ||
	    now - sp->pulse.asked_ms < ASK_MS)
		return;
	sp->pulse.asked_ms = now;
	sp->pulse.request = kube_request_start(sp->client, &spec, on_answer, sp);
}

bool speaker_is_fresh(const struct speaker *sp)
{
	int64_t now = clock_ms();

	return now - speaker_last_contact_ms(sp) < WATCH_SILENCE_MS &&
	       now - speaker_answered_ms(sp) < LOST_MS;
}
