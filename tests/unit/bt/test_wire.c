/* test_wire.c: the peer wire: handshake, requests, and every reason to close. */
#include "wire_rig.h"

#define V1 (&t.m.v1->t)

/* Ends the connection in order of the peer's choice. */
static void leave(struct spate_stream_mem *p)
{
	spate_stream_mem_close(p);
}

static void closed_for(struct spate_stream_mem *p, const _Atomic uint64_t *reason)
{
	spate_stream_mem_take(p, SIZE_MAX);
	assert_true(p->closed);
	assert_int_equal(*reason, 1);
	leave(p);
}

/* --- handshake --- */

static void handshake_is_answered(void **state)
{
	struct spate_stream_mem *p =
		rig_connect(V1, V1->infohash, SPATE_BT_RESERVED_EXT, SPATE_BT_RESERVED_FAST);

	(void)state;
	assert_memory_equal(p->out, SPATE_BT_PROTOCOL, 20);
	assert_int_equal(p->out[25], SPATE_BT_RESERVED_EXT);
	assert_int_equal(p->out[27], SPATE_BT_RESERVED_FAST);
	assert_memory_equal(p->out + 28, V1->infohash, 20);
	assert_memory_equal(p->out + 48, "-SP0100-", 8);
	leave(p);
}

static void handshake_in_single_bytes(void **state)
{
	uint8_t hello[SPATE_BT_HANDSHAKE] = SPATE_BT_PROTOCOL;
	struct spate_stream_mem *p = spate_stream_mem_connect(t.w);

	(void)state;
	memcpy(hello + 28, V1->infohash, 20);
	for (unsigned i = 0; i < sizeof(hello); i++)
		spate_stream_mem_send(p, hello + i, 1);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_true(p->out_len > SPATE_BT_HANDSHAKE);
	leave(p);
}

/* Without BEP 6 and BEP 10: a bitfield, no extended handshake. */
static void plain_peer_gets_a_bitfield(void **state)
{
	struct spate_stream_mem *p = rig_connect(V1, V1->infohash, 0, 0);

	(void)state;
	/* 185537 bytes: 6 pieces, all ones, no spare bit set */
	assert_int_equal(p->out_len, SPATE_BT_HANDSHAKE + 6 + 5);
	assert_memory_equal(p->out + 68, "\0\0\0\2\5\xfc\0\0\0\1\1", 11);
	leave(p);
}

static void unknown_infohash_is_refused(void **state)
{
	struct spate_stream_mem *p =
		rig_connect(NULL, (const uint8_t *)"nothing of that name", 0, 0);

	(void)state;
	closed_for(p, &t.stats.bt_close_unknown);
}

static void withdrawn_torrent_is_refused(void **state)
{
	struct spate_stream_mem *p;

	(void)state;
	t.m.v1->t.withdrawn = true;
	p = rig_connect(V1, V1->infohash, 0, 0);
	closed_for(p, &t.stats.bt_close_unknown);
}

static void encrypted_handshake_is_refused_at_its_first_byte(void **state)
{
	struct spate_stream_mem *p = spate_stream_mem_connect(t.w);

	(void)state;
	spate_stream_mem_send(p, "\x7f", 1);
	closed_for(p, &t.stats.bt_close_encrypted);
}

static void silence_is_closed(void **state)
{
	struct spate_stream_mem *p = spate_stream_mem_connect(t.w);

	(void)state;
	assert_int_equal(p->timer_ms, SPATE_BT_HANDSHAKE_MS);
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_handshake);
}

static void both_infohashes_of_a_hybrid_are_known(void **state)
{
	struct spate_torrent *h = &t.m.hybrid->t;
	const uint8_t *hash[] = {h->infohash, h->infohash_v2};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct spate_stream_mem *p = rig_connect(h, hash[i], 0, SPATE_BT_RESERVED_V2);

		assert_true(p->out_len > 68);
		assert_int_equal(p->out[27], SPATE_BT_RESERVED_FAST | SPATE_BT_RESERVED_V2);
		assert_memory_equal(p->out + 28, hash[i], 20);
		leave(p);
	}
}

