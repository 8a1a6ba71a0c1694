/*
 * serve.c: requests in, pieces out. Each request gets exactly one piece or one reject (BEP 6).
 *
 * What is cached goes out in the order it was asked for. A request whose bytes are not here waits
 * in the queue while the fetch runs, and those behind it go first: order means nothing on this
 * wire.
 */
#include "dataplane/bt/impl.h"

enum served { SENT, WAITS, GONE, ENDED };

#define RUNS_MAX 512 /* parts under one request: 16 KiB of segments of 32 bytes */

/* A piece of a request: [in, in + len) of a part, and the object it comes from. */
struct run {
	struct spate_object *o;
	uint64_t in, len;
	uint32_t part;
};

static bool same(const struct spate_bt_request *a, const struct spate_bt_request *b)
{
	return a->piece == b->piece && a->begin == b->begin && a->len == b->len;
}

/* No piece will follow. Without BEP 6 there is no way to say so but to close. */
static void reject(struct spate_bt_conn *c, const struct spate_bt_request *r)
{
	if (c->can_fast) {
		SPATE_COUNT(c->s->worker->stats, bt_rejects);
		spate_bt_say_numbers(c, SPATE_BT_REJECT, 3, r->piece, r->begin, r->len);
	} else {
		spate_bt_close(c, unavailable);
	}
}

/* --- waiting for parts --- */

static void waited(void *owner, uint32_t part, enum spate_span_verdict v, struct spate_object *o)
{
	struct spate_bt_conn *c = owner;

	(void)o; /* in the index: a second look finds it */
	for (unsigned i = 0; i < SPATE_BT_WAIT; i++)
		if (c->wait[i] != NULL && c->wait_part[i] == part)
			c->wait[i] = NULL;
	if (c->closing)
		return;
	if (v == SPATE_SPAN_FAILED) {
		c->seed->failed_part = part;
		c->seed->failed_until_us = c->s->worker->now_us + SPATE_BT_FAILED_US;
	}
	spate_bt_serve(c);
	spate_stream_kick(c->s);
}

static enum served wait_for(struct spate_bt_conn *c, uint32_t part, uint64_t upto)
{
	struct spate_seed *seed = c->seed;
	unsigned i, at = SPATE_BT_WAIT;

	for (i = 0; i < SPATE_BT_WAIT; i++) {
		if (c->wait[i] == NULL)
			at = i;
		else if (c->wait_part[i] == part)
			return WAITS;
	}
	if (part == seed->failed_part && c->s->worker->now_us < seed->failed_until_us)
		return GONE;
	if (at == SPATE_BT_WAIT)
		return WAITS; /* until one of those ends */
	c->wait[at] = spate_span_wait(c->s->worker, seed->t, part, upto, waited, c);
	c->wait_part[at] = part;
	if (c->wait[at] == NULL)
		spate_bt_timer(c, SPATE_BT_RATE_MS);
	return WAITS;
}

/* --- one request --- */

/* All that it covers, before anything is queued: behind a piece's head there is no way back. */
static enum served gather(struct spate_bt_conn *c, const struct spate_bt_request *r,
			  struct run run[RUNS_MAX], unsigned *n)
{
	struct spate_worker *w = c->s->worker;
	struct spate_torrent *t = c->seed->t;
	uint64_t at = (uint64_t)r->piece * t->piece_bytes + r->begin, end = at + r->len;
	uint32_t p = spate_torrent_part_at(t, at);

	for (*n = 0; at < end; p++) {
		const struct spate_torrent_part *part = &t->parts[p];
		uint64_t stop = part->start + part->len;
		struct run *x = &run[*n];

		if (stop > end)
			stop = end;
		if ((*n)++ == RUNS_MAX)
			return GONE;
		*x = (struct run){.part = p, .in = at - part->start, .len = stop - at};
		switch (spate_span_part(w, t, p, &x->o)) {
		case SPATE_SPAN_OK:
			if (part->url != NULL && spate_object_ready(w->cache, x->o, x->in) < x->len)
				return wait_for(c, p, x->in + x->len);
			break;
		case SPATE_SPAN_WAIT:
			return wait_for(c, p, x->in + x->len);
		case SPATE_SPAN_CHANGED:
			spate_bt_close(c, withdrawn);
			return ENDED;
		case SPATE_SPAN_FAILED:
			return GONE;
		}
		at = stop;
	}
	return SENT;
}

