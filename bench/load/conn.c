/* conn.c: the application on a stream: what conn.h says, in terms of stream.h. */
#include "bench/load/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/refs.h"

const char *const load_outcome_names[LOAD_OUTCOMES] = {"ok",        "no connection", "reset",
						       "cut short", "timeout",       "status",
						       "malformed", "wrong payload", "never sent"};

static const struct spate_stream_app conn_app, left_app;

/* --- streams that are left to end by themselves --- */

static size_t left_recv(struct spate_stream *s, const uint8_t *p, size_t n)
{
	(void)s;
	(void)p;
	return n;
}

static void left_eof(struct spate_stream *s)
{
	spate_stream_finish(s);
}

static void nothing(struct spate_stream *s)
{
	(void)s;
}

static void left_closed(struct spate_stream *s, enum spate_close_why why)
{
	struct load_client *c = s->ctx;

	(void)why;
	LOAD_COUNT(c->counts->open, -1);
}

static const struct spate_stream_app left_app = {
	.name = "left",
	.recv = left_recv,
	.eof = left_eof,
	.room = nothing,
	.drained = nothing,
	.timeout = nothing,
	.drain = nothing,
	.closed = left_closed,
};

static void leave(struct load_conn *conn)
{
	if (conn->s == NULL)
		return;
	conn->s->app = &left_app;
	conn->s->ctx = conn->client;
	conn->s = NULL;
}

/* --- asking --- */

static bool send_ask(struct load_conn *conn, struct load_ask *a)
{
	struct load_client *c = conn->client;
	char text[512];
	size_t len, n;
	const char *path = a->path;

	len = a->path_len;
	if (path == NULL)
		path = load_plan_path(c->plan, a->url, &len);
	a->sent_ns = c->net->now_ns;
	n = (size_t)snprintf(text, sizeof(text), " HTTP/1.1\r\n");
	if (a->ranged)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "Range: bytes=%llu-%llu\r\n",
				      (unsigned long long)a->first, (unsigned long long)a->last);
	if (spate_sendq_bytes(&c->net->env, &conn->s->out, "GET ", 4) != 0 ||
	    spate_sendq_bytes(&c->net->env, &conn->s->out, path, len) != 0 ||
	    spate_sendq_bytes(&c->net->env, &conn->s->out, text, n) != 0 ||
	    spate_sendq_bytes(&c->net->env, &conn->s->out, c->tail, c->tail_len) != 0)
		return false;
	spate_stream_kick(conn->s);
	return true;
}

static struct load_ask *nth(struct load_conn *conn, uint32_t i)
{
	return &conn->ask[(conn->head + i) % conn->client->o->pipeline];
}

static void reopen(struct load_conn *conn);

static void fail_all(struct load_conn *conn, enum load_outcome what)
{
	struct load_client *c = conn->client;
	uint32_t n = conn->count;

	load_response_begin(&conn->r, false);
	conn->hashing = false;
	/* done may ask again: that waits until all of these have failed. */
	conn->hold = true;
	while (n-- > 0) {
		struct load_ask a = *nth(conn, 0);

		conn->head = (conn->head + 1) % c->o->pipeline;
		conn->count--;
		LOAD_COUNT(c->counts->failed[what], 1);
		c->done(conn, &a, what);
	}
	conn->hold = false;
	if (conn->count != 0)
		reopen(conn);
}

/* A stream, and on it all that is still to be answered. */
static bool open_conn(struct load_conn *conn)
{
	struct load_client *c = conn->client;

	load_response_begin(&conn->r, false);
	conn->hashing = false;
	conn->answered = 0;
	conn->s = c->net->ops->connect(c->net, &c->o->server, &conn_app, conn);
	if (conn->s == NULL)
		return false;
	LOAD_COUNT(c->counts->connects, 1);
	LOAD_COUNT(c->counts->open, 1);
	for (uint32_t i = 0; i < conn->count; i++)
		if (!send_ask(conn, nth(conn, i)))
			return false;
	return true;
}

static void give_up(struct load_conn *conn)
{
	if (conn->s != NULL) {
		spate_stream_abort(conn->s);
		leave(conn);
	}
	fail_all(conn, LOAD_FAIL_CONNECT);
}

static void reopen(struct load_conn *conn)
{
	if (!open_conn(conn))
		give_up(conn);
}

