/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model against a small iptables of our own: what ends up in the tables, and how much was
 * written for it.
 */
#include "config.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "fairlead/mem.h"
#include "proxy/iptables/compare.h"
#include "proxy/iptables/model.h"
#include "proxy/iptables/show.h"
#include "proxy/spec.h"

/* ---- iptables-restore and iptables-save, as far as we use them ---- */

struct table_chain {
	UT_hash_handle hh;
	struct buf rules;
	char key[64]; /* "TABLE CHAIN" */
};

static struct table_chain *kernel;
static const char *refused_text; /* a table with this in its input fails */
static size_t n_restores, n_lines;

static struct table_chain *find_chain(const char *table, const char *name)
{
	char key[64];
	struct table_chain *c;

	snprintf(key, sizeof(key), "%s %s", table, name);
	HASH_FIND_STR(kernel, key, c);
	return c;
}

static struct table_chain *make_chain(const char *table, const char *name)
{
	struct table_chain *c = find_chain(table, name);

	if (c)
		return c;
	c = xcalloc(1, sizeof(*c));
	snprintf(c->key, sizeof(c->key), "%s %s", table, name);
	HASH_ADD_STR(kernel, key, c);
	return c;
}

static void drop_chain(struct table_chain *c)
{
	HASH_DEL(kernel, c);
	buf_fini(&c->rules);
	free(c);
}

static void kernel_clear(void)
{
	struct table_chain *c, *next;

	HASH_ITER(hh, kernel, c, next)
		drop_chain(c);
	static const char *const builtin[][2] = {
		{ "filter", "INPUT" },   { "filter", "FORWARD" }, { "filter", "OUTPUT" },
		{ "nat", "PREROUTING" }, { "nat", "OUTPUT" },     { "nat", "POSTROUTING" },
	};
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
		make_chain(builtin[i][0], builtin[i][1]);
	refused_text = NULL;
	n_restores = n_lines = 0;
}

static void delete_rule(struct table_chain *c, const char *rule)
{
	cleanup(buf_fini) struct buf kept = BUF_INIT;
	bool found = false;
	cleanup_free char *text = xstrdup(buf_str(&c->rules));

	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!found && !strcmp(line, rule))
			found = true;
		else
			buf_printf(&kept, "%s\n", line);
	}
	assert_true(found);
	buf_clear(&c->rules);
	buf_puts(&c->rules, buf_str(&kept));
}

/* "NUMBER RULE" */
static void insert_rule(struct table_chain *c, const char *rest)
{
	cleanup_free char *old = xstrdup(buf_str(&c->rules));
	const char *at = old;
	char *rule;

	for (long before = strtol(rest, &rule, 10) - 1; before > 0; before--) {
		at = strchr(at, '\n');
		assert_non_null(at);
		at++;
	}
	buf_clear(&c->rules);
	buf_printf(&c->rules, "%.*s%s\n%s", (int)(at - old), old, rule + 1, at);
}

static void apply_line(const char *table, const char *line)
{
	char name[64], rest[512] = "";
	if (*line == '#')
		return;
	if (*line == ':') {
		assert_int_equal(sscanf(line, ":%63s", name), 1);
		buf_clear(&make_chain(table, name)->rules);
		return;
	}
	assert_true(sscanf(line + 3, "%63s %511[^\n]", name, rest) >= 1);
	struct table_chain *c = find_chain(table, name);

	assert_non_null(c);
	if (!strncmp(line, "-A ", 3)) {
		buf_printf(&c->rules, "%s\n", rest);
	} else if (!strncmp(line, "-I ", 3)) {
		insert_rule(c, rest);
	} else if (!strncmp(line, "-D ", 3)) {
		delete_rule(c, rest);
	} else {
		assert_int_equal(strncmp(line, "-X ", 3), 0);
		assert_int_equal(c->rules.size, 0);
		drop_chain(c);
	}
}

/* Every jump leads somewhere: iptables-restore would fail otherwise. */
static void check_jumps(void)
{
	for (const struct table_chain *c = kernel; c; c = c->hh.next) {
		char table[16];
		assert_int_equal(sscanf(c->key, "%15s", table), 1);
		const char *p = buf_str(&c->rules);
		while ((p = strstr(p, "-j FL-"))) {
			char name[64];
			assert_int_equal(sscanf(p, "-j %63s", name), 1);
			assert_non_null(find_chain(table, name));
			p += 3;
		}
	}
}

static bool restore(const char *text)
{
	n_restores++;
	for (const char *p = text; *p;) {
		char table[16];
		assert_int_equal(sscanf(p, "*%15s\n", table), 1);
		const char *end = strstr(p, "COMMIT\n");
		assert_non_null(end);
		cleanup_free char *section = xstrndup(p, (size_t)(end - p));
		if (refused_text && strstr(section, refused_text))
			return false;
		char *save = NULL;
		strtok_r(section, "\n", &save);
		for (char *line; (line = strtok_r(NULL, "\n", &save)); n_lines++)
			apply_line(table, line);
		p = end + strlen("COMMIT\n");
	}
	check_jumps();
	return true;
}

static void save_kernel(struct buf *out)
{
	static const char *const tables[] = { "nat", "filter" };
	for (size_t t = 0; t < 2; t++) {
		size_t len = strlen(tables[t]);
		buf_printf(out, "*%s\n", tables[t]);
		for (const struct table_chain *c = kernel; c; c = c->hh.next)
			if (!strncmp(c->key, tables[t], len))
				buf_printf(out, ":%s - [0:0]\n", c->key + len + 1);
		for (const struct table_chain *c = kernel; c; c = c->hh.next) {
			if (strncmp(c->key, tables[t], len) != 0)
				continue;
			cleanup_free char *text = xstrdup(buf_str(&c->rules));
			for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
			     line = strtok_r(NULL, "\n", &save))
				buf_printf(out, "-A %s %s\n", c->key + len + 1, line);
		}
		buf_puts(out, "COMMIT\n");
	}
}

static int by_key(const struct table_chain *a, const struct table_chain *b)
{
	return strcmp(a->key, b->key);
}

static char *kernel_text(void)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;

	HASH_SORT(kernel, by_key);
	save_kernel(&out);
	return buf_take(&out);
}

/* ---- a world of Services ---- */

struct wish {
	int number;    /* its name and address follow from it */
	int endpoints; /* how many, and the last octet of the first */
	int first;
	bool vip, affinity;
	bool shared;         /* its address is that of all such, each on a port of its own */
	bool external_local; /* names Pods in a chain of its own */
	uint16_t node_port;  /* 0: of its own */
	int64_t created_us;
};

static struct addr addr_of(int a, int b, int c, int d)
{
	char text[ADDR_STR_SIZE];
	struct addr r;

	snprintf(text, sizeof(text), "%d.%d.%d.%d", a, b, c & 255, d & 255);
	assert_int_equal(addr_parse(text, &r), 0);
	return r;
}

typedef void half_fn(const struct proxy_half *s, void *arg);

