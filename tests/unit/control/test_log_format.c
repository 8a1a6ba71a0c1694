#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/log/format.h"
#include "dataplane/http/method.h"

static _Alignas(8) char mem[1024];
static char line[8192];

static struct spate_log_record *record(const char *url, const char *range, const char *agent,
				       const char *referer)
{
	struct spate_log_record *rec = (void *)mem;
	size_t n[] = {strlen(url), strlen(range), strlen(agent), strlen(referer)};
	char *p = rec->text;

	*rec = (struct spate_log_record){
		.cache = SPATE_LOG_HIT,
		.method = SPATE_HTTP_GET,
		.status = 206,
		.http_minor = 1,
		.complete = true,
		.start_us = 1709210096789999,
		.duration_us = 412,
		.origin_us = 7,
		.body_bytes = 65536,
		.peer_ip = {[10] = 0xff, 0xff, 192, 0, 2, 1},
		.peer_port = 50123,
		.url_len = (uint16_t)n[0],
		.range_len = (uint16_t)n[1],
		.agent_len = (uint16_t)n[2],
		.referer_len = (uint16_t)n[3],
	};
	p = mempcpy(p, url, n[0]);
	p = mempcpy(p, range, n[1]);
	p = mempcpy(p, agent, n[2]);
	p = mempcpy(p, referer, n[3]);
	rec->bytes = (uint16_t)((size_t)(p - mem + 7) & ~(size_t)7);
	return rec;
}

static void expect(enum spate_log_format format, const struct spate_log_record *rec,
		   const char *want)
{
	struct spate_text t = SPATE_TEXT(line, sizeof(line) - 1);

	assert_true(spate_log_format(format, rec, &t));
	line[t.len] = '\0';
	assert_string_equal(line, want);
}

static void test_json_whole(void **state)
{
	expect(SPATE_LOG_LINE_JSON, record("/v/1.m4s", "bytes=0-65535", "wrk", "http://x/"),
	       "{\"time\":\"2024-02-29T12:34:56.789Z\",\"client\":\"192.0.2.1\",\"port\":50123,"
	       "\"method\":\"GET\",\"url\":\"/v/"
	       "1.m4s\",\"http\":\"1.1\",\"status\":206,\"bytes\":65536,"
	       "\"duration_us\":412,\"cache\":\"hit\",\"origin_us\":7,\"complete\":true,"
	       "\"range\":\"bytes=0-65535\",\"user_agent\":\"wrk\",\"referer\":\"http://x/\"}\n");
}

static void test_json_leaves_out_what_was_not_sent(void **state)
{
	struct spate_log_record *rec = record("/", "", "", "");

	rec->complete = false;
	rec->http_minor = 0;
	expect(SPATE_LOG_LINE_JSON, rec,
	       "{\"time\":\"2024-02-29T12:34:56.789Z\",\"client\":\"192.0.2.1\",\"port\":50123,"
	       "\"method\":\"GET\",\"url\":\"/\",\"http\":\"1.0\",\"status\":206,\"bytes\":65536,"
	       "\"duration_us\":412,\"cache\":\"hit\",\"origin_us\":7,\"complete\":false}\n");
}

static void test_combined_whole(void **state)
{
	expect(SPATE_LOG_LINE_COMBINED, record("/v/1.m4s", "bytes=0-1", "a\"b", "http://x/"),
	       "192.0.2.1 - - [29/Feb/2024:12:34:56 +0000] \"GET /v/1.m4s HTTP/1.1\" 206 65536 "
	       "\"http://x/\" \"a\\x22b\" hit\n");
}

static void test_combined_bad_request(void **state)
{
	struct spate_log_record *rec = record("", "", "", "");

	rec->status = 400;
	rec->body_bytes = 0;
	rec->cache = SPATE_LOG_NONE;
	expect(SPATE_LOG_LINE_COMBINED, rec,
	       "192.0.2.1 - - [29/Feb/2024:12:34:56 +0000] \"-\" 400 0 \"-\" \"-\" none\n");
}

static void test_combined_shows_a_line_that_did_not_parse(void **state)
{
	struct spate_log_record *rec = record("\x16\x03 hello", "", "", "");

	rec->status = 400;
	rec->method = SPATE_HTTP_UNKNOWN;
	rec->body_bytes = 0;
	rec->cache = SPATE_LOG_NONE;
	expect(SPATE_LOG_LINE_COMBINED, rec,
	       "192.0.2.1 - - [29/Feb/2024:12:34:56 +0000] \"\\x16\\x03 hello\" 400 0 \"-\" \"-\" "
	       "none\n");
}

static void test_each_cache_verdict_has_its_name(void **state)
{
	static const char *const want[] = {"none",        "hit",   "miss", "coalesced",
					   "revalidated", "stale", "none"};

	for (unsigned i = 0; i < 7; i++)
		assert_string_equal(spate_log_cache_name(i), want[i]);
}

static void test_no_room_leaves_text_as_it_was(void **state)
{
	struct spate_log_record *rec = record("/v/1.m4s", "", "", "");
	struct spate_text t = SPATE_TEXT(line, sizeof(line));

	assert_true(spate_log_format(SPATE_LOG_LINE_JSON, rec, &t));
	size_t one = t.len;

	t.cap = 2 * one - 1;
	assert_false(spate_log_format(SPATE_LOG_LINE_JSON, rec, &t));
	assert_int_equal(t.len, one);
	t.cap = 2 * one;
	assert_true(spate_log_format(SPATE_LOG_LINE_JSON, rec, &t));
}

static void test_line_max_holds_for_the_worst_bytes(void **state)
{
	char url[900];
	struct spate_log_record *rec;
	struct spate_text t;

	memset(url, 1, sizeof(url) - 1);
	url[sizeof(url) - 1] = '\0';
	rec = record(url, "", "", "");
	memset(rec->peer_ip, 0xff, 16);
	rec->duration_us = rec->origin_us = UINT32_MAX;
	rec->body_bytes = UINT64_MAX;
	rec->status = rec->peer_port = UINT16_MAX;
	rec->http_minor = UINT8_MAX;
	t = SPATE_TEXT(line, SPATE_LOG_LINE_MAX(rec));
	assert_true(sizeof(line) >= SPATE_LOG_LINE_MAX(rec));
	assert_true(spate_log_format(SPATE_LOG_LINE_JSON, rec, &t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_whole),
		cmocka_unit_test(test_json_leaves_out_what_was_not_sent),
		cmocka_unit_test(test_combined_whole),
		cmocka_unit_test(test_combined_bad_request),
		cmocka_unit_test(test_combined_shows_a_line_that_did_not_parse),
		cmocka_unit_test(test_each_cache_verdict_has_its_name),
		cmocka_unit_test(test_no_room_leaves_text_as_it_was),
		cmocka_unit_test(test_line_max_holds_for_the_worst_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
