/* read.c: the walk along the table: keys, sections, lists, defaults, the command line. */
#include "control/config/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config/canon.h"
#include "control/config/reader.h"
#include "control/config/values.h"

static void mapping(struct spate_reader *r, const struct spate_param *parent, yaml_node_t *node);

/* An origin from the command line: URL, DIR, or MATCH=URL, MATCH=DIR. */
static void origin_option(struct spate_reader *r, const struct spate_param *p,
			  const struct spate_value *v)
{
	const char *text = spate_read_scalar(r, p, v), *eq;
	struct spate_value match = {.text = "/", .from = v->from}, target = {.from = v->from};
	enum spate_param_id id;
	char prefix[1025];

	if (!text)
		return;
	target.text = text;
	eq = strchr(text, '=');
	if (text[0] == '/' && eq &&
	    (eq[1] == '/' || eq[1] == '.' || strncmp(eq, "=http", 5) == 0)) {
		if (eq - text > 1024) {
			spate_read_fault(r, v, "the part before = is too long");
			return;
		}
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(eq - text), text);
		match.text = prefix;
		target.text = eq + 1;
	}
	fputc('{', r->out);
	spate_read_single(r, &spate_params[SPATE_PARAM_origin_match], &match);
	id = strstr(target.text, "://") ? SPATE_PARAM_origin_url : SPATE_PARAM_origin_dir;
	spate_read_single(r, &spate_params[id], &target);
	spate_read_put_place(r, v);
	fputs("},", r->out);
}

static void entry(struct spate_reader *r, const struct spate_param *p, const struct spate_value *v)
{
	const char *text;

	if (p->kind == SPATE_KIND_ITEMS && v->node) {
		if (v->node->type != YAML_MAPPING_NODE) {
			spate_read_fault(r, v,
					 "%s: each entry is a mapping such as {%s: ...}, found %s",
					 p->path, spate_param_name(spate_param_child(p, NULL)),
					 spate_read_kind(v->node));
			return;
		}
		fputc('{', r->out);
		mapping(r, p, v->node);
		spate_read_put_place(r, v);
		fputs("},", r->out);
		return;
	}
	if (p->kind == SPATE_KIND_ITEMS) {
		origin_option(r, p, v);
		return;
	}
	text = spate_read_scalar(r, p, v);
	if (!text)
		return;
	if (p->kind == SPATE_KIND_TEXTS) {
		spate_canon_text(r->out, NULL, text, strlen(text));
	} else if (p->kind == SPATE_KIND_COUNTS) {
		uint64_t n = 0;
		const char *wrong = spate_value_count(text, &n);

		if (wrong || n > UINT16_MAX)
			spate_read_fault(r, v, "%s: \"%.80s\" %s", p->path, text,
					 wrong ? wrong : "is too large");
		else
			spate_canon_number(r->out, NULL, n);
	} else {
		spate_read_address(r, p, v, text);
	}
}

/* Entries from the command line; returns how many. "off" empties a list that may be empty. */
static unsigned option_entries(struct spate_reader *r, const struct spate_param *p)
{
	unsigned n = 0;

	for (unsigned i = 0; r->overrides && i < r->overrides->count; i++) {
		struct spate_value v = {.text = r->overrides->set[i].value,
					.from = r->overrides->set[i].from};

		if (strcmp(r->overrides->set[i].path, p->path) != 0)
			continue;
		n++;
		if (strcmp(v.text, "off") != 0 || strcmp(p->low, "0") != 0)
			entry(r, p, &v);
	}
	return n;
}

static unsigned default_entries(struct spate_reader *r, const struct spate_param *p)
{
	char text[64];
	unsigned n = 0;

	for (const char *s = p->fallback; *s; n++) {
		size_t len = strcspn(s, " ");
		struct spate_value v = {.text = text, .from = "default"};

		snprintf(text, sizeof(text), "%.*s", (int)len, s);
		entry(r, p, &v);
		s += len + strspn(s + len, " ");
	}
	return n;
}