/* Calls @fn with the Service. */
static void with_half(const struct wish *w, half_fn *fn, void *arg)
{
	char key[64];
	struct proxy_endpoint e[8];
	struct addr vip =
		w->shared ? addr_of(192, 1, 0, 1) : addr_of(192, 0, w->number >> 8, w->number);

	uint16_t own_port = (uint16_t)(w->vip ? 30000 + w->number % 2000 : 0);

	snprintf(key, sizeof(key), "shop/web-%d", w->number);
	for (int i = 0; i < w->endpoints; i++)
		e[i] = (struct proxy_endpoint){ .addr = addr_of(10, 244, w->number, w->first + i),
			                        .port = 8080 };
	struct proxy_port port = { .name = "http",
		                   .proto = IPPROTO_TCP,
		                   .port = (uint16_t)(w->shared ? 80 + w->number : 80),
		                   .node_port = w->node_port ? w->node_port : own_port,
		                   .cluster = e,
		                   .n_cluster = (size_t)w->endpoints,
		                   .has_any = w->endpoints > 0 };
	const struct proxy_outside outside = { .vips = &vip, .n_vips = w->vip ? 1 : 0 };
	struct proxy_half s = { .key = key,
		                .family = 4,
		                .created_us = w->created_us,
		                .cluster_ip = addr_of(10, 96, w->number >> 8, w->number),
		                .outside = &outside,
		                .traffic = { .external_local = w->external_local,
		                             .affinity_s = w->affinity ? 600 : 0 },
		                .ports = &port,
		                .n_ports = 1 };
	fn(&s, arg);
}

struct setting {
	struct model *m;
	bool changed;
};

static void set_half(const struct proxy_half *s, void *arg)
{
	struct setting *at = arg;

	at->changed = model_set(at->m, s);
}

static bool set(struct model *m, const struct wish *w)
{
	struct setting at = { .m = m };

	with_half(w, set_half, &at);
	return at.changed;
}

static size_t max_bytes = 256u << 10;

/* Whether there is the match by which endpoints need no chains; each test begins without. */
static bool with_bpf;

static const struct render_options *options(void)
{
	static struct render_options o = { .family = 4, .mark = 0x100000, .random_fully = true };
	struct proxy_node *n = &o.node;

	assert_int_equal(prefix_parse("10.244.0.0/16", false, &n->pod_cidrs[0]), 0);
	assert_int_equal(prefix_parse("0.0.0.0/0", false, &n->node_port_cidrs[0]), 0);
	n->n_pod_cidrs = n->n_node_port_cidrs = 1;
	o.knows_bpf = with_bpf;
	return &o;
}

static struct model *new_model(size_t max_batch)
{
	return model_new(options(), max_batch, max_bytes);
}

static void adopt(struct model *m)
{
	struct save s;
	cleanup(buf_fini) struct buf text = BUF_INIT;

	save_kernel(&text);
	save_init(&s);
	save_feed(&s, text.data, text.size);
	save_end(&s);
	model_adopt(m, &s);
	save_fini(&s);
}

/* The same in slices; @between is called after each. */
static void adopt_slowly(struct model *m, size_t n_chains, void (*between)(void *arg), void *arg)
{
	struct save s;
	size_t n_lines_now;
	cleanup(buf_fini) struct buf text = BUF_INIT, batch = BUF_INIT;

	save_kernel(&text);
	save_init(&s);
	save_feed(&s, text.data, text.size);
	save_end(&s);
	model_adopt_begin(m, &s);
	save_fini(&s);
	do {
		assert_false(model_in_sync(m));
		assert_false(model_is_applied(m, "shop/web-0"));
		assert_false(model_plan(m, 0, &batch, &n_lines_now));
		between(arg);
	} while (!model_adopt_more(m, n_chains));
}

static size_t n_committed;

static void committed(const struct proxy_half *before, const struct proxy_half *now, void *arg)
{
	(void)arg;
	assert_true(before || now);
	n_committed++;
}

/* Runs batches until there is nothing to do; returns how many needed a restore. */
static size_t run(struct model *m, int64_t now_ms)
{
	size_t n = 0, counted;
	cleanup(buf_fini) struct buf text = BUF_INIT;

	for (int i = 0; i < 1000 && model_plan(m, now_ms, &text, &counted); i++) {
		size_t before = n_lines;
		if (text.size == 0 || (n++, restore(buf_str(&text)))) {
			assert_true(text.size == 0 || refused_text || n_lines - before == counted);
			model_commit(m, committed, NULL);
		} else if (model_abort(m, MODEL_REFUSED, "line 7 failed", now_ms)) {
			adopt(m);
		}
		buf_clear(&text);
	}
	return n;
}

static void start(void **state, struct model **ret_model, size_t max_batch)
{
	(void)state;
	kernel_clear();
	with_bpf = false;
	*ret_model = new_model(max_batch);
}

static void one_of_many_changes_alone(void **state)
{
	enum { N = 10000 };
	struct model *m;

	start(state, &m, 1000);
	for (int i = 0; i < N; i++)
		set(m,
		    &(struct wish){ .number = i, .endpoints = 2, .first = 1, .vip = i % 10 == 0 });
	assert_false(model_is_applied(m, "shop/web-77"));
	adopt(m);
	run(m, 0);
	assert_true(model_in_sync(m) && model_is_applied(m, "shop/web-77"));

	/* The same again: nothing. */
	for (int i = 0; i < N; i++)
		assert_false(set(
			m, &(struct wish){
				   .number = i, .endpoints = 2, .first = 1, .vip = i % 10 == 0 }));
	assert_int_equal(run(m, 0), 0);

	/* One endpoint of one Service: its set and its two endpoint chains, and no bucket. */
	uint64_t rendered = model_stats(m).rendered;
	n_lines = 0;
	set(m, &(struct wish){ .number = 77, .endpoints = 2, .first = 2 });
	assert_false(model_is_applied(m, "shop/web-77"));
	assert_true(model_is_applied(m, "shop/web-78"));
	assert_int_equal(run(m, 0), 1);
	assert_int_equal(n_lines, 1 + 3 + 1 + 2 + 2);
	assert_int_equal(model_stats(m).rendered, rendered + 1);

	/* A new one, and one that goes: their buckets (about forty lines each), nothing else. */
	n_lines = 0;
	set(m, &(struct wish){ .number = N, .endpoints = 2, .first = 1 });
	assert_int_equal(run(m, 0), 1);
	assert_in_range(n_lines, 10, 70);
	n_lines = 0;
	char *before = kernel_text();
	assert_true(model_remove(m, "shop/web-77"));
	assert_int_equal(run(m, 0), 1);
	assert_in_range(n_lines, 10, 70);
	set(m, &(struct wish){ .number = 77, .endpoints = 2, .first = 2 });
	run(m, 0);
	char *after = kernel_text();
	assert_string_equal(before, after);
	free(before);
	free(after);
	model_free(m);
}

static struct proxy_node node_with(const char *pods)
{
	struct proxy_node n = { .n_pod_cidrs = 1, .n_node_port_cidrs = 1 };

	assert_int_equal(prefix_parse(pods, false, &n.pod_cidrs[0]), 0);
	assert_int_equal(prefix_parse("0.0.0.0/0", false, &n.node_port_cidrs[0]), 0);
	return n;
}

static bool kernel_has(const char *text)
{
	cleanup_free char *all = kernel_text();

	return strstr(all, text) != NULL;
}

