/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBECONFIG_SIZE_MAX (4u << 20)
#define KUBECONFIG_FILES_MAX 16
#define TOKEN_SIZE_MAX (64u << 10)
#define NAMESPACE_SIZE_MAX 256u

static int read_file(const char *path, size_t max, struct buf *ret_content, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	cleanup(buf_fini) struct buf content = BUF_INIT;
	int ret = 0;
	for (;;) {
		ssize_t n = read(fd, buf_reserve(&content, 4096), 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = err_set(e, -errno, ERR_SYSTEM, "%s: %s", path, strerror(errno));
		if (n <= 0)
			break;
		buf_advance(&content, (size_t)n);
		if (content.size > max) {
			ret = err_set(e, -EFBIG, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
			break;
		}
	}
	close(fd);
	if (ret == 0) {
		buf_fini(ret_content);
		*ret_content = content;
		content = (struct buf)BUF_INIT;
	}
	return ret;
}

static void trim(struct buf *b)
{
	while (b->size > 0 && strchr(" \t\r\n", b->data[b->size - 1]))
		b->data[--b->size] = '\0';
}

/* A header line must not be split by what a file holds. */
static bool is_token(const struct buf *b)
{
	for (size_t i = 0; i < b->size; i++)
		if ((unsigned char)b->data[i] <= ' ' || (unsigned char)b->data[i] >= 0x7f)
			return false;
	return b->size > 0;
}

/* Keeps the old token where the new one cannot be read: it may still be good. */
static bool reread_token(struct kube_access *a, const struct stat *st, int64_t now_ms)
{
	cleanup(buf_fini) struct buf content = BUF_INIT;

	a->token_read_ms = now_ms;
	if (read_file(a->token_path, TOKEN_SIZE_MAX, &content, NULL) < 0)
		return false;
	trim(&content);
	if (!is_token(&content))
		return false;
	a->token_mtime = st->st_mtim;
	a->token_inode = st->st_ino;
	if (a->token && !strcmp(a->token, content.data))
		return false;
	free(a->token);
	a->token = buf_take(&content);
	return true;
}

const char *kube_access_token(struct kube_access *a, int64_t now_ms)
{
	struct stat st;

	if (a->token_path && stat(a->token_path, &st) == 0 &&
	    (!a->token || st.st_ino != a->token_inode ||
	     st.st_mtim.tv_sec != a->token_mtime.tv_sec ||
	     st.st_mtim.tv_nsec != a->token_mtime.tv_nsec ||
	     now_ms - a->token_read_ms >= KUBE_TOKEN_REREAD_MS))
		reread_token(a, &st, now_ms);
	return a->token;
}

bool kube_access_token_refused(struct kube_access *a, int64_t now_ms)
{
	struct stat st;

	return a->token_path && stat(a->token_path, &st) == 0 && reread_token(a, &st, now_ms);
}

int kube_access_load_pod(const char *dir, const char *host, const char *port,
                         struct kube_access **ret_access, struct err *e)
{
	struct kube_access *a = xcalloc(1, sizeof(*a));
	cleanup(buf_fini) struct buf namespace = BUF_INIT;
	cleanup_free char *namespace_path = xasprintf("%s/namespace", dir);

	a->server = xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	a->ca.path = xasprintf("%s/ca.crt", dir);
	a->token_path = xasprintf("%s/token", dir);
	if (read_file(namespace_path, NAMESPACE_SIZE_MAX, &namespace, NULL) == 0)
		trim(&namespace);
	a->namespace = xstrdup(namespace.size ? buf_str(&namespace) : "default");
	if (!kube_access_token(a, clock_ms())) {
		int ret = err_set(e, -ENOENT, ERR_SYSTEM, "%s: no token to read there",
		                  a->token_path);
		kube_access_free(a);
		return ret;
	}
	*ret_access = a;
	return 0;
}

/*
 * Reads every file of the colon-separated list; those that do not exist are left out unless it is
 * only one.
 */
static int load_kubeconfig(const char *paths, const char *context, struct kube_access **ret_access,
                           struct err *e)
{
	struct kubeconfig_file files[KUBECONFIG_FILES_MAX] = { 0 };
	struct buf contents[KUBECONFIG_FILES_MAX] = { 0 };
	char *dirs[KUBECONFIG_FILES_MAX] = { 0 };
	cleanup_free char *list = xstrdup(paths);
	bool many = strchr(paths, ':') != NULL;
	size_t n = 0;
	int ret = 0;

	for (char *save, *path = strtok_r(list, ":", &save); path && n < KUBECONFIG_FILES_MAX;
	     path = strtok_r(NULL, ":", &save)) {
		struct err own = ERR_INIT;
		int r = read_file(path, KUBECONFIG_SIZE_MAX, &contents[n], &own);
		if (r == -ENOENT && many)
			continue;
		if (r < 0) {
			ret = r;
			if (e)
				*e = own;
			break;
		}
		char *slash = strrchr(path, '/');
		dirs[n] = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
		files[n] = (struct kubeconfig_file){ buf_str(&contents[n]), contents[n].size,
			                             dirs[n] };
		n++;
	}
	if (ret == 0 && n == 0)
		ret = err_set(e, -ENOENT, ERR_SYSTEM, "%s: no kubeconfig there", paths);
	struct kube_access *a = xcalloc(1, sizeof(*a));
	if (ret == 0) {
		ret = kubeconfig_resolve(files, n, context, a, e);
		if (ret < 0)
			err_prefix(e, "%s", paths);
	}
	if (ret == 0 && a->token_path && !kube_access_token(a, clock_ms()))
		ret = err_set(e, -ENOENT, ERR_SYSTEM, "%s: no token to read there", a->token_path);
	if (ret == 0)
		*ret_access = TAKE(a);
	kube_access_free(a);
	for (size_t i = 0; i < KUBECONFIG_FILES_MAX; i++) {
		buf_fini(&contents[i]);
		free(dirs[i]);
	}
	return ret;
}

int kube_access_load(const char *path, const char *context, struct kube_access **ret_access,
                     struct err *e)
{
	const char *env = getenv("KUBECONFIG"), *home = getenv("HOME");
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!path && env && *env)
		path = env;
	if (!path && host && port && access(SERVICE_ACCOUNT_DIR "/token", F_OK) == 0)
		return kube_access_load_pod(SERVICE_ACCOUNT_DIR, host, port, ret_access, e);
	cleanup_free char *fallback = xasprintf("%s/.kube/config", home ? home : "");
	return load_kubeconfig(path ? path : fallback, context, ret_access, e);
}

static void pem_fini(struct access_pem *pem)
{
	free(pem->path);
	buf_fini(&pem->data);
}

void kube_access_free(struct kube_access *a)
{
	if (!a)
		return;
	if (a->key.data.data)
		explicit_bzero(a->key.data.data, a->key.data.size);
	if (a->token)
		explicit_bzero(a->token, strlen(a->token));
	pem_fini(&a->ca);
	pem_fini(&a->cert);
	pem_fini(&a->key);
	free(a->server);
	free(a->namespace);
	free(a->tls_server_name);
	free(a->proxy);
	free(a->token);
	free(a->token_path);
	free(a);
}

bool kube_server_host(const char *url, struct addr *ret_addr)
{
	const char *host = strstr(url, "://");
	char text[ADDR_STR_SIZE];

	host = host ? host + 3 : url;
	size_t len = *host == '[' ? strcspn(++host, "]") : strcspn(host, ":/");
	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return addr_parse(text, ret_addr) == 0;
}

const char *kube_access_server(const struct kube_access *a)
{
	return a->server;
}

const char *kube_access_namespace(const struct kube_access *a)
{
	return a->namespace;
}
