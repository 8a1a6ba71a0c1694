/* What is refused, and the one line that says so. */
#include "tests/unit/control/config.h"

#define ORIGIN "origins: [{dir: /srv}]\n"

/* One mistake a row; every text is whole files, so that lines and columns are checked too. */
static const struct {
	const char *text, *finding;
} cases[] = {
	/* YAML itself */
	{"listen: [\n",
	 "t.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node)"},
	{"a: b: c\n", "t.yaml:1:5: not YAML: mapping values are not allowed in this context"},
	{ORIGIN "---\nworkers: 2\n",
	 "t.yaml:3:1: a second document: one file is one configuration"},
	{"- a\n", "t.yaml:1:1: expected keys and values such as \"workers: 1\", found a list"},
	{"just words\n",
	 "t.yaml:1:1: expected keys and values such as \"workers: 1\", found a single value"},
	{"workers: 1\n\x01\n", "t.yaml: not YAML: control characters are not allowed at byte 11"},
	/* keys */
	{ORIGIN "worker: 2\n",
	 "t.yaml:2:1: unknown key \"worker\": the nearest known one is \"workers\""},
	{ORIGIN "cache: {memroy: 2GiB}\n",
	 "t.yaml:2:9: unknown key \"memroy\" in cache: the nearest known one is \"memory\""},
	{ORIGIN "memory: 2GiB\n",
	 "t.yaml:2:1: unknown key \"memory\": did you mean \"cache.memory\"?"},
	{"origins: [{dir: /srv, mach: /}]\n",
	 "t.yaml:1:23: unknown key \"mach\" in origins: the nearest known one is \"match\""},
	{ORIGIN "workers: 1\nworkers: 2\n", "t.yaml:3:1: \"workers\" is given twice"},
	{ORIGIN "[a]: 2\n", "t.yaml:2:1: a key must be a single word, found a list"},
	/* types */
	{ORIGIN "workers: [1]\n", "t.yaml:2:10: workers: expected a single value, found a list"},
	{ORIGIN "workers:\n", "t.yaml:2:9: workers: has no value"},
	{ORIGIN "cache: 2GiB\n", "t.yaml:2:8: cache: expected a mapping, found a single value"},
	{"origins: /srv\n", "t.yaml:1:10: origins: expected a list, found a single value"},
	{"origins: [/srv]\n", "t.yaml:1:11: origins: each entry is a mapping such as {match: ...}, "
			      "found a single value"},
	{ORIGIN "log: {access: \"a\\0b\"}\n", "t.yaml:2:15: log.access: contains a NUL byte"},
	{ORIGIN "log: {access: \"a\\nb\"}\n",
	 "t.yaml:2:15: log.access: contains a control character or invalid UTF-8"},
	/* values */
	{ORIGIN "cache: {memory: 2GB}\n", "t.yaml:2:17: cache.memory: \"2GB\" is not a size: write "
					  "bytes, or a number with KiB, MiB, GiB or TiB, "
					  "such as 2GiB"},
	{ORIGIN "cache: {memory: 99999999999TiB}\n",
	 "t.yaml:2:17: cache.memory: \"99999999999TiB\" is not a size: write bytes, or a number "
	 "with KiB, MiB, "
	 "GiB or TiB, such as 2GiB"},
	{ORIGIN "cache: {memory: 1KiB}\n",
	 "t.yaml:2:17: cache.memory: \"1KiB\" is out of range: 2MiB to 16TiB"},
	{ORIGIN "timeouts: {idle: 5}\n", "t.yaml:2:18: timeouts.idle: \"5\" is not a time: write a "
					 "number with ms, s, m or h, such as 10s"},
	{ORIGIN "workers: -1\n", "t.yaml:2:10: workers: \"-1\" is not a whole number"},
	{ORIGIN "workers: 65\n", "t.yaml:2:10: workers: \"65\" is out of range: 1 to 64"},
	{ORIGIN "backend: socket\n",
	 "t.yaml:2:10: backend: \"socket\" is not one of sockets|dpdk: the nearest is \"sockets\""},
	{ORIGIN "cache: {block: 24KiB}\n", "t.yaml:2:16: cache.block: is not a power of two"},
	{ORIGIN "cache: {memory: 2MiB, block: 32KiB}\n",
	 "t.yaml:2:17: cache.memory: holds fewer than 128 blocks of cache.block"},
	{ORIGIN "cache: {memory: 2MiB}\nlimits: {object: 3MiB}\n",
	 "t.yaml:3:18: limits.object: is larger than cache.memory"},
	{ORIGIN "cache: {disk: {path: /d}}\n",
	 "t.yaml:2:15: cache.disk: size is missing: how many bytes of /d to use"},
	{ORIGIN "cache: {disk: {size: 1GiB}}\n", "t.yaml:2:15: cache.disk: path is missing"},
	{ORIGIN "p2p: {piece: 48KiB}\n", "t.yaml:2:14: p2p.piece: is not a power of two"},
	{ORIGIN "p2p: {url: \"edge.example\"}\n",
	 "t.yaml:2:12: p2p.url: \"edge.example\" is not http://host[:port]"},
	{ORIGIN "p2p: {announce: [\"tracker:80\"]}\n",
	 "t.yaml:2:17: p2p.announce: \"tracker:80\" is no tracker's URL: udp://, http://, https:// "
	 "or "
	 "wss://"},
	/* addresses */
	{ORIGIN "listen: [localhost:80]\n", "t.yaml:2:10: listen: \"localhost:80\" is not an "
					    "address: write IP:port, such as 0.0.0.0:8080 or "
					    "[::]:8080"},
	{ORIGIN "listen: [\"::1:80\"]\n", "t.yaml:2:10: listen: \"::1:80\" is not an address: put "
					  "an IPv6 address in brackets, such as [::]:8080"},
	{ORIGIN "listen: [\"1.2.3.4:65536\"]\n",
	 "t.yaml:2:10: listen: \"1.2.3.4:65536\" has no good port: write a number from 0 to 65535 "
	 "after the last "
	 "colon"},
	{ORIGIN "listen: [\"1.2.3.4:1\", \"1.2.3.4:1\"]\n",
	 "t.yaml:2:23: listen: \"1.2.3.4:1\" is given twice"},
	{ORIGIN "listen: []\n", "t.yaml:2:9: listen: 0 entries given: 1 to 64 can be taken"},
	{ORIGIN "listen: off\n", "t.yaml:2:9: listen: \"off\" is not an address: write IP:port, "
				 "such as 0.0.0.0:8080 or [::]:8080"},
	{ORIGIN "admin: \"0.0.0.0:8080\"\n",
	 "t.yaml:2:8: admin: \"0.0.0.0:8080\" is also an address to serve viewers on"},
	{ORIGIN "admin: [\"1.1.1.1:1\", \"1.1.1.1:2\"]\n",
	 "t.yaml:2:22: admin: has too many entries: at most 1"},
	/* origins */
	{"workers: 1\n",
	 "t.yaml: origins: none given: add an entry with a url or a dir, or --origin URL|DIR"},
	{"origins: []\n",
	 "t.yaml:1:10: origins: none given: add an entry with a url or a dir, or --origin URL|DIR"},
	{"origins: [{match: /a}]\n", "t.yaml:1:11: origins[].url: is missing (or dir)"},
	{"origins: [{url: \"http://a\", dir: /b}]\n",
	 "t.yaml:1:11: origins[]: has both url and dir: keep one"},
	{"origins: [{match: a, dir: /b}]\n",
	 "t.yaml:1:11: origins[].match: \"a\" does not begin with \"/\""},
	{"origins:\n- {dir: /a}\n- {match: /, dir: /b}\n",
	 "t.yaml:3:3: origins[].match: \"/\" is given twice"},
	{"origins: [{url: \"https://a\"}]\n", "t.yaml:1:17: origins[].url: \"https://a\" is https: "
					      "TLS to origins is not built yet, write http://"},
	{"origins: [{url: \"ftp://a\"}]\n",
	 "t.yaml:1:17: origins[].url: \"ftp://a\" is not a URL: write http://host[:port][/base]"},
	{"origins: [{url: \"http://a:0\"}]\n", "t.yaml:1:17: origins[].url: \"http://a:0\" has no "
					       "good port: write a number from 1 to 65535"},
	{"origins: [{url: \"http://u@a\"}]\n",
	 "t.yaml:1:17: origins[].url: \"http://u@a\" has a user name: origins with credentials are "
	 "not supported"},
	{"origins: [{url: \"http://a/?x\"}]\n",
	 "t.yaml:1:17: origins[].url: \"http://a/?x\" has a query or fragment: an origin is "
	 "http://host[:port][/base]"},
	{"origins: [{url: \"http:///x\"}]\n", "t.yaml:1:17: origins[].url: \"http:///x\" has no "
					      "good host name: write http://host[:port][/base]"},
	{"origins: [{url: \"http://127.0.0.1:8080\"}]\n",
	 "t.yaml:1:11: origins[].url: \"http://127.0.0.1:8080\" is this edge itself, see listen"},
	{"origins: [{url: \"http://localhost:81/x\"}]\nlisten: \"[::1]:81\"\n",
	 "t.yaml:1:11: origins[].url: \"http://localhost:81/x\" is this edge itself, see listen"},
	{"origins: [{url: \"http://[fd00::1]\"}]\nlisten: \"[fd00::1]:80\"\n",
	 "t.yaml:1:11: origins[].url: \"http://[fd00::1]\" is this edge itself, see listen"},
	/* p2p */
	{ORIGIN "p2p: {url: \"http://a\", listen: [\"0.0.0.0:8080\"]}\n",
	 "t.yaml:2:33: p2p.listen: \"0.0.0.0:8080\" is also an address to serve viewers on"},
	{ORIGIN "p2p: {url: \"http://a\", listen: [\"0.0.0.0:81\", \"0.0.0.0:81\"]}\n",
	 "t.yaml:2:47: p2p.listen: \"0.0.0.0:81\" is given twice"},
	/* dpdk */
	{ORIGIN "dpdk: {eal: [--no-pci, --proc-type=secondary]}\n",
	 "t.yaml:2:13: dpdk.eal: \"secondary\": an edge owns its ports: only primary"},
	{ORIGIN "dpdk: {eal: [--proc, auto]}\n",
	 "t.yaml:2:13: dpdk.eal: \"auto\": an edge owns its ports: only primary"},
	{ORIGIN "dpdk: {eal: [--proc-type]}\n",
	 "t.yaml:2:13: dpdk.eal: \"\": an edge owns its ports: only primary"},
	{ORIGIN "dpdk: {eal: [\"-h\"]}\n",
	 "t.yaml:2:13: dpdk.eal: \"-h\": an edge prints no usage: dpdk-testpmd does"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1]}]}\n",
	 "t.yaml:2:29: dpdk.ports[].addresses: \"10.0.0.1\" has no prefix length, such as /24"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/33]}]}\n",
	 "t.yaml:2:29: dpdk.ports[].addresses: \"10.0.0.1/33\" has no good prefix length: 0 to 32 "
	 "for IPv4, 0 to "
	 "128 for IPv6"},
	{ORIGIN "dpdk: {ports: [{cores: [0]}]}\n",
	 "t.yaml:2:16: dpdk.ports[].addresses: is missing"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], gateway: 10.0.1.1}]}\n",
	 "t.yaml:2:52: dpdk.ports[].gateway: \"10.0.1.1\" is in the network of none of the port's "
	 "addresses"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], gateway: [10.0.0.2, 10.0.0.3]}]}\n",
	 "t.yaml:2:63: dpdk.ports[].gateway: a second one for IPv4"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], routers: advertised}]}\n",
	 "t.yaml:2:16: dpdk.ports[].routers: \"advertised\" needs an IPv6 address among the port's "
	 "addresses"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], routes: [10.8.0.0/16]}]}\n",
	 "t.yaml:2:52: dpdk.ports[].routes: \"10.8.0.0/16\" is not a route: write one such as "
	 "\"10.8.0.0/16 via 10.0.0.254\""},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], routes: [10.8.0.0/16 via 10.0.1.9]}]}\n",
	 "t.yaml:2:52: dpdk.ports[].routes: \"10.8.0.0/16 via 10.0.1.9\": the next hop is in the "
	 "network of none of the port's addresses"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], routes: [10.8.0.1/16 via 10.0.0.9]}]}\n",
	 "t.yaml:2:52: dpdk.ports[].routes: \"10.8.0.1/16 via 10.0.0.9\" is no network: it has "
	 "bits behind its prefix length"},
	{ORIGIN
	 "dpdk: {ports: [{addresses: [10.0.0.1/24], routes: [\"fd01::/64 via 10.0.0.9\"]}]}\n",
	 "t.yaml:2:52: dpdk.ports[].routes: \"fd01::/64 via 10.0.0.9\" goes from one IP version to "
	 "the other"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], routes: [10.8.0.0/16 via 10.0.0.9, "
		"10.8.0.0/16 via 10.0.0.8]}]}\n",
	 "t.yaml:2:78: dpdk.ports[].routes: \"10.8.0.0/16 via 10.0.0.8\": a second one to there"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24, 10.0.0.1/25]}]}\n",
	 "t.yaml:2:42: dpdk.ports[].addresses: \"10.0.0.1/25\" is given twice"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24]}, {addresses: [10.0.0.1/24]}]}\n",
	 "t.yaml:2:57: dpdk.ports[].addresses: \"10.0.0.1/24\" is given twice"},
	{ORIGIN "dpdk: {ports: [{addresses: [224.0.0.1/24]}]}\n",
	 "t.yaml:2:29: dpdk.ports[].addresses: \"224.0.0.1/24\": no host can have it"},
	{ORIGIN "dpdk: {ports: [{addresses: [\"::/64\"]}]}\n",
	 "t.yaml:2:29: dpdk.ports[].addresses: \"::/64\": no host can have it"},
	{ORIGIN "dpdk: {ports: [{addresses: [\"fd00::1/64\"], mtu: 1000}]}\n",
	 "t.yaml:2:16: dpdk.ports[].mtu: 1000: at least 1280, for IPv6"},
	{ORIGIN "dpdk: {ports: [{addresses: [10.0.0.1/24], mtu: 500}]}\n",
	 "t.yaml:2:16: dpdk.ports[].mtu: 500: at least 576"},
	{ORIGIN
	 "dpdk: {ports: [{addresses: [10.0.0.1/24, 10.0.0.2/24, 10.0.0.3/24, 10.0.0.4/24, "
	 "10.0.0.5/24, 10.0.0.6/24, 10.0.0.7/24, 10.0.0.8/24, 10.0.0.9/24, 10.0.0.10/24, "
	 "10.0.0.11/24, 10.0.0.12/24, 10.0.0.13/24, 10.0.0.14/24, 10.0.0.15/24, 10.0.0.16/24]}, "
	 "{addresses: [10.0.1.1/24, 10.0.1.2/24, 10.0.1.3/24, 10.0.1.4/24, 10.0.1.5/24, "
	 "10.0.1.6/24, 10.0.1.7/24, 10.0.1.8/24, 10.0.1.9/24, 10.0.1.10/24, 10.0.1.11/24, "
	 "10.0.1.12/24, 10.0.1.13/24, 10.0.1.14/24, 10.0.1.15/24, 10.0.1.16/24, 10.0.1.17/24]}]}\n",
	 "t.yaml:2:16: dpdk.ports: 33 addresses, link-local ones included: at most 32"},
};