static void the_node_changes(void **state)
{
	const struct proxy_node other = node_with("10.99.0.0/16"),
				third = node_with("10.98.0.0/16");
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct model *m;
	size_t counted;

	start(state, &m, 100);
	for (int i = 0; i < 300; i++)
		set(m,
		    &(struct wish){ .number = i, .endpoints = 2, .first = 1, .vip = i % 3 == 0 });
	adopt(m);
	run(m, 0);
	assert_true(kernel_has("-s 10.244.0.0/16 -j RETURN"));

	/* Only the frame names Pods here: one chain in one batch, though all are rendered. */
	n_lines = 0;
	n_restores = 0;
	model_set_node(m, &other);
	assert_false(model_in_sync(m) || model_is_settled(m));
	run(m, 0);
	assert_true(model_in_sync(m));
	assert_int_equal(n_restores, 1);
	assert_int_equal(n_lines, 1 + 2);
	assert_true(kernel_has("-s 10.99.0.0/16 -j RETURN"));
	assert_false(kernel_has("10.244.0.0/16"));

	/* During a batch, which was rendered for the old one, whatever becomes of it. */
	for (int fails = 0; fails < 2; fails++) {
		set(m, &(struct wish){ .number = 7,
		                       .endpoints = 2,
		                       .first = 5 + fails,
		                       .vip = true,
		                       .external_local = true });
		assert_true(model_plan(m, 0, &text, &counted));
		model_set_node(m, fails ? &other : &third);
		if (fails)
			assert_false(model_abort(m, MODEL_BUSY, "later", 0));
		else if (restore(buf_str(&text)))
			model_commit(m, committed, NULL);
		buf_clear(&text);
		assert_false(model_in_sync(m));
		run(m, 0);
		assert_true(model_in_sync(m));
		assert_true(kernel_has(fails ? "-s 10.99.0.0/16" : "-s 10.98.0.0/16"));
		assert_false(kernel_has(fails ? "10.98.0.0/16" : "10.99.0.0/16"));
	}
	/* A node of which no Pod is known needs no chain for them. */
	model_set_node(m, &(struct proxy_node){ .n_pod_cidrs = 0 });
	run(m, 0);
	assert_true(model_in_sync(m));
	assert_false(kernel_has("10.99.0.0/16"));
	model_free(m);
}

static void change_node(void *arg)
{
	static int n;
	const struct proxy_node a = node_with("10.98.0.0/16"), b = node_with("10.97.0.0/16");

	model_set_node(arg, n++ % 2 ? &a : &b);
	model_set_node(arg, &a);
}

static void the_node_changes_while_it_is_compared(void **state)
{
	struct model *m;

	start(state, &m, 10);
	for (int i = 0; i < 50; i++)
		set(m, &(struct wish){ .number = i,
		                       .endpoints = 2,
		                       .first = 1,
		                       .vip = true,
		                       .external_local = true });
	adopt(m);
	run(m, 0);
	adopt_slowly(m, 40, change_node, m);
	run(m, 0);
	assert_true(model_in_sync(m));
	assert_false(model_any_damaged(m));
	assert_int_equal(model_stats(m).repairs, 0);
	assert_true(kernel_has("-s 10.98.0.0/16 -j RETURN"));
	assert_false(kernel_has("10.244.0.0/16"));
	model_free(m);
}

/* What is written, and by how many restores, is what a change and a cold start cost. */
static void with_the_match_there_is_less_to_write(void **state)
{
	enum { N = 2000 };
	struct model *m;
	size_t lines[2], restores[2];

	for (int i = 0; i < 2; i++) {
		start(state, &m, 1000);
		model_free(m);
		with_bpf = i == 1;
		m = new_model(1000);
		for (int k = 0; k < N; k++)
			set(m, &(struct wish){ .number = k, .endpoints = 2, .first = 1 });
		adopt(m);
		run(m, 0);
		assert_true(model_in_sync(m));
		lines[i] = n_lines;
		restores[i] = n_restores;

		/* Its set alone: declared, and a rule for the node and each endpoint. */
		n_lines = 0;
		set(m, &(struct wish){ .number = 77, .endpoints = 2, .first = 2 });
		assert_int_equal(run(m, 0), 1);
		if (with_bpf)
			assert_int_equal(n_lines, 1 + 3);
		model_free(m);
	}
	assert_in_range(lines[1], 5 * N, 6 * N);
	assert_true(2 * lines[1] < lines[0]);
	assert_true(restores[1] < restores[0]);
}

/* The kernel has it since the last start: the chains of endpoints go, and nothing is lost. */
static void chains_of_endpoints_go_with_the_match(void **state)
{
	struct model *m;

	start(state, &m, 100);
	for (int i = 0; i < 20; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 2, .first = 1 });
	adopt(m);
	run(m, 0);
	model_free(m);
	cleanup_free char *before = kernel_text();
	assert_non_null(strstr(before, "FL-P-"));
	with_bpf = true;
	m = new_model(100);
	for (int i = 0; i < 20; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 2, .first = 1 });
	adopt(m);
	run(m, 0);
	assert_true(model_in_sync(m));
	model_free(m);
	cleanup_free char *after = kernel_text();
	assert_null(strstr(after, "FL-P-"));
	assert_non_null(strstr(after, "-m bpf"));
	m = new_model(100);
	for (int i = 0; i < 20; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 2, .first = 1 });
	adopt(m);
	assert_int_equal(run(m, 0), 0);
	model_free(m);
}

static void a_restart_writes_nothing(void **state)
{
	struct model *m;

	start(state, &m, 100);
	for (int i = 0; i < 300; i++)
		set(m, &(struct wish){ .number = i,
		                       .endpoints = i % 4,
		                       .first = 1,
		                       .vip = i % 3 == 0,
		                       .affinity = i % 5 == 0 });
	adopt(m);
	run(m, 0);
	model_free(m);

	cleanup_free char *before = kernel_text();
	n_restores = 0;
	m = new_model(100);
	for (int i = 299; i >= 0; i--)
		set(m, &(struct wish){ .number = i,
		                       .endpoints = i % 4,
		                       .first = 1,
		                       .vip = i % 3 == 0,
		                       .affinity = i % 5 == 0 });
	adopt(m);
	assert_false(model_is_applied(
		m, "shop/web-5")); /* its chains are there, but who leads to them? */
	assert_int_equal(run(m, 0), 0);
	assert_true(model_is_applied(m, "shop/web-5"));
	assert_true(model_in_sync(m));
	assert_int_equal(n_restores, 0);
	model_free(m);

	/* While it was away, one changed, one went, and one came. */
	m = new_model(100);
	for (int i = 0; i < 300; i++)
		if (i != 7)
			set(m, &(struct wish){ .number = i,
			                       .endpoints = i == 9 ? 4 : i % 4,
			                       .first = 1,
			                       .vip = i % 3 == 0,
			                       .affinity = i % 5 == 0 });
	set(m, &(struct wish){ .number = 300, .endpoints = 1, .first = 1 });
	adopt(m);
	assert_false(model_is_applied(m, "shop/web-9"));
	n_lines = n_committed = 0;
	assert_in_range(run(m, 0), 1, 2);
	assert_int_equal(n_committed, 2); /* also the one whose chains were there, but older */
	/* The new one opens a bucket, so the index of buckets is among the lines. */
	assert_in_range(n_lines, 20, 256 + 40);
	set(m, &(struct wish){ .number = 7, .endpoints = 3, .first = 1 });
	set(m, &(struct wish){ .number = 9, .endpoints = 1, .first = 1, .vip = true });
	model_remove(m, "shop/web-300");
	run(m, 0);
	cleanup_free char *after = kernel_text();
	assert_string_equal(before, after);
	model_free(m);
}

