/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document in a file of its own, or as a text in a ConfigMap's manifest, beside others; or the
 * command line of a container.  Lines
 * are the file's, as far as the quoting leaves them: a literal block keeps its lines, and of every
 * other text the line of its key is the best there is.
 */
#include "config.h"

#include "fairlead/kube_proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/kube_proxy_fields.h"
#include "fairlead/mem.h"

#define KIND "KubeProxyConfiguration"
#define CONFIG_KEY "config.conf"
#define KUBECONFIG_KEY "kubeconfig.conf"

static int problem_cmp(const void *a, const void *b)
{
	const struct config_problem *pa = a, *pb = b;

	if (pa->line != pb->line)
		return pa->line < pb->line ? -1 : 1;
	return strcmp(pa->path, pb->path);
}

static void sort(struct config_problems *p)
{
	if (p->n)
		qsort(p->items, p->n, sizeof(p->items[0]), problem_cmp);
}

static void report(struct kube_proxy *ret, unsigned int line, const char *message)
{
	struct schema_ctx x = { .errors = &ret->errors };

	schema_error(&x, line, "%s", message);
	buf_fini(&x.path);
}

/* Lines within a text that is folded or escaped are not those of the file. */
static void pin_lines(struct config_problems *p, const struct ynode *text)
{
	for (size_t i = 0; i < p->n; i++)
		p->items[i].line = text->line;
}

static void read_text_in(const struct ynode *text, const struct ynode *kubeconfig,
                         struct kube_proxy *ret)
{
	struct ytree tree;
	struct ytree_error broken;

	if (ytree_parse(text->text, strlen(text->text), text->literal ? text->line : 0, &tree,
	                &broken) < 0) {
		report(ret, broken.line, broken.message);
	} else {
		if (tree.root)
			kube_proxy_make(tree.root, kubeconfig, ret);
		else
			report(ret, text->line, CONFIG_KEY " is empty");
		ytree_fini(&tree);
	}
	if (!text->literal) {
		pin_lines(&ret->errors, text);
		pin_lines(&ret->lost, text);
		pin_lines(&ret->remarks, text);
	}
}

static bool is_text(const struct ynode *node, const char *text)
{
	return node && node->kind == YNODE_SCALAR && (!text || !strcmp(node->text, text));
}

/* A ConfigMap that holds the document as a text; NULL: it is no such ConfigMap. */
static const struct ynode *text_in(const struct ynode *document)
{
	const struct ynode *text =
		kube_proxy_member(kube_proxy_member(document, "data"), CONFIG_KEY);

	return is_text(kube_proxy_member(document, "kind"), "ConfigMap") && is_text(text, NULL) &&
	                       strstr(text->text, KIND)
	               ? text
	               : NULL;
}

static void add_words(const struct ynode *list, struct kube_proxy_words *w)
{
	for (size_t i = 0; list && list->kind == YNODE_LIST && i < list->n_entries; i++)
		if (is_text(list->entries[i].value, NULL))
			kube_proxy_words_add(w, list->entries[i].value->text,
			                     list->entries[i].value->line);
}

/* The command line of the first container that runs kube-proxy; false: there is none. */
static bool command_in(const struct ynode *document, struct kube_proxy_words *w,
                       const struct kube_proxy_word **ret_flags, size_t *ret_n)
{
	const struct ynode *spec = kube_proxy_member(document, "spec");
	const struct ynode *template = kube_proxy_member(spec, "template");
	const struct ynode *list = kube_proxy_member(
		template ? kube_proxy_member(template, "spec") : spec, "containers");
	bool found = false;

	for (size_t i = 0; list && list->kind == YNODE_LIST && i < list->n_entries && !found; i++) {
		const struct ynode *container = list->entries[i].value;
		kube_proxy_words_fini(w);
		add_words(kube_proxy_member(container, "command"), w);
		add_words(kube_proxy_member(container, "args"), w);
		*ret_flags = kube_proxy_words_flags(w, ret_n, &found);
	}
	return found;
}

