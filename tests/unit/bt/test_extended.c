/* test_extended.c: BEP 10 and its messages, BEP 52 hash requests, and shares where a rate is set.
 */
#include "wire_rig.h"

#include "dataplane/bt/bencode.h"
#include "dataplane/bt/merkle.h"
#include "dataplane/bt/tracker.h"

#define V1     (&t.m.v1->t)
#define HYBRID (&t.m.hybrid->t)

static const char names[] = "\0d1:md11:lt_donthavei9e11:ut_metadatai7e6:ut_pexi8eee";

static void handshake_says_what_we_are(void **state)
{
	struct spate_stream_mem *p = rig_connect(V1, V1->infohash, SPATE_BT_RESERVED_EXT, 0);
	static const char *has[] = {"11:ut_metadatai1e", "6:ut_pexi2e",       "11:lt_donthavei3e",
				    "4:reqqi2048e",      "11:upload_onlyi1e", "6:yourip"};
	char size[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		assert_non_null(memmem(p->out, p->out_len, has[i], strlen(has[i])));
	snprintf(size, sizeof(size), "13:metadata_sizei%ue", V1->info_len);
	assert_non_null(memmem(p->out, p->out_len, size, strlen(size)));
	spate_stream_mem_close(p);
}

/* Strictly valid, keys in order. */
static void handshake_is_canonical(void **state)
{
	struct spate_stream_mem *p =
		rig_connect(V1, V1->infohash, SPATE_BT_RESERVED_EXT, SPATE_BT_RESERVED_FAST);
	struct spate_bstr key, last = {(const uint8_t *)"", 0};
	const uint8_t *m;
	struct spate_bdec d;
	uint32_t len;

	(void)state;
	p->out_len -= SPATE_BT_HANDSHAKE;
	memmove(p->out, p->out + SPATE_BT_HANDSHAKE, p->out_len);
	rig_expect(p, SPATE_BT_HAVE_ALL, NULL);
	m = rig_expect(p, SPATE_BT_EXTENDED, &len);
	spate_bdec_init(&d, m + 1, len - 2);
	assert_true(spate_bdec_dict(&d));
	while (spate_bdec_more(&d) && spate_bdec_str(&d, &key)) {
		size_t n = key.len < last.len ? key.len : last.len;
		int order = memcmp(last.p, key.p, n);

		assert_true(order < 0 || (order == 0 && last.len < key.len));
		last = key;
		spate_bdec_skip(&d);
	}
	assert_true(spate_bdec_ok(&d));
	assert_ptr_equal(d.p, m + len - 1);
	spate_stream_mem_close(p);
}

static void metadata_is_handed_out(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	const uint8_t *m, *info;
	char head[96];
	uint32_t len;
	int n;

	(void)state;
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	rig_say(p, SPATE_BT_EXTENDED, "\1d8:msg_typei0e5:piecei0ee", 26);
	m = rig_expect(p, SPATE_BT_EXTENDED, &len);
	n = snprintf(head, sizeof(head), "\7d8:msg_typei1e5:piecei0e10:total_sizei%uee",
		     V1->info_len);
	assert_memory_equal(m, head, n);
	info = m + n;
	assert_int_equal(len - 1 - (uint32_t)n, V1->info_len);
	assert_memory_equal(info, V1->info, V1->info_len);
	spate_stream_mem_close(p);
}

static void metadata_outside_is_rejected(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	const uint8_t *m;

	(void)state;
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	rig_say(p, SPATE_BT_EXTENDED, "\1d8:msg_typei0e5:piecei9ee", 26);
	m = rig_expect(p, SPATE_BT_EXTENDED, NULL);
	assert_memory_equal(m, "\7d8:msg_typei2e5:piecei9ee", 26);
	spate_stream_mem_close(p);
}

static const char first_piece[] = "\1d8:msg_typei0e5:piecei0ee",
		  ninth[] = "\1d8:msg_typei0e5:piecei9ee";

static void ask_metadata(struct spate_stream_mem *p, const char *ask)
{
	rig_say(p, SPATE_BT_EXTENDED, ask, 26);
}

/* What came: pieces of the dictionary, and rejects. */
static void count_metadata(struct spate_stream_mem *p, unsigned *data, unsigned *rejects)
{
	const uint8_t *m;
	uint8_t id;

	while (rig_next(p, &id, &m) > 0) {
		*data += id == SPATE_BT_EXTENDED && memcmp(m, "\7d8:msg_typei1e", 15) == 0;
		*rejects += id == SPATE_BT_EXTENDED && memcmp(m, "\7d8:msg_typei2e", 15) == 0;
	}
}

static void metadata_is_of_the_rates(void **state)
{
	uint64_t *rate[] = {&t.config.bt_rate, &t.config.bt_peer_rate};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct spate_stream_mem *p;
		unsigned data = 0, rejects = 0;

		*rate[i] = 8192; /* a quarter of a second's worth is saved up: 2049 bytes */
		p = rig_peer();
		rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
		for (unsigned k = 0; k < 100; k++)
			ask_metadata(p, first_piece);
		count_metadata(p, &data, &rejects);
		assert_int_equal(data, 2049 / V1->info_len + 1);
		assert_int_equal(data + rejects, 100);
		t.w->now_us += 1000000;
		ask_metadata(p, first_piece);
		count_metadata(p, &data, &rejects);
		assert_int_equal(rejects, 100 - data + 1);
		spate_stream_mem_close(p);
		*rate[i] = 0;
	}
}

