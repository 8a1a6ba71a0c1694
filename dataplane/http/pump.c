/*
 * pump.c: a body whose length nobody knows yet (the origin sends chunks), sent as it arrives:
 * chunked to HTTP/1.1 (RFC 9112 7.1), until the connection closes to HTTP/1.0.
 *
 * Each run of bytes that is there becomes "hex CRLF", an extent, CRLF; then the pump waits for room
 * in the send queue or for control's PROGRESS.
 */
#include <stdio.h>

#include "dataplane/http/conn_impl.h"

#define RUN_MAX (1u << 20)

static bool put(struct spate_http_conn *c, const char *p, size_t n)
{
	return spate_sendq_bytes(&c->s->worker->sendq, &c->s->out, p, n) == 0;
}

static bool put_run(struct spate_http_conn *c, struct spate_http_exchange *x, uint64_t n)
{
	struct spate_worker *w = c->s->worker;
	char hex[20];
	int len = snprintf(hex, sizeof(hex), "%llx\r\n", (unsigned long long)n);

	if (x->chunked && !put(c, hex, (size_t)len))
		return false;
	spate_cache_pin(w->cache, w->id, x->object);
	if (spate_sendq_object(&w->sendq, &c->s->out, x->object, x->off, n) < 0) {
		spate_cache_unpin(w->cache, w->id, x->object);
		return false;
	}
	SPATE_COUNT_N(w->stats, http_body_bytes, n);
	x->off += n;
	return !x->chunked || put(c, "\r\n", 2);
}

static void more(struct spate_watch *watch)
{
	struct spate_http_exchange *x =
		(void *)((char *)watch - offsetof(struct spate_http_exchange, watch));

	spate_http_pump(x->conn);
}

struct spate_http_exchange *spate_http_pump_let_go(struct spate_http_conn *c)
{
	struct spate_http_exchange *x = c->pumping;
	struct spate_worker *w = c->s->worker;

	if (x->torrent != NULL) {
		spate_http_concat_drop(x);
	} else {
		spate_watch_del(&x->watch);
		spate_cache_unpin(w->cache, w->id, x->object);
		x->object = NULL;
	}
	c->pumping = NULL;
	return x;
}

void spate_http_pump(struct spate_http_conn *c)
{
	struct spate_http_exchange *x = c->pumping;
	struct spate_worker *w = c->s->worker;
	struct spate_object *o = x->object;

	if (c->closing)
		return;
	if (x->torrent != NULL) {
		spate_http_concat(c);
		return;
	}
	while (!spate_sendq_full(&c->s->out)) {
		/* The state before the bytes: when it says complete, ready() sees all of them. */
		uint8_t state = atomic_load_explicit(&o->state, memory_order_acquire);
		uint64_t n = spate_object_ready(w->cache, o, x->off);

		if (n > 0) {
			if (!put_run(c, x, n < RUN_MAX ? n : RUN_MAX))
				goto fail;
			continue;
		}
		if (state == SPATE_OBJECT_COMPLETE) {
			if (x->chunked && !put(c, "0\r\n\r\n", 5))
				goto fail;
			spate_http_answered(c, spate_http_pump_let_go(c), !c->close_after);
			if (c->paused && !c->closing)
				spate_stream_resume(c->s);
			return;
		}
		if (state == SPATE_OBJECT_FAILED) {
			SPATE_COUNT(w->stats, http_aborted);
			goto fail;
		}
		if (spate_watch_add(&w->watch, &x->watch, o, x->off, more))
			break;
	}
	spate_stream_kick(c->s);
	return;
fail:
	c->closing = true;
	spate_stream_abort(c->s);
}

void spate_http_pump_drop(struct spate_http_conn *c)
{
	struct spate_http_exchange *x = spate_http_pump_let_go(c);

	if (x->unanswered)
		spate_http_log_left(x);
	x = spate_http_exchange_answered(c, x);
	if (x == NULL)
		return;
	spate_http_log(c, x, c->s->out.base);
	spate_http_exchange_put(x);
}
