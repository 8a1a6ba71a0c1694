/* One fetch for all who wait, over HTTP/1.1 to a scripted origin. */
#include "fill_rig.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig r;

static int close_rig(void **state)
{
	rig_close(&r);
	return 0;
}

/* Serves every request on every connection with one answer, one connection at a time. */
static const char *canned;

static void serve_canned(struct rig *k)
{
	int fd;

	while ((fd = rig_accept(k)) >= 0) {
		while (rig_read_request(k, fd))
			rig_send(fd, canned);
		close(fd);
	}
}

/* One answer, then the connection closes. */
static void serve_and_close(struct rig *k)
{
	int fd;

	while ((fd = rig_accept(k)) >= 0) {
		if (rig_read_request(k, fd))
			rig_send(fd, canned);
		close(fd);
	}
}

#define HEAD200 "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"

static struct rig_miss *one(void (*script)(struct rig *k), const char *answer)
{
	struct rig_miss *m;

	canned = answer;
	rig_open(&r, script, NULL);
	m = rig_fetch(&r, "/a.mp4?x=1", NULL);
	rig_until_replies(&r, 1);
	rig_until_idle(&r);
	return m;
}

static void expect_failed_body(struct rig_miss *m)
{
	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_FAILED);
	assert_null(rig_lookup(&r, "/a.mp4?x=1"));
}

static void a_response_becomes_an_object(void **state)
{
	struct rig_miss *m =
		one(serve_canned,
		    HEAD200 "Content-Type: video/mp4\r\nETag: \"v1\"\r\nContent-Length: 5\r\n"
			    "Access-Control-Allow-Origin: x\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
			    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello");
	const struct spate_meta *meta = atomic_load(&m->object->meta);
	char head[512];

	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_false(m->miss.coalesced);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, m->object, "hello", 5);
	assert_ptr_equal(rig_lookup(&r, "/a.mp4?x=1"), m->object);
	memcpy(head, meta->head, meta->head_len);
	head[meta->head_len] = '\0';
	assert_non_null(strstr(head, "Content-Type: video/mp4\r\n"));
	assert_null(strstr(head, "Access-Control"));
	assert_null(strstr(head, "X-Hop"));
	assert_null(strstr(head, "Content-Length"));
	assert_non_null(strstr(head, "\r\nDate: ")); /* ours, as there was none */
	assert_int_equal(meta->etag_len, 4);
	assert_memory_equal(meta->head + meta->etag_off, "\"v1\"", 4);
	assert_int_equal(meta->last_modified_s, 784111777);
}

static void the_request_is_what_the_origin_expects(void **state)
{
	one(serve_canned, HEAD200 "Content-Length: 0\r\n\r\n");
	assert_memory_equal(r.request, "GET /base/a.mp4?x=1 HTTP/1.1\r\n", 30);
	assert_non_null(strstr(r.request, "\r\nHost: origin.test\r\n"));
	assert_non_null(strstr(r.request, "\r\nAccept-Encoding: identity\r\n"));
	assert_non_null(strstr(r.request, "\r\nVia: "));
	assert_null(strstr(r.request, "If-"));
}

static void many_misses_make_one_request(void **state)
{
	canned = HEAD200 "Content-Length: 5\r\n\r\nhello";
	rig_open(&r, serve_canned, NULL);
	for (int i = 0; i < 40; i++)
		rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 40);
	rig_until_idle(&r);
	assert_int_equal(r.requests, 1);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(r.miss[i].miss.coalesced, i > 0);
		assert_ptr_equal(r.miss[i].object, r.miss[0].object);
	}
	/* and one that comes after the end is answered from the cache */
	rig_fetch(&r, "/seg", NULL);
	assert_int_equal(r.replies, 41);
	assert_int_equal(r.requests, 1);
}

static void serve_half_then_gate(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	rig_send(fd, HEAD200 "Content-Length: 10\r\n\r\nhello");
	rig_wait_gate(k);
	rig_send(fd, "world");
	rig_accept(k);
	close(fd);
}

