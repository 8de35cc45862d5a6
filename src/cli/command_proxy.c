/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead proxy render`: what a node would program. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/gather.h"
#include "cli/scene.h"
#include "fairlead/forward.h"
#include "fairlead/mem.h"

/* ---- the Services ---- */

struct chosen {
	struct forward *forwards;
	const struct proxy_service **services;
	size_t n;
};

static void chosen_fini(struct chosen *c)
{
	for (size_t i = 0; i < c->n; i++)
		forward_fini(&c->forwards[i]);
	free(c->forwards);
	free(c->services);
}

static void choose_one(const struct scene *s, const struct view_service *known, struct chosen *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->services[i]->key, known->key))
			return;
	const struct forward_node node = { .name = s->o->node,
		                           .zone = scene_zone(s, s->o->node),
		                           .by_rules = proxy_mode_named(s->o->proxy.mode) ==
		                                       PROXY_IPTABLES };

	forward_build(s->view, &node, known, NULL, &c->forwards[c->n]);
	c->services[c->n] = &c->forwards[c->n].service;
	c->n++;
}

static void make_room(struct chosen *c, size_t n)
{
	*c = (struct chosen){ .forwards = xcalloc(n + 1, sizeof(*c->forwards)),
		              .services = xcalloc(n + 1, sizeof(*c->services)) };
}

/* No name of a Service has a dot. */
static bool is_file(const char *word)
{
	return strchr(word, '.') || access(word, R_OK) == 0;
}

/* Those that were named, or all. */
static int choose(const struct scene *s, struct chosen *ret, struct err *e)
{
	const struct command_options *o = s->o;
	const struct kube_service *service;
	const struct view_service *known;
	size_t n_all;

	const struct view_service **all = view_services(s->view, &n_all);
	make_room(ret, o->n_operands ? o->n_operands : n_all);
	for (size_t i = 0; !o->n_operands && i < n_all; i++)
		choose_one(s, all[i], ret);
	free(all);
	for (size_t i = 0; i < o->n_operands; i++) {
		int r = scene_service(s, o->operands[i], &service, &known, e);
		if (r == -ENOENT && o->state.n && is_file(o->operands[i]))
			return err_set(e, r, ERR_CONFIG,
			               "%.320s is no Service: if it is a file of manifests, write "
			               "--state before it, too",
			               o->operands[i]);
		if (r < 0)
			return r;
		choose_one(s, known, ret);
	}
	return 0;
}

static size_t count_of_family(const struct chosen *c, uint8_t family)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->services[i]->halves[family == 6] != NULL;
	return n;
}

/* ---- the text ---- */

static bool is_wanted(const char *family, uint8_t which, const struct chosen *c)
{
	if (!strcmp(family, "any"))
		return count_of_family(c, which) > 0;
	return *family == '0' + which;
}

static int put_family(const struct scene *s, const struct scene_plane *p, uint8_t family,
                      const struct chosen *c, struct out *o, struct err *e)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	size_t n = count_of_family(c, family);
	const struct proxy_node node = scene_facts(s, p, s->o->node);
	int r = proxy_render(&p->options, &node, family, c->services, c->n, &text, e);

	if (r < 0)
		return r;
	out_say(o, "# IPv%d on node %s, mode %s: %zu Service%s", family, s->o->node,
	        s->o->proxy.mode, n, n == 1 ? "" : "s");
	if (out_is_text(o))
		buf_add(o->buf, text.data, text.size);
	out_object(o, NULL);
	out_int(o, "family", family);
	out_str(o, "node", s->o->node);
	out_str(o, "mode", s->o->proxy.mode);
	out_uint(o, "services", n);
	out_str(o, "text", buf_str(&text));
	out_close(o);
	return 0;
}

static int render(const struct scene *s, const struct scene_plane *p, struct out *o, struct err *e)
{
	static const uint8_t families[] = { 4, 6 };
	cleanup(chosen_fini) struct chosen c = { 0 };
	int r = choose(s, &c, e);
	size_t n = 0;

	if (r < 0)
		return r;
	out_list(o, NULL);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(families); i++)
		if (is_wanted(s->o->proxy.family, families[i], &c)) {
			r = put_family(s, p, families[i], &c, o, e);
			n++;
		}
	out_close(o);
	if (n == 0)
		out_say(o, "# none of these Services is carried on any node");
	return r;
}

static int check(const struct command_options *o, struct err *e)
{
	if (!o->node)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "proxy render needs --node NAME: what is programmed differs from "
		               "node to node");
	if (o->config && !o->state.n)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "proxy render takes --config only with --state: a live cluster has "
		               "its own");
	return 0;
}

static int answer(const struct command_options *o, const struct scene_plane *p, struct gather *g,
                  struct err *e)
{
	cleanup(command_answer_fini) struct command_answer a;
	struct scene s;
	int r = scene_open(&s, o, g, e);

	command_answer_init(&a, o);
	if (r < 0)
		return COMMAND_FAILED;
	if (s.n_nodes && !scene_node(&s, o->node))
		r = err_set(e, -ENOENT, ERR_CONFIG, "there is no Node %.300s", o->node);
	if (r == 0)
		r = render(&s, p, &a.out, e);
	if (r == 0)
		command_print(&a);
	int exit_status = r < 0 ? COMMAND_FAILED : state_exit(&s.state, COMMAND_OK, e);
	scene_close(&s);
	return exit_status;
}

static int run_render(const struct command_options *o, struct err *e)
{
	struct scene_plane p;
	struct gather *g = NULL;

	if (check(o, e) < 0 || scene_plane(o, &p, e) < 0)
		return COMMAND_USAGE;
	if (!o->state.n && gather_open(&o->kube, &g, e) < 0)
		return COMMAND_FAILED;
	int exit_status = answer(o, &p, g, e);
	gather_close(g);
	return exit_status;
}

const struct command command_proxy_render = {
	.words = { "proxy", "render" },
	.operands = "--node NAME [--state FILE]… [[NAMESPACE/]SERVICE…]",
	.names = NAMES_SERVICES,
	.more = true,
	.flags = FLAGS_NODE | FLAGS_CONFIG | FLAGS_ADMIN | FLAGS_CLUSTER | FLAGS_OUTPUT |
	         FLAGS_PROXY | FLAGS_FAMILY,
	.summary =
		"what a node would program for the Services of the cluster, or of the "
		"manifests, if these were all: as iptables-restore reads it, or in mode nftables "
		"the elements, as nft does",
	.about =
		"The Services and their rules are built by the speakers' own functions. What only "
		"the node knows is not in it: what it announces from outside all pools, its "
		"gateways, and where others' rules have the accepting jump. No speaker is asked: whatever "
		"of their flags is not the default has to be given here, too, --mode among them. The "
		"elements of mode nftables are the same whatever --detect-local-mode, "
		"--nodeport-addresses, --localhost-nodeports and --clamp-mss say: those are in its "
		"chains.",
	.exits = { [COMMAND_FAILED] = "there is no such Service or Node" },
	.run = run_render,
};
