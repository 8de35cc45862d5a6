/* SPDX-License-Identifier: Apache-2.0 */
/* `fairlead version`: which versions run where, and whether they are one. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "cli/verdict_private.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* ---- whether they are one ---- */

/* A daemon of which the version is known. */
struct part {
	const char *what, *where, *version;
};

/* What it said; NULL: it was not asked. */
static const struct model_controller *controller_in(const struct model *m,
                                                    const struct kube_pod *pod)
{
	for (size_t i = 0; i < m->n_controllers; i++)
		if (!strcmp(m->controllers[i].pod, pod->meta.name))
			return &m->controllers[i];
	return NULL;
}

static struct part *parts_of(const struct model *m, size_t *ret_n)
{
	struct part *parts = xcalloc(m->n_controllers + m->n_nodes + 1, sizeof(*parts));
	size_t n = 0;

	for (size_t i = 0; i < m->pods.n; i++) {
		const struct kube_pod *pod = m->pods.items[i];
		const struct model_controller *c = controller_in(m, pod);
		if (c && c->answered && *c->version)
			parts[n++] = (struct part){ "controller", pod->node ? pod->node : "",
				                    c->version };
	}
	for (size_t i = 0; i < m->n_nodes; i++)
		if (m->nodes[i].answered && *m->nodes[i].version)
			parts[n++] =
				(struct part){ "speaker", m->nodes[i].name, m->nodes[i].version };
	*ret_n = n;
	return parts;
}

/* Of the version of parts[first]: "controller on n1; speaker on n1, n2". */
static char *who_has(const struct part *parts, size_t n, size_t first)
{
	struct buf out = BUF_INIT;
	const char *last = NULL;

	for (size_t i = first; i < n; i++) {
		const struct part *p = &parts[i];
		if (strcmp(p->version, parts[first].version) != 0)
			continue;
		if (last && !strcmp(last, p->what))
			buf_printf(&out, ", %s", p->where);
		else
			buf_printf(&out, "%s%s on %s", last ? "; " : "", p->what, p->where);
		last = p->what;
	}
	return buf_take(&out);
}

static bool is_first_of_its(const struct part *parts, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(parts[k].version, parts[i].version))
			return false;
	return true;
}

/* That this program alone is of another does the cluster no harm. */
void verdict_find_versions(const struct model *m, struct findings *f)
{
	size_t n, n_versions = 0;
	struct part *parts = parts_of(m, &n);

	for (size_t i = 0; i < n; i++)
		n_versions += is_first_of_its(parts, i);
	for (size_t i = 0; i < n && n_versions > 1; i++)
		if (is_first_of_its(parts, i))
			verdict_add(f, VERDICT_DEGRADED, REASON_VersionSkew,
			            xasprintf("version %s", parts[i].version),
			            who_has(parts, n, i));
	if (n_versions == 1 && strcmp(parts[0].version, PACKAGE_VERSION) != 0)
		verdict_add(f, VERDICT_OK, REASON_VersionSkew, xstrdup("this program"),
		            xasprintf("it is %s, and all daemons are %s", PACKAGE_VERSION,
		                      parts[0].version));
	free(parts);
}

/* ---- printing ---- */

static const struct out_table controllers_table = {
	.title = "Controllers",
	.columns = { { "node", "NODE" },
	             { "pod", "POD" },
	             { "role", "ROLE" },
	             { "said", "VERSION" } },
};

static const struct out_table speakers_table = {
	.title = "Speakers",
	.columns = { { "node", "NODE" }, { "said", "VERSION" } },
};

static void put_version(const char *version, struct out *o)
{
	out_bool(o, "reachable", true);
	out_str(o, "version", version);
	out_cell(o, "said", "%s", version);
}

static void put_controller(const struct model_controller *c, const struct kube_pod *pod,
                           struct out *o)
{
	out_object(o, NULL);
	out_row(o);
	out_str(o, "pod", pod->meta.name);
	out_str(o, "node", pod->node ? pod->node : "");
	if (c && c->answered) {
		put_version(c->version, o);
		out_bool(o, "leader", c->leads);
		out_cell(o, "role", "%s", c->leads ? "leader" : "standby");
	} else {
		cleanup_free char *trouble = c ? NULL : pod_trouble(pod);
		out_bool(o, "reachable", false);
		out_str(o, "error", c ? c->error : trouble);
		out_cell(o, "said", "%s%s", c ? "silent: " : "not running",
		         c && c->error ? c->error : "");
	}
	out_close(o);
}

static void put_speaker(const struct model *m, const struct model_node *n, struct out *o)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;

	out_object(o, NULL);
	out_row(o);
	out_str(o, "node", n->name);
	if (n->answered) {
		put_version(n->version, o);
	} else {
		enum reason reason = model_silence(m, n, &why);
		out_bool(o, "reachable", false);
		out_str(o, "error", n->error ? n->error : "not asked");
		out_str(o, "reason", reason_name(reason));
		out_cell(o, "said", "%s", model_silence_word(reason));
	}
	out_close(o);
}

void cluster_version_print(struct model *m, const struct findings *f, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "version", PACKAGE_VERSION);
	out_say(o, "fairlead %s", PACKAGE_VERSION);
	if (m) {
		verdict_print(f, "verdict", o);
		out_table(o, &controllers_table);
		out_list(o, "controllers");
		for (size_t i = 0; i < m->pods.n; i++)
			if (pod_is(m->pods.items[i], PODS_CONTROLLER))
				put_controller(controller_in(m, m->pods.items[i]), m->pods.items[i],
				               o);
		out_close(o);
		out_table_end(o);
		out_table(o, &speakers_table);
		out_list(o, "speakers");
		for (size_t i = 0; i < m->n_nodes; i++)
			put_speaker(m, &m->nodes[i], o);
		out_close(o);
		out_table_end(o);
	}
	out_close(o);
}
