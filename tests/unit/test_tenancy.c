/* SPDX-License-Identifier: Apache-2.0 */
/* Services that have one address together: the rule, and what becomes of them turn by turn. */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "fairlead/mem.h"
#include "fairlead/record.h"
#include "fairlead/tenancy.h"
#include "fairlead/turn.h"

/* A Service, as its owner writes it. */
struct written {
	const char *key;      /* NULL: no annotation */
	const char *ports;    /* "53/UDP 53/TCP" */
	const char *selector; /* NULL: policy Cluster; else Local, with this label of the Pods */
	const char *asks;     /* for this address; NULL: for none */
	const char *type;     /* NULL: LoadBalancer */
	const char *class;
	bool external; /* asks for an external IP */
	bool deleting;
	const char *by_hand; /* one more external IP; NULL: none */
};

static void put_ports(const char *list, struct buf *out)
{
	char proto[8];
	unsigned int port;
	int n = 0, used;

	while (sscanf(list, "%u/%7s%n", &port, proto, &used) == 2) {
		buf_printf(out, "%s{\"name\":\"p%d\",\"port\":%u,\"protocol\":\"%s\"}",
		           n ? "," : "", n, port, proto);
		n++;
		list += used;
	}
}

/* @name: "ns/name" */
static struct kube_service *parse_with(const char *name, const struct written *w, int created,
                                       const char *external, const char *status)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	const char *slash = strchr(name, '/');
	struct kube_service *s = NULL;
	struct err e = ERR_INIT;

	buf_printf(&out,
	           "{\"metadata\":{\"namespace\":\"%.*s\",\"name\":\"%s\",\"uid\":\"%s\","
	           "\"resourceVersion\":\"1\",\"creationTimestamp\":\"2026-01-01T00:00:%02dZ\","
	           "\"annotations\":{\"metallb.universe.tf/address-pool\":\"\"",
	           (int)(slash - name), name, slash + 1, name, created);
	if (w->key)
		buf_printf(&out, ",\"" TENANCY_ANNOTATION "\":\"%s\"", w->key);
	if (w->asks)
		buf_printf(&out, ",\"" IPAM_ANNOTATION_ADDRESSES "\":\"%s\"", w->asks);
	if (w->external)
		buf_puts(&out, ",\"" KUBE_ANNOTATION_EXTERNAL_IPS "\":\"lan\"");
	if (external)
		buf_printf(&out, ",\"" KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED "\":\"%s\"", external);
	buf_printf(&out, "}},\"spec\":{\"type\":\"%s\",\"clusterIPs\":[\"10.96.0.1\"]",
	           w->type ? w->type : "LoadBalancer");
	if (external || w->by_hand)
		buf_printf(&out, ",\"externalIPs\":[\"%s\"%s%s%s]",
		           external ? external : w->by_hand, external && w->by_hand ? ",\"" : "",
		           external && w->by_hand ? w->by_hand : "",
		           external && w->by_hand ? "\"" : "");
	if (w->class)
		buf_printf(&out, ",\"loadBalancerClass\":\"%s\"", w->class);
	buf_puts(&out, ",\"ports\":[");
	put_ports(w->ports, &out);
	buf_printf(&out, "],\"selector\":{\"app\":\"%s\"},\"externalTrafficPolicy\":\"%s\"}%s}",
	           w->selector ? w->selector : "any", w->selector ? "Local" : "Cluster", status);
	struct json_object *obj = json_tokener_parse(buf_str(&out));
	if (!obj || kube_service_parse(obj, &s, &e) < 0)
		fail_msg("%s: %s", e.msg, buf_str(&out));
	json_object_put(obj);
	s->meta.deleting = w->deleting;
	return s;
}

static struct kube_service *parse(const char *name, const struct written *w, int created,
                                  const char *status)
{
	return parse_with(name, w, created, NULL, status);
}

/* ---- the rule ---- */

