/*
 * respond.c: from an object and a request to a response: status, head lines, and ranges of the
 * object.
 *
 * The origin's own lines (Content-Type, ETag, Date, ...) come ready made in the object's meta; here
 * are added only those that depend on the request or on the time. The body is never touched.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/http/condition.h"
#include "dataplane/http/conn_impl.h"
#include "dataplane/http/date.h"
#include "dataplane/http/range.h"
#include "dataplane/http/status.h"

/*
 * Players run in pages of other sites (Fetch, CORS protocol). That they may read the bytes is said
 * to everybody, so that a cache behind us needs no Vary; which headers they may read, only to those
 * who say that they are such a page: should a cache keep the shorter answer, scripts miss a header,
 * not the content.
 */
#define CORS_ALLOW   "Access-Control-Allow-Origin: *\r\n"
#define CORS_EXPOSE  "Access-Control-Expose-Headers: Content-Range, Content-Length, Date, ETag\r\n"
#define BOUNDARY_LEN 32

/* A response head under construction, queued as it goes. ok turns false when a pool is empty. */
struct head {
	struct spate_sendq_env *env;
	struct spate_sendq *q;
	bool ok;
	size_t len;
	char buf[1024];
};

static void flush(struct head *h)
{
	if (h->len > 0 && h->ok)
		h->ok = spate_sendq_bytes(h->env, h->q, h->buf, h->len) == 0;
	h->len = 0;
}

static void put(struct head *h, const char *p, size_t n)
{
	if (n > sizeof(h->buf) - h->len) {
		flush(h);
		if (n > sizeof(h->buf)) {
			h->ok = h->ok && spate_sendq_bytes(h->env, h->q, p, n) == 0;
			return;
		}
	}
	memcpy(h->buf + h->len, p, n);
	h->len += n;
}

/* Inlined, so that a literal is a few stores of known size: a head is made of a dozen. */
static inline __attribute__((always_inline)) void put_literal(struct head *h, const char *p,
							      size_t n)
{
	if (__builtin_expect(n > sizeof(h->buf) - h->len, 0)) {
		put(h, p, n);
		return;
	}
	memcpy(h->buf + h->len, p, n);
	h->len += n;
}

#define PUT(h, literal) put_literal((h), "" literal, sizeof(literal) - 1)

