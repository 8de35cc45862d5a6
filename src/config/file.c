/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text in a file of its own, or as a key of a ConfigMap's manifest, beside which others may
 * stand.  A manifest is known by its kind.  What the text's parser finds is then told with the
 * file's lines: a literal block ("|") begins on the line below its mark and keeps its lines; every
 * other way of quoting folds or escapes them, and the key's line is the best there is.
 */
#include "config.h"

#include "fairlead/configuration.h"

#include <errno.h>
#include <string.h>

#include "config/parse.h"
#include "fairlead/mem.h"
#include "fairlead/ytree.h"

static const struct ynode *member(const struct ynode *map, const char *key)
{
	for (size_t i = 0; map && map->kind == YNODE_MAP && i < map->n_entries; i++)
		if (!strcmp(map->entries[i].key, key))
			return map->entries[i].value;
	return NULL;
}

/* The entry of a key that was there before, or NULL. */
static const struct ynode_entry *second(const struct ynode *map, const char *key)
{
	size_t n = 0;

	for (size_t i = 0; map && map->kind == YNODE_MAP && i < map->n_entries; i++)
		if (!strcmp(map->entries[i].key, key) && n++)
			return &map->entries[i];
	return NULL;
}

static bool is_manifest(const struct ynode *root)
{
	const struct ynode *kind = member(root, "kind");

	return kind && kind->kind == YNODE_SCALAR && member(root, "apiVersion");
}

/* All at the key, since nothing closer is known. */
static void pin_lines(struct config_problems *p, size_t from, const struct ynode *node)
{
	for (size_t i = from; p && i < p->n; i++) {
		struct config_problem *item = &p->items[i];
		if (item->line > 0) {
			char *told =
				xasprintf("%s (line %u of the text)", item->message, item->line);
			free(item->message);
			item->message = told;
		}
		item->line = node->line;
	}
}

static int parse_manifest(const struct ynode *root, struct configuration **ret_config,
                          struct config_problems *errors, struct config_problems *warnings)
{
	struct schema_ctx x = { .errors = errors };
	const struct ynode *kind = member(root, "kind"), *data = member(root, "data");
	const struct ynode *text = member(data, CONFIG_MAP_KEY);
	size_t n_errors = errors->n, n_warnings = warnings ? warnings->n : 0;

	if (strcmp(kind->text, "ConfigMap") != 0) {
		schema_enter_key(&x, "kind");
		schema_error(&x, kind->line,
		             "a manifest of kind %.64s; the configuration is in a ConfigMap, or "
		             "in a file of its own",
		             kind->text);
	} else if (second(root, "data") || second(data, CONFIG_MAP_KEY)) {
		const struct ynode_entry *again = second(root, "data");
		schema_enter_key(&x, again ? "data" : "data." CONFIG_MAP_KEY);
		schema_error(&x, again ? again->line : second(data, CONFIG_MAP_KEY)->line,
		             "given twice; keep one");
	} else if (!text) {
		schema_enter_key(&x, "data");
		schema_error(&x, data ? data->line : root->line,
		             "the ConfigMap has no key \"" CONFIG_MAP_KEY "\", which holds the "
		             "configuration");
	} else if (text->kind != YNODE_SCALAR) {
		schema_enter_key(&x, "data." CONFIG_MAP_KEY);
		schema_error(&x, text->line,
		             "not a text; write \"" CONFIG_MAP_KEY ": |\" and the "
		             "configuration below, indented");
	}
	buf_fini(&x.path);
	if (errors->n > n_errors)
		return -EINVAL;
	int r = parse_text(text->text, strlen(text->text), text->literal ? text->line : 0, false,
	                   ret_config, errors, warnings);
	if (!text->literal) {
		pin_lines(errors, n_errors, text);
		pin_lines(warnings, n_warnings, text);
	}
	return r;
}

static bool all_manifests(const struct ynode *documents)
{
	size_t i = 0;

	while (i < documents->n_entries && is_manifest(documents->entries[i].value))
		i++;
	return i > 0 && i == documents->n_entries;
}

static bool holds_text(const struct ynode *manifest)
{
	return !strcmp(member(manifest, "kind")->text, "ConfigMap") &&
	       member(member(manifest, "data"), CONFIG_MAP_KEY);
}

/*
 * Of several manifests, as kubectl applies them together, the one that holds the text; of one
 * alone, this one.
 */
static int parse_manifests(const struct ynode *documents, struct configuration **ret_config,
                           struct config_problems *errors, struct config_problems *warnings)
{
	struct schema_ctx x = { .errors = errors };
	const struct ynode *found = documents->n_entries == 1 ? documents->entries[0].value : NULL;

	for (size_t i = 0; documents->n_entries > 1 && i < documents->n_entries; i++) {
		const struct ynode *document = documents->entries[i].value;
		if (!holds_text(document))
			continue;
		if (found) {
			schema_error(&x, document->line,
			             "a second ConfigMap with the key \"" CONFIG_MAP_KEY
			             "\", after that on line %u; keep one",
			             found->line);
			return -EINVAL;
		}
		found = document;
	}
	if (found)
		return parse_manifest(found, ret_config, errors, warnings);
	schema_error(&x, documents->entries[0].line,
	             "no manifest here is of a ConfigMap with the key \"" CONFIG_MAP_KEY
	             "\", which holds the configuration");
	return -EINVAL;
}

/*
 * A configuration has no key "config"; the chart's values have the whole of it there, as a map or
 * as a text.
 */
static const struct ynode *chart_values(const struct ynode *documents)
{
	const struct ynode *config =
		documents->n_entries == 1 ? member(documents->entries[0].value, "config") : NULL;

	return config && (config->kind == YNODE_MAP || config->literal) ? config : NULL;
}

static int refuse_values(const struct ynode *config, struct config_problems *errors)
{
	struct schema_ctx x = { .errors = errors };

	schema_enter_key(&x, "config");
	schema_error(
		&x, config->line,
		"these look like values of the chart; give what it makes of them: helm template "
		"fairlead charts/fairlead --namespace fairlead-system --values FILE | fairlead "
		"plan --config - (or config check -)");
	buf_fini(&x.path);
	return -EINVAL;
}

int configuration_parse_file(const char *text, size_t size, struct configuration **ret_config,
                             struct config_problems *errors, struct config_problems *warnings)
{
	struct ytree tree;
	struct ytree_error broken;

	/* What is not YAML is reported by the parser of the text. */
	if (ytree_parse_stream(text, size, &tree, &broken) < 0)
		return configuration_parse(text, size, ret_config, errors, warnings);
	const struct ynode *config = chart_values(tree.root);
	int r;
	if (all_manifests(tree.root))
		r = parse_manifests(tree.root, ret_config, errors, warnings);
	else if (config)
		r = refuse_values(config, errors);
	else
		r = configuration_parse(text, size, ret_config, errors, warnings);
	ytree_fini(&tree);
	return r;
}
