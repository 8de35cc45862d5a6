/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairlead reserve`: the lines with which the configuration keeps an address for a Service, and
 * what would come of them.  They are printed, not written: where they go in the text, and who keeps
 * that text, is the administrator's to know.
 *
 * Whether the controller would take them is asked of the checker, with the configuration in force
 * as it prints that, in which there is always a place for one more reservation.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/commands.h"
#include "cli/plan.h"
#include "cli/trial.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define PROBLEMS_SAID 3

struct wish {
	char *key;
	struct addr address;
	const struct config_pool *pool;
};

/*
 * The checker would say so, too, but by lines that are not those of the administrator's text.
 * NULL: nothing stands in the way.
 */
static const struct config_reservation *earlier(const struct wish *wish)
{
	for (size_t i = 0; i < wish->pool->n_reservations; i++) {
		const struct config_reservation *r = &wish->pool->reservations[i];
		if (addr_eq(&r->address, &wish->address) ||
		    (r->address.family == wish->address.family && !strcmp(r->service, wish->key)))
			return r;
	}
	return NULL;
}

static int read_wish(const struct trial *t, struct wish *wish, struct err *e)
{
	const struct command_options *o = t->o;

	wish->key = trial_key(o->operands[0]);
	wish->pool = configuration_giving_pool_of(t->config, &wish->address);
	if (!wish->pool)
		return err_set(e, -EPERM, ERR_CONFIG, "%s is in no pool", addr_str(&wish->address));
	if (o->pool && strcmp(o->pool, wish->pool->name) != 0)
		return err_set(e, -EPERM, ERR_CONFIG, "%s is of pool %s, not of pool %.100s",
		               addr_str(&wish->address), wish->pool->name, o->pool);
	const struct config_reservation *r = earlier(wish);
	return r ? err_set(e, -EEXIST, ERR_CONFIG, "pool %s has %s reserved for %s already",
	                   wish->pool->name, addr_str(&r->address), r->service)
	         : 0;
}

/* ---- the configuration as it would be ---- */

/* As a reader of YAML takes it, too.  NULL only if the printer and we disagree about JSON. */
static struct json_object *in_force(const struct configuration *c)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct out o;

	out_init(&o, OUT_JSON, &text);
	configuration_print(c, &o, NULL);
	out_fini(&o);
	return kube_json_parse(buf_str(&text), text.size);
}

static struct json_object *pool_named(struct json_object *config, const char *name)
{
	struct json_object *pools = kube_json_get(config, "address-pools", json_type_array, NULL);
	size_t n = pools ? json_object_array_length(pools) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *pool = json_object_array_get_idx(pools, i);
		const char *is = kube_json_str(pool, "name", NULL);
		if (is && !strcmp(is, name))
			return pool;
	}
	return NULL;
}

static void put_reservation(struct json_object *pool, const struct wish *wish)
{
	struct json_object *list = kube_json_get(pool, "reservations", json_type_array, NULL);
	struct json_object *one = json_object_new_object();

	json_object_object_add(one, "service", json_object_new_string(wish->key));
	json_object_object_add(one, "address", json_object_new_string(addr_str(&wish->address)));
	if (!list) {
		list = json_object_new_array();
		json_object_object_add(pool, "reservations", list);
	}
	json_object_array_add(list, one);
}

static int parse(struct json_object *config, struct configuration **ret_config, struct err *e)
{
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	cleanup(buf_fini) struct buf said = BUF_INIT;
	const char *text = json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN);

	if (configuration_parse(text, strlen(text), ret_config, &errors, &warnings) == 0)
		return 0;
	for (size_t i = 0; i < errors.n && i < PROBLEMS_SAID; i++)
		buf_printf(&said, "%s%s: %s", i ? "; " : "",
		           errors.items[i].path ? errors.items[i].path : "",
		           errors.items[i].message);
	return err_set(e, -EPERM, ERR_CONFIG, "the controller would refuse that: %s",
	               buf_str(&said));
}

static int amended(const struct trial *t, const struct wish *wish,
                   struct configuration **ret_config, struct err *e)
{
	struct configuration *c = trial_configuration(t);
	struct json_object *config = in_force(c);
	struct json_object *pool = config ? pool_named(config, wish->pool->name) : NULL;
	int r = -EINVAL;

	configuration_unref(c);
	if (pool) {
		put_reservation(pool, wish);
		r = parse(config, ret_config, e);
	} else {
		err_set(e, r, ERR_BUG, "pool %s is not in the configuration as printed",
		        wish->pool->name);
	}
	json_object_put(config);
	return r;
}

/* ---- the answer ---- */

/* In quotes, so that nothing in it is YAML: IPv6 addresses have colons, and a word any letters. */
static void show_lines(const struct wish *wish, struct out *o)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	buf_puts(&text, "- {service: ");
	buf_json_str(&text, wish->key);
	buf_printf(&text, ", address: \"%s\"}", addr_str(&wish->address));
	const char *line = buf_str(&text);

	out_str(o, "pool", wish->pool->name);
	out_str(o, "line", line);
	if (wish->pool->n_reservations > 0) {
		out_say(o,
		        "In the configuration, to the reservations of pool %s:", wish->pool->name);
	} else {
		out_say(o, "In the configuration, to pool %s:", wish->pool->name);
		out_say(o, "  reservations:");
	}
	out_say(o, "  %s", line);
}

static void show_holding(const struct plan *with, const struct wish *wish, struct out *o)
{
	struct plan_outcome is = { .fails = false };
	bool had = false, known = plan_outcome_of(with, wish->key, &is);
	const char *other = plan_other_with(with, wish->key, &wish->address, &had);

	out_str(o, "holder", other);
	out_gap(o);
	if (other)
		out_say(o, "%s keeps %s for as long as it likes, and only %s is given it then.",
		        other, addr_str(&wish->address), wish->key);
	else if (!known)
		out_say(o, "There is no such Service yet, or it wants no address: it is kept.");
	else if (addrs_contain(is.after, is.n_after, &wish->address))
		out_say(o, "%s has it, or is given it.", wish->key);
	else if (is.n_after)
		out_say(o,
		        "A reservation moves nobody: %s keeps what it has, until fairlead move "
		        "sends it there.",
		        wish->key);
	else
		out_say(o, "%s is not given it as things are: %s.", wish->key, is.message);
	plan_outcome_fini(&is);
}

static void show(const struct trial *t, struct configuration *c, const struct wish *wish,
                 struct out *o)
{
	cleanup(buf_fini) struct buf warnings = BUF_INIT;
	struct configuration *now = trial_configuration(t);
	struct plan *without = trial_plan_under(t, now), *with = trial_plan_under(t, c);

	plan_warnings(with, &warnings);
	fputs(buf_str(&warnings), stderr);
	out_object(o, NULL);
	out_str(o, "service", wish->key);
	out_addr(o, "address", &wish->address);
	show_lines(wish, o);
	show_holding(with, wish, o);
	plan_print_part(with, without, wish->key, "plan", o);
	out_close(o);
	plan_free(without);
	plan_free(with);
	configuration_unref(now);
}

static int reserve(const struct trial *t, struct wish *wish, struct err *e)
{
	cleanup(command_answer_fini) struct command_answer a;
	struct configuration *c = NULL;

	command_answer_init(&a, t->o);
	if (read_wish(t, wish, e) < 0 || amended(t, wish, &c, e) < 0)
		return COMMAND_CHANGES;
	show(t, c, wish, &a.out);
	command_print(&a);
	configuration_unref(c);
	return state_exit(&t->state, COMMAND_OK, e);
}

static int run_reserve(const struct command_options *o, struct err *e)
{
	struct wish wish = { .key = NULL };
	struct trial t = { .o = o };
	int exit_status = COMMAND_FAILED;

	if (addr_parse(o->operands[1], &wish.address) < 0) {
		err_set(e, -EINVAL, ERR_CONFIG, "\"%.100s\" is no address", o->operands[1]);
		return COMMAND_USAGE;
	}
	if (trial_read(&t, o, e) == 0)
		exit_status = reserve(&t, &wish, e);
	free(wish.key);
	trial_fini(&t);
	return exit_status;
}

const struct command command_reserve = {
	.words = { "reserve" },
	.operands = "[NAMESPACE/]SERVICE ADDRESS [--pool NAME] [--state FILE…]",
	.names = NAMES_SERVICES,
	.n = 2,
	.flags = FLAGS_CLUSTER | FLAGS_OUTPUT | FLAGS_STATE | FLAGS_POOL | FLAGS_CLASS,
	.summary = "prints the lines with which the configuration keeps this address for this "
		   "Service, and what would come of them; nothing is written",
	.about = "The namespace is default if none is given; the Service need not exist yet.",
	.exits = { [COMMAND_CHANGES] = "the controller would refuse it, or the address is of no "
	                               "pool, or of another" },
	.run = run_reserve,
};
