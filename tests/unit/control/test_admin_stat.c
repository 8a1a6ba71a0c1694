#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/admin/view.h"
#include "control/config/config.h"

static struct spate_stats worker[2], control;
static const struct spate_stats *workers[2] = {&worker[0], &worker[1]};
static struct spate_view view;
static char text[1 << 18];

static int setup(void **state)
{
	memset(worker, 0, sizeof(worker));
	memset(&control, 0, sizeof(control));
	view = (struct spate_view){.version = "1.0",
				   .backend = "sockets",
				   .start_s = 1709210096,
				   .uptime_ms = 61007,
				   .workers = workers,
				   .nworkers = 2,
				   .control = &control};
	return 0;
}

static const char *stat_text(void)
{
	struct spate_text t = SPATE_TEXT(text, sizeof(text) - 1);

	spate_stat_format(&view, &t);
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

/* One JSON value (RFC 8259), or NULL. Enough of a reader to see a comma too many. */
static const char *value(const char *p)
{
	char open = *p, close = open == '{' ? '}' : ']';

	if (open == '"') {
		for (p++; *p != '"'; p++)
			if (*p == '\0' || (*p == '\\' && *++p == '\0'))
				return NULL;
		return p + 1;
	}
	if (open == '{' || open == '[') {
		if (*++p == close)
			return p + 1;
		for (;; p++) {
			if (open == '{' && (*p != '"' || (p = value(p)) == NULL || *p++ != ':'))
				return NULL;
			p = value(p);
			if (p == NULL || *p == close)
				return p == NULL ? NULL : p + 1;
			if (*p != ',')
				return NULL;
		}
	}
	size_t n = strspn(p, "0123456789.-truefalsn");

	return n == 0 ? NULL : p + n;
}

static void test_is_one_json_object(void **state)
{
	assert_string_equal(value(stat_text()), "\n");
	view.nworkers = 0;
	assert_string_equal(value(stat_text()), "\n");
}

static void test_says_who_counted_what(void **state)
{
	SPATE_COUNT_N(&worker[0], http_hit, 3);
	SPATE_COUNT_N(&worker[1], http_hit, 4);
	SPATE_COUNT_N(&control, origin_bytes, 99);
	view.draining = true;
	const char *s = stat_text();

	assert_non_null(strstr(strstr(s, "\"total\":{"), "\"http_hit\":7"));
	assert_non_null(strstr(strstr(s, "{\"id\":0,"), "\"http_hit\":3"));
	assert_non_null(strstr(strstr(s, "{\"id\":1,"), "\"http_hit\":4"));
	assert_non_null(strstr(strstr(s, "\"control\":{"), "\"origin_bytes\":99"));
	assert_non_null(strstr(s, "\"uptime_s\":61.007,"));
	assert_non_null(strstr(s, "\"start\":\"2024-02-29T12:34:56.000Z\""));
	assert_non_null(strstr(s, "\"state\":\"draining\""));
}

static void test_shows_configuration_and_origins(void **state)
{
	struct spate_config *cfg = NULL;
	struct spate_config_report *report = calloc(1, sizeof(*report));
	static const char yaml[] = "listen: [\"127.0.0.1:8080\"]\n"
				   "origins:\n"
				   "  - {match: \"/live\", url: \"http://127.0.0.1:9000\"}\n"
				   "  - {match: \"/\", dir: /srv/video}\n";

	assert_int_equal(spate_config_parse("t", yaml, sizeof(yaml) - 1, NULL, &cfg, report), 0);
	view.config = cfg;
	const char *s = stat_text();

	assert_string_equal(value(s), "\n");
	assert_non_null(strstr(s, "\"listen\":[\"127.0.0.1:8080\"]"));
	assert_non_null(strstr(s, "\"backend\":\"sockets\""));
	assert_non_null(
		strstr(strstr(s, "\"cache\":{\"memory_bytes\":"), "\"disk\":{\"path\":\"\""));
	assert_non_null(strstr(strstr(s, "\"timeouts\":{"), "\"idle_ms\":60000"));
	assert_non_null(strstr(s, "{\"match\":\"/live\",\"url\":\"http://127.0.0.1:9000\"}"));
	assert_non_null(strstr(s, "{\"match\":\"/\",\"dir\":\"/srv/video\"}"));
	spate_config_free(cfg);
	free(report);
}

/* What peers say that they sent to each other, of what they say that they got. */
static void test_offload(void **state)
{
	(void)state;
	assert_non_null(strstr(stat_text(), "\"p2p_offload_percent\":0"));
	worker[0].tracker_downloaded_bytes = 300;
	worker[1].tracker_downloaded_bytes = 100;
	worker[1].tracker_uploaded_bytes = 300;
	assert_non_null(strstr(stat_text(), "\"p2p_offload_percent\":75"));
	worker[1].tracker_uploaded_bytes = 900; /* they may lie */
	assert_non_null(strstr(stat_text(), "\"p2p_offload_percent\":100"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_is_one_json_object, setup),
		cmocka_unit_test_setup(test_offload, setup),
		cmocka_unit_test_setup(test_says_who_counted_what, setup),
		cmocka_unit_test_setup(test_shows_configuration_and_origins, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
