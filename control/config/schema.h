/* schema.h: the table as a libcyaml schema, and the canonical text (read.h) loaded through it. */
#ifndef SPATE_CONFIG_SCHEMA_H
#define SPATE_CONFIG_SCHEMA_H

#include <stddef.h>

#include "control/config/config.h"

/*
 * 0 with *out owned by the caller (spate_schema_free), -ENOMEM, or -EINVAL when the text does not
 * fit the schema: then read.c and the table disagree, *why is libcyaml's text.
 */
int spate_schema_load(const char *text, size_t len, struct spate_config **out, const char **why);
void spate_schema_free(struct spate_config *cfg);

#endif
