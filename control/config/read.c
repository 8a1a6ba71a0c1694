#include "control/config/read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "control/config/canon.h"
#include "control/config/report.h"
#include "control/config/values.h"

/* A value on its way: a node of the tree, or a text from the command line or the table. */
struct value {
	yaml_node_t *node; /* NULL: text */
	const char *text;
	const char *from; /* "--memory"; NULL: the file */
};

struct reader {
	const char *name;
	yaml_document_t doc;
	const struct spate_config_overrides *overrides;
	struct spate_config_where *where;
	struct spate_config_report *report;
	FILE *out;
};

static struct spate_config_where place(const yaml_node_t *node)
{
	return (struct spate_config_where){(uint32_t)node->start_mark.line + 1,
					   (uint32_t)node->start_mark.column + 1};
}

static struct spate_config_where value_place(const struct value *v)
{
	return v->node ? place(v->node) : (struct spate_config_where){0, 0};
}

__attribute__((format(printf, 3, 4))) static void fault(struct reader *r, const struct value *v,
							const char *fmt, ...)
{
	struct spate_config_where at = value_place(v);
	va_list ap;

	va_start(ap, fmt);
	spate_report_verror(r->report, v->from ? v->from : r->name, &at, fmt, ap);
	va_end(ap);
}

static const char *kind_of(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_MAPPING_NODE:
		return "a mapping";
	case YAML_SEQUENCE_NODE:
		return "a list";
	default:
		return "a single value";
	}
}

/* `key:` with nothing after it, or ~ or null: the section or list is there and empty. */
static bool is_null(const yaml_node_t *node)
{
	const char *s;

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	s = (const char *)node->data.scalar.value;
	return !*s || strcmp(s, "~") == 0 || strcmp(s, "null") == 0;
}

/* The text of a scalar, or NULL and a finding. */
static const char *scalar(struct reader *r, const struct spate_param *p, const struct value *v)
{
	const char *s = v->text;

	if (v->node) {
		if (v->node->type != YAML_SCALAR_NODE) {
			fault(r, v, "%s: expected a single value, found %s", p->path,
			      kind_of(v->node));
			return NULL;
		}
		if (is_null(v->node)) {
			fault(r, v, "%s: has no value", p->path);
			return NULL;
		}
		s = (const char *)v->node->data.scalar.value;
		if (strlen(s) != v->node->data.scalar.length) {
			fault(r, v, "%s: contains a NUL byte", p->path);
			return NULL;
		}
	}
	if (!spate_canon_ok(s)) {
		fault(r, v, "%s: contains a control character or invalid UTF-8", p->path);
		return NULL;
	}
	return s;
}

static const char *number_of(const struct spate_param *p, const char *text, uint64_t *n)
{
	switch (p->kind) {
	case SPATE_KIND_SIZE:
		return spate_value_size(text, n);
	case SPATE_KIND_TIME:
		return spate_value_time(text, n);
	default:
		return spate_value_count(text, n);
	}
}

/* Sizes, times and counts: the value in canonical units, within the table's range. */
static void number(struct reader *r, const struct spate_param *p, const struct value *v,
		   const char *text)
{
	uint64_t n = 0, low = 0, high = 0;
	const char *wrong = number_of(p, text, &n);

	if (wrong) {
		fault(r, v, "%s: \"%.80s\" %s", p->path, text, wrong);
		return;
	}
	number_of(p, p->low, &low);
	number_of(p, p->high, &high);
	if (n < low || n > high) {
		fault(r, v, "%s: \"%.80s\" is out of range: %s to %s", p->path, text, p->low,
		      p->high);
		return;
	}
	spate_canon_number(r->out, spate_param_name(p), n);
}

static void enumeration(struct reader *r, const struct spate_param *p, const struct value *v,
			const char *text)
{
	const char *best = p->low;
	unsigned least = UINT32_MAX;
	uint64_t index = 0;
	char name[64];

	if (spate_value_enum(text, p->low, &index)) {
		spate_canon_number(r->out, spate_param_name(p), index);
		return;
	}
	for (const char *s = p->low; *s; s += strspn(s, "|")) {
		size_t n = strcspn(s, "|");

		snprintf(name, sizeof(name), "%.*s", (int)n, s);
		if (spate_edit_distance(name, text) < least) {
			least = spate_edit_distance(name, text);
			best = s;
		}
		s += n;
	}
	fault(r, v, "%s: \"%.80s\" is not one of %s: the nearest is \"%.*s\"", p->path, text,
	      p->low, (int)strcspn(best, "|"), best);
}