static void connections_are_limited(void **state)
{
	struct spate_stream_mem *p[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_non_null(p[i] = spate_stream_mem_connect(t.w));
	assert_null(spate_stream_mem_connect(t.w));
	assert_int_equal(t.stats.bt_refused, 1);
	for (int i = 0; i < 8; i++)
		leave(p[i]);
}

/* --- requests --- */

static void request_gets_its_piece(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_request(p, 1, 16384, 16384);
	rig_expect_piece(p, t.m.bytes, 1, 16384, 16384);
	rig_expect_nothing(p);
	leave(p);
}

static void request_may_span_parts(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_request(p, 0, 16384, 16384);
	rig_expect_piece(p, t.m.bytes, 0, 16384, 16384);
	leave(p);
}

/* As audio of a few hundred bytes a segment has it. */
static void request_may_span_a_hundred_parts(void **state)
{
	uint64_t sizes[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		sizes[i] = 300 + i % 7;
	make_torrent_end(&t.m);
	make_torrent(&t.m, t.cache, RIG_PIECE, sizes, 100);
	t.w->torrents = t.m.table;

	struct spate_stream_mem *p = rig_peer();

	rig_request(p, 0, 0, 16384);
	rig_expect_piece(p, t.m.bytes, 0, 0, 16384);
	rig_request(p, 0, 0, (uint32_t)t.m.len);
	rig_expect_piece(p, t.m.bytes, 0, 0, (uint32_t)t.m.len);
	leave(p);
}

static void last_piece_is_short(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_request(p, 5, 16384, (uint32_t)(t.m.len - 5 * RIG_PIECE - 16384));
	rig_expect_piece(p, t.m.bytes, 5, 16384, (uint32_t)(t.m.len - 5 * RIG_PIECE - 16384));
	leave(p);
}

static void pads_of_a_hybrid_are_zeros(void **state)
{
	struct spate_torrent *h = &t.m.hybrid->t;
	uint8_t *flat = calloc(1, h->bytes);
	struct spate_stream_mem *p = rig_connect(h, h->infohash, 0, SPATE_BT_RESERVED_FAST);
	const uint8_t *payload;
	uint8_t id;

	(void)state;
	for (uint32_t i = 0, k = 0; i < h->nparts; i++)
		if (h->parts[i].url != NULL) {
			memcpy(flat + h->parts[i].start, t.m.bytes + t.m.start[k], t.m.size[k]);
			k++;
		}
	p->out_len = 0;
	for (uint32_t i = 0; i < h->pieces; i++)
		rig_request(p, i, 0, spate_torrent_piece_len(h, i));
	for (uint32_t i = 0; i < h->pieces; i++)
		rig_expect_piece(p, flat, i, 0, spate_torrent_piece_len(h, i));
	assert_int_equal(rig_next(p, &id, &payload), 0);
	free(flat);
	leave(p);
}

static void hundreds_are_pipelined_and_answered_in_order(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	for (unsigned i = 0; i < 400; i++) /* nobody takes anything meanwhile */
		rig_request(p, i % 5, 1024 * (i % 30), 1024);
	assert_true(p->s.out.count <= SPATE_BT_HIGH + 2);
	for (unsigned i = 0; i < 400; i++)
		rig_expect_piece(p, t.m.bytes, i % 5, 1024 * (i % 30), 1024);
	rig_expect_nothing(p);
	leave(p);
}

static void requests_cut_anywhere(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	uint8_t m[17 * 5];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		spate_bt_put32(m + 17 * i, 13);
		m[17 * i + 4] = SPATE_BT_REQUEST;
		spate_bt_put32(m + 17 * i + 5, i);
		spate_bt_put32(m + 17 * i + 9, 100);
		spate_bt_put32(m + 17 * i + 13, 200);
	}
	for (unsigned at = 0, n = 1; at < sizeof(m); at += n, n = n % 23 + 1)
		spate_stream_mem_send(p, m + at, n < sizeof(m) - at ? n : sizeof(m) - at);
	for (unsigned i = 0; i < 5; i++)
		rig_expect_piece(p, t.m.bytes, i, 100, 200);
	rig_expect_nothing(p);
	leave(p);
}

static void too_long_request_is_rejected(void **state)
{
	struct spate_stream_mem *p;
	const uint8_t *m;

	(void)state;
	/* piece_bytes is below the limit here: a request may not be longer than its piece either */
	t.m.v1->t.piece_bytes = 1 << 20;
	t.m.v1->t.pieces = 1;
	p = rig_peer();
	rig_request(p, 0, 0, SPATE_BT_REQUEST_MAX + 1);
	m = rig_expect(p, SPATE_BT_REJECT, NULL);
	assert_int_equal(spate_bt_get32(m + 8), SPATE_BT_REQUEST_MAX + 1);
	rig_request(p, 0, 0, SPATE_BT_REQUEST_MAX);
	rig_expect_piece(p, t.m.bytes, 0, 0, SPATE_BT_REQUEST_MAX);
	leave(p);
}

static void request_outside_closes(void **state)
{
	static const uint32_t bad[][3] = {{6, 0, 100},        {0, 32768, 1},     {0, 32000, 1000},
					  {5, 21696, 100},    {0, 0, 0},         {0xffffffff, 0, 1},
					  {0, 0xffffffff, 2}, {0, 0, 0xffffffff}};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct spate_stream_mem *p = rig_peer();

		rig_request(p, bad[i][0], bad[i][1], bad[i][2]);
		spate_stream_mem_take(p, SIZE_MAX);
		assert_true(p->closed);
		assert_int_equal(t.stats.bt_close_bad_request, i + 1);
		leave(p);
	}
}

