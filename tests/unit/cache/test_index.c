/* Index: against a plain array, with keys that collide in bucket and tag. */
#include "lib.h"

#include <signal.h>
#include <unistd.h>

enum { OBJECTS = 512 };

static struct spate_object *pool;
static struct spate_index x;
static void *mem;

static int setup(void **state)
{
	pool = aligned_alloc(64, OBJECTS * sizeof(*pool));
	memset((void *)pool, 0, OBJECTS * sizeof(*pool));
	for (uint32_t i = 0; i < OBJECTS; i++)
		pool[i].id = i;
	mem = aligned_alloc(64, spate_index_bytes(OBJECTS));
	memset(mem, 0, spate_index_bytes(OBJECTS));
	spate_index_init(&x, mem, OBJECTS, pool);
	return 0;
}

static int teardown(void **state)
{
	free(mem);
	free(pool);
	return 0;
}

static uint32_t get(uint64_t lo, uint64_t hi)
{
	struct spate_key k = {lo, hi};

	return spate_index_get(&x, &k);
}

static void put_get_remove(void **state)
{
	pool[3].key = (struct spate_key){5, 6};
	assert_int_equal(get(5, 6), SPATE_NO_OBJECT);
	assert_int_equal(spate_index_put(&x, &pool[3]), SPATE_NO_OBJECT);
	assert_int_equal(get(5, 6), 3);
	spate_index_remove(&x, &pool[3]);
	assert_int_equal(get(5, 6), SPATE_NO_OBJECT);
	assert_int_equal(x.count, 0);
}

static void the_whole_key_counts(void **state)
{
	pool[0].key = (struct spate_key){5, 6};
	spate_index_put(&x, &pool[0]);
	assert_int_equal(get(5 + (1ull << 40), 6), SPATE_NO_OBJECT); /* same bucket, same tag */
	assert_int_equal(get(5, 6 + (1ull << 40)), SPATE_NO_OBJECT);
	assert_int_equal(get(5, 7), SPATE_NO_OBJECT);
}

static void object_zero_with_tag_zero(void **state)
{
	pool[0].key = (struct spate_key){0, 0};
	assert_int_equal(get(0, 0), SPATE_NO_OBJECT); /* an empty entry has tag 0 too */
	spate_index_put(&x, &pool[0]);
	assert_int_equal(get(0, 0), 0);
}

static void put_replaces_the_same_key(void **state)
{
	pool[1].key = pool[2].key = (struct spate_key){9, 9};
	spate_index_put(&x, &pool[1]);
	assert_int_equal(spate_index_put(&x, &pool[2]), 1);
	assert_int_equal(get(9, 9), 2);
	assert_int_equal(x.count, 1);
}

/* 100 keys of one bucket: they spill over many buckets, the last one even around the end of the
 * table. */
static void a_crowded_bucket_spills_and_heals(void **state)
{
	for (uint32_t i = 0; i < 100; i++) {
		pool[i].key = (struct spate_key){x.mask | (uint64_t)i << 32, 7};
		spate_index_put(&x, &pool[i]);
	}
	for (uint32_t i = 0; i < 100; i += 2)
		spate_index_remove(&x, &pool[i]);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(get(pool[i].key.lo, 7), i % 2 ? i : SPATE_NO_OBJECT);
	for (uint32_t i = 1; i < 100; i += 2)
		spate_index_remove(&x, &pool[i]);
	for (uint64_t b = 0; b <= x.mask; b++)
		assert_int_equal(atomic_load(&x.bucket[b].past),
				 0); /* misses cost one line again */
}

/*
 * Removed in the wrong order, 64 keys of one bucket leave a trail that keys of another close to a
 * ring: nowhere does `past` say that a probe may end.
 */
static void a_probe_ends_after_one_round(void **state)
{
	uint32_t n = 0;
	bool ring = false;

	spate_index_init(&x, mem, 64, pool);
	for (uint32_t i = 0; i < 64; i++) {
		pool[i].key = (struct spate_key){0, 1000 + i};
		spate_index_put(&x, &pool[i]);
	}
	for (uint32_t i = 0; i < 63; i++)
		spate_index_remove(&x, &pool[i]); /* the last one stays, far from home */
	signal(SIGALRM, SIG_DFL);
	alarm(10);
	for (; n < 63 && !ring; n++) {
		pool[n].key = (struct spate_key){9, 5000 + n};
		spate_index_put(&x, &pool[n]);
		ring = true;
		for (uint64_t b = 0; b <= x.mask; b++)
			ring = ring && atomic_load(&x.bucket[b].past) > 0;
	}
	assert_true(ring);
	assert_int_equal(get(3, 42), SPATE_NO_OBJECT);
	pool[100].key = (struct spate_key){3, 42};
	assert_int_equal(spate_index_put(&x, &pool[100]), SPATE_NO_OBJECT);
	assert_int_equal(get(3, 42), 100);
	assert_int_equal(get(0, 1063), 63);
	while (n-- > 0)
		spate_index_remove(&x, &pool[n]);
	spate_index_remove(&x, &pool[100]);
	spate_index_remove(&x, &pool[63]);
	alarm(0);
	for (uint64_t b = 0; b <= x.mask; b++)
		assert_int_equal(atomic_load(&x.bucket[b].past), 0);
}

/* Few different keys, so that buckets overflow and replacements happen all the time. */
static void random_churn_matches_a_model(void **state)
{
	static uint32_t model[256]; /* key -> id + 1 */
	uint32_t used[OBJECTS] = {0};
	uint64_t seed = 5;

	memset(model, 0, sizeof(model));
	for (int step = 0; step < 200000; step++) {
		uint32_t k = (uint32_t)(rnd(&seed) % 256), id = (uint32_t)(rnd(&seed) % OBJECTS);
		struct spate_key key = {(uint64_t)(k % 8) | (uint64_t)k << 32, k % 3};

		assert_int_equal(spate_index_get(&x, &key), model[k] - 1);
		if (rnd(&seed) % 2 == 0 && !used[id]) {
			pool[id].key = key;
			assert_int_equal(spate_index_put(&x, &pool[id]), model[k] - 1);
			if (model[k])
				used[model[k] - 1] = 0;
			model[k] = id + 1;
			used[id] = 1;
		} else if (model[k]) {
			spate_index_remove(&x, &pool[model[k] - 1]);
			used[model[k] - 1] = 0;
			model[k] = 0;
		}
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(put_get_remove),
		T(the_whole_key_counts),
		T(object_zero_with_tag_zero),
		T(put_replaces_the_same_key),
		T(a_crowded_bucket_spills_and_heals),
		T(a_probe_ends_after_one_round),
		T(random_churn_matches_a_model),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