static bool has_command(const struct ynode *document)
{
	cleanup(kube_proxy_words_fini) struct kube_proxy_words w = { .n = 0 };
	const struct kube_proxy_word *first;
	size_t n;

	return command_in(document, &w, &first, &n);
}

static bool has_document(const struct ynode *document)
{
	return is_text(kube_proxy_member(document, "kind"), KIND) || text_in(document);
}

static bool is_ours(const struct ynode *document)
{
	return has_document(document) || has_command(document);
}

static void read_ours(const struct ynode *document, struct kube_proxy *ret)
{
	cleanup(kube_proxy_words_fini) struct kube_proxy_words w = { .n = 0 };
	const struct kube_proxy_word *first;
	size_t n;

	const struct ynode *text = text_in(document);
	const struct ynode *kubeconfig =
		kube_proxy_member(kube_proxy_member(document, "data"), KUBECONFIG_KEY);

	if (text)
		read_text_in(text, is_text(kubeconfig, NULL) ? kubeconfig : NULL, ret);
	else if (has_document(document) || !command_in(document, &w, &first, &n))
		kube_proxy_make(document, NULL, ret);
	else
		kube_proxy_make_of_flags(first, n, ret);
}

static void read_stream(const struct ynode *documents, struct kube_proxy *ret)
{
	const struct ynode *first = NULL, *flags = NULL, *second = NULL;

	for (size_t i = 0; i < documents->n_entries; i++) {
		const struct ynode *document = documents->entries[i].value;
		if (!has_document(document)) {
			if (!has_command(document))
				continue;
			second = second ? second : flags ? document : NULL;
			flags = flags ? flags : document;
			continue;
		}
		if (first)
			report(ret, document->line, "a second " KIND "; keep one");
		first = first ? first : document;
	}
	if (!first && second)
		report(ret, second->line, "a second manifest that runs kube-proxy; keep one");
	/* Beside a document, flags are hardly looked at by kube-proxy either. */
	if (first || flags)
		read_ours(first ? first : flags, ret);
	else
		report(ret, 1,
		       "there is no " KIND " in it, no ConfigMap with one under the key " CONFIG_KEY
		       ", and no container that runs kube-proxy by flags");
}

bool kube_proxy_is(const char *text, size_t size)
{
	struct ytree tree;
	struct ytree_error broken;
	bool found = false;

	if ((!memmem(text, size, KIND, strlen(KIND)) &&
	     !memmem(text, size, KUBE_PROXY_PROGRAM, strlen(KUBE_PROXY_PROGRAM))) ||
	    ytree_parse_stream(text, size, &tree, &broken) < 0)
		return false;
	for (size_t i = 0; i < tree.root->n_entries; i++)
		found |= is_ours(tree.root->entries[i].value);
	ytree_fini(&tree);
	return found;
}

static int finish(struct kube_proxy *ret)
{
	sort(&ret->errors);
	sort(&ret->lost);
	sort(&ret->remarks);
	return ret->errors.n ? -EINVAL : 0;
}

int kube_proxy_read(const char *text, size_t size, struct kube_proxy *ret)
{
	struct ytree tree;
	struct ytree_error broken;

	if (ytree_parse_stream(text, size, &tree, &broken) < 0) {
		report(ret, broken.line, broken.message);
		return -EINVAL;
	}
	read_stream(tree.root, ret);
	ytree_fini(&tree);
	return finish(ret);
}

int kube_proxy_read_args(const char *args, struct kube_proxy *ret)
{
	cleanup(kube_proxy_words_fini) struct kube_proxy_words w = { .n = 0 };
	bool named;
	size_t n;

	kube_proxy_words_add(&w, args, 1);
	for (size_t i = 0; i < w.n; i++)
		w.list[i].line = (unsigned int)i + 1;
	const struct kube_proxy_word *words = kube_proxy_words_flags(&w, &n, &named);
	kube_proxy_make_of_flags(words, n, ret);
	return finish(ret);
}

void kube_proxy_fini(struct kube_proxy *p)
{
	config_problems_fini(&p->errors);
	config_problems_fini(&p->lost);
	config_problems_fini(&p->remarks);
	buf_fini(&p->values);
	buf_fini(&p->flags);
}