static void test_rule(void **state)
{
	(void)state;
	static const struct {
		const char *what, *other; /* the name of the second one; the first is shop/a */
		struct written a, b;
		bool across;
		enum tenancy_obstacle obstacle;
		const char *says;
	} rows[] = {
		{ "DNS over UDP and TCP",
		  "shop/b",
		  { "k", "53/UDP", NULL, NULL },
		  { "k", "53/TCP", NULL, NULL },
		  false,
		  TENANCY_NONE,
		  "" },
		{ "no key at all",
		  "shop/b",
		  { NULL, "53/UDP", NULL, NULL },
		  { NULL, "53/TCP", NULL, NULL },
		  false,
		  TENANCY_KEY,
		  "has not the same" },
		{ "one has none",
		  "shop/b",
		  { "k", "53/UDP", NULL, NULL },
		  { NULL, "53/TCP", NULL, NULL },
		  false,
		  TENANCY_KEY,
		  "has not the same" },
		{ "an empty one is none",
		  "shop/b",
		  { "", "53/UDP", NULL, NULL },
		  { "", "53/TCP", NULL, NULL },
		  false,
		  TENANCY_KEY,
		  "has not the same" },
		{ "another key",
		  "shop/b",
		  { "k", "53/UDP", NULL, NULL },
		  { "K", "53/TCP", NULL, NULL },
		  false,
		  TENANCY_KEY,
		  "has not the same" },
		{ "a port in common",
		  "shop/b",
		  { "k", "80/TCP 53/UDP 443/TCP", NULL, NULL },
		  { "k", "9/TCP 53/TCP 443/TCP 53/UDP", NULL, NULL },
		  false,
		  TENANCY_PORT,
		  "OTHER has port 53/UDP, too" },
		{ "another namespace",
		  "evil/b",
		  { "k", "53/UDP", NULL, NULL },
		  { "k", "53/TCP", NULL, NULL },
		  false,
		  TENANCY_NAMESPACE,
		  "across namespaces" },
		{ "another namespace, another key",
		  "evil/b",
		  { "k", "53/UDP", NULL, NULL },
		  { "x", "53/UDP", NULL, NULL },
		  false,
		  TENANCY_NAMESPACE,
		  "across namespaces" },
		{ "another namespace, where that may be",
		  "evil/b",
		  { "k", "53/UDP", NULL, NULL },
		  { "k", "53/TCP", NULL, NULL },
		  true,
		  TENANCY_NONE,
		  "" },
		{ "Local and Cluster",
		  "shop/b",
		  { "k", "53/UDP", "dns", NULL },
		  { "k", "53/TCP", NULL, NULL },
		  false,
		  TENANCY_POLICY,
		  "externalTrafficPolicy" },
		{ "Local, the same Pods",
		  "shop/b",
		  { "k", "53/UDP", "dns", NULL },
		  { "k", "53/TCP", "dns", NULL },
		  false,
		  TENANCY_NONE,
		  "" },
		{ "Local, other Pods",
		  "shop/b",
		  { "k", "53/UDP", "dns", NULL },
		  { "k", "53/TCP", "web", NULL },
		  false,
		  TENANCY_SELECTOR,
		  "another selector" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf out = BUF_INIT;
		struct kube_service *sa = parse("shop/a", &rows[i].a, 1, "");
		struct kube_service *sb = parse(rows[i].other, &rows[i].b, 2, "");
		struct tenancy *a = tenancy_of(sa), *b = tenancy_of(sb);
		struct tenancy_verdict v = tenancy_judge(a, b, rows[i].across);
		struct tenancy_verdict w = tenancy_judge(b, a, rows[i].across);
		tenancy_put(&v, "OTHER", &out);
		if (v.obstacle != rows[i].obstacle || w.obstacle != v.obstacle ||
		    !strstr(buf_str(&out), rows[i].says))
			fail_msg("%s: %d, %d, %s", rows[i].what, v.obstacle, w.obstacle,
			         buf_str(&out));
		tenancy_free(a);
		tenancy_free(b);
		kube_service_free(sa);
		kube_service_free(sb);
	}
}

static void test_spellings(void **state)
{
	(void)state;
	static const char *const spellings[] = { TENANCY_ANNOTATION, "metallb.io/allow-shared-ip",
		                                 "metallb.universe.tf/allow-shared-ip" };

	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		struct label kv = { .key = (char *)(uintptr_t)spellings[i],
			            .value = (char *)(uintptr_t) "k" };
		const struct kube_service s = { .meta = { .namespace = (char *)(uintptr_t) "shop",
			                                  .annotations = { &kv, 1 } } };
		struct tenancy *t = tenancy_of(&s);
		assert_string_equal(t->key, "k");
		tenancy_free(t);
	}
}

/* ---- turn by turn ---- */

enum { MANY = 4 };

static const struct record_rules rules = { .external_ips = true };
static const struct record_server server = { 0 };

static struct {
	struct ipam *ipam;
	struct record *records[MANY];
	struct written written[MANY];
	char *status[MANY];   /* as the API server has it: ,"status":{…} */
	char *external[MANY]; /* the address in its record, and in its spec */
	int created[MANY];    /* at this second; 0: in their order */
	bool waits[MANY], dirty[MANY];
} w;

static const char *const names[MANY] = { "shop/a", "shop/b", "shop/c", "evil/d" };

static void read_again(size_t i)
{
	struct kube_service *s =
		parse_with(names[i], &w.written[i], w.created[i] ? w.created[i] : (int)i + 1,
	                   w.external[i], w.status[i] ? w.status[i] : "");

	if (!w.records[i])
		w.records[i] = record_new(NULL, &s->meta);
	record_read(w.records[i], s, &rules, 1);
	kube_service_free(s);
}

/* True if that freed an address. */
static bool write_status(size_t i, struct record_write what)
{
	cleanup(buf_fini) struct buf patch = BUF_INIT;
	const char *status;

	if (!what.ingress && !what.external_condition)
		return false;
	record_patch(w.records[i], what, 0, &patch);
	status = strstr(buf_str(&patch), ",\"status\":");
	if (!status)
		status = strstr(buf_str(&patch), "\"status\":");
	assert_non_null(status);
	free(w.status[i]);
	w.status[i] =
		xasprintf("%s%.*s", *status == ',' ? "" : ",", (int)(strlen(status) - 1), status);
	record_written(w.records[i], what);
	bool freed = turn_settle(w.ipam, w.records[i], (struct record_write){ .ingress = false });
	read_again(i);
	return freed;
}

/* The condition follows when that has been seen. */
static bool write_spec(size_t i)
{
	const struct record_write what = { .external_ips = true };
	const struct record_part *p = w.records[i]->external;

	free(w.external[i]);
	w.external[i] = p->n_want ? xstrdup(addr_str(&p->want[0])) : NULL;
	record_written(w.records[i], what);
	bool freed = turn_settle(w.ipam, w.records[i], (struct record_write){ .ingress = false });
	read_again(i);
	w.dirty[i] = true;
	return freed;
}

