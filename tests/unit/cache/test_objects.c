/* Objects: from insert to reclaim, as control drives them and one reader sees them. */
#include "lib.h"

#include <errno.h>

static struct spate_cache *c;

static int setup(void **state)
{
	c = small_cache(64, 2);
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

	assert_non_null(o);
	assert_int_equal(spate_cache_publish(c, o, make_meta(10), size, 100), 0);
	return o;
}

static void stored_bytes_come_back(void **state)
{
	for (uint64_t n = 1; n <= 5; n++)
		assert_non_null(store(c, n, n * 9001));
	for (uint64_t n = 1; n <= 5; n++) {
		struct spate_object *o = look(c, n);

		assert_non_null(o);
		assert_int_equal(spate_object_ready(c, o, 0), n * 9001);
		expect_pattern(c, o, n, 0, n * 9001);
		expect_pattern(c, o, n, n * 1234, n * 9001 - n * 1234);
	}
	assert_null(look(c, 6));
}

static void neighbouring_blocks_are_one_iovec(void **state)
{
	struct spate_object *o = store(c, 1, 10 * BLOCK);
	struct iovec iov[2];
	unsigned n;

	assert_int_equal(spate_object_iov(c, o, 100, UINT64_MAX, iov, 2, &n), 10 * BLOCK - 100);
	assert_int_equal(n, 1);
}

static void two_fills_that_take_turns_still_lie_in_runs(void **state)
{
	struct spate_object *a = begin(1, 8 * BLOCK), *b = begin(2, 8 * BLOCK);
	struct iovec iov[8];
	unsigned n;

	for (int i = 0; i < 8; i++) {
		fill_some(c, a, 1, BLOCK);
		fill_some(c, b, 2, BLOCK);
	}
	assert_int_equal(spate_object_iov(c, a, 0, UINT64_MAX, iov, 8, &n), 8 * BLOCK);
	assert_int_equal(n, 1);
	expect_pattern(c, b, 2, 0, 8 * BLOCK);
}

static void not_seen_before_publish(void **state)
{
	struct spate_key key = key_of(1);
	struct spate_object *o = spate_cache_insert(c, &key);

	assert_null(look(c, 1));
	spate_cache_release(c, o);
	assert_int_equal(spate_cache_reclaim(c), 0);
}

static void private_objects_are_never_found(void **state)
{
	struct spate_key key = key_of(1);
	struct spate_object *o = spate_cache_insert_private(c, &key);
	uint64_t waiting;

	assert_int_equal(spate_cache_publish(c, o, make_meta(0), 5, 0), 0);
	assert_int_equal(fill_some(c, o, 1, 5), 5);
	assert_null(look(c, 1));
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	spate_cache_check(c);
	spate_cache_release(c, o);
	assert_int_equal(spate_cache_reclaim(c), 0);
	assert_int_equal(c->objects, 0);
}

static void a_fill_is_read_while_it_grows(void **state)
{
	struct spate_object *o = begin(1, SPATE_SIZE_UNKNOWN);
	uint64_t waiting;

	assert_ptr_equal(look(c, 1), o);
	for (uint64_t at = 0; at < 40 * BLOCK; at += 1000) {
		assert_int_equal(spate_object_ready(c, o, at), 0);
		assert_int_equal(fill_some(c, o, 1, 1000), 1000);
		expect_pattern(c, o, 1, at, 1000);
	}
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	assert_int_equal(atomic_load(&o->size), 164000);
	expect_pattern(c, o, 1, 0, 164000);
	spate_cache_release(c, o);
}

static void blocks_past_the_end_are_given_back(void **state)
{
	struct spate_object *o = begin(1, SPATE_SIZE_UNKNOWN);
	struct iovec iov[8];
	unsigned n;
	uint64_t waiting;

	assert_int_equal(spate_cache_room(c, o, 8 * BLOCK, iov, 8, &n), 8 * BLOCK);
	spate_cache_filled(c, o, 10);
	assert_int_equal(o->nblocks, 8);
	spate_cache_complete(c, o, &waiting);
	assert_int_equal(o->nblocks, 1);
	spate_cache_release(c, o);
}

static void an_empty_body_is_complete(void **state)
{
	struct spate_object *o = begin(1, 0);
	struct iovec iov[1];
	unsigned n;
	uint64_t waiting;

	assert_int_equal(spate_cache_room(c, o, 100, iov, 1, &n), 0);
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	spate_cache_release(c, o);
	assert_non_null(look(c, 1));
	assert_int_equal(spate_object_iov(c, o, 0, 10, iov, 1, &n), 0);
}

