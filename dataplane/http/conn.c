/*
 * conn.c: the life of an HTTP connection.
 *
 *          ┌──────────────── resume ◄──────────────┐
 *   recv ─►│ parse ─► serve ─┬─ hit ────► respond ─┴─► answered ─► next request in the same bytes
 *          │                 ├─ miss ───► FETCH ... REPLY ─► respond ─► resume
 *          │                 └─ refused ► status, close
 *          └─ half a head: kept in a partial, header timer runs
 *
 * One answer at a time may be waiting or pumping; hits are answered as fast as they are parsed,
 * until the send queue is full. Reading pauses meanwhile, down to the peer's TCP window.
 */
#include "dataplane/http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/bt/tracker_http.h"
#include "dataplane/http/conn_impl.h"
#include "dataplane/http/range.h"
#include "dataplane/http/uri.h"

#define CONNS_MAX    (1u << 20)
#define PARTIALS_MAX (1u << 14)

#define DRAIN_GRACE_MS 500 /* for the first request of who connected just before we drain */

static void set_timer(struct spate_http_conn *c, enum spate_http_timer kind);

/* --- the end of an answer --- */

/* Logs what has left. All of it when the connection is going. */
static void log_sent(struct spate_http_conn *c, bool all)
{
	uint64_t sent = c->s->out.base;

	while (c->log_head != NULL && (all || c->log_head->end <= sent)) {
		struct spate_http_exchange *x = c->log_head;

		c->log_head = x->next;
		if (c->log_head == NULL)
			c->log_tail = &c->log_head;
		spate_http_log(c, x, sent);
		spate_http_exchange_put(x);
	}
}

static void give_up(struct spate_http_conn *c)
{
	c->closing = true;
	spate_stream_abort(c->s);
}

static void finish(struct spate_http_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	spate_stream_finish(c->s);
	/* What was left unread is thrown away now: behind it the peer's FIN waits. */
	if (c->paused)
		spate_stream_resume(c->s);
}

void spate_http_answered(struct spate_http_conn *c, struct spate_http_exchange *x, bool keep_alive)
{
	log_sent(c, false); /* a queue that never runs empty must not pile up what has left it */
	if (x != NULL) {
		x->end = c->s->out.end;
		x = spate_http_exchange_answered(c, x);
	}
	if (x != NULL) {
		x->next = NULL;
		*c->log_tail = x;
		c->log_tail = &x->next;
	}
	spate_stream_kick(c->s);
	set_timer(c, SPATE_HTTP_TIMER_SEND);
	if (!keep_alive)
		finish(c);
}

/* ok: as respond.c said; else a pool is empty, and the viewer is better off with a reset. */
static void answered_or_not(struct spate_http_conn *c, bool ok, struct spate_http_exchange *x,
			    bool keep_alive)
{
	if (ok) {
		spate_http_answered(c, x, keep_alive);
		return;
	}
	if (x != NULL)
		spate_http_exchange_put(x);
	give_up(c);
}

/* --- timers --- */

static void set_timer(struct spate_http_conn *c, enum spate_http_timer kind)
{
	const struct spate_worker_config *cfg = c->s->worker->config;
	const uint32_t ms[] = {
		[SPATE_HTTP_TIMER_OFF] = 0,
		[SPATE_HTTP_TIMER_HEAD] = cfg->header_timeout_ms,
		[SPATE_HTTP_TIMER_IDLE] = cfg->idle_timeout_ms,
		[SPATE_HTTP_TIMER_SEND] = cfg->send_timeout_ms,
	};

	/* A head has one deadline, however many pieces it comes in (slowloris). */
	if (kind == SPATE_HTTP_TIMER_HEAD && c->timer == SPATE_HTTP_TIMER_HEAD)
		return;
	c->timer = (uint8_t)kind;
	c->sent_mark = c->s->out.base;
	spate_stream_timer(c->s, ms[kind]);
}

/* Of what is no whole request: would its answer have no body (RFC 9110 9.3.2)? */
static bool asks_for_head(const uint8_t *p, size_t len)
{
	if (len >= 2 && p[0] == '\r' && p[1] == '\n') {
		p += 2;
		len -= 2;
	}
	return len >= 5 && memcmp(p, "HEAD ", 5) == 0;
}