static void wake(void)
{
	for (size_t i = 0; i < MANY; i++)
		w.dirty[i] |= w.records[i] && w.waits[i] && turn_is_concerned(w.ipam, w.records[i]);
	ipam_freed_seen(w.ipam);
}

/* Until nobody has anything to decide; they come in the order of their creation. */
static void settle(void)
{
	struct record_write writes[MANY];

	for (int round = 0; round < 20; round++) {
		bool any = false;
		memset(writes, 0, sizeof(writes));
		for (size_t i = 0; i < MANY; i++) {
			if (!w.records[i] || !w.dirty[i])
				continue;
			struct turn_outcome t = turn_decide(w.ipam, w.records[i], &server);
			w.dirty[i] = false;
			w.waits[i] = t.waits;
			writes[i] = t.write;
			any = true;
		}
		bool freed = turn_end(w.ipam, w.records, 0);
		for (size_t i = 0; i < MANY; i++)
			freed |=
				writes[i].external_ips ? write_spec(i) : write_status(i, writes[i]);
		if (freed)
			wake();
		if (!any)
			return;
	}
	fail_msg("they do not come to rest");
}

static void start(const char *more)
{
	cleanup_free char *yaml = xasprintf("address-pools:\n"
	                                    "- {name: lan, protocol: layer2, addresses: [%s}\n",
	                                    more);
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;
	struct record *all[MANY];
	size_t n = 0;

	ipam_free(w.ipam);
	if (configuration_parse(yaml, strlen(yaml), &c, &errors, NULL) < 0)
		fail_msg("%s", errors.items[0].message);
	w.ipam = ipam_new(c);
	configuration_unref(c);
	for (size_t i = 0; i < MANY; i++)
		if (w.records[i]) {
			all[n++] = w.records[i];
			w.dirty[i] = true;
		}
	turn_adopt_all(w.ipam, all, n);
	settle();
}

/* Its owner writes it, for the first time or anew; it is decided in the next turn. */
static void bring(size_t i, const struct written *what)
{
	w.written[i] = *what;
	read_again(i);
	if (turn_adopt(w.ipam, w.records[i]))
		wake();
	w.dirty[i] = true;
}

static void put(size_t i, const struct written *what)
{
	bring(i, what);
	settle();
}

static void delete (size_t i)
{
	ipam_release(w.ipam, w.records[i]->key);
	ipam_release(w.ipam, w.records[i]->external_key);
	record_free(TAKE(w.records[i]));
	free(TAKE(w.status[i]));
	free(TAKE(w.external[i]));
	wake();
	settle();
}

static void stop(void)
{
	for (size_t i = 0; i < MANY; i++) {
		record_free(w.records[i]);
		free(w.status[i]);
		free(w.external[i]);
	}
	ipam_free(w.ipam);
	memset(&w, 0, sizeof(w));
}

/* The one that it asks for. */
static const struct record_part *part_of(size_t i)
{
	return w.written[i].external ? w.records[i]->external : &w.records[i]->lb;
}

/* The last number of the address, or 0. */
static int has(size_t i)
{
	const struct ipam_request *q = &part_of(i)->request;

	return q->n_held ? q->held[0].b[3] : 0;
}

static void expect(const char *what, int a, int b, int c)
{
	const int want[] = { a, b, c };

	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		if (w.records[i] && has(i) != want[i])
			fail_msg("%s: %s has .%d instead of .%d: %s", what, names[i], has(i),
			         want[i], part_of(i)->message);
}

static void expect_says(size_t i, enum reason reason, const char *text)
{
	const struct record_part *p = part_of(i);

	if (p->reason != reason || !strstr(p->message, text))
		fail_msg("%s: %s %s; expected \"%s\"", names[i], reason_name(p->reason), p->message,
		         text);
}

static const struct written udp = { "k", "53/UDP", NULL, NULL };
static const struct written tcp = { "k", "53/TCP", NULL, NULL };
static const struct written web = { "k", "80/TCP", NULL, NULL };
#define TWO "10.0.0.1-10.0.0.2]"
#define ONE "10.0.0.1/32]"

static void test_joins(void **state)
{
	(void)state;
	start(TWO);
	put(0, &udp);
	put(1, &tcp);
	put(2, &web);
	expect("all three go together", 1, 1, 1);
	expect_says(1, REASON_Assigned, "from pool lan; shop/a has it, too");
	assert_true(ipam_usage(w.ipam, 0).used[0] == 1 && ipam_usage(w.ipam, 0).free[0] == 1);
	assert_non_null(strstr(w.status[1], "\"ports\":[{\"port\":53,\"protocol\":\"TCP\"}]"));

	start(TWO);
	expect("another leader finds the same", 1, 1, 1);
	delete (0);
	start(TWO);
	expect("and without the oldest", 0, 1, 1);
	delete (1);
	assert_int_equal(ipam_usage(w.ipam, 0).used[0], 1);
	delete (2);
	assert_int_equal(ipam_usage(w.ipam, 0).used[0], 0);
	stop();
}

static void test_joins_not(void **state)
{
	(void)state;
	start(TWO);
	put(0, &udp);
	put(1, &udp);
	expect("the same port", 1, 2, 0);
	put(2, &udp);
	expect("and no third address", 1, 2, 0);
	expect_says(2, REASON_PoolExhausted,
	            "10.0.0.1 cannot be shared: shop/a has port 53/UDP, too");
	put(2, &(struct written){ "k", "53/UDP", NULL, "10.0.0.2" });
	expect_says(2, REASON_AddressNotShared,
	            "10.0.0.2 was asked for, but cannot be shared: shop/b has port 53/UDP, too");
	put(2, &(struct written){ "k", "80/TCP", NULL, "10.0.0.2" });
	expect("another port, where it asks to be", 1, 2, 2);
	stop();
}

