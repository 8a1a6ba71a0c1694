/* What only the machine can say: ports, directories, names, memory. */
#include "tests/unit/control/config.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The findings for BASE and some more lines. Nothing here listens: port 0 is always free. */
static int verify(const char *more, unsigned flags, struct spate_config_report *r)
{
	struct spate_config *cfg;
	char text[1024];
	int ret;

	snprintf(text, sizeof(text),
		 "listen: \"127.0.0.1:0\"\nadmin: off\ncache: {memory: 4MiB}\n%s", more);
	cfg = load_good(text);
	memset(r, 0, sizeof(*r));
	ret = spate_config_verify(cfg, flags, r);
	spate_config_free(cfg);
	return ret;
}

static void test_a_good_one_has_no_findings(void **state)
{
	struct spate_config_report r;

	assert_int_equal(verify("origins: [{dir: /}]\n", 0, &r), 0);
	assert_string_equal(r.text, "");
}

static void test_a_directory_that_is_not_there(void **state)
{
	struct spate_config_report r;

	assert_int_equal(verify("origins: [{dir: /no/such}]\n", 0, &r), -22);
	assert_string_equal(r.text,
			    "spate:4:11: origins[].dir: \"/no/such\": No such file or directory\n");
}

static void test_a_server_taken_for_a_directory(void **state)
{
	struct spate_config_report r;

	verify("origins: [{dir: \"localhost:9000\"}]\n", 0, &r);
	assert_string_equal(
		r.text, "spate:4:11: origins[].dir: \"localhost:9000\": No such file or directory: "
			"for a server write \"http://localhost:9000\"\n");
}

static void test_a_file_is_no_directory(void **state)
{
	struct spate_config_report r;

	verify("origins: [{dir: /dev/null}]\n", 0, &r);
	assert_string_equal(r.text, "spate:4:11: origins[].dir: \"/dev/null\": Not a directory\n");
}

static void test_a_name_that_cannot_be_resolved(void **state)
{
	struct spate_config_report r;

	/* .invalid never resolves (RFC 6761 6.4); without a resolver it is a warning. */
	verify("origins: [{url: \"http://spate.invalid\"}]\n", 0, &r);
	assert_int_equal(r.errors + r.warnings, 1);
	assert_non_null(strstr(r.text, "\"spate.invalid\": cannot resolve the name"));
}

static void test_memory_that_does_not_fit(void **state)
{
	struct spate_config *cfg = load_good(
		"origins: [{dir: /}]\nlisten: 127.0.0.1:0\nadmin: off\ncache: {memory: 16TiB}\n");
	struct spate_config_report r = {0};

	assert_int_equal(spate_config_verify(cfg, 0, &r), -22);
	assert_non_null(
		strstr(r.text, "spate:4:17: cache.memory: 16TiB does not fit: this machine has "));
	spate_config_free(cfg);
}

static void test_a_port_in_use_names_who_uses_it(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	struct spate_config_report r = {0};
	struct spate_config *cfg;
	char text[256], want[128];
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	/* As another edge would hold it: shared. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	snprintf(text, sizeof(text), "origins: [{dir: /}]\nadmin: off\nlisten: \"127.0.0.1:%u\"\n",
		 ntohs(a.sin_port));
	cfg = load_good(text);

	assert_int_equal(spate_config_verify(cfg, 0, &r), -22);
	snprintf(want, sizeof(want), "the port is in use by unit-control-co (pid %d)\n", getpid());
	assert_non_null(strstr(r.text, "spate:3:9: listen: "));
	assert_non_null(strstr(r.text, want));

	memset(&r, 0, sizeof(r));
	assert_int_equal(spate_config_verify(cfg, SPATE_VERIFY_RUNNING, &r), 0);
	spate_config_free(cfg);
	close(fd);
}

static void test_an_address_of_another_machine(void **state)
{
	struct spate_config *cfg =
		load_good("origins: [{dir: /}]\nlisten: \"192.0.2.1:8080\"\nadmin: off\n");
	struct spate_config_report r = {0};

	assert_int_equal(spate_config_verify(cfg, 0, &r), -22);
	assert_string_equal(r.text, "spate:2:9: listen: \"192.0.2.1:8080\": no interface of this "
				    "machine has that address\n");
	spate_config_free(cfg);
}

static void test_a_log_that_cannot_be_written(void **state)
{
	struct spate_config_report r;

	verify("origins: [{dir: /}]\nlog: {access: /no/such/dir/log}\n", 0, &r);
	assert_string_equal(r.text,
			    "spate:5:15: log.access: \"/no/such/dir/log\": cannot be written: "
			    "No such file or directory\n");
}

static void test_a_disk_directory_that_is_not_there(void **state)
{
	struct spate_config_report r = {0};
	struct spate_config *cfg =
		load_good("origins: [{dir: /}]\nlisten: 127.0.0.1:0\nadmin: off\n"
			  "cache: {memory: 4MiB, disk: {path: /no/such, size: 1GiB}}\n");

	assert_int_equal(spate_config_verify(cfg, 0, &r), -22);
	assert_string_equal(
		r.text, "spate:4:36: cache.disk.path: \"/no/such\": No such file or directory\n");
	spate_config_free(cfg);
}

static void test_a_store_directory_that_is_not_there(void **state)
{
	struct spate_config_report r;

	assert_int_equal(verify("origins: [{dir: /}]\np2p:\n  store: /no/such\n", 0, &r), -22);
	assert_string_equal(r.text,
			    "spate:6:10: p2p.store: \"/no/such\": No such file or directory\n");
	assert_int_equal(verify("origins: [{dir: /}]\np2p: {store: /dev/null}\n", 0, &r), -22);
	assert_string_equal(r.text, "spate:5:14: p2p.store: \"/dev/null\": Not a directory\n");
	assert_int_equal(verify("origins: [{dir: /}]\np2p: {store: /tmp}\n", 0, &r), 0);
	assert_string_equal(r.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_one_has_no_findings),
		cmocka_unit_test(test_a_directory_that_is_not_there),
		cmocka_unit_test(test_a_server_taken_for_a_directory),
		cmocka_unit_test(test_a_file_is_no_directory),
		cmocka_unit_test(test_a_name_that_cannot_be_resolved),
		cmocka_unit_test(test_memory_that_does_not_fit),
		cmocka_unit_test(test_a_port_in_use_names_who_uses_it),
		cmocka_unit_test(test_an_address_of_another_machine),
		cmocka_unit_test(test_a_log_that_cannot_be_written),
		cmocka_unit_test(test_a_disk_directory_that_is_not_there),
		cmocka_unit_test(test_a_store_directory_that_is_not_there),
	};

	return cmocka_run_group_tests_name("config verify", tests, NULL, NULL);
}