/* A viewer who wants the first of 500 blocks does not make a table of 500. */
static void tables_grow_with_what_is_filled(void **state)
{
	struct spate_cache *big = small_cache(1024, 1);
	struct spate_key key = key_of(1);
	struct spate_object *o = spate_cache_insert(big, &key);
	uint64_t waiting;

	assert_int_equal(spate_cache_publish(big, o, make_meta(0), 500 * BLOCK - 5, 100), 0);
	for (uint64_t n = 1; n <= 500; n++) {
		uint64_t bytes = n < 500 ? BLOCK : BLOCK - 5;

		assert_int_equal(fill_some(big, o, 1, bytes), bytes);
		assert_true(big->side_bytes <= 16 * n);
	}
	assert_int_equal(spate_cache_complete(big, o, &waiting), 0);
	expect_pattern(big, o, 1, 0, 500 * BLOCK - 5);
	spate_cache_release(big, o);
	spate_cache_check(big);
	spate_cache_destroy(big);
}

/* As many blocks as there are, a block at a time: its tables fit in what is set aside for them. */
static void one_object_may_have_it_all(void **state)
{
	for (int known = 0; known < 2; known++) {
		struct spate_cache *all = NULL;
		struct spate_key key = key_of(1);
		uint64_t bytes = 1541 * BLOCK;

		/* a block more than the tables before the last reach, when they just double */
		do {
			spate_cache_destroy(all);
			assert_int_equal(spate_cache_create(&all, bytes, BLOCK, 1), 0);
			bytes += BLOCK / 2;
		} while (all->arena.blocks < 1541);
		assert_int_equal(all->arena.blocks, 1541);
		struct spate_object *o = spate_cache_insert(all, &key);
		uint64_t size = known ? spate_cache_max_object(all) : SPATE_SIZE_UNKNOWN;

		assert_int_equal(spate_cache_publish(all, o, make_meta(0), size, 100), 0);
		for (int n = 0; n < 1541; n++)
			assert_int_equal(fill_some(all, o, 1, BLOCK), BLOCK);
		spate_cache_check(all);
		spate_cache_destroy(all);
	}
}

enum { MANY = 4096 }; /* blocks */

static uint32_t found(struct spate_cache *big, uint64_t from, uint64_t to)
{
	uint32_t n = 0;

	for (; from < to; from++) {
		struct spate_key key = key_of(from);

		n += spate_cache_find(big, &key) != NULL;
	}
	return n;
}

static struct spate_object *begin_in(struct spate_cache *big, uint64_t n, uint64_t size)
{
	struct spate_key key = key_of(n);
	struct spate_object *o = spate_cache_insert(big, &key);

	assert_non_null(o);
	assert_int_equal(spate_cache_publish(big, o, make_meta(0), size, 100), 0);
	return o;
}

/* Segments at rest, and viewers at the beginning of films as large as all there is. */
static void large_sizes_leave_the_others_alone(void **state)
{
	struct spate_cache *big = small_cache(MANY, 1);
	struct spate_object *film[8];

	for (uint64_t n = 0; n < 50; n++)
		assert_non_null(store(big, n, 64 * BLOCK));
	for (uint64_t n = 0; n < 8; n++)
		film[n] = begin_in(big, 1000 + n, spate_cache_max_object(big));
	for (uint64_t n = 0; n < 8; n++)
		assert_int_equal(fill_some(big, film[n], n, 20 * BLOCK), 20 * BLOCK);
	assert_int_equal(big->evicted, 0);
	assert_int_equal(found(big, 0, 50), 50);
	spate_cache_check(big);
	spate_cache_destroy(big);
}

/* One block, the last. */
static bool fill_end(struct spate_cache *big, struct spate_object *o)
{
	uint64_t off = atomic_load(&o->size) - BLOCK, waiting;
	struct iovec iov[1];
	unsigned k;

	return spate_cache_room_at(big, o, off, BLOCK, iov, 1, &k) == BLOCK &&
	       spate_cache_filled_at(big, o, off, BLOCK, &waiting) == 0;
}

/* Tables that reach far over one block: when there are too many, they give way, not the segments.
 */
