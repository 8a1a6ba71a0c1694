/* Manifests as a viewer sees them: its sets by bandwidth, when segments end, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load/sets.h"

#define HEAD "<MPD type='static' mediaPresentationDuration='PT10S' minBufferTime='PT2S'><Period>"
#define TAIL "</Period></MPD>"

static struct load_sets m;
static char why[200];

static int parse(const char *text)
{
	return load_sets_init(&m, text, strlen(text), "/live/stream.mpd", why, sizeof(why));
}

static void segment_is(unsigned set, unsigned rep, uint32_t n, const char *want, double want_end)
{
	const struct spate_mpd_rep *r = m.set[set].rep[rep];
	double end_s;

	assert_true(n < r->nsegments);
	assert_string_equal(r->urls[r->segments[n].url], want);
	end_s = load_sets_end(&m, r, n);
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
	assert_string_equal(m.set[0].rep[0]->id, "a"); /* by bandwidth */
	assert_int_equal(m.set[0].rep[0]->nsegments, 3);
	segment_is(0, 1, 0, "/live/900/0005.m4s", 4);
	segment_is(0, 1, 2, "/live/900/0007.m4s", 10); /* the last one is shorter */
	assert_true(m.set[0].rep[0]->has_init);
	assert_string_equal(m.set[0].rep[0]->urls[m.set[0].rep[0]->init.url], "/live/i/a.mp4");
	load_sets_finish(&m);
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
	load_sets_finish(&m);
}

static void parts_of_one_file(void **state)
{
	(void)state;
	assert_int_equal(parse(HEAD "<AdaptationSet mimeType='video/mp4'><Representation id='r' "
				    "bandwidth='64000'>"
				    "<BaseURL>v.mp4</BaseURL><SegmentList duration='6'>"
				    "<Initialization range='0-9'/><SegmentURL mediaRange='10-19'/>"
				    "<SegmentURL mediaRange='20-29'/>"
				    "</SegmentList></Representation></AdaptationSet>" TAIL),
			 0);
	segment_is(0, 0, 0, "/live/v.mp4", 6);
	segment_is(0, 0, 1, "/live/v.mp4", 10);
	assert_int_equal(m.set[0].rep[0]->segments[1].range.first, 20);
	load_sets_finish(&m);
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
	refused("<MPD type='dynamic'><Period/></MPD>", "dynamic");
	refused("<MPD><Period/></MPD>", "mediaPresentationDuration");
	refused("<html/>", "no MPD");
	refused("<MPD mediaPresentationDuration='PT1S'><Period>", "XML");
	refused(HEAD "<AdaptationSet><Representation id='a' bandwidth='1'>"
		     "<SegmentBase indexRange='1-2'/></Representation></AdaptationSet>" TAIL,
		"SegmentBase");
	refused(HEAD "<AdaptationSet><Representation id='a' bandwidth='1'><BaseURL>v</BaseURL>"
		     "<SegmentBase indexRange='1-2'/></Representation></AdaptationSet>" TAIL,
		"SegmentBase");
	refused(HEAD "<AdaptationSet><Representation id='a' bandwidth='1'><SegmentList>"
		     "<SegmentURL media='1'/></SegmentList></Representation></AdaptationSet>" TAIL,
		"duration");
	refused(HEAD "<AdaptationSet><SegmentTemplate duration='1' media='$Number$'/>"
		     "<Representation id='a'/></AdaptationSet>" TAIL,
		"bandwidth");
	refused(HEAD "<AdaptationSet><SegmentTemplate timescale='90000' duration='1' "
		     "media='$Number$'/><Representation id='a' bandwidth='1'/>"
		     "</AdaptationSet>" TAIL,
		"too many");
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
		cmocka_unit_test(parts_of_one_file),
		cmocka_unit_test(what_is_not_understood_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
