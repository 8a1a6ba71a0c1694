#include "dataplane/http/condition.h"

#include "dataplane/http/date.h"

enum compare {
	COMPARE_WEAK,   /* opaque tags equal (RFC 9110 8.8.3.2) */
	COMPARE_STRONG, /* and neither is weak */
};

static bool is_weak(struct spate_slice tag)
{
	return tag.len >= 2 && tag.p[0] == 'W' && tag.p[1] == '/';
}

static struct spate_slice opaque(struct spate_slice tag)
{
	return is_weak(tag) ? spate_slice_of(tag.p + 2, tag.len - 2) : tag;
}

static bool tags_match(struct spate_slice a, struct spate_slice b, enum compare how)
{
	if (a.len == 0 || b.len == 0)
		return false;
	if (how == COMPARE_STRONG && (is_weak(a) || is_weak(b)))
		return false;
	return spate_slice_eq(opaque(a), opaque(b));
}

/* Takes the next entity-tag off a list; commas may stand inside its quotes. False: end, or not a
 * tag. */
static bool next_tag(struct spate_slice *list, struct spate_slice *tag)
{
	const char *p = list->p, *end = p + list->len;

	while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
		p++;

	const char *start = p;

	if (end - p >= 2 && p[0] == 'W' && p[1] == '/')
		p += 2;
	if (p == end || *p != '"')
		return false;

	const char *quote = memchr(p + 1, '"', (size_t)(end - p - 1));

	if (quote == NULL)
		return false;
	*tag = spate_slice_of(start, (size_t)(quote + 1 - start));
	*list = spate_slice_of(quote + 1, (size_t)(end - quote - 1));
	return true;
}

/* "*" is true of any representation, and there is one. */
static bool line_matches(struct spate_slice line, struct spate_slice etag, enum compare how)
{
	struct spate_slice tag;

	if (line.len == 1 && line.p[0] == '*')
		return true;
	while (next_tag(&line, &tag))
		if (tags_match(tag, etag, how))
			return true;
	return false;
}

/* All lines of a list field: the first is at hand, further ones are rare enough to look for. */
static bool list_matches(const struct spate_http_request *r, struct spate_slice first,
			 uint8_t repeated, struct spate_slice name, struct spate_slice etag,
			 enum compare how)
{
	struct spate_slice line;
	uint32_t at = 0;

	if (!(r->repeated & repeated))
		return line_matches(first, etag, how);
	while (spate_http_request_field(r, name, &at, &line))
		if (line_matches(line, etag, how))
			return true;
	return false;
}

/* RFC 9110 8.8.2.2: Last-Modified is strong when the Date is later, so that nothing changed within
 * its second. */
static bool if_range_holds(struct spate_slice value, const struct spate_validators *v,
			   int64_t now_s)
{
	int64_t t;

	if (value.len > 0 && (value.p[0] == '"' || is_weak(value)))
		return tags_match(value, v->etag, COMPARE_STRONG);
	if (!spate_http_date_parse(value, now_s, &t))
		return false;
	return v->last_modified_s >= 0 && t == v->last_modified_s && v->date_s > v->last_modified_s;
}

enum spate_condition spate_http_condition(const struct spate_http_request *r,
					  const struct spate_validators *v, int64_t now_s)
{
	int64_t t;

	if (r->method != SPATE_HTTP_GET && r->method != SPATE_HTTP_HEAD)
		return SPATE_CONDITION_PASS;

	/* 1, 2: is it still what the client thinks it is? */
	if (r->if_match.p != NULL) {
		if (!list_matches(r, r->if_match, SPATE_REPEATED_IF_MATCH, SPATE_SLICE("if-match"),
				  v->etag, COMPARE_STRONG))
			return SPATE_CONDITION_FAILED;
	} else if (r->if_unmodified_since.p != NULL && v->last_modified_s >= 0 &&
		   spate_http_date_parse(r->if_unmodified_since, now_s, &t)) {
		if (v->last_modified_s > t)
			return SPATE_CONDITION_FAILED;
	}

	/* 3, 4: has the client got it already? */
	if (r->if_none_match.p != NULL) {
		if (list_matches(r, r->if_none_match, SPATE_REPEATED_IF_NONE_MATCH,
				 SPATE_SLICE("if-none-match"), v->etag, COMPARE_WEAK))
			return SPATE_CONDITION_NOT_MODIFIED;
	} else if (r->if_modified_since.p != NULL && v->last_modified_s >= 0 &&
		   spate_http_date_parse(r->if_modified_since, now_s, &t)) {
		if (v->last_modified_s <= t)
			return SPATE_CONDITION_NOT_MODIFIED;
	}

	/* 5: If-Range without Range MUST be ignored (13.1.5). */
	if (r->method == SPATE_HTTP_GET && r->range.p != NULL && r->if_range.p != NULL &&
	    !if_range_holds(r->if_range, v, now_s))
		return SPATE_CONDITION_IGNORE_RANGE;
	return SPATE_CONDITION_PASS;
}
