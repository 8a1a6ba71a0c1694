/* The wall clock is put back: by NTP that is heard at last, by a hand. Clocks here are the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"
#include "control/torrent/publish.h"
#include "dataplane/cache/write.h"

#define DAY 86400

static int64_t passed_s, ahead_s; /* of both clocks; of the wall clock */

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	ts->tv_sec += passed_s + (id == CLOCK_MONOTONIC ? 0 : ahead_s);
	return rc;
}

static struct spate_loop *loop;
static struct spate_cache *cache;
static struct spate_control *ctl;
static char dir[64];

static void put(const char *rep)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/a.mpd", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"<MPD><Period><AdaptationSet><Representation id='%s' bandwidth='7'>"
		"<BaseURL>1.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
		rep);
	fclose(f);
}

static int setup(void **state)
{
	struct spate_config_origin origin = {.match = (char *)"/", .dir = dir};
	struct spate_config cfg = {.origins = &origin, .origins_count = 1};
	struct spate_control_setup s = {.config = &cfg};
	const char *why;

	passed_s = ahead_s = 0;
	cfg.limits.object_bytes = 1 << 20;
	strcpy(dir, "/tmp/spate-clock-XXXXXX");
	assert_non_null(mkdtemp(dir));
	put("first");
	assert_int_equal(spate_loop_create(&loop, 0), 0);
	assert_int_equal(spate_cache_create(&cache, 4 << 20, 0, 1), 0);
	s.loop = loop;
	s.cache = cache;
	assert_int_equal(spate_control_create(&ctl, &s, &why), 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	spate_control_destroy(ctl);
	spate_cache_destroy(cache);
	spate_loop_destroy(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static bool answered, has_second;

static void on_answer(struct spate_publisher_query *q, struct spate_publisher_answer *a)
{
	answered = true;
	assert_int_equal(a->status, 200);
	has_second = memmem(a->body.p, a->body.len, "\"second\"", 8) != NULL;
	free(a->body.p);
}

/* The index of what the manifest lists: is it the second one's? */
static bool index_has_second(void)
{
	struct spate_publisher_query q = {.url = "/a.mpd.torrents", .len = 15, .fn = on_answer};

	answered = false;
	spate_publisher_ask(spate_control_publisher(ctl), &q);
	for (int i = 0; i < 1000 && !answered; i++)
		spate_loop_turn(loop, 10000);
	assert_true(answered);
	return has_second;
}

static void pass(int64_t s)
{
	passed_s += s;
	spate_loop_turn(loop, 0);
	spate_loop_turn(loop, 0);
}

/* What is fresh for 2 s is so for 2 s, not for a day. */
static void a_step_back_freezes_nothing(void **state)
{
	ahead_s = DAY;
	pass(2); /* control sees the clock as it was */
	assert_false(index_has_second());
	put("second");
	ahead_s = 0;
	pass(2); /* and that it was put back */
	pass(2);
	assert_true(index_has_second());
}

static struct spate_object *manifest(void)
{
	struct spate_key key = spate_key_of("/a.mpd", 6);

	return spate_cache_find(cache, &key);
}

static void only_a_step_back_takes_freshness(void **state)
{
	int64_t expires_s;

	index_has_second();
	expires_s = atomic_load(&manifest()->expires_s);
	for (int i = 0; i < 5; i++)
		pass(1);
	ahead_s = DAY; /* forward: all has expired, and is asked for again */
	for (int i = 0; i < 5; i++)
		pass(1);
	assert_int_equal(atomic_load(&manifest()->expires_s), expires_s);
}

/* As a slow clock that is set by small steps. */
static void small_steps_add_up(void **state)
{
	int64_t expires_s;

	pass(2);
	index_has_second();
	expires_s = atomic_load(&manifest()->expires_s);
	for (int i = 0; i < 10; i++) {
		ahead_s--;
		pass(2);
	}
	assert_in_range(expires_s - atomic_load(&manifest()->expires_s), 8, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_step_back_freezes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(only_a_step_back_takes_freshness, setup, teardown),
		cmocka_unit_test_setup_teardown(small_steps_add_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