/* Else who came by a magnet would never begin where pieces take all the rate. */
static void metadata_is_owed_once_and_charged(void **state)
{
	unsigned data = 0, rejects = 0;
	struct spate_stream_mem *p;

	(void)state;
	t.config.bt_peer_rate = 65536;
	p = rig_peer();
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	rig_request(p, 0, 0, 32768);
	rig_expect_piece(p, t.m.bytes, 0, 0, 32768);
	ask_metadata(p, first_piece);
	ask_metadata(p, first_piece);
	count_metadata(p, &data, &rejects);
	assert_int_equal(data, 1);
	assert_int_equal(rejects, 1);
	t.w->now_us += 250000; /* without it there would be enough */
	rig_request(p, 0, 0, 100);
	rig_expect_nothing(p);
	t.w->now_us += 10000;
	spate_stream_mem_timeout(p);
	rig_expect_piece(p, t.m.bytes, 0, 0, 100);
	spate_stream_mem_close(p);
}

/* Without any rate, too. */
static void metadata_of_a_worker_is_bounded(void **state)
{
	unsigned data = 0, rejects = 0;
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	for (unsigned k = 0; k < 100000 && rejects == 0; k++) {
		ask_metadata(p, first_piece);
		count_metadata(p, &data, &rejects);
	}
	assert_int_equal(rejects, 1);
	assert_in_range(data * V1->info_len, 1 << 20, 16 << 20);
	t.w->now_us += 10000;
	ask_metadata(p, first_piece);
	count_metadata(p, &data, &rejects);
	assert_int_equal(rejects, 1);
	spate_stream_mem_close(p);
}

static void metadata_waits_for_a_reader(void **state)
{
	unsigned data = 0, rejects = 0;
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	for (unsigned k = 0; k < 100; k++)
		ask_metadata(p, first_piece);
	assert_in_range(p->s.out.count, SPATE_SENDQ_HIGH, SPATE_SENDQ_HIGH + 8);
	count_metadata(p, &data, &rejects);
	assert_true(data > 20);
	assert_int_equal(data + rejects, 100);
	ask_metadata(p, first_piece);
	count_metadata(p, &data, &rejects);
	assert_int_equal(data + rejects, 101);
	spate_stream_mem_close(p);
}

/* What fills the queue is pieces: hashes, say, are asked for while those flow. */
static void metadata_comes_among_pieces_one_at_a_time(void **state)
{
	unsigned data = 0, rejects = 0;
	struct spate_stream_mem *p = rig_peer();

	(void)state;
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	for (unsigned k = 0; k < 40; k++)
		rig_request(p, 0, k, 10);
	assert_true(spate_sendq_full(&p->s.out));
	for (unsigned k = 0; k < 3; k++)
		ask_metadata(p, first_piece);
	count_metadata(p, &data, &rejects);
	assert_int_equal(data, 1);
	assert_int_equal(rejects, 2);
	spate_stream_mem_close(p);
}

