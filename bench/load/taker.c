/* taker.c: the peer wire's messages as a downloader reads them (BEP 3, BEP 6), and what it asks. */
#include "bench/load/taker.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/bt/message.h"

#define BLOCK       16384u
#define REQUEST     17u /* bytes of the message */
#define REQUESTS    64  /* in one piece of queue */
#define LENGTH      4u  /* bytes in front of a message */
#define PIECE_FIELD 8u  /* index and begin */
#define PEER_ID     20

static void fail(struct load_taker *t, const char *why)
{
	if (!t->w->failed)
		snprintf(t->w->why, sizeof(t->w->why), "%s", why);
	t->w->failed = true;
}

static void put(struct load_taker *t, const void *p, size_t n)
{
	if (spate_sendq_bytes(&t->w->net->env, &t->s->out, p, n) != 0)
		fail(t, "no room to queue a request");
	spate_stream_kick(t->s);
}

/* --- pieces whose hash is looked at --- */

static struct load_piece *piece_of(struct load_taker *t, uint32_t piece)
{
	for (unsigned i = 0; i < t->npieces; i++)
		if (t->pieces[i].left != 0 && t->pieces[i].piece == piece)
			return &t->pieces[i];
	return NULL;
}

static void piece_begin(struct load_taker *t, uint32_t piece)
{
	const struct load_torrent *m = t->w->torrent;
	struct load_piece *p = t->pieces;

	if (t->w->sample == 0 || t->w->begun++ % t->w->sample != 0)
		return;
	while (p->left != 0) /* each has a block out, so there are enough */
		p++;
	if (p->mem == NULL)
		p->mem = malloc(m->piece_bytes);
	if (p->mem == NULL) {
		fail(t, "out of memory");
		return;
	}
	p->piece = piece;
	p->left = load_torrent_piece(m, piece);
}

static void piece_end(struct load_taker *t, const struct load_piece *p)
{
	const struct load_torrent *m = t->w->torrent;
	uint8_t hash[20];

	SHA1(p->mem, load_torrent_piece(m, p->piece), hash);
	if (memcmp(hash, m->hashes + (size_t)p->piece * 20, 20) == 0)
		t->w->verified++;
	else
		t->w->wrong++;
}

/* --- asking --- */

static bool is_out(const struct load_taker *t, uint32_t piece)
{
	for (unsigned i = 0; i < t->out; i++)
		if (t->asked[(t->first + i) % LOAD_TAKER_DEPTH].piece == piece)
			return true;
	for (unsigned i = 0; i < t->nagain; i++)
		if (t->again[i].piece == piece)
			return true;
	return t->block && t->now.piece == piece;
}

static bool next_block(struct load_taker *t, struct load_block *b)
{
	const struct load_torrent *m = t->w->torrent;
	uint32_t size = load_torrent_piece(m, t->next_piece);

	if (t->nagain > 0) {
		*b = t->again[--t->nagain];
		return true;
	}
	if (t->left == 0 || (t->next_begin == 0 && is_out(t, t->next_piece)))
		return false;
	if (t->next_begin == 0)
		piece_begin(t, t->next_piece);
	*b = (struct load_block){t->next_piece, t->next_begin, size - t->next_begin};
	if (b->len > BLOCK)
		b->len = BLOCK;
	if (t->w->once)
		t->left -= b->len;
	t->next_begin += b->len;
	if (t->next_begin == size) {
		t->next_begin = 0;
		t->next_piece = t->next_piece + 1 < m->pieces ? t->next_piece + 1 : 0;
	}
	return true;
}

