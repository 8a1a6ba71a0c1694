/* Arena: each block handed out once, in long runs, from memory that is really there. */
#include "lib.h"

#include <unistd.h>

static struct spate_arena a;
static void *bitmap;

static void make(uint32_t blocks)
{
	bitmap = calloc(1, spate_arena_track_bytes(blocks));
	a = (struct spate_arena){.block_bytes = BLOCK};
	spate_arena_track(&a, bitmap, blocks);
}

static int teardown(void **state)
{
	free(bitmap);
	bitmap = NULL;
	return 0;
}

static uint32_t alloc(uint32_t hint, uint32_t want, uint32_t ahead, uint32_t *n)
{
	uint32_t first = 12345;

	*n = spate_arena_alloc(&a, hint, want, ahead, &first);
	return first;
}

static void every_block_once(void **state)
{
	static const uint32_t sizes[] = {1, 63, 64, 65, 127, 128, 4096, 4097, 10000};

	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		make(sizes[s]);
		uint8_t *seen = calloc(1, sizes[s]);
		uint32_t n, total = 0, first;

		while (first = alloc(SPATE_NO_BLOCK, 7, 7, &n), n > 0) {
			for (uint32_t i = first; i < first + n; i++) {
				assert_true(i < sizes[s]);
				assert_int_equal(seen[i]++, 0);
			}
			total += n;
		}
		assert_int_equal(total, sizes[s]);
		assert_int_equal(a.nfree, 0);
		free(seen);
		teardown(NULL);
	}
}

static void the_hint_is_taken_when_free(void **state)
{
	uint32_t n;

	make(256);
	assert_int_equal(alloc(100, 20, 20, &n), 100);
	assert_int_equal(n, 20);
	assert_int_equal(alloc(120, 10, 10, &n), 120);
	assert_int_not_equal(alloc(100, 10, 10, &n), 100);
}

static void a_hint_run_ends_where_blocks_are_taken(void **state)
{
	uint32_t n;

	make(256);
	alloc(70, 1, 1, &n);
	assert_int_equal(alloc(60, 64, 64, &n), 60);
	assert_int_equal(n, 10);
}

static void ahead_leaves_space_behind(void **state)
{
	uint32_t n, x, y;

	make(1024);
	x = alloc(SPATE_NO_BLOCK, 4, 100, &n);
	y = alloc(SPATE_NO_BLOCK, 4, 100, &n);
	assert_true(y >= x + 100);
	assert_int_equal(alloc(x + 4, 96, 96, &n), x + 4);
	assert_int_equal(n, 96);
}

static void when_tight_the_longest_run_is_taken(void **state)
{
	uint32_t n;

	make(200);
	while (alloc(SPATE_NO_BLOCK, 200, 200, &n), n > 0)
		;
	spate_arena_free(&a, 10, 3);
	spate_arena_free(&a, 60, 9); /* crosses a word */
	spate_arena_free(&a, 150, 5);
	assert_int_equal(alloc(SPATE_NO_BLOCK, 20, 20, &n), 60);
	assert_int_equal(n, 9);
}

/* Against a plain array of bytes. */
static void random_churn_matches_a_model(void **state)
{
	enum { BLOCKS = 3000 };
	static uint8_t model[BLOCKS];
	uint64_t seed = 99;

	make(BLOCKS);
	memset(model, 0, sizeof(model));
	for (int step = 0; step < 50000; step++) {
		uint32_t at = (uint32_t)(rnd(&seed) % BLOCKS), n;

		if (rnd(&seed) % 2 == 0) {
			uint32_t first = alloc(rnd(&seed) % 2 ? at : SPATE_NO_BLOCK, at % 90 + 1,
					       at % 200 + 1, &n);

			for (uint32_t i = first; i < first + n; i++)
				assert_int_equal(model[i]++, 0);
		} else {
			for (n = 0; at + n < BLOCKS && n < 80 && model[at + n]; n++)
				model[at + n] = 0;
			if (n > 0)
				spate_arena_free(&a, at, n);
		}
	}
	for (uint32_t i = 0, nfree = 0; i <= BLOCKS; nfree += i < BLOCKS && !model[i], i++) {
		if (i == BLOCKS)
			assert_int_equal(a.nfree, nfree);
		else
			assert_int_equal(spate_arena_is_free(&a, i), !model[i]);
	}
}

static void mapped_memory_is_zeroed_and_writable(void **state)
{
	struct spate_arena m;

	assert_int_equal(spate_arena_map(&m, 5 << 20, BLOCK), 0);
	assert_true(m.bytes >= 4 << 20 && m.bytes <= 5 << 20);
	assert_int_equal((uintptr_t)m.base % (2 << 20), 0);
	assert_int_equal(m.base[m.bytes - 1], 0);
	memset(m.base, 7, m.bytes);
	if (m.fd >= 0) { /* the same memory through the descriptor, as sendfile and vhost use it */
		uint8_t b = 0;

		assert_int_equal(pread(m.fd, &b, 1, (off_t)m.bytes - 1), 1);
		assert_int_equal(b, 7);
	}
	spate_arena_unmap(&m);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_block_once),
		T(the_hint_is_taken_when_free),
		T(a_hint_run_ends_where_blocks_are_taken),
		T(ahead_leaves_space_behind),
		T(when_tight_the_longest_run_is_taken),
		T(random_churn_matches_a_model),
		T(mapped_memory_is_zeroed_and_writable),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