static void far_ends_at_rest_give_way_to_each_other(void **state)
{
	struct spate_cache *big = small_cache(MANY, 1);
	unsigned turns = 0;

	for (uint64_t n = 0; n < 50; n++)
		assert_non_null(store(big, n, 20 * BLOCK));
	spate_cache_online(big, 0);
	for (uint64_t n = 0; n < 20; n++) {
		struct spate_object *o = begin_in(big, 1000 + n, spate_cache_max_object(big));

		for (; !fill_end(big, o); turns++) {
			spate_cache_reclaim(big);
			spate_cache_quiesce(big, 0);
			assert_true(turns < 100);
		}
		spate_cache_park(big, o);
		spate_cache_release(big, o);
		spate_cache_check(big);
	}
	assert_int_equal(found(big, 0, 50), 50);
	assert_true(found(big, 1000, 1020) >= 2);
	assert_int_equal(found(big, 1000, 1020) + big->evicted, 20);
	spate_cache_offline(big, 0);
	spate_cache_destroy(big);
}

static void rest(struct spate_cache *big, struct spate_object *o, uint8_t freq)
{
	atomic_store(&o->freq, freq);
	spate_cache_park(big, o);
	spate_cache_release(big, o);
}

/* Those in use stay for good, one asked for stays for a round, one that is going goes once. */
static void far_ends_in_use_let_others_wait(void **state)
{
	struct spate_cache *big = small_cache(MANY, 1);
	struct spate_object *o[8], *going;
	unsigned had = 0;

	for (uint64_t n = 0; n < 50; n++)
		assert_non_null(store(big, n, 20 * BLOCK));
	going = begin_in(big, 999, 100 * BLOCK);
	assert_true(fill_end(big, going));
	for (unsigned i = 0; i < 8; i++) {
		o[i] = begin_in(big, 1000 + i, spate_cache_max_object(big));
		had += fill_end(big, o[i]);
	}
	assert_in_range(had, 3, 7);
	for (int turn = 0; turn < 20; turn++) {
		assert_false(fill_end(big, o[7]));
		spate_cache_reclaim(big);
	}
	assert_int_equal(big->evicted, 0);
	spate_cache_online(big, 0);
	rest(big, going, 0);
	spate_cache_remove(big, going);
	spate_cache_pin(big, 0, o[0]);
	rest(big, o[0], 0);
	rest(big, o[1], 3);
	rest(big, o[2], 0);
	for (int turn = 0; turn < 3 && !fill_end(big, o[7]); turn++) {
		spate_cache_reclaim(big);
		spate_cache_quiesce(big, 0);
	}
	assert_int_equal(spate_object_ready(big, o[7], spate_cache_max_object(big) - 1), 1);
	assert_int_equal(big->evicted, 1);
	assert_int_equal(found(big, 1000, 1002), 2);
	assert_int_equal(found(big, 0, 50), 50);
	spate_cache_check(big);
	spate_cache_destroy(big);
}

static void short_fills_fail(void **state)
{
	struct spate_object *o = begin(1, 100);
	uint64_t waiting;

	fill_some(c, o, 1, 99);
	assert_int_equal(spate_cache_complete(c, o, &waiting), -EINVAL);
	assert_int_equal(atomic_load(&o->state), SPATE_OBJECT_FAILED);
	assert_null(look(c, 1));
	spate_cache_release(c, o);
	assert_int_equal(spate_cache_reclaim(c), 0);
}

static void what_cannot_fit_is_refused(void **state)
{
	struct spate_key key = key_of(1);
	struct spate_object *o = spate_cache_insert(c, &key);
	struct spate_meta *m = make_meta(3);

	assert_int_equal(spate_cache_publish(c, o, m, spate_cache_max_object(c) + 1, 0), -EFBIG);
	assert_int_equal(spate_cache_publish(c, o, m, spate_cache_max_object(c), 0), 0);
	assert_int_equal(fill_some(c, o, 1, UINT64_MAX), spate_cache_max_object(c));
	spate_cache_release(c, o);
	spate_cache_remove(c, o);
}

static void a_new_object_replaces_the_old(void **state)
{
	struct spate_object *old = store(c, 1, 100), *new;

	spate_cache_online(c, 0);
	spate_cache_pin(c, 0, old);
	new = store(c, 1, 200);
	assert_ptr_equal(look(c, 1), new);
	spate_cache_reclaim(c);
	spate_cache_quiesce(c, 0);
	assert_int_equal(spate_cache_reclaim(c), 1);
	expect_pattern(c, old, 1, 0, 100);
	spate_cache_unpin(c, 0, old);
	assert_int_equal(spate_cache_reclaim(c), 0);
	spate_cache_offline(c, 0);
}