static void url(struct reader *r, const struct spate_param *p, const struct value *v,
		const char *text)
{
	struct spate_value_url u;
	const char *wrong = spate_value_url(text, &u);

	if (wrong) {
		fault(r, v, "%s: \"%.200s\" %s", p->path, text, wrong);
		return;
	}
	spate_canon_text(r->out, "host", u.host, u.host_len);
	spate_canon_text(r->out, "authority", u.authority, u.authority_len);
	spate_canon_text(r->out, "base", u.base, u.base_len);
	spate_canon_number(r->out, "port", u.port);
}

static void text_value(struct reader *r, const struct spate_param *p, const struct value *v,
		       const char *text)
{
	uint64_t low = 0, high = 0;
	size_t len = strlen(text);

	spate_value_count(p->low, &low);
	spate_value_count(p->high, &high);
	if (len < low || len > high) {
		fault(r, v, "%s: is %zu bytes long: %s to %s can be taken", p->path, len, p->low,
		      p->high);
		return;
	}
	spate_canon_text(r->out, spate_param_name(p), text, len);
	if (p == &spate_params[SPATE_PARAM_origin_url])
		url(r, p, v, text);
}

static void single(struct reader *r, const struct spate_param *p, const struct value *v)
{
	const char *text = scalar(r, p, v);

	if (!text)
		return;
	if (p->kind == SPATE_KIND_ENUM)
		enumeration(r, p, v, text);
	else if (p->kind == SPATE_KIND_TEXT)
		text_value(r, p, v, text);
	else
		number(r, p, v, text);
}

static void mapping(struct reader *r, const struct spate_param *parent, yaml_node_t *node);

static void put_place(struct reader *r, const struct value *v)
{
	struct spate_config_where at = value_place(v);

	spate_canon_number(r->out, "line", at.line);
	spate_canon_number(r->out, "col", at.col);
}

static void address(struct reader *r, const struct spate_param *p, const struct value *v,
		    const char *text)
{
	bool listens = p->kind == SPATE_KIND_ADDRS;
	struct spate_value_ip ip;
	const char *wrong = listens ? spate_value_addr(text, &ip) : spate_value_ip(text, &ip);

	if (wrong) {
		fault(r, v, "%s: \"%.80s\" %s", p->path, text, wrong);
		return;
	}
	fputc('{', r->out);
	spate_canon_text(r->out, "text", text, strlen(text));
	spate_canon_bytes(r->out, "ip", ip.ip, sizeof(ip.ip));
	spate_canon_number(r->out, listens ? "port" : "prefix", listens ? ip.port : ip.prefix);
	spate_canon_number(r->out, "v6", ip.v6);
	put_place(r, v);
	fputs("},", r->out);
}

/* An origin from the command line: URL, DIR, or MATCH=URL, MATCH=DIR. */
static void origin_option(struct reader *r, const struct spate_param *p, const struct value *v)
{
	const char *text = scalar(r, p, v), *rest, *eq;
	struct value match = {.text = "/", .from = v->from}, target = {.from = v->from};
	char prefix[1025];

	if (!text)
		return;
	target.text = text;
	eq = strchr(text, '=');
	if (text[0] == '/' && eq && (eq[1] == '/' || eq[1] == '.' || strstr(eq, "=http") == eq)) {
		if (eq - text > 1024) {
			fault(r, v, "the part before = is too long");
			return;
		}
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(eq - text), text);
		match.text = prefix;
		target.text = eq + 1;
	}
	rest = strstr(target.text, "://");
	fputc('{', r->out);
	single(r, &spate_params[SPATE_PARAM_origin_match], &match);
	single(r, &spate_params[rest ? SPATE_PARAM_origin_url : SPATE_PARAM_origin_dir], &target);
	put_place(r, v);
	fputs("},", r->out);
}

