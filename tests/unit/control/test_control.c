/*
 * The rings' other end: fetches from worker threads over a directory origin, replies, holds,
 * progress, drain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "dataplane/cache/write.h"

#define WORKERS 2
#define FILES   16
#define ROUNDS  40

static struct spate_loop *loop;
static struct spate_cache *cache;
static struct spate_control *ctl;
static char dir[64];
static _Atomic unsigned done;
static bool drained;

/* What a worker does with its rings, and nothing else. */
struct fake {
	unsigned id;
	struct spate_control_link link;
	unsigned good;
	pthread_t thread;
};

static void wait_message(struct fake *f, struct spate_msg *m)
{
	uint64_t count;

	while (!spate_ring_pop(f->link.from_control, m)) {
		struct pollfd p = {.fd = f->link.from_control->eventfd, .events = POLLIN};

		spate_cache_offline(cache, f->id);
		if (spate_ring_sleep(f->link.from_control)) {
			poll(&p, 1, 5000);
			spate_ring_awake(f->link.from_control);
			if (p.revents & POLLIN)
				(void)!read(p.fd, &count, sizeof(count));
		}
		spate_cache_online(cache, f->id);
	}
}

static void send_message(struct fake *f, struct spate_msg m)
{
	if (!spate_ring_push(f->link.to_control, &m))
		abort(); /* not the main thread: cmocka can't jump from here */
	spate_ring_wake(f->link.to_control);
}

static bool whole(struct spate_object *o, unsigned file)
{
	struct iovec iov;
	unsigned n;

	return spate_object_iov(cache, o, 0, 1, &iov, 1, &n) == 1 &&
	       *(char *)iov.iov_base == 'a' + (char)file;
}

static void fetch(struct fake *f, unsigned file)
{
	char url[16];
	struct spate_miss miss = {.worker = f->id, .url = url, .last = UINT64_MAX};
	struct spate_object *o;
	struct spate_msg m;

	miss.url_len = (uint16_t)snprintf(url, sizeof(url), "/%u", file);
	miss.key = spate_key_of(url, miss.url_len);
	send_message(f, (struct spate_msg){.type = SPATE_MSG_FETCH, .miss = &miss});
	do
		wait_message(f, &m);
	while (m.type != SPATE_MSG_REPLY);
	if (m.arg != SPATE_FETCH_OK)
		return;
	o = m.object;
	spate_cache_pin(cache, f->id, o);
	send_message(f, (struct spate_msg){.type = SPATE_MSG_TAKEN, .object = o});
	while (atomic_load_explicit(&o->state, memory_order_acquire) == SPATE_OBJECT_FILLING &&
	       spate_object_wait(cache, o, f->id, 0))
		wait_message(f, &m); /* PROGRESS */
	f->good += whole(o, file);
	spate_cache_unpin(cache, f->id, o);
	spate_cache_quiesce(cache, f->id);
}

static void *fake_worker(void *arg)
{
	struct fake *f = arg;
	struct spate_msg m;

	spate_cache_online(cache, f->id);
	for (unsigned i = 0; i < ROUNDS; i++)
		fetch(f, (i + f->id) % FILES);
	atomic_fetch_add(&done, 1);
	do
		wait_message(f, &m);
	while (m.type != SPATE_MSG_DRAIN);
	send_message(f, (struct spate_msg){.type = SPATE_MSG_DRAINED, .arg = f->id});
	spate_cache_offline(cache, f->id);
	return NULL;
}

static void on_drained(void *ctx)
{
	drained = true;
}

static int setup(void **state)
{
	struct spate_config_origin origin = {.match = (char *)"/", .dir = dir};
	struct spate_config cfg = {.origins = &origin, .origins_count = 1};
	struct spate_control_setup s = {.config = &cfg, .workers = WORKERS, .drained = on_drained};
	const char *why;
	char path[96];

	strcpy(dir, "/tmp/spate-control-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < FILES; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%u", dir, i);
		f = fopen(path, "w");
		for (unsigned n = 0; n < 100000; n++)
			fputc('a' + (int)i, f);
		fclose(f);
	}
	drained = false;
	done = 0;
	assert_int_equal(spate_loop_create(&loop, 0), 0);
	assert_int_equal(spate_cache_create(&cache, 4 << 20, 0, WORKERS), 0);
	s.loop = loop;
	s.cache = cache;
	assert_int_equal(spate_control_create(&ctl, &s, &why), 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	spate_control_destroy(ctl);
	spate_cache_check(cache);
	spate_cache_destroy(cache);
	spate_loop_destroy(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void workers_fetch_and_drain(void **state)
{
	struct fake f[WORKERS];
	struct spate_cache_usage u;

	for (unsigned i = 0; i < WORKERS; i++) {
		f[i] = (struct fake){.id = i, .link = spate_control_link(ctl, i)};
		assert_int_equal(pthread_create(&f[i].thread, NULL, fake_worker, &f[i]), 0);
	}
	for (int i = 0; i < 20000 && done < WORKERS; i++)
		spate_loop_turn(loop, 1000);
	assert_int_equal(done, WORKERS);
	spate_control_tell(ctl, SPATE_MSG_DRAIN, NULL);
	for (int i = 0; i < 20000 && !drained; i++)
		spate_loop_turn(loop, 1000);
	assert_true(drained);
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(f[i].thread, NULL);
		assert_int_equal(f[i].good, ROUNDS);
	}
	/* every hold was given back: with the objects purged, nothing is left */
	for (unsigned i = 0; i < FILES; i++) {
		char url[16];
		int n = snprintf(url, sizeof(url), "/%u", i);
		struct spate_key key = spate_key_of(url, (size_t)n);

		assert_true(spate_control_purge(ctl, &key));
	}
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(cache);
	spate_cache_usage(cache, &u);
	assert_int_equal(u.objects, 0);
	assert_int_equal(u.blocks_used, 0);
}

/* A worker that does not turn for longer than its ring lasts still gets every message, in order. */
static void a_full_ring_loses_nothing(void **state)
{
	struct spate_control_link link = spate_control_link(ctl, 0);
	unsigned n = link.from_control->mask + 1 + 1000, got = 0;
	struct spate_msg m;

	for (uintptr_t i = 0; i < n; i++)
		spate_control_tell(ctl, SPATE_MSG_CONFIG, (void *)i);
	for (int turn = 0; turn < 10; turn++) {
		while (spate_ring_pop(link.from_control, &m))
			assert_int_equal((uintptr_t)m.ptr, got++);
		spate_loop_turn(loop, 0);
	}
	assert_int_equal(got, n);
}

static void an_origin_that_is_not_there_is_named(void **state)
{
	struct spate_config_origin origin = {.match = (char *)"/", .dir = (char *)"/nonexistent"};
	struct spate_config cfg = {.origins = &origin, .origins_count = 1};
	const char *why = NULL;

	assert_int_equal(spate_control_config(ctl, &cfg, &why), -2 /* ENOENT */);
	assert_string_equal(why, "/nonexistent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(workers_fetch_and_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_ring_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(an_origin_that_is_not_there_is_named, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
