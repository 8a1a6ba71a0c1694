#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/log/event.h"

#define NOW 1709210096789999

static const struct spate_field fields[] = {
	SPATE_F_STR("origin", "a \"b\"\n"),
	SPATE_F_STRN("url", "/x/yz", 2),
	SPATE_F_U64("waited_ms", 5),
	SPATE_F_I64("left", -1),
	SPATE_F_ERR(-2),
	{0},
};

static void expect(bool json, uint64_t suppressed, const char *want)
{
	char buf[512];
	struct spate_text t = SPATE_TEXT(buf, sizeof(buf) - 1);

	spate_event_format(&t, json, NOW, SPATE_EVENT_origin_timeout, fields, suppressed);
	buf[t.len] = '\0';
	assert_string_equal(buf, want);
}

static void test_text_line(void **state)
{
	expect(false, 3,
	       "2024-02-29T12:34:56.789Z warn origin_timeout: Origin did not answer in time "
	       "suppressed=3 "
	       "origin=\"a \\\"b\\\"\\n\" url=\"/x\" waited_ms=5 left=-1 error=\"No such file or "
	       "directory\"");
}

static void test_json_line(void **state)
{
	expect(true, 0,
	       "{\"time\":\"2024-02-29T12:34:56.789Z\",\"level\":\"warn\",\"event\":\"origin_"
	       "timeout\","
	       "\"text\":\"Origin did not answer in time\",\"origin\":\"a "
	       "\\\"b\\\"\\n\",\"url\":\"/x\","
	       "\"waited_ms\":5,\"left\":-1,\"error\":\"No such file or directory\"}");
}

static void test_fields_that_do_not_fit_are_left_out_whole(void **state)
{
	char buf[152];
	struct spate_text t = SPATE_TEXT(buf, sizeof(buf));

	spate_event_format(&t, true, NOW, SPATE_EVENT_origin_timeout, fields, 0);
	assert_int_equal(buf[t.len - 1], '}');
	assert_non_null(memmem(buf, t.len, "\"origin\":", 9));
	assert_null(memmem(buf, t.len, "waited", 6));
}

/* The event log of the process, over a file. */
struct file {
	char path[64], text[32768];
};

static void open_log(struct file *f, enum spate_event_sev level)
{
	snprintf(f->path, sizeof(f->path), "/tmp/spate-test-event.%d", (int)getpid());
	unlink(f->path);
	assert_int_equal(
		spate_event_open(&(struct spate_event_setup){.path = f->path, .level = level}), 0);
}

static unsigned lines(struct file *f)
{
	FILE *in = fopen(f->path, "r");
	size_t n = in == NULL ? 0 : fread(f->text, 1, sizeof(f->text) - 1, in);
	unsigned count = 0;

	if (in != NULL)
		fclose(in);
	f->text[n] = '\0';
	for (const char *p = f->text; (p = strchr(p, '\n')) != NULL; p++)
		count++;
	return count;
}

static void close_log(struct file *f)
{
	spate_event_close();
	unlink(f->path);
}

static void test_level_filters(void **state)
{
	struct file f;

	open_log(&f, SPATE_SEV_WARN);
	spate_event(ready);          /* info */
	spate_event(origin_timeout); /* warn */
	spate_event(port_lost);      /* error */
	assert_int_equal(lines(&f), 2);
	close_log(&f);
}

static void test_a_flood_of_one_event_is_thinned(void **state)
{
	struct file f;

	open_log(&f, SPATE_SEV_INFO);
	for (int i = 0; i < 1000; i++)
		spate_event(origin_timeout, SPATE_F_U64("i", i));
	spate_event(ready); /* another event has its own budget */
	unsigned n = lines(&f);

	/* The clock may pass into a next second or two on a slow host. */
	assert_in_range(n, SPATE_EVENT_BURST + 1, 10 * SPATE_EVENT_BURST);
	assert_non_null(strstr(f.text, " ready: "));
	close_log(&f);
}

static void test_reopen_follows_rotation(void **state)
{
	struct file f;
	char old[80];

	open_log(&f, SPATE_SEV_INFO);
	spate_event(ready);
	snprintf(old, sizeof(old), "%s.1", f.path);
	assert_int_equal(rename(f.path, old), 0);
	assert_int_equal(spate_event_reopen(), 0);
	spate_event(stopped);
	assert_int_equal(lines(&f), 1);
	assert_non_null(strstr(f.text, "stopped"));
	unlink(old);
	close_log(&f);
}

static void test_levels_by_name(void **state)
{
	assert_int_equal(spate_event_sev_of("error"), SPATE_SEV_ERROR);
	assert_int_equal(spate_event_sev_of("debug"), SPATE_SEV_DEBUG);
	assert_true(spate_event_sev_of("loud") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_line),
		cmocka_unit_test(test_json_line),
		cmocka_unit_test(test_fields_that_do_not_fit_are_left_out_whole),
		cmocka_unit_test(test_level_filters),
		cmocka_unit_test(test_a_flood_of_one_event_is_thinned),
		cmocka_unit_test(test_reopen_follows_rotation),
		cmocka_unit_test(test_levels_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
