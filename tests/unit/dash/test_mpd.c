/* Manifests: which files a representation is made of, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/dash/mpd.h"

/* The first representation's URLs with spaces between them, or what went wrong. */
static const char *urls_of(const char *text)
{
	static char out[8192];
	struct spate_mpd *mpd;
	int rc = spate_mpd_parse(text, strlen(text), "/f/a/s.mpd", NULL, &mpd, NULL);
	size_t n = 0;

	if (rc < 0)
		return rc == -EINVAL ? "invalid" : rc == -E2BIG ? "too big" : "error";
	snprintf(out, sizeof(out), "%s",
		 mpd->n == 0              ? "none"
		 : mpd->reps[0].elsewhere ? "elsewhere"
					  : "");
	for (uint32_t i = 0; mpd->n > 0 && i < mpd->reps[0].n; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s", i > 0 ? " " : "",
				      mpd->reps[0].urls[i]);
	spate_mpd_free(mpd);
	return out;
}

#define MPD(attributes, inside)                                                     \
	"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011' " attributes "><Period>" inside \
	"</Period></MPD>"
#define REP(inside)                                                   \
	"<AdaptationSet><Representation id='v' bandwidth='7'>" inside \
	"</Representation></AdaptationSet>"

static void numbers_by_duration(void **state)
{
	assert_string_equal(
		urls_of(MPD("mediaPresentationDuration='PT5S'",
			    REP("<SegmentTemplate duration='2' startNumber='9' "
				"initialization='i' media='$Number%03d$-$Bandwidth$'/>"))),
		"/f/a/i /f/a/009-7 /f/a/010-7 /f/a/011-7");
}

static void times_by_timeline(void **state)
{
	assert_string_equal(
		urls_of(MPD("", REP("<SegmentTemplate media='$RepresentationID$_$Time$'>"
				    "<SegmentTimeline><S t='10' d='5' r='1'/><S d='3'/>"
				    "</SegmentTimeline></SegmentTemplate>"))),
		"/f/a/v_10 /f/a/v_15 /f/a/v_20");
}

static void a_timeline_repeats_to_the_end_of_the_period(void **state)
{
	assert_string_equal(
		urls_of(MPD("mediaPresentationDuration='PT10S'",
			    REP("<SegmentTemplate media='$Time$'><SegmentTimeline>"
				"<S t='0' d='4' r='-1'/></SegmentTimeline></SegmentTemplate>"))),
		"/f/a/0 /f/a/4 /f/a/8");
}

static void inherits_from_the_set(void **state)
{
	assert_string_equal(
		urls_of(MPD("",
			    "<AdaptationSet><SegmentTemplate timescale='2' media='$Number$.m4s'>"
			    "<SegmentTimeline><S d='1'/></SegmentTimeline></SegmentTemplate>"
			    "<Representation id='x'><SegmentTemplate "
			    "initialization='i$RepresentationID$'/>"
			    "</Representation></AdaptationSet>")),
		"/f/a/ix /f/a/1.m4s");
}

static void base_urls_add_up(void **state)
{
	assert_string_equal(
		urls_of("<MPD><BaseURL> ../b/ </BaseURL><BaseURL>other/</BaseURL><Period>"
			"<BaseURL>c/</BaseURL>" REP(
				"<BaseURL>./d.mp4?x=1/../2#f</BaseURL>") "</Period></MPD>"),
		"/f/b/c/d.mp4?x=1/../2");
}

static void one_file_by_ranges_is_one_file(void **state)
{
	assert_string_equal(
		urls_of(MPD("", REP("<BaseURL>v.mp4</BaseURL><SegmentList>"
				    "<Initialization range='0-9'/><SegmentURL mediaRange='10-20'/>"
				    "<SegmentURL mediaRange='21-30'/></SegmentList>"))),
		"/f/a/v.mp4");
	assert_string_equal(
		urls_of(MPD("", REP("<BaseURL>v.mp4</BaseURL><SegmentBase indexRange='1-2'/>"))),
		"/f/a/v.mp4");
}

static void a_list_names_each(void **state)
{
	assert_string_equal(
		urls_of(MPD(
			"",
			REP("<SegmentList><Initialization sourceURL='i'/>"
			    "<SegmentURL media='/x/1'/><SegmentURL media='2'/></SegmentList>"))),
		"/f/a/i /x/1 /f/a/2");
}

static void another_host_is_elsewhere(void **state)
{
	assert_string_equal(urls_of(MPD("", REP("<BaseURL>http://cdn/</BaseURL>"))), "elsewhere");
	assert_string_equal(urls_of(MPD("", REP("<BaseURL>//cdn/v</BaseURL>"))), "elsewhere");
}

