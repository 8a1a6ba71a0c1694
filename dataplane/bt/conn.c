/*
 * conn.c: the life of a peer's connection.
 *
 *     handshake 48 bytes ─► ours, have_all, extended handshake, unchoke ─► 20 bytes (peer id) ─►
 * messages
 *
 * Messages that lie whole in what came in are read there; others are put together in c->buf (all of
 * fixed length fit) or c->big (extended ones). A bitfield is only counted, as it flows by. Nothing
 * is read while more than SPATE_BT_STOP extents wait to be sent, down to the peer's TCP window.
 *
 * Send queues are of pools that viewers' are of too, so what peers do not read may not fill them:
 *
 *     0           1/3              2/3           1   of the smaller pool
 *     | as asked   | even shares    | closed      |
 */
#include "dataplane/bt/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/bt/impl.h"

#define HELLO_BYTES 48u         /* of the handshake: all but the peer id */
#define COPY_A_S    (32u << 20) /* metadata and hashes, all peers of a worker */
#define SEEDS_MAX   (1u << 14)
#define CONNS_MAX   (1u << 20)
#define QUEUES_MAX  (1u << 14)
#define BIGS_MAX    (1u << 12)

/* --- saying and ending --- */

void spate_bt_end(struct spate_bt_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	spate_stream_abort(c->s);
}

/* --- what is queued --- */

void spate_bt_held(struct spate_bt_conn *c)
{
	spate_bt_of(c)->held += c->s->out.count - c->held;
	c->held = c->s->out.count;
}

static uint32_t third(const struct spate_worker *w)
{
	uint32_t bytes = w->bytes_pool.limit, ranges = w->range_pool.limit;

	return (bytes < ranges ? bytes : ranges) / 3;
}

bool spate_bt_room(struct spate_bt_conn *c, uint32_t most)
{
	const struct spate_bt *b = spate_bt_of(c);
	uint32_t share;

	spate_bt_held(c);
	if (b->held >= third(b->w)) {
		share = third(b->w) / 2 / b->nconns;
		if (share < most)
			most = share > 0 ? share : 1;
	}
	return c->s->out.count < most;
}

/*
 * What is owed goes first: else who came by a magnet would never begin where pieces take all of the
 * rate. It is charged, so they wait for it.
 */
bool spate_bt_may_copy(struct spate_bt_conn *c, uint64_t bytes)
{
	const struct spate_worker_config *cfg = c->s->worker->config;
	struct spate_bt *b = spate_bt_of(c);
	uint64_t now_us = b->w->now_us;

	spate_bt_held(c);
	if ((spate_sendq_full(&c->s->out) && c->s->out.base < c->copied_to) ||
	    b->held >= third(b->w) || !spate_bt_bucket_open(&b->copying, COPY_A_S, now_us))
		return false;
	return (spate_bt_bucket_open(&c->bucket, cfg->bt_peer_rate, now_us) &&
		spate_bt_bucket_open(&c->seed->bucket, cfg->bt_rate, now_us)) ||
	       bytes <= c->owed;
}

void spate_bt_copied(struct spate_bt_conn *c, uint64_t bytes)
{
	const struct spate_worker_config *cfg = c->s->worker->config;

	spate_bt_bucket_take(&spate_bt_of(c)->copying, COPY_A_S, bytes);
	spate_bt_bucket_take(&c->bucket, cfg->bt_peer_rate, bytes);
	spate_bt_bucket_take(&c->seed->bucket, cfg->bt_rate, bytes);
	c->owed -= bytes < c->owed ? bytes : c->owed;
	c->copied_to = c->s->out.end;
}

bool spate_bt_queue(struct spate_bt_conn *c, const void *p, size_t n)
{
	struct spate_worker *w = c->s->worker;
	struct spate_sendq *q = &c->s->out;

	if (q->base == q->end) { /* from here on it may be slow */
		c->sent_mark = q->base;
		c->sent_us = w->now_us;
	}
	c->said_us = w->now_us;
	if (w->bt->held >= 2 * third(w) || spate_sendq_bytes(&w->sendq, q, p, n) < 0)
		return false;
	spate_bt_held(c);
	return true;
}