static void entry(struct reader *r, const struct spate_param *p, const struct value *v)
{
	const char *text;

	if (p->kind == SPATE_KIND_ITEMS && v->node) {
		if (v->node->type != YAML_MAPPING_NODE) {
			fault(r, v, "%s: each entry is a mapping such as {%s: ...}, found %s",
			      p->path, spate_param_name(spate_param_child(p, NULL)),
			      kind_of(v->node));
			return;
		}
		fputc('{', r->out);
		mapping(r, p, v->node);
		put_place(r, v);
		fputs("},", r->out);
		return;
	}
	if (p->kind == SPATE_KIND_ITEMS) {
		origin_option(r, p, v);
		return;
	}
	text = scalar(r, p, v);
	if (!text)
		return;
	if (p->kind == SPATE_KIND_TEXTS) {
		spate_canon_text(r->out, NULL, text, strlen(text));
	} else if (p->kind == SPATE_KIND_COUNTS) {
		uint64_t n = 0;
		const char *wrong = spate_value_count(text, &n);

		if (wrong || n > UINT16_MAX)
			fault(r, v, "%s: \"%.80s\" %s", p->path, text,
			      wrong ? wrong : "is too large");
		else
			spate_canon_number(r->out, NULL, n);
	} else {
		address(r, p, v, text);
	}
}

/* Entries from the command line; returns how many. "off" empties a list that may be empty. */
static unsigned option_entries(struct reader *r, const struct spate_param *p)
{
	unsigned n = 0;

	for (unsigned i = 0; r->overrides && i < r->overrides->count; i++) {
		struct value v = {.text = r->overrides->set[i].value,
				  .from = r->overrides->set[i].from};

		if (strcmp(r->overrides->set[i].path, p->path) != 0)
			continue;
		n++;
		if (strcmp(v.text, "off") != 0 || strcmp(p->low, "0") != 0)
			entry(r, p, &v);
	}
	return n;
}

static unsigned default_entries(struct reader *r, const struct spate_param *p)
{
	char text[64];
	unsigned n = 0;

	for (const char *s = p->fallback; *s; n++) {
		size_t len = strcspn(s, " ");
		struct value v = {.text = text, .from = "default"};

		snprintf(text, sizeof(text), "%.*s", (int)len, s);
		entry(r, p, &v);
		s += len + strspn(s + len, " ");
	}
	return n;
}

static unsigned node_entries(struct reader *r, const struct spate_param *p, yaml_node_t *node)
{
	struct value all = {.node = node};
	unsigned n = 0;

	if (is_null(node))
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
		fault(r, &all, "%s: expected a list, found %s", p->path, kind_of(node));
		return UINT32_MAX;
	}
	for (yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++) {
		struct value v = {.node = yaml_document_get_node(&r->doc, *i)};
		uint64_t high = 0;

		spate_value_count(p->high, &high);
		if (n++ == high) {
			fault(r, &v, "%s: has too many entries: at most %s", p->path, p->high);
			return UINT32_MAX;
		}
		entry(r, p, &v);
	}
	return n;
}

static void list(struct reader *r, const struct spate_param *p, yaml_node_t *node)
{
	struct value v = {.node = node};
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
		fault(r, &v, "%s: %u entries given: %s to %s can be taken", p->path, n, p->low,
		      p->high);
}

/* One row below a mapping: node is its value in the file, or NULL. */
static void row(struct reader *r, const struct spate_param *p, yaml_node_t *node)
{
	bool in_item = strstr(p->path, "[]");
	struct value v = {.node = node};

	if (node && !in_item)
		r->where[p - spate_params] = place(node);
	if (p->kind == SPATE_KIND_SECTION) {
		if (node && node->type != YAML_MAPPING_NODE && !is_null(node)) {
			fault(r, &v, "%s: expected a mapping, found %s", p->path, kind_of(node));
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
			v = (struct value){.text = r->overrides->set[i].value,
					   .from = r->overrides->set[i].from};
			r->where[p - spate_params] = (struct spate_config_where){0, 0};
		}
	}
	if (!v.node && !v.text) {
		if (!*p->fallback && strcmp(p->low, "0") != 0)
			return; /* may be absent: NULL in the struct */
		v = (struct value){.text = p->fallback, .from = "default"};
	}
	single(r, p, &v);
}

