/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubeconfig file format (client-go's clientcmd/api/v1), as far as it says where a server is
 * and how to authenticate by certificate or token.  Ways that run other programs or speak to
 * identity providers are refused by name rather than ignored, since going on without them would
 * only fail later with a 401.  So is impersonation, without which more would be allowed than was
 * asked for.
 */
#include "config.h"

#include "kube/access.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "fairlead/base64.h"
#include "fairlead/mem.h"

#define KUBECONFIG_VALUE_MAX (1u << 20)

struct config {
	yaml_document_t doc;
	bool loaded;
	const char *dir;
};

static yaml_node_t *member(yaml_document_t *doc, yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(doc, p->key);
		if (k && k->type == YAML_SCALAR_NODE && k->data.scalar.length == strlen(key) &&
		    !memcmp(k->data.scalar.value, key, strlen(key)))
			return yaml_document_get_node(doc, p->value);
	}
	return NULL;
}

/* The member's text, NULL if missing, empty or null; -EINVAL if it is none. */
static int text_of(yaml_document_t *doc, yaml_node_t *map, const char *key, const char **ret_text,
                   struct err *e)
{
	yaml_node_t *v = member(doc, map, key);

	*ret_text = NULL;
	if (!v)
		return 0;
	if (v->type != YAML_SCALAR_NODE ||
	    strlen((const char *)v->data.scalar.value) != v->data.scalar.length ||
	    v->data.scalar.length > KUBECONFIG_VALUE_MAX)
		return err_set(e, -EINVAL, ERR_CONFIG, "line %zu: %s is not a plain text",
		               v->start_mark.line + 1, key);
	const char *s = (const char *)v->data.scalar.value;
	bool null = v->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	            (!strcmp(s, "null") || !strcmp(s, "~"));
	if (*s && !null)
		*ret_text = s;
	return 0;
}

/* Whether the map says anything for @key: null and "" are nothing. */
static bool has(yaml_document_t *doc, yaml_node_t *map, const char *key)
{
	const char *text;

	return text_of(doc, map, key, &text, NULL) < 0 || text;
}

/* The entry of that name in a list of {name: …, WHAT: {…}}: its WHAT. */
static yaml_node_t *entry(yaml_document_t *doc, const char *list, const char *name,
                          const char *what)
{
	yaml_node_t *seq = member(doc, yaml_document_get_root_node(doc), list);

	if (!seq || seq->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (yaml_node_item_t *i = seq->data.sequence.items.start; i < seq->data.sequence.items.top;
	     i++) {
		yaml_node_t *item = yaml_document_get_node(doc, *i);
		const char *s;
		if (text_of(doc, item, "name", &s, NULL) == 0 && s && !strcmp(s, name))
			return member(doc, item, what);
	}
	return NULL;
}

static char *path_in(const char *dir, const char *path)
{
	return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", dir, path);
}

/* KEY names a file, KEY-data holds it in base64 and wins. */
static int read_pem(struct config *c, yaml_node_t *map, const char *key, const char *data_key,
                    struct access_pem *pem, struct err *e)
{
	const char *path, *data;
	int ret = text_of(&c->doc, map, key, &path, e);

	if (ret == 0)
		ret = text_of(&c->doc, map, data_key, &data, e);
	if (ret < 0)
		return ret;
	if (data && (base64_decode(data, &pem->data) < 0 || !pem->data.size))
		return err_set(e, -EINVAL, ERR_CONFIG, "%s is not base64", data_key);
	if (!data && path)
		pem->path = path_in(c->dir, path);
	return 0;
}

/* In Go "socks5" leaves it to the proxy to resolve names, which libcurl calls by another name. */
static int read_proxy(struct config *c, yaml_node_t *map, struct kube_access *a, struct err *e)
{
	static const char *const schemes[] = { "http://", "https://", "socks5h://", "socks5://" };
	const char *url;
	int ret = text_of(&c->doc, map, "proxy-url", &url, e);
	if (ret < 0 || !url)
		return ret;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);
		if (strncmp(url, schemes[i], len) != 0)
			continue;
		a->proxy = xasprintf("%s%s", i == 3 ? "socks5h://" : schemes[i], url + len);
		return 0;
	}
	return err_set(e, -EINVAL, ERR_CONFIG, "proxy-url is no http, https or socks5 URL");
}

static int read_cluster(struct config *c, yaml_node_t *map, struct kube_access *a, struct err *e)
{
	const char *server, *insecure, *tls_name;
	int ret = text_of(&c->doc, map, "server", &server, e);

	if (ret == 0)
		ret = text_of(&c->doc, map, "insecure-skip-tls-verify", &insecure, e);
	if (ret == 0)
		ret = text_of(&c->doc, map, "tls-server-name", &tls_name, e);
	if (ret == 0)
		ret = read_pem(c, map, "certificate-authority", "certificate-authority-data",
		               &a->ca, e);
	if (ret == 0)
		ret = read_proxy(c, map, a, e);
	if (ret < 0)
		return ret;
	if (!server || (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0))
		return err_set(e, -EINVAL, ERR_CONFIG, "the cluster's server is no http(s) URL");
	if (insecure && strcmp(insecure, "true") != 0 && strcmp(insecure, "false") != 0)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "insecure-skip-tls-verify is neither true nor false");
	a->insecure = insecure && !strcmp(insecure, "true");
	size_t len = strlen(server);
	while (len > 0 && server[len - 1] == '/')
		len--;
	a->server = xstrndup(server, len);
	a->tls_server_name = xstrdup_null(tls_name);
	return 0;
}

