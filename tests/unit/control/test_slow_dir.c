/* A directory whose file system waits for somebody else: it may be slow, the loop is not. */
#include "fill_rig.h"
#include "slow_fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "control/fs.h"

#define LATE_MS   700
#define PROMPT_US 400000 /* a turn, however busy the machine */

static struct rig r;
static struct slow_fs fs;
static char root[64], sub[80];

/* root/sub is the slow one; the origin shows it, or root. */
static void open_rig(bool beneath)
{
	strcpy(root, "/tmp/spate-slow-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(sub, sizeof(sub), "%s/sub", root);
	assert_int_equal(mkdir(sub, 0755), 0);
	if (!slow_fs_mount(&fs, sub)) {
		rmdir(sub);
		rmdir(root);
		skip();
	}
	rig_open(&r, NULL, beneath ? root : sub);
}

static int close_rig(void **state)
{
	if (r.fills == NULL) /* skipped */
		return 0;
	slow_fs_unmount(&fs);
	rig_close(&r);
	r.fills = NULL;
	rmdir(sub);
	return rmdir(root);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Until all fills have ended; how long the longest turn was. */
static uint64_t longest_turn_us(void)
{
	uint64_t longest = 0;

	for (int i = 0; i < 1000 && spate_fills_count(r.fills) > 0; i++) {
		uint64_t begin = now_us(), us;

		spate_loop_turn(r.env.loop, 10000);
		us = now_us() - begin;
		longest = us > longest ? us : longest;
	}
	assert_int_equal(spate_fills_count(r.fills), 0);
	return longest;
}

static void expect_prompt(const char *url)
{
	struct rig_miss *m = rig_fetch(&r, url, NULL);

	assert_in_range(longest_turn_us(), 0, PROMPT_US);
	assert_int_equal(m->verdict, SPATE_FETCH_OK);
	assert_int_equal(atomic_load(&m->object->state), SPATE_OBJECT_COMPLETE);
}

static void a_slow_read_holds_up_nobody(void **state)
{
	open_rig(false);
	fs.server->read_ms = LATE_MS;
	expect_prompt("/x");
}

static void a_slow_open_holds_up_nobody(void **state)
{
	open_rig(false);
	expect_prompt("/x"); /* its name is known to the kernel from here on */
	rig_expire(rig_lookup(&r, "/x"));
	fs.server->open_ms = LATE_MS;
	expect_prompt("/x");
}

static void a_slow_mount_beneath_holds_up_nobody(void **state)
{
	open_rig(true);
	fs.server->read_ms = LATE_MS;
	expect_prompt("/sub/x");
}

static void local_files_are_tried_at_once(void **state)
{
	int shm = open("/dev/shm", O_PATH | O_CLOEXEC);

	open_rig(false);
	assert_true(shm >= 0);
	assert_false(spate_fs_may_wait(shm));
	assert_true(spate_fs_may_wait(r.env.origins->o[0]->dirfd));
	close(shm);
}

/* --- and one that never answers: the end comes all the same --- */

static void until_asked(struct spate_loop *l, unsigned n)
{
	for (int i = 0; i < 500 && fs.server->asked < n; i++)
		spate_loop_turn(l, 10000);
	assert_int_equal(fs.server->asked, n);
}

static void what_hangs_does_not_hold_up_the_end(void **state)
{
	open_rig(false);
	fs.server->read_ms = SLOW_FS_NEVER;
	rig_fetch(&r, "/x", NULL);
	until_asked(r.env.loop, 2); /* open, read */
	spate_fills_destroy(r.fills);
	assert_int_equal(atomic_load(&r.miss[0].object->state), SPATE_OBJECT_FAILED);
	slow_fs_unmount(&fs); /* now it comes back, to what has to be there still */
	for (int i = 0; i < 20; i++)
		spate_loop_turn(r.env.loop, 10000);
	assert_int_equal(r.env.origins->o[0]->fills, 0);
	assert_int_equal(spate_fills_create(&r.fills, &r.env), 0); /* for close_rig */
}

static struct spate_loop *loop;
static struct spate_cache *cache;
static struct spate_control *ctl; /* leaked: what a late op needs lives on */
static bool replied;

static void on_reply(struct spate_worker *w, struct spate_miss *m, struct spate_object *o,
		     enum spate_fetch_verdict v)
{
	replied = true;
	assert_int_equal(v, SPATE_FETCH_BAD_GATEWAY);
}

static void the_whole_of_control_ends(void **state)
{
	struct spate_config_origin origin = {.match = (char *)"/", .dir = sub};
	struct spate_config cfg = {.origins = &origin, .origins_count = 1};
	struct spate_control_setup s = {.config = &cfg, .workers = 1};
	struct spate_miss miss = {.worker = SPATE_CONTROL_MISS,
				  .url = "/x",
				  .url_len = 2,
				  .last = UINT64_MAX,
				  .key = spate_key_of("/x", 2),
				  .done = on_reply};
	const char *why;

	open_rig(false);
	assert_int_equal(spate_loop_create(&loop, 0), 0);
	assert_int_equal(spate_cache_create(&cache, 4 << 20, 0, 1), 0);
	s.loop = loop;
	s.cache = cache;
	cfg.timeouts.origin_head_ms = cfg.timeouts.origin_idle_ms = 5000;
	assert_int_equal(spate_control_create(&ctl, &s, &why), 0);
	fs.server->open_ms = SLOW_FS_NEVER;
	assert_true(spate_ring_push(spate_control_link(ctl, 0).to_control,
				    &(struct spate_msg){.type = SPATE_MSG_FETCH, .miss = &miss}));
	until_asked(loop, 1);
	assert_false(spate_control_finish(ctl));
	assert_true(replied);
	spate_control_destroy(ctl);
	slow_fs_unmount(&fs);
	spate_loop_destroy(loop); /* delivers it */
	spate_cache_check(cache);
	spate_cache_destroy(cache);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_rig)
	const struct CMUnitTest tests[] = {
		T(a_slow_read_holds_up_nobody),          T(a_slow_open_holds_up_nobody),
		T(a_slow_mount_beneath_holds_up_nobody), T(local_files_are_tried_at_once),
		T(what_hangs_does_not_hold_up_the_end),  T(the_whole_of_control_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