void load_conn_ask(struct load_conn *conn, const struct load_ask *ask)
{
	struct load_ask *a = nth(conn, conn->count);

	*a = *ask;
	conn->count++;
	LOAD_COUNT(conn->client->counts->sent, 1);
	if (conn->hold)
		return;
	if (conn->s == NULL)
		reopen(conn);
	else if (!send_ask(conn, a))
		give_up(conn);
}

/* The server closed in order, with n requests not answered that it may never have looked at. */
static void ask_again(struct load_conn *conn)
{
	for (uint32_t i = 0; i < conn->count; i++) {
		struct load_ask *a = nth(conn, i);

		if (a->retried) {
			fail_all(conn, LOAD_FAIL_SHORT);
			return;
		}
		a->retried = true;
		LOAD_COUNT(conn->client->counts->retried, 1);
	}
	if (conn->count != 0)
		reopen(conn);
}

/* --- answers --- */

static void on_body(void *ctx, const uint8_t *p, size_t n)
{
	struct load_conn *conn = ctx;
	struct load_ask *a = nth(conn, 0);

	if (a->body != NULL)
		a->body(a->owner, p, n);
	if (!a->verify)
		return;
	if (!conn->hashing && conn->r.state == LOAD_RESPONSE_LENGTH && n == conn->r.left) {
		conn->hash = XXH3_64bits(p, n); /* all of it in one piece */
		return;
	}
	if (conn->state == NULL && (conn->state = XXH3_createState()) == NULL)
		return;
	if (!conn->hashing)
		XXH3_64bits_reset(conn->state);
	conn->hashing = true;
	XXH3_64bits_update(conn->state, p, n);
}

/* DASH: paths that no list has. Two that collide would be told apart by their bytes: as wrong. */
static uint32_t path_id(const struct load_ask *a)
{
	return (uint32_t)XXH3_64bits(a->path, a->path_len) | 0x80000000u;
}

static bool payload_right(struct load_conn *conn, const struct load_ask *a)
{
	struct load_client *c = conn->client;
	uint64_t want = 0, hash;

	if (conn->hashing)
		conn->hash = XXH3_64bits_digest(conn->state);
	else if (conn->r.body == 0)
		conn->hash = XXH3_64bits("", 0);
	hash = load_plan_hash(conn->hash);
	LOAD_COUNT(c->counts->verified, 1);
	if (a->ranged && conn->r.status == 206)
		return load_refs_same(c->refs, a->path == NULL ? a->url : path_id(a), a->first,
				      a->last, hash);
	if (a->path != NULL)
		return load_refs_same(c->refs, UINT32_MAX, XXH3_64bits(a->path, a->path_len), 0,
				      hash);
	/* Whoever comes first says what is right. */
	return atomic_compare_exchange_strong(&c->plan->hash[a->url], &want, hash) || want == hash;
}

static enum load_outcome judge(struct load_conn *conn, const struct load_ask *a)
{
	const struct load_response *r = &conn->r;

	if (r->status != 200 && !(a->ranged && r->status == 206)) {
		conn->client->bad_status = r->status;
		return LOAD_FAIL_STATUS;
	}
	if (a->ranged && r->status == 206 &&
	    (r->first != a->first || r->body > a->last - a->first + 1))
		return LOAD_FAIL_WRONG;
	if (a->verify && !payload_right(conn, a))
		return LOAD_FAIL_WRONG;
	return LOAD_OK;
}

static void answered(struct load_conn *conn)
{
	struct load_client *c = conn->client;
	struct load_ask a = *nth(conn, 0);
	enum load_outcome what = judge(conn, &a);
	bool close = conn->r.close || c->o->one_shot;

	a.status = conn->r.status;
	a.bytes = conn->r.body;
	a.total = conn->r.total;
	conn->head = (conn->head + 1) % c->o->pipeline;
	conn->count--;
	conn->answered++;
	load_response_begin(&conn->r, false);
	conn->hashing = false;
	LOAD_COUNT(c->counts->done, what == LOAD_OK);
	if (what != LOAD_OK)
		LOAD_COUNT(c->counts->failed[what], 1);
	if (close) {
		leave(conn);
		ask_again(conn);
	}
	c->done(conn, &a, what);
}

