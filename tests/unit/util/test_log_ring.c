/* Log ring: records of any length come out whole and in order; a full ring says so. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spate/log_ring.h"

#define HEAD sizeof(struct spate_log_record)

/* Record i: its number, and a text as long as the number says. */
static uint16_t text_len(uint32_t i)
{
	return (uint16_t)(i * 37 % 900);
}

static bool put(struct spate_log_ring *r, uint32_t i)
{
	struct spate_log_record *rec = spate_log_ring_claim(r, (uint16_t)(HEAD + text_len(i)));

	if (rec == NULL)
		return false;
	rec->origin_us = i;
	rec->url_len = text_len(i);
	memset(rec->text, (int)(i % 251), text_len(i));
	spate_log_ring_commit(r, rec);
	return true;
}

static bool take(struct spate_log_ring *r, uint32_t i)
{
	const struct spate_log_record *rec = spate_log_ring_peek(r);

	if (rec == NULL)
		return false;
	assert_int_equal(rec->origin_us, i);
	assert_int_equal(rec->url_len, text_len(i));
	assert_true(rec->bytes % 8 == 0 && rec->bytes >= HEAD + text_len(i));
	for (unsigned k = 0; k < rec->url_len; k++)
		assert_int_equal((uint8_t)rec->text[k], i % 251);
	spate_log_ring_next(r);
	return true;
}

static void fills_up_and_drains(void **state)
{
	struct spate_log_ring r;
	uint32_t in = 0, out = 0;

	assert_int_equal(spate_log_ring_init(&r, 4096), 0);
	for (int round = 0; round < 500; round++) {
		while (put(&r, in))
			in++;
		while (take(&r, out))
			out++;
		assert_int_equal(in, out);
	}
	assert_true(in > 1500);
	spate_log_ring_finish(&r);
}

static void claims_may_be_dropped_or_shortened(void **state)
{
	struct spate_log_ring r;
	struct spate_log_record *rec;

	spate_log_ring_init(&r, 4096);
	assert_non_null(spate_log_ring_claim(&r, 500));
	assert_null(spate_log_ring_peek(&r));
	rec = spate_log_ring_claim(&r, 500);
	rec->origin_us = 9;
	rec->bytes = HEAD;
	spate_log_ring_commit(&r, rec);
	assert_int_equal(spate_log_ring_peek(&r)->origin_us, 9);
	spate_log_ring_next(&r);
	assert_null(spate_log_ring_peek(&r));
	spate_log_ring_finish(&r);
}

static void what_can_never_fit_is_refused(void **state)
{
	struct spate_log_ring r;

	assert_int_equal(spate_log_ring_init(&r, 100), -EINVAL);
	assert_int_equal(spate_log_ring_init(&r, 1024), 0);
	assert_null(spate_log_ring_claim(&r, 1025));
	assert_null(spate_log_ring_claim(&r, UINT16_MAX));
	assert_non_null(spate_log_ring_claim(&r, 1024));
	spate_log_ring_finish(&r);
}

#define RECORDS 50000u

static void *producer(void *arg)
{
	for (uint32_t i = 0; i < RECORDS; i++)
		while (!put(arg, i))
			sched_yield();
	return NULL;
}

static void order_between_threads(void **state)
{
	struct spate_log_ring r;
	pthread_t t;

	spate_log_ring_init(&r, 8192);
	pthread_create(&t, NULL, producer, &r);
	for (uint32_t i = 0; i < RECORDS; i++)
		while (!take(&r, i))
			sched_yield();
	pthread_join(t, NULL);
	spate_log_ring_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_up_and_drains),
		cmocka_unit_test(claims_may_be_dropped_or_shortened),
		cmocka_unit_test(what_can_never_fit_is_refused),
		cmocka_unit_test(order_between_threads),
	};

	return cmocka_run_group_tests_name("log ring", tests, NULL, NULL);
}