void spate_bt_say(struct spate_bt_conn *c, const void *p, size_t n)
{
	if (!c->closing && !spate_bt_queue(c, p, n))
		spate_bt_close(c, memory);
}

void spate_bt_say_numbers(struct spate_bt_conn *c, uint8_t id, unsigned n, uint32_t a, uint32_t b,
			  uint32_t d)
{
	uint8_t m[17];

	spate_bt_put32(m, 1 + 4 * n);
	m[4] = id;
	spate_bt_put32(m + 5, a);
	spate_bt_put32(m + 9, b);
	spate_bt_put32(m + 13, d);
	spate_bt_say(c, m, 5 + 4 * n);
}

void spate_bt_timer(struct spate_bt_conn *c, uint32_t ms)
{
	uint64_t due = c->s->worker->now_us + (uint64_t)ms * 1000;

	if (c->due_us != 0 && c->due_us <= due)
		return;
	c->due_us = due;
	spate_stream_timer(c->s, ms);
}

/* --- handshake --- */

static void say_all(struct spate_bt_conn *c)
{
	const struct spate_torrent *t = c->seed->t;
	uint32_t bytes = (t->pieces + 7) / 8;
	uint8_t head[5], ones[64];

	if (c->can_fast) {
		spate_bt_say_numbers(c, SPATE_BT_HAVE_ALL, 0, 0, 0, 0);
		return;
	}
	spate_bt_put32(head, 1 + bytes);
	head[4] = SPATE_BT_BITFIELD;
	spate_bt_say(c, head, sizeof(head));
	memset(ones, 0xff, sizeof(ones));
	for (uint32_t n; bytes > 0; bytes -= n) {
		n = bytes < sizeof(ones) ? bytes : sizeof(ones);
		if (n == bytes && t->pieces % 8 != 0)
			ones[n - 1] = (uint8_t)(0xff << (8 - t->pieces % 8));
		spate_bt_say(c, ones, n);
	}
}

/* p: 48 bytes. */
static void greet(struct spate_bt_conn *c, const uint8_t *p)
{
	struct spate_bt *b = spate_bt_of(c);
	struct spate_worker *w = b->w;
	const uint8_t *reserved = p + SPATE_BT_PROTOCOL_LEN, *hash = reserved + 8;
	uint8_t out[SPATE_BT_HANDSHAKE] = SPATE_BT_PROTOCOL;
	struct spate_torrent *t = spate_torrents_find(w->torrents, hash);
	struct spate_seed *seed;

	if (t == NULL || atomic_load_explicit(&t->withdrawn, memory_order_relaxed)) {
		spate_bt_close(c, unknown);
		return;
	}
	seed = spate_seed_get(b, t);
	if (seed == NULL) {
		spate_bt_close(c, memory);
		return;
	}
	spate_seed_join(seed, c);
	c->can_ext = (reserved[5] & SPATE_BT_RESERVED_EXT) != 0;
	c->can_fast = (reserved[7] & SPATE_BT_RESERVED_FAST) != 0;
	c->v2 = memcmp(hash, t->infohash, SPATE_INFOHASH_BYTES) != 0;
	c->can_v2 = t->hybrid && (reserved[7] & SPATE_BT_RESERVED_V2) != 0;
	c->owed = t->info_len + (t->hybrid ? 64ull * t->pieces : 0); /* a layer, and proofs */
	out[SPATE_BT_PROTOCOL_LEN + 5] = SPATE_BT_RESERVED_EXT;
	out[SPATE_BT_PROTOCOL_LEN + 7] =
		(uint8_t)(SPATE_BT_RESERVED_FAST | (t->hybrid ? SPATE_BT_RESERVED_V2 : 0));
	memcpy(out + SPATE_BT_PROTOCOL_LEN + 8, hash, SPATE_INFOHASH_BYTES);
	memcpy(out + HELLO_BYTES, b->peer_id, sizeof(b->peer_id));
	spate_bt_say(c, out, sizeof(out));
	say_all(c);
	if (c->can_ext)
		spate_bt_say_extended(c);
	spate_choke_start(c);
	SPATE_COUNT(w->stats, bt_handshakes);
	c->phase = SPATE_BT_PEER_ID;
	c->pex_us = w->now_us;
}