/* Neither by asking for the address nor by knowing the key. */
static void test_another_namespace(void **state)
{
	(void)state;
	start(ONE);
	put(0, &udp);
	put(3, &tcp);
	assert_int_equal(has(3), 0);
	expect_says(3, REASON_PoolExhausted, "in use");
	assert_null(strstr(w.records[3]->lb.message, "shared"));
	put(3, &(struct written){ "k", "53/TCP", NULL, "10.0.0.1" });
	assert_int_equal(has(3), 0);
	expect_says(3, REASON_AddressNotShared, "across namespaces");
	assert_null(strstr(w.records[3]->lb.message, "shop"));

	start(ONE ", share-across-namespaces: true");
	assert_int_equal(has(3), 1);
	stop();
}

/* Whoever was let in stays, also where there is room. */
static void test_edit_of_pools(void **state)
{
	(void)state;
	static const struct {
		const char *pool;
		enum reason reason;
	} rows[] = {
		{ TWO, REASON_Kept },
		{ TWO ", disabled: true", REASON_Kept },
		{ "10.0.0.2-10.0.0.9]", REASON_Retained },
		{ "10.0.0.2-10.0.0.9], share-across-namespaces: true", REASON_Retained },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start(TWO ", share-across-namespaces: true");
		put(0, &udp);
		put(3, &tcp);
		assert_int_equal(has(3), 1);
		start(rows[i].pool);
		assert_int_equal(has(0), 1);
		assert_int_equal(has(3), 1);
		expect_says(3, rows[i].reason, "keeps 10.0.0.1");
		/* Both are told where the pool would not let them in any more. */
		if (rows[i].reason == REASON_Kept) {
			expect_says(0, REASON_Kept, "which the pool no longer allows");
			expect_says(3, REASON_Kept,
			            "; a Service of another namespace has 10.0.0.1, too, which the "
			            "pool no longer allows");
		}
		put(3, &(struct written){ "k", "80/TCP", NULL, NULL });
		assert_int_equal(has(3), 1);
		stop();
	}
}

/* Nobody is let in before another, whom he could drive out by taking one of its ports. */
static void test_comes_late(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		size_t who;
		int created, first; /* who comes, and shop/b, which has the address */
		const char *more;   /* of the pool */
		const char *says;   /* NULL: it joins */
	} rows[] = {
		{ "the older one", 0, 1, 2, "", "shop/b is younger, and would have to give way" },
		{ "of one second, the lower name", 0, 2, 2, "", NULL },
		{ "of one second, the higher name", 2, 2, 2, "", NULL },
		{ "the younger one", 0, 3, 2, "", NULL },
		{ "of another namespace, the older one", 3, 1, 2, ", share-across-namespaces: true",
		  "a Service of another namespace is younger" },
		{ "of another namespace, of one second, the lower name", 3, 2, 2,
		  ", share-across-namespaces: true", "a Service of another namespace is younger" },
		{ "of another namespace, the younger one", 3, 3, 2,
		  ", share-across-namespaces: true", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *one = xasprintf(ONE "%s", rows[i].more);
		cleanup_free char *two = xasprintf(TWO "%s", rows[i].more);
		size_t who = rows[i].who;

		start(one);
		w.created[1] = rows[i].first;
		w.created[who] = rows[i].created;
		put(1, &udp);
		put(who, &tcp);
		if (has(who) != !rows[i].says)
			fail_msg("%s: %s", rows[i].what, w.records[who]->lb.message);
		if (rows[i].says) {
			expect_says(who, REASON_PoolExhausted, rows[i].says);
			put(who, &(struct written){ "k", "53/TCP", NULL, "10.0.0.1" });
			expect_says(who, REASON_AddressNotShared, rows[i].says);
			put(who, &tcp);
			start(two);
			assert_int_equal(has(who), 2);
			delete (who);
			w.created[who] = 9;
			put(who, &tcp);
		}
		if (has(who) != 1)
			fail_msg("%s, created anew: %s", rows[i].what, w.records[who]->lb.message);
		start(two);
		assert_int_equal(has(1), 1);
		assert_int_equal(has(who), 1);
		stop();
	}
}

/* Those that have it already stay, also where statuses were written by another program. */
static void test_older_one_is_adopted(void **state)
{
	(void)state;
	static const char *const statuses[] = {
		",\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.0.0.1\"}]}}",
		",\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.0.0.1\",\"ports\":["
		"{\"port\":53,\"protocol\":\"TCP\"}]}]}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		start(TWO);
		put(1, &udp);
		w.status[0] = xstrdup(statuses[i]);
		put(0, &tcp);
		expect("it has it by now", 1, 1, 0);
		start(TWO);
		expect("under another leader, too", 1, 1, 0);
		stop();
	}
}

/* The last number of the address, or 0; with "s" if the status says that it is shared. */
static void expect_status(const char *what, size_t i, const char *want)
{
	cleanup_free char *is = xasprintf("%d%s", has(i), strstr(w.status[i], "ports") ? "s" : "");

	if (strcmp(is, want) != 0)
		fail_msg("%s: %s has %s, not %s: %s", what, names[i], is, want,
		         w.records[i]->lb.message);
}