static void broken(struct load_conn *conn, enum load_outcome what)
{
	spate_stream_abort(conn->s);
	leave(conn);
	fail_all(conn, what);
}

static size_t conn_recv(struct spate_stream *s, const uint8_t *p, size_t n)
{
	struct load_conn *conn = s->ctx;
	struct load_counts *counts = conn->client->counts;
	size_t at = 0;

	if (p == NULL) {
		load_response_skip(&conn->r, n);
		LOAD_COUNT(counts->bytes, n);
		if (conn->r.state == LOAD_RESPONSE_DONE)
			answered(conn);
		at = n;
	}
	while (at < n) {
		uint64_t had = conn->r.body;

		if (conn->count == 0) {
			broken(conn, LOAD_FAIL_MALFORMED);
			LOAD_COUNT(counts->failed[LOAD_FAIL_MALFORMED], 1);
			return n;
		}
		at += load_response_feed(&conn->r, p + at, n - at, on_body, conn);
		LOAD_COUNT(counts->bytes, conn->r.body - had);
		if (conn->r.state == LOAD_RESPONSE_BAD) {
			broken(conn, LOAD_FAIL_MALFORMED);
			return n;
		}
		if (conn->r.state == LOAD_RESPONSE_DONE)
			answered(conn);
		if (conn->s != s)
			return n;
	}
	if (conn->s == s && conn->count != 0 && !nth(conn, 0)->verify && nth(conn, 0)->body == NULL)
		conn->client->net->ops->skip(s, load_response_rest(&conn->r));
	return n;
}

static void conn_eof(struct spate_stream *s)
{
	struct load_conn *conn = s->ctx;
	bool fresh = conn->r.state == LOAD_RESPONSE_HEAD && conn->r.held == 0;

	spate_stream_finish(s);
	if (conn->count != 0 && load_response_eof(&conn->r)) {
		answered(conn);
		return;
	}
	leave(conn);
	if (conn->count == 0)
		return;
	if (fresh && conn->answered != 0)
		ask_again(conn);
	else
		fail_all(conn, LOAD_FAIL_SHORT);
}

static void conn_closed(struct spate_stream *s, enum spate_close_why why)
{
	struct load_conn *conn = s->ctx;

	LOAD_COUNT(conn->client->counts->open, -1);
	conn->s = NULL;
	if (why == SPATE_CLOSE_STOP)
		return;
	fail_all(conn,
		 conn->answered == 0 && conn->r.state == LOAD_RESPONSE_HEAD && s->out.base == 0
			 ? LOAD_FAIL_CONNECT
			 : LOAD_FAIL_RESET);
}

static const struct spate_stream_app conn_app = {
	.name = "load",
	.recv = conn_recv,
	.eof = conn_eof,
	.room = nothing,
	.drained = nothing,
	.timeout = nothing,
	.drain = nothing,
	.closed = conn_closed,
};

void load_conn_check(struct load_conn *conn)
{
	const struct load_client *c = conn->client;

	if (conn->count != 0 && conn->s != NULL &&
	    c->net->now_ns > nth(conn, 0)->sent_ns + c->o->timeout_ns)
		broken(conn, LOAD_FAIL_TIMEOUT);
}

/* --- begin and end --- */

int load_conn_init(struct load_conn *conn, struct load_client *c)
{
	*conn = (struct load_conn){.client = c};
	conn->ask = calloc(c->o->pipeline, sizeof(*conn->ask));
	return conn->ask != NULL ? 0 : -ENOMEM;
}

void load_conn_finish(struct load_conn *conn)
{
	leave(conn);
	load_response_finish(&conn->r);
	XXH3_freeState(conn->state);
	free(conn->ask);
}

int load_client_init(struct load_client *c)
{
	c->refs = load_refs_create();
	if (c->refs == NULL)
		return -ENOMEM;
	c->tail_len = (size_t)snprintf(
		c->tail, sizeof(c->tail), "Host: %s\r\nUser-Agent: spate-load\r\n%s%s\r\n",
		c->o->host, c->o->one_shot ? "Connection: close\r\n" : "", c->o->headers);
	return c->tail_len < sizeof(c->tail) ? 0 : -EINVAL;
}

void load_client_finish(struct load_client *c)
{
	load_refs_destroy(c->refs);
}
