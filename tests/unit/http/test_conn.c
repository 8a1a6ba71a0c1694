/*
 * test_conn.c: the HTTP connection over a stream in memory, a real cache, and a control plane
 * played by the test: it pops FETCH messages, fills objects, and pushes replies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/cache/write.h"
#include "dataplane/http/conn_impl.h"
#include "dataplane/stream/mem.h"

#define BODY_BYTES 50000

static struct {
	struct spate_cache *cache;
	struct spate_ring to_control, from_control;
	struct spate_stats stats;
	struct spate_worker_config config;
	struct spate_stream_mem_setup setup;
	struct spate_worker *w;
	uint8_t body[BODY_BYTES];
	int fd;
} t;

static int set_up(void **state)
{
	struct spate_worker_setup s = {.id = 0, .cpu = -1, .backend = &spate_stream_mem_backend};
	const char *why;

	(void)state;
	memset(&t, 0, sizeof(t));
	for (int i = 0; i < BODY_BYTES; i++)
		t.body[i] = (uint8_t)(i * 7 + i / 251);
	t.fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(spate_cache_create(&t.cache, 16 << 20, 16384, 1), 0);
	assert_int_equal(spate_ring_init(&t.to_control, SPATE_HTTP_RING_MIN, t.fd), 0);
	assert_int_equal(spate_ring_init(&t.from_control, SPATE_HTTP_RING_MIN, t.fd), 0);
	t.config = (struct spate_worker_config){.header_timeout_ms = 1000,
						.idle_timeout_ms = 5000,
						.send_timeout_ms = 3000,
						.max_connections = 100};
	t.setup.listener.accept = spate_http_accept;
	s.cache = t.cache;
	s.config = &t.config;
	s.stats = &t.stats;
	s.to_control = &t.to_control;
	s.from_control = &t.from_control;
	s.backend_setup = &t.setup;
	assert_int_equal(spate_worker_create(&t.w, &s, &why), 0);
	spate_cache_online(t.cache, 0);
	return 0;
}

/* The same cases, when requests are known before their turn (http/ahead.c). */
static int set_up_ahead(void **state)
{
	int err = set_up(state);

	t.setup.ahead = true;
	return err;
}

static int tear_down(void **state)
{
	struct spate_cache_usage u;

	(void)state;
	spate_cache_usage(t.cache, &u);
	assert_int_equal(u.pins, 0); /* whatever a case did, no pin is left */
	spate_cache_offline(t.cache, 0);
	spate_worker_destroy(t.w);
	spate_ring_finish(&t.to_control);
	spate_ring_finish(&t.from_control);
	spate_cache_destroy(t.cache);
	close(t.fd);
	return 0;
}

/* --- the part of control --- */

static struct spate_meta *make_meta(unsigned status)
{
	static const char head[] =
		"Content-Type: video/mp4\r\nETag: \"v1\"\r\nCache-Control: max-age=60\r\n";
	struct spate_meta *m = calloc(1, sizeof(*m) + sizeof(head));

	memcpy(m->head, head, sizeof(head) - 1);
	m->head_len = sizeof(head) - 1;
	m->status = (uint16_t)status;
	m->etag_off = 31;
	m->etag_len = 4;
	m->last_modified_s = -1;
	m->date_s = m->stored_s = t.w->wall_s;
	m->cacheable = true;
	return m;
}

static void fill(struct spate_object *o, size_t from, size_t to)
{
	uint64_t waiting = 0;

	while (from < to) {
		struct iovec iov[8];
		unsigned n;
		uint64_t room = spate_cache_room(t.cache, o, to - from, iov, 8, &n);

		assert_true(room > 0);
		for (unsigned i = 0; i < n; i++) {
			memcpy(iov[i].iov_base, t.body + from, iov[i].iov_len);
			from += iov[i].iov_len;
		}
		waiting |= spate_cache_filled(t.cache, o, room);
	}
	if (waiting)
		spate_watch_run(&t.w->watch, o);
}

static void complete(struct spate_object *o)
{
	uint64_t waiting = 0;

	assert_int_equal(spate_cache_complete(t.cache, o, &waiting), 0);
	if (waiting)
		spate_watch_run(&t.w->watch, o);
}

static struct spate_object *publish(const char *url, uint64_t size, unsigned status)
{
	struct spate_key key = spate_key_of(url, strlen(url));
	struct spate_object *o = spate_cache_insert(t.cache, &key);