static void test_asks_in_vain(void **state)
{
	(void)state;
	static const struct {
		const char *what, *asks;
		enum reason reason;
	} rows[] = {
		{ "no address", "nonsense", REASON_InvalidRequest },
		{ "of no pool", "192.0.2.1", REASON_AddressOutsidePools },
		{ "of a family that it has not", "2001:db8::1", REASON_FamilyMismatch },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct written consents = { "k", "53/UDP", NULL, rows[i].asks };
		start(TWO);
		put(0, &(struct written){ NULL, "53/UDP" });
		expect_status(rows[i].what, 0, "1");
		put(0, &consents);
		expect_says(0, rows[i].reason, "");
		put(1, &tcp);
		expect_status(rows[i].what, 0, "1s");
		expect_status(rows[i].what, 1, "1s");
		stop();
	}
}

/* It goes with them, but no pool gives the address any more. */
static void test_asks_for_a_retained_one(void **state)
{
	(void)state;
	static const char *const pools[] = { "10.0.0.8/32]", TWO ", exclude: [10.0.0.1/32]" };

	for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
		start(ONE);
		put(0, &udp);
		start(pools[i]);
		put(1, &(struct written){ "k", "53/TCP", NULL, "10.0.0.1" });
		expect_says(1, REASON_AddressTaken, "belongs to shop/a");
		stop();
	}
}

/*
 * One of two that came together has its address reserved, and the other may have it as well, asked
 * for or not, whichever is decided first.
 */
static void test_who_comes_before_what_is_reserved(void **state)
{
	(void)state;
	static const char *const pools[] = {
		ONE ", reservations: [{service: shop/a, address: 10.0.0.1}]",
		ONE ", reservations: [{service: shop/b, address: 10.0.0.1}]",
	};

	for (size_t i = 0; i < 4 * ARRAY_LEN(pools); i++) {
		const char *asks = i & 1 ? "10.0.0.1" : NULL;
		const size_t owner = i / 4, other = 1 - owner;
		const struct written wants[] = { { "k", "53/UDP" }, { "k", "53/TCP", NULL, asks } };
		start(pools[owner]);
		w.created[0] = w.created[1] = 1;
		bring(other, &wants[1]);
		if (i & 2) {
			settle();
			expect_says(other, asks ? REASON_AddressReserved : REASON_PoolExhausted,
			            "");
		}
		put(owner, &wants[0]);
		expect(pools[owner], 1, 1, 0);
		stop();
	}
}

/* The load balancer's part has it, with an older Service: external IPs are not kept waiting. */
static void test_other_part_has_what_is_reserved(void **state)
{
	(void)state;
	const struct ipam_request r = { .wish = IPAM_WISH_ADDRESS,
		                        .use = CONFIG_USE_EXTERNAL_IP,
		                        .pool = (char *)(uintptr_t) "lan",
		                        .families = { 4 },
		                        .n_families = 1 };
	struct ipam_decision d;

	start(TWO);
	put(0, &udp);
	put(1, &tcp);
	start(TWO ", use: [load-balancer, external-ip], "
	          "reservations: [{service: shop/b, address: 10.0.0.1}]");
	expect("they stay", 1, 1, 0);
	ipam_decide(w.ipam, "shop/b (external IPs)", &r, &d);
	if (d.reason != REASON_Assigned || d.n != 1 || d.addrs[0].b[3] != 2)
		fail_msg("%s %s", reason_name(d.reason), d.message);
	stop();
}

/* Its status does not say so: another leader would believe it. */
static void test_shares_not_what_it_may_not_have(void **state)
{
	(void)state;
	start(TWO);
	put(0, &(struct written){ NULL, "53/UDP" });
	put(2, &(struct written){ NULL, "80/TCP" });
	w.status[1] = xstrdup(w.status[0]);
	put(1, &(struct written){ "k", "53/TCP", NULL, "10.0.0.2" });
	expect_says(1, REASON_AddressNotShared, "");
	expect_status("another one's", 1, "1");
	stop();
}

#define INGRESS(entries) ",\"status\":{\"loadBalancer\":{\"ingress\":[" entries "]}}"

/* What is not ours to give is not shared either. */
static void test_not_ours(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct written first;
		const char *status;
	} rows[] = {
		{ "another class",
		  { "k", "53/UDP", .class = "example.com/other" },
		  INGRESS("{\"ip\":\"10.0.0.1\"}") },
		{ "another class, which lists ports",
		  { "k", "53/UDP", .class = "example.com/other" },
		  INGRESS("{\"ip\":\"10.0.0.1\",\"ports\":[{\"port\":53,\"protocol\":\"UDP\"}]}") },
		{ "no load balancer, and not all of its addresses are ours",
		  { "k", "53/UDP", .type = "ClusterIP" },
		  INGRESS("{\"ip\":\"10.0.0.1\"},{\"ip\":\"192.0.2.1\"}") },
		{ "a host name",
		  { "k", "53/UDP" },
		  INGRESS("{\"ip\":\"10.0.0.1\"},{\"hostname\":\"lb.example.com\"}") },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		start(TWO);
		w.status[0] = xstrdup(rows[i].status);
		put(0, &rows[i].first);
		put(1, &tcp);
		if (has(1) != 2)
			fail_msg("%s: .%d, %s", rows[i].what, has(1), w.records[1]->lb.message);
		put(1, &(struct written){ "k", "53/TCP", NULL, "10.0.0.1" });
		expect_says(1, REASON_AddressNotShared, "shop/a has addresses that others wrote");
		stop();
	}
}

