/* test_tracker_http.c: targets to bencoded bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/tracker.h"
#include "dataplane/bt/tracker_http.h"
#include "dataplane/worker.h"

/* Twenty bytes of the kinds that are hard: %00, a letter, a %-escape of one, 8-bit, '+'. */
#define HASH "%00a%41%ff+5678901234567%90x"
static const uint8_t hash[20] = {0,   'a', 'A', 0xff, '+', '5', '6', '7', '8',  '9',
				 '0', '1', '2', '3',  '4', '5', '6', '7', 0x90, 'x'};

static struct spate_worker w;
static struct spate_stats stats;
static uint8_t body[SPATE_TRACKER_HTTP_BYTES + 1];
static struct spate_addr peer, local;

static void start(struct spate_tracker_setup setup)
{
	memset(&stats, 0, sizeof(stats));
	setup.workers = 1;
	setup.interval_s = 120;
	setup.memory_bytes = 1 << 20;
	setup.open = true;
	w = (struct spate_worker){.stats = &stats, .now_us = 1000000000};
	assert_int_equal(spate_tracker_create(&w.tracker, &setup), 0);
	memset(&peer, 0, sizeof(peer));
	peer.ip[10] = peer.ip[11] = 0xff;
	peer.ip[12] = 10;
	peer.ip[15] = 1;
	local = peer;
	local.ip[15] = 254;
}

static int tear_down(void **state)
{
	(void)state;
	spate_tracker_destroy(w.tracker);
	return 0;
}

static size_t ask(const char *path, const char *query)
{
	size_t n = spate_tracker_http(&w, spate_slice_of(path, strlen(path)),
				      spate_slice_of(query, strlen(query)), &peer, &local, body,
				      SPATE_TRACKER_HTTP_BYTES);

	body[n] = 0;
	return n;
}

#define FAILS(why) "d14:failure reason" why "e"

static void answers(const char *query, const char *want)
{
	assert_true(ask("/announce", query) > 0);
	assert_string_equal((const char *)body, want);
}

static void test_announce(void **state)
{
	struct spate_swarm_counts c;
	static const char want[] = "d8:completei0e10:downloadedi0e10:incompletei2e8:intervali120e"
				   "12:min intervali60e5:peers6:\x0a\x00\x00\x01\x1a\xe1"
				   "e";

	(void)state;
	start((struct spate_tracker_setup){0});
	ask("/announce",
	    "info_hash=" HASH "&peer_id=-XX0001-abcdefghijkl&port=6881&left=1&event=started");
	peer.ip[15] = 2;
	assert_int_equal(
		ask("/announce", "port=6882&left=-1&info_hash=" HASH "&compact=1&ip=8.8.8.8"),
		sizeof(want) - 1);
	assert_memory_equal(body, want, sizeof(want) - 1);
	assert_true(spate_swarms_scrape(spate_tracker_swarms(w.tracker), hash, &c));
	assert_int_equal(c.leechers, 2);
	peer.ip[15] = 3;
	ask("/announce", "port=6883&left=1&info_hash=" HASH);
	/* From any place on: the second stands there by the address that it asked from. */
	assert_non_null(memmem(body, SPATE_TRACKER_HTTP_BYTES, "\x0a\x00\x00\x02\x1a\xe2", 6));
}

static void test_dictionaries(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){0});
	ask("/announce", "info_hash=" HASH "&port=6881&left=1");
	peer.ip[15] = 2;
	answers("info_hash=" HASH "&port=6882&left=0&compact=0&event=completed",
		"d8:completei1e10:downloadedi1e10:incompletei1e8:intervali120e12:min intervali60e"
		"5:peersld2:ip8:10.0.0.14:porti6881eeee");
}

static void test_both_families(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){0});
	memset(peer.ip, 0xfd, 16);
	ask("/announce", "info_hash=" HASH "&port=6881&left=1");
	peer.ip[15] = 2;
	assert_true(ask("/announce", "info_hash=" HASH "&port=6881&left=1") > 0);
	assert_non_null(strstr((char *)body, "5:peers0:6:peers618:\xfd\xfd\xfd"));
}

static uint64_t corrupt(void)
{
	return stats.tracker_corrupt_bytes;
}

/* Whoever loads poison may never complete: each announce counts, and only what is new. */
static void test_corrupt_counts_on_any_announce(void **state)
{
	uint64_t before;

	(void)state;
	start((struct spate_tracker_setup){0});
	before = corrupt();
	ask("/announce", "info_hash=" HASH "&port=6881&left=9&event=started&corrupt=0");
	ask("/announce", "info_hash=" HASH "&port=6881&left=9&corrupt=131072");
	assert_int_equal(corrupt() - before, 131072);
	ask("/announce", "info_hash=" HASH "&port=6881&left=9");
	ask("/announce", "info_hash=" HASH "&port=6881&left=0&event=completed&corrupt=196608");
	ask("/announce", "info_hash=" HASH "&port=6881&left=0&event=stopped&corrupt=196608");
	assert_int_equal(corrupt() - before, 196608);
}

