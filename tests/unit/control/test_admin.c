/* The admin endpoint's routes over a real socket, a real cache, and callbacks that take notes. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/admin/admin.h"

struct env {
	struct spate_loop *loop;
	struct spate_cache *cache;
	struct spate_stats worker, control;
	const struct spate_stats *workers[1];
	struct spate_admin *admin;
	unsigned drains, purges;
	int purge_says;
	char purged[256];
	struct spate_key key;
	char in[256 * 1024];
};

static int purge(void *ctx, const struct spate_key *key, const char *url, size_t len)
{
	struct env *e = ctx;

	e->purges++;
	e->key = *key;
	snprintf(e->purged, sizeof(e->purged), "%.*s", (int)len, url);
	return e->purge_says;
}

static void drain(void *ctx)
{
	((struct env *)ctx)->drains++;
}

static int setup(void **state)
{
	struct env *e = aligned_alloc(64, (sizeof(*e) + 63) & ~(size_t)63);
	struct spate_admin_setup s = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .nworkers = 1};

	memset(e, 0, sizeof(*e));
	e->purge_says = 1;
	e->workers[0] = &e->worker;
	assert_int_equal(spate_loop_create(&e->loop, 0), 0);
	assert_int_equal(spate_cache_create(&e->cache, 4 << 20, 0, 1), 0);
	s.loop = e->loop;
	s.workers = e->workers;
	s.control = &e->control;
	s.cache = e->cache;
	s.backend = "sockets";
	s.ctx = e;
	s.purge = purge;
	s.drain = drain;
	assert_int_equal(spate_admin_create(&e->admin, &s), 0);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;

	spate_admin_destroy(e->admin);
	spate_loop_destroy(e->loop);
	spate_cache_destroy(e->cache);
	free(e);
	return 0;
}

/* One request; the whole answer in e->in, its status back. more: further header lines. */
static int ask_with(struct env *e, const char *method, const char *target, const char *more)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(spate_admin_port(e->admin))};
	int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
	ssize_t got = -1;
	size_t n = 0;
	char req[1024];

	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	snprintf(req, sizeof(req), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n",
		 method, target, more);
	assert_int_equal(send(fd, req, strlen(req), MSG_NOSIGNAL), strlen(req));
	for (int i = 0; i < 2000 && got != 0; i++) {
		got = recv(fd, e->in + n, sizeof(e->in) - 1 - n, MSG_DONTWAIT);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0)
			spate_loop_turn(e->loop, 5000);
	}
	close(fd);
	e->in[n] = '\0';
	assert_int_equal(got, 0);
	assert_int_equal(sscanf(e->in, "HTTP/1.1 %d", &status), 1);
	return status;
}

static int ask(struct env *e, const char *method, const char *target)
{
	return ask_with(e, method, target, "");
}

static void test_healthz_turns_when_draining(void **state)
{
	struct env *e = *state;

	assert_int_equal(ask(e, "GET", "/healthz"), 200);
	spate_admin_draining(e->admin);
	assert_int_equal(ask(e, "GET", "/healthz"), 503);
}