	assert_non_null(o);
	assert_int_equal(spate_cache_publish(t.cache, o, make_meta(status), size, t.w->wall_s + 60),
			 0);
	return o;
}

/* A complete fresh object. */
static void store(const char *url)
{
	struct spate_object *o = publish(url, BODY_BYTES, 200);

	fill(o, 0, BODY_BYTES);
	complete(o);
	spate_cache_release(t.cache, o);
}

static struct spate_miss *next_fetch(void)
{
	struct spate_msg m;

	while (spate_ring_pop(&t.to_control, &m))
		if (m.type == SPATE_MSG_FETCH)
			return m.miss;
	return NULL;
}

/* What worker.c does with a REPLY. */
static void reply(struct spate_miss *miss, struct spate_object *o, enum spate_fetch_verdict v)
{
	if (o != NULL)
		spate_cache_pin(t.cache, 0, o);
	miss->done(t.w, miss, o, v);
}

/* --- the part of the viewer --- */

static struct spate_stream_mem *ask(const char *request)
{
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	assert_non_null(m);
	spate_stream_mem_send(m, request, strlen(request));
	spate_stream_mem_take(m, SIZE_MAX);
	return m;
}

#define GET(path, more) "GET " path " HTTP/1.1\r\nHost: e\r\n" more "\r\n"

