/* test_swarm.c: the store against a plain list of who is in; answers, expiry, memory, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/peers.h"
#include "dataplane/bt/swarm.h"
#include "dataplane/util/buddy.h"

#define WANT 50

static struct spate_swarms *s;
static uint8_t to4[WANT * 6], to6[WANT * 18];
static struct spate_swarm_answer got;
static uint8_t hash[20];

static int make(uint64_t bytes, bool shared)
{
	struct spate_swarms_setup setup = {
		.bytes = bytes, .expire_s = 100, .shared = shared, .key = {1, 2}};

	return spate_swarms_create(&s, &setup);
}

static int set_up(void **state)
{
	(void)state;
	memset(hash, 7, sizeof(hash));
	return make(8 << 20, false);
}

static int tear_down(void **state)
{
	(void)state;
	spate_swarms_check(s);
	spate_swarms_destroy(s);
	return 0;
}

static struct spate_addr addr(bool ip4, uint32_t host, uint16_t port)
{
	struct spate_addr a = {.port = port};

	if (ip4)
		a.ip[10] = a.ip[11] = 0xff;
	else
		a.ip[0] = 0xfd;
	for (int i = 0; i < 4; i++)
		a.ip[12 + i] = (uint8_t)(host >> (24 - 8 * i));
	return a;
}

static void announce(bool ip4, uint32_t host, uint8_t event, bool seed, uint32_t now_s)
{
	struct spate_peer_announce a = {.infohash = hash,
					.peer = addr(ip4, host, 6881),
					.event = event,
					.seed = seed,
					.now_s = now_s};

	got.v4 = (struct spate_peer_list){.to = to4, .want = WANT};
	got.v6 = (struct spate_peer_list){.to = to6, .want = WANT};
	spate_swarms_announce(s, &a, &got);
}

static bool named(bool ip4, uint32_t host)
{
	uint8_t want[18];
	struct spate_addr a = addr(ip4, host, 6881);
	unsigned len = spate_addr_compact(&a, want);

	for (unsigned i = 0; i < (ip4 ? got.v4.n : got.v6.n); i++)
		if (memcmp((ip4 ? to4 : to6) + i * len, want, len) == 0)
			return true;
	return false;
}

static void test_two_find_each_other(void **state)
{
	(void)state;
	announce(true, 1, SPATE_PEER_STARTED, false, 10);
	assert_int_equal(got.v4.n, 0); /* not itself */
	assert_true(got.fresh);
	announce(true, 2, SPATE_PEER_STARTED, true, 10);
	assert_true(named(true, 1));
	announce(true, 1, SPATE_PEER_NONE, false, 11);
	assert_false(got.fresh);
	assert_int_equal(got.v4.n, 1);
	assert_true(named(true, 2));
	assert_int_equal(got.counts.seeds, 1);
	assert_int_equal(got.counts.leechers, 1);
}

static void test_families_are_separate_lists(void **state)
{
	(void)state;
	announce(true, 1, SPATE_PEER_STARTED, false, 10);
	announce(false, 1, SPATE_PEER_STARTED, false, 10);
	assert_int_equal(got.v4.n, 1);
	assert_int_equal(got.v6.n, 0);
	announce(true, 2, SPATE_PEER_STARTED, false, 10);
	assert_true(named(true, 1));
	assert_true(named(false, 1));
	assert_int_equal(got.counts.leechers, 3);
}

static void test_seeds_are_not_told_of_seeds(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		announce(true, i, SPATE_PEER_STARTED, i % 2 == 0, 10);
	announce(true, 100, SPATE_PEER_STARTED, true, 10);
	assert_int_equal(got.v4.n, 20);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(named(true, i), i % 2 == 1);
}

static void test_stopped_is_gone(void **state)
{
	struct spate_swarms_usage u;

	(void)state;
	announce(true, 1, SPATE_PEER_STARTED, false, 10);
	announce(true, 1, SPATE_PEER_STOPPED, false, 10);
	assert_int_equal(got.counts.leechers, 0);
	announce(true, 9, SPATE_PEER_STOPPED, false, 10); /* who never came makes nothing */
	spate_swarms_usage(s, &u);
	assert_int_equal(u.peers, 0);
}