static void test_with_dpdk_listen_names_an_address_of_a_port(void **state)
{
#ifdef SPATE_HAVE_DPDK
	assert_refused(
		ORIGIN "backend: dpdk\nlisten: [\"10.0.0.1:80\", \"10.0.0.2:80\"]\n"
		       "dpdk: {ports: [{addresses: [10.0.0.1/24]}]}\n",
		"t.yaml:3:25: listen: \"10.0.0.2:80\" is no address of an entry in dpdk.ports");
#else
	assert_refused(ORIGIN "backend: dpdk\ndpdk: {ports: [{addresses: [10.0.0.1/24]}]}\n",
		       "t.yaml:2:10: backend: this build has no DPDK: only sockets");
#endif
}

static void test_one_clear_line(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].text, cases[i].finding);
}

static void test_every_mistake_has_a_line(void **state)
{
	struct spate_config_report r;

	assert_null(load_with("workers: x\nlog: {format: xml}\nadmin: 1\n", NULL, &r));
	assert_int_equal(r.errors, 3);
	assert_non_null(strstr(r.text, "t.yaml:1:10: "));
	assert_non_null(strstr(r.text, "t.yaml:2:15: "));
	assert_non_null(strstr(r.text, "t.yaml:3:8: "));
}

static void test_the_option_is_named_for_its_value(void **state)
{
	struct spate_config_overrides ov = {
		.count = 2,
		.set = {{"cache.memory", "2GB", "--memory"}, {"origins", "https://x", "--origin"}}};
	struct spate_config_report r;

	assert_null(load_with(NULL, &ov, &r));
	assert_string_equal(
		r.text,
		"--memory: cache.memory: \"2GB\" is not a size: write bytes, or a number with KiB, "
		"MiB, GiB or TiB, such as 2GiB\n"
		"--origin: origins[].url: \"https://x\" is https: TLS to origins is not built yet, "
		"write http://\n");
}

