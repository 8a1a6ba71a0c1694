/* What a reload can apply, and what needs a new process; and reloading itself. */
#include "tests/unit/control/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BASE "origins: [{dir: /srv}]\n"

static struct spate_config_changes diff(const char *old, const char *next)
{
	struct spate_config *a = load_good(old), *b = load_good(next);
	struct spate_config_changes changes;

	spate_config_diff(a, b, &changes);
	spate_config_free(a);
	spate_config_free(b);
	return changes;
}

static void test_the_same_values_written_differently_are_no_change(void **state)
{
	struct spate_config_changes c = diff(
		BASE,
		"# moved\n\norigins:\n  - dir: /srv\n    match: \"/\"\nlisten: [\"0.0.0.0:8080\"]\n"
		"timeouts: {idle: 1m}\ncache: {memory: 1024MiB}\n");

	assert_int_equal(c.reload, 0);
	assert_int_equal(c.restart, 0);
}

static void test_origins_timeouts_limits_and_log_are_reloaded(void **state)
{
	struct spate_config_changes c =
		diff(BASE,
		     "origins: [{url: \"http://h\"}]\ntimeouts: {idle: 1s}\nlimits: {requests: 5}\n"
		     "log: {access: stdout}\n");

	assert_string_equal(c.reload_names, "origins, log.access, timeouts.idle, limits.requests");
	assert_int_equal(c.reload, 4);
	assert_int_equal(c.restart, 0);
}

static void test_listen_workers_and_memory_need_a_restart(void **state)
{
	struct spate_config_changes c =
		diff(BASE, BASE "listen: \"0.0.0.0:81\"\nworkers: 2\ncache: {memory: 2GiB}\n");

	assert_string_equal(c.restart_names, "listen, workers, cache.memory");
	assert_int_equal(c.reload, 0);
}

#ifdef SPATE_HAVE_DPDK
/* Our own TCP's memory is reserved at the start. */
static void test_more_connections_need_a_restart_on_dpdk(void **state)
{
#define LIMIT(n)                                                                  \
	BASE "listen: \"0.0.0.0:81\"\nbackend: dpdk\ndpdk: {ports: [{addresses: " \
	     "[10.0.0.1/24]}]}\n"                                                 \
	     "limits: {connections: " n "}\n"
	assert_string_equal(diff(LIMIT("100"), LIMIT("101")).restart_names, "limits.connections");
	assert_string_equal(diff(LIMIT("100"), LIMIT("99")).reload_names, "limits.connections");
#undef LIMIT
}
#endif

static void test_every_part_of_a_port_counts(void **state)
{
	static const char port[] =
		BASE "dpdk: {eal: [a], ports: [{addresses: [10.0.0.1/24], cores: [1]}]}\n";

	assert_int_equal(diff(port, port).restart, 0);
	assert_string_equal(
		diff(port,
		     BASE "dpdk: {eal: [a], ports: [{addresses: [10.0.0.1/25], cores: [1]}]}\n")
			.restart_names,
		"dpdk.ports");
	assert_string_equal(
		diff(port,
		     BASE "dpdk: {eal: [a], ports: [{addresses: [10.0.0.1/24], cores: [2]}]}\n")
			.restart_names,
		"dpdk.ports");
	assert_string_equal(
		diff(port,
		     BASE "dpdk: {eal: [b], ports: [{addresses: [10.0.0.1/24], cores: [1]}]}\n")
			.restart_names,
		"dpdk.eal");
}

static void test_the_way_of_a_route_counts(void **state)
{
#define ROUTE(via) \
	BASE "dpdk: {ports: [{addresses: [10.0.0.1/24], routes: [10.8.0.0/16 via " via "]}]}\n"
	assert_int_equal(diff(ROUTE("10.0.0.2"), ROUTE("10.0.0.2")).restart, 0);
	assert_string_equal(diff(ROUTE("10.0.0.2"), ROUTE("10.0.0.3")).restart_names, "dpdk.ports");
#undef ROUTE
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_a_reload_reads_the_file_again_under_the_same_command_line(void **state)
{
	struct spate_config_overrides ov = {.count = 1, .set = {{"workers", "3", "--workers"}}};
	struct spate_config_report r = {0};
	struct spate_config *old, *next;
	char path[] = "/tmp/spate-test-XXXXXX";

	close(mkstemp(path));
	write_file(path, BASE "timeouts: {idle: 1s}\n");
	assert_int_equal(spate_config_load(path, &ov, &old, &r), 0);
	write_file(path, BASE "timeouts: {idle: 2s}\nworkers: 2\n");
	assert_int_equal(spate_config_reload(old, &next, &r), 0);
	assert_int_equal(next->workers, 3);
	assert_int_equal(next->timeouts.idle_ms, 2000);
	assert_string_equal(next->path, path);
	unlink(path);
	spate_config_free(old);
	spate_config_free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_values_written_differently_are_no_change),
		cmocka_unit_test(test_origins_timeouts_limits_and_log_are_reloaded),
		cmocka_unit_test(test_listen_workers_and_memory_need_a_restart),
#ifdef SPATE_HAVE_DPDK
		cmocka_unit_test(test_more_connections_need_a_restart_on_dpdk),
#endif
		cmocka_unit_test(test_every_part_of_a_port_counts),
		cmocka_unit_test(test_the_way_of_a_route_counts),
		cmocka_unit_test(test_a_reload_reads_the_file_again_under_the_same_command_line),
	};

	return cmocka_run_group_tests_name("config diff", tests, NULL, NULL);
}