static void test_completed_turns_and_counts(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		announce(true, i, SPATE_PEER_STARTED, false, 10);
	for (uint32_t i = 0; i < 300; i += 3)
		announce(true, i, SPATE_PEER_COMPLETED, true, 20);
	spate_swarms_check(s);
	assert_int_equal(got.counts.seeds, 100);
	assert_int_equal(got.counts.leechers, 200);
	assert_int_equal(got.counts.completed, 100);
	announce(true, 0, SPATE_PEER_STARTED, false, 30); /* it starts again from nothing */
	assert_int_equal(got.counts.seeds, 99);
}

/* Random comings, goings and changes, against an array. */
static void test_model(void **state)
{
	enum { HOSTS = 700 };
	static uint8_t in[2][HOSTS]; /* 1 leecher, 2 seed */
	uint32_t n[3] = {0};

	(void)state;
	memset(in, 0, sizeof(in));
	srand(1);
	for (int step = 0; step < 60000; step++) {
		bool ip4 = rand() % 3 != 0;
		uint32_t host = (uint32_t)(rand() % HOSTS);
		int what = rand() % 5;
		bool seed = rand() % 2;
		/* waves, so that sets shrink too */
		bool leave = step / 10000 % 2 ? what > 1 : what == 0;
		uint8_t *now = &in[ip4][host];

		announce(ip4, host, leave ? SPATE_PEER_STOPPED : SPATE_PEER_NONE, seed, 10);
		assert_false(got.refused);
		n[*now]--;
		*now = leave ? 0 : seed ? 2 : 1;
		n[*now]++;
		assert_int_equal(got.counts.leechers, n[1]);
		assert_int_equal(got.counts.seeds, n[2]);
		if (step % 5000 == 0)
			spate_swarms_check(s);
		for (unsigned i = 0; i < got.v4.n; i++) {
			const uint8_t *p = to4 + i * 6;
			uint32_t h = (uint32_t)p[2] << 8 | p[3];

			assert_true(in[1][h] == 1 || (in[1][h] == 2 && !seed));
			assert_true(!ip4 || h != host);
		}
	}
}

/* No peer twice in an answer, and over many answers everybody is named. */
static void test_answers_are_fair(void **state)
{
	static unsigned times[2000];

	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		announce(true, i, SPATE_PEER_STARTED, false, 10);
	for (int round = 0; round < 1000; round++) {
		uint8_t once[2000] = {0};

		announce(true, 5, SPATE_PEER_NONE, false, 10);
		assert_int_equal(got.v4.n, WANT);
		for (unsigned i = 0; i < WANT; i++) {
			uint32_t h = (uint32_t)to4[i * 6 + 2] << 8 | to4[i * 6 + 3];

			assert_int_equal(once[h]++, 0);
			times[h]++;
		}
	}
	for (uint32_t i = 0; i < 2000; i++)
		assert_true(i == 5 ? times[i] == 0 : times[i] > 0 && times[i] < 100);
}

static void test_near_ones_first(void **state)
{
	struct spate_peer_announce a = {.infohash = hash, .now_s = 10};
	unsigned near = 0;

	(void)state;
	got.v4.want = got.v6.want = 0;
	for (uint32_t i = 0; i < 200; i++) {
		a.peer = addr(true, i, 6881);
		a.group = i % 5 == 0 ? 3 : 1;
		spate_swarms_announce(s, &a, &got);
	}
	a.peer = addr(true, 500, 6881);
	a.group = 3;
	got.v4 = (struct spate_peer_list){.to = to4, .want = 20};
	spate_swarms_announce(s, &a, &got);
	assert_int_equal(got.v4.n, 20);
	for (unsigned i = 0; i < 20; i++) {
		bool is_near = ((to4[i * 6 + 2] << 8 | to4[i * 6 + 3]) % 5) == 0;

		near += is_near;
		if (i < 15)
			assert_true(is_near);
	}
	assert_true(near < 20); /* and some from elsewhere */
}

/* All of one group: they fill the whole answer, none twice. */
static void test_only_near_ones(void **state)
{
	struct spate_peer_announce a = {.infohash = hash, .now_s = 10, .group = 3};

	(void)state;
	for (uint32_t i = 0; i <= 40; i++) {
		uint8_t once[41] = {0};

		a.peer = addr(true, i, 6881);
		got.v4 = (struct spate_peer_list){.to = to4, .want = 8};
		got.v6.want = 0;
		spate_swarms_announce(s, &a, &got);
		assert_int_equal(got.v4.n, i < 8 ? i : 8);
		for (unsigned n = 0; n < got.v4.n; n++)
			assert_int_equal(once[to4[n * 6 + 3]]++, 0);
	}
}