/*
 * All peers of a worker hold but a part of what it has for everybody; and who reads in the end gets
 * each answer.
 */
static void peers_that_do_not_read_leave_room_for_others(void **state)
{
	unsigned data = 0, rejects = 0;
	struct spate_stream_mem *p[8];

	(void)state;
	t.w->bytes_pool.limit = 300;
	for (unsigned i = 0; i < 8; i++) {
		p[i] = rig_peer();
		rig_say(p[i], SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	}
	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < 1000; k++)
			ask_metadata(p[i], ninth);
	assert_in_range(t.w->bytes_pool.used, 100, 200);
	for (unsigned i = 0; i < 8; i++)
		count_metadata(p[i], &data, &rejects);
	assert_int_equal(rejects, 8000);
	assert_int_equal(t.w->bt->held, 0);
	for (unsigned i = 0; i < 8; i++)
		spate_stream_mem_close(p[i]);
}

/* Pieces too: their heads and extents. What is asked for comes, if only one by one. */
static void ask_and_read_late(uint64_t peer_rate, uint64_t then)
{
	struct spate_stream_mem *p[8];
	const uint8_t *m;
	unsigned n = 0;
	uint8_t id;

	t.config.bt_peer_rate = peer_rate;
	t.w->range_pool.limit = 90;
	for (unsigned i = 0; i < 8; i++) {
		p[i] = rig_peer();
		for (unsigned k = 0; k < 40; k++)
			rig_request(p[i], 0, k, 10);
	}
	t.config.bt_peer_rate = then;
	t.w->now_us += 1000000;
	for (unsigned i = 0; i < 8; i++)
		spate_stream_mem_timeout(p[i]);
	assert_in_range(t.w->range_pool.used, 1, 60);
	for (unsigned i = 0; i < 8; i++)
		while (rig_next(p[i], &id, &m) > 0)
			n += id == SPATE_BT_PIECE;
	assert_int_equal(n, 8 * 40);
	for (unsigned i = 0; i < 8; i++)
		spate_stream_mem_close(p[i]);
}

static void pieces_that_nobody_reads_leave_room_for_others(void **state)
{
	(void)state;
	ask_and_read_late(0, 0);       /* answered as they come in */
	ask_and_read_late(1, 1 << 30); /* from the queue */
}

/* A long one, in small pieces, so that it is put together in a place of its own. */
static void handshake_in_pieces(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	char m[600];
	int n = snprintf(m + 5, sizeof(m) - 5, "%cd1:md11:ut_metadatai7ee1:v300:%0300dee", 0, 0);

	(void)state;
	n--; /* one e is enough */
	spate_bt_put32((uint8_t *)m, (uint32_t)n + 1);
	m[4] = SPATE_BT_EXTENDED;
	for (int at = 0; at < n + 5; at += 7)
		spate_stream_mem_send(p, m + at, at + 7 < n + 5 ? 7 : (size_t)(n + 5 - at));
	assert_int_equal(t.w->bt->bigs.used, 0);
	rig_say(p, SPATE_BT_EXTENDED, "\1d8:msg_typei0e5:piecei0ee", 26);
	rig_expect(p, SPATE_BT_EXTENDED, NULL);
	spate_stream_mem_close(p);
}