static void live_has_no_urls(void **state)
{
	static const char text[] = MPD("type='dynamic'", REP("<BaseURL>v</BaseURL>"));
	struct spate_mpd *mpd;

	assert_int_equal(spate_mpd_parse(text, strlen(text), "/s.mpd", NULL, &mpd, NULL), 0);
	assert_true(mpd->dynamic);
	assert_int_equal(mpd->n, 1);
	assert_int_equal(mpd->reps[0].n, 0);
	spate_mpd_free(mpd);
}

static void ids_are_unique(void **state)
{
	static const char text[] =
		"<MPD><Period>" REP("<BaseURL>1</BaseURL>") "</Period><Period>" REP(
			"<BaseURL>2</BaseURL>") "</Period></MPD>";
	struct spate_mpd *mpd;

	assert_int_equal(spate_mpd_parse(text, strlen(text), "/s.mpd", NULL, &mpd, NULL), 0);
	assert_string_equal(mpd->reps[0].id, "v");
	assert_string_equal(mpd->reps[1].id, "v~2");
	spate_mpd_free(mpd);
}

static void what_is_refused(void **state)
{
	static const char bomb[] = "<!DOCTYPE MPD [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>" MPD(
		"", REP("<BaseURL>&b;</BaseURL>"));

	assert_string_equal(urls_of(bomb), "invalid");
	assert_string_equal(urls_of("<html/>"), "invalid");
	assert_string_equal(urls_of("<MPD><Period>"), "invalid");
	assert_string_equal(urls_of(""), "invalid");
	assert_string_equal(urls_of(MPD("mediaPresentationDuration='PT1000000H'",
					REP("<SegmentTemplate duration='1' media='$Number$'/>"))),
			    "too big");
	/* What would be the same file again and again, and what no end lets through. */
	assert_string_equal(
		urls_of(MPD("", REP("<SegmentTemplate media='a#$Number$'>"
				    "<SegmentTimeline><S d='1' r='9000000000000000000'/>"
				    "</SegmentTimeline></SegmentTemplate>"))),
		"too big");
	assert_string_equal(
		urls_of(MPD("", REP("<SegmentTemplate media='$Number$' endNumber='1'>"
				    "<SegmentTimeline><S d='1' r='9000000000000000000'/>"
				    "</SegmentTimeline></SegmentTemplate>"))),
		"/f/a/1");
	assert_string_equal(urls_of(MPD("", REP("<SegmentTemplate media='$Number$' duration='1' "
						"startNumber='3' endNumber='1'/>"))),
			    "");
	/* One representation's nonsense is its own. */
	assert_string_equal(urls_of(MPD("", REP("<SegmentTemplate media='$Nonsense$'/>"))), "");
	assert_string_equal(urls_of(MPD("", REP("<SegmentTemplate media='../../../x'/>"))), "");
	assert_string_equal(urls_of(MPD("", REP(""))), "");
}

/* Few segments, but each of a long name: what is counted are the bytes. */
static void long_names_are_bounded(void **state)
{
	static const char text[] = MPD("mediaPresentationDuration='PT50S'",
				       REP("<SegmentTemplate duration='1' "
					   "media='a-name-of-32-characters-$Number%08d$'/>"));
	struct spate_mpd_options o = {.text = 50 * (5 + 32 + 1)};
	struct spate_mpd *mpd;

	assert_int_equal(spate_mpd_parse(text, strlen(text), "/f/a/s", &o, &mpd, NULL), 0);
	spate_mpd_free(mpd);
	o.text--;
	assert_int_equal(spate_mpd_parse(text, strlen(text), "/f/a/s", &o, &mpd, NULL), -E2BIG);
	/* Of BaseURLs too, which a level copies from the one above. */
	o.text = 10;
	static const char base[] = "<MPD><BaseURL>123456/</BaseURL><Period><BaseURL>7</BaseURL>"
				   "</Period></MPD>";
	assert_int_equal(spate_mpd_parse(base, strlen(base), "/s", &o, &mpd, NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_by_duration),
		cmocka_unit_test(times_by_timeline),
		cmocka_unit_test(a_timeline_repeats_to_the_end_of_the_period),
		cmocka_unit_test(inherits_from_the_set),
		cmocka_unit_test(base_urls_add_up),
		cmocka_unit_test(one_file_by_ranges_is_one_file),
		cmocka_unit_test(a_list_names_each),
		cmocka_unit_test(another_host_is_elsewhere),
		cmocka_unit_test(live_has_no_urls),
		cmocka_unit_test(ids_are_unique),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(long_names_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
