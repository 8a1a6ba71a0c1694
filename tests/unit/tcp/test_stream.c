/* stream.h over our TCP: what the app is told, and when. A plain engine is the viewer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/cache/write.h"
#include "dataplane/stream/tcp.h"
#include "host.h"

static struct {
	struct host viewer, edge;
	struct spate_worker w;
	struct spate_worker_config config;
	struct spate_cache *cache;
	struct spate_stream_tcp *k;
	uint64_t now;
	/* the app's side */
	struct spate_stream *s;
	char got[256];
	unsigned ngot, take, eofs, rooms, draineds, timeouts, drains, closeds;
	enum spate_close_why why;
	bool in_call, refuse;
	struct spate_stream_ahead ahead[SPATE_STREAM_AHEAD];
	unsigned nahead, aheads;
	/* the viewer's */
	struct spate_tcp_conn *c;
	struct spate_sendq q;
	uint8_t seen[1 << 20];
	unsigned nseen;
	bool seen_eof, seen_closed;
	enum spate_tcp_close_why seen_why;
} x;

static size_t app_recv(struct spate_stream *s, const uint8_t *p, size_t n)
{
	if (n > x.take)
		n = x.take;
	memcpy(x.got + x.ngot, p, n);
	x.ngot += (unsigned)n;
	return n;
}
static void app_eof(struct spate_stream *s)
{
	x.eofs++;
}
static void app_room(struct spate_stream *s)
{
	x.rooms++;
}
static void app_drained(struct spate_stream *s)
{
	x.draineds++;
}
static void app_timeout(struct spate_stream *s)
{
	x.timeouts++;
}
static void app_drain(struct spate_stream *s)
{
	x.drains++;
}
static void app_closed(struct spate_stream *s, enum spate_close_why why)
{
	assert_false(x.in_call);
	x.closeds++;
	x.why = why;
	x.s = NULL;
}
static void app_ahead(const struct spate_stream_ahead *a, unsigned n)
{
	assert_int_equal(x.ngot, 0); /* before the first recv */
	memcpy(x.ahead, a, n * sizeof(*a));
	x.nahead = n;
	x.aheads++;
}
static const struct spate_stream_app app = {"test",    app_recv,    app_eof,
					    app_room,  app_drained, app_timeout,
					    app_drain, app_closed,  app_ahead};

static bool app_accept(struct spate_stream *s, void *ctx)
{
	s->app = &app;
	x.s = s;
	return !x.refuse;
}

static bool no_accept(struct spate_tcp_conn *c, void *ctx)
{
	return false;
}
static void v_connected(struct spate_tcp_conn *c)
{
}
static size_t v_data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	assert_true(x.nseen + n <= sizeof x.seen);
	memcpy(x.seen + x.nseen, p, n);
	x.nseen += (unsigned)n;
	return n;
}
static void v_event(struct spate_tcp_conn *c, unsigned what)
{
	if (what & SPATE_TCP_EV_EOF)
		x.seen_eof = true;
}
static void v_closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	x.seen_closed = true;
	x.seen_why = why;
	spate_sendq_clear(&x.viewer.env, &x.q);
}
static const struct spate_tcp_user viewer = {no_accept, v_connected, v_data, v_event, v_closed};

static void move(struct host *from, struct host *to)
{
	uint8_t frame[HOST_FRAME_MAX];
	size_t n;

	while ((n = host_take(from, frame)) != 0)
		host_input(to, frame, n);
}

static void run_ms(unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		x.now += 1000;
		host_clock(&x.viewer, x.now);
		host_clock(&x.edge, x.now);
		host_flush(&x.viewer);
		move(&x.viewer, &x.edge);
		host_flush(&x.edge);
		move(&x.edge, &x.viewer);
		spate_tcp_check_all(x.edge.t);
	}
}

