/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_ACCESS_H
#define FAIRLEAD_KUBE_ACCESS_H

/*
 * Where the API server is and how to prove who we are: filled from a kubeconfig (kubeconfig.c) or
 * from a Pod's service account (access.c), read by the transfers.
 *
 * Certificates named by path stay paths, so that libcurl reads them anew for each connection and a
 * renewed file is taken up; embedded ones are kept as PEM.  The bearer token is read again when its
 * file changes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"

/* A file, or its content; neither if there is none. */
struct access_pem {
	char *path;
	struct buf data;
};

struct kube_access {
	char *server; /* "https://host:port", a path behind it, no slash at the end */
	char *namespace;
	char *tls_server_name; /* NULL: the host of @server */
	char *proxy; /* by which @server is reached, as libcurl wants it; NULL: directly */
	bool insecure;
	struct access_pem ca, cert, key;
	char *token;
	char *token_path;
	/* The token file as last read. */
	struct timespec token_mtime;
	ino_t token_inode;
	int64_t token_read_ms;
};

#define KUBE_TOKEN_REREAD_MS 60000

struct kubeconfig_file {
	const char *text;
	size_t size;
	const char *dir; /* that relative paths in it start from */
};

/*
 * Looks up @context (NULL: the current one) in the files, of which the earlier ones win, and fills
 * @a.  Paths are noted, not opened.
 */
int kubeconfig_resolve(const struct kubeconfig_file *files, size_t n, const char *context,
                       struct kube_access *a, struct err *e);

/* From the service account files in @dir. */
int kube_access_load_pod(const char *dir, const char *host, const char *port,
                         struct kube_access **ret_access, struct err *e);

/*
 * The bearer token to send now, NULL if there is none.  Looks at the token file first, if there is
 * one: read again when its mtime or inode changed, and anyway every KUBE_TOKEN_REREAD_MS.
 */
const char *kube_access_token(struct kube_access *a, int64_t now_ms);
/* The server answered 401: reads the token's file; true if the token is another one now. */
bool kube_access_token_refused(struct kube_access *a, int64_t now_ms);

/* The host of "https://HOST:PORT/…"; false if it is no number. */
bool kube_server_host(const char *url, struct addr *ret_addr);

#endif