/* After so many reclaims: the old one is in grace, then in limbo. */
static void put_back_after(unsigned reclaims)
{
	struct spate_object *old = store(c, 1, 3 * BLOCK), *o;
	struct spate_key key = key_of(1);
	uint64_t waiting;

	spate_cache_hold(c, old);
	o = spate_cache_insert(c, &key);
	assert_int_equal(spate_cache_publish(c, o, make_meta(0), 10, 0), 0);
	assert_false(spate_cache_put_back(c, old)); /* another one is in its place */
	while (reclaims-- > 0)
		spate_cache_reclaim(c);
	spate_cache_fail(c, o, &waiting);
	spate_cache_release(c, o);
	assert_true(spate_cache_put_back(c, old));
	assert_false(spate_cache_put_back(c, old));
	spate_cache_release(c, old);
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(c);
	spate_cache_check(c);
	assert_ptr_equal(look(c, 1), old);
	expect_pattern(c, old, 1, 0, 3 * BLOCK);
	spate_cache_remove(c, old);
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(c);
	spate_cache_check(c);
	assert_int_equal(c->objects, 0);
}

static void what_was_replaced_may_be_put_back(void **state)
{
	put_back_after(0);
	put_back_after(5);
}

static void nothing_is_freed_before_each_reader_quiesced(void **state)
{
	struct spate_object *o = store(c, 1, 100);

	spate_cache_online(c, 0);
	spate_cache_online(c, 1);
	spate_cache_remove(c, o);
	assert_int_equal(spate_cache_reclaim(c), 1);
	spate_cache_quiesce(c, 0);
	assert_int_equal(spate_cache_reclaim(c), 1);
	spate_cache_quiesce(c, 1);
	assert_int_equal(spate_cache_reclaim(c), 0);
	spate_cache_offline(c, 0);
	spate_cache_offline(c, 1);
}

static void a_hold_keeps_a_removed_object(void **state)
{
	struct spate_object *o = store(c, 1, 100);

	spate_cache_hold(c, o);
	spate_cache_remove(c, o);
	assert_int_equal(spate_cache_reclaim(c), 1);
	expect_pattern(c, o, 1, 0, 100);
	spate_cache_release(c, o);
	assert_int_equal(spate_cache_reclaim(c), 0);
}

static void a_removed_fill_goes_on_for_who_has_it(void **state)
{
	struct spate_object *o = begin(1, 10 * BLOCK);
	uint64_t waiting;

	fill_some(c, o, 1, 5000);
	spate_cache_remove(c, o);
	spate_cache_reclaim(c);
	assert_null(look(c, 1));
	assert_int_equal(fill_some(c, o, 1, 10 * BLOCK - 5000), 10 * BLOCK - 5000);
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	expect_pattern(c, o, 1, 0, 10 * BLOCK);
	spate_cache_release(c, o);
	assert_int_equal(spate_cache_reclaim(c), 0);
}

static void pins_filling_and_holds_are_not_evicted(void **state)
{
	struct spate_object *pinned = store(c, 1, BLOCK), *held = store(c, 2, BLOCK);
	struct spate_object *filling = begin(3, SPATE_SIZE_UNKNOWN);

	spate_cache_pin(c, 1, pinned);
	spate_cache_hold(c, held);
	fill_some(c, filling, 3, BLOCK);
	for (uint64_t n = 10; n < 300; n++)
		assert_non_null(store(c, n, BLOCK));
	assert_ptr_equal(look(c, 1), pinned);
	assert_ptr_equal(look(c, 2), held);
	assert_ptr_equal(look(c, 3), filling);
	spate_cache_unpin(c, 1, pinned);
	spate_cache_release(c, held);
	spate_cache_release(c, filling);
	spate_cache_remove(c, filling);
}

static void full_of_pins_gives_no_room_until_one_is_let_go(void **state)
{
	uint64_t n = 0;
	struct spate_object *o;

	spate_cache_online(c, 0);
	while ((o = store(c, n, BLOCK)) != NULL) {
		spate_cache_pin(c, 0, o);
		spate_cache_quiesce(c, 0);
		spate_cache_reclaim(c);
		n++;
	}
	spate_cache_quiesce(c, 0);
	spate_cache_reclaim(c);
	assert_int_equal(n, c->arena.blocks);
	assert_int_equal(c->evicted, 0);
	spate_cache_check(c);
	for (uint64_t i = 0; i < n; i++)
		spate_cache_unpin(c, 0, look(c, i));
	spate_cache_quiesce(c, 0);
	spate_cache_reclaim(c);
	assert_null(store(c, n, BLOCK)); /* evicts, but reader 0 has not quiesced since */
	spate_cache_quiesce(c, 0);
	spate_cache_reclaim(c);
	assert_non_null(store(c, n, BLOCK));
	spate_cache_offline(c, 0);
}

