/* What becomes of the object that is to be revalidated, whatever its origin says. */
#include "fill_rig.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig r;

static int close_rig(void **state)
{
	rig_close(&r);
	r.fills = NULL;
	return 0;
}

static struct rig_miss *get(void)
{
	struct rig_miss *m = rig_fetch(&r, "/x", NULL);

	rig_until_replies(&r, r.misses);
	rig_until_idle(&r);
	return m;
}

/* --- a reload that puts another origin in its place --- */

#define OLD_DATE "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"

static const char *old_origin, *new_origin, *new_if_asked;

/* Two origins behind one port, told apart by Host. */
static void serve_two(struct rig *k)
{
	int fd;

	while ((fd = rig_accept(k)) >= 0) {
		while (rig_read_request(k, fd))
			rig_send(fd, strstr(k->request, "Host: old.test") != NULL ? old_origin
				     : strstr(k->request, "\r\nIf-") != NULL      ? new_if_asked
										  : new_origin);
		close(fd);
	}
}

static void put_origin(const char *authority)
{
	struct spate_config_origin cfg = {.match = (char *)"/",
					  .url = (char *)"http://127.0.0.1",
					  .host = (char *)"127.0.0.1",
					  .authority = (char *)authority,
					  .base = (char *)"",
					  .port = r.port};
	struct spate_origins *next;
	const char *bad;

	assert_int_equal(spate_origins_create(&next, r.env.loop, &cfg, 1, 4, &bad), 0);
	spate_origins_destroy(r.env.origins);
	r.env.origins = next;
}

/* The old one's object, expired, and the other one configured (or the same one once more). */
static void swap_origins(const char *to)
{
	rig_open(&r, serve_two, NULL);
	put_origin("old.test");
	rig_assert_body(&r, get()->object, "old", 3);
	rig_expire(rig_lookup(&r, "/x"));
	put_origin(to);
}

#define OLD_OBJECT                                                  \
	"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n" OLD_DATE \
	"ETag: \"1\"\r\nContent-Length: 3\r\n\r\nold"

static void another_origin_is_asked_for_all_of_it(void **state)
{
	old_origin = OLD_OBJECT;
	new_origin = "HTTP/1.1 200 OK\r\n" OLD_DATE "Content-Length: 3\r\n\r\nnew";
	new_if_asked = "HTTP/1.1 304 Not Modified\r\n\r\n";
	swap_origins("new.test");
	rig_assert_body(&r, get()->object, "new", 3);
	assert_null(strstr(r.request, "\r\nIf-"));
}

static void another_origins_304_is_not_believed(void **state)
{
	old_origin = OLD_OBJECT;
	new_origin = new_if_asked = "HTTP/1.1 304 Not Modified\r\n\r\n";
	swap_origins("new.test");
	assert_int_equal(get()->verdict, SPATE_FETCH_STALE);
	assert_int_equal(rig_count(&r.stats.origin_304), 0);
}

static void the_old_object_stands_in_while_another_origin_fails(void **state)
{
	old_origin = OLD_OBJECT;
	new_origin = new_if_asked = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
	swap_origins("new.test");
	assert_int_equal(get()->verdict, SPATE_FETCH_STALE);
}

static void a_reload_of_the_same_origin_revalidates(void **state)
{
	old_origin = OLD_OBJECT;
	swap_origins("old.test");
	get();
	assert_non_null(strstr(r.request, "\r\nIf-None-Match: \"1\"\r\n"));
}

/* --- a refresh that comes to nothing --- */

static const char *answer[4];

/* One connection a request, one answer each; when there are no more the last one again. */
static void serve_in_turn(struct rig *k)
{
	unsigned n = 0;
	int fd;

	while ((fd = rig_accept(k)) >= 0) {
		if (rig_read_request(k, fd))
			rig_send(fd, answer[n]);
		if (n < 3 && answer[n + 1] != NULL)
			n++;
		close(fd);
	}
}

#define BUSY    "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
#define NEW200  "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"2\"\r\n"
#define SHORT   NEW200 "Content-Length: 9\r\n\r\nnew"
#define WHOLE   NEW200 "Content-Length: 3\r\n\r\nnew"
#define TORN    NEW200 "Transfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n"
#define NOTHING NEW200 "Content-Length: 9\r\n\r\n"

/* An object of "old" that has expired, then these. */
static void have_old(const char *second, const char *third)
{
	answer[0] = OLD_OBJECT;
	answer[1] = second;
	answer[2] = third;
	rig_open(&r, serve_in_turn, NULL);
	get();
	rig_expire(rig_lookup(&r, "/x"));
}

