/* test_concat.c: the web seed's single file over HTTP: no object holds it, a torrent's span does.
 */
#include "wire_rig.h"

#include "dataplane/http/conn_impl.h"

#define GET(more) "GET /film/a.mp4 HTTP/1.1\r\nHost: e\r\n" more "\r\n"

static int set_up(void **state)
{
	rig_set_up(state);
	t.setup.listener.accept = spate_http_accept;
	return 0;
}

static struct spate_stream_mem *ask(const char *request)
{
	struct spate_stream_mem *p = spate_stream_mem_connect(t.w);

	assert_non_null(p);
	spate_stream_mem_send(p, request, strlen(request));
	spate_stream_mem_take(p, SIZE_MAX);
	return p;
}

static void assert_has(const struct spate_stream_mem *p, const char *text)
{
	if (p->out == NULL || memmem(p->out, p->out_len, text, strlen(text)) == NULL)
		fail_msg("no \"%s\" in: %.400s", text, p->out ? (const char *)p->out : "nothing");
}

/* The first answer's body is exactly [off, off + len) of the concatenation; returns where it ends.
 */
static size_t assert_body(const struct spate_stream_mem *p, size_t from, uint64_t off, uint64_t len)
{
	const uint8_t *end = memmem(p->out + from, p->out_len - from, "\r\n\r\n", 4);
	size_t at;

	assert_non_null(end);
	at = (size_t)(end + 4 - p->out);
	assert_true(p->out_len >= at + len);
	assert_memory_equal(p->out + at, t.m.bytes + off, len);
	return at + len;
}

static void whole_file(void **state)
{
	struct spate_stream_mem *p = ask(GET(""));

	(void)state;
	assert_has(p, "HTTP/1.1 200 OK\r\n");
	assert_has(p, "Content-Length: 185537\r\n");
	assert_has(p, "Content-Type: video/mp4\r\n");
	assert_has(p, "Accept-Ranges: bytes\r\n");
	assert_int_equal(assert_body(p, 0, 0, t.m.len), p->out_len);
	assert_int_equal(t.m.v1->t.file_bytes, t.m.len);
	spate_stream_mem_close(p);
}

static void range_across_parts(void **state)
{
	struct spate_stream_mem *p = ask(GET("Range: bytes=19990-90009\r\n"));

	(void)state;
	assert_has(p, "HTTP/1.1 206 Partial Content\r\n");
	assert_has(p, "Content-Range: bytes 19990-90009/185537\r\n");
	assert_int_equal(assert_body(p, 0, 19990, 70020), p->out_len);
	spate_stream_mem_close(p);
}

static void suffix_range(void **state)
{
	struct spate_stream_mem *p = ask(GET("Range: bytes=-40000\r\n"));

	(void)state;
	assert_int_equal(assert_body(p, 0, t.m.len - 40000, 40000), p->out_len);
	spate_stream_mem_close(p);
}

static void range_past_the_end(void **state)
{
	struct spate_stream_mem *p = ask(GET("Range: bytes=185537-\r\n"));

	(void)state;
	assert_has(p, "HTTP/1.1 416 ");
	assert_has(p, "Content-Range: bytes */185537\r\n");
	spate_stream_mem_close(p);
}

static void several_ranges_get_the_whole(void **state)
{
	struct spate_stream_mem *p = ask(GET("Range: bytes=0-9,100-109\r\n"));

	(void)state;
	assert_has(p, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(assert_body(p, 0, 0, t.m.len), p->out_len);
	spate_stream_mem_close(p);
}

static void head_has_the_length_and_no_body(void **state)
{
	struct spate_stream_mem *p = ask("HEAD /film/a.mp4 HTTP/1.1\r\nHost: e\r\n\r\n");

	(void)state;
	assert_has(p, "Content-Length: 185537\r\n");
	assert_int_equal(assert_body(p, 0, 0, 0), p->out_len);
	spate_stream_mem_close(p);
}

static void conditions_are_honoured(void **state)
{
	struct spate_stream_mem *p = ask(GET("If-None-Match: \"whole\"\r\n"));

	(void)state;
	assert_has(p, "HTTP/1.1 304 ");
	spate_stream_mem_close(p);
	p = ask(GET("Range: bytes=0-9\r\nIf-Range: \"whole\"\r\n"));
	assert_has(p, "HTTP/1.1 206 ");
	spate_stream_mem_close(p);
	p = ask(GET("Range: bytes=0-9\r\nIf-Range: \"other\"\r\n"));
	assert_has(p, "HTTP/1.1 200 ");
	spate_stream_mem_close(p);
}

static void pipelined_requests_keep_their_order(void **state)
{
	struct spate_stream_mem *p = ask(GET("Range: bytes=0-99999\r\n") GET(
		"Range: bytes=19999-20000\r\n") GET("Range: bytes=150000-\r\n"));
	size_t at = assert_body(p, 0, 0, 100000);

	(void)state;
	at = assert_body(p, at, 19999, 2);
	assert_int_equal(assert_body(p, at, 150000, 35537), p->out_len);
	spate_stream_mem_close(p);
}

static void missing_part_is_fetched_on_the_way(void **state)
{
	struct spate_stream_mem *p;
	struct spate_miss *miss;

	(void)state;
	make_torrent_drop(&t.m, 1);
	p = ask(GET(""));
	miss = rig_fetch();
	assert_non_null(miss);
	assert_memory_equal(miss->url, t.m.url[1], miss->url_len);
	make_torrent_put(&t.m, 1);
	rig_reply(miss, t.m.object[1], SPATE_FETCH_OK);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_int_equal(assert_body(p, 0, 0, t.m.len), p->out_len);
	spate_stream_mem_close(p);
}

static void other_content_ends_the_connection(void **state)
{
	struct spate_stream_mem *p;
	size_t before;

	(void)state;
	make_torrent_other(&t.m, 2);
	p = ask(GET(""));
	before = p->out_len;
	assert_true(p->closed);
	assert_true(before < t.m.len);
	assert_true(t.m.v1->t.withdrawn);
	spate_stream_mem_close(p);
}

static void failed_fetch_ends_the_connection(void **state)
{
	struct spate_stream_mem *p;

	(void)state;
	make_torrent_drop(&t.m, 2);
	p = ask(GET(""));
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_BAD_GATEWAY);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_true(p->closed);
	assert_int_equal(t.stats.http_aborted, 1);
	spate_stream_mem_close(p);
}