static unsigned node_entries(struct spate_reader *r, const struct spate_param *p, yaml_node_t *node)
{
	struct spate_value all = {.node = node};
	unsigned n = 0;

	if (spate_read_is_null(node))
		return 0;
	if (node->type == YAML_SCALAR_NODE && p->kind != SPATE_KIND_ITEMS) {
		/* One entry may stand for itself; "off" is none. */
		if (strcmp((const char *)node->data.scalar.value, "off") == 0 &&
		    strcmp(p->low, "0") == 0)
			return 0;
		entry(r, p, &all);
		return 1;
	}
	if (node->type != YAML_SEQUENCE_NODE) {
		spate_read_fault(r, &all, "%s: expected a list, found %s", p->path,
				 spate_read_kind(node));
		return UINT32_MAX;
	}
	for (yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++) {
		struct spate_value v = {.node = yaml_document_get_node(&r->doc, *i)};
		uint64_t high = 0;

		spate_value_count(p->high, &high);
		if (n++ == high) {
			spate_read_fault(r, &v, "%s: has too many entries: at most %s", p->path,
					 p->high);
			return UINT32_MAX;
		}
		entry(r, p, &v);
	}
	return n;
}

static void list(struct spate_reader *r, const struct spate_param *p, yaml_node_t *node)
{
	struct spate_value v = {.node = node};
	uint64_t low = 0, high = 0;
	unsigned n;

	fprintf(r->out, "\"%s\": [", spate_param_name(p));
	n = option_entries(r, p);
	if (n == 0)
		n = node ? node_entries(r, p, node) : default_entries(r, p);
	fputs("],", r->out);

	spate_value_count(p->low, &low);
	spate_value_count(p->high, &high);
	if (n == UINT32_MAX)
		return;
	if (n > high || (n < low && node))
		spate_read_fault(r, &v, "%s: %u entries given: %s to %s can be taken", p->path, n,
				 p->low, p->high);
}

/* One row below a mapping: node is its value in the file, or NULL. */
static void row(struct spate_reader *r, const struct spate_param *p, yaml_node_t *node)
{
	bool in_item = strstr(p->path, "[]");
	struct spate_value v = {.node = node};

	if (node && !in_item)
		r->where[p - spate_params] = spate_read_place(node);
	if (p->kind == SPATE_KIND_SECTION) {
		if (node && node->type != YAML_MAPPING_NODE && !spate_read_is_null(node)) {
			spate_read_fault(r, &v, "%s: expected a mapping, found %s", p->path,
					 spate_read_kind(node));
			return;
		}
		fprintf(r->out, "\"%s\": {", spate_param_name(p));
		mapping(r, p, node && node->type == YAML_MAPPING_NODE ? node : NULL);
		fputs("},", r->out);
		return;
	}
	if (spate_param_is_list(p)) {
		list(r, p, node);
		return;
	}
	for (unsigned i = 0; r->overrides && i < r->overrides->count; i++) {
		if (strcmp(r->overrides->set[i].path, p->path) == 0) { /* the last one wins */
			v = (struct spate_value){.text = r->overrides->set[i].value,
						 .from = r->overrides->set[i].from};
			r->where[p - spate_params] = (struct spate_config_where){0, 0};
		}
	}
	if (!v.node && !v.text) {
		if (!*p->fallback && strcmp(p->low, "0") != 0)
			return; /* may be absent: NULL in the struct */
		v = (struct spate_value){.text = p->fallback, .from = "default"};
	}
	spate_read_single(r, p, &v);
}

static void unknown_key(struct spate_reader *r, const struct spate_param *parent,
			const struct spate_value *key, const char *name)
{
	const struct spate_param *best = NULL, *p = NULL;
	unsigned least = UINT32_MAX;

	/* The right name in the wrong place says more than a similar name in the right one. */
	for (unsigned i = 0; i < SPATE_PARAM_COUNT; i++) {
		if (strcmp(spate_param_name(&spate_params[i]), name) == 0) {
			spate_read_fault(r, key, "unknown key \"%.80s\"%s%s: did you mean \"%s\"?",
					 name, parent ? " in " : "", parent ? parent->path : "",
					 spate_params[i].path);
			return;
		}
	}
	while ((p = spate_param_child(parent, p))) {
		unsigned d = spate_edit_distance(spate_param_name(p), name);

		if (d < least) {
			least = d;
			best = p;
		}
	}
	spate_read_fault(r, key, "unknown key \"%.80s\"%s%s: the nearest known one is \"%s\"", name,
			 parent ? " in " : "", parent ? parent->path : "", spate_param_name(best));
}

