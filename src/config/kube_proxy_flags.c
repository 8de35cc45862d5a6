/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube-proxy's command line is turned into the document that says the same, whose lines are those
 * of the words; so there is one table of what becomes of a field (kube_proxy_fields.c), and here
 * one of the names that the fields have as flags.
 */
#include "config.h"

#include "fairlead/kube_proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/kube_proxy_fields.h"
#include "fairlead/mem.h"

enum flag_kind {
	FLAG_VALUE,
	FLAG_SWITCH,
	FLAG_LIST,       /* by commas */
	FLAG_UNNEEDED,   /* has no field, and needs no equivalent */
	FLAG_UNSUITABLE, /* likewise, and cannot be converted */
};

struct flag {
	const char *name, *field; /* "iptables.masqueradeAll"; what is told where it has none */
	enum flag_kind kind;
};

/* clang-format off */
static const struct flag flags[] = {
	{ "bind-address", "bindAddress", FLAG_VALUE },
	{ "bind-address-hard-fail", "bindAddressHardFail", FLAG_SWITCH },
	{ "cleanup", "it takes rules away and ends: convert the flags by which kube-proxy runs", FLAG_UNSUITABLE },
	{ "cluster-cidr", "clusterCIDR", FLAG_VALUE },
	{ "config", "kube-proxy takes all from that file: convert the file, or the ConfigMap that has it", FLAG_UNSUITABLE },
	{ "config-sync-period", "configSyncPeriod", FLAG_VALUE },
	{ "conntrack-max-per-core", "conntrack.maxPerCore", FLAG_VALUE },
	{ "conntrack-min", "conntrack.min", FLAG_VALUE },
	{ "conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal", FLAG_SWITCH },
	{ "conntrack-tcp-timeout-close-wait", "conntrack.tcpCloseWaitTimeout", FLAG_VALUE },
	{ "conntrack-tcp-timeout-established", "conntrack.tcpEstablishedTimeout", FLAG_VALUE },
	{ "conntrack-udp-timeout", "conntrack.udpTimeout", FLAG_VALUE },
	{ "conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout", FLAG_VALUE },
	{ "detect-local-mode", "detectLocalMode", FLAG_VALUE },
	{ "feature-gates", "not needed: of kube-proxy's own features", FLAG_UNNEEDED },
	{ "healthz-bind-address", "healthzBindAddress", FLAG_VALUE },
	{ "hostname-override", "hostnameOverride", FLAG_VALUE },
	{ "iptables-localhost-nodeports", "iptables.localhostNodePorts", FLAG_SWITCH },
	{ "iptables-masquerade-bit", "iptables.masqueradeBit", FLAG_VALUE },
	{ "iptables-min-sync-period", "iptables.minSyncPeriod", FLAG_VALUE },
	{ "iptables-sync-period", "iptables.syncPeriod", FLAG_VALUE },
	{ "ipvs-exclude-cidrs", "ipvs.excludeCIDRs", FLAG_LIST },
	{ "ipvs-min-sync-period", "ipvs.minSyncPeriod", FLAG_VALUE },
	{ "ipvs-scheduler", "ipvs.scheduler", FLAG_VALUE },
	{ "ipvs-strict-arp", "ipvs.strictARP", FLAG_SWITCH },
	{ "ipvs-sync-period", "ipvs.syncPeriod", FLAG_VALUE },
	{ "ipvs-tcp-timeout", "ipvs.tcpTimeout", FLAG_VALUE },
	{ "ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout", FLAG_VALUE },
	{ "ipvs-udp-timeout", "ipvs.udpTimeout", FLAG_VALUE },
	{ "kube-api-burst", "clientConnection.burst", FLAG_VALUE },
	{ "kube-api-content-type", "clientConnection.contentType", FLAG_VALUE },
	{ "kube-api-qps", "clientConnection.qps", FLAG_VALUE },
	{ "kubeconfig", "clientConnection.kubeconfig", FLAG_VALUE },
	{ "log-flush-frequency", "logging.flushFrequency", FLAG_VALUE },
	{ "logging-format", "logging.format", FLAG_VALUE },
	{ "masquerade-all", "iptables.masqueradeAll", FLAG_SWITCH },
	{ "master", "not needed: the server of apiServer is the one that counts", FLAG_UNNEEDED },
	{ "metrics-bind-address", "metricsBindAddress", FLAG_VALUE },
	{ "nodeport-addresses", "nodePortAddresses", FLAG_LIST },
	{ "oom-score-adj", "oomScoreAdj", FLAG_VALUE },
	{ "pod-bridge-interface", "detectLocal.bridgeInterface", FLAG_VALUE },
	{ "pod-interface-name-prefix", "detectLocal.interfaceNamePrefix", FLAG_VALUE },
	{ "profiling", "enableProfiling", FLAG_SWITCH },
	{ "proxy-mode", "mode", FLAG_VALUE },
	{ "proxy-port-range", "portRange", FLAG_VALUE },
	{ "show-hidden-metrics-for-version", "showHiddenMetricsForVersion", FLAG_VALUE },
	{ "v", "logging.verbosity", FLAG_VALUE },
	{ "vmodule", "not needed: of kube-proxy's own log", FLAG_UNNEEDED },
};
/* clang-format on */

