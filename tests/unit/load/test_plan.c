/* URLs, lists with hashes, and the first transfers of ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/load/plan.h"
#include "bench/load/refs.h"

static struct load_plan p;
static char why[256];

static void path_is(uint32_t i, const char *want)
{
	size_t n;
	const char *path = load_plan_path(&p, i, &n);

	assert_int_equal(n, strlen(want));
	assert_memory_equal(path, want, n);
}

static int from_urls(const char *url)
{
	const char *const urls[] = {url};
	struct load_options o = {.urls = urls, .nurls = 1};

	return load_plan_open(&p, &o, why, sizeof(why));
}

static int from_list(const char *text, enum load_verify verify)
{
	char name[] = "/tmp/spate-plan-XXXXXX";
	int fd = mkstemp(name), err;
	struct load_options o = {.url_file = name, .verify = verify};

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	err = load_plan_open(&p, &o, why, sizeof(why));
	close(fd);
	unlink(name);
	return err;
}

static void braces_count(void **state)
{
	(void)state;
	assert_int_equal(from_urls("http://h:1/a/{08..11}.m4s"), 0);
	assert_int_equal(p.n, 4);
	path_is(0, "/a/08.m4s");
	path_is(3, "/a/11.m4s");
	load_plan_close(&p);
	assert_int_equal(from_urls("http://h"), 0);
	path_is(0, "/");
	load_plan_close(&p);
	assert_int_equal(from_urls("http://h/{9..1}"), -EINVAL);
	assert_int_equal(from_urls("http://h/{x..1}"), -EINVAL);
}

static void list_with_hashes(void **state)
{
	(void)state;
	assert_int_equal(from_list("/a 00000000000000ff\n\n# no\n/b  0123456789ABCDEF\r\n",
				   LOAD_VERIFY_LIST),
			 0);
	assert_int_equal(p.n, 2);
	path_is(1, "/b");
	assert_int_equal(p.hash[0], 0xff);
	assert_int_equal(p.hash[1], 0x0123456789abcdef);
	load_plan_close(&p);
}

static void bad_lists_are_refused(void **state)
{
	(void)state;
	assert_int_equal(from_list("/a\n/b zzzz\n", LOAD_VERIFY_FIRST), -EINVAL);
	assert_non_null(strstr(why, ":2:"));
	assert_int_equal(from_list("/a\n", LOAD_VERIFY_LIST), -EINVAL);
	assert_int_equal(from_list("a\n", LOAD_VERIFY_NONE), -EINVAL);
	assert_int_equal(from_list("", LOAD_VERIFY_NONE), -EINVAL);
}

static void ranges_are_remembered(void **state)
{
	struct load_refs *t = load_refs_create();

	(void)state;
	assert_non_null(t);
	for (uint32_t i = 0; i < 5000; i++)
		assert_true(load_refs_same(t, i % 50, i, i + 9, i * 31));
	for (uint32_t i = 0; i < 5000; i++) {
		assert_true(load_refs_same(t, i % 50, i, i + 9, i * 31));
		assert_false(load_refs_same(t, i % 50, i, i + 9, i * 31 + 1));
	}
	load_refs_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(braces_count),
		cmocka_unit_test(list_with_hashes),
		cmocka_unit_test(bad_lists_are_refused),
		cmocka_unit_test(ranges_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
