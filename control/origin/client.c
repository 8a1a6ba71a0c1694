/*
 * client.c: HTTP/1.1 to an origin: one exchange for a fill.
 *
 *     pooled connection ──────────────┐
 *     RESOLVE ─► CONNECT (each address in turn) ─► SEND ─► HEAD ─► BODY ─► end
 *                        ▲                            │
 *                        └── once, when the connection ended before a byte came
 *
 * Body bytes go from the socket straight into the arena (recvmsg); only what came together with the
 * head, and chunked bodies, pass through the buffer. One op and one timer: the timer is the
 * deadline of the current state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/log/event.h"
#include "control/origin/dns.h"
#include "control/origin/fill.h"
#include "control/origin/meta.h"
#include "control/origin/response.h"
#include "dataplane/http/chunked.h"
#include "dataplane/http/date.h"

#define IOVS      16
#define RECV_MAX  262144u /* asked for at once, when so much is to come */
#define RECV_SOME 65536u  /* likewise, when nobody knows how much */
#define BUF_FIRST 16384u

enum state { RESOLVE, CONNECT, SEND, HEAD, BODY };

struct client {
	struct spate_op op;
	struct spate_timer timer;
	struct spate_dns_query query;
	struct spate_dns_addr addrs[SPATE_DNS_ADDRS];
	unsigned naddrs, next_addr;
	uint64_t connect_until_us, sent_us;
	int64_t request_s;
	struct spate_conn *conn;
	int fd; /* connecting; else -1 */
	enum state state;
	bool retried, stopping, timed_out;
	enum spate_fetch_verdict stop_as;

	char *request;
	size_t request_len;
	uint8_t *buf; /* head, then what came with it; then chunked input */
	size_t cap, len, at;

	struct spate_response response;
	struct spate_chunked chunked;
	struct spate_slice piece; /* decoded, not yet in the arena */
	uint64_t left;            /* of a body with a length */
	struct iovec iov[IOVS];
	struct msghdr msg;
};

#define CLIENT_OF(op_) ((struct client *)((char *)(op_)-offsetof(struct client, op)))

static struct spate_fill_env *env_of(struct client *c)
{
	return spate_fill_env(spate_fill_of_source(c));
}

static struct spate_origin *origin_of(struct client *c)
{
	return spate_fill_origin(spate_fill_of_source(c));
}

/* --- the end --- */

static void drop_connection(struct client *c)
{
	if (c->fd >= 0)
		spate_loop_close(env_of(c)->loop, c->fd);
	c->fd = -1;
	if (c->conn != NULL)
		spate_conn_close(c->conn);
	c->conn = NULL;
}

static void end(struct client *c, enum spate_fetch_verdict v)
{
	spate_loop_timer_stop(env_of(c)->loop, &c->timer);
	spate_dns_drop(env_of(c)->dns, &c->query);
	drop_connection(c);
	free(c->request);
	free(c->buf);
	spate_fill_end(spate_fill_of_source(c), v);
}

/* err 0: it closed the connection in order, and had said nothing. */
static void end_unreachable(struct client *c, int err)
{
	if (err == 0)
		spate_event(origin_unreachable, SPATE_F_STR("origin", origin_of(c)->name),
			    SPATE_F_STR("error", "closed without an answer"));
	else
		spate_event(origin_unreachable, SPATE_F_STR("origin", origin_of(c)->name),
			    SPATE_F_ERR(err));
	spate_fill_origin_down(spate_fill_of_source(c));
	end(c, err == -ETIMEDOUT ? SPATE_FETCH_TIMEOUT : SPATE_FETCH_BAD_GATEWAY);
}

static void end_malformed(struct client *c, const char *reason)
{
	size_t n;
	const char *url = spate_fill_url(spate_fill_of_source(c), &n);

	spate_event(origin_bad_response, SPATE_F_STR("origin", origin_of(c)->name),
		    SPATE_F_STRN("url", url, n), SPATE_F_STR("reason", reason));
	end(c, SPATE_FETCH_BAD_GATEWAY);
}

static void end_short(struct client *c)
{
	size_t n;
	const char *url = spate_fill_url(spate_fill_of_source(c), &n);

	spate_event(origin_short, SPATE_F_STR("origin", origin_of(c)->name),
		    SPATE_F_STRN("url", url, n), SPATE_F_U64("missing", c->left));
	end(c, SPATE_FETCH_BAD_GATEWAY);
}