static void unknown_key(struct reader *r, const struct spate_param *parent, const struct value *key,
			const char *name)
{
	const struct spate_param *best = NULL, *p = NULL;
	unsigned least = UINT32_MAX;

	/* The right name in the wrong place says more than a similar name in the right one. */
	for (unsigned i = 0; i < SPATE_PARAM_COUNT; i++) {
		if (strcmp(spate_param_name(&spate_params[i]), name) == 0) {
			fault(r, key, "unknown key \"%.80s\"%s%s: did you mean \"%s\"?", name,
			      parent ? " in " : "", parent ? parent->path : "",
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
	fault(r, key, "unknown key \"%.80s\"%s%s: the nearest known one is \"%s\"", name,
	      parent ? " in " : "", parent ? parent->path : "", spate_param_name(best));
}

static const char *key_name(struct reader *r, yaml_node_pair_t *pair)
{
	yaml_node_t *key = yaml_document_get_node(&r->doc, pair->key);
	return key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : NULL;
}

static void check_keys(struct reader *r, const struct spate_param *parent, yaml_node_t *node)
{
	yaml_node_pair_t *start = node->data.mapping.pairs.start;

	for (yaml_node_pair_t *i = start; i < node->data.mapping.pairs.top; i++) {
		struct value key = {.node = yaml_document_get_node(&r->doc, i->key)};
		const char *name = key_name(r, i);
		const struct spate_param *p = NULL;

		if (!name) {
			fault(r, &key, "a key must be a single word, found %s", kind_of(key.node));
			continue;
		}
		while ((p = spate_param_child(parent, p)))
			if (strcmp(spate_param_name(p), name) == 0)
				break;
		if (!p)
			unknown_key(r, parent, &key, name);
		for (yaml_node_pair_t *j = start; p && j < i; j++)
			if (key_name(r, j) && strcmp(key_name(r, j), name) == 0) {
				fault(r, &key, "\"%s\" is given twice", name);
				break;
			}
	}
}

/* The rows below parent; node is their mapping, or NULL: only defaults and the command line. */
static void mapping(struct reader *r, const struct spate_param *parent, yaml_node_t *node)
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

static void parser_fault(struct reader *r, const yaml_parser_t *parser)
{
	struct spate_config_where at = {(uint32_t)parser->problem_mark.line + 1,
					(uint32_t)parser->problem_mark.column + 1};
	bool reader = parser->error == YAML_READER_ERROR;

	if (reader)
		spate_report_error(r->report, r->name, NULL, "not YAML: %s at byte %zu",
				   parser->problem, parser->problem_offset);
	else
		spate_report_error(r->report, r->name, &at, "not YAML: %s%s%s%s",
				   parser->problem ? parser->problem : "too complex",
				   parser->context ? " (" : "",
				   parser->context ? parser->context : "",
				   parser->context ? ")" : "");
}

/* The one document of the text; false: a finding was made. */
static bool parse(struct reader *r, const char *text, size_t len)
{
	yaml_document_t more;
	yaml_parser_t parser;
	yaml_node_t *root;
	bool ok = false;

	if (!yaml_parser_initialize(&parser))
		return false;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &r->doc)) {
		parser_fault(r, &parser);
		goto out_parser;
	}
	if (!yaml_parser_load(&parser, &more)) {
		parser_fault(r, &parser);
		goto out_doc;
	}
	root = yaml_document_get_root_node(&more);
	if (root) {
		struct spate_config_where at = place(root);

		spate_report_error(r->report, r->name, &at,
				   "a second document: one file is one configuration");
	} else {
		ok = true;
	}
	yaml_document_delete(&more);
out_doc:
	if (!ok)
		yaml_document_delete(&r->doc);
out_parser:
	yaml_parser_delete(&parser);
	return ok;
}

int spate_config_read(const char *name, const char *text, size_t len,
		      const struct spate_config_overrides *overrides, char **out, size_t *out_len,
		      struct spate_config_where where[SPATE_PARAM_COUNT],
		      struct spate_config_report *report)
{
	struct reader r = {.name = name, .overrides = overrides, .where = where, .report = report};
	unsigned errors = report->errors;
	yaml_node_t *root = NULL;
	int ret;

	*out = NULL;
	memset(where, 0, SPATE_PARAM_COUNT * sizeof(*where));
	if (text) {
		if (!parse(&r, text, len))
			return report->errors > errors ? -EINVAL : -ENOMEM;
		root = yaml_document_get_root_node(&r.doc);
	}
	r.out = open_memstream(out, out_len);
	if (!r.out) {
		ret = -ENOMEM;
		goto out_doc;
	}
	if (root && is_null(root))
		root = NULL;
	if (root && root->type != YAML_MAPPING_NODE) {
		struct value v = {.node = root};

		fault(&r, &v, "expected keys and values such as \"workers: 1\", found %s",
		      kind_of(root));
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