/* In batches, as clients do. */
static void ask(struct load_taker *t)
{
	uint8_t m[REQUEST * REQUESTS];
	struct load_block b;
	size_t n = 0;

	if (!t->open || t->out > t->w->depth - t->w->depth / 4)
		return;
	while (t->out < t->w->depth && next_block(t, &b)) {
		spate_bt_put32(m + n, REQUEST - LENGTH);
		m[n + 4] = SPATE_BT_REQUEST;
		spate_bt_put32(m + n + 5, b.piece);
		spate_bt_put32(m + n + 9, b.begin);
		spate_bt_put32(m + n + 13, b.len);
		t->asked[(t->first + t->out++) % LOAD_TAKER_DEPTH] = b;
		n += REQUEST;
		if (n == sizeof(m)) {
			put(t, m, n);
			n = 0;
		}
	}
	if (n > 0)
		put(t, m, n);
	if (t->w->once && t->out == 0 && !t->block && !t->done) {
		t->done = true;
		t->w->done++;
	}
}

/* Takes it out of the ring; those before it move up. */
static bool was_asked(struct load_taker *t, uint32_t piece, uint32_t begin, struct load_block *out)
{
	struct load_block *ring = t->asked;

	for (unsigned i = 0; i < t->out; i++) {
		unsigned at = (t->first + i) % LOAD_TAKER_DEPTH;

		if (ring[at].piece != piece || ring[at].begin != begin)
			continue;
		*out = ring[at];
		for (; i > 0; i--, at = (at + LOAD_TAKER_DEPTH - 1) % LOAD_TAKER_DEPTH)
			ring[at] = ring[(at + LOAD_TAKER_DEPTH - 1) % LOAD_TAKER_DEPTH];
		t->first = (t->first + 1) % LOAD_TAKER_DEPTH;
		t->out--;
		return true;
	}
	return false;
}

/* --- messages --- */

static void choked(struct load_taker *t)
{
	t->open = false;
	if (t->fast) /* each will be rejected, or answered */
		return;
	while (t->out > 0)
		t->again[t->nagain++] = t->asked[(t->first + --t->out) % LOAD_TAKER_DEPTH];
}

static void unchoked(struct load_taker *t)
{
	t->open = true;
	t->w->open += !t->was_open;
	t->was_open = true;
}

static void rejected(struct load_taker *t)
{
	struct load_block b;

	if (!was_asked(t, spate_bt_get32(t->head + 5), spate_bt_get32(t->head + 9), &b)) {
		fail(t, "a reject of what was not asked for");
		return;
	}
	t->again[t->nagain++] = b;
	t->w->rejected++;
}

static void greeted(struct load_taker *t)
{
	t->greeted = true;
	t->fast = t->head[27] & SPATE_BT_RESERVED_FAST;
	if (memcmp(t->head, SPATE_BT_PROTOCOL, SPATE_BT_PROTOCOL_LEN) != 0 ||
	    memcmp(t->head + 28, t->w->torrent->infohash, 20) != 0)
		fail(t, "a handshake of another protocol or torrent");
}

static void piece_head(struct load_taker *t, uint32_t len)
{
	if (!was_asked(t, spate_bt_get32(t->head + 5), spate_bt_get32(t->head + 9), &t->now))
		fail(t, "a piece that was not asked for");
	else if (len != 1 + PIECE_FIELD + t->now.len)
		fail(t, "a piece of another length than asked for");
	t->block = true;
	t->body = t->now.len;
	t->into = t->w->sample != 0 ? piece_of(t, t->now.piece) : NULL;
}

static void block_end(struct load_taker *t)
{
	t->block = false;
	t->w->bytes += t->now.len;
	t->w->blocks++;
	if (t->into == NULL)
		return;
	t->into->left -= t->now.len;
	if (t->into->left == 0)
		piece_end(t, t->into);
}

