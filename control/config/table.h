/*
 * table.h: include/spate/tbl/params.def as data, for the reader, the schema, the command line and
 * the docs.
 */
#ifndef SPATE_CONFIG_TABLE_H
#define SPATE_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spate_param_kind {
	SPATE_KIND_SECTION, /* a mapping of further parameters */
	SPATE_KIND_SIZE,    /* bytes */
	SPATE_KIND_TIME,    /* ms */
	SPATE_KIND_COUNT,
	SPATE_KIND_ENUM, /* index into the names in `low` */
	SPATE_KIND_TEXT,
	SPATE_KIND_ADDRS,  /* struct spate_config_addr */
	SPATE_KIND_IPS,    /* struct spate_config_ip */
	SPATE_KIND_ROUTES, /* the same, with via */
	SPATE_KIND_COUNTS, /* uint32_t */
	SPATE_KIND_TEXTS,  /* char * */
	SPATE_KIND_ITEMS,  /* a struct of its own, its parameters are below path[] */
};

enum spate_param_apply { SPATE_APPLY_RELOAD, SPATE_APPLY_RESTART };

struct spate_param {
	const char *path;
	enum spate_param_kind kind;
	enum spate_param_apply apply;
	const char *low, *high, *fallback, *help; /* in the user's units; never NULL */
	uint32_t offset;                          /* of the field */
	uint32_t count_offset;                    /* lists: of the number of entries */
	uint32_t size;                            /* of the field; lists: of one entry */
};

enum spate_param_id {
#define SPATE_SECTION(id, path, help)                 SPATE_PARAM_##id,
#define SPATE_PARAM(id, path, kind, type, field, ...) SPATE_PARAM_##id,
#define SPATE_LIST(id, path, kind, type, field, ...)  SPATE_PARAM_##id,
#include "spate/tbl/params.def"
#undef SPATE_SECTION
#undef SPATE_PARAM
#undef SPATE_LIST
	SPATE_PARAM_COUNT
};

extern const struct spate_param spate_params[SPATE_PARAM_COUNT];

static inline bool spate_param_is_list(const struct spate_param *p)
{
	return p->kind >= SPATE_KIND_ADDRS;
}

/* The last part of the path: "memory" of "cache.memory". */
const char *spate_param_name(const struct spate_param *p);

/*
 * The rows directly below parent (NULL: the top), in the table's order. Start with prev NULL; NULL
 * at the end.
 */
const struct spate_param *spate_param_child(const struct spate_param *parent,
					    const struct spate_param *prev);

/* By its full path; NULL: no such row. */
const struct spate_param *spate_param_find(const char *path);

/* Edit distance with swaps of neighbours (Damerau 1964, restricted). Texts longer than 63 bytes are
 * cut. */
unsigned spate_edit_distance(const char *a, const char *b);

#endif
