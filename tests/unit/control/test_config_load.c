/* What a good configuration becomes. */
#include "tests/unit/control/config.h"

#include <arpa/inet.h>

#define ORIGIN "origins: [{dir: /srv}]\n"

static void test_defaults_fill_what_is_left_out(void **state)
{
	struct spate_config *c = load_good(ORIGIN);

	assert_int_equal(c->listen_count, 1);
	assert_string_equal(c->listen[0].text, "0.0.0.0:8080");
	assert_int_equal(c->listen[0].port, 8080);
	assert_int_equal(c->backend, SPATE_BACKEND_SOCKETS);
	assert_int_equal(c->cache.memory_bytes, 1ull << 30);
	assert_int_equal(c->cache.block_bytes, 16384);
	assert_string_equal(c->cache.disk.path, "");
	assert_int_equal(c->admin_count, 1);
	assert_string_equal(c->log.access, "off");
	assert_int_equal(c->timeouts.connect_ms, 3000);
	assert_int_equal(c->dpdk.ports_count, 0);
	spate_config_free(c);
}

static void test_the_configuration_of_the_design(void **state)
{
	struct spate_config *c =
		load_good("listen:   [\"0.0.0.0:8080\", \"[::]:8080\"]\n"
			  "backend:  sockets                   # or dpdk\n"
			  "workers:  2\n"
			  "cache:    {memory: 2GiB, disk: {path: /var/lib/spate, size: 200GiB}}\n"
			  "origins:\n"
			  "  - {match: \"/\", url: \"http://127.0.0.1:9000\"}\n"
			  "  - {match: \"/vod\", dir: /srv/video}\n"
			  "admin:    \"127.0.0.1:9090\"\n"
			  "log:      {access: stdout, format: combined}\n"
			  "dpdk:\n"
			  "  eal:    [\"--no-pci\", \"--vdev=net_af_packet0,iface=veth0\"]\n"
			  "  ports:  [{addresses: [\"10.0.0.1/24\", \"fd00::1/64\"], "
			  "gateway: \"10.0.0.254\", "
			  "routes: [\"10.8.0.0/16 via 10.0.0.253\", \"10.0.0.0/8 via "
			  "10.0.0.252\"], routers: advertised, cores: [0, 3]}]\n");

	assert_int_equal(c->listen_count, 2);
	assert_true(c->listen[1].v6);
	assert_int_equal(c->workers, 2);
	assert_int_equal(c->cache.memory_bytes, 2ull << 30);
	assert_string_equal(c->cache.disk.path, "/var/lib/spate");
	assert_int_equal(c->cache.disk.size_bytes, 200ull << 30);
	assert_int_equal(c->origins_count, 2);
	assert_string_equal(c->origins[0].host, "127.0.0.1");
	assert_string_equal(c->origins[0].authority, "127.0.0.1:9000");
	assert_int_equal(c->origins[0].port, 9000);
	assert_null(c->origins[0].dir);
	assert_string_equal(c->origins[1].match, "/vod");
	assert_string_equal(c->origins[1].dir, "/srv/video");
	assert_null(c->origins[1].url);
	assert_int_equal(c->origins[1].where.line, 7);
	assert_int_equal(c->origins[1].where.col, 5);
	assert_int_equal(c->log.format, SPATE_LOG_COMBINED);
	assert_int_equal(c->dpdk.eal_count, 2);
	assert_string_equal(c->dpdk.eal[1], "--vdev=net_af_packet0,iface=veth0");
	assert_int_equal(c->dpdk.ports_count, 1);
	assert_int_equal(c->dpdk.ports[0].addresses[1].prefix, 64);
	assert_int_equal(c->dpdk.ports[0].gateways_count, 1);
	assert_int_equal(c->dpdk.ports[0].routes_count, 2); /* the link may be a part of it */
	assert_int_equal(c->dpdk.ports[0].routes[0].prefix, 16);
	assert_memory_equal(c->dpdk.ports[0].routes[0].ip + 12, "\x0a\x08\0\0", 4);
	assert_memory_equal(c->dpdk.ports[0].routes[0].via + 12, "\x0a\0\0\xfd", 4);
	assert_int_equal(c->dpdk.ports[0].routers, SPATE_ROUTERS_ADVERTISED);
	assert_int_equal(c->dpdk.ports[0].cores[1], 3);
	spate_config_free(c);
}

static void test_ipv4_is_kept_as_mapped_ipv6(void **state)
{
	struct spate_config *c = load_good(ORIGIN "listen: 192.0.2.7:80\n");
	uint8_t want[16];

	inet_pton(AF_INET6, "::ffff:192.0.2.7", want);
	assert_memory_equal(c->listen[0].ip, want, 16);
	assert_false(c->listen[0].v6);
	spate_config_free(c);
}

static void test_units(void **state)
{
	struct spate_config *c =
		load_good(ORIGIN "cache: {memory: 8388608, block: 64KiB}\n"
				 "limits: {object: 1 MiB}\n"
				 "timeouts: {header: 250ms, idle: 2m, drain: 1h, send: 7s}\n");

	assert_int_equal(c->cache.memory_bytes, 8 << 20);
	assert_int_equal(c->cache.block_bytes, 65536);
	assert_int_equal(c->limits.object_bytes, 1 << 20);
	assert_int_equal(c->timeouts.header_ms, 250);
	assert_int_equal(c->timeouts.idle_ms, 120000);
	assert_int_equal(c->timeouts.drain_ms, 3600000);
	assert_int_equal(c->timeouts.send_ms, 7000);
	spate_config_free(c);
}

