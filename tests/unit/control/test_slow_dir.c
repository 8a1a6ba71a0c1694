/* A directory whose file system waits for somebody else: it may be slow, the loop is not. */
#include "fill_rig.h"
#include "slow_fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
	if (fs.pid == 0) /* skipped */
		return 0;
	slow_fs_unmount(&fs);
	rig_close(&r);
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

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, close_rig)
	const struct CMUnitTest tests[] = {
		T(a_slow_read_holds_up_nobody),
		T(a_slow_open_holds_up_nobody),
		T(a_slow_mount_beneath_holds_up_nobody),
		T(local_files_are_tried_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
