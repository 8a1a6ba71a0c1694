/* config_json.c: see config_json.h. */
#include "control/admin/config_json.h"

#include <string.h>

#include "control/config/table.h"

static void object(struct spate_text *t, const struct spate_param *parent, const char *base);

static void text(struct spate_text *t, const char *s)
{
	spate_text_json(t, s, strlen(s));
}

/* One entry of a list; at points to it. */
static void entry(struct spate_text *t, const struct spate_param *p, const void *at)
{
	switch (p->kind) {
	case SPATE_KIND_ADDRS:
		text(t, ((const struct spate_config_addr *)at)->text);
		break;
	case SPATE_KIND_IPS:
	case SPATE_KIND_ROUTES:
		text(t, ((const struct spate_config_ip *)at)->text);
		break;
	case SPATE_KIND_TEXTS:
		text(t, *(char *const *)at);
		break;
	case SPATE_KIND_COUNTS:
		spate_text_u64(t, *(const uint32_t *)at);
		break;
	default:
		object(t, p, at);
	}
}

static void enum_name(struct spate_text *t, const char *names, uint64_t n)
{
	while (n-- > 0)
		names += strcspn(names, "|") + 1;
	spate_text_json(t, names, strcspn(names, "|"));
}

static void value(struct spate_text *t, const struct spate_param *p, const char *base)
{
	const void *at = base + p->offset;

	if (p->kind == SPATE_KIND_SECTION) {
		object(t, p, base);
	} else if (spate_param_is_list(p)) {
		uint32_t count = *(const uint32_t *)(const void *)(base + p->count_offset);

		spate_text_lit(t, "[");
		for (uint32_t i = 0; i < count; i++) {
			spate_text_str(t, i > 0 ? "," : "");
			entry(t, p, *(char *const *)at + (size_t)i * p->size);
		}
		spate_text_lit(t, "]");
	} else if (p->kind == SPATE_KIND_TEXT) {
		text(t, *(char *const *)at);
	} else {
		uint64_t n = p->size == 8 ? *(const uint64_t *)at : *(const uint32_t *)at;

		if (p->kind == SPATE_KIND_ENUM)
			enum_name(t, p->low, n);
		else
			spate_text_u64(t, n);
	}
}

static void object(struct spate_text *t, const struct spate_param *parent, const char *base)
{
	const struct spate_param *p = NULL;
	const char *sep = "";

	spate_text_lit(t, "{");
	while ((p = spate_param_child(parent, p)) != NULL) {
		if (p->kind == SPATE_KIND_TEXT &&
		    *(char *const *)(const void *)(base + p->offset) == NULL)
			continue; /* an origin has a URL or a directory */
		spate_text_str(t, sep);
		spate_text_lit(t, "\"");
		spate_text_str(t, spate_param_name(p));
		spate_text_str(t, p->kind == SPATE_KIND_SIZE   ? "_bytes"
				  : p->kind == SPATE_KIND_TIME ? "_ms"
							       : "");
		spate_text_lit(t, "\":");
		value(t, p, base);
		sep = ",";
	}
	spate_text_lit(t, "}");
}

void spate_config_json(const struct spate_config *cfg, struct spate_text *t)
{
	object(t, NULL, (const char *)cfg);
}
