/* read_value.c: single values: checked against their row, written in canonical form. */
#include <string.h>

#include "control/config/canon.h"
#include "control/config/reader.h"
#include "control/config/values.h"

/* The text of a scalar, or NULL and a finding. */
const char *spate_read_scalar(struct spate_reader *r, const struct spate_param *p,
			      const struct spate_value *v)
{
	const char *s = v->text;

	if (v->node) {
		if (v->node->type != YAML_SCALAR_NODE) {
			spate_read_fault(r, v, "%s: expected a single value, found %s", p->path,
					 spate_read_kind(v->node));
			return NULL;
		}
		if (spate_read_is_null(v->node)) {
			spate_read_fault(r, v, "%s: has no value", p->path);
			return NULL;
		}
		s = (const char *)v->node->data.scalar.value;
		if (strlen(s) != v->node->data.scalar.length) {
			spate_read_fault(r, v, "%s: contains a NUL byte", p->path);
			return NULL;
		}
	}
	if (!spate_canon_ok(s)) {
		spate_read_fault(r, v, "%s: contains a control character or invalid UTF-8",
				 p->path);
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
static void number(struct spate_reader *r, const struct spate_param *p, const struct spate_value *v,
		   const char *text)
{
	uint64_t n = 0, low = 0, high = 0;
	const char *wrong = number_of(p, text, &n);

	if (wrong) {
		spate_read_fault(r, v, "%s: \"%.80s\" %s", p->path, text, wrong);
		return;
	}
	number_of(p, p->low, &low);
	number_of(p, p->high, &high);
	if (n < low || n > high) {
		spate_read_fault(r, v, "%s: \"%.80s\" is out of range: %s to %s", p->path, text,
				 p->low, p->high);
		return;
	}
	spate_canon_number(r->out, spate_param_name(p), n);
}

static void enumeration(struct spate_reader *r, const struct spate_param *p,
			const struct spate_value *v, const char *text)
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
	spate_read_fault(r, v, "%s: \"%.80s\" is not one of %s: the nearest is \"%.*s\"", p->path,
			 text, p->low, (int)strcspn(best, "|"), best);
}

static void url(struct spate_reader *r, const struct spate_param *p, const struct spate_value *v,
		const char *text)
{
	struct spate_value_url u;
	const char *wrong = spate_value_url(text, &u);

	if (wrong) {
		spate_read_fault(r, v, "%s: \"%.200s\" %s", p->path, text, wrong);
		return;
	}
	spate_canon_text(r->out, "host", u.host, u.host_len);
	spate_canon_text(r->out, "authority", u.authority, u.authority_len);
	spate_canon_text(r->out, "base", u.base, u.base_len);
	spate_canon_number(r->out, "port", u.port);
}

static void text_value(struct spate_reader *r, const struct spate_param *p,
		       const struct spate_value *v, const char *text)
{
	uint64_t low = 0, high = 0;
	size_t len = strlen(text);

	spate_value_count(p->low, &low);
	spate_value_count(p->high, &high);
	if (len < low || len > high) {
		spate_read_fault(r, v, "%s: is %zu bytes long: %s to %s can be taken", p->path, len,
				 p->low, p->high);
		return;
	}
	spate_canon_text(r->out, spate_param_name(p), text, len);
	if (p == &spate_params[SPATE_PARAM_origin_url])
		url(r, p, v, text);
}

void spate_read_single(struct spate_reader *r, const struct spate_param *p,
		       const struct spate_value *v)
{
	const char *text = spate_read_scalar(r, p, v);

	if (!text)
		return;
	if (p->kind == SPATE_KIND_ENUM)
		enumeration(r, p, v, text);
	else if (p->kind == SPATE_KIND_TEXT)
		text_value(r, p, v, text);
	else
		number(r, p, v, text);
}

void spate_read_put_place(struct spate_reader *r, const struct spate_value *v)
{
	struct spate_config_where at = spate_read_value_place(v);

	spate_canon_number(r->out, "line", at.line);
	spate_canon_number(r->out, "col", at.col);
}

void spate_read_address(struct spate_reader *r, const struct spate_param *p,
			const struct spate_value *v, const char *text)
{
	bool listens = p->kind == SPATE_KIND_ADDRS, route = p->kind == SPATE_KIND_ROUTES;
	struct spate_value_ip ip, via;
	const char *wrong = listens ? spate_value_addr(text, &ip)
			    : route ? spate_value_route(text, &ip, &via)
				    : spate_value_ip(text, &ip);

	if (wrong) {
		spate_read_fault(r, v, "%s: \"%.80s\" %s", p->path, text, wrong);
		return;
	}
	fputc('{', r->out);
	spate_canon_text(r->out, "text", text, strlen(text));
	spate_canon_bytes(r->out, "ip", ip.ip, sizeof(ip.ip));
	if (route)
		spate_canon_bytes(r->out, "via", via.ip, sizeof(via.ip));
	spate_canon_number(r->out, listens ? "port" : "prefix", listens ? ip.port : ip.prefix);
	spate_canon_number(r->out, "v6", ip.v6);
	spate_read_put_place(r, v);
	fputs("},", r->out);
}