/* Answers and closes: the next request cannot be found, or is not wanted. */
static void refuse(struct spate_http_conn *c, const void *head, uint32_t len, unsigned status,
		   bool head_only)
{
	struct spate_http_exchange *x =
		spate_http_exchange_log_raw(c, head, len < 1024 ? len : 1024);

	answered_or_not(c, spate_http_respond_status(c, status, head_only, false, false, x), x,
			false);
}

static void on_timeout(struct spate_stream *s)
{
	struct spate_http_conn *c = s->ctx;
	struct spate_worker *w = s->worker;
	uint64_t acked;

	switch ((enum spate_http_timer)c->timer) {
	case SPATE_HTTP_TIMER_HEAD:
		SPATE_COUNT(w->stats, conn_timeout);
		if (c->partial != NULL && !c->closing)
			refuse(c, c->partial->bytes, c->partial->len, 408,
			       asks_for_head(c->partial->bytes, c->partial->len));
		else
			finish(c);
		break;
	case SPATE_HTTP_TIMER_IDLE:
		SPATE_COUNT(w->stats, conn_timeout);
		finish(c);
		break;
	case SPATE_HTTP_TIMER_SEND:
		/* Not the viewer's fault while bytes move, or while there are none to move. A
		 * kernel with a large buffer may take none for a minute from who goes on reading. */
		acked = spate_stream_acked(s);
		if (acked != c->sent_mark || s->out.base == s->out.end ||
		    spate_sendq_dry(&w->sendq, &s->out)) {
			set_timer(c, SPATE_HTTP_TIMER_SEND);
			c->sent_mark = acked;
			break;
		}
		SPATE_COUNT(w->stats, conn_timeout);
		give_up(c);
		break;
	case SPATE_HTTP_TIMER_OFF:
		break;
	}
}

/* --- requests --- */

static bool busy(const struct spate_http_conn *c)
{
	return c->waiting != NULL || c->pumping != NULL;
}

/* The body goes out piece by piece. */
static void pump(struct spate_http_conn *c, struct spate_http_exchange *x, bool keep_alive)
{
	if (!keep_alive)
		c->close_after = true;
	c->pumping = x;
	set_timer(c, SPATE_HTTP_TIMER_SEND);
	spate_http_pump(c);
}

/* Answers from o, whose pin is handed on. */
static void answer(struct spate_http_conn *c, const struct spate_http_request *r,
		   struct spate_object *o, enum spate_log_cache cache,
		   struct spate_http_exchange *x)
{
	bool keep_alive = r->keep_alive && !c->close_after;
	bool pumping = false;
	bool ok = spate_http_respond(c, r, o, cache, &keep_alive, &x, &pumping);

	if (!ok || !pumping) {
		answered_or_not(c, ok, x, keep_alive);
		return;
	}
	pump(c, x, keep_alive);
}

static void answer_status(struct spate_http_conn *c, const struct spate_http_request *r,
			  unsigned status, struct spate_http_exchange *x)
{
	bool keep_alive = r->keep_alive && !c->close_after;

	answered_or_not(c,
			spate_http_respond_status(c, status, r->method == SPATE_HTTP_HEAD,
						  r->minor == 0, keep_alive, x),
			x, keep_alive);
}

static unsigned status_of(enum spate_fetch_verdict v)
{
	switch (v) {
	case SPATE_FETCH_OK:
	case SPATE_FETCH_STALE:
		break;
	case SPATE_FETCH_NOT_FOUND:
		return 404;
	case SPATE_FETCH_FORBIDDEN:
		return 403;
	case SPATE_FETCH_BAD_GATEWAY:
	case SPATE_FETCH_TOO_LARGE:
		return 502;
	case SPATE_FETCH_TIMEOUT:
		return 504;
	case SPATE_FETCH_NO_ROOM:
		return 503;
	}
	return 500;
}

/* Control's answer to a miss. o is pinned for us, or NULL. */
static void fetched(struct spate_worker *w, struct spate_miss *m, struct spate_object *o,
		    enum spate_fetch_verdict verdict)
{
	struct spate_http_exchange *x = m->owner;
	struct spate_http_conn *c = x->conn;
	struct spate_http *h = w->http;
	enum spate_log_cache cache = m->coalesced ? SPATE_LOG_COALESCED : SPATE_LOG_MISS;
	struct spate_http_request r;