static void flood_is_rejected_then_closed(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	for (unsigned i = 0; i < 3 * SPATE_BT_REQQ && !p->closed; i++)
		rig_request(p, 0, 0, 16384);
	assert_true(p->closed);
	assert_int_equal(t.stats.bt_close_flood, 1);
	assert_true(t.stats.bt_rejects >= SPATE_BT_REQQ);
	leave(p);
}

static void cancelled_request_is_rejected(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	uint8_t r[12] = {0};
	uint8_t id;
	const uint8_t *m;
	unsigned pieces = 0, rejects = 0;

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		rig_request(p, 0, 0, 16384);
	rig_request(p, 1, 0, 16384);
	spate_bt_put32(r, 1);
	spate_bt_put32(r + 8, 16383); /* nobody asked for that */
	rig_say(p, SPATE_BT_CANCEL, r, sizeof(r));
	spate_bt_put32(r + 8, 16384);
	rig_say(p, SPATE_BT_CANCEL, r, sizeof(r));
	while (rig_next(p, &id, &m) > 0) {
		if (id == SPATE_BT_PIECE)
			pieces++;
		else if (id == SPATE_BT_REJECT && spate_bt_get32(m) == 1)
			rejects++;
	}
	assert_int_equal(pieces, 60);
	assert_int_equal(rejects, 1);
	assert_int_equal(t.stats.bt_cancels, 1);
	leave(p);
}

/* --- what is not cached --- */

static void missing_part_is_fetched_and_others_go_first(void **state)
{
	struct spate_stream_mem *p;
	struct spate_miss *miss;

	(void)state;
	make_torrent_drop(&t.m, 1);
	p = rig_peer();
	rig_request(p, 1, 0, 16384); /* in part 1 */
	rig_request(p, 5, 0, 16384);
	rig_expect_piece(p, t.m.bytes, 5, 0, 16384);
	rig_expect_nothing(p);
	miss = rig_fetch();
	assert_non_null(miss);
	assert_int_equal(miss->url_len, strlen(t.m.url[1]));
	assert_memory_equal(miss->url, t.m.url[1], miss->url_len);
	make_torrent_put(&t.m, 1);
	rig_reply(miss, t.m.object[1], SPATE_FETCH_OK);
	rig_expect_piece(p, t.m.bytes, 1, 0, 16384);
	assert_null(rig_fetch());
	leave(p);
}

static void one_fetch_for_many_requests(void **state)
{
	struct spate_stream_mem *p;
	struct spate_miss *miss;

	(void)state;
	make_torrent_drop(&t.m, 1);
	p = rig_peer();
	for (unsigned i = 0; i < 8; i++)
		rig_request(p, 1, 1024 * i, 1024);
	miss = rig_fetch();
	assert_null(rig_fetch());
	make_torrent_put(&t.m, 1);
	rig_reply(miss, t.m.object[1], SPATE_FETCH_OK);
	for (unsigned i = 0; i < 8; i++)
		rig_expect_piece(p, t.m.bytes, 1, 1024 * i, 1024);
	leave(p);
}

static void failed_fetch_rejects_and_withdraws(void **state)
{
	static const char hello[] = "\0d1:md11:lt_donthavei9eee";
	struct spate_stream_mem *p;
	const uint8_t *m;
	uint32_t len;

	(void)state;
	make_torrent_drop(&t.m, 1);
	p = rig_peer();
	rig_say(p, SPATE_BT_EXTENDED, hello, sizeof(hello) - 1);
	rig_request(p, 1, 0, 16384);
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_BAD_GATEWAY);
	rig_expect(p, SPATE_BT_REJECT, NULL);
	m = rig_expect(p, SPATE_BT_EXTENDED, &len);
	assert_int_equal(len, 6);
	assert_memory_equal(m, "\x9\0\0\0\1", 5);
	leave(p);
}