static int setup(void **state)
{
	struct host_setup s = {.id = 1, .mtu = 1500};
	struct spate_listener l = {.accept = app_accept};
	struct spate_addr peer;
	const char *why;

	memset(&x, 0, sizeof x);
	x.take = UINT32_MAX;
	x.now = 1000000;
	assert_int_equal(spate_cache_create(&x.cache, 8 << 20, 0, 2), 0);
	spate_tcp_config_init(&s.tcp);
	s.tcp.max_conns = s.tcp.max_time_wait = 16;
	s.cache = x.cache;
	host_init(&x.viewer, &s);
	s.id = 2;
	s.reader = 1;
	s.tcp.user_bytes = spate_stream_tcp_bytes();
	host_init(&x.edge, &s);
	spate_cache_online(x.cache, 1);
	x.config.max_connections = 8;
	x.w.config = &x.config;
	x.w.cache = x.cache;
	x.w.stats = x.edge.stats;
	x.w.sendq = x.edge.env;
	x.w.id = 1;
	spate_watch_init(&x.w.watch, x.cache, 1);
	host_addr(2, false, 80, &l.addr);
	host_clock(&x.viewer, x.now);
	host_clock(&x.edge, x.now);
	assert_int_equal(spate_stream_tcp_open(&x.w, x.edge.t, &l, 1, &x.k, &why), 0);
	spate_sendq_init(&x.q);
	host_addr(2, false, 80, &peer);
	assert_int_equal(spate_tcp_connect(x.viewer.t, NULL, &peer, &viewer, &x.c), 0);
	spate_tcp_attach(x.c, &x.q);
	return 0;
}

static int teardown(void **state)
{
	spate_stream_tcp_close(x.k);
	assert_int_equal(x.w.open_conns, 0);
	assert_int_equal(x.edge.bytes_pool.used, 0);
	assert_int_equal(x.edge.range_pool.used, 0);
	host_finish(&x.viewer);
	host_finish(&x.edge);
	spate_cache_destroy(x.cache);
	return 0;
}

static void say(const char *text)
{
	spate_sendq_bytes(&x.viewer.env, &x.q, text, strlen(text));
	spate_tcp_kick(x.c);
}

static void test_request_and_response(void **state)
{
	run_ms(5);
	assert_int_equal(x.w.open_conns, 1);
	say("GET /");
	run_ms(5);
	assert_int_equal(x.ngot, 5);
	spate_sendq_bytes(&x.w.sendq, &x.s->out, "200 OK", 6);
	spate_stream_kick(x.s);
	run_ms(100);
	assert_memory_equal(x.seen, "200 OK", 6);
	assert_int_equal(x.draineds, 1);
}

/* Two segments of one connection and a broken one between them: told ahead of what surely comes
 * next, and taken as one by one. */
static void test_burst(void **state)
{
	uint8_t frame[3][HOST_FRAME_MAX];
	struct spate_tcp_in in[3];
	size_t n;

	run_ms(5);
	say("ab");
	host_flush(&x.viewer);
	n = host_take(&x.viewer, frame[0]);
	assert_true(host_segment(&x.edge, frame[0], n, &in[0]));
	memcpy(frame[1], frame[0], n);
	frame[1][n - 1] ^= 1;
	assert_true(host_segment(&x.edge, frame[1], n, &in[1]));
	say("cd");
	host_flush(&x.viewer);
	n = host_take(&x.viewer, frame[2]);
	assert_true(host_segment(&x.edge, frame[2], n, &in[2]));
	spate_tcp_input_burst(x.edge.t, in, 3);
	assert_int_equal(x.aheads, 1);
	assert_int_equal(x.nahead, 1);
	assert_ptr_equal(x.ahead[0].s, x.s);
	assert_int_equal(x.ahead[0].len, 2);
	assert_memory_equal(x.ahead[0].data, "ab", 2);
	assert_int_equal(x.ngot, 4);
	assert_memory_equal(x.got, "abcd", 4);
	assert_int_equal(spate_tcp_count(x.edge.t, SPATE_TCP_DROP_CHECKSUM), 1);
}

/* The request may come with the ACK that makes the connection: the stream is not there yet, but its
 * app is known from the one before. */