/* By an announce a name costs a signature, so here there is none for nothing. */
static void a_minute_passes(bool is_named, const char *secret)
{
	struct spate_tracker_setup setup = {
		.workers = 1, .interval_s = 120, .memory_bytes = 1 << 20, .secret = secret};
	struct spate_peer_announce a = {.infohash = V1->infohash,
					.peer = {.port = 7777},
					.event = SPATE_PEER_STARTED,
					.now_s = 1};
	struct spate_swarm_answer answer = {0};
	struct spate_stream_mem *p;

	assert_int_equal(spate_tracker_create(&t.w->tracker, &setup), 0);
	a.peer.ip[10] = a.peer.ip[11] = 0xff;
	memcpy(a.peer.ip + 12, "\x0a\1\2\3", 4);
	spate_swarms_announce(spate_tracker_swarms(t.w->tracker), &a, &answer);
	p = rig_peer();
	rig_say(p, SPATE_BT_EXTENDED, names, sizeof(names) - 1);
	t.w->now_us += SPATE_BT_PEX_US + 1;
	spate_stream_mem_timeout(p);
	if (is_named)
		assert_memory_equal(rig_expect(p, SPATE_BT_EXTENDED, NULL),
				    "\10d5:added6:\x0a\1\2\3\x1e\x61"
				    "7:added.f1:\0e",
				    30);
	else
		rig_expect_nothing(p);
	spate_stream_mem_close(p);
	spate_tracker_destroy(t.w->tracker);
	t.w->tracker = NULL;
}

static void peers_are_named_each_minute(void **state)
{
	(void)state;
	a_minute_passes(true, NULL);
}

static void peers_are_not_named_where_announces_are_signed(void **state)
{
	(void)state;
	a_minute_passes(false, "s");
}

/* --- BEP 52 --- */

static void ask_hashes(struct spate_stream_mem *p, const uint8_t *root, uint32_t base,
		       uint32_t index, uint32_t len, uint32_t proofs)
{
	uint8_t r[48];

	memcpy(r, root, 32);
	spate_bt_put32(r + 32, base);
	spate_bt_put32(r + 36, index);
	spate_bt_put32(r + 40, len);
	spate_bt_put32(r + 44, proofs);
	rig_say(p, SPATE_BT_HASH_REQUEST, r, sizeof(r));
}

static struct spate_stream_mem *v2_peer(const uint8_t *infohash)
{
	struct spate_stream_mem *p =
		rig_connect(HYBRID, infohash, 0, SPATE_BT_RESERVED_FAST | SPATE_BT_RESERVED_V2);

	p->out_len -= SPATE_BT_HANDSHAKE;
	memmove(p->out, p->out + SPATE_BT_HANDSHAKE, p->out_len);
	rig_expect(p, SPATE_BT_HAVE_ALL, NULL);
	rig_expect(p, SPATE_BT_UNCHOKE, NULL);
	return p;
}

static void hashes_are_answered_by_either_infohash(void **state)
{
	const uint8_t *hash[] = {HYBRID->infohash, HYBRID->infohash_v2};
	const struct spate_torrent_file *f = &HYBRID->files[1]; /* 70000 bytes: 5 leaves */

	(void)state;
	assert_int_equal(f->nleaves, 5);
	for (int i = 0; i < 2; i++) {
		struct spate_stream_mem *p = v2_peer(hash[i]);
		const uint8_t *m;
		uint8_t node[32];
		uint32_t len;

		ask_hashes(p, f->root, 1, 2, 2, 1); /* pieces are 2 leaves; then one uncle */
		m = rig_expect(p, SPATE_BT_HASHES, &len);
		assert_int_equal(len, 1 + 48 + 3 * 32);
		spate_merkle_node(f, 1, 2, node);
		assert_memory_equal(m + 48, node, 32);
		spate_merkle_node(f, 2, 0, node);
		assert_memory_equal(m + 48 + 64, node, 32);
		spate_stream_mem_close(p);
	}
}

static void unknown_roots_are_rejected(void **state)
{
	struct spate_stream_mem *p = v2_peer(HYBRID->infohash_v2);
	uint8_t root[32] = {1};
	uint32_t len;

	(void)state;
	ask_hashes(p, root, 1, 0, 2, 0);
	rig_expect(p, SPATE_BT_HASH_REJECT, &len);
	assert_int_equal(len, 49);
	spate_stream_mem_close(p);
}