/* Full of what viewers have, most of it purged: asking for room again looks at that once a turn. */
static void who_asks_again_in_a_turn_costs_nothing(void **state)
{
	struct spate_cache *big = small_cache(256, 1);
	struct spate_object *o;
	uint32_t at;

	for (uint64_t n = 0; (o = store(big, n, BLOCK)) != NULL; n++) {
		spate_cache_pin(big, 0, o);
		if (n < 200)
			spate_cache_remove(big, o);
	}
	assert_int_equal(spate_cache_reclaim(big), 200);
	at = big->limbo.head;
	for (int i = 0; i < 10; i++)
		assert_false(spate_cache_make_room(big, 1, 0));
	assert_int_equal(big->limbo.head, at);
	spate_cache_reclaim(big);
	assert_int_not_equal(big->limbo.head, at);
	/* what is let go is room in the next turn, what is taken away now in this one */
	for (uint32_t i = 0; i < big->made; i++)
		if (big->qsbr.reader[0].pins[i] > 0)
			spate_cache_unpin(big, 0, &big->pool[i]);
	spate_cache_remove_all(big);
	assert_true(spate_cache_make_room(big, 1, 0));
	spate_cache_check(big);
	spate_cache_destroy(big);
}

static void eviction_runs_ahead_of_need(void **state)
{
	spate_cache_online(c, 0);
	for (uint64_t n = 0; n < 1000; n++) {
		assert_non_null(store(
			c, n, 2 * BLOCK)); /* never has to wait, one turn of the reader behind */
		spate_cache_reclaim(c);
		spate_cache_quiesce(c, 0);
	}
	assert_true(c->evicted > 900);
	spate_cache_offline(c, 0);
}

static void who_ran_dry_is_told(void **state)
{
	struct spate_object *o = begin(1, 100);
	struct iovec iov[1];
	unsigned n;
	uint64_t waiting;

	assert_true(spate_object_wait(c, o, 1, 0));
	spate_cache_room(c, o, 10, iov, 1, &n);
	assert_int_equal(spate_cache_filled(c, o, 10), 1u << 1);
	assert_false(spate_object_wait(c, o, 0, 5));
	assert_true(spate_object_wait(c, o, 1, 10));
	spate_cache_fail(c, o, &waiting);
	assert_int_equal(waiting, 3);
	assert_false(spate_object_wait(c, o, 1, 10));
	spate_cache_release(c, o);
}

static void refreshed_meta_stays_readable_until_quiesced(void **state)
{
	struct spate_object *o = store(c, 1, 10);
	const struct spate_meta *old;

	spate_cache_online(c, 0);
	old = atomic_load(&o->meta);
	spate_cache_refresh(c, o, make_meta(50), 200);
	spate_cache_reclaim(c);
	assert_int_equal(old->head_len, 16); /* ASan would see a free here */
	assert_int_equal(((const struct spate_meta *)atomic_load(&o->meta))->head_len, 50);
	assert_int_equal(atomic_load(&o->expires_s), 200);
	spate_cache_quiesce(c, 0);
	spate_cache_reclaim(c);
	assert_int_equal(c->meta_bytes, sizeof(struct spate_meta) + 50);
	spate_cache_offline(c, 0);
}

static const struct spate_meta *meta_of(struct spate_object *o)
{
	return atomic_load(&o->meta);
}

static void heads_lie_beside_their_object_again_after_a_refresh(void **state)
{
	struct spate_object *o = store(c, 1, 10);

	assert_ptr_equal(meta_of(o), o->beside);
	assert_int_equal(c->meta_bytes, 0);
	spate_cache_refresh(c, o, make_meta(50), 200);
	assert_ptr_not_equal(meta_of(o), o->beside); /* somebody may still read there */
	spate_cache_refresh(c, o, make_meta(60), 200);
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(c);
	assert_ptr_equal(meta_of(o), o->beside);
	assert_int_equal(meta_of(o)->head_len, 60);
	assert_int_equal(c->meta_bytes, 0);
	spate_cache_check(c);
}

static void a_long_head_stays_outside(void **state)
{
	struct spate_object *o = store(c, 1, 10);

	spate_cache_refresh(c, o, make_meta(SPATE_META_BESIDE), 200);
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(c);
	assert_int_equal(meta_of(o)->head_len, SPATE_META_BESIDE);
	assert_int_equal(c->meta_bytes, sizeof(struct spate_meta) + SPATE_META_BESIDE);
	spate_cache_remove(c, o);
	for (int i = 0; i < 3; i++)
		spate_cache_reclaim(c);
	assert_int_equal(c->meta_bytes, 0);
	spate_cache_check(c);
}