static void without_reject_a_failed_fetch_closes(void **state)
{
	struct spate_stream_mem *p;

	(void)state;
	make_torrent_drop(&t.m, 1);
	p = rig_connect(V1, V1->infohash, 0, 0);
	rig_request(p, 1, 0, 16384);
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_BAD_GATEWAY);
	closed_for(p, &t.stats.bt_close_unavailable);
}

static void other_content_withdraws_the_torrent(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	make_torrent_other(&t.m, 1);
	rig_request(p, 1, 0, 16384);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_true(t.m.v1->t.withdrawn);
	closed_for(p, &t.stats.bt_close_withdrawn);
}

static void other_content_from_the_origin_withdraws_it_too(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	struct spate_miss *miss;

	(void)state;
	make_torrent_drop(&t.m, 1);
	rig_request(p, 1, 0, 16384);
	miss = rig_fetch();
	make_torrent_other(&t.m, 1);
	rig_reply(miss, t.m.object[1], SPATE_FETCH_OK);
	closed_for(p, &t.stats.bt_close_withdrawn);
}

static void peer_may_leave_while_control_fetches(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	make_torrent_drop(&t.m, 1);
	rig_request(p, 1, 0, 16384);
	leave(p);
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_TIMEOUT);
}

static void withdrawn_torrents_lose_their_peers(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	t.m.v1->t.withdrawn = true;
	spate_bt_torrents(t.w);
	closed_for(p, &t.stats.bt_close_withdrawn);
}

/* --- other messages --- */

static void malformed_lengths_close(void **state)
{
	static const struct {
		const char *bytes;
		unsigned n;
	} bad[] = {
		{"\0\0\0\2\1\0", 6},       /* unchoke of two bytes */
		{"\0\0\0\5\6\0\0\0\0", 9}, /* half a request */
		{"\0\0\0\3\5\0\0", 7},     /* a bitfield of 16 for 6 pieces */
		{"\0\0\0\1\x14", 5},       /* extended, and no id */
		{"\xff\xff\xff\xff\x2a", 5},
		{"\0\0\0\5\4\0\0\0\x6", 9}, /* have, outside */
		{"\0\0\0\xc\x14\0hello worl", 16},
		{"\0\0\0\4\4\0\0\0", 8},            /* have, of three bytes */
		{"\0\0\0\xc\x8\0\0\0\0\0\0", 11},   /* cancel, and reject, a byte short */
		{"\0\0\0\xe\x10\0\0\0\0\0\0", 11},  /* or one too long */
		{"\0\0\0\x21\x15\0\0\0\0\0\0", 11}, /* a hash request that is a root only */
		{"\0\0\0\x32\x15\0\0\0\0\0\0", 11},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct spate_stream_mem *p = rig_peer();

		spate_stream_mem_send(p, bad[i].bytes, bad[i].n);
		spate_stream_mem_take(p, SIZE_MAX);
		assert_true(p->closed);
		assert_int_equal(t.stats.bt_close_malformed, i + 1);
		leave(p);
	}
}

static void unwanted_piece_closes(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_say(p, SPATE_BT_PIECE, "\0\0\0\0\0\0\0\0poison", 14);
	closed_for(p, &t.stats.bt_close_unwanted);
}

static void unknown_messages_are_skipped(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	uint8_t junk[300] = {0};

	(void)state;
	rig_say(p, 99, junk, sizeof(junk));
	rig_say(p, SPATE_BT_EXTENDED, "\2d5:addedi1ee", 13); /* PEX: nothing to a seeder */
	spate_stream_mem_send(p, "\0\0\0\0", 4);
	rig_request(p, 0, 0, 100);
	rig_expect_piece(p, t.m.bytes, 0, 0, 100);
	leave(p);
}

static void seeds_are_let_go(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_say(p, SPATE_BT_BITFIELD, "\xfc", 1);
	rig_expect_nothing(p);
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_seed);
}

static void slow_reader_is_closed(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_request(p, 0, 0, 16384);
	spate_stream_mem_timeout(p);
	t.w->now_us += 4000000;
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_slow);
}

/* What it was idle for before is not held against it. */
static void idle_peer_is_not_slow_when_it_asks_again(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	spate_stream_mem_timeout(p);
	t.w->now_us += SPATE_BT_TICK_MS * 1000 - 1;
	rig_request(p, 0, 0, 16384);
	t.w->now_us += 1;
	spate_stream_mem_timeout(p);
	assert_false(p->aborted);
	t.w->now_us += 4000000;
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_slow);
}

