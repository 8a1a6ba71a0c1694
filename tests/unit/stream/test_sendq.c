/* test_sendq.c: the extent list against a flat copy of the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/cache/write.h"
#include "dataplane/stream/sendq.h"
#include "dataplane/stream/watch.h"
#include "dataplane/util/pool.h"

static struct {
	struct spate_cache *cache;
	struct spate_pool bytes, ranges;
	struct spate_sendq_env env;
	struct spate_sendq q;
} t;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(spate_cache_create(&t.cache, 8 << 20, 4096, 1), 0);
	spate_cache_online(t.cache, 0);
	spate_pool_init(&t.bytes, SPATE_SENDQ_NODE_BYTES, 1000);
	spate_pool_init(&t.ranges, 64, 1000);
	t.env = (struct spate_sendq_env){t.cache, 0, &t.bytes, &t.ranges};
	spate_sendq_init(&t.q);
	return 0;
}

static int tear_down(void **state)
{
	struct spate_cache_usage u;

	(void)state;
	spate_sendq_clear(&t.env, &t.q);
	spate_cache_usage(t.cache, &u);
	assert_int_equal(u.pins, 0);
	assert_int_equal(t.bytes.used, 0);
	assert_int_equal(t.ranges.used, 0);
	spate_pool_finish(&t.bytes);
	spate_pool_finish(&t.ranges);
	spate_cache_destroy(t.cache);
	return 0;
}

static struct spate_object *object(const char *name, uint64_t size)
{
	struct spate_key key = spate_key_of(name, strlen(name));
	struct spate_object *o = spate_cache_insert(t.cache, &key);

	assert_int_equal(spate_cache_publish(t.cache, o, calloc(1, sizeof(struct spate_meta)), size,
					     1 << 30),
			 0);
	return o;
}

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 31 + i / 255);
}

static void fill(struct spate_object *o, uint64_t upto)
{
	uint64_t at = o->filled;

	while (at < upto) {
		struct iovec iov[4];
		unsigned n;
		uint64_t got = spate_cache_room(t.cache, o, upto - at, iov, 4, &n);

		for (unsigned i = 0; i < n; i++)
			for (size_t b = 0; b < iov[i].iov_len; b++)
				((uint8_t *)iov[i].iov_base)[b] = byte_at(at++);
		spate_cache_filled(t.cache, o, got);
	}
}

static void queue(struct spate_object *o, uint64_t off, uint64_t len)
{
	spate_cache_pin(t.cache, 0, o);
	assert_int_equal(spate_sendq_object(&t.env, &t.q, o, off, len), 0);
}

/* Gathers [from, from + len) into out; returns the bytes. */
static uint64_t gather(uint64_t from, uint64_t len, uint8_t *out, enum spate_sendq_stop *stop)
{
	struct spate_object *dry;
	struct iovec iov[3];
	uint64_t off, got, at = 0;
	unsigned n;

	do {
		got = spate_sendq_iov(&t.env, &t.q, from + at, len - at, iov, 3, &n, stop, &dry,
				      &off);
		for (unsigned i = 0; i < n; i++) {
			memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
			at += iov[i].iov_len;
		}
	} while (got > 0 && at < len);
	return at;
}

static void bytes_share_nodes(void **state)
{
	uint8_t out[3000], in[3000];
	enum spate_sendq_stop stop;

	(void)state;
	for (int i = 0; i < 3000; i++)
		in[i] = byte_at((uint64_t)i);
	for (int i = 0; i < 3000; i += 10)
		assert_int_equal(spate_sendq_bytes(&t.env, &t.q, in + i, 10), 0);
	assert_true(t.q.count <= 7);
	assert_int_equal(gather(0, 3000, out, &stop), 3000);
	assert_memory_equal(out, in, 3000);
	assert_int_equal(gather(3000, 1, out, &stop), 0);
	assert_int_equal(stop, SPATE_SENDQ_END);
}

/* Random queueing, reading at random places (as a retransmission does) and releasing, against a
 * flat copy. */
static void any_place_reads_the_same(void **state)
{
	static uint8_t flat[4 << 20], out[40000];
	struct spate_object *o = object("o", 100000);
	unsigned seed = 1;
	uint64_t end = 0, base = 0;
	enum spate_sendq_stop stop;

	(void)state;
	fill(o, 100000);
	for (int step = 0; step < 2000; step++) {
		uint64_t n = 1 + (unsigned)rand_r(&seed) % 900;

		if (rand_r(&seed) % 2) {
			for (uint64_t i = 0; i < n; i++)
				flat[end + i] = (uint8_t)rand_r(&seed);
			assert_int_equal(spate_sendq_bytes(&t.env, &t.q, flat + end, n), 0);
		} else {
			uint64_t off = (unsigned)rand_r(&seed) % 90000;

			n += 9000 * (step % 10 == 0);
			queue(o, off, n);
			for (uint64_t i = 0; i < n; i++)
				flat[end + i] = byte_at(off + i);
		}
		end += n;
		assert_int_equal(t.q.end, end);
		uint64_t from = base + (unsigned)rand_r(&seed) % (end - base);
		uint64_t len = end - from < sizeof(out) ? end - from : sizeof(out);

		assert_int_equal(gather(from, len, out, &stop), len);
		assert_memory_equal(out, flat + from, len);
		if (end - base > 30000) {
			base += (end - base) / 2 + (unsigned)rand_r(&seed) % 1000;
			spate_sendq_release(&t.env, &t.q, base);
			assert_int_equal(t.q.base, base);
		}
	}
	spate_cache_release(t.cache, o);
}