static void a_late_miss_joins_the_stream(void **state)
{
	struct rig_miss *a, *b;

	rig_open(&r, serve_half_then_gate, NULL);
	a = rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 1);
	while (atomic_load(&a->object->filled) < 5)
		spate_loop_turn(r.env.loop, 1000);
	b = rig_fetch(&r, "/seg", NULL);
	assert_true(b->replied); /* at once, with half of it there */
	assert_ptr_equal(b->object, a->object);
	assert_true(b->miss.coalesced);
	assert_true(spate_object_wait(r.env.cache, a->object, 0, 5));
	assert_int_equal(r.progress, 0);
	atomic_store(&r.gate, true);
	rig_until_idle(&r);
	assert_true(r.progress > 0);
	rig_assert_body(&r, a->object, "helloworld", 10);
}

static void a_fill_goes_on_when_viewers_leave(void **state)
{
	struct rig_miss *a;

	rig_open(&r, serve_half_then_gate, NULL);
	a = rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 1);
	rig_taken(&r, a); /* and nobody pinned it */
	atomic_store(&r.gate, true);
	rig_until_idle(&r);
	assert_non_null(rig_lookup(&r, "/seg"));
	rig_assert_body(&r, rig_lookup(&r, "/seg"), "helloworld", 10);
}

static void a_short_body_is_no_object(void **state)
{
	expect_failed_body(one(serve_and_close, HEAD200 "Content-Length: 100\r\n\r\nhello"));
	assert_int_equal(rig_count(&r.stats.origin_short), 1);
}

static void a_length_that_lies_is_no_object(void **state)
{
	expect_failed_body(
		one(serve_and_close, HEAD200 "Content-Length: 5\r\n\r\nhello, and more"));
}

static void a_close_before_the_head_is_502(void **state)
{
	assert_int_equal(one(serve_and_close, "HTTP/1.1 200 OK\r\nContent-")->verdict,
			 SPATE_FETCH_BAD_GATEWAY);
	assert_int_equal(rig_count(&r.stats.origin_errors), 1);
}

static void chunks_are_decoded(void **state)
{
	struct rig_miss *m =
		one(serve_canned, HEAD200 "Transfer-Encoding: chunked\r\n\r\n"
					  "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n");

	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, m->object, "hello world", 11);
	rig_fetch(&r, "/b", NULL);
	rig_until_replies(&r, 2);
	assert_int_equal(r.connections, 1); /* the trailers were read: the connection is clean */
}

static void a_malformed_chunk_is_no_object(void **state)
{
	expect_failed_body(
		one(serve_and_close, HEAD200 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello5\r\n"));
}

static void chunks_that_stop_are_no_object(void **state)
{
	expect_failed_body(
		one(serve_and_close, HEAD200 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
}

static void a_body_may_end_with_the_connection(void **state)
{
	struct rig_miss *m = one(serve_and_close, HEAD200 "Connection: close\r\n\r\nhello");

	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, m->object, "hello", 5);
}

static void statuses_that_answer_no_question_of_ours_are_502(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-4/10\r\nContent-Length: "
		"5\r\n\r\nhello",
		"HTTP/1.1 304 Not Modified\r\n\r\n",
		"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
	};

	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		assert_int_equal(one(serve_and_close, answers[i])->verdict,
				 SPATE_FETCH_BAD_GATEWAY);
		if (i + 1 < sizeof(answers) / sizeof(answers[0]))
			rig_close(&r);
	}
}

static void hang_after_request(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	rig_wait_gate(k);
	close(fd);
}

static void a_hanging_origin_is_504(void **state)
{
	struct rig_miss *m;

	rig_open(&r, hang_after_request, NULL);
	r.env.limits.head_ms = 50;
	m = rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 1);
	assert_int_equal(m->verdict, SPATE_FETCH_TIMEOUT);
	assert_int_equal(rig_count(&r.stats.origin_timeouts), 1);
}

/* However many ask it, an origin that hangs leaves room for the others. */
static void a_hanging_origin_starves_no_other(void **state)
{
	static char url[32][16];
	struct spate_config_origin cfg[2] = {
		{.match = (char *)"/",
		 .url = (char *)"http://127.0.0.1",
		 .host = (char *)"127.0.0.1",
		 .authority = (char *)"origin.test",
		 .base = (char *)""},
		{.match = (char *)"/files", .dir = (char *)"."},
	};
	const char *bad;
	struct rig_miss *m;

	rig_open(&r, hang_after_request, NULL);
	spate_origins_destroy(r.env.origins);
	cfg[0].port = r.port;
	assert_int_equal(spate_origins_create(&r.env.origins, r.env.loop, cfg, 2, 4, &bad), 0);
	for (int i = 0; i < 32; i++) { /* as many fills as there may be */
		sprintf(url[i], "/%d", i);
		rig_fetch(&r, url[i], NULL);
	}
	assert_int_equal(r.replies, 8); /* 503 */
	m = rig_fetch(&r, "/files/none", NULL);
	rig_until_replies(&r, 9);
	assert_int_equal(m->verdict, SPATE_FETCH_NOT_FOUND);
}