static uint64_t acked;

static uint64_t op_acked(struct spate_stream *s)
{
	return acked;
}

/* The kernel takes no more, and gives what it has to a peer that reads on. */
static void reader_of_what_the_kernel_has_is_not_slow(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	struct spate_stream_ops ops = *p->s.ops;

	(void)state;
	ops.acked = op_acked;
	p->s.ops = &ops;
	rig_request(p, 0, 0, 16384);
	spate_stream_mem_timeout(p);
	for (int i = 0; i < 5; i++) {
		acked += 100;
		t.w->now_us += 4000000;
		spate_stream_mem_timeout(p);
		assert_false(p->aborted);
	}
	t.w->now_us += 4000000;
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_slow);
}

/* It has asked, said FIN, and takes nothing; its window is probed for as long as it answers. */
static void peer_that_half_closes_and_stops_reading_is_let_go(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_request(p, 0, 0, 16384);
	spate_stream_mem_eof(p);
	assert_true(p->finish);
	spate_stream_mem_timeout(p);
	assert_int_not_equal(p->timer_ms, 0);
	spate_stream_mem_take(p, 1000); /* it moves */
	t.w->now_us += 4000000;
	spate_stream_mem_timeout(p);
	assert_false(p->aborted);
	t.w->now_us += 4000000;
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_slow);
}

static void drain_lets_what_is_left_unread_go(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	while (p->s.out.count < SPATE_BT_STOP)
		assert_int_equal(spate_sendq_bytes(&t.w->sendq, &p->s.out, t.m.bytes,
						   SPATE_SENDQ_NODE_BYTES),
				 0);
	rig_say(p, SPATE_BT_INTERESTED, NULL, 0);
	assert_true(p->paused);
	p->s.app->drain(&p->s);
	spate_stream_mem_eof(p);
	assert_int_equal(p->in_len, 0);
	assert_true(p->eof_told);
	spate_stream_mem_close(p);
}

static void idle_peer_is_kept_awake_then_closed(void **state)
{
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	t.w->now_us += SPATE_BT_KEEPALIVE_US + 1;
	spate_stream_mem_timeout(p);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_int_equal(p->out_len, 4);
	assert_memory_equal(p->out, "\0\0\0", 4);
	p->out_len = 0;
	t.w->now_us += SPATE_BT_IDLE_US;
	spate_stream_mem_timeout(p);
	closed_for(p, &t.stats.bt_close_idle);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(handshake_is_answered),
		CASE(handshake_in_single_bytes),
		CASE(plain_peer_gets_a_bitfield),
		CASE(unknown_infohash_is_refused),
		CASE(withdrawn_torrent_is_refused),
		CASE(encrypted_handshake_is_refused_at_its_first_byte),
		CASE(silence_is_closed),
		CASE(both_infohashes_of_a_hybrid_are_known),
		CASE(connections_are_limited),
		CASE(request_gets_its_piece),
		CASE(request_may_span_parts),
		CASE(request_may_span_a_hundred_parts),
		CASE(last_piece_is_short),
		CASE(pads_of_a_hybrid_are_zeros),
		CASE(hundreds_are_pipelined_and_answered_in_order),
		CASE(requests_cut_anywhere),
		CASE(too_long_request_is_rejected),
		CASE(request_outside_closes),
		CASE(flood_is_rejected_then_closed),
		CASE(cancelled_request_is_rejected),
		CASE(missing_part_is_fetched_and_others_go_first),
		CASE(one_fetch_for_many_requests),
		CASE(failed_fetch_rejects_and_withdraws),
		CASE(without_reject_a_failed_fetch_closes),
		CASE(other_content_withdraws_the_torrent),
		CASE(other_content_from_the_origin_withdraws_it_too),
		CASE(peer_may_leave_while_control_fetches),
		CASE(withdrawn_torrents_lose_their_peers),
		CASE(malformed_lengths_close),
		CASE(unwanted_piece_closes),
		CASE(unknown_messages_are_skipped),
		CASE(seeds_are_let_go),
		CASE(slow_reader_is_closed),
		CASE(idle_peer_is_not_slow_when_it_asks_again),
		CASE(reader_of_what_the_kernel_has_is_not_slow),
		CASE(peer_that_half_closes_and_stops_reading_is_let_go),
		CASE(drain_lets_what_is_left_unread_go),
		CASE(idle_peer_is_kept_awake_then_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
