/*
 * conn_impl.h: what conn.c (reading, waiting, timers), exchange.c (requests that outlive their
 * burst), ahead.c (a burst's requests), respond.c (answers), pump.c (answers of unknown length) and
 * access.c (the log) share.
 */
#ifndef SPATE_HTTP_CONN_IMPL_H
#define SPATE_HTTP_CONN_IMPL_H

#include "dataplane/bt/span.h"
#include "dataplane/http/conn.h"
#include "dataplane/http/request.h"
#include "dataplane/worker.h"

#define SPATE_HTTP_TEXTS    4     /* that are logged: target, Range, User-Agent, Referer */
#define SPATE_HTTP_TEXT_MAX 2048u /* bytes of each */

/*
 * A request that outlives the burst it came in: it waits for control, is sent piece by piece, or is
 * to be logged once its last byte was taken. While it waits it holds a copy of the request head and
 * the normalised URL behind it; when it is only to be logged, just what the log wants (`logged`), in
 * a pool of its own: viewers who ask and do not read keep nobody else from asking.
 */
struct spate_http_exchange {
	struct spate_http_exchange *next; /* conn's list of what is to be logged */
	struct spate_http_conn *conn;     /* NULL: the viewer has left while control was busy */
	struct spate_miss miss;
	uint64_t start_us; /* monotonic */
	uint64_t body_at;  /* stream offset of the first body byte */
	uint64_t end;      /* past the last byte of the response; UINT64_MAX: not known yet */
	uint16_t status;
	uint8_t cache; /* enum spate_log_cache */
	bool chunked;  /* the pump frames with chunks */
	bool logged;   /* head[] has the texts of the log one behind the other, and: */
	uint8_t method, minor;
	uint16_t text_len[SPATE_HTTP_TEXTS];
	struct spate_pool *pool;
	struct spate_object *object;   /* the pump's, pinned */
	uint64_t off;                  /* the pump's place in it */
	struct spate_torrent *torrent; /* in place of object: a span of it, up to `stop` */
	uint64_t stop;
	bool unanswered; /* the torrent's first part is not here yet: then it gets its head */
	struct spate_span_wait *wait; /* for the part at `off` */
	struct spate_watch watch;
	uint32_t head_len;
	char head[];
};

enum spate_http_timer {
	SPATE_HTTP_TIMER_OFF,
	SPATE_HTTP_TIMER_HEAD,
	SPATE_HTTP_TIMER_IDLE,
	SPATE_HTTP_TIMER_SEND
};

/* A request head that came in pieces: a node of the heads pool. */
struct spate_http_partial {
	struct spate_http_request request; /* remembers how far it was scanned */
	uint32_t len;
	uint8_t bytes[SPATE_REQUEST_HEAD_MAX];
};

struct spate_http_conn {
	struct spate_stream *s;
	struct spate_http_partial *partial;
	struct spate_http_exchange *waiting; /* with control */
	struct spate_http_exchange *pumping; /* being sent piece by piece */
	struct spate_http_exchange *log_head, **log_tail;
	uint64_t sent_mark; /* how far sending was when the send timer was set */
	uint32_t requests;
	uint8_t timer;    /* enum spate_http_timer */
	bool paused;      /* recv took less than it was given */
	bool close_after; /* no request after this one */
	bool closing;     /* finish was called: whatever still comes is thrown away */
};

/* A request that on_ahead() has found in bytes that are about to come. */
struct spate_http_ready {
	const struct spate_stream *s;
	const uint8_t *data; /* its first byte: where it is, and what it is of */
	struct spate_slice url;
	struct spate_key key;
	struct spate_http_request request;
};

struct spate_http {
	struct spate_worker *w;
	struct spate_pool conns, partials, small, large, log_small, log_large;
	uint32_t misses;
	uint64_t boundary; /* seed of multipart boundaries */
	int64_t date_s;    /* what date[] says */
	char date[32];
	/* in the order in which they will come; good while the worker's burst is this one */
	uint32_t ready_burst;
	unsigned ready_next, nready;
	struct spate_http_ready ready[SPATE_STREAM_AHEAD];
};

static inline struct spate_http *spate_http_of(struct spate_http_conn *c)
{
	return c->s->worker->http;
}