static void put_u64(struct head *h, uint64_t v)
{
	char d[20];
	unsigned at = sizeof(d);

	do {
		d[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	put(h, d + at, sizeof(d) - at);
}

static void begin(struct head *h, struct spate_http_conn *c, unsigned status)
{
	struct spate_stats *st = c->s->worker->stats;

	h->env = &c->s->worker->sendq;
	h->q = &c->s->out;
	h->ok = true;
	h->len = 0;
	if (status == 200) {
		PUT(h, "HTTP/1.1 200 OK\r\n");
	} else {
		struct spate_slice reason = spate_http_reason(status);

		PUT(h, "HTTP/1.1 ");
		put_u64(h, status);
		PUT(h, " ");
		put(h, reason.p, reason.len);
		PUT(h, "\r\n");
	}
	if (status < 300)
		SPATE_COUNT(st, http_2xx);
	else if (status < 400)
		SPATE_COUNT(st, http_3xx);
	else if (status < 500)
		SPATE_COUNT(st, http_4xx);
	else
		SPATE_COUNT(st, http_5xx);
}

static void end(struct head *h, bool http_1_0, bool keep_alive)
{
	if (!keep_alive)
		PUT(h, "Connection: close\r\n");
	else if (http_1_0)
		PUT(h, "Connection: keep-alive\r\n");
	PUT(h, "\r\n");
	flush(h);
}

static void put_cors(struct head *h, const struct spate_http_request *r)
{
	PUT(h, CORS_ALLOW);
	if (r->origin.p != NULL)
		PUT(h, CORS_EXPOSE);
}

static void put_length(struct head *h, uint64_t n)
{
	PUT(h, "Content-Length: ");
	put_u64(h, n);
	PUT(h, "\r\n");
}

/* RFC 9110 14.4. */
static void put_content_range(struct head *h, const struct spate_range *r, uint64_t size)
{
	PUT(h, "Content-Range: bytes ");
	if (r != NULL) {
		put_u64(h, r->first);
		PUT(h, "-");
		put_u64(h, r->last);
	} else {
		PUT(h, "*");
	}
	PUT(h, "/");
	put_u64(h, size);
	PUT(h, "\r\n");
}

/* RFC 9110 6.6.1: an origin server with a clock sends Date; for these answers we are one. */
static void put_date(struct head *h, struct spate_http_conn *c)
{
	struct spate_http *http = spate_http_of(c);

	if (http->date_s != http->w->wall_s) {
		http->date_s = http->w->wall_s;
		spate_http_date_format(http->date_s, http->date);
	}
	PUT(h, "Date: ");
	put(h, http->date, SPATE_HTTP_DATE_LEN);
	PUT(h, "\r\n");
}

/* RFC 9111 4.2.3: current_age = corrected_initial_age + resident_time. */
static void put_age(struct head *h, const struct spate_meta *m, int64_t now_s)
{
	int64_t resident = now_s - m->stored_s;

	PUT(h, "Age: ");
	put_u64(h, m->initial_age_s + (uint64_t)(resident > 0 ? resident : 0));
	PUT(h, "\r\n");
}

/* RFC 9211. */
static void put_cache_status(struct head *h, enum spate_log_cache cache)
{
	switch (cache) {
	case SPATE_LOG_HIT:
		PUT(h, "Cache-Status: spate; hit\r\n");
		break;
	case SPATE_LOG_MISS:
		PUT(h, "Cache-Status: spate; fwd=miss\r\n");
		break;
	case SPATE_LOG_COALESCED:
		PUT(h, "Cache-Status: spate; fwd=miss; collapsed\r\n");
		break;
	case SPATE_LOG_REVALIDATED:
		PUT(h, "Cache-Status: spate; fwd=stale; fwd-status=304\r\n");
		break;
	case SPATE_LOG_STALE:
		PUT(h, "Cache-Status: spate; fwd=stale\r\n");
		break;
	case SPATE_LOG_NONE:
		break;
	}
}

/* The origin's lines without Content-Type: a multipart answer has its own. *type gets that line's
 * value. */
static void put_meta_without_type(struct head *h, const struct spate_meta *m,
				  struct spate_slice *type)
{
	struct spate_slice rest = {m->head, m->head_len};

	*type = (struct spate_slice){0};
	while (rest.len > 0) {
		const char *nl = memchr(rest.p, '\n', rest.len);
		uint32_t n = nl != NULL ? (uint32_t)(nl - rest.p) + 1 : rest.len;

		if (n > 13 &&
		    spate_slice_is(spate_slice_of(rest.p, 13), SPATE_SLICE("content-type:"))) {
			*type = spate_slice_trim(spate_slice_of(rest.p + 13, n - 13 - 2));
		} else {
			put(h, rest.p, n);
		}
		rest.p += n;
		rest.len -= n;
	}
}

/* --- the body --- */

/* One pin for each extent; the caller's own is given up by respond() at the end. */
static bool queue_range(struct spate_http_conn *c, struct spate_object *o, uint64_t off,
			uint64_t len)
{
	struct spate_worker *w = c->s->worker;

	if (len == 0)
		return true;
	spate_cache_pin(w->cache, w->id, o);
	if (spate_sendq_object(&w->sendq, &c->s->out, o, off, len) == 0) {
		SPATE_COUNT_N(w->stats, http_body_bytes, len);
		return true;
	}
	spate_cache_unpin(w->cache, w->id, o);
	return false;
}

struct part_head {
	unsigned len;
	char text[512];
};

/* RFC 9110 14.6. n == 0 of the caller's ranges: the closing delimiter. */
static void part_head(struct part_head *p, const char *boundary, struct spate_slice type,
		      const struct spate_range *r, uint64_t size, bool first)
{
	int n;

	if (r == NULL)
		n = snprintf(p->text, sizeof(p->text), "\r\n--%s--\r\n", boundary);
	else
		n = snprintf(p->text, sizeof(p->text),
			     "%s--%s\r\n%s%.*s%sContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
			     first ? "" : "\r\n", boundary, type.len > 0 ? "Content-Type: " : "",
			     (int)(type.len < 256 ? type.len : 256), type.len > 0 ? type.p : "",
			     type.len > 0 ? "\r\n" : "", (unsigned long long)r->first,
			     (unsigned long long)r->last, (unsigned long long)size);
	p->len = (unsigned)n;
}

/* A fresh boundary a response, from a random seed: nobody can make a body that holds it
 * (splitmix64). */
static void make_boundary(struct spate_http *h, char out[BOUNDARY_LEN + 1])
{
	uint64_t v[2];

	for (int i = 0; i < 2; i++) {
		uint64_t z = h->boundary += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		v[i] = z ^ (z >> 31);
	}
	snprintf(out, BOUNDARY_LEN + 1, "%016llx%016llx", (unsigned long long)v[0],
		 (unsigned long long)v[1]);
}

static bool respond_multipart(struct spate_http_conn *c, const struct spate_http_request *r,
			      struct spate_object *o, const struct spate_meta *m, uint64_t size,
			      const struct spate_ranges *set, enum spate_log_cache cache,
			      bool keep_alive, struct spate_http_exchange *x)
{
	struct spate_worker *w = c->s->worker;
	struct part_head parts[SPATE_RANGES_MAX + 1];
	char boundary[BOUNDARY_LEN + 1];
	struct spate_slice type;
	struct head h;
	uint64_t total = spate_ranges_total(set);
	bool ok;

	make_boundary(w->http, boundary);
	begin(&h, c, 206);
	put_meta_without_type(&h, m, &type);
	for (unsigned i = 0; i <= set->n; i++) {
		part_head(&parts[i], boundary, type, i < set->n ? &set->part[i] : NULL, size,
			  i == 0);
		total += parts[i].len;
	}
	put_age(&h, m, w->wall_s);
	PUT(&h, "Content-Type: multipart/byteranges; boundary=");
	put(&h, boundary, BOUNDARY_LEN);
	PUT(&h, "\r\n");
	put_length(&h, total);
	put_cache_status(&h, cache);
	put_cors(&h, r);
	end(&h, r->minor == 0, keep_alive);
	if (x != NULL)
		x->body_at = c->s->out.end;
	ok = h.ok;
	for (unsigned i = 0; i <= set->n && ok; i++) {
		ok = spate_sendq_bytes(&w->sendq, &c->s->out, parts[i].text, parts[i].len) == 0;
		if (ok && i < set->n)
			ok = queue_range(c, o, set->part[i].first,
					 set->part[i].last - set->part[i].first + 1);
	}
	return ok;
}

/* Statuses whose responses have no body at all (RFC 9110 6.4.1). */
static bool bodyless(unsigned status)
{
	return status < 200 || status == 204 || status == 304;
}

/* o NULL: the content is a torrent's, and its body is started by the caller: see *off, *len. */
static bool respond_one(struct spate_http_conn *c, const struct spate_http_request *r,
			struct spate_object *o, const struct spate_meta *m, uint64_t size,
			enum spate_log_cache cache, bool *keep_alive,
			struct spate_http_exchange **px, bool *pumping, uint64_t *body_off,
			uint64_t *body_len)
{
	struct spate_worker *w = c->s->worker;
	bool head_only = r->method == SPATE_HTTP_HEAD;
	enum spate_condition cond = SPATE_CONDITION_PASS;
	enum spate_range_verdict range = SPATE_RANGE_WHOLE;
	struct spate_ranges set = {0};
	struct spate_http_exchange *x = *px;
	unsigned status = m->status;
	struct head h;

	assert((o == NULL) == (body_off != NULL && body_len != NULL));
	if (status == 200) {
		struct spate_validators v = {
			.etag = {m->head + m->etag_off, m->etag_len},
			.last_modified_s = m->last_modified_s,
			.date_s = m->date_s,
		};

		cond = spate_http_condition(r, &v, w->wall_s);
		if (cond == SPATE_CONDITION_NOT_MODIFIED)
			status = 304;
		else if (cond == SPATE_CONDITION_FAILED)
			status = 412;
		else if (cond == SPATE_CONDITION_PASS && r->method == SPATE_HTTP_GET)
			range = spate_http_range(r->range, size, &set);
		/* Of an unknown size nothing can be promised: the whole, as it comes (14.2 allows
		 * that). */
		if (size == SPATE_SIZE_UNKNOWN || (o == NULL && set.n > 1))
			range = SPATE_RANGE_WHOLE;
		if (range == SPATE_RANGE_UNSATISFIABLE)
			status = 416;
		else if (range == SPATE_RANGE_PARTS)
			status = 206;
	}
	if (x != NULL) {
		x->status = (uint16_t)status;
		x->cache = (uint8_t)cache;
	}
	if (range == SPATE_RANGE_PARTS && set.n > 1)
		return respond_multipart(c, r, o, m, size, &set, cache, *keep_alive, x);

	bool pump =
		!bodyless(status) && cond != SPATE_CONDITION_FAILED && size == SPATE_SIZE_UNKNOWN;

	if (pump && r->minor == 0)
		*keep_alive = false; /* the end of the body is the end of the connection */
	if (pump && !head_only && x == NULL) {
		x = *px = spate_http_exchange_get(c, r, (struct spate_slice){0});
		if (x == NULL)
			return false;
		x->status = (uint16_t)status;
		x->cache = (uint8_t)cache;
	}
	begin(&h, c, status);
	if (status == m->status || status == 206 || status == 304) {
		put(&h, m->head, m->head_len);
		put_age(&h, m, w->wall_s);
	} else {
		/* About this request, not the content: a cache behind us must not keep it. */
		put_date(&h, c);
		PUT(&h, "Cache-Control: no-store\r\n");
	}
	uint64_t off = 0, len = 0;

	if (range == SPATE_RANGE_UNSATISFIABLE) {
		put_content_range(&h, NULL, size);
		put_length(&h, 0);
	} else if (cond == SPATE_CONDITION_FAILED) {
		put_length(&h, 0);
	} else if (status == 206) {
		off = set.part[0].first;
		len = set.part[0].last - off + 1;
		put_content_range(&h, &set.part[0], size);
		put_length(&h, len);
	} else if (pump) {
		if (r->minor > 0)
			PUT(&h, "Transfer-Encoding: chunked\r\n");
	} else if (!bodyless(status)) {
		len = size;
		put_length(&h, len);
	}
	if (status == 200)
		PUT(&h, "Accept-Ranges: bytes\r\n");
	put_cache_status(&h, cache);
	put_cors(&h, r);
	end(&h, r->minor == 0, *keep_alive);
	if (x != NULL)
		x->body_at = c->s->out.end;
	if (!h.ok)
		return false;
	if (head_only)
		return true;
	if (o == NULL) {
		*body_off = off;
		*body_len = len;
		return true;
	}
	if (!pump)
		return queue_range(c, o, off, len);
	spate_cache_pin(w->cache, w->id, o);
	x->object = o;
	x->off = 0;
	x->end = UINT64_MAX;
	x->chunked = r->minor > 0;
	*pumping = true;
	return true;
}

bool spate_http_respond(struct spate_http_conn *c, const struct spate_http_request *r,
			struct spate_object *o, enum spate_log_cache cache, bool *keep_alive,
			struct spate_http_exchange **x, bool *pumping)
{
	struct spate_worker *w = c->s->worker;
	const struct spate_meta *m = atomic_load_explicit(&o->meta, memory_order_acquire);
	uint64_t size = atomic_load_explicit(&o->size, memory_order_acquire);
	bool ok = respond_one(c, r, o, m, size, cache, keep_alive, x, pumping, NULL, NULL);

	spate_cache_unpin(w->cache, w->id, o);
	return ok;
}

bool spate_http_respond_torrent(struct spate_http_conn *c, const struct spate_http_request *r,
				struct spate_torrent *t, bool *keep_alive,
				struct spate_http_exchange **px, bool *pumping)
{
	uint64_t off = 0, len = 0;
	struct spate_http_exchange *x;

	if (!respond_one(c, r, NULL, t->file_meta, t->bytes, SPATE_LOG_HIT, keep_alive, px, pumping,
			 &off, &len))
		return false;
	if (len == 0)
		return true;
	if (*px == NULL) {
		*px = spate_http_exchange_get(c, r, (struct spate_slice){0});
		if (*px == NULL)
			return false;
	}
	x = *px;
	spate_torrent_ref(t);
	x->torrent = t;
	x->off = off;
	x->stop = off + len;
	x->end = UINT64_MAX;
	*pumping = true;
	return true;
}

/* --- answers of our own --- */

bool spate_http_respond_status(struct spate_http_conn *c, unsigned status, bool head_only,
			       bool http_1_0, bool keep_alive, struct spate_http_exchange *x)
{
	struct spate_slice reason = spate_http_reason(status);
	struct head h;

	begin(&h, c, status);
	put_date(&h, c);
	if (status == 405)
		PUT(&h, "Allow: GET, HEAD, OPTIONS\r\n");
	if (status == 503)
		PUT(&h, "Retry-After: 1\r\n");
	PUT(&h, "Content-Type: text/plain\r\nCache-Control: no-store\r\n");
	put_length(&h, 3 + 1 + reason.len + 1);
	PUT(&h, CORS_ALLOW);
	end(&h, http_1_0, keep_alive);
	if (x != NULL) {
		x->status = (uint16_t)status;
		x->body_at = c->s->out.end;
	}
	if (!head_only) {
		put_u64(&h, status);
		PUT(&h, " ");
		put(&h, reason.p, reason.len);
		PUT(&h, "\n");
		flush(&h);
	}
	return h.ok;
}

bool spate_http_respond_body(struct spate_http_conn *c, const void *body, size_t len,
			     bool head_only, bool http_1_0, bool keep_alive,
			     struct spate_http_exchange *x)
{
	struct head h;

	begin(&h, c, 200);
	put_date(&h, c);
	PUT(&h, "Content-Type: text/plain\r\nCache-Control: no-store\r\n");
	put_length(&h, len);
	PUT(&h, CORS_ALLOW);
	end(&h, http_1_0, keep_alive);
	if (x != NULL) {
		x->status = 200;
		x->body_at = c->s->out.end;
	}
	if (!head_only) {
		put(&h, body, len);
		flush(&h);
	}
	return h.ok;
}

bool spate_http_respond_options(struct spate_http_conn *c, bool http_1_0, bool keep_alive,
				struct spate_http_exchange *x)
{
	struct head h;

	begin(&h, c, 204);
	put_date(&h, c);
	PUT(&h, "Allow: GET, HEAD, OPTIONS\r\n"
		"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
		"Access-Control-Allow-Headers: Range, If-Range, If-None-Match, If-Modified-Since, "
		"Content-Type, Cache-Control, "
		"CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session\r\n" /* CTA-5004 */
		"Access-Control-Max-Age: 86400\r\n");
	PUT(&h, CORS_ALLOW CORS_EXPOSE);
	end(&h, http_1_0, keep_alive);
	if (x != NULL) {
		x->status = 204;
		x->body_at = c->s->out.end;
	}
	return h.ok;
}
