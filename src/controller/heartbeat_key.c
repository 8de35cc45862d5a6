/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that the speakers share, made once.
 *
 * A leader creates the Secret; if it exists the server says so (409), and it is neither read nor
 * written: the right to create Secrets in one namespace is all that this needs.  Two leaders at
 * once do no harm, since the server lets only one create it.
 */
#include "config.h"

#include <string.h>

#include <event2/event.h>

#include "controller/heartbeat_key.h"
#include "fairlead/base64.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define KEY_BYTES 32
#define ATTEMPTS 5
/* After a refusal: an administrator may be granting the right. */
#define AGAIN_S 30

static void created(int status, struct json_object *obj, const struct err *e, void *arg)
{
	static const struct timeval again = { AGAIN_S, 0 };
	struct controller *ctl = arg;

	(void)obj;
	ctl->key_request = NULL;
	if (!e)
		log_info("heartbeat key made", KV_S("secret", ctl->opts.heartbeat_key_secret));
	else if (status == 409)
		log_debug("the heartbeat key is there",
		          KV_S("secret", ctl->opts.heartbeat_key_secret));
	if (!e || status == 409) {
		ctl->key_exists = true;
		return;
	}
	log_warn("cannot make the heartbeat key; trying again",
	         KV_S("secret", ctl->opts.heartbeat_key_secret), KV_S("error", e->msg));
	evtimer_add(ctl->key_retry, &again);
}

void heartbeat_key_lead(struct controller *ctl)
{
	uint8_t key[KEY_BYTES];
	cleanup(buf_fini) struct buf path = BUF_INIT;
	cleanup(buf_fini) struct buf body = BUF_INIT;

	if (!ctl->opts.heartbeat_key_secret || ctl->key_exists || ctl->key_request)
		return;
	clock_random(key, sizeof(key));
	buf_printf(&path, "/api/v1/namespaces/%s/secrets", ctl->namespace);
	buf_puts(&body, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"type\":\"Opaque\","
	                "\"metadata\":{\"name\":");
	buf_json_str(&body, ctl->opts.heartbeat_key_secret);
	buf_puts(&body, "},\"data\":{\"" CONTROLLER_KEY_NAME "\":\"");
	base64_encode(key, sizeof(key), &body);
	buf_puts(&body, "\"}}");
	explicit_bzero(key, sizeof(key));
	const struct kube_request_spec spec = { .method = "POST",
		                                .path = buf_str(&path),
		                                .body = buf_str(&body),
		                                .max_retries = ATTEMPTS - 1 };
	ctl->key_request = kube_request_start(ctl->client, &spec, created, ctl);
	explicit_bzero(body.data, body.size);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;

	(void)fd;
	(void)what;
	if (ctl->leading && !ctl->stopping)
		heartbeat_key_lead(ctl);
}

int heartbeat_key_start(struct controller *ctl)
{
	ctl->key_retry = evtimer_new(ctl->base, on_retry, ctl);
	return ctl->key_retry ? 0 : -1;
}
