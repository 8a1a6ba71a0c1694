/* Manifests: what a segment is called, inheritance, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load/mpd.h"

#define HEAD "<MPD type='static' mediaPresentationDuration='PT10S' minBufferTime='PT2S'><Period>"
#define TAIL "</Period></MPD>"

static struct load_mpd m;
static char why[200], path[300];
static double end_s;

static int parse(const char *text)
{
	return load_mpd_parse(&m, text, strlen(text), "/live/stream.mpd", why, sizeof(why));
}

static void segment_is(unsigned set, unsigned rep, uint64_t n, const char *want, double want_end)
{
	assert_true(load_mpd_segment(&m, &m.set[set].rep[rep], n, path, sizeof(path), &end_s));
	assert_string_equal(path, want);
	assert_true(end_s > want_end - 1e-6 && end_s < want_end + 1e-6);
}

static void numbers_of_a_duration(void **state)
{
	(void)state;
	assert_int_equal(parse(HEAD "<AdaptationSet contentType='video'>"
				    "<SegmentTemplate timescale='10' duration='40' startNumber='5' "
				    "initialization='i/$RepresentationID$.mp4' "
				    "media='$Bandwidth$/$Number%04d$.m4s'/>"
				    "<Representation id='b' bandwidth='900'/><Representation "
				    "id='a' bandwidth='100'/>"
				    "</AdaptationSet>" TAIL),
			 0);
	assert_int_equal(m.set[0].kind, 'v');
	assert_int_equal(m.set[0].nreps, 2);
	assert_string_equal(m.set[0].rep[0].id, "a"); /* by bandwidth */
	assert_int_equal(load_mpd_segments(&m, &m.set[0].rep[0]), 3);
	segment_is(0, 1, 0, "/live/900/0005.m4s", 4);
	segment_is(0, 1, 2, "/live/900/0007.m4s", 10); /* the last one is shorter */
	assert_false(load_mpd_segment(&m, &m.set[0].rep[1], 3, path, sizeof(path), &end_s));
	assert_true(load_mpd_init(&m.set[0].rep[0], path, sizeof(path)));
	assert_string_equal(path, "/live/i/a.mp4");
	load_mpd_finish(&m);
}

static void times_of_a_timeline(void **state)
{
	(void)state;
	assert_int_equal(
		parse(HEAD
		      "<AdaptationSet mimeType='audio/mp4'><BaseURL>http://cdn/x/</BaseURL>"
		      "<Representation id='r' bandwidth='64000'>"
		      "<SegmentTemplate timescale='100' media='s$$-$Time$.m4s'><SegmentTimeline>"
		      "<S t='1000' d='300'/><S d='200' r='1'/><S d='100' r='-1'/>"
		      "</SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>" TAIL),
		0);
	assert_int_equal(m.set[0].kind, 'a');
	segment_is(0, 0, 0, "/x/s$-1000.m4s", 3);
	segment_is(0, 0, 1, "/x/s$-1300.m4s", 5);
	segment_is(0, 0, 2, "/x/s$-1500.m4s", 7);
	load_mpd_finish(&m);
}

static void durations(void **state)
{
	(void)state;
	assert_true(load_mpd_duration("PT1H2M3.5S") == 3723.5);
	assert_true(load_mpd_duration("P1DT1S") == 86401);
	assert_true(load_mpd_duration("PT0S") == 0);
	assert_true(load_mpd_duration("P1Y") < 0);
	assert_true(load_mpd_duration("1S") < 0);
	assert_true(load_mpd_duration("PT1") < 0);
}

static void refused(const char *text, const char *because)
{
	assert_int_not_equal(parse(text), 0);
	if (strstr(why, because) == NULL)
		fail_msg("\"%s\" does not speak of %s", why, because);
}

static void what_is_not_understood_is_named(void **state)
{
	(void)state;
	refused("<MPD type='dynamic'/>", "dynamic");
	refused("<MPD/>", "mediaPresentationDuration");
	refused("<html/>", "no MPD");
	refused("<MPD mediaPresentationDuration='PT1S'><Period>", "XML");
	refused(HEAD "<AdaptationSet><Representation id='a' bandwidth='1'>"
		     "<SegmentBase indexRange='1-2'/></Representation></AdaptationSet>" TAIL,
		"SegmentBase");
	refused(HEAD TAIL, "nothing to play");
	refused(HEAD "</Period><Period/></MPD>", "Period");
	refused(HEAD "<AdaptationSet><SegmentTemplate timescale='0' duration='1' media='x'/>"
		     "<Representation id='a' bandwidth='1'/></AdaptationSet>" TAIL,
		"timescale");
	refused("<!DOCTYPE MPD [<!ENTITY a 'b'>]><MPD mediaPresentationDuration='PT1S'/>",
		"DOCTYPE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_a_duration),
		cmocka_unit_test(times_of_a_timeline),
		cmocka_unit_test(durations),
		cmocka_unit_test(what_is_not_understood_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
