/*
 * bt_wire.c: what a peer may say, whole connections of it, over a stream in memory. Byte 0 chooses
 * the peer's bits and torrent, byte 1 how it is cut into pieces; the rest is what it sends after
 * (or, with the top bit of byte 0, instead of) a good handshake. One part is not cached, so that
 * requests wait, and control says no. Afterwards nothing may be left of it.
 */
#include <string.h>
#include <sys/eventfd.h>

#include "check.h"
#include "dataplane/bt/impl.h"
#include "dataplane/cache/write.h"
#include "dataplane/http/conn.h"
#include "dataplane/stream/mem.h"

#define PART   50000u
#define PIECE  32768u
#define NPARTS 3u

static struct spate_cache *cache;
static struct spate_ring to_control, from_control;
static struct spate_stats stats;
static struct spate_worker_config config = {
	.send_timeout_ms = 3000, .bt_slots = 1, .bt_connections = 4};
static struct spate_stream_mem_setup setup = {.listener = {.accept = spate_bt_accept}};
static struct spate_worker *w;

static uint8_t leaves[4 * 32];
static const uint8_t info[] = "d4:name4:filme";
static struct spate_torrent_file file = {.len = PART, .leaves = leaves, .nleaves = 4};
static struct spate_torrent_part part[NPARTS];
static struct spate_torrent torrent = {
	.infohash = "v1v1v1v1v1v1v1v1v1v1",
	.infohash_v2 = "v2v2v2v2v2v2v2v2v2v2",
	.hybrid = true,
	.bytes = PART * NPARTS,
	.piece_bytes = PIECE,
	.pieces = (PART * NPARTS + PIECE - 1) / PIECE,
	.nparts = NPARTS,
	.nfiles = 1,
	.parts = part,
	.files = &file,
	.info = info,
	.info_len = sizeof(info) - 1,
};
static struct spate_torrent *by_hash[4];
static struct spate_torrents table = {.n = 1, .mask = 3, .by_hash = by_hash};

static void put(const uint8_t *hash)
{
	uint64_t at;

	memcpy(&at, hash, sizeof(at));
	for (at &= table.mask; by_hash[at] != NULL; at = (at + 1) & table.mask)
		;
	by_hash[at] = &torrent;
}

static struct spate_meta *metas[NPARTS]; /* the cache's, but seen by LeakSanitizer only here */

static void store(unsigned i)
{
	struct spate_object *o = spate_cache_insert(cache, &part[i].key);
	struct spate_meta *m = metas[i] = calloc(1, sizeof(*m));
	uint64_t waiting;

	CHECK(o != NULL && m != NULL);
	m->status = 200;
	m->cacheable = true;
	m->last_modified_s = 1;
	part[i].tag = spate_torrent_tag(m, PART);
	CHECK(spate_cache_publish(cache, o, m, PART, INT64_MAX) == 0);
	for (uint64_t at = 0; at < PART;) {
		struct iovec iov[8];
		unsigned n;
		uint64_t got = spate_cache_room(cache, o, PART - at, iov, 8, &n);

		CHECK(got > 0);
		spate_cache_filled(cache, o, got);
		at += got;
	}
	CHECK(spate_cache_complete(cache, o, &waiting) == 0);
}

static void start(void)
{
	static char url[NPARTS][8] = {"/0", "/1", "/2"};
	struct spate_worker_setup s = {.cpu = -1, .backend = &spate_stream_mem_backend};
	const char *why;
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK(spate_cache_create(&cache, 4 << 20, 16384, 1) == 0);
	CHECK(spate_ring_init(&to_control, SPATE_HTTP_RING_MIN, fd) == 0);
	CHECK(spate_ring_init(&from_control, SPATE_HTTP_RING_MIN, fd) == 0);
	s.cache = cache;
	s.config = &config;
	s.stats = &stats;
	s.to_control = &to_control;
	s.from_control = &from_control;
	s.backend_setup = &setup;
	CHECK(spate_worker_create(&w, &s, &why) == 0);
	spate_cache_online(cache, 0);
	for (unsigned i = 0; i < NPARTS; i++) {
		part[i] = (struct spate_torrent_part){.start = (uint64_t)i * PART,
						      .len = PART,
						      .key = spate_key_of(url[i], 2),
						      .url = url[i],
						      .url_len = 2};
		if (i != 1)
			store(i);
	}
	put(torrent.infohash);
	put(torrent.infohash_v2);
	w->torrents = &table;
}

static void answer_fetches(void)
{
	struct spate_msg m;

	while (spate_ring_pop(&to_control, &m))
		if (m.type == SPATE_MSG_FETCH)
			m.miss->done(w, m.miss, NULL, SPATE_FETCH_BAD_GATEWAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t hello[SPATE_BT_HANDSHAKE] = SPATE_BT_PROTOCOL;
	struct spate_stream_mem *p;
	struct spate_cache_usage u;
	size_t step;

	if (w == NULL)
		start();
	if (size < 2)
		return 0;
	config.bt_rate = data[0] & 0x40 ? 1 << 20 : 0;
	config.bt_peer_rate = data[0] & 0x20 ? 1 << 20 : 0;
	hello[25] = data[0] & 1 ? SPATE_BT_RESERVED_EXT : 0;
	hello[27] = (data[0] & 2 ? SPATE_BT_RESERVED_FAST : 0) |
		    (data[0] & 4 ? SPATE_BT_RESERVED_V2 : 0);
	memcpy(hello + 28, data[0] & 8 ? torrent.infohash_v2 : torrent.infohash, 20);
	step = data[1] == 0 ? size : data[1];
	p = spate_stream_mem_connect(w);
	CHECK(p != NULL);
	if ((data[0] & 0x80) == 0)
		spate_stream_mem_send(p, hello, sizeof(hello));
	for (size_t at = 2; at < size && !p->closed; at += step) {
		spate_stream_mem_send(p, data + at, step < size - at ? step : size - at);
		CHECK(p->closed || p->s.out.count <= SPATE_BT_STOP + 64);
		if (at % 3 == 0)
			answer_fetches();
		if (at % 5 == 0 && !p->closed) {
			w->now_us += 100000;
			spate_stream_mem_take(p, 1 << 16);
			if (!p->closed && p->timer_ms != 0)
				spate_stream_mem_timeout(p);
		}
		p->out_len = 0;
	}
	if (!p->closed)
		spate_stream_mem_take(p, SIZE_MAX);
	spate_stream_mem_close(p);
	answer_fetches();
	torrent.withdrawn = false;
	w->now_us += 10000000;
	spate_cache_quiesce(cache, 0);
	spate_cache_usage(cache, &u);
	CHECK(u.pins == 0 && torrent.refs == 0 && stats.bt_open == 0);
	CHECK(w->bt->conns.used == 0 && w->bt->queues.used == 0 && w->bt->bigs.used == 0);
	CHECK(w->bt->seeds.used == 0 && w->bt->waits.used == 0);
	CHECK(w->bytes_pool.used == 0 && w->range_pool.used == 0);
	return 0;
}
