/*
 * The loop: timers in order, ops delivered, cancel, wake from another thread, destroy with ops in
 * flight.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/loop.h"

static struct spate_loop *loop;

static int setup(void **state)
{
	return spate_loop_create(&loop, 8);
}

static int teardown(void **state)
{
	spate_loop_destroy(loop);
	return 0;
}

struct tick {
	struct spate_timer t;
	int *order, *n;
	int id;
};

static void on_tick(struct spate_timer *t)
{
	struct tick *k = (struct tick *)t;

	k->order[(*k->n)++] = k->id;
}

static void timers_run_in_order_of_time(void **state)
{
	struct spate_timers h = {0};
	struct tick k[200];
	int order[200], n = 0;

	memset(k, 0, sizeof(k));
	for (int i = 0; i < 200; i++) {
		k[i] = (struct tick){.order = order, .n = &n, .id = (i * 73) % 200};
		spate_timers_set(&h, &k[i].t, 1000 + (uint64_t)k[i].id, on_tick);
	}
	for (int i = 0; i < 200; i += 3)
		spate_timers_stop(&h, &k[i].t);
	spate_timers_run(&h, 999);
	assert_int_equal(n, 0);
	spate_timers_run(&h, 5000);
	assert_int_equal(n, 133);
	for (int i = 1; i < n; i++)
		assert_true(order[i] > order[i - 1]);
	assert_true(spate_timers_next(&h) == UINT64_MAX);
}

static void a_timer_set_anew_runs_once(void **state)
{
	struct spate_timers h = {0};
	int order[4], n = 0;
	struct tick k = {.order = order, .n = &n};

	spate_timers_set(&h, &k.t, 10, on_tick);
	spate_timers_set(&h, &k.t, 20, on_tick);
	spate_timers_run(&h, 15);
	assert_int_equal(n, 0);
	spate_timers_run(&h, 20);
	spate_timers_run(&h, 100);
	assert_int_equal(n, 1);
}

struct done {
	struct spate_op op;
	int calls, res;
};

static void on_done(struct spate_op *op, int res, unsigned flags)
{
	struct done *d = (struct done *)op;

	d->calls++;
	d->res = res;
}

static void until(struct done *d, int calls)
{
	for (int i = 0; i < 200 && d->calls < calls; i++)
		spate_loop_turn(loop, 50000);
	assert_int_equal(d->calls, calls);
}

static void send_and_recv_over_a_socketpair(void **state)
{
	struct done tx = {0}, rx = {0};
	char buf[16];
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	spate_loop_recv(loop, &rx.op, sv[1], buf, sizeof(buf), on_done);
	spate_loop_send(loop, &tx.op, sv[0], "hello", 5, on_done);
	assert_true(rx.op.busy);
	until(&rx, 1);
	until(&tx, 1);
	assert_int_equal(rx.res, 5);
	assert_memory_equal(buf, "hello", 5);
	assert_false(rx.op.busy);
	spate_loop_close(loop, sv[0]);
	spate_loop_recv(loop, &rx.op, sv[1], buf, sizeof(buf), on_done);
	until(&rx, 2);
	assert_int_equal(rx.res, 0); /* the close went out */
	close(sv[1]);
}

static void more_ops_than_queue_slots(void **state)
{
	static struct done d[500];
	static char buf[500];
	int p[2];

	memset(d, 0, sizeof(d));
	assert_int_equal(pipe(p), 0);
	for (int i = 0; i < 500; i++)
		spate_loop_read(loop, &d[i].op, p[0], &buf[i], 1, (uint64_t)-1, on_done);
	for (int i = 0; i < 500; i++)
		assert_int_equal(write(p[1], "x", 1), 1);
	for (int i = 0; i < 500; i++)
		until(&d[i], 1);
	close(p[0]);
	close(p[1]);
}