/* A reader that always has one old head to let go of: their queue is never empty. */
static void old_heads_take_no_more_room_than_there_are(void **state)
{
	struct spate_object *o = store(c, 1, 10);

	spate_cache_online(c, 0);
	for (uint16_t i = 0; i < 5000; i++) {
		spate_cache_refresh(c, o, make_meta(i % 400), 200);
		spate_cache_reclaim(c);
		spate_cache_quiesce(c, 0);
		spate_cache_check(c);
	}
	assert_int_equal(meta_of(o)->head_len, 4999 % 400);
	assert_in_range(c->old_meta_cap, 1, 64);
	spate_cache_offline(c, 0);
}

/* A byte and so long a head; NULL: no slot. */
static struct spate_object *store_head(struct spate_cache *big, uint64_t n, uint16_t head_len)
{
	struct spate_key key = key_of(n);
	struct spate_object *o = spate_cache_insert(big, &key);
	uint64_t waiting;

	if (o == NULL)
		return NULL;
	assert_int_equal(spate_cache_publish(big, o, make_meta(head_len), 1, 100), 0);
	assert_int_equal(fill_some(big, o, n, 1), 1);
	assert_int_equal(spate_cache_complete(big, o, &waiting), 0);
	spate_cache_release(big, o);
	return o;
}

/* The smallest limit that gives so many blocks. */
static struct spate_cache *tight_cache(uint32_t blocks)
{
	uint64_t low = (uint64_t)blocks * BLOCK, high = 2 * low + (1 << 20);
	struct spate_cache *big;

	while (low < high) {
		uint64_t mid = (low + high) / 2;
		uint32_t got = 0;

		if (spate_cache_create(&big, mid, BLOCK, 1) == 0) {
			got = big->arena.blocks;
			spate_cache_destroy(big);
		}
		if (got >= blocks)
			high = mid;
		else
			low = mid + 1;
	}
	assert_int_equal(spate_cache_create(&big, low, BLOCK, 1), 0);
	return big;
}

static void expect_within_limit(const struct spate_cache *big)
{
	struct spate_cache_usage u;

	spate_cache_usage(big, &u);
	if (u.bytes_mapped + big->side_max - big->side_bytes + u.meta_bytes + sizeof(*big) >
	    u.bytes_limit)
		fail_msg("%lu mapped, %lu of heads, limit %lu", u.bytes_mapped, u.meta_bytes,
			 u.bytes_limit);
}

/* Who has a long head gives way to the next one who has; the others stay. */
static void long_heads_are_inside_the_limit(void **state)
{
	struct spate_cache *big = tight_cache(MANY);
	uint32_t had;
	uint64_t n;

	for (n = 0; n < 100; n++)
		assert_non_null(store(big, n, BLOCK));
	spate_cache_online(big, 0);
	for (n = 1000; n < 3000; n++) { /* 16 MiB of heads */
		assert_non_null(
			store_head(big, n, 8192)); /* at once, one turn of the reader behind */
		expect_within_limit(big);
		spate_cache_reclaim(big);
		spate_cache_quiesce(big, 0);
	}
	spate_cache_check(big);
	assert_int_equal(found(big, 0, 100), 100);
	assert_true(found(big, 1000, 3000) * 8192 > big->meta_max * 3 / 4);
	/* what is coming is waited for */
	for (n = 3000; store_head(big, n, 8192) != NULL; n++)
		;
	had = found(big, 1000, n);
	for (int turn = 0; turn < 50; turn++)
		spate_cache_reclaim(big);
	assert_int_equal(found(big, 1000, n), had);
	assert_in_range(had, 22, 30);
	spate_cache_offline(big, 0);
	/* many in one turn */
	spate_cache_reclaim(big);
	for (n = 4000; n < 4100; n++)
		assert_non_null(store_head(big, n, 8192));
	expect_within_limit(big);
	spate_cache_destroy(big);
}

static void long_heads_in_use_leave_no_slot_and_the_others_alone(void **state)
{
	struct spate_cache *big = tight_cache(MANY);
	struct spate_object *o;
	uint64_t n;

	for (n = 0; n < 100; n++)
		assert_non_null(store(big, n, BLOCK));
	for (n = 1000; (o = store_head(big, n, 16384)) != NULL; n++) {
		spate_cache_pin(big, 0, o);
		expect_within_limit(big);
		spate_cache_reclaim(big);
	}
	assert_in_range(n, 1010, 1100);
	for (int turn = 0; turn < 20; turn++) {
		spate_cache_reclaim(big);
		assert_null(store_head(big, n, 0));
	}
	assert_int_equal(big->evicted, 0);
	for (uint32_t i = 0; i < big->made; i++)
		if (big->qsbr.reader[0].pins[i] > 0)
			spate_cache_unpin(big, 0, &big->pool[i]);
	spate_cache_reclaim(big);
	assert_non_null(store_head(big, n, 16384));
	assert_int_equal(found(big, 0, 100), 100);
	spate_cache_check(big);
	spate_cache_destroy(big);
}