/* Its address is in its status for a while, and nobody has to leave for that. */
static void test_wants_none_any_more(void **state)
{
	(void)state;
	start(TWO);
	put(0, &udp);
	put(1, &tcp);
	put(0, &(struct written){ "k", "53/UDP", .type = "ClusterIP" });
	expect("the younger one has it alone", 0, 1, 0);
	stop();
}

/* Of those that are one too many the younger goes, whoever of them has changed. */
static void test_falls_out(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		size_t who;
		struct written changed;
		const char *says;
	} rows[] = {
		{ "the younger takes a port of the older",
		  1,
		  { "k", "53/UDP", NULL, NULL },
		  "shop/a has port 53/UDP, too" },
		{ "the older takes a port of the younger",
		  0,
		  { "k", "53/UDP 53/TCP", NULL, NULL },
		  "shop/a has port 53/TCP, too" },
		{ "the younger has another key",
		  1,
		  { "x", "53/TCP", NULL, NULL },
		  "shop/a has not the same" },
		{ "the younger has none",
		  1,
		  { NULL, "53/TCP", NULL, NULL },
		  "shop/a has not the same" },
		{ "the older has none",
		  0,
		  { NULL, "53/UDP", NULL, NULL },
		  "shop/a has not the same" },
		{ "another policy",
		  1,
		  { "k", "53/TCP", "dns", NULL },
		  "another externalTrafficPolicy" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct written *before = rows[i].who ? &tcp : &udp;
		start(TWO);
		put(0, &udp);
		put(1, &tcp);
		expect("together", 1, 1, 0);
		put(rows[i].who, &rows[i].changed);
		expect(rows[i].what, 1, 2, 0);
		stop();

		/* It keeps what it has while there is no other, also under another leader. */
		start(ONE);
		put(0, &udp);
		put(1, &tcp);
		put(rows[i].who, &rows[i].changed);
		expect(rows[i].what, 1, 1, 0);
		expect_says(1, REASON_SharingEnded, rows[i].says);
		start(ONE);
		expect(rows[i].what, 1, 1, 0);
		expect_says(1, REASON_SharingEnded, rows[i].says);
		put(rows[i].who, before);
		expect("it is undone", 1, 1, 0);
		expect_says(1, REASON_Kept, "");
		put(rows[i].who, &rows[i].changed);
		start(TWO);
		expect("there is room by now", 1, 2, 0);
		stop();
	}
}

static void test_third_stays(void **state)
{
	(void)state;
	start("10.0.0.1-10.0.0.3]");
	put(0, &udp);
	put(1, &tcp);
	put(2, &web);
	put(1, &(struct written){ "k", "53/UDP 80/TCP", NULL, NULL });
	expect("the one that clashes with the oldest does not count", 1, 2, 1);
	stop();
}

#define FOR_BOTH ", use: [load-balancer, external-ip]"
static const struct written external_udp = { "k", "53/UDP", .type = "ClusterIP", .external = true };
static const struct written external_tcp = { "k", "53/TCP", .type = "ClusterIP", .external = true };

/* External IPs as load balancers' addresses, by what the conditions say. */
static void test_external(void **state)
{
	(void)state;
	start(TWO FOR_BOTH);
	put(0, &external_udp);
	expect_says(0, REASON_Assigned, KUBE_CONFIRMS_ASSIGNED "10.0.0.1" KUBE_CONFIRMS_SHARED);
	put(1, &external_tcp);
	expect("together", 1, 1, 0);
	assert_true(w.records[1]->external->request.tenancy->n_granted > 0);
	put(2, &external_udp);
	expect("the port is taken", 1, 1, 2);
	start(TWO FOR_BOTH);
	expect("another leader", 1, 1, 2);
	put(1, &external_udp);
	expect_says(1, REASON_SharingEnded, KUBE_CONFIRMS_KEPT "10.0.0.1" KUBE_CONFIRMS_SHARED);
	expect_says(1, REASON_SharingEnded, "shop/a (external IPs) has port 53/UDP, too");
	start(TWO FOR_BOTH);
	expect("it stays until there is another", 1, 1, 2);
	delete (2);
	expect("and there is", 1, 2, 0);
	stop();

	/* Who agrees later has it granted then. */
	start(TWO FOR_BOTH);
	put(0, &(struct written){ NULL, "53/UDP", .type = "ClusterIP", .external = true });
	put(0, &external_udp);
	assert_true(w.records[0]->external->request.tenancy->n_granted > 0);
	put(0, &(struct written){ NULL, "53/UDP", .type = "ClusterIP", .external = true });
	assert_null(w.records[0]->external->request.tenancy);
	stop();

	/* A full pool says what is in the way, and who waits has its turn. */
	start(ONE FOR_BOTH);
	put(0, &external_udp);
	put(1, &external_udp);
	expect("the port is taken", 1, 0, 0);
	expect_says(1, REASON_PoolExhausted,
	            "; 10.0.0.1 cannot be shared: shop/a (external IPs) has port 53/UDP, too");
	put(0, &external_tcp);
	expect("and free", 1, 1, 0);
	put(0, &(struct written){ NULL, "53/TCP", .type = "ClusterIP", .external = true });
	expect_says(1, REASON_SharingEnded, "shop/a (external IPs) has not the same");
	stop();
}