static void a_flush_is_found_and_mended(void **state)
{
	struct model *m;

	start(state, &m, 100);
	for (int i = 0; i < 50; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 2, .first = 1, .vip = true });
	adopt(m);
	run(m, 0);
	cleanup_free char *before = kernel_text();

	/*
	 * Somebody emptied a chain of ours, put kube-proxy's jump before ours, and one of ours in
	 * twice.
	 */
	buf_clear(&find_chain("nat", "FL-B-07")->rules);
	apply_line("nat", ":KUBE-SERVICES - [0:0]");
	apply_line("nat", "-I PREROUTING 1 -j KUBE-SERVICES");
	apply_line("filter", "-A INPUT -j FL-IN");
	adopt(m);
	assert_false(model_in_sync(m));
	assert_int_equal(run(m, 0), 2);
	apply_line("nat", "-D PREROUTING -j KUBE-SERVICES");
	drop_chain(find_chain("nat", "KUBE-SERVICES"));
	cleanup_free char *mended = kernel_text();
	assert_string_equal(before, mended);

	/* Somebody flushed everything. */
	kernel_clear();
	adopt(m);
	run(m, 0);
	cleanup_free char *again = kernel_text();
	assert_string_equal(before, again);
	model_free(m);
}

/* The kernel has told of a change that nothing shows: as many rules, and the comment is ours. */
static void what_was_told_of_is_damage(void **state)
{
	struct model *m;

	start(state, &m, 100);
	set(m, &(struct wish){ .number = 1, .endpoints = 1, .first = 1 });
	set(m, &(struct wish){ .number = 2, .endpoints = 1, .first = 1 });
	adopt(m);
	run(m, 0);
	adopt(m);
	assert_false(model_any_damaged(m));
	run(m, 0);
	model_doubt(m, "FL-B-01");
	adopt(m);
	assert_true(model_is_damaged(m, "shop/web-1"));
	assert_false(model_is_damaged(m, "shop/web-2"));
	assert_int_equal(run(m, 0), 1);
	assert_false(model_any_damaged(m));
	model_free(m);
}

/* The frame is back before what it leads to. */
static void damage_lasts_until_all_is_back(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct model *m;
	size_t counted;

	start(state, &m, 100);
	set(m, &(struct wish){ .number = 1, .endpoints = 1, .first = 1 });
	adopt(m);
	run(m, 0);
	kernel_clear();
	adopt(m);
	assert_true(model_is_damaged(m, "shop/other"));
	assert_true(model_plan(m, 0, &text, &counted));
	assert_int_equal(model_batch_services(m), 0);
	assert_true(restore(buf_str(&text)));
	model_commit(m, committed, NULL);
	assert_true(model_is_damaged(m, "shop/other"));
	run(m, 0);
	assert_false(model_any_damaged(m));
	model_free(m);
}

static void a_refused_service_stops_nobody(void **state)
{
	struct model *m;

	start(state, &m, 1000);
	/* This kernel knows no xt_recent, and all Services share one bucket of 300. */
	refused_text = "-m recent";
	for (int i = 0; i < 300; i++)
		set(m, &(struct wish){ .number = i << 8,
		                       .endpoints = 2,
		                       .first = 1,
		                       .affinity = i == 123 || i == 299 });
	adopt(m);
	size_t restores = run(m, 0);
	assert_in_range(restores, 10, 60);
	assert_int_equal(model_stats(m).n_refused, 2);
	assert_int_equal(model_stats(m).n_pending, 2);
	assert_false(model_in_sync(m));
	assert_false(model_is_applied(m, "shop/web-31488"));
	assert_true(model_is_applied(m, "shop/web-31232"));
	assert_int_equal(model_next_retry(m), MODEL_RETRY_MIN_MS);

	/* Others change meanwhile; the refused ones are tried when they are due, alone. */
	set(m, &(struct wish){ .number = 5 << 8, .endpoints = 3, .first = 1 });
	assert_int_equal(run(m, MODEL_RETRY_MIN_MS - 1), 1);
	assert_true(model_is_applied(m, "shop/web-1280"));
	assert_in_range(run(m, MODEL_RETRY_MIN_MS), 2, 4);
	assert_int_equal(model_next_retry(m), 3 * MODEL_RETRY_MIN_MS);

	/* Corrected by its owner: at once. */
	set(m, &(struct wish){ .number = 123 << 8, .endpoints = 2, .first = 1 });
	run(m, MODEL_RETRY_MIN_MS);
	assert_true(model_is_applied(m, "shop/web-31488"));
	refused_text = NULL;
	run(m, 10 * MODEL_RETRY_MIN_MS);
	assert_true(model_in_sync(m));
	model_free(m);
}

/* Of a Service that went while nobody looked: its chains, which the kernel does not let go of. */
static void what_cannot_go_is_tried_again(void **state)
{
	struct model *m;

	start(state, &m, 100);
	adopt(m);
	for (int i = 0; i < 2; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 1, .first = 1 + i });
	run(m, 0);
	model_free(m);
	m = new_model(100);
	set(m, &(struct wish){ .number = 0, .endpoints = 1, .first = 1 });
	adopt(m);
	refused_text = "-X FL-P-";
	run(m, 0);
	/* Nobody waits for that. */
	assert_true(model_in_sync(m));
	for (int64_t at = 1000, wait = 1000; wait < 64000; wait *= 2, at += wait) {
		assert_int_equal(model_next_retry(m), at);
		assert_int_equal(run(m, at - 1), 0);
		assert_int_equal(run(m, at), 1);
	}
	refused_text = NULL;
	assert_int_equal(run(m, model_next_retry(m)), 1);
	assert_true(model_next_retry(m) == INT64_MAX);
	assert_true(model_in_sync(m));
	cleanup_free char *text = kernel_text();
	assert_null(strstr(text, "shop/web-1"));
	model_free(m);
}

static void a_refused_change_keeps_what_was(void **state)
{
	struct model *m;

	start(state, &m, 1000);
	for (int i = 0; i < 20; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 2, .first = 1, .vip = true });
	adopt(m);
	run(m, 0);
	cleanup_free char *before = kernel_text();

	/* nat is refused after filter was written: filter goes back to what it was. */
	refused_text = "-m recent";
	set(m, &(struct wish){ .number = 3, .endpoints = 1, .first = 9, .affinity = true });
	run(m, 0);
	cleanup_free char *kept = kernel_text();
	assert_string_equal(before, kept);
	assert_int_equal(model_stats(m).n_refused, 1);

	model_remove(m, "shop/web-3");
	run(m, 0);
	assert_true(model_in_sync(m));
	assert_true(model_is_applied(m, "shop/web-3"));
	model_free(m);
}