static void test_a_rule_names_the_option_that_broke_it(void **state)
{
	struct spate_config_overrides ov = {
		.count = 2,
		.set = {{"cache.block", "5000", "--set"}, {"origins", "x", "--origin"}}};
	struct spate_config_report r;

	assert_null(load_with("cache:\n  block: 16KiB\n", &ov, &r));
	assert_string_equal(r.text, "--set: cache.block: is not a power of two\n");
}

static void test_a_file_that_is_not_there(void **state)
{
	struct spate_config_report r = {0};
	struct spate_config *c;

	assert_int_equal(spate_config_load("no/such.yaml", NULL, &c, &r), -2);
	assert_string_equal(
		r.text, "no/such.yaml: cannot read the configuration: No such file or directory\n");
}

static void test_too_many_findings_do_not_overflow(void **state)
{
	struct spate_config_report r;
	char text[9000] = "";

	for (unsigned i = 0; i < 400; i++)
		strcat(text, "unknown: 1\n");
	assert_null(load_with(text, NULL, &r));
	assert_true(r.errors >= 400);
	assert_true(r.len > sizeof(r.text) / 2 && r.len < sizeof(r.text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_clear_line),
		cmocka_unit_test(test_with_dpdk_listen_names_an_address_of_a_port),
		cmocka_unit_test(test_every_mistake_has_a_line),
		cmocka_unit_test(test_the_option_is_named_for_its_value),
		cmocka_unit_test(test_a_rule_names_the_option_that_broke_it),
		cmocka_unit_test(test_a_file_that_is_not_there),
		cmocka_unit_test(test_too_many_findings_do_not_overflow),
	};

	return cmocka_run_group_tests_name("config refuse", tests, NULL, NULL);
}
