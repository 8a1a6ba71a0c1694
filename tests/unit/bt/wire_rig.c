#include "wire_rig.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/http/conn.h"

struct rig t;

static const uint64_t sizes[] = {20000, 70000, 65536, 30001};

int rig_set_up(void **state)
{
	struct spate_worker_setup s = {.id = 0, .cpu = -1, .backend = &spate_stream_mem_backend};
	const char *why;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(spate_cache_create(&t.cache, 16 << 20, 16384, 1), 0);
	assert_int_equal(spate_ring_init(&t.to_control, SPATE_HTTP_RING_MIN, t.fd), 0);
	assert_int_equal(spate_ring_init(&t.from_control, SPATE_HTTP_RING_MIN, t.fd), 0);
	t.config = (struct spate_worker_config){.header_timeout_ms = 1000,
						.idle_timeout_ms = 5000,
						.send_timeout_ms = 3000,
						.max_connections = 100,
						.bt_slots = 2,
						.bt_connections = 8};
	t.setup.listener.accept = spate_bt_accept;
	s.cache = t.cache;
	s.config = &t.config;
	s.stats = &t.stats;
	s.to_control = &t.to_control;
	s.from_control = &t.from_control;
	s.backend_setup = &t.setup;
	assert_int_equal(spate_worker_create(&t.w, &s, &why), 0);
	spate_cache_online(t.cache, 0);
	make_torrent(&t.m, t.cache, RIG_PIECE, sizes, sizeof(sizes) / sizeof(sizes[0]));
	t.w->torrents = t.m.table;
	return 0;
}

int rig_tear_down(void **state)
{
	struct spate_cache_usage u;

	(void)state;
	spate_cache_usage(t.cache, &u);
	assert_int_equal(u.pins,
			 0); /* whatever a case did, no pin is left, no reference, no node */
	assert_int_equal(t.m.v1->t.refs, 0);
	assert_int_equal(t.m.hybrid->t.refs, 0);
	assert_int_equal(t.w->bt->conns.used, 0);
	assert_int_equal(t.w->bt->queues.used, 0);
	assert_int_equal(t.w->bt->bigs.used, 0);
	assert_int_equal(t.w->bt->seeds.used, 0);
	assert_int_equal(t.w->bt->waits.used, 0);
	assert_int_equal(t.w->bt->held, 0);
	assert_int_equal(t.stats.bt_open, 0);
	make_torrent_end(&t.m);
	spate_cache_offline(t.cache, 0);
	spate_worker_destroy(t.w);
	spate_ring_finish(&t.to_control);
	spate_ring_finish(&t.from_control);
	spate_cache_destroy(t.cache);
	close(t.fd);
	return 0;
}

struct spate_miss *rig_fetch(void)
{
	struct spate_msg m;

	while (spate_ring_pop(&t.to_control, &m))
		if (m.type == SPATE_MSG_FETCH)
			return m.miss;
	return NULL;
}

/* What worker.c does with a REPLY. */
void rig_reply(struct spate_miss *miss, struct spate_object *o, enum spate_fetch_verdict v)
{
	if (o != NULL)
		spate_cache_pin(t.cache, 0, o);
	miss->done(t.w, miss, o, v);
}

struct spate_stream_mem *rig_connect(const struct spate_torrent *to, const uint8_t *infohash,
				     uint8_t reserved5, uint8_t reserved7)
{
	uint8_t hello[SPATE_BT_HANDSHAKE] = SPATE_BT_PROTOCOL;
	struct spate_stream_mem *p = spate_stream_mem_connect(t.w);

	(void)to;
	assert_non_null(p);
	hello[25] = reserved5;
	hello[27] = reserved7;
	memcpy(hello + 28, infohash, 20);
	memcpy(hello + 48, "-TT0001-123456789012", 20);
	spate_stream_mem_send(p, hello, sizeof(hello));
	spate_stream_mem_take(p, SIZE_MAX);
	return p;
}

struct spate_stream_mem *rig_peer(void)
{
	struct spate_stream_mem *p = rig_connect(&t.m.v1->t, t.m.v1->t.infohash,
						 SPATE_BT_RESERVED_EXT, SPATE_BT_RESERVED_FAST);

	assert_true(p->out_len > SPATE_BT_HANDSHAKE);
	p->out_len -= SPATE_BT_HANDSHAKE;
	memmove(p->out, p->out + SPATE_BT_HANDSHAKE, p->out_len);
	rig_expect(p, SPATE_BT_HAVE_ALL, NULL);
	rig_expect(p, SPATE_BT_EXTENDED, NULL);
	if (t.config.bt_rate == 0)
		rig_expect(p, SPATE_BT_UNCHOKE, NULL);
	else /* all pieces: there are fewer than BEP 6 wants in the set */
		for (uint32_t i = 0; i < t.m.v1->t.pieces; i++)
			assert_int_equal(spate_bt_get32(rig_expect(p, SPATE_BT_ALLOWED_FAST, NULL)),
					 i);
	return p;
}

void rig_say(struct spate_stream_mem *p, uint8_t id, const void *payload, size_t n)
{
	uint8_t m[5 + 8192];

	assert_true(n <= 8192);
	spate_bt_put32(m, (uint32_t)n + 1);
	m[4] = id;
	if (n > 0)
		memcpy(m + 5, payload, n);
	spate_stream_mem_send(p, m, 5 + n);
}

void rig_request(struct spate_stream_mem *p, uint32_t piece, uint32_t begin, uint32_t len)
{
	uint8_t r[12];

	spate_bt_put32(r, piece);
	spate_bt_put32(r + 4, begin);
	spate_bt_put32(r + 8, len);
	rig_say(p, SPATE_BT_REQUEST, r, sizeof(r));
}

/* in_len of the stream's own input is not ours to use: what was read is cut off with each call. */
uint32_t rig_next(struct spate_stream_mem *p, uint8_t *id, const uint8_t **payload)
{
	static uint8_t copy[1 << 18];
	uint32_t len;

	if (!p->closed)
		spate_stream_mem_take(p, SIZE_MAX);
	if (p->out_len < 5)
		return 0;
	len = spate_bt_get32(p->out);
	assert_true(len > 0 && len < sizeof(copy));
	if (p->out_len < 4 + len)
		return 0;
	*id = p->out[4];
	memcpy(copy, p->out + 5, len - 1);
	*payload = copy;
	p->out_len -= 4 + len;
	memmove(p->out, p->out + 4 + len, p->out_len);
	return len;
}

const uint8_t *rig_expect(struct spate_stream_mem *p, uint8_t id, uint32_t *len)
{
	const uint8_t *payload = NULL;
	uint8_t got = 255;
	uint32_t n = rig_next(p, &got, &payload);

	if (n == 0)
		fail_msg("no message, where %u should be", id);
	assert_int_equal(got, id);
	if (len != NULL)
		*len = n;
	return payload;
}

void rig_expect_piece(struct spate_stream_mem *p, const uint8_t *flat, uint32_t piece,
		      uint32_t begin, uint32_t len)
{
	uint32_t n;
	const uint8_t *m = rig_expect(p, SPATE_BT_PIECE, &n);

	assert_int_equal(n, 9 + len);
	assert_int_equal(spate_bt_get32(m), piece);
	assert_int_equal(spate_bt_get32(m + 4), begin);
	assert_memory_equal(m + 8, flat + (size_t)piece * RIG_PIECE + begin, len);
}

void rig_expect_nothing(struct spate_stream_mem *p)
{
	const uint8_t *payload;
	uint8_t id;

	if (rig_next(p, &id, &payload) != 0)
		fail_msg("message %u, where none should be", id);
}