/* Its owner changes it faster than iptables refuses it. */
static void one_that_is_refused_and_changes_holds_up_nobody(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct model *m;
	size_t counted;
	bool done = false;

	start(state, &m, 1000);
	refused_text = "-m recent";
	adopt(m);
	for (int i = 0; i < 100; i++)
		set(m,
		    &(struct wish){ .number = i, .endpoints = 1, .first = 1, .affinity = i == 7 });
	for (int i = 0; i < 60 && model_plan(m, 0, &text, &counted); i++) {
		set(m, &(struct wish){
			       .number = 7, .endpoints = 1, .first = 2 + i, .affinity = true });
		if (text.size == 0 || restore(buf_str(&text)))
			model_commit(m, committed, NULL);
		else if (model_abort(m, MODEL_REFUSED, "line 7 failed", 0))
			adopt(m);
		buf_clear(&text);
		done = true;
		for (int k = 0; k < 100; k++) {
			char key[64];
			snprintf(key, sizeof(key), "shop/web-%d", k);
			done = done && (k == 7 || model_is_applied(m, key));
		}
	}
	assert_true(done);
	/* From now on it is not among others in a batch. */
	set(m, &(struct wish){ .number = 8, .endpoints = 2, .first = 1 });
	for (int i = 0; i < 2; i++) {
		set(m, &(struct wish){
			       .number = 7, .endpoints = 2, .first = 2 + i, .affinity = true });
		assert_true(model_plan(m, 0, &text, &counted));
		assert_int_equal(model_batch_services(m), 1);
		assert_false(model_abort(m, MODEL_REFUSED, "line 7 failed", 0));
	}
	model_free(m);
}

/*
 * A large one, say, for which there is not enough memory; what the kernel has is read again each
 * time.
 */
static void one_that_kills_the_program_is_found(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct model *m;
	size_t counted;

	start(state, &m, 1000);
	adopt(m);
	for (int i = 0; i < 100; i++)
		set(m,
		    &(struct wish){ .number = i, .endpoints = 1, .first = 1, .affinity = i == 7 });
	for (int i = 0; i < 100 && model_plan(m, 0, &text, &counted); i++) {
		if (strstr(buf_str(&text), "-m recent")) {
			assert_true(model_abort(m, MODEL_KILLED, "killed", 0));
			adopt(m);
		} else {
			assert_true(text.size == 0 || restore(buf_str(&text)));
			model_commit(m, committed, NULL);
		}
		buf_clear(&text);
	}
	assert_int_equal(model_stats(m).n_pending, 1);
	assert_string_equal(model_refusal(m, "shop/web-7"), "killed");
	assert_true(model_is_applied(m, "shop/web-99"));
	model_free(m);
}

static void a_program_that_always_fails_blames_nobody(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct model *m;
	size_t counted;

	start(state, &m, 1000);
	adopt(m);
	run(m, 0);
	set(m, &(struct wish){ .number = 1, .endpoints = 1, .first = 1 });
	assert_true(model_plan(m, 0, &text, &counted));
	assert_true(model_abort(m, MODEL_BROKEN, "out of order", 0));
	adopt(m);
	assert_int_equal(model_stats(m).n_refused, 0);
	run(m, 0);
	assert_true(model_in_sync(m));
	model_free(m);
}

/* What one of them lacked was put right: the others need not wait for their minutes to be over. */
static void when_one_is_taken_the_others_are_tried(void **state)
{
	struct model *m;

	start(state, &m, 1000);
	refused_text = "-m recent";
	adopt(m);
	set(m, &(struct wish){ .number = 1, .endpoints = 1, .first = 1, .affinity = true });
	for (int64_t now = 0; now < MODEL_RETRY_MAX_MS; now += MODEL_RETRY_MIN_MS)
		run(m, now);
	set(m, &(struct wish){ .number = 2, .endpoints = 1, .first = 1, .affinity = true });
	run(m, MODEL_RETRY_MAX_MS);
	assert_int_equal(model_stats(m).n_refused, 2);
	refused_text = NULL;
	run(m, MODEL_RETRY_MAX_MS + MODEL_RETRY_MIN_MS);
	assert_true(model_in_sync(m));
	model_free(m);
}

static void a_wish_during_a_batch_is_not_lost(void **state)
{
	struct model *m;
	cleanup(buf_fini) struct buf text = BUF_INIT;
	size_t counted;

	start(state, &m, 1000);
	adopt(m);
	run(m, 0);
	set(m, &(struct wish){ .number = 1, .endpoints = 1, .first = 1 });
	set(m, &(struct wish){ .number = 2, .endpoints = 1, .first = 1 });
	n_committed = 0;
	assert_true(model_plan(m, 0, &text, &counted));
	assert_int_equal(model_batch_services(m), 2);
	set(m, &(struct wish){ .number = 1, .endpoints = 2, .first = 1 });
	model_remove(m, "shop/web-2");
	assert_false(model_plan(m, 0, &text, &counted));
	assert_true(restore(buf_str(&text)));
	model_commit(m, committed, NULL);
	assert_int_equal(n_committed, 2);
	assert_false(model_is_applied(m, "shop/web-1"));
	run(m, 0);
	assert_true(model_in_sync(m));
	struct model *fresh = new_model(10);
	set(fresh, &(struct wish){ .number = 1, .endpoints = 2, .first = 1 });
	adopt(fresh);
	assert_int_equal(run(fresh, 0), 0);
	model_free(fresh);
	model_free(m);
}

static size_t n_guards(const char *address)
{
	cleanup_free char *text = kernel_text();
	cleanup_free char *guard =
		xasprintf("-d %s/32 -m addrtype ! --dst-type LOCAL -j REJECT", address);
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, guard)); p++)
		n++;
	return n;
}

/*
 * Its other ports are closed once, however many Services have the address, until the last of them
 * goes.
 */
static void a_shared_address_has_one_guard(void **state)
{
	struct model *m;

	start(state, &m, 1000);
	adopt(m);
	for (int i = 0; i < 5; i++) {
		set(m, &(struct wish){ .number = i, .endpoints = 1, .vip = true, .shared = true });
		if (i % 2) /* two in one batch, and one alone */
			continue;
		run(m, 0);
		assert_int_equal(n_guards("192.1.0.1"), 1);
	}
	for (int i = 0; i < 5; i++) {
		cleanup_free char *key = xasprintf("shop/web-%d", i);
		model_remove(m, key);
		run(m, 0);
		assert_int_equal(n_guards("192.1.0.1"), i < 4);
	}
	model_free(m);
}

/* The rule that packets to the node port meet first. */
static char *first_rule(const struct model *m, const char *port)
{
	cleanup_free char *text = kernel_text();
	const char *at = strstr(text, port);

	assert_true(model_in_sync(m));
	assert_non_null(at);
	return xstrndup(at, strcspn(at, "\n"));
}

static void a_node_port_is_the_olders(void **state)
{
	static const char port[] = "--dport 30080 -j ";
	struct wish young = { .number = 1, .endpoints = 1, .node_port = 30080, .created_us = 2000 };
	struct wish old = young;
	struct model *m;

	old.number = 2;
	old.created_us = 1000;
	for (int order = 0; order < 2; order++) {
		start(state, &m, 1000);
		adopt(m);
		set(m, order ? &old : &young);
		run(m, 0);
		cleanup_free char *alone = first_rule(m, port);
		set(m, order ? &young : &old);
		run(m, 0);
		cleanup_free char *both = first_rule(m, port);
		assert_int_equal(!strcmp(alone, both), order);
		/* What was deleted and made again under its name comes last. */
		old.created_us = 3000;
		set(m, &old);
		run(m, 0);
		cleanup_free char *anew = first_rule(m, port);
		assert_string_not_equal(both, anew);
		old.created_us = 1000;
		model_free(m);
	}
}