static enum served send_piece(struct spate_bt_conn *c, const struct spate_bt_request *r)
{
	struct spate_worker *w = c->s->worker;
	struct spate_torrent *t = c->seed->t;
	uint8_t head[SPATE_BT_PIECE_HEAD];
	struct run run[RUNS_MAX];
	unsigned n;
	enum served v = gather(c, r, run, &n);
	bool ok;

	if (v != SENT)
		return v;
	spate_bt_put32(head, SPATE_BT_PIECE_HEAD - 4 + r->len);
	head[4] = SPATE_BT_PIECE;
	spate_bt_put32(head + 5, r->piece);
	spate_bt_put32(head + 9, r->begin);
	ok = spate_bt_queue(c, head, sizeof(head));
	for (unsigned i = 0; i < n && ok; i++)
		ok = spate_span_queue(c->s, t, run[i].part, run[i].o, run[i].in, run[i].len);
	if (!ok) {
		spate_bt_close(c, memory);
		return ENDED;
	}
	spate_bt_held(c);
	c->sent_bytes += r->len;
	spate_bt_bucket_take(&c->bucket, w->config->bt_peer_rate, r->len);
	spate_bt_bucket_take(&c->seed->bucket, w->config->bt_rate, r->len);
	SPATE_COUNT(w->stats, bt_pieces);
	SPATE_COUNT_N(w->stats, bt_piece_bytes, r->len);
	atomic_fetch_add_explicit(&t->wire_bytes, r->len, memory_order_relaxed);
	return SENT;
}

static void gone(struct spate_bt_conn *c, const struct spate_bt_request *r)
{
	reject(c, r);
	if (!c->closing)
		spate_bt_say_donthave(c, r->piece);
}

/* --- the queue --- */

static void put_queue(struct spate_bt_conn *c)
{
	spate_pool_put(&spate_bt_of(c)->queues, c->queue);
	c->queue = NULL;
	c->over = 0;
}

/* Forgets what was answered at the head; an empty queue goes back. */
static void trim(struct spate_bt_conn *c)
{
	struct spate_bt_queue *q = c->queue;

	while (q->head != q->tail && q->slot[q->head % SPATE_BT_REQQ].len == 0)
		q->head++;
	if (q->head == q->tail)
		put_queue(c);
}

static void keep(struct spate_bt_conn *c, const struct spate_bt_request *r)
{
	struct spate_bt_queue *q = c->queue;

	if (q == NULL) {
		q = c->queue = spate_pool_get(&spate_bt_of(c)->queues);
		if (q == NULL) {
			spate_bt_close(c, memory);
			return;
		}
		q->head = q->tail = 0;
	}
	if (q->tail - q->head < SPATE_BT_REQQ) {
		q->slot[q->tail++ % SPATE_BT_REQQ] = *r;
		return;
	}
	/* More than we said we would take: a client that does not look at reqq, up to a point. */
	if (!c->can_fast || ++c->over > SPATE_BT_REQQ)
		spate_bt_close(c, flood);
	else
		reject(c, r);
}

bool spate_bt_serve_one(struct spate_bt_conn *c)
{
	struct spate_worker *w = c->s->worker;
	struct spate_bt_queue *q = c->queue;
	unsigned looked = 0;
	bool sent = false;

	if (q == NULL || c->closing || !spate_bt_room(c, SPATE_BT_HIGH))
		return false;
	if (!spate_bt_bucket_open(&c->bucket, w->config->bt_peer_rate, w->now_us)) {
		spate_bt_timer(c, SPATE_BT_RATE_MS);
		return false;
	}
	for (uint32_t i = q->head; i != q->tail && looked < SPATE_BT_LOOK && !sent; i++) {
		struct spate_bt_request *r = &q->slot[i % SPATE_BT_REQQ];
		struct spate_bt_request asked = *r;

		if (r->len == 0)
			continue;
		looked++;
		switch (send_piece(c, r)) {
		case WAITS:
			break;
		case GONE:
			r->len = 0;
			gone(c, &asked);
			if (c->closing)
				return false;
			break;
		case SENT:
			r->len = 0;
			sent = true;
			break;
		case ENDED:
			return false;
		}
	}
	trim(c);
	return sent && c->queue != NULL;
}