static void stops_where_the_object_is_dry(void **state)
{
	struct spate_object *o = object("d", 10000), *dry;
	enum spate_sendq_stop stop;
	struct iovec iov[8];
	uint8_t out[10100];
	uint64_t off, waiting;
	unsigned n;

	(void)state;
	fill(o, 5000);
	spate_sendq_bytes(&t.env, &t.q, "head", 4);
	queue(o, 0, 10000);
	spate_sendq_bytes(&t.env, &t.q, "tail", 4);
	assert_int_equal(spate_sendq_iov(&t.env, &t.q, 0, 20000, iov, 8, &n, &stop, &dry, &off),
			 5004);
	assert_int_equal(stop, SPATE_SENDQ_DRY);
	assert_ptr_equal(dry, o);
	assert_int_equal(off, 5000);
	assert_false(spate_sendq_dry(&t.env, &t.q));
	spate_sendq_release(&t.env, &t.q, 5004);
	assert_true(spate_sendq_dry(&t.env, &t.q));
	fill(o, 10000);
	assert_int_equal(gather(5004, 20000, out, &stop), 5004);
	assert_int_equal(stop, SPATE_SENDQ_END);
	assert_memory_equal(out + 5000, "tail", 4);
	spate_cache_complete(t.cache, o, &waiting);
	spate_cache_release(t.cache, o);
}

static void tells_a_failed_fill(void **state)
{
	struct spate_object *o = object("f", 10000), *dry;
	enum spate_sendq_stop stop;
	struct iovec iov[8];
	uint64_t off, waiting;
	unsigned n;

	(void)state;
	fill(o, 100);
	queue(o, 0, 10000);
	spate_cache_fail(t.cache, o, &waiting);
	assert_int_equal(spate_sendq_iov(&t.env, &t.q, 0, 20000, iov, 8, &n, &stop, &dry, &off),
			 100);
	assert_int_equal(spate_sendq_iov(&t.env, &t.q, 100, 20000, iov, 8, &n, &stop, &dry, &off),
			 0);
	assert_int_equal(stop, SPATE_SENDQ_FAILED);
	spate_cache_release(t.cache, o);
}

static void an_empty_pool_queues_nothing(void **state)
{
	uint8_t big[2000] = {0};

	(void)state;
	t.bytes.limit = 2;
	assert_int_equal(spate_sendq_bytes(&t.env, &t.q, "x", 1), 0);
	assert_int_equal(spate_sendq_bytes(&t.env, &t.q, big, sizeof(big)), -12);
	assert_int_equal(t.q.end, 1);
	assert_int_equal(t.bytes.used, 1);
}

/* --- watches --- */

static int runs;

static void count_run(struct spate_watch *w)
{
	(void)w;
	runs++;
}

static struct spate_watch_table table;
static struct spate_watch pair[2];

static void again_and_drop_other(struct spate_watch *w)
{
	runs++;
	spate_watch_del(&pair[w == &pair[0] ? 1 : 0]);
	spate_watch_add(&table, w, w->object, 0, count_run);
}

static void watches_run_once_and_may_change_the_list(void **state)
{
	struct spate_object *o = object("w", 1000);
	uint64_t waiting;

	(void)state;
	runs = 0;
	memset(pair, 0, sizeof(pair));
	spate_watch_init(&table, t.cache, 0);
	assert_true(spate_watch_add(&table, &pair[0], o, 0, again_and_drop_other));
	assert_true(spate_watch_add(&table, &pair[1], o, 0, again_and_drop_other));
	spate_watch_run(&table, o);
	assert_int_equal(runs, 1); /* the one that ran took the other away, and waits again */
	fill(o, 10);
	spate_watch_run(&table, o);
	assert_int_equal(runs, 2);
	spate_watch_run(&table, o);
	assert_int_equal(runs, 2);
	assert_false(spate_watch_add(&table, &pair[0], o, 0, count_run)); /* bytes are there */
	spate_cache_fail(t.cache, o, &waiting);
	assert_false(spate_watch_add(&table, &pair[0], o, 10, count_run)); /* nothing will come */
	spate_cache_release(t.cache, o);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest cases[] = {
		CASE(bytes_share_nodes),
		CASE(any_place_reads_the_same),
		CASE(stops_where_the_object_is_dry),
		CASE(tells_a_failed_fill),
		CASE(an_empty_pool_queues_nothing),
		CASE(watches_run_once_and_may_change_the_list),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
