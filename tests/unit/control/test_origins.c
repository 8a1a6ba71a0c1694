/* Which origin a path belongs to, and the idle connections of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/origin/origin.h"

static struct spate_loop *loop;
static struct spate_origins *set;

#define URL(match_, name)                                                              \
	{                                                                              \
		.match = (char *)(match_), .url = (char *)(name), .host = (char *)"h", \
		.authority = (char *)"h", .base = (char *)"", .port = 80               \
	}

static int setup(void **state)
{
	const struct spate_config_origin cfg[] = {URL("/live", "live"), URL("/live/a/", "a"),
						  URL("/vod/", "vod")};
	const char *bad;

	assert_int_equal(spate_loop_create(&loop, 0), 0);
	return spate_origins_create(&set, loop, cfg, 3, 2, &bad);
}

static int teardown(void **state)
{
	spate_origins_destroy(set);
	spate_loop_destroy(loop);
	return 0;
}

static const char *match(const char *url)
{
	struct spate_origin *o = spate_origins_match(set, url, strlen(url));

	return o == NULL ? "" : o->name;
}

static void the_longest_prefix_wins(void **state)
{
	assert_string_equal(match("/live/x"), "live");
	assert_string_equal(match("/live/a/x"), "a");
	assert_string_equal(match("/vod/x"), "vod");
}

static void a_prefix_ends_where_a_segment_ends(void **state)
{
	assert_string_equal(match("/live"), "live");
	assert_string_equal(match("/live?x"), "live");
	assert_string_equal(match("/lively"), "");
	assert_string_equal(match("/live/ab"), "live");
}

static void what_nothing_covers_has_no_origin(void **state)
{
	assert_string_equal(match("/"), "");
	assert_string_equal(match("/other"), "");
}

static struct spate_conn *connection(int *peer)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	*peer = sv[1];
	return spate_conn_create(set->o[0], sv[0]);
}

static bool closed(int peer)
{
	char c;

	spate_loop_turn(loop, 0);
	spate_loop_turn(loop, 0);
	return recv(peer, &c, 1, MSG_DONTWAIT) == 0;
}

static void the_last_one_used_comes_first(void **state)
{
	struct spate_conn *a, *b;
	int pa, pb;

	a = connection(&pa);
	b = connection(&pb);
	spate_conn_keep(a);
	spate_conn_keep(b);
	assert_ptr_equal(spate_conn_take(set->o[0]), b);
	assert_ptr_equal(spate_conn_take(set->o[0]), a);
	assert_null(spate_conn_take(set->o[0]));
	spate_conn_close(a);
	spate_conn_close(b);
	close(pa);
	close(pb);
}

static void no_more_than_asked_for_are_kept(void **state)
{
	int p[3];

	for (int i = 0; i < 3; i++)
		spate_conn_keep(connection(&p[i]));
	assert_int_equal(set->o[0]->idle_count, 2);
	assert_true(closed(p[2]));
	for (int i = 0; i < 3; i++)
		close(p[i]);
}

static void one_that_the_origin_closed_is_not_taken(void **state)
{
	int p;

	spate_conn_keep(connection(&p));
	close(p);
	assert_null(spate_conn_take(set->o[0]));
	assert_int_equal(set->o[0]->idle_count, 0);
}

static void one_with_bytes_nobody_asked_for_is_not_taken(void **state)
{
	int p;

	spate_conn_keep(connection(&p));
	assert_int_equal(write(p, "HTTP/1.1 408", 12), 12);
	assert_null(spate_conn_take(set->o[0]));
	close(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_longest_prefix_wins),
		T(a_prefix_ends_where_a_segment_ends),
		T(what_nothing_covers_has_no_origin),
		T(the_last_one_used_comes_first),
		T(no_more_than_asked_for_are_kept),
		T(one_that_the_origin_closed_is_not_taken),
		T(one_with_bytes_nobody_asked_for_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
