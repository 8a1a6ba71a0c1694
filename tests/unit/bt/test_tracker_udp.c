/* test_tracker_udp.c: BEP 15 byte by byte, over datagrams in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/tracker.h"
#include "dataplane/stream/mem.h"

static struct spate_worker w;
static struct spate_stats stats;
static uint8_t out[SPATE_DGRAM_BYTES], q[512];
static const struct spate_dgram_listener listener = {.app = &spate_tracker_udp};
static struct spate_addr peer, local;

static const uint8_t host[4] = {10, 0, 0, 1};

static struct spate_addr ip4(uint8_t last, uint16_t port)
{
	struct spate_addr a = {.port = port};

	a.ip[10] = a.ip[11] = 0xff;
	memcpy(a.ip + 12, host, 4);
	a.ip[15] = last;
	return a;
}

static void start(struct spate_tracker_setup setup)
{
	spate_tracker_destroy(w.tracker);
	memset(&stats, 0, sizeof(stats));
	setup.workers = 1;
	setup.interval_s = 120;
	setup.memory_bytes = 1 << 20;
	w.stats = &stats;
	w.now_us = 1000000000;
	w.torrents = NULL;
	assert_int_equal(spate_tracker_create(&w.tracker, &setup), 0);
	peer = ip4(1, 4000);
	local = ip4(254, 6969);
}

static int tear_down(void **state)
{
	(void)state;
	spate_tracker_destroy(w.tracker);
	w.tracker = NULL;
	return 0;
}

static size_t ask(size_t len)
{
	memset(out, 0xee, sizeof(out));
	return spate_dgram_mem_ask(&w, &listener, &peer, &local, q, len, out);
}

static void put(unsigned at, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		q[at + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static uint64_t get(unsigned at, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | out[at + i];
	return v;
}

static uint64_t connect_id(void)
{
	put(0, 0x41727101980ull, 8);
	put(8, 0, 4);
	put(12, 0xabcd1234, 4);
	assert_int_equal(ask(16), 16);
	assert_int_equal(get(0, 4), 0);
	assert_int_equal(get(4, 4), 0xabcd1234);
	return get(8, 8);
}

/* An announce of `left` bytes from the address in `peer`, listening on port. */
static size_t announce(uint64_t id, uint32_t event, uint64_t left, uint16_t port)
{
	memset(q, 0, sizeof(q));
	put(0, id, 8);
	put(8, 1, 4);
	put(12, 77, 4);
	memset(q + 16, 0x55, 20);
	put(64, left, 8);
	put(80, event, 4);
	put(84, 0x01020304, 4); /* an address to be ignored */
	put(92, UINT32_MAX, 4);
	put(96, port, 2);
	return ask(98);
}

static void test_announce(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){.open = true});
	assert_int_equal(announce(connect_id(), 2, 1, 6881), 20);
	assert_int_equal(get(0, 4), 1);
	assert_int_equal(get(4, 4), 77);
	assert_int_equal(get(8, 4), 120);
	assert_int_equal(get(12, 4), 1);
	assert_int_equal(get(16, 4), 0);
	peer = ip4(2, 4000);
	assert_int_equal(announce(connect_id(), 2, 0, 6882), 26);
	assert_int_equal(get(20, 4), 0x0a000001); /* by its source address */
	assert_int_equal(get(24, 2), 6881);
	assert_int_equal(stats.tracker_announces, 2);
	assert_int_equal(stats.tracker_joined, 2);
}

static void test_ipv6_is_18_bytes(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){.open = true});
	memset(peer.ip, 0xfd, 16);
	announce(connect_id(), 2, 1, 6881);
	peer.ip[15] = 9;
	assert_int_equal(announce(connect_id(), 2, 1, 6882), 38);
	assert_int_equal(get(20, 8), 0xfdfdfdfdfdfdfdfdull);
	assert_int_equal(get(36, 2), 6881);
}