static void test_numwant(void **state)
{
	char query[200];

	(void)state;
	start((struct spate_tracker_setup){0});
	for (int i = 0; i < 300; i++) {
		snprintf(query, sizeof(query), "info_hash=%s&port=%d&left=1", HASH, i + 1);
		ask("/announce", query);
	}
	ask("/announce", "info_hash=" HASH "&port=1&left=1");
	assert_non_null(strstr((char *)body, "5:peers300:"));
	ask("/announce", "info_hash=" HASH "&port=1&left=1&numwant=3");
	assert_non_null(strstr((char *)body, "5:peers18:"));
	ask("/announce", "info_hash=" HASH "&port=1&left=1&numwant=-1");
	assert_non_null(strstr((char *)body, "5:peers300:"));
	ask("/announce", "info_hash=" HASH "&port=1&left=1&numwant=1000000");
	assert_non_null(strstr((char *)body, "5:peers1200:"));
	assert_true(ask("/announce", "info_hash=" HASH "&port=1&left=1&numwant=1000000&compact=0") >
		    0);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"port=1",
		"info_hash=" HASH,
		"info_hash=abc&port=1",
		"info_hash=" HASH "x&port=1",
		"info_hash=%0" HASH "&port=1",
		"info_hash=" HASH "&port=65536",
		"info_hash=" HASH "&port=x",
		"info_hash=" HASH "&port=0",
		"info_hash=" HASH "&port=1&left=1x",
		"info_hash=" HASH "&info_hash=" HASH "&port=1",
		"info_hash=" HASH "&port=1&uploaded=99999999999999999999",
		"info_hash=%zz%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00%00&port=1"};

	(void)state;
	start((struct spate_tracker_setup){0});
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		answers(bad[i], FAILS("18:malformed announce"));
	assert_int_equal(stats.tracker_malformed, sizeof(bad) / sizeof(bad[0]));
	assert_int_equal(stats.tracker_announces, 0);
}

static void test_scrape(void **state)
{
	static const char want[] =
		"d5:filesd20:\0aA\xff+5678901234567\x90xd8:completei1e10:downloadedi0e"
		"10:incompletei0eeee";

	(void)state;
	start((struct spate_tracker_setup){0});
	ask("/announce", "info_hash=" HASH "&port=6881&left=0");
	assert_int_equal(ask("/scrape", "info_hash=" HASH "&info_hash=" HASH), sizeof(want) - 1);
	assert_memory_equal(body, want, sizeof(want) - 1);
	assert_int_equal(stats.tracker_scrapes, 1);
	ask("/scrape", ""); /* everything there is, for anybody? */
	assert_string_equal((char *)body, FAILS("18:malformed announce"));
}

static void test_only_its_urls(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){0});
	assert_int_equal(ask("/", ""), 0);
	assert_int_equal(ask("/announce.mpd", ""), 0);
	assert_int_equal(ask("/x/announce", ""), 0);
	assert_int_equal(ask("/scrapes", ""), 0);
}

static void test_signed(void **state)
{
	struct spate_token_key key;
	char path[SPATE_TOKEN_PATH_MAX];

	(void)state;
	start((struct spate_tracker_setup){.secret = "s"});
	answers("info_hash=" HASH "&port=1&left=1",
		FAILS("40:this announce URL is not of this torrent"));
	spate_token_key(&key, "s");
	spate_token_path(&key, hash, path);
	assert_true(ask(path, "info_hash=" HASH "&port=1&left=1") > 0);
	assert_int_equal(stats.tracker_announces, 1);
	assert_true(ask(path, "info_hash=%01a%41%ff+5678901234567%90x&port=1&left=1") > 0);
	assert_int_equal(stats.tracker_announces, 1); /* good for its own torrent only */
	assert_int_equal(stats.tracker_unsigned, 2);
}

static void test_limit(void **state)
{
	(void)state;
	start((struct spate_tracker_setup){.announces = 2});
	for (int i = 0; i < 2; i++)
		ask("/announce", "info_hash=" HASH "&port=1&left=1");
	answers("info_hash=" HASH "&port=1&left=1",
		FAILS("36:too many announces from your address"));
	assert_int_equal(stats.tracker_limited, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_announce),      T(test_dictionaries),
		T(test_both_families), T(test_corrupt_counts_on_any_announce),
		T(test_numwant),       T(test_malformed),
		T(test_scrape),        T(test_only_its_urls),
		T(test_signed),        T(test_limit),
	};

	return cmocka_run_group_tests_name("bt-tracker-http", tests, NULL, NULL);
}