	h->misses--;
	if (verdict == SPATE_FETCH_STALE)
		cache = SPATE_LOG_STALE;
	else if (m->stale != NULL && m->stale == o && !m->coalesced) /* else it still arrives */
		cache = SPATE_LOG_REVALIDATED;
	if (cache == SPATE_LOG_REVALIDATED)
		SPATE_COUNT(w->stats, http_revalidated);
	else if (cache == SPATE_LOG_STALE)
		SPATE_COUNT(w->stats, http_stale);
	else if (cache == SPATE_LOG_COALESCED)
		SPATE_COUNT(w->stats, http_coalesced);
	else
		SPATE_COUNT(w->stats, http_miss);
	if (m->stale != NULL)
		spate_cache_unpin(w->cache, w->id, m->stale);
	if (c == NULL) {
		if (o != NULL)
			spate_cache_unpin(w->cache, w->id, o);
		spate_http_exchange_put(x);
		return;
	}
	c->waiting = NULL;
	x->cache = (uint8_t)cache;
	spate_http_exchange_request(x, &r);
	if (o != NULL)
		answer(c, &r, o, cache, x);
	else
		answer_status(c, &r, status_of(verdict), x);
	if (c->paused && !busy(c))
		spate_stream_resume(c->s);
}

/* Asks control. stale: pinned by the caller, handed on; or NULL. */
static void fetch(struct spate_http_conn *c, const struct spate_http_request *r,
		  struct spate_slice url, const struct spate_key *key, struct spate_object *stale)
{
	struct spate_worker *w = c->s->worker;
	struct spate_http *h = w->http;
	struct spate_http_exchange *x = NULL;

	if (h->misses < SPATE_HTTP_MISSES_MAX)
		x = spate_http_exchange_get(c, r, url);
	if (x == NULL) {
		if (stale != NULL)
			spate_cache_unpin(w->cache, w->id, stale);
		answer_status(c, r, 503, spate_http_exchange_log(c, r));
		return;
	}
	x->miss.key = *key;
	x->miss.worker = w->id;
	x->miss.stale = stale;
	x->miss.last = UINT64_MAX;
	x->miss.done = fetched;
	x->miss.owner = x;
	struct spate_msg m = {.type = SPATE_MSG_FETCH, .miss = &x->miss};

	if (!spate_worker_send(w, &m))
		abort(); /* the ring holds all misses there can be */
	h->misses++;
	c->waiting = x;
	set_timer(c, SPATE_HTTP_TIMER_OFF); /* control has the clock now */
}

/* An announce or scrape: answered from the raw target, which is never a key of the cache. */
static bool track(struct spate_http_conn *c, const struct spate_http_request *r)
{
	struct spate_worker *w = c->s->worker;
	struct spate_http_exchange *x;
	uint8_t body[SPATE_TRACKER_HTTP_BYTES];
	size_t len = spate_tracker_http(w, r->path, r->query, &c->s->peer, &c->s->local, body,
					sizeof(body));
	bool keep_alive = r->keep_alive && !c->close_after;

	if (len == 0)
		return false;
	x = spate_http_exchange_log(c, r);
	answered_or_not(c,
			spate_http_respond_body(c, body, len, r->method == SPATE_HTTP_HEAD,
						r->minor == 0, keep_alive, x),
			x, keep_alive);
	return true;
}

static void answer_torrent(struct spate_http_conn *c, const struct spate_http_request *r,
			   struct spate_torrent *t, struct spate_http_exchange *x)
{
	bool keep_alive = r->keep_alive && !c->close_after, pumping = false;
	bool ok = spate_http_respond_torrent(c, r, t, &keep_alive, &x, &pumping);

	if (!ok || !pumping)
		answered_or_not(c, ok, x, keep_alive);
	else
		pump(c, x, keep_alive);
}

void spate_http_concat_known(struct spate_http_conn *c, unsigned status)
{
	struct spate_http_exchange *x = c->pumping;
	struct spate_torrent *t = x->torrent;
	struct spate_http_request r;

	spate_torrent_ref(t); /* the pump lets go of its own */
	spate_http_pump_let_go(c);
	x->unanswered = false;
	spate_http_exchange_request(x, &r);
	if (status != 0)
		answer_status(c, &r, status, x);
	else
		answer_torrent(c, &r, t, x);
	spate_torrent_unref(t);
	if (c->paused && !busy(c) && !c->closing)
		spate_stream_resume(c->s);
}