static void test_ids_are_of_an_address_and_age(void **state)
{
	uint64_t id;

	(void)state;
	start((struct spate_tracker_setup){.open = true});
	id = connect_id();
	w.now_us += 119 * 1000000ull;
	assert_int_equal(announce(id, 2, 1, 6881), 20);
	w.now_us += 62 * 1000000ull; /* into the third minute behind the one it was given in */
	announce(id, 2, 1, 6881);
	assert_int_equal(get(0, 4), 3);
	w.now_us += 60 * 1000000ull; /* whose low bits are its own again */
	announce(id, 2, 1, 6881);
	assert_int_equal(get(0, 4), 3);
	assert_int_equal(stats.tracker_bad_id, 2);
	id = connect_id();
	peer = ip4(2, 4000);
	announce(id, 2, 1, 6881);
	assert_int_equal(get(0, 4), 3);
	assert_int_equal(stats.tracker_bad_id, 3);
	assert_int_equal(stats.tracker_announces, 1);
}

static void test_unknown_swarms_are_refused(void **state)
{
	size_t n;

	(void)state;
	start((struct spate_tracker_setup){.open = false});
	n = announce(connect_id(), 2, 1, 6881);
	assert_int_equal(get(0, 4), 3);
	assert_int_equal(get(4, 4), 77);
	assert_true(n > 8 && n < 98);
	assert_int_equal(stats.tracker_unknown, 1);
}

static void publish(struct spate_torrent *t)
{
	static struct spate_torrent *slots[2];
	static struct spate_torrents table = {
		.n = 1, .mask = 1, .by_hash = slots, .by_file = slots};

	memset(t->infohash, 0x55, 20);
	slots[0] = slots[1] = NULL;
	slots[t->infohash[0] & 1] = t;
	w.torrents = &table;
}

static void test_the_edge_comes_first(void **state)
{
	struct spate_addr seed = {.port = 6881};
	struct spate_torrent t = {.bytes = 1};

	(void)state;
	seed.ip[10] = seed.ip[11] = 0xff; /* 0.0.0.0: the address that was asked */
	start((struct spate_tracker_setup){.seeds = &seed, .nseeds = 1});
	publish(&t);
	announce(connect_id(), 2, 1, 5000);
	peer = ip4(2, 4000);
	assert_int_equal(announce(connect_id(), 2, 1, 5001), 32);
	assert_int_equal(get(20, 4), 0x0a0000fe);
	assert_int_equal(get(24, 2), 6881);
	assert_int_equal(get(26, 4), 0x0a000001);
	assert_int_equal(get(16, 4), 1);                          /* and it is counted */
	assert_int_equal(announce(connect_id(), 1, 0, 5001), 26); /* a seed needs no seed */
	assert_int_equal(get(20, 4), 0x0a000001);
}

/* A stream that knows but what it listens on: better not named than 0.0.0.0. */
static void test_an_unknown_address_is_not_named(void **state)
{
	struct spate_addr seed = {.port = 6881};
	struct spate_torrent t = {.bytes = 1};

	(void)state;
	seed.ip[10] = seed.ip[11] = 0xff;
	start((struct spate_tracker_setup){.seeds = &seed, .nseeds = 1});
	publish(&t);
	memset(local.ip + 12, 0, 4);
	assert_int_equal(announce(connect_id(), 2, 1, 5000), 20);
}

static void test_withdrawn_the_edge_is_not_named(void **state)
{
	struct spate_addr seed = {.port = 6881};
	struct spate_torrent t = {.bytes = 1};

	(void)state;
	seed.ip[10] = seed.ip[11] = 0xff;
	start((struct spate_tracker_setup){.seeds = &seed, .nseeds = 1});
	publish(&t);
	t.withdrawn = true;
	assert_int_equal(announce(connect_id(), 2, 1, 5000), 20);
}

static void test_scrape(void **state)
{
	uint64_t id;

	(void)state;
	start((struct spate_tracker_setup){.open = true});
	id = connect_id();
	announce(id, 1, 0, 6881);
	memset(q, 0, sizeof(q));
	put(0, id, 8);
	put(8, 2, 4);
	memset(q + 16, 0x55, 20); /* and one that nobody knows */
	assert_int_equal(ask(16 + 40), 8 + 24);
	assert_int_equal(get(0, 4), 2);
	assert_int_equal(get(8, 4), 1);
	assert_int_equal(get(12, 4), 1);
	assert_int_equal(get(16, 4), 0);
	assert_int_equal(get(20, 8), 0);
}