/* --- messages --- */

/* The id is known; its payload is p, len (id not counted). */
static void message(struct spate_bt_conn *c, uint8_t id, const uint8_t *p, uint32_t len)
{
	const uint32_t pieces = c->seed->t->pieces;
	struct spate_bt_request r;

	switch (id) {
	case SPATE_BT_REQUEST:
	case SPATE_BT_CANCEL:
		r = (struct spate_bt_request){spate_bt_get32(p), spate_bt_get32(p + 4),
					      spate_bt_get32(p + 8)};
		if (id == SPATE_BT_REQUEST)
			spate_bt_requested(c, &r);
		else
			spate_bt_cancelled(c, &r);
		break;
	case SPATE_BT_INTERESTED:
		c->interested = true;
		spate_choke_interest(c);
		break;
	case SPATE_BT_NOT_INTERESTED:
		c->interested = false;
		break;
	case SPATE_BT_HAVE:
		if (spate_bt_get32(p) >= pieces)
			spate_bt_close(c, malformed);
		else if (++c->peer_has >= pieces)
			c->peer_seeds = true;
		break;
	case SPATE_BT_HAVE_ALL:
		c->peer_seeds = true;
		break;
	case SPATE_BT_EXTENDED:
		spate_bt_extended(c, p, len);
		break;
	case SPATE_BT_HASH_REQUEST:
		spate_bt_hash_request(c, p);
		break;
	case SPATE_BT_PIECE: /* of something nobody asked for */
		spate_bt_close(c, unwanted);
		break;
	default: /* choke, unchoke, suggest, ...: nothing to us, who want nothing */
		break;
	}
}

/* The first bytes of a message, up to 6, decide what to do with it. */
enum plan { NEED_MORE, BAD, KEEPALIVE, WHOLE, PASS, BITS };

/* *need: bytes of it to have in one place (WHOLE), or to have seen (else). */
static enum plan plan_for(const struct spate_bt_conn *c, const uint8_t *p, size_t have,
			  uint32_t *need)
{
	uint32_t len;

	*need = 4;
	if (have < 4)
		return NEED_MORE;
	len = spate_bt_get32(p);
	if (len == 0)
		return KEEPALIVE;
	*need = 5;
	if (have < 5)
		return NEED_MORE;
	if (!spate_bt_length_ok(p[4], len, c->seed->t->pieces))
		return BAD;
	if (p[4] == SPATE_BT_BITFIELD)
		return BITS;
	if (p[4] == SPATE_BT_EXTENDED) {
		*need = 6;
		if (have < 6)
			return NEED_MORE;
		if (p[5] != SPATE_BT_EXT_HANDSHAKE && p[5] != SPATE_BT_EXT_METADATA)
			return PASS;
		if (len > SPATE_BT_BIG - 4)
			return BAD; /* neither has reason to be longer */
	} else if (p[4] == SPATE_BT_PIECE) {
		*need = 4 + 1;
		return WHOLE; /* its id is all we want of it */
	} else if (len > SPATE_BT_BUF - 4) {
		return PASS; /* an id that we do not know */
	}
	*need = 4 + len;
	return WHOLE;
}