/* The first byte of the file that r is after. */
static uint64_t first_byte(const struct spate_http_request *r, const struct spate_torrent *t)
{
	struct spate_ranges set = {0};

	return spate_http_range(r->range, t->bytes, &set) == SPATE_RANGE_PARTS && set.n == 1
		       ? set.part[0].first
		       : 0;
}

/* A representation as one file, which no object is. False: the key is not that of one. */
static bool serve_torrent(struct spate_http_conn *c, const struct spate_http_request *r,
			  const struct spate_key *key)
{
	struct spate_worker *w = c->s->worker;
	struct spate_torrent *t = spate_torrents_find_file(w->torrents, key);
	enum spate_span_verdict v = SPATE_SPAN_OK;
	struct spate_http_exchange *x = NULL;
	struct spate_object *o;
	uint64_t off = 0;

	if (t == NULL || atomic_load_explicit(&t->withdrawn, memory_order_relaxed))
		return false;
	if (r->method == SPATE_HTTP_GET) {
		off = first_byte(r, t);
		v = spate_span_part(w, t, spate_torrent_part_at(t, off), &o);
	}
	if (v == SPATE_SPAN_CHANGED) /* withdrawn just now: a path like any */
		return false;
	SPATE_COUNT(w->stats, http_torrent);
	if (v == SPATE_SPAN_WAIT)
		x = spate_http_exchange_get(c, r, (struct spate_slice){0});
	else
		x = spate_http_exchange_log(c, r);
	if (v == SPATE_SPAN_FAILED || (v == SPATE_SPAN_WAIT && x == NULL)) {
		answer_status(c, r, 503, x);
	} else if (v == SPATE_SPAN_WAIT) {
		spate_torrent_ref(t);
		x->torrent = t;
		x->off = off;
		x->stop = t->bytes;
		x->end = UINT64_MAX;
		x->unanswered = true;
		pump(c, x, r->keep_alive && !c->close_after);
	} else {
		answer_torrent(c, r, t, x);
	}
	return true;
}

/* ready: what ahead.c knows of r, or NULL. */
static void serve(struct spate_http_conn *c, const struct spate_http_request *r,
		  const struct spate_http_ready *ready)
{
	struct spate_worker *w = c->s->worker;
	struct spate_http_exchange *x = NULL;
	char buf[SPATE_URI_MAX(SPATE_REQUEST_LINE_MAX)];
	struct spate_slice url;

	SPATE_COUNT(w->stats, http_requests);
	if (++c->requests >= w->config->max_requests && w->config->max_requests != 0)
		c->close_after = true;
	unsigned refused = spate_http_method_refused(r->method);

	if (spate_http_request_has_body(r)) {
		/* and close, without reading it */
		refuse(c, r->head, r->head_len, refused != 0 ? refused : 413,
		       r->method == SPATE_HTTP_HEAD);
		return;
	}
	if (w->tracker != NULL && refused == 0 && r->method != SPATE_HTTP_OPTIONS && track(c, r))
		return;

	if (ready != NULL) {
		url = ready->url;
	} else if (refused == 0 && r->method != SPATE_HTTP_OPTIONS &&
		   spate_http_uri_normalise(r->path_query, buf, sizeof(buf), &url) !=
			   SPATE_URI_OK) {
		SPATE_COUNT(w->stats, http_bad_request);
		refuse(c, r->head, r->head_len, 400, r->method == SPATE_HTTP_HEAD);
		return;
	}
	if (refused != 0 || r->method == SPATE_HTTP_OPTIONS) {
		x = spate_http_exchange_log(c, r);
		if (refused != 0) {
			answer_status(c, r, refused, x);
			return;
		}
		bool keep_alive = r->keep_alive && !c->close_after;

		answered_or_not(c, spate_http_respond_options(c, r->minor == 0, keep_alive, x), x,
				keep_alive);
		return;
	}
	struct spate_key key = ready != NULL ? ready->key : spate_key_of(url.p, url.len);
	struct spate_object *o = spate_cache_lookup(w->cache, &key);

	if (o != NULL)
		spate_cache_pin(w->cache, w->id, o);
	else if (w->torrents != NULL && serve_torrent(c, r, &key))
		return;
	if (o == NULL || w->wall_s >= atomic_load_explicit(&o->expires_s, memory_order_relaxed)) {
		fetch(c, r, url, &key, o);
		return;
	}
	enum spate_log_cache cache = SPATE_LOG_HIT;

	if (atomic_load_explicit(&o->state, memory_order_acquire) == SPATE_OBJECT_FILLING) {
		cache = SPATE_LOG_COALESCED;
		SPATE_COUNT(w->stats, http_coalesced);
	} else {
		SPATE_COUNT(w->stats, http_hit);
	}
	answer(c, r, o, cache, spate_http_exchange_log(c, r));
}