static void test_audience(void **state)
{
	struct spate_peer_announce a = {.infohash = hash, .now_s = 10, .audience = 3};

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		a.peer = addr(true, i, 6881);
		got.v4 = (struct spate_peer_list){.to = to4, .want = WANT};
		got.v6.want = 0;
		spate_swarms_announce(s, &a, &got);
		assert_int_equal(got.v4.n, i < 2 ? 0 : 2);
	}
}

static void test_who_is_silent_is_forgotten(void **state)
{
	struct spate_swarms_usage u;

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		announce(true, i, SPATE_PEER_STARTED, false, 100);
	for (uint32_t i = 0; i < 5; i++)
		announce(true, i, SPATE_PEER_NONE, false, 190);
	announce(true, 0, SPATE_PEER_NONE, false, 226); /* 126 s after the first, 36 after those */
	assert_int_equal(got.counts.leechers, 5);
	/* and by the tick alone, with the memory of the swarm */
	for (int i = 0; i < 600; i++)
		spate_swarms_tick(s, 0, 1, 360);
	spate_swarms_usage(s, &u);
	assert_int_equal(u.peers, 0);
	assert_int_equal(u.swarms, 0);
	assert_int_equal(u.bytes, 0);
}

/* Workers read their clocks at the start of a turn; one may be in the second before. */
static void test_who_comes_from_the_next_second_stays(void **state)
{
	uint8_t room[256] __attribute__((aligned(8)));
	const struct spate_peers_record r = {.seen = 1};
	const uint64_t key[2] = {1, 2};
	struct spate_peers p;

	(void)state;
	announce(true, 1, SPATE_PEER_STARTED, false, 101);
	announce(true, 2, SPATE_PEER_STARTED, false, 100);
	assert_int_equal(got.counts.leechers, 2);
	assert_true(named(true, 1));
	spate_peers_place(&p, 6, room, sizeof(room), NULL, key);
	spate_peers_add(&p, (const uint8_t *)"abcdef", false, &r, key);
	assert_int_equal(spate_peers_sweep(&p, 0, 100, key), 0);
	assert_int_equal(spate_peers_sweep(&p, 0xffff, 100, key), 0);
	assert_int_equal(spate_peers_sweep(&p, 102, 100, key), 1);
}

static void test_bytes_since_last_time(void **state)
{
	struct spate_peer_announce a = {.infohash = hash, .peer = addr(true, 1, 1), .now_s = 10};

	(void)state;
	got.v4.want = got.v6.want = 0;
	a.event = SPATE_PEER_STARTED;
	a.uploaded = 5 << 20; /* of an earlier life */
	spate_swarms_announce(s, &a, &got);
	assert_int_equal(got.uploaded, 0);
	a.event = SPATE_PEER_NONE;
	a.uploaded = 7 << 20;
	a.downloaded = 1 << 20;
	spate_swarms_announce(s, &a, &got);
	assert_int_equal(got.uploaded, 2 << 20);
	assert_int_equal(got.downloaded, 1 << 20);
	a.uploaded = 0; /* it began again and did not say so */
	spate_swarms_announce(s, &a, &got);
	assert_int_equal(got.uploaded, 0);
}

/* UDP says nothing of it, so an announce by UDP between two by HTTP changes nothing. */
static void test_corrupt_since_last_time(void **state)
{
	struct spate_peer_announce a = {.infohash = hash, .peer = addr(true, 1, 1), .now_s = 10};
	static const struct {
		int64_t says, counts; /* 64 KiB; -1: nothing */
	} step[] = {{0, 0}, {3, 3}, {-1, 0}, {3, 0}, {250, 247}, {260, 10}};

	(void)state;
	got.v4.want = got.v6.want = 0;
	for (unsigned i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		a.has_corrupt = step[i].says >= 0;
		a.corrupt = a.has_corrupt ? (uint64_t)step[i].says << 16 : 0;
		spate_swarms_announce(s, &a, &got);
		assert_int_equal(got.corrupt, step[i].counts << 16);
	}
	a.event = SPATE_PEER_STARTED;
	a.corrupt = 7 << 16; /* of an earlier life */
	spate_swarms_announce(s, &a, &got);
	assert_int_equal(got.corrupt, 0);
}

