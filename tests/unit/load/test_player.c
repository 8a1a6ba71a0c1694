/* The viewer's model over a network of a given rate: startup, stalls, adaptation, real time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load/player.h"

static struct load_sets m;
static struct load_player p;
static double now, rate_at_end;

static const struct load_player_config usual = {.buffer_s = 10, .start_s = 2, .safety = 0.8};

static int setup(void **state)
{
	static const char text[] =
		"<MPD mediaPresentationDuration='PT60S'><Period><AdaptationSet contentType='video'>"
		"<SegmentTemplate duration='2' media='$RepresentationID$/$Number$'/>"
		"<Representation id='a' bandwidth='1000000'/><Representation id='b' "
		"bandwidth='4000000'/>"
		"<Representation id='c' bandwidth='16000000'/></AdaptationSet></Period></MPD>";
	char why[100];

	(void)state;
	now = 0;
	return load_sets_init(&m, text, strlen(text), "/", why, sizeof(why));
}

static int teardown(void **state)
{
	(void)state;
	load_sets_finish(&m);
	return 0;
}

/* Plays on until the end, or until media time is at `until`, at so many bit/s. */
static void play(double bits_s, double until)
{
	for (int turns = 0; turns < 10000; turns++) {
		struct load_player_want w;
		enum load_player_what what = load_player_next(&p, now, &w);

		if (what == LOAD_PLAYER_FINISHED || p.position_s >= until)
			return;
		if (what == LOAD_PLAYER_WAIT) {
			assert_true(w.at_s > now);
			now = w.at_s;
			continue;
		}
		double bits = 2 * (double)m.set[0].rep[w.rep]->bandwidth;

		now += bits / bits_s;
		rate_at_end = (double)m.set[0].rep[w.rep]->bandwidth;
		load_player_got(&p, now, (uint64_t)(bits / 8), bits / bits_s);
	}
	fail_msg("it never ends");
}

static void plays_in_real_time(void **state)
{
	(void)state;
	load_player_init(&p, &m, &usual, now);
	play(100e6, 1e9);
	assert_int_equal(p.state, LOAD_PLAYER_DONE);
	assert_int_equal(p.stalls, 0);
	assert_true(p.startup_s > 0 && p.startup_s < 0.1);
	assert_true(now >= 60 && now < 61);
	assert_int_equal(p.segments, 30);
}

static void climbs_to_what_the_network_gives(void **state)
{
	(void)state;
	load_player_init(&p, &m, &usual, now);
	play(6e6, 1e9);
	assert_true(rate_at_end == 4e6); /* 4 of 6 * 0.8, never 16 */
	assert_int_equal(p.switches, 1);
	assert_int_equal(p.stalls, 0);
}

static void comes_down_when_it_gets_slow(void **state)
{
	(void)state;
	load_player_init(&p, &m, &usual, now);
	play(100e6, 20);
	assert_true(rate_at_end == 16e6);
	play(2e6, 1e9);
	assert_true(rate_at_end == 1e6);
	assert_true(p.switches >= 3);
}

/* Half of what the lowest needs: it stalls again and again, and in all for about as long as it
 * plays. */
static void too_slow_stalls(void **state)
{
	(void)state;
	load_player_init(&p, &m, &usual, now);
	play(0.5e6, 1e9);
	assert_int_equal(p.state, LOAD_PLAYER_DONE);
	assert_true(p.stalls >= 20);
	assert_true(p.stall_s > 50 && p.stall_s < 70);
	assert_true(p.startup_s > 3.9 && p.startup_s < 4.1);
}

static void buffer_has_a_limit(void **state)
{
	(void)state;
	load_player_init(&p, &m, &usual, now);
	play(1e9, 30);
	assert_true(p.fetched_s[0] - p.position_s <= usual.buffer_s + 2);
}

static void stops_where_told(void **state)
{
	struct load_player_config c = usual;

	(void)state;
	c.stop_after_s = 5;
	load_player_init(&p, &m, &c, now);
	play(100e6, 1e9);
	assert_int_equal(p.state, LOAD_PLAYER_DONE);
	assert_true(now >= 5 && now < 5.2);
	assert_int_equal(p.segments, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plays_in_real_time, setup, teardown),
		cmocka_unit_test_setup_teardown(climbs_to_what_the_network_gives, setup, teardown),
		cmocka_unit_test_setup_teardown(comes_down_when_it_gets_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(too_slow_stalls, setup, teardown),
		cmocka_unit_test_setup_teardown(buffer_has_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(stops_where_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