static void test_burst_of_a_new_connection(void **state)
{
	struct spate_addr peer;
	struct spate_tcp_conn *c;
	struct spate_sendq q;
	uint8_t frame[HOST_FRAME_MAX];
	struct spate_tcp_in in;
	size_t n;

	run_ms(5);
	host_addr(2, false, 80, &peer);
	spate_sendq_init(&q);
	assert_int_equal(spate_tcp_connect(x.viewer.t, NULL, &peer, &viewer, &c), 0);
	spate_tcp_attach(c, &q);
	host_flush(&x.viewer);
	move(&x.viewer, &x.edge);
	host_flush(&x.edge);
	spate_sendq_bytes(&x.viewer.env, &q, "hello", 5);
	move(&x.edge, &x.viewer);
	host_flush(&x.viewer);
	n = host_take(&x.viewer, frame);
	assert_true(host_segment(&x.edge, frame, n, &in));
	spate_tcp_input_burst(x.edge.t, &in, 1);
	assert_int_equal(x.nahead, 1);
	assert_memory_equal(x.ahead[0].data, "hello", 5);
	assert_ptr_equal(x.ahead[0].s->worker, &x.w);
	assert_ptr_equal(x.ahead[0].s, x.s);
	assert_int_equal(x.ngot, 5);
	spate_sendq_clear(&x.viewer.env, &q);
	spate_tcp_abort(c);
}

static void test_both_finish(void **state)
{
	run_ms(5);
	spate_tcp_finish(x.c);
	run_ms(5);
	assert_int_equal(x.eofs, 1);
	spate_stream_finish(x.s);
	run_ms(5);
	assert_true(x.seen_eof);
	assert_int_equal(x.closeds, 1);
	assert_int_equal(x.why, SPATE_CLOSE_DONE);
}

static void test_pause_and_resume(void **state)
{
	x.take = 2;
	run_ms(5);
	say("abcdef");
	run_ms(5);
	assert_int_equal(x.ngot, 2);
	x.take = 100;
	spate_stream_resume(x.s);
	run_ms(2);
	assert_memory_equal(x.got, "abcdef", 6);
	assert_int_equal(x.ngot, 6);
}

static void test_abort_is_told_later(void **state)
{
	run_ms(5);
	x.in_call = true;
	spate_stream_abort(x.s);
	x.in_call = false;
	assert_int_equal(x.closeds, 0);
	run_ms(5);
	assert_int_equal(x.closeds, 1);
	assert_int_equal(x.why, SPATE_CLOSE_ABORTED);
	assert_int_equal(x.seen_why, SPATE_TCP_RESET);
}

static void test_peer_reset(void **state)
{
	run_ms(5);
	spate_tcp_abort(x.c);
	run_ms(5);
	assert_int_equal(x.closeds, 1);
	assert_int_equal(x.why, SPATE_CLOSE_RESET);
}

static void test_room_after_full(void **state)
{
	char piece[500] = {0};

	run_ms(5);
	while (!spate_sendq_full(&x.s->out))
		spate_sendq_bytes(&x.w.sendq, &x.s->out, piece, sizeof piece);
	spate_stream_kick(x.s);
	x.now += 1;
	host_flush(&x.edge);
	move(&x.edge, &x.viewer);
	run_ms(2);
	assert_true(x.rooms + x.draineds >= 1);
	run_ms(200);
	assert_int_equal(x.draineds, 1);
}

static void test_refused(void **state)
{
	x.refuse = true;
	run_ms(5);
	assert_int_equal(x.closeds, 0);
	assert_int_equal(x.w.open_conns, 0);
	assert_int_equal(x.seen_why, SPATE_TCP_RESET);
}

static void test_max_connections(void **state)
{
	x.config.max_connections = 0;
	run_ms(5);
	assert_null(x.s);
	assert_true(x.seen_closed);
}

static void test_no_more_connections_than_at_the_start(void **state)
{
	x.config.max_connections = 100; /* a reload; it was opened with 8 */
	x.w.open_conns = 8;
	run_ms(5);
	assert_null(x.s);
	assert_true(x.seen_closed);
	x.w.open_conns = 0;
}

static void test_timer(void **state)
{
	run_ms(5);
	spate_stream_timer(x.s, 50);
	run_ms(40);
	assert_int_equal(x.timeouts, 0);
	run_ms(20);
	assert_int_equal(x.timeouts, 1);
	run_ms(200);
	assert_int_equal(x.timeouts, 1);
}

static void test_drain(void **state)
{
	struct spate_addr peer;
	struct spate_tcp_conn *late;

	run_ms(5);
	spate_stream_tcp_drain(x.k);
	assert_int_equal(x.drains, 1);
	host_addr(2, false, 80, &peer);
	assert_int_equal(spate_tcp_connect(x.viewer.t, NULL, &peer, &viewer, &late), 0);
	run_ms(5);
	assert_int_equal(x.seen_why, SPATE_TCP_REFUSED);
	assert_int_equal(x.w.open_conns, 1);
}

