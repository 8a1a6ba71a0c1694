/* read_tree.c: YAML text to libyaml's tree, and what the tree says about itself. */
#include <stdio.h>
#include <string.h>

#include "control/config/reader.h"
#include "control/config/report.h"

struct spate_config_where spate_read_place(const yaml_node_t *node)
{
	return (struct spate_config_where){(uint32_t)node->start_mark.line + 1,
					   (uint32_t)node->start_mark.column + 1};
}

struct spate_config_where spate_read_value_place(const struct spate_value *v)
{
	return v->node ? spate_read_place(v->node) : (struct spate_config_where){0, 0};
}

void spate_read_fault(struct spate_reader *r, const struct spate_value *v, const char *fmt, ...)
{
	struct spate_config_where at = spate_read_value_place(v);
	va_list ap;

	va_start(ap, fmt);
	spate_report_verror(r->report, v->from ? v->from : r->name, &at, fmt, ap);
	va_end(ap);
}

const char *spate_read_kind(const yaml_node_t *node)
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
bool spate_read_is_null(const yaml_node_t *node)
{
	const char *s;

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	s = (const char *)node->data.scalar.value;
	return !*s || strcmp(s, "~") == 0 || strcmp(s, "null") == 0;
}

static void parser_fault(struct spate_reader *r, const yaml_parser_t *parser)
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
bool spate_read_parse(struct spate_reader *r, const char *text, size_t len)
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
		struct spate_config_where at = spate_read_place(root);

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