/* --- exchange.c --- */
void spate_http_exchanges_init(struct spate_http *h);
void spate_http_exchanges_finish(struct spate_http *h);
/* Copies r's head, and url, which may be absent; NULL when the pool is at its limit. */
struct spate_http_exchange *spate_http_exchange_get(struct spate_http_conn *c,
						    const struct spate_http_request *r,
						    struct spate_slice url);
/* Just for the log; NULL: nothing is logged, or there is no room (log_dropped). */
struct spate_http_exchange *spate_http_exchange_log(struct spate_http_conn *c,
						    const struct spate_http_request *r);
/* Likewise of what came in place of a request: its first line. */
struct spate_http_exchange *spate_http_exchange_log_raw(struct spate_http_conn *c, const void *p,
							size_t len);
/* x, which need not wait any more, as one for the log; or NULL, and x is gone. */
struct spate_http_exchange *spate_http_exchange_answered(struct spate_http_conn *c,
							 struct spate_http_exchange *x);
void spate_http_exchange_put(struct spate_http_exchange *x);
/* The request of one that waits, once more. r points into x. */
void spate_http_exchange_request(const struct spate_http_exchange *x, struct spate_http_request *r);

/* --- conn.c --- */

/* The answer is queued whole: log it when it is out, close or read on. x may be NULL. */
void spate_http_answered(struct spate_http_conn *c, struct spate_http_exchange *x, bool keep_alive);

/* --- ahead.c --- */
void spate_http_ahead(const struct spate_stream_ahead *a, unsigned n); /* app->ahead */
/* What it found at data, or NULL. Each once. */
const struct spate_http_ready *spate_http_ready_at(struct spate_http_conn *c, const uint8_t *data,
						   size_t len);

/* --- respond.c: queue an answer. False: out of memory, the stream must be aborted --- */

/*
 * Answers r from o, with conditions and ranges. Takes the caller's pin of o over, on failure too.
 * *keep_alive becomes false when only the end of the connection can end the body.
 * *x may become an exchange (a pump needs one) and *pumping tells that the answer goes on in
 * pump.c.
 */
bool spate_http_respond(struct spate_http_conn *c, const struct spate_http_request *r,
			struct spate_object *o, enum spate_log_cache cache, bool *keep_alive,
			struct spate_http_exchange **x, bool *pumping);
/* Likewise from a torrent's bytes as one file (BEP 19). Of several ranges the whole is sent. */
bool spate_http_respond_torrent(struct spate_http_conn *c, const struct spate_http_request *r,
				struct spate_torrent *t, bool *keep_alive,
				struct spate_http_exchange **x, bool *pumping);
/* An answer of our own: an error, or OPTIONS (204). allow: add Allow. */
bool spate_http_respond_status(struct spate_http_conn *c, unsigned status, bool head_only,
			       bool http_1_0, bool keep_alive, struct spate_http_exchange *x);
/* 200 with a body that nobody may keep. Copied. */
bool spate_http_respond_body(struct spate_http_conn *c, const void *body, size_t len,
			     bool head_only, bool http_1_0, bool keep_alive,
			     struct spate_http_exchange *x);
bool spate_http_respond_options(struct spate_http_conn *c, bool http_1_0, bool keep_alive,
				struct spate_http_exchange *x);

/* --- pump.c --- */
void spate_http_pump(struct spate_http_conn *c); /* queues what is there; may end the exchange */
struct spate_http_exchange *spate_http_pump_let_go(struct spate_http_conn *c); /* it is done */
void spate_http_pump_drop(
	struct spate_http_conn *c); /* the stream is going: let go of the object */

/* --- concat.c: the pump, where x->torrent is set --- */
void spate_http_concat(struct spate_http_conn *c);
/* In conn.c: the first part is here (status 0), or cannot be had. */
void spate_http_concat_known(struct spate_http_conn *c, unsigned status);
void spate_http_concat_drop(struct spate_http_exchange *x);

/* --- access.c --- */
/* x is one for the log. */
void spate_http_log(struct spate_http_conn *c, struct spate_http_exchange *x, uint64_t sent);
/* To be called before: the viewer has left without an answer. */
void spate_http_log_left(struct spate_http_exchange *x);

#endif
