/* Manifests: when each segment is, which part of which file it is, and what is said of what fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/dash/mpd.h"

#define MPD(inside) "<MPD mediaPresentationDuration='PT10S'><Period>" inside "</Period></MPD>"
#define SET(inside) "<AdaptationSet>" inside "</AdaptationSet>"
#define REP(inside) SET("<Representation id='v' bandwidth='7'>" inside "</Representation>")

static struct spate_mpd *mpd;

static const struct spate_mpd_rep *first_of(const char *text, bool any_host)
{
	struct spate_mpd_options o = {.any_host = any_host};

	spate_mpd_free(mpd);
	mpd = NULL;
	assert_int_equal(spate_mpd_parse(text, strlen(text), "/a/s.mpd", &o, &mpd, NULL), 0);
	assert_int_equal(mpd->n, 1);
	return &mpd->reps[0];
}

static int teardown(void **state)
{
	spate_mpd_free(mpd);
	mpd = NULL;
	return 0;
}

static char *one(const struct spate_mpd_rep *r, const struct spate_mpd_segment *s, char *out,
		 size_t cap)
{
	int n = snprintf(out, cap, "%s", r->urls[s->url]);

	if (s->range.last != UINT64_MAX)
		n += snprintf(out + n, cap - (size_t)n, "[%" PRIu64 "-%" PRIu64 "]", s->range.first,
			      s->range.last);
	snprintf(out + n, cap - (size_t)n, "@%" PRIu64 "+%" PRIu64, s->start, s->duration);
	return out;
}

/* "URL[range]@start+duration" of each, with spaces between them. */
static const char *segments_of(const char *text)
{
	static char out[2048];
	const struct spate_mpd_rep *r = first_of(text, false);
	char s[300];

	*out = '\0';
	for (uint32_t i = 0; i < r->nsegments; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i > 0 ? " " : "",
			 one(r, &r->segments[i], s, sizeof(s)));
	return out;
}

static void of_a_duration(void **state)
{
	assert_string_equal(
		segments_of(MPD(REP("<SegmentTemplate timescale='10' duration='40' startNumber='5' "
				    "presentationTimeOffset='3' media='$Number$'/>"))),
		"/a/5@3+40 /a/6@43+40 /a/7@83+40");
}

static void of_a_timeline(void **state)
{
	assert_string_equal(segments_of(MPD(REP("<SegmentTemplate media='$Time$'><SegmentTimeline>"
						"<S t='1' d='3'/><S d='2' r='1'/></SegmentTimeline>"
						"</SegmentTemplate>"))),
			    "/a/1@1+3 /a/4@4+2 /a/6@6+2");
}

static void of_a_list_by_ranges(void **state)
{
	const struct spate_mpd_rep *r;

	assert_string_equal(
		segments_of(MPD(REP("<BaseURL>v</BaseURL><SegmentList duration='5'>"
				    "<Initialization range='0-9'/><SegmentURL mediaRange='10-20'/>"
				    "<SegmentURL mediaRange='21-30'/></SegmentList>"))),
		"/a/v[10-20]@0+5 /a/v[21-30]@5+5");
	r = &mpd->reps[0];
	assert_true(r->has_init);
	assert_int_equal(r->init.url, 0);
	assert_int_equal(r->init.range.last, 9);
	assert_int_equal(r->n, 1);
}

static void of_a_list_with_a_timeline(void **state)
{
	assert_string_equal(
		segments_of(
			MPD(REP("<SegmentList><SegmentTimeline><S t='4' d='6' r='1'/>"
				"</SegmentTimeline><SegmentURL media='x'/>"
				"<SegmentURL media='y'/><SegmentURL media='z'/></SegmentList>"))),
		"/a/x@4+6 /a/y@10+6 /a/z@16+0");
}

/* Its segments stand in the file's own index. */
static void of_one_file(void **state)
{
	const struct spate_mpd_rep *r =
		first_of(MPD(REP("<BaseURL>v</BaseURL><SegmentBase indexRange='797-980'>"
				 "<Initialization range='0-796'/></SegmentBase>")),
			 false);

	assert_int_equal(r->n, 1);
	assert_int_equal(r->nsegments, 0);
	assert_int_equal(r->index.first, 797);
	assert_int_equal(r->index.last, 980);
	assert_true(r->has_init);
	assert_int_equal(r->init.range.last, 796);
}