static void a_body_that_hangs_fails(void **state)
{
	struct rig_miss *m;

	rig_open(&r, serve_half_then_gate, NULL);
	r.env.limits.idle_ms = 50;
	m = rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 1);
	rig_until_idle(&r);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_FAILED);
	assert_null(rig_lookup(&r, "/seg"));
}

static void a_refused_connection_is_502(void **state)
{
	struct rig_miss *m;

	rig_open(&r, NULL, NULL);
	close(r.listener);
	r.listener = -1;
	m = rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 1);
	assert_int_equal(m->verdict, SPATE_FETCH_BAD_GATEWAY);
}

/* In the C library's stead: "two.test" is 127.0.0.2, where nobody listens, and 127.0.0.1. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **out)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo *a, *b;
	int rc;

	if (real == NULL)
		real = (int (*)(const char *, const char *, const struct addrinfo *,
				struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(host, "two.test") != 0)
		return real(host, service, hints, out);
	if ((hints->ai_flags & AI_NUMERICHOST) != 0)
		return EAI_NONAME;
	rc = real("127.0.0.2", service, hints, &a);
	assert_int_equal(rc, 0);
	rc = real("127.0.0.1", service, hints, &b);
	assert_int_equal(rc, 0);
	a->ai_next = b;
	*out = a;
	return 0;
}

static void every_address_of_a_name_is_tried(void **state)
{
	struct spate_origin *o;

	canned = HEAD200 "Content-Length: 5\r\n\r\nhello";
	rig_open(&r, serve_canned, NULL);
	o = r.env.origins->o[0];
	free(o->host);
	o->host = strdup("two.test");
	rig_fetch(&r, "/seg", NULL);
	rig_until_replies(&r, 1);
	assert_int_equal(r.miss[0].verdict, SPATE_FETCH_OK);
}

static void connections_are_reused(void **state)
{
	one(serve_canned, HEAD200 "Content-Length: 5\r\n\r\nhello");
	rig_fetch(&r, "/b", NULL);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	assert_int_equal(r.requests, 2);
	assert_int_equal(r.connections, 1);
	assert_int_equal(rig_count(&r.stats.origin_reused), 1);
}

/*
 * Reads the second request on a kept connection and closes without a word: the race of keep-alive.
 */
static void close_on_second(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	rig_send(fd, HEAD200 "Content-Length: 5\r\n\r\nhello");
	rig_read_request(k, fd);
	close(fd);
	serve_canned(k);
}

static void a_dead_pooled_connection_is_tried_again_once(void **state)
{
	struct rig_miss *m;

	one(close_on_second, HEAD200 "Content-Length: 5\r\n\r\nagain");
	m = rig_fetch(&r, "/b", NULL);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	rig_assert_body(&r, m->object, "again", 5);
	assert_int_equal(rig_count(&r.stats.origin_retries), 1);
	assert_int_equal(r.connections, 2);
}

/* Takes the first request and closes without a word, as an origin that is being replaced. */
static void close_on_first(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	close(fd);
	serve_canned(k);
}

static void a_new_connection_that_ends_at_once_is_tried_again(void **state)
{
	struct rig_miss *m = one(close_on_first, HEAD200 "Content-Length: 5\r\n\r\nagain");

	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	rig_assert_body(&r, m->object, "again", 5);
	assert_int_equal(rig_count(&r.stats.origin_retries), 1);
	assert_int_equal(r.connections, 2);
}

static void close_always(struct rig *k)
{
	for (int i = 0; i < 2; i++) {
		int fd = rig_accept(k);

		rig_read_request(k, fd);
		close(fd);
	}
}

