/* What the log says of ports whose links come and go. Devices are a word of bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/links.h"
#include "control/log/event.h"

static unsigned up, lost;
static char path[64], text[4096];
static struct spate_loop *loop;
static struct spate_links links;

static unsigned two(const struct spate_dpdk *d)
{
	return 2;
}

static bool port_look(struct spate_dpdk *d, unsigned i, const char **name)
{
	*name = i == 0 ? "first" : "second";
	return up >> i & 1;
}

static bool port_lost(const struct spate_dpdk *d, unsigned i)
{
	return lost >> i & 1;
}

static const struct spate_dpdk_ops ops = {
	.ports = two, .port_look = port_look, .port_lost = port_lost};

/* What was said since the last call. */
static const char *said(unsigned looks)
{
	static long from;
	FILE *in;
	size_t n;

	while (looks-- > 0)
		spate_links_look(&links);
	in = fopen(path, "r");
	assert_non_null(in);
	if (fseek(in, 0, SEEK_END) == 0 && ftell(in) < from)
		from = 0; /* another case's */
	assert_int_equal(fseek(in, from, SEEK_SET), 0);
	n = fread(text, 1, sizeof(text) - 1, in);
	from = ftell(in);
	fclose(in);
	text[n] = '\0';
	return text;
}

static int setup(void **state)
{
	struct spate_event_setup log = {.path = path, .level = SPATE_SEV_INFO};

	snprintf(path, sizeof(path), "/tmp/spate-test-links.%d", (int)getpid());
	if (spate_event_open(&log) != 0 || spate_loop_create(&loop, 0) != 0)
		return -1;
	up = 3;
	lost = 0;
	spate_links_watch(&links, loop, &ops, NULL);
	return 0;
}

static int teardown(void **state)
{
	spate_links_stop(&links);
	spate_loop_destroy(loop);
	spate_event_close();
	return unlink(path);
}

static void test_a_link_that_goes_and_comes_is_said_once_each(void **state)
{
	assert_string_equal(said(10), "");
	up = 1;
	assert_non_null(strstr(said(3), " port_down: A port has no link port=\"second\"\n"));
	assert_null(strstr(text, "first"));
	assert_ptr_equal(strstr(strstr(text, "port_down") + 1, "port_down"), NULL);
	up = 3;
	assert_non_null(strstr(said(3), " port_up: A port has a link again port=\"second\"\n"));
	assert_null(strstr(text, "port_down"));
	assert_string_equal(said(3), "");
}

static void test_a_link_that_is_slow_at_the_start_is_no_news(void **state)
{
	up = 0;
	assert_string_equal(said(4), "");
	up = 1;
	assert_non_null(strstr(said(1), "port=\"second\""));
	assert_null(strstr(text, "first"));
	up = 3;
	assert_non_null(strstr(said(1), "port_up"));
	assert_null(strstr(text, "first"));
}

static void test_a_lost_device_is_an_error_said_once(void **state)
{
	lost = 1;
	assert_non_null(strstr(said(1), " error port_lost: "));
	assert_non_null(strstr(text, "port=\"first\""));
	assert_null(strstr(text, "second"));
	assert_string_equal(said(9), "");
}

static void test_never_watched(void **state)
{
	struct spate_links none = {0};

	spate_links_stop(&none);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_link_that_goes_and_comes_is_said_once_each),
		T(test_a_link_that_is_slow_at_the_start_is_no_news),
		T(test_a_lost_device_is_an_error_said_once),
		cmocka_unit_test(test_never_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
