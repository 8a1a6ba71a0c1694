/* Range fills: pieces of an object in any order; what is there is readable, what is not is not. */
#include "lib.h"

#include <errno.h>

static struct spate_cache *c;

static int setup(void **state)
{
	c = small_cache(64, 1);
	return 0;
}

static int teardown(void **state)
{
	spate_cache_check(c);
	spate_cache_destroy(c);
	return 0;
}

static struct spate_object *begin(uint64_t n, uint64_t size)
{
	struct spate_key key = key_of(n);
	struct spate_object *o = spate_cache_insert(c, &key);

	assert_int_equal(spate_cache_publish(c, o, make_meta(0), size, 100), 0);
	return o;
}

/* Writes [off, off + len) of object n, and says so. */
static void fill_at(struct spate_object *o, uint64_t n, uint64_t off, uint64_t len)
{
	uint64_t done = 0, waiting;

	while (done < len) {
		struct iovec iov[4];
		unsigned k;
		uint64_t got = spate_cache_room_at(c, o, off + done, len - done, iov, 4, &k);

		assert_true(got > 0);
		write_pattern(n, off + done, iov, k);
		done += got;
		assert_int_equal(spate_cache_filled_at(c, o, off, done, &waiting), 0);
	}
}

static void finish(struct spate_object *o)
{
	spate_cache_release(c, o);
	spate_cache_remove(c, o);
	assert_int_equal(spate_cache_reclaim(c), 0);
	assert_int_equal(c->arena.nfree, c->arena.blocks);
}

static void a_range_is_readable_and_the_rest_is_not(void **state)
{
	struct spate_object *o = begin(1, 20 * BLOCK);

	fill_at(o, 1, 8 * BLOCK, 3 * BLOCK);
	assert_int_equal(o->nblocks, 3);
	assert_int_equal(spate_object_ready(c, o, 0), 0);
	assert_int_equal(spate_object_ready(c, o, 8 * BLOCK - 1), 0);
	assert_int_equal(spate_object_ready(c, o, 8 * BLOCK), 3 * BLOCK);
	assert_int_equal(spate_object_ready(c, o, 9 * BLOCK + 5), 2 * BLOCK - 5);
	assert_int_equal(spate_object_ready(c, o, 11 * BLOCK), 0);
	expect_pattern(c, o, 1, 8 * BLOCK + 1, 3 * BLOCK - 1);
	finish(o);
}

static void only_whole_blocks_show_until_the_end_of_the_object(void **state)
{
	struct spate_object *o = begin(1, 10 * BLOCK + 100);

	fill_at(o, 1, 4 * BLOCK, BLOCK + 10);
	assert_int_equal(spate_object_ready(c, o, 4 * BLOCK), BLOCK);
	fill_at(o, 1, 9 * BLOCK, BLOCK + 100);
	assert_int_equal(spate_object_ready(c, o, 9 * BLOCK), BLOCK + 100);
	assert_int_equal(spate_object_ready(c, o, 10 * BLOCK + 99), 1);
	assert_int_equal(spate_object_ready(c, o, 10 * BLOCK + 100), 0);
	finish(o);
}

static void the_prefix_swallows_a_range_it_reaches(void **state)
{
	struct spate_object *o = begin(1, 8 * BLOCK);
	struct iovec iov[8];
	unsigned n;
	uint64_t waiting;

	fill_at(o, 1, 2 * BLOCK, 3 * BLOCK);
	assert_int_equal(spate_cache_room(c, o, 8 * BLOCK, iov, 8, &n),
			 2 * BLOCK); /* not over the range */
	write_pattern(1, 0, iov, n);
	spate_cache_filled(c, o, 2 * BLOCK);
	assert_int_equal(atomic_load(&o->filled), 5 * BLOCK);
	fill_some(c, o, 1, 3 * BLOCK);
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	expect_pattern(c, o, 1, 0, 8 * BLOCK);
	finish(o);
}