static void who_never_answers_is_asked_twice(void **state)
{
	struct rig_miss *m = one(close_always, "");

	assert_int_equal(m->verdict, SPATE_FETCH_BAD_GATEWAY);
	assert_int_equal(rig_count(&r.stats.origin_retries), 1);
	assert_int_equal(r.connections, 2);
}

static void partial_on_second(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	rig_send(fd, HEAD200 "Content-Length: 5\r\n\r\nhello");
	rig_read_request(k, fd);
	rig_send(fd, "HTTP/1.1");
	close(fd);
	serve_canned(k);
}

static void an_answer_that_began_is_not_tried_again(void **state)
{
	struct rig_miss *m;

	one(partial_on_second, HEAD200 "Content-Length: 5\r\n\r\nagain");
	m = rig_fetch(&r, "/b", NULL);
	rig_until_replies(&r, 2);
	assert_int_equal(m->verdict, SPATE_FETCH_BAD_GATEWAY);
	assert_int_equal(rig_count(&r.stats.origin_retries), 0);
}

static void a_304_refreshes_the_object(void **state)
{
	struct rig_miss *m = one(serve_canned, HEAD200
				 "ETag: \"v1\"\r\nContent-Length: 5\r\n"
				 "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello");
	struct spate_object *o = m->object;

	rig_expire(o);
	canned = "HTTP/1.1 304 Not Modified\r\nX-New: yes\r\n\r\n";
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	assert_non_null(strstr(r.request, "If-None-Match: \"v1\"\r\n"));
	assert_non_null(strstr(r.request, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	assert_ptr_equal(m->object, o);
	assert_true(atomic_load(&o->expires_s) > time(NULL) + 30); /* by the stored max-age */
	assert_int_equal(atomic_load(&o->meta)->status, 200);
	assert_int_equal(atomic_load(&o->meta)->etag_len, 4);
	assert_int_equal(rig_count(&r.stats.origin_304), 1);
}

/* A worker may still hold what has failed since it asked: nothing to ask the origin about. */
static void what_failed_is_not_revalidated(void **state)
{
	struct rig_miss *m = one(serve_and_close, "HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\n"
						  "ETag: \"v1\"\r\nContent-Length: 9\r\n\r\nhello");

	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_FAILED);
	canned = HEAD200 "ETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello";
	m = rig_fetch(&r, "/a.mp4?x=1", m->object);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	assert_null(strstr(r.request, "If-"));
	rig_assert_body(&r, m->object, "hello", 5);
}

/* A purge holds for a revalidation that was on its way to us when it came. */
static void what_was_purged_is_not_revalidated(void **state)
{
	struct rig_miss *m =
		one(serve_canned, HEAD200 "ETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello");
	struct spate_object *o = m->object;

	rig_expire(o);
	assert_true(spate_fills_purge(r.fills, &o->key));
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	assert_null(strstr(r.request, "If-"));
	assert_ptr_not_equal(m->object, o);
}

/* Without a validator we asked for all of it: a 304 answers another question. */
static void a_304_nobody_asked_for_is_502(void **state)
{
	struct rig_miss *m = one(serve_canned, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60, "
					       "must-revalidate\r\nContent-Length: 5\r\n\r\nhello");
	struct spate_object *o = m->object;

	rig_expire(o);
	canned = "HTTP/1.1 304 Not Modified\r\n\r\n";
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 2);
	assert_null(strstr(r.request, "If-"));
	assert_int_equal(m->verdict, SPATE_FETCH_BAD_GATEWAY);
}

/* RFC 9111 4.2.4: stale is for who is disconnected; an error about one URL says nothing of others.
 */
static void an_error_of_one_url_makes_no_other_stale(void **state)
{
	struct rig_miss *m =
		one(serve_canned, HEAD200 "ETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello");
	struct spate_object *o = m->object;

	canned = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
	rig_fetch(&r, "/broken", NULL);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	rig_expire(o);
	canned = HEAD200 "ETag: \"v2\"\r\nContent-Length: 3\r\n\r\nnew";
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 3);
	assert_ptr_not_equal(m->object, o);
}

static void a_200_replaces_the_object(void **state)
{
	struct rig_miss *m =
		one(serve_canned, HEAD200 "ETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello");
	struct spate_object *o = m->object;

	rig_expire(o);
	canned = HEAD200 "ETag: \"v2\"\r\nContent-Length: 3\r\n\r\nnew";
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 2);
	rig_until_idle(&r);
	assert_ptr_not_equal(m->object, o);
	rig_assert_body(&r, m->object, "new", 3);
	assert_ptr_equal(rig_lookup(&r, "/a.mp4?x=1"), m->object);
}

