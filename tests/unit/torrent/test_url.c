/* URLs that are made here: what each asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "control/torrent/url.h"

static const struct {
	const char *url;
	enum spate_torrent_url_kind kind;
	const char *manifest, *id;
	uint64_t pad;
} cases[] = {
	{"/a/s.mpd.torrents", SPATE_TURL_INDEX, "/a/s.mpd", "", 0},
	{"/a/s.mpd.torrents?x=1", SPATE_TURL_INDEX, "/a/s.mpd", "", 0},
	{"/a/v.torrent", SPATE_TURL_V1, "", "v", 0},
	{"/a/v.hybrid.torrent", SPATE_TURL_HYBRID, "", "v", 0},
	{"/a/v%2F1%20x.torrent", SPATE_TURL_V1, "", "v/1 x", 0},
	{"/a/s.mpd.torrents/v.torrent", SPATE_TURL_V1, "/a/s.mpd", "v", 0},
	{"/a/s.mpd.torrents/v.mp4", SPATE_TURL_WHOLE, "/a/s.mpd", "v", 0},
	{"/a/s.mpd.torrents/v.webm", SPATE_TURL_WHOLE, "/a/s.mpd", "v", 0},
	{"/a/s.mpd.torrents/v/name/1/2.m4s", SPATE_TURL_FILE, "/a/s.mpd", "v", 0},
	{"/a/s.mpd.torrents/v/name/.pad/77", SPATE_TURL_FILE, "/a/s.mpd", "v", 77},
	{"/a/.pad/77", SPATE_TURL_PAD, "", "", 77},
	{"/a/.pad/0", SPATE_TURL_NONE, "", "", 0},
	{"/a/.pad/x", SPATE_TURL_NONE, "", "", 0},
	{"/a/x.pad/77", SPATE_TURL_NONE, "", "", 0},
	{"/a/.torrent", SPATE_TURL_NONE, "", "", 0},
	{"/a/v%0.torrent", SPATE_TURL_NONE, "", "", 0},
	{"/a/v%00.torrent", SPATE_TURL_NONE, "", "", 0},
	{"/a/.torrents", SPATE_TURL_NONE, "", "", 0},
	{"/a/s.mpd.torrents/v.mkv", SPATE_TURL_NONE, "", "", 0},
	{"/a/v.m4s", SPATE_TURL_NONE, "", "", 0},
	{"/", SPATE_TURL_NONE, "", "", 0},
};

static void each_form(void **state)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spate_torrent_url u;
		bool is = spate_torrent_url_parse(cases[i].url, strlen(cases[i].url), &u);

		if (u.kind != cases[i].kind || is != (u.kind != SPATE_TURL_NONE))
			fail_msg("%s: kind %d", cases[i].url, (int)u.kind);
		if (!is)
			continue;
		assert_int_equal(u.manifest, strlen(cases[i].manifest));
		assert_string_equal(u.id, cases[i].id);
		assert_int_equal(u.pad, cases[i].pad);
	}
}

static void names_fit_for_files(void **state)
{
	static const char *const good[] = {"a/b.m4s", "\xc3\xa4", "a b", "..."};
	static const char *const bad[] = {"",     "/a",   "a//b",     "a/",   "../a", "a/./b",
					  "a\nb", "\xff", "\xc0\xaf", "a\\b", ".."};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(spate_torrent_path_ok(good[i]));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(spate_torrent_path_ok(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form),
		cmocka_unit_test(names_fit_for_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