struct document {
	struct ytree tree;
	struct schema_ctx x;
	struct config_problems *remarks;
};

/* ---- nodes ---- */

static struct ynode *node_new(struct document *d, enum ynode_kind kind, unsigned int line)
{
	struct ynode *node = xcalloc(1, sizeof(*node));

	node->kind = kind;
	node->line = line;
	ARRAY_RESERVE(d->tree.nodes, d->tree.cap_nodes, d->tree.n_nodes + 1);
	d->tree.nodes[d->tree.n_nodes++] = node;
	return node;
}

/* A key that is there already gets the new value, as kube-proxy takes the last one. */
static void put(struct ynode *map, const char *key, const struct ynode *value)
{
	for (size_t i = 0; i < map->n_entries; i++)
		if (key && !strcmp(map->entries[i].key, key)) {
			map->entries[i].value = value;
			return;
		}
	ARRAY_RESERVE(map->entries, map->cap_entries, map->n_entries + 1);
	map->entries[map->n_entries++] = (struct ynode_entry){ key, value->line, value };
}

static struct ynode *scalar(struct document *d, const char *text, size_t len, unsigned int line)
{
	struct ynode *node = node_new(d, YNODE_SCALAR, line);

	node->text = xstrndup(text, len);
	return node;
}

static struct ynode *list(struct document *d, const char *text, unsigned int line)
{
	struct ynode *node = node_new(d, YNODE_LIST, line);

	for (size_t len; *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		put(node, NULL, scalar(d, text, len, line));
	}
	return node;
}

/* ---- flags ---- */

/* The map within the root that has the field, and the field's own name there. */
static struct ynode *map_of(struct document *d, const char *field, unsigned int line,
                            const char **ret_name)
{
	static const char *const maps[] = { "iptables",  "nftables",    "ipvs",
		                            "conntrack", "detectLocal", "clientConnection",
		                            "logging" };
	const char *dot = strchr(field, '.');
	struct ynode *map = NULL;

	*ret_name = dot ? dot + 1 : field;
	for (size_t i = 0; dot && i < ARRAY_LEN(maps); i++) {
		if (strlen(maps[i]) != (size_t)(dot - field) ||
		    strncmp(maps[i], field, strlen(maps[i])) != 0)
			continue;
		/* It was made here. */
		map = (struct ynode *)kube_proxy_member(d->tree.root, maps[i]);
		if (!map)
			put(d->tree.root, maps[i], map = node_new(d, YNODE_MAP, line));
	}
	return map ? map : d->tree.root;
}

static const struct flag *flag_of(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (strlen(flags[i].name) == len && !strncmp(flags[i].name, name, len))
			return &flags[i];
	return NULL;
}

/* As a document writes what Go's strconv.ParseBool takes; what it does not take stays. */
static const char *truth_of(const char *value)
{
	static const char *const ways[][2] = { { "1", "0" }, { "t", "f" }, { "T", "F" } };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (!strcmp(value, ways[i][0]))
			return "true";
		if (!strcmp(value, ways[i][1]))
			return "false";
	}
	return value;
}

static void set(struct document *d, const struct flag *f, const char *value, unsigned int line)
{
	const char *name;
	struct ynode *map = map_of(d, f->field, line, &name);

	if (f->kind == FLAG_SWITCH)
		value = truth_of(value);

	put(map, name,
	    f->kind == FLAG_LIST ? list(d, value, line) : scalar(d, value, strlen(value), line));
}

static void tell_flag(struct document *d, const struct flag *f, unsigned int line)
{
	cleanup_free char *key = xasprintf("--%s", f->name);
	size_t mark = schema_enter_key(&d->x, key);

	if (f->kind == FLAG_UNNEEDED)
		proxy_fields_remark(&d->x, d->remarks, line, f->field);
	else
		schema_error(&d->x, line, "%s", f->field);
	schema_leave(&d->x, mark);
}

/* Whether the next word is its value is returned. */
static bool one_flag(struct document *d, const struct kube_proxy_word *word, const char *next)
{
	const char *name = word->text + strspn(word->text, "-");
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct flag *f = flag_of(name, len);
	bool takes_next = f && !value && f->kind != FLAG_SWITCH && f->kind != FLAG_UNSUITABLE;

	if (!f) {
		schema_error(&d->x, word->line, "\"%.64s\" is no flag of kube-proxy that is known",
		             word->text);
		return false;
	}
	if (f->kind == FLAG_UNNEEDED || f->kind == FLAG_UNSUITABLE)
		tell_flag(d, f, word->line);
	else if (takes_next && !next)
		schema_error(&d->x, word->line, "\"%.64s\" lacks its value", word->text);
	else
		set(d, f, takes_next ? next : value ? value : "true", word->line);
	return takes_next && next;
}