/* Where nothing was promised yet, there is an answer, and the connection goes on. */
static void failed_first_fetch_is_a_503(void **state)
{
	struct spate_stream_mem *p;
	struct spate_miss *miss;

	(void)state;
	make_torrent_drop(&t.m, 1);
	p = ask(GET("Range: bytes=30000-40000\r\n"));
	assert_int_equal(p->out_len, 0);
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_BAD_GATEWAY);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_has(p, "HTTP/1.1 503 ");
	assert_has(p, "Retry-After: ");
	assert_false(p->closed);
	assert_int_equal(t.stats.http_aborted, 0);
	p->out_len = 0;
	spate_stream_mem_send(p, GET("Range: bytes=30000-40000\r\n"),
			      strlen(GET("Range: bytes=30000-40000\r\n")));
	miss = rig_fetch();
	assert_non_null(miss);
	make_torrent_put(&t.m, 1);
	rig_reply(miss, t.m.object[1], SPATE_FETCH_OK);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_has(p, "HTTP/1.1 206 ");
	assert_int_equal(assert_body(p, 0, 30000, 10001), p->out_len);
	spate_stream_mem_close(p);
}

/* The part is there when it is asked for again, though nobody has said so: the head comes first. */
static void part_that_comes_between_two_looks(void **state)
{
	struct spate_http_exchange *x;
	struct spate_stream_mem *p;

	(void)state;
	make_torrent_drop(&t.m, 0);
	p = ask(GET("Range: bytes=0-99\r\n"));
	x = ((struct spate_http_conn *)p->s.ctx)->pumping;
	assert_true(x->unanswered);
	spate_span_forget(x->wait);
	x->wait = NULL;
	make_torrent_put(&t.m, 0);
	p->s.app->room(&p->s);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_has(p, "HTTP/1.1 206 ");
	assert_int_equal(assert_body(p, 0, 0, 100), p->out_len);
	spate_stream_mem_close(p);
	rig_reply(rig_fetch(), t.m.object[0], SPATE_FETCH_OK);
}

/* They wait for it behind each other. */
static void pipelined_behind_a_missing_first_part(void **state)
{
	struct spate_stream_mem *p;
	size_t at;

	(void)state;
	make_torrent_drop(&t.m, 0);
	p = ask(GET("Range: bytes=0-99\r\n") GET("Range: bytes=90000-90099\r\n"));
	assert_int_equal(p->out_len, 0);
	make_torrent_put(&t.m, 0);
	rig_reply(rig_fetch(), t.m.object[0], SPATE_FETCH_OK);
	spate_stream_mem_take(p, SIZE_MAX);
	at = assert_body(p, 0, 0, 100);
	assert_int_equal(assert_body(p, at, 90000, 100), p->out_len);
	spate_stream_mem_close(p);
}

static void viewer_may_leave_before_the_answer(void **state)
{
	struct spate_stream_mem *p;

	(void)state;
	make_torrent_drop(&t.m, 0);
	p = ask(GET(""));
	spate_stream_mem_close(p);
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_TIMEOUT);
}

static void viewer_may_leave_while_control_fetches(void **state)
{
	struct spate_stream_mem *p;

	(void)state;
	make_torrent_drop(&t.m, 2);
	p = ask(GET(""));
	spate_stream_mem_close(p);
	rig_reply(rig_fetch(), NULL, SPATE_FETCH_TIMEOUT);
}

/* Then the path is like any other: the origin is asked. */
static void withdrawn_file_goes_to_the_origin(void **state)
{
	struct spate_stream_mem *p;
	struct spate_miss *miss;

	(void)state;
	t.m.v1->t.withdrawn = true;
	p = ask(GET(""));
	miss = rig_fetch();
	assert_non_null(miss);
	rig_reply(miss, NULL, SPATE_FETCH_NOT_FOUND);
	spate_stream_mem_take(p, SIZE_MAX);
	assert_has(p, "HTTP/1.1 404 ");
	spate_stream_mem_close(p);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole_file),
		CASE(range_across_parts),
		CASE(suffix_range),
		CASE(range_past_the_end),
		CASE(several_ranges_get_the_whole),
		CASE(head_has_the_length_and_no_body),
		CASE(conditions_are_honoured),
		CASE(pipelined_requests_keep_their_order),
		CASE(missing_part_is_fetched_on_the_way),
		CASE(other_content_ends_the_connection),
		CASE(failed_fetch_ends_the_connection),
		CASE(failed_first_fetch_is_a_503),
		CASE(part_that_comes_between_two_looks),
		CASE(pipelined_behind_a_missing_first_part),
		CASE(viewer_may_leave_before_the_answer),
		CASE(viewer_may_leave_while_control_fetches),
		CASE(withdrawn_file_goes_to_the_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