static void busy_is_not_refused(void **state)
{
	struct model *m;
	cleanup(buf_fini) struct buf text = BUF_INIT;
	size_t counted;

	start(state, &m, 1000);
	adopt(m);
	run(m, 0);
	for (int i = 0; i < 5; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 1, .first = 1 });
	assert_true(model_plan(m, 0, &text, &counted));
	assert_false(model_abort(m, MODEL_BUSY, "locked", 0));
	assert_int_equal(model_stats(m).n_refused, 0);
	assert_int_equal(run(m, 0), 1);
	assert_true(model_in_sync(m));
	model_free(m);
}

static void change_one(void *arg)
{
	struct model *m = arg;

	set(m, &(struct wish){ .number = 99, .endpoints = 2, .first = 7 });
	model_remove(m, "shop/web-98");
}

/*
 * Many large Services do not make one long turn of the event loop; and who changes meanwhile was
 * not damaged.
 */
static void an_adoption_takes_slices(void **state)
{
	struct model *m;

	start(state, &m, 100);
	for (int i = 0; i < 100; i++)
		set(m, &(struct wish){ .number = i, .endpoints = 4, .first = 1 });
	adopt_slowly(m, 40, change_one, m);
	run(m, 0);
	assert_true(model_in_sync(m));
	set(m, &(struct wish){ .number = 98, .endpoints = 1, .first = 1 });
	set(m, &(struct wish){ .number = 99, .endpoints = 1, .first = 1 });
	run(m, 0);
	adopt_slowly(m, 40, change_one, m);
	assert_false(model_any_damaged(m));
	run(m, 0);
	assert_true(model_in_sync(m));
	model_free(m);
}

/* ---- whatever happens, in whatever order ---- */

#define CHANCE_SERVICES 24

struct luck {
	uint64_t seed;
	struct model *m;
	struct wish wishes[CHANCE_SERVICES];
	bool there[CHANCE_SERVICES];
	int64_t now_ms;
};

static unsigned int chance(struct luck *l, unsigned int below)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 7;
	l->seed ^= l->seed << 17;
	return (unsigned int)(l->seed >> 20) % below;
}

static void wish_something(struct luck *l)
{
	unsigned int i = chance(l, CHANCE_SERVICES);
	char key[64];
	/* Half of them share one bucket. */
	int number = (int)(i % 2 ? i << 8 : i);

	l->there[i] = chance(l, 4) != 0;
	l->wishes[i] = (struct wish){ .number = number,
		                      .endpoints = (int)chance(l, 4),
		                      .first = (int)chance(l, 3),
		                      .vip = chance(l, 2),
		                      .affinity = chance(l, 4) == 0 };
	snprintf(key, sizeof(key), "shop/web-%d", number);
	if (l->there[i])
		set(l->m, &l->wishes[i]);
	else
		model_remove(l->m, key);
}

static void wish_all(struct luck *l, struct model *m)
{
	for (int i = 0; i < CHANCE_SERVICES; i++)
		if (l->there[i])
			set(m, &l->wishes[i]);
}

/* One batch; meanwhile wishes change, and its end is of any kind. */
static void one_batch(struct luck *l)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	size_t counted;

	if (!model_plan(l->m, l->now_ms, &text, &counted))
		return;
	for (unsigned int i = chance(l, 3); i > 0; i--)
		wish_something(l);
	if (text.size > 0 && chance(l, 8) == 0) {
		/* Locked out; or killed, with or without having done something. */
		bool killed = chance(l, 2);
		if (killed && chance(l, 2))
			restore(buf_str(&text));
		static const enum model_outcome fatal[] = { MODEL_KILLED, MODEL_BROKEN };
		enum model_outcome why = killed ? fatal[chance(l, 2)] : MODEL_BUSY;
		if (model_abort(l->m, why, "no reason", l->now_ms))
			adopt(l->m);
	} else if (text.size == 0 || restore(buf_str(&text))) {
		model_commit(l->m, committed, NULL);
	} else if (model_abort(l->m, MODEL_REFUSED, "line 7 failed", l->now_ms)) {
		adopt(l->m);
	}
}

static void wish_perhaps(void *arg)
{
	struct luck *l = arg;

	if (chance(l, 2))
		wish_something(l);
}

static void adopt_somehow(struct luck *l)
{
	if (chance(l, 2))
		adopt(l->m);
	else
		adopt_slowly(l->m, 1 + chance(l, 20), wish_perhaps, l);
}

static void tamper(struct luck *l)
{
	unsigned int skip = chance(l, HASH_COUNT(kernel));
	struct table_chain *c = kernel;

	for (; skip > 0; skip--)
		c = c->hh.next;
	buf_clear(&c->rules);
	if (chance(l, 4) == 0)
		kernel_clear();
	adopt_somehow(l);
}

static void luck_leaves_no_difference(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct luck l = { .seed = seed * 0x9e3779b97f4a7c15u, .m = new_model(8) };
		kernel_clear();
		adopt(l.m);
		for (int step = 0; step < 300; step++) {
			unsigned int what = chance(&l, 20);
			l.now_ms += chance(&l, 2000);
			if (what < 9) {
				wish_something(&l);
			} else if (what < 17) {
				one_batch(&l);
			} else if (what == 17) {
				refused_text = refused_text ? NULL : "-m recent";
			} else if (what == 18) {
				tamper(&l);
			} else {
				model_free(l.m);
				with_bpf = chance(&l, 2);
				l.m = new_model(8);
				wish_all(&l, l.m);
				adopt_somehow(&l);
			}
		}
		refused_text = NULL;
		run(l.m, l.now_ms + MODEL_RETRY_MAX_MS);
		assert_true(model_in_sync(l.m));
		cleanup_free char *got = kernel_text();
		model_free(l.m);
		kernel_clear();
		l.m = new_model(100);
		wish_all(&l, l.m);
		adopt(l.m);
		run(l.m, 0);
		cleanup_free char *want = kernel_text();
		if (strcmp(got, want) != 0)
			fail_msg("seed %llu:\n%s\nrather than\n%s", (unsigned long long)seed, got,
			         want);
		model_free(l.m);
	}
}

/* ---- what is shown ---- */

struct shown {
	struct spec *specs[100];
	const struct proxy_half *halves[100];
	size_t n;
};

static void keep_half(const struct proxy_half *s, void *arg)
{
	struct shown *to = arg;

	to->specs[to->n] = spec_new(s);
	to->halves[to->n] = &to->specs[to->n]->s;
	to->n++;
}

static struct wish wish_number(int i)
{
	return (struct wish){ .number = i,
		              .endpoints = i % 4,
		              .first = 1,
		              .vip = i % 3 == 0,
		              .affinity = i % 5 == 0,
		              .shared = i % 6 == 0 };
}

/* Whoever restores the text has what the batches lead to, and in whatever order Services came. */
static void what_is_shown_is_what_is_written(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT, other = BUF_INIT;
	struct shown shown = { .n = 0 }, reversed = { .n = 0 };
	struct model *m;

	start(state, &m, 8);
	for (int i = 0; i < 100; i++) {
		const struct wish w = wish_number(i), last = wish_number(99 - i);
		set(m, &w);
		with_half(&w, keep_half, &shown);
		with_half(&last, keep_half, &reversed);
	}
	adopt(m);
	run(m, 0);
	model_free(m);
	cleanup_free char *written = kernel_text();
	kernel_clear();
	show(options(), shown.halves, shown.n, &text);
	assert_true(restore(buf_str(&text)));
	cleanup_free char *restored = kernel_text();
	assert_string_equal(restored, written);
	show(options(), reversed.halves, reversed.n, &other);
	assert_string_equal(buf_str(&other), buf_str(&text));
	for (size_t i = 0; i < 100; i++) {
		spec_unref(shown.specs[i]);
		spec_unref(reversed.specs[i]);
	}
}