static void a_failing_origin_leaves_the_stale_object(void **state)
{
	struct rig_miss *m =
		one(serve_canned, HEAD200 "ETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello");
	struct spate_object *o = m->object;

	rig_expire(o);
	canned = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 2);
	assert_ptr_equal(m->object, o);
	assert_int_equal(m->verdict, SPATE_FETCH_STALE);
	assert_int_equal(rig_count(&r.stats.origin_errors), 1);
	/* and for a moment it is not even asked */
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	assert_true(m->replied);
	assert_ptr_equal(m->object, o);
	assert_int_equal(m->verdict, SPATE_FETCH_STALE);
	assert_int_equal(r.requests, 2);
}

static void must_revalidate_is_never_stale(void **state)
{
	struct rig_miss *m = one(serve_canned,
				 "HTTP/1.1 200 OK\r\nCache-Control: max-age=60, must-revalidate\r\n"
				 "ETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello");
	struct spate_object *o = m->object;

	rig_expire(o);
	canned = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
	m = rig_fetch(&r, "/a.mp4?x=1", o);
	rig_until_replies(&r, 2);
	assert_int_equal(m->verdict, SPATE_FETCH_BAD_GATEWAY);
}

static void private_answers_are_not_shared(void **state)
{
	canned = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nhello";
	rig_open(&r, serve_and_close, NULL);
	for (int i = 0; i < 4; i++)
		rig_fetch(&r, "/me", NULL);
	rig_until_replies(&r, 4);
	rig_until_idle(&r);
	assert_int_equal(r.requests, 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(r.miss[i].verdict, SPATE_FETCH_OK);
		assert_false(r.miss[i].miss.coalesced);
		rig_assert_body(&r, r.miss[i].object, "hello", 5);
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(r.miss[i].object, r.miss[j].object);
	}
	assert_null(rig_lookup(&r, "/me"));
}

static void a_404_is_shared_but_not_kept(void **state)
{
	canned = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone";
	rig_open(&r, serve_and_close, NULL);
	for (int i = 0; i < 4; i++)
		rig_fetch(&r, "/none", NULL);
	rig_until_replies(&r, 4);
	rig_until_idle(&r);
	assert_int_equal(r.requests, 1);
	assert_int_equal(atomic_load(&r.miss[3].object->meta)->status, 404);
	assert_null(rig_lookup(&r, "/none"));
}

static void a_404_with_a_lifetime_is_kept(void **state)
{
	one(serve_canned,
	    "HTTP/1.1 404 No\r\nCache-Control: max-age=5\r\nContent-Length: 4\r\n\r\ngone");
	assert_non_null(rig_lookup(&r, "/a.mp4?x=1"));
}

static void too_large_is_said_before_the_first_byte(void **state)
{
	assert_int_equal(
		one(serve_and_close, HEAD200 "Content-Length: 99999999\r\n\r\nhello")->verdict,
		SPATE_FETCH_TOO_LARGE);
}

static void a_purge_keeps_what_is_on_its_way_out(void **state)
{
	struct spate_key key = spate_key_of("/seg", 4);
	struct rig_miss *m;

	canned = HEAD200 "Content-Length: 5\r\n\r\nhello";
	rig_open(&r, serve_canned, NULL);
	m = rig_fetch(&r, "/seg", NULL);
	assert_true(spate_fills_purge(r.fills, &key));
	rig_until_idle(&r);
	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_null(rig_lookup(&r, "/seg"));
	assert_false(spate_fills_purge(r.fills, &key));
}

/* The first fetch is nobody else's; what the second, a pass, brings may be kept. */
static void serve_private_then_gate(struct rig *k)
{
	int fd = rig_accept(k), second;

	rig_read_request(k, fd);
	rig_send(fd, "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\nmine");
	second = rig_accept(k);
	rig_read_request(k, second);
	rig_wait_gate(k);
	rig_send(second, HEAD200 "Content-Length: 3\r\n\r\nold");
	rig_read_request(k, second);
	close(second);
	close(fd);
}