/* --- bytes --- */

static bool may_read(const struct spate_http_conn *c)
{
	return !busy(c) && !spate_sendq_full(&c->s->out);
}

static void drop_partial(struct spate_http_conn *c)
{
	if (c->partial != NULL)
		spate_pool_put(&spate_http_of(c)->partials, c->partial);
	c->partial = NULL;
}

/* Keeps an unfinished head. False: no memory. */
static bool keep_partial(struct spate_http_conn *c, const struct spate_http_request *r,
			 const uint8_t *data, size_t len)
{
	c->partial = spate_pool_get(&spate_http_of(c)->partials);
	if (c->partial == NULL)
		return false;
	c->partial->request = *r;
	c->partial->len = (uint32_t)len;
	memcpy(c->partial->bytes, data, len);
	set_timer(c, SPATE_HTTP_TIMER_HEAD);
	return true;
}

/* One request of data, or a piece of one. Returns the bytes consumed. */
static size_t take(struct spate_http_conn *c, const uint8_t *data, size_t len)
{
	struct spate_http_request fresh;
	const struct spate_http_request *r = &fresh;
	const struct spate_http_ready *ready = NULL;
	struct spate_http_partial *p = c->partial;
	enum spate_request_verdict v;
	size_t before = 0;

	if (p != NULL) {
		size_t room = sizeof(p->bytes) - p->len;

		before = p->len;
		if (len > room)
			len = room;
		memcpy(p->bytes + before, data, len);
		p->len += (uint32_t)len;
		r = &p->request;
		v = spate_http_request_parse(p->bytes, p->len, &p->request);
	} else if ((ready = spate_http_ready_at(c, data, len)) != NULL) {
		r = &ready->request;
		v = SPATE_REQUEST_OK;
	} else {
		spate_http_request_init(&fresh);
		v = spate_http_request_parse(data, len, &fresh);
	}
	const uint8_t *bytes = p != NULL ? p->bytes : data;

	if (v == SPATE_REQUEST_NEED_MORE) {
		if (before + len == 2 && bytes[0] == '\r' && bytes[1] == '\n' &&
		    c->requests > 0) { /* RFC 9112 2.2: nothing has begun */
			drop_partial(c);
			set_timer(c, SPATE_HTTP_TIMER_IDLE);
		} else if (p == NULL && !keep_partial(c, r, data, len)) {
			give_up(c);
		}
		return len;
	}
	if (v != SPATE_REQUEST_OK) {
		SPATE_COUNT(c->s->worker->stats, http_bad_request);
		refuse(c, bytes, (uint32_t)(before + len), spate_http_request_status(v),
		       asks_for_head(bytes, before + len));
		drop_partial(c);
		return len;
	}
	/* The partial's node is given back first only in name: nothing takes one before r is used
	 * up. */
	size_t used = r->head_len - before;

	c->timer = SPATE_HTTP_TIMER_OFF;
	serve(c, r, ready);
	drop_partial(c);
	return used;
}

static size_t on_recv(struct spate_stream *s, const uint8_t *data, size_t len)
{
	struct spate_http_conn *c = s->ctx;
	size_t used = 0;

	c->paused = false;
	while (used < len) {
		if (c->closing)
			return len;
		if (!may_read(c))
			break;
		used += take(c, data + used, len - used);
	}
	c->paused = used < len;
	return used;
}

/* --- what else the stream says --- */

static void read_on(struct spate_http_conn *c)
{
	if (c->paused && may_read(c) && !c->closing)
		spate_stream_resume(c->s);
}

static void on_room(struct spate_stream *s)
{
	struct spate_http_conn *c = s->ctx;

	if (c->pumping != NULL)
		spate_http_pump(c);
	read_on(c);
}

