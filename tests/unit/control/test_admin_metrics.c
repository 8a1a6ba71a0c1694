/* /metrics against the rules of text format 0.0.4, as `promtool check metrics` would read it. */
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

static struct spate_stats worker[2], control;
static const struct spate_stats *workers[2] = {&worker[0], &worker[1]};
static struct spate_view view;
static char text[1 << 18];

static int setup(void **state)
{
	memset(worker, 0, sizeof(worker));
	memset(&control, 0, sizeof(control));
	view = (struct spate_view){.version = "1.0-\"x\\\n",
				   .backend = "sockets",
				   .start_s = 1709210096,
				   .workers = workers,
				   .nworkers = 2,
				   .control = &control};
	return 0;
}

static const char *metrics(void)
{
	struct spate_text t = SPATE_TEXT(text, sizeof(text) - 1);

	spate_metrics_format(&view, &t);
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

static bool has_line(const char *want)
{
	char line[256];

	snprintf(line, sizeof(line), "\n%s\n", want);
	return strstr(metrics(), line) != NULL;
}

static void test_totals_add_all_threads_and_workers_stand_apart(void **state)
{
	SPATE_COUNT_N(&worker[0], http_requests, 3);
	SPATE_COUNT_N(&worker[1], http_requests, 4);
	SPATE_COUNT_N(&worker[1], log_dropped, 1);
	SPATE_COUNT_N(&control, log_dropped, 10);
	SPATE_COUNT_N(&control, origin_requests, 9);
	SPATE_COUNT_N(&worker[1], conn_open, 5);
	assert_true(has_line("spate_http_requests_total 7"));
	assert_true(has_line("spate_worker_http_requests_total{worker=\"0\"} 3"));
	assert_true(has_line("spate_worker_http_requests_total{worker=\"1\"} 4"));
	assert_true(has_line("spate_log_dropped_total 11"));
	assert_true(has_line("spate_origin_requests_total 9"));
	assert_null(strstr(metrics(), "spate_worker_origin_"));
	assert_true(has_line("spate_conn_open 5")); /* a gauge has no _total */
}

static void test_cache_and_build_info(void **state)
{
	view.cache.bytes_limit = 1 << 20;
	view.cache.blocks_used = 17;
	view.draining = true;
	assert_true(has_line("spate_cache_limit_bytes 1048576"));
	assert_true(has_line("spate_cache_blocks_used 17"));
	assert_true(has_line("spate_draining 1"));
	assert_true(
		has_line("spate_build_info{version=\"1.0-\\\"x\\\\\\n\",backend=\"sockets\"} 1"));
}

static void test_tcp_counters_only_where_they_count(void **state)
{
	assert_null(strstr(metrics(), "spate_tcp_"));
	view.backend = "dpdk";
	assert_non_null(strstr(metrics(), "spate_tcp_"));
}

static void test_ports_are_told_apart(void **state)
{
	assert_null(strstr(metrics(), "spate_port_"));
	view.nports = 2;
	view.port[0] = (struct spate_view_port){"net_tap0", {.link_up = true, .rx_missed = 3}};
	view.port[1] = (struct spate_view_port){"net_tap1", {.buffers_used = 4096, .lost = true}};
	assert_true(has_line("spate_port_link_up{port=\"net_tap0\"} 1"));
	assert_true(has_line("spate_port_link_up{port=\"net_tap1\"} 0"));
	assert_true(has_line("spate_port_lost{port=\"net_tap0\"} 0"));
	assert_true(has_line("spate_port_lost{port=\"net_tap1\"} 1"));
	assert_true(has_line("spate_port_rx_missed_total{port=\"net_tap0\"} 3"));
	assert_true(has_line("spate_port_buffers_used{port=\"net_tap1\"} 4096"));
}

static bool legal_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(isalpha((unsigned char)s[i]) || s[i] == '_' || s[i] == ':' ||
		      (i > 0 && isdigit((unsigned char)s[i]))))
			return false;
	return n > 0;
}

/* Every family: HELP, TYPE, then its samples, once in the whole text; counters end in _total,
 * gauges do not. */
static void test_exposition_format(void **state)
{
	char name[128] = "", type[16] = "", want[160];
	char seen[1 << 16] = " ";
	char *line, *save = NULL, *copy;
	enum { SAMPLES, HELP, TYPE } last = SAMPLES;
	unsigned families = 0;

	view.backend = "dpdk";
	view.nports = 2;
	view.port[0].name = "0000:3b:00.0";
	view.port[1].name = "net_tap0";
	copy = strdup(metrics());
	assert_int_equal(copy[strlen(copy) - 1], '\n');
	assert_null(strstr(copy, "\n\n"));
	for (line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_int_equal(last, SAMPLES);
			assert_int_equal(sscanf(line, "# HELP %127s %*c", name), 1);
			assert_true(strlen(line) > 7 + strlen(name) + 1); /* there is a sentence */
			assert_true(legal_name(name, strlen(name)));
			snprintf(want, sizeof(want), " %s ", name);
			assert_null(strstr(seen, want)); /* HELP once */
			strcat(seen, want + 1);
			last = HELP;
			families++;
		} else if (strncmp(line, "# TYPE ", 7) == 0) {
			char of[128];

			assert_int_equal(last, HELP);
			assert_int_equal(sscanf(line, "# TYPE %127s %15s", of, type), 2);
			assert_string_equal(of, name);
			bool total =
				strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;

			assert_string_equal(type, total ? "counter" : "gauge");
			last = TYPE;
		} else {
			size_t n = strcspn(line, "{ ");
			char *end;

			assert_true(last != HELP);
			assert_int_equal(n, strlen(name));
			assert_memory_equal(line, name, n);
			if (line[n] == '{')
				assert_true(strchr(line, '}') != NULL);
			strtod(strrchr(line, ' ') + 1, &end);
			assert_int_equal(*end, '\0');
			last = SAMPLES;
		}
	}
	assert_int_equal(last, SAMPLES);
	assert_true(families > spate_counters_len);
	free(copy);
}

static void test_no_room_is_said(void **state)
{
	char small[100];
	struct spate_text t = SPATE_TEXT(small, sizeof(small));

	spate_metrics_format(&view, &t);
	assert_true(t.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_totals_add_all_threads_and_workers_stand_apart, setup),
		cmocka_unit_test_setup(test_cache_and_build_info, setup),
		cmocka_unit_test_setup(test_tcp_counters_only_where_they_count, setup),
		cmocka_unit_test_setup(test_ports_are_told_apart, setup),
		cmocka_unit_test_setup(test_exposition_format, setup),
		cmocka_unit_test_setup(test_no_room_is_said, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
