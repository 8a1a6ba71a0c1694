/* meta.c: from a response head, or a file's status, to struct spate_meta. */
#include "control/origin/meta.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/origin/freshness.h"
#include "dataplane/http/date.h"
#include "dataplane/http/mime.h"

struct lines {
	char p[SPATE_META_HEAD_MAX];
	size_t len;
	bool full;
};

static void add(struct lines *l, struct spate_slice name, struct spate_slice value)
{
	size_t need = (size_t)name.len + 2 + value.len + 2;

	if (need > sizeof(l->p) - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->p + l->len, name.p, name.len);
	l->len += name.len;
	memcpy(l->p + l->len, ": ", 2);
	l->len += 2;
	if (value.len > 0)
		memcpy(l->p + l->len, value.p, value.len);
	l->len += value.len;
	memcpy(l->p + l->len, "\r\n", 2);
	l->len += 2;
}

static bool starts(struct spate_slice s, const char *lower, uint32_t n)
{
	return s.len >= n &&
	       spate_slice_is((struct spate_slice){s.p, n}, (struct spate_slice){lower, n});
}

/* Does any Connection line name this field? */
static bool of_connection(const struct spate_response *r, struct spate_slice field)
{
	struct spate_slice name, list, item;
	uint32_t at = 0;

	while (spate_response_next(r, &at, &name, &list)) {
		if (!spate_slice_is(name, SPATE_SLICE("connection")))
			continue;
		while (spate_slice_next(&list, &item)) {
			if (item.len != field.len)
				continue;
			for (uint32_t i = 0; i < item.len; i++)
				if (spate_lower(item.p[i]) != spate_lower(field.p[i]))
					goto other;
			return true;
		other:;
		}
	}
	return false;
}

static bool kept(const struct spate_response *r, struct spate_slice name)
{
	return !spate_response_field_is_hop(name) && !starts(name, "access-control-", 15) &&
	       !of_connection(r, name);
}

/* RFC 9110 6.6.1: who stores a response that came without Date adds one; so all have one. */
static void add_date(struct lines *l, int64_t date_s)
{
	char date[SPATE_HTTP_DATE_LEN];

	spate_http_date_format(date_s, date);
	add(l, SPATE_SLICE("Date"), spate_slice_of(date, sizeof(date)));
}

/*
 * meta with the lines of l; the ETag is looked up in them, so that etag_off is right by
 * construction.
 */
static struct spate_meta *make(const struct lines *l)
{
	struct spate_meta *m = calloc(1, sizeof(*m) + l->len);
	size_t at = 0;

	if (m == NULL)
		return NULL;
	memcpy(m->head, l->p, l->len);
	m->head_len = (uint16_t)l->len;
	m->last_modified_s = -1;
	while (at < l->len) {
		const char *line = m->head + at;
		size_t n = (size_t)((const char *)memchr(line, '\n', l->len - at) - line) + 1;

		if (starts(spate_slice_of(line, n), "etag: ", 6)) {
			m->etag_off = (uint16_t)(at + 6);
			m->etag_len = (uint16_t)(n - 8);
			m->etag_weak = n >= 10 && line[6] == 'W';
			break;
		}
		at += n;
	}
	return m;
}

static void times(struct spate_fill_head *h, const struct spate_freshness *f, int64_t response_s)
{
	h->meta->must_revalidate = f->must_revalidate;
	h->meta->date_s = f->date_s;
	h->meta->stored_s = response_s;
	h->meta->initial_age_s = f->initial_age_s;
	h->meta->last_modified_s = f->last_modified_s;
	h->expires_s = response_s + (int64_t)f->lifetime_s - (int64_t)f->initial_age_s;
}

/*
 * Not storable is not the same as private: a 404 without a lifetime may be shared by those who
 * asked at the same time; no-store, private, Set-Cookie and Vary: * may not.
 */
static enum spate_share share_of(const struct spate_response *r, const struct spate_freshness *f)
{
	struct spate_cache_control cc;
	struct spate_slice name, value;
	uint32_t at = 0;

	if (f->storable)
		return SPATE_SHARE_STORE;
	spate_cache_control_init(&cc);
	while (spate_response_next(r, &at, &name, &value)) {
		if (spate_slice_is(name, SPATE_SLICE("cache-control")))
			spate_cache_control_add(&cc, value);
		else if (spate_slice_is(name, SPATE_SLICE("vary")) &&
			 memchr(value.p, '*', value.len))
			return SPATE_SHARE_FIRST;
	}
	return cc.no_store || cc.is_private || r->has_set_cookie ? SPATE_SHARE_FIRST
								 : SPATE_SHARE_NOW;
}

int spate_meta_of_response(struct spate_fill_head *h, const struct spate_response *r,
			   const char *url, size_t url_len, int64_t request_s, int64_t response_s)
{
	struct lines l = {.len = 0};
	struct spate_freshness f;
	struct spate_slice name, value;
	const char *query = memchr(url, '?', url_len);
	uint32_t at = 0;

	memset(h, 0, sizeof(*h));
	if (r->content_type.p == NULL && r->status == 200)
		add(&l, SPATE_SLICE("Content-Type"),
		    spate_http_mime(
			    spate_slice_of(url, query != NULL ? (size_t)(query - url) : url_len)));
	while (spate_response_next(r, &at, &name, &value))
		if (kept(r, name))
			add(&l, name, value);
	spate_freshness_of(r, request_s, response_s, SPATE_FRESH_DEFAULT_S, &f);
	add_date(&l, f.date_s);
	if (l.full)
		return -EMSGSIZE;
	h->meta = make(&l);
	if (h->meta == NULL)
		return -ENOMEM;
	h->meta->status = r->status;
	h->share = share_of(r, &f);
	/*
	 * What is not a success is kept only when the origin says for how long, not by guess (RFC
	 * 9111 3, 4.2.2).
	 */
	if (h->share == SPATE_SHARE_STORE && r->status >= 300 &&
	    (f.source == SPATE_FRESH_NONE || f.source == SPATE_FRESH_HEURISTIC))
		h->share = SPATE_SHARE_NOW;
	h->meta->cacheable = h->share == SPATE_SHARE_STORE;
	times(h, &f, response_s);
	h->size = r->body == SPATE_BODY_NONE     ? 0
		  : r->body == SPATE_BODY_LENGTH ? r->content_length
						 : SPATE_SIZE_UNKNOWN;
	return 0;
}