/* Heads that grow with a 304: nobody asks for a slot, the turn looks after them. */
static void heads_that_grow_are_looked_after_each_turn(void **state)
{
	struct spate_cache *big = small_cache(MANY, 1);

	for (uint64_t n = 0; n < 100; n++)
		assert_non_null(store(big, n, BLOCK));
	for (uint64_t n = 0; n < 100; n++) {
		struct spate_key key = key_of(n);
		struct spate_object *o = spate_cache_find(big, &key);

		if (o != NULL)
			spate_cache_refresh(big, o, make_meta(16384), 200);
		spate_cache_reclaim(big);
		spate_cache_reclaim(big);
		spate_cache_check(big);
		expect_within_limit(big);
	}
	assert_in_range(found(big, 0, 100), 10, 90);
	spate_cache_destroy(big);
}

/* Purged and on its way out, and yet refreshed: what will come free is counted as it is. */
static void a_head_that_is_going_may_grow(void **state)
{
	struct spate_object *o = store_head(c, 1, 1000);

	spate_cache_online(c, 0);
	spate_cache_remove(c, o);
	spate_cache_hold(c, o);
	assert_int_equal(c->meta_coming, sizeof(struct spate_meta) + 1000);
	spate_cache_refresh(c, o, make_meta(3000), 200);
	assert_int_equal(c->meta_coming, sizeof(struct spate_meta) + 3000);
	spate_cache_check(c);
	spate_cache_release(c, o);
	for (int i = 0; i < 3; i++) {
		spate_cache_reclaim(c);
		spate_cache_quiesce(c, 0);
	}
	assert_int_equal(c->meta_coming, 0);
	assert_int_equal(c->meta_bytes, 0);
	spate_cache_offline(c, 0);
}

/* Refreshed after it was purged, while its viewer goes on: the slot's next life has its own head.
 */
static void a_purged_object_may_be_refreshed(void **state)
{
	struct spate_object *o = store(c, 1, 10);
	struct spate_object *next;

	spate_cache_hold(c, o);
	spate_cache_remove(c, o);
	for (int i = 0; i < 3; i++)
		spate_cache_reclaim(c); /* in limbo now, for its hold */
	spate_cache_refresh(c, o, make_meta(50), 200);
	spate_cache_release(c, o);
	spate_cache_online(c, 0);
	spate_cache_reclaim(c);
	next = store(c, 2, 10);
	assert_ptr_equal(next, o);
	spate_cache_offline(c, 0);
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(c);
	assert_ptr_equal(meta_of(next), next->beside);
	assert_true(next->flags & SPATE_O_BESIDE);
	spate_cache_check(c);
}

static void readers_raise_the_counter_to_three(void **state)
{
	struct spate_object *o = store(c, 1, 10);

	for (int i = 1; i < 6; i++) {
		look(c, 1);
		assert_int_equal(atomic_load(&o->freq), i < 3 ? i : 3);
	}
}

static void usage_counts(void **state)
{
	struct spate_cache_usage u;
	struct spate_object *o = store(c, 1, 3 * BLOCK);

	spate_cache_pin(c, 0, o);
	spate_cache_pin(c, 1, o);
	spate_cache_usage(c, &u);
	assert_int_equal(u.objects, 1);
	assert_int_equal(u.blocks_used, 3);
	assert_int_equal(u.pins, 2);
	assert_true(u.bytes_mapped <= u.bytes_limit);
	spate_cache_unpin(c, 0, o);
	spate_cache_unpin(c, 1, o);
}

static void control_finds_without_counting(void **state)
{
	struct spate_object *o = store(c, 1, 10);
	struct spate_key one = key_of(1), two = key_of(2);

	assert_ptr_equal(spate_cache_find(c, &one), o);
	assert_null(spate_cache_find(c, &two));
	assert_int_equal(atomic_load(&o->freq), 0);
}