static void hashes_are_of_the_rates(void **state)
{
	struct spate_stream_mem *p;
	const uint8_t *m;
	uint8_t id;

	(void)state;
	t.config.bt_peer_rate = 4096;
	p = v2_peer(HYBRID->infohash_v2);
	for (unsigned i = 0; i < 100; i++)
		ask_hashes(p, HYBRID->files[1].root, 0, 0, 8, 0);
	while (rig_next(p, &id, &m) > 0)
		;
	assert_in_range(t.stats.bt_hashes, 2, 6);
	assert_int_equal(t.stats.bt_hashes + t.stats.bt_hash_rejects, 100);
	spate_stream_mem_close(p);
}

static void hashes_wait_for_a_reader(void **state)
{
	struct spate_stream_mem *p = v2_peer(HYBRID->infohash_v2);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		ask_hashes(p, HYBRID->files[1].root, 0, 0, 8, 0);
	assert_in_range(p->s.out.count, SPATE_SENDQ_HIGH, SPATE_SENDQ_HIGH + 12);
	assert_int_equal(t.stats.bt_hashes + t.stats.bt_hash_rejects, 100);
	spate_stream_mem_close(p);
}

static void hashing_is_bounded(void **state)
{
	struct spate_stream_mem *p = v2_peer(HYBRID->infohash_v2);
	const uint8_t *m;
	uint8_t id;

	(void)state;
	for (unsigned i = 0; i < 40000 && t.stats.bt_hash_rejects == 0; i++) {
		ask_hashes(p, HYBRID->files[1].root, 0, 0, 8, 0);
		ask_hashes(p, HYBRID->files[1].root, 1, 0, 4, 0);
		while (rig_next(p, &id, &m) > 0)
			;
	}
	assert_true(t.stats.bt_hash_rejects > 0);
	spate_stream_mem_close(p);
}

/* --- rates and slots --- */

static unsigned pieces_in(struct spate_stream_mem *p)
{
	const uint8_t *m;
	unsigned n = 0;
	uint8_t id;

	while (rig_next(p, &id, &m) > 0)
		n += id == SPATE_BT_PIECE;
	return n;
}

/* By short looks too: what is less than a byte's time is not lost, and zero is not enough. */
static void bucket_keeps_what_is_left_over(void **state)
{
	struct spate_bt_bucket b = {0};
	uint64_t now = 1000000;

	(void)state;
	assert_true(spate_bt_bucket_open(&b, 250000, now));
	spate_bt_bucket_take(&b, 250000, 62501 + 250);
	for (unsigned i = 1; i <= 1000; i++) /* a quarter of a byte each */
		assert_false(spate_bt_bucket_open(&b, 250000, ++now));
	assert_int_equal(b.bytes, 0);
	for (unsigned i = 0; i < 100; i++) /* one and a half */
		spate_bt_bucket_open(&b, 250000, now += 6);
	assert_int_equal(b.bytes, 150);
}

static void peer_rate_is_kept(void **state)
{
	struct spate_stream_mem *p = rig_peer();
	unsigned n;

	(void)state;
	t.config.bt_peer_rate = 1 << 20; /* a quarter of a second's worth is saved up */
	for (unsigned i = 0; i < 200; i++)
		rig_request(p, i % 5, 0, 16384);
	n = pieces_in(p);
	assert_in_range(n, 16, 18);
	for (unsigned i = 0; i < 20; i++) { /* a second, by ticks of 50 ms */
		t.w->now_us += 50000;
		spate_stream_mem_timeout(p);
		n += pieces_in(p);
	}
	assert_in_range(n, 16 + 62, 18 + 66);
	spate_stream_mem_close(p);
}