/* Nor does a load balancer share with an external IP, whoever came first. */
static void test_external_is_another_use(void **state)
{
	(void)state;
	start(TWO FOR_BOTH);
	put(0, &external_udp);
	put(1, &tcp);
	put(2, &(struct written){ "k", "80/TCP", .asks = "10.0.0.1" });
	expect("each its own", 1, 2, 0);
	expect_says(2, REASON_AddressNotShared,
	            "of shop/a (external IPs) and this one, one has it as an external IP");
	stop();
}

/* What somebody wrote into the record is no grant, though the condition has one for another. */
static void test_external_by_hand(void **state)
{
	(void)state;
	start(TWO FOR_BOTH);
	put(0, &external_udp);
	put(1, &external_tcp);
	put(2, &external_udp);
	expect("one and two", 1, 1, 2);
	free(w.external[1]);
	w.external[1] = xstrdup("10.0.0.2");
	const struct addr two = w.records[2]->external->request.held[0];
	bring(1, &external_udp);
	assert_false(tenancy_is_granted(w.records[1]->external->request.tenancy, &two));
	assert_false(ipam_holds(w.ipam, w.records[1]->external_key, &two));
	settle();
	expect("the port is taken on both", 1, 1, 2);
	expect_says(1, REASON_SharingEnded, "shop/a (external IPs) has port 53/UDP, too");
	stop();
}

/* Whoever may write Services may write that at any time: nobody loses an address by it. */
static void test_external_beside_one_by_hand(void **state)
{
	static const struct written mixed = { "k", "53/UDP", .type = "ClusterIP", .external = true,
		                              .by_hand = "203.0.113.9" };
	static const struct written web_too = { "k", "80/TCP", .type = "ClusterIP",
		                                .external = true };

	(void)state;
	start(TWO FOR_BOTH);
	put(0, &external_udp);
	put(1, &external_tcp);
	put(0, &mixed);
	expect("together", 1, 1, 0);
	expect_says(0, REASON_ExternalIpsMixed, "keeps 10.0.0.1" KUBE_CONFIRMS_SHARED);
	expect_says(1, REASON_Assigned, "");
	put(2, &web_too);
	expect("nobody else is let in", 1, 1, 2);
	put(3, &(struct written){ "k", "81/TCP", .by_hand = "10.0.0.1" });
	start(TWO FOR_BOTH);
	expect("another leader", 1, 1, 2);
	stop();

	start(ONE FOR_BOTH);
	put(0, &mixed);
	put(0, &external_udp);
	put(0, &mixed);
	put(2, &web_too);
	expect_says(2, REASON_PoolExhausted,
	            "shop/a (external IPs) has addresses that others wrote");
	put(0, &external_udp);
	expect("it is taken out again", 1, 0, 1);
	stop();
}

/*
 * A record that nothing confirms lets nobody in where older ones are: not of the pool's namespaces
 * nor of others, not for a leader that has just come.  Having got in, it would drive them out.
 */
static void test_external_record_joins_nobody(void **state)
{
	static const struct {
		const char *what;
		size_t who;
		struct written early, late;
	} rows[] = {
		{ "older, and asks for it",
		  2,
		  { "k", "80/TCP", .type = "ClusterIP", .external = true },
		  { "k", "53/UDP", .type = "ClusterIP", .external = true } },
		{ "older, and asks for nothing",
		  2,
		  { "k", "80/TCP", .type = "ClusterIP" },
		  { "k", "53/UDP", .type = "ClusterIP" } },
		{ "of another namespace, and is being deleted",
		  3,
		  { "k", "80/TCP", .type = "ClusterIP", .deleting = true },
		  { "k", "53/UDP", .type = "ClusterIP", .deleting = true } },
		{ "of another class",
		  3,
		  { "k", "80/TCP", .class = "example.com/x" },
		  { "k", "53/UDP", .class = "example.com/x" } },
	};
	struct addr one;

	(void)state;
	assert_int_equal(addr_parse("10.0.0.1", &one), 0);
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		const char *pool =
			TWO FOR_BOTH ", share-across-namespaces: true, namespaces: [shop]";
		size_t who = rows[i / 2].who;
		start(pool);
		w.created[0] = 9;
		put(0, &external_udp);
		w.external[who] = xstrdup("10.0.0.1");
		put(who, &rows[i / 2].early);
		free(w.external[who]);
		w.external[who] = xstrdup("10.0.0.1");
		bring(who, &rows[i / 2].early);
		if (i % 2)
			start(pool);
		bring(who, &rows[i / 2].late);
		if (ipam_holds(w.ipam, w.records[who]->external_key, &one))
			fail_msg("%s: it is let in", rows[i / 2].what);
		settle();
		if (has(0) != 1 || w.records[0]->external->reason != REASON_Assigned)
			fail_msg("%s: .%d, %s", rows[i / 2].what, has(0),
			         w.records[0]->external->message);
		stop();
	}
}

