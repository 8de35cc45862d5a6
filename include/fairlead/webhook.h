/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_WEBHOOK_H
#define FAIRLEAD_WEBHOOK_H

/*
 * The admission webhook: the API server asks before it takes an edit of the configuration, and
 * whoever makes a bad one reads at once what is wrong.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 *
 * Whoever reaches the port may connect, so it has a thread of its own, which takes processor time
 * after all others, and bounds (limits.h).  Only who knows the secret path is asked what he wants:
 * the API server learns it from the ValidatingWebhookConfiguration, which nobody but administrators
 * can read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/err.h"

struct webhook;

/* ---- what is answered ---- */

/* The ConfigMap that is judged; requests about others are none of its business. */
struct webhook_subject {
	const char *namespace, *config_map;
};

enum webhook_verdict { WEBHOOK_ALLOWED, WEBHOOK_DENIED, WEBHOOK_UNREADABLE };
/*
 * The answer to an AdmissionReview (admission.k8s.io/v1), as JSON.  An edit that leaves the
 * configuration as it is passes even where that is wrong.  WEBHOOK_UNREADABLE: it is no such
 * review, and there is no answer.
 */
enum webhook_verdict webhook_review(const char *json, size_t size,
                                    const struct webhook_subject *subject, struct buf *out);

/* ---- by whose name ---- */

#define WEBHOOK_PATH_SIZE 40 /* "/" and 128 bits in hex, with the NUL */
/* What the API server checks, and asks for. */
struct webhook_identity {
	char *certificate, *key; /* PEM; the certificate is its own authority */
	char path[WEBHOOK_PATH_SIZE];
};
void webhook_identity_fini(struct webhook_identity *id);
/*
 * A new one for the Service, valid for a year from a day before @now_s (seconds since 1970).
 */
int webhook_identity_make(const char *service, const char *namespace, int64_t now_s,
                          struct webhook_identity *ret, struct err *e);
/*
 * Whether it serves: certificate and key belong together, are those of this Service, and a third of
 * the time is left.  -EINVAL: @e says why not.
 */
int webhook_identity_check(const struct webhook_identity *id, const char *service,
                           const char *namespace, int64_t now_s, struct err *e);

/* ---- the server ---- */

struct webhook_stats {
	uint64_t allowed, denied;
	uint64_t refused; /* not at the path, or no review */
};

/* Listens on "ADDRESS:PORT"; who connects is served once there is an identity.  Copies @subject. */
int webhook_start(const char *address, const struct webhook_subject *subject,
                  struct webhook **ret_webhook, struct err *e);
/* From now on.  The old one's connections go on.  -EINVAL: it cannot be used. */
int webhook_identify(struct webhook *w, const struct webhook_identity *id, struct err *e);
uint16_t webhook_port(const struct webhook *w);
struct webhook_stats webhook_stats(const struct webhook *w);
/* Accepts NULL. */
void webhook_stop(struct webhook *w);

#endif