/*
 * Ends soon: an op in flight has to come back first, for the kernel may still write to our memory.
 */
static void stop_as(struct client *c, enum spate_fetch_verdict v)
{
	if (!c->op.busy) {
		end(c, v);
		return;
	}
	c->stopping = true;
	c->stop_as = v;
	spate_loop_cancel(env_of(c)->loop, &c->op);
	if (c->conn != NULL)
		shutdown(c->conn->fd, SHUT_RDWR);
}

static const char *const phase[] = {"resolve", "connect", "send", "head", "body"};

static void on_deadline(struct spate_timer *t)
{
	struct client *c = (struct client *)((char *)t - offsetof(struct client, timer));
	size_t n;
	const char *url = spate_fill_url(spate_fill_of_source(c), &n);

	if (c->state == CONNECT && c->next_addr < c->naddrs) { /* another address may answer */
		c->timed_out = true;
		spate_loop_cancel(env_of(c)->loop, &c->op);
		return;
	}
	spate_event(origin_timeout, SPATE_F_STR("origin", origin_of(c)->name),
		    SPATE_F_STRN("url", url, n), SPATE_F_STR("phase", phase[c->state]));
	stop_as(c, SPATE_FETCH_TIMEOUT);
}

static void deadline(struct client *c, uint64_t ms)
{
	spate_loop_timer(env_of(c)->loop, &c->timer, ms, on_deadline);
}

/* --- the body --- */

static void pump(struct client *c);

/*
 * The message is over. Bytes beyond a length mean that the length was a lie: then nothing of it is
 * believed.
 */