static const char *body_of(const struct spate_stream_mem *m)
{
	const char *end = strstr((const char *)m->out, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static size_t body_len(const struct spate_stream_mem *m)
{
	return m->out_len - (size_t)(body_of(m) - (const char *)m->out);
}

static void assert_has(const struct spate_stream_mem *m, const char *text)
{
	if (m->out == NULL || memmem(m->out, m->out_len, text, strlen(text)) == NULL)
		fail_msg("no \"%s\" in: %.600s", text, m->out ? (const char *)m->out : "nothing");
}

static void assert_lacks(const struct spate_stream_mem *m, const char *text)
{
	if (memmem(m->out, m->out_len, text, strlen(text)) != NULL)
		fail_msg("\"%s\" in: %.600s", text, (const char *)m->out);
}

/* --- cases --- */

static void hit_is_answered_whole(void **state)
{
	(void)state;
	store("/a.m4s");
	struct spate_stream_mem *m = ask(GET("/a.m4s", ""));

	assert_has(m, "HTTP/1.1 200 OK\r\n");
	assert_has(m, "Content-Length: 50000\r\n");
	assert_has(m, "ETag: \"v1\"\r\n");
	assert_has(m, "Age: 0\r\n");
	assert_has(m, "Access-Control-Allow-Origin: *\r\n");
	assert_int_equal(body_len(m), BODY_BYTES);
	assert_memory_equal(body_of(m), t.body, BODY_BYTES);
	assert_null(next_fetch());
	assert_int_equal(t.stats.http_hit, 1);
	spate_stream_mem_close(m);
}

static void a_page_of_another_site_may_read_headers(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = ask(GET("/a", "Origin: https://tv.example\r\n"));

	assert_has(m, "Access-Control-Allow-Origin: *\r\n");
	assert_has(m,
		   "Access-Control-Expose-Headers: Content-Range, Content-Length, Date, ETag\r\n");
	spate_stream_mem_close(m);
}

static void head_has_no_body(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = ask("HEAD /a HTTP/1.1\r\nHost: e\r\n\r\n");

	assert_has(m, "Content-Length: 50000\r\n");
	assert_int_equal(body_len(m), 0);
	spate_stream_mem_close(m);
}

static void byte_at_a_time(void **state)
{
	static const char request[] = GET("/a", "Range: bytes=10-19\r\n");

	(void)state;
	store("/a");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		assert_int_equal(m->s.out.end, 0);
		spate_stream_mem_send(m, request + i, 1);
	}
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 206 Partial Content\r\n");
	assert_has(m, "Content-Range: bytes 10-19/50000\r\n");
	assert_memory_equal(body_of(m), t.body + 10, 10);
	spate_stream_mem_close(m);
}

static void pipelined_hundred_in_order(void **state)
{
	char *all = malloc(100 * 100), *at = all;

	(void)state;
	store("/a");
	for (int i = 0; i < 100; i++)
		at += sprintf(at, "GET /a HTTP/1.1\r\nHost: e\r\nRange: bytes=%d-%d\r\n\r\n", i, i);
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	spate_stream_mem_send(m, all, (size_t)(at - all));
	assert_true(m->paused); /* the send queue is bounded; the rest waits in the stream */
	spate_stream_mem_take(m, SIZE_MAX);
	const char *p = (const char *)m->out;

	for (int i = 0; i < 100; i++) {
		char want[64];

		sprintf(want, "Content-Range: bytes %d-%d/50000\r\n", i, i);
		assert_non_null(strstr(p, want));
		p = strstr(p, "\r\n\r\n") + 4;
		assert_int_equal((uint8_t)*p, t.body[i]);
		p++;
	}
	assert_ptr_equal(p, m->out + m->out_len);
	free(all);
	spate_stream_mem_close(m);
}

static void multipart_ranges(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = ask(GET("/a", "Range: bytes=0-9,20000-20009,-10\r\n"));
	char *end;
	unsigned long want;

	assert_has(m, "Content-Type: multipart/byteranges; boundary=");
	assert_has(m, "Content-Type: video/mp4\r\nContent-Range: bytes 20000-20009/50000\r\n\r\n");
	want = strtoul(strstr((char *)m->out, "Content-Length: ") + 16, &end, 10);
	assert_int_equal(body_len(m), want);
	const char *part = memmem(m->out, m->out_len, "bytes 20000-20009/50000\r\n\r\n", 27);

	assert_memory_equal(part + 27, t.body + 20000, 10);
	spate_stream_mem_close(m);
}

static void not_modified_and_if_range(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = ask(GET("/a", "If-None-Match: W/\"v1\"\r\n"));

	assert_has(m, "HTTP/1.1 304 Not Modified\r\n");
	assert_int_equal(body_len(m), 0);
	spate_stream_mem_close(m);
	m = ask(GET("/a", "Range: bytes=0-0\r\nIf-Range: \"v0\"\r\n"));
	assert_has(m, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(body_len(m), BODY_BYTES);
	spate_stream_mem_close(m);
	m = ask(GET("/a", "Range: bytes=50000-\r\n"));
	assert_has(m, "HTTP/1.1 416 Range Not Satisfiable\r\n");
	assert_has(m, "Content-Range: bytes */50000\r\n");
	spate_stream_mem_close(m);
	m = ask(GET("/a", "If-Match: \"v0\"\r\n"));
	assert_has(m, "HTTP/1.1 412 Precondition Failed\r\n");
	spate_stream_mem_close(m);
}

static void miss_asks_control_and_streams(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask(GET("/x/%61?q=1", ""));
	struct spate_miss *miss = next_fetch();

	assert_non_null(miss);
	assert_int_equal(miss->url_len, 8);
	assert_memory_equal(miss->url, "/x/a?q=1", 8);
	assert_int_equal(m->out_len, 0);
	struct spate_object *o = publish("/x/a?q=1", BODY_BYTES, 200);

	fill(o, 0, 1000);
	reply(miss, o, SPATE_FETCH_OK);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_int_equal(body_len(m), 1000); /* what is there, at once */
	fill(o, 1000, 30000);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_int_equal(body_len(m), 30000);

	/* a second viewer joins without control */
	struct spate_stream_mem *second = ask(GET("/x/a?q=1", ""));

	assert_null(next_fetch());
	assert_int_equal(body_len(second), 30000);
	fill(o, 30000, BODY_BYTES);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	spate_stream_mem_take(second, SIZE_MAX);
	assert_memory_equal(body_of(m), t.body, BODY_BYTES);
	assert_memory_equal(body_of(second), t.body, BODY_BYTES);
	assert_int_equal(t.stats.http_coalesced, 1);
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
	spate_stream_mem_close(second);
}

static void failed_fill_cuts_the_stream(void **state)
{
	uint64_t waiting;

	(void)state;
	struct spate_stream_mem *m = ask(GET("/f", ""));
	struct spate_object *o = publish("/f", BODY_BYTES, 200);

	fill(o, 0, 100);
	reply(next_fetch(), o, SPATE_FETCH_OK);
	spate_stream_mem_take(m, SIZE_MAX);
	spate_cache_fail(t.cache, o, &waiting);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_true(m->closed);
	assert_int_equal(m->why, SPATE_CLOSE_SHORT);
	assert_int_equal(body_len(m), 100);
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

static void unknown_size_is_chunked(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask(GET("/u", ""));
	struct spate_object *o = publish("/u", SPATE_SIZE_UNKNOWN, 200);

	fill(o, 0, 5);
	reply(next_fetch(), o, SPATE_FETCH_OK);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "Transfer-Encoding: chunked\r\n");
	assert_int_equal(body_len(m), 5 + 5);
	assert_memory_equal(body_of(m), "5\r\n", 3);
	fill(o, 5, 25);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_int_equal(body_len(m), 10 + 4 + 20 + 2 + 5);
	assert_memory_equal(body_of(m) + 10, "14\r\n", 4);
	assert_memory_equal(body_of(m) + 36, "0\r\n\r\n", 5);
	spate_cache_release(t.cache, o);

	/* complete by now: its length is known */
	struct spate_stream_mem *late = ask(GET("/u", ""));

	assert_has(late, "Content-Length: 25\r\n");
	spate_stream_mem_close(m);
	spate_stream_mem_close(late);
}

/* What follows the last request of a connection is left unread while its answer is pumped; the
 * peer's FIN lies behind it. */
static void bytes_behind_the_last_request_are_thrown_away(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask(GET("/u", "Connection: close\r\n") "X");
	struct spate_object *o = publish("/u", SPATE_SIZE_UNKNOWN, 200);

	fill(o, 0, 5);
	reply(next_fetch(), o, SPATE_FETCH_OK);
	assert_int_equal(m->in_len, 1);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_true(m->fin);
	spate_stream_mem_eof(m);
	assert_int_equal(m->in_len, 0);
	assert_true(m->closed);
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

static void unknown_size_to_http_1_0_ends_by_close(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask("GET /u HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	struct spate_object *o = publish("/u", SPATE_SIZE_UNKNOWN, 200);

	fill(o, 0, 5);
	reply(next_fetch(), o, SPATE_FETCH_OK);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_int_equal(body_len(m), 5);
	assert_true(m->fin);
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

static void verdicts_become_statuses(void **state)
{
	static const struct {
		enum spate_fetch_verdict v;
		const char *line;
	} rows[] = {
		{SPATE_FETCH_NOT_FOUND, "HTTP/1.1 404 "},
		{SPATE_FETCH_FORBIDDEN, "HTTP/1.1 403 "},
		{SPATE_FETCH_BAD_GATEWAY, "HTTP/1.1 502 "},
		{SPATE_FETCH_TIMEOUT, "HTTP/1.1 504 "},
		{SPATE_FETCH_NO_ROOM, "HTTP/1.1 503 "},
		{SPATE_FETCH_TOO_LARGE, "HTTP/1.1 502 "},
	};

	(void)state;
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m->out_len = 0;
		spate_stream_mem_send(m, GET("/n", ""), strlen(GET("/n", "")));
		reply(next_fetch(), NULL, rows[i].v);
		spate_stream_mem_take(m, SIZE_MAX);
		assert_has(m, rows[i].line);
		assert_has(m, "Cache-Control: no-store\r\n");
	}
	assert_false(m->finish); /* the connection is as good as before */
	spate_stream_mem_close(m);
}

static void viewer_leaves_while_control_is_busy(void **state)
{
	(void)state;
	const struct spate_log_record *rec;
	struct spate_log_ring log;

	assert_int_equal(spate_log_ring_init(&log, 8192), 0);
	t.config.access_log = true;
	t.w->log = &log;
	struct spate_stream_mem *m = ask(GET("/l", "User-Agent: u\r\n"));
	struct spate_miss *miss = next_fetch();

	spate_stream_mem_close(m);
	rec = spate_log_ring_peek(&log);
	assert_non_null(rec);
	assert_int_equal(rec->status, 499);
	assert_int_equal(rec->body_bytes, 0);
	assert_false(rec->complete);
	assert_int_equal(rec->url_len, 2);
	assert_memory_equal(rec->text, "/lu", 3);
	t.w->log = NULL;
	spate_log_ring_finish(&log);
	struct spate_object *o = publish("/l", BODY_BYTES, 200);

	reply(miss, o, SPATE_FETCH_OK); /* the pin must be given back: tear_down looks */
	assert_int_equal(t.stats.http_miss, 1);
	fill(o, 0, BODY_BYTES);
	complete(o);
	spate_cache_release(t.cache, o);
}

static void stale_is_revalidated(void **state)
{
	(void)state;
	store("/s");
	t.w->wall_s += 100;
	struct spate_stream_mem *m = ask(GET("/s", ""));
	struct spate_miss *miss = next_fetch();

	assert_non_null(miss);
	assert_non_null(miss->stale);
	spate_cache_refresh(t.cache, miss->stale, NULL, t.w->wall_s + 60);
	reply(miss, miss->stale, SPATE_FETCH_OK);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 200 OK\r\n");
	assert_has(m, "Cache-Status: spate; fwd=stale; fwd-status=304\r\n");
	assert_int_equal(t.stats.http_revalidated, 1);
	spate_stream_mem_close(m);
}

/* What the fill is of has gone stale while it still arrives: that is no 304. */
static void fill_that_outlives_its_lifetime_is_joined(void **state)
{
	(void)state;
	struct spate_object *o = publish("/s", BODY_BYTES, 200);

	fill(o, 0, 5);
	t.w->wall_s += 100;
	struct spate_stream_mem *m = ask(GET("/s", ""));
	struct spate_miss *miss = next_fetch();

	assert_ptr_equal(miss->stale, o);
	miss->coalesced = true;
	reply(miss, o, SPATE_FETCH_OK);
	fill(o, 5, BODY_BYTES);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_int_equal(t.stats.http_revalidated, 0);
	assert_int_equal(t.stats.http_coalesced, 1);
	assert_null(strstr((const char *)m->out, "304"));
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

/* The origin is down, and nobody is told that it said 304. */
static void stale_for_a_failing_origin_is_called_so(void **state)
{
	(void)state;
	store("/s");
	t.w->wall_s += 100;
	struct spate_stream_mem *m = ask(GET("/s", ""));
	struct spate_miss *miss = next_fetch();

	reply(miss, miss->stale, SPATE_FETCH_STALE);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 200 OK\r\n");
	assert_has(m, "Age: 100\r\n");
	assert_has(m, "Cache-Status: spate; fwd=stale\r\n");
	assert_int_equal(t.stats.http_stale, 1);
	assert_int_equal(t.stats.http_revalidated, 0);
	spate_stream_mem_close(m);
}

/* 503 for want of room is in the log like any other answer. */
static void too_many_misses_are_logged(void **state)
{
	(void)state;
	t.config.access_log = true;
	t.w->http->misses = SPATE_HTTP_MISSES_MAX;
	struct spate_stream_mem *m = ask(GET("/n", ""));

	assert_has(m, "HTTP/1.1 503 ");
	assert_null(next_fetch());
	spate_stream_mem_close(m);
	assert_int_equal(t.stats.log_dropped, 1); /* there is no ring in this test */
	assert_int_equal(t.w->http->small.used, 0);
}

/* Answers that nobody reads are many; for want of room for their records nobody else is refused. */
static void log_records_keep_no_request_waiting(void **state)
{
	(void)state;
	store("/a");
	t.config.access_log = true;
	t.w->http->log_small.limit = 4;
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	for (int i = 0; i < 10; i++)
		spate_stream_mem_send(m, GET("/a", ""), strlen(GET("/a", "")));
	assert_int_equal(t.w->http->log_small.used, 4);
	assert_int_equal(t.stats.log_dropped, 6);
	assert_int_equal(t.w->http->small.used, 0);
	struct spate_stream_mem *other = ask(GET("/n", ""));

	reply(next_fetch(), NULL, SPATE_FETCH_NOT_FOUND);
	assert_int_equal(t.w->http->small.used,
			 0); /* answered, and not read: for the log at most */
	spate_stream_mem_take(other, SIZE_MAX);
	assert_has(other, "HTTP/1.1 404 ");
	spate_stream_mem_take(m, SIZE_MAX);
	assert_int_equal(m->closed, false);
	spate_stream_mem_close(m);
	spate_stream_mem_close(other);
	assert_int_equal(t.w->http->log_small.used, 0);
}

static void options_of_http_1_0_say_what_becomes_of_the_connection(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask("OPTIONS /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

	assert_has(m, "Connection: keep-alive\r\n");
	assert_false(m->fin);
	spate_stream_mem_close(m);
}

static void requests_refused(void **state)
{
	static const struct {
		const char *request, *line;
		bool closes;
	} rows[] = {
		{"GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", true},
		{"GET / HTTP/2.0\r\nHost: e\r\n\r\n", "HTTP/1.1 505 ", true},
		{"BREW / HTTP/1.1\r\nHost: e\r\n\r\n", "HTTP/1.1 501 ", false},
		{"DELETE / HTTP/1.1\r\nHost: e\r\n\r\n", "HTTP/1.1 405 ", false},
		{"GET / HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 413 ",
		 true},
		{"POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 ",
		 true},
		{"GET /../x HTTP/1.1\r\nHost: e\r\n\r\n", "HTTP/1.1 400 ", true},
		{"OPTIONS * HTTP/1.1\r\nHost: e\r\n\r\n", "HTTP/1.1 204 ", false},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_stream_mem *m = ask(rows[i].request);

		assert_has(m, rows[i].line);
		assert_int_equal(m->fin, rows[i].closes);
		spate_stream_mem_close(m);
	}
}

static void slow_head_gets_408(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask("GET / HT");

	assert_int_equal(m->timer_ms, 1000);
	spate_stream_mem_timeout(m);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 408 Request Timeout\r\n");
	assert_true(m->fin);
	spate_stream_mem_close(m);
}

static void stalled_reader_is_cut(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	spate_stream_mem_send(m, GET("/a", ""), strlen(GET("/a", "")));
	spate_stream_mem_take(m, 1000);
	spate_stream_mem_timeout(m); /* bytes moved: another round */
	assert_false(m->aborted);
	spate_stream_mem_timeout(m);
	assert_true(m->aborted);
	assert_int_equal(t.stats.conn_timeout, 1);
	spate_stream_mem_close(m);
}

static void half_closed_viewer_still_gets_it_all(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask(GET("/h", ""));

	spate_stream_mem_eof(m);
	assert_false(m->finish);
	struct spate_object *o = publish("/h", BODY_BYTES, 200);

	reply(next_fetch(), o, SPATE_FETCH_OK);
	fill(o, 0, BODY_BYTES);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_memory_equal(body_of(m), t.body, BODY_BYTES);
	assert_true(m->closed);
	assert_int_equal(m->why, SPATE_CLOSE_DONE);
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

/* A body of unknown size that pauses longer than the send timeout: nothing is there to be taken. */
static void waiting_for_the_origin_is_no_stalled_reader(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask(GET("/u", ""));
	struct spate_object *o = publish("/u", SPATE_SIZE_UNKNOWN, 200);

	fill(o, 0, 5);
	reply(next_fetch(), o, SPATE_FETCH_OK);
	spate_stream_mem_take(m, SIZE_MAX);
	spate_stream_mem_timeout(m); /* bytes had moved */
	spate_stream_mem_timeout(m); /* none had, but all were taken */
	assert_false(m->aborted);
	fill(o, 5, 25);
	complete(o);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "0\r\n\r\n");
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

/* When no node can be had the viewer is reset, and nothing of it stays behind. */
static void empty_pools_leak_nothing(void **state)
{
	static const char *const requests[] = {
		GET("/a", ""),
		GET("/a", "Range: bytes=0-1,9-10\r\n"),
		"OPTIONS /a HTTP/1.1\r\nHost: e\r\n\r\n",
		"DELETE /a HTTP/1.1\r\nHost: e\r\n\r\n",
		"GET /a HTTP/1.1\r\n\r\n",
		GET("/n", ""),
	};

	(void)state;
	store("/a");
	t.config.access_log = true;
	t.w->bytes_pool.limit = 0;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct spate_stream_mem *m = ask(requests[i]);

		if (i == 5)
			reply(next_fetch(), NULL, SPATE_FETCH_NOT_FOUND);
		spate_stream_mem_take(m, SIZE_MAX);
		assert_true(m->aborted);
		spate_stream_mem_close(m);
		assert_int_equal(t.w->http->small.used, 0);
	}
}

/* An error about one request: what the origin said of the content's freshness is not about it. */
static void errors_are_not_as_fresh_as_the_content(void **state)
{
	static const char *const requests[] = {
		GET("/a", "Range: bytes=50000-\r\n"),
		GET("/a", "If-Match: \"v0\"\r\n"),
	};

	(void)state;
	store("/a");
	for (unsigned i = 0; i < 2; i++) {
		struct spate_stream_mem *m = ask(requests[i]);

		assert_has(m, "\r\nCache-Control: no-store\r\n");
		assert_has(m, "\r\nDate: ");
		assert_lacks(m, "max-age");
		assert_lacks(m, "video/mp4");
		spate_stream_mem_close(m);
	}
}

static void close_that_was_announced_is_kept(void **state)
{
	(void)state;
	struct spate_stream_mem *m = ask("HEAD /u HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	struct spate_object *o = publish("/u", SPATE_SIZE_UNKNOWN, 200);

	reply(next_fetch(), o, SPATE_FETCH_OK);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "Connection: close\r\n");
	assert_true(m->fin);
	complete(o);
	spate_cache_release(t.cache, o);
	spate_stream_mem_close(m);
}

/* RFC 9110 9.3.2. */
static void refused_head_has_no_body(void **state)
{
	static const char *const requests[] = {
		"HEAD /../x HTTP/1.1\r\nHost: e\r\n\r\n",
		"HEAD /a HTTP/1.1\r\nHost: e\r\nContent-Length: 1\r\n\r\nx",
		"HEAD /a HTTP/1.1\r\n\r\n", /* no Host: not even parsed */
		"\r\nHEAD /a HTTP/1.1\r\nHost: e\r\nExpect: x\r\n\r\n",
	};
	struct spate_stream_mem *slow = ask("HEAD /a HTTP");

	(void)state;
	spate_stream_mem_timeout(slow);
	spate_stream_mem_take(slow, SIZE_MAX);
	assert_has(slow, "HTTP/1.1 408 ");
	assert_int_equal(body_len(slow), 0);
	spate_stream_mem_close(slow);
	for (unsigned i = 0; i < 4; i++) {
		struct spate_stream_mem *m = ask(requests[i]);

		assert_true(m->fin);
		assert_int_equal(body_len(m), 0);
		spate_stream_mem_close(m);
	}
}

/* A reload may lower the limit below what a connection has had. */
static void lowered_request_limit_closes(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	for (int i = 0; i < 4; i++) {
		assert_false(m->fin);
		if (i == 3)
			t.config.max_requests = 2;
		spate_stream_mem_send(m, GET("/a", ""), strlen(GET("/a", "")));
		spate_stream_mem_take(m, SIZE_MAX);
	}
	assert_true(m->fin);
	spate_stream_mem_close(m);
}

/* A queue that never runs empty: what has left it is logged all the same. */
static void pipelining_without_end_holds_no_log_records(void **state)
{
	(void)state;
	store("/a");
	t.config.access_log = true;
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	for (int i = 0; i < 300; i++) {
		spate_stream_mem_send(m, GET("/a", ""), strlen(GET("/a", "")));
		if (i >= 20)
			spate_stream_mem_take(m, BODY_BYTES);
		m->out_len = 0;
		assert_true(spate_sendq_len(&m->s.out) > 0);
	}
	assert_in_range(t.w->http->log_small.used, 1, 60);
	spate_stream_mem_close(m);
}

static void drain(struct spate_stream_mem *m)
{
	m->s.app->drain(&m->s);
	spate_stream_mem_take(m, 0);
}

/* Who has just connected may have a request on its way: it is waited for, not for long. */
static void drain_answers_who_has_just_connected(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	drain(m);
	assert_false(m->finish);
	assert_in_range(m->timer_ms, 1, 1000);
	spate_stream_mem_send(m, GET("/a", ""), strlen(GET("/a", "")));
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "Connection: close\r\n");
	assert_true(m->fin);
	drain(m);
	spate_stream_mem_close(m);
	m = spate_stream_mem_connect(t.w);
	drain(m);
	spate_stream_mem_timeout(m);
	assert_true(m->finish);
	spate_stream_mem_close(m);
	m = ask(GET("/a", ""));
	drain(m);
	assert_true(m->finish); /* between two requests: at once */
	spate_stream_mem_close(m);
}

/* The half that has come may become a request: it is answered, and told that it was the last. */
static void drain_waits_for_the_rest_of_a_request(void **state)
{
	static const char both[] = GET("/a", "") "GET /a HT", rest[] = "TP/1.1\r\nHost: e\r\n\r\n";

	(void)state;
	store("/a");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);

	spate_stream_mem_send(m, both, strlen(both));
	drain(m);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_false(m->finish);
	assert_int_not_equal(m->timer_ms, 0);
	m->out_len = 0;
	spate_stream_mem_send(m, rest, strlen(rest));
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 200 OK\r\n");
	assert_has(m, "Connection: close\r\n");
	assert_true(m->fin);
	spate_stream_mem_close(m);
	/* But of who has said FIN no rest comes. */
	m = spate_stream_mem_connect(t.w);
	spate_stream_mem_send(m, both, strlen(both));
	spate_stream_mem_eof(m);
	spate_stream_mem_take(m, SIZE_MAX);
	assert_true(m->fin);
	spate_stream_mem_close(m);
}

/* RFC 9112 2.2: some clients send one after a body. */
static void empty_line_between_requests_begins_nothing(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = ask(GET("/a", ""));
	uint32_t idle_ms = m->timer_ms;

	spate_stream_mem_send(m, "\r", 1);
	spate_stream_mem_send(m, "\n", 1);
	assert_int_equal(m->timer_ms, idle_ms);
	assert_int_equal(t.w->http->partials.used, 0);
	m->out_len = 0;
	spate_stream_mem_send(m, GET("/a", ""), strlen(GET("/a", "")));
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 200 OK\r\n");
	spate_stream_mem_close(m);
}

/* Packet buffers are used again: what was known of the bytes before counts for nothing. */
static void ahead_is_for_one_burst(void **state)
{
	char data[128];

	(void)state;
	store("/a");
	store("/b");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);
	struct spate_stream_ahead a = {&m->s, (uint8_t *)data, strlen(GET("/a", ""))};

	strcpy(data, GET("/a", ""));
	m->s.app->ahead(&a, 1);
	assert_int_equal(t.w->http->nready, 1);
	t.w->burst++;
	strcpy(data, "OPTIONS /a HTTP/1.0\r\nUser-Agent: as long as the other one\r\n\r\n");
	assert_int_equal(m->s.app->recv(&m->s, (uint8_t *)data, strlen(data)), strlen(data));
	spate_stream_mem_take(m, SIZE_MAX);
	assert_has(m, "HTTP/1.1 204 ");
	spate_stream_mem_close(m);
}

/* Fetching ahead counts as no use: neither a request nor popularity. */
static void ahead_changes_nothing(void **state)
{
	(void)state;
	store("/a");
	struct spate_stream_mem *m = spate_stream_mem_connect(t.w);
	struct spate_stream_ahead a = {&m->s, (const uint8_t *)GET("/a", ""),
				       strlen(GET("/a", ""))};
	struct spate_key key = spate_key_of("/a", 2);
	struct spate_object *o = spate_cache_lookup(t.cache, &key);
	uint8_t before = o->freq;

	m->s.app->ahead(&a, 1);
	assert_int_equal(o->freq, before);
	assert_int_equal(t.stats.http_requests, 0);
	assert_int_equal(m->out_len, 0);
	spate_stream_mem_close(m);
}

int main(void)
{
#define CASE(f)                                                \
	cmocka_unit_test_setup_teardown(f, set_up, tear_down), \
		cmocka_unit_test_setup_teardown(f, set_up_ahead, tear_down)
	const struct CMUnitTest cases[] = {
		CASE(hit_is_answered_whole),
		CASE(a_page_of_another_site_may_read_headers),
		CASE(head_has_no_body),
		CASE(byte_at_a_time),
		CASE(pipelined_hundred_in_order),
		CASE(multipart_ranges),
		CASE(not_modified_and_if_range),
		CASE(miss_asks_control_and_streams),
		CASE(failed_fill_cuts_the_stream),
		CASE(unknown_size_is_chunked),
		CASE(bytes_behind_the_last_request_are_thrown_away),
		CASE(unknown_size_to_http_1_0_ends_by_close),
		CASE(verdicts_become_statuses),
		CASE(viewer_leaves_while_control_is_busy),
		CASE(stale_is_revalidated),
		CASE(fill_that_outlives_its_lifetime_is_joined),
		CASE(stale_for_a_failing_origin_is_called_so),
		CASE(too_many_misses_are_logged),
		CASE(log_records_keep_no_request_waiting),
		CASE(options_of_http_1_0_say_what_becomes_of_the_connection),
		CASE(requests_refused),
		CASE(slow_head_gets_408),
		CASE(stalled_reader_is_cut),
		CASE(half_closed_viewer_still_gets_it_all),
		CASE(waiting_for_the_origin_is_no_stalled_reader),
		CASE(empty_pools_leak_nothing),
		CASE(errors_are_not_as_fresh_as_the_content),
		CASE(close_that_was_announced_is_kept),
		CASE(refused_head_has_no_body),
		CASE(lowered_request_limit_closes),
		CASE(pipelining_without_end_holds_no_log_records),
		CASE(ahead_is_for_one_burst),
		CASE(ahead_changes_nothing),
		CASE(drain_answers_who_has_just_connected),
		CASE(drain_waits_for_the_rest_of_a_request),
		CASE(empty_line_between_requests_begins_nothing),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