/* One message that begins at p, or what there is of it. Returns bytes used. */
static size_t take_message(struct spate_bt_conn *c, const uint8_t *p, size_t len)
{
	uint8_t *keep = c->big != NULL ? c->big : c->buf;
	const uint8_t *m = c->have > 0 ? keep : p;
	size_t used = 0, have = c->have > 0 ? c->have : len;
	uint32_t need;

	for (;;) {
		enum plan plan = plan_for(c, m, have, &need);
		bool here = have >= need;

		if (plan == BAD) {
			spate_bt_close(c, malformed);
			return len;
		}
		if ((plan == NEED_MORE || plan == WHOLE) && !here) {
			/* Into a place of its own, and on until that has all of it. */
			if (need > SPATE_BT_BUF && c->big == NULL) {
				c->big = spate_pool_get(&spate_bt_of(c)->bigs);
				if (c->big == NULL) {
					spate_bt_close(c, memory);
					return len;
				}
				memcpy(c->big, m, c->have > 0 ? c->have : 0);
				keep = c->big;
			}
			size_t n = need - c->have;

			if (n > len - used)
				n = len - used;
			memcpy(keep + c->have, p + used, n);
			c->have += (uint32_t)n;
			used += n;
			m = keep;
			have = c->have;
			if (have < need)
				return used;
			continue;
		}
		/* In place: what was read of p; else all of it was put into keep already. */
		if (c->have == 0)
			used = plan == WHOLE ? need : plan == KEEPALIVE ? 4 : need;
		if (plan == BITS || plan == PASS) {
			c->skip = 4 + spate_bt_get32(m) - need;
			c->bits = plan == BITS;
			if (c->bits)
				c->peer_has = 0;
		} else if (plan == WHOLE) {
			message(c, m[4], m + 5, spate_bt_get32(m) - 1);
		}
		c->have = 0;
		if (c->big != NULL)
			spate_pool_put(&spate_bt_of(c)->bigs, c->big);
		c->big = NULL;
		return used;
	}
}

static size_t take_skipped(struct spate_bt_conn *c, const uint8_t *p, size_t len)
{
	size_t n = len < c->skip ? len : c->skip;

	for (size_t i = 0; c->bits && i < n; i++)
		c->peer_has += (uint32_t)__builtin_popcount(p[i]);
	c->skip -= (uint32_t)n;
	if (c->bits && c->skip == 0) {
		c->bits = false;
		if (c->peer_has >= c->seed->t->pieces)
			c->peer_seeds = true;
	}
	return n;
}

/* A piece of the handshake. */
static size_t take_hello(struct spate_bt_conn *c, const uint8_t *p, size_t len)
{
	uint32_t need = c->phase == SPATE_BT_PROTO ? HELLO_BYTES : SPATE_BT_HANDSHAKE;
	size_t n = need - c->have < len ? need - c->have : len;
	uint32_t known;

	memcpy(c->buf + c->have, p, n);
	c->have += (uint32_t)n;
	known = c->have < SPATE_BT_PROTOCOL_LEN ? c->have : SPATE_BT_PROTOCOL_LEN;
	/* An encrypted handshake begins with a random key: seen at the first byte, mostly. */
	if (memcmp(c->buf, SPATE_BT_PROTOCOL, known) != 0) {
		spate_bt_close(c, encrypted);
		return len;
	}
	if (c->have < need)
		return n;
	if (c->phase == SPATE_BT_PROTO) {
		greet(c, c->buf);
		return n;
	}
	c->have = 0;
	c->phase = SPATE_BT_MESSAGES;
	if (memcmp(c->buf + HELLO_BYTES, spate_bt_of(c)->peer_id, 20) == 0)
		spate_bt_close(c, self);
	spate_bt_timer(c, SPATE_BT_TICK_MS);
	return n;
}

/* --- what the stream says --- */