static void body_done(struct client *c)
{
	bool excess = c->at < c->len, readable;
	char byte;

	if (c->response.body == SPATE_BODY_CLOSE) {
		end(c, SPATE_FETCH_OK);
		return;
	}
	if (!excess)
		excess = recv(c->conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
	if (excess && c->response.body == SPATE_BODY_LENGTH) {
		end_malformed(c, "more bytes than Content-Length says");
		return;
	}
	readable = excess || spate_conn_readable(c->conn);
	if (c->response.keep_alive && !readable) {
		spate_conn_keep(c->conn);
		c->conn = NULL;
	}
	end(c, SPATE_FETCH_OK);
}

/* Moves bytes into the arena. False: the fill wants no more, c is gone. */
static bool copy_in(struct client *c, const uint8_t *p, size_t len, size_t *copied)
{
	struct spate_fill *f = spate_fill_of_source(c);
	unsigned n;

	*copied = 0;
	while (*copied < len) {
		uint64_t room = spate_fill_room(f, len - *copied, c->iov, IOVS, &n), done = 0;

		if (room == 0)
			return true;
		for (unsigned i = 0; i < n; i++) {
			memcpy(c->iov[i].iov_base, p + *copied + done, c->iov[i].iov_len);
			done += c->iov[i].iov_len;
		}
		*copied += done;
		if (!spate_fill_filled(f, done)) {
			end(c, SPATE_FETCH_BAD_GATEWAY);
			return false;
		}
	}
	return true;
}

static void on_body(struct spate_op *op, int res, unsigned flags)
{
	struct client *c = CLIENT_OF(op);

	if (c->stopping) {
		end(c, c->stop_as);
		return;
	}
	if (res == -EAGAIN || res == -EINTR) {
		pump(c);
		return;
	}
	if (res == 0 && c->response.body == SPATE_BODY_CLOSE) {
		body_done(c);
		return;
	}
	if (res <= 0) {
		end_short(c);
		return;
	}
	deadline(c, env_of(c)->limits.idle_ms);
	if (c->response.body == SPATE_BODY_CHUNKED) {
		c->len += (size_t)res;
	} else {
		if (c->response.body == SPATE_BODY_LENGTH)
			c->left -= (uint64_t)res;
		if (!spate_fill_filled(spate_fill_of_source(c), (uint64_t)res)) {
			end(c, SPATE_FETCH_BAD_GATEWAY);
			return;
		}
	}
	pump(c);
}

/* Straight into the arena; nothing when there is no room (the fill calls again). */
static void recv_in_place(struct client *c, uint64_t want)
{
	unsigned n;

	if (spate_fill_room(spate_fill_of_source(c), want, c->iov, IOVS, &n) == 0) {
		spate_loop_timer_stop(env_of(c)->loop, &c->timer); /* we keep the origin waiting */
		return;
	}
	if (!c->timer.set)
		deadline(c, env_of(c)->limits.idle_ms);
	c->msg = (struct msghdr){.msg_iov = c->iov, .msg_iovlen = n};
	spate_loop_recvmsg(env_of(c)->loop, &c->op, c->conn->fd, &c->msg, on_body);
}

static void pump_chunked(struct client *c)
{
	size_t used, copied;

	for (;;) {
		if (c->piece.len > 0) {
			if (!copy_in(c, (const uint8_t *)c->piece.p, c->piece.len, &copied))
				return;
			c->piece.p += copied;
			c->piece.len -= (uint32_t)copied;
			if (c->piece.len > 0) {
				spate_loop_timer_stop(env_of(c)->loop, &c->timer);
				return;
			}
		}
		switch (spate_chunked_next(&c->chunked, c->buf + c->at, c->len - c->at, &used,
					   &c->piece)) {
		case SPATE_CHUNKED_BODY:
			c->at += used;
			break;
		case SPATE_CHUNKED_NEED_MORE:
			c->at = c->len = 0;
			if (!c->timer.set)
				deadline(c, env_of(c)->limits.idle_ms);
			spate_loop_recv(env_of(c)->loop, &c->op, c->conn->fd, c->buf, c->cap,
					on_body);
			return;
		case SPATE_CHUNKED_DONE:
			c->at += used;
			body_done(c);
			return;
		case SPATE_CHUNKED_BAD:
			end_malformed(c, "chunked coding");
			return;
		}
	}
}

static void pump(struct client *c)
{
	size_t have = c->len - c->at, copied;

	switch ((enum spate_response_body)c->response.body) {
	case SPATE_BODY_NONE:
		body_done(c);
		return;
	case SPATE_BODY_CHUNKED:
		pump_chunked(c);
		return;
	case SPATE_BODY_LENGTH:
		if (have > c->left)
			have = c->left;
		break;
	case SPATE_BODY_CLOSE:
		break;
	}
	if (have > 0) { /* came with the head */
		if (!copy_in(c, c->buf + c->at, have, &copied))
			return;
		c->at += copied;
		c->left -= copied;
		if (copied < have) {
			spate_loop_timer_stop(env_of(c)->loop, &c->timer);
			return;
		}
	}
	if (c->response.body == SPATE_BODY_CLOSE)
		recv_in_place(c, RECV_SOME);
	else if (c->left == 0)
		body_done(c);
	else
		recv_in_place(c, c->left < RECV_MAX ? c->left : RECV_MAX);
}

/* --- the head --- */

static void connect_next(struct client *c, int err);
static void start_connect(struct client *c);

/*
 * A pooled connection may die between our look at it and the origin's, and a new one be thrown
 * away unread by a server that is being replaced (nginx's reload, with what waits at the old
 * listener). A GET may be sent again (RFC 9110 9.2.2): once.
 */
static bool retry(struct client *c)
{
	if (c->retried || c->len > 0)
		return false;
	SPATE_COUNT(env_of(c)->stats, origin_retries);
	c->retried = true;
	drop_connection(c);
	start_connect(c);
	return true;
}

static bool has_validator(const struct spate_meta *m)
{
	return m != NULL && (m->etag_len > 0 || m->last_modified_s >= 0);
}

static void take_head(struct client *c)
{
	struct spate_fill *f = spate_fill_of_source(c);
	const struct spate_response *r = &c->response;
	const struct spate_meta *stale = spate_fill_stale(f);
	struct spate_fill_head h;
	int64_t now_s = spate_loop_wall_s(env_of(c)->loop);
	size_t url_len;
	const char *url = spate_fill_url(f, &url_len);
	int rc;

	if (r->status >= 500) {
		end(c, SPATE_FETCH_BAD_GATEWAY);
		return;
	}
	if (r->status == 206 || r->status == 416 || (r->status == 304 && !has_validator(stale))) {
		/* We asked for all of it, once; or without a condition. */
		end_malformed(c, "a status that answers another question");
		return;
	}
	if (r->status == 304)
		rc = spate_meta_of_304(&h, r, stale, c->request_s, now_s);
	else
		rc = spate_meta_of_response(&h, r, url, url_len, c->request_s, now_s);
	if (rc < 0) {
		end_malformed(c, "head too large");
		return;
	}
	h.meta->fill_us = (uint32_t)(spate_loop_now_us(env_of(c)->loop) - c->sent_us);
	c->at = r->head_len;
	c->left = r->body == SPATE_BODY_LENGTH ? r->content_length : 0;
	c->state = BODY;
	deadline(c, env_of(c)->limits.idle_ms);
	if (r->body == SPATE_BODY_CHUNKED)
		spate_chunked_init(&c->chunked);
	if (spate_fill_head(f, &h))
		pump(c);
	else if (h.not_modified)
		body_done(c);
	else
		end(c, SPATE_FETCH_BAD_GATEWAY);
}

static void recv_head(struct client *c);

static void on_head(struct spate_op *op, int res, unsigned flags)
{
	struct client *c = CLIENT_OF(op);

	if (c->stopping) {
		end(c, c->stop_as);
		return;
	}
	if (res == -EAGAIN || res == -EINTR) {
		recv_head(c);
		return;
	}
	if (res <= 0) {
		if ((res != 0 && res != -ECONNRESET) || !retry(c))
			end_unreachable(c, res);
		return;
	}
	c->len += (size_t)res;
	switch (spate_response_parse(c->buf, c->len, &c->response)) {
	case SPATE_RESPONSE_OK:
		take_head(c);
		return;
	case SPATE_RESPONSE_NEED_MORE:
		recv_head(c);
		return;
	case SPATE_RESPONSE_BAD_LINE:
		end_malformed(c, "status line");
		return;
	case SPATE_RESPONSE_BAD_FIELD:
		end_malformed(c, "header field");
		return;
	case SPATE_RESPONSE_BAD_FRAMING:
		end_malformed(c, "ambiguous framing");
		return;
	case SPATE_RESPONSE_TOO_LARGE:
		end_malformed(c, "head too large");
		return;
	}
}

static void recv_head(struct client *c)
{
	if (c->len == c->cap) {
		uint8_t *more =
			c->cap < SPATE_RESPONSE_HEAD_MAX ? realloc(c->buf, c->cap * 2) : NULL;

		if (more == NULL) {
			end_malformed(c, "head too large");
			return;
		}
		c->buf = more;
		c->cap *= 2;
	}
	spate_loop_recv(env_of(c)->loop, &c->op, c->conn->fd, c->buf + c->len, c->cap - c->len,
			on_head);
}

/* --- request --- */

static void on_sent(struct spate_op *op, int res, unsigned flags)
{
	struct client *c = CLIENT_OF(op);

	if (c->stopping) {
		end(c, c->stop_as);
		return;
	}
	/*
	 * Even a failed send may have an answer waiting (a 4xx and a close): so look, and let the
	 * receive judge.
	 */
	if (res < 0 && res != -EPIPE && res != -ECONNRESET) {
		end_unreachable(c, res);
		return;
	}
	c->state = HEAD;
	recv_head(c);
}

static void send_request(struct client *c)
{
	c->state = SEND;
	c->sent_us = spate_loop_now_us(env_of(c)->loop);
	c->request_s = spate_loop_wall_s(env_of(c)->loop);
	c->len = c->at = 0;
	spate_response_init(&c->response, false);
	SPATE_COUNT(env_of(c)->stats, origin_requests);
	deadline(c, env_of(c)->limits.head_ms);
	spate_loop_send(env_of(c)->loop, &c->op, c->conn->fd, c->request, c->request_len, on_sent);
}

static int write_request(struct client *c)
{
	struct spate_origin *o = origin_of(c);
	const struct spate_meta *stale = spate_fill_stale(spate_fill_of_source(c));
	char date[SPATE_HTTP_DATE_LEN];
	size_t url_len, cap;
	const char *url = spate_fill_url(spate_fill_of_source(c), &url_len);
	int n;

	cap = strlen(o->base) + url_len + strlen(o->authority) +
	      (stale != NULL ? stale->etag_len : 0) + 512;
	c->request = malloc(cap);
	if (c->request == NULL)
		return -ENOMEM;
	/*
	 * identity: the edge keeps one representation for all viewers, and ranges are of its bytes.
	 */
	n = snprintf(c->request, cap,
		     "GET %s%.*s HTTP/1.1\r\nHost: %s\r\nUser-Agent: spate\r\nAccept: */*\r\n"
		     "Accept-Encoding: identity\r\nVia: 1.1 spate\r\n",
		     o->base, (int)url_len, url, o->authority);
	if (stale != NULL && stale->etag_len > 0)
		n += snprintf(c->request + n, cap - (size_t)n, "If-None-Match: %.*s\r\n",
			      (int)stale->etag_len, stale->head + stale->etag_off);
	if (stale != NULL && stale->last_modified_s >= 0) {
		spate_http_date_format(stale->last_modified_s, date);
		n += snprintf(c->request + n, cap - (size_t)n, "If-Modified-Since: %.*s\r\n",
			      (int)sizeof(date), date);
	}
	n += snprintf(c->request + n, cap - (size_t)n, "\r\n");
	c->request_len = (size_t)n;
	return 0;
}

/* --- connect --- */

static void on_connected(struct spate_op *op, int res, unsigned flags)
{
	struct client *c = CLIENT_OF(op);

	if (c->stopping) {
		end(c, c->stop_as);
		return;
	}
	if (res < 0) {
		connect_next(c, c->timed_out ? -ETIMEDOUT : res);
		return;
	}
	c->conn = spate_conn_create(origin_of(c), c->fd);
	if (c->conn == NULL) {
		end_unreachable(c, -ENOMEM);
		return;
	}
	c->fd = -1;
	SPATE_COUNT(env_of(c)->stats, origin_connects);
	send_request(c);
}

/* Each address in turn; each but the last may take its share of the time that is left. */
static void connect_next(struct client *c, int err)
{
	uint64_t now = spate_loop_now_us(env_of(c)->loop), left_ms;
	struct spate_dns_addr *a;

	drop_connection(c);
	if (c->next_addr >= c->naddrs) {
		end_unreachable(c, err);
		return;
	}
	left_ms = c->connect_until_us > now ? (c->connect_until_us - now) / 1000 : 0;
	a = &c->addrs[c->next_addr];
	left_ms /= c->naddrs - c->next_addr;
	c->next_addr++;
	c->timed_out = false;
	c->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		connect_next(c, -errno);
		return;
	}
	deadline(c, left_ms + 1);
	spate_loop_connect(env_of(c)->loop, &c->op, c->fd, (struct sockaddr *)&a->sa, a->len,
			   on_connected);
}