static void test_base_path_of_an_origin_loses_its_last_slash(void **state)
{
	struct spate_config *c = load_good("origins: [{url: \"http://o.example/video/\"}]\n");

	assert_string_equal(c->origins[0].base, "/video");
	assert_string_equal(c->origins[0].authority, "o.example");
	assert_int_equal(c->origins[0].port, 80);
	spate_config_free(c);
}

static void test_ipv6_origin(void **state)
{
	struct spate_config *c = load_good("origins: [{url: \"http://[2001:db8::1]:81\"}]\n");

	assert_string_equal(c->origins[0].host, "2001:db8::1");
	assert_string_equal(c->origins[0].authority, "[2001:db8::1]:81");
	assert_string_equal(c->origins[0].base, "");
	assert_int_equal(c->origins[0].port, 81);
	spate_config_free(c);
}

static void test_an_origin_on_this_host_is_not_the_edge(void **state)
{
	struct spate_config *c = load_good("listen: \"192.0.2.1:80\"\norigins:\n"
					   "  - {match: /a, url: \"http://127.0.0.1:80\"}\n"
					   "  - {match: /b, url: \"http://192.0.2.1:81\"}\n"
					   "  - {match: /c, url: \"http://localhost:80\"}\n");

	assert_int_equal(c->origins_count, 3);
	spate_config_free(c);
}

static void test_admin_off(void **state)
{
	struct spate_config *c = load_good(ORIGIN "admin: off\n");

	assert_int_equal(c->admin_count, 0);
	spate_config_free(c);
}

static void test_empty_sections_are_defaults(void **state)
{
	struct spate_config *c = load_good(ORIGIN "cache:\nlog: ~\ntimeouts: {}\n");

	assert_int_equal(c->cache.memory_bytes, 1ull << 30);
	spate_config_free(c);
}

static void test_texts_survive_the_canonical_form(void **state)
{
	struct spate_config *c =
		load_good("origins: [{dir: \"/srv/a \\\"b\\\" \\\\ {c}: ü€𝄞\"}]\n");

	assert_string_equal(c->origins[0].dir, "/srv/a \"b\" \\ {c}: ü€𝄞");
	spate_config_free(c);
}

static void test_an_alias_is_its_anchor(void **state)
{
	struct spate_config *c = load_good("origins: [{dir: /srv}]\n"
					   "timeouts: {header: &t 5s, idle: *t}\n");

	assert_int_equal(c->timeouts.idle_ms, 5000);
	spate_config_free(c);
}

static void test_command_line_wins_over_the_file(void **state)
{
	struct spate_config_overrides ov = {.count = 5,
					    .set = {{"cache.memory", "64MiB", "--memory"},
						    {"listen", "127.0.0.1:1", "--listen"},
						    {"listen", "127.0.0.1:2", "--listen"},
						    {"origins", "http://h:1/b", "--origin"},
						    {"origins", "/live=/srv/live", "--origin"}}};
	struct spate_config_report r;
	struct spate_config *c = load_with(
		"cache: {memory: 2GiB}\nlisten: \"1.1.1.1:1\"\norigins: [{dir: /x}]\n", &ov, &r);

	assert_string_equal(r.text, "");
	assert_int_equal(c->cache.memory_bytes, 64 << 20);
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(c->listen[1].text, "127.0.0.1:2");
	assert_int_equal(c->origins_count, 2);
	assert_string_equal(c->origins[0].url, "http://h:1/b");
	assert_string_equal(c->origins[1].match, "/live");
	assert_string_equal(c->origins[1].dir, "/srv/live");
	spate_config_free(c);
}

static void test_no_file_needs_only_an_origin(void **state)
{
	struct spate_config_overrides ov = {.count = 1, .set = {{"origins", "dir", "--origin"}}};
	struct spate_config_report r;
	struct spate_config *c = load_with(NULL, &ov, &r);

	assert_string_equal(r.text, "");
	assert_string_equal(c->origins[0].match, "/");
	assert_string_equal(c->origins[0].dir, "dir");
	spate_config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_fill_what_is_left_out),
		cmocka_unit_test(test_the_configuration_of_the_design),
		cmocka_unit_test(test_ipv4_is_kept_as_mapped_ipv6),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_base_path_of_an_origin_loses_its_last_slash),
		cmocka_unit_test(test_ipv6_origin),
		cmocka_unit_test(test_an_origin_on_this_host_is_not_the_edge),
		cmocka_unit_test(test_admin_off),
		cmocka_unit_test(test_empty_sections_are_defaults),
		cmocka_unit_test(test_texts_survive_the_canonical_form),
		cmocka_unit_test(test_an_alias_is_its_anchor),
		cmocka_unit_test(test_command_line_wins_over_the_file),
		cmocka_unit_test(test_no_file_needs_only_an_origin),
	};

	return cmocka_run_group_tests_name("config load", tests, NULL, NULL);
}
