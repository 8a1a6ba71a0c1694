#include "control/config/schema.h"

#include <assert.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "control/config/table.h"

/* What read.c adds to the entries of lists: the parts of addresses and URLs, and places. */
static const cyaml_schema_value_t octet = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint8_t)};

static const cyaml_schema_field_t addr_fields[] = {
	CYAML_FIELD_STRING_PTR("text", CYAML_FLAG_POINTER, struct spate_config_addr, text, 0,
			       CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE_FIXED("ip", CYAML_FLAG_DEFAULT, struct spate_config_addr, ip, &octet,
				   16),
	CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, struct spate_config_addr, port),
	CYAML_FIELD_BOOL("v6", CYAML_FLAG_DEFAULT, struct spate_config_addr, v6),
	CYAML_FIELD_UINT("line", CYAML_FLAG_DEFAULT, struct spate_config_addr, where.line),
	CYAML_FIELD_UINT("col", CYAML_FLAG_DEFAULT, struct spate_config_addr, where.col),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t ip_fields[] = {
	CYAML_FIELD_STRING_PTR("text", CYAML_FLAG_POINTER, struct spate_config_ip, text, 0,
			       CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE_FIXED("ip", CYAML_FLAG_DEFAULT, struct spate_config_ip, ip, &octet,
				   16),
	CYAML_FIELD_SEQUENCE_FIXED("via", CYAML_FLAG_OPTIONAL, struct spate_config_ip, via, &octet,
				   16),
	CYAML_FIELD_UINT("prefix", CYAML_FLAG_DEFAULT, struct spate_config_ip, prefix),
	CYAML_FIELD_BOOL("v6", CYAML_FLAG_DEFAULT, struct spate_config_ip, v6),
	CYAML_FIELD_UINT("line", CYAML_FLAG_DEFAULT, struct spate_config_ip, where.line),
	CYAML_FIELD_UINT("col", CYAML_FLAG_DEFAULT, struct spate_config_ip, where.col),
	CYAML_FIELD_END,
};

#define OPTIONAL_TEXT(key, type, member)                                                       \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, \
			       CYAML_UNLIMITED)

static const cyaml_schema_field_t origin_extra[] = {
	OPTIONAL_TEXT("host", struct spate_config_origin, host),
	OPTIONAL_TEXT("authority", struct spate_config_origin, authority),
	OPTIONAL_TEXT("base", struct spate_config_origin, base),
	CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct spate_config_origin, port),
	CYAML_FIELD_UINT("line", CYAML_FLAG_DEFAULT, struct spate_config_origin, where.line),
	CYAML_FIELD_UINT("col", CYAML_FLAG_DEFAULT, struct spate_config_origin, where.col),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t port_extra[] = {
	CYAML_FIELD_UINT("line", CYAML_FLAG_DEFAULT, struct spate_config_port, where.line),
	CYAML_FIELD_UINT("col", CYAML_FLAG_DEFAULT, struct spate_config_port, where.col),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t addr_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct spate_config_addr, addr_fields)};
static const cyaml_schema_value_t ip_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct spate_config_ip, ip_fields)};
static const cyaml_schema_value_t count_entry = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};
static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};

/*
 * libcyaml wants an array of fields for each mapping, closed by an empty one. They are cut from one
 * pool; the nested sections of struct spate_config are mappings at offset 0 whose fields have the
 * offsets of the table.
 */
static struct {
	pthread_once_t once;
	cyaml_schema_field_t fields[2 * SPATE_PARAM_COUNT + 32];
	cyaml_schema_value_t items[SPATE_PARAM_COUNT];
	cyaml_schema_value_t top;
	unsigned nfields, nitems;
} schema = {.once = PTHREAD_ONCE_INIT};

static const cyaml_schema_field_t *build(const struct spate_param *parent,
					 const cyaml_schema_field_t *extra);

static const cyaml_schema_value_t *entry_of(const struct spate_param *p)
{
	cyaml_schema_value_t *v;

	switch (p->kind) {
	case SPATE_KIND_ADDRS:
		return &addr_entry;
	case SPATE_KIND_IPS:
	case SPATE_KIND_ROUTES:
		return &ip_entry;
	case SPATE_KIND_COUNTS:
		return &count_entry;
	case SPATE_KIND_TEXTS:
		return &text_entry;
	default:
		v = &schema.items[schema.nitems++];
		v->type = CYAML_MAPPING;
		v->data_size = p->size;
		v->mapping.fields = build(p, p == &spate_params[SPATE_PARAM_origins] ? origin_extra
										     : port_extra);
		return v;
	}
}

static void field_of(cyaml_schema_field_t *f, const struct spate_param *p)
{
	f->key = spate_param_name(p);
	f->data_offset = p->offset;
	f->value.flags = CYAML_FLAG_OPTIONAL;
	f->value.data_size = p->size;
	if (p->kind == SPATE_KIND_SECTION) {
		f->value.type = CYAML_MAPPING;
		f->value.mapping.fields = build(p, NULL);
	} else if (p->kind == SPATE_KIND_TEXT) {
		f->value.type = CYAML_STRING;
		f->value.flags = (enum cyaml_flag)(CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER);
		f->value.data_size = sizeof(char);
		f->value.string.max = CYAML_UNLIMITED;
	} else if (spate_param_is_list(p)) {
		f->count_offset = p->count_offset;
		f->count_size = sizeof(uint32_t);
		f->value.type = CYAML_SEQUENCE;
		f->value.flags = (enum cyaml_flag)(CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER);
		f->value.sequence.entry = entry_of(p);
		f->value.sequence.max = CYAML_UNLIMITED;
	} else {
		f->value.type = CYAML_UINT;
	}
}

static const cyaml_schema_field_t *build(const struct spate_param *parent,
					 const cyaml_schema_field_t *extra)
{
	cyaml_schema_field_t *fields = &schema.fields[schema.nfields], *f = fields;
	const struct spate_param *p = NULL;
	unsigned n = 1;

	while ((p = spate_param_child(parent, p)))
		n++;
	for (const cyaml_schema_field_t *e = extra; e && e->key; e++)
		n++;
	schema.nfields += n;
	assert(schema.nfields <= CYAML_ARRAY_LEN(schema.fields));

	while ((p = spate_param_child(parent, p)))
		field_of(f++, p);
	for (; extra && extra->key; extra++)
		*f++ = *extra;
	return fields;
}

static void build_once(void)
{
	schema.top.type = CYAML_MAPPING;
	schema.top.flags = CYAML_FLAG_POINTER;
	schema.top.data_size = sizeof(struct spate_config);
	schema.top.mapping.fields = build(NULL, NULL);
}

static const cyaml_config_t settings = {
	.mem_fn = cyaml_mem,
	.flags = CYAML_CFG_NO_ALIAS,
};

int spate_schema_load(const char *text, size_t len, struct spate_config **out, const char **why)
{
	cyaml_data_t *data = NULL;
	cyaml_err_t err;

	pthread_once(&schema.once, build_once);
	err = cyaml_load_data((const uint8_t *)text, len, &settings, &schema.top, &data, NULL);
	if (err != CYAML_OK) {
		*why = cyaml_strerror(err);
		return err == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
	}
	*out = data;
	return 0;
}

void spate_schema_free(struct spate_config *cfg)
{
	pthread_once(&schema.once, build_once);
	cyaml_free(&settings, &schema.top, cfg, 0);
}