static int read_user(struct config *c, yaml_node_t *map, struct kube_access *a, struct err *e)
{
	static const char *const unsupported[] = { "exec", "auth-provider", "username" };
	static const char *const others[] = { "as", "as-uid", "as-groups", "as-user-extra" };
	const char *token, *token_file;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (has(&c->doc, map, others[i]))
			return err_set(e, -ENOTSUP, ERR_CONFIG,
			               "the user acts as another one by %s, which is not supported",
			               others[i]);
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++)
		if (has(&c->doc, map, unsupported[i]))
			return err_set(e, -ENOTSUP, ERR_CONFIG,
			               "the user authenticates by %s, which is not supported: use "
			               "a certificate or a token",
			               unsupported[i]);
	int ret = text_of(&c->doc, map, "token", &token, e);
	if (ret == 0)
		ret = text_of(&c->doc, map, "tokenFile", &token_file, e);
	if (ret == 0)
		ret = read_pem(c, map, "client-certificate", "client-certificate-data", &a->cert,
		               e);
	if (ret == 0)
		ret = read_pem(c, map, "client-key", "client-key-data", &a->key, e);
	if (ret < 0)
		return ret;
	if (token && strpbrk(token, " \t\r\n"))
		return err_set(e, -EINVAL, ERR_CONFIG, "the user's token holds blanks");
	/* As in client-go, the file wins over the token written beside it. */
	if (token_file)
		a->token_path = path_in(c->dir, token_file);
	else
		a->token = xstrdup_null(token);
	return 0;
}

static int load_yaml(const struct kubeconfig_file *file, struct config *c, struct err *e)
{
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser))
		return err_set(e, -ENOMEM, ERR_SYSTEM, "no memory to parse YAML");
	yaml_parser_set_input_string(&parser, (const unsigned char *)file->text, file->size);
	int ret = 0;
	if (yaml_parser_load(&parser, &c->doc)) {
		c->loaded = true;
		c->dir = file->dir;
	} else {
		ret = err_set(e, -EINVAL, ERR_CONFIG, "line %zu: %s", parser.problem_mark.line + 1,
		              parser.problem ? parser.problem : "not YAML");
	}
	yaml_parser_delete(&parser);
	return ret;
}

/* The first file that has it wins. */
static yaml_node_t *find(struct config *configs, size_t n, const char *list, const char *name,
                         const char *what, struct config **ret_config)
{
	for (size_t i = 0; i < n; i++) {
		yaml_node_t *found = entry(&configs[i].doc, list, name, what);
		if (found) {
			*ret_config = &configs[i];
			return found;
		}
	}
	return NULL;
}

static int resolve(struct config *configs, size_t n, const char *context, struct kube_access *a,
                   struct err *e)
{
	struct config *c = NULL;
	const char *cluster, *user, *namespace;
	int ret = 0;

	for (size_t i = 0; i < n && !context && ret == 0; i++)
		ret = text_of(&configs[i].doc, yaml_document_get_root_node(&configs[i].doc),
		              "current-context", &context, e);
	if (ret < 0)
		return ret;
	if (!context)
		return err_set(e, -EINVAL, ERR_CONFIG, "no current-context, and none was named");
	yaml_node_t *map = find(configs, n, "contexts", context, "context", &c);
	if (!map)
		return err_set(e, -ENOENT, ERR_CONFIG, "no context named \"%.64s\"", context);
	ret = text_of(&c->doc, map, "cluster", &cluster, e);
	if (ret == 0)
		ret = text_of(&c->doc, map, "user", &user, e);
	if (ret == 0)
		ret = text_of(&c->doc, map, "namespace", &namespace, e);
	if (ret < 0)
		return ret;
	a->namespace = xstrdup(namespace ? namespace : "default");
	map = cluster ? find(configs, n, "clusters", cluster, "cluster", &c) : NULL;
	if (!map)
		return err_set(e, -ENOENT, ERR_CONFIG, "no cluster named \"%.64s\"",
		               cluster ? cluster : "");
	ret = read_cluster(c, map, a, e);
	if (ret < 0 || !user)
		return ret;
	map = find(configs, n, "users", user, "user", &c);
	if (!map)
		return err_set(e, -ENOENT, ERR_CONFIG, "no user named \"%.64s\"", user);
	return read_user(c, map, a, e);
}

int kubeconfig_resolve(const struct kubeconfig_file *files, size_t n, const char *context,
                       struct kube_access *a, struct err *e)
{
	struct config *configs = xcalloc(n, sizeof(*configs));
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++)
		ret = load_yaml(&files[i], &configs[i], e);
	if (ret == 0)
		ret = resolve(configs, n, context, a, e);
	for (size_t i = 0; i < n; i++)
		if (configs[i].loaded)
			yaml_document_delete(&configs[i].doc);
	free(configs);
	return ret;
}
