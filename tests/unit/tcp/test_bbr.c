/* BBR by itself: what each acknowledgement makes of rate and window, with every number given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/tcp/conn.h"

#define MSS 1000u
#define BW  1000000u /* bytes a second */
#define RTT 100000u  /* us */
#define BDP 100000u

static struct spate_tcp t;
static struct spate_tcp_conn c;

static void at(uint64_t us)
{
	t.now_us = us;
	t.now32 = (uint32_t)us;
	t.now_ms = (uint32_t)(us / 1000);
}

static void flight(uint32_t bytes)
{
	c.snd_nxt = c.snd_una + bytes;
}

static int start(void **state)
{
	memset(&t, 0, sizeof t);
	memset(&c, 0, sizeof c);
	t.cfg.init_window = 10;
	at(3600000000ull);
	c.t = &t;
	c.mss = MSS;
	c.cwnd = 10 * MSS;
	c.srtt8_us = RTT << 3;
	c.delivered = 5000;
	tcp_bbr_ops.init(&c);
	return 0;
}

static uint64_t rate(void)
{
	return tcp_bbr_ops.rate(&c);
}

/* An ACK that delivers so much, with a sample of this rate; round: the first of a round trip. */
static struct tcp_ack ack(uint32_t bytes, uint32_t bw, bool round)
{
	struct tcp_ack a = {.any = true,
			    .delivered = bytes,
			    .acked = bytes,
			    .rtt_us = RTT,
			    .rate_delivered = bw / 10,
			    .rate_interval_us = 100000,
			    .prior_flight = tcp_flight(&c) + bytes};

	a.rate_prior = round ? c.cc.bbr.next_round : c.cc.bbr.next_round - 1;
	c.delivered += bytes;
	return a;
}

static void give(uint32_t bytes, uint32_t bw, bool round)
{
	struct tcp_ack a = ack(bytes, bw, round);

	tcp_bbr_ops.ack(&c, &a);
}

/* Startup to its end; bandwidth BW. What is in flight is left as it is. */
static void fill_pipe(void)
{
	for (int i = 0; i < 4; i++)
		give(MSS, BW, true);
}

/* In PROBE_BW, at the phase with this gain in 1/256, just begun. */
static void probe_bw(unsigned gain, unsigned idx)
{
	flight(BDP);
	fill_pipe();
	c.cc.bbr.cycle_idx = (uint8_t)idx;
	c.cc.bbr.cycle_us = t.now32;
	assert_int_equal(rate(), (uint64_t)BW * gain / 256);
}

static void test_startup_first_window_times_high_gain(void **state)
{
	assert_int_equal(rate(), 100000ull * 739 / 256);
}

static void test_startup_is_never_slower_than_that(void **state)
{
	give(500, 6400, true);
	assert_int_equal(rate(), 100000ull * 739 / 256);
	give(500, 640000, true);
	assert_int_equal(rate(), 640000ull * 739 / 256);
}

static void test_startup_grows_by_what_is_delivered(void **state)
{
	give(3000, BW, true);
	assert_int_equal(c.cwnd, 13000);
	give(2000, BW, false);
	assert_int_equal(c.cwnd, 15000);
}

static void test_three_rounds_without_a_quarter_more_end_startup(void **state)
{
	flight(4 * BDP);
	give(MSS, BW, true);
	give(MSS, BW / 100 * 124, true);
	give(MSS, BW / 100 * 124, true);
	assert_int_equal(rate(), (uint64_t)BW / 100 * 124 * 739 / 256);
	give(MSS, BW / 100 * 124, true);
	assert_int_equal(rate(), (uint64_t)BW / 100 * 124 * 89 / 256); /* draining */
}

static void test_a_quarter_more_counts_anew(void **state)
{
	flight(4 * BDP);
	give(MSS, BW, true);
	give(MSS, BW, true);
	give(MSS, BW, true);
	give(MSS, BW / 4 * 5, true);
	give(MSS, BW / 4 * 5, true);
	give(MSS, BW / 4 * 5, true);
	assert_false(c.cc.bbr.filled);
	give(MSS, BW / 4 * 5, true);
	assert_true(c.cc.bbr.filled);
}