static void on_addrs(struct spate_dns_query *q, int error, const struct spate_dns_addr *addrs,
		     unsigned n)
{
	struct client *c = (struct client *)((char *)q - offsetof(struct client, query));

	if (error != 0) {
		spate_event(origin_resolve_failed, SPATE_F_STR("origin", origin_of(c)->name),
			    SPATE_F_I64("code", error));
		spate_fill_origin_down(spate_fill_of_source(c));
		end(c, SPATE_FETCH_BAD_GATEWAY);
		return;
	}
	memcpy(c->addrs, addrs, n * sizeof(*addrs));
	c->naddrs = n;
	c->next_addr = 0;
	c->state = CONNECT;
	connect_next(c, -EHOSTUNREACH);
}

static void start_connect(struct client *c)
{
	struct spate_fill_env *env = env_of(c);

	c->state = RESOLVE;
	c->connect_until_us = spate_loop_now_us(env->loop) + env->limits.connect_ms * 1000ull;
	deadline(c, env->limits.connect_ms);
	if (spate_dns_ask(env->dns, &c->query, origin_of(c)->host, origin_of(c)->port, on_addrs) <
	    0)
		end_unreachable(c, -ENOMEM);
}

static void on_no_memory(struct spate_op *op, int res, unsigned flags)
{
	end(CLIENT_OF(op), SPATE_FETCH_NO_ROOM);
}

static void start(struct spate_fill *f)
{
	struct client *c = spate_fill_source(f);

	c->fd = -1;
	c->cap = BUF_FIRST;
	c->buf = malloc(c->cap);
	if (c->buf == NULL || write_request(c) < 0) {
		spate_loop_defer(env_of(c)->loop, &c->op, -ENOMEM, on_no_memory);
		return;
	}
	c->conn = spate_conn_take(origin_of(c));
	if (c->conn == NULL) {
		start_connect(c);
		return;
	}
	SPATE_COUNT(env_of(c)->stats, origin_reused);
	send_request(c);
}

static void resume(struct spate_fill *f)
{
	struct client *c = spate_fill_source(f);

	if (c->state == BODY && !c->op.busy)
		pump(c);
}

static void stop(struct spate_fill *f)
{
	stop_as(spate_fill_source(f), SPATE_FETCH_BAD_GATEWAY);
}

const struct spate_source_ops spate_source_http = {
	.name = "http",
	.start = start,
	.resume = resume,
	.stop = stop,
	.bytes = sizeof(struct client),
};