/* Describes the stored bytes, so a 304 has no say in it. */
static bool of_content(struct spate_slice name)
{
	return starts(name, "content-", 8) || spate_slice_is(name, SPATE_SLICE("etag")) ||
	       spate_slice_is(name, SPATE_SLICE("last-modified"));
}

static bool in_response(const struct spate_response *r, struct spate_slice field)
{
	struct spate_slice name, value;
	uint32_t at = 0;

	while (spate_response_next(r, &at, &name, &value))
		if (name.len == field.len && strncasecmp(name.p, field.p, name.len) == 0)
			return true;
	return false;
}

/*
 * The merged lines are put back into the form of a response, with the 304's own Date and Age, and
 * read by the same parser and freshness rules as any other: so there is one place that knows them.
 */
int spate_meta_of_304(struct spate_fill_head *h, const struct spate_response *r,
		      const struct spate_meta *old, int64_t request_s, int64_t response_s)
{
	static const char status_line[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
	struct spate_slice rest = {old->head, old->head_len}, name, value;
	struct lines l = {.len = 0};
	struct spate_response merged;
	struct spate_freshness f;
	uint32_t at = 0;
	size_t n = sizeof(status_line) - 1;
	char *text;
	int rc = 0;

	memset(h, 0, sizeof(*h));
	while (rest.len > 0) {
		uint32_t len =
			(uint32_t)((const char *)memchr(rest.p, '\n', rest.len) - rest.p) + 1;
		const char *colon = memchr(rest.p, ':', len);

		name = spate_slice_of(rest.p, (size_t)(colon - rest.p));
		value = spate_slice_trim(spate_slice_of(colon + 1, len - name.len - 3));
		/* Date is the 304's, or now: below. */
		if (!spate_slice_is(name, SPATE_SLICE("date")) &&
		    (of_content(name) || !in_response(r, name)))
			add(&l, name, value);
		rest.p += len;
		rest.len -= len;
	}
	while (spate_response_next(r, &at, &name, &value))
		if (kept(r, name) && !of_content(name))
			add(&l, name, value);
	if (l.full)
		return -EMSGSIZE;
	text = malloc(n + sizeof(l.p) + SPATE_RESPONSE_HEAD_MAX);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, status_line, n);
	memcpy(text + n, l.p, l.len);
	n += l.len;
	if (r->date.p != NULL)
		n += (size_t)sprintf(text + n, "Date: %.*s\r\n", (int)r->date.len, r->date.p);
	if (r->age.p != NULL)
		n += (size_t)sprintf(text + n, "Age: %.*s\r\n", (int)r->age.len, r->age.p);
	text[n++] = '\r';
	text[n++] = '\n';
	spate_response_init(&merged, false);
	if (spate_response_parse((const uint8_t *)text, n, &merged) != SPATE_RESPONSE_OK) {
		rc = -EINVAL;
		goto done;
	}
	spate_freshness_of(&merged, request_s, response_s, SPATE_FRESH_DEFAULT_S, &f);
	add_date(&l, f.date_s);
	h->meta = l.full ? NULL : make(&l);
	if (h->meta == NULL) {
		rc = l.full ? -EMSGSIZE : -ENOMEM;
		goto done;
	}
	h->meta->status = old->status;
	h->share = share_of(&merged, &f);
	h->meta->cacheable = h->share == SPATE_SHARE_STORE;
	times(h, &f, response_s);
	h->not_modified = true;
done:
	free(text);
	return rc;
}

int spate_meta_of_file(struct spate_fill_head *h, const struct statx *st, const char *url,
		       size_t url_len, int64_t now_s)
{
	const char *query = memchr(url, '?', url_len);
	char etag[64], date[SPATE_HTTP_DATE_LEN];
	struct lines l = {.len = 0};
	int n;

	memset(h, 0, sizeof(*h));
	/*
	 * Nanoseconds and inode: a file that was replaced within a second is another
	 * representation.
	 */
	n = snprintf(etag, sizeof(etag), "\"%llx.%x-%llx-%llx\"",
		     (unsigned long long)st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec,
		     (unsigned long long)st->stx_size, (unsigned long long)st->stx_ino);
	spate_http_date_format(st->stx_mtime.tv_sec, date);
	add(&l, SPATE_SLICE("Content-Type"),
	    spate_http_mime(spate_slice_of(url, query != NULL ? (size_t)(query - url) : url_len)));
	add(&l, SPATE_SLICE("ETag"), spate_slice_of(etag, (size_t)n));
	add(&l, SPATE_SLICE("Last-Modified"), spate_slice_of(date, sizeof(date)));
	add_date(&l, now_s);
	h->meta = make(&l);
	if (h->meta == NULL)
		return -ENOMEM;
	h->meta->status = 200;
	h->meta->cacheable = true;
	h->meta->last_modified_s = st->stx_mtime.tv_sec;
	h->meta->date_s = h->meta->stored_s = now_s;
	h->size = st->stx_size;
	h->expires_s = now_s + SPATE_FRESH_DEFAULT_S;
	h->share = SPATE_SHARE_STORE;
	return 0;
}