/* ---- what differs ---- */

static void put_finding(const struct report_finding *f, void *arg)
{
	buf_printf(arg, "%s %s %s%s%s%s%s\n", report_what_name(f->what), f->table, f->chain,
	           f->rule ? " " : "", f->rule ? f->rule : "", f->service ? " of " : "",
	           f->service ? f->service : "");
}

/* All that differs now, a line each, in their order. */
static char *differences(struct model *m, size_t piece, size_t n_chains)
{
	struct buf text = BUF_INIT, found = BUF_INIT;
	struct compare *c = compare_new(m);

	save_kernel(&text);
	for (size_t at = 0; at < text.size; at += piece)
		compare_feed(c, text.data + at, text.size - at < piece ? text.size - at : piece);
	compare_end(c);
	while (compare_step(c, n_chains, put_finding, &found))
		;
	compare_free(c);
	buf_fini(&text);
	return buf_take(&found);
}

/* As iptables-save prints it. */
static void rewrite(const char *chain, const char *from, const char *to)
{
	struct table_chain *c = find_chain("nat", chain);
	cleanup_free char *old = xstrdup(buf_str(&c->rules));
	char *at = strstr(old, from);

	assert_non_null(at);
	*at = '\0';
	buf_clear(&c->rules);
	buf_printf(&c->rules, "%s%s%s", old, to, at + strlen(from));
}

struct tampering {
	const char *table, *line; /* what somebody does; "": the rule of the chain is rewritten */
	const char *from, *to;
	const char *expected;
};

/*
 * The endpoints of shop/web-7 are three, and clients stay with theirs where the number is divided
 * by five.
 */
static const struct tampering tamperings[] = {
	{ "nat", "-I FL-B-07 1 -s 10.9.9.9/32 -j ACCEPT", NULL, NULL,
	  "foreign nat FL-B-07 -s 10.9.9.9/32 -j ACCEPT\n" },
	{ "nat", "-A FL-MARK -j RETURN", NULL, NULL, "foreign nat FL-MARK -j RETURN\n" },
	{ "nat", "-A FL-MARK -j MARK --set-xmark 0x1000/0x1000", NULL, NULL,
	  "foreign nat FL-MARK -j MARK --set-xmark 0x1000/0x1000\n" },
	{ "nat", ":FL-B-07 - [0:0]", NULL, NULL,
	  "missing nat FL-B-07 -d 10.96.0.7/32 -p tcp -m tcp --dport 80 -j FL-C-ID of shop/web-7\n" },
	{ "nat", ":FL-OLD - [0:0]", NULL, NULL, "foreign nat FL-OLD\n" },
	{ "filter", ":FL-MARK - [0:0]", NULL, NULL, "foreign filter FL-MARK\n" },
	{ "nat", "-D PREROUTING -j FL-SVC", NULL, NULL, "missing nat PREROUTING -j FL-SVC\n" },
	{ "nat", "-I PREROUTING 1 -j FL-SVC", NULL, NULL, "changed nat PREROUTING -j FL-SVC\n" },
	{ "nat", "-A PREROUTING -j FL-POST", NULL, NULL, "foreign nat PREROUTING -j FL-POST\n" },
	{ "filter", "-A OUTPUT -s 10.9.9.9/32 -j ACCEPT", NULL, NULL, "" },
	{ NULL, "FL-B-07", "--dport 80", "--dport 81", "" },
	{ NULL, "FL-B-07", "/1\"", "/2\"", "changed nat FL-B-07\n" },
};

/* The names of Services' chains are digests. */
static void hide_ids(char *text)
{
	for (char *p = text; (p = strstr(p, "-j FL-C-")); p += 8)
		memmove(p + 10, p + 8 + CHAIN_ID_SIZE - 1, strlen(p + 8 + CHAIN_ID_SIZE - 1) + 1),
			memcpy(p + 8, "ID", 2);
}

static void what_differs_is_told(void **state)
{
	struct model *m;

	for (size_t i = 0; i < ARRAY_LEN(tamperings); i++) {
		const struct tampering *t = &tamperings[i];
		start(state, &m, 8);
		for (int k = 0; k < 20; k++) {
			const struct wish w = wish_number(k);
			set(m, &w);
		}
		adopt(m);
		run(m, 0);
		adopt(m); /* it is known how all of it is printed */
		run(m, 0);
		cleanup_free char *none = differences(m, 7, 3);
		assert_string_equal(none, "");
		cleanup_free char *before = kernel_text();
		if (t->table)
			apply_line(t->table, t->line);
		else
			rewrite(t->line, t->from, t->to);
		cleanup_free char *tampered = kernel_text();
		cleanup_free char *found = differences(m, 4096, SIZE_MAX);
		hide_ids(found);
		if (!t->table && !*t->expected)
			assert_non_null(strstr(found, "missing nat FL-B-07 -d 10.96.0.7/32"));
		else if (strcmp(found, t->expected) != 0)
			fail_msg("%s: %s rather than %s", t->line, found, t->expected);
		/* It has mended nothing, and keeps nothing from being mended. */
		cleanup_free char *after = kernel_text();
		assert_string_equal(after, tampered);
		assert_true(model_in_sync(m));
		adopt(m);
		run(m, 0);
		cleanup_free char *mended = kernel_text();
		if (strcmp(t->table ? t->table : "", "filter") != 0)
			assert_string_equal(mended, before);
		model_free(m);
	}
}

/*
 * What iptables-save prints in other words is no difference where something else in the chain is
 * one.
 */
static void other_words_for_the_same_are_none(void **state)
{
	struct model *m;
	char name[CHAIN_NAME_SIZE] = "";

	start(state, &m, 8);
	set(m, &(struct wish){ .number = 5, .endpoints = 2, .first = 1, .affinity = true });
	adopt(m);
	run(m, 0);
	for (const struct table_chain *c = kernel; c; c = c->hh.next)
		if (!strncmp(c->key, "nat FL-C-", 9))
			snprintf(name, sizeof(name), "%s", c->key + 4);
	rewrite(name, "--probability 0.5000000000", "--probability 0.50000000000");
	rewrite(name, " --reap ", " --reap --mask 255.255.255.255 --rsource ");
	apply_line("nat", "-A FL-MARK -j RETURN");
	cleanup_free char *line = xasprintf("-A %s -j RETURN", name);
	apply_line("nat", line);
	cleanup_free char *found = differences(m, 100, SIZE_MAX);
	cleanup_free char *expected = xasprintf("foreign nat %s -j RETURN of shop/web-5\n"
	                                        "foreign nat FL-MARK -j RETURN\n",
	                                        name);
	assert_string_equal(found, expected);
	model_free(m);
}

static void count(const struct report_finding *f, void *arg)
{
	(void)f;
	++*(size_t *)arg;
}