/* In mode nftables it is that mode's. */
static void move_masquerading(struct document *d)
{
	const struct ynode *mode = kube_proxy_member(d->tree.root, "mode");
	struct ynode *map = (struct ynode *)kube_proxy_member(d->tree.root, "iptables");
	const struct ynode *all = kube_proxy_member(map, "masqueradeAll");

	if (!all || !mode || strcmp(mode->text, "nftables") != 0)
		return;
	struct ynode *own = node_new(d, YNODE_MAP, all->line);
	put(own, "masqueradeAll", all);
	put(d->tree.root, "nftables", own);
	put(map, "masqueradeAll", scalar(d, "false", 5, all->line));
}

void kube_proxy_make_of_flags(const struct kube_proxy_word *words, size_t n, struct kube_proxy *ret)
{
	struct document d = { .x = { .errors = &ret->errors, .warnings = &ret->lost },
		              .remarks = &ret->remarks };

	d.tree.root = node_new(&d, YNODE_MAP, n ? words[0].line : 1);
	for (size_t i = 0; i < n; i++)
		i += one_flag(&d, &words[i], i + 1 < n ? words[i + 1].text : NULL);
	move_masquerading(&d);
	if (!ret->errors.n)
		kube_proxy_make(d.tree.root, NULL, ret);
	buf_fini(&d.x.path);
	ytree_fini(&d.tree);
}

/* ---- words ---- */

void kube_proxy_words_add(struct kube_proxy_words *w, const char *text, unsigned int line)
{
	static const char space[] = " \t\r\n";

	for (text += strspn(text, space); *text; text += strspn(text, space)) {
		size_t len = strcspn(text, space);
		ARRAY_RESERVE(w->list, w->cap, w->n + 1);
		w->list[w->n++] = (struct kube_proxy_word){ xstrndup(text, len), line };
		text += len;
	}
}

void kube_proxy_words_fini(struct kube_proxy_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->list[i].text);
	free(w->list);
	*w = (struct kube_proxy_words){ .n = 0 };
}

static bool is_program(const char *word)
{
	const char *slash = strrchr(word, '/');

	return !strcmp(slash ? slash + 1 : word, KUBE_PROXY_PROGRAM);
}

/* What a word of a shell's line means for those behind it. */
enum { SHELL_WORDS, SHELL_TARGET, SHELL_END }; /* the next one is where a redirection goes */

/* Cuts the word to what of it the command gets, maybe nothing. */
static int read_word(char *text)
{
	static const char operators[] = "<>|;&";
	char *operator= text + strcspn(text, operators);
	bool redirects = strchr("<>", *operator) || !strncmp(operator, "&>", 2);
	bool numbered = text + strspn(text, "0123456789") == operator; /* as in 2>&1 */

	if (!*operator) {
		if (!strcmp(text, "\\")) /* the line goes on */
			*text = '\0';
		return SHELL_WORDS;
	}
	const char *target = operator+ strspn(operator, "<>&|");
	int next = !redirects || strpbrk(target, operators + 2) ? SHELL_END
	           : *target                                    ? SHELL_WORDS
	                                                        : SHELL_TARGET;
	*(redirects && numbered ? text : operator) = '\0';
	return next;
}

/* From the word @first on, without redirections and up to where the command ends. */
static void read_as_shell(struct kube_proxy_words *w, size_t first)
{
	size_t n = first;
	int state = SHELL_WORDS;

	for (size_t i = first; i < w->n; i++) {
		char *text = w->list[i].text;
		bool skipped = state != SHELL_WORDS;
		if (state == SHELL_TARGET)
			state = strpbrk(text, "|;&") ? SHELL_END : SHELL_WORDS;
		else if (state == SHELL_WORDS)
			state = read_word(text);
		if (skipped || !*text)
			free(text);
		else
			w->list[n++] = w->list[i];
	}
	w->n = n;
}

const struct kube_proxy_word *kube_proxy_words_flags(struct kube_proxy_words *w, size_t *ret_n,
                                                     bool *ret_named)
{
	size_t first = 0;

	*ret_named = false;
	/* Behind its own flags it is the value of one. */
	for (size_t i = 0; i < w->n && !*ret_named && strncmp(w->list[i].text, "--", 2) != 0; i++)
		if (is_program(w->list[i].text)) {
			*ret_named = true;
			first = i + 1;
		}
	read_as_shell(w, first);
	*ret_n = w->n - first;
	return w->list + first;
}
