/* The timer wheel against a plain list: fires neither early nor late, over jumps of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/tcp/wheel.h"
#include "link.h"

#define N 64

static struct tcp_wheel w;
static struct {
	struct tcp_timer t;
	bool set;
	uint32_t due;
} timers[N];
static uint32_t fired, target;

static void fire(void *ctx, struct tcp_timer *t)
{
	int i = (int)(((char *)t - (char *)timers) / (ptrdiff_t)sizeof timers[0]);

	assert_true(timers[i].set);
	assert_int_equal(timers[i].due, w.now);
	assert_true((int32_t)(target - w.now) >= 0);
	timers[i].set = false;
	fired++;
}

static void set(int i, uint32_t after)
{
	tcp_wheel_set(&w, &timers[i].t, w.now + after);
	timers[i].set = true;
	timers[i].due = w.now + (after != 0 ? after : 1);
}

static void advance(uint32_t by)
{
	target = w.now + by;
	tcp_wheel_advance(&w, target, fire, NULL);
	assert_int_equal(w.now, target);
	for (int i = 0; i < N; i++)
		assert_true(!timers[i].set || (int32_t)(timers[i].due - w.now) > 0);
}

static void start_at(uint32_t tick)
{
	tcp_wheel_init(&w, tick);
	for (int i = 0; i < N; i++) {
		timers[i].t = (struct tcp_timer){0};
		timers[i].set = false;
	}
}

static void from_tick(uint32_t start, uint64_t seed)
{
	struct rng r = {seed};

	start_at(start);
	for (int step = 0; step < 4000; step++) {
		int i = (int)rng_below(&r, N);
		uint32_t far = 1u << rng_below(&r, 22);

		switch (rng_below(&r, 4)) {
		case 0:
			tcp_wheel_stop(&w, &timers[i].t);
			timers[i].set = false;
			break;
		case 1:
			advance(rng_below(&r, far));
			break;
		default:
			set(i, rng_below(&r, far));
		}
		/* `next` may be early, never late. */
		uint32_t next = tcp_wheel_next(&w);

		for (int k = 0; k < N; k++)
			assert_true(!timers[k].set || next <= timers[k].due - w.now);
	}
}

static void test_against_list(void **state)
{
	fired = 0;
	from_tick(0, 1);
	from_tick(255, 2);
	from_tick(0xfffffff0, 3); /* ticks wrap */
	from_tick(0x00ffff00, 4);
	assert_true(fired > 1000);
}

static void test_far_timer(void **state)
{
	start_at(77);
	fired = 0;
	set(0, 1u << 27); /* over two hours of 64 us */
	advance((1u << 27) - 1);
	assert_int_equal(fired, 0);
	advance(1);
	assert_int_equal(fired, 1);
}

static void test_empty(void **state)
{
	start_at(5);
	assert_int_equal(tcp_wheel_next(&w), UINT32_MAX);
	tcp_wheel_advance(&w, 1u << 30, fire, NULL);
	assert_int_equal(w.now, 1u << 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_list),
		cmocka_unit_test(test_far_timer),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