/* Lines and names that no iptables has, from whatever is in its place. */
static void any_text_is_compared(void **state)
{
	static const char begin[] = "*nat\n:FL-MARK - [0:0]\n-A FL-";
	struct model *m;
	size_t n = 0;

	start(state, &m, 8);
	for (size_t len = 10; len < 4 * SAVE_MAX_LINE; len *= 2) {
		struct compare *c = compare_new(m);
		cleanup_free char *name = xcalloc(1, len);
		memset(name, 'X', len);
		compare_feed(c, begin, strlen(begin));
		compare_feed(c, name, len);
		compare_feed(c, " -j RETURN\n", 11);
		compare_end(c);
		while (compare_step(c, 10, count, &n))
			;
		compare_free(c);
	}
	assert_true(n > 0);
	model_free(m);
}

static int teardown(void **state)
{
	(void)state;
	struct table_chain *c, *next;
	HASH_ITER(hh, kernel, c, next)
		drop_chain(c);
	return 0;
}

/* ---- every row counts ---- */

static uint64_t digest_of(const struct proxy_half *s)
{
	struct spec *spec = spec_new(s);
	uint64_t digest = spec->digest;

	spec_unref(spec);
	return digest;
}

/* A Service all of whose rows have something, and its digest; flip_… change one row at a time. */
static struct proxy_half whole;
static uint64_t whole_digest;

static void expect_noticed(const char *row)
{
	if (digest_of(&whole) == whole_digest)
		fail_msg("the digest does not notice another %s", row);
}

#define FLIP(kind, ...) FLIP_##kind(__VA_ARGS__)
#define FLIP_VALUE(type, name)            \
	{                                 \
		type old_ = s->name;      \
		s->name = (type)!s->name; \
		expect_noticed(#name);    \
		s->name = old_;           \
	}
#define FLIP_TEXT(name)                     \
	{                                   \
		const char *old_ = s->name; \
		s->name = "another";        \
		expect_noticed(#name);      \
		s->name = old_;             \
	}
#define FLIP_STRUCT(tag, name) flip_##tag(&s->name);
#define FLIP_OPTION(name)      \
	s->name = "another";   \
	expect_noticed(#name); \
	s->name = NULL;
#define FLIP_PART(tag, name) flip_##tag((struct tag *)(uintptr_t)s->name);
#define FLIP_LIST(tag, name)                \
	assert_int_equal(s->n_##name, 1);   \
	s->n_##name = 0;                    \
	expect_noticed("number of " #name); \
	s->n_##name = 1;                    \
	flip_##tag((struct tag *)(uintptr_t)s->name);

static void flip_addr(struct addr *a)
{
	a->b[0] ^= 1;
	expect_noticed("address");
	a->b[0] ^= 1;
}

static void flip_prefix(struct prefix *p)
{
	flip_addr(&p->addr);
	p->len ^= 1;
	expect_noticed("length of a prefix");
	p->len ^= 1;
}

static void flip_traffic(struct traffic *s)
{
	TRAFFIC_FIELDS(FLIP)
}

static void flip_proxy_endpoint(struct proxy_endpoint *s)
{
	PROXY_ENDPOINT_FIELDS(FLIP)
}

static void flip_proxy_port(struct proxy_port *s)
{
	PROXY_PORT_FIELDS(FLIP)
}

static void flip_proxy_outside(struct proxy_outside *s)
{
	PROXY_OUTSIDE_FIELDS(FLIP)
}

static void flip_proxy_service(struct proxy_half *s)
{
	PROXY_HALF_FIELDS(FLIP)
}

static void every_row_is_noticed_and_copied(void **state)
{
	struct addr addrs[] = { { 4, { 10, 0, 0, 1 } } };
	struct prefix ranges[] = { { { 4, { 10, 1, 0, 0 } }, 16 } };
	struct proxy_endpoint endpoints[] = { { .addr = addrs[0], .port = 8080 } };
	struct proxy_port ports[] = { { .name = "http",
		                        .proto = IPPROTO_TCP,
		                        .port = 80,
		                        .cluster = endpoints,
		                        .n_cluster = 1,
		                        .local = endpoints,
		                        .n_local = 1,
		                        .kept = endpoints,
		                        .n_kept = 1 } };
	struct spec *spec;

	(void)state;
	struct proxy_outside outside = {
		.vips = addrs,
		.n_vips = 1,
		.external_ips = addrs,
		.n_external_ips = 1,
		.open = addrs,
		.n_open = 1,
		.source_ranges = ranges,
		.n_source_ranges = 1,
	};
	whole = (struct proxy_half){
		.key = "a/b",
		.family = 4,
		.cluster_ip = addrs[0],
		.outside = &outside,
		.ports = ports,
		.n_ports = 1,
	};
	whole_digest = digest_of(&whole);
	flip_proxy_service(&whole);
	assert_true(digest_of(&whole) == whole_digest);
	spec = spec_new(&whole);
#define COPIED(kind, ...) COPIED_##kind(__VA_ARGS__)
#define COPIED_VALUE(type, name) assert_true(copy->name == from->name);
#define COPIED_TEXT(name) assert_ptr_not_equal(copy->name, from->name);
#define COPIED_STRUCT(tag, name)
#define COPIED_PART(tag, name) assert_ptr_not_equal(copy->name, from->name);
#define COPIED_LIST(tag, name) assert_ptr_not_equal(copy->name, from->name);
	{
		const struct proxy_half *copy = &spec->s, *from = &whole;
		PROXY_HALF_FIELDS(COPIED)
	}
	{
		const struct proxy_outside *copy = spec->s.outside, *from = &outside;
		PROXY_OUTSIDE_FIELDS(COPIED)
	}
	{
		const struct proxy_port *copy = &spec->s.ports[0], *from = ports;
		PROXY_PORT_FIELDS(COPIED)
	}
	spec_unref(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_noticed_and_copied),
		cmocka_unit_test(one_of_many_changes_alone),
		cmocka_unit_test(the_node_changes),
		cmocka_unit_test(the_node_changes_while_it_is_compared),
		cmocka_unit_test(with_the_match_there_is_less_to_write),
		cmocka_unit_test(chains_of_endpoints_go_with_the_match),
		cmocka_unit_test(a_restart_writes_nothing),
		cmocka_unit_test(a_flush_is_found_and_mended),
		cmocka_unit_test(what_was_told_of_is_damage),
		cmocka_unit_test(damage_lasts_until_all_is_back),
		cmocka_unit_test(a_refused_service_stops_nobody),
		cmocka_unit_test(what_cannot_go_is_tried_again),
		cmocka_unit_test(a_refused_change_keeps_what_was),
		cmocka_unit_test(a_wish_during_a_batch_is_not_lost),
		cmocka_unit_test(a_shared_address_has_one_guard),
		cmocka_unit_test(a_node_port_is_the_olders),
		cmocka_unit_test(busy_is_not_refused),
		cmocka_unit_test(one_that_is_refused_and_changes_holds_up_nobody),
		cmocka_unit_test(one_that_kills_the_program_is_found),
		cmocka_unit_test(a_program_that_always_fails_blames_nobody),
		cmocka_unit_test(when_one_is_taken_the_others_are_tried),
		cmocka_unit_test(an_adoption_takes_slices),
		cmocka_unit_test(luck_leaves_no_difference),
		cmocka_unit_test(what_is_shown_is_what_is_written),
		cmocka_unit_test(what_differs_is_told),
		cmocka_unit_test(any_text_is_compared),
		cmocka_unit_test(other_words_for_the_same_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