/* They were let share this very address, both for the same use. */
static void test_who_was_let_in(void **state)
{
	static const struct {
		const char *what, *first, *second; /* what each was let share; NULL: nothing */
		bool external, comes_in;
	} rows[] = {
		{ "both of this one", "10.0.0.1", "10.0.0.1", false, true },
		{ "the second of another", "10.0.0.1", "10.0.0.2", false, false },
		{ "the first of another", "10.0.0.2", "10.0.0.1", false, false },
		{ "the second of none", "10.0.0.1", NULL, false, false },
		{ "the second as an external IP", "10.0.0.1", "10.0.0.1", true, false },
	};
	struct addr one;

	(void)state;
	assert_int_equal(addr_parse("10.0.0.1", &one), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const granted[] = { rows[i].first, rows[i].second };
		static const char *const keys[] = { "shop/a", "evil/d" };
		size_t n[2];
		start(TWO);
		for (size_t k = 0; k < 2; k++) {
			struct kube_service *s = parse(keys[k], k ? &tcp : &udp, 2 - (int)k, "");
			struct tenancy *t =
				rows[i].external && k ? tenancy_of_external(s) : tenancy_of(s);
			struct addr a;
			if (granted[k] && addr_parse(granted[k], &a) == 0)
				tenancy_grant(t, &a, 1);
			ipam_set_tenancy(w.ipam, keys[k], t);
			n[k] = ipam_hold(w.ipam, keys[k], &one, 1);
			tenancy_free(t);
			kube_service_free(s);
		}
		if (n[0] != 1 || n[1] != rows[i].comes_in)
			fail_msg("%s: %zu, %zu", rows[i].what, n[0], n[1]);
		stop();
	}
}

/* What the older one says by now is a reason to ask again. */
static void test_waits_for_consent(void **state)
{
	(void)state;
	start(ONE);
	put(0, &(struct written){ NULL, "53/UDP", NULL, NULL });
	put(1, &tcp);
	expect("it has no key", 1, 0, 0);
	put(0, &udp);
	expect("now it has", 1, 1, 0);
	put(2, &udp);
	expect("the port is taken", 1, 1, 0);
	put(0, &(struct written){ "k", "54/UDP", NULL, NULL });
	expect("and free", 1, 1, 1);
	stop();
}

/* What was granted is no news to those that wait. */
static void test_grant_wakes_nobody(void **state)
{
	(void)state;
	start(ONE);
	put(0, &udp);
	put(1, &udp);
	expect("the port is taken", 1, 0, 0);
	for (int i = 0; i < 2; i++) {
		struct tenancy *t = tenancy_copy(w.records[0]->lb.request.tenancy);
		tenancy_grant(t, w.records[0]->lb.request.held, (size_t)i);
		assert_false(ipam_set_tenancy(w.ipam, names[0], t));
		assert_false(turn_is_concerned(w.ipam, w.records[1]));
		tenancy_free(t);
	}
	stop();
}

/* An address of a pool that it has nothing to do with became free. */
static void test_whom_a_pool_concerns(void **state)
{
	(void)state;
	static const struct {
		const char *what, *other; /* what wan says besides */
		struct written first, second;
		int has;
		bool concerned;
	} rows[] = {
		{ "one that waits", "", { "k", "53/UDP" }, { "k", "53/UDP" }, 0, true },
		{ "one that waits for other pools",
		  ", auto-assign: false",
		  { "k", "53/UDP" },
		  { "k", "53/UDP" },
		  0,
		  false },
		{ "one that has its address", "", { "k", "53/TCP" }, { "k", "53/TCP" }, 1, false },
		{ "one that stays for want of another",
		  "",
		  { "k", "53/TCP" },
		  { "x", "53/TCP" },
		  1,
		  true },
		{ "one that stays, and would not get it",
		  ", disabled: true",
		  { "k", "53/TCP" },
		  { "x", "53/TCP" },
		  1,
		  false },
	};
	struct addr a;

	assert_int_equal(addr_parse("10.0.0.2", &a), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *pools =
			xasprintf(ONE
		                  "}\n- {name: wan, protocol: layer2, addresses: [10.0.0.2/32]%s",
		                  rows[i].other);
		start(pools);
		ipam_hold(w.ipam, "x/y", &a, 1);
		put(0, &udp);
		put(1, &rows[i].first);
		put(1, &rows[i].second);
		assert_int_equal(has(1), rows[i].has);
		assert_false(turn_is_concerned(w.ipam, w.records[1]));
		ipam_release(w.ipam, "x/y");
		if (turn_is_concerned(w.ipam, w.records[1]) != rows[i].concerned)
			fail_msg("%s", rows[i].what);
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_joins),
		cmocka_unit_test(test_joins_not),
		cmocka_unit_test(test_another_namespace),
		cmocka_unit_test(test_edit_of_pools),
		cmocka_unit_test(test_comes_late),
		cmocka_unit_test(test_older_one_is_adopted),
		cmocka_unit_test(test_asks_in_vain),
		cmocka_unit_test(test_asks_for_a_retained_one),
		cmocka_unit_test(test_who_comes_before_what_is_reserved),
		cmocka_unit_test(test_other_part_has_what_is_reserved),
		cmocka_unit_test(test_shares_not_what_it_may_not_have),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_wants_none_any_more),
		cmocka_unit_test(test_falls_out),
		cmocka_unit_test(test_third_stays),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_external_is_another_use),
		cmocka_unit_test(test_external_by_hand),
		cmocka_unit_test(test_external_beside_one_by_hand),
		cmocka_unit_test(test_external_record_joins_nobody),
		cmocka_unit_test(test_who_was_let_in),
		cmocka_unit_test(test_waits_for_consent),
		cmocka_unit_test(test_grant_wakes_nobody),
		cmocka_unit_test(test_whom_a_pool_concerns),
	};

	return cmocka_run_group_tests_name("tenancy", tests, NULL, NULL);
}