/* All of a handshake, or of a message but its payload; or more of the latter is wanted. */
static void head(struct load_taker *t)
{
	uint32_t len = spate_bt_get32(t->head);
	uint8_t id = t->head[LENGTH];

	if (!t->greeted) {
		greeted(t);
	} else if (t->have == LENGTH && len != 0) {
		t->want = LENGTH + 1;
		return;
	} else if (t->have == LENGTH + 1) {
		if (!spate_bt_length_ok(id, len, t->w->torrent->pieces) ||
		    (id == SPATE_BT_PIECE && len <= 1 + PIECE_FIELD)) {
			fail(t, "a message of a length that it cannot have");
			return;
		}
		if (id == SPATE_BT_PIECE || id == SPATE_BT_REJECT) {
			t->want = LENGTH + 1 + (id == SPATE_BT_PIECE ? PIECE_FIELD : len - 1);
			return;
		}
		if (id == SPATE_BT_UNCHOKE)
			unchoked(t);
		else if (id == SPATE_BT_CHOKE)
			choked(t);
		t->body = len - 1;
	} else if (t->have > LENGTH) {
		if (id == SPATE_BT_PIECE)
			piece_head(t, len);
		else
			rejected(t);
	}
	t->have = 0;
	t->want = LENGTH;
}

static size_t taker_recv(struct spate_stream *s, const uint8_t *p, size_t len)
{
	struct load_taker *t = s->ctx;
	size_t left = len, n;

	while (left > 0 && !t->w->failed) {
		if (t->body > 0) {
			n = left < t->body ? left : t->body;
			if (t->block && t->into != NULL)
				memcpy(t->into->mem + t->now.begin + t->now.len - t->body, p, n);
			t->body -= (uint32_t)n;
			if (t->block && t->body == 0)
				block_end(t);
		} else {
			n = t->want - t->have;
			if (n > left)
				n = left;
			memcpy(t->head + t->have, p, n);
			t->have += (unsigned)n;
			if (t->have == t->want)
				head(t);
		}
		p += n;
		left -= n;
	}
	ask(t);
	return len;
}

static void taker_eof(struct spate_stream *s)
{
	fail(s->ctx, "the seeder has closed a connection");
}

static void taker_closed(struct spate_stream *s, enum spate_close_why why)
{
	struct load_taker *t = s->ctx;

	t->s = NULL;
	if (why != SPATE_CLOSE_STOP)
		fail(t, t->greeted ? "a connection was reset" : "no connection could be made");
}

static void nothing(struct spate_stream *s)
{
	(void)s;
}

static const struct spate_stream_app taker_app = {
	.name = "taker",
	.recv = taker_recv,
	.eof = taker_eof,
	.room = nothing,
	.drained = nothing,
	.timeout = nothing,
	.drain = nothing,
	.closed = taker_closed,
};

int load_taker_start(struct load_taker *t, struct load_takers *w, const struct spate_addr *to,
		     uint32_t piece, unsigned serial)
{
	uint8_t hello[SPATE_BT_HANDSHAKE] = SPATE_BT_PROTOCOL;
	char id[PEER_ID + 1];
	static const uint8_t then[] = {0, 0, 0, 1, SPATE_BT_HAVE_NONE,
				       0, 0, 0, 1, SPATE_BT_INTERESTED};

	*t = (struct load_taker){
		.w = w, .next_piece = piece, .left = w->torrent->bytes, .want = sizeof(hello)};
	if (w->sample != 0) {
		t->npieces = w->depth + 1;
		t->pieces = calloc(t->npieces, sizeof(*t->pieces));
		if (t->pieces == NULL)
			return -ENOMEM;
	}
	t->s = w->net->ops->connect(w->net, to, &taker_app, t);
	if (t->s == NULL)
		return -EIO;
	hello[27] = SPATE_BT_RESERVED_FAST;
	memcpy(hello + 28, w->torrent->infohash, 20);
	snprintf(id, sizeof(id), "-LE0002-%012u", serial);
	memcpy(hello + 48, id, PEER_ID);
	put(t, hello, sizeof(hello));
	put(t, then, sizeof(then));
	return 0;
}

void load_taker_finish(struct load_taker *t)
{
	for (unsigned i = 0; i < t->npieces; i++)
		free(t->pieces[i].mem);
	free(t->pieces);
}
