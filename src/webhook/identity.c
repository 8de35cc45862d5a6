/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "webhook/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define DAY_S INT64_C(86400)
#define VALID_S (365 * DAY_S)
/* For clocks that are behind ours. */
#define BEFORE_S DAY_S
#define SERIAL_BITS 127

static void bio_fini(BIO **b)
{
	BIO_free_all(*b);
}

static void x509_fini(X509 **x)
{
	X509_free(*x);
}

static void pkey_fini(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

void webhook_identity_fini(struct webhook_identity *id)
{
	free(id->certificate);
	if (id->key)
		explicit_bzero(id->key, strlen(id->key));
	free(id->key);
	*id = (struct webhook_identity){ .certificate = NULL };
}

/* The name by which the API server calls a Service. */
static char *host_of(const char *service, const char *namespace)
{
	return xasprintf("%s.%s.svc", service, namespace);
}

/* ---- making ---- */

static bool add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = ext && X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static bool add_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool ok = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
	          BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));

	BN_free(n);
	return ok;
}

/* Names in subjects have 64 characters at most, those in the extension any number. */
static bool fill(X509 *x, EVP_PKEY *key, const char *host, int64_t now_s)
{
	cleanup_free char *names = xasprintf("DNS:%s", host);
	X509_NAME *subject = X509_get_subject_name(x);

	return X509_set_version(x, X509_VERSION_3) && add_serial(x) &&
	       ASN1_TIME_set(X509_getm_notBefore(x), now_s - BEFORE_S) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), now_s - BEFORE_S + VALID_S) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	                                  (const unsigned char *)"fairlead webhook", -1, -1, 0) &&
	       X509_set_issuer_name(x, subject) && X509_set_pubkey(x, key) &&
	       add_extension(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_subject_alt_name, names) && X509_sign(x, key, EVP_sha256());
}

static char *text_of(BIO *b)
{
	char *data;
	long size = BIO_get_mem_data(b, &data);

	return xstrndup(data, (size_t)size);
}

static void make_path(char *path)
{
	uint8_t random[16];

	clock_random(random, sizeof(random));
	*path++ = '/';
	for (size_t i = 0; i < sizeof(random); i++)
		path += sprintf(path, "%02x", random[i]);
}

int webhook_identity_make(const char *service, const char *namespace, int64_t now_s,
                          struct webhook_identity *ret, struct err *e)
{
	cleanup_free char *host = host_of(service, namespace);
	cleanup(pkey_fini) EVP_PKEY *key = EVP_EC_gen("P-256");
	cleanup(x509_fini) X509 *x = X509_new();
	cleanup(bio_fini) BIO *certificate = BIO_new(BIO_s_mem());
	cleanup(bio_fini) BIO *secret = BIO_new(BIO_s_secmem());

	if (!key || !x || !certificate || !secret || !fill(x, key, host, now_s) ||
	    !PEM_write_bio_X509(certificate, x) ||
	    !PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL))
		return err_set(e, -EIO, ERR_SYSTEM, "cannot make a certificate for %s", host);
	*ret = (struct webhook_identity){ .certificate = text_of(certificate),
		                          .key = text_of(secret) };
	make_path(ret->path);
	return 0;
}

/* ---- checking ---- */

static BIO *open_text(const char *pem)
{
	return BIO_new_mem_buf(pem ? pem : "", -1);
}

X509 *identity_certificate(const struct webhook_identity *id)
{
	cleanup(bio_fini) BIO *b = open_text(id->certificate);

	return b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
}

EVP_PKEY *identity_key(const struct webhook_identity *id)
{
	cleanup(bio_fini) BIO *b = open_text(id->key);

	return b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
}

static bool is_path(const char *path)
{
	return *path == '/' && strlen(path) == 33 && strspn(path + 1, "0123456789abcdef") == 32;
}

int webhook_identity_check(const struct webhook_identity *id, const char *service,
                           const char *namespace, int64_t now_s, struct err *e)
{
	cleanup_free char *host = host_of(service, namespace);
	cleanup(x509_fini) X509 *x = identity_certificate(id);
	cleanup(pkey_fini) EVP_PKEY *key = identity_key(id);
	time_t later = (time_t)(now_s + VALID_S / 3), now = (time_t)now_s;

	if (!x)
		return err_set(e, -EINVAL, ERR_CONFIG, "tls.crt is no certificate");
	if (!key || X509_check_private_key(x, key) != 1)
		return err_set(e, -EINVAL, ERR_CONFIG, "tls.key is not the key of tls.crt");
	if (X509_check_host(x, host, 0, 0, NULL) != 1)
		return err_set(e, -EINVAL, ERR_CONFIG, "tls.crt is not for %s", host);
	if (X509_cmp_time(X509_get0_notBefore(x), &now) >= 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "tls.crt is not valid yet");
	if (X509_cmp_time(X509_get0_notAfter(x), &later) <= 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "tls.crt is about to expire");
	if (!is_path(id->path))
		return err_set(e, -EINVAL, ERR_CONFIG, "path is not \"/\" and 32 hex digits");
	return 0;
}
