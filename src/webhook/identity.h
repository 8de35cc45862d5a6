/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_WEBHOOK_IDENTITY_H
#define FAIRLEAD_WEBHOOK_IDENTITY_H

#include <openssl/x509.h>

#include "fairlead/webhook.h"

/* What the PEM texts hold, for X509_free() and EVP_PKEY_free(); NULL: no such thing. */
X509 *identity_certificate(const struct webhook_identity *id);
EVP_PKEY *identity_key(const struct webhook_identity *id);

#endif