static size_t on_recv(struct spate_stream *s, const uint8_t *data, size_t len)
{
	struct spate_bt_conn *c = s->ctx;
	size_t used = 0;

	c->heard_us = s->worker->now_us;
	while (used < len && !c->closing && spate_bt_room(c, SPATE_BT_STOP)) {
		if (c->phase != SPATE_BT_MESSAGES)
			used += take_hello(c, data + used, len - used);
		else if (c->skip > 0)
			used += take_skipped(c, data + used, len - used);
		else
			used += take_message(c, data + used, len - used);
	}
	if (c->closing)
		return len;
	c->paused = used < len;
	spate_stream_kick(s);
	return used;
}

static void on_room(struct spate_stream *s)
{
	struct spate_bt_conn *c = s->ctx;

	if (c->closing)
		return;
	c->sent_us = s->worker->now_us;
	spate_bt_held(c);
	spate_bt_serve(c);
	spate_stream_kick(s);
	if (c->paused && !c->closing && spate_bt_room(c, SPATE_BT_STOP))
		spate_stream_resume(s);
}

static void on_eof(struct spate_stream *s)
{
	struct spate_bt_conn *c = s->ctx;

	if (c->closing)
		return;
	SPATE_COUNT(s->worker->stats, bt_close_peer);
	c->closing = true;
	spate_seed_leave_line(c);
	spate_stream_finish(s);
}

/*
 * Has the peer taken nothing of what is queued for longer than it may? A kernel that takes nothing
 * may still have much to send: then what counts is whether the peer acknowledges it.
 */
static bool stuck(struct spate_bt_conn *c)
{
	const struct spate_sendq *q = &c->s->out;
	const struct spate_worker *w = c->s->worker;
	uint64_t most_us = (uint64_t)w->config->send_timeout_ms * 1000, acked;

	if (q->base != c->sent_mark || q->base == q->end) {
		c->sent_mark = q->base;
		c->sent_us = w->now_us;
	} else if (w->now_us - c->sent_us > most_us && c->s->ops->acked != NULL) {
		acked = spate_stream_acked(c->s);
		if (acked != c->acked_mark)
			c->sent_us = w->now_us;
		c->acked_mark = acked;
	}
	return w->now_us - c->sent_us > most_us;
}

/* All that depends on time; rare where nothing is limited. */
static void on_timeout(struct spate_stream *s)
{
	struct spate_bt_conn *c = s->ctx;
	struct spate_worker *w = s->worker;

	c->due_us = 0;
	spate_bt_held(c);
	if (c->on_turn && c->seed->turn == c) /* its time is the line's */
		spate_seed_run(w->bt, c->seed);
	if (c->closing && stuck(c)) {
		SPATE_COUNT(w->stats, bt_close_slow);
		spate_stream_abort(s);
		return;
	}
	if (c->closing) {
		spate_bt_timer(c, SPATE_BT_TICK_MS);
		return;
	}
	if (c->phase != SPATE_BT_MESSAGES) {
		spate_bt_close(c, handshake);
		return;
	}
	if (atomic_load_explicit(&c->seed->t->withdrawn, memory_order_relaxed)) {
		spate_bt_close(c, withdrawn);
		return;
	}
	if (stuck(c)) {
		spate_bt_close(c, slow);
		return;
	}
	if (w->now_us - c->heard_us > SPATE_BT_IDLE_US) {
		spate_bt_close(c, idle);
		return;
	}
	if (c->peer_seeds && !c->interested && c->queue == NULL && s->out.base == s->out.end) {
		spate_bt_close(c, seed);
		return;
	}
	if (w->now_us - c->said_us > SPATE_BT_KEEPALIVE_US)
		spate_bt_say(c, "\0\0\0", 4);
	if (w->now_us - c->pex_us > SPATE_BT_PEX_US) {
		c->pex_us = w->now_us;
		spate_bt_say_pex(c);
	}
	spate_bt_offer_again(c);
	spate_choke_tick(c);
	spate_bt_serve(c);
	if (c->closing)
		return;
	spate_stream_kick(s);
	spate_bt_timer(c, w->config->bt_rate != 0 ? SPATE_BT_ROUND_MS : SPATE_BT_TICK_MS);
}

