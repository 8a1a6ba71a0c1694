/*
 * read.h: from YAML as people write it to YAML as libcyaml's typed schema takes it.
 *
 * The text is parsed into a tree that remembers lines and columns, walked along the table, and
 * written out again in canonical form: every key of the table is there (defaults filled in, command
 * line applied), sizes are bytes, times are ms, enumerations are numbers, addresses and URLs are
 * taken apart. So libcyaml sees no mistake that a user can make, and every mistake has a place.
 */
#ifndef SPATE_CONFIG_READ_H
#define SPATE_CONFIG_READ_H

#include "control/config/config.h"
#include "control/config/table.h"

/*
 * text may be NULL (no file). On success 0 and *out is the canonical text, malloc'd, the caller's;
 * where[] has the place of each row. -EINVAL: the report has at least one more error. -ENOMEM.
 */
int spate_config_read(const char *name, const char *text, size_t len,
		      const struct spate_config_overrides *overrides, char **out, size_t *out_len,
		      struct spate_config_where where[SPATE_PARAM_COUNT],
		      struct spate_config_report *report);

#endif