static void test_malformed(void **state)
{
	uint64_t id;

	(void)state;
	start((struct spate_tracker_setup){.open = true});
	id = connect_id();
	for (size_t len = 0; len < 98; len++) {
		announce(id, 2, 1, 6881);
		assert_int_equal(stats.tracker_malformed, len);
		assert_int_equal(ask(len), 0);
	}
	announce(id, 4, 1, 6881); /* no such event */
	announce(id, 2, 1, 0);    /* no port */
	memset(q, 0, 16);
	put(8, 9, 4);
	assert_int_equal(ask(16), 0);
	assert_int_equal(stats.tracker_malformed, 98 + 3);
}

static void test_limit_of_an_address(void **state)
{
	uint64_t id;

	(void)state;
	start((struct spate_tracker_setup){.open = true, .announces = 10});
	id = connect_id();
	for (int i = 0; i < 30; i++)
		assert_int_equal(announce(id, 0, 1, 6881), i < 10 ? 20 : 0);
	assert_int_equal(stats.tracker_limited, 20);
	peer = ip4(2, 4000);
	assert_true(announce(connect_id(), 0, 1, 6881) > 0); /* another address is not meant */
	peer = ip4(1, 4000);
	w.now_us += 1000000;
	assert_true(announce(id, 0, 1, 6881) > 0);
}

/* A host of IPv6 has 2^64 addresses to ask from; it is one host. */
static void test_limit_of_a_network(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){.open = true, .announces = 10});
	memset(peer.ip, 0xfd, 16);
	for (int i = 0; i < 30; i++) {
		peer.ip[15] = (uint8_t)i;
		announce(connect_id(), 0, 1, 6881);
	}
	assert_int_equal(stats.tracker_limited, 20);
	peer.ip[7] = 1;
	assert_true(announce(connect_id(), 0, 1, 6881) > 0);
}

/* Peer exchange names whom an announce would name. */
static void test_exchange(void **state)
{
	uint8_t four[60], six[180];
	struct spate_peer_list v4, v6;
	struct spate_addr who = ip4(9, 4000);

	(void)state;
	start((struct spate_tracker_setup){.open = true, .audience = 3});
	for (uint32_t n = 1; n <= 3; n++) {
		peer = ip4((uint8_t)n, 4000);
		announce(connect_id(), 2, 1, (uint16_t)(6880 + n));
		v4 = (struct spate_peer_list){.to = four, .want = 10};
		v6 = (struct spate_peer_list){.to = six, .want = 10};
		spate_tracker_pex(&w, q + 16, &who, &v4, &v6);
		assert_int_equal(v4.n, n < 3 ? 0 : 3);
		assert_int_equal(v6.n, 0);
	}
}

static void test_signed(void **state)
{
	struct spate_token_key key;
	uint8_t ih[20];
	char path[SPATE_TOKEN_PATH_MAX];
	uint64_t id;

	(void)state;
	start((struct spate_tracker_setup){.open = true, .secret = "correct horse"});
	id = connect_id();
	announce(id, 2, 1, 6881);
	assert_int_equal(get(0, 4), 3);
	assert_int_equal(stats.tracker_unsigned, 1);

	memset(ih, 0x55, 20);
	spate_token_key(&key, "correct horse");
	spate_token_path(&key, ih, path);
	q[98] = 1; /* BEP 41: a pad, the URL in two pieces, the end */
	q[99] = 2;
	q[100] = 5;
	memcpy(q + 101, path, 5);
	q[106] = 2;
	q[107] = (uint8_t)(strlen(path) - 5);
	memcpy(q + 108, path + 5, strlen(path) - 5);
	assert_int_equal(ask(108 + strlen(path) - 5 + 1), 20);
	assert_int_equal(get(0, 4), 1);
	q[110] ^= 1; /* one bit of it */
	ask(108 + strlen(path) - 5 + 1);
	assert_int_equal(get(0, 4), 3);
	assert_int_equal(stats.tracker_unsigned, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_announce),
		T(test_ipv6_is_18_bytes),
		T(test_ids_are_of_an_address_and_age),
		T(test_unknown_swarms_are_refused),
		T(test_the_edge_comes_first),
		T(test_an_unknown_address_is_not_named),
		T(test_withdrawn_the_edge_is_not_named),
		T(test_scrape),
		T(test_malformed),
		T(test_limit_of_an_address),
		T(test_limit_of_a_network),
		T(test_exchange),
		T(test_signed),
	};

	return cmocka_run_group_tests_name("bt-tracker-udp", tests, NULL, NULL);
}
