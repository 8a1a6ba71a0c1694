/* Names: media types by extension, reason phrases, slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/mime.h"
#include "dataplane/http/status.h"

static void media_types(void **state)
{
	static const char *const rows[][2] = {
		{"/a/manifest.mpd", "application/dash+xml"},
		{"/a/seg-1.m4s", "video/iso.segment"},
		{"/a/init.mp4", "video/mp4"},
		{"/a/b.m4a", "audio/mp4"},
		{"/a/b.m4v", "video/mp4"},
		{"/a/b.webm", "video/webm"},
		{"/a/b.ts", "video/mp2t"},
		{"/a/b.m3u8", "application/vnd.apple.mpegurl"},
		{"/a/b.vtt", "text/vtt"},
		{"/a/b.ttml", "application/ttml+xml"},
		{"/a/b.jpg", "image/jpeg"},
		{"/a/b.html", "text/html"},
		{"/a/b.js", "text/javascript"},
		{"/a/b.json", "application/json"},
		{"/a/b.css", "text/css"},
		{"/a/b.torrent", "application/x-bittorrent"},
		{"/a/B.MPD", "application/dash+xml"},
		{"/a.mpd/b.ts.mp4", "video/mp4"},
		{"/a.mpd/b", "application/octet-stream"},
		{"/a.mpd/", "application/octet-stream"},
		{"/a.", "application/octet-stream"},
		{"/a.unheard", "application/octet-stream"},
		{"/mpd", "application/octet-stream"},
		{"", "application/octet-stream"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_slice got =
			spate_http_mime(spate_slice_of(rows[i][0], strlen(rows[i][0])));

		if (!spate_slice_eq(got, spate_slice_of(rows[i][1], strlen(rows[i][1]))))
			fail_msg("%s is %.*s", rows[i][0], (int)got.len, got.p);
	}
}

static void reasons(void **state)
{
	/* Every status the issue asks for has a phrase. */
	static const unsigned ours[] = {200, 204, 206, 304, 400, 403, 404, 405, 408, 412, 413,
					414, 416, 417, 431, 500, 501, 502, 503, 504, 505};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_int_not_equal(spate_http_reason(ours[i]).len, 0);
	assert_true(spate_slice_eq(spate_http_reason(416), SPATE_SLICE("Range Not Satisfiable")));
	assert_int_equal(spate_http_reason(299).len, 0);
	assert_non_null(spate_http_reason(299).p);
}

static void lists_are_walked(void **state)
{
	struct spate_slice list = SPATE_SLICE(" a ,,\tb c\t, ,d"), item;

	assert_true(spate_slice_next(&list, &item));
	assert_true(spate_slice_eq(item, SPATE_SLICE("a")));
	assert_true(spate_slice_next(&list, &item));
	assert_true(spate_slice_eq(item, SPATE_SLICE("b c")));
	assert_true(spate_slice_next(&list, &item));
	assert_true(spate_slice_eq(item, SPATE_SLICE("d")));
	assert_false(spate_slice_next(&list, &item));
}

static void numbers(void **state)
{
	uint64_t v = 0;

	assert_true(spate_slice_u64(SPATE_SLICE("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_false(spate_slice_u64(SPATE_SLICE("18446744073709551616"), &v));
	assert_false(spate_slice_u64(SPATE_SLICE(""), &v));
	assert_false(spate_slice_u64(SPATE_SLICE("1 "), &v));
	assert_false(spate_slice_u64(SPATE_SLICE("-1"), &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_types),
		cmocka_unit_test(reasons),
		cmocka_unit_test(lists_are_walked),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