static const char *key_name(struct spate_reader *r, yaml_node_pair_t *pair)
{
	yaml_node_t *key = yaml_document_get_node(&r->doc, pair->key);
	return key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : NULL;
}

static void check_keys(struct spate_reader *r, const struct spate_param *parent, yaml_node_t *node)
{
	yaml_node_pair_t *start = node->data.mapping.pairs.start;

	for (yaml_node_pair_t *i = start; i < node->data.mapping.pairs.top; i++) {
		struct spate_value key = {.node = yaml_document_get_node(&r->doc, i->key)};
		const char *name = key_name(r, i);
		const struct spate_param *p = NULL;

		if (!name) {
			spate_read_fault(r, &key, "a key must be a single word, found %s",
					 spate_read_kind(key.node));
			continue;
		}
		while ((p = spate_param_child(parent, p)))
			if (strcmp(spate_param_name(p), name) == 0)
				break;
		if (!p)
			unknown_key(r, parent, &key, name);
		for (yaml_node_pair_t *j = start; p && j < i; j++)
			if (key_name(r, j) && strcmp(key_name(r, j), name) == 0) {
				spate_read_fault(r, &key, "\"%s\" is given twice", name);
				break;
			}
	}
}

/* The rows below parent; node is their mapping, or NULL: only defaults and the command line. */
static void mapping(struct spate_reader *r, const struct spate_param *parent, yaml_node_t *node)
{
	const struct spate_param *p = NULL;

	if (node)
		check_keys(r, parent, node);
	while ((p = spate_param_child(parent, p))) {
		yaml_node_t *value = NULL;

		for (yaml_node_pair_t *i = node ? node->data.mapping.pairs.start : NULL;
		     node && i < node->data.mapping.pairs.top; i++)
			if (key_name(r, i) && strcmp(key_name(r, i), spate_param_name(p)) == 0)
				value = yaml_document_get_node(&r->doc, i->value);
		row(r, p, value);
	}
}

int spate_config_read(const char *name, const char *text, size_t len,
		      const struct spate_config_overrides *overrides, char **out, size_t *out_len,
		      struct spate_config_where where[SPATE_PARAM_COUNT],
		      struct spate_config_report *report)
{
	struct spate_reader r = {
		.name = name, .overrides = overrides, .where = where, .report = report};
	unsigned errors = report->errors;
	yaml_node_t *root = NULL;
	int ret;

	*out = NULL;
	memset(where, 0, SPATE_PARAM_COUNT * sizeof(*where));
	if (text) {
		if (!spate_read_parse(&r, text, len))
			return report->errors > errors ? -EINVAL : -ENOMEM;
		root = yaml_document_get_root_node(&r.doc);
	}
	r.out = open_memstream(out, out_len);
	if (!r.out) {
		ret = -ENOMEM;
		goto out_doc;
	}
	if (root && spate_read_is_null(root))
		root = NULL;
	if (root && root->type != YAML_MAPPING_NODE) {
		struct spate_value v = {.node = root};

		spate_read_fault(&r, &v,
				 "expected keys and values such as \"workers: 1\", found %s",
				 spate_read_kind(root));
	} else {
		fputc('{', r.out);
		mapping(&r, NULL, root);
		fputs("}\n", r.out);
	}
	ret = ferror(r.out) ? -ENOMEM : 0;
	if (fclose(r.out) != 0)
		ret = -ENOMEM;
	if (report->errors > errors)
		ret = -EINVAL;
	if (ret < 0) {
		free(*out);
		*out = NULL;
	}
out_doc:
	if (text)
		yaml_document_delete(&r.doc);
	return ret;
}