static void on_drained(struct spate_stream *s)
{
	struct spate_http_conn *c = s->ctx;

	log_sent(c, false);
	if (c->pumping != NULL)
		spate_http_pump(c);
	if (s->out.base != s->out.end || busy(c) || c->closing)
		return;
	if (c->close_after && c->partial == NULL) {
		finish(c);
		return;
	}
	set_timer(c, c->partial != NULL ? SPATE_HTTP_TIMER_HEAD : SPATE_HTTP_TIMER_IDLE);
	read_on(c);
}

static void no_more_requests(struct spate_http_conn *c)
{
	c->close_after = true;
	if (!busy(c) && c->s->out.base == c->s->out.end)
		finish(c);
}

static void on_eof(struct spate_stream *s)
{
	struct spate_http_conn *c = s->ctx;

	drop_partial(c); /* the rest of it will not come */
	no_more_requests(c);
}

/*
 * Half a head may still become a request: it gets its answer, with Connection: close. And who has
 * just connected has a request on its way; he would not ask again, as the user of a connection that
 * was kept alive does.
 */
static void on_drain(struct spate_stream *s)
{
	struct spate_http_conn *c = s->ctx;

	if (c->requests > 0 || c->closing) {
		if (c->partial == NULL)
			no_more_requests(c);
	} else if (c->partial == NULL) {
		c->timer = SPATE_HTTP_TIMER_IDLE;
		spate_stream_timer(s, DRAIN_GRACE_MS);
	}
	c->close_after = true;
}

/* The viewer did not wait for what control was asked for. */
static void log_left(struct spate_http_conn *c)
{
	struct spate_http_exchange *x;
	struct spate_http_request r;

	spate_http_exchange_request(c->waiting, &r);
	x = spate_http_exchange_log(c, &r);
	if (x == NULL)
		return;
	x->start_us = c->waiting->start_us;
	spate_http_log_left(x);
	spate_http_log(c, x, c->s->out.base);
	spate_http_exchange_put(x);
}

static void on_closed(struct spate_stream *s, enum spate_close_why why)
{
	struct spate_http_conn *c = s->ctx;
	struct spate_http *h = s->worker->http;

	if (why == SPATE_CLOSE_SHORT)
		SPATE_COUNT(s->worker->stats, http_aborted);
	drop_partial(c);
	if (c->pumping != NULL)
		spate_http_pump_drop(c);
	log_sent(c, true);
	if (c->waiting != NULL) {
		log_left(c);
		c->waiting->conn = NULL; /* control still reads it; fetched() frees it */
	}
	spate_pool_put(&h->conns, c);
}

static const struct spate_stream_app http_app = {
	.name = "http",
	.recv = on_recv,
	.eof = on_eof,
	.room = on_room,
	.drained = on_drained,
	.timeout = on_timeout,
	.drain = on_drain,
	.closed = on_closed,
	.ahead = spate_http_ahead,
};

bool spate_http_accept(struct spate_stream *s, void *ctx)
{
	struct spate_http *h = s->worker->http;
	struct spate_http_conn *c = spate_pool_get(&h->conns);

	(void)ctx;
	if (c == NULL)
		return false;
	*c = (struct spate_http_conn){.s = s};
	c->log_tail = &c->log_head;
	s->app = &http_app;
	s->ctx = c;
	set_timer(c, SPATE_HTTP_TIMER_HEAD);
	return true;
}

int spate_http_create(struct spate_worker *w)
{
	struct spate_http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->w = w;
	h->date_s = -1;
	if (getrandom(&h->boundary, sizeof(h->boundary), 0) != sizeof(h->boundary))
		h->boundary = w->now_us;
	spate_pool_init(&h->conns, sizeof(struct spate_http_conn), CONNS_MAX);
	spate_pool_init(&h->partials, sizeof(struct spate_http_partial), PARTIALS_MAX);
	spate_http_exchanges_init(h);
	w->http = h;
	return 0;
}

void spate_http_destroy(struct spate_worker *w)
{
	struct spate_http *h = w->http;

	if (h == NULL)
		return;
	spate_pool_finish(&h->conns);
	spate_pool_finish(&h->partials);
	spate_http_exchanges_finish(h);
	free(h);
	w->http = NULL;
}