static void cancel_ends_an_op(void **state)
{
	struct done rx = {0};
	char c;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	spate_loop_recv(loop, &rx.op, sv[1], &c, 1, on_done);
	spate_loop_turn(loop, 0);
	spate_loop_cancel(loop, &rx.op);
	until(&rx, 1);
	assert_int_equal(rx.res, -ECANCELED);
	close(sv[0]);
	close(sv[1]);
}

static void defer_never_recurses(void **state)
{
	struct done d = {0};

	spate_loop_defer(loop, &d.op, -EPERM, on_done);
	assert_int_equal(d.calls, 0);
	until(&d, 1);
	assert_int_equal(d.res, -EPERM);
}

static void accept_gives_many(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	static struct done acc; /* still busy at the end: teardown's destroy cancels it */
	struct done con[3] = {0};
	int ls = socket(AF_INET, SOCK_STREAM, 0), c[3];

	assert_int_equal(bind(ls, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(ls, 8), 0);
	getsockname(ls, (struct sockaddr *)&a, &len);
	spate_loop_accept(loop, &acc.op, ls, on_done);
	for (int i = 0; i < 3; i++) {
		c[i] = socket(AF_INET, SOCK_STREAM, 0);
		spate_loop_connect(loop, &con[i].op, c[i], (struct sockaddr *)&a, len, on_done);
		until(&con[i], 1);
		assert_int_equal(con[i].res, 0);
		until(&acc, i + 1);
		close(acc.res);
		close(c[i]);
	}
	assert_true(acc.op.busy);
	close(ls);
}

struct posted {
	struct spate_post p;
	pthread_t from;
	int calls;
};

static void on_post(struct spate_post *p)
{
	struct posted *d = (struct posted *)p;

	d->calls++;
	assert_true(pthread_equal(pthread_self(), d->from));
}

static void *poster(void *arg)
{
	struct posted *d = arg;

	for (int i = 0; i < 100; i++)
		spate_loop_post(loop, &d[i].p, on_post);
	return NULL;
}

static void posts_run_on_the_loop(void **state)
{
	static struct posted d[100];
	pthread_t th;

	for (int i = 0; i < 100; i++)
		d[i] = (struct posted){.from = pthread_self()};
	assert_int_equal(pthread_create(&th, NULL, poster, d), 0);
	for (int i = 0; i < 1000 && d[99].calls == 0; i++)
		spate_loop_turn(loop, 5000000);
	pthread_join(th, NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(d[i].calls, 1);
}

static bool never_sleep(struct spate_hook *h)
{
	return false;
}

static void a_hook_with_work_keeps_the_loop_awake(void **state)
{
	struct spate_hook h = {.sleep = never_sleep};

	spate_loop_hook(loop, &h);
	for (int i = 0; i < 100; i++)
		spate_loop_turn(loop, 10 * 1000 * 1000); /* would be 1000 s */
	spate_loop_unhook(loop, &h);
}

static void destroy_waits_for_ops_in_flight(void **state)
{
	struct spate_loop *l;
	struct done rx = {0};
	char *buf = malloc(64);
	int sv[2];

	assert_int_equal(spate_loop_create(&l, 8), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	spate_loop_recv(l, &rx.op, sv[1], buf, 64, on_done);
	spate_loop_destroy(l);
	assert_int_equal(rx.calls, 1);
	assert_int_equal(rx.res, -ECANCELED);
	free(buf);
	close(sv[0]);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_run_in_order_of_time),
		cmocka_unit_test(a_timer_set_anew_runs_once),
		cmocka_unit_test_setup_teardown(send_and_recv_over_a_socketpair, setup, teardown),
		cmocka_unit_test_setup_teardown(more_ops_than_queue_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(cancel_ends_an_op, setup, teardown),
		cmocka_unit_test_setup_teardown(defer_never_recurses, setup, teardown),
		cmocka_unit_test_setup_teardown(accept_gives_many, setup, teardown),
		cmocka_unit_test_setup_teardown(posts_run_on_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hook_with_work_keeps_the_loop_awake, setup,
						teardown),
		cmocka_unit_test(destroy_waits_for_ops_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