/* The addresses' column must leave the others where they can be read; a block holds what it can. */
static void test_small_blocks_are_full(void **state)
{
	uint8_t room[256] __attribute__((aligned(8)));
	const uint64_t key[2] = {1, 2};
	struct spate_peers p;

	(void)state;
	for (uint32_t bytes = 96; bytes <= sizeof(room); bytes += 8)
		for (uint8_t len = 6; len <= 18; len += 12) {
			spate_peers_place(&p, len, room, bytes, NULL, key);
			assert_true(p.cap * (len + 12u) <= bytes);
			assert_true((p.cap + 1) * (len + 12u) + 3 > bytes);
			spate_peers_check(&p, key);
		}
	spate_peers_place(&p, 6, room, 144, NULL, key);
	assert_int_equal(p.cap, 8); /* within a swarm's own 256 bytes */
}

/* Full: answered, not recorded; and room again when somebody has left. */
static void test_memory_is_bounded(void **state)
{
	struct spate_swarms_usage u;
	uint32_t swarms = 0;

	(void)state;
	spate_swarms_destroy(s);
	assert_int_equal(make(1 << 20, false), 0);
	do {
		memcpy(hash, &swarms, 4);
		announce(true, 1, SPATE_PEER_STARTED, false, 10);
	} while (!got.refused && ++swarms < 100000);
	assert_true(swarms > 4000 && swarms < 4096);
	spate_swarms_usage(s, &u);
	assert_true(u.bytes <= 1 << 20);
	memset(hash, 0, 4);
	announce(true, 1, SPATE_PEER_STOPPED, false, 10);
	for (int i = 0; i < 600; i++) /* 41 s later it is looked at, and empty */
		spate_swarms_tick(s, 0, 1, 51);
	memcpy(hash, &swarms, 4);
	announce(true, 1, SPATE_PEER_STARTED, false, 52);
	assert_false(got.refused);
}

static void test_buddy_joins_again(void **state)
{
	struct spate_buddy b;
	uint32_t at[1000], n = 0;

	(void)state;
	assert_int_equal(spate_buddy_init(&b, 64 * 1024), 0);
	while (n < 1000 && (at[n] = spate_buddy_get(&b, 0)) != 0)
		memset(spate_buddy_at(&b, at[n++]), 1, SPATE_BUDDY_MIN);
	assert_int_equal(n, 255); /* one unit has no name */
	for (uint32_t i = 0; i < n; i++)
		spate_buddy_put(&b, at[(i * 7) % n], 0);
	assert_int_equal(b.used, 0);
	assert_int_not_equal(spate_buddy_get(&b, 7), 0); /* half of it in one block */
	spate_buddy_finish(&b);
}

static void *crowd(void *arg)
{
	uint32_t base = (uint32_t)(uintptr_t)arg << 20;
	uint8_t to[WANT * 6];
	uint8_t ih[20] = {0};
	struct spate_swarm_answer mine = {.v4 = {.to = to, .want = WANT}};

	for (uint32_t i = 0; i < 20000; i++) {
		struct spate_peer_announce a = {.infohash = ih,
						.peer = addr(true, base | i % 3000, 1),
						.event = i % 7 == 0 ? SPATE_PEER_STOPPED
								    : SPATE_PEER_NONE,
						.seed = i % 3 == 0,
						.now_s = 10 + i / 100};

		ih[0] = (uint8_t)(i % 4);
		spate_swarms_announce(s, &a, &mine);
		if (i % 64 == 0)
			spate_swarms_tick(s, (unsigned)(uintptr_t)arg, 4, 10 + i / 100);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[4];

	(void)state;
	spate_swarms_destroy(s);
	assert_int_equal(make(8 << 20, true), 0);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, crowd, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_two_find_each_other),
		T(test_families_are_separate_lists),
		T(test_seeds_are_not_told_of_seeds),
		T(test_stopped_is_gone),
		T(test_completed_turns_and_counts),
		T(test_model),
		T(test_answers_are_fair),
		T(test_near_ones_first),
		T(test_only_near_ones),
		T(test_audience),
		T(test_who_is_silent_is_forgotten),
		T(test_who_comes_from_the_next_second_stays),
		T(test_bytes_since_last_time),
		T(test_corrupt_since_last_time),
		T(test_small_blocks_are_full),
		T(test_memory_is_bounded),
		T(test_buddy_joins_again),
		T(test_threads),
	};

	return cmocka_run_group_tests_name("bt-swarm", tests, NULL, NULL);
}
