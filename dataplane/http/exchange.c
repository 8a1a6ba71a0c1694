/*
 * exchange.c: requests that outlive the burst they came in. Who waits for control, or is sent piece
 * by piece, needs the whole head again; there are as many of those as misses and connections.
 * Answers on their way out, of which a connection may have dozens, are there for the log only.
 */
#include <string.h>

#include "dataplane/http/conn_impl.h"
#include "dataplane/http/uri.h"

#define SMALL_BYTES 2048
#define LARGE_BYTES                                                    \
	(sizeof(struct spate_http_exchange) + SPATE_REQUEST_HEAD_MAX + \
	 SPATE_URI_MAX(SPATE_REQUEST_LINE_MAX))
#define LOG_SMALL_BYTES 1024
#define LOG_LARGE_BYTES \
	(sizeof(struct spate_http_exchange) + SPATE_HTTP_TEXTS * SPATE_HTTP_TEXT_MAX)
#define SMALL_MAX     (1u << 18)
#define LARGE_MAX     (1u << 12)
#define LOG_SMALL_MAX (1u << 16)
#define LOG_LARGE_MAX (1u << 12)

void spate_http_exchanges_init(struct spate_http *h)
{
	spate_pool_init(&h->small, SMALL_BYTES, SMALL_MAX);
	spate_pool_init(&h->large, LARGE_BYTES, LARGE_MAX);
	spate_pool_init(&h->log_small, LOG_SMALL_BYTES, LOG_SMALL_MAX);
	spate_pool_init(&h->log_large, LOG_LARGE_BYTES, LOG_LARGE_MAX);
}

void spate_http_exchanges_finish(struct spate_http *h)
{
	spate_pool_finish(&h->small);
	spate_pool_finish(&h->large);
	spate_pool_finish(&h->log_small);
	spate_pool_finish(&h->log_large);
}

static struct spate_http_exchange *get(struct spate_http_conn *c, struct spate_pool *pool)
{
	struct spate_http_exchange *x = spate_pool_get(pool);

	if (x == NULL)
		return NULL;
	memset(x, 0, sizeof(*x));
	x->conn = c;
	x->pool = pool;
	x->start_us = spate_http_of(c)->w->now_us;
	return x;
}

void spate_http_exchange_put(struct spate_http_exchange *x)
{
	spate_pool_put(x->pool, x);
}

void spate_http_exchange_request(const struct spate_http_exchange *x, struct spate_http_request *r)
{
	spate_http_request_init(r);
	spate_http_request_parse((const uint8_t *)x->head, x->head_len, r); /* was OK before */
}

struct spate_http_exchange *spate_http_exchange_get(struct spate_http_conn *c,
						    const struct spate_http_request *r,
						    struct spate_slice url)
{
	struct spate_http *h = spate_http_of(c);
	bool large = sizeof(struct spate_http_exchange) + r->head_len + url.len > SMALL_BYTES;
	struct spate_http_exchange *x = get(c, large ? &h->large : &h->small);

	if (x == NULL)
		return NULL;
	x->head_len = r->head_len;
	memcpy(x->head, r->head, r->head_len);
	if (url.len > 0)
		memcpy(x->head + r->head_len, url.p, url.len);
	x->miss.url = x->head + r->head_len;
	x->miss.url_len = (uint16_t)url.len;
	return x;
}

struct spate_http_exchange *spate_http_exchange_log(struct spate_http_conn *c,
						    const struct spate_http_request *r)
{
	const struct spate_slice text[SPATE_HTTP_TEXTS] = {r->target, r->range, r->user_agent,
							   r->referer};
	struct spate_http *h = spate_http_of(c);
	uint16_t len[SPATE_HTTP_TEXTS];
	struct spate_http_exchange *x;
	size_t n = sizeof(*x);

	if (!h->w->config->access_log)
		return NULL;
	for (unsigned i = 0; i < SPATE_HTTP_TEXTS; i++) {
		len[i] = (uint16_t)(text[i].len < SPATE_HTTP_TEXT_MAX ? text[i].len
								      : SPATE_HTTP_TEXT_MAX);
		n += len[i];
	}
	x = get(c, n > LOG_SMALL_BYTES ? &h->log_large : &h->log_small);
	if (x == NULL) {
		SPATE_COUNT(h->w->stats, log_dropped);
		return NULL;
	}
	x->logged = true;
	x->method = r->method;
	x->minor = r->minor;
	char *at = x->head;

	for (unsigned i = 0; i < SPATE_HTTP_TEXTS; i++) {
		x->text_len[i] = len[i];
		if (len[i] > 0)
			memcpy(at, text[i].p, len[i]);
		at += len[i];
	}
	return x;
}

struct spate_http_exchange *spate_http_exchange_log_raw(struct spate_http_conn *c, const void *p,
							size_t len)
{
	const char *end = memchr(p, '\n', len);
	struct spate_http_request r = {0};

	r.target = (struct spate_slice){
		p, (uint32_t)(end != NULL ? end - (const char *)p : (long)len)};
	if (r.target.len > 0 && r.target.p[r.target.len - 1] == '\r')
		r.target.len--;
	return spate_http_exchange_log(c, &r);
}

struct spate_http_exchange *spate_http_exchange_answered(struct spate_http_conn *c,
							 struct spate_http_exchange *x)
{
	struct spate_http_exchange *log;
	struct spate_http_request r;

	if (x->logged)
		return x;
	if (!spate_http_of(c)->w->config->access_log) {
		spate_http_exchange_put(x);
		return NULL;
	}
	spate_http_exchange_request(x, &r);
	log = spate_http_exchange_log(c, &r);
	if (log != NULL) {
		log->start_us = x->start_us;
		log->body_at = x->body_at;
		log->end = x->end;
		log->status = x->status;
		log->cache = x->cache;
		log->miss.origin_us = x->miss.origin_us;
	}
	spate_http_exchange_put(x);
	return log;
}
