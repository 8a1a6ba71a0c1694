/* CUBIC by itself: a reduction that is taken back leaves no trace (RFC 9438 4.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/tcp/conn.h"

#define MSS    1000u
#define RTT_MS 100u

static struct spate_tcp t;
static struct spate_tcp_conn one, twin;

static void at(uint64_t ms)
{
	t.now_us = ms * 1000;
	t.now32 = (uint32_t)t.now_us;
	t.now_ms = (uint32_t)ms;
}

/* In congestion avoidance; cwnd is what stops it. */
static void start(uint32_t cwnd)
{
	memset(&t, 0, sizeof t);
	memset(&one, 0, sizeof one);
	at(3600000);
	one.t = &t;
	one.mss = MSS;
	one.cwnd = cwnd;
	one.ssthresh = cwnd;
	one.srtt8_us = RTT_MS * 1000 << 3;
	one.flags = F_CWND_LIMIT;
	tcp_cubic_ops.init(&one);
}

static void reduce(struct spate_tcp_conn *c)
{
	c->undo_cwnd = c->cwnd;
	c->undo_ssthresh = c->ssthresh;
	c->ssthresh = tcp_cubic_ops.ssthresh(c);
	c->cwnd = c->ssthresh;
}

static void take_back(struct spate_tcp_conn *c)
{
	c->cwnd = c->undo_cwnd;
	c->ssthresh = c->undo_ssthresh;
	tcp_cubic_ops.event(c, CC_UNDO);
}

static void round_trip(struct spate_tcp_conn *c)
{
	struct tcp_ack a = {.acked = 2 * MSS, .delivered = 2 * MSS, .prior_flight = c->cwnd};

	for (uint32_t left = c->cwnd; left >= 2 * MSS; left -= 2 * MSS)
		tcp_cubic_ops.ack(c, &a);
}

static void grow(struct spate_tcp_conn *c, unsigned rounds)
{
	for (; rounds > 0; rounds--) {
		at(t.now_ms + RTT_MS);
		round_trip(c);
	}
}

/* One is reduced and that is taken back in the same round trip, its twin is not; then both go on. */
static void leaves_no_trace(void)
{
	twin = one;
	reduce(&one);
	take_back(&one);
	for (unsigned i = 0; i < 20; i++) {
		at(t.now_ms + RTT_MS);
		round_trip(&one);
		round_trip(&twin);
		assert_in_range(one.cwnd, twin.cwnd - 2, twin.cwnd + 2);
	}
}

static void test_below_the_plateau(void **state)
{
	start(200 * MSS);
	reduce(&one);
	grow(&one, 10);
	assert_true(one.cwnd < 200 * MSS);
	leaves_no_trace();
}

static void test_beyond_the_plateau(void **state)
{
	start(200 * MSS);
	reduce(&one);
	grow(&one, 100);
	assert_true(one.cwnd > 210 * MSS);
	leaves_no_trace();
}

static void test_as_reno_would(void **state)
{
	start(10 * MSS);
	reduce(&one);
	grow(&one, 40);
	assert_true(one.cc.cubic.w_est >= one.cwnd);
	leaves_no_trace();
}

/* Slow start ended on round trips: then it grows by a twentieth, as long as nothing is lost. */
static void test_before_the_first_loss(void **state)
{
	start(100 * MSS);
	grow(&one, 5);
	assert_int_equal(one.cc.cubic.cwnd_prior, 0);
	leaves_no_trace();
}

/* Two in a row: the first was right. */
static void test_after_one_that_was_right(void **state)
{
	start(200 * MSS);
	reduce(&one);
	leaves_no_trace();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_the_plateau),
		cmocka_unit_test(test_beyond_the_plateau),
		cmocka_unit_test(test_as_reno_would),
		cmocka_unit_test(test_before_the_first_loss),
		cmocka_unit_test(test_after_one_that_was_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