static void a_purge_finds_a_fetch_that_nobody_can_join(void **state)
{
	struct spate_key key = spate_key_of("/me", 3);

	rig_open(&r, serve_private_then_gate, NULL);
	rig_fetch(&r, "/me", NULL);
	rig_fetch(&r, "/me", NULL);
	rig_until_replies(&r, 1);
	while (r.requests < 2)
		spate_loop_turn(r.env.loop, 1000);
	assert_true(spate_fills_purge(r.fills, &key));
	assert_false(spate_fills_purge(r.fills, &key)); /* that was all */
	atomic_store(&r.gate, true);
	rig_until_idle(&r);
	rig_assert_body(&r, r.miss[1].object, "old", 3);
	assert_null(rig_lookup(&r, "/me"));
}

/* --- room --- */

#define BIG (1 << 20)
static char big[BIG];

static void *serve_big_on(void *arg)
{
	static char request[8192];
	int fd = (int)(intptr_t)arg;

	while (read(fd, request, sizeof(request)) > 0) { /* ours come in one piece */
		rig_send(fd, HEAD200 "Content-Length: 1048576\r\n\r\n");
		rig_send_n(fd, big, BIG);
	}
	close(fd);
	return NULL;
}

/* A thread a connection: one that waits for room must not keep the next from its head. */
static void serve_big(struct rig *k)
{
	pthread_t th[8];
	int fd, n = 0;

	while (n < 8 && (fd = rig_accept(k)) >= 0)
		pthread_create(&th[n++], NULL, serve_big_on, (void *)(intptr_t)fd);
	while (n > 0)
		pthread_join(th[--n], NULL);
}

/* Fetches until the cache is full of objects that are all held. */
static void fill_up(void)
{
	static char url[RIG_MISSES][8];

	for (int i = 0; i < BIG; i++)
		big[i] = (char)(i * 7 + i / 4099);
	rig_open(&r, serve_big, NULL);
	for (unsigned i = 0;; i++) {
		struct spate_cache_usage u;

		spate_cache_usage(r.env.cache, &u);
		if (u.blocks - u.blocks_used < BIG / (16 << 10))
			return;
		snprintf(url[i], sizeof(url[i]), "/%u", i);
		rig_fetch(&r, url[i], NULL);
		rig_until_replies(&r, i + 1);
		rig_until_idle(&r);
	}
}

static void until_stalled(void)
{
	for (int i = 0; i < 500 && !spate_fills_stalled(r.fills); i++)
		spate_loop_turn(r.env.loop, 10000);
	assert_true(spate_fills_stalled(r.fills));
}

static void a_cache_full_of_pins_is_503_in_time(void **state)
{
	struct rig_miss *last;
	unsigned n;

	fill_up();
	n = r.misses;
	rig_fetch(&r, "/more", NULL); /* takes the last blocks, and waits for more */
	until_stalled();
	assert_int_equal(r.replies, n + 1);
	r.env.limits.room_ms = 50;
	last = rig_fetch(&r, "/last", NULL);
	rig_until_replies(&r, n + 2);
	assert_int_equal(last->verdict, SPATE_FETCH_NO_ROOM); /* before a head was promised */
	assert_null(rig_lookup(&r, "/last"));
	assert_true(rig_count(&r.stats.cache_no_room) >= 2);
}

static void a_fill_that_finds_no_room_fails_in_time(void **state)
{
	fill_up();
	r.env.limits.room_ms = 50;
	rig_fetch(&r, "/more", NULL);
	rig_until_idle(&r);
	assert_int_equal(atomic_load(&r.miss[r.misses - 1].object->state), SPATE_OBJECT_FAILED);
	assert_null(rig_lookup(&r, "/more"));
}

static void a_fill_waits_for_room_and_goes_on(void **state)
{
	struct rig_miss *m;

	fill_up();
	m = rig_fetch(&r, "/more", NULL);
	until_stalled();
	rig_taken(&r, &r.miss[0]); /* now one may go */
	rig_until_idle(&r);
	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, m->object, big, BIG);
}

static void serve_chunks_after_gate(struct rig *k)
{
	int fd = rig_accept(k);

	rig_read_request(k, fd);
	rig_send(fd, HEAD200 "Transfer-Encoding: chunked\r\n\r\n");
	rig_wait_gate(k);
	rig_send(fd, "5\r\nhello\r\n0\r\n\r\n");
	rig_read_request(k, fd);
	close(fd);
}