static void swarm_rate_is_shared_evenly(void **state)
{
	struct spate_stream_mem *p[2];
	unsigned n[2] = {0, 0};

	(void)state;
	t.config.bt_rate = 1 << 20;
	for (int i = 0; i < 2; i++) {
		p[i] = rig_peer();
		rig_say(p[i], SPATE_BT_INTERESTED, NULL, 0);
		rig_expect(p[i], SPATE_BT_UNCHOKE, NULL);
	}
	for (unsigned i = 0; i < 100; i++)
		for (int k = 0; k < 2; k++)
			rig_request(p[k], i % 5, 0, 16384);
	for (unsigned i = 0; i < 40; i++) {
		t.w->now_us += 50000;
		spate_stream_mem_timeout(p[0]); /* only one of them keeps time */
		for (int k = 0; k < 2; k++)
			n[k] += pieces_in(p[k]);
	}
	assert_in_range(n[0] + n[1], 138, 150);
	assert_true(n[0] > n[1] ? n[0] - n[1] < 20 : n[1] - n[0] < 20);
	for (int i = 0; i < 2; i++)
		spate_stream_mem_close(p[i]);
}

/* The whole line waits for one timer, whoever leaves it. */
static void the_head_of_the_line_keeps_time(void **state)
{
	struct spate_stream_mem *p[4];

	(void)state;
	t.config.bt_rate = 1 << 20;
	t.config.bt_slots = 8;
	for (int i = 0; i < 4; i++) {
		p[i] = rig_peer();
		rig_say(p[i], SPATE_BT_INTERESTED, NULL, 0);
		rig_expect(p[i], SPATE_BT_UNCHOKE, NULL);
		for (unsigned k = 0; k < (i == 0 ? 60 : 10); k++)
			rig_request(p[i], 0, 0, 16384);
		pieces_in(p[i]);
	}
	assert_int_equal(p[0]->timer_ms, SPATE_BT_RATE_MS);
	for (int i = 1; i < 4; i++)
		assert_int_not_equal(p[i]->timer_ms, SPATE_BT_RATE_MS);
	spate_stream_mem_close(p[0]);
	assert_int_equal(p[1]->timer_ms, SPATE_BT_RATE_MS);
	for (unsigned k = 0; k < 10; k++) /* it wants nothing any more, and its time comes */
		rig_say(p[1], SPATE_BT_CANCEL, "\0\0\0\0\0\0\0\0\0\0\x40\0", 12);
	t.w->now_us += 50000;
	spate_stream_mem_timeout(p[1]);
	assert_int_equal(pieces_in(p[1]), 0);
	assert_true(pieces_in(p[2]) > 0);
	assert_true(pieces_in(p[3]) > 0);
	assert_int_equal(
		(p[2]->timer_ms == SPATE_BT_RATE_MS) + (p[3]->timer_ms == SPATE_BT_RATE_MS), 1);
	int head = p[2]->timer_ms == SPATE_BT_RATE_MS ? 2 : 3;

	spate_stream_mem_eof(p[head]);
	assert_int_equal(p[5 - head]->timer_ms, SPATE_BT_RATE_MS);
	for (int i = 1; i < 4; i++)
		spate_stream_mem_close(p[i]);
}

static bool told(struct spate_stream_mem *p, uint8_t what)
{
	const uint8_t *m;
	bool is = false;
	uint8_t id;

	while (rig_next(p, &id, &m) > 0)
		is |= id == what;
	return is;
}

static void slots_are_kept_and_passed_on(void **state)
{
	struct spate_stream_mem *p[3];

	(void)state;
	t.config.bt_rate = 1 << 20; /* two slots */
	for (int i = 0; i < 3; i++) {
		p[i] = rig_peer();
		rig_say(p[i], SPATE_BT_INTERESTED, NULL, 0);
	}
	assert_true(told(p[0], SPATE_BT_UNCHOKE));
	assert_true(told(p[1], SPATE_BT_UNCHOKE));
	assert_false(told(p[2], SPATE_BT_UNCHOKE));
	for (uint32_t i = 0; i < 6; i++) /* choked: what is allowed fast, */
		rig_request(p[2], i, 0, spate_torrent_piece_len(&t.m.v1->t, i));
	assert_int_equal(pieces_in(p[2]), 6);
	rig_request(p[2], 0, 0, 100); /* but once; rejected, with BEP 6 */
	assert_true(told(p[2], SPATE_BT_REJECT));
	spate_stream_mem_close(p[0]);
	assert_true(told(p[2], SPATE_BT_UNCHOKE));
	spate_stream_mem_close(p[1]);
	spate_stream_mem_close(p[2]);
}

