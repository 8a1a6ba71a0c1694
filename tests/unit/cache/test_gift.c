/* test_gift.c: pages that the kernel still refers to keep their bytes when their blocks are used
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/cache/write.h"

#define BYTES 65536u

static struct spate_cache *cache;

static int set_up(void **state)
{
	(void)state;
	return spate_cache_create_giftable(&cache, 2 << 20, 16384, 1);
}

static int tear_down(void **state)
{
	(void)state;
	spate_cache_destroy(cache);
	return 0;
}

static struct spate_object *store(unsigned number, int c)
{
	struct spate_key key = {.lo = number, .hi = 1};
	struct spate_object *o = spate_cache_insert(cache, &key);
	uint64_t waiting;

	while (o == NULL) {
		spate_cache_reclaim(cache);
		o = spate_cache_insert(cache, &key);
	}
	assert_int_equal(
		spate_cache_publish(cache, o, calloc(1, sizeof(struct spate_meta)), BYTES, 1 << 30),
		0);
	for (uint64_t at = 0; at < BYTES;) {
		struct iovec iov[8];
		unsigned n;
		uint64_t room = spate_cache_room(cache, o, BYTES - at, iov, 8, &n);

		if (room == 0)
			spate_cache_reclaim(cache);
		for (unsigned i = 0; i < n && room > 0; i++)
			memset(iov[i].iov_base, c, iov[i].iov_len);
		spate_cache_filled(cache, o, room);
		at += room;
	}
	assert_int_equal(spate_cache_complete(cache, o, &waiting), 0);
	spate_cache_release(cache, o);
	return o;
}

/* Puts o's pages into a pipe, lets it be evicted and its blocks be written by others, and reads the
 * pipe. */
static void given_pages_keep_their_bytes(void **state)
{
	static uint8_t got[BYTES];
	struct iovec iov[8];
	unsigned n;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	spate_cache_online(cache, 0);
	struct spate_object *o = store(1, 'a');
	struct spate_key key = o->key;

	spate_cache_pin(cache, 0, o);
	assert_int_equal(spate_object_iov(cache, o, 0, BYTES, iov, 8, &n), BYTES);
	spate_object_gift(o);
	assert_int_equal(vmsplice(p[1], iov, n, 0), BYTES);
	spate_cache_unpin(cache, 0, o);
	spate_cache_offline(cache, 0);
	for (unsigned i = 2; i < 200; i++)
		store(i, 'b');
	assert_null(spate_cache_lookup(cache, &key));
	spate_cache_check(cache);
	assert_int_equal(read(p[0], got, BYTES), BYTES);
	for (unsigned i = 0; i < BYTES; i++)
		assert_int_equal(got[i], 'a');
	close(p[0]);
	close(p[1]);
}

/* Whoever was not given away is written over in place: no page is dropped for nothing. */
static void the_mark_goes_with_the_object(void **state)
{
	(void)state;
	spate_object_gift(store(1, 'a'));
	for (unsigned i = 2; i < 200; i++)
		assert_int_equal(atomic_load(&store(i, 'b')->gifted), 0);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup_teardown(given_pages_keep_their_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_mark_goes_with_the_object, set_up, tear_down),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