/* All there is, in private objects of a block each. */
static unsigned hold_all(struct spate_object **held)
{
	struct spate_key key = {0};
	struct iovec iov;
	unsigned n = 0, k;

	while ((held[n] = spate_cache_insert_private(r.env.cache, &key)) != NULL) {
		struct spate_meta *meta = calloc(1, sizeof(*meta));

		assert_int_equal(spate_cache_publish(r.env.cache, held[n], meta, 1, 0), 0);
		if (spate_cache_room(r.env.cache, held[n++], 1, &iov, 1, &k) == 0)
			break;
	}
	return n;
}

/* It waited for a slot or its first block, and then for its origin. */
static void the_time_for_room_ends_with_the_wait_for_it(void **state)
{
	static struct spate_object *held[4096];
	unsigned n;

	rig_open(&r, serve_chunks_after_gate, NULL);
	r.env.limits.room_ms = 300;
	n = hold_all(held);
	rig_fetch(&r, "/seg", NULL);
	until_stalled();
	while (n > 0)
		spate_cache_release(r.env.cache, held[--n]);
	rig_until_replies(&r, 1);
	for (int i = 0; i < 50; i++) /* longer than that */
		spate_loop_turn(r.env.loop, 10000);
	atomic_store(&r.gate, true);
	rig_until_idle(&r);
	assert_int_equal(atomic_load(&r.miss[0].object->state), SPATE_OBJECT_COMPLETE);
	rig_assert_body(&r, r.miss[0].object, "hello", 5);
}

static void destroy_ends_what_is_under_way(void **state)
{
	rig_open(&r, hang_after_request, NULL);
	rig_fetch(&r, "/seg", NULL);
	while (r.requests == 0)
		spate_loop_turn(r.env.loop, 1000);
	spate_fills_destroy(r.fills);
	assert_int_equal(r.replies, 1);
	assert_int_equal(r.miss[0].verdict, SPATE_FETCH_BAD_GATEWAY);
	assert_int_equal(spate_fills_create(&r.fills, &r.env), 0); /* for rig_close */
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_rig)
	const struct CMUnitTest tests[] = {
		T(a_response_becomes_an_object),
		T(the_request_is_what_the_origin_expects),
		T(many_misses_make_one_request),
		T(a_late_miss_joins_the_stream),
		T(a_fill_goes_on_when_viewers_leave),
		T(a_short_body_is_no_object),
		T(a_length_that_lies_is_no_object),
		T(a_close_before_the_head_is_502),
		T(chunks_are_decoded),
		T(a_malformed_chunk_is_no_object),
		T(chunks_that_stop_are_no_object),
		T(a_body_may_end_with_the_connection),
		T(statuses_that_answer_no_question_of_ours_are_502),
		T(a_hanging_origin_is_504),
		T(a_hanging_origin_starves_no_other),
		T(a_body_that_hangs_fails),
		T(a_refused_connection_is_502),
		T(every_address_of_a_name_is_tried),
		T(connections_are_reused),
		T(a_dead_pooled_connection_is_tried_again_once),
		T(a_new_connection_that_ends_at_once_is_tried_again),
		T(who_never_answers_is_asked_twice),
		T(an_answer_that_began_is_not_tried_again),
		T(a_304_refreshes_the_object),
		T(a_304_nobody_asked_for_is_502),
		T(what_failed_is_not_revalidated),
		T(what_was_purged_is_not_revalidated),
		T(an_error_of_one_url_makes_no_other_stale),
		T(a_200_replaces_the_object),
		T(a_failing_origin_leaves_the_stale_object),
		T(must_revalidate_is_never_stale),
		T(private_answers_are_not_shared),
		T(a_404_is_shared_but_not_kept),
		T(a_404_with_a_lifetime_is_kept),
		T(too_large_is_said_before_the_first_byte),
		T(a_purge_keeps_what_is_on_its_way_out),
		T(a_purge_finds_a_fetch_that_nobody_can_join),
		T(a_cache_full_of_pins_is_503_in_time),
		T(a_fill_that_finds_no_room_fails_in_time),
		T(a_fill_waits_for_room_and_goes_on),
		T(the_time_for_room_ends_with_the_wait_for_it),
		T(destroy_ends_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