/* Of a torrent that is larger than the set: what is not in it has to wait for a slot. */
static void choked_peers_get_the_fast_set_only(void **state)
{
	struct spate_torrent *v1 = &t.m.v1->t;
	struct spate_stream_mem *p;
	const uint8_t *m;
	uint32_t set = 0, n = 0;
	uint8_t id;

	(void)state;
	t.config.bt_rate = 1 << 20;
	v1->piece_bytes = 4096;
	v1->pieces = (uint32_t)((v1->bytes + 4095) / 4096); /* 46 */
	p = rig_connect(v1, v1->infohash, 0, SPATE_BT_RESERVED_FAST);
	p->out_len -= SPATE_BT_HANDSHAKE;
	memmove(p->out, p->out + SPATE_BT_HANDSHAKE, p->out_len);
	uint64_t in_set = 0;

	while (rig_next(p, &id, &m) > 0)
		if (id == SPATE_BT_ALLOWED_FAST) {
			set = spate_bt_get32(m);
			in_set |= 1ull << set;
			n++;
		}
	assert_int_equal(n, SPATE_BT_FAST);
	rig_request(p, set, 0, 4096);
	m = rig_expect(p, SPATE_BT_PIECE, NULL);
	assert_int_equal(spate_bt_get32(m), set);
	assert_memory_equal(m + 8, t.m.bytes + (size_t)set * 4096, 4096);
	for (uint32_t i = 0; i < 45; i++)
		if (!(in_set & 1ull << i)) {
			rig_request(p, i, 0, 4096);
			rig_expect(p, SPATE_BT_REJECT, NULL);
		}
	spate_stream_mem_close(p);
}

static void optimistic_unchoke_gives_the_slowest_ones_place(void **state)
{
	struct spate_stream_mem *p[3];

	(void)state;
	t.config.bt_rate = 1 << 20;
	for (int i = 0; i < 3; i++) {
		p[i] = rig_peer();
		rig_say(p[i], SPATE_BT_INTERESTED, NULL, 0);
		while (told(p[i], 255))
			;
	}
	rig_request(p[0], 0, 0, 16384); /* p[1] takes nothing */
	assert_true(told(p[0], SPATE_BT_PIECE));
	t.w->now_us += 31000000;
	spate_stream_mem_timeout(p[0]);
	assert_true(told(p[2], SPATE_BT_UNCHOKE));
	assert_true(told(p[1], SPATE_BT_CHOKE));
	assert_false(told(p[0], SPATE_BT_CHOKE));
	for (int i = 0; i < 3; i++)
		spate_stream_mem_close(p[i]);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(handshake_says_what_we_are),
		CASE(handshake_is_canonical),
		CASE(metadata_is_handed_out),
		CASE(metadata_outside_is_rejected),
		CASE(metadata_is_of_the_rates),
		CASE(metadata_is_owed_once_and_charged),
		CASE(metadata_of_a_worker_is_bounded),
		CASE(metadata_waits_for_a_reader),
		CASE(metadata_comes_among_pieces_one_at_a_time),
		CASE(peers_that_do_not_read_leave_room_for_others),
		CASE(pieces_that_nobody_reads_leave_room_for_others),
		CASE(handshake_in_pieces),
		CASE(peers_are_named_each_minute),
		CASE(peers_are_not_named_where_announces_are_signed),
		CASE(hashes_are_answered_by_either_infohash),
		CASE(unknown_roots_are_rejected),
		CASE(hashes_are_of_the_rates),
		CASE(hashes_wait_for_a_reader),
		CASE(hashing_is_bounded),
		cmocka_unit_test(bucket_keeps_what_is_left_over),
		CASE(peer_rate_is_kept),
		CASE(swarm_rate_is_shared_evenly),
		CASE(the_head_of_the_line_keeps_time),
		CASE(slots_are_kept_and_passed_on),
		CASE(choked_peers_get_the_fast_set_only),
		CASE(optimistic_unchoke_gives_the_slowest_ones_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