static void test_only_rounds_count(void **state)
{
	give(MSS, BW, true);
	for (int i = 0; i < 10; i++)
		give(MSS, BW, false);
	assert_false(c.cc.bbr.filled);
}

static void test_a_quiet_application_does_not_end_startup(void **state)
{
	give(MSS, BW, true);
	for (int i = 0; i < 10; i++) {
		struct tcp_ack a = ack(MSS, BW, true);

		a.rate_app_limited = true;
		tcp_bbr_ops.ack(&c, &a);
	}
	assert_false(c.cc.bbr.filled);
}

static void test_drained_when_flight_is_the_product(void **state)
{
	flight(BDP + 1);
	fill_pipe();
	assert_int_equal(rate(), (uint64_t)BW * 89 / 256);
	flight(BDP);
	give(0, BW, false);
	assert_true(rate() == BW || rate() == BW / 4 * 5); /* anywhere but the slower phase */
}

static void test_faster_phase_lasts_until_more_is_in_flight(void **state)
{
	probe_bw(320, 0);
	at(t.now_us + RTT + 1);
	give(0, BW, false);
	assert_int_equal(rate(), BW / 4 * 5);
	flight(BDP / 4 * 5);
	give(0, BW, false);
	assert_int_equal(rate(), BW / 4 * 3);
}

static void test_faster_phase_ends_with_a_loss(void **state)
{
	probe_bw(320, 0);
	at(t.now_us + RTT);
	struct tcp_ack a = ack(0, BW, false);

	a.lost = 1;
	tcp_bbr_ops.ack(&c, &a);
	assert_int_equal(rate(), BW / 4 * 5); /* but not within the round trip */
	at(t.now_us + 1);
	tcp_bbr_ops.ack(&c, &a);
	assert_int_equal(rate(), BW / 4 * 3);
}

static void test_slower_phase_ends_when_the_queue_is_gone(void **state)
{
	probe_bw(192, 1);
	flight(BDP + 1);
	give(0, BW, false);
	assert_int_equal(rate(), BW / 4 * 3);
	flight(BDP);
	give(0, BW, false);
	assert_int_equal(rate(), BW);
}

static void test_slower_phase_lasts_a_round_trip_at_most(void **state)
{
	probe_bw(192, 1);
	flight(2 * BDP);
	at(t.now_us + RTT + 1);
	give(0, BW, false);
	assert_int_equal(rate(), BW);
}

static void test_six_even_phases_a_round_trip_each(void **state)
{
	probe_bw(256, 2);
	for (int i = 0; i < 5; i++) {
		at(t.now_us + RTT);
		give(0, BW, false);
		assert_int_equal(c.cc.bbr.cycle_idx, 2 + i);
		at(t.now_us + 1);
		give(0, BW, false);
		assert_int_equal(rate(), BW);
	}
	at(t.now_us + RTT + 1);
	give(0, BW, false);
	assert_int_equal(rate(), BW / 4 * 5);
}

static void test_window_is_twice_the_product_and_six_segments(void **state)
{
	flight(BDP);
	fill_pipe();
	c.cwnd = 2 * BDP;
	give(4000, BW, false);
	assert_int_equal(c.cwnd, 2 * BDP + 4000);
	give(4000, BW, false);
	assert_int_equal(c.cwnd, 2 * BDP + 6 * MSS);
}

static void test_window_while_draining_is_that_of_startup(void **state)
{
	flight(4 * BDP);
	fill_pipe();
	c.cwnd = 4 * BDP;
	give(1000, BW, false);
	assert_int_equal(c.cwnd, BDP * 739 / 256 + 6 * MSS);
}

static void test_window_never_below_four_segments(void **state)
{
	flight(BDP);
	fill_pipe();
	c.cwnd = MSS;
	give(0, BW, false);
	assert_int_equal(c.cwnd, 4 * MSS);
}