static void on_drain(struct spate_stream *s)
{
	struct spate_bt_conn *c = s->ctx;

	if (c->closing)
		return;
	SPATE_COUNT(s->worker->stats, bt_close_drain);
	c->closing = true;
	spate_seed_leave_line(c);
	spate_stream_finish(s);
	if (c->paused)
		spate_stream_resume(s);
}

static void on_closed(struct spate_stream *s, enum spate_close_why why)
{
	struct spate_bt_conn *c = s->ctx;
	struct spate_bt *b = spate_bt_of(c);

	if (!c->closing && why != SPATE_CLOSE_STOP)
		SPATE_COUNT(s->worker->stats, bt_close_peer);
	c->closing = true;
	spate_bt_drop_requests(c);
	if (c->seed != NULL)
		spate_seed_leave(c);
	if (c->big != NULL)
		spate_pool_put(&b->bigs, c->big);
	b->nconns--;
	b->held -= c->held;
	SPATE_COUNT_N(s->worker->stats, bt_open, -1);
	spate_pool_put(&b->conns, c);
}

static const struct spate_stream_app bt_app = {
	.name = "bt",
	.recv = on_recv,
	.eof = on_eof,
	.room = on_room,
	.drained = on_room,
	.timeout = on_timeout,
	.drain = on_drain,
	.closed = on_closed,
};

bool spate_bt_accept(struct spate_stream *s, void *ctx)
{
	struct spate_worker *w = s->worker;
	struct spate_bt *b = w->bt;
	struct spate_bt_conn *c;

	(void)ctx;
	if (b->nconns >= w->config->bt_connections || (c = spate_pool_get(&b->conns)) == NULL) {
		SPATE_COUNT(w->stats, bt_refused);
		return false;
	}
	*c = (struct spate_bt_conn){
		.s = s, .heard_us = w->now_us, .sent_us = w->now_us, .choked = true};
	b->nconns++;
	SPATE_COUNT(w->stats, bt_accepted);
	SPATE_COUNT(w->stats, bt_open);
	s->app = &bt_app;
	s->ctx = c;
	spate_bt_timer(c, SPATE_BT_HANDSHAKE_MS);
	return true;
}

/* --- the worker's --- */

void spate_bt_torrents(struct spate_worker *w)
{
	for (unsigned i = 0; i < SPATE_SEED_BUCKETS; i++)
		for (struct spate_seed *seed = w->bt->seed[i]; seed != NULL; seed = seed->next) {
			if (!atomic_load_explicit(&seed->t->withdrawn, memory_order_relaxed))
				continue;
			for (struct spate_bt_conn *c = seed->conns; c != NULL; c = c->next)
				spate_bt_close(c, withdrawn);
		}
}

int spate_bt_create(struct spate_worker *w)
{
	struct spate_bt *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->w = w;
	memcpy(b->peer_id, "-SP0100-", 8); /* BEP 20 */
	if (getrandom(b->peer_id + 8, 12, 0) != 12)
		memcpy(b->peer_id + 8, &w->now_us, sizeof(w->now_us));
	spate_pool_init(&b->conns, sizeof(struct spate_bt_conn), CONNS_MAX);
	spate_pool_init(&b->queues, sizeof(struct spate_bt_queue), QUEUES_MAX);
	spate_pool_init(&b->bigs, SPATE_BT_BIG, BIGS_MAX);
	spate_pool_init(&b->seeds, sizeof(struct spate_seed), SEEDS_MAX);
	spate_span_create(b);
	w->bt = b;
	return 0;
}

void spate_bt_destroy(struct spate_worker *w)
{
	struct spate_bt *b = w->bt;

	if (b == NULL)
		return;
	spate_pool_finish(&b->conns);
	spate_pool_finish(&b->queues);
	spate_pool_finish(&b->bigs);
	spate_pool_finish(&b->seeds);
	spate_pool_finish(&b->waits);
	free(b);
	w->bt = NULL;
}