static void a_body_that_breaks_off_leaves_the_old_object(void **state)
{
	const char *const broken[] = {SHORT, TORN, NOTHING};
	struct rig_miss *m;

	for (int i = 0; i < 3; i++) {
		if (i > 0)
			rig_close(&r);
		have_old(broken[i], BUSY);
		m = get();
		assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_FAILED);
		assert_ptr_equal(rig_lookup(&r, "/x"), r.miss[0].object);
		spate_cache_check(r.env.cache);
		m = get(); /* the origin has just failed: nobody else is cut */
		assert_int_equal(m->verdict, SPATE_FETCH_STALE);
		rig_assert_body(&r, m->object, "old", 3);
		assert_int_equal(r.requests, 2);
	}
}

static void what_was_put_back_may_be_replaced(void **state)
{
	have_old(SHORT, WHOLE);
	get();
	r.env.origins->o[0]->failed_us = 0;
	spate_fills_destroy(r.fills); /* forgets what failed just now */
	assert_int_equal(spate_fills_create(&r.fills, &r.env), 0);
	rig_assert_body(&r, get()->object, "new", 3);
	rig_assert_body(&r, rig_lookup(&r, "/x"), "new", 3);
}

static void what_may_not_be_sent_stale_is_not_put_back(void **state)
{
	have_old(SHORT, BUSY);
	((struct spate_meta *)atomic_load(&r.miss[0].object->meta))->must_revalidate = true;
	get();
	assert_null(rig_lookup(&r, "/x"));
}

static void serve_gated_break(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	rig_send(fd, OLD_OBJECT);
	rig_read_request(k, fd);
	rig_send(fd, SHORT);
	rig_wait_gate(k);
	close(fd);
}

static void what_was_purged_is_not_put_back(void **state)
{
	struct spate_key key = spate_key_of("/x", 2);

	rig_open(&r, serve_gated_break, NULL);
	get();
	rig_expire(rig_lookup(&r, "/x"));
	rig_fetch(&r, "/x", NULL);
	rig_until_replies(&r, 2);
	assert_true(spate_fills_purge(r.fills, &key));
	atomic_store(&r.gate, true);
	rig_until_idle(&r);
	assert_null(rig_lookup(&r, "/x"));
}

/* --- an answer that is no object's --- */

static bool left_after(const char *status, const char *fields)
{
	static char text[256]; /* the origin's thread reads it */
	struct rig_miss *m;
	bool left;

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n%sContent-Length: 2\r\n\r\nno", status,
		 fields);
	if (r.fills != NULL) /* the one before */
		close_rig(NULL);
	have_old(text, BUSY);
	m = get(); /* who asked gets what the origin says */
	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	rig_assert_body(&r, m->object, "no", 2);
	left = rig_lookup(&r, "/x") == r.miss[0].object;
	if (left)
		assert_int_equal(get()->verdict, SPATE_FETCH_STALE);
	return left;
}

static void a_refusal_says_nothing_of_the_object(void **state)
{
	static const char *const refusals[] = {"429 Too Many Requests", "403 Forbidden",
					       "400 Bad Request", "302 Found"};

	for (int i = 0; i < 4; i++) {
		assert_true(left_after(refusals[i], ""));
		assert_true(left_after(refusals[i], "Cache-Control: no-store\r\n"));
	}
}

static void gone_and_no_longer_shared_take_it_along(void **state)
{
	assert_false(left_after("404 Not Found", ""));
	assert_false(left_after("410 Gone", ""));
	assert_false(left_after("404 Not Found", "Cache-Control: no-store\r\n"));
	assert_false(left_after("200 OK", "Cache-Control: private\r\n"));
	assert_false(left_after("403 Forbidden", "Cache-Control: max-age=5\r\n"));
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_rig)
	const struct CMUnitTest tests[] = {
		T(another_origin_is_asked_for_all_of_it),
		T(another_origins_304_is_not_believed),
		T(the_old_object_stands_in_while_another_origin_fails),
		T(a_reload_of_the_same_origin_revalidates),
		T(a_body_that_breaks_off_leaves_the_old_object),
		T(what_was_put_back_may_be_replaced),
		T(what_may_not_be_sent_stale_is_not_put_back),
		T(what_was_purged_is_not_put_back),
		T(a_refusal_says_nothing_of_the_object),
		T(gone_and_no_longer_shared_take_it_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