static void test_lower_rates_count_after_five_to_ten_rounds(void **state)
{
	probe_bw(256, 2);
	for (int i = 0; i < 4; i++)
		give(0, BW / 2, true);
	assert_int_equal(rate(), BW);
	for (int i = 0; i < 6; i++)
		give(0, BW / 2, true);
	assert_true(rate() <= BW / 8 * 5);
}

static void test_samples_of_a_quiet_application_only_raise(void **state)
{
	struct tcp_ack a;

	probe_bw(256, 2);
	for (int i = 0; i < 12; i++) {
		a = ack(0, BW / 2, true);
		a.rate_app_limited = true;
		tcp_bbr_ops.ack(&c, &a);
	}
	assert_int_equal(rate(), BW); /* nor do rounds that say nothing make it forget */
	a = ack(0, 2 * BW, false);
	a.rate_app_limited = true;
	tcp_bbr_ops.ack(&c, &a);
	assert_int_equal(rate(), 2 * BW);
}

static void test_what_is_lost_makes_no_room(void **state)
{
	probe_bw(256, 2);
	flight(30 * MSS);
	tcp_bbr_ops.event(&c, CC_RECOVERY);
	c.ca = CA_RECOVERY;
	assert_int_equal(c.cwnd, 31 * MSS);
	flight(19 * MSS); /* one was delivered, ten are lost */
	struct tcp_ack a = ack(MSS, BW, false);

	a.lost = 10 * MSS;
	tcp_bbr_ops.ack(&c, &a);
	assert_int_equal(c.cwnd, 21 * MSS);
}

/* Ten seconds without a byte, then a response: the queue was never as empty as now. */
static void test_who_was_idle_need_not_probe(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 20 * MSS;
	at(t.now_us + 15000000);
	c.app_limited = 1;
	flight(10 * MSS);
	tcp_bbr_ops.event(&c, CC_START);
	give(MSS, BW, true);
	assert_true(c.cwnd > 4 * MSS);
	at(t.now_us + 15000000); /* while bytes went on: now it must */
	give(MSS, BW, true);
	assert_int_equal(c.cwnd, 4 * MSS);
	assert_int_not_equal(c.app_limited, 0);
}

static void test_no_interval_no_sample(void **state)
{
	struct tcp_ack a = ack(0, 2 * BW, true);

	a.rate_interval_us = 0;
	tcp_bbr_ops.ack(&c, &a);
	assert_int_equal(c.cc.bbr.bw[0], 0);
	assert_true(c.cc.bbr.round_start);
}

static void longer(uint32_t rtt)
{
	struct tcp_ack a = ack(0, BW, false);

	a.rtt_us = rtt;
	tcp_bbr_ops.ack(&c, &a);
}

static void test_least_round_trip_is_probed_after_ten_seconds(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 2 * BDP;
	uint64_t t0 = t.now_us;

	for (int i = 1; i <= 20; i++) {
		at(t0 + i * 500000ull);
		longer(RTT + 20000);
		assert_true(c.cwnd > 4 * MSS);
	}
	at(t0 + 10001000);
	longer(RTT + 20000);
	assert_int_equal(c.cwnd, 4 * MSS);
	assert_int_equal(rate(), BW);
	assert_int_equal(c.cc.bbr.min_rtt_us, RTT + 20000); /* the old one has expired */

	/* 200 ms, and a round, from when what is out has shrunk. */
	at(t.now_us + 300000);
	longer(RTT);
	assert_int_equal(c.cwnd, 4 * MSS);
	flight(4 * MSS);
	longer(RTT);
	at(t.now_us + 199000);
	give(0, BW, true);
	assert_int_equal(c.cwnd, 4 * MSS);
	at(t.now_us + 1000);
	give(0, BW, false);
	assert_int_equal(c.cwnd, 2 * BDP);
	assert_int_equal(c.cc.bbr.min_rtt_us, RTT);
	/* And not again for ten seconds. */
	at(t.now_us + 9000000);
	longer(RTT + 1);
	assert_true(c.cwnd > 4 * MSS);
}