static struct spate_object *object(uint64_t size, uint64_t filled)
{
	struct spate_key key = {1, 2};
	struct spate_object *o = spate_cache_insert(x.cache, &key);
	struct spate_meta *meta = calloc(1, sizeof *meta);
	struct iovec iov[8];
	unsigned n;

	assert_int_equal(spate_cache_publish(x.cache, o, meta, size, INT64_MAX), 0);
	assert_true(spate_cache_room(x.cache, o, filled, iov, 8, &n) >= filled);
	for (unsigned i = 0; i < n; i++)
		memset(iov[i].iov_base, 'x', iov[i].iov_len);
	spate_cache_filled(x.cache, o, filled);
	return o;
}

static void test_dry_and_woken(void **state)
{
	struct spate_object *o = object(3000, 1000);
	uint64_t waiting;
	struct iovec iov[8];
	unsigned n;

	run_ms(5);
	spate_cache_pin(x.cache, 1, o);
	spate_sendq_object(&x.w.sendq, &x.s->out, o, 0, 3000);
	spate_stream_kick(x.s);
	run_ms(100);
	assert_int_equal(x.nseen, 1000);
	spate_cache_room(x.cache, o, 2000, iov, 8, &n);
	assert_true(spate_cache_filled(x.cache, o, 2000) != 0); /* somebody waits */
	spate_cache_complete(x.cache, o, &waiting);
	spate_watch_run(&x.w.watch, o);
	run_ms(100);
	assert_int_equal(x.nseen, 3000);
	assert_int_equal(x.draineds, 1);
}

static void test_fill_failed(void **state)
{
	struct spate_object *o = object(3000, 1000);
	uint64_t waiting;

	run_ms(5);
	spate_cache_pin(x.cache, 1, o);
	spate_sendq_object(&x.w.sendq, &x.s->out, o, 0, 3000);
	spate_stream_kick(x.s);
	run_ms(100);
	spate_cache_fail(x.cache, o, &waiting);
	spate_watch_run(&x.w.watch, o);
	run_ms(10);
	assert_int_equal(x.closeds, 1);
	assert_int_equal(x.why, SPATE_CLOSE_SHORT);
	assert_int_equal(x.seen_why, SPATE_TCP_RESET);
}

static unsigned asked;

static unsigned full_once(struct spate_port *p, unsigned queue)
{
	return asked++ == 0 ? 0 : 500;
}

/* The device has no room when the response is to be sent, and some a moment later, in the same
 * turn: whoever was stopped goes on at the next flush, not when a timer finds it. */
static void test_device_full_for_a_moment(void **state)
{
	const struct spate_port_ops *was = x.edge.port.ops;
	struct spate_port_ops ops = *was;

	run_ms(5);
	say("GET /");
	run_ms(5);
	ops.tx_room = full_once;
	x.edge.port.ops = &ops;
	x.edge.txq.room = 0;
	asked = 0;
	spate_sendq_bytes(&x.w.sendq, &x.s->out, "200 OK", 6);
	spate_stream_kick(x.s);
	run_ms(3);
	x.edge.port.ops = was;
	assert_true(asked > 1);
	assert_int_equal(x.nseen, 6);
}

static void test_close_stops_all(void **state)
{
	run_ms(5);
	spate_stream_tcp_close(x.k);
	assert_int_equal(x.closeds, 1);
	assert_int_equal(x.why, SPATE_CLOSE_STOP);
	struct spate_listener l = {.accept = app_accept};
	const char *why;

	host_addr(2, false, 80, &l.addr);
	assert_int_equal(spate_stream_tcp_open(&x.w, x.edge.t, &l, 1, &x.k, &why), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request_and_response),
		TEST(test_burst),
		TEST(test_burst_of_a_new_connection),
		TEST(test_both_finish),
		TEST(test_pause_and_resume),
		TEST(test_abort_is_told_later),
		TEST(test_peer_reset),
		TEST(test_room_after_full),
		TEST(test_refused),
		TEST(test_max_connections),
		TEST(test_no_more_connections_than_at_the_start),
		TEST(test_timer),
		TEST(test_drain),
		TEST(test_dry_and_woken),
		TEST(test_fill_failed),
		TEST(test_device_full_for_a_moment),
		TEST(test_close_stops_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