static void remove_all_spares_who_is_reading(void **state)
{
	struct spate_object *pinned = store(c, 1, 100), *filling = begin(2, 100);
	uint64_t waiting;

	store(c, 3, 100);
	spate_cache_pin(c, 0, pinned);
	assert_int_equal(spate_cache_remove_all(c), 3);
	assert_int_equal(spate_cache_reclaim(c), 2);
	assert_null(look(c, 1));
	expect_pattern(c, pinned, 1, 0, 100);
	fill_some(c, filling, 2, 100);
	assert_int_equal(spate_cache_complete(c, filling, &waiting), 0);
	spate_cache_release(c, filling);
	spate_cache_unpin(c, 0, pinned);
	assert_int_equal(spate_cache_reclaim(c), 0);
	assert_int_equal(c->arena.nfree, c->arena.blocks);
}

/* Sizes from the smallest to a million objects: everything fits in what was asked for, everything
 * is found. */
static void scales_to_a_million_objects(void **state)
{
	for (uint64_t n = 1000; n <= 1000000; n *= 10) {
		struct spate_cache *big;

		assert_int_equal(spate_cache_create(&big, n * 1200 + (1 << 17), 512, 2), 0);
		assert_true(big->objects_max >= n + n / 32);
		for (uint64_t i = 0; i < n; i++) {
			struct spate_key key = {i * 0x9E3779B97F4A7C15ull, i};
			struct spate_object *o = spate_cache_insert(big, &key);
			struct iovec iov[1];
			unsigned k;
			uint64_t waiting;

			spate_cache_publish(big, o, make_meta(0), 1, 0);
			assert_int_equal(spate_cache_room(big, o, 1, iov, 1, &k), 1);
			spate_cache_filled(big, o, 1);
			spate_cache_complete(big, o, &waiting);
			spate_cache_release(big, o);
		}
		for (uint64_t i = 0; i < n; i++) {
			struct spate_key key = {i * 0x9E3779B97F4A7C15ull, i};

			if (spate_cache_lookup(big, &key) == NULL)
				fail_msg("%lu of %lu is not there", i, n);
		}
		assert_int_equal(big->evicted, 0);
		spate_cache_check(big);
		spate_cache_destroy(big);
	}
}

static void bad_sizes_are_refused(void **state)
{
	struct spate_cache *none = NULL;

	assert_int_equal(spate_cache_create(&none, 63 * BLOCK, BLOCK, 1), -EINVAL);
	assert_int_equal(spate_cache_create(&none, 1 << 24, 5000, 1), -EINVAL);
	assert_int_equal(spate_cache_create(&none, 1 << 24, BLOCK, 0), -EINVAL);
	assert_int_equal(spate_cache_create(&none, 1 << 24, BLOCK, SPATE_READERS_MAX + 1), -EINVAL);
	assert_null(none);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(stored_bytes_come_back),
		T(neighbouring_blocks_are_one_iovec),
		T(two_fills_that_take_turns_still_lie_in_runs),
		T(not_seen_before_publish),
		T(private_objects_are_never_found),
		T(a_fill_is_read_while_it_grows),
		T(blocks_past_the_end_are_given_back),
		T(an_empty_body_is_complete),
		T(tables_grow_with_what_is_filled),
		T(one_object_may_have_it_all),
		T(large_sizes_leave_the_others_alone),
		T(far_ends_at_rest_give_way_to_each_other),
		T(far_ends_in_use_let_others_wait),
		T(short_fills_fail),
		T(what_cannot_fit_is_refused),
		T(a_new_object_replaces_the_old),
		T(what_was_replaced_may_be_put_back),
		T(nothing_is_freed_before_each_reader_quiesced),
		T(a_hold_keeps_a_removed_object),
		T(a_removed_fill_goes_on_for_who_has_it),
		T(pins_filling_and_holds_are_not_evicted),
		T(full_of_pins_gives_no_room_until_one_is_let_go),
		T(who_asks_again_in_a_turn_costs_nothing),
		T(eviction_runs_ahead_of_need),
		T(who_ran_dry_is_told),
		T(refreshed_meta_stays_readable_until_quiesced),
		T(heads_lie_beside_their_object_again_after_a_refresh),
		T(a_long_head_stays_outside),
		T(old_heads_take_no_more_room_than_there_are),
		T(long_heads_are_inside_the_limit),
		T(long_heads_in_use_leave_no_slot_and_the_others_alone),
		T(heads_that_grow_are_looked_after_each_turn),
		T(a_head_that_is_going_may_grow),
		T(a_purged_object_may_be_refreshed),
		T(readers_raise_the_counter_to_three),
		T(usage_counts),
		T(control_finds_without_counting),
		T(remove_all_spares_who_is_reading),
		T(scales_to_a_million_objects),
		T(bad_sizes_are_refused),
	};

	return cmocka_run_group_tests_name("cache objects", tests, NULL, NULL);
}