static void sets_and_what_is_in_them(void **state)
{
	static const char text[] =
		"<MPD><Period><AdaptationSet contentType='video'><Representation id='a'/>"
		"</AdaptationSet><AdaptationSet mimeType='audio/mp4'><Representation id='b'/>"
		"</AdaptationSet></Period><Period><AdaptationSet>"
		"<Representation id='c' mimeType='application/mp4'/><Representation id='d'/>"
		"</AdaptationSet></Period></MPD>";
	static const char kinds[] = {'v', 'a', 'o', 0};
	static const uint32_t sets[] = {0, 1, 2, 2}, periods[] = {0, 0, 1, 1};

	assert_int_equal(spate_mpd_parse(text, strlen(text), "/s", NULL, &mpd, NULL), 0);
	assert_int_equal(mpd->periods, 2);
	assert_int_equal(mpd->sets, 3);
	assert_int_equal(mpd->n, 4);
	for (uint32_t i = 0; i < mpd->n; i++) {
		assert_int_equal(mpd->reps[i].kind, kinds[i]);
		assert_int_equal(mpd->reps[i].set, sets[i]);
		assert_int_equal(mpd->reps[i].period, periods[i]);
	}
}

static void another_host_can_be_this_one(void **state)
{
	const struct spate_mpd_rep *r =
		first_of(MPD(REP("<BaseURL>http://cdn/x/</BaseURL>"
				 "<SegmentList><SegmentURL media='1'/>"
				 "<SegmentURL media='//other/2'/></SegmentList>")),
			 true);

	assert_int_equal(r->n, 2);
	assert_string_equal(r->urls[0], "/x/1");
	assert_string_equal(r->urls[1], "/2");
}

/* A set's timeline is over where the set is: what follows cannot add to it. */
static void a_timeline_ends_with_its_element(void **state)
{
	assert_string_equal(
		segments_of(MPD("<AdaptationSet><SegmentTemplate media='$Time$'><SegmentTimeline>"
				"<S t='1' d='1'/></SegmentTimeline></SegmentTemplate>"
				"<Representation id='v'><S d='1'/></Representation>"
				"</AdaptationSet>")),
		"/a/1@1+1");
}

static void why(const char *text, const char *because)
{
	const char *said;

	assert_int_equal(spate_mpd_parse(text, strlen(text), "/s", NULL, &mpd, &said), -EINVAL);
	assert_non_null(said);
	if (strstr(said, because) == NULL)
		fail_msg("\"%s\" does not speak of %s", said, because);
}

static void why_of_rep(const char *text, const char *because)
{
	const struct spate_mpd_rep *r = first_of(text, false);

	assert_int_equal(r->n, 0);
	assert_int_equal(r->nsegments, 0);
	assert_non_null(r->why);
	if (strstr(r->why, because) == NULL)
		fail_msg("\"%s\" does not speak of %s", r->why, because);
}

static void what_is_wrong_is_named(void **state)
{
	why("", "empty");
	why("<html/>", "no MPD");
	why("<MPD><Period>", "XML");
	why("<MPD/>", "Period");
	why("<MPD><AdaptationSet/></MPD>", "inside");
	why("<!DOCTYPE MPD [<!ENTITY a 'b'>]><MPD/>", "DOCTYPE");
	why(MPD(REP("<SegmentTemplate><SegmentTimeline><S/></SegmentTimeline></SegmentTemplate>")),
	    "timeline");
	why_of_rep(MPD(REP("")), "BaseURL");
	why_of_rep(MPD(REP("<SegmentBase indexRange='1-2'/>")), "SegmentBase");
	why_of_rep(MPD(REP("<SegmentTemplate duration='1'/>")), "media");
	why_of_rep(MPD(REP("<SegmentTemplate media='$Number$'/>")), "how many");
	why_of_rep(MPD(REP("<SegmentTemplate timescale='0' duration='1' media='$Number$'/>")),
		   "timescale");
	why_of_rep(MPD(REP("<SegmentTemplate duration='1' media='$Nonsense$'/>")), "template");
	why_of_rep(MPD(REP("<BaseURL>v</BaseURL><SegmentList><SegmentURL media='../../x'/>"
			   "</SegmentList>")),
		   "climbs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(of_a_duration, teardown),
		cmocka_unit_test_teardown(of_a_timeline, teardown),
		cmocka_unit_test_teardown(of_a_list_by_ranges, teardown),
		cmocka_unit_test_teardown(of_a_list_with_a_timeline, teardown),
		cmocka_unit_test_teardown(of_one_file, teardown),
		cmocka_unit_test_teardown(sets_and_what_is_in_them, teardown),
		cmocka_unit_test_teardown(another_host_can_be_this_one, teardown),
		cmocka_unit_test_teardown(a_timeline_ends_with_its_element, teardown),
		cmocka_unit_test_teardown(what_is_wrong_is_named, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
