/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fault.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"
#include "js.h"

struct rule {
	char *verb, *path, *agent; /* NULL: any */
	int64_t next;              /* how often it still strikes; -1: always */
	int64_t every;             /* each so many matches */
	struct fault_action action;
	int64_t matched, struck;
};

struct fault_set {
	struct rule rules[FAULT_RULES_MAX];
	size_t n;
	bool silent, deny_external_ips;
	char *silent_resource; /* NULL: all */
};

struct fault_set *fault_new(void)
{
	return xcalloc(1, sizeof(struct fault_set));
}

void fault_clear(struct fault_set *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->rules[i].verb);
		free(f->rules[i].path);
		free(f->rules[i].agent);
	}
	free(f->silent_resource);
	*f = (struct fault_set){ .n = 0 };
}

void fault_free(struct fault_set *f)
{
	if (!f)
		return;
	fault_clear(f);
	free(f);
}

static int parse_rule(struct json_object *o, struct rule *ret_rule, struct err *err)
{
	static const char *const known[] = { "verb",  "path", "agent",       "next",
		                             "every", "code", "retry_after", "delay_ms",
		                             "drop",  "lose", "undo" };
	if (!js_is(o, json_type_object))
		return err_set(err, -EINVAL, ERR_CONFIG, "a rule must be an object");
	json_object_object_foreach(o, key, val) {
		bool ok = false;
		(void)val;
		for (size_t i = 0; i < ARRAY_LEN(known) && !ok; i++)
			ok = !strcmp(key, known[i]);
		if (!ok)
			return err_set(err, -EINVAL, ERR_CONFIG, "unknown key \"%s\" in a rule",
			               key);
	}
	struct rule rule = { .next = js_int(o, "next", -1), .every = js_int(o, "every", 1) };
	rule.action = (struct fault_action){ .delay_ms = js_int(o, "delay_ms", 0),
		                             .code = (int)js_int(o, "code", 0),
		                             .retry_after_s = (int)js_int(o, "retry_after", 0),
		                             .drop = js_bool(o, "drop", false),
		                             .lose = js_bool(o, "lose", false),
		                             .undo = js_bool(o, "undo", false) };
	if (rule.every < 1 || rule.action.delay_ms < 0 ||
	    rule.action.delay_ms > FAULT_DELAY_MAX_MS ||
	    (rule.action.code && rule.action.code != 200 &&
	     (rule.action.code < 400 || rule.action.code > 599)))
		return err_set(err, -EINVAL, ERR_CONFIG, "a number in a rule is out of range");
	rule.verb = xstrdup_null(js_str(o, "verb"));
	rule.path = xstrdup_null(js_str(o, "path"));
	rule.agent = xstrdup_null(js_str(o, "agent"));
	*ret_rule = rule;
	return 0;
}

int fault_set_rules(struct fault_set *f, struct json_object *o, struct err *err)
{
	struct json_object *rules = js_array(o, "rules"), *silent = js_get(o, "silent");

	if (js_len(rules) > FAULT_RULES_MAX)
		return err_set(err, -E2BIG, ERR_LIMIT, "more than %d rules", FAULT_RULES_MAX);
	fault_clear(f);
	for (size_t i = 0; i < js_len(rules); i++) {
		int r = parse_rule(json_object_array_get_idx(rules, i), &f->rules[f->n], err);
		if (r < 0) {
			fault_clear(f);
			return r;
		}
		f->n++;
	}
	if (js_is(silent, json_type_string))
		f->silent_resource = xstrdup(json_object_get_string(silent));
	f->silent = f->silent_resource || js_bool(o, "silent", false);
	f->deny_external_ips = js_bool(o, "deny_external_ips", false);
	return 0;
}

static bool contains(const char *part, const char *s)
{
	return !part || (s && strstr(s, part));
}

struct fault_action fault_judge(struct fault_set *f, const char *verb, const char *path,
                                const char *agent)
{
	for (size_t i = 0; i < f->n; i++) {
		struct rule *rule = &f->rules[i];
		if ((rule->verb && strcmp(rule->verb, verb) != 0) || !contains(rule->path, path) ||
		    !contains(rule->agent, agent))
			continue;
		if (++rule->matched % rule->every || !rule->next)
			continue;
		rule->next -= rule->next > 0;
		rule->struck++;
		return rule->action;
	}
	return (struct fault_action){ .code = 0 };
}

bool fault_denies_external_ips(const struct fault_set *f)
{
	return f && f->deny_external_ips;
}

bool fault_watches_silent(const struct fault_set *f, const char *resource)
{
	return f->silent && (!f->silent_resource || !strcmp(f->silent_resource, resource));
}

struct json_object *fault_show(const struct fault_set *f)
{
	struct json_object *o = json_object_new_object(), *rules = json_object_new_array();

	for (size_t i = 0; i < f->n; i++) {
		const struct rule *rule = &f->rules[i];
		struct json_object *e = json_object_new_object();
		if (rule->verb)
			js_set_str(e, "verb", rule->verb);
		if (rule->path)
			js_set_str(e, "path", rule->path);
		if (rule->agent)
			js_set_str(e, "agent", rule->agent);
		js_set_int(e, "next", rule->next);
		js_set_int(e, "code", rule->action.code);
		js_set_int(e, "delay_ms", rule->action.delay_ms);
		js_set_int(e, "matched", rule->matched);
		js_set_int(e, "struck", rule->struck);
		json_object_array_add(rules, e);
	}
	js_set(o, "rules", rules);
	js_set(o, "silent", json_object_new_boolean(f->silent));
	js_set(o, "deny_external_ips", json_object_new_boolean(f->deny_external_ips));
	return o;
}