static void test_probe_lasts_a_round_at_least(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 2 * BDP;
	flight(4 * MSS);
	at(t.now_us + 10001000);
	longer(RTT + 1);
	assert_int_equal(c.cwnd, 4 * MSS);
	at(t.now_us + 5000000);
	give(0, BW, false);
	assert_int_equal(c.cwnd, 4 * MSS);
	give(0, BW, true);
	assert_int_equal(c.cwnd, 2 * BDP);
}

static void test_equal_round_trips_need_no_probe(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 2 * BDP;
	for (int i = 0; i < 30; i++) {
		at(t.now_us + 1000000);
		longer(RTT);
		assert_true(c.cwnd > 4 * MSS);
	}
}

static void test_recovery_conserves_packets_for_a_round(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 2 * BDP;
	(void)tcp_bbr_ops.ssthresh(&c);
	c.ca = CA_RECOVERY;
	flight(50 * MSS);
	tcp_bbr_ops.event(&c, CC_RECOVERY);
	assert_int_equal(c.cwnd, 51 * MSS);
	flight(49 * MSS);
	give(3 * MSS, BW, false);
	assert_int_equal(c.cwnd, 52 * MSS); /* three in, three out */
	give(MSS, BW, true);                /* the round is over */
	give(4 * MSS, BW, false);
	assert_int_equal(c.cwnd, 56 * MSS);
	c.ca = CA_OPEN;
	tcp_bbr_ops.event(&c, CC_RECOVERED);
	assert_int_equal(c.cwnd, 2 * BDP);
}

static void test_undo_gives_the_window_back(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 2 * BDP;
	(void)tcp_bbr_ops.ssthresh(&c);
	c.ca = CA_LOSS;
	c.cwnd = MSS;
	tcp_bbr_ops.event(&c, CC_RTO);
	assert_int_equal(c.cwnd, MSS);
	tcp_bbr_ops.event(&c, CC_UNDO);
	assert_int_equal(c.cwnd, 2 * BDP);
}

static void test_loss_in_a_loss_remembers_the_larger_window(void **state)
{
	probe_bw(256, 2);
	c.cwnd = 2 * BDP;
	(void)tcp_bbr_ops.ssthresh(&c);
	c.ca = CA_RECOVERY;
	c.cwnd = BDP;
	(void)tcp_bbr_ops.ssthresh(&c);
	tcp_bbr_ops.event(&c, CC_RECOVERED);
	assert_int_equal(c.cwnd, 2 * BDP);
}

#define T(name) cmocka_unit_test_setup(name, start)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_startup_first_window_times_high_gain),
		T(test_startup_is_never_slower_than_that),
		T(test_startup_grows_by_what_is_delivered),
		T(test_three_rounds_without_a_quarter_more_end_startup),
		T(test_a_quarter_more_counts_anew),
		T(test_only_rounds_count),
		T(test_a_quiet_application_does_not_end_startup),
		T(test_drained_when_flight_is_the_product),
		T(test_faster_phase_lasts_until_more_is_in_flight),
		T(test_faster_phase_ends_with_a_loss),
		T(test_slower_phase_ends_when_the_queue_is_gone),
		T(test_slower_phase_lasts_a_round_trip_at_most),
		T(test_six_even_phases_a_round_trip_each),
		T(test_window_is_twice_the_product_and_six_segments),
		T(test_window_while_draining_is_that_of_startup),
		T(test_window_never_below_four_segments),
		T(test_lower_rates_count_after_five_to_ten_rounds),
		T(test_samples_of_a_quiet_application_only_raise),
		T(test_what_is_lost_makes_no_room),
		T(test_who_was_idle_need_not_probe),
		T(test_no_interval_no_sample),
		T(test_least_round_trip_is_probed_after_ten_seconds),
		T(test_probe_lasts_a_round_at_least),
		T(test_equal_round_trips_need_no_probe),
		T(test_recovery_conserves_packets_for_a_round),
		T(test_undo_gives_the_window_back),
		T(test_loss_in_a_loss_remembers_the_larger_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
