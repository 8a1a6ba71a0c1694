/* test_bencode.c: what is read, what is refused, and that what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/bencode.h"

static bool whole(const char *text)
{
	struct spate_bdec d;

	spate_bdec_init(&d, text, strlen(text));
	return spate_bdec_skip(&d) && d.p == d.end;
}

static void test_values(void **state)
{
	(void)state;
	assert_true(whole("i0e"));
	assert_true(whole("i-42e"));
	assert_true(whole("0:"));
	assert_true(whole("4:spam"));
	assert_true(whole("le"));
	assert_true(whole("d1:ad1:bli1e2:xxeee"));
	assert_true(whole("i9223372036854775807e"));
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"",
					  "i",
					  "ie",
					  "i-e",
					  "i-0e",
					  "i01e",
					  "i1",
					  "5:abc",
					  "01:a",
					  "-1:a",
					  "d",
					  "l",
					  "e",
					  "x",
					  "i9223372036854775808e",
					  "99999999999999999999:a",
					  "d1:a",
					  "li1e"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(whole(bad[i]));
}

static void test_depth_is_bounded(void **state)
{
	char deep[2 * SPATE_BDEC_DEPTH + 3];

	(void)state;
	for (unsigned n = SPATE_BDEC_DEPTH; n <= SPATE_BDEC_DEPTH + 1; n++) {
		memset(deep, 'l', n);
		memset(deep + n, 'e', n);
		deep[2 * n] = 0;
		assert_int_equal(whole(deep), n == SPATE_BDEC_DEPTH);
	}
}

static void test_dictionary(void **state)
{
	const char *text = "d1:md6:ut_pexi2e3:xyzli1ei2eee1:v5:clnt1e";
	struct spate_bdec d;
	struct spate_bstr key, v = {0};
	int64_t pex = 0;

	(void)state;
	spate_bdec_init(&d, text, strlen(text));
	assert_true(spate_bdec_dict(&d));
	while (spate_bdec_more(&d)) {
		spate_bdec_str(&d, &key);
		if (spate_bstr_is(&key, "m") && spate_bdec_dict(&d)) {
			while (spate_bdec_more(&d)) {
				spate_bdec_str(&d, &key);
				if (spate_bstr_is(&key, "ut_pex"))
					spate_bdec_int(&d, &pex);
				else
					spate_bdec_skip(&d);
			}
		} else {
			spate_bdec_str(&d, &v);
		}
	}
	assert_true(spate_bdec_ok(&d));
	assert_int_equal(pex, 2);
	assert_true(spate_bstr_is(&v, "clnt1"));
}

/* A failed cursor ends every loop over it. */
static void test_failure_stays(void **state)
{
	struct spate_bdec d;
	struct spate_bstr s;

	(void)state;
	spate_bdec_init(&d, "d9:short", 8);
	assert_true(spate_bdec_dict(&d));
	assert_true(spate_bdec_more(&d));
	assert_false(spate_bdec_str(&d, &s));
	assert_false(spate_bdec_more(&d));
	assert_false(spate_bdec_ok(&d));
}

static void test_written(void **state)
{
	uint8_t out[64];
	struct spate_benc e;

	(void)state;
	spate_benc_init(&e, out, sizeof(out));
	spate_benc_dict(&e);
	spate_benc_text(&e, "n");
	spate_benc_int(&e, INT64_MIN);
	spate_benc_text(&e, "p");
	spate_benc_list(&e);
	spate_benc_int(&e, 0);
	spate_benc_end(&e);
	spate_benc_end(&e);
	assert_false(e.full);
	assert_int_equal(e.len, strlen("d1:ni-9223372036854775808e1:pli0eee"));
	assert_memory_equal(out, "d1:ni-9223372036854775808e1:pli0eee", e.len);
}

static void test_what_does_not_fit(void **state)
{
	uint8_t out[5];
	struct spate_benc e;

	(void)state;
	spate_benc_init(&e, out, sizeof(out));
	spate_benc_text(&e, "abc");
	assert_false(e.full);
	spate_benc_text(&e, "");
	assert_true(e.full);
	assert_null(spate_benc_room(&e, SIZE_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_failure_stays),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_what_does_not_fit),
	};

	return cmocka_run_group_tests_name("bt-bencode", tests, NULL, NULL);
}