void spate_bt_serve(struct spate_bt_conn *c)
{
	struct spate_bt *b = spate_bt_of(c);

	if (c->queue == NULL || c->closing)
		return;
	if (b->w->config->bt_rate != 0) {
		spate_seed_turn(c);
		spate_seed_run(b, c->seed);
		return;
	}
	while (spate_bt_serve_one(c))
		;
}

/* --- what the peer says --- */

static bool allowed_fast(const struct spate_bt_conn *c, uint32_t piece)
{
	for (unsigned i = 0; i < c->nfast; i++)
		if (c->fast[i] == piece)
			return true;
	return false;
}

/* What stands in the queue is not there because there was no room. */
static bool waiting(const struct spate_bt_conn *c)
{
	for (unsigned i = 0; i < SPATE_BT_WAIT; i++)
		if (c->wait[i] != NULL)
			return true;
	return false;
}

void spate_bt_requested(struct spate_bt_conn *c, const struct spate_bt_request *r)
{
	const struct spate_worker_config *cfg = c->s->worker->config;
	const struct spate_torrent *t = c->seed->t;

	SPATE_COUNT(c->s->worker->stats, bt_requests);
	if (r->piece >= t->pieces || r->len == 0 ||
	    (uint64_t)r->begin + r->len > spate_torrent_piece_len(t, r->piece)) {
		spate_bt_close(c, bad_request);
		return;
	}
	if (r->len > SPATE_BT_REQUEST_MAX) {
		reject(c, r);
		return;
	}
	if (c->choked) {
		if (!allowed_fast(c, r->piece) || r->len > c->fast_left) {
			if (c->can_fast) /* else: it has not read our choke, and will ask again */
				reject(c, r);
			return;
		}
		c->fast_left -= r->len;
	}
	if ((c->queue == NULL || waiting(c)) && cfg->bt_rate == 0 && cfg->bt_peer_rate == 0 &&
	    spate_bt_room(c, SPATE_BT_HIGH)) {
		switch (send_piece(c, r)) {
		case GONE:
			gone(c, r);
			return;
		case SENT:
		case ENDED:
			return;
		case WAITS:
			break;
		}
	}
	keep(c, r);
	if (!c->closing && (cfg->bt_rate != 0 || cfg->bt_peer_rate != 0))
		spate_bt_serve(c);
}

/* BEP 6: a cancelled request is answered too, by its piece (then it was too late) or a reject. */
void spate_bt_cancelled(struct spate_bt_conn *c, const struct spate_bt_request *r)
{
	struct spate_bt_queue *q = c->queue;

	if (q == NULL)
		return;
	for (uint32_t i = q->head; i != q->tail; i++) {
		struct spate_bt_request *x = &q->slot[i % SPATE_BT_REQQ];

		if (x->len == 0 || !same(x, r))
			continue;
		x->len = 0;
		SPATE_COUNT(c->s->worker->stats, bt_cancels);
		if (c->can_fast)
			reject(c, r);
		trim(c);
		return;
	}
}

/* We choke: with BEP 6 that has to be said for each request, without it the choke says it all. */
void spate_bt_reject_all(struct spate_bt_conn *c)
{
	struct spate_bt_queue *q = c->queue;

	for (uint32_t i = q != NULL ? q->head : 0; q != NULL && i != q->tail; i++) {
		struct spate_bt_request *r = &q->slot[i % SPATE_BT_REQQ];
		struct spate_bt_request asked = *r;

		if (r->len == 0 || (c->can_fast && allowed_fast(c, r->piece)))
			continue;
		r->len = 0;
		if (c->can_fast)
			reject(c, &asked);
	}
	if (q != NULL && !c->closing)
		trim(c);
}

void spate_bt_drop_requests(struct spate_bt_conn *c)
{
	if (c->queue != NULL)
		put_queue(c);
	for (unsigned i = 0; i < SPATE_BT_WAIT; i++)
		if (c->wait[i] != NULL)
			spate_span_forget(c->wait[i]);
}