static void test_metrics_are_read_live(void **state)
{
	struct env *e = *state;

	SPATE_COUNT_N(&e->worker, http_requests, 41);
	assert_int_equal(ask(e, "GET", "/metrics"), 200);
	assert_non_null(
		strstr(e->in, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_non_null(strstr(e->in, "\nspate_http_requests_total 41\n"));
	assert_non_null(strstr(e->in, "\nspate_cache_limit_bytes 4194304\n"));
	SPATE_COUNT(&e->worker, http_requests);
	ask(e, "GET", "/metrics");
	assert_non_null(strstr(e->in, "\nspate_http_requests_total 42\n"));
}

/* Not control's copy of now and then: a purge shows at once. */
static void test_cache_gauges_are_the_caches_own(void **state)
{
	struct env *e = *state;

	atomic_store(&e->control.cache_objects, 77);
	ask(e, "GET", "/metrics");
	assert_non_null(strstr(e->in, "\nspate_cache_objects 0\n"));
	ask(e, "GET", "/stat");
	assert_null(strstr(e->in, "\"cache_objects\":77"));
}

static void test_stat_is_json(void **state)
{
	struct env *e = *state;

	assert_int_equal(ask(e, "GET", "/stat"), 200);
	assert_non_null(strstr(e->in, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(e->in, "\"state\":\"serving\""));
}

static void test_purge_finds_the_key_the_cache_uses(void **state)
{
	static const struct {
		const char *target, *want;
	} rows[] = {
		{"/purge?url=/v/1.m4s", "/v/1.m4s"},
		{"/purge?url=%2Fv%2F1.m4s", "/v/1.m4s"},
		{"/purge?url=http://edge.example/v/1.m4s", "/v/1.m4s"},
		{"/purge?url=http://edge.example", "/"},
		{"/purge?x=1&url=/a/../b", "/b"},
		{"/purge?url=/a%3Fq=1%26r=2&x=3", "/a?q=1&r=2"}, /* the query of the URL itself */
		{"/purge?url=/a%20b", "/a%20b"},
		{"/purge?url=/%252Fb", "/%2Fb"},
	};
	struct env *e = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_key want = spate_key_of(rows[i].want, strlen(rows[i].want));

		assert_int_equal(ask(e, "POST", rows[i].target), 200);
		assert_string_equal(e->purged, rows[i].want);
		assert_memory_equal(&e->key, &want, sizeof(want));
		assert_non_null(strstr(e->in, "\r\n\r\n{\"purged\":1}\n"));
	}
}

static void test_purge_of_what_is_not_there(void **state)
{
	struct env *e = *state;

	e->purge_says = 0;
	assert_int_equal(ask(e, "POST", "/purge?url=/gone"), 404);
	e->purge_says = -EBUSY;
	assert_int_equal(ask(e, "POST", "/purge?url=/busy"), 500);
}

static void test_purge_refuses_what_names_nothing(void **state)
{
	static const char *const targets[] = {
		"/purge",        "/purge?",          "/purge?url",
		"/purge?url=",   "/purge?urls=/a",   "/purge?url=relative",
		"/purge?url=/%", "/purge?url=/../.."};
	struct env *e = *state;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_int_equal(ask(e, "POST", targets[i]), 400);
	assert_int_equal(e->purges, 0);
}

static void test_drain(void **state)
{
	struct env *e = *state;

	assert_int_equal(ask(e, "POST", "/drain"), 202);
	assert_int_equal(e->drains, 1);
	assert_int_equal(ask(e, "GET", "/healthz"), 503);
}

static void test_wrong_method_or_path_does_nothing(void **state)
{
	struct env *e = *state;

	assert_int_equal(ask(e, "GET", "/drain"), 405);
	assert_non_null(strstr(e->in, "\r\nAllow: POST\r\n"));
	assert_int_equal(ask(e, "GET", "/purge?url=/a"), 405);
	assert_int_equal(ask(e, "POST", "/stat"), 405);
	assert_non_null(strstr(e->in, "\r\nAllow: GET, HEAD\r\n"));
	assert_int_equal(ask(e, "GET", "/"), 404);
	assert_int_equal(ask(e, "GET", "/metricsx"), 404);
	assert_int_equal(e->drains + e->purges, 0);
}

static void test_a_web_page_may_not_purge(void **state)
{
	struct env *e = *state;

	assert_int_equal(ask_with(e, "POST", "/purge?url=/a", "Origin: https://evil.example\r\n"),
			 403);
	assert_int_equal(ask_with(e, "POST", "/drain", "Origin: null\r\n"), 403);
	assert_int_equal(e->drains + e->purges, 0);
}

static void test_port_in_use_is_an_error(void **state)
{
	struct env *e = *state;
	struct spate_admin *second = NULL;
	struct spate_admin_setup s = {.loop = e->loop,
				      .ip = {[10] = 0xff, 0xff, 127, 0, 0, 1},
				      .port = spate_admin_port(e->admin),
				      .cache = e->cache};

	assert_int_equal(spate_admin_create(&second, &s), -EADDRINUSE);
	assert_null(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_healthz_turns_when_draining),
		T(test_metrics_are_read_live),
		T(test_cache_gauges_are_the_caches_own),
		T(test_stat_is_json),
		T(test_purge_finds_the_key_the_cache_uses),
		T(test_purge_of_what_is_not_there),
		T(test_purge_refuses_what_names_nothing),
		T(test_drain),
		T(test_wrong_method_or_path_does_nothing),
		T(test_a_web_page_may_not_purge),
		T(test_port_in_use_is_an_error),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
