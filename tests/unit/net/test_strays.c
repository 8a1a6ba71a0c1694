/* Boxes of segments between workers: in order, whole, bounded, from several threads at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/net/strays.h"

#define EACH 20000

static void test_oldest_first_and_whole(void **state)
{
	struct spate_strays *s = spate_strays_create(3);
	uint8_t frame[SPATE_STRAY_BYTES];

	for (unsigned i = 0; i < 5; i++) {
		memset(frame, (int)i, sizeof(frame));
		assert_true(spate_strays_put(s, 1, 2, i, frame, sizeof(frame) - i));
	}
	assert_null(spate_strays_first(s, 0));
	assert_null(spate_strays_first(s, 2));
	for (unsigned i = 0; i < 5; i++) {
		struct spate_stray *t = spate_strays_first(s, 1);

		memset(frame, (int)i, sizeof(frame));
		assert_int_equal(t->hops, i);
		assert_int_equal(t->iface, 2);
		assert_int_equal(t->len, sizeof(frame) - i);
		assert_memory_equal(t->frame, frame, t->len);
		spate_strays_done(s, 1);
	}
	assert_null(spate_strays_first(s, 1));
	spate_strays_destroy(s);
}

static void test_full_and_too_long_are_refused(void **state)
{
	struct spate_strays *s = spate_strays_create(1);
	uint8_t frame[SPATE_STRAY_BYTES + 1] = {0};

	assert_false(spate_strays_put(s, 0, 0, 0, frame, sizeof(frame)));
	for (unsigned i = 0; i < SPATE_STRAYS; i++)
		assert_true(spate_strays_put(s, 0, 0, 0, frame, 60));
	assert_false(spate_strays_put(s, 0, 0, 0, frame, 60));
	spate_strays_done(s, 0);
	assert_true(spate_strays_put(s, 0, 0, 0, frame, 60));
	spate_strays_destroy(s);
}

static void *put_many(void *arg)
{
	static _Atomic uint8_t threads;
	uint8_t me = atomic_fetch_add(&threads, 1), frame[64];

	memset(frame, me, sizeof(frame));
	for (unsigned i = 0; i < EACH; i++)
		while (!spate_strays_put(arg, 0, me, i & 255, frame, sizeof(frame)))
			;
	return NULL;
}

static void test_two_put_while_one_takes(void **state)
{
	struct spate_strays *s = spate_strays_create(1);
	unsigned got[2] = {0};
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, put_many, s), 0);
	while (got[0] + got[1] < 2 * EACH) {
		struct spate_stray *x = spate_strays_first(s, 0);

		if (x == NULL)
			continue;
		assert_int_equal(x->hops, got[x->iface] & 255);
		assert_int_equal(x->frame[0], x->iface);
		assert_int_equal(x->frame[63], x->iface);
		got[x->iface]++;
		spate_strays_done(s, 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	spate_strays_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest_first_and_whole),
		cmocka_unit_test(test_full_and_too_long_are_refused),
		cmocka_unit_test(test_two_put_while_one_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
