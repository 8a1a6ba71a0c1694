/* reader.h: what the parts of read.c share; see read.h. Nothing else includes this. */
#ifndef SPATE_CONFIG_READER_H
#define SPATE_CONFIG_READER_H

#include <stdbool.h>
#include <stdio.h>
#include <yaml.h>

#include "control/config/config.h"
#include "control/config/table.h"

/* A value on its way: a node of the tree, or a text from the command line or the table. */
struct spate_value {
	yaml_node_t *node; /* NULL: text */
	const char *text;
	const char *from; /* "--memory"; NULL: the file */
};

struct spate_reader {
	const char *name; /* of the file, for messages */
	yaml_document_t doc;
	const struct spate_config_overrides *overrides;
	struct spate_config_where *where;
	struct spate_config_report *report;
	FILE *out; /* the canonical text */
};

/* read_tree.c */

/* The one document of the text into r->doc, the caller's to delete; false: a finding was made. */
bool spate_read_parse(struct spate_reader *r, const char *text, size_t len);
struct spate_config_where spate_read_place(const yaml_node_t *node);
struct spate_config_where spate_read_value_place(const struct spate_value *v);
const char *spate_read_kind(const yaml_node_t *node); /* "a list" */
/* `key:` with nothing after it, or ~ or null. */
bool spate_read_is_null(const yaml_node_t *node);
/* A finding about v. */
void spate_read_fault(struct spate_reader *r, const struct spate_value *v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* read_value.c: each writes what p's schema takes to r->out, or makes a finding. */

/* The text of a single value, or NULL and a finding. */
const char *spate_read_scalar(struct spate_reader *r, const struct spate_param *p,
			      const struct spate_value *v);
/* Sizes, times, counts, words and texts. */
void spate_read_single(struct spate_reader *r, const struct spate_param *p,
		       const struct spate_value *v);
/* An entry of a list of addresses. */
void spate_read_address(struct spate_reader *r, const struct spate_param *p,
			const struct spate_value *v, const char *text);
void spate_read_put_place(struct spate_reader *r, const struct spate_value *v);

#endif