static void ranges_that_meet_the_prefix_extend_it(void **state)
{
	struct spate_object *o = begin(1, 6 * BLOCK - 7);
	uint64_t waiting;

	fill_at(o, 1, 4 * BLOCK, 2 * BLOCK - 7);
	fill_at(o, 1, 2 * BLOCK, 2 * BLOCK);
	fill_at(o, 1, 0, 2 * BLOCK);
	assert_int_equal(atomic_load(&o->filled), 6 * BLOCK - 7);
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	expect_pattern(c, o, 1, 0, 6 * BLOCK - 7);
	finish(o);
}

static void readable_blocks_are_not_offered_again(void **state)
{
	struct spate_object *o = begin(1, 8 * BLOCK);
	struct iovec iov[8];
	unsigned n;

	fill_at(o, 1, 4 * BLOCK, BLOCK);
	assert_int_equal(spate_cache_room_at(c, o, 4 * BLOCK, BLOCK, iov, 8, &n), 0);
	assert_int_equal(spate_cache_room_at(c, o, 3 * BLOCK, 3 * BLOCK, iov, 8, &n), BLOCK);
	finish(o);
}

static void unknown_sizes_and_ends_past_it_are_refused(void **state)
{
	struct spate_object *o = begin(1, SPATE_SIZE_UNKNOWN), *p = begin(2, 100);
	uint64_t waiting;

	assert_int_equal(spate_cache_filled_at(c, o, BLOCK, 10, &waiting), -EINVAL);
	assert_int_equal(spate_cache_filled_at(c, p, 90, 11, &waiting), -EINVAL);
	assert_int_equal(spate_cache_filled_at(c, p, 101, 0, &waiting), -EINVAL);
	spate_cache_release(c, o);
	spate_cache_remove(c, o);
	spate_cache_reclaim(c);
	finish(p);
}

static void a_range_wakes_who_waits(void **state)
{
	struct spate_object *o = begin(1, 8 * BLOCK);
	struct iovec iov[1];
	unsigned n;
	uint64_t waiting;

	assert_true(spate_object_wait(c, o, 0, 4 * BLOCK));
	assert_int_equal(spate_cache_room_at(c, o, 4 * BLOCK, BLOCK, iov, 1, &n), BLOCK);
	assert_int_equal(spate_cache_filled_at(c, o, 4 * BLOCK, BLOCK, &waiting), 0);
	assert_int_equal(waiting, 1);
	assert_false(spate_object_wait(c, o, 0, 4 * BLOCK));
	finish(o);
}

static void parked_objects_are_found_and_can_be_evicted(void **state)
{
	struct spate_object *o = begin(1, 40 * BLOCK);

	fill_at(o, 1, 8 * BLOCK, 2 * BLOCK);
	assert_false(spate_cache_reopen(c, o)); /* still being filled */
	spate_cache_park(c, o);
	spate_cache_release(c, o);
	spate_cache_check(c);
	assert_ptr_equal(look(c, 1), o);
	assert_false(spate_object_wait(c, o, 0, 0)); /* nobody fills: ask control */

	assert_true(spate_cache_reopen(c, o));
	fill_at(o, 1, 12 * BLOCK, 2 * BLOCK);
	assert_int_equal(c->s3.small.weight, 4);
	spate_cache_check(c);
	for (uint64_t n = 10; n < 200; n++)
		assert_non_null(store(c, n, BLOCK));
	assert_ptr_equal(look(c, 1), o); /* filling again: stays */
	expect_pattern(c, o, 1, 12 * BLOCK, 2 * BLOCK);
	spate_cache_park(c, o);
	spate_cache_release(c, o);
	atomic_store(&o->freq, 0);
	for (uint64_t n = 200; n < 400; n++)
		assert_non_null(store(c, n, BLOCK));
	assert_null(look(c, 1));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_range_is_readable_and_the_rest_is_not),
		T(only_whole_blocks_show_until_the_end_of_the_object),
		T(the_prefix_swallows_a_range_it_reaches),
		T(ranges_that_meet_the_prefix_extend_it),
		T(readable_blocks_are_not_offered_again),
		T(unknown_sizes_and_ends_past_it_are_refused),
		T(a_range_wakes_who_waits),
		T(parked_objects_are_found_and_can_be_evicted),
	};

	return cmocka_run_group_tests_name("range fills", tests, NULL, NULL);
}
